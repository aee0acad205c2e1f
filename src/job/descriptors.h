/* descriptors.h: how many items the process has file descriptors for. */
#ifndef WI_DESCRIPTORS_H
#define WI_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wi_descriptors {
    int64_t needed;    /* for what was wanted */
    int64_t allowed;   /* the hard limit of RLIMIT_NOFILE */
    int64_t in_flight; /* what was wanted, or what fits */
    int64_t lane_most; /* as many of them may one lane have, so that it does fit */
} wi_descriptors;

/*
 * A lane's connections come in groups of 64, which are kept open when they are idle, and each group
 * takes two descriptors more; so lanes that took turns with the whole number would each end up with
 * connections for all of it. Where none are kept a lane may have as many as there are. `each`:
 * descriptors that an item takes. Changes nothing.
 */
wi_descriptors wi_descriptors_plan(int64_t wanted, int64_t lanes, int each, bool kept);

/* Raises the soft limit towards what is needed. */
void wi_descriptors_raise(const wi_descriptors *plan);

#endif
