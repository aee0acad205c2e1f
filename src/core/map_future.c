/*
 * map_future.c: the items of a map as futures, for executors whose workers can't reach the map.
 *
 * Some more are submitted than there are workers, so that none has to wait for the next. An array
 * is fed whenever a future is over, a lazy input only by the consumer, since it may wait. The
 * invariant: an item is in the map's list, and counts as present, from being drawn until its
 * future's callback has done with the map.
 */
#include <stdlib.h>

#include "future_state.h"
#include "map_state.h"

typedef struct map_item {
    wi_list node;
    weir_map *map;
    size_t place;
    void *arg;
    weir_future *future; /* NULL: not submitted yet; under the map's lock, as are the next two */
    bool lost;           /* its outcome was delivered already */
    bool asked;          /* to end */
} map_item;

static map_item *item_of(wi_list *node)
{
    return wi_container_of(node, map_item, node);
}

/* The item is over with an outcome, and known no more. */
static void finish(map_item *item, void *value, const weir_error *error)
{
    weir_map *map = item->map;
    pthread_mutex_lock(&map->lock);
    bool lost = item->lost;
    wi_list_remove(&item->node);
    map->in_flight--;
    pthread_mutex_unlock(&map->lock);
    if (lost && !error && value)
        map->release_result(value);
    if (!lost)
        wi_map_deliver(map, item->place, error ? WI_SLOT_FAILED : 0,
                       error ? wi_map_copy_error(error) : value, item->arg);
}

static void leave(map_item *item)
{
    weir_map *map = item->map;
    free(item);
    pthread_mutex_lock(&map->lock);
    map->present--;
    if (map->closed)
        wi_map_wake(map);
    pthread_mutex_unlock(&map->lock);
}

static void future_done(weir_future *future, void *arg)
{
    map_item *item = arg;
    weir_map *map = item->map;
    weir_error error;
    void *result = NULL;
    weir_status status = weir_future_result(future, 0, &result, &error);
    finish(item, result, status ? &error : NULL);
    weir_future_unref(future);
    if (map->items)
        wi_map_feed(map, false, NULL);
    leave(item);
}

/* ---- feeding ---- */

/* Draws an item, which may turn out to have no memory. Under the lock. */
static map_item *draw(weir_map *map)
{
    size_t place = map->drawn;
    void *arg = NULL;
    if (map->items) {
        arg = wi_map_item(map, place);
        map->drawn++;
    } else if (wi_map_draw(map, &place, &arg))
        return NULL;
    map_item *fresh = calloc(1, sizeof *fresh);
    if (!fresh) {
        weir_error error;
        wi_fail_nomem(&error);
        wi_map_store(map, place, WI_SLOT_FAILED, wi_map_copy_error(&error), arg);
        wi_map_wake(map);
        return NULL;
    }
    fresh->map = map;
    fresh->place = place;
    fresh->arg = arg;
    wi_list_append(&map->futures, &fresh->node);
    map->in_flight++;
    map->present++;
    return fresh;
}

/* The next to submit: one that found the queue full, or a new one. Under the lock. */
static map_item *next_item(weir_map *map)
{
    if (map->closed || wi_map_is_late(map))
        return NULL;
    if (!wi_list_empty(&map->futures) && !item_of(map->futures.prev)->future)
        return item_of(map->futures.prev);
    while (map->in_flight < map->max_runners && wi_map_room(map)) {
        map_item *drawn = draw(map);
        if (drawn)
            return drawn;
    }
    return NULL;
}

/*
 * Without memory for a callback: a task that runs reads its argument, so it is asked to end, and
 * looked at now and then. The thread that hands out tasks never waits here, for what it has just
 * submitted is still pending.
 */
static void end_unheard(weir_future *future)
{
    wi_parker place;
    weir_future_cancel(future);
    while (!weir_future_done(future))
        wi_park(wi_parker_here(&place), wi_park_now() + WI_MILLISECOND);
}

/* From here on the future's callback has the item. */
static void watch(map_item *item, weir_future *future)
{
    weir_map *map = item->map;
    pthread_mutex_lock(&map->lock);
    item->future = future;
    bool ask = map->closed && (map->abandoned || map->freeing);
    item->asked = ask;
    pthread_mutex_unlock(&map->lock);
    if (ask)
        weir_future_cancel(future);
    weir_error error;
    if (!weir_future_add_done_callback(future, future_done, item, &error))
        return;
    end_unheard(future);
    weir_future_unref(future);
    finish(item, NULL, &error);
    leave(item);
}

static weir_status submit(map_item *item, bool wait, weir_error *err)
{
    weir_map *map = item->map;
    weir_task task = {.fn = map->fn,
                      .arg = item->arg,
                      .name = map->name,
                      .argument = map->argument,
                      .result = map->result,
                      .timeout = map->task_timeout};
    task.argument.release = NULL; /* whoever gets the outcome may look at it */
    weir_future *future;
    weir_status status = wait ? weir_executor_submit(map->executor, &task, &future, err)
                              : weir_executor_try_submit(map->executor, &task, &future, err);
    if (!status)
        watch(item, future);
    return status;
}

/* True: the item failed, not the executor. */
static bool is_items_own(weir_status status)
{
    return status == WEIR_NOMEM || status == WEIR_INVALID || status == WEIR_UNSUPPORTED;
}

/* False: it has to be tried again later. */
static bool submit_or_fail(map_item *item, bool wait, weir_error *why)
{
    weir_map *map = item->map;
    weir_status status = submit(item, wait, why);
    if (!status)
        return true;
    if (status == WEIR_AGAIN || (wait && wi_task_check(NULL)))
        return false;
    if (!is_items_own(status)) {
        pthread_mutex_lock(&map->lock);
        wi_map_close(map, why, false);
        map->told = true;
        pthread_mutex_unlock(&map->lock);
    }
    finish(item, NULL, why);
    leave(item);
    return true;
}

weir_status wi_map_feed(weir_map *map, bool wait, weir_error *err)
{
    weir_error why;
    why.status = WEIR_OK;
    pthread_mutex_lock(&map->lock);
    bool mine = !map->feeding;
    bool more = mine;
    while (more) {
        map->feeding = true;
        map_item *item = next_item(map);
        bool only = map->in_flight == 1;
        if (!item)
            break;
        pthread_mutex_unlock(&map->lock);
        more = submit_or_fail(item, wait && only, &why);
        pthread_mutex_lock(&map->lock);
    }
    if (mine)
        map->feeding = false;
    bool closed = map->closed;
    pthread_mutex_unlock(&map->lock);
    if (closed)
        wi_map_cancel_futures(map);
    if (more)
        return WEIR_OK;
    if (err && mine)
        *err = why;
    return mine ? why.status : WEIR_OK;
}

/* ---- the end ---- */

/* Its task may still run, and read the argument. */
void wi_map_abandon_futures(weir_map *map, const weir_error *why)
{
    for (wi_list *node = map->futures.next; node != &map->futures; node = node->next) {
        map_item *each = item_of(node);
        map->told = true;
        each->lost = true;
        wi_map_store(map, each->place, WI_SLOT_FAILED | WI_SLOT_LENT, wi_map_copy_error(why),
                     each->arg);
    }
}

/* One that is to be ended, or NULL; *future: referenced, or NULL if it has none. Under the lock. */
static map_item *find_unended(weir_map *map, weir_future **future)
{
    bool ask = map->abandoned || map->freeing;
    for (wi_list *node = map->futures.next; node != &map->futures; node = node->next) {
        map_item *each = item_of(node);
        if (each->asked || (each->future ? !ask : map->feeding))
            continue;
        each->asked = true;
        *future = each->future ? weir_future_ref(each->future) : NULL;
        return each;
    }
    return NULL;
}

void wi_map_cancel_futures(weir_map *map)
{
    for (;;) {
        weir_future *future;
        pthread_mutex_lock(&map->lock);
        map_item *found = find_unended(map, &future);
        pthread_mutex_unlock(&map->lock);
        if (!found)
            return;
        if (future) {
            weir_future_cancel(future);
            weir_future_unref(future);
        } else {
            finish(found, NULL, &map->why);
            leave(found);
        }
    }
}
