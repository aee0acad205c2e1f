/* descriptors.h: how many items the process has file descriptors for. */
#ifndef WI_DESCRIPTORS_H
#define WI_DESCRIPTORS_H

#include <stdint.h>

typedef struct wi_descriptors {
    int64_t needed;    /* for what was wanted */
    int64_t allowed;   /* the hard limit of RLIMIT_NOFILE */
    int64_t in_flight; /* what was wanted, or what fits */
} wi_descriptors;

/* One descriptor an item, some to keep connections open and some for the rest. Changes nothing. */
wi_descriptors wi_descriptors_plan(int64_t wanted, int64_t lanes);

/* Raises the soft limit towards what is needed. */
void wi_descriptors_raise(const wi_descriptors *plan);

#endif
