/*
 * limit.c: see limit.h. Its invariant: 1 <= limit <= ceiling.
 *
 * Little's law says that in flight = throughput x latency. As long as a server has room, one more
 * in flight leaves the latency as it is; once it is full, one more only waits in a queue, and the
 * latency grows in proportion. So the latency alone tells whether a higher limit would gain
 * anything, if one knows what an answer takes without a queue: `base`.
 *
 * Time is cut into windows. A window's answers are those to requests begun since it opened, so that
 * they have all met the limit of that window, and it closes after as many of them as the limit
 * (about a round trip or two), at least 16, so that a mean means something. A window whose limit
 * never held a request back says nothing about the limit. At its close, by its mean latency:
 *
 *   below 1.5 base   grow by `step`: by all of the limit at first (the slow start), by 1/16 after
 *                    any brake, then quicker again, doubling over four windows, so that a server
 *                    that has come back is soon in full use. At least by 1.
 *   up to 2 base     hold. With a queue in front of C workers that is between 1.5 C and 2 C: no
 *                    worker idles, and nobody waits for longer than the work itself takes.
 *   above 2 base     there is a queue, and it may be ours: cut on trial to where, if so, the
 * latency would be 0.9 base, but at most to half.
 *
 * The smallest mean of all windows is the base. A trial ends with the next window: if the latency
 * fell by at least half of what the cut should bring, the queue was ours and the cut stays. If not,
 * the server has become slower for reasons of its own, and less from us would help nobody: the old
 * limit comes back, and the latency is the new base. A limit that has been held for 32 windows is
 * put on trial as well, in case the base was measured when there was a queue already: each such
 * trial that finds a queue then lowers the base by a tenth. So a wrong base, too low or too high,
 * is found out.
 *
 * The first window closes after 8 answers and only sets the base: the ramp is blind, and what it
 * began may have queued behind itself, the earliest answers least.
 *
 * Overload halves the limit and sets the step back; of one round trip only the first is heard: one
 * that tells of a request begun before the last halving is old news. Such answers' latencies are
 * not counted: a refusal is quick. The limit of a server that refuses more than N so wanders
 * between N/2 and a little above N.
 */
#include "limit.h"

#include "clock.h"

#define RAMP_STEP (100 * WI_MILLISECOND)

enum { RAMP_FROM = 32, RAMP_TO = 256, FIRST_ANSWERS = 8, MIN_ANSWERS = 16, TRY_AFTER = 32 };

static const double grow_below = 1.5;
static const double cut_above = 2;
static const double smallest_step = 1.0 / 16;
static const double step_growth = 1.19; /* the fourth root of 2 */
static const double trial_goal = 0.9;
static const double deepest_cut = 0.5;

void wi_limit_init(wi_limit *l, int64_t fixed, int64_t ceiling)
{
    *l = (wi_limit){
        .fixed = fixed > 0,
        .ceiling = ceiling > 1 ? (double)ceiling : 1,
        .born = WI_FOREVER,
        .step = 1,
        .halved_at = INT64_MIN,
        .window_start = INT64_MIN,
    };
    l->limit = fixed > 0 ? (double)fixed : RAMP_FROM < l->ceiling ? RAMP_FROM : l->ceiling;
}

/* Of requests begun at `start` or later. Several may have begun at the same time as the answer that
 * closes a window: after a cut those do not belong to the next one, so it starts one later. */
static void open_window(wi_limit *l, int64_t start)
{
    l->window_start = start;
    l->window_count = 0;
    l->window_sum = 0;
    l->window_bound = false;
}

static void set_limit(wi_limit *l, double limit)
{
    l->limit = limit < 1 ? 1 : limit > l->ceiling ? l->ceiling : limit;
}

/* Takes in the time that has passed without an answer. */
static void ramp(wi_limit *l, int64_t now)
{
    if (l->fixed || l->answered || now <= l->born)
        return;
    double limit = RAMP_FROM;
    for (int64_t steps = (now - l->born) / RAMP_STEP; steps > 0 && limit < RAMP_TO; steps--)
        limit *= 1.5;
    set_limit(l, limit < RAMP_TO ? limit : RAMP_TO);
}

static void brake(wi_limit *l)
{
    l->step = smallest_step;
    l->held = 0;
    l->tried_from = 0;
}

static void halve(wi_limit *l, int64_t now)
{
    set_limit(l, l->limit / 2);
    l->halved_at = now;
    brake(l);
    open_window(l, now + 1);
}

static void grow(wi_limit *l)
{
    double by = l->limit * l->step;
    set_limit(l, l->limit + (by < 1 ? 1 : by));
    l->step = l->step * step_growth < 1 ? l->step * step_growth : 1;
    l->held = 0;
}

static void begin_trial(wi_limit *l, double mean)
{
    double cut = trial_goal * l->base / mean;
    l->tried_from = l->limit;
    l->tried_mean = mean;
    set_limit(l, l->limit * (cut < deepest_cut ? deepest_cut : cut));
}

static void end_trial(wi_limit *l, double mean)
{
    double cut = l->limit / l->tried_from;
    if (l->window_bound && mean < l->tried_mean * (1 + cut) / 2) {
        brake(l); /* the queue was ours */
        return;
    }
    if (l->window_bound)
        l->base = mean;
    set_limit(l, l->tried_from);
    l->tried_from = 0;
    l->held = 0;
}

static void close_window(wi_limit *l)
{
    double mean = l->window_sum / (double)l->window_count;
    bool first = !(l->base > 0);
    if (first || mean < l->base)
        l->base = mean;
    if (l->tried_from > 0) {
        end_trial(l, mean);
    } else if (first || !l->window_bound) {
        return;
    } else if (mean < grow_below * l->base) {
        grow(l);
    } else if (mean > cut_above * l->base || ++l->held >= TRY_AFTER) {
        begin_trial(l, mean);
    } else {
        l->step = smallest_step;
    }
}

void wi_limit_begin(wi_limit *l, int64_t now, bool bound)
{
    if (l->born == WI_FOREVER)
        l->born = now;
    l->window_bound = l->window_bound || bound;
}

void wi_limit_end(wi_limit *l, int64_t now, int64_t latency, bool overload)
{
    if (l->fixed)
        return;
    ramp(l, now);
    l->answered = true;
    int64_t began = now - latency;
    if (overload && began > l->halved_at)
        halve(l, now);
    if (overload || began < l->window_start)
        return;
    l->window_sum += latency > 1 ? (double)latency : 1;
    l->window_count++;
    double enough = l->limit < MIN_ANSWERS ? MIN_ANSWERS : l->limit;
    if (l->window_count >= (l->base > 0 ? (int64_t)enough : FIRST_ANSWERS)) {
        double limit = l->limit;
        close_window(l);
        open_window(l, l->limit < limit ? now + 1 : now);
    }
}

int64_t wi_limit_now(wi_limit *l, int64_t now)
{
    ramp(l, now);
    return (int64_t)l->limit;
}

int64_t wi_limit_next_rise(const wi_limit *l, int64_t now)
{
    double top = l->ceiling < RAMP_TO ? l->ceiling : RAMP_TO;
    if (l->fixed || l->answered || l->born == WI_FOREVER || l->limit >= top)
        return WI_FOREVER;
    return now < l->born ? l->born : now + RAMP_STEP - (now - l->born) % RAMP_STEP;
}
