/*
 * spawned.h: the one way Weir starts a process: posix_spawn, never a fork of a process with
 * threads.
 *
 * The child has the descriptors it is given and no others, every signal at its default and none
 * blocked, whatever the program does with signals itself. It is known by its pidfd, which a loop
 * can watch and which never names another process.
 */
#ifndef WI_SPAWNED_H
#define WI_SPAWNED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

enum {
    WI_SPAWN_NULL = -1,    /* in place of a descriptor: /dev/null */
    WI_SPAWN_INHERIT = -2, /* what the program itself has under this number, if it is
                                    there and not close-on-exec; else /dev/null */
    WI_SPAWN_FDS_MAX = 16,
};

typedef struct wi_spawn_options {
    const char *path;        /* the file; NULL: argv[0], looked up in PATH */
    const char *const *argv; /* ends with NULL */
    const char *const *env;  /* all of it, "NAME=value", ends with NULL; NULL: the program's */
    const char *cwd;         /* nullable */
    const int *fds;          /* fds[i] becomes i; all else is closed. Below 3 and not given: null */
    size_t n_fds;            /* at most WI_SPAWN_FDS_MAX */
    bool own_group;          /* it leads a process group of its own */
} wi_spawn_options;

typedef struct wi_spawned {
    pid_t pid;
    int pidfd; /* close-on-exec; readable when the process has ended */
} wi_spawned;

/*
 * Starts a process. WEIR_NOTFOUND, WEIR_DENIED and others name the program, or cwd if that is at
 * fault; WEIR_NOMEM and WEIR_IO for want of memory, processes or descriptors. Blocks until the
 * child has begun to execute the file.
 */
weir_status wi_spawn(const wi_spawn_options *options, wi_spawned *out, weir_error *err);

/* How a process ended. */
typedef struct wi_exit {
    int code;   /* -1: by a signal, or not known */
    int signal; /* 0: by none */
} wi_exit;

/*
 * Takes the process's end from the system and closes its pidfd; with `wait` after waiting for it.
 * False: it has not ended. If the program itself has taken the end away (it ignores SIGCHLD or
 * waits for all children), code is -1 and signal 0.
 */
bool wi_spawn_reap(wi_spawned *spawned, bool wait, wi_exit *how);

/* Has somebody else taken its end from the system? Of a process that has ended. */
bool wi_spawn_is_lost(const wi_spawned *spawned);

/* Sends a signal, to its group as well if it leads one; what has ended does not mind. */
void wi_spawn_kill(const wi_spawned *spawned, int signal, bool group);

/* "was killed by SIGSEGV (Segmentation fault)", "exited with code 3", "ended". Cut to size. */
void wi_exit_text(wi_exit how, char *text, size_t size);

#endif
