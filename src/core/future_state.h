/*
 * future_state.h: the inside of a future, for those who complete it. Its invariant: state only goes
 * forward, and whoever moves it to its end (under the lock) also runs the callbacks and wakes the
 * waiters, exactly once.
 */
#ifndef WI_FUTURE_STATE_H
#define WI_FUTURE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "executor_state.h"
#include "list.h"
#include "task.h"
#include "weir/executor.h"
#include "weir/future.h"
#include "work.h"

/* Somebody who waits for one future: called under the future's lock when it is over, and out of
 * the list then. It may unpark, and takes no lock that is held over a call of this file. */
typedef struct wi_future_waiter wi_future_waiter;

struct wi_future_waiter {
    wi_list node;
    void (*over)(wi_future_waiter *waiter, weir_future *future);
};

struct weir_future {
    wi_work work; /* of a submitted task: what its executor queues */
    atomic_int refs;
    _Atomic(weir_future_state) state; /* written under the lock, read anywhere */
    weir_executor *executor; /* that it was submitted to, referenced; NULL: a future of its own */
    weir_task task;          /* of a submitted task: what to do */
    void (*release)(void *result);

    pthread_mutex_t lock; /* over all below */
    bool taken;           /* the result was moved out */
    bool asked;           /* to end, while it ran */
    bool decided;         /* how it will end: too late to ask */
    weir_status status;   /* how it ended; set before the state, and not changed after */
    int sys_errno;
    char *error_text; /* NULL: there was no memory for it, or no error */
    void *result;
    wi_task *running; /* the call, while it runs in this process */
    /* Asks a call that runs elsewhere to end; under the lock, so it only passes the word on. Who
     * sets it (under the lock) asks at once if `asked` is set. Nullable. */
    void (*cancel_remote)(weir_future *future);
    void *remote; /* of whoever runs it elsewhere */
    wi_list waiters;
    wi_list callbacks;
};

/* A pending future for a submitted task, with one reference for the executor and one for the
 * caller. work.run and work.drop are set; each ends the future, and drops the executor's. */
weir_status wi_future_new_task(weir_executor *executor, const weir_task *task, weir_future **out,
                               weir_error *err);

static inline weir_future *wi_future_of_work(wi_work *work)
{
    return wi_container_of(work, weir_future, work);
}

/* pending → running; false: it is cancelled. */
bool wi_future_begin(weir_future *future);

/*
 * The call has returned with this status: says how the future is going to end, for
 * wi_executor_over, which comes before anybody can learn of it; cancelling comes too late from here
 * on, and wi_future_end must follow.
 */
wi_tally wi_future_decide(weir_future *future, weir_status status);

/*
 * Ends a running (or pending) future: finished with the result if error->status is WEIR_OK;
 * cancelled if it is WEIR_CANCELLED and the future was pending or was asked to end; finished with
 * the error otherwise. False: it was over; nothing was taken.
 */
bool wi_future_end(weir_future *future, void *result, const weir_error *error);

/* Frees the argument of a submitted task, if that is the executor's to do. Once, after it ran or
 * was cancelled. */
void wi_future_release_argument(weir_future *future);

/* Runs fn(arg) as a task of the executor, with all that belongs to it (name, timeout,
 * cancellation). *error is reset first. future nullable. */
void *wi_task_call(const weir_task *task, weir_executor *executor, weir_future *future,
                   weir_error *error);

/* ---- for those who wait ---- */

/* True: the waiter will be told. False: the future is over, and it won't. */
bool wi_future_watch(weir_future *future, wi_future_waiter *waiter);

/* The waiter is not told any more, and can go. */
void wi_future_unwatch(weir_future *future, wi_future_waiter *waiter);

static inline bool wi_future_is_over(const weir_future *future)
{
    return atomic_load_explicit(&future->state, memory_order_acquire) >= WEIR_FUTURE_CANCELLED;
}

#endif
