/*
 * ready.c: see ready.h.
 */
#include "ready.h"

#include <stdlib.h>
#include <string.h>

void wi_ready_init(wi_ready *ready)
{
    *ready = (wi_ready){0};
    wi_list_init(&ready->queues);
}

void wi_ready_fini(wi_ready *ready)
{
    for (size_t i = 0; i < ready->by_origin_len; i++)
        free(ready->by_origin[i]);
    free(ready->by_origin);
}

static bool grow(wi_ready *ready, size_t index)
{
    size_t len = (index + 8) * 2;
    wi_ready_queue **grown = realloc(ready->by_origin, len * sizeof(wi_ready_queue *));
    if (!grown)
        return false;
    memset(grown + ready->by_origin_len, 0, (len - ready->by_origin_len) * sizeof *grown);
    ready->by_origin = grown;
    ready->by_origin_len = len;
    return true;
}

bool wi_ready_reserve(wi_ready *ready, wi_origin *origin)
{
    size_t index = wi_origin_index(origin);
    if (index >= ready->by_origin_len && !grow(ready, index))
        return false;
    if (ready->by_origin[index])
        return true;
    wi_ready_queue *queue = malloc(sizeof *queue);
    if (!queue)
        return false;
    wi_list_init(&queue->node);
    wi_list_init(&queue->items);
    queue->origin = origin;
    ready->by_origin[index] = queue;
    return true;
}

static wi_ready_queue *queue_of(const wi_ready *ready, const wi_item *item)
{
    return ready->by_origin[wi_origin_index(item->origin)];
}

/* Most go to the end; one that is tried again, near the front. */
static wi_list *place_of(wi_ready_queue *queue, const wi_item *item)
{
    wi_list *next = &queue->items;
    if (item->attempts) {
        next = queue->items.next;
        while (next != &queue->items && wi_container_of(next, wi_item, node)->number < item->number)
            next = next->next;
    }
    return next;
}

void wi_ready_put(wi_ready *ready, wi_item *item)
{
    wi_ready_queue *queue = queue_of(ready, item);
    item->state = WI_ITEM_READY;
    wi_list_append(place_of(queue, item), &item->node);
    if (wi_list_empty(&queue->node))
        wi_list_append(&ready->queues, &queue->node);
    ready->len++;
}

wi_item *wi_ready_first(const wi_ready_queue *queue)
{
    return wi_list_empty(&queue->items) ? NULL : wi_container_of(queue->items.next, wi_item, node);
}

void wi_ready_remove(wi_ready *ready, wi_item *item)
{
    wi_ready_queue *queue = queue_of(ready, item);
    wi_list_remove(&item->node);
    if (wi_list_empty(&queue->items))
        wi_list_remove(&queue->node);
    ready->len--;
}
