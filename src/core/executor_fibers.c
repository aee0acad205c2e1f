/*
 * executor_fibers.c: tasks on fibers of a few loops, each loop on a thread of its own. Its
 * invariant: as long as work is queued and fewer fibers run than may, a loop has been told to start
 * one and will.
 *
 * Work stays in the executor's one queue until a fiber takes it; what goes round the loops is the
 * word that there is some. A loop starts fibers one after another: each, before it runs its first
 * work, sees to it that the next is started if the loop has been told of more. So many that never
 * wait are run by one fiber, and a fiber that waits is followed by another.
 */
#include <limits.h>
#include <stdlib.h>

#include "executor_state.h"
#include "fiber.h"
#include "thread.h"

enum {
    WORKS_PER_TURN = 64, /* of a fiber, that did not wait; then others get their turn */
    RETRY_AFTER = 10 * WI_MILLISECOND,
};

typedef struct lane lane;

struct lane {
    weir_executor *ex;
    pthread_t thread;
    wi_post word;
    atomic_int told; /* works that were queued for this loop, and not yet heard of */

    /* of the loop's thread */
    wi_loop *loop; /* written under start_lock too; NULL: not started, or gone */
    wi_fibers *fibers;
    int64_t owed;   /* works that it was told of and no fiber was started for */
    bool ready;     /* initialized */
    bool starting;  /* a fiber that has not begun yet */
    wi_timer retry; /* to start one */
    bool failed;    /* its loop */
    bool started;   /* under start_lock */
};

typedef struct fibers_state {
    pthread_mutex_t
        start_lock; /* over next, each lane's started, and its loop's coming and going */
    int next;
    int count;
    atomic_llong live; /* fibers that run works */
    lane lanes[];
} fibers_state;

static weir_status open_fibers(weir_executor *ex, weir_error *err)
{
    int count = ex->options.loops;
    fibers_state *state = calloc(1, sizeof *state + (size_t)count * sizeof *state->lanes);
    if (!state)
        return wi_fail_nomem(err);
    pthread_mutex_init(&state->start_lock, NULL);
    state->count = count;
    for (int i = 0; i < count; i++)
        state->lanes[i].ex = ex;
    ex->backend_state = state;
    return WEIR_OK;
}

/* ---- fibers, on a loop's thread ---- */

static void start_fiber(lane *me);

/* A place among those that run at once. */
static bool enter(weir_executor *ex)
{
    fibers_state *state = ex->backend_state;
    int64_t most = ex->options.max_workers ? ex->options.max_workers : LLONG_MAX;
    long long live = atomic_load(&state->live);
    while (live < most)
        if (atomic_compare_exchange_weak(&state->live, &live, live + 1))
            return true;
    return false;
}

static void leave(weir_executor *ex)
{
    fibers_state *state = ex->backend_state;
    atomic_fetch_sub(&state->live, 1);
}

static bool has_queued(weir_executor *ex)
{
    pthread_mutex_lock(&ex->lock);
    bool has = !wi_list_empty(&ex->queue);
    pthread_mutex_unlock(&ex->lock);
    return has;
}

static void run_works(weir_executor *ex)
{
    int runs = 0;
    wi_work *work;
    while ((work = wi_executor_take(ex))) {
        work->run(work);
        if (++runs % WORKS_PER_TURN == 0)
            wi_fiber_yield();
    }
}

/*
 * The place is given up before the queue is looked at for the last time: whoever queues work after
 * that finds the place free, and whoever did before is found.
 */
static void fiber_main(void *arg)
{
    lane *me = arg;
    me->starting = false;
    start_fiber(me);
    wi_executor_hire(me->ex);
    do {
        run_works(me->ex);
        me->owed = 0;
        leave(me->ex);
    } while (has_queued(me->ex) && enter(me->ex));
    wi_executor_retire(me->ex);
}

static void start_fiber(lane *me)
{
    if (!me->ready || me->starting || !me->owed || !enter(me->ex))
        return;
    fibers_state *state = me->ex->backend_state;
    weir_error err;
    me->starting = true;
    me->owed--;
    if (!wi_fiber_start(me->fibers, fiber_main, me, &err))
        return;
    me->starting = false;
    leave(me->ex);
    if (atomic_load(&state->live) == 0) { /* nobody else comes to what is queued */
        me->owed = 0;
        wi_executor_drop_queued(me->ex, &err);
    } else { /* but those that live may wait for it */
        me->owed++;
        wi_timer_set(&me->retry, wi_loop_clock(me->loop) + RETRY_AFTER);
    }
}

static void on_retry(wi_timer *timer)
{
    start_fiber(wi_container_of(timer, lane, retry));
}

static void initialize(void *arg)
{
    lane *me = arg;
    me->ready = wi_executor_initialize(me->ex);
    start_fiber(me);
    wi_executor_retire(me->ex);
}

static void hear(wi_post *word)
{
    lane *me = wi_container_of(word, lane, word);
    me->owed += atomic_exchange(&me->told, 0);
    start_fiber(me);
}

/* ---- a loop's thread ---- */

/*
 * A loop whose kernel side fails can't be left with fibers on it, since their stacks hold what
 * others wait for. No more tasks are taken and those that run are asked to end, which they hear
 * because posts and timers still work, looked at now and then.
 */
static void bear(lane *me, const weir_error *why)
{
    if (!me->failed) {
        wi_executor_break(me->ex, why);
        wi_executor_cancel_running(me->ex);
    }
    me->failed = true;
    wi_park(wi_parker_here(NULL), wi_park_now() + RETRY_AFTER);
}

static void run_loop(lane *me)
{
    weir_error err;
    while (wi_fibers_live(me->fibers) || !wi_executor_is_closing(me->ex))
        if (wi_loop_turn(me->loop, true, &err))
            bear(me, &err);
}

static void *lane_main(void *arg)
{
    lane *me = arg;
    fibers_state *state = me->ex->backend_state;
    weir_error err;
    if (!me->ready && wi_fiber_start(me->fibers, initialize, me, &err)) {
        wi_executor_break(me->ex, &err);
        wi_executor_retire(me->ex);
    }
    run_loop(me);
    pthread_mutex_lock(&state->start_lock);
    wi_loop *loop = me->loop;
    me->loop = NULL;
    pthread_mutex_unlock(&state->start_lock);
    wi_fibers_free(me->fibers);
    wi_timer_fini(&me->retry);
    wi_loop_free(loop);
    return NULL;
}

static weir_status start_thread(lane *fresh, int number, weir_error *err)
{
    char name[16];
    wi_thread_name(name, fresh->ex->options.thread_name_prefix, number);
    wi_post_init(&fresh->word, hear);
    fresh->ready = !fresh->ex->options.initializer;
    if (!fresh->ready)
        wi_executor_hire(fresh->ex);
    weir_status status = wi_thread_start(&fresh->thread, name, lane_main, fresh, err);
    if (status && !fresh->ready)
        wi_executor_retire(fresh->ex);
    return status;
}

/* Under start_lock. What initializes it counts as a worker. */
static weir_status start_lane(weir_executor *ex, int index, weir_error *err)
{
    fibers_state *state = ex->backend_state;
    lane *fresh = &state->lanes[index];
    weir_status status = wi_loop_new(ex->clock, &fresh->loop, err);
    if (status)
        return status;
    if (!wi_timer_init(&fresh->retry, fresh->loop, on_retry))
        status = wi_fail_nomem(err);
    if (!status)
        status = wi_fibers_new(fresh->loop, ex->options.stack_size, &fresh->fibers, err);
    if (!status) {
        status = start_thread(fresh, index + 1, err);
        fresh->started = !status;
        if (!status)
            return WEIR_OK;
        wi_fibers_free(fresh->fibers);
    }
    wi_timer_fini(&fresh->retry);
    wi_loop_free(fresh->loop);
    fresh->loop = NULL;
    return status;
}

/* ---- what the front asks for ---- */

/* The next loop whose turn it is; if that can't be started, one that was. Under start_lock. */
static lane *choose_lane(weir_executor *ex, weir_error *err)
{
    fibers_state *state = ex->backend_state;
    int index = state->next;
    state->next = (index + 1) % state->count;
    if (state->lanes[index].started || !start_lane(ex, index, err))
        return &state->lanes[index];
    for (int i = 0; i < state->count; i++)
        if (state->lanes[i].started)
            return &state->lanes[i];
    return NULL;
}

static weir_status summon_loop(weir_executor *ex, wi_work *work, weir_error *err)
{
    (void)work;
    fibers_state *state = ex->backend_state;
    pthread_mutex_lock(&state->start_lock);
    lane *chosen = choose_lane(ex, err);
    if (chosen && chosen->loop) {
        atomic_fetch_add(&chosen->told, 1);
        wi_loop_post(chosen->loop, &chosen->word);
    }
    pthread_mutex_unlock(&state->start_lock);
    return chosen ? WEIR_OK : err->status;
}

static void wake_loops(weir_executor *ex)
{
    fibers_state *state = ex->backend_state;
    pthread_mutex_lock(&state->start_lock);
    for (int i = 0; i < state->count; i++)
        if (state->lanes[i].loop)
            wi_loop_post(state->lanes[i].loop, &state->lanes[i].word);
    pthread_mutex_unlock(&state->start_lock);
}

static void join_loops(weir_executor *ex)
{
    fibers_state *state = ex->backend_state;
    wake_loops(ex); /* one may have gone to sleep on a queue that others emptied */
    for (int i = 0; i < state->count; i++)
        if (state->lanes[i].started)
            pthread_join(state->lanes[i].thread, NULL);
    pthread_mutex_destroy(&state->start_lock);
    free(state);
}

const wi_executor_backend wi_executor_fibers = {
    .name = "fibers",
    .open = open_fibers,
    .summon = summon_loop,
    .closing = wake_loops,
    .close = join_loops,
    .in_process = true,
};
