/* summary.c: what a run came to. Parts that would say zero are left out. */
#include "summary.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "signals.h"
#include "units.h"

void summary_collect(summary *s, weir_job *job)
{
    weir_job_reason reason;
    weir_job_stats_get(job, &s->stats);
    for (size_t i = 0; weir_job_reason_get(job, i, &reason) == WEIR_OK; i++) {
        if (s->reasons_len < SUMMARY_REASONS) {
            s->reasons[s->reasons_len++] = reason;
        } else {
            s->other_reasons++;
            s->other_failures += reason.count;
        }
    }
}

static const char *plural(int64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

/* A line that is cut, with an ellipsis, to the columns there are. */
typedef struct cut_line {
    FILE *out;
    size_t left; /* columns */
    bool cut;
} cut_line;

static cut_line cut_line_begin(FILE *out, int width)
{
    return (cut_line){.out = out, .left = width > 0 ? (size_t)width : SIZE_MAX};
}

static void put(cut_line *l, const char *style, const char *text, const char *reset)
{
    size_t columns = term_columns(text);
    if (l->cut)
        return;
    fputs(style, l->out);
    if (columns <= l->left) {
        fputs(text, l->out);
        l->left -= columns;
    } else {
        while (l->left > 1) { /* one character each turn */
            do
                fputc(*text++, l->out);
            while (((unsigned char)*text & 0xc0) == 0x80);
            l->left--;
        }
        fputs("…", l->out);
        l->cut = true;
    }
    fputs(*style ? reset : "", l->out);
}

/* " + 3 failed", if there are any. */
static void print_term(FILE *out, const char **sign, int64_t n, const char *style, const char *what,
                       const term_style *colors)
{
    units_text count;
    if (n == 0)
        return;
    fprintf(out, "%s%s%s %s%s", *sign, style, units_count(&count, n), what,
            *style ? colors->reset : "");
    *sign = " + ";
}

/* What the run that this one continues had done. */
static void print_before(FILE *out, const char **sign, const weir_job_stats *s,
                         const term_style *style)
{
    units_text count;
    print_term(out, sign, s->ok_before + s->failed_before, "", "done before", style);
    if (s->failed_before)
        fprintf(out, " (%s%s failed%s)", style->red, units_count(&count, s->failed_before),
                style->reset);
}

static void print_equation(FILE *out, const job_nouns *nouns, const weir_job_stats *s,
                           const term_style *style)
{
    units_text count;
    const char *sign = " = ";
    fprintf(out, "%s%s %s%s", style->bold, units_count(&count, s->input),
            plural(s->input, nouns->one, nouns->many), style->reset);
    if (s->input > 0 && s->ok + s->ok_before == s->input) {
        fprintf(out, ", %s%s%s", style->green, s->input == 1 ? "ok" : "all ok", style->reset);
        if (s->ok_before)
            fprintf(out, " (%s done before)", units_count(&count, s->ok_before));
    } else {
        print_before(out, &sign, s, style);
        print_term(out, &sign, s->ok, style->green, "ok", style);
        print_term(out, &sign, s->failed, style->red, "failed", style);
        print_term(out, &sign, s->cancelled, style->yellow, "cancelled", style);
        print_term(out, &sign, s->not_started, style->yellow, "not started", style);
    }
    if (s->input == 0 && s->input_ended)
        fputs(nouns->hands ? ": none was found" : ": the input is empty", out);
    fputc('\n', out);
}

/* So many that the run was to end. */
static const char *failures(const summary *s, char *text, size_t size)
{
    units_text count;
    if (s->halt_after <= 1)
        return "the first failure (--fail-fast)";
    snprintf(text, size, "%s failures (--halt-after)", units_count(&count, s->halt_after));
    return text;
}

/* Why the run ended before its input did, if so. */
static void print_end(FILE *out, const summary *s, const term_style *style)
{
    char text[UNITS_SIZE + 32];
    const char *why = s->stats.end == WEIR_JOB_END_DEADLINE   ? "the deadline passed"
                      : s->stats.end == WEIR_JOB_END_FAILFAST ? failures(s, text, sizeof text)
                      : s->stats.end == WEIR_JOB_END_CLOSED   ? "the reader of the rows went away"
                      : s->stats.end == WEIR_JOB_END_LIMIT    ? "no more rows were wanted (--limit)"
                      : s->stats.end == WEIR_JOB_END_STOPPED  ? ""
                                                              : NULL;
    if (!why)
        return;
    if (!*why && s->signal)
        why = signals_name(s->signal);
    fprintf(out, "%sstopped early%s%s%s%s\n", style->yellow, *why ? ": " : "", why,
            s->stats.input_ended || s->stats.end == WEIR_JOB_END_LIMIT ? ""
            : s->nouns->hands ? "; the rest was not looked for"
                              : "; the rest of the input was not read",
            style->reset);
}

static void print_reasons(FILE *out, const summary *s, const term_style *style, int width)
{
    units_text count;
    int digits = 0;
    for (size_t i = 0; i < s->reasons_len; i++) {
        int len = (int)strlen(units_count(&count, s->reasons[i].count));
        digits = len > digits ? len : digits;
    }
    for (size_t i = 0; i < s->reasons_len; i++) {
        const weir_job_reason *r = &s->reasons[i];
        char number[UNITS_SIZE + 16];
        cut_line l = cut_line_begin(out, width);
        snprintf(number, sizeof number, "  %*s × ", digits, units_count(&count, r->count));
        put(&l, style->red, number, style->reset);
        put(&l, "", r->reason ? r->reason : "unknown", "");
        if (r->example && *r->example) {
            put(&l, style->dim, r->count == 1 ? "  " : "  first: ", style->reset);
            put(&l, style->dim, r->example, style->reset);
        }
        fputc('\n', out);
    }
    if (s->other_reasons) {
        units_text failures;
        fprintf(out, "  and %s for %s more %s\n", units_count(&failures, s->other_failures),
                units_count(&count, s->other_reasons),
                plural(s->other_reasons, "reason", "reasons"));
    }
    if (s->stats.failed_before)
        fprintf(out, "  %s failed before; --retry-failed does %s again\n",
                units_count(&count, s->stats.failed_before),
                plural(s->stats.failed_before, "it", "them"));
}

static void print_overlap(FILE *out, const weir_job_stats *s, const term_style *style)
{
    units_text count, waited, elapsed;
    if (s->waited <= 0 || s->elapsed <= 0)
        return;
    double times = (double)s->waited / (double)s->elapsed;
    fprintf(out, "%s %s, %s of waiting, in %s", units_count(&count, s->attempts),
            plural(s->attempts, "wait", "waits"), units_time(&waited, s->waited),
            units_time(&elapsed, s->elapsed));
    if (times >= 9.95)
        fprintf(out, ": %s%s× overlapped%s\n", style->bold,
                units_count(&count, (int64_t)(times + 0.5)), style->reset);
    else if (times >= 0.95)
        fprintf(out, ": %s%.1f× overlapped%s\n", style->bold, times, style->reset);
    else /* pauses between attempts took longer than they */
        fputc('\n', out);
}

/* The same of work that blocks, where being busy and waiting look alike. */
static void print_work(FILE *out, const summary *s)
{
    units_text a;
    const weir_job_stats *stats = &s->stats;
    int64_t done = stats->ok + stats->failed;
    if (stats->elapsed <= 0 || !done)
        return;
    if (stats->bytes)
        fprintf(out, "%s %s in ", units_bytes(&a, stats->bytes), s->nouns->received);
    fprintf(out, "%s", units_time(&a, stats->elapsed));
    fprintf(out, ", %s", units_rate(&a, (double)done * 1e9 / (double)stats->elapsed));
    if (stats->p99 > 0) {
        fprintf(out, ", p50 %s", units_time(&a, stats->p50));
        fprintf(out, ", p99 %s", units_time(&a, stats->p99));
    }
    fprintf(out, "\nat most %s %s at work%s\n", units_count(&a, stats->peak_in_flight),
            plural(stats->peak_in_flight, s->nouns->hand, s->nouns->hands),
            s->found ? ", found while running" : "");
}

static void print_details(FILE *out, const job_nouns *nouns, const weir_job_stats *s)
{
    units_text a, b, rate;
    int64_t done = s->ok + s->failed;
    if (s->attempts == 0)
        return;
    if (s->p99 > 0)
        fprintf(out, "p50 %s, p99 %s, ", units_time(&a, s->p50), units_time(&b, s->p99));
    fprintf(out, "at most %s in flight", units_count(&rate, s->peak_in_flight));
    if (s->elapsed > 0 && done)
        fprintf(out, ", %s", units_rate(&rate, (double)done * 1e9 / (double)s->elapsed));
    if (s->bytes)
        fprintf(out, ", %s %s", units_bytes(&a, s->bytes), nouns->received);
    fputc('\n', out);
    if (s->retries)
        fprintf(out, "%s %s%s", units_count(&a, s->retries), plural(s->retries, "retry", "retries"),
                s->retries_refused ? ", " : "\n");
    if (s->retries_refused)
        fprintf(out, "%s more not made: too large a share of %s failed\n",
                units_count(&a, s->retries_refused), nouns->many);
}

/* Where things are, unless they went past on standard output. */
static void print_places(FILE *out, const summary *s)
{
    char shown[512];
    const char *sep = "";
    struct {
        const char *what;
        const char *path;
    } places[] = {{"rows", s->output}, {"failed rows", s->errors}, {"bodies", s->save}};
    const weir_job_stats *stats = &s->stats;
    bool whole = !stats->cancelled && !stats->not_started && stats->input_ended;
    if (stats->end == WEIR_JOB_END_FAULT || !(whole || stats->end == WEIR_JOB_END_LIMIT))
        return; /* the files are not whole: what is left of them the job says in a note */
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!places[i].path || strcmp(places[i].path, "-") == 0)
            continue;
        fprintf(out, "%s%s in %s", sep, places[i].what,
                term_escape(shown, sizeof shown, places[i].path));
        sep = ", ";
    }
    fputs(*sep ? "\n" : "", out);
}

void summary_print(FILE *out, const summary *s, const term_style *style, int width)
{
    print_end(out, s, style);
    print_equation(out, s->nouns, &s->stats, style);
    print_reasons(out, s, style, width);
    if (s->nouns->hands) {
        print_work(out, s);
    } else {
        print_overlap(out, &s->stats, style);
        print_details(out, s->nouns, &s->stats);
    }
    print_places(out, s);
}

int summary_exit_code(weir_status status, const weir_job_stats *s, int signal)
{
    if (s->end == WEIR_JOB_END_CLOSED)
        return 0;
    if (status != WEIR_OK || s->end == WEIR_JOB_END_FAULT)
        return 2;
    if (s->end == WEIR_JOB_END_STOPPED && signal)
        return 128 + signal;
    if (s->end == WEIR_JOB_END_LIMIT)
        return s->failed > 0;
    return s->failed || s->failed_before || s->cancelled || s->not_started ||
           s->end != WEIR_JOB_END_COMPLETE;
}
