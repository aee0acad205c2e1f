/*
 * crew_size.c: see crew_size.h. Its invariant: 1 <= hands <= most, and what was seen and measured
 * is of one and the same number of hands.
 */
#include "crew_size.h"

#include "clock.h"

enum {
    ENOUGH = 16,       /* looks at hands, before anything is concluded */
    MANY = 64,         /* so many are enough: later ones count for more */
    STEEPEST = 4,      /* growth at once */
    WORTH_A_TRIAL = 4, /* hands for each processor */
};

#define BUSY 0.8                           /* processors, so that no more hands are wanted */
#define SEEN_FOR (8 * WI_MILLISECOND)      /* before they are called idle */
#define SEEN_LONG (100 * WI_MILLISECOND)   /* enough: begin anew */
#define CROWDED_FOR (150 * WI_MILLISECOND) /* until hands are taken back: they do little harm */

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

static void change(wi_crew_size *size, int hands)
{
    size->hands = hands;
    size->runnable = size->blocked = 0;
    size->seen_since = size->crowded_since = size->measured_since = 0;
}

/* ---- what the processors have to do ---- */

static void see(wi_crew_size *size, const wi_crew_sample *sample)
{
    if (size->runnable + size->blocked >= MANY) {
        size->runnable /= 2;
        size->blocked /= 2;
    }
    size->runnable += sample->runnable;
    size->blocked += sample->blocked;
    if (!size->seen_since || sample->idle) {
        size->seen_since = sample->now;
        size->seen_from = sample->cpu;
    }
}

/* Of the hands, those that are runnable, at a moment. */
static double runnable_of(const wi_crew_size *size)
{
    return (double)size->hands * size->runnable / (size->runnable + size->blocked);
}

/* Most of them wait for processors, not for storage, and have done so for a while. */
static bool is_crowded(wi_crew_size *size, int64_t now)
{
    bool crowded = size->runnable > size->blocked && runnable_of(size) > 1.5 * size->processors;
    if (!crowded || !size->crowded_since)
        size->crowded_since = crowded ? now : 0;
    return crowded && now - size->crowded_since >= CROWDED_FOR;
}

/*
 * Do processors idle because hands wait for storage? If they are not ours because others have them,
 * there are hands that wait for them. But as long as most are blocked, a few of those say nothing:
 * who has more of them gets a larger part of the processors.
 */
static bool is_starved(const wi_crew_size *size, double busy)
{
    return busy < BUSY && (runnable_of(size) < 0.9 * size->processors ||
                           size->runnable * STEEPEST < size->blocked);
}

static int within(const wi_crew_size *size, double hands)
{
    if (hands > size->most)
        return size->most;
    return hands < size->least ? size->least : (int)(hands + 0.5);
}

static int grown(const wi_crew_size *size, const wi_crew_sample *sample)
{
    double times = STEEPEST;
    int64_t time = sample->now - size->seen_since;
    double busy = (double)(sample->cpu - size->seen_from) / ((double)time * size->processors);
    if (time < SEEN_FOR || !is_starved(size, busy))
        return size->hands;
    if (busy * times > 1.25)
        times = 1.25 / busy;
    int wanted = within(size, size->hands * times);
    if (sample->now < size->ceiling_until && wanted > size->ceiling)
        wanted = size->ceiling;
    return wanted;
}

static void follow_processors(wi_crew_size *size, const wi_crew_sample *sample)
{
    see(size, sample);
    if (size->runnable + size->blocked < ENOUGH)
        return;
    int wanted = grown(size, sample);
    if (wanted > size->hands && size->trial == WI_CREW_NO_TRIAL) {
        change(size, wanted);
    } else if (is_crowded(size, sample->now)) {
        double share = (double)size->runnable / (size->runnable + size->blocked);
        wanted = within(size, 1.25 * size->processors / share);
        if (wanted < size->hands) {
            size->trial = WI_CREW_NO_TRIAL;
            change(size, wanted);
        }
    }
    if (sample->now - size->seen_since >= SEEN_LONG)
        size->seen_since = 0;
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
    follow_processors(size, sample);
    try_half(size, sample);
    return size->hands;
}
