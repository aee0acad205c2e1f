/* matcher_state.h: what the making of a matcher (matcher.c) and its use (matcher_search.c) share.
 */
#ifndef WI_MATCHER_STATE_H
#define WI_MATCHER_STATE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>

#include "matcher.h"
#include "needle.h"

typedef struct wi_group_column {
    uint32_t group;
    uint32_t column;
} wi_group_column;

/* One pattern; or all those that are plain texts, together. */
typedef struct wi_program {
    size_t pattern;      /* its number, from 0 */
    wi_needles *needles; /* a line without any of them does not match; NULL: not known */
    bool exact;          /* one with any of them does: code is NULL */
    size_t *numbers;     /* if exact: which pattern each needle is */
    pcre2_code *code;
    pcre2_code *ascii; /* the same for text that is ASCII, where it is faster; may be NULL */
    bool fast;         /* they have been compiled to machine code */
    bool ascii_fast;
    bool whole; /* may be run over many lines at once */
    wi_group_column *groups;
    size_t n_groups;
} wi_program;

struct wi_matcher {
    bool invert;
    pcre2_general_context *general;
    wi_program *programs;
    size_t n;
    uint32_t most_groups; /* of any program: captures and the match itself */
    wi_name *columns;     /* their bytes are their own */
    size_t n_columns;
};

#endif
