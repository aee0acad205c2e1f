/*
 * histogram.c: see histogram.h. Its invariant: bucket_of and bucket_low are inverse on every
 * bucket's smallest value, and the buckets lie without gaps from 0 to INT64_MAX.
 */
#include "histogram.h"

enum { SUB_BITS = 6 };

_Static_assert(1 << SUB_BITS == WI_HISTOGRAM_SUB, "SUB_BITS is the logarithm of the cuts");
_Static_assert((64 - SUB_BITS) * WI_HISTOGRAM_SUB == WI_HISTOGRAM_BUCKETS, "up to INT64_MAX");

/* Values below SUB have a bucket each; above, the bits after the leading one choose the cut. */
static unsigned bucket_of(uint64_t value)
{
    if (value < WI_HISTOGRAM_SUB)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return (shift + 1) * WI_HISTOGRAM_SUB + ((unsigned)(value >> shift) & (WI_HISTOGRAM_SUB - 1));
}

static uint64_t bucket_low(unsigned bucket)
{
    if (bucket < WI_HISTOGRAM_SUB)
        return bucket;
    unsigned shift = bucket / WI_HISTOGRAM_SUB - 1;
    return (uint64_t)(WI_HISTOGRAM_SUB + bucket % WI_HISTOGRAM_SUB) << shift;
}

/* The one writer needs no locked instruction: nobody else changes what it reads. */
static void bump(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + by, memory_order_relaxed);
}

void wi_histogram_add(wi_histogram *histogram, int64_t value)
{
    bump(&histogram->counts[bucket_of(value < 0 ? 0 : (uint64_t)value)], 1);
    bump(&histogram->total, 1);
}

void wi_histogram_merge(wi_histogram *to, const wi_histogram *from)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < WI_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&from->counts[i], memory_order_relaxed);
        if (count)
            bump(&to->counts[i], count);
        sum += count;
    }
    bump(&to->total, sum);
}

int64_t wi_histogram_quantile(const wi_histogram *histogram, double q)
{
    uint64_t total = atomic_load_explicit(&histogram->total, memory_order_relaxed);
    double want = q * (double)total;
    uint64_t seen = 0;
    int64_t value = 0;
    for (unsigned i = 0; i < WI_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        if (!count)
            continue;
        uint64_t low = bucket_low(i);
        uint64_t width = i < WI_HISTOGRAM_SUB ? 1 : 1ULL << (i / WI_HISTOGRAM_SUB - 1);
        value = (int64_t)(low + width / 2);
        seen += count;
        if ((double)seen >= want)
            break;
    }
    return value; /* a writer may be ahead of the counts read: then it is the largest seen */
}
