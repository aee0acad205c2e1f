/*
 * ignore.h: which files of a tree are to be passed over: .gitignore as gitignore(5) has it, and
 * .ignore and .rgignore, which ripgrep has besides.
 *
 * A wi_ignore is what holds for a whole walk. A wi_ignore_folder is a folder with lists of its own
 * and knows the next such folder above it; a folder without lists shares that of its parent, and
 * NULL is a folder with no lists above it either. Folders are never changed once they are made, are
 * reference counted and may be used by any number of threads.
 *
 * Of all lists, the first of this order with a pattern that matches decides: .rgignore, .ignore,
 * .gitignore, .git/info/exclude, the user's own excludes, the files named in the options. Among
 * lists of one name, that of the nearest folder decides; .gitignore is not looked for above the top
 * of a working tree.
 */
#ifndef WI_IGNORE_H
#define WI_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "rules.h"

typedef struct wi_ignore wi_ignore;
typedef struct wi_ignore_folder wi_ignore_folder;

/* As ripgrep's options, whose --no-ignore is the first five together. */
typedef struct wi_ignore_options {
    bool no_dot;              /* no .ignore and .rgignore */
    bool no_exclude;          /* no .git/info/exclude */
    bool no_global;           /* no core.excludesFile */
    bool no_parent;           /* no lists above the roots */
    bool no_vcs;              /* nothing of git's */
    bool no_require_git;      /* .gitignore outside of working trees, too */
    bool nocase;              /* --ignore-file-case-insensitive */
    const char *const *files; /* --ignore-file; the last counts most */
    size_t n_files;
} wi_ignore_options;

/* Called for each list that has something wrong in it, or cannot be read; the walk goes on. */
typedef struct wi_ignore_notes {
    void (*add)(void *arg, const weir_error *fault);
    void *arg;
} wi_ignore_notes;

/* A file named in the options that cannot be read is an error; nothing of options is kept. */
weir_status wi_ignore_new(const wi_ignore_options *options, const wi_ignore_notes *notes,
                          wi_ignore **out, weir_error *err);
void wi_ignore_free(wi_ignore *ignore); /* NULL is fine */

/* The folders above one, given by its absolute path without "." and "..". */
weir_status wi_ignore_above(const wi_ignore *ignore, const char *absolute,
                            const wi_ignore_notes *notes, wi_ignore_folder **out, weir_error *err);

/* What is looked for in a folder; a set of these says what it is known to have. */
enum {
    WI_IGNORE_RG = 1,
    WI_IGNORE_DOT = 2,
    WI_IGNORE_GIT = 4,
    WI_IGNORE_TOP = 8,
    WI_IGNORE_ALL = 15, /* not known: look */
};

/* 0 for nearly all names. */
unsigned wi_ignore_special_name(const char *name, size_t len);

static inline unsigned wi_ignore_special(const char *name, size_t len)
{
    return name[0] == '.' && len >= 4 ? wi_ignore_special_name(name, len) : 0;
}

/*
 * The folder that is open as fd, below `parent`. path, which ends with a slash or is empty, is what
 * the paths of its files begin with, and names it in messages. *out is a new reference.
 */
weir_status wi_ignore_enter(const wi_ignore *ignore, wi_ignore_folder *parent, int fd,
                            unsigned special, const char *path, const wi_ignore_notes *notes,
                            wi_ignore_folder **out, weir_error *err);

wi_ignore_folder *wi_ignore_folder_ref(wi_ignore_folder *folder); /* NULL is fine, here and below */
void wi_ignore_folder_unref(wi_ignore_folder *folder);

/* A path to be judged. Only what lies below a root is: what a user names is meant. */
typedef struct wi_ignore_path {
    const char *path; /* as wi_ignore_enter knows its begin */
    size_t len;
    size_t name_len;      /* of its last component */
    size_t view;          /* where that part begins which is relative to the working directory */
    const char *absolute; /* needed only if wi_ignore_needs_absolute says so */
    size_t absolute_len;
    bool is_folder;
} wi_ignore_path;

bool wi_ignore_needs_absolute(const wi_ignore_folder *folder);

wi_verdict wi_ignore_match(const wi_ignore *ignore, const wi_ignore_folder *folder,
                           const wi_ignore_path *path);

#endif
