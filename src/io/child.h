/*
 * child.h: a command on a loop: fed, listened to, ended when it has to be, and reaped always.
 *
 * It leads a process group of its own. It is over when it has ended and its output has too. Where
 * processes that it left behind in its group hold the output open, they are given `grace` to close
 * it, and are killed then; so they are when the command had to be ended. Who left the group is left
 * alone. The command itself is reaped last, so that its group's number means no other.
 *
 * It is started by any thread, since that blocks for a moment, and then attended to by a loop,
 * whose thread blocks SIGPIPE, as Weir's threads do.
 */
#ifndef WI_CHILD_H
#define WI_CHILD_H

#include "buf.h"
#include "guard.h"
#include "loop.h"
#include "spawned.h"

typedef struct wi_child wi_child;

typedef struct wi_child_options {
    wi_spawn_options spawn; /* without descriptors */
    const char *input;      /* borrowed until done */
    size_t input_len;
    size_t max_output; /* of each of out and errors */
    int64_t grace;     /* ns; negative: none */
    /* So many bytes came; false: no more is read, and the command stands still once its pipes are
     * full, until wi_child_resume, which asks again. NULL: always. */
    bool (*may_grow)(wi_child *child, size_t bytes);
    wi_guard *guard; /* ends it should the program be killed; NULL: nobody does */
} wi_child_options;

typedef struct wi_child_pipe {
    wi_watch watch;
    wi_child *child;
    int fd; /* -1: closed */
    wi_buf bytes;
} wi_child_pipe;

/* Embedded; filled by wi_child_start. */
struct wi_child {
    wi_loop *loop;                 /* NULL: none attends to it */
    void (*done)(wi_child *child); /* once; the loop knows nothing of the child any more */
    bool (*may_grow)(wi_child *child, size_t bytes);
    size_t owed; /* read, and not yet allowed: reading pauses; 0: it does not */
    wi_guard *guard;
    int place; /* there */
    wi_spawned process;
    wi_watch watch; /* of its end */
    wi_timer timer; /* grace is over */
    const char *input;
    size_t input_len;
    int64_t grace;
    bool ended;  /* but not reaped */
    bool lost;   /* somebody else has reaped it */
    bool ending; /* it was told to */
    bool killed; /* and its group was killed */
    wi_child_pipe in;
    wi_child_pipe out;
    wi_child_pipe errors;
    /* for done */
    weir_status status;    /* WEIR_OK, or why it was ended: WEIR_TOOLARGE, WEIR_NOMEM, WEIR_IO,
                              WEIR_CANCELLED */
    const char *too_large; /* the stream that was */
    wi_exit how;
};

/*
 * Starts it. On failure, which is wi_spawn's or WEIR_IO for want of descriptors, there is nothing
 * to undo. Else either wi_child_attend or wi_child_abandon comes next. Any thread.
 */
weir_status wi_child_start(wi_child *child, const wi_child_options *options, weir_error *err);

/*
 * Has done called when it is over. The buffers of out and errors are the caller's to wi_buf_fini
 * then. WEIR_NOMEM: it was abandoned. On the loop's thread, as everything that follows.
 */
weir_status wi_child_attend(wi_child *child, wi_loop *loop, void (*done)(wi_child *child),
                            weir_error *err);

/* Kills it with its group and reaps it, here and now. Nobody must have attended to it. */
void wi_child_abandon(wi_child *child);

/* After may_grow said no. */
void wi_child_resume(wi_child *child);

/* Ends it and its group: TERM, after grace KILL; status says WEIR_CANCELLED. May call done. */
void wi_child_cancel(wi_child *child);

#endif
