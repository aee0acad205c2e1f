/*
 * map_runner.c: the items of a map, run by the workers of executors in this process.
 *
 * A runner is what the executor queues and a worker takes: it draws items, a chunk at a time, and
 * runs one after another. Few runners are queued at a time, and each that begins calls the next as
 * long as there is something to do: so a map has as many as its executor can run, and no queue is
 * filled with them. Chunks are of one item, and grow while items are quick.
 *
 * What a runner holds is one word: the item it runs and those it will run, which others take from
 * the far end if they have nothing to do: a slow item holds nobody back. Its invariant: who takes
 * an item out of a runner's word, by compare and exchange, runs it or delivers its failure; who
 * takes the item that runs out of it delivers its outcome.
 */
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "fiber.h"
#include "map_state.h"

/* The word: first item that has not begun, how many of these, flags. */
enum {
    HELD_BUSY = 1, /* the item before the first one runs */
    HELD_LOST = 2, /* its outcome was delivered by somebody else */
    HELD_FLAGS = 3,
    HELD_COUNT_SHIFT = 2,
    HELD_FIRST_SHIFT = 16,
    CHUNK_MAX = 256,
    WAITING_MAX = 64, /* for fibers, which begin by the thousand; for threads one */
};

static const int64_t slice_quick = 25000; /* ns: a chunk that took less may be larger */
static const int64_t slice_slow = 100000; /* one that took more has to be smaller */

struct wi_map_runner {
    wi_work work;
    weir_map *map;
    wi_list node; /* in queued, runners, spare or none */
    bool queued;
    wi_list holder; /* in holders */
    _Atomic uint64_t held;
    wi_task *task; /* while it runs */
    void *arg;     /* of a lazy map, of the item that runs */
    bool leaving;  /* has stopped, and is not quite out of it */
    bool bounded;  /* it runs on top of the consumer: one chunk, no more */
};

/* A runner's run, on the stack of the worker. */
typedef struct map_turn {
    wi_map_runner *runner;
    weir_map *map;
    wi_task task;
    wi_tally tally;
    size_t slice; /* items until it looks around */
    size_t ran;
    int64_t since;
    long tick; /* of the coarse clock: when it changes, the slice is over */
    weir_error error;
} map_turn;

/* ---- the word ---- */

static uint64_t make_held(size_t first, size_t count, uint64_t flags)
{
    return (uint64_t)first << HELD_FIRST_SHIFT | (uint64_t)count << HELD_COUNT_SHIFT | flags;
}

static size_t held_first(uint64_t held)
{
    return (size_t)(held >> HELD_FIRST_SHIFT);
}

static size_t held_count(uint64_t held)
{
    return (size_t)(held >> HELD_COUNT_SHIFT) &
           (((size_t)1 << (HELD_FIRST_SHIFT - HELD_COUNT_SHIFT)) - 1);
}

static size_t count_of(wi_map_runner *runner)
{
    return held_count(atomic_load_explicit(&runner->held, memory_order_relaxed));
}

/* The runner's own next item, if it has one; begins it. */
static bool take_first(wi_map_runner *runner, size_t *place)
{
    uint64_t held = atomic_load(&runner->held);
    while (held_count(held) && !(held & HELD_LOST)) {
        *place = held_first(held);
        uint64_t next = make_held(*place + 1, held_count(held) - 1, HELD_BUSY);
        if (atomic_compare_exchange_weak(&runner->held, &held, next))
            return true;
    }
    return false;
}

/* Takes an item out of another's word, to begin it elsewhere. */
static bool take_last(wi_map_runner *other, size_t *place)
{
    uint64_t held = atomic_load(&other->held);
    while (held_count(held)) {
        size_t left = held_count(held) - 1;
        *place = held_first(held) + left;
        uint64_t next = make_held(held_first(held), left, held & HELD_FLAGS);
        if (atomic_compare_exchange_weak(&other->held, &held, next))
            return true;
    }
    return false;
}

typedef enum after { AFTER_LOST, AFTER_IDLE, AFTER_NEXT } after;

/* The item that ran is over and its outcome the runner's to deliver, unless it was lost; with
 * go_on, the next one begins if there is one. */
static after settle(wi_map_runner *runner, bool go_on, size_t *next)
{
    uint64_t held = atomic_load_explicit(&runner->held, memory_order_relaxed);
    for (;;) {
        if (held & HELD_LOST)
            return AFTER_LOST;
        bool has = go_on && held_count(held);
        *next = held_first(held);
        uint64_t then = has ? make_held(*next + 1, held_count(held) - 1, HELD_BUSY)
                            : held & ~(uint64_t)HELD_BUSY;
        if (atomic_compare_exchange_weak(&runner->held, &held, then))
            return has ? AFTER_NEXT : AFTER_IDLE;
    }
}

/* ---- what there is to do; all under the lock ---- */

/* Whether drawing is worth the while: of quick items a good many, unless somebody waits. */
static bool has_room(const weir_map *map)
{
    size_t room = wi_map_room(map);
    if (map->chunk == 1 || map->hungry || room == map->total - map->drawn)
        return room > 0;
    size_t good = map->buffer_size / 2 < 8 * map->chunk ? map->buffer_size / 2 : 8 * map->chunk;
    return room > 0 && room >= good;
}

static bool is_active(const wi_map_runner *runner)
{
    return runner->task;
}

static void retire(wi_map_runner *runner)
{
    weir_map *map = runner->map;
    wi_list_remove(&runner->holder);
    if (!is_active(runner) && !runner->leaving && !runner->queued)
        wi_list_prepend(&map->spare, &runner->node);
}

/* Somebody that holds items which have not begun; those that hold none any more are taken off. */
static wi_map_runner *find_holder(weir_map *map)
{
    while (!wi_list_empty(&map->holders)) {
        wi_map_runner *holder = wi_container_of(map->holders.next, wi_map_runner, holder);
        if (count_of(holder))
            return holder;
        retire(holder);
    }
    return NULL;
}

static void run_runner(wi_work *work);
static void drop_runner(wi_work *work, const weir_error *why);
static void hold_runner(wi_work *work);
static void cancel_runner(wi_work *work);

static wi_map_runner *new_runner(weir_map *map)
{
    wi_map_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return NULL;
    runner->work.run = run_runner;
    runner->work.drop = drop_runner;
    runner->work.hold = hold_runner;
    runner->work.cancel = cancel_runner;
    runner->map = map;
    wi_list_init(&runner->work.node);
    wi_list_init(&runner->node);
    wi_list_init(&runner->holder);
    return runner;
}

static wi_map_runner *get_runner(weir_map *map)
{
    wi_list *node = wi_list_shift(&map->spare);
    if (node)
        return wi_container_of(node, wi_map_runner, node);
    return new_runner(map);
}

/* Without memory for another: one that stopped with items left, to go on with them. */
static wi_map_runner *get_idle_holder(weir_map *map)
{
    for (wi_list *node = map->holders.next; node != &map->holders; node = node->next) {
        wi_map_runner *holder = wi_container_of(node, wi_map_runner, holder);
        if (!is_active(holder) && !holder->leaving && !holder->queued)
            return holder;
    }
    return NULL;
}

static wi_map_runner *call_one(weir_map *map)
{
    if (map->waiting == map->max_waiting || map->closed || (!has_room(map) && !find_holder(map)))
        return NULL;
    wi_map_runner *runner = get_runner(map);
    if (!runner)
        runner = get_idle_holder(map);
    map->starved = !runner;
    if (runner) {
        runner->bounded = map->on_demand;
        runner->queued = true;
        wi_list_append(&map->queued, &runner->node);
        map->waiting++;
        map->present++;
    }
    return runner;
}

wi_map_runner *wi_map_call_runner(weir_map *map)
{
    return map->active < map->max_runners ? call_one(map) : NULL;
}

static void unqueue(wi_map_runner *runner)
{
    runner->queued = false;
    wi_list_remove(&runner->node);
    runner->map->waiting--;
}

/* The runner that was queued is so no longer, and does not run. Under the lock. */
static void take_back(wi_map_runner *runner)
{
    weir_map *map = runner->map;
    unqueue(runner);
    map->present--;
    if (!count_of(runner))
        retire(runner);
    if (map->closed)
        wi_map_wake(map);
}

/* The map may have been closed just before the runner was queued, when nobody could recall it. */
static void recall_if_closed(weir_map *map)
{
    pthread_mutex_lock(&map->lock);
    bool closed = map->closed;
    pthread_mutex_unlock(&map->lock);
    if (closed)
        wi_map_recall_runners(map);
}

weir_status wi_map_send_runner(weir_map *map, wi_map_runner *runner, bool wait, weir_error *err)
{
    weir_error why;
    weir_status status = wi_executor_enqueue(map->executor, &runner->work, wait, &why);
    if (!status) {
        recall_if_closed(map);
        return WEIR_OK;
    }
    bool own = status == WEIR_AGAIN || (wait && wi_task_check(NULL)); /* nothing is wrong with it */
    pthread_mutex_lock(&map->lock);
    take_back(runner);
    if (!own && map->active == 0)
        wi_map_close(map, &why, false);
    pthread_mutex_unlock(&map->lock);
    if (err)
        *err = why;
    return status;
}

/* ---- what a runner does next ---- */

static long coarse_tick(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_nsec;
}

static bool draw(map_turn *turn, size_t *place)
{
    weir_map *map = turn->map;
    wi_map_runner *runner = turn->runner;
    size_t count = 1;
    if (map->input) {
        turn->task.limit = turn->task.deadline = map->deadline;
        if (wi_map_draw(map, place, &runner->arg))
            return false;
    } else {
        size_t room = wi_map_room(map);
        count = map->chunk < room ? map->chunk : room;
        *place = map->drawn;
        map->drawn += count;
    }
    atomic_store(&runner->held, make_held(*place + 1, count - 1, HELD_BUSY));
    if (count > 1 && wi_list_empty(&runner->holder))
        wi_list_append(&map->holders, &runner->holder);
    return true;
}

static bool steal(map_turn *turn, size_t *place)
{
    wi_map_runner *holder;
    while ((holder = find_holder(turn->map))) {
        if (!take_last(holder, place))
            continue;
        atomic_store(&turn->runner->held, make_held(*place + 1, 0, HELD_BUSY));
        return true;
    }
    return false;
}

static bool find_item(map_turn *turn, size_t *place)
{
    weir_map *map = turn->map;
    if (map->closed || wi_map_is_late(map))
        return false;
    return take_first(turn->runner, place) || (has_room(map) && draw(turn, place)) ||
           steal(turn, place);
}

static void stop(map_turn *turn)
{
    wi_map_runner *runner = turn->runner;
    wi_list_remove(&runner->node);
    runner->task = NULL;
    runner->leaving = true;
    turn->map->active--;
}

/* Finds an item to run, and calls other runners if there is more; or stops. Somebody who draws
 * from a lazy input is mostly about to be done, and calls another runner if that took longer. */
static bool find_or_stop(map_turn *turn, size_t *place)
{
    weir_map *map = turn->map;
    for (int tries = 0;; tries++) {
        pthread_mutex_lock(&map->lock);
        bool found = find_item(turn, place);
        bool again = !found && map->drawing && tries < 20;
        wi_map_runner *next[2] = {NULL, NULL};
        for (int i = 0; i < 2 && found; i++)
            next[i] = wi_map_call_runner(map);
        if (!found && !again)
            stop(turn);
        pthread_mutex_unlock(&map->lock);
        for (int i = 0; i < 2 && next[i]; i++)
            wi_map_send_runner(map, next[i], false, NULL);
        if (!again)
            return found;
        for (int i = 0; i < 50; i++)
            atomic_signal_fence(memory_order_seq_cst);
    }
}

/* ---- slices ---- */

/* Quick items are drawn in larger chunks, and slow ones soon one by one. */
static void adapt(map_turn *turn, int64_t elapsed)
{
    weir_map *map = turn->map;
    pthread_mutex_lock(&map->lock);
    if (elapsed < slice_quick && turn->ran >= map->chunk)
        map->chunk = map->chunk * 2 < map->max_chunk ? map->chunk * 2 : map->max_chunk;
    else if (elapsed > slice_slow)
        map->chunk = map->chunk / 4 ? map->chunk / 4 : 1;
    turn->slice = map->chunk;
    pthread_mutex_unlock(&map->lock);
}

static void begin_slice(map_turn *turn)
{
    turn->ran = 0;
    turn->since = wi_clock_now(wi_clock_real());
    turn->tick = coarse_tick();
}

/* Whether the executor's queue has something else than this map's runners. */
static bool others_wait(weir_map *map)
{
    weir_executor *ex = map->executor;
    pthread_mutex_lock(&ex->lock);
    bool others = false;
    for (wi_list *node = ex->queue.next; node != &ex->queue && !others; node = node->next) {
        wi_work *work = wi_container_of(node, wi_work, node);
        others = work->run != run_runner || wi_container_of(work, wi_map_runner, work)->map != map;
    }
    pthread_mutex_unlock(&ex->lock);
    return others;
}

/* True: there is a runner at the end of the queue to go on, or nothing to do. */
static bool has_successor(weir_map *map)
{
    pthread_mutex_lock(&map->lock);
    wi_map_runner *next = call_one(map);
    bool queued = map->waiting || !map->starved;
    pthread_mutex_unlock(&map->lock);
    return next ? !wi_map_send_runner(map, next, false, NULL) : queued;
}

/* The slice is over: looks around. True: the runner is to stop, for others wait. */
static bool end_slice(map_turn *turn)
{
    weir_map *map = turn->map;
    int64_t elapsed = wi_clock_now(wi_clock_real()) - turn->since;
    adapt(turn, elapsed);
    if (turn->runner->bounded) {
        if (!map->on_demand)
            has_successor(map);
        return true;
    }
    if (elapsed >= slice_quick && wi_fiber_current())
        wi_fiber_yield();
    begin_slice(turn);
    return others_wait(map) && has_successor(map);
}

static bool is_tired(const map_turn *turn)
{
    return turn->ran >= turn->slice || coarse_tick() != turn->tick;
}

static bool next_item(map_turn *turn, size_t *place)
{
    if (!is_tired(turn) || !end_slice(turn))
        return find_or_stop(turn, place);
    pthread_mutex_lock(&turn->map->lock);
    stop(turn);
    pthread_mutex_unlock(&turn->map->lock);
    return false;
}

/* ---- a runner's run ---- */

static void begin_turn(map_turn *turn, wi_map_runner *runner)
{
    weir_map *map = runner->map;
    turn->runner = runner;
    turn->map = map;
    turn->tally = (wi_tally){0};
    wi_task_enter(&turn->task, map->name, 0);
    turn->task.executor = map->executor;
    pthread_mutex_lock(&map->lock);
    unqueue(runner);
    map->active++;
    runner->task = &turn->task;
    wi_list_append(&map->runners, &runner->node);
    turn->slice = map->chunk;
    pthread_mutex_unlock(&map->lock);
    begin_slice(turn);
}

static void *run_item(map_turn *turn, size_t place, uint64_t *flags)
{
    const weir_map *map = turn->map;
    weir_error *error = &turn->error;
    int64_t deadline = map->task_timeout ? wi_deadline_in(map->task_timeout) : WI_FOREVER;
    turn->task.limit = turn->task.deadline = deadline < map->deadline ? deadline : map->deadline;
    error->status = WEIR_OK;
    error->sys_errno = 0;
    error->text[0] = '\0';
    void *result = map->fn(map->items ? wi_map_item(map, place) : turn->runner->arg, error);
    turn->ran++;
    *flags = error->status ? WI_SLOT_FAILED : 0;
    if (!error->status)
        turn->tally.succeeded++;
    else if (error->status == WEIR_CANCELLED && atomic_load(&turn->task.asked))
        turn->tally.cancelled++;
    else
        turn->tally.failed++;
    return error->status ? wi_map_copy_error(error) : result;
}

static void discard(weir_map *map, void *value, uint64_t flags)
{
    if (flags & WI_SLOT_FAILED)
        wi_map_free_error(value);
    else if (value && map->release_result)
        map->release_result(value);
}

/* Runs the item at `place`, and finds the next. */
static bool run_next(map_turn *turn, size_t *place)
{
    wi_map_runner *runner = turn->runner;
    void *arg = runner->arg;
    uint64_t flags;
    void *value = run_item(turn, *place, &flags);
    size_t next = 0;
    after then = settle(runner, !is_tired(turn), &next);
    if (then == AFTER_LOST)
        discard(turn->map, value, flags);
    else
        wi_map_deliver(turn->map, *place, flags, value, arg);
    *place = next;
    return then == AFTER_NEXT || next_item(turn, place);
}

/* Its tasks are counted before anybody who waits for the runner's end can know of it. */
static void end_turn(map_turn *turn)
{
    wi_map_runner *runner = turn->runner;
    weir_map *map = turn->map;
    wi_task_leave(&turn->task);
    wi_executor_over(map->executor, &runner->work, turn->tally);
    pthread_mutex_lock(&map->lock);
    runner->leaving = false;
    bool bounded = runner->bounded;
    if (!count_of(runner))
        retire(runner);
    map->present--;
    wi_map_runner *next = map->starved ? wi_map_call_runner(map) : NULL;
    if (map->closed || bounded)
        wi_map_wake(map);
    pthread_mutex_unlock(&map->lock);
    if (next)
        wi_map_send_runner(map, next, false, NULL);
}

static void run_runner(wi_work *work)
{
    map_turn turn;
    begin_turn(&turn, wi_container_of(work, wi_map_runner, work));
    size_t place;
    bool more = find_or_stop(&turn, &place);
    while (more)
        more = run_next(&turn, &place);
    end_turn(&turn);
}

/* ---- what others do with a runner ---- */

static void drop_runner(wi_work *work, const weir_error *why)
{
    wi_map_runner *runner = wi_container_of(work, wi_map_runner, work);
    weir_map *map = runner->map;
    pthread_mutex_lock(&map->lock);
    wi_map_close(map, why, false);
    take_back(runner);
    pthread_mutex_unlock(&map->lock);
}

static void hold_runner(wi_work *work)
{
    weir_map *map = wi_container_of(work, wi_map_runner, work)->map;
    pthread_mutex_lock(&map->lock);
    map->present++;
    pthread_mutex_unlock(&map->lock);
}

/* The executor asks all that runs to end: with a map, that is over. */
static void cancel_runner(wi_work *work)
{
    weir_map *map = wi_container_of(work, wi_map_runner, work)->map;
    weir_error why;
    wi_fail(&why, WEIR_CANCELLED, "cancelled because the executor was shut down");
    pthread_mutex_lock(&map->lock);
    wi_map_close(map, &why, false);
    map->present--;
    wi_map_wake(map);
    pthread_mutex_unlock(&map->lock);
}

static void run_claimed(void *arg)
{
    run_runner(arg);
}

/* The runner that has been queued for longest, and for now becomes the last; *left: how many there
 * are. */
static wi_map_runner *next_queued(weir_map *map, size_t *left)
{
    wi_map_runner *runner = NULL;
    pthread_mutex_lock(&map->lock);
    *left = map->waiting;
    if (!wi_list_empty(&map->queued)) {
        runner = wi_container_of(map->queued.next, wi_map_runner, node);
        wi_list_remove(&runner->node);
        wi_list_append(&map->queued, &runner->node);
    }
    pthread_mutex_unlock(&map->lock);
    return runner;
}

/* A queued runner that no worker has taken yet. Somebody keeps the map from going. */
static wi_map_runner *claim(weir_map *map)
{
    size_t left;
    wi_map_runner *runner = next_queued(map, &left);
    for (size_t tries = left; runner && tries > 0; tries--) {
        if (wi_executor_claim(map->executor, &runner->work))
            return runner;
        runner = next_queued(map, &left);
    }
    return NULL;
}

void wi_map_recall_runners(weir_map *map)
{
    wi_map_runner *runner;
    while ((runner = claim(map))) {
        wi_executor_over(map->executor, &runner->work, (wi_tally){0});
        pthread_mutex_lock(&map->lock);
        take_back(runner);
        pthread_mutex_unlock(&map->lock);
    }
}

wi_map_help wi_map_help_out(weir_map *map)
{
    if (!wi_executor_inside(map->executor))
        return WI_MAP_NO_HELP;
    wi_map_runner *runner = claim(map);
    if (!runner)
        return WI_MAP_NO_HELP;
    runner->bounded = true;
    wi_fiber *fiber = wi_fiber_current();
    if (fiber && !wi_fiber_start(wi_fiber_family(fiber), run_claimed, &runner->work, NULL))
        return WI_MAP_HELP_COMES;
    run_runner(&runner->work);
    return WI_MAP_HELPED;
}

/* ---- the end ---- */

static void fail_item(weir_map *map, size_t place, uint64_t flags, const weir_error *why, void *arg)
{
    map->told = true;
    wi_map_store(map, place, flags | WI_SLOT_FAILED, wi_map_copy_error(why), arg);
}

static void fail_held(wi_map_runner *holder)
{
    size_t place;
    while (take_last(holder, &place))
        if (!holder->map->freeing)
            fail_item(holder->map, place, 0, &holder->map->why, NULL);
}

static void lose(wi_map_runner *runner, const weir_error *why)
{
    uint64_t held = atomic_fetch_or(&runner->held, HELD_LOST);
    if (held & HELD_BUSY)
        fail_item(runner->map, held_first(held) - 1, WI_SLOT_LENT, why, runner->arg);
}

void wi_map_close_runners(weir_map *map, const weir_error *why, bool abandon)
{
    for (wi_list *node = map->holders.next; node != &map->holders; node = node->next)
        fail_held(wi_container_of(node, wi_map_runner, holder));
    for (wi_list *node = map->runners.next; node != &map->runners; node = node->next) {
        wi_map_runner *runner = wi_container_of(node, wi_map_runner, node);
        if (abandon)
            lose(runner, why);
        wi_task_cancel(runner->task);
    }
}

/* The first runner is there from the start, so that there is one whatever becomes of memory. */
bool wi_map_init_runners(weir_map *map)
{
    wi_list_init(&map->queued);
    wi_list_init(&map->runners);
    wi_list_init(&map->holders);
    wi_list_init(&map->spare);
    map->chunk = 1;
    map->max_chunk = map->buffer_size / 8 < CHUNK_MAX ? map->buffer_size / 8 : CHUNK_MAX;
    if (map->on_demand || !map->max_chunk)
        map->max_chunk = 1;
    map->max_waiting = map->executor->options.kind == WEIR_FIBERS ? WAITING_MAX : 1;
    wi_map_runner *first = map->in_process ? new_runner(map) : NULL;
    if (first)
        wi_list_append(&map->spare, &first->node);
    return first || !map->in_process;
}

void wi_map_fini_runners(weir_map *map)
{
    wi_list *node;
    while (find_holder(map))
        continue;
    while ((node = wi_list_shift(&map->spare)))
        free(wi_container_of(node, wi_map_runner, node));
}
