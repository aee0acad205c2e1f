/*
 * job.h: one run of one kind over one input: the engine put together.
 *
 *   source (a thread) -> lanes (a thread each) -> collector (a thread) -> sinks
 *
 * weir/job.h has what a program does with a job; here is how a kind makes one.
 */
#ifndef WI_JOB_H
#define WI_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "kind.h"
#include "weir/fetch.h"
#include "weir/job.h"

/* What all kinds have in common; defaults are filled in by the kind. Strings are borrowed during
 * wi_job_new. */
typedef struct wi_job_options {
    const char *input;
    const char *input_format;
    int64_t max_row;
    uint64_t choices; /* items per input row, or in all */
    const char *output;
    const char *format;
    const char *errors;
    weir_write_fn write;
    void *write_arg;
    bool unordered;
    bool fail_fast;
    int64_t in_flight; /* 0: found while running */
    int64_t per_host;
    int64_t lanes; /* 0: one per processor */
    double rate;
    int64_t deadline;
    int64_t memory;
    int64_t retries;
    int64_t retry_delay;
    int64_t retry_max_delay;
    int64_t retry_after_max;
} wi_job_options;

/* Opens input and outputs. kind_job becomes the job's (kind->free), also on failure. */
weir_status wi_job_new(const wi_job_options *options, const wi_kind *kind, void *kind_job,
                       weir_job **out, weir_error *err);

#endif
