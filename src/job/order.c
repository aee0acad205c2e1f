/* order.c: see order.h. Its invariant: number n waits at n modulo cap, and next <= n < next + cap.
 */
#include "order.h"

#include <stdlib.h>

void wi_order_fini(wi_order *order)
{
    free(order->ring);
    *order = (wi_order)WI_ORDER_INIT;
}

static bool grow(wi_order *order, uint64_t span)
{
    size_t cap = order->cap ? order->cap : 256;
    while (cap <= span)
        cap *= 2;
    void **ring = calloc(cap, sizeof *ring);
    if (!ring)
        return false;
    for (uint64_t i = 0; i < order->cap; i++) {
        uint64_t number = order->next + i;
        ring[number & (cap - 1)] = order->ring[number & (order->cap - 1)];
    }
    free(order->ring);
    order->ring = ring;
    order->cap = cap;
    return true;
}

bool wi_order_put(wi_order *order, uint64_t number, void *thing)
{
    uint64_t span = number - order->next;
    if (span >= order->cap && !grow(order, span))
        return false;
    order->ring[number & (order->cap - 1)] = thing;
    order->waiting++;
    return true;
}

void *wi_order_take(wi_order *order)
{
    if (!order->waiting)
        return NULL;
    void **place = &order->ring[order->next & (order->cap - 1)];
    void *thing = *place;
    if (thing) {
        *place = NULL;
        order->next++;
        order->waiting--;
    }
    return thing;
}

void *wi_order_take_any(wi_order *order)
{
    if (!order->waiting)
        return NULL;
    while (!order->ring[order->next & (order->cap - 1)])
        order->next++;
    return wi_order_take(order);
}
