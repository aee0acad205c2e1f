/*
 * pace_test.c: a pace is found from refusals, undone when it was only tried, and never raised by
 * one. How well it does against whole servers is in gate_simulation_test.c.
 */
#include "pace.h"

#include "clock.h"
#include "test.h"

static int64_t again;

TEST(a_bucket_fills_at_its_rate)
{
    wi_bucket b = {.rate = 10, .burst = 2, .tokens = 2};
    for (int i = 0; i < 2; i++) {
        EXPECT(wi_bucket_has(&b, WI_SECOND, &again));
        wi_bucket_take(&b);
    }
    EXPECT(!wi_bucket_has(&b, WI_SECOND, &again));
    EXPECT_INT(again, WI_SECOND + WI_SECOND / 10 + 1);
    EXPECT(wi_bucket_has(&b, again, &again));
    wi_bucket_take(&b);
    EXPECT(wi_bucket_has(&b, 3600 * WI_SECOND, &again));
    EXPECT(b.tokens <= 2);
    wi_bucket none = {0};
    EXPECT(wi_bucket_has(&none, 1, &again));
    wi_bucket_take(&none);
    EXPECT(wi_bucket_has(&none, 1, &again));
}

/* Refused at one second, then `n` are accepted in the next, then it is refused again. */
static wi_pace measured(int n)
{
    wi_pace p = {0};
    EXPECT(!wi_pace_refused(&p, WI_SECOND, WI_SECOND - 1000, false));
    EXPECT(!wi_pace_is_set(&p));
    for (int i = 1; i <= n; i++)
        wi_pace_accepted(&p, WI_SECOND + i * WI_SECOND / n + 5,
                         WI_SECOND + i * WI_SECOND / n - 1000);
    EXPECT(!wi_pace_refused(&p, 2 * WI_SECOND + 10, 2 * WI_SECOND, false));
    wi_pace_accepted(&p, 2 * WI_SECOND + 100, 2 * WI_SECOND + 50); /* no more of before will come */
    return p;
}

TEST(what_was_accepted_between_two_refusals_is_the_rate)
{
    wi_pace p = measured(100);
    EXPECT(wi_pace_is_set(&p));
    EXPECT(p.bucket.rate > 95 && p.bucket.rate < 100);
    wi_pace few = measured(2);
    EXPECT(!wi_pace_is_set(&few)); /* too few to tell */
}

TEST(one_at_a_time_that_is_refused_is_asked_less_often)
{
    wi_pace p = {0};
    int64_t now = WI_SECOND;
    for (int i = 0; i < 60; i++) {
        wi_pace_refused(&p, now, now - WI_MILLISECOND, true);
        now += 2 * WI_SECOND;
    }
    EXPECT(p.bucket.rate >= 1 && p.bucket.rate < 1.01);
    double rate = p.bucket.rate;
    wi_pace_accepted(&p, now + 2, now + 1);
    wi_pace_accepted(&p, now + 4, now + 3);
    EXPECT(p.bucket.rate > 1.9 * rate);
}

TEST(a_refusal_never_raises_it)
{
    wi_pace p = measured(100);
    int64_t now = 3 * WI_SECOND;
    for (int i = 0; i < 2000; i++) {
        double before = p.bucket.rate;
        now += WI_SECOND / 97;
        if (i % 7 == 0) {
            EXPECT(wi_pace_refused(&p, now, now - WI_MILLISECOND, false));
            EXPECT(p.bucket.rate <= before);
        } else {
            wi_pace_accepted(&p, now, now - WI_MILLISECOND);
        }
        EXPECT(p.bucket.rate > 0 && p.bucket.burst >= 1);
    }
}

TEST(old_news_change_nothing)
{
    wi_pace p = measured(100);
    wi_pace_refused(&p, 3 * WI_SECOND, 3 * WI_SECOND - 10, false);
    double rate = p.bucket.rate;
    for (int i = 1; i < 100; i++)
        wi_pace_refused(&p, 3 * WI_SECOND + i, 3 * WI_SECOND - 10 + i / 10, false);
    EXPECT(p.bucket.rate == rate);
}

TEST(it_grows_only_with_credit_and_when_it_holds_back)
{
    wi_pace p = measured(100);
    double rate = p.bucket.rate;
    int64_t now = 3 * WI_SECOND;
    for (int i = 0; i < 90; i++, now += WI_SECOND / 100)
        wi_pace_accepted(&p, now, now - 1000);
    EXPECT(p.bucket.rate == rate); /* no credit yet */
    for (int i = 0; i < 1000; i++, now += WI_SECOND / 100)
        wi_pace_accepted(&p, now, now - 1000);
    EXPECT(p.bucket.rate == rate); /* it held nobody back */
    while (wi_pace_may(&p, now, &again))
        wi_bucket_take(&p.bucket);
    wi_pace_accepted(&p, now, now - 1000);
    EXPECT(p.bucket.rate > rate);
}

TESTS(CASE(a_bucket_fills_at_its_rate), CASE(what_was_accepted_between_two_refusals_is_the_rate),
      CASE(one_at_a_time_that_is_refused_is_asked_less_often), CASE(a_refusal_never_raises_it),
      CASE(old_news_change_nothing), CASE(it_grows_only_with_credit_and_when_it_holds_back))
