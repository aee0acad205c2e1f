/*
 * plan.h: looking at every item of a job without starting any (--dry-run).
 */
#ifndef WI_PLAN_H
#define WI_PLAN_H

#include "buf.h"
#include "gate.h"
#include "kind.h"
#include "source.h"
#include "weir/job.h"

enum { WI_PLAN_EXAMPLES = 5 };

/* What a plan is made from, and where its strings stay. */
typedef struct wi_plan {
    const wi_kind *kind;
    void *job;
    wi_source *source; /* these two not of kinds whose work blocks */
    wi_gate *gate;
    double rate;
    wi_buf text;
    const char *examples[WI_PLAN_EXAMPLES];
} wi_plan;

/* Fills in what the items tell: counts, examples, origins, the shortest time. Reads the source to
 * its end, or to max_items (0: no bound); or asks the kind for items, if its work blocks. */
weir_status wi_plan_make(wi_plan *plan, int64_t max_items, weir_job_plan *made, weir_error *err);
void wi_plan_fini(wi_plan *plan);

#endif
