/*
 * offload.c: weir_offload. All fibers of the process share one executor of threads, made when the
 * first of them needs it.
 *
 * Its invariant: a call is over when weir_offload returns, so fn and its argument may live on the
 * caller's stack.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "awaits.h"
#include "park.h"
#include "task.h"
#include "weir/executor.h"
#include "weir/wait.h"

/* ---- the threads ---- */

static struct {
    pthread_mutex_t lock; /* over all below */
    weir_executor *executor;
    size_t calls; /* under way */
    bool stops_at_exit;
    bool minds_forks;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* At exit. Threads that the program left in the middle of a call are not waited for. */
static void stop_pool(void)
{
    pthread_mutex_lock(&pool.lock);
    bool stops = pool.executor && pool.calls == 0;
    weir_executor *executor = pool.executor;
    if (stops)
        pool.executor = NULL;
    pthread_mutex_unlock(&pool.lock);
    if (stops)
        weir_executor_free(executor);
}

/* A child of fork has no such threads, and makes its own when it needs them. */
static void before_fork(void)
{
    pthread_mutex_lock(&pool.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&pool.lock);
}

static void after_fork_in_child(void)
{
    pool.executor = NULL;
    pool.calls = 0;
    pthread_mutex_unlock(&pool.lock);
}

static weir_status make_pool(weir_error *err)
{
    weir_executor_options options = {
        .size = sizeof options,
        .kind = WEIR_THREADS,
        .thread_name_prefix = "weir-offload",
    };
    if (!pool.minds_forks && pthread_atfork(before_fork, after_fork, after_fork_in_child) != 0)
        return wi_fail_nomem(err);
    pool.minds_forks = true;
    weir_status status = weir_executor_new(&options, &pool.executor, err);
    if (status != WEIR_OK)
        return status;
    if (!pool.stops_at_exit)
        pool.stops_at_exit = atexit(stop_pool) == 0;
    return WEIR_OK;
}

static weir_status pool_enter(weir_executor **executor, weir_error *err)
{
    pthread_mutex_lock(&pool.lock);
    weir_status status = pool.executor ? WEIR_OK : make_pool(err);
    if (status == WEIR_OK) {
        pool.calls++;
        *executor = pool.executor;
    }
    pthread_mutex_unlock(&pool.lock);
    return status;
}

static void pool_leave(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.calls--;
    pthread_mutex_unlock(&pool.lock);
}

/* ---- waiting for a call that was asked to end ---- */

typedef struct last_word {
    pthread_mutex_t lock; /* held over the whole of the callback, so that it ends before this */
    bool over;
    wi_parker *parker;
} last_word;

static void on_over(weir_future *future, void *arg)
{
    (void)future;
    last_word *word = arg;
    pthread_mutex_lock(&word->lock);
    word->over = true;
    wi_unpark(word->parker);
    pthread_mutex_unlock(&word->lock);
}

static bool is_over(last_word *word)
{
    pthread_mutex_lock(&word->lock);
    bool over = word->over;
    pthread_mutex_unlock(&word->lock);
    return over;
}

static void wait_deaf(weir_future *future)
{
    last_word word = {.lock = PTHREAD_MUTEX_INITIALIZER};
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    word.parker = waiting.parker;
    if (weir_future_add_done_callback(future, on_over, &word, NULL) == WEIR_OK) {
        while (!is_over(&word))
            wi_task_wait_deaf(&waiting);
    } else { /* without memory for a callback it is asked for now and then */
        while (!weir_future_done(future))
            wi_park(waiting.parker, wi_park_now() + WI_MILLISECOND);
    }
    wi_task_wait_end(&waiting);
    pthread_mutex_destroy(&word.lock);
}

/* ---- the call ---- */

/* Here and now, with what it does to the deadline undone. */
static weir_status call_directly(weir_task_fn fn, void *arg, void **result, weir_error *err)
{
    weir_status status = wi_task_check(err);
    if (status != WEIR_OK)
        return status;
    weir_error failure = {.status = WEIR_OK};
    wi_task *task = wi_task_current();
    int64_t deadline = task->deadline;
    void *value = fn(arg, &failure);
    wi_error_tidy(&failure);
    task->deadline = deadline;
    if (failure.status == WEIR_OK)
        *result = value;
    else if (err)
        *err = failure;
    return failure.status;
}

/*
 * A call that had a result in the end gives it, although the caller is to end: else it would be
 * lost. The caller's next wait says so again.
 */
static weir_status wait_for(weir_future *future, void **result, weir_error *err)
{
    weir_error failure;
    weir_status status = weir_future_result(future, -1, result, &failure);
    if (status != WEIR_OK && !weir_future_done(future)) {
        weir_future_cancel(future);
        wait_deaf(future);
        weir_error own;
        weir_status ended = weir_future_result(future, -1, result, &own);
        if (ended != WEIR_CANCELLED && ended != WEIR_TIMEDOUT) {
            status = ended;
            failure = own;
        }
    }
    if (status != WEIR_OK && err)
        *err = failure;
    return status;
}

typedef struct offloaded {
    weir_task_fn fn;
    void *arg;
    wi_task *offloader;
} offloaded;

/* It is part of the task that offloads it: what that may do without deadlock, it may too. */
static void *run_offloaded(void *arg, weir_error *err)
{
    const offloaded *call = arg;
    wi_task *task = wi_task_current();
    task->offloader = call->offloader;
    wi_awaits_nest(call->offloader, task);
    void *result = call->fn(call->arg, err);
    wi_awaits_nest(call->offloader, NULL);
    return result;
}

weir_status weir_offload(weir_task_fn fn, void *arg, void **result, weir_error *err)
{
    void *ignored;
    if (!fn)
        return wi_fail(err, WEIR_INVALID, "weir_offload was given no function");
    if (!result)
        result = &ignored;
    if (!wi_fiber_current())
        return call_directly(fn, arg, result, err);
    int64_t left = weir_deadline_left();
    weir_status status = wi_task_check(err);
    weir_executor *executor;
    if (status == WEIR_OK)
        status = pool_enter(&executor, err);
    if (status != WEIR_OK)
        return status;
    offloaded call = {.fn = fn, .arg = arg, .offloader = wi_task_current()};
    weir_task task = {.fn = run_offloaded,
                      .arg = &call,
                      .name = call.offloader->name,
                      .timeout = left < 0 ? 0
                                 : left   ? left
                                          : 1};
    weir_future *future;
    status = weir_executor_submit(executor, &task, &future, err);
    if (status == WEIR_OK) {
        status = wait_for(future, result, err);
        weir_future_unref(future);
    }
    pool_leave();
    return status;
}
