/*
 * future.c: see future_state.h and weir/future.h. Locks are taken in this order, where at all
 * several are held: that of awaits.c, a future's, a waiter's or a task's.
 */
#include "weir/future.h"

#include <stdlib.h>
#include <string.h>

#include "awaits.h"
#include "future_state.h"
#include "help.h"

typedef struct callback {
    wi_list node;
    void (*fn)(weir_future *future, void *arg);
    void *arg;
} callback;

static weir_future_state load(const weir_future *future)
{
    return atomic_load_explicit(&future->state, memory_order_acquire);
}

/* ---- life ---- */

static weir_future *new_future(int refs)
{
    weir_future *future = calloc(1, sizeof *future);
    if (!future)
        return NULL;
    atomic_init(&future->refs, refs);
    atomic_init(&future->state, WEIR_FUTURE_PENDING);
    pthread_mutex_init(&future->lock, NULL);
    wi_list_init(&future->work.node);
    wi_list_init(&future->waiters);
    wi_list_init(&future->callbacks);
    return future;
}

weir_status weir_future_new(void (*release)(void *result), weir_future **out, weir_error *err)
{
    weir_future *future = new_future(1);
    if (!future)
        return wi_fail_nomem(err);
    future->release = release;
    *out = future;
    return WEIR_OK;
}

weir_future *weir_future_ref(weir_future *future)
{
    atomic_fetch_add_explicit(&future->refs, 1, memory_order_relaxed);
    return future;
}

static void free_future(weir_future *future)
{
    if (future->result && !future->taken && future->release)
        future->release(future->result);
    wi_list *node;
    while ((node = wi_list_shift(&future->callbacks)))
        free(wi_container_of(node, callback, node));
    if (future->executor)
        wi_executor_unref(future->executor);
    pthread_mutex_destroy(&future->lock);
    free(future->error_text);
    free(future);
}

void weir_future_unref(weir_future *future)
{
    if (future && atomic_fetch_sub_explicit(&future->refs, 1, memory_order_acq_rel) == 1)
        free_future(future);
}

/* ---- to the end ---- */

static void run_callbacks(weir_future *future, wi_list *callbacks)
{
    wi_list *node;
    while ((node = wi_list_shift(callbacks))) {
        callback *cb = wi_container_of(node, callback, node);
        cb->fn(future, cb->arg);
        free(cb);
    }
}

/*
 * Under the lock, which it gives back: the future is over from here on, for all. The text is the
 * future's now. Whoever sees that may let the last reference go at once, and so may a callback: one
 * is held, where the executor does not hold its own.
 */
static void conclude(weir_future *future, weir_future_state state, char *error_text)
{
    wi_list callbacks;
    wi_list *node;
    wi_list_init(&callbacks);
    wi_list_splice(&callbacks, &future->callbacks);
    bool held = !future->executor || !wi_list_empty(&callbacks);
    if (held)
        weir_future_ref(future);
    future->error_text = error_text;
    atomic_store_explicit(&future->state, state, memory_order_release);
    while ((node = wi_list_shift(&future->waiters))) {
        wi_future_waiter *waiter = wi_container_of(node, wi_future_waiter, node);
        waiter->over(waiter, future);
    }
    pthread_mutex_unlock(&future->lock);
    run_callbacks(future, &callbacks);
    if (held)
        weir_future_unref(future);
}

bool wi_future_end(weir_future *future, void *result, const weir_error *error)
{
    char *text = error->status ? strdup(error->text) : NULL;
    pthread_mutex_lock(&future->lock);
    weir_future_state before = load(future);
    if (before >= WEIR_FUTURE_CANCELLED) {
        pthread_mutex_unlock(&future->lock);
        free(text);
        return false;
    }
    bool wanted = future->executor && (before == WEIR_FUTURE_PENDING || future->asked);
    bool cancelled = wanted && error->status == WEIR_CANCELLED;
    future->status = error->status;
    future->sys_errno = error->sys_errno;
    future->result = error->status ? NULL : result;
    conclude(future, cancelled ? WEIR_FUTURE_CANCELLED : WEIR_FUTURE_FINISHED, text);
    return true;
}

bool wi_future_begin(weir_future *future)
{
    pthread_mutex_lock(&future->lock);
    bool mine = load(future) == WEIR_FUTURE_PENDING;
    if (mine)
        atomic_store_explicit(&future->state, WEIR_FUTURE_RUNNING, memory_order_release);
    pthread_mutex_unlock(&future->lock);
    return mine;
}

int weir_future_start(weir_future *future)
{
    return !future->executor && wi_future_begin(future);
}

int weir_future_complete(weir_future *future, void *result)
{
    weir_error none;
    none.status = WEIR_OK;
    none.sys_errno = 0;
    return !future->executor && wi_future_end(future, result, &none);
}

int weir_future_fail(weir_future *future, const weir_error *error)
{
    return !future->executor && error->status && wi_future_end(future, NULL, error);
}

/* ---- a submitted task ---- */

void wi_future_release_argument(weir_future *future)
{
    if (future->task.argument.release && future->task.arg)
        future->task.argument.release(future->task.arg);
}

static void set_running(weir_future *future, wi_task *call)
{
    pthread_mutex_lock(&future->lock);
    future->running = call;
    if (call && future->asked)
        atomic_store(&call->asked, true);
    pthread_mutex_unlock(&future->lock);
}

void *wi_task_call(const weir_task *task, weir_executor *executor, weir_future *future,
                   weir_error *error)
{
    wi_task call;
    wi_task_enter(&call, task->name, task->timeout);
    call.executor = executor;
    call.future = future;
    if (executor->options.kind == WEIR_INLINE)
        wi_task_inherit(&call);
    if (future)
        set_running(future, &call);
    error->status = WEIR_OK;
    error->sys_errno = 0;
    error->text[0] = '\0';
    void *result = task->fn(task->arg, error);
    wi_error_tidy(error);
    if (future)
        set_running(future, NULL);
    wi_task_leave(&call);
    return result;
}

wi_tally wi_future_decide(weir_future *future, weir_status status)
{
    pthread_mutex_lock(&future->lock);
    future->decided = true;
    future->work.lingers = !wi_list_empty(&future->callbacks);
    bool cancelled = status == WEIR_CANCELLED && future->asked;
    pthread_mutex_unlock(&future->lock);
    return (wi_tally){.succeeded = !status, .failed = status && !cancelled, .cancelled = cancelled};
}

static void run_task(wi_work *work)
{
    weir_future *future = wi_future_of_work(work);
    bool begun = wi_future_begin(future);
    weir_error error;
    void *result = NULL;
    wi_tally tally = {.cancelled = 1};
    if (begun) {
        result = wi_task_call(&future->task, future->executor, future, &error);
        tally = wi_future_decide(future, error.status);
    }
    wi_future_release_argument(future);
    wi_executor_over(future->executor, work, tally);
    if (begun)
        wi_future_end(future, result, &error);
    weir_future_unref(future);
}

static void drop_task(wi_work *work, const weir_error *why)
{
    weir_future *future = wi_future_of_work(work);
    wi_future_release_argument(future);
    wi_future_end(future, NULL, why);
    weir_future_unref(future);
}

static void hold_task(wi_work *work)
{
    weir_future_ref(wi_future_of_work(work));
}

static void cancel_task(wi_work *work)
{
    weir_future *future = wi_future_of_work(work);
    weir_future_cancel(future);
    weir_future_unref(future); /* NOLINT(clang-analyzer-unix.Malloc): it counts no references */
}

weir_status wi_future_new_task(weir_executor *executor, const weir_task *task, weir_future **out,
                               weir_error *err)
{
    weir_future *future = new_future(2);
    if (!future)
        return wi_fail_nomem(err);
    future->executor = wi_executor_ref(executor);
    future->task = *task;
    /* What comes from another process is a copy in one block. */
    future->release = executor->backend->in_process ? task->result.release : free;
    future->work.run = run_task;
    future->work.drop = drop_task;
    future->work.hold = hold_task;
    future->work.cancel = cancel_task;
    *out = future;
    return WEIR_OK;
}

/* ---- cancelling ---- */

/* Under the lock. */
static weir_cancel ask_to_end(weir_future *future)
{
    if (!future->executor || future->decided)
        return WEIR_CANCEL_TOO_LATE;
    future->asked = true;
    if (future->running)
        wi_task_cancel(future->running);
    else if (future->cancel_remote)
        future->cancel_remote(future);
    return WEIR_CANCEL_ASKED;
}

weir_cancel weir_future_cancel(weir_future *future)
{
    /* Its place in the queue is free at once, for others. */
    weir_executor *ex = future->executor;
    bool queued = ex && load(future) == WEIR_FUTURE_PENDING && wi_executor_claim(ex, &future->work);
    if (queued)
        wi_future_release_argument(future);
    weir_cancel outcome = WEIR_CANCEL_DONE;
    pthread_mutex_lock(&future->lock);
    weir_future_state state = load(future);
    if (state == WEIR_FUTURE_PENDING) {
        future->status = WEIR_CANCELLED;
        conclude(future, WEIR_FUTURE_CANCELLED, NULL);
    } else {
        if (state == WEIR_FUTURE_RUNNING)
            outcome = ask_to_end(future);
        else if (state == WEIR_FUTURE_FINISHED)
            outcome = WEIR_CANCEL_TOO_LATE;
        pthread_mutex_unlock(&future->lock);
    }
    if (queued) { /* only now, since shutdown waits until all futures are over */
        wi_executor_over(ex, &future->work, (wi_tally){.cancelled = 1});
        weir_future_unref(future); /* the executor's. NOLINT(clang-analyzer-unix.Malloc) */
    }
    return outcome;
}

/* ---- asking ---- */

weir_future_state weir_future_get_state(const weir_future *future)
{
    return load(future);
}

int weir_future_done(const weir_future *future)
{
    return wi_future_is_over(future);
}

int weir_future_running(const weir_future *future)
{
    return load(future) == WEIR_FUTURE_RUNNING;
}

int weir_future_cancelled(const weir_future *future)
{
    return load(future) == WEIR_FUTURE_CANCELLED;
}

bool wi_future_watch(weir_future *future, wi_future_waiter *waiter)
{
    pthread_mutex_lock(&future->lock);
    bool over = wi_future_is_over(future);
    if (!over)
        wi_list_append(&future->waiters, &waiter->node);
    pthread_mutex_unlock(&future->lock);
    return !over;
}

void wi_future_unwatch(weir_future *future, wi_future_waiter *waiter)
{
    pthread_mutex_lock(&future->lock);
    if (!wi_future_is_over(future)) /* else it was taken out, and its node may be in use again */
        wi_list_remove(&waiter->node);
    pthread_mutex_unlock(&future->lock);
}

typedef struct parked_waiter {
    wi_future_waiter waiter;
    wi_parker *parker;
} parked_waiter;

static void unpark(wi_future_waiter *waiter, weir_future *future)
{
    (void)future;
    wi_unpark(wi_container_of(waiter, parked_waiter, waiter)->parker);
}

static weir_status timed_out(weir_error *err, int64_t timeout_ns)
{
    return wi_fail(err, WEIR_TIMEDOUT, "the future was not over after %.3f s",
                   (double)timeout_ns / 1e9);
}

/* WEIR_OK: it is over. */
static weir_status park(weir_future *future, int64_t timeout_ns, int64_t deadline, weir_error *err)
{
    weir_status status = WEIR_OK;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    parked_waiter me = {.waiter.over = unpark, .parker = waiting.parker};
    if (wi_future_watch(future, &me.waiter)) {
        while (!wi_future_is_over(future) && !status) {
            if (deadline != WI_FOREVER && wi_park_now() >= deadline)
                status = timed_out(err, timeout_ns);
            else
                status = wi_task_wait(&waiting, deadline, err);
        }
        wi_future_unwatch(future, &me.waiter);
    }
    wi_task_wait_end(&waiting);
    return status;
}

static weir_status await(weir_future *future, int64_t timeout_ns, weir_error *err)
{
    if (wi_future_is_over(future))
        return WEIR_OK;
    weir_status status = wi_task_check(err);
    if (status)
        return status;
    if (timeout_ns == 0)
        return timed_out(err, 0);
    int64_t deadline = wi_deadline_in(timeout_ns);
    if (!future->executor)
        return park(future, timeout_ns, deadline, err);
    status = wi_awaits_begin(future, err);
    if (status)
        return status;
    wi_help(future);
    status = park(future, timeout_ns, deadline, err);
    wi_awaits_end();
    return status;
}

/* How it ended; it is over. */
static weir_status ending(const weir_future *future, weir_error *err)
{
    weir_status status = future->status;
    if (!status)
        return WEIR_OK;
    const char *text = future->error_text;
    if (!text)
        text = load(future) == WEIR_FUTURE_CANCELLED ? "the future was cancelled"
                                                     : weir_status_text(status);
    wi_fail(err, status, "%s", text);
    if (err)
        err->sys_errno = future->sys_errno;
    return status;
}

weir_status weir_future_result(weir_future *future, int64_t timeout_ns, void **result,
                               weir_error *err)
{
    weir_status status = await(future, timeout_ns, err);
    if (!status)
        status = ending(future, err);
    if (status)
        return status;
    pthread_mutex_lock(&future->lock);
    bool taken = future->taken;
    void *value = future->result;
    future->taken = true;
    pthread_mutex_unlock(&future->lock);
    if (taken)
        return wi_fail(err, WEIR_INVALID,
                       "the result of this future was taken before: it is given once");
    *result = value;
    return WEIR_OK;
}

weir_status weir_future_error(weir_future *future, int64_t timeout_ns, weir_error *err)
{
    weir_status status = await(future, timeout_ns, err);
    return status ? status : ending(future, err);
}

weir_status weir_future_add_done_callback(weir_future *future,
                                          void (*fn)(weir_future *future, void *arg), void *arg,
                                          weir_error *err)
{
    if (!wi_future_is_over(future)) {
        callback *cb = malloc(sizeof *cb);
        if (!cb)
            return wi_fail_nomem(err);
        cb->fn = fn;
        cb->arg = arg;
        pthread_mutex_lock(&future->lock);
        bool over = wi_future_is_over(future);
        if (!over)
            wi_list_append(&future->callbacks, &cb->node);
        pthread_mutex_unlock(&future->lock);
        if (!over)
            return WEIR_OK;
        free(cb);
    }
    weir_future_ref(future);
    fn(future, arg);
    weir_future_unref(future);
    return WEIR_OK;
}
