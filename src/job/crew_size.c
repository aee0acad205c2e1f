/* crew_size.c: see crew_size.h. Its invariant: least <= hands <= most, and samples are of one and
 * the same number of hands. */
#include "crew_size.h"

enum {
    ENOUGH = 16,     /* samples, before anything is concluded */
    FORGOTTEN = 512, /* so many have nothing more to say: begin anew */
    STEEPEST = 4,    /* growth at once */
};

void wi_crew_size_init(wi_crew_size *size, int processors, int most)
{
    *size = (wi_crew_size){.processors = processors, .most = most};
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

static int within(const wi_crew_size *size, double hands)
{
    if (hands > size->most)
        return size->most;
    return hands < size->least ? size->least : (int)(hands + 0.5);
}

static void change(wi_crew_size *size, int hands, int64_t now)
{
    size->hands = hands;
    size->runnable = size->blocked = 0;
    size->since = now;
}

/* Is `distance` more than what chance may have made of it? */
static bool is_clear(double distance, double variance)
{
    return distance > 0 && distance * distance > variance;
}

/* How many are wanted as far as the processors are concerned; no verdict: as many as there are. */
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

int wi_crew_size_next(wi_crew_size *size, const wi_crew_sample *sample)
{
    size->runnable += sample->runnable;
    size->blocked += sample->blocked;
    int wanted = wanted_by_processors(size);
    bool no_more = sample->idle && wanted > size->hands;
    if (wanted != size->hands && !no_more)
        change(size, wanted, sample->now);
    else if (no_more || size->runnable + size->blocked >= FORGOTTEN)
        change(size, size->hands, sample->now);
    return size->hands;
}
