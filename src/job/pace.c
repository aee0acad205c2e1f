/*
 * pace.c: see pace.h. Its invariant: a refusal never raises the rate above what it was, and one of
 * a request that began before the last cut changes nothing.
 *
 * The first refusal only sets the anchor. The next one ends the measure, though not at once: what
 * began before it may still be on its way. Until an answer to a later request has come, the pace is
 * only slower. Then what was accepted, by the time between the two refusals, is the rate. A few
 * answers make a rough measure: it is refined at each refusal until there are enough, and in
 * between the pace creeps upwards without further ado, should it be too low. A good measure is left
 * alone until there is credit, of which each answer brings 1/200 and each refusal that came of
 * trying takes 1; then the rate grows by 1/16, 1/8 and so on, until a refusal measures it again. So
 * a rate that was raised is found out soon, and less than one in a hundred is ever refused for
 * that.
 *
 * A server that asks us to wait (Retry-After) gives less between two refusals than it could, if it
 * had us wait for longer than it takes to have all again that it ever gives at once; and without
 * the wait, the measure is too high. The rate is looked for between the two.
 *
 * Where not even one at a time is borne and nothing is accepted that could be measured, the rate is
 * guessed at: 0.7 of what was tried, down to one a second, and double with each answer.
 */
#include "pace.h"

#include "clock.h"

#define LONGEST_WAIT ((int64_t)1 << 60)

enum { FEW = 4, ROUGH = 32, ENOUGH = 64, OFTEN = 8, MOST_FAILED = 3 };

static const double below = 0.97;
static const double nearly = 0.92;
static const double about = 1.03;
static const double clearly = 1.5;
static const double a_little = 0.9;
static const double less = 0.7;
static const double slowest_guess = 1;
static const double first_step = 1.0 / 16;
static const double rough_step = 1.0 / 12;
static const double boldest_step = 1.0 / 2;
static const double credit_for_answer = 1.0 / 200;
static const double credit_for_wait = 1.0 / 3;
static const double least_credit = -8;
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
    if (!p->end && rate < p->slowest)
        p->slowest = rate;
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
    return p->clean >= ROUGH * (1 + p->failed) && p->credit >= 1;
}

static void grow(wi_pace *p, int64_t now)
{
    double rate = p->bucket.rate * (1 + (p->basis ? p->step : 1));
    if (p->high > 0 && p->basis < ROUGH) {
        rate = (p->bucket.rate + p->high) / 2;
        if (rate > p->high * nearly) {
            rate = p->high * nearly;
            p->basis = ROUGH;
        }
    }
    p->step = p->step * 2 < boldest_step ? p->step * 2 : boldest_step;
    set_rate(p, rate, now);
    p->grown = true;
    if (rate > p->measured * clearly)
        p->failed = 0;
}

static void set_anchor(wi_pace *p, int64_t when)
{
    p->anchor = when;
    p->accepted = 0;
    p->held = p->held_after;
    p->held_after = 0;
    p->slowest = p->bucket.rate;
}

void wi_pace_held(wi_pace *p, int64_t time)
{
    *(p->end ? &p->held_after : &p->held) += time;
    if (p->charged) /* it costs what could have been asked meanwhile */
        p->credit -= p->bucket.rate * (double)time / WI_SECOND * credit_for_wait;
}

/* At both the anchor and the end it had nothing left: what it gave in between is what it gives. */
static void measure(wi_pace *p, int64_t now)
{
    int64_t time = p->end - p->anchor;
    int64_t end = p->end;
    p->end = 0;
    if (p->accepted < FEW) {
        p->held += p->held_after;
        p->held_after = 0;
        return;
    }
    double rate = (double)p->accepted * WI_SECOND / (double)time * below;
    bool had_more = p->basis >= ROUGH;
    bool guessed = !p->basis && wi_pace_is_set(p);
    p->basis = guessed && p->accepted >= ROUGH ? ROUGH - 1 : p->accepted;
    p->high = 0;
    if (p->held && p->held < time)
        p->high = (double)p->accepted * WI_SECOND / (double)(time - p->held);
    else if (had_more && rate > p->slowest * about && p->refused_at > rate)
        p->high = p->refused_at;
    if (p->high > 0) {
        p->basis = ROUGH - 1;
        rate = (rate + p->high) / 2;
        rate = rate < p->high * nearly ? rate : p->high * nearly;
    }
    if (p->refused_at > 0 && rate > p->refused_at * below)
        rate = p->refused_at * below;
    if (p->charged && rate < p->measured) { /* which was borne for so long that there was credit */
        rate = p->measured;
        p->basis = ROUGH;
    }
    p->step = p->basis < ROUGH ? rough_step : first_step;
    p->grown = p->charged = false;
    set_rate(p, rate, now);
    p->measured = rate;
    if ((p->accepted >= ENOUGH && !guessed) || p->held) {
        set_anchor(p, end);
    } else {
        p->held += p->held_after;
        p->held_after = 0;
    }
}

void wi_pace_accepted(wi_pace *p, int64_t now, int64_t began)
{
    p->credit = p->credit + credit_for_answer < 1 ? p->credit + credit_for_answer : 1;
    if (p->end && began > p->end)
        measure(p, now);
    p->accepted += p->anchor && began > p->anchor;
    if (!wi_pace_is_set(p))
        return;
    p->clean += began > p->changed_at;
    if (!p->end && may_grow(p))
        grow(p, now);
}

static void slow_down(wi_pace *p, int64_t now, int64_t began, bool alone, bool again)
{
    if (!again && p->grown && p->basis >= ROUGH && p->measured * a_little < p->bucket.rate) {
        set_rate(p, p->measured * a_little, now); /* what was tried is undone */
    } else if (wi_pace_is_set(p)) {
        double rate = p->bucket.rate * (again || !p->basis ? less : a_little);
        set_rate(p, rate > slowest_guess || p->basis ? rate : slowest_guess, now);
    } else if (alone) {
        set_rate(p, less * WI_SECOND / (double)(now - began + 1), now);
    }
}

bool wi_pace_refused(wi_pace *p, int64_t now, int64_t began, bool alone)
{
    bool tried = p->grown && p->basis >= ROUGH;
    if (tried && p->credit - 1 > least_credit)
        p->credit -= 1;
    if (p->anchor && began <= p->cut_at)
        return wi_pace_is_set(p);
    p->cut_at = now;
    if (!p->anchor) {
        set_anchor(p, began);
        return false;
    }
    bool again = p->end;
    if (!again) {
        p->end = began > p->anchor ? began : p->anchor + 1;
        p->refused_at = p->bucket.rate;
        p->charged = tried;
        p->failed = !tried ? 0 : p->failed < MOST_FAILED ? p->failed + 1 : MOST_FAILED;
    }
    slow_down(p, now, began, alone, again);
    return wi_pace_is_set(p);
}
