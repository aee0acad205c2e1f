/*
 * job.h: one run of one kind over one input: the engine put together.
 *
 *   source (a thread) -> lanes (a thread each) -> collector (a thread) -> sinks
 *                or a crew of hands (a thread each)
 *
 * weir/job.h has what a program does with a job; here is how a kind makes one.
 */
#ifndef WI_JOB_H
#define WI_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "facts.h"
#include "kind.h"
#include "reader.h"
#include "weir/job.h"

/* Strings are borrowed during wi_job_new. */
typedef struct wi_job_options {
    weir_job_options common; /* checked, with its defaults filled in: wi_job_options_fill */
    uint64_t choices;        /* items per input row, or in all */
    int64_t per_host;
    int64_t retry_after_max;
    int64_t limit;          /* rows in all, then the run ends; 0: all. Of kinds whose work blocks */
    const char *no_journal; /* what the job is asked that does not go with one; NULL: it does */
    wi_facts facts;         /* the kind's own; wi_job_new takes them over, also if it fails */
} wi_job_options;

/* An option's value, and what is allowed; 0 always is: it stands for the default. */
typedef struct wi_range {
    const char *option; /* as on the command line */
    int64_t value, least, most;
} wi_range;

weir_status wi_check_ranges(const wi_range *ranges, size_t n, weir_error *err);

/* Checks what is common to all kinds and fills in defaults, the kind's own where it has one; 0 then
 * means none. */
weir_status wi_job_options_fill(weir_job_options *options, int64_t timeout, int64_t retries,
                                weir_error *err);

/* As the options say, or by the suffix of the path; of the failed rows, as the others' else. */
weir_status wi_job_input_format(const weir_job_options *options, wi_format *format,
                                weir_error *err);
weir_status wi_job_output_format(const weir_job_options *options, wi_format *format,
                                 weir_error *err);
wi_format wi_job_errors_format(const weir_job_options *options, wi_format format);

/* Opens input and outputs. kind_job becomes the job's (kind->free), also on failure. */
weir_status wi_job_new(const wi_job_options *options, const wi_kind *kind, void *kind_job,
                       weir_job **out, weir_error *err);

#endif
