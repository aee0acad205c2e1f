/*
 * job.c: see job.h and weir/job.h. Its invariant: once started, a job comes to its end by itself:
 * its works report their end once, which closes the collector, and the collector's last act is to
 * end the job. Whatever goes wrong on the way only makes that come sooner.
 */
#include "job.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "output.h"
#include "outputs.h"
#include "works.h"

enum { MAX_NOTES = 8, NOTE_SIZE = PATH_MAX + 256 };

struct weir_job {
    const wi_kind *kind;
    void *kind_job;
    wi_works *works;
    wi_budget budget;
    wi_outputs *outputs;
    wi_collector *collector;
    wi_format format;
    wi_job_options options; /* its strings are not kept */
    wi_plan plan;

    atomic_int stopping; /* 0, or 1 + weir_stop */
    int64_t started_at;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t done;
    weir_job_phase phase;
    weir_job_end end;
    int64_t ended_at;
    weir_status status;
    weir_error failure;
    char notes[MAX_NOTES][NOTE_SIZE]; /* not allocated: memory may be what the run lacks */
    int notes_len;
};

/* ---- what is said beside the numbers ---- */

static void note(weir_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(weir_job *job, const char *format, ...)
{
    va_list ap;
    pthread_mutex_lock(&job->lock);
    if (job->notes_len < MAX_NOTES) {
        va_start(ap, format);
        vsnprintf(job->notes[job->notes_len++], NOTE_SIZE, format, ap);
        va_end(ap);
    }
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
    wi_works_stop(job->works);
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

static void on_limit(void *arg)
{
    stop(arg, WEIR_STOP_NOW, WEIR_JOB_END_LIMIT);
}

static void on_deadline(void *arg)
{
    stop(arg, WEIR_STOP_NOW, WEIR_JOB_END_DEADLINE);
}

/* ---- between the parts ---- */

static void on_memory(void *arg)
{
    weir_job *job = arg;
    wi_works_relieve(job->works);
}

static void on_worked(void *arg)
{
    weir_job *job = arg;
    wi_collector_close(job->collector);
}

/* ---- the end ---- */

static void say(void *job, const char *text)
{
    note(job, "%s", text);
}

static weir_job_end end_of(weir_job *job)
{
    pthread_mutex_lock(&job->lock);
    weir_job_end end = job->end == WEIR_JOB_END_NONE ? WEIR_JOB_END_COMPLETE : job->end;
    pthread_mutex_unlock(&job->lock);
    return end;
}

/* Did every item of the input come to its row, or as many as were wanted? */
static bool is_whole(weir_job *job, weir_job_end end)
{
    wi_collector_numbers collected;
    wi_source_numbers source;
    if (end == WEIR_JOB_END_LIMIT)
        return true;
    wi_collector_numbers_get(job->collector, &collected);
    wi_works_numbers(job->works, &source);
    return end != WEIR_JOB_END_FAULT && end != WEIR_JOB_END_CLOSED && source.ended &&
           collected.ok + collected.failed + collected.ok_before + collected.failed_before ==
               source.read;
}

static bool on_rest(void *arg)
{
    weir_job *job = arg;
    weir_error err;
    return wi_works_status(job->works, &err) == WEIR_OK && is_whole(job, end_of(job));
}

static void take_notes(weir_job *job)
{
    wi_buf text = WI_BUF_INIT;
    const char *line;
    if (!job->kind->blocking)
        return;
    for (size_t i = 0; (line = job->kind->blocking->note(job->kind_job, i, &text)); i++)
        note(job, "%s", line);
    wi_buf_fini(&text);
}

static void on_collected(void *arg)
{
    weir_job *job = arg;
    weir_error err;
    weir_status read = wi_works_status(job->works, &err);
    if (read != WEIR_OK)
        on_fault(job, &err);
    take_notes(job);
    weir_job_end end = end_of(job);
    bool whole = is_whole(job, end);
    weir_status status = whole ? wi_outputs_finish(job->outputs, &err) : WEIR_OK;
    if (status == WEIR_CLOSED) {
        end = WEIR_JOB_END_CLOSED;
    } else if (status != WEIR_OK) {
        end = WEIR_JOB_END_FAULT;
        on_fault(job, &err);
    }
    if (!whole || end == WEIR_JOB_END_FAULT)
        wi_outputs_keep(job->outputs, say, job);
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

static wi_sink_options describe_sink(const weir_job *job, const char *path, wi_format format,
                                     bool failed)
{
    const wi_kind *kind = job->kind;
    const wi_blocking *blocking = kind->blocking;
    wi_sink_options sink = {
        .path = path ? path : "-",
        .format = format,
        .fixed = wi_works_schema(job->works),
        .header = blocking ? blocking->header : NULL,
        .header_arg = job->kind_job,
    };
    if (failed && blocking && blocking->failed_header)
        sink.header = blocking->failed_header;
    if (!blocking) {
        sink.columns_len = kind->columns(job->kind_job, &sink.columns);
        sink.optional_len = kind->optional_columns(job->kind_job, &sink.optional);
    }
    return sink;
}

static const char *format_name(wi_format format)
{
    return format == WI_FORMAT_CSV ? "csv" : "ndjson";
}

/* A CSV has the columns of the first rows. */
static void add_columns(wi_facts *facts, const wi_schema *schema)
{
    wi_buf text = WI_BUF_INIT;
    for (size_t i = 0; schema && i < wi_schema_columns(schema); i++) {
        wi_name name = wi_schema_name(schema, i);
        wi_buf_puts(&text, i ? "," : "");
        wi_buf_append(&text, name.bytes, name.len);
    }
    wi_facts_add(facts, "columns", wi_buf_cstr(&text));
    facts->failed |= text.failed;
    wi_buf_fini(&text);
}

/* What the rows of all kinds depend on. */
static weir_status add_facts(weir_job *job, weir_error *err)
{
    const weir_job_options *o = &job->options.common;
    wi_facts *facts = &job->options.facts;
    wi_format errors = wi_job_errors_format(o, job->format);
    wi_facts_add(facts, "job", job->kind->name);
    wi_facts_add(facts, "format", format_name(job->format));
    wi_facts_add(facts, "errors", o->errors ? format_name(errors) : NULL);
    if (job->format == WI_FORMAT_CSV && !job->kind->blocking)
        add_columns(facts, wi_works_schema(job->works));
    return facts->failed ? wi_fail_nomem(err) : WEIR_OK;
}

static weir_status open_outputs(weir_job *job, weir_error *err)
{
    const weir_job_options *o = &job->options.common;
    if (o->errors && o->output && wi_output_is_same(o->errors, o->output))
        return wi_fail(err, WEIR_INVALID, "the rows and the failed rows cannot both go to %s",
                       o->errors);
    wi_outputs_options outputs = {
        .sinks = {describe_sink(job, o->output, job->format, false)},
        .has_errors = o->errors != NULL,
        .journal = o->journal,
        .commit_every = o->commit_every,
        .facts = &job->options.facts,
        .no_journal = job->options.no_journal,
        .sync = job->kind->sync,
        .sync_arg = job->kind_job,
    };
    if (o->write) {
        wi_sink_options *rows = &outputs.sinks[WI_OUTPUTS_ROWS];
        rows->path = NULL;
        rows->write = o->write;
        rows->write_arg = o->write_arg;
    }
    if (o->errors)
        outputs.sinks[WI_OUTPUTS_ERRORS] =
            describe_sink(job, o->errors, wi_job_errors_format(o, job->format), true);
    weir_status status = add_facts(job, err);
    return status == WEIR_OK ? wi_outputs_open(&outputs, &job->outputs, err) : status;
}

static weir_status make_works(weir_job *job, weir_error *err)
{
    wi_works_options works = {
        .kind = job->kind,
        .job = job->kind_job,
        .options = &job->options,
        .budget = &job->budget,
        .fixes_columns = job->format == WI_FORMAT_CSV,
        .stopping = &job->stopping,
        .deadline = on_deadline,
        .ended = on_worked,
        .fault = on_fault,
        .arg = job,
    };
    return wi_works_new(&works, &job->works, err);
}

static weir_status make_collector(weir_job *job, weir_error *err)
{
    wi_collector_options collector = {
        .kind = job->kind,
        .job = job->kind_job,
        .budget = &job->budget,
        .outputs = job->outputs,
        .ordered = !job->options.common.unordered,
        .halt_after = job->options.common.halt_after,
        .limit = job->options.limit,
        .relieved = on_memory,
        .failed = on_failures,
        .limited = on_limit,
        .is_whole = on_rest,
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
        wi_facts taken = options->facts;
        wi_facts_fini(&taken);
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
    weir_status status = wi_job_output_format(&options->common, &job->format, err);
    if (status == WEIR_OK)
        status = make_works(job, err);
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

static void raise_descriptors(weir_job *job)
{
    const wi_descriptors *d = wi_works_descriptors(job->works);
    wi_descriptors_raise(d);
    if (job->options.common.in_flight > d->in_flight)
        note(job,
             "at most %lld in flight: the limit of open files (ulimit -Hn) is %lld, and %lld would "
             "be needed",
             (long long)d->in_flight, (long long)d->allowed, (long long)d->needed);
}

static int64_t deadline_of(const weir_job *job)
{
    int64_t deadline = job->options.common.deadline;
    bool finite = deadline > 0 && deadline < WI_FOREVER - job->started_at;
    return finite ? job->started_at + deadline : 0;
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
    weir_status status = wi_outputs_begin(job->outputs, &failure);
    if (status == WEIR_OK)
        status = wi_works_make(job->works, job->collector, deadline_of(job), &failure);
    if (status == WEIR_OK)
        status = wi_collector_start(job->collector, &failure);
    if (status == WEIR_OK) {
        pthread_mutex_lock(&job->lock);
        job->phase = job->end == WEIR_JOB_END_NONE ? WEIR_JOB_RUNNING : WEIR_JOB_DRAINING;
        pthread_mutex_unlock(&job->lock);
        status = wi_works_start(job->works, &failure);
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
    wi_collector_free(job->collector);
    wi_outputs_free(job->outputs);
    wi_works_free(job->works);
    job->kind->free(job->kind_job);
    wi_plan_fini(&job->plan);
    pthread_mutex_destroy(&job->lock);
    pthread_cond_destroy(&job->done);
    wi_facts_fini(&job->options.facts);
    free(job);
}

/* ---- numbers ---- */

static void add_input(weir_job *job, const wi_collector_numbers *collected, weir_job_stats *stats)
{
    wi_source_numbers source;
    wi_works_numbers(job->works, &source);
    stats->total = source.total;
    stats->estimate = source.estimate;
    stats->input = source.read;
    stats->input_ended = source.ended;
    stats->ok = collected->ok;
    stats->failed = collected->failed;
    stats->cancelled = collected->cancelled;
    stats->not_started = collected->not_started;
    stats->ok_before = collected->ok_before;
    stats->failed_before = collected->failed_before;
    if (stats->phase == WEIR_JOB_DONE)
        stats->not_started = source.read - collected->ok - collected->failed -
                             collected->cancelled - collected->ok_before - collected->failed_before;
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
    wi_works_stats(job->works, now, stats);
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
    weir_job_plan made;
    weir_status status = wi_works_plan(job->works, &job->plan, max_items, &made, err);
    if (status == WEIR_OK)
        *plan = made;
    return status;
}
