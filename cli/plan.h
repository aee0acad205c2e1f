/* plan.h: what a run would do, for --dry-run. */
#ifndef PLAN_H
#define PLAN_H

#include <stdio.h>

#include "weir/job.h"

#include "term.h"

void plan_print(FILE *out, const weir_job_plan *plan, const char *output, const term_style *style);

#endif
