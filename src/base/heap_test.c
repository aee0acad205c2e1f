/* heap_test.c: order out of disorder, and removal from the middle. */
#include "heap.h"

#include "random.h"
#include "test.h"

enum { NODES = 500 };

static bool is_heap(const wi_heap *heap)
{
    for (size_t i = 0; i < heap->len; i++)
        if (heap->nodes[i]->index != i + 1 ||
            heap->nodes[(i ? i - 1 : 0) / 2]->key > heap->nodes[i]->key)
            return false;
    return true;
}

TEST(gives_the_smallest_first)
{
    static wi_heap_node nodes[NODES];
    wi_heap heap = WI_HEAP_INIT;
    wi_random random;
    wi_random_init(&random, 1);
    EXPECT(!wi_heap_top(&heap));
    for (int i = 0; i < NODES; i++)
        EXPECT(wi_heap_push(&heap, &nodes[i], wi_random_below(&random, 100) - 50));
    EXPECT(is_heap(&heap));
    int64_t last = INT64_MIN;
    for (int i = 0; i < NODES; i++) {
        wi_heap_node *top = wi_heap_top(&heap);
        REQUIRE(top);
        EXPECT(top->key >= last);
        last = top->key;
        wi_heap_remove(&heap, top);
        EXPECT_INT(top->index, 0);
    }
    EXPECT(!wi_heap_top(&heap));
    wi_heap_fini(&heap);
}

TEST(stays_a_heap_when_any_node_leaves)
{
    static wi_heap_node nodes[NODES];
    wi_heap heap = WI_HEAP_INIT;
    wi_random random;
    wi_random_init(&random, 2);
    for (int i = 0; i < NODES; i++)
        EXPECT(wi_heap_push(&heap, &nodes[i], wi_random_below(&random, 1000)));
    for (int i = 0; i < NODES * 2; i++) {
        wi_heap_remove(&heap, &nodes[wi_random_below(&random, NODES)]); /* some are out already */
        EXPECT(is_heap(&heap));
    }
    size_t in = 0;
    for (int i = 0; i < NODES; i++)
        in += nodes[i].index != 0;
    EXPECT_INT(in, heap.len);
    wi_heap_fini(&heap);
}

TEST(reserve_makes_pushes_safe)
{
    wi_heap heap = WI_HEAP_INIT;
    EXPECT(wi_heap_reserve(&heap, 1000));
    EXPECT(heap.cap >= 1000);
    wi_heap_node **before = heap.nodes;
    static wi_heap_node nodes[1000];
    for (int i = 0; i < 1000; i++)
        EXPECT(wi_heap_push(&heap, &nodes[i], -i));
    EXPECT(heap.nodes == before);
    EXPECT(wi_heap_top(&heap) == &nodes[999]);
    wi_heap_fini(&heap);
}

TESTS(CASE(gives_the_smallest_first), CASE(stays_a_heap_when_any_node_leaves),
      CASE(reserve_makes_pushes_safe))
