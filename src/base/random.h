/*
 * random.h: a small random generator (PCG32, M. O'Neill, "PCG: A Family of Simple Fast
 * Space-Efficient Statistically Good Algorithms for Random Number Generation", 2014). For jitter
 * and hash seeds, never for secrets. Not thread-safe: one per owner.
 */
#ifndef WI_RANDOM_H
#define WI_RANDOM_H

#include <stdint.h>

typedef struct wi_random {
    uint64_t state;
} wi_random;

/* A seed from the kernel; never 0. */
uint64_t wi_random_seed(void);

void wi_random_init(wi_random *random, uint64_t seed);
uint32_t wi_random_u32(wi_random *random);

/* Uniform in [0, bound), 0 if bound <= 0. */
int64_t wi_random_below(wi_random *random, int64_t bound);

#endif
