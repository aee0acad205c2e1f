/*
 * ready.h: the items of a lane that may begin, in a queue for each origin. Queues that hold any
 * take turns.
 */
#ifndef WI_READY_H
#define WI_READY_H

#include <stdbool.h>
#include <stddef.h>

#include "gate.h"
#include "item.h"
#include "list.h"

typedef struct wi_ready_queue {
    wi_list node;  /* in queues while it has items */
    wi_list items; /* in the order of their numbers */
    wi_origin *origin;
} wi_ready_queue;

/* All to be read; to be changed by the functions alone, but for the order of the queues. */
typedef struct wi_ready {
    wi_list queues;             /* those that have items */
    size_t len;                 /* items */
    wi_ready_queue **by_origin; /* by wi_origin_index */
    size_t by_origin_len;
} wi_ready;

void wi_ready_init(wi_ready *ready);
void wi_ready_fini(wi_ready *ready); /* what it holds is its caller's to free */

/* Makes room for items of that origin, for good. False: no memory. */
bool wi_ready_reserve(wi_ready *ready, wi_origin *origin);

/* Puts an item, whose origin has room, behind those with lower numbers, so that what is awaited is
 * never behind what is not. It is in no list. */
void wi_ready_put(wi_ready *ready, wi_item *item);

/* The first item; NULL: it has none. */
wi_item *wi_ready_first(const wi_ready_queue *queue);

void wi_ready_remove(wi_ready *ready, wi_item *item);

#endif
