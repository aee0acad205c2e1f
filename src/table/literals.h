/*
 * literals.h: a small set of texts, for reasoning about what a pattern must contain.
 *
 * A set that is not `known` says nothing. It is bounded in texts and in their lengths: what would
 * outgrow it becomes unknown or is cut, so reasoning costs little, whatever the pattern.
 */
#ifndef WI_LITERALS_H
#define WI_LITERALS_H

#include <stdbool.h>
#include <stddef.h>

enum { WI_LITERALS_MAX = 48, WI_LITERAL_SIZE = 24 };

typedef struct wi_literal {
    unsigned char len;
    char bytes[WI_LITERAL_SIZE];
} wi_literal;

typedef struct wi_literals {
    bool known;
    size_t n;
    wi_literal list[WI_LITERALS_MAX];
} wi_literals;

void wi_literals_none(wi_literals *set);
void wi_literals_one(wi_literals *set, const char *bytes, size_t len); /* of at most the size */

/* Adds the other's texts; unknown if either is, or there are too many. */
void wi_literals_unite(wi_literals *set, const wi_literals *other);

/* Each text of the set followed by each of the other's; false, and no change, if that is too much.
 */
bool wi_literals_append(wi_literals *set, const wi_literals *other);

/* Makes the set the other if a search for that would stop less often. */
void wi_literals_prefer(wi_literals *set, const wi_literals *other);

/* Is a search for these likely to pass over most of an ordinary text? */
bool wi_literals_useful(const wi_literals *set);

#endif
