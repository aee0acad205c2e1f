/*
 * executor_state.h: the inside of an executor: one front with the queue, its bounds, shutdown and
 * counts, written once (executor.c), and a backend per kind, which has the workers.
 *
 * A worker's life: wi_executor_hire (counts it), wi_executor_initialize, then again and again
 * wi_executor_take and work->run(work); at last wi_executor_retire.
 */
#ifndef WI_EXECUTOR_STATE_H
#define WI_EXECUTOR_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "clock.h"
#include "list.h"
#include "task.h"
#include "weir/executor.h"
#include "work.h"

typedef struct wi_executor_backend {
    const char *name;
    /* Makes ex->backend_state; starts no worker that is not needed yet. */
    weir_status (*open)(weir_executor *ex, weir_error *err);
    /* Nullable: whether a task can be run by this kind. */
    weir_status (*check)(weir_executor *ex, const weir_task *task, weir_error *err);
    /*
     * Work was queued: see to it that a worker takes it: wake an idle one, or start one if there
     * are fewer than max_workers. With no lock held; it may have been taken and be gone by now.
     * Fails only if there is no worker at all and none can be started; the front then takes the
     * work back and tells the submitter.
     */
    weir_status (*summon)(weir_executor *ex, wi_work *work, weir_error *err);
    /* Nullable: the calling worker is over with a work and will look for the next at once. Under
     * the lock. */
    void (*free_again)(weir_executor *ex);
    /* The executor is closing or broken (state and queue as they are): wake idle workers, so that
     * they see. */
    void (*closing)(weir_executor *ex);
    /*
     * All work is over, no more comes, all workers have retired, and none of the calls above is
     * under way or comes again: waits for the workers' very end and frees backend_state.
     */
    void (*close)(weir_executor *ex);
    bool in_process; /* work->run is called here, so work may be more than a task's future */
} wi_executor_backend;

struct weir_executor {
    const wi_executor_backend *backend;
    void *backend_state;
    weir_executor_options options; /* with defaults filled in; strings and initializer_arg as given,
                                      prefix copied */
    wi_clock *clock;               /* of loops that it makes */
    atomic_int refs;               /* the owner's, and one for each future that is not over */
    atomic_int calls;              /* of the backend that are under way */
    atomic_bool closed;            /* no more is taken; written under the lock */

    pthread_mutex_t lock; /* over all below */
    wi_list queue;
    bool joining;         /* someone is at backend->close */
    bool joined;          /* it has returned */
    weir_error broken;    /* why; status WEIR_OK: it is not */
    wi_list room_waiters; /* submitters, for a full queue */
    wi_list idle_waiters; /* of shutdown */
    wi_list running_list; /* works that run, for cancel_running */
    weir_executor_stats stats;
};

/* ---- for futures and maps ---- */

weir_executor *wi_executor_ref(weir_executor *ex);
void wi_executor_unref(weir_executor *ex);

/* Whether the caller is, or is called by, a task of this executor. */
bool wi_executor_inside(weir_executor *ex);

/* A task that is not queued yet: its future has two references, the executor's and the caller's. */
weir_status wi_executor_prepare(weir_executor *ex, const weir_task *task, weir_future **out,
                                weir_error *err);

/* Gives up both references to a future that could not be queued; the argument stays the caller's.
 */
void wi_executor_discard(weir_future *future);

/*
 * Queues work. wait: while the queue is full, unless the caller is one of its own tasks.
 * WEIR_AGAIN, WEIR_CLOSED, the error it is broken with, and the task's own end. On failure the work
 * was not taken. It must not go before this returns.
 */
weir_status wi_executor_enqueue(weir_executor *ex, wi_work *work, bool wait, weir_error *err);

/*
 * True: it was queued, is so no longer, counts as running, and is the caller's to run, or to end
 * and wi_executor_over.
 */
bool wi_executor_claim(weir_executor *ex, wi_work *work);

/* How the tasks of a work ended: of a single task's, one in all. */
typedef struct wi_tally {
    int64_t succeeded;
    int64_t failed;
    int64_t cancelled;
} wi_tally;

/*
 * A work that was taken or claimed is over. It counted as one submitted task until now; from now on
 * it counts as all those of the tally, which may be many or none.
 */
void wi_executor_over(weir_executor *ex, wi_work *work, wi_tally tally);

/* A work that runs goes on as another, and can be queued again. */
void wi_executor_replace(weir_executor *ex, wi_work *work, wi_work *by);

/* ---- for workers ---- */

void wi_executor_hire(weir_executor *ex);
void wi_executor_retire(weir_executor *ex);

/* Runs the initializer, if there is one, as a task without future. False: it failed, and the
 * executor is broken. */
bool wi_executor_initialize(weir_executor *ex);

/* The next work, which counts as running now; NULL: there is none now. Any worker. */
wi_work *wi_executor_take(weir_executor *ex);

/* The same for who holds the lock, which is kept. */
wi_work *wi_executor_take_locked(weir_executor *ex);

/* No more work is queued and none will come: a worker that finds nothing may go. */
bool wi_executor_is_closing(weir_executor *ex);

/* The initializer failed, or no worker can live: drops what is queued, refuses what comes. */
void wi_executor_break(weir_executor *ex, const weir_error *why);

/* Drops what is queued, for this reason; WEIR_CANCELLED counts as cancelled, others as failed. */
void wi_executor_drop_queued(weir_executor *ex, const weir_error *why);

/* Asks everything that runs to end. */
void wi_executor_cancel_running(weir_executor *ex);

/* For tests, before the first submit: loops of WEIR_FIBERS run on this clock. */
void wi_executor_use_clock(weir_executor *ex, wi_clock *clock);

extern const wi_executor_backend wi_executor_inline;
extern const wi_executor_backend wi_executor_threads;
extern const wi_executor_backend wi_executor_fibers;
extern const wi_executor_backend wi_executor_processes;

#endif
