/*
 * crew_size.c: see crew_size.h. Its invariant: 1 <= hands <= most, and what was seen and measured
 * is of one and the same number of hands.
 */
#include "crew_size.h"

#include "clock.h"

enum {
    ENOUGH = 16,       /* looks at hands, before anything is concluded */
    FORGOTTEN = 512,   /* so many have nothing more to say: begin anew */
    STEEPEST = 4,      /* growth at once */
    WORTH_A_TRIAL = 4, /* hands for each processor */
};

#define FIRST_TRIAL (2 * WI_SECOND) /* after the beginning */
#define MEASURED_FOR (100 * WI_MILLISECOND)
#define MEASURED_PIECES 200 /* done at least, and some by every hand */
#define AS_FAST 0.9
#define LONGEST_BETWEEN (60 * WI_SECOND)

void wi_crew_size_init(wi_crew_size *size, int processors, int most)
{
    *size = (wi_crew_size){
        .processors = processors,
        .most = most,
        .between_trials = 2 * WI_SECOND,
        .ceiling_for = 4 * WI_SECOND,
    };
    size->least = processors < most ? processors : most;
    size->hands = size->least;
}

void wi_crew_size_cap(wi_crew_size *size, int most)
{
    size->most = most > 1 ? most : 1;
    if (size->least > size->most)
        size->least = size->most;
    if (size->hands > size->most)
        size->hands = size->most;
}

static void forget(wi_crew_size *size)
{
    size->runnable = size->blocked = 0;
}

static void change(wi_crew_size *size, int hands)
{
    size->hands = hands;
    size->measured_since = 0;
    forget(size);
}

/* ---- what the processors have to do ---- */

static int within(const wi_crew_size *size, double hands)
{
    if (hands > size->most)
        return size->most;
    return hands < size->least ? size->least : (int)(hands + 0.5);
}

/* Is `distance` more than what chance may have made of it? */
static bool is_clear(double distance, double variance)
{
    return distance > 0 && distance * distance > variance;
}

/* How many are wanted for that; as many as there are if it is not clear. */
static int wanted_by_processors(const wi_crew_size *size)
{
    double n = size->runnable + size->blocked;
    if (n < ENOUGH)
        return size->hands;
    double processors = size->processors;
    double share = (size->runnable + 0.5) / (n + 1);
    double runnable = size->hands * share;
    double variance = (double)size->hands * size->hands * share * (1 - share) / n;
    double wanted = 1.25 * processors / share;
    if (is_clear(0.8 * processors - runnable, variance)) {
        double steepest = (double)size->hands * STEEPEST;
        return within(size, wanted < steepest ? wanted : steepest);
    }
    if (is_clear(runnable - 1.5 * processors, variance))
        return within(size, wanted);
    return size->hands;
}

static void follow_processors(wi_crew_size *size, const wi_crew_sample *sample)
{
    int wanted = wanted_by_processors(size);
    if (sample->now < size->ceiling_until && wanted > size->ceiling)
        wanted = size->ceiling;
    if (wanted < size->hands) {
        size->trial = WI_CREW_NO_TRIAL;
        change(size, wanted);
    } else if (wanted > size->hands && size->trial == WI_CREW_NO_TRIAL) {
        if (sample->idle)
            forget(size);
        else
            change(size, wanted);
    } else if (size->runnable + size->blocked >= FORGOTTEN) {
        forget(size);
    }
}

/* ---- whether all of them help ---- */

/* The speed of this number of hands, once it was measured for long enough; 0: it was not yet. */
static double measure(wi_crew_size *size, const wi_crew_sample *sample)
{
    bool settled = sample->present == size->hands && !sample->idle;
    if (!settled || !size->measured_since) {
        size->measured_since = settled ? sample->now : 0;
        size->measured_from = (double)sample->done;
        return 0;
    }
    double pieces = (double)sample->done - size->measured_from;
    int64_t time = sample->now - size->measured_since;
    if (time < MEASURED_FOR || pieces < MEASURED_PIECES || pieces < 4.0 * size->hands)
        return 0;
    size->measured_since = sample->now;
    size->measured_from = (double)sample->done;
    return pieces / (double)time;
}

static int64_t twice(int64_t time)
{
    return time < LONGEST_BETWEEN / 2 ? time * 2 : LONGEST_BETWEEN;
}

/* Half of them were as fast as all were before and are now. */
static void end_trial(wi_crew_size *size, int64_t now, double speed)
{
    double best = speed > size->all_speed ? speed : size->all_speed;
    size->trial = WI_CREW_NO_TRIAL;
    if (size->half_speed >= AS_FAST * best) {
        size->ceiling = size->all / 2;
        size->ceiling_until = now + size->ceiling_for;
        size->ceiling_for = twice(size->ceiling_for);
        size->next_trial = now; /* a quarter may do as well */
        change(size, size->ceiling);
    } else {
        size->next_trial = now + size->between_trials;
        size->between_trials = twice(size->between_trials);
    }
}

static void try_half(wi_crew_size *size, const wi_crew_sample *sample)
{
    double speed = measure(size, sample);
    if (speed == 0)
        return;
    switch (size->trial) {
    case WI_CREW_NO_TRIAL:
        if (sample->now < size->next_trial || size->hands < WORTH_A_TRIAL * size->processors)
            break;
        size->trial = WI_CREW_HALF;
        size->all = size->hands;
        size->all_speed = speed;
        change(size, size->hands / 2);
        break;
    case WI_CREW_HALF:
        size->trial = WI_CREW_ALL_AGAIN;
        size->half_speed = speed;
        change(size, size->all);
        break;
    case WI_CREW_ALL_AGAIN:
        end_trial(size, sample->now, speed);
        break;
    }
}

int wi_crew_size_next(wi_crew_size *size, const wi_crew_sample *sample)
{
    if (!size->next_trial)
        size->next_trial = sample->now + FIRST_TRIAL;
    size->runnable += sample->runnable;
    size->blocked += sample->blocked;
    follow_processors(size, sample);
    try_half(size, sample);
    return size->hands;
}
