/*
 * walk.h: the files below some paths, found by several threads together.
 *
 * A walk has no threads of its own: whoever asks for files with wi_walk_next gets some that were
 * found already, or else reads a folder itself. So the walk is as parallel as its callers are many,
 * the first files come before the last folder is read, and what is found but not yet asked for is
 * at most a piece (64 KiB of directory entries) for each thread. Folders to be read stand on a
 * stack, depth first; a folder of any size is read in pieces, each of which may be taken on by
 * another thread.
 *
 * What is found, and how its path is written, is what ripgrep has under options of the same names:
 * regular files, none hidden or ignored; a root that is a file in any case, and "-", which stands
 * for standard input and has the type of a pipe. A root that does not exist as such and has a
 * wildcard is a glob: all that matches it stands as if it had been named, but hidden and ignored
 * files are left out. Trouble with one path is an item, never an end.
 *
 * Files are given in no order unless they are sorted, but for roots that are files: between two
 * folders they keep the order in which they were named.
 */
#ifndef WI_WALK_H
#define WI_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "buf.h"
#include "error.h"
#include "ignore.h"

typedef struct wi_walk wi_walk;

typedef struct wi_walk_options {
    /* None at all: the working directory, and paths without "./". Must outlive the walk. */
    const char *const *roots;
    size_t n_roots;
    /* Instead of roots: appends the next to path, or returns WEIR_END. WEIR_NOTFOUND: where it
     * should be there is none; what was appended and err become an item, and the next is asked for.
     * What it returns else ends the walk. Never called by two threads at once; may block. */
    weir_status (*next_root)(void *arg, wi_buf *path, weir_error *err);
    void *arg;

    /* --glob: gitignore patterns seen from the working directory. Files must match one, the last
     * that matches counts, "!" takes out. iglobs: the same in either case, counting after them. */
    const char *const *globs;
    size_t n_globs;
    const char *const *iglobs;
    size_t n_iglobs;
    bool glob_nocase; /* --glob-case-insensitive */
    bool hidden;
    bool follow;
    bool one_file_system;
    bool sorted; /* --sort path: by name in each folder; one is read at a time, and kept whole */
    uint32_t max_depth; /* 1: the files of the roots themselves; 0: no limit */
    wi_ignore_options ignore;
    size_t max_fds; /* descriptors kept at once; 0: an eighth of what the process may have */
} wi_walk_options;

typedef enum wi_walk_kind {
    WI_WALK_FILE,
    WI_WALK_ERROR, /* this path, and what may be below it, could not be looked at */
    WI_WALK_NOTE,  /* a list of ignored files, whose folder this is, has something wrong in it */
} wi_walk_kind;

typedef struct wi_walk_item {
    const char *name; /* terminated; may hold any byte but NUL and, below a root, the slash */
    const weir_error *error; /* NULL for a file */
    uint32_t name_len;
    uint8_t kind; /* a wi_walk_kind */
    uint8_t type; /* DT_REG; of a root, whatever it is */
} wi_walk_item;

/* Items of one folder. Their paths are the folder's followed by their names. */
typedef struct wi_walk_batch {
    const wi_walk_item *items;
    size_t n;
    const char *folder; /* ends with a slash, or is empty; terminated */
    size_t folder_len;
    uint64_t first;  /* the number of the first item, counted from 0 in the order of being given */
    uint64_t number; /* of the batch, likewise */
    struct wi_walk_chunk *chunk;
} wi_walk_batch;

weir_status wi_walk_new(const wi_walk_options *options, wi_walk **out, weir_error *err);

/* With no thread inside wi_walk_next and all batches released. NULL is fine. */
void wi_walk_free(wi_walk *walk);

/*
 * At least one item, at most max (0: no limit). Any thread; blocks while others may yet find some.
 * WEIR_END once all is given; WEIR_CANCELLED after wi_walk_stop; WEIR_NOMEM, or what next_root
 * failed with, then and ever after.
 */
weir_status wi_walk_next(wi_walk *walk, size_t max, wi_walk_batch *batch, weir_error *err);

/* How many threads wait in wi_walk_next for what others may find. Any thread. */
int wi_walk_waiting(const wi_walk *walk);

/* Gives a batch back, of which nothing may be used after. Any thread. */
void wi_walk_release(wi_walk_batch *batch);

/* All calls of wi_walk_next end as soon as the system calls they are in. Any thread. */
void wi_walk_stop(wi_walk *walk);

/*
 * openat and fstatat for an item, with their flags and errors, by way of its folder's descriptor as
 * long as that is kept. Opening is close-on-exec.
 */
int wi_walk_open(const wi_walk_batch *batch, const wi_walk_item *item, int flags);
int wi_walk_stat(const wi_walk_batch *batch, const wi_walk_item *item, int flags, struct stat *st);

/* Appends the item's path. */
void wi_walk_append_path(const wi_walk_batch *batch, const wi_walk_item *item, wi_buf *path);

#endif
