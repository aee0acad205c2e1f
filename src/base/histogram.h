/*
 * histogram.h: how long things took, in constant memory.
 *
 * Log-linear buckets: a power of two of nanoseconds each, cut into 64, so a quantile is off by at
 * most 1/64 of its value (the scheme of HdrHistogram, G. Tene). One thread adds, any thread may
 * read at the same time and sees a recent state (relaxed atomics).
 */
#ifndef WI_HISTOGRAM_H
#define WI_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum { WI_HISTOGRAM_SUB = 64, WI_HISTOGRAM_BUCKETS = 58 * WI_HISTOGRAM_SUB };

typedef struct wi_histogram {
    _Atomic uint64_t counts[WI_HISTOGRAM_BUCKETS];
    _Atomic uint64_t total;
} wi_histogram;

void wi_histogram_add(wi_histogram *histogram, int64_t value);

/* Adds all of `from` to `to`; `to` must have no other writer. */
void wi_histogram_merge(wi_histogram *to, const wi_histogram *from);

/* The value below which the share q (0 to 1) of all values lies; 0 if there is none. */
int64_t wi_histogram_quantile(const wi_histogram *histogram, double q);

#endif
