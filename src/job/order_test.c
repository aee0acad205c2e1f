/* order_test.c: whatever order things come in, they go out in the order of their numbers. */
#include "order.h"

#include "random.h"
#include "test.h"
#include "torture.h"

enum { MANY = 5000 };

static char things[MANY];

static void shuffle(uint64_t *numbers, size_t n, wi_random *random)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)wi_random_below(random, (int64_t)i);
        uint64_t swap = numbers[i - 1];
        numbers[i - 1] = numbers[k];
        numbers[k] = swap;
    }
}

TEST(permutations_come_out_in_order)
{
    static uint64_t numbers[MANY];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        wi_random random;
        wi_random_init(&random, seed);
        wi_order order = WI_ORDER_INIT;
        size_t n = 1 + (size_t)wi_random_below(&random, MANY);
        for (size_t i = 0; i < n; i++)
            numbers[i] = i;
        shuffle(numbers, n, &random);
        size_t out = 0;
        for (size_t i = 0; i < n; i++) {
            EXPECT(wi_order_put(&order, numbers[i], &things[numbers[i]]));
            void *thing;
            while ((thing = wi_order_take(&order)))
                EXPECT(thing == &things[out++]);
            EXPECT_INT(order.waiting, i + 1 - out);
        }
        EXPECT_INT(out, n);
        EXPECT_INT(order.next, n);
        wi_order_fini(&order);
    }
}

/* A window that moves: the ring need not grow beyond it. */
TEST(room_is_used_again)
{
    wi_order order = WI_ORDER_INIT;
    for (uint64_t base = 0; base < 100000; base += 50) {
        for (uint64_t i = 50; i > 0; i--)
            EXPECT(wi_order_put(&order, base + i - 1, &things[i - 1]));
        for (uint64_t i = 0; i < 50; i++)
            EXPECT(wi_order_take(&order) == &things[i]);
    }
    EXPECT_INT(order.cap, 256);
    EXPECT(!wi_order_take(&order));
    wi_order_fini(&order);
}

/* Growing while the ring's content goes around its end. */
TEST(growth_keeps_places)
{
    wi_order order = WI_ORDER_INIT;
    for (uint64_t i = 0; i < 200; i++) {
        EXPECT(wi_order_put(&order, i, &things[i]));
        EXPECT(wi_order_take(&order) == &things[i]);
    }
    for (uint64_t i = 201; i < 400; i++)
        EXPECT(wi_order_put(&order, i, &things[i]));
    EXPECT(!wi_order_take(&order));
    EXPECT(wi_order_put(&order, 4000, &things[4000]));
    EXPECT(wi_order_put(&order, 200, &things[200]));
    for (uint64_t i = 200; i < 400; i++)
        EXPECT(wi_order_take(&order) == &things[i]);
    EXPECT(!wi_order_take(&order));
    EXPECT(wi_order_take_any(&order) == &things[4000]);
    EXPECT_INT(order.next, 4001);
    wi_order_fini(&order);
}

TEST(take_any_passes_over_gaps)
{
    static const uint64_t numbers[] = {3, 700, 9, 10, 255, 256};
    static const uint64_t sorted[] = {3, 9, 10, 255, 256, 700};
    wi_order order = WI_ORDER_INIT;
    EXPECT(!wi_order_take_any(&order));
    for (size_t i = 0; i < 6; i++)
        EXPECT(wi_order_put(&order, numbers[i], &things[numbers[i]]));
    for (size_t i = 0; i < 6; i++)
        EXPECT(wi_order_take_any(&order) == &things[sorted[i]]);
    EXPECT(!wi_order_take_any(&order));
    wi_order_fini(&order);
}

static weir_status put_three(void)
{
    wi_order order = WI_ORDER_INIT;
    size_t put = 0;
    put += wi_order_put(&order, 2, &things[2]);
    put += wi_order_put(&order, 3000, &things[3000]);
    put += wi_order_put(&order, 0, &things[0]);
    EXPECT_INT(order.waiting, put); /* a failure leaves it as it was */
    for (size_t i = 0; i < put; i++)
        EXPECT(wi_order_take_any(&order) != NULL);
    wi_order_fini(&order);
    return put == 3 ? WEIR_OK : WEIR_NOMEM;
}

TEST(survives_lack_of_memory)
{
    TORTURE(put_three());
}

TESTS(CASE(permutations_come_out_in_order), CASE(room_is_used_again), CASE(growth_keeps_places),
      CASE(take_any_passes_over_gaps), CASE(survives_lack_of_memory))
