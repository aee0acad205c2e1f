/*
 * executor_state.h: the inside of an executor: one front with the queue, its bounds, shutdown and
 * counts, written once (executor.c), and a backend per kind, which has the workers.
 *
 * A worker's life: wi_executor_hire (counts it), initializer, then again and again
 * wi_executor_take, work->run(work), wi_executor_over; at last wi_executor_retire.
 */
#ifndef WI_EXECUTOR_STATE_H
#define WI_EXECUTOR_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "list.h"
#include "task.h"
#include "weir/executor.h"
#include "work.h"

typedef struct wi_executor_backend {
    const char *name;
    /* Makes ex->backend_state; starts no worker that is not needed yet. */
    weir_status (*open)(weir_executor *ex, weir_error *err);
    /*
     * Work was queued: see to it that a worker takes it: wake an idle one, or start one if there
     * are fewer than max_workers. With no lock held. Fails only if there is no worker at all and
     * none can be started; the front then takes the work back and tells the submitter.
     */
    weir_status (*summon)(weir_executor *ex, weir_error *err);
    /* The executor is closing (state and queue as they are): wake idle workers, so that they see.
     */
    void (*closing)(weir_executor *ex);
    /* All work is over and no more comes: waits for the workers' end and frees backend_state. */
    void (*close)(weir_executor *ex);
    bool in_process; /* work->run is called here, so work may be more than a task's future */
} wi_executor_backend;

struct weir_executor {
    const wi_executor_backend *backend;
    void *backend_state;
    weir_executor_options options; /* with defaults filled in; strings and initializer_arg as given,
                                      prefix copied */
    atomic_int refs;               /* the owner's, and one for each future that is not over */

    pthread_mutex_t lock; /* over all below */
    wi_list queue;
    bool closed; /* no more is taken from outside */
    bool joined;
    weir_error *broken;   /* why; NULL: it is not */
    wi_list room_waiters; /* submitters, for a full queue */
    wi_list idle_waiters; /* of shutdown */
    wi_list running_list; /* futures that run, for cancel_running */
    weir_executor_stats stats;
};

/* Queues work. wait: while the queue is full, unless the caller is one of its own tasks.
 * WEIR_AGAIN, WEIR_CLOSED, WEIR_BROKEN and the task's own end. On failure the work was not taken.
 */
weir_status wi_executor_enqueue(weir_executor *ex, wi_work *work, bool wait, weir_error *err);

/* The next work, which counts as running now; NULL: there is none now. Any worker. */
wi_work *wi_executor_take(weir_executor *ex);

/* True and out of the queue: it was pending and is the caller's to run (and to wi_executor_over).
 */
bool wi_executor_claim(weir_executor *ex, wi_work *work);

/* A work that was taken is over. */
void wi_executor_over(weir_executor *ex);

/* No more work is queued and none will come: a worker that finds nothing may go. */
bool wi_executor_is_closing(weir_executor *ex);

/* The initializer failed, or no worker can live: drops what is queued, refuses what comes. */
void wi_executor_break(weir_executor *ex, const weir_error *why);

extern const wi_executor_backend wi_executor_inline;
extern const wi_executor_backend wi_executor_threads;
extern const wi_executor_backend wi_executor_fibers;
extern const wi_executor_backend wi_executor_processes;

#endif
