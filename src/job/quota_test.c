/* quota_test.c: no more begin than a server says are left, and the last of them not all at once. */
#include "quota.h"

#include "clock.h"
#include "test.h"

static int64_t again;

static wi_rate_hint hint(int64_t remaining, int64_t limit, int64_t reset)
{
    return (wi_rate_hint){
        .has_remaining = true, .remaining = remaining, .limit = limit, .reset = reset};
}

static void hear(wi_quota *q, int64_t now, wi_rate_hint h, int64_t in_flight)
{
    wi_quota_hear(q, now, &h, in_flight, 300 * WI_SECOND);
}

/* So many begin at once. */
static int take_all(wi_quota *q, int64_t now, int most)
{
    int n = 0;
    while (n < most && wi_quota_may(q, now, &again)) {
        wi_quota_take(q, now);
        n++;
    }
    return n;
}

TEST(nothing_is_known_at_first)
{
    wi_quota q = {0};
    EXPECT_INT(take_all(&q, WI_SECOND, 1000), 1000);
    EXPECT_INT(wi_quota_until(&q, WI_SECOND), 0);
}

TEST(when_nothing_is_left_nothing_begins_until_the_reset)
{
    wi_quota q = {0};
    hear(&q, WI_SECOND, hint(0, 0, 30 * WI_SECOND), 0);
    EXPECT_INT(take_all(&q, 2 * WI_SECOND, 10), 0);
    EXPECT_INT(again, 31 * WI_SECOND);
    EXPECT_INT(wi_quota_until(&q, 2 * WI_SECOND), 31 * WI_SECOND);
    EXPECT_INT(take_all(&q, 31 * WI_SECOND, 10), 10);
    EXPECT_INT(wi_quota_until(&q, 31 * WI_SECOND), 0);
}

TEST(most_may_begin_at_once_and_the_rest_is_spread)
{
    wi_quota q = {0};
    hear(&q, WI_SECOND, hint(100, 100, 10 * WI_SECOND), 0);
    int at_once = take_all(&q, WI_SECOND, 1000);
    EXPECT(at_once >= 89 && at_once <= 91);
    int later = 0;
    int64_t now = WI_SECOND;
    while (now < 11 * WI_SECOND) {
        int n = take_all(&q, now, 1000);
        EXPECT(n <= 1 || now >= 11 * WI_SECOND);
        later += n;
        EXPECT(again > now);
        now = again;
    }
    EXPECT(later >= 8 && at_once + later <= 100);
    EXPECT_INT(now, 11 * WI_SECOND);
}

TEST(those_in_flight_count)
{
    wi_quota q = {0};
    hear(&q, WI_SECOND, hint(50, 1000, 10 * WI_SECOND), 60);
    EXPECT_INT(take_all(&q, WI_SECOND, 10), 0);
    hear(&q, 2 * WI_SECOND, hint(40, 1000, 9 * WI_SECOND), 20); /* others may come that say less */
    EXPECT_INT(take_all(&q, 2 * WI_SECOND, 10), 0);
    hear(&q, 2 * WI_SECOND, hint(30, 1000, 9 * WI_SECOND), 0); /* the last one */
    EXPECT_INT(take_all(&q, 2 * WI_SECOND, 10), 1);
    EXPECT(again < 3 * WI_SECOND);
}

TEST(the_next_period_begins_with_all_of_it)
{
    wi_quota q = {0};
    hear(&q, WI_SECOND, hint(0, 20, 2 * WI_SECOND), 0);
    int n = take_all(&q, 3 * WI_SECOND, 1000);
    EXPECT(n >= 15 && n <= 20);
}

TEST(a_period_that_nobody_speaks_of_any_more_is_forgotten)
{
    wi_quota q = {0};
    hear(&q, WI_SECOND, hint(0, 20, 2 * WI_SECOND), 0);
    wi_quota_hear_nothing(&q, 2 * WI_SECOND);
    EXPECT_INT(take_all(&q, 2 * WI_SECOND, 1000), 0);
    EXPECT_INT(take_all(&q, 3 * WI_SECOND, 1), 1);
    wi_quota_hear_nothing(&q, 2 * WI_SECOND); /* it began before */
    EXPECT(take_all(&q, 3 * WI_SECOND, 1000) < 1000);
    wi_quota_hear_nothing(&q, 3 * WI_SECOND);
    EXPECT_INT(take_all(&q, 3 * WI_SECOND, 1000), 1000);
}

TEST(a_reset_that_is_too_far_is_not_waited_for)
{
    wi_quota q = {0};
    hear(&q, WI_SECOND, hint(0, 0, 301 * WI_SECOND), 0);
    EXPECT_INT(take_all(&q, WI_SECOND, 10), 10);
    EXPECT_INT(wi_quota_until(&q, WI_SECOND), 0);
    wi_rate_hint far = hint(0, 0, 301 * WI_SECOND);
    wi_quota_hear(&q, WI_SECOND, &far, 0, 0);
    EXPECT_INT(take_all(&q, WI_SECOND, 10), 0);
}

TEST(nor_is_one_that_is_too_far_when_nothing_is_left)
{
    wi_quota q = {0};
    hear(&q, WI_SECOND, hint(4, 100, 3600 * WI_SECOND), 0);
    EXPECT_INT(take_all(&q, WI_SECOND, 100), 100);
    int64_t near = 3400 * WI_SECOND;
    EXPECT_INT(take_all(&q, near, 10), 0);
    EXPECT_INT(again, 3601 * WI_SECOND);
}

TESTS(CASE(nothing_is_known_at_first), CASE(when_nothing_is_left_nothing_begins_until_the_reset),
      CASE(most_may_begin_at_once_and_the_rest_is_spread), CASE(those_in_flight_count),
      CASE(the_next_period_begins_with_all_of_it),
      CASE(a_period_that_nobody_speaks_of_any_more_is_forgotten),
      CASE(a_reset_that_is_too_far_is_not_waited_for),
      CASE(nor_is_one_that_is_too_far_when_nothing_is_left))
