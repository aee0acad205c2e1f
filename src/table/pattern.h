/*
 * pattern.h: what can be known of a regular expression without running it.
 *
 * Lines are searched one by one, in the meaning, but not in the making: a search of many lines in
 * one go is faster by far. Whether it finds the same depends on the pattern. It is read here, and
 * where it is of the common kinds, said: may it be run over many lines; which texts must a line
 * contain in any case; are those texts all there is to it. A pattern that is not understood is
 * never wrong for it, only slower. It is assumed to be valid (PCRE2 has seen it before).
 */
#ifndef WI_PATTERN_H
#define WI_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "literals.h"

typedef struct wi_pattern {
    /* The same within a line, but taking no line feed where that was easy to see to. */
    wi_buf text;
    /* Over many lines it finds no later, and nothing but, lines that match: but for a match that
     * contains a line feed, of which only its first line is known to be worth a look. */
    bool whole;
    /* A line with one of the literals matches, all others don't. */
    bool exact;
    /* A line without any of them does not match; not known: no such literals. In lower case where
     * case doesn't count. */
    wi_literals literals;
    /* In place of literals: an exact pattern that is one text, of any length. */
    wi_buf plain;
    bool is_plain;
    /* Where it asks for a line feed, from 1; 0: nowhere. */
    size_t newline_at;
} wi_pattern;

/* nocase: case doesn't count; utf: characters are, not bytes. False: no memory. */
bool wi_pattern_read(wi_pattern *pattern, const char *text, size_t len, bool nocase, bool utf);
void wi_pattern_fini(wi_pattern *pattern);

/* Appends the pattern's characters that stand for themselves: what smart case looks at. */
void wi_pattern_letters(const char *text, size_t len, wi_buf *out);

/* Appends a text as a pattern that matches it alone. */
void wi_pattern_quote(const char *text, size_t len, wi_buf *out);

#endif
