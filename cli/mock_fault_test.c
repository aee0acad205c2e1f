#include "mock_fault.h"

#include "mock_bucket.h"
#include "test.h"

#define SECOND INT64_C(1000000000)

TEST(kinds_are_parsed)
{
    unsigned kinds = 0;
    EXPECT(mock_fault_parse("500", &kinds) && kinds == MOCK_FAULT_BIT(MOCK_FAULT_500));
    EXPECT(mock_fault_parse("hang,reset,hang", &kinds));
    EXPECT_INT(kinds, MOCK_FAULT_BIT(MOCK_FAULT_HANG) | MOCK_FAULT_BIT(MOCK_FAULT_RESET));
    kinds = 77;
    EXPECT(!mock_fault_parse("", &kinds) && !mock_fault_parse("500,", &kinds));
    EXPECT(!mock_fault_parse("none", &kinds) && !mock_fault_parse("50", &kinds));
    EXPECT_INT(kinds, 77);
}

/* The order in which products are asked has no say in what their k-th request meets. */
TEST(fates_do_not_depend_on_order)
{
    mock_options options = {.seed = 3, .error_percent = 30, .jitter = 1000, .latency = 2000};
    enum { PRODUCTS = 200, ATTEMPTS = 4 };
    mock_fate first[PRODUCTS][ATTEMPTS];
    mock_faults faults;
    REQUIRE(mock_faults_init(&faults, &options));
    for (int n = 0; n < PRODUCTS; n++)
        for (int k = 0; k < ATTEMPTS; k++)
            first[n][k] = mock_faults_next(&faults, (uint64_t)n);
    mock_faults_fini(&faults);

    REQUIRE(mock_faults_init(&faults, &options));
    int same = 0, changes = 0;
    for (int k = 0; k < ATTEMPTS; k++) {
        for (int n = PRODUCTS - 1; n >= 0; n--) {
            mock_fate fate = mock_faults_next(&faults, (uint64_t)n);
            same += fate.fault == first[n][k].fault && fate.delay == first[n][k].delay;
            changes += k > 0 && fate.fault != first[n][0].fault;
        }
    }
    mock_faults_fini(&faults);
    EXPECT_INT(same, PRODUCTS * ATTEMPTS);
    EXPECT(changes > PRODUCTS / 4);
}

static int count_faults(const mock_options *options, int by_kind[MOCK_FAULT_COUNT])
{
    mock_faults faults;
    int failed = 0;
    memset(by_kind, 0, sizeof(int) * MOCK_FAULT_COUNT);
    if (!EXPECT(mock_faults_init(&faults, options)))
        return -1;
    for (uint64_t n = 1; n <= 10000; n++) {
        mock_fate fate = mock_faults_next(&faults, n);
        by_kind[fate.fault]++;
        failed += fate.fault != MOCK_FAULT_NONE;
    }
    mock_faults_fini(&faults);
    return failed;
}

TEST(the_share_of_faults_is_as_asked)
{
    int kinds[MOCK_FAULT_COUNT];
    int failed = count_faults(&(mock_options){.error_percent = 20}, kinds);
    EXPECT(failed > 1800 && failed < 2200);
    for (int i = MOCK_FAULT_NONE + 1; i < MOCK_FAULT_COUNT; i++)
        EXPECT(kinds[i] > 400 && kinds[i] < 600);
    EXPECT_INT(count_faults(&(mock_options){.error_percent = 0, .jitter = 1}, kinds), 0);
    mock_options resets = {.error_percent = 100, .error_kinds = MOCK_FAULT_BIT(MOCK_FAULT_RESET)};
    EXPECT_INT(count_faults(&resets, kinds), 10000);
    EXPECT_INT(kinds[MOCK_FAULT_RESET], 10000);
}

TEST(another_seed_gives_other_faults)
{
    mock_faults a, b;
    int differ = 0;
    REQUIRE(mock_faults_init(&a, &(mock_options){.seed = 1, .error_percent = 50}));
    REQUIRE(mock_faults_init(&b, &(mock_options){.seed = 2, .error_percent = 50}));
    for (uint64_t n = 1; n <= 1000; n++)
        differ += mock_faults_next(&a, n).fault != mock_faults_next(&b, n).fault;
    EXPECT(differ > 300);
    mock_faults_fini(&a);
    mock_faults_fini(&b);
}

TEST(jitter_stays_within_its_bounds)
{
    mock_faults faults;
    REQUIRE(mock_faults_init(&faults, &(mock_options){.latency = 1000, .jitter = 400}));
    int low = 0, high = 0;
    for (uint64_t n = 1; n <= 1000; n++) {
        int64_t delay = mock_faults_next(&faults, n).delay;
        EXPECT(delay >= 600 && delay <= 1400);
        low += delay < 800;
        high += delay > 1200;
    }
    EXPECT(low > 150 && high > 150);
    mock_faults_fini(&faults);

    REQUIRE(mock_faults_init(&faults, &(mock_options){.latency = 10, .jitter = 1000}));
    for (uint64_t n = 1; n <= 1000; n++)
        EXPECT(mock_faults_next(&faults, n).delay >= 0);
    mock_faults_fini(&faults);
}

TEST(a_bucket_holds_one_second)
{
    mock_bucket bucket;
    mock_bucket_init(&bucket, 10, 0);
    for (int i = 0; i < 10; i++)
        EXPECT_INT(mock_bucket_take(&bucket, 0), 0);
    EXPECT_INT(mock_bucket_take(&bucket, 0), SECOND / 10);
    EXPECT_INT(mock_bucket_take(&bucket, SECOND / 20), SECOND / 20);
    EXPECT_INT(mock_bucket_take(&bucket, SECOND / 10), 0);
    EXPECT(mock_bucket_take(&bucket, SECOND / 10) > 0);
    for (int i = 0; i < 10; i++)
        EXPECT_INT(mock_bucket_take(&bucket, 100 * SECOND), 0);
    EXPECT(mock_bucket_take(&bucket, 100 * SECOND) > 0);
}

TEST(a_slow_bucket_still_holds_one_token)
{
    mock_bucket bucket;
    mock_bucket_init(&bucket, 0.01, 0);
    EXPECT_INT(mock_bucket_take(&bucket, 0), 0);
    EXPECT_INT(mock_bucket_take(&bucket, 0), 100 * SECOND);
    EXPECT_INT(mock_bucket_take(&bucket, 100 * SECOND), 0);
    mock_bucket_init(&bucket, 0, 0);
    for (int i = 0; i < 100; i++)
        EXPECT_INT(mock_bucket_take(&bucket, 0), 0);
}

TESTS(CASE(kinds_are_parsed), CASE(fates_do_not_depend_on_order),
      CASE(the_share_of_faults_is_as_asked), CASE(another_seed_gives_other_faults),
      CASE(jitter_stays_within_its_bounds), CASE(a_bucket_holds_one_second),
      CASE(a_slow_bucket_still_holds_one_token))
