/*
 * task.h: a call of a task function: who may ask it to end, and when it has to.
 *
 * Tasks of one stack are nested: an inline executor, or a worker that helps itself (future.h), runs
 * one on top of another. The innermost is the current one. A thread outside all tasks has a root
 * task, which nobody cancels but which may have a deadline.
 *
 * A wait is written so:
 *
 *     wi_task_waiting waiting;
 *     wi_task_wait_begin(&waiting);
 *     while (!condition && !(status = wi_task_wait(&waiting, deadline, err)))
 *         continue;
 *     wi_task_wait_end(&waiting);
 */
#ifndef WI_TASK_H
#define WI_TASK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "park.h"
#include "weir/executor.h"

typedef struct wi_task wi_task;

struct wi_task {
    wi_task *outer;          /* on the same stack; NULL: this is a root */
    wi_task *inner;          /* on the same stack, above it; under the lock of awaits.c */
    const char *name;        /* nullable */
    weir_executor *executor; /* that runs it; NULL: none */
    weir_future *future;     /* that it completes; NULL: none. Borrowed */
    weir_future *awaits;     /* the one future it waits for now; under the lock of awaits.c */
    int64_t limit;           /* the deadline it was given */
    int64_t deadline;        /* no later than that */
    atomic_bool asked;       /* to end; written under the lock */
    pthread_mutex_t lock;    /* over the one below */
    wi_parker *parker;       /* where it waits; NULL: it does not */
};

/* Makes `task` the current one; timeout in ns, 0: none. It is zeroed first; set its other fields
 * after. */
void wi_task_enter(wi_task *task, const char *name, int64_t timeout);

/* The current task is over; the one below is current again. */
void wi_task_leave(wi_task *task);

/* Never NULL. */
wi_task *wi_task_current(void);

/* Outside all tasks, where nobody can be asked to end. */
static inline bool wi_task_is_root(const wi_task *task)
{
    return !task->outer;
}

/* Asks a task to end and wakes it. Any thread; the caller keeps it from leaving meanwhile. */
void wi_task_cancel(wi_task *task);

/* WEIR_OK, or WEIR_CANCELLED or WEIR_TIMEDOUT with a text if the current task is to end. */
weir_status wi_task_check(weir_error *err);

/* ---- a wait of the current task ---- */

typedef struct wi_task_waiting {
    wi_task *task;
    wi_parker place;
    wi_parker *parker; /* what to register with whoever will wake it */
} wi_task_waiting;

void wi_task_wait_begin(wi_task_waiting *waiting);

/*
 * Parks until unparked, cancelled, or the earlier of the task's deadline and `until`. WEIR_OK: look
 * at the condition, and at the clock if `until` was given. Else the task is to end.
 */
weir_status wi_task_wait(wi_task_waiting *waiting, int64_t until, weir_error *err);

/* The same, deaf to cancellation and deadline: for what has to be waited for in any case. */
void wi_task_wait_deaf(wi_task_waiting *waiting);

void wi_task_wait_end(wi_task_waiting *waiting);

/* How a name stands in a message: never NULL. */
const char *wi_task_name(const wi_task *task);

/* wi_park_now() + timeout, or WI_FOREVER for a negative one; never overflows. */
int64_t wi_deadline_in(int64_t timeout_ns);

#endif
