/* run.h: starts a job and stays with it to its end: progress, notes and signals. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>

#include "weir/job.h"

#include "progress.h"
#include "term.h"

typedef struct run {
    progress progress;
    const term_style *style; /* of standard error */
    bool quiet;              /* no notes */
    bool stop_at_once;       /* the first signal does what is the second's */
    int signal;              /* the first that came, or 0 */
    size_t notes;            /* printed */
} run;

/*
 * Returns what weir_job_start or weir_job_wait say. While it runs, the first of SIGINT, SIGTERM and
 * SIGHUP lets the job finish what is in flight, the second cancels that too, the third ends the
 * process at once. SIGHUP counts once.
 */
weir_status run_job(run *r, weir_job *job, weir_error *err);

/* Prints the job's notes that have not been printed yet, unless the run is quiet. */
void run_notes(run *r, weir_job *job);

#endif
