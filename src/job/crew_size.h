/*
 * crew_size.h: how many hands are of use, found while they work.
 *
 * A hand that waits for storage leaves its processor to others, so the processors are kept busy by
 * as many hands as it takes for one per processor to be runnable on average: P / (1 - waiting), by
 * Little's law. What is counted is hands seen at a moment: runnable (running, or waiting for a
 * processor, of which more hands would make no more), or blocked in a system call. Not where
 * storage is at its end: hands that do not make the whole faster are taken back.
 *
 * Pure: time and samples are given. Not thread-safe.
 */
#ifndef WI_CREW_SIZE_H
#define WI_CREW_SIZE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wi_crew_size {
    int processors;
    int least, most;
    int hands;             /* wanted now */
    int runnable, blocked; /* seen since the number last changed, or since they were forgotten */
    int64_t since;         /* when it changed */
} wi_crew_size;

/* What was seen of some hands at a moment, as many of them as could be looked at. */
typedef struct wi_crew_sample {
    int64_t now;
    int runnable;
    int blocked;
    bool idle;   /* some wait for others, or for the output: more hands would only wait, too */
    double done; /* work done since the beginning, in any unit */
} wi_crew_sample;

void wi_crew_size_init(wi_crew_size *size, int processors, int most);

/* No more than so many can be had. */
void wi_crew_size_cap(wi_crew_size *size, int most);

/* Takes a sample; the number of hands that are wanted now. */
int wi_crew_size_next(wi_crew_size *size, const wi_crew_sample *sample);

#endif
