/* histogram_test.c: the buckets' error bound, quantiles, merging, the ends of the range. */
#include "histogram.h"

#include "test.h"

TEST(empty_has_no_quantile)
{
    wi_histogram h = {0};
    EXPECT_INT(wi_histogram_quantile(&h, 0.5), 0);
}

TEST(small_values_are_exact)
{
    for (int64_t v = 0; v < 128; v++) {
        wi_histogram h = {0};
        wi_histogram_add(&h, v);
        EXPECT_INT(wi_histogram_quantile(&h, 0.5), v);
    }
}

TEST(error_is_at_most_a_sixty_fourth)
{
    for (int bit = 0; bit < 63; bit++) {
        for (int64_t part = 0; part < 256; part++) {
            int64_t v = (1LL << bit) + (int64_t)(((unsigned __int128)part << bit) / 256);
            wi_histogram h = {0};
            wi_histogram_add(&h, v);
            int64_t got = wi_histogram_quantile(&h, 1);
            int64_t off = got > v ? got - v : v - got;
            if (!EXPECT(off <= v / 64))
                printf("# value %lld came back as %lld\n", (long long)v, (long long)got);
        }
    }
}

TEST(quantiles_follow_the_counts)
{
    wi_histogram h = {0};
    for (int64_t v = 1; v <= 1000; v++)
        wi_histogram_add(&h, v * 1000000);
    int64_t p50 = wi_histogram_quantile(&h, 0.5);
    int64_t p99 = wi_histogram_quantile(&h, 0.99);
    EXPECT(p50 >= 500000000 - 500000000 / 64 && p50 <= 500000000 + 500000000 / 64);
    EXPECT(p99 >= 990000000 - 990000000 / 64 && p99 <= 990000000 + 990000000 / 64);
    EXPECT(wi_histogram_quantile(&h, 0) <= 1000000 + 1000000 / 64);
    EXPECT(wi_histogram_quantile(&h, 1) >= 1000000000 - 1000000000 / 64);
    EXPECT_INT(wi_histogram_quantile(&h, 7), wi_histogram_quantile(&h, 1));
    EXPECT_INT(wi_histogram_quantile(&h, -1), wi_histogram_quantile(&h, 0));
}

TEST(ends_of_the_range)
{
    wi_histogram h = {0};
    wi_histogram_add(&h, -5);
    EXPECT_INT(wi_histogram_quantile(&h, 1), 0);
    wi_histogram_add(&h, INT64_MAX);
    EXPECT(wi_histogram_quantile(&h, 1) > INT64_MAX - INT64_MAX / 64);
    EXPECT_INT(h.total, 2);
}

TEST(merge_adds)
{
    wi_histogram a = {0}, b = {0};
    for (int i = 0; i < 90; i++)
        wi_histogram_add(&a, 10);
    for (int i = 0; i < 10; i++)
        wi_histogram_add(&b, 1000);
    wi_histogram_merge(&a, &b);
    EXPECT_INT(a.total, 100);
    EXPECT_INT(wi_histogram_quantile(&a, 0.5), 10);
    EXPECT(wi_histogram_quantile(&a, 0.95) > 900);
    EXPECT_INT(b.total, 10);
}

TESTS(CASE(empty_has_no_quantile), CASE(small_values_are_exact),
      CASE(error_is_at_most_a_sixty_fourth), CASE(quantiles_follow_the_counts),
      CASE(ends_of_the_range), CASE(merge_adds))
