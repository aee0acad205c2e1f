/*
 * output.h: a file that appears whole or not at all, or standard output.
 *
 * A file is written under a temporary name in its own folder ("NAME.weir-XXXXXX") and renamed by
 * commit, keeping the mode of a file it replaces, else 0666 less the umask. A path that is not a
 * regular file (/dev/null, a FIFO, a terminal) is written in place. A file that is to be continued
 * by another run if this one ends early has a name that it is found by. Writes block; used by one
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

/*
 * Could the path be written? Says why not, as wi_output_open does, and changes nothing. *place is
 * where the file is or will be, without symbolic links (free() it); NULL: what is there is no
 * regular file and is written in place.
 */
weir_status wi_output_look(const char *path, char **place, weir_error *err);

/*
 * A file that can be continued: it is written as "PLACE.partial" until it is committed, and begins
 * with the first `length` bytes of what is there under that name; what follows them is cut off.
 * That there are fewer is an error. `name` in messages. It has the mode of the one it will replace.
 */
weir_status wi_output_continue(const char *place, const char *name, int64_t length, wi_output **out,
                               weir_error *err);

/* The name of a file beside another: "PATH.partial" (free() it); NULL: no memory. */
char *wi_output_name(const char *path, const char *suffix);

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

/* How many bytes it has. */
int64_t wi_output_length(const wi_output *output);

/* Reads of one that can be continued, from `offset` on; 0 at its end. */
weir_status wi_output_read(const wi_output *output, int64_t offset, char *bytes, size_t size,
                           size_t *len, weir_error *err);

/* Brings what was written to the disk (fdatasync), if anything was since the last time. */
weir_status wi_output_sync(wi_output *output, weir_error *err);

/* Flushes to the disk (fsync), renames, closes and frees, whatever it returns. */
weir_status wi_output_commit(wi_output *output, weir_error *err);

/*
 * For a run that ended early: cuts the file back to the last whole write, renames it to
 * "NAME.partial" and closes and frees it; *kept is that name (free() it), or NULL if nothing had
 * been written, in which case nothing is left behind.
 */
weir_status wi_output_keep(wi_output *output, char **kept, weir_error *err);

/* Closes and frees one that can be continued, cut back to `length`; negative: as long as it is. */
void wi_output_leave(wi_output *output, int64_t length);

/* Removes what was written, closes and frees. NULL is fine. */
void wi_output_discard(wi_output *output);

/* Creates the file, which is not there yet, for reading and writing, with the mode and where it can
 * the owner of `like`, if that is there, else with 0666 less the umask. -1: see errno. */
int wi_output_create(const char *path, const char *like);

/* Makes renames and new names in the folder of `path` last. 0, or the errno. */
int wi_output_sync_folder(const char *path);

/* One small file, whole or not at all, its parent folders made as needed below `root` (an open
 * directory descriptor; `relative` can lead out of it neither by ".." nor by symbolic links:
 * openat2 with RESOLVE_BENEATH, where the kernel has it). */
weir_status wi_output_save(int root, const char *relative, const char *bytes, size_t len,
                           weir_error *err);

#endif
