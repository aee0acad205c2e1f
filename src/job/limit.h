/*
 * limit.h: how many at once, found while running.
 *
 * One origin's concurrency limit. It grows while throughput grows and latency holds, and halves on
 * overload (429, 503, time-outs, refused connections), at most once per round trip: additive
 * increase and multiplicative decrease (Chiu and Jain, 1989) after a slow start (Jacobson, 1988),
 * with the latency gradient of TCP Vegas (Brakmo and Peterson, 1995) as the brake. Before the first
 * answer has come it ramps up by time, since waiting costs the other side little: from `initial`
 * by half every 100 ms up to 256. Pure logic: the caller brings the time and a lock.
 */
#ifndef WI_LIMIT_H
#define WI_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wi_limit {
    bool fixed;
    double limit;
    double ceiling;
    /* the rest is limit.c's own */
    bool slow_start;
    int64_t born;    /* when the first request began; 0: not yet */
    int64_t answers; /* in all */
    int64_t window_start;
    int64_t window_count;
    double window_latency; /* sum, ns */
    bool window_bound;     /* was the limit ever what held requests back? */
    double best_rate;
    double base_latency; /* ns; the smallest window mean, slowly forgotten */
    int64_t halved_at;
} wi_limit;

/* fixed > 0: the limit is that, always. Else it is found, never above ceiling (>= 1). */
void wi_limit_init(wi_limit *limit, int64_t fixed, int64_t ceiling);

/* A request is about to begin; `bound`: after it the limit is reached. */
void wi_limit_begin(wi_limit *limit, int64_t now, bool bound);

/* A request ended after `latency` ns; overload: as described above. */
void wi_limit_end(wi_limit *limit, int64_t now, int64_t latency, bool overload);

/* How many may be in flight now, at least 1. */
int64_t wi_limit_now(wi_limit *limit, int64_t now);

/* When wi_limit_now may rise by time alone; WI_FOREVER: not before an answer. */
int64_t wi_limit_next_rise(const wi_limit *limit, int64_t now);

#endif
