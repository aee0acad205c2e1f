/* job_args.c: see job_args.h. */
#include "job_args.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "plan.h"
#include "run.h"
#include "summary.h"

#define MAX_PLANNED INT64_C(10000000) /* items that --dry-run looks at */

enum { PROGRESS_CHOICE_AUTO, PROGRESS_CHOICE_PLAIN, PROGRESS_CHOICE_NONE };

const char *const job_input_formats[] = {"auto", "csv", "tsv", "ndjson", "lines", NULL};
const char *const job_formats[] = {"auto", "ndjson", "csv", NULL};
const char *const job_progress_choices[] = {"auto", "plain", "none", NULL};

/* What becomes of an earlier run. 0, or the exit code. */
static int choose_journal(const command *cmd, job_args *args)
{
    if (args->resume + args->restart + args->retry_failed + args->no_journal > 1)
        return command_fail(cmd, "--resume, --restart, --retry-failed and --no-journal exclude "
                                 "each other; give one of them");
    args->options.journal = args->resume         ? WEIR_JOURNAL_RESUME
                            : args->restart      ? WEIR_JOURNAL_RESTART
                            : args->retry_failed ? WEIR_JOURNAL_RETRY_FAILED
                            : args->no_journal   ? WEIR_JOURNAL_NONE
                                                 : WEIR_JOURNAL_NEW;
    return 0;
}

int job_args_complete(const command *cmd, job_args *args)
{
    weir_job_options *o = &args->options;
    o->retries = args->retries ? args->retries : -1;
    o->breaker = args->breaker ? args->breaker : -1;
    if (args->fail_fast)
        o->halt_after = 1;
    o->input_format = args->input_format ? job_input_formats[args->input_format] : NULL;
    o->format = args->format ? job_formats[args->format] : NULL;
    return choose_journal(cmd, args);
}

static bool is_stdout(const char *path)
{
    return !path || strcmp(path, "-") == 0;
}

static progress_kind choose_progress(const job_args *args, bool prints)
{
    if (args->quiet || args->progress == PROGRESS_CHOICE_NONE)
        return PROGRESS_NONE;
    if (args->progress == PROGRESS_CHOICE_PLAIN)
        return PROGRESS_PLAIN;
    /* rows on the same terminal show progress enough, and would run through the line */
    if (prints || !term_can_redraw(STDERR_FILENO) ||
        (is_stdout(args->options.output) && isatty(STDOUT_FILENO)))
        return PROGRESS_NONE;
    return PROGRESS_LIVE;
}

static int plan(const command *cmd, const job_args *args, const job_telling *telling, weir_job *job)
{
    weir_error err;
    weir_job_plan plan;
    if (weir_job_plan_make(job, MAX_PLANNED, &plan, &err) != WEIR_OK)
        return command_fail(cmd, "%s", err.text);
    const plan_files files = {args->options.output, args->options.errors, telling->save};
    plan_print(stdout, &plan, telling->nouns, &files, term_style_for(args->color, STDOUT_FILENO));
    return output_finish(cmd);
}

static int run_and_tell(const command *cmd, const job_args *args, const job_telling *telling,
                        weir_job *job)
{
    weir_error err;
    const term_style *style = term_style_for(args->color, STDERR_FILENO);
    run r = {.style = style, .quiet = args->quiet};
    progress_init(&r.progress, choose_progress(args, telling->prints), args->options.lanes, style);
    weir_status status = run_job(&r, job, &err);
    weir_job_stats begun;
    weir_job_stats_get(job, &begun);
    if (begun.phase == WEIR_JOB_READY) /* nothing has run that could be told of */
        return command_fail(cmd, "%s%s", err.text, telling->advice ? telling->advice : "");
    summary s = {.nouns = telling->nouns,
                 .signal = r.signal,
                 .halt_after = args->options.halt_after,
                 .found = args->options.in_flight == 0,
                 .output = args->options.output,
                 .errors = args->options.errors,
                 .save = telling->save};
    summary_collect(&s, job);
    int code = summary_exit_code(status, &s.stats, r.signal);
    if (s.stats.end == WEIR_JOB_END_CLOSED)
        return code;
    r.quiet = args->quiet && code == 0; /* but where the rows are must be known */
    run_notes(&r, job);
    if (!r.quiet)
        summary_print(stderr, &s, style, isatty(STDERR_FILENO) ? term_width(STDERR_FILENO) : 0);
    if (status != WEIR_OK)
        command_fail(cmd, "%s", err.text);
    return code;
}

int job_args_run(const command *cmd, const job_args *args, const job_telling *telling,
                 weir_job *job)
{
    int code =
        args->dry_run ? plan(cmd, args, telling, job) : run_and_tell(cmd, args, telling, job);
    weir_job_free(job);
    return code;
}
