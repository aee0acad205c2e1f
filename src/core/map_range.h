/*
 * map_range.h: what a runner of a map holds (map_runner.c), in one word: the item it runs, and
 * those that were drawn together with it and have not begun. Others, who have nothing to do, take
 * these from the far end, so a slow item holds nobody back.
 *
 * The invariant: who takes an item out of a word, by compare and exchange, runs it or delivers its
 * failure; who takes the item that runs out of it delivers its outcome.
 */
#ifndef WI_MAP_RANGE_H
#define WI_MAP_RANGE_H

#include "map_state.h"

/* The word: first item that has not begun (so there may be 2^48), how many of these, flags. */
enum {
    HELD_BUSY = 1, /* the item before the first one runs */
    HELD_LOST = 2, /* its outcome was delivered by somebody else */
    HELD_FLAGS = 3,
    HELD_COUNT_SHIFT = 2,
    HELD_FIRST_SHIFT = 16,
};

static inline uint64_t make_held(size_t first, size_t count, uint64_t flags)
{
    return (uint64_t)first << HELD_FIRST_SHIFT | (uint64_t)count << HELD_COUNT_SHIFT | flags;
}

static inline size_t held_first(uint64_t held)
{
    return (size_t)(held >> HELD_FIRST_SHIFT);
}

static inline size_t held_count(uint64_t held)
{
    return (size_t)(held >> HELD_COUNT_SHIFT) &
           (((size_t)1 << (HELD_FIRST_SHIFT - HELD_COUNT_SHIFT)) - 1);
}

static inline size_t count_of(wi_map_range *range)
{
    return held_count(atomic_load_explicit(&range->held, memory_order_relaxed));
}

/* A runner's own next item, if it has one; begins it. */
static inline bool take_first(wi_map_range *range, size_t *place)
{
    uint64_t held = atomic_load(&range->held);
    while (held_count(held) && !(held & HELD_LOST)) {
        *place = held_first(held);
        uint64_t next = make_held(*place + 1, held_count(held) - 1, HELD_BUSY);
        if (atomic_compare_exchange_weak(&range->held, &held, next))
            return true;
    }
    return false;
}

/* Takes an item out of another's word, to begin it elsewhere. */
static inline bool take_last(wi_map_range *other, size_t *place)
{
    uint64_t held = atomic_load(&other->held);
    while (held_count(held)) {
        size_t left = held_count(held) - 1;
        *place = held_first(held) + left;
        uint64_t next = make_held(held_first(held), left, held & HELD_FLAGS);
        if (atomic_compare_exchange_weak(&other->held, &held, next))
            return true;
    }
    return false;
}

typedef enum after { AFTER_LOST, AFTER_IDLE, AFTER_NEXT } after;

/* The item that ran is over and its outcome the runner's to deliver, unless it was lost; with
 * go_on, the next one begins if there is one. */
static inline after settle(wi_map_range *range, bool go_on, size_t *next)
{
    uint64_t held = atomic_load_explicit(&range->held, memory_order_relaxed);
    for (;;) {
        if (held & HELD_LOST)
            return AFTER_LOST;
        bool has = go_on && held_count(held);
        *next = held_first(held);
        uint64_t then = has ? make_held(*next + 1, held_count(held) - 1, HELD_BUSY)
                            : held & ~(uint64_t)HELD_BUSY;
        if (atomic_compare_exchange_weak(&range->held, &held, then))
            return has ? AFTER_NEXT : AFTER_IDLE;
    }
}

#endif
