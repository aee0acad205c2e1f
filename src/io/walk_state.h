/*
 * walk_state.h: what the files of the walk share.
 *
 * walk.c hands out work and what was found, walk_read.c reads a piece of a folder, walk_found.c
 * keeps what it found, walk_root.c knows what a root is, walk_folder.c folders, their paths and
 * descriptors.
 *
 * A folder is owned by whoever works on it (the stack, or the thread that took it from there); its
 * subfolders and chunks hold references, for its path and its descriptor. A descriptor that is
 * shared has users of its own kind, since the last subfolder may need it long before the folder's
 * last reference goes: a path needs all folders above it, a descriptor only the one.
 */
#ifndef WI_WALK_STATE_H
#define WI_WALK_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "glob.h"
#include "walk.h"

enum {
    WI_WALK_PIECE = 64 << 10, /* bytes of directory entries read at once */
    WI_WALK_NAME_ROOM = 258,  /* a name, a slash and the end */
};

typedef struct wi_walk_root {
    atomic_int refs;
    char *given;             /* as the user wrote it */
    char *open;              /* the folder to begin with */
    wi_glob *glob;           /* what all paths must match, or NULL */
    bool only_folders;       /* the glob ended with a slash */
    char *absolute;          /* of `open`, ending with a slash */
    wi_ignore_folder *above; /* the folders above it that have lists */
    size_t prefix_len;       /* of the paths, before what is below the root */
    size_t view;             /* where they begin as seen from the working directory */
    dev_t device;
    atomic_bool matched;
    size_t pending; /* folders not yet read; under the walk's lock */
} wi_walk_root;

/* What stands on the stack: a folder, or a chunk whose turn comes when what is above it is done. */
typedef struct wi_walk_work {
    struct wi_walk_work *next;
    bool is_chunk;
} wi_walk_work;

typedef struct wi_walk_folder {
    wi_walk_work work; /* first */
    atomic_int refs;
    struct wi_walk *walk;
    struct wi_walk_folder *parent; /* NULL for a root's */
    wi_walk_root *root;
    wi_ignore_folder *ignore; /* once entered */
    atomic_int fd_users;
    int fd;      /* for subfolders and files; -1 if it is not kept */
    int read_fd; /* of who reads it */
    uint32_t depth;
    bool entered;
    bool linked; /* reached by a symbolic link */
    bool inside; /* below something that matches the root's glob */
    dev_t device;
    ino_t inode;     /* with follow only */
    size_t path_len; /* of all its files, up to their names; once entered */
    size_t name_len;
    char name[]; /* of a root's: what its paths begin with */
} wi_walk_folder;

typedef struct wi_walk_chunk {
    wi_walk_work work; /* first */
    atomic_int refs;
    wi_walk_folder *folder; /* NULL for roots and for errors of folders */
    const wi_walk_item *items;
    size_t n;
    size_t taken;
    const char *path;
    size_t path_len;
} wi_walk_chunk;

/* An entry that is to be handed on, while its folder is read. */
typedef struct wi_walk_found {
    wi_walk_folder *sub; /* a subfolder; only while it waits to be sorted */
    size_t name;         /* place in the reader's names */
    size_t error;        /* place in the reader's errors, plus 1 */
    uint32_t name_len;
    uint8_t kind;
    uint8_t type;
} wi_walk_found;

/* What a thread needs to read folders, kept from one to the next. */
typedef struct wi_walk_reader {
    struct wi_walk_reader *next;
    char *entries;
    wi_buf path;     /* the folder's, with room for a name */
    wi_buf absolute; /* the same from the file system's root; only if needed */
    wi_buf names;
    wi_walk_found *found;
    size_t n_found, found_cap;
    weir_error *errors;
    size_t n_errors, errors_cap;
    bool no_memory;
    /* the result */
    wi_walk_work *first, *last; /* to go onto the stack */
    size_t n_work;              /* how many */
    size_t n_folders;           /* of them */
    wi_walk_chunk *chunk;
    bool more; /* the folder is not yet read to its end */
} wi_walk_reader;

/* What was found at a root before it was known what is at one that was named earlier. */
typedef struct wi_walk_early {
    struct wi_walk_early *next;
    uint64_t root;
    wi_walk_chunk *chunk;
    wi_walk_work *first, *last;
    size_t n_work;
} wi_walk_early;

struct wi_walk {
    wi_walk_options options; /* without what was compiled or read */
    wi_ignore *ignore;
    wi_rules *globs; /* NULL if there are none */
    char *cwd;       /* ends with a slash */
    atomic_int held; /* descriptors kept */
    atomic_int waiting;
    atomic_bool stopped;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    wi_walk_work *stack;
    wi_walk_chunk *ready, *ready_last;
    wi_walk_reader *idle;
    size_t reading; /* threads that read a folder or look at a root */
    size_t max_fds;
    size_t next_root;
    bool asking_root;
    bool roots_over;
    uint64_t roots_asked, roots_seen; /* seen: they and all before them were looked at */
    wi_walk_early *early;             /* by their roots */
    uint64_t given, batches;
    weir_error failure; /* its status: why the walk ended too early */
};

/* ---- walk_folder.c ---- */

wi_walk_folder *wi_walk_folder_new(wi_walk *walk, wi_walk_folder *parent, wi_walk_root *root,
                                   const char *name, size_t len);
void wi_walk_folder_ref(wi_walk_folder *folder);
void wi_walk_folder_unref(wi_walk_folder *folder);

/* Drops a folder that was not entered, or is not to be read on. */
void wi_walk_folder_drop(wi_walk_folder *folder);

void wi_walk_fd_use(wi_walk_folder *folder);
void wi_walk_fd_unuse(wi_walk_folder *folder);

void wi_walk_root_unref(wi_walk_root *root);

/* Writes the path of the folder's files up to their names, and leaves room for one. */
bool wi_walk_folder_path(const wi_walk_folder *folder, wi_buf *path);

/* open and fstatat for a path of any length. */
int wi_walk_open_path(const char *path, int flags);
int wi_walk_stat_path(const char *path, int flags, struct stat *st);

/* ---- walk_found.c ---- */

wi_walk_reader *wi_walk_reader_new(void);
void wi_walk_reader_free(wi_walk_reader *reader);

void wi_walk_reader_reset(wi_walk_reader *reader);
void wi_walk_reader_add(wi_walk_reader *reader, const wi_walk_found *what, const char *name,
                        size_t len, const weir_error *error);

void wi_walk_reader_note(void *reader, const weir_error *fault);

/* A list of work that nobody will do. */
void wi_walk_work_drop(wi_walk_work *first);

/* Adds to what goes onto the stack. */
void wi_walk_reader_add_work(wi_walk_reader *reader, wi_walk_work *work);

/* Items from..to of what was found, whose paths begin with `path`; NULL: no memory. */
wi_walk_chunk *wi_walk_chunk_new(const wi_walk_reader *reader, wi_walk_folder *folder, size_t from,
                                 size_t to, const char *path, size_t path_len);
void wi_walk_chunk_unref(wi_walk_chunk *chunk);

/* ---- walk_read.c ---- */

/*
 * Reads a piece, or with `sorted` all, of a folder. WEIR_AGAIN if there is no descriptor left for
 * it and it may be tried later.
 */
weir_status wi_walk_read(wi_walk *walk, wi_walk_reader *reader, wi_walk_folder *folder,
                         bool may_wait, weir_error *err);

/* ---- walk_root.c ---- */

/* What a root is: the result is a chunk or a folder. */
weir_status wi_walk_look_at_root(wi_walk *walk, wi_walk_reader *reader, const char *path,
                                 bool is_default, weir_error *err);

/* The same of a root that is missing: a chunk that says why. */
weir_status wi_walk_miss_root(wi_walk *walk, wi_walk_reader *reader, const char *path,
                              const weir_error *why, weir_error *err);

#endif
