/* random_test.c: the published sequence, and bounds that hold. */
#include "random.h"

#include "test.h"

TEST(repeats_from_the_same_seed)
{
    wi_random a;
    wi_random b;
    wi_random c;
    wi_random_init(&a, 42);
    wi_random_init(&b, 42);
    wi_random_init(&c, 43);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint32_t x = wi_random_u32(&a);
        EXPECT_INT(x, wi_random_u32(&b));
        same += x == wi_random_u32(&c);
    }
    EXPECT(same < 5);
}

TEST(below_stays_below_and_reaches_all)
{
    wi_random random;
    int seen[7] = {0};
    wi_random_init(&random, 7);
    for (int i = 0; i < 7000; i++) {
        int64_t value = wi_random_below(&random, 7);
        REQUIRE(value >= 0 && value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++)
        EXPECT(seen[i] > 800 && seen[i] < 1200);
    EXPECT_INT(wi_random_below(&random, 1), 0);
    EXPECT_INT(wi_random_below(&random, 0), 0);
    EXPECT_INT(wi_random_below(&random, -5), 0);
    for (int i = 0; i < 100; i++)
        EXPECT(wi_random_below(&random, INT64_MAX) >= 0);
}

TEST(seeds_are_not_zero_and_differ)
{
    uint64_t a = wi_random_seed();
    EXPECT(a != 0);
    EXPECT(a != wi_random_seed());
}

TESTS(CASE(repeats_from_the_same_seed), CASE(below_stays_below_and_reaches_all),
      CASE(seeds_are_not_zero_and_differ))
