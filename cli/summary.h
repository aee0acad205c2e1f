/*
 * summary.h: what a run came to, in a few lines, and as an exit code.
 *
 * The first line is an equation: every item of the input is in it once. Rendering is a pure
 * function of a summary.
 */
#ifndef SUMMARY_H
#define SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/job.h"

#include "nouns.h"
#include "term.h"

enum { SUMMARY_REASONS = 8 };

typedef struct summary {
    const job_nouns *nouns;
    weir_job_stats stats;
    weir_job_reason reasons[SUMMARY_REASONS]; /* the most frequent */
    size_t reasons_len;
    int64_t other_reasons;  /* how many there are beside those */
    int64_t other_failures; /* and how many items they stand for */
    int signal;             /* that stopped the run, or 0 */
    int64_t halt_after;     /* the failure that ends a run, or 0 */
    bool found;             /* how many were in flight was found while running */
    const char *output;     /* where the rows went; NULL: standard output */
    const char *errors;     /* where the failed ones went; NULL: the same */
    const char *save;       /* where the bodies went; NULL: nowhere else */
} summary;

/* Fills in what the job knows. After its end; the strings are the job's. */
void summary_collect(summary *s, weir_job *job);

/* Lines are cut to `width` columns; 0: not cut. */
void summary_print(FILE *out, const summary *s, const term_style *style, int width);

/*
 * 0: every item is ok, or no more rows were wanted; 1: some are not; 2: the job could not
 * go on (status is weir_job_wait's); 128 and the signal's number after a stop by one.
 */
int summary_exit_code(weir_status status, const weir_job_stats *stats, int signal);

#endif
