/*
 * job_options.c: the options that all kinds have in common, checked and filled in. What is wrong is
 * said with the name that the option has on the command line.
 */
#include <string.h>

#include "job.h"

#define DEFAULT_RETRY_DELAY (250 * WI_MILLISECOND)
#define DEFAULT_RETRY_MAX_DELAY (30 * WI_SECOND)
#define MOST_COMMIT_EVERY (86400 * WI_SECOND)
#define DEFAULT_BREAKER (30 * WI_SECOND)

enum {
    DEFAULT_MAX_ROW = 16 << 20,
    DEFAULT_MEMORY = 256 << 20,
    LEAST_MEMORY = 1 << 20,
    MOST_LANES = 64,
};

weir_status wi_check_ranges(const wi_range *ranges, size_t n, weir_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const wi_range *r = &ranges[i];
        if (r->value && (r->value < r->least || r->value > r->most))
            return wi_fail(err, WEIR_INVALID, "%s: %lld is not between %lld and %lld", r->option,
                           (long long)r->value, (long long)r->least, (long long)r->most);
    }
    return WEIR_OK;
}

static void set_default(int64_t *value, int64_t otherwise)
{
    if (!*value)
        *value = otherwise;
}

weir_status wi_job_options_fill(weir_job_options *o, int64_t timeout, int64_t retries,
                                weir_error *err)
{
    const wi_range ranges[] = {
        {"--jobs", o->in_flight, 1, 1000000},
        {"--lanes", o->lanes, 1, MOST_LANES},
        {"--max-row", o->max_row, 1024, (int64_t)1 << 30},
        {"--memory", o->memory, LEAST_MEMORY, (int64_t)1 << 50},
        {"--retry", o->retries, -1, 100},
        {"--halt-after", o->halt_after, 1, INT64_MAX},
        {"journal", (int64_t)o->journal, WEIR_JOURNAL_NEW, WEIR_JOURNAL_NONE},
        {"--commit-every", o->commit_every, WI_MILLISECOND, MOST_COMMIT_EVERY},
    };
    weir_status status = wi_check_ranges(ranges, sizeof ranges / sizeof ranges[0], err);
    if (status == WEIR_OK && (o->rate < 0 || o->rate != o->rate))
        status = wi_fail(err, WEIR_INVALID, "--rate: a rate is not negative");
    set_default(&o->max_row, DEFAULT_MAX_ROW);
    set_default(&o->memory, DEFAULT_MEMORY);
    set_default(&o->timeout, timeout);
    if (o->timeout < 0)
        o->timeout = 0;
    set_default(&o->retries, retries);
    if (o->retries < 0)
        o->retries = 0;
    set_default(&o->retry_delay, DEFAULT_RETRY_DELAY);
    set_default(&o->retry_max_delay, DEFAULT_RETRY_MAX_DELAY);
    set_default(&o->breaker, DEFAULT_BREAKER);
    if (o->breaker < 0)
        o->breaker = 0;
    return status;
}

/* ---- formats ---- */

static wi_format of_rows(const char *path)
{
    return wi_format_of_path(path) == WI_FORMAT_CSV ? WI_FORMAT_CSV : WI_FORMAT_NDJSON;
}

weir_status wi_job_output_format(const weir_job_options *o, wi_format *format, weir_error *err)
{
    if (!o->format)
        *format = o->output ? of_rows(o->output) : WI_FORMAT_NDJSON;
    else if (strcmp(o->format, "ndjson") == 0)
        *format = WI_FORMAT_NDJSON;
    else if (strcmp(o->format, "csv") == 0)
        *format = WI_FORMAT_CSV;
    else
        return wi_fail(err, WEIR_INVALID, "unknown output format \"%s\": use ndjson or csv",
                       o->format);
    return WEIR_OK;
}

wi_format wi_job_errors_format(const weir_job_options *o, wi_format format)
{
    return o->format || !o->errors ? format : of_rows(o->errors);
}

weir_status wi_job_input_format(const weir_job_options *o, wi_format *format, weir_error *err)
{
    static const struct {
        const char *name;
        wi_format format;
    } formats[] = {{"csv", WI_FORMAT_CSV},
                   {"tsv", WI_FORMAT_TSV},
                   {"ndjson", WI_FORMAT_NDJSON},
                   {"lines", WI_FORMAT_LINES}};
    if (!o->input_format) {
        *format = o->input ? wi_format_of_path(o->input) : WI_FORMAT_LINES;
        return WEIR_OK;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(o->input_format, formats[i].name) == 0) {
            *format = formats[i].format;
            return WEIR_OK;
        }
    return wi_fail(err, WEIR_INVALID, "unknown input format \"%s\": use csv, tsv, ndjson or lines",
                   o->input_format);
}
