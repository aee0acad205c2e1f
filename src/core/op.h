/*
 * op.h: a wait that takes place on a loop: begun there, ended there exactly once.
 *
 * A fiber's operations run on its own loop, a thread's on the service loop, one thread that the
 * process starts when it is first needed. What waits (an HTTP exchange, a child, a descriptor)
 * embeds a wi_op on the waiter's stack: it lives until wi_op_run returns, which is never before it
 * has ended.
 */
#ifndef WI_OP_H
#define WI_OP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "error.h"
#include "loop.h"
#include "task.h"

typedef struct wi_op wi_op;

struct wi_op {
    /* On the loop's thread and its large stack. begin may end the operation at once. */
    void (*begin)(wi_op *op);
    /* The waiter is to end: lead to wi_op_end soon. Called at most once, never after the end. */
    void (*cancel)(wi_op *op);
    wi_loop *loop; /* set before begin */
    /* Set by the owner: begin, and cancel at once, even if the task is to end already: there is
     * something to bring to its end. Everything else is op.c's to fill in. */
    bool begins_anyway;

    /* op.c's own */
    wi_parker *waiter;
    wi_post begin_post;
    wi_post cancel_post;
    atomic_bool ended;
    atomic_bool cancelling;
};

/*
 * Begins the operation on the loop and waits until it has ended. WEIR_OK: it ended by itself; how,
 * the owner knows. WEIR_CANCELLED, WEIR_TIMEDOUT: the task is to end, and the operation has ended
 * too (by itself at the last moment or by being cancelled). WEIR_NOMEM, WEIR_IO: there is no
 * service loop; it never began.
 */
weir_status wi_op_run(wi_op *op, void (*begin)(wi_op *op), void (*cancel)(wi_op *op),
                      weir_error *err);

/*
 * The service loop ends when the process does, after what was registered with atexit later. Who has
 * loaded a library that its loop locals need until then calls this afterwards.
 */
void wi_op_stop_first_at_exit(void);

/* On the loop's thread, once. The operation may be gone when this returns. */
void wi_op_end(wi_op *op);

#endif
