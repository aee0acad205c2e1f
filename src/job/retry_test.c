/* retry_test.c: the sets, the back-off, every form of Retry-After, the budget. */
#include "retry.h"

#include <stdlib.h>

#include "clock.h"
#include "test.h"

static wi_retry_set parse(const char *text)
{
    wi_retry_set set = {.codes = ~0ULL};
    weir_error err;
    if (!EXPECT_INT(wi_retry_set_parse(text, &set, &err), WEIR_OK))
        printf("# %s\n", err.text);
    return set;
}

static int http_count(const wi_retry_set *set)
{
    int n = 0;
    for (int status = -100; status < 1000; status++)
        n += wi_retry_set_has_http(set, status);
    return n;
}

TEST(default_set)
{
    static const int statuses[] = {408, 425, 429, 500, 502, 503, 504};
    static const char *const texts[] = {NULL, "", "default", " Default ", "none,default"};
    for (int t = 0; t < 5; t++) {
        wi_retry_set set = parse(texts[t]);
        for (int i = 0; i < 7; i++)
            EXPECT(wi_retry_set_has_http(&set, statuses[i]));
        EXPECT_INT(http_count(&set), 7);
        EXPECT(wi_retry_set_has_code(&set, WEIR_TIMEDOUT));
        EXPECT(wi_retry_set_has_code(&set, WEIR_CONNECT));
        EXPECT(wi_retry_set_has_code(&set, WEIR_RESET));
        EXPECT(wi_retry_set_has_code(&set, WEIR_RESOLVE));
        EXPECT(wi_retry_set_has_code(&set, WEIR_TRUNCATED));
        EXPECT(!wi_retry_set_has_code(&set, WEIR_TLS));
        EXPECT(!wi_retry_set_has_code(&set, WEIR_PROTOCOL));
        EXPECT(!wi_retry_set_has_code(&set, WEIR_OK));
    }
}

TEST(sets)
{
    wi_retry_set set = parse("500, 502-504 ,TLS,4xx,-404");
    EXPECT_INT(http_count(&set), 4 + 99);
    EXPECT(wi_retry_set_has_http(&set, 400) && wi_retry_set_has_http(&set, 499));
    EXPECT(!wi_retry_set_has_http(&set, 404) && !wi_retry_set_has_http(&set, 501));
    EXPECT(wi_retry_set_has_code(&set, WEIR_TLS));
    EXPECT(!wi_retry_set_has_code(&set, WEIR_TIMEDOUT));
    set = parse("none");
    EXPECT_INT(http_count(&set), 0);
    EXPECT_INT(set.codes, 0);
    set = parse("all,-5xx,-timeout");
    EXPECT_INT(http_count(&set), 200);
    EXPECT(wi_retry_set_has_code(&set, WEIR_PROTOCOL));
    EXPECT(!wi_retry_set_has_code(&set, WEIR_TIMEDOUT));
    EXPECT(!wi_retry_set_has_code(&set, (weir_status)64));
    EXPECT(!wi_retry_set_has_code(&set, (weir_status)-1));
    set = parse("default,-429,-502-504");
    EXPECT_INT(http_count(&set), 3);
    set = parse("100,599");
    EXPECT(wi_retry_set_has_http(&set, 100) && wi_retry_set_has_http(&set, 599));
    EXPECT_INT(http_count(&set), 2);
    set = parse("all,-all");
    EXPECT_INT(http_count(&set), 0);
}

TEST(bad_sets)
{
    static const char *const bad[] = {
        "x",  "99",   "600",      "504-502", "500-600", "500-",
        "-",  "6xx",  "500,",     ",500",    "0xx",     "5xxx",
        "5x", "+500", "timeouts", "5 00",    "-none",   "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        wi_retry_set set = {.codes = 7};
        weir_error err = {0};
        if (!EXPECT_INT(wi_retry_set_parse(bad[i], &set, &err), WEIR_INVALID))
            printf("# for \"%s\"\n", bad[i]);
        EXPECT(strncmp(err.text, "--retry-on: \"", 13) == 0);
        EXPECT_INT(set.codes, 7);
    }
}

TEST(backoff_is_uniform_up_to_its_bound)
{
    wi_random random;
    wi_random_init(&random, 1);
    for (int attempt = 1; attempt <= 12; attempt++) {
        int64_t bound = 250 * WI_MILLISECOND;
        for (int i = 1; i < attempt && bound < 30 * WI_SECOND; i++)
            bound *= 2;
        if (bound > 30 * WI_SECOND)
            bound = 30 * WI_SECOND;
        int64_t low = INT64_MAX, high = 0;
        double sum = 0;
        for (int i = 0; i < 2000; i++) {
            int64_t d = wi_retry_backoff(&random, attempt, 250 * WI_MILLISECOND, 30 * WI_SECOND);
            low = d < low ? d : low;
            high = d > high ? d : high;
            sum += (double)d;
        }
        EXPECT(low >= 0 && low < bound / 50);
        EXPECT(high <= bound && high > bound - bound / 50);
        EXPECT(sum / 2000 > 0.46 * (double)bound && sum / 2000 < 0.54 * (double)bound);
    }
}

TEST(backoff_at_the_edges)
{
    wi_random random;
    wi_random_init(&random, 1);
    EXPECT_INT(wi_retry_backoff(&random, 5, 0, WI_SECOND), 0);
    EXPECT_INT(wi_retry_backoff(&random, 5, WI_SECOND, 0), 0);
    for (int i = 0; i < 100; i++) {
        int64_t d = wi_retry_backoff(&random, 1000 + i, 1, INT64_MAX);
        EXPECT(d >= 0);
        d = wi_retry_backoff(&random, INT32_MAX, INT64_MAX, 10);
        EXPECT(d >= 0 && d <= 10);
        d = wi_retry_backoff(&random, -3, 10, 100);
        EXPECT(d >= 0 && d <= 10);
    }
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static const time_t then = 784111777;

static int64_t after_at(const char *value, time_t now)
{
    return wi_retry_after(value, strlen(value), now);
}

static int64_t after(const char *value)
{
    return after_at(value, then - 60);
}

TEST(retry_after_in_seconds)
{
    EXPECT_INT(after("1"), WI_SECOND);
    EXPECT_INT(after("120"), 120 * WI_SECOND);
    EXPECT_INT(after(" \t5 \t"), 5 * WI_SECOND);
    EXPECT_INT(after("007"), 7 * WI_SECOND);
    EXPECT_INT(after("0"), -1);
    EXPECT_INT(after("000"), -1);
    int64_t year = 365 * 24 * 3600 * WI_SECOND;
    EXPECT_INT(after("31536000"), year);
    EXPECT_INT(after("31536001"), year);
    EXPECT_INT(after("9223372036854775807"), year);
    EXPECT_INT(after("99999999999999999999999999999999999999"), year);
}

TEST(retry_after_as_a_date)
{
    EXPECT_INT(after("Sun, 06 Nov 1994 08:49:37 GMT"), 60 * WI_SECOND);
    EXPECT_INT(after("Sunday, 06-Nov-94 08:49:37 GMT"), 60 * WI_SECOND);
    EXPECT_INT(after("Sun Nov  6 08:49:37 1994"), 60 * WI_SECOND);
    EXPECT_INT(after("  Sun, 06 Nov 1994 08:49:37 GMT  "), 60 * WI_SECOND);
    EXPECT_INT(after("Wednesday, 06-Nov-94 08:49:37 GMT"), 60 * WI_SECOND);
    EXPECT_INT(after("Wed Nov 16 08:49:37 1994"), (60 + 10 * 86400) * WI_SECOND);
    EXPECT_INT(after("Sun, 06 Nov 1994 08:49:60 GMT"), 83 * WI_SECOND);
    EXPECT_INT(after("Sun, 06 Nov 1994 08:48:37 GMT"), -1);
    EXPECT_INT(after("Sun, 06 Nov 1994 08:48:36 GMT"), -1);
    EXPECT_INT(after("Thu, 01 Jan 1970 00:00:00 GMT"), -1);
    EXPECT_INT(after("Mon, 01 Jan 0000 00:00:00 GMT"), -1);
    EXPECT_INT(after("Fri, 31 Dec 9999 23:59:59 GMT"), 365 * 24 * 3600 * WI_SECOND);
    EXPECT_INT(after_at("Thu, 29 Feb 2024 00:00:00 GMT", 1709164799), WI_SECOND);
}

TEST(the_date_of_an_answer)
{
    static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT",
                      later[] = "Sun Nov  6 08:49:40 1994";
    time_t theirs = wi_retry_date(date, strlen(date), 0);
    EXPECT_INT(theirs, 784111777);
    EXPECT_INT(wi_retry_after(later, strlen(later), theirs), 3 * WI_SECOND);
    EXPECT_INT(wi_retry_date("soon", 4, 0), 0);
    EXPECT_INT(wi_retry_date("", 0, 0), 0);
}

TEST(two_digit_years_within_fifty_years)
{
    /* 2024-02-29 00:00:00 is 1709164800 */
    EXPECT_INT(after_at("Thursday, 29-Feb-24 00:00:01 GMT", 1709164800), WI_SECOND);
    EXPECT(after_at("Thursday, 01-Mar-74 00:00:00 GMT", 1709164800) > 0);
    EXPECT_INT(after_at("Thursday, 01-Mar-75 00:00:00 GMT", 1709164800), -1);
    EXPECT_INT(after_at("Thursday, 01-Mar-99 00:00:00 GMT", 1709164800), -1);
    EXPECT(after_at("Saturday, 01-Jan-00 00:00:00 GMT", 946684799) > 0); /* from 1999 */
}

TEST(the_time_zone_does_not_matter)
{
    setenv("TZ", "Asia/Kolkata", 1);
    tzset();
    EXPECT_INT(after("Sun, 06 Nov 1994 08:49:37 GMT"), 60 * WI_SECOND);
    unsetenv("TZ");
    tzset();
}

TEST(retry_after_that_is_no_hint)
{
    static const char *const bad[] = {
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "1 2",
        "1s",
        "0x10",
        "soon",
        "Sun",
        "Sunday",
        "Sun,",
        "Sun, ",
        "Sun, 06 Nov 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nuv 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!EXPECT_INT(after_at(bad[i], 0), -1))
            printf("# for \"%s\"\n", bad[i]);
    EXPECT_INT(wi_retry_after("1\0", 2, 0), -1);
    EXPECT_INT(wi_retry_after(NULL, 0, 0), -1);
}

TEST(budget)
{
    wi_retry_budget budget;
    wi_retry_budget_init(&budget, 0.1, 3);
    for (int i = 0; i < 3; i++)
        EXPECT(wi_retry_budget_withdraw(&budget));
    EXPECT(!wi_retry_budget_withdraw(&budget));
    for (int i = 0; i < 9; i++)
        wi_retry_budget_deposit(&budget);
    EXPECT(!wi_retry_budget_withdraw(&budget));
    wi_retry_budget_deposit(&budget);
    EXPECT(wi_retry_budget_withdraw(&budget));
    EXPECT(!wi_retry_budget_withdraw(&budget));
    EXPECT_INT(budget.refused, 3);
    int granted = 0;
    for (int i = 0; i < 1000; i++) {
        wi_retry_budget_deposit(&budget);
        granted += wi_retry_budget_withdraw(&budget);
    }
    EXPECT(granted >= 99 && granted <= 100);
}

TESTS(CASE(default_set), CASE(sets), CASE(bad_sets), CASE(backoff_is_uniform_up_to_its_bound),
      CASE(backoff_at_the_edges), CASE(retry_after_in_seconds), CASE(retry_after_as_a_date),
      CASE(the_date_of_an_answer), CASE(two_digit_years_within_fifty_years),
      CASE(the_time_zone_does_not_matter), CASE(retry_after_that_is_no_hint), CASE(budget))
