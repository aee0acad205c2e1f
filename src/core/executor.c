/*
 * executor.c: see executor_state.h. Its invariants: each work that was taken in is either in the
 * queue (pending) or among what runs, or over; the counts say so at every moment, because all of it
 * changes under one lock, which is never held while anything is called that may wait or call back.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "executor_state.h"
#include "future_state.h"
#include "option_size.h"
#include "thread.h"

enum {
    QUEUE_LIMIT = 10000,
    THREADS_PER_PROCESSOR = 4,
};

typedef struct waiter {
    wi_list node; /* in room_waiters or idle_waiters; in none once it was woken */
    wi_parker *parker;
} waiter;

/* ---- options ---- */

static const wi_executor_backend *const backends[] = {
    [WEIR_INLINE] = &wi_executor_inline,
    [WEIR_THREADS] = &wi_executor_threads,
    [WEIR_FIBERS] = &wi_executor_fibers,
    [WEIR_PROCESSES] = &wi_executor_processes,
};

enum { KINDS = sizeof backends / sizeof *backends };

const char *weir_executor_kind_name(weir_executor_kind kind)
{
    return (unsigned)kind < KINDS ? backends[kind]->name : "unknown";
}

size_t weir_type_measure_string(const void *string)
{
    return strlen(string) + 1;
}

static weir_status check_options(const weir_executor_options *options, weir_error *err)
{
    if ((unsigned)options->kind >= KINDS)
        return wi_fail(err, WEIR_INVALID, "there is no executor of kind %d", (int)options->kind);
    if (options->max_workers < 0)
        return wi_fail(err, WEIR_INVALID, "max_workers is %d, but cannot be negative",
                       options->max_workers);
    if (options->loops < 0)
        return wi_fail(err, WEIR_INVALID, "loops is %d, but cannot be negative", options->loops);
    if (options->loops && options->kind != WEIR_FIBERS)
        return wi_fail(err, WEIR_INVALID, "loops is set, but only fibers run on loops");
    if (options->max_tasks_per_child < 0)
        return wi_fail(err, WEIR_INVALID, "max_tasks_per_child is %lld, but cannot be negative",
                       (long long)options->max_tasks_per_child);
    if (options->max_tasks_per_child && options->kind != WEIR_PROCESSES)
        return wi_fail(err, WEIR_INVALID,
                       "max_tasks_per_child is set, but only processes have children");
    if (options->initializer_arg && !options->initializer)
        return wi_fail(err, WEIR_INVALID, "initializer_arg is set without an initializer");
    return WEIR_OK;
}

static weir_status take_options(weir_executor *ex, const weir_executor_options *given,
                                weir_error *err)
{
    weir_executor_options *options = &ex->options;
    *options = (weir_executor_options){.size = sizeof *options, .kind = WEIR_THREADS};
    weir_status status = WEIR_OK;
    if (given)
        status = wi_options_take(options, sizeof *options, given, "weir_executor_options", err);
    if (!status)
        status = check_options(options, err);
    if (status)
        return status;
    if (!options->queue_limit)
        options->queue_limit = QUEUE_LIMIT;
    if (!options->max_workers && options->kind == WEIR_THREADS)
        options->max_workers = THREADS_PER_PROCESSOR * wi_processors();
    if (!options->max_workers && options->kind == WEIR_PROCESSES)
        options->max_workers = wi_processors();
    if (!options->loops && options->kind == WEIR_FIBERS)
        options->loops = wi_processors();
    const char *prefix = options->thread_name_prefix;
    options->thread_name_prefix = strdup(prefix ? prefix : "weir");
    return options->thread_name_prefix ? WEIR_OK : wi_fail_nomem(err);
}

/* ---- life ---- */

weir_status weir_executor_new(const weir_executor_options *options, weir_executor **out,
                              weir_error *err)
{
    weir_executor *ex = calloc(1, sizeof *ex);
    if (!ex)
        return wi_fail_nomem(err);
    weir_status status = take_options(ex, options, err);
    if (status) {
        free(ex);
        return status;
    }
    ex->backend = backends[ex->options.kind];
    ex->clock = wi_clock_real();
    atomic_init(&ex->refs, 1);
    pthread_mutex_init(&ex->lock, NULL);
    wi_list_init(&ex->queue);
    wi_list_init(&ex->room_waiters);
    wi_list_init(&ex->idle_waiters);
    wi_list_init(&ex->running_list);
    status = ex->backend->open(ex, err);
    if (status)
        wi_executor_unref(ex);
    else
        *out = ex;
    return status;
}

weir_executor *wi_executor_ref(weir_executor *ex)
{
    atomic_fetch_add(&ex->refs, 1);
    return ex;
}

void wi_executor_unref(weir_executor *ex)
{
    if (!ex || atomic_fetch_sub(&ex->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&ex->lock);
    free((char *)ex->options.thread_name_prefix);
    free(ex);
}

void wi_executor_use_clock(weir_executor *ex, wi_clock *clock)
{
    ex->clock = clock;
}

bool wi_executor_inside(weir_executor *ex)
{
    for (wi_task *task = wi_task_current(); task; task = wi_task_below(task))
        if (task->executor == ex)
            return true;
    return false;
}

/* ---- waiting for room, and for the end; all under the lock ---- */

static void wake_first(wi_list *waiters)
{
    wi_list *node = wi_list_shift(waiters);
    if (node)
        wi_unpark(wi_container_of(node, waiter, node)->parker);
}

static void wake_all(wi_list *waiters)
{
    while (!wi_list_empty(waiters))
        wake_first(waiters);
}

static bool is_full(weir_executor *ex)
{
    return ex->stats.pending >= (int64_t)ex->options.queue_limit;
}

/*
 * A long queue lets submitters in again only when it has a little more room than for one, so that
 * they don't have to be woken for each task.
 */
static void made_room(weir_executor *ex)
{
    int64_t limit = (int64_t)ex->options.queue_limit;
    if (ex->stats.pending < limit && ex->stats.pending <= limit - limit / 16)
        wake_first(&ex->room_waiters);
}

static bool is_refusing(weir_executor *ex)
{
    return atomic_load(&ex->closed) || ex->broken.status;
}

static bool has_settled(weir_executor *ex)
{
    return ex->stats.pending + ex->stats.running + ex->stats.workers == 0 &&
           atomic_load(&ex->calls) == 0;
}

static void look_if_settled(weir_executor *ex)
{
    if (atomic_load(&ex->closed) && has_settled(ex))
        wake_all(&ex->idle_waiters);
}

/* Waits until the queue has room or takes no more. Called and returns with the lock held. */
static weir_status wait_for_room(weir_executor *ex, weir_error *err)
{
    weir_status status = WEIR_OK;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    waiter me = {.parker = waiting.parker};
    wi_list_init(&me.node);
    bool woken = false;
    while (!status && is_full(ex) && !is_refusing(ex)) {
        if (wi_list_empty(&me.node) && woken) /* somebody was faster: still the next */
            wi_list_prepend(&ex->room_waiters, &me.node);
        else if (wi_list_empty(&me.node))
            wi_list_append(&ex->room_waiters, &me.node);
        pthread_mutex_unlock(&ex->lock);
        status = wi_task_wait(&waiting, WI_FOREVER, err);
        pthread_mutex_lock(&ex->lock);
        woken = wi_list_empty(&me.node);
    }
    wi_list_remove(&me.node);
    if (status)
        made_room(ex); /* the wake may have been meant for somebody who can use it */
    wi_task_wait_end(&waiting);
    return status;
}

/* ---- calls of the backend, which nobody may close meanwhile ---- */

static void call_begin(weir_executor *ex)
{
    atomic_fetch_add(&ex->calls, 1);
}

static void call_end(weir_executor *ex)
{
    if (atomic_fetch_sub(&ex->calls, 1) > 1 || !atomic_load(&ex->closed))
        return;
    pthread_mutex_lock(&ex->lock);
    look_if_settled(ex);
    pthread_mutex_unlock(&ex->lock);
}

/* ---- the queue ---- */

static weir_status say_why_not(weir_executor *ex, weir_error *err)
{
    if (ex->broken.status && err)
        *err = ex->broken;
    return ex->broken.status ? ex->broken.status
                             : wi_fail(err, WEIR_CLOSED, "the executor is shut down");
}

/* Into the queue. Under the lock, which it may give away for a while. */
static weir_status admit(weir_executor *ex, wi_work *work, bool wait, weir_error *err)
{
    if (is_full(ex) && !is_refusing(ex) && !wi_executor_inside(ex)) {
        if (!wait)
            return wi_fail(err, WEIR_AGAIN, "the executor's queue is full (%zu tasks)",
                           ex->options.queue_limit);
        weir_status status = wait_for_room(ex, err);
        if (status)
            return status;
    }
    if (is_refusing(ex))
        return say_why_not(ex, err);
    wi_list_append(&ex->queue, &work->node);
    work->queued = true;
    work->taken = false;
    work->lingers = false;
    ex->stats.submitted++;
    ex->stats.pending++;
    call_begin(ex);
    return WEIR_OK;
}

/* Out of the queue, if it is still there. Under the lock. */
static bool remove_queued(weir_executor *ex, wi_work *work)
{
    if (!work->queued)
        return false;
    work->queued = false;
    wi_list_remove(&work->node);
    ex->stats.pending--;
    made_room(ex);
    return true;
}

weir_status wi_executor_enqueue(weir_executor *ex, wi_work *work, bool wait, weir_error *err)
{
    pthread_mutex_lock(&ex->lock);
    weir_status status = admit(ex, work, wait, err);
    pthread_mutex_unlock(&ex->lock);
    if (status)
        return status;
    weir_error why;
    status = ex->backend->summon(ex, work, &why);
    if (status) {
        pthread_mutex_lock(&ex->lock);
        if (remove_queued(ex, work))
            ex->stats.submitted--;
        else
            status = WEIR_OK; /* it was taken all the same */
        pthread_mutex_unlock(&ex->lock);
    }
    call_end(ex);
    if (status && err)
        *err = why;
    return status;
}

static void start_running(weir_executor *ex, wi_work *work)
{
    remove_queued(ex, work);
    wi_list_append(&ex->running_list, &work->node);
    ex->stats.running++;
}

wi_work *wi_executor_take_locked(weir_executor *ex)
{
    if (wi_list_empty(&ex->queue))
        return NULL;
    wi_work *work = wi_container_of(ex->queue.next, wi_work, node);
    start_running(ex, work);
    work->taken = true;
    return work;
}

wi_work *wi_executor_take(weir_executor *ex)
{
    pthread_mutex_lock(&ex->lock);
    wi_work *work = wi_executor_take_locked(ex);
    pthread_mutex_unlock(&ex->lock);
    return work;
}

bool wi_executor_claim(weir_executor *ex, wi_work *work)
{
    pthread_mutex_lock(&ex->lock);
    bool mine = work->queued;
    if (mine)
        start_running(ex, work);
    pthread_mutex_unlock(&ex->lock);
    return mine;
}

void wi_executor_replace(weir_executor *ex, wi_work *work, wi_work *by)
{
    pthread_mutex_lock(&ex->lock);
    wi_list_prepend(&work->node, &by->node);
    wi_list_remove(&work->node);
    pthread_mutex_unlock(&ex->lock);
}

void wi_executor_over(weir_executor *ex, wi_work *work, wi_tally tally)
{
    pthread_mutex_lock(&ex->lock);
    wi_list_remove(&work->node);
    ex->stats.running--;
    ex->stats.submitted += tally.succeeded + tally.failed + tally.cancelled - 1;
    ex->stats.succeeded += tally.succeeded;
    ex->stats.failed += tally.failed;
    ex->stats.cancelled += tally.cancelled;
    if (work->taken && !work->lingers && ex->backend->free_again)
        ex->backend->free_again(ex);
    look_if_settled(ex);
    pthread_mutex_unlock(&ex->lock);
}

/* What is dropped is counted before anybody can learn of it; shutdown waits until all have. */
void wi_executor_drop_queued(weir_executor *ex, const weir_error *why)
{
    wi_list dropped;
    wi_list_init(&dropped);
    pthread_mutex_lock(&ex->lock);
    wi_list_splice(&dropped, &ex->queue);
    for (wi_list *node = dropped.next; node != &dropped; node = node->next)
        wi_container_of(node, wi_work, node)->queued = false;
    *(why->status == WEIR_CANCELLED ? &ex->stats.cancelled : &ex->stats.failed) +=
        ex->stats.pending;
    ex->stats.pending = 0;
    wake_all(&ex->room_waiters);
    call_begin(ex);
    pthread_mutex_unlock(&ex->lock);
    wi_list *node;
    while ((node = wi_list_shift(&dropped))) {
        wi_work *work = wi_container_of(node, wi_work, node);
        work->drop(work, why);
    }
    call_end(ex);
}

/* ---- workers ---- */

void wi_executor_hire(weir_executor *ex)
{
    pthread_mutex_lock(&ex->lock);
    if (++ex->stats.workers > ex->stats.peak_workers)
        ex->stats.peak_workers = ex->stats.workers;
    pthread_mutex_unlock(&ex->lock);
}

void wi_executor_retire(weir_executor *ex)
{
    pthread_mutex_lock(&ex->lock);
    ex->stats.workers--;
    look_if_settled(ex);
    pthread_mutex_unlock(&ex->lock);
}

bool wi_executor_initialize(weir_executor *ex)
{
    if (!ex->options.initializer)
        return true;
    weir_error err = {.status = WEIR_OK};
    wi_task task;
    wi_task_enter(&task, "initializer", 0);
    task.executor = ex;
    weir_status status = ex->options.initializer(ex->options.initializer_arg, &err);
    wi_task_leave(&task);
    if (!status)
        return true;
    if (!err.status)
        wi_fail(&err, status, "the executor's initializer failed: %s", weir_status_text(status));
    err.status = status;
    wi_error_tidy(&err);
    wi_executor_break(ex, &err);
    return false;
}

bool wi_executor_is_closing(weir_executor *ex)
{
    pthread_mutex_lock(&ex->lock);
    bool closing = is_refusing(ex) && wi_list_empty(&ex->queue);
    pthread_mutex_unlock(&ex->lock);
    return closing;
}

void wi_executor_break(weir_executor *ex, const weir_error *why)
{
    pthread_mutex_lock(&ex->lock);
    if (!ex->broken.status)
        ex->broken = *why;
    if (!ex->broken.status)
        wi_fail(&ex->broken, WEIR_BROKEN, "the executor is broken");
    call_begin(ex);
    pthread_mutex_unlock(&ex->lock);
    wi_executor_drop_queued(ex, &ex->broken);
    ex->backend->closing(ex);
    call_end(ex);
}

/* ---- shutdown ---- */

/* Each that runs now is asked once; those that end meanwhile take themselves off either list. */
void wi_executor_cancel_running(weir_executor *ex)
{
    wi_list left;
    wi_list_init(&left);
    pthread_mutex_lock(&ex->lock);
    wi_list_splice(&left, &ex->running_list);
    wi_list *node;
    while ((node = wi_list_shift(&left))) {
        wi_work *work = wi_container_of(node, wi_work, node);
        wi_list_append(&ex->running_list, node);
        void (*cancel)(wi_work * work) = work->cancel;
        if (!cancel)
            continue;
        work->hold(work);
        pthread_mutex_unlock(&ex->lock);
        cancel(work); /* a map's was cancelled by hold, and may be gone */
        pthread_mutex_lock(&ex->lock);
    }
    pthread_mutex_unlock(&ex->lock);
}

/* The last of the workers has retired: whoever sees it first lets the backend end. Under the lock.
 */
static void join(weir_executor *ex)
{
    ex->joining = true;
    pthread_mutex_unlock(&ex->lock);
    ex->backend->close(ex);
    pthread_mutex_lock(&ex->lock);
    ex->joined = true;
    wake_all(&ex->idle_waiters);
}

static weir_status say_what_runs(weir_executor *ex, weir_error *err)
{
    return wi_fail(err, WEIR_TIMEDOUT,
                   "the executor has not ended yet: %lld tasks are running, %lld pending",
                   (long long)ex->stats.running, (long long)ex->stats.pending);
}

/* deaf: to the cancellation and deadline of the calling task. */
static weir_status wait_for_end(weir_executor *ex, int64_t deadline, bool deaf, weir_error *err)
{
    weir_status status = WEIR_OK;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    waiter me = {.parker = waiting.parker};
    wi_list_init(&me.node);
    pthread_mutex_lock(&ex->lock);
    while (!status && !ex->joined) {
        if (!ex->joining && has_settled(ex)) {
            join(ex);
            break;
        }
        if (wi_park_now() >= deadline) {
            status = say_what_runs(ex, err);
            break;
        }
        if (wi_list_empty(&me.node))
            wi_list_append(&ex->idle_waiters, &me.node);
        pthread_mutex_unlock(&ex->lock);
        if (deaf)
            wi_task_wait_deaf(&waiting);
        else
            status = wi_task_wait(&waiting, deadline, err);
        pthread_mutex_lock(&ex->lock);
    }
    wi_list_remove(&me.node);
    pthread_mutex_unlock(&ex->lock);
    wi_task_wait_end(&waiting);
    return status;
}

static void stop_taking(weir_executor *ex)
{
    pthread_mutex_lock(&ex->lock);
    bool first = !atomic_exchange(&ex->closed, true);
    if (first)
        call_begin(ex);
    wake_all(&ex->room_waiters);
    pthread_mutex_unlock(&ex->lock);
    if (!first)
        return;
    ex->backend->closing(ex);
    call_end(ex);
}

weir_status weir_executor_shutdown(weir_executor *ex, const weir_shutdown_options *options,
                                   weir_error *err)
{
    weir_shutdown_options how = options ? *options : (weir_shutdown_options){0};
    if (how.timeout < 0)
        return wi_fail(err, WEIR_INVALID, "a shutdown's timeout cannot be negative");
    if (!how.no_wait && wi_executor_inside(ex))
        return wi_fail(err, WEIR_INVALID,
                       "a task of the executor would wait for itself; use no_wait");
    stop_taking(ex);
    if (how.cancel_pending) {
        weir_error why;
        wi_fail(&why, WEIR_CANCELLED, "cancelled because the executor was shut down");
        wi_executor_drop_queued(ex, &why);
    }
    if (how.cancel_running)
        wi_executor_cancel_running(ex);
    if (how.no_wait)
        return WEIR_OK;
    int64_t deadline = how.timeout ? wi_deadline_in(how.timeout) : WI_FOREVER;
    return wait_for_end(ex, deadline, false, err);
}

void weir_executor_free(weir_executor *ex)
{
    if (!ex)
        return;
    stop_taking(ex);
    wait_for_end(ex, WI_FOREVER, true, NULL);
    wi_executor_unref(ex);
}

/* ---- handing in ---- */

weir_status wi_executor_prepare(weir_executor *ex, const weir_task *task, weir_future **out,
                                weir_error *err)
{
    if (!task || !task->fn)
        return wi_fail(err, WEIR_INVALID, "a task needs a function (weir_task.fn)");
    if (task->timeout < 0)
        return wi_fail(err, WEIR_INVALID, "a task's timeout cannot be negative");
    weir_status status = ex->backend->check ? ex->backend->check(ex, task, err) : WEIR_OK;
    return status ? status : wi_future_new_task(ex, task, out, err);
}

void wi_executor_discard(weir_future *future)
{
    future->task.argument.release = NULL; /* it stays the caller's */
    weir_future_unref(future);
    weir_future_unref(future);
}

static weir_status submit(weir_executor *ex, const weir_task *task, weir_future **out, bool wait,
                          weir_error *err)
{
    weir_future *future = NULL;
    weir_status status = wi_executor_prepare(ex, task, &future, err);
    if (status)
        return status;
    status = wi_executor_enqueue(ex, &future->work, wait, err);
    if (status)
        wi_executor_discard(future);
    else if (out)
        *out = future;
    else
        weir_future_unref(future);
    return status;
}

weir_status weir_executor_submit(weir_executor *ex, const weir_task *task, weir_future **future,
                                 weir_error *err)
{
    return submit(ex, task, future, true, err);
}

weir_status weir_executor_try_submit(weir_executor *ex, const weir_task *task, weir_future **future,
                                     weir_error *err)
{
    return submit(ex, task, future, false, err);
}

void weir_executor_stats_get(weir_executor *ex, weir_executor_stats *stats)
{
    pthread_mutex_lock(&ex->lock);
    *stats = ex->stats;
    pthread_mutex_unlock(&ex->lock);
}
