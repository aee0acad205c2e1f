/*
 * executor_processes.c: tasks in child processes. One thread, the manager, has a loop on which it
 * keeps all workers: it takes work for them, hears their replies and their ends, and completes the
 * futures. Its invariants: a task is with at most one process, and ends with the reply of that
 * process or with its end; and whoever queues work while `hungry` is set wakes the manager, which
 * sets it before it looks at the queue for the last time.
 */
#include <stdlib.h>
#include <string.h>

#include "executor_state.h"
#include "future_state.h"
#include "loop.h"
#include "process.h"
#include "thread.h"

enum {
    EARLY_DEATHS_MAX = 3, /* in a row, before a worker is ready: then none will ever be */
};

/* What workers that are told to leave have to flush their streams, until they are killed. */
static const int64_t leaving_grace = 2 * WI_SECOND;

typedef struct pool {
    weir_executor *ex;
    pthread_mutex_t start_lock; /* over the start of the manager */
    atomic_bool started;
    pthread_t manager;
    wi_loop *loop;
    wi_post pump_post;
    wi_post cancel_post;
    atomic_bool hungry; /* there is a worker for more work, or room for one */

    /* The manager's own. */
    wi_timer grace;
    wi_module_cache functions;
    wi_list idle; /* newest first, its caches are warm */
    wi_list busy;
    wi_list leaving;
    int live; /* idle and busy */
    weir_future
        *stalled; /* it runs, but no process could be started, and those that live are busy */
    int early_deaths;
} pool;

static void pump(pool *p);

/* ---- counts ---- */

static void count_idle(pool *p, int change)
{
    pthread_mutex_lock(&p->ex->lock);
    p->ex->stats.idle += change;
    pthread_mutex_unlock(&p->ex->lock);
}

static void count_replaced(pool *p)
{
    pthread_mutex_lock(&p->ex->lock);
    p->ex->stats.replaced++;
    pthread_mutex_unlock(&p->ex->lock);
}

/* ---- futures ---- */

static void conclude(weir_future *future, void *result, const weir_error *error)
{
    wi_tally tally = wi_future_decide(future, error->status);
    wi_future_release_argument(future);
    wi_executor_over(future->executor, &future->work, tally);
    wi_future_end(future, result, error);
    weir_future_unref(future);
}

/* It was cancelled after it was taken, and has ended by that. */
static void forget(weir_future *future)
{
    wi_future_release_argument(future);
    wi_executor_over(future->executor, &future->work, (wi_tally){.cancelled = 1});
    weir_future_unref(future);
}

/* Under the future's lock. */
static void ask_to_cancel(weir_future *future)
{
    wi_process *process = future->remote;
    pool *p = process->owner;
    atomic_store(&process->asked, true);
    wi_loop_post(p->loop, &p->cancel_post);
}

/* From now on a cancellation reaches this process; true if there was one before. */
static bool set_remote(weir_future *future, wi_process *process)
{
    pthread_mutex_lock(&future->lock);
    future->remote = process;
    future->cancel_remote = ask_to_cancel;
    bool asked = future->asked;
    pthread_mutex_unlock(&future->lock);
    return asked;
}

/* ---- the places of a worker ---- */

static void become_idle(pool *p, wi_process *process)
{
    wi_list_remove(&process->node);
    wi_list_prepend(&p->idle, &process->node);
    process->is_idle = true;
    count_idle(p, 1);
}

static void become_busy(pool *p, wi_process *process)
{
    wi_list_remove(&process->node);
    wi_list_append(&p->busy, &process->node);
}

static void dismiss(pool *p, wi_process *process)
{
    wi_list_remove(&process->node);
    wi_list_append(&p->leaving, &process->node);
    wi_process_leave(process);
    p->live--;
    wi_executor_retire(p->ex);
}

/* ---- work for a worker ---- */

static const wi_process_events process_events;

static wi_process *start_process(pool *p, weir_error *err)
{
    wi_process *process = calloc(1, sizeof *process);
    if (!process) {
        wi_fail_nomem(err);
        return NULL;
    }
    wi_list_init(&process->node);
    process->owner = p;
    if (wi_process_start(process, p->loop, &p->functions, &p->ex->options, &process_events, err)) {
        free(process);
        return NULL;
    }
    p->live++;
    wi_executor_hire(p->ex);
    become_busy(p, process);
    return process;
}

static wi_process *take_idle(pool *p)
{
    wi_list *node = wi_list_shift(&p->idle);
    if (!node)
        return NULL;
    wi_process *process = wi_container_of(node, wi_process, node);
    process->is_idle = false;
    count_idle(p, -1);
    become_busy(p, process);
    return process;
}

/* Gives a busy process the task of a future that runs. */
static void assign(pool *p, wi_process *process, weir_future *future)
{
    weir_error error;
    bool asked = set_remote(future, process);
    if (wi_process_run(process, &p->functions, &future->task, &error)) {
        become_idle(p, process);
        conclude(future, NULL, &error);
        return;
    }
    process->future = future;
    if (asked)
        wi_process_cancel(process);
}

/* A cancellation is remembered by the future until the next set_remote. */
static void clear_remote(weir_future *future)
{
    pthread_mutex_lock(&future->lock);
    future->cancel_remote = NULL;
    pthread_mutex_unlock(&future->lock);
}

/* From here on the future runs. False: it was cancelled after it was taken, and is forgotten. */
static bool has_begun(weir_future *future)
{
    if (wi_future_begin(future) || weir_future_running(future))
        return true;
    forget(future);
    return false;
}

/* A task that no process has begun: to an idle one, or to a new one. */
static void serve(pool *p, weir_future *future)
{
    weir_error error;
    wi_process *process = take_idle(p);
    if (!process)
        process = start_process(p, &error);
    if (!has_begun(future)) {
        if (process)
            become_idle(p, process);
    } else if (process) {
        assign(p, process, future);
    } else if (p->live && !p->stalled) {
        clear_remote(future);
        p->stalled = future;
    } else {
        conclude(future, NULL, &error);
    }
}

static void dismiss_all_idle(pool *p)
{
    wi_process *process;
    while ((process = take_idle(p)))
        dismiss(p, process);
    if (!wi_list_empty(&p->leaving) && !wi_timer_is_set(&p->grace))
        wi_timer_set(&p->grace, wi_loop_clock(p->loop) + leaving_grace);
    if (!p->live && wi_list_empty(&p->leaving))
        wi_loop_stop(p->loop);
}

/* True: something was handed out. */
static bool hand_out(pool *p)
{
    weir_future *future = p->stalled;
    p->stalled = NULL;
    wi_work *work = future ? NULL : wi_executor_take(p->ex);
    if (work)
        future = wi_future_of_work(work);
    if (future)
        serve(p, future);
    return future != NULL;
}

static bool has_room(const pool *p)
{
    return !wi_list_empty(&p->idle) || p->live < p->ex->options.max_workers;
}

/* Hands out what is queued for as long as there is somebody to take it. */
static void pump(pool *p)
{
    atomic_store(&p->hungry, false);
    while (has_room(p)) {
        if (hand_out(p)) {
            if (p->stalled)
                break;
        } else if (atomic_exchange(&p->hungry, true)) {
            break; /* there was nothing after it was set */
        }
    }
    if (wi_executor_is_closing(p->ex))
        dismiss_all_idle(p);
}

/* ---- what workers do ---- */

static void on_ready(wi_process *process, const weir_error *error)
{
    pool *p = process->owner;
    if (!error->status) {
        process->is_ready = true;
        p->early_deaths = 0;
        return;
    }
    weir_future *future = process->future;
    process->future = NULL;
    weir_error why = *error;
    dismiss(p, process);
    wi_executor_break(p->ex, &why);
    if (future)
        conclude(future, NULL, &why);
}

static void on_replied(wi_process *process, void *result, const weir_error *error)
{
    pool *p = process->owner;
    weir_future *future = process->future;
    int64_t max_tasks = p->ex->options.max_tasks_per_child;
    process->future = NULL;
    process->tasks++;
    atomic_store(&process->asked, false);
    if (!process->is_dead && max_tasks && process->tasks >= max_tasks) {
        count_replaced(p);
        dismiss(p, process);
    } else if (!process->is_dead) {
        become_idle(p, process);
    }
    conclude(future, result, error);
    pump(p);
}

static void fail_with_its_worker(weir_future *future, const weir_error *why)
{
    const char *symbol = NULL;
    if (!future->task.name)
        wi_function_file((void *)future->task.fn, &symbol);
    const char *name = future->task.name ? future->task.name : symbol;
    weir_error error;
    wi_fail(&error, why->status, "the worker process %s while running %s", why->text,
            name ? name : "a task without a name");
    conclude(future, NULL, &error);
}

/* A worker ended before it was ready. */
static void count_early_death(pool *p, weir_future *future, const weir_error *why)
{
    if (++p->early_deaths < EARLY_DEATHS_MAX) {
        if (future)
            serve(p, future);
        return;
    }
    weir_error error;
    wi_fail(&error, WEIR_BROKEN,
            "%d worker processes in a row ended before they could run anything: the last %s",
            p->early_deaths, why->text);
    wi_executor_break(p->ex, &error);
    if (future)
        conclude(future, NULL, &error);
}

static void on_gone(wi_process *process, const weir_error *why)
{
    pool *p = process->owner;
    weir_future *future = process->future;
    wi_list_remove(&process->node);
    if (process->is_idle)
        count_idle(p, -1);
    if (!process->is_leaving) {
        p->live--;
        count_replaced(p);
        wi_executor_retire(p->ex);
        if (!process->is_ready)
            count_early_death(p, future, why);
        else if (future && process->has_refused && process->tasks)
            serve(p, future);
        else if (future)
            fail_with_its_worker(future, why);
    }
    free(process);
    pump(p);
}

static const wi_process_events process_events = {
    .ready = on_ready,
    .replied = on_replied,
    .gone = on_gone,
};

/* ---- the manager ---- */

static void on_pump(wi_post *post)
{
    pump(wi_container_of(post, pool, pump_post));
}

static bool is_asked(weir_future *future)
{
    pthread_mutex_lock(&future->lock);
    bool asked = future->asked;
    pthread_mutex_unlock(&future->lock);
    return asked;
}

/* What a process was asked may have been meant for the task before, which was about to end. */
static void on_cancel(wi_post *post)
{
    pool *p = wi_container_of(post, pool, cancel_post);
    for (wi_list *node = p->busy.next; node != &p->busy; node = node->next) {
        wi_process *process = wi_container_of(node, wi_process, node);
        if (atomic_exchange(&process->asked, false) && process->future && is_asked(process->future))
            wi_process_cancel(process);
    }
}

static void on_grace(wi_timer *timer)
{
    pool *p = wi_container_of(timer, pool, grace);
    for (wi_list *node = p->leaving.next; node != &p->leaving; node = node->next)
        wi_process_kill(wi_container_of(node, wi_process, node));
}

static void *manage(void *arg)
{
    pool *p = arg;
    weir_error error;
    while (wi_loop_run(p->loop, &error))
        continue; /* epoll was short of memory: there is nobody but this thread to go on */
    return NULL;
}

static weir_status start_manager(pool *p, weir_error *err)
{
    weir_status status = wi_loop_new(p->ex->clock, &p->loop, err);
    if (status)
        return status;
    char name[16];
    wi_thread_name(name, p->ex->options.thread_name_prefix, 0);
    if (!wi_timer_init(&p->grace, p->loop, on_grace))
        status = wi_fail_nomem(err);
    if (!status)
        status = wi_thread_start(&p->manager, name, manage, p, err);
    if (status) {
        wi_timer_fini(&p->grace);
        wi_loop_free(p->loop);
        p->loop = NULL;
    }
    return status;
}

/* ---- what the front asks for ---- */

static weir_status open_pool(weir_executor *ex, weir_error *err)
{
    const weir_executor_options *options = &ex->options;
    if (options->initializer_arg && !options->initializer_type.size &&
        !options->initializer_type.measure)
        return wi_fail(err, WEIR_INVALID,
                       "initializer_arg is copied into each process: set initializer_type");
    if (!wi_module_is_early((void *)open_pool))
        return wi_fail(err, WEIR_UNSUPPORTED,
                       "processes need libweir from the program's start on, and it was opened "
                       "later: link the program to it");
    pool *p = calloc(1, sizeof *p);
    if (!p)
        return wi_fail_nomem(err);
    p->ex = ex;
    pthread_mutex_init(&p->start_lock, NULL);
    atomic_init(&p->hungry, true);
    wi_post_init(&p->pump_post, on_pump);
    wi_post_init(&p->cancel_post, on_cancel);
    wi_list_init(&p->idle);
    wi_list_init(&p->busy);
    wi_list_init(&p->leaving);
    ex->backend_state = p;
    return WEIR_OK;
}

static weir_status check_task(weir_executor *ex, const weir_task *task, weir_error *err)
{
    (void)ex;
    if (!task->arg || task->argument.size || task->argument.measure)
        return WEIR_OK;
    return wi_fail(err, WEIR_INVALID,
                   "the argument of %s is copied into another process: set argument.size or "
                   "argument.measure, or pass NULL",
                   task->name ? task->name : "a task");
}

static weir_status summon_process(weir_executor *ex, wi_work *work, weir_error *err)
{
    (void)work;
    pool *p = ex->backend_state;
    weir_status status = WEIR_OK;
    if (!atomic_load(&p->started)) {
        pthread_mutex_lock(&p->start_lock);
        if (!atomic_load(&p->started)) {
            status = start_manager(p, err);
            atomic_store(&p->started, !status);
        }
        pthread_mutex_unlock(&p->start_lock);
    }
    if (!status && atomic_exchange(&p->hungry, false))
        wi_loop_post(p->loop, &p->pump_post);
    return status;
}

static void wake_manager(weir_executor *ex)
{
    pool *p = ex->backend_state;
    if (atomic_load(&p->started))
        wi_loop_post(p->loop, &p->pump_post);
}

static void close_pool(weir_executor *ex)
{
    pool *p = ex->backend_state;
    if (atomic_load(&p->started)) {
        pthread_join(p->manager, NULL);
        wi_timer_fini(&p->grace);
        wi_loop_free(p->loop);
    }
    pthread_mutex_destroy(&p->start_lock);
    free(p);
}

const wi_executor_backend wi_executor_processes = {
    .name = "processes",
    .open = open_pool,
    .check = check_task,
    .summon = summon_process,
    .closing = wake_manager,
    .close = close_pool,
    .in_process = false,
};
