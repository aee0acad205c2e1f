/*
 * pace.c: see pace.h. Its invariant: a refusal never raises the rate, and one of a request that
 * began before the last cut changes nothing.
 *
 * The first refusal only sets the anchor. At the next ones, as soon as a few requests that began
 * since were accepted, their number by the time from the anchor to the last of them is the rate. So
 * few make a rough measure: it is refined at each refusal until there are enough, and in between the
 * pace creeps upwards without further ado, should it be too low. A good measure is left alone until
 * there is credit, of which each answer brings 1/250 and each refusal takes 1; then the rate grows
 * by 1/32, 1/16 and so on, until a refusal measures it again. So a rate that was raised is found out
 * soon, and less than one in a hundred is ever refused for that.
 *
 * Where not even one at a time is borne and nothing is accepted that could be measured, the rate is
 * guessed at: half of what was tried, down to one in four seconds, and double with each answer.
 */
#include "pace.h"

#include "clock.h"

#define LONGEST_WAIT ((int64_t)1 << 60)

enum { FEW = 4, ROUGH = 32, ENOUGH = 64, OFTEN = 8 };

static const double below = 0.97;
static const double without_measure = 0.7;
static const double slowest_guess = 0.25;
static const double first_step = 1.0 / 32;
static const double rough_step = 1.0 / 12;
static const double boldest_step = 1.0 / 2;
static const double credit_for_answer = 1.0 / 250;
static const double least_credit = -16;
static const double burst_time = 0.01; /* s; smooth, yet no timer per request */

bool wi_bucket_has(wi_bucket *b, int64_t now, int64_t *again)
{
    if (b->rate <= 0)
        return true;
    if (b->at) {
        b->tokens += (double)(now - b->at) * b->rate / WI_SECOND;
        if (b->tokens > b->burst)
            b->tokens = b->burst;
    }
    b->at = now;
    if (b->tokens >= 1)
        return true;
    double wait = (1 - b->tokens) * WI_SECOND / b->rate;
    *again = now + (wait < LONGEST_WAIT ? (int64_t)wait : LONGEST_WAIT) + 1;
    return false;
}

void wi_bucket_take(wi_bucket *b)
{
    b->tokens -= b->rate > 0;
}

static void set_rate(wi_pace *p, double rate, int64_t now)
{
    wi_bucket *b = &p->bucket;
    if (!wi_pace_is_set(p)) {
        b->tokens = 0;
        b->at = now;
    }
    b->rate = rate;
    b->burst = rate * burst_time > 1 ? rate * burst_time : 1;
    p->changed_at = now;
    p->clean = 0;
    p->bound = false;
}

bool wi_pace_may(wi_pace *p, int64_t now, int64_t *again)
{
    if (wi_bucket_has(&p->bucket, now, again))
        return true;
    p->bound = true;
    return false;
}

static bool may_grow(const wi_pace *p)
{
    if (!p->basis)
        return p->clean > 0;
    if (!p->bound)
        return false;
    if (p->basis < ROUGH)
        return p->clean >= OFTEN;
    return p->clean >= ROUGH && p->credit >= 1;
}

static void grow(wi_pace *p, int64_t now)
{
    double by = p->basis ? p->step : 1;
    p->step = p->step * 2 < boldest_step ? p->step * 2 : boldest_step;
    set_rate(p, p->bucket.rate * (1 + by), now);
}

void wi_pace_accepted(wi_pace *p, int64_t now, int64_t began)
{
    p->credit = p->credit + credit_for_answer < 1 ? p->credit + credit_for_answer : 1;
    if (p->anchor && began > p->anchor) {
        p->accepted++;
        if (began > p->last)
            p->last = began;
    }
    if (!wi_pace_is_set(p))
        return;
    p->clean += began > p->changed_at;
    if (may_grow(p))
        grow(p, now);
}

static void set_anchor(wi_pace *p, int64_t now)
{
    p->anchor = p->last = now;
    p->accepted = 0;
}

/* At both the anchor and now it had nothing left: what it gave in between is what it gives. */
static void measure(wi_pace *p, int64_t now)
{
    double rate = (double)p->accepted * WI_SECOND / (double)(p->last - p->anchor) * below;
    if (p->basis && rate > p->bucket.rate * below)
        rate = p->bucket.rate * below;
    p->basis = p->accepted;
    p->step = p->basis < ROUGH ? rough_step : first_step;
    set_rate(p, rate, now);
    if (p->accepted >= ENOUGH)
        set_anchor(p, now);
}

bool wi_pace_refused(wi_pace *p, int64_t now, int64_t began, bool alone)
{
    p->credit = p->credit - 1 > least_credit ? p->credit - 1 : least_credit;
    if (p->anchor && began <= p->cut_at)
        return wi_pace_is_set(p);
    p->cut_at = now;
    if (!p->anchor) {
        set_anchor(p, now);
    } else if (p->accepted >= FEW && p->last > p->anchor) {
        measure(p, now);
    } else if (p->basis) {
        p->step = first_step;
        set_rate(p, p->bucket.rate * without_measure, now);
    } else if (alone || wi_pace_is_set(p)) {
        double tried = wi_pace_is_set(p) ? p->bucket.rate : 1e9 / (double)(now - began + 1);
        set_rate(p, tried / 2 > slowest_guess ? tried / 2 : slowest_guess, now);
    }
    return wi_pace_is_set(p);
}
