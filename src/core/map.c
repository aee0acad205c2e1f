/*
 * map.c: see map_state.h and weir/map.h. Here is the consumer: it takes the outcomes from the ring
 * one after another, makes room for new items, and lends a hand where nobody else can. Its
 * invariant: whoever waits in weir_map_next has seen, after it said what it waits for, that this
 * has not come.
 */
#include "weir/map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "map_state.h"
#include "option_size.h"

enum {
    BUFFER_SIZE = 4096,
    BUFFER_SIZE_MAX = 1 << 26,
    RING_MAPPED = 16 << 10, /* bytes from which on a ring is mapped */
};

/* ---- errors ---- */

static wi_map_error no_memory = {.status = WEIR_NOMEM};

/* What stands for the end and for success outside can't be an item's error. */
static weir_status error_status(const weir_error *error)
{
    return error->status == WEIR_END ? WEIR_CLOSED : error->status;
}

wi_map_error *wi_map_copy_error(const weir_error *error)
{
    size_t len = strnlen(error->text, sizeof error->text - 1);
    wi_map_error *copy = malloc(sizeof *copy + len + 1);
    if (!copy)
        return &no_memory;
    copy->status = error_status(error);
    copy->sys_errno = error->sys_errno;
    memcpy(copy->text, error->text, len);
    copy->text[len] = '\0';
    return copy;
}

void wi_map_free_error(wi_map_error *error)
{
    if (error != &no_memory)
        free(error);
}

static weir_status hand_out_error(wi_map_error *error, weir_error *err)
{
    weir_status status = error->status;
    if (error == &no_memory)
        wi_fail_nomem(err);
    else if (err) {
        err->status = status;
        err->sys_errno = error->sys_errno;
        memcpy(err->text, error->text, strlen(error->text) + 1);
    }
    wi_map_free_error(error);
    return status;
}

/* ---- the ring: a small one is allocated; a large one is mapped, so that what is never reached
   costs nothing ---- */

static size_t ring_bytes(const weir_map *map)
{
    return map->slot_count * sizeof *map->slots;
}

static bool make_ring(weir_map *map)
{
    while ((size_t)1 << map->slot_shift < map->buffer_size)
        map->slot_shift++;
    map->slot_count = (size_t)1 << map->slot_shift;
    if (ring_bytes(map) < RING_MAPPED) {
        map->slots = calloc(map->slot_count, sizeof *map->slots);
        return map->slots;
    }
    void *mapped = mmap(NULL, ring_bytes(map), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    map->slots = mapped == MAP_FAILED ? NULL : mapped;
    return map->slots;
}

static void free_ring(weir_map *map)
{
    if (ring_bytes(map) < RING_MAPPED)
        free(map->slots);
    else if (map->slots)
        munmap(map->slots, ring_bytes(map));
}

/* ---- start ---- */

static weir_status read_options(weir_map_options *options, const weir_map_options *given,
                                weir_error *err)
{
    *options = (weir_map_options)WEIR_MAP_OPTIONS_INIT;
    weir_status status = WEIR_OK;
    if (given)
        status = wi_options_take(options, sizeof *options, given, "weir_map_options", err);
    if (status)
        return status;
    if (options->timeout < 0 || options->task_timeout < 0)
        return wi_fail(err, WEIR_INVALID, "a map's timeout and task_timeout cannot be negative");
    if (options->buffer_size > BUFFER_SIZE_MAX)
        return wi_fail(err, WEIR_INVALID, "a map's buffer_size is %zu; it may be %d at most",
                       options->buffer_size, BUFFER_SIZE_MAX);
    if (!options->buffer_size)
        options->buffer_size = BUFFER_SIZE;
    return WEIR_OK;
}

static weir_status check_open(weir_executor *ex, weir_error *err)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&ex->lock);
    if (ex->broken.status) {
        status = ex->broken.status;
        if (err)
            *err = ex->broken;
    } else if (atomic_load(&ex->closed))
        status = wi_fail(err, WEIR_CLOSED, "the executor is shut down");
    pthread_mutex_unlock(&ex->lock);
    return status;
}

static void set_executor(weir_map *map, weir_executor *ex)
{
    map->executor = wi_executor_ref(ex);
    map->in_process = ex->backend->in_process;
    map->on_demand = ex->options.kind == WEIR_INLINE;
    size_t workers = (size_t)ex->options.max_workers;
    map->max_runners = map->on_demand ? 1 : workers ? workers : SIZE_MAX;
    if (!map->in_process && workers)
        map->max_runners = 2 * workers;
    /* What comes from another process was allocated here. */
    map->release_result = map->in_process ? map->result.release : free;
}

static weir_map *new_map(weir_executor *ex, const weir_map_options *options, size_t total)
{
    weir_map *map = calloc(1, sizeof *map);
    if (!map)
        return NULL;
    map->total = total;
    map->buffer_size = options->buffer_size < total ? options->buffer_size : total ? total : 1;
    if (!make_ring(map)) {
        free(map);
        return NULL;
    }
    map->step = map->buffer_size / 16 ? map->buffer_size / 16 : 1;
    map->name = options->name;
    map->argument = options->argument;
    map->result = options->result;
    map->task_timeout = options->task_timeout;
    map->deadline = options->timeout ? wi_deadline_in(options->timeout) : WI_FOREVER;
    map->as_completed = options->as_completed;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP); /* it is held for moments */
    pthread_mutex_init(&map->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    wi_list_init(&map->futures);
    set_executor(map, ex);
    if (wi_map_init_runners(map))
        return map;
    weir_map_free(map);
    return NULL;
}

/* Has the executor begin, if there is something to do. A full queue is waited for later. */
static weir_status begin(weir_map *map, weir_error *err)
{
    if (!map->in_process)
        return map->items ? wi_map_feed(map, false, err) : WEIR_OK;
    pthread_mutex_lock(&map->lock);
    wi_map_call *call = map->on_demand ? NULL : wi_map_make_call(map);
    pthread_mutex_unlock(&map->lock);
    weir_error why;
    weir_status status = call ? wi_map_send_call(map, call, false, &why) : WEIR_OK;
    if (!status || status == WEIR_AGAIN)
        return WEIR_OK;
    if (err)
        *err = why;
    return status;
}

static weir_status start(weir_map *map, weir_map **out, weir_error *err)
{
    weir_status status = begin(map, err);
    if (status)
        weir_map_free(map);
    else
        *out = map;
    return status;
}

weir_status weir_map_start(weir_executor *executor, weir_task_fn fn, void *items, size_t n,
                           size_t item_size, const weir_map_options *options, weir_map **out,
                           weir_error *err)
{
    if (!fn || (n && (!items || !item_size)))
        return wi_fail(err, WEIR_INVALID, "a map needs a function, and items with a size");
    weir_map_options chosen;
    weir_status status = read_options(&chosen, options, err);
    if (!status && chosen.argument.release)
        return wi_fail(
            err, WEIR_INVALID,
            "a map's items are the caller's: argument.release is for weir_map_start_lazy");
    if (!status)
        status = check_open(executor, err);
    if (status)
        return status;
    weir_map *map = new_map(executor, &chosen, n);
    if (!map)
        return wi_fail_nomem(err);
    map->fn = fn;
    map->items = items;
    map->item_size = item_size;
    if (!map->argument.size && !map->argument.measure)
        map->argument.size = item_size;
    return start(map, out, err);
}

weir_status weir_map_start_lazy(weir_executor *executor, weir_task_fn fn, weir_map_input input,
                                void *source, const weir_map_options *options, weir_map **out,
                                weir_error *err)
{
    if (!fn || !input)
        return wi_fail(err, WEIR_INVALID, "a map needs a function, and an input");
    weir_map_options chosen;
    weir_status status = read_options(&chosen, options, err);
    if (!status)
        status = check_open(executor, err);
    if (status)
        return status;
    weir_map *map = new_map(executor, &chosen, SIZE_MAX);
    if (!map)
        return wi_fail_nomem(err);
    map->fn = fn;
    map->input = input;
    map->source = source;
    return start(map, out, err);
}

/* ---- input ---- */

static void release_argument(weir_map *map, void *arg)
{
    if (arg && map->argument.release)
        map->argument.release(arg);
}

/* What the input callback fails with is an outcome at its place, and the end. */
static void end_input(weir_map *map, weir_status status, weir_error *error)
{
    size_t place = map->drawn;
    if (status != WEIR_END) {
        if (!error->status)
            wi_fail(error, status, "the map's input failed: %s", weir_status_text(status));
        error->status = status;
        wi_error_tidy(error);
        map->drawn++;
        wi_map_store(map, place, WI_SLOT_FAILED, wi_map_copy_error(error), NULL);
    }
    map->total = map->drawn;
    wi_map_wake(map);
}

weir_status wi_map_draw(weir_map *map, size_t *place, void **arg)
{
    weir_error error;
    error.status = WEIR_OK;
    error.sys_errno = 0;
    error.text[0] = '\0';
    void *drawn = NULL;
    map->drawing = true;
    pthread_mutex_unlock(&map->lock);
    weir_status status = map->input(map->source, &drawn, &error);
    pthread_mutex_lock(&map->lock);
    map->drawing = false;
    if (map->closed) { /* too late: it never had a place */
        if (!status) {
            pthread_mutex_unlock(&map->lock);
            release_argument(map, drawn);
            pthread_mutex_lock(&map->lock);
        }
        return WEIR_END;
    }
    if (status) {
        end_input(map, status, &error);
        return WEIR_END;
    }
    *place = map->drawn++;
    *arg = drawn;
    return WEIR_OK;
}

/* ---- the end ---- */

void wi_map_wake(weir_map *map)
{
    if (map->parker)
        wi_unpark(map->parker);
}

/* The last that holds on to the map from there; it may be gone when this returns. */
static void wake_now(wi_defer *defer)
{
    weir_map *map = wi_container_of(defer, weir_map, wake);
    pthread_mutex_lock(&map->lock);
    atomic_store(&map->waking, false);
    map->present--;
    wi_map_wake(map);
    pthread_mutex_unlock(&map->lock);
}

void wi_map_wake_soon(weir_map *map)
{
    const wi_fiber *fiber = wi_fiber_current();
    if (fiber && atomic_exchange(&map->waking, true))
        return;
    pthread_mutex_lock(&map->lock);
    if (fiber) {
        map->present++;
        wi_defer_init(&map->wake, wake_now);
        wi_defer_set(wi_fiber_loop(fiber), &map->wake);
    } else {
        wi_map_wake(map);
    }
    pthread_mutex_unlock(&map->lock);
}

void wi_map_close(weir_map *map, const weir_error *why, bool abandon)
{
    if (map->abandoned || (map->closed && !abandon))
        return;
    if (!map->closed) {
        map->why = *why;
        map->why.status = error_status(why);
    }
    map->closed = true;
    map->abandoned = abandon;
    if (map->in_process)
        wi_map_close_runners(map, why, abandon);
    else if (abandon)
        wi_map_abandon_futures(map, why);
    wi_map_wake(map);
}

bool wi_map_is_late(weir_map *map)
{
    if (map->abandoned || map->deadline == WI_FOREVER || wi_park_now() < map->deadline)
        return false;
    weir_error why;
    wi_fail(&why, WEIR_TIMEDOUT, "the map's deadline has passed");
    wi_map_close(map, &why, true);
    return true;
}

/* ---- the consumer ---- */

static wi_map_slot *next_slot(weir_map *map, uint64_t *mark)
{
    wi_map_slot *slot = &map->slots[map->taken & (map->slot_count - 1)];
    *mark = atomic_load(&slot->mark);
    return (*mark & WI_SLOT_PHASE) == wi_map_phase(map, map->taken) ? slot : NULL;
}

static bool is_ready(weir_map *map)
{
    uint64_t mark;
    return next_slot(map, &mark);
}

static void let_go(weir_map *map)
{
    if (map->arg_mine)
        release_argument(map, map->arg);
    map->arg_mine = false;
    map->arg = NULL;
}

/* Lets more be drawn, as far as there is room, and has somebody do it. */
static void make_room(weir_map *map, bool hungry)
{
    pthread_mutex_lock(&map->lock);
    map->handed = map->taken;
    map->hungry = hungry;
    wi_map_call *call = map->in_process && !map->on_demand ? wi_map_make_call(map) : NULL;
    pthread_mutex_unlock(&map->lock);
    if (call)
        wi_map_send_call(map, call, false, NULL);
    else if (!map->in_process)
        wi_map_feed(map, false, NULL);
}

static weir_status hand_out(weir_map *map, const wi_map_slot *slot, uint64_t mark, void **result,
                            weir_error *err)
{
    void *value = slot->value;
    map->index = (size_t)(mark >> WI_SLOT_BITS);
    map->arg = map->items ? wi_map_item(map, map->index) : slot->arg;
    map->arg_mine = !map->items && !(mark & WI_SLOT_LENT);
    map->count++;
    map->taken++;
    if (map->taken - map->handed >= map->step)
        make_room(map, false);
    if (mark & WI_SLOT_FAILED)
        return hand_out_error(value, err);
    *result = value;
    return WEIR_OK;
}

/* All that was drawn is taken, and nothing more will be. */
static bool is_over(weir_map *map)
{
    pthread_mutex_lock(&map->lock);
    bool over = map->taken == map->drawn && (map->closed || map->drawn == map->total);
    pthread_mutex_unlock(&map->lock);
    return over;
}

/* Where input was left over and nobody was told why, one more place says it. */
static weir_status end(weir_map *map, weir_error *err)
{
    pthread_mutex_lock(&map->lock);
    bool tell = map->closed && map->drawn != map->total && !map->told;
    map->told = true;
    pthread_mutex_unlock(&map->lock);
    if (!tell)
        return WEIR_END;
    map->index = map->drawn;
    map->arg = wi_map_item(map, map->index);
    map->count++;
    if (err)
        *err = map->why;
    return map->why.status;
}

/* Parks once, unless what it would wait for is there. */
static weir_status sleep_once(weir_map *map, weir_error *err)
{
    weir_status status = WEIR_OK;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    pthread_mutex_lock(&map->lock);
    map->parker = waiting.parker;
    int64_t until = map->abandoned ? WI_FOREVER : map->deadline;
    pthread_mutex_unlock(&map->lock);
    atomic_store(&map->waiting_for, map->taken + 1);
    if (!is_ready(map) && !is_over(map))
        status = wi_task_wait(&waiting, until, err);
    atomic_store(&map->waiting_for, 0);
    pthread_mutex_lock(&map->lock);
    map->parker = NULL;
    pthread_mutex_unlock(&map->lock);
    wi_task_wait_end(&waiting);
    return status;
}

/* As wi_map_send_call and wi_map_feed with wait, which ends with the map's deadline too. */
static weir_status hand_in(weir_map *map, wi_map_call *call, weir_error *err)
{
    wi_task *task = wi_task_current();
    int64_t own = task->deadline;
    if (map->deadline < own)
        task->deadline = map->deadline;
    weir_status status =
        call ? wi_map_send_call(map, call, true, err) : wi_map_feed(map, true, err);
    task->deadline = own;
    return status;
}

/*
 * Sees to it that what the consumer waits for is under way. Here the executor's queue is waited
 * for, or an inline executor runs the task.
 */
static weir_status have_it_begun(weir_map *map, weir_error *err)
{
    pthread_mutex_lock(&map->lock);
    map->handed = map->taken;
    map->hungry = true;
    wi_map_call *call = map->in_process ? wi_map_make_call(map) : NULL;
    bool wait = map->active == 0 && !map->drawing;
    pthread_mutex_unlock(&map->lock);
    if (!call && map->in_process)
        return WEIR_OK;
    if (!wait) {
        if (call)
            wi_map_send_call(map, call, false, NULL);
        return WEIR_OK;
    }
    weir_error why;
    if (!hand_in(map, call, &why))
        return WEIR_OK;
    return wi_task_check(err); /* else the map is closed, or late */
}

static weir_status await(weir_map *map, weir_error *err)
{
    weir_status status = wi_task_check(err);
    if (status)
        return status;
    pthread_mutex_lock(&map->lock);
    bool late = wi_map_is_late(map);
    pthread_mutex_unlock(&map->lock);
    if (late) {
        wi_map_cancel_futures(map);
        return WEIR_OK;
    }
    status = have_it_begun(map, err);
    if (status || is_ready(map))
        return status;
    if (map->in_process && wi_map_help_out(map) == WI_MAP_HELPED)
        return WEIR_OK;
    return sleep_once(map, err);
}

weir_status weir_map_next(weir_map *map, void **result, weir_error *err)
{
    let_go(map);
    for (;;) {
        uint64_t mark;
        const wi_map_slot *slot = next_slot(map, &mark);
        if (slot)
            return hand_out(map, slot, mark, result, err);
        if (is_over(map))
            return end(map, err);
        weir_status status = await(map, err);
        if (status)
            return status;
    }
}

size_t weir_map_count(const weir_map *map)
{
    return map->count;
}

size_t weir_map_index(const weir_map *map)
{
    return map->index;
}

void *weir_map_arg(const weir_map *map)
{
    return map->arg;
}

/* ---- free ---- */

static void close_to_free(weir_map *map)
{
    weir_error why;
    wi_fail(&why, WEIR_CANCELLED, "the map was freed");
    pthread_mutex_lock(&map->lock);
    map->freeing = true;
    wi_map_close(map, &why, false);
    pthread_mutex_unlock(&map->lock);
    if (map->in_process)
        wi_map_recall(map);
    else
        wi_map_cancel_futures(map);
}

/* Until nobody else knows the map, whatever becomes of the calling task. */
static void wait_until_left(weir_map *map)
{
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    pthread_mutex_lock(&map->lock);
    map->parker = waiting.parker;
    while (map->present > 0) {
        pthread_mutex_unlock(&map->lock);
        wi_task_wait_deaf(&waiting);
        pthread_mutex_lock(&map->lock);
    }
    map->parker = NULL;
    pthread_mutex_unlock(&map->lock);
    wi_task_wait_end(&waiting);
}

static void release_outcome(weir_map *map, const wi_map_slot *slot, uint64_t mark)
{
    if (mark & WI_SLOT_FAILED)
        wi_map_free_error(slot->value);
    else if (slot->value && map->release_result)
        map->release_result(slot->value);
}

/* What was not handed out, and arguments that were lent when they were. */
static void drain(weir_map *map)
{
    size_t first = map->drawn > map->slot_count ? map->drawn - map->slot_count : 0;
    for (size_t at = first; at < map->drawn; at++) {
        const wi_map_slot *slot = &map->slots[at & (map->slot_count - 1)];
        uint64_t mark = atomic_load(&slot->mark);
        if ((mark & WI_SLOT_PHASE) != wi_map_phase(map, at))
            continue;
        if (at >= map->taken)
            release_outcome(map, slot, mark);
        if (!map->items && (at >= map->taken || mark & WI_SLOT_LENT))
            release_argument(map, slot->arg);
    }
}

void weir_map_free(weir_map *map)
{
    if (!map)
        return;
    let_go(map);
    close_to_free(map);
    wait_until_left(map);
    drain(map);
    wi_map_fini_runners(map);
    free_ring(map);
    wi_executor_unref(map->executor);
    pthread_mutex_destroy(&map->lock);
    free(map);
}
