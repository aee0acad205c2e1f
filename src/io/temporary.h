/*
 * temporary.h: the file beside a file: "NAME.weir-XXXXXX", in which NAME is written until it is
 * whole. Its mode is the one asked for less the umask, which mkstemp(3) would not do.
 */
#ifndef WI_TEMPORARY_H
#define WI_TEMPORARY_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Creates it for the file at `path` (as openat has it) and opens it for writing, close-on-exec.
 * *temp is its path (free() it). -1: see errno, and *temp is left alone.
 */
int wi_temporary_open(int folder, const char *path, mode_t mode, char **temp);

/* How much of path leaves room in its last part for `suffix` more bytes: mostly all of it. */
size_t wi_temporary_stem(const char *path, size_t suffix);

#endif
