/*
 * job_args.h: what the commands that run a job have in common: options, the plan, the run with its
 * progress, summary and exit code. Everything stands here once, so that it reads and works the same
 * in all of them.
 *
 * A command's own struct begins with a job_args; its table takes the option groups from the macros
 * below and adds its own in between.
 */
#ifndef JOB_ARGS_H
#define JOB_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/job.h"

#include "nouns.h"
#include "options.h"
#include "term.h"
#include "units.h"

#define JOB_DAY (86400 * UNITS_SEC)
#define AT_JOB(field) .offset = offsetof(job_args, field)

typedef struct job_args {
    weir_job_options options;
    int64_t retries;  /* as given: 0 is none */
    int64_t breaker;  /* the same */
    int input_format; /* choices; the first is "auto" */
    int format;
    int progress;
    int color;
    int quiet;
    int dry_run;
    int fail_fast;
    int resume;
    int restart;
    int retry_failed;
    int no_journal;
} job_args;

extern const char *const job_input_formats[];
extern const char *const job_formats[];
extern const char *const job_progress_choices[];

/* clang-format off */
#define JOB_OPTIONS_INPUT                                                                          \
    {.name = "input", .letter = 'i', .arg = "FILE", .kind = OPTION_STRING,                         \
     AT_JOB(options.input), .help = "rows to work on; - is standard input",                        \
     .more = "CSV and TSV have a header that names the columns, NDJSON has an object on each "     \
             "line, and of plain lines the column is called line. gzip, zstd, xz and bzip2 are "     \
             "recognised. "                                                                        \
             "The input is read as it is needed, so it may be endless."},                          \
    JOB_OPTION_INPUT_FORMAT,                                                                       \
    {.name = "max-row", .arg = "SIZE", .kind = OPTION_SIZE, JOB_MAX_ROW, .rare = true,             \
     .help = "longest row accepted (default 16M)"}

#define JOB_OPTION_INPUT_FORMAT                                                                    \
    {.name = "input-format", .arg = "FORMAT", .kind = OPTION_CHOICE, AT_JOB(input_format),         \
     .choices = job_input_formats, .help = "as csv, tsv, ndjson or lines (default by suffix)"}

#define JOB_MAX_ROW AT_JOB(options.max_row), .min = 1024, .max = INT64_C(1) << 30

#define JOB_OPTIONS_OUTPUT                                                                         \
    {.name = "output", .letter = 'o', .arg = "FILE", .kind = OPTION_STRING,                        \
     AT_JOB(options.output), .help = "write rows there (default standard output)",                 \
     .more = "The file appears under its name when the run is complete."},                         \
    {.name = "format", .arg = "FORMAT", .kind = OPTION_CHOICE, AT_JOB(format),                     \
     .choices = job_formats, .help = "as ndjson or csv (default by suffix)",                       \
     .more = "CSV has no escapes: in files and pipes every byte stays as it is. Where its rows "   \
             "go to a terminal, control characters are shown as \\x1B or \\n."},                   \
    {.name = "errors", .arg = "FILE", .kind = OPTION_STRING, AT_JOB(options.errors),               \
     .help = "write failed rows there, not to the others"},                                        \
    {.name = "unordered", .kind = OPTION_FLAG, AT_JOB(options.unordered), .negatable = true,       \
     .help = "rows as they finish, not in input order"}

#define JOB_OPTIONS_PACE                                                                           \
    JOB_OPTIONS_BOUNDS,                                                                            \
    {.name = "lanes", .arg = "N", .kind = OPTION_COUNT, AT_JOB(options.lanes), .min = 1,           \
     .max = 256, .help = "threads that do the work (default: processors)"},                        \
    JOB_OPTIONS_HALT

#define JOB_OPTIONS_BOUNDS                                                                         \
    {.name = "deadline", .arg = "TIME", .kind = OPTION_DURATION, AT_JOB(options.deadline),         \
     .min = UNITS_MS, .max = 365 * JOB_DAY, .help = "limit for the whole run",                     \
     .more = "What is in flight then is cancelled, and what has not begun is not started."},       \
    {.name = "memory", .arg = "SIZE", .kind = OPTION_SIZE, AT_JOB(options.memory), .min = 1 << 20, \
     .max = INT64_C(1) << 40, .help = "limit for all that is buffered (default 256M)",             \
     .more = "When it is full, nothing begins until rows have been written."}

#define JOB_OPTIONS_HALT                                                                           \
    {.name = "fail-fast", .kind = OPTION_FLAG, AT_JOB(fail_fast), .negatable = true,               \
     .help = "end the run with the first failure"},                                                \
    {.name = "halt-after", .arg = "N", .kind = OPTION_COUNT, AT_JOB(options.halt_after), .min = 1, \
     .max = INT64_MAX, .help = "end the run with the Nth failure"}

#define JOB_OPTIONS_RETRY                                                                          \
    {.name = "retry-delay", .arg = "TIME", .kind = OPTION_DURATION, AT_JOB(options.retry_delay),   \
     .min = UNITS_MS, .max = JOB_DAY, .rare = true,                                                \
     .help = "first pause, at most; doubles (default 250ms)",                                      \
     .more = "The pause is chosen at random from nothing to that, so that many clients don't "     \
             "come back at the same moment."},                                                     \
    {.name = "retry-max-delay", .arg = "TIME", .kind = OPTION_DURATION,                            \
     AT_JOB(options.retry_max_delay), .min = UNITS_MS, .max = JOB_DAY, .rare = true,               \
     .help = "longest pause (default 30s)"}

#define JOB_OPTIONS_RUN                                                                            \
    OPTION_GROUP("The run"),                                                                       \
    {.name = "resume", .kind = OPTION_FLAG, AT_JOB(resume),                                        \
     .help = "go on where an earlier run ended",                                                   \
     .more = "What that run did is not done again, and its rows stay; the journal beside the "     \
             "output, FILE.weir, has what that is. The input may be longer by now, or in another " \
             "order; the options that change rows must be the same. Where no run has been, one "   \
             "begins."},                                                                           \
    {.name = "restart", .kind = OPTION_FLAG, AT_JOB(restart),                                      \
     .help = "begin anew, and throw away what one left",                                           \
     .more = "A run that did not come to its end is in the way of another with the same output, "  \
             "unless this or `--resume` is given."},                                               \
    {.name = "retry-failed", .kind = OPTION_FLAG, AT_JOB(retry_failed),                            \
     .help = "go on, and do again what failed",                                                    \
     .more = "As `--resume`, also after a run that came to its end. The rows of what failed are "  \
             "taken out, and new ones added."},                                                    \
    {.name = "no-journal", .kind = OPTION_FLAG, AT_JOB(no_journal), .rare = true,                  \
     .help = "keep no journal, so that the run cannot be resumed",                                 \
     .more = "Where rows go to standard output, a pipe or a device there is none anyway."},        \
    {.name = "commit-every", .arg = "TIME", .kind = OPTION_DURATION, AT_JOB(options.commit_every), \
     .min = UNITS_MS, .max = JOB_DAY, .rare = true,                                                \
     .help = "how much of a run may be lost and done again (default 1s)",                          \
     .more = "That often what was written is brought to the disk, and into the journal."},         \
    {.name = "dry-run", .kind = OPTION_FLAG, AT_JOB(dry_run),                                      \
     .help = "print the plan, begin nothing",                                                      \
     .more = "It is the plan for the whole input, also with `--resume`: no journal is opened."},   \
    {.name = "progress", .arg = "WHEN", .kind = OPTION_CHOICE, AT_JOB(progress),                   \
     .choices = job_progress_choices, .help = "show progress: auto, plain (lines) or none",        \
     .more = "With `auto` a line is drawn when standard error is a terminal, and the rows don't "  \
             "go to it as well."},                                                                 \
    {.name = "color", .arg = "WHEN", .kind = OPTION_CHOICE, AT_JOB(color),                         \
     .choices = term_color_choices, .rare = true,                                                  \
     .help = "use color: auto, always or never"},                                                  \
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, AT_JOB(quiet), .negatable = true,        \
     .help = "no progress; a summary only of failures"}
/* clang-format on */

/* The texts about Ctrl-C and exit codes, for a command's sections. */
#define JOB_SECTION_CTRL_C                                                                    \
    {                                                                                         \
        "Ctrl-C",                                                                             \
            "The first Ctrl-C begins nothing new and finishes what is in flight; the second " \
            "cancels that too; the third ends the process where it stands."                   \
    }
#define JOB_SECTION_EXIT                                                        \
    {                                                                           \
        "Exit status", "  0    every item is ok, or no more rows were wanted\n" \
                       "  1    some failed, were cancelled or not started\n"    \
                       "  2    the job could not run\n"                         \
                       "  130  Ctrl-C (143: SIGTERM, 129: SIGHUP)"              \
    }

/* Text about runs that go on, for a command's sections. */
#define JOB_SECTION_RESUME                                                                         \
    {                                                                                              \
        "A run that ended early",                                                                  \
            "While rows are written to a file (`-o`), they are in FILE.partial, and FILE.weir "    \
            "beside it is a journal of what is done. However a run ends, by Ctrl-C, by a kill or " \
            "with the machine, the same command with `--resume` goes on with it and gives the "    \
            "rows of a run that nothing happened to: none is lost and none is there twice. What "  \
            "was done in the last second before the end (`--commit-every`) is done again, and "    \
            "what has effects may have them twice."                                                \
    }

/* Puts what was parsed where the library expects it. 0, or the exit code. */
int job_args_complete(const command *cmd, job_args *args);

/* What a command tells of its job beyond the options. */
typedef struct job_telling {
    const job_nouns *nouns;
    const char *save;   /* where else things are written, or NULL */
    const char *advice; /* behind the reason why it could not begin, or NULL */
    bool prints;        /* something else than rows goes to standard output and error */
} job_telling;

/* Plans or runs the job, tells about it, and frees it. Returns the exit code. */
int job_args_run(const command *cmd, const job_args *args, const job_telling *telling,
                 weir_job *job);

#endif
