/*
 * map_runner.c: the items of a map, run by the workers of executors in this process.
 *
 * What the executor queues is a call for a runner. The worker that takes it is one, on its own
 * stack: it draws items, a chunk at a time, and runs one after another. Few calls are queued at a
 * time, and each runner that begins makes the next as long as there is something to do: so a map
 * has as many as its executor can run, and no queue is filled with them. Chunks are of one item,
 * and grow while items are quick.
 */
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "fiber.h"
#include "map_range.h"
#include "map_state.h"

enum {
    CHUNK_MAX = 256,
    WAITING_MAX = 64, /* for fibers, which begin by the thousand; for threads one */
};

static const int64_t slice_quick = 25000; /* ns: a chunk that took less may be larger */
static const int64_t slice_slow = 100000; /* one that took more has to be smaller */

/* What both kinds of work begin with. */
typedef struct map_hand {
    wi_work work;
    weir_map *map;
} map_hand;

struct wi_map_call {
    map_hand hand;
    wi_list node; /* in queued or spare */
    bool bounded; /* the runner is to stop after one slice, for it runs on top of the consumer */
};

/* A runner, on the stack of its worker. */
typedef struct runner {
    map_hand hand;
    wi_list node; /* in runners */
    wi_map_range range;
    void *arg; /* of a lazy map, of the item that runs */
    wi_task task;
    wi_tally tally;
    size_t slice; /* items until it looks around */
    size_t ran;
    int64_t latest; /* deadline of all it runs */
    int64_t since;
    long tick; /* of the coarse clock: when it changes, the slice is over */
    bool bounded;
    weir_error error;
} runner;

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

/* A range with items which have not begun; those that have none any more are taken off. */
static wi_map_range *find_range(weir_map *map)
{
    while (!wi_list_empty(&map->ranges)) {
        wi_map_range *range = wi_container_of(map->ranges.next, wi_map_range, node);
        if (count_of(range))
            return range;
        wi_list_remove(&range->node);
    }
    return NULL;
}

/* ---- calls ---- */

static void answer_call(wi_work *work);
static void drop_call(wi_work *work, const weir_error *why);
static void end_by_executor(wi_work *work);
static void do_nothing(wi_work *work);

static void init_hand(map_hand *hand, weir_map *map)
{
    hand->work = (wi_work){
        .run = answer_call, .drop = drop_call, .hold = end_by_executor, .cancel = do_nothing};
    wi_list_init(&hand->work.node);
    hand->map = map;
}

static bool add_spare_call(weir_map *map)
{
    wi_map_call *call = calloc(1, sizeof *call);
    if (!call)
        return false;
    init_hand(&call->hand, map);
    wi_list_append(&map->spare, &call->node);
    return true;
}

/* All calls are queued or spare, and there is one: so there is always one if none is queued. */
static wi_map_call *make_call(weir_map *map)
{
    if (map->waiting == map->max_waiting || map->closed || (!has_room(map) && !find_range(map)))
        return NULL;
    if (wi_list_empty(&map->spare) && !add_spare_call(map))
        return NULL;
    wi_map_call *call = wi_container_of(wi_list_shift(&map->spare), wi_map_call, node);
    call->bounded = map->on_demand;
    wi_list_append(&map->queued, &call->node);
    map->waiting++;
    map->present++;
    return call;
}

wi_map_call *wi_map_make_call(weir_map *map)
{
    return map->active < map->max_runners ? make_call(map) : NULL;
}

static void unqueue(wi_map_call *call)
{
    weir_map *map = call->hand.map;
    wi_list_remove(&call->node);
    wi_list_prepend(&map->spare, &call->node);
    map->waiting--;
}

/* The call is not queued any more, and will not be answered. Under the lock. */
static void take_back(wi_map_call *call)
{
    weir_map *map = call->hand.map;
    unqueue(call);
    map->present--;
    if (map->closed)
        wi_map_wake(map);
}

/* The call that has been queued for longest, and for now becomes the last; *left: how many there
 * are. */
static wi_map_call *next_queued(weir_map *map, size_t *left)
{
    wi_map_call *call = NULL;
    pthread_mutex_lock(&map->lock);
    *left = map->waiting;
    if (!wi_list_empty(&map->queued)) {
        call = wi_container_of(map->queued.next, wi_map_call, node);
        wi_list_remove(&call->node);
        wi_list_append(&map->queued, &call->node);
    }
    pthread_mutex_unlock(&map->lock);
    return call;
}

/* A call that no worker has taken yet. Somebody keeps the map from going. */
static wi_map_call *claim(weir_map *map)
{
    size_t left;
    wi_map_call *call = next_queued(map, &left);
    for (size_t tries = left; call && tries > 0; tries--) {
        if (wi_executor_claim(map->executor, &call->hand.work))
            return call;
        call = next_queued(map, &left);
    }
    return NULL;
}

void wi_map_recall(weir_map *map)
{
    wi_map_call *call;
    while ((call = claim(map))) {
        wi_executor_over(map->executor, &call->hand.work, (wi_tally){0});
        pthread_mutex_lock(&map->lock);
        take_back(call);
        pthread_mutex_unlock(&map->lock);
    }
}

/* The map may have been closed just before the call was queued, when nobody could recall it. */
static void recall_if_closed(weir_map *map)
{
    pthread_mutex_lock(&map->lock);
    bool closed = map->closed;
    pthread_mutex_unlock(&map->lock);
    if (closed)
        wi_map_recall(map);
}

weir_status wi_map_send_call(weir_map *map, wi_map_call *call, bool wait, weir_error *err)
{
    weir_error why;
    weir_status status = wi_executor_enqueue(map->executor, &call->hand.work, wait, &why);
    if (!status) {
        recall_if_closed(map);
        return WEIR_OK;
    }
    bool own = status == WEIR_AGAIN || (wait && wi_task_check(NULL)); /* nothing is wrong with it */
    pthread_mutex_lock(&map->lock);
    take_back(call);
    if (!own && map->active == 0)
        wi_map_close(map, &why, false);
    pthread_mutex_unlock(&map->lock);
    if (err)
        *err = why;
    return status;
}

static void drop_call(wi_work *work, const weir_error *why)
{
    wi_map_call *call = wi_container_of(work, wi_map_call, hand.work);
    weir_map *map = call->hand.map;
    pthread_mutex_lock(&map->lock);
    wi_map_close(map, why, false);
    take_back(call);
    pthread_mutex_unlock(&map->lock);
}

/*
 * The executor asks all that runs to end: with a map, that is over. All is done while the work is
 * held under the executor's lock, so that nothing has to keep it from going after that.
 */
static void end_by_executor(wi_work *work)
{
    weir_map *map = wi_container_of(work, map_hand, work)->map;
    weir_error why;
    wi_fail(&why, WEIR_CANCELLED, "cancelled because the executor was shut down");
    pthread_mutex_lock(&map->lock);
    wi_map_close(map, &why, false);
    pthread_mutex_unlock(&map->lock);
}

static void do_nothing(wi_work *work)
{
    (void)work;
}

/* ---- what a runner does next ---- */

static long coarse_tick(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_nsec;
}

static bool draw(runner *me, size_t *place)
{
    weir_map *map = me->hand.map;
    size_t count = 1;
    if (map->input) {
        me->task.limit = me->task.deadline = me->latest;
        if (wi_map_draw(map, place, &me->arg))
            return false;
    } else {
        size_t room = wi_map_room(map);
        count = map->chunk < room ? map->chunk : room;
        *place = map->drawn;
        map->drawn += count;
    }
    atomic_store(&me->range.held, make_held(*place + 1, count - 1, HELD_BUSY));
    if (count > 1 && wi_list_empty(&me->range.node))
        wi_list_append(&map->ranges, &me->range.node);
    return true;
}

static bool steal(runner *me, size_t *place)
{
    wi_map_range *range;
    while ((range = find_range(me->hand.map))) {
        if (!take_last(range, place))
            continue;
        atomic_store(&me->range.held, make_held(*place + 1, 0, HELD_BUSY));
        return true;
    }
    return false;
}

static bool find_item(runner *me, size_t *place)
{
    weir_map *map = me->hand.map;
    if (map->closed || wi_map_is_late(map))
        return false;
    return take_first(&me->range, place) || (has_room(map) && draw(me, place)) || steal(me, place);
}

/* It holds nothing any more, and nobody knows it any more. */
static void stop(runner *me)
{
    wi_list_remove(&me->node);
    wi_list_remove(&me->range.node);
    me->hand.map->active--;
}

/* Finds an item to run, and calls other runners if there is more; or stops. Somebody who draws
 * from a lazy input is mostly about to be done, and calls another runner if that took longer. */
static bool find_or_stop(runner *me, size_t *place)
{
    weir_map *map = me->hand.map;
    for (int tries = 0;; tries++) {
        pthread_mutex_lock(&map->lock);
        bool found = find_item(me, place);
        bool again = !found && map->drawing && tries < 20;
        wi_map_call *calls[2] = {NULL, NULL};
        for (int i = 0; i < 2 && found; i++)
            calls[i] = wi_map_make_call(map);
        if (!found && !again)
            stop(me);
        pthread_mutex_unlock(&map->lock);
        for (int i = 0; i < 2; i++)
            if (calls[i]) /* the second may have found memory where the first did not */
                wi_map_send_call(map, calls[i], false, NULL);
        if (!again)
            return found;
        for (int i = 0; i < 100 && atomic_load_explicit(&map->drawing, memory_order_relaxed); i++)
            continue;
    }
}

/* ---- slices ---- */

/* Quick items are drawn in larger chunks, and slow ones soon one by one. */
static void adapt(runner *me, int64_t elapsed)
{
    weir_map *map = me->hand.map;
    pthread_mutex_lock(&map->lock);
    if (elapsed < slice_quick && me->ran >= map->chunk)
        map->chunk = map->chunk * 2 < map->max_chunk ? map->chunk * 2 : map->max_chunk;
    else if (elapsed > slice_slow)
        map->chunk = map->chunk / 4 ? map->chunk / 4 : 1;
    me->slice = map->chunk;
    pthread_mutex_unlock(&map->lock);
}

static void begin_slice(runner *me)
{
    me->ran = 0;
    me->since = wi_clock_now(wi_clock_real());
    me->tick = coarse_tick();
}

/* Whether the executor's queue has something else than this map's calls. */
static bool others_wait(weir_map *map)
{
    weir_executor *ex = map->executor;
    pthread_mutex_lock(&ex->lock);
    bool others = false;
    for (wi_list *node = ex->queue.next; node != &ex->queue && !others; node = node->next) {
        wi_work *work = wi_container_of(node, wi_work, node);
        others = work->run != answer_call || wi_container_of(work, map_hand, work)->map != map;
    }
    pthread_mutex_unlock(&ex->lock);
    return others;
}

/* Sees to it that a runner comes to go on, if there is something to do. */
static bool has_successor(weir_map *map)
{
    pthread_mutex_lock(&map->lock);
    wi_map_call *call = make_call(map);
    pthread_mutex_unlock(&map->lock);
    return !call || !wi_map_send_call(map, call, false, NULL);
}

/*
 * Leaves what it holds to whoever answers the next call, and stops. False: it has to go on, for
 * that call was answered already, or what another has left is still there.
 */
static bool leave_to_others(runner *me)
{
    weir_map *map = me->hand.map;
    if (!has_successor(map))
        return false;
    pthread_mutex_lock(&map->lock);
    bool leaves = count_of(&me->range);
    bool can = map->waiting > 0 && !(leaves && count_of(&map->left));
    if (can && leaves) {
        atomic_store(&map->left.held, atomic_exchange(&me->range.held, 0));
        if (wi_list_empty(&map->left.node))
            wi_list_append(&map->ranges, &map->left.node);
    }
    if (can)
        stop(me);
    pthread_mutex_unlock(&map->lock);
    return can;
}

/* The slice is over: looks around. True: the runner has stopped, for others wait. */
static bool end_slice(runner *me)
{
    if (me->hand.map->on_demand) {
        pthread_mutex_lock(&me->hand.map->lock);
        stop(me);
        pthread_mutex_unlock(&me->hand.map->lock);
        return true;
    }
    int64_t elapsed = wi_clock_now(wi_clock_real()) - me->since;
    adapt(me, elapsed);
    if (elapsed >= slice_quick && wi_fiber_current() && !me->bounded)
        wi_fiber_yield();
    begin_slice(me);
    return (me->bounded || others_wait(me->hand.map)) && leave_to_others(me);
}

static bool is_tired(const runner *me)
{
    return me->ran >= me->slice || coarse_tick() != me->tick;
}

static bool next_item(runner *me, size_t *place)
{
    return !(is_tired(me) && end_slice(me)) && find_or_stop(me, place);
}

/* ---- a runner's run ---- */

/* From here on the executor knows the runner instead of the call, which can be used again. */
static void begin(runner *me, wi_map_call *call)
{
    weir_map *map = call->hand.map;
    init_hand(&me->hand, map);
    wi_executor_replace(map->executor, &call->hand.work, &me->hand.work);
    wi_task_enter(&me->task, map->name, 0);
    me->task.executor = map->executor;
    if (map->on_demand)
        wi_task_inherit(&me->task);
    me->latest = map->deadline < me->task.limit ? map->deadline : me->task.limit;
    me->tally = (wi_tally){0};
    atomic_init(&me->range.held, 0);
    wi_list_init(&me->range.node);
    pthread_mutex_lock(&map->lock);
    me->bounded = call->bounded;
    unqueue(call);
    map->active++;
    wi_list_append(&map->runners, &me->node);
    me->slice = map->chunk;
    pthread_mutex_unlock(&map->lock);
    begin_slice(me);
}

static void *run_item(runner *me, size_t place, uint64_t *flags)
{
    const weir_map *map = me->hand.map;
    weir_error *error = &me->error;
    int64_t deadline = map->task_timeout ? wi_deadline_in(map->task_timeout) : WI_FOREVER;
    me->task.limit = me->task.deadline = deadline < me->latest ? deadline : me->latest;
    error->status = WEIR_OK;
    error->sys_errno = 0;
    error->text[0] = '\0';
    void *result = map->fn(map->items ? wi_map_item(map, place) : me->arg, error);
    wi_error_tidy(error);
    me->ran++;
    *flags = error->status ? WI_SLOT_FAILED : 0;
    if (!error->status)
        me->tally.succeeded++;
    else if (error->status == WEIR_CANCELLED && atomic_load(&me->task.asked))
        me->tally.cancelled++;
    else
        me->tally.failed++;
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
static bool run_next(runner *me, size_t *place)
{
    void *arg = me->arg;
    uint64_t flags;
    void *value = run_item(me, *place, &flags);
    size_t next = 0;
    after then = settle(&me->range, !is_tired(me), &next);
    if (then == AFTER_LOST)
        discard(me->hand.map, value, flags);
    else
        wi_map_deliver(me->hand.map, *place, flags, value, arg);
    *place = next;
    return then == AFTER_NEXT || next_item(me, place);
}

/* Its tasks are counted before anybody who waits for the runner's end can know of it. */
static void end(runner *me)
{
    weir_map *map = me->hand.map;
    wi_task_leave(&me->task);
    wi_executor_over(map->executor, &me->hand.work, me->tally);
    pthread_mutex_lock(&map->lock);
    map->present--;
    if (map->closed || me->bounded)
        wi_map_wake(map);
    pthread_mutex_unlock(&map->lock);
}

static void answer_call(wi_work *work)
{
    runner me;
    begin(&me, wi_container_of(work, wi_map_call, hand.work));
    size_t place;
    bool more = find_or_stop(&me, &place);
    while (more)
        more = run_next(&me, &place);
    end(&me);
}

/* ---- help ---- */

static void answer_claimed(void *arg)
{
    answer_call(arg);
}

wi_map_help wi_map_help_out(weir_map *map)
{
    if (!wi_executor_inside(map->executor))
        return WI_MAP_NO_HELP;
    wi_map_call *call = claim(map);
    if (!call)
        return WI_MAP_NO_HELP;
    call->bounded = true;
    wi_fiber *fiber = wi_fiber_current();
    wi_work *work = &call->hand.work;
    if (fiber && !wi_fiber_start(wi_fiber_family(fiber), answer_claimed, work, NULL))
        return WI_MAP_HELP_COMES;
    answer_call(work);
    return WI_MAP_HELPED;
}

/* ---- the end ---- */

static void fail_item(weir_map *map, size_t place, uint64_t flags, const weir_error *why, void *arg)
{
    map->told = true;
    wi_map_store(map, place, flags | WI_SLOT_FAILED, wi_map_copy_error(why), arg);
}

static void fail_held(weir_map *map, wi_map_range *range)
{
    size_t place;
    while (take_last(range, &place))
        if (!map->freeing)
            fail_item(map, place, 0, &map->why, NULL);
}

static void lose(runner *lost, const weir_error *why)
{
    uint64_t held = atomic_fetch_or(&lost->range.held, HELD_LOST);
    if (held & HELD_BUSY)
        fail_item(lost->hand.map, held_first(held) - 1, WI_SLOT_LENT, why, lost->arg);
}

void wi_map_close_runners(weir_map *map, const weir_error *why, bool abandon)
{
    wi_map_range *range;
    while ((range = find_range(map)))
        fail_held(map, range);
    for (wi_list *node = map->runners.next; node != &map->runners; node = node->next) {
        runner *each = wi_container_of(node, runner, node);
        if (abandon)
            lose(each, why);
        wi_task_cancel(&each->task);
    }
}

bool wi_map_init_runners(weir_map *map)
{
    wi_list_init(&map->queued);
    wi_list_init(&map->runners);
    wi_list_init(&map->ranges);
    wi_list_init(&map->spare);
    wi_list_init(&map->left.node);
    map->chunk = 1;
    map->max_chunk = map->buffer_size / 8 < CHUNK_MAX ? map->buffer_size / 8 : CHUNK_MAX;
    if (map->on_demand || !map->max_chunk)
        map->max_chunk = 1;
    map->max_waiting = map->executor->options.kind == WEIR_FIBERS ? WAITING_MAX : 1;
    return !map->in_process || add_spare_call(map);
}

void wi_map_fini_runners(weir_map *map)
{
    wi_list *node;
    while ((node = wi_list_shift(&map->spare)))
        free(wi_container_of(node, wi_map_call, node));
}
