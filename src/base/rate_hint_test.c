/* rate_hint_test.c: every family of fields, and what is not one. */
#include "rate_hint.h"

#include "clock.h"
#include "test.h"

#define NOW ((time_t)1700000000)

static bool feed(wi_rate_hint *hint, const char *name, const char *value)
{
    return wi_rate_hint_header(hint, name, strlen(name), value, strlen(value), NOW);
}

static wi_rate_hint of(const char *name, const char *value)
{
    wi_rate_hint hint = {0};
    EXPECT(feed(&hint, name, value));
    return hint;
}

static void expect(wi_rate_hint hint, int64_t remaining, int64_t limit, double seconds)
{
    EXPECT(hint.has_remaining);
    EXPECT_INT(hint.remaining, remaining);
    EXPECT_INT(hint.limit, limit);
    EXPECT_INT(hint.reset / WI_MILLISECOND, (int64_t)(seconds * 1000));
}

static void expect_none(const char *name, const char *value)
{
    wi_rate_hint hint = {0};
    feed(&hint, name, value);
    if (!EXPECT(!wi_rate_hint_is_whole(&hint)))
        printf("# %s: %s\n", name, value);
}

TEST(structured_fields)
{
    expect(of("RateLimit", "\"default\";r=50;t=30"), 50, 0, 30);
    expect(of("ratelimit", "  \"a;b,c\\\"=\" ; r=0 ; t=7 ; pk=:cHNk: "), 0, 0, 7);
    expect(of("RateLimit", "default;r=5;t=9;q=10"), 5, 10, 9);
    wi_rate_hint hint = {0};
    EXPECT(feed(&hint, "RateLimit-Policy", "\"default\";q=100;w=60"));
    EXPECT(feed(&hint, "RateLimit", "\"default\";r=50;t=30"));
    expect(hint, 50, 100, 30);
}

TEST(the_tightest_of_several_counts)
{
    expect(of("RateLimit", "\"hour\";r=1000;t=1800, \"second\";r=3;t=1"), 3, 0, 1);
    expect(of("RateLimit", "\"s\";r=0;t=1, \"day\";r=0;t=100, \"m\";r=0;t=10"), 0, 0, 100);
    wi_rate_hint hint = of("RateLimit-Policy", "\"hour\";q=1000;w=3600, \"day\";q=5000;w=86400");
    EXPECT_INT(hint.limit, 0);
    expect(of("RateLimit", "\"bad\";r=x;t=5, \"good\";r=9;t=3"), 9, 0, 3);
}

TEST(the_older_draft)
{
    expect(of("RateLimit", "limit=100, remaining=50, reset=30"), 50, 100, 30);
    expect(of("RateLimit", "reset=30,limit=100,remaining=0"), 0, 100, 30);
}

TEST(three_fields)
{
    static const char *const prefixes[] = {"RateLimit", "X-RateLimit", "x-ratelimit",
                                           "X-Rate-Limit"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        static const char *const fields[][2] = {
            {"Limit", "100, 100;w=60"}, {"Remaining", "50"}, {"Reset", "30"}};
        wi_rate_hint hint = {0};
        for (int k = 0; k < 3; k++) {
            char name[64];
            snprintf(name, sizeof name, "%s-%s", prefixes[i], fields[k][0]);
            EXPECT(!wi_rate_hint_is_whole(&hint));
            EXPECT(feed(&hint, name, fields[k][1]));
        }
        expect(hint, 50, 100, 30);
    }
}

TEST(a_reset_is_a_delay_or_a_time)
{
    EXPECT_INT(of("X-RateLimit-Reset", "1700000042").reset, 42 * WI_SECOND);
    EXPECT_INT(of("X-RateLimit-Reset", "1700000042500").reset, 42500 * WI_MILLISECOND);
    EXPECT_INT(of("X-RateLimit-Reset", "1700000000.25").reset, WI_SECOND / 4);
    EXPECT_INT(of("X-RateLimit-Reset-After", "0.5").reset, WI_SECOND / 2);
    EXPECT_INT(of("X-RateLimit-Reset", "1699999999").reset, 0);
    EXPECT_INT(of("X-RateLimit-Reset", "1700000000").reset, 0);
    EXPECT_INT(of("X-RateLimit-Reset", "0").reset, 0);
    EXPECT_INT(of("X-RateLimit-Reset", "999999999").reset, 365LL * 24 * 3600 * WI_SECOND);
    EXPECT_INT(of("X-RateLimit-Reset", "99999999999999999999999").reset,
               365LL * 24 * 3600 * WI_SECOND);
}

TEST(what_is_no_hint)
{
    static const char *const values[] = {
        "",
        "\"default\"",
        "\"default\";r=50",
        "\"default\";t=50",
        "r;t",
        "r=;t=",
        "r=-1;t=5",
        "r=1;t=-5",
        "r=1;t=0",
        "r=1e3;t=5",
        "r=1;t=x",
        "\"open;r=1;t=5",
        "remaining=5",
        "remaining=x, reset=5",
        ";;;,,,===",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        expect_none("RateLimit", values[i]);
    expect_none("X-RateLimit-Remaining", "none");
    wi_rate_hint hint = {0};
    EXPECT(feed(&hint, "X-RateLimit-Remaining", "5"));
    EXPECT(feed(&hint, "X-RateLimit-Remaining", "-5"));
    EXPECT(!hint.has_remaining);
}

TEST(other_fields_are_not_ours)
{
    static const char *const names[] = {
        "Retry-After",        "X-Rate",           "RateLimited", "X-RateLimit",
        "X-RateLimit-Bucket", "Rate-Limit-Limit", "X-",          ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        wi_rate_hint hint = {0};
        EXPECT(!feed(&hint, names[i], "r=1;t=1"));
        EXPECT(!hint.has_remaining && !hint.limit && !hint.reset);
    }
}

TESTS(CASE(structured_fields), CASE(the_tightest_of_several_counts), CASE(the_older_draft),
      CASE(three_fields), CASE(a_reset_is_a_delay_or_a_time), CASE(what_is_no_hint),
      CASE(other_fields_are_not_ours))
