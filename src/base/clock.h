/*
 * clock.h: where time comes from, so that tests can bring their own.
 *
 * Times are nanoseconds on a clock that never goes back (CLOCK_MONOTONIC for the real one). A
 * virtual clock stands still until it is advanced: a loop that runs on one moves it to its next
 * timer instead of sleeping.
 */
#ifndef WI_CLOCK_H
#define WI_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define WI_SECOND 1000000000LL
#define WI_MILLISECOND 1000000LL
#define WI_FOREVER INT64_MAX

typedef struct wi_clock {
    bool is_virtual;
    int64_t virtual_now;
} wi_clock;

/* The process's real clock. */
wi_clock *wi_clock_real(void);

int64_t wi_clock_now(const wi_clock *clock);

/* Moves a virtual clock forward to `then`; never back. */
void wi_clock_advance_to(wi_clock *clock, int64_t then);

#endif
