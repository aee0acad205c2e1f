/*
 * executor_threads.c: tasks on threads that are reused. Its invariant: as long as work is queued,
 * all workers there may be have some, or one is searching: awake and about to look at the queue.
 *
 * So a submit wakes a thread, or starts one, only if none is searching; a searcher that has found
 * work sees to the next if there is more. A worker goes to sleep only when it has seen an empty
 * queue under the lock.
 */
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "executor_state.h"
#include "thread.h"

typedef struct worker worker;

struct worker {
    wi_list node;   /* among the idle; these two under the executor's lock */
    bool searching; /* counted as such */
    worker *next;   /* of all */
    weir_executor *ex;
    pthread_t thread;
    atomic_uint woken; /* its futex */
};

typedef struct threads_state {
    wi_list idle;  /* newest first, its caches are warm; these two under the executor's lock */
    int searching; /* workers */
    pthread_mutex_t start_lock; /* over all */
    worker *all;
    atomic_int started; /* written under start_lock */
} threads_state;

static _Thread_local worker *self;

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

/* ---- searching; under the executor's lock ---- */

static void search(worker *who, bool on)
{
    threads_state *state = who->ex->backend_state;
    state->searching += on - who->searching;
    who->searching = on;
}

static void search_again(weir_executor *ex)
{
    if (self && self->ex == ex)
        search(self, true);
}

static bool is_wanting(weir_executor *ex)
{
    threads_state *state = ex->backend_state;
    return !wi_list_empty(&ex->queue) && !state->searching;
}

/* ---- a worker ---- */

static void call_another(weir_executor *ex);

static void run_locked(worker *me, wi_work *work)
{
    weir_executor *ex = me->ex;
    search(me, false);
    bool wanting = is_wanting(ex);
    pthread_mutex_unlock(&ex->lock);
    if (wanting)
        call_another(ex);
    work->run(work);
    pthread_mutex_lock(&ex->lock);
}

static void sleep_locked(worker *me)
{
    weir_executor *ex = me->ex;
    threads_state *state = ex->backend_state;
    search(me, false);
    atomic_store(&me->woken, 0);
    wi_list_prepend(&state->idle, &me->node);
    ex->stats.idle++;
    pthread_mutex_unlock(&ex->lock);
    while (!atomic_load(&me->woken))
        syscall(SYS_futex, &me->woken, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    pthread_mutex_lock(&ex->lock);
}

static void work_on(worker *me)
{
    weir_executor *ex = me->ex;
    pthread_mutex_lock(&ex->lock);
    for (;;) {
        wi_work *work = wi_executor_take_locked(ex);
        if (work)
            run_locked(me, work);
        else if (atomic_load(&ex->closed) || ex->broken.status)
            break;
        else
            sleep_locked(me);
    }
    search(me, false);
    pthread_mutex_unlock(&ex->lock);
}

static void *worker_main(void *arg)
{
    worker *me = arg;
    self = me;
    if (wi_executor_initialize(me->ex))
        work_on(me);
    wi_executor_retire(me->ex);
    return NULL;
}

static void set_searching(worker *who, bool on)
{
    pthread_mutex_lock(&who->ex->lock);
    search(who, on);
    pthread_mutex_unlock(&who->ex->lock);
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
    /* Not while it initializes, which may take its time; nor the first, which others must not rely
     * on before it lives. */
    set_searching(fresh, state->started > 0 && !ex->options.initializer);
    weir_status status = wi_thread_start_sized(&fresh->thread, name, ex->options.stack_size,
                                               worker_main, fresh, err);
    if (status) {
        set_searching(fresh, false);
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

/* It may be at its end as soon as woken is set; its place in memory stays until the executor's. */
static void wake(worker *idle)
{
    atomic_store(&idle->woken, 1);
    syscall(SYS_futex, &idle->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* One that sleeps, and is to search from now on. Under the executor's lock. */
static worker *take_idle(weir_executor *ex)
{
    threads_state *state = ex->backend_state;
    wi_list *node = wi_list_shift(&state->idle);
    if (!node)
        return NULL;
    worker *idle = wi_container_of(node, worker, node);
    ex->stats.idle--;
    search(idle, true);
    return idle;
}

static weir_status start_another(weir_executor *ex, weir_error *err)
{
    threads_state *state = ex->backend_state;
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

static weir_status summon_thread(weir_executor *ex, wi_work *work, weir_error *err)
{
    (void)work;
    pthread_mutex_lock(&ex->lock);
    bool wanting = is_wanting(ex);
    worker *idle = wanting ? take_idle(ex) : NULL;
    pthread_mutex_unlock(&ex->lock);
    if (idle)
        wake(idle);
    return wanting && !idle ? start_another(ex, err) : WEIR_OK;
}

static void call_another(weir_executor *ex)
{
    weir_error err;
    summon_thread(ex, NULL, &err);
}

static void wake_idle(weir_executor *ex)
{
    worker *idle;
    do {
        pthread_mutex_lock(&ex->lock);
        idle = take_idle(ex);
        pthread_mutex_unlock(&ex->lock);
        if (idle)
            wake(idle);
    } while (idle);
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
    .free_again = search_again,
    .closing = wake_idle,
    .close = join_threads,
    .in_process = true,
};
