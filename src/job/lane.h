/*
 * lane.h: one thread of a job's engine. It owns the items it took until they are done.
 *
 * What a kind may call, on the lane's thread: wi_lane_loop, wi_lane_attempt_ended,
 * wi_lane_may_grow, wi_lane_received. The rest is for job.c.
 */
#ifndef WI_LANE_H
#define WI_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "collector.h"
#include "gate.h"
#include "histogram.h"
#include "item.h"
#include "kind.h"
#include "loop.h"
#include "retry.h"
#include "source.h"

/* How an attempt ended. The item carries its reason for failure (wi_item_set_failure). */
typedef struct wi_attempt {
    bool ok;
    bool cancelled;
    bool may_retry;      /* the failure is of a kind that is retried, and it is safe to */
    wi_signal signal;    /* what it says of the other side */
    int64_t retry_after; /* ns the other side asked for; -1: it did not */
    wi_rate_hint hint;   /* what the other side says that it still takes; all zero: nothing */
    int64_t duration;    /* ns */
} wi_attempt;

/* What a lane has to do with; shared by all lanes of a job. */
typedef struct wi_lane_shared {
    const wi_kind *kind;
    const void *job;
    wi_source *source;
    wi_gate *gate;
    wi_budget *budget;
    wi_collector *collector;
    wi_outputs *outputs;
    wi_schema *fixed_schema; /* CSV output: no other columns have a place; else NULL */
    bool ordered;
    int64_t retries;
    int64_t retry_delay;
    int64_t retry_max_delay;
    int64_t retry_after_max;
    wi_retry_budget *retry_budget; /* under its lock */
    pthread_mutex_t *retry_lock;
    atomic_int *stopping; /* 0, or 1 + weir_stop */
    int64_t deadline_at;  /* on the real clock; 0: none */
    void (*deadline)(void *arg);
    void (*paused)(void *arg); /* memory is spent: all lanes should look for the awaited item */
    void (*ended)(void *arg);  /* a lane has nothing left; its thread ends */
    void (*fault)(void *arg, const weir_error *err); /* the job cannot go on */
    void *arg;
} wi_lane_shared;

/* Read by any thread, written by the lane's. */
typedef struct wi_lane_numbers {
    _Atomic int64_t waiting;
    _Atomic int64_t attempts;
    _Atomic int64_t retries;
    _Atomic int64_t retries_refused;
    _Atomic int64_t waited;
    _Atomic int64_t bytes;
} wi_lane_numbers;

weir_status wi_lane_new(const wi_lane_shared *shared, int index, wi_lane **out, weir_error *err);
weir_status wi_lane_start(wi_lane *lane, weir_error *err);

/* Has the lane look again: there may be items, slots or memory, or an end. Any thread. */
void wi_lane_poke(wi_lane *lane);

/* Waits for the thread's end and frees. NULL is fine. */
void wi_lane_free(wi_lane *lane);

wi_lane_numbers *wi_lane_numbers_of(wi_lane *lane);
const wi_histogram *wi_lane_durations(const wi_lane *lane);

/* ---- for kinds ---- */

wi_loop *wi_lane_loop(wi_lane *lane);

/* True: the item waits for another attempt, so that what this one received can go. False: the item
 * is not the lane's any more. */
bool wi_lane_attempt_ended(wi_lane *lane, wi_item *item, const wi_attempt *attempt);

/*
 * May the item take so many bytes more? True: they are charged to it. False: the memory budget is
 * spent; the item is to stop receiving until the kind's resume is called for it.
 */
bool wi_lane_may_grow(wi_lane *lane, wi_item *item, size_t bytes);

/* Gives back what may_grow charged: what was received is void. */
void wi_lane_shrink(wi_lane *lane, wi_item *item, size_t bytes);

/* For the numbers only. */
void wi_lane_received(wi_lane *lane, size_t bytes);

#endif
