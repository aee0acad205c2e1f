/*
 * executor_threads.c: tasks on threads that are reused. Its invariant: a worker that is among the
 * idle ones has seen an empty queue under the lock under which it joined them, so whoever queues
 * work afterwards finds it there.
 */
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "executor_state.h"
#include "thread.h"

typedef struct worker worker;

struct worker {
    wi_list node; /* among the idle; under the executor's lock */
    worker *next; /* of all */
    weir_executor *ex;
    pthread_t thread;
    atomic_uint woken; /* its futex */
};

typedef struct threads_state {
    wi_list idle;               /* newest first, its caches are warm; under the executor's lock */
    pthread_mutex_t start_lock; /* over all */
    worker *all;
    atomic_int started; /* written under start_lock */
} threads_state;

static weir_status open_threads(weir_executor *ex, weir_error *err)
{
    threads_state *state = calloc(1, sizeof *state);
    if (!state)
        return wi_fail_nomem(err);
    wi_list_init(&state->idle);
    pthread_mutex_init(&state->start_lock, NULL);
    ex->backend_state = state;
    return WEIR_OK;
}

/* ---- a worker ---- */

/* True: it is idle now, and will be woken. */
static bool become_idle(worker *me)
{
    weir_executor *ex = me->ex;
    threads_state *state = ex->backend_state;
    pthread_mutex_lock(&ex->lock);
    bool idle = wi_list_empty(&ex->queue) && !atomic_load(&ex->closed) && !ex->broken.status;
    if (idle) {
        atomic_store(&me->woken, 0);
        wi_list_prepend(&state->idle, &me->node);
        ex->stats.idle++;
    }
    pthread_mutex_unlock(&ex->lock);
    return idle;
}

/* It may be at its end as soon as woken is set; its place in memory stays until the executor's. */
static void wake(worker *idle)
{
    atomic_store(&idle->woken, 1);
    syscall(SYS_futex, &idle->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void work_on(worker *me)
{
    for (;;) {
        wi_work *work;
        while ((work = wi_executor_take(me->ex)))
            work->run(work);
        if (become_idle(me))
            while (!atomic_load(&me->woken))
                syscall(SYS_futex, &me->woken, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        else if (wi_executor_is_closing(me->ex))
            return;
    }
}

static void *worker_main(void *arg)
{
    worker *me = arg;
    if (wi_executor_initialize(me->ex))
        work_on(me);
    wi_executor_retire(me->ex);
    return NULL;
}

static weir_status start_worker(weir_executor *ex, weir_error *err)
{
    threads_state *state = ex->backend_state;
    worker *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return wi_fail_nomem(err);
    fresh->ex = ex;
    wi_list_init(&fresh->node);
    char name[16];
    wi_thread_name(name, ex->options.thread_name_prefix, state->started + 1);
    wi_executor_hire(ex);
    weir_status status = wi_thread_start_sized(&fresh->thread, name, ex->options.stack_size,
                                               worker_main, fresh, err);
    if (status) {
        wi_executor_retire(ex);
        free(fresh);
        return status;
    }
    fresh->next = state->all;
    state->all = fresh;
    state->started++;
    return WEIR_OK;
}

/* ---- what the front asks for ---- */

static worker *take_idle(weir_executor *ex)
{
    threads_state *state = ex->backend_state;
    pthread_mutex_lock(&ex->lock);
    wi_list *node = wi_list_shift(&state->idle);
    if (node)
        ex->stats.idle--;
    pthread_mutex_unlock(&ex->lock);
    return node ? wi_container_of(node, worker, node) : NULL;
}

static weir_status summon_thread(weir_executor *ex, wi_work *work, weir_error *err)
{
    (void)work;
    threads_state *state = ex->backend_state;
    worker *idle = take_idle(ex);
    if (idle) {
        wake(idle);
        return WEIR_OK;
    }
    if (state->started == ex->options.max_workers)
        return WEIR_OK;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&state->start_lock);
    if (state->started < ex->options.max_workers)
        status = start_worker(ex, err);
    if (status && state->started > 0)
        status = WEIR_OK; /* those that live come to it later */
    pthread_mutex_unlock(&state->start_lock);
    return status;
}

static void wake_idle(weir_executor *ex)
{
    worker *idle;
    while ((idle = take_idle(ex)))
        wake(idle);
}

static void join_threads(weir_executor *ex)
{
    threads_state *state = ex->backend_state;
    worker *each;
    while ((each = state->all)) {
        state->all = each->next;
        pthread_join(each->thread, NULL);
        free(each);
    }
    pthread_mutex_destroy(&state->start_lock);
    free(state);
}

const wi_executor_backend wi_executor_threads = {
    .name = "threads",
    .open = open_threads,
    .summon = summon_thread,
    .closing = wake_idle,
    .close = join_threads,
    .in_process = true,
};
