/*
 * order.h: things that come out in the order of their numbers, whatever order they came in.
 *
 * A ring that grows: what waits in it is bounded by who puts it there (the memory budget), not
 * here. Not thread-safe.
 */
#ifndef WI_ORDER_H
#define WI_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wi_order {
    void **ring;
    size_t cap; /* a power of two, or 0 */
    uint64_t next;
    uint64_t waiting;
} wi_order;

#define WI_ORDER_INIT \
    {                 \
        0             \
    }

void wi_order_fini(wi_order *order);

/* Keeps a thing under its number, at least `next` and not yet taken; false: no memory. */
bool wi_order_put(wi_order *order, uint64_t number, void *thing);

/* The thing whose turn it is, removed; NULL if it has not come yet. */
void *wi_order_take(wi_order *order);

/* The lowest-numbered thing that has come, removed, passing over what has not; NULL if empty. */
void *wi_order_take_any(wi_order *order);

#endif
