/*
 * quota.c: see quota.h. Its invariant: within one period no more begin than the server said are
 * left, whatever the order in which its answers come.
 */
#include "quota.h"

#include "clock.h"

enum { SPREAD_PART = 10, SPREAD_LEAST = 4 };

void wi_quota_hear(wi_quota *q, int64_t now, const wi_rate_hint *hint, int64_t in_flight,
                   int64_t longest)
{
    int64_t left = hint->remaining > in_flight ? hint->remaining - in_flight : 0;
    int64_t until = now + hint->reset;
    bool same = now < q->until && until <= q->until + WI_SECOND;
    q->limit = hint->limit;
    q->longest = longest;
    q->renewed_at = 0;
    /* Of answers that overtook each other, the one that says less; the last one knows all. */
    q->left = same && in_flight > 0 && q->left < left ? q->left : left;
    q->until = same && q->until < until ? q->until : until;
    if (!same)
        q->period = hint->reset;
}

/* The next period begins with all of it, as far as is known. */
static void renew(wi_quota *q, int64_t now)
{
    if (now < q->until || q->limit <= 0)
        return;
    q->left = q->limit;
    q->until = now + q->period;
    q->renewed_at = now;
}

void wi_quota_hear_nothing(wi_quota *q, int64_t began)
{
    if (q->renewed_at && began >= q->renewed_at)
        *q = (wi_quota){0};
}

/* Few enough to be spread? */
static bool is_scarce(const wi_quota *q)
{
    int64_t part = q->limit / SPREAD_PART;
    return q->left <= (part > SPREAD_LEAST ? part : SPREAD_LEAST);
}

/* As a Retry-After that long, what is too far is not waited for. */
static bool is_too_far(const wi_quota *q, int64_t now, int64_t when)
{
    return q->longest > 0 && when - now > q->longest;
}

bool wi_quota_may(wi_quota *q, int64_t now, int64_t *again)
{
    renew(q, now);
    if (now >= q->until)
        return true;
    int64_t when = q->left < 1 ? q->until : is_scarce(q) ? q->next : now;
    if (when <= now || is_too_far(q, now, when))
        return true;
    *again = when;
    return false;
}

void wi_quota_take(wi_quota *q, int64_t now)
{
    if (now >= q->until)
        return;
    q->left -= q->left > 0;
    if (is_scarce(q))
        q->next = now + (q->until - now) / (q->left + 2);
}

int64_t wi_quota_until(const wi_quota *q, int64_t now)
{
    return now < q->until && q->left < 1 && !is_too_far(q, now, q->until) ? q->until : 0;
}
