/* heap.c: see heap.h. Its invariant: nodes[i]->index == i + 1, and no child is below its parent. */
#include "heap.h"

#include <stdlib.h>

static void place(wi_heap *heap, size_t at, wi_heap_node *node)
{
    heap->nodes[at] = node;
    node->index = at + 1;
}

static void sift_up(wi_heap *heap, size_t at, wi_heap_node *node)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->nodes[parent]->key <= node->key)
            break;
        place(heap, at, heap->nodes[parent]);
        at = parent;
    }
    place(heap, at, node);
}

static void sift_down(wi_heap *heap, size_t at, wi_heap_node *node)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->len)
            break;
        if (child + 1 < heap->len && heap->nodes[child + 1]->key < heap->nodes[child]->key)
            child++;
        if (node->key <= heap->nodes[child]->key)
            break;
        place(heap, at, heap->nodes[child]);
        at = child;
    }
    place(heap, at, node);
}

void wi_heap_fini(wi_heap *heap)
{
    free(heap->nodes);
    *heap = (wi_heap)WI_HEAP_INIT;
}

bool wi_heap_reserve(wi_heap *heap, size_t n)
{
    if (n <= heap->cap)
        return true;
    size_t cap = heap->cap ? heap->cap * 2 : 64;
    if (cap < n)
        cap = n;
    wi_heap_node **nodes = realloc(heap->nodes, cap * sizeof *nodes);
    if (!nodes)
        return false;
    heap->nodes = nodes;
    heap->cap = cap;
    return true;
}

bool wi_heap_push(wi_heap *heap, wi_heap_node *node, int64_t key)
{
    if (!wi_heap_reserve(heap, heap->len + 1))
        return false;
    node->key = key;
    sift_up(heap, heap->len++, node);
    return true;
}

void wi_heap_remove(wi_heap *heap, wi_heap_node *node)
{
    if (!node->index)
        return;
    size_t at = node->index - 1;
    node->index = 0;
    wi_heap_node *last = heap->nodes[--heap->len];
    if (last == node)
        return;
    if (at > 0 && heap->nodes[(at - 1) / 2]->key > last->key)
        sift_up(heap, at, last);
    else
        sift_down(heap, at, last);
}
