/*
 * lanes.c: see lanes.h. Its invariant: once started, every lane reports its end once, and the last
 * one's is that of all.
 */
#include "lanes.h"

#include <pthread.h>
#include <stdlib.h>

#include "gate.h"
#include "lane.h"
#include "thread.h"

enum {
    FOUND_LIMIT_MOST = 4096, /* as far as a limit is raised that nobody gave */
    RETRY_RESERVE = 1000,    /* retries that are always granted */
};

struct wi_lanes {
    wi_works_options options;
    wi_source *source;
    wi_schema *schema; /* of the first rows */
    wi_gate *gate;
    wi_descriptors descriptors;
    wi_retry_budget retry_budget;
    pthread_mutex_t retry_lock; /* of the budget above */
    wi_lane *lanes[WI_MAX_LANES];
    int len;
    atomic_bool made; /* they may be poked */
    atomic_int left;
};

/* A lane that is made later looks for itself. */
void wi_lanes_poke(wi_lanes *lanes)
{
    if (!atomic_load(&lanes->made))
        return;
    for (int i = 0; i < lanes->len; i++)
        wi_lane_poke(lanes->lanes[i]);
}

void wi_lanes_stop(wi_lanes *lanes)
{
    wi_source_stop(lanes->source);
    wi_lanes_poke(lanes);
}

static void on_poke(void *arg)
{
    wi_lanes_poke(arg);
}

static void on_gate_poke(void *arg, int lane)
{
    wi_lanes *lanes = arg;
    wi_lane_poke(lanes->lanes[lane]);
}

static void on_lane_ended(void *arg)
{
    wi_lanes *lanes = arg;
    if (atomic_fetch_sub(&lanes->left, 1) == 1)
        lanes->options.ended(lanes->options.arg);
}

static void on_deadline(void *arg)
{
    wi_lanes *lanes = arg;
    lanes->options.deadline(lanes->options.arg);
}

static void on_fault(void *arg, const weir_error *err)
{
    wi_lanes *lanes = arg;
    lanes->options.fault(lanes->options.arg, err);
}

/* ---- making them ---- */

static void plan_numbers(wi_lanes *lanes)
{
    const weir_job_options *o = &lanes->options.options->common;
    const wi_kind *kind = lanes->options.kind;
    int64_t wanted = o->in_flight > 0 ? o->in_flight : FOUND_LIMIT_MOST;
    int64_t len = o->lanes > 0 ? o->lanes : wi_processors();
    if (len > WI_MAX_LANES)
        len = WI_MAX_LANES;
    if (len > wanted)
        len = wanted;
    lanes->descriptors =
        wi_descriptors_plan(wanted, len, kind->descriptors, kind->keeps_descriptors);
    if (len > lanes->descriptors.in_flight)
        len = lanes->descriptors.in_flight;
    lanes->len = (int)len;
}

static weir_status open_input(wi_lanes *lanes, weir_error *err)
{
    const weir_job_options *o = &lanes->options.options->common;
    wi_source_options source = {
        .input = o->input,
        .max_row = (size_t)o->max_row,
        .choices = lanes->options.options->choices,
        .budget = lanes->options.budget,
        .poke = on_poke,
        .poke_arg = lanes,
    };
    weir_status status = wi_job_input_format(o, &source.format, err);
    if (status == WEIR_OK)
        status = wi_source_new(&source, &lanes->source, err);
    if (status != WEIR_OK)
        return status;
    wi_schema *schema = wi_source_schema(lanes->source);
    lanes->schema = schema ? wi_schema_ref(schema) : NULL;
    return lanes->options.kind->check(lanes->options.job, o->input != NULL, schema, err);
}

static weir_status make_gate(wi_lanes *lanes, weir_error *err)
{
    const wi_job_options *o = lanes->options.options;
    wi_gate_options gate = {
        .lanes = lanes->len,
        .total = lanes->descriptors.in_flight,
        .lane_most = lanes->descriptors.lane_most,
        .find_limit = o->common.in_flight <= 0,
        .per_origin = o->per_host,
        .rate = o->common.rate,
        .patience = o->common.breaker,
        .longest_hold = o->retry_after_max,
        .poke = on_gate_poke,
        .poke_arg = lanes,
    };
    return wi_gate_new(&gate, &lanes->gate, err);
}

weir_status wi_lanes_new(const wi_works_options *options, wi_lanes **out, weir_error *err)
{
    wi_lanes *lanes = calloc(1, sizeof *lanes);
    if (!lanes)
        return wi_fail_nomem(err);
    lanes->options = *options;
    pthread_mutex_init(&lanes->retry_lock, NULL);
    wi_retry_budget_init(&lanes->retry_budget, 1.0, RETRY_RESERVE);
    plan_numbers(lanes);
    weir_status status = open_input(lanes, err);
    if (status == WEIR_OK)
        status = make_gate(lanes, err);
    if (status != WEIR_OK) {
        wi_lanes_free(lanes);
        return status;
    }
    *out = lanes;
    return WEIR_OK;
}

wi_schema *wi_lanes_schema(const wi_lanes *lanes)
{
    return lanes->schema;
}

void wi_lanes_free(wi_lanes *lanes)
{
    if (!lanes)
        return;
    if (lanes->source)
        wi_source_join(lanes->source); /* before the lanes, which it pokes with its last breath */
    for (int i = 0; i < lanes->len; i++)
        wi_lane_free(lanes->lanes[i]);
    wi_source_free(lanes->source);
    wi_gate_free(lanes->gate);
    wi_schema_unref(lanes->schema);
    pthread_mutex_destroy(&lanes->retry_lock);
    free(lanes);
}

/* ---- running ---- */

weir_status wi_lanes_make(wi_lanes *lanes, wi_collector *collector, int64_t deadline_at,
                          weir_error *err)
{
    const wi_job_options *o = lanes->options.options;
    weir_status status = WEIR_OK;
    wi_lane_shared shared = {
        .kind = lanes->options.kind,
        .job = lanes->options.job,
        .source = lanes->source,
        .gate = lanes->gate,
        .budget = lanes->options.budget,
        .collector = collector,
        .outputs = wi_collector_outputs(collector),
        .fixed_schema = lanes->options.fixes_columns ? lanes->schema : NULL,
        .ordered = !o->common.unordered,
        .retries = o->common.retries,
        .retry_delay = o->common.retry_delay,
        .retry_max_delay = o->common.retry_max_delay,
        .retry_after_max = o->retry_after_max,
        .retry_budget = &lanes->retry_budget,
        .retry_lock = &lanes->retry_lock,
        .stopping = lanes->options.stopping,
        .deadline_at = deadline_at,
        .deadline = on_deadline,
        .paused = on_poke,
        .ended = on_lane_ended,
        .fault = on_fault,
        .arg = lanes,
    };
    for (int i = 0; status == WEIR_OK && i < lanes->len; i++)
        status = wi_lane_new(&shared, i, &lanes->lanes[i], err);
    if (status == WEIR_OK)
        atomic_store(&lanes->made, true);
    return status;
}

/* What could not be started has ended before it began. */
weir_status wi_lanes_start(wi_lanes *lanes, weir_error *err)
{
    weir_error failure;
    atomic_store(&lanes->left, lanes->len);
    weir_status status = wi_source_start(lanes->source, &failure);
    int started = 0;
    while (status == WEIR_OK && started < lanes->len) {
        status = wi_lane_start(lanes->lanes[started], &failure);
        started += status == WEIR_OK;
    }
    if (status != WEIR_OK) {
        on_fault(lanes, &failure);
        if (err)
            *err = failure;
    }
    for (; started < lanes->len; started++)
        on_lane_ended(lanes);
    return status;
}

weir_status wi_lanes_status(wi_lanes *lanes, weir_error *err)
{
    return wi_source_status(lanes->source, err);
}

/* ---- numbers ---- */

void wi_lanes_numbers(wi_lanes *lanes, wi_source_numbers *numbers)
{
    wi_source_numbers_get(lanes->source, numbers);
}

const wi_descriptors *wi_lanes_descriptors(const wi_lanes *lanes)
{
    return &lanes->descriptors;
}

static void add_lanes(wi_lanes *lanes, weir_job_stats *stats)
{
    wi_histogram durations = {0};
    for (int i = 0; i < lanes->len; i++) {
        if (!lanes->lanes[i])
            continue;
        wi_lane_numbers *n = wi_lane_numbers_of(lanes->lanes[i]);
        stats->waiting += n->waiting;
        stats->attempts += n->attempts;
        stats->retries += n->retries;
        stats->retries_refused += n->retries_refused;
        stats->waited += n->waited;
        stats->bytes += n->bytes;
        wi_histogram_merge(&durations, wi_lane_durations(lanes->lanes[i]));
    }
    stats->p50 = wi_histogram_quantile(&durations, 0.50);
    stats->p99 = wi_histogram_quantile(&durations, 0.99);
}

void wi_lanes_stats(wi_lanes *lanes, int64_t now, weir_job_stats *stats)
{
    add_lanes(lanes, stats);
    wi_gate_numbers gate;
    wi_gate_numbers_get(lanes->gate, now, &gate);
    stats->in_flight = gate.in_flight;
    stats->peak_in_flight = gate.peak;
    stats->limit = gate.limit;
    stats->held_until = gate.held_until > now ? gate.held_until - now : 0;
}

weir_status wi_lanes_plan(wi_lanes *lanes, wi_plan *plan, int64_t max_items, weir_job_plan *made,
                          weir_error *err)
{
    plan->source = lanes->source;
    plan->gate = lanes->gate;
    plan->rate = lanes->options.options->common.rate;
    made->lanes = lanes->len;
    made->rate = plan->rate;
    return wi_plan_make(plan, max_items, made, err);
}
