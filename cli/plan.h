/* plan.h: what a run would do, for --dry-run. */
#ifndef PLAN_H
#define PLAN_H

#include <stdio.h>

#include "weir/job.h"

#include "nouns.h"
#include "term.h"

/* Where things would be written; as in weir_job_options, NULL: standard output, or nowhere. */
typedef struct plan_files {
    const char *output;
    const char *errors;
    const char *save;
} plan_files;

void plan_print(FILE *out, const weir_job_plan *plan, const job_nouns *nouns,
                const plan_files *files, const term_style *style);

#endif
