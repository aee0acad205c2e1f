/*
 * job.c: see job.h and weir/job.h. Its invariant: once started, a job comes to its end by itself:
 * every lane reports its end once, the last one closes the collector, and the collector's last act
 * is to end the job. Whatever goes wrong on the way only makes that come sooner.
 */
#include "job.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector.h"
#include "descriptors.h"
#include "lane.h"
#include "output.h"
#include "plan.h"
#include "sink.h"
#include "thread.h"

enum {
    MAX_NOTES = 8,
    FOUND_LIMIT_MOST = 4096, /* as far as a limit is raised that nobody gave */
    RETRY_RESERVE = 1000,    /* retries that are always granted */
};

struct weir_job {
    const wi_kind *kind;
    void *kind_job;
    wi_source *source;
    wi_gate *gate;
    wi_budget budget;
    wi_sink *rows;
    wi_sink *errors;
    wi_collector *collector;
    wi_lane *lanes[WI_MAX_LANES];
    int lanes_len;
    wi_schema *first_schema;
    wi_format format;
    wi_job_options options; /* its strings are not kept */
    wi_descriptors descriptors;
    wi_retry_budget retry_budget;
    pthread_mutex_t retry_lock;
    wi_plan plan;

    atomic_int stopping;    /* 0, or 1 + weir_stop */
    atomic_bool lanes_made; /* they may be poked */
    atomic_int lanes_left;
    int64_t started_at;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t done;
    weir_job_phase phase;
    weir_job_end end;
    int64_t ended_at;
    weir_status status;
    weir_error failure;
    char *notes[MAX_NOTES];
    int notes_len;
};

/* ---- what is said beside the numbers ---- */

static void note(weir_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(weir_job *job, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    pthread_mutex_lock(&job->lock);
    if (job->notes_len < MAX_NOTES)
        job->notes[job->notes_len++] = text;
    else
        free(text);
    pthread_mutex_unlock(&job->lock);
}

const char *weir_job_note(weir_job *job, size_t i)
{
    pthread_mutex_lock(&job->lock);
    const char *text = i < (size_t)job->notes_len ? job->notes[i] : NULL;
    pthread_mutex_unlock(&job->lock);
    return text;
}

/* ---- stopping ---- */

/* A lane that is made later looks for itself. */
static void poke_all(weir_job *job)
{
    if (!atomic_load(&job->lanes_made))
        return;
    for (int i = 0; i < job->lanes_len; i++)
        wi_lane_poke(job->lanes[i]);
}

/* The first reason to end stays the reason, but for those that lose rows: an output that takes no
 * more, and a fault, which outdoes all others. */
static void stop(weir_job *job, weir_stop how, weir_job_end end)
{
    pthread_mutex_lock(&job->lock);
    bool stronger =
        end == WEIR_JOB_END_FAULT || (end == WEIR_JOB_END_CLOSED && job->end != WEIR_JOB_END_FAULT);
    if (job->end == WEIR_JOB_END_NONE || stronger)
        job->end = end;
    if (job->phase == WEIR_JOB_RUNNING)
        job->phase = WEIR_JOB_DRAINING;
    pthread_mutex_unlock(&job->lock);
    int wanted = 1 + (int)how;
    int now = atomic_load(&job->stopping);
    while (now < wanted && !atomic_compare_exchange_weak(&job->stopping, &now, wanted))
        continue;
    wi_source_stop(job->source);
    poke_all(job);
}

void weir_job_stop(weir_job *job, weir_stop how)
{
    stop(job, how, WEIR_JOB_END_STOPPED);
}

static void on_fault(void *arg, const weir_error *err)
{
    weir_job *job = arg;
    bool closed = err->status == WEIR_CLOSED;
    pthread_mutex_lock(&job->lock);
    if (!closed && job->status == WEIR_OK) {
        job->status = err->status;
        job->failure = *err;
    }
    pthread_mutex_unlock(&job->lock);
    stop(job, WEIR_STOP_NOW, closed ? WEIR_JOB_END_CLOSED : WEIR_JOB_END_FAULT);
}

static void on_failures(void *arg)
{
    stop(arg, WEIR_STOP_DRAIN, WEIR_JOB_END_FAILFAST);
}

static void on_deadline(void *arg)
{
    stop(arg, WEIR_STOP_NOW, WEIR_JOB_END_DEADLINE);
}

/* ---- between the parts ---- */

static void on_memory(void *arg)
{
    poke_all(arg);
}

static void on_gate_poke(void *arg, int lane)
{
    weir_job *job = arg;
    wi_lane_poke(job->lanes[lane]);
}

static void on_lane_ended(void *arg)
{
    weir_job *job = arg;
    if (atomic_fetch_sub(&job->lanes_left, 1) == 1)
        wi_collector_close(job->collector);
}

/* ---- the end ---- */

static void keep_rows(weir_job *job, wi_sink *sink, const char *what)
{
    weir_error err;
    char *kept = NULL;
    if (!sink)
        return;
    if (wi_sink_keep(sink, &kept, &err) != WEIR_OK)
        note(job, "%s written so far could not be kept: %s", what, err.text);
    else if (kept)
        note(job, "%s written so far are in %s", what, kept);
    free(kept);
}

static weir_status commit(weir_job *job, weir_error *err)
{
    weir_status status = wi_sink_commit(job->rows, err);
    if (status == WEIR_OK && job->errors)
        status = wi_sink_commit(job->errors, err);
    return status;
}

/* Did every item of the input come to its row? */
static bool is_whole(weir_job *job, weir_job_end end)
{
    wi_collector_numbers collected;
    wi_source_numbers source;
    wi_collector_numbers_get(job->collector, &collected);
    wi_source_numbers_get(job->source, &source);
    return end != WEIR_JOB_END_FAULT && end != WEIR_JOB_END_CLOSED && source.ended &&
           collected.ok + collected.failed == source.read;
}

static void on_collected(void *arg)
{
    weir_job *job = arg;
    weir_error err;
    weir_status read = wi_source_status(job->source, &err);
    if (read != WEIR_OK)
        on_fault(job, &err);
    pthread_mutex_lock(&job->lock);
    weir_job_end end = job->end == WEIR_JOB_END_NONE ? WEIR_JOB_END_COMPLETE : job->end;
    pthread_mutex_unlock(&job->lock);
    bool whole = is_whole(job, end);
    weir_status status = whole ? commit(job, &err) : WEIR_OK;
    if (status == WEIR_CLOSED) {
        end = WEIR_JOB_END_CLOSED;
    } else if (status != WEIR_OK) {
        end = WEIR_JOB_END_FAULT;
        on_fault(job, &err);
    }
    if (!whole || end == WEIR_JOB_END_FAULT) {
        keep_rows(job, job->rows, "the rows");
        keep_rows(job, job->errors, "the failed rows");
    }
    pthread_mutex_lock(&job->lock);
    job->end = end;
    job->phase = WEIR_JOB_DONE;
    job->ended_at = wi_clock_now(wi_clock_real());
    pthread_cond_broadcast(&job->done);
    pthread_mutex_unlock(&job->lock);
}

weir_status weir_job_wait(weir_job *job, int64_t timeout_ns, weir_error *err)
{
    int64_t now = wi_clock_now(wi_clock_real());
    int64_t until = timeout_ns < WI_FOREVER - now ? now + timeout_ns : WI_FOREVER;
    struct timespec at = {until / WI_SECOND, until % WI_SECOND};
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&job->lock);
    if (job->phase == WEIR_JOB_READY)
        status = wi_fail(err, WEIR_INVALID, "the job was not started");
    while (status == WEIR_OK && job->phase != WEIR_JOB_DONE) {
        if (timeout_ns < 0)
            pthread_cond_wait(&job->done, &job->lock);
        else if (pthread_cond_timedwait(&job->done, &job->lock, &at) != 0)
            break;
    }
    if (status == WEIR_OK && job->phase != WEIR_JOB_DONE) {
        status = WEIR_TIMEDOUT;
    } else if (status == WEIR_OK && job->status != WEIR_OK) {
        status = job->status;
        if (err)
            *err = job->failure;
    }
    pthread_mutex_unlock(&job->lock);
    return status;
}

/* ---- making one ---- */

static void plan_numbers(weir_job *job)
{
    weir_job_options *o = &job->options.common;
    int64_t wanted = o->in_flight > 0 ? o->in_flight : FOUND_LIMIT_MOST;
    int64_t lanes = o->lanes > 0 ? o->lanes : wi_processors();
    if (lanes > WI_MAX_LANES)
        lanes = WI_MAX_LANES;
    if (lanes > wanted)
        lanes = wanted;
    job->descriptors =
        wi_descriptors_plan(wanted, lanes, job->kind->descriptors, job->kind->keeps_descriptors);
    if (lanes > job->descriptors.in_flight)
        lanes = job->descriptors.in_flight;
    job->lanes_len = (int)lanes;
}

static void on_source_poke(void *arg)
{
    poke_all(arg);
}

static weir_status open_input(weir_job *job, weir_error *err)
{
    const weir_job_options *o = &job->options.common;
    wi_source_options source = {
        .input = o->input,
        .max_row = (size_t)o->max_row,
        .choices = job->options.choices,
        .budget = &job->budget,
        .poke = on_source_poke,
        .poke_arg = job,
    };
    weir_status status = wi_job_input_format(o, &source.format, err);
    if (status == WEIR_OK)
        status = wi_source_new(&source, &job->source, err);
    if (status != WEIR_OK)
        return status;
    wi_schema *schema = wi_source_schema(job->source);
    job->first_schema = schema ? wi_schema_ref(schema) : NULL;
    return job->kind->check(job->kind_job, o->input != NULL, job->first_schema, err);
}

static weir_status open_sink(weir_job *job, const char *path, wi_format format, wi_sink **out,
                             weir_error *err)
{
    bool callback = job->options.common.write && path == job->options.common.output;
    wi_sink_options sink = {
        .path = callback ? NULL
                : path   ? path
                         : "-",
        .write = job->options.common.write,
        .write_arg = job->options.common.write_arg,
        .format = format,
        .fixed = job->first_schema,
    };
    sink.columns_len = job->kind->columns(job->kind_job, &sink.columns);
    sink.optional_len = job->kind->optional_columns(job->kind_job, &sink.optional);
    return wi_sink_new(&sink, out, err);
}

static weir_status open_outputs(weir_job *job, weir_error *err)
{
    const weir_job_options *o = &job->options.common;
    const char *errors = o->errors;
    if (errors && o->output && wi_output_is_same(errors, o->output))
        return wi_fail(err, WEIR_INVALID, "the rows and the failed rows cannot both go to %s",
                       errors);
    weir_status status = open_sink(job, o->output, job->format, &job->rows, err);
    if (status == WEIR_OK && errors)
        status = open_sink(job, errors, wi_job_errors_format(o, job->format), &job->errors, err);
    return status;
}

static weir_status make_gate(weir_job *job, weir_error *err)
{
    wi_gate_options gate = {
        .lanes = job->lanes_len,
        .total = job->descriptors.in_flight,
        .lane_most = job->descriptors.lane_most,
        .find_limit = job->options.common.in_flight <= 0,
        .per_origin = job->options.per_host,
        .rate = job->options.common.rate,
        .poke = on_gate_poke,
        .poke_arg = job,
    };
    return wi_gate_new(&gate, &job->gate, err);
}

static weir_status make_collector(weir_job *job, weir_error *err)
{
    wi_collector_options collector = {
        .kind = job->kind,
        .job = job->kind_job,
        .budget = &job->budget,
        .rows = job->rows,
        .errors = job->errors,
        .ordered = !job->options.common.unordered,
        .halt_after = job->options.common.halt_after,
        .relieved = on_memory,
        .failed = on_failures,
        .ended = on_collected,
        .fault = on_fault,
        .arg = job,
    };
    return wi_collector_new(&collector, &job->collector, err);
}

static void forget_strings(weir_job_options *o)
{
    o->input = o->input_format = o->output = o->format = o->errors = NULL;
}

weir_status wi_job_new(const wi_job_options *options, const wi_kind *kind, void *kind_job,
                       weir_job **out, weir_error *err)
{
    weir_job *job = calloc(1, sizeof *job);
    if (!job) {
        kind->free(kind_job);
        return wi_fail_nomem(err);
    }
    job->kind = kind;
    job->kind_job = kind_job;
    job->options = *options;
    job->budget.limit = options->common.memory;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&job->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&job->lock, NULL);
    pthread_mutex_init(&job->retry_lock, NULL);
    wi_retry_budget_init(&job->retry_budget, 1.0, RETRY_RESERVE);
    plan_numbers(job);
    weir_status status = wi_job_output_format(&options->common, &job->format, err);
    if (status == WEIR_OK)
        status = open_input(job, err);
    if (status == WEIR_OK)
        status = make_gate(job, err);
    if (status == WEIR_OK)
        status = open_outputs(job, err);
    if (status == WEIR_OK)
        status = make_collector(job, err);
    forget_strings(&job->options.common);
    if (status != WEIR_OK) {
        weir_job_free(job);
        return status;
    }
    *out = job;
    return WEIR_OK;
}

/* ---- running ---- */

static weir_status make_lanes(weir_job *job, weir_error *err)
{
    const weir_job_options *o = &job->options.common;
    wi_lane_shared shared = {
        .kind = job->kind,
        .job = job->kind_job,
        .source = job->source,
        .gate = job->gate,
        .budget = &job->budget,
        .collector = job->collector,
        .fixed_schema = job->format == WI_FORMAT_CSV ? job->first_schema : NULL,
        .ordered = !o->unordered,
        .retries = o->retries,
        .retry_delay = o->retry_delay,
        .retry_max_delay = o->retry_max_delay,
        .retry_after_max = job->options.retry_after_max,
        .retry_budget = &job->retry_budget,
        .retry_lock = &job->retry_lock,
        .stopping = &job->stopping,
        .deadline_at = o->deadline > 0 && o->deadline < WI_FOREVER - job->started_at
                           ? job->started_at + o->deadline
                           : 0,
        .deadline = on_deadline,
        .paused = on_memory,
        .ended = on_lane_ended,
        .fault = on_fault,
        .arg = job,
    };
    for (int i = 0; i < job->lanes_len; i++) {
        weir_status status = wi_lane_new(&shared, i, &job->lanes[i], err);
        if (status != WEIR_OK)
            return status;
    }
    atomic_store(&job->lanes_made, true);
    return WEIR_OK;
}

/* From here on the job comes to its end by itself. What could not be started has ended before it
 * began. */
static weir_status start_threads(weir_job *job, weir_error *err)
{
    weir_status status = wi_source_start(job->source, err);
    int started = 0;
    while (status == WEIR_OK && started < job->lanes_len) {
        status = wi_lane_start(job->lanes[started], err);
        started += status == WEIR_OK;
    }
    if (status != WEIR_OK)
        on_fault(job, err);
    for (; started < job->lanes_len; started++)
        on_lane_ended(job);
    return status;
}

static void raise_descriptors(weir_job *job)
{
    const wi_descriptors *d = &job->descriptors;
    wi_descriptors_raise(d);
    if (job->options.common.in_flight > d->in_flight)
        note(job,
             "at most %lld in flight: the limit of open files (ulimit -Hn) is %lld, and %lld would "
             "be needed",
             (long long)d->in_flight, (long long)d->allowed, (long long)d->needed);
}

weir_status weir_job_start(weir_job *job, weir_error *err)
{
    weir_error failure;
    pthread_mutex_lock(&job->lock);
    bool again = job->started_at != 0;
    if (!again)
        job->started_at = wi_clock_now(wi_clock_real());
    pthread_mutex_unlock(&job->lock);
    if (again)
        return wi_fail(err, WEIR_INVALID, "a job can be started once only");
    raise_descriptors(job);
    atomic_store(&job->lanes_left, job->lanes_len);
    weir_status status = make_lanes(job, &failure);
    if (status == WEIR_OK)
        status = wi_collector_start(job->collector, &failure);
    if (status == WEIR_OK) {
        pthread_mutex_lock(&job->lock);
        job->phase = job->end == WEIR_JOB_END_NONE ? WEIR_JOB_RUNNING : WEIR_JOB_DRAINING;
        pthread_mutex_unlock(&job->lock);
        status = start_threads(job, &failure);
    }
    if (status != WEIR_OK && err)
        *err = failure;
    return status;
}

static weir_job_phase phase_of(weir_job *job)
{
    pthread_mutex_lock(&job->lock);
    weir_job_phase phase = job->phase;
    pthread_mutex_unlock(&job->lock);
    return phase;
}

void weir_job_free(weir_job *job)
{
    if (!job)
        return;
    if (phase_of(job) != WEIR_JOB_READY) {
        weir_job_stop(job, WEIR_STOP_NOW);
        weir_job_wait(job, -1, NULL);
    }
    if (job->source)
        wi_source_join(job->source); /* before the lanes, which it pokes with its last breath */
    for (int i = 0; i < job->lanes_len; i++)
        wi_lane_free(job->lanes[i]);
    wi_collector_free(job->collector);
    wi_source_free(job->source);
    wi_sink_free(job->rows);
    wi_sink_free(job->errors);
    wi_gate_free(job->gate);
    wi_schema_unref(job->first_schema);
    job->kind->free(job->kind_job);
    for (int i = 0; i < job->notes_len; i++)
        free(job->notes[i]);
    wi_plan_fini(&job->plan);
    pthread_mutex_destroy(&job->retry_lock);
    pthread_mutex_destroy(&job->lock);
    pthread_cond_destroy(&job->done);
    free(job);
}

/* ---- numbers ---- */

static void add_lanes(weir_job *job, weir_job_stats *stats)
{
    wi_histogram durations = {0};
    for (int i = 0; i < job->lanes_len; i++) {
        if (!job->lanes[i])
            continue;
        wi_lane_numbers *n = wi_lane_numbers_of(job->lanes[i]);
        stats->waiting += n->waiting;
        stats->attempts += n->attempts;
        stats->retries += n->retries;
        stats->retries_refused += n->retries_refused;
        stats->waited += n->waited;
        stats->bytes += n->bytes;
        wi_histogram_merge(&durations, wi_lane_durations(job->lanes[i]));
    }
    stats->p50 = wi_histogram_quantile(&durations, 0.50);
    stats->p99 = wi_histogram_quantile(&durations, 0.99);
}

static void add_input(weir_job *job, const wi_collector_numbers *collected, weir_job_stats *stats)
{
    wi_source_numbers source;
    wi_source_numbers_get(job->source, &source);
    stats->total = source.total;
    stats->estimate = source.estimate;
    stats->input = source.read;
    stats->input_ended = source.ended;
    stats->ok = collected->ok;
    stats->failed = collected->failed;
    stats->cancelled = collected->cancelled;
    stats->not_started = collected->not_started;
    if (stats->phase == WEIR_JOB_DONE)
        stats->not_started = source.read - collected->ok - collected->failed - collected->cancelled;
}

void weir_job_stats_get(weir_job *job, weir_job_stats *stats)
{
    int64_t now = wi_clock_now(wi_clock_real());
    *stats = (weir_job_stats){0};
    pthread_mutex_lock(&job->lock);
    stats->phase = job->phase;
    stats->end = stats->phase == WEIR_JOB_DONE ? job->end : WEIR_JOB_END_NONE;
    if (job->phase != WEIR_JOB_READY)
        stats->elapsed = (job->ended_at ? job->ended_at : now) - job->started_at;
    pthread_mutex_unlock(&job->lock);
    wi_collector_numbers collected;
    wi_collector_numbers_get(job->collector, &collected);
    add_input(job, &collected, stats);
    add_lanes(job, stats);
    wi_gate_numbers gate;
    wi_gate_numbers_get(job->gate, now, &gate);
    stats->in_flight = gate.in_flight;
    stats->peak_in_flight = gate.peak;
    stats->limit = gate.limit;
    stats->held_until = gate.held_until > now ? gate.held_until - now : 0;
    stats->buffered = job->budget.used;
}

weir_status weir_job_reason_get(weir_job *job, size_t i, weir_job_reason *reason)
{
    const wi_tally *tally = wi_collector_tally(job->collector);
    if (i >= tally->len)
        return WEIR_NOTFOUND;
    const wi_tally_entry *entry = &tally->entries[i];
    *reason = (weir_job_reason){entry->reason, entry->example, entry->count};
    return WEIR_OK;
}

weir_status weir_job_plan_make(weir_job *job, int64_t max_items, weir_job_plan *plan,
                               weir_error *err)
{
    if (job->started_at)
        return wi_fail(err, WEIR_INVALID, "a plan is made instead of a run");
    wi_plan_fini(&job->plan);
    job->plan = (wi_plan){.kind = job->kind,
                          .job = job->kind_job,
                          .source = job->source,
                          .gate = job->gate,
                          .rate = job->options.common.rate};
    weir_job_plan made = {
        .lanes = job->lanes_len,
        .limit = job->descriptors.in_flight,
        .limit_is_found = job->options.common.in_flight <= 0,
        .descriptors_needed = job->descriptors.needed,
        .descriptors_allowed = job->descriptors.allowed,
        .rate = job->options.common.rate,
    };
    weir_status status = wi_plan_make(&job->plan, max_items, &made, err);
    if (status == WEIR_OK)
        *plan = made;
    return status;
}
