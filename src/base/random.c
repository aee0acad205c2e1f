/* random.c: see random.h. */
#include "random.h"

#include <sys/random.h>
#include <time.h>

uint64_t wi_random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = ((uint64_t)now.tv_sec << 32) ^ (uint64_t)now.tv_nsec;
    }
    return seed ? seed : 1;
}

void wi_random_init(wi_random *random, uint64_t seed)
{
    random->state = seed + 1442695040888963407ULL;
    wi_random_u32(random);
}

uint32_t wi_random_u32(wi_random *random)
{
    uint64_t old = random->state;
    random->state = old * 6364136223846793005ULL + 1442695040888963407ULL;
    uint32_t shifted = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    return (shifted >> turn) | (shifted << (-turn & 31));
}

int64_t wi_random_below(wi_random *random, int64_t bound)
{
    if (bound <= 0)
        return 0;
    uint64_t wide = ((uint64_t)wi_random_u32(random) << 32) | wi_random_u32(random);
    return (int64_t)(((unsigned __int128)wide * (uint64_t)bound) >> 64);
}
