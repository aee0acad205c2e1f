/*
 * output.h: a file that appears whole or not at all, or standard output.
 *
 * A file is written under a temporary name in its own folder ("NAME.weir-XXXXXX") and renamed by
 * commit, keeping the mode of a file it replaces, else 0666 less the umask. A path that is not a
 * regular file (/dev/null, a FIFO, a terminal) is written in place. Writes block; used by one
 * thread at a time.
 */
#ifndef WI_OUTPUT_H
#define WI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

typedef struct wi_output wi_output;

/* "-" is standard output. Fails when the folder or file could not be written. */
weir_status wi_output_open(const char *path, wi_output **out, weir_error *err);

/* Would the two paths be the same regular file, whatever links lead there? */
bool wi_output_is_same(const char *a, const char *b);

/* Is it a terminal, where somebody looks at it? */
bool wi_output_is_terminal(const wi_output *output);

/* All of it or an error; WEIR_CLOSED when the reader of a pipe has gone (SIGPIPE is the caller's
 * to ignore). After a failure the file holds at most a part of these bytes: see wi_output_keep. */
weir_status wi_output_write(wi_output *output, const char *bytes, size_t len, weir_error *err);

/* The same for a descriptor of the program's own, `name` in messages. */
weir_status wi_output_write_to(int fd, const char *name, const char *bytes, size_t len,
                               weir_error *err);

/* Flushes to the disk (fsync), renames, closes and frees, whatever it returns. */
weir_status wi_output_commit(wi_output *output, weir_error *err);

/*
 * For a run that ended early: cuts the file back to the last whole write, renames it to
 * "NAME.partial" and closes and frees it; *kept is that name (free() it), or NULL if nothing had
 * been written, in which case nothing is left behind.
 */
weir_status wi_output_keep(wi_output *output, char **kept, weir_error *err);

/* Removes what was written, closes and frees. NULL is fine. */
void wi_output_discard(wi_output *output);

/* One small file, whole or not at all, its parent folders made as needed below `root` (an open
 * directory descriptor; `relative` can lead out of it neither by ".." nor by symbolic links:
 * openat2 with RESOLVE_BENEATH, where the kernel has it). */
weir_status wi_output_save(int root, const char *relative, const char *bytes, size_t len,
                           weir_error *err);

#endif
