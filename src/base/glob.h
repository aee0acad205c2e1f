/*
 * glob.h: patterns for paths, as .gitignore files and ripgrep have them.
 *
 *     ?        one byte, never a slash
 *     *        any bytes but slashes; two of them that don't fill a component mean the same
 *     **       as a whole component: any number of components, none too; at the end all the rest
 *     [a-z]    one byte of a set, never a slash; [!a] and [^a] one not of it
 *     [[:alpha:]]  and so on: one of the bytes that this class has in ASCII
 *     {a,b}    one or the other; nests; only with WI_GLOB_BRACES
 *     \c       c itself
 *
 * A pattern is bytes and matches bytes: neither need be UTF-8. A glob is compiled once, is never
 * changed after and may be used by any number of threads. Matching allocates nothing and takes at
 * most time in proportion to the text's length times the pattern's: braces are written out when the
 * pattern is compiled, within a bound, and the rest needs no more than to step back to the last
 * star.
 */
#ifndef WI_GLOB_H
#define WI_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

typedef struct wi_glob wi_glob;

enum {
    WI_GLOB_NOCASE = 1, /* ASCII letters match in either case */
    WI_GLOB_BRACES = 2, /* else braces are bytes like others, as git has it */
    WI_GLOB_MAX = 4096, /* bytes of a pattern */
};

/* Fails with the column (from 1, in bytes) of what is wrong in the pattern. */
weir_status wi_glob_new(const char *pattern, size_t len, unsigned flags, wi_glob **out,
                        weir_error *err);
void wi_glob_free(wi_glob *glob); /* NULL is fine */

/* Does all of the text match? */
bool wi_glob_match(const wi_glob *glob, const char *text, size_t len);

/* The same as a shell has it: no wildcard stands for the dot that a component begins with. */
bool wi_glob_match_shell(const wi_glob *glob, const char *text, size_t len);

/* Could something match that begins with `folder`, which ends with a slash? */
bool wi_glob_match_below(const wi_glob *glob, const char *folder, size_t len, bool shell);

/* The byte that ends all that can match (lower case with WI_GLOB_NOCASE); -1 if it may be any. */
int wi_glob_last(const wi_glob *glob);

/* How many bytes a pattern begins with before its first wildcard, escape or brace. */
size_t wi_glob_plain_prefix(const char *pattern, size_t len);

#endif
