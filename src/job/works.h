/*
 * works.h: what does a job's work: lanes, fed by a source (lanes.h), or a crew of hands (crew.h),
 * as the kind wants it. To the rest of the job they are the same.
 */
#ifndef WI_WORKS_H
#define WI_WORKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "collector.h"
#include "descriptors.h"
#include "error.h"
#include "job.h"
#include "plan.h"
#include "source.h"
#include "weir/job.h"

typedef struct wi_works wi_works;

typedef struct wi_works_options {
    const wi_kind *kind;
    void *job;                     /* the kind's */
    const wi_job_options *options; /* the job's; its strings only during wi_works_new */
    wi_budget *budget;
    bool fixes_columns;          /* the output has a place for the columns of the first rows only */
    atomic_int *stopping;        /* 0, or 1 + weir_stop */
    void (*deadline)(void *arg); /* it has passed */
    void (*ended)(void *arg);    /* nothing is worked at any more; once, any thread */
    void (*fault)(void *arg, const weir_error *err); /* the job cannot go on */
    void *arg;
} wi_works_options;

/* Of lanes: opens the input, and has the kind check its first rows. */
weir_status wi_works_new(const wi_works_options *options, wi_works **out, weir_error *err);

/* The columns that the input has as far as is known; nullable, borrowed. */
wi_schema *wi_works_schema(const wi_works *works);

/* Has everything ready to start. deadline_at: on the real clock; 0: none. */
weir_status wi_works_make(wi_works *works, wi_collector *collector, int64_t deadline_at,
                          weir_error *err);

/* From here on it comes to its end by itself: `ended` follows, also if this fails. */
weir_status wi_works_start(wi_works *works, weir_error *err);

/* The job is to stop, as *stopping says. Any thread; does not block; may be called again, and
 * before start. */
void wi_works_stop(wi_works *works);

/* There is memory again, or something else is due. Any thread. */
void wi_works_relieve(wi_works *works);

/* Why the input ended early, if it did so by itself; after `ended`. */
weir_status wi_works_status(wi_works *works, weir_error *err);

/* How many items there are. Any thread. */
void wi_works_numbers(wi_works *works, wi_source_numbers *numbers);

/* Fills in what is in flight, and how long attempts took. Any thread. */
void wi_works_stats(wi_works *works, int64_t now, weir_job_stats *stats);

const wi_descriptors *wi_works_descriptors(const wi_works *works);

/* Looks at all items instead of working at them. plan: zeroed, or used before. */
weir_status wi_works_plan(wi_works *works, wi_plan *plan, int64_t max_items, weir_job_plan *made,
                          weir_error *err);

/* After `ended`, or if it was never started. NULL is fine. */
void wi_works_free(wi_works *works);

#endif
