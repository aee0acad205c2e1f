/*
 * heap.h: a binary min-heap of nodes that live inside their owners, ordered by a 64-bit key.
 *
 * Each node knows its index, so removing one from the middle is O(log n). Equal keys come out in
 * no promised order. Not thread-safe.
 */
#ifndef WI_HEAP_H
#define WI_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wi_heap_node {
    int64_t key;
    size_t index; /* place in the heap + 1; 0: in no heap */
} wi_heap_node;

typedef struct wi_heap {
    wi_heap_node **nodes;
    size_t len;
    size_t cap;
} wi_heap;

#define WI_HEAP_INIT \
    {                \
        0            \
    }

void wi_heap_fini(wi_heap *heap);

/* Room for at least n nodes in all, so that the next pushes cannot fail; false: no memory. */
bool wi_heap_reserve(wi_heap *heap, size_t n);

/* Adds a node that is in no heap; false: no memory. */
bool wi_heap_push(wi_heap *heap, wi_heap_node *node, int64_t key);

/* Takes a node out; does nothing if it is in none. */
void wi_heap_remove(wi_heap *heap, wi_heap_node *node);

/* The node with the smallest key, left in place; NULL if empty. */
static inline wi_heap_node *wi_heap_top(const wi_heap *heap)
{
    return heap->len ? heap->nodes[0] : NULL;
}

#endif
