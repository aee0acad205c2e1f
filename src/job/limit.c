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
 *   above 2 base     there is a queue, and it may be ours: cut on trial to where it would be gone.
 *
 * The smallest mean of all windows is the base. A trial ends with the next window: if the latency
 * fell by at least half of what the cut should bring, the queue was ours and the cut stays (unless
 * the latency was not above 2 base: a queue, but a short one). If not, the server has become slower
 * for reasons of its own, and less from us would help nobody: the old limit comes back, and the
 * latency is the new base. A limit that has been held for 32 windows is put on trial as well, in
 * case the base was measured when there was a queue already: each such trial that finds a queue
 * then lowers the base by a tenth. So a wrong base, too low or too high, is found out.
 *
 * The first window closes after 8 answers and sets the base: the ramp is blind, and what it began
 * may have queued behind itself, the earliest answers least. They are also the quickest, so the
 * second window may raise it. In the slow start, and on the way back after a failure, each answer
 * that comes without a queue raises the limit by one, so that it doubles with each round trip.
 *
 * Overload halves the limit and sets the step back; of one round trip only the first is heard: one
 * that tells of a request begun before the last change is old news. Such answers' latencies are not
 * counted: a refusal is quick. What follows depends on the signal:
 *
 *   BUSY           the server refuses what is above a height: it is looked for (next_height).
 *   GONE           is not about load at all.
 *   all others     say nothing of a height: it climbs back to where it was.
 */
#include "limit.h"

#include "clock.h"

#define RAMP_STEP (100 * WI_MILLISECOND)

enum {
    RAMP_FROM = 32,
    RAMP_TO = 256,
    FIRST_ANSWERS = 8,
    MIN_ANSWERS = 16,
    TRY_AFTER = 32,
    MIN_BORNE = 4,
    ODD_AFTER = 3,
    ODD_TIMES = 3
};

static const double grow_below = 1.5;
static const double cut_above = 2;
static const double smallest_step = 1.0 / 16;
static const double step_growth = 1.19; /* the fourth root of 2 */
static const double trial_goal = 0.9;
static const double deepest_cut = 0.5;
static const double forgotten = 1.0 / 256; /* with each answer, of the count of refusals */
static const double odd_part = 0.15;       /* more than that is nobody's habit */
static const double first_probe = 1.0 / 32;
static const double boldest_probe = 1.0 / 4;
static const double close_enough = 1.0 / 16;       /* between what is borne and what is not */
static const double credit_for_answer = 1.0 / 250; /* refusals stay far below a hundredth */

void wi_limit_init(wi_limit *l, int64_t fixed, int64_t ceiling)
{
    *l = (wi_limit){
        .fixed = fixed > 0,
        .ceiling = ceiling > 1 ? (double)ceiling : 1,
        .born = WI_FOREVER,
        .step = 1,
        .halved_at = INT64_MIN,
        .window_start = INT64_MIN,
        .changed_at = INT64_MIN,
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
    l->window_enough = l->limit < MIN_ANSWERS ? MIN_ANSWERS : (int64_t)l->limit;
    l->window_limit = l->limit;
}

static void set_limit(wi_limit *l, double limit)
{
    l->limit = limit < 1 ? 1 : limit > l->ceiling ? l->ceiling : limit;
}

/* The same at a moment from which on it is watched whether it is borne. */
static void change_limit(wi_limit *l, double limit, int64_t now)
{
    set_limit(l, limit);
    l->changed_at = now;
    l->quiet = 0;
    l->quiet_bound = false;
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

static double floor_of(double x)
{
    return (double)(int64_t)x;
}

static void brake(wi_limit *l)
{
    l->step = smallest_step;
    l->held = 0;
    l->tried_from = 0;
}

static void halve(wi_limit *l, int64_t now)
{
    change_limit(l, floor_of(l->limit / 2), now);
    l->halved_at = now;
    brake(l);
    open_window(l, now + 1);
}

/*
 * Too many at once: the height is remembered, and for a while not tried again. What was only tried
 * is undone; else the limit is halved, since nobody knows how far it is too high.
 */
static void refused(wi_limit *l, int64_t now)
{
    double height = floor_of(l->limit);
    bool undo = l->trying && l->good > 0 && l->good < height;
    if (!undo)
        l->good = 0; /* it bears less than it did */
    l->bad = height;
    l->wary = true;
    l->halved_at = now;
    change_limit(l, undo ? l->good : floor_of(height / 2), now);
    brake(l);
    open_window(l, now + 1);
    l->step = first_probe;
    l->charged = l->trying;
    l->trying = false;
}

/*
 * Some servers refuse one in fifty for reasons of their own. Three times in a row the limit was
 * halved, each time answers came at the lower one, and then a refusal again: that is no sign of its
 * height. It is as before, and three times that part of all answers is not heeded from now on.
 */
static bool tolerates(wi_limit *l, int64_t now)
{
    double part = l->refusals / l->answers;
    if (l->tolerated > 0 && part <= l->tolerated)
        return true;
    l->tolerated = 0;
    if (l->trying)
        return false;
    if (l->quiet < ODD_AFTER)
        l->odd = 0;
    else if (l->odd++ == 0)
        l->odd_from = l->limit;
    if (l->odd < ODD_TIMES || part > odd_part)
        return false;
    l->odd = 0;
    l->tolerated = 3 * part;
    l->good = l->bad = 0;
    l->wary = true;
    l->step = first_probe;
    change_limit(l, l->odd_from, now);
    return true;
}

static void count(wi_limit *l, bool busy)
{
    l->answers += 1 - l->answers * forgotten;
    l->refusals += busy - l->refusals * forgotten;
}

static void overloaded(wi_limit *l, int64_t now, int64_t began, wi_signal signal)
{
    bool news = began > l->halved_at;
    if (signal == WI_SIGNAL_BUSY) {
        count(l, true);
        if (news && tolerates(l, now))
            return;
        if (news)
            refused(l, now);
        double least = -1 - l->limit / 16;
        if (l->charged)
            l->credit = l->credit - 1 > least ? l->credit - 1 : least;
        return;
    }
    if (!news)
        return;
    if (l->before < l->limit)
        l->before = l->limit;
    halve(l, now);
}

void wi_limit_restore(wi_limit *l, int64_t now)
{
    if (!l->fixed && l->before > l->limit)
        change_limit(l, l->before, now);
    l->before = 0;
}

/* By as much as it has not climbed within the window. */
static void grow(wi_limit *l)
{
    double by = l->window_limit * l->step;
    double next = l->window_limit + (by < 1 ? 1 : by);
    if (next > l->limit)
        set_limit(l, next);
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
        if (l->tried_mean <= cut_above * l->base)
            set_limit(l, l->tried_from); /* there is one, but a short one */
        else if (l->good > l->limit)
            l->good = floor_of(l->limit);
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
    bool rough = l->base_is_rough && l->window_bound && mean < cut_above * l->base;
    if (first || rough || mean < l->base)
        l->base = mean;
    l->base_is_rough = first;
    l->slow = mean >= grow_below * l->base;
    if (l->tried_from > 0) {
        end_trial(l, mean);
    } else if (first || !l->window_bound) {
        return;
    } else if (!l->slow) {
        if (!l->wary)
            grow(l);
    } else if (mean > cut_above * l->base || ++l->held >= TRY_AFTER) {
        begin_trial(l, mean);
    } else {
        l->step = smallest_step;
    }
}

/*
 * After a refusal. What lies between the highest limit that was borne and the lowest that was not
 * is halved until they are close; then the lower one stays, until enough answers have come that a
 * refusal or two among so many are rare: that much higher is tried, and higher still if it is
 * borne.
 */
static double next_height(wi_limit *l)
{
    double here = floor_of(l->limit);
    double apart = l->bad * close_enough > 1 ? l->bad * close_enough : 1;
    if (here > l->good)
        l->good = here;
    if (l->good >= l->bad)
        l->bad = 0;
    if (here < l->good)
        return l->good;
    if (l->slow)
        return here;
    if (l->bad > 0 && l->bad - l->good > apart)
        return floor_of((l->good + l->bad) / 2);
    if (l->bad > 0 && l->credit < 1)
        return here;
    l->bad = 0;
    double by = here * l->step;
    l->step = l->step * 2 < boldest_probe ? l->step * 2 : boldest_probe;
    return here + (by < 1 ? 1 : by);
}

static void borne(wi_limit *l, int64_t now)
{
    double enough = l->limit < MIN_BORNE ? MIN_BORNE : l->limit;
    if (!l->quiet_bound || (double)l->quiet < enough)
        return;
    double next = next_height(l);
    if (next == floor_of(l->limit))
        return;
    change_limit(l, next, now);
    l->trying = next > l->good;
}

/* Back to where it was before a failure, or for the first time up: doubled with each round trip. */
static void climb(wi_limit *l, int64_t latency)
{
    bool quick = l->base > 0 && (double)latency < grow_below * l->base;
    if (!l->window_bound || !quick)
        return;
    if (l->before > l->limit || l->step >= 1)
        set_limit(l, l->limit + 1);
    if (l->before <= l->limit)
        l->before = 0;
}

void wi_limit_begin(wi_limit *l, int64_t now, bool bound)
{
    if (l->born == WI_FOREVER)
        l->born = now;
    l->window_bound = l->window_bound || bound;
    l->quiet_bound = l->quiet_bound || bound;
}

static void count_answer(wi_limit *l, int64_t now, int64_t latency)
{
    l->window_sum += latency > 1 ? (double)latency : 1;
    l->window_count++;
    if (l->window_count < (l->base > 0 ? l->window_enough : FIRST_ANSWERS))
        return;
    double limit = l->limit;
    close_window(l);
    open_window(l, l->limit < limit ? now + 1 : now);
}

void wi_limit_end(wi_limit *l, int64_t now, int64_t latency, wi_signal signal)
{
    if (l->fixed)
        return;
    ramp(l, now);
    l->answered = true;
    int64_t began = now - latency;
    if (signal == WI_SIGNAL_GONE)
        return;
    if (signal != WI_SIGNAL_FINE) {
        overloaded(l, now, began, signal);
        return;
    }
    count(l, false);
    l->credit = l->credit + credit_for_answer < 1 ? l->credit + credit_for_answer : 1;
    l->quiet += began > l->changed_at;
    if (l->wary && !(l->tried_from > 0))
        borne(l, now);
    else
        climb(l, latency);
    if (began >= l->window_start)
        count_answer(l, now, latency);
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
