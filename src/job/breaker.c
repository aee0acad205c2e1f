/*
 * breaker.c: see breaker.h. Its invariant: while it is not closed, one request begins per interval,
 * whether the one before has ended (it may hang until its time-out) or not.
 *
 * Twenty failures in a row are needed, or five if it had answered before and the connection itself
 * failed: a server that is restarted refuses everything for a while, and each refusal costs an item
 * one of its attempts. An origin that never answered has three seconds before it is taken to be
 * gone, in which a few items come to their own end as they would without all this, and is waited
 * for only a third of the time: more likely its name is wrong than that it is about to start.
 */
#include "breaker.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "text.h"

#define AT_LEAST (3 * WI_SECOND)
#define FIRST_INTERVAL (250 * WI_MILLISECOND)
#define LONGEST_WAITING (2 * WI_SECOND)
#define LONGEST_OPEN (30 * WI_SECOND)

enum { IN_A_ROW = 20, REFUSED_IN_A_ROW = 5 };

void wi_breaker_init(wi_breaker *b, int64_t patience)
{
    *b = (wi_breaker){.patience = patience > 0 ? patience : 0};
}

bool wi_breaker_may(wi_breaker *b, int64_t now, int64_t *again, bool *fail)
{
    if (b->state == WI_BREAKER_CLOSED || now >= b->probe_at)
        return true;
    *fail = b->state == WI_BREAKER_OPEN;
    *again = b->probe_at;
    return false;
}

void wi_breaker_begin(wi_breaker *b, int64_t now)
{
    if (b->state == WI_BREAKER_CLOSED)
        return;
    int64_t longest = b->state == WI_BREAKER_OPEN ? LONGEST_OPEN : LONGEST_WAITING;
    b->probe_at = now + b->interval;
    b->interval = b->interval * 2 < longest ? b->interval * 2 : longest;
}

static bool is_gone(const wi_breaker *b, int64_t now)
{
    if (!b->ever)
        return b->failures >= IN_A_ROW && now - b->since >= AT_LEAST;
    return b->failures >= IN_A_ROW || b->refusals >= REFUSED_IN_A_ROW;
}

static void note(wi_breaker *b, int64_t now, wi_signal signal, const char *why)
{
    if (b->failures++ == 0) {
        b->since = now;
        b->since_wall = time(NULL);
        b->refusals = 0;
    }
    b->refusals += signal > WI_SIGNAL_SILENT;
    if (why)
        wi_text_printable(b->why, sizeof b->why, why, strlen(why));
}

static bool lost_patience(wi_breaker *b, int64_t now)
{
    int64_t patience = b->ever ? b->patience : b->patience / 3;
    if (b->state != WI_BREAKER_WAITING || now - b->since < patience)
        return false;
    b->state = WI_BREAKER_OPEN;
    return true;
}

static bool answered(wi_breaker *b)
{
    bool opens = b->state != WI_BREAKER_CLOSED;
    b->state = WI_BREAKER_CLOSED;
    b->ever = true;
    b->failures = 0;
    return opens;
}

bool wi_breaker_end(wi_breaker *b, int64_t now, wi_signal signal, const char *why)
{
    if (!b->patience)
        return false;
    if (signal < WI_SIGNAL_SILENT)
        return answered(b);
    note(b, now, signal, why);
    if (b->state != WI_BREAKER_CLOSED)
        return lost_patience(b, now);
    if (!is_gone(b, now))
        return false;
    b->state = WI_BREAKER_WAITING;
    b->interval = FIRST_INTERVAL;
    b->probe_at = now + b->interval;
    return false;
}

int64_t wi_breaker_until(const wi_breaker *b)
{
    return b->state == WI_BREAKER_CLOSED ? 0 : b->probe_at;
}

void wi_breaker_describe(const wi_breaker *b, char *text, size_t size)
{
    char since[32] = "the start";
    struct tm tm;
    if (gmtime_r(&b->since_wall, &tm))
        strftime(since, sizeof since, "%H:%M:%S UTC", &tm);
    snprintf(text, size, "no answer since %s, %lld failures in a row%s%s", since,
             (long long)b->failures, b->why[0] ? "; the last: " : "", b->why);
}
