/* clock.c: see clock.h. */
#include "clock.h"

#include <time.h>

wi_clock *wi_clock_real(void)
{
    static wi_clock real;
    return &real;
}

int64_t wi_clock_now(const wi_clock *clock)
{
    if (clock->is_virtual)
        return clock->virtual_now;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * WI_SECOND + now.tv_nsec;
}

void wi_clock_advance_to(wi_clock *clock, int64_t then)
{
    if (clock->is_virtual && then > clock->virtual_now)
        clock->virtual_now = then;
}
