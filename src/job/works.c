/* works.c: see works.h. Its invariant: there are lanes or a crew, one of them. */
#include "works.h"

#include <stdlib.h>

#include "crew.h"
#include "lanes.h"

struct wi_works {
    wi_works_options options;
    wi_lanes *lanes;
    wi_crew *crew;
    wi_collector *collector;
    int64_t deadline_at;
};

weir_status wi_works_new(const wi_works_options *options, wi_works **out, weir_error *err)
{
    wi_works *works = calloc(1, sizeof *works);
    if (!works)
        return wi_fail_nomem(err);
    works->options = *options;
    weir_status status = options->kind->blocking ? wi_crew_new(options, &works->crew, err)
                                                 : wi_lanes_new(options, &works->lanes, err);
    if (status != WEIR_OK) {
        wi_works_free(works);
        return status;
    }
    *out = works;
    return WEIR_OK;
}

void wi_works_free(wi_works *works)
{
    if (!works)
        return;
    wi_lanes_free(works->lanes);
    wi_crew_free(works->crew);
    free(works);
}

wi_schema *wi_works_schema(const wi_works *works)
{
    return works->lanes ? wi_lanes_schema(works->lanes) : NULL;
}

weir_status wi_works_make(wi_works *works, wi_collector *collector, int64_t deadline_at,
                          weir_error *err)
{
    works->collector = collector;
    works->deadline_at = deadline_at;
    return works->lanes ? wi_lanes_make(works->lanes, collector, deadline_at, err) : WEIR_OK;
}

weir_status wi_works_start(wi_works *works, weir_error *err)
{
    return works->lanes ? wi_lanes_start(works->lanes, err)
                        : wi_crew_start(works->crew, works->collector, works->deadline_at, err);
}

void wi_works_stop(wi_works *works)
{
    if (works->lanes)
        wi_lanes_stop(works->lanes);
    else
        wi_crew_stop(works->crew);
}

void wi_works_relieve(wi_works *works)
{
    if (works->lanes)
        wi_lanes_poke(works->lanes);
    else
        wi_crew_relieve(works->crew);
}

weir_status wi_works_status(wi_works *works, weir_error *err)
{
    return works->lanes ? wi_lanes_status(works->lanes, err) : WEIR_OK;
}

void wi_works_numbers(wi_works *works, wi_source_numbers *numbers)
{
    const wi_works_options *o = &works->options;
    if (works->lanes)
        wi_lanes_numbers(works->lanes, numbers);
    else
        o->kind->blocking->numbers(o->job, numbers);
}

void wi_works_stats(wi_works *works, int64_t now, weir_job_stats *stats)
{
    if (works->lanes)
        wi_lanes_stats(works->lanes, now, stats);
    else
        wi_crew_stats(works->crew, stats);
}

const wi_descriptors *wi_works_descriptors(const wi_works *works)
{
    return works->lanes ? wi_lanes_descriptors(works->lanes) : wi_crew_descriptors(works->crew);
}

weir_status wi_works_plan(wi_works *works, wi_plan *plan, int64_t max_items, weir_job_plan *made,
                          weir_error *err)
{
    const wi_descriptors *d = wi_works_descriptors(works);
    if (works->crew && plan->kind)
        return wi_fail(err, WEIR_INVALID, "a plan is made once");
    wi_plan_fini(plan);
    *plan = (wi_plan){.kind = works->options.kind, .job = works->options.job};
    *made = (weir_job_plan){
        .limit = d->in_flight,
        .limit_is_found = works->options.options->common.in_flight <= 0,
        .descriptors_needed = d->needed,
        .descriptors_allowed = d->allowed,
    };
    return works->lanes ? wi_lanes_plan(works->lanes, plan, max_items, made, err)
                        : wi_plan_make(plan, max_items, made, err);
}
