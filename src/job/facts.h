/*
 * facts.h: what all rows of a job depend on, by name: its templates, filters, formats. A run can be
 * continued only by one with the same facts. How fast, how many at once and how often is none, and
 * nothing secret is.
 */
#ifndef WI_FACTS_H
#define WI_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wi_fact {
    const char *name; /* as the option is called, without dashes; borrowed for ever */
    char *value;      /* NULL: as if it were not in the list */
} wi_fact;

typedef struct wi_facts {
    wi_fact *list;
    size_t len;
    bool failed; /* for want of memory one is missing */
} wi_facts;

/* Appends one; a value that is NULL, 0 or false is left out, so that an option which is new has no
 * effect where it is not used. */
void wi_facts_add(wi_facts *facts, const char *name, const char *value);
void wi_facts_add_number(wi_facts *facts, const char *name, int64_t value);
void wi_facts_add_flag(wi_facts *facts, const char *name, bool value);

/* Only its hash: of what is long, or might be private. */
void wi_facts_add_hash(wi_facts *facts, const char *name, const void *bytes, size_t len);

/* All strings of a list in its order, as one fact. */
void wi_facts_add_list(wi_facts *facts, const char *name, const char *const *values, size_t len);

void wi_facts_fini(wi_facts *facts);

#endif
