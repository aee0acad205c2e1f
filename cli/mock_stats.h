/*
 * mock_stats.h: the mock's counters. Its own thread writes them, any thread may read them.
 */
#ifndef CLI_MOCK_STATS_H
#define CLI_MOCK_STATS_H

#include <stdatomic.h>

#include "mock.h"
#include "mock_text.h"

typedef struct mock_counters {
#define MOCK_STATS_FIELD(name) _Atomic uint64_t name;
    MOCK_STATS_LIST(MOCK_STATS_FIELD)
#undef MOCK_STATS_FIELD
    _Atomic uint64_t faults[MOCK_FAULT_COUNT];
    _Atomic uint64_t status[MOCK_STATUS_COUNT];
} mock_counters;

/* With one writer, a load and a store do what an atomic addition would, at a fraction of its cost.
 * Returns the new value. */
static inline uint64_t mock_count(_Atomic uint64_t *counter, int by)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed) + (uint64_t)(int64_t)by;
    atomic_store_explicit(counter, value, memory_order_relaxed);
    return value;
}

/* Counts one more of something that ends again, and its peak. */
static inline void mock_count_peak(_Atomic uint64_t *now, _Atomic uint64_t *peak)
{
    uint64_t value = mock_count(now, 1);
    if (value > atomic_load_explicit(peak, memory_order_relaxed))
        atomic_store_explicit(peak, value, memory_order_relaxed);
}

void mock_counters_read(const mock_counters *counters, mock_stats *out);

/* Adds the counters as one JSON object. */
void mock_stats_add_json(mock_text *text, const mock_stats *stats);

#endif
