/*
 * rules.h: lists of gitignore patterns, where the last one that matches decides.
 *
 * The text of a list is what gitignore(5) says: a pattern a line, '#' for comments, '!' for what is
 * to be kept after all, a slash at the end for folders only, one elsewhere for a pattern that is
 * matched against the whole path below the list's own folder instead of the last component. A
 * pattern that is no valid glob never matches. Once filled, a list may be used by any number of
 * threads.
 */
#ifndef WI_RULES_H
#define WI_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

typedef struct wi_rules wi_rules;

typedef enum wi_verdict {
    WI_VERDICT_NONE, /* no pattern matches */
    WI_VERDICT_IGNORE,
    WI_VERDICT_KEEP, /* the last that matches begins with '!' */
} wi_verdict;

/* Flags as those of glob.h. */
weir_status wi_rules_new(unsigned glob_flags, wi_rules **out, weir_error *err);
void wi_rules_free(wi_rules *rules); /* NULL is fine */

/* For what is added from now on. */
void wi_rules_set_flags(wi_rules *rules, unsigned glob_flags);

/* One pattern as it stands: no comment, no space or line end to be removed. */
weir_status wi_rules_add(wi_rules *rules, const char *pattern, size_t len, weir_error *err);

/*
 * All lines of a file. Fails only for lack of memory; *faults is how many lines were no valid glob,
 * and first says what was wrong with the first of them, beginning with its number.
 */
weir_status wi_rules_add_text(wi_rules *rules, const char *text, size_t len, size_t *faults,
                              weir_error *first, weir_error *err);

/*
 * The verdict on a path below the list's folder (no slash at its begin or end) whose last component
 * has name_len bytes. path may hold the last component alone if wi_rules_need_path says false.
 */
wi_verdict wi_rules_match(const wi_rules *rules, const char *path, size_t len, size_t name_len,
                          bool is_folder);

size_t wi_rules_len(const wi_rules *rules);     /* how many patterns */
size_t wi_rules_keeps(const wi_rules *rules);   /* how many of them begin with '!' */
bool wi_rules_need_path(const wi_rules *rules); /* does one look at more than the name? */

#endif
