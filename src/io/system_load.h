/*
 * system_load.h: how much this machine has to do: its load average and the memory it could give.
 */
#ifndef WI_SYSTEM_LOAD_H
#define WI_SYSTEM_LOAD_H

#include <stdint.h>

typedef struct wi_system_load {
    double average;    /* over the last minute; getloadavg(3) */
    int64_t available; /* bytes; MemAvailable of proc_meminfo(5), INT64_MAX where it is not known */
    int64_t looked_at;
} wi_system_load;

/* Looks, at most ten times a second; `load` begins all zero. */
void wi_system_load_look(wi_system_load *load, int64_t now);

#endif
