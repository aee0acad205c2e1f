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

#include "list.h"
#include "task.h"
#include "weir/executor.h"
#include "weir/future.h"
#include "work.h"

struct weir_future {
    wi_work work; /* of a submitted task: what its executor queues */
    atomic_int refs;
    weir_executor *executor; /* that it was submitted to, referenced; NULL: a future of its own */
    weir_task task;          /* of a submitted task: what to do */
    void (*release)(void *result);

    pthread_mutex_t lock;             /* over all below */
    _Atomic(weir_future_state) state; /* written under the lock, read anywhere */
    bool taken;                       /* the result was moved out */
    void *result;
    weir_status status; /* WEIR_OK, or how it failed */
    weir_error *error;  /* its text; NULL if there was no memory for it, or no error */
    wi_task *running;   /* the call, while it runs in this process */
    void (*cancel_remote)(weir_future *future); /* asks a call that runs elsewhere; nullable */
    void *remote;                               /* of whoever runs it elsewhere */
    wi_list waiters;
    wi_list callbacks;
};

/* A pending future for a submitted task, with one reference for the executor and one for the
 * caller. work.run and work.drop are set. */
weir_status wi_future_new_task(weir_executor *executor, const weir_task *task, weir_future **out,
                               weir_error *err);

/* pending → running; false: it is cancelled. */
bool wi_future_begin(weir_future *future);

/*
 * Ends a running (or pending) future: finished with the result if error->status is WEIR_OK;
 * cancelled if it is WEIR_CANCELLED; finished with the error otherwise. False: it was over; nothing
 * was taken.
 */
bool wi_future_end(weir_future *future, void *result, const weir_error *error);

/* Runs fn(arg) as a task of the executor, with all that belongs to it (name, timeout,
 * cancellation). */
void *wi_task_call(const weir_task *task, weir_executor *executor, weir_future *future,
                   weir_error *error);

#endif
