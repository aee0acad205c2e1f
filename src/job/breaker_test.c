/* breaker_test.c: when an origin is taken to be gone, how it is waited for, and how it comes back.
 */
#include "breaker.h"

#include "clock.h"
#include "test.h"

#define PATIENCE (30 * WI_SECOND)

static int64_t again;
static bool fail;

static bool may(wi_breaker *b, int64_t now)
{
    again = 0;
    fail = false;
    return wi_breaker_may(b, now, &again, &fail);
}

static void fails(wi_breaker *b, int64_t now, wi_signal signal, int times)
{
    for (int i = 0; i < times; i++)
        wi_breaker_end(b, now, signal, "could not connect");
}

static wi_breaker alive(void)
{
    wi_breaker b;
    wi_breaker_init(&b, PATIENCE);
    EXPECT(!wi_breaker_end(&b, 1, WI_SIGNAL_FINE, NULL));
    return b;
}

/* One request after the other, as soon as each may begin, until `end`; how many were there? */
static int probe(wi_breaker *b, int64_t now, int64_t end)
{
    int n = 0;
    for (; now < end; now = again) {
        if (!may(b, now)) {
            EXPECT(again > now);
            continue;
        }
        wi_breaker_begin(b, now);
        wi_breaker_end(b, now + WI_MILLISECOND, WI_SIGNAL_REFUSED, NULL);
        EXPECT(!may(b, now + WI_MILLISECOND));
        n++;
    }
    return n;
}

TEST(a_few_failures_are_nothing)
{
    wi_breaker b = alive();
    fails(&b, WI_SECOND, WI_SIGNAL_REFUSED, 4);
    EXPECT(may(&b, WI_SECOND));
    wi_breaker_end(&b, WI_SECOND, WI_SIGNAL_BUSY, NULL); /* an answer all the same */
    fails(&b, WI_SECOND, WI_SIGNAL_GONE, 4);
    EXPECT(may(&b, WI_SECOND));
    wi_breaker_end(&b, WI_SECOND, WI_SIGNAL_LATE, NULL);
    fails(&b, WI_SECOND, WI_SIGNAL_SILENT, 19);
    EXPECT(may(&b, WI_SECOND));
    EXPECT(!wi_breaker_excuses(&b, WI_SIGNAL_SILENT));
}

TEST(an_origin_that_is_gone_is_waited_for)
{
    wi_breaker b = alive();
    fails(&b, WI_SECOND, WI_SIGNAL_REFUSED, 5);
    EXPECT(!may(&b, WI_SECOND));
    EXPECT(!fail && again > WI_SECOND);
    EXPECT(wi_breaker_excuses(&b, WI_SIGNAL_REFUSED));
    EXPECT(!wi_breaker_excuses(&b, WI_SIGNAL_BUSY));
    int n = probe(&b, WI_SECOND, 11 * WI_SECOND);
    EXPECT(n >= 4 && n <= 10);
    EXPECT_INT(b.state, WI_BREAKER_WAITING);
    EXPECT(wi_breaker_end(&b, 12 * WI_SECOND, WI_SIGNAL_FINE, NULL)); /* it is back */
    EXPECT(may(&b, 12 * WI_SECOND));
    EXPECT(!wi_breaker_excuses(&b, WI_SIGNAL_REFUSED));
    EXPECT_INT(wi_breaker_until(&b), 0);
}

TEST(patience_has_an_end_and_the_origin_may_still_return)
{
    wi_breaker b = alive();
    fails(&b, WI_SECOND, WI_SIGNAL_REFUSED, 5);
    probe(&b, WI_SECOND, 40 * WI_SECOND);
    EXPECT_INT(b.state, WI_BREAKER_OPEN);
    EXPECT(!may(&b, 40 * WI_SECOND));
    EXPECT(fail);
    EXPECT(!wi_breaker_excuses(&b, WI_SIGNAL_REFUSED));
    char text[400];
    wi_breaker_describe(&b, text, sizeof text);
    EXPECT(strstr(text, "no answer since ") != NULL);
    EXPECT(strstr(text, " failures in a row; the last: could not connect") != NULL);
    int n = probe(&b, 40 * WI_SECOND, 140 * WI_SECOND);
    EXPECT(n >= 3 && n <= 20);
    EXPECT(wi_breaker_end(&b, 141 * WI_SECOND, WI_SIGNAL_FINE, NULL));
    EXPECT(may(&b, 141 * WI_SECOND));
}

TEST(one_that_never_answered_has_three_seconds_and_a_third_of_the_patience)
{
    wi_breaker b;
    wi_breaker_init(&b, PATIENCE);
    fails(&b, WI_SECOND, WI_SIGNAL_GONE, 1000);
    EXPECT(may(&b, WI_SECOND));
    fails(&b, 4 * WI_SECOND, WI_SIGNAL_GONE, 1);
    EXPECT(!may(&b, 4 * WI_SECOND));
    EXPECT(!fail);
    probe(&b, 4 * WI_SECOND, 13 * WI_SECOND);
    EXPECT(!may(&b, 13 * WI_SECOND) && fail);
}

TEST(probes_that_hang_do_not_keep_others_from_being_sent)
{
    wi_breaker b = alive();
    fails(&b, WI_SECOND, WI_SIGNAL_SILENT, 20);
    int n = 0;
    for (int64_t now = WI_SECOND; now < 11 * WI_SECOND; now = again) {
        if (may(&b, now)) {
            wi_breaker_begin(&b, now);
            n++;
            EXPECT(!may(&b, now));
        }
    }
    EXPECT(n >= 4 && n <= 10);
}

TEST(without_patience_there_is_none)
{
    wi_breaker b;
    wi_breaker_init(&b, 0);
    fails(&b, WI_SECOND, WI_SIGNAL_REFUSED, 1000);
    fails(&b, 100 * WI_SECOND, WI_SIGNAL_REFUSED, 1000);
    EXPECT(may(&b, 100 * WI_SECOND));
    EXPECT(!wi_breaker_excuses(&b, WI_SIGNAL_REFUSED));
}

TEST(what_a_reason_holds_is_printable)
{
    wi_breaker b = alive();
    char long_reason[1000];
    memset(long_reason, 'x', sizeof long_reason - 1);
    long_reason[sizeof long_reason - 1] = '\0';
    memcpy(long_reason, "\x1b[31m\n", 6);
    wi_breaker_end(&b, 1, WI_SIGNAL_REFUSED, long_reason);
    char text[400];
    wi_breaker_describe(&b, text, sizeof text);
    EXPECT(strlen(text) < sizeof text - 1);
    EXPECT(!strchr(text, '\x1b') && !strchr(text, '\n'));
}

TESTS(CASE(a_few_failures_are_nothing), CASE(an_origin_that_is_gone_is_waited_for),
      CASE(patience_has_an_end_and_the_origin_may_still_return),
      CASE(one_that_never_answered_has_three_seconds_and_a_third_of_the_patience),
      CASE(probes_that_hang_do_not_keep_others_from_being_sent),
      CASE(without_patience_there_is_none), CASE(what_a_reason_holds_is_printable))
