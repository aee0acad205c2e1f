/*
 * crew_size.h: how many hands are of use, found while they work.
 *
 * A hand that waits for storage leaves its processor to others, so the processors are kept busy by
 * P / (1 - waiting) hands, by Little's law. As long as they are not, and hands are blocked, there
 * are too few. When most of them are runnable (they run, or wait for a processor), there are too
 * many, as when files turn out to be in memory. Storage may be at its end before the processors
 * are: then hands that do not make the whole faster are taken back. That shows when it is tried:
 * now and then half of them pause for a moment.
 *
 * Pure: time and samples are given. Not thread-safe.
 */
#ifndef WI_CREW_SIZE_H
#define WI_CREW_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/* A trial: how fast are all, how fast is half of them, and is that still how fast all are? */
typedef enum wi_crew_trial {
    WI_CREW_NO_TRIAL,
    WI_CREW_HALF,
    WI_CREW_ALL_AGAIN,
} wi_crew_trial;

typedef struct wi_crew_size {
    int processors;
    int least, most;
    int hands;             /* wanted now */
    int runnable, blocked; /* seen since `hands` changed, the later the more */
    int64_t seen_since;    /* 0: not yet */
    int64_t seen_from;     /* the processors' time */
    int64_t crowded_since; /* 0: they are not */

    wi_crew_trial trial;
    int all;                /* hands, but for the trial */
    double all_speed;       /* before it */
    double half_speed;      /* during it */
    int64_t next_trial;     /* not before */
    int64_t between_trials; /* grows as they fail */
    int ceiling;            /* as many as were found to be enough, ... */
    int64_t ceiling_until;  /* ... but not for ever */
    int64_t ceiling_for;    /* grows as it is confirmed */
    int64_t measured_since; /* the speed; 0: it is not */
    double measured_from;
} wi_crew_size;

/* What was seen of some hands at a moment, as many of them as could be looked at. */
typedef struct wi_crew_sample {
    int64_t now;
    int64_t cpu; /* time that the process had processors for, since its beginning */
    int runnable;
    int blocked;
    int present;  /* hands that have not paused */
    bool idle;    /* some wait for others, or for the output: more hands would only wait, too */
    int64_t done; /* pieces of work since the beginning, of whatever size */
} wi_crew_sample;

void wi_crew_size_init(wi_crew_size *size, int processors, int most);

/* No more than so many can be had. */
void wi_crew_size_cap(wi_crew_size *size, int most);

/* Takes a sample; the number of hands that are wanted now. */
int wi_crew_size_next(wi_crew_size *size, const wi_crew_sample *sample);

#endif
