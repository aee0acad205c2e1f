/* cmd_exec.c: weir exec. Splits the command from its lists of arguments; the library does the rest.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/exec.h"

#include "commands.h"
#include "job_args.h"
#include "units.h"

enum { MOST_LISTS = 16 };

typedef struct exec_args {
    job_args job; /* the first, for the common options */
    weir_exec_options exec;
    string_list words; /* the command, ":::", arguments, ":::", ... */
    string_list env;
    int64_t nice;
    weir_exec_list lists[MOST_LISTS];
} exec_args;

static bool set_load(void *args, const char *value, char *why, size_t why_size)
{
    char *end;
    double load = strtod(value, &end);
    if (end == value || *end || !(load > 0 && load < 1e6)) {
        snprintf(why, why_size, "is no load; write a number like 1.5");
        return false;
    }
    ((exec_args *)args)->exec.load_max = load;
    return true;
}

/* clang-format off */
#define AT(field) .offset = offsetof(exec_args, field)

static const option exec_options[] = {
    OPTION_GROUP("Input, one command for each row"),
    JOB_OPTIONS_INPUT,

    OPTION_GROUP("Commands"),
    {.name = "shell", .kind = OPTION_FLAG, AT(exec.shell),
     .help = "the words are a line for /bin/sh, values quoted",
     .more = "Without it no shell is involved, and each value is one argument whatever it holds. With "
             "it no placeholder may stand in quotes of your own, nor where quotes don't help: in a "
             "comment, `...`, $((...)) or a here-document."},
    {.name = "stdin", .arg = "TEXT", .kind = OPTION_STRING, AT(exec.input_text),
     .help = "standard input; {COLUMN} is filled in"},
    {.name = "cwd", .arg = "DIR", .kind = OPTION_STRING, AT(exec.cwd),
     .help = "run there; {COLUMN} is filled in"},
    {.name = "env", .arg = "NAME=VALUE", .kind = OPTION_LIST, AT(env),
     .help = "set in the environment; {COLUMN} is filled in"},

    OPTION_GROUP("Output, one row for each command"),
    JOB_OPTIONS_OUTPUT,
    {.name = "max-output", .arg = "SIZE", .kind = OPTION_SIZE, AT(exec.max_output), .min = 1,
     .max = INT64_C(1) << 30, .help = "longest stdout or stderr accepted (default 16M)"},
    {.name = "passthrough", .kind = OPTION_FLAG, AT(exec.passthrough),
     .help = "print what the commands print, not rows",
     .more = "The output of each command stays together and in order, with --unordered in the order in "
             "which they end; stdout goes to stdout and stderr to stderr. Rows, without the output, are "
             "written if -o FILE is given. With --resume nothing is printed of what was done before."},
    {.name = "tag", .kind = OPTION_FLAG, AT(exec.tag),
     .help = "with the value before each line"},
    {.name = "tag-text", .alias = "tagstring", .arg = "TEXT", .kind = OPTION_STRING, AT(exec.tag_text),
     .help = "with this before each line, as '{id}'"},

    OPTION_GROUP("How many, how fast, how long"),
    {.name = "jobs", .letter = 'j', .arg = "N|auto", .kind = OPTION_COUNT,
     AT_JOB(options.in_flight), .min = 1, .max = 1000000, .word = "auto", .word_value = 0,
     .help = "commands at once (default: one per processor)"},
    {.name = "rate", .arg = "N/s|m|h", .kind = OPTION_RATE, AT_JOB(options.rate),
     .help = "start at most so many: 100/s, 30/m",
     .more = "A bare number is per second."},
    {.name = "timeout", .arg = "TIME", .kind = OPTION_DURATION, AT_JOB(options.timeout),
     .min = UNITS_MS, .max = JOB_DAY, .word = "none", .word_value = -1,
     .help = "limit for each attempt (default none)",
     .more = "Then the command's whole process group gets TERM, and after --grace KILL."},
    {.name = "grace", .arg = "TIME", .kind = OPTION_DURATION, AT(exec.grace), .min = 0,
     .max = JOB_DAY, .word = "none", .word_value = -1,
     .help = "between TERM and KILL (default 2s)"},
    {.name = "nice", .arg = "N", .kind = OPTION_COUNT, AT(nice), .min = 0, .max = 19,
     .help = "added to the commands' niceness"},
    {.name = "load-max", .arg = "LOAD", .kind = OPTION_CALL, .call = set_load,
     .help = "start none while the load average is above"},
    {.name = "memory-free", .arg = "SIZE", .kind = OPTION_SIZE, AT(exec.memory_free), .min = 1,
     .max = INT64_C(1) << 50, .help = "nor while less memory is available"},
    JOB_OPTIONS_PACE,

    OPTION_GROUP("Retries"),
    {.name = "retry", .arg = "N", .kind = OPTION_COUNT, AT_JOB(retries), .min = 0, .max = 100,
     .help = "attempts beyond the first (default 0)"},
    {.name = "retry-on", .arg = "LIST", .kind = OPTION_STRING, AT_JOB(options.retry_on),
     .help = "what is worth a retry, as 75 (default any)",
     .more = "Exit codes (`75`, `64-78`) and the words timeout, signal (killed by one), start (it could "
             "not be started), any and none; a minus takes something away: `any,-2`."},
    JOB_OPTIONS_RETRY,
    JOB_OPTIONS_RUN,
    OPTION_END,
};
/* clang-format on */

static const command_example exec_examples[] = {
    {"a command for each line of a file, eight at once, its output in a row",
     "weir exec -i videos.txt -j 8 -o out.ndjson -- ffprobe -of json {}"},
    {"arguments on the command line, output as it is",
     "weir exec --passthrough gzip -v {} ::: *.log"},
    {"every combination of two lists",
     "weir exec -- convert {1} -resize {2} {1.}-{2}.png ::: a.jpg ::: 64 128"},
    {"columns of a table, a retry for exit code 75",
     "weir exec -i jobs.csv --retry 3 --retry-on 75 -- ./import --id {id} {file}"},
    {"a line for the shell", "weir exec --shell -i files.txt 'sort {} | uniq -c > {.}.counts'"},
    {NULL, NULL},
};

static const command_section exec_sections[] = {
    {"Placeholders",
     "Options end where the command begins (or at `--`). In its words stand:\n"
     "\n"
     "  {}        the line, the only column, or the argument behind :::\n"
     "  {.}       the same without its extension\n"
     "  {/}       its last part; {//} the folder before that\n"
     "  {/.}      its last part without extension\n"
     "  {name}    a column of the input; {name.} {name/} {name//} {name/.}\n"
     "  {1} {2}   the first, second column, or argument of the lists\n"
     "  {#}       the number of the command, from 1\n"
     "  \\{        a brace where it would be taken for a placeholder\n"
     "\n"
     "Any other brace is text. Where neither the command nor `--stdin`, `--cwd` or `--env` has a "
     "value in it, {} is added as the last word. `:::` ends the command, and the words behind it "
     "are a list of arguments; several lists are combined, each with each."},
    {"Rows",
     "A row holds the columns of the input as they came, then command, exit_code, signal, "
     "attempts, elapsed_ms, error, stdout and stderr. Output that is a JSON object or array is "
     "embedded as JSON, text is a string, and anything else is base64, which stdout_encoding and "
     "stderr_encoding say. A command that ends with another code than 0 has a row too, with its "
     "reason in error."},
    {"Processes",
     "Each command leads a process group of its own, so a Ctrl-C reaches weir alone, which then "
     "decides what becomes of them. It has standard input (empty without `--stdin`), output and "
     "error, and no other descriptor. It is over when it has ended and its output is closed; "
     "what it left behind with that output open gets `--grace` to close it, and is killed then. "
     "Should weir itself be killed, a process that it started for that ends the commands."},
    JOB_SECTION_CTRL_C,
    JOB_SECTION_RESUME,
    JOB_SECTION_EXIT,
    {"Environment", "NO_COLOR, if not empty, stands for `--color never`."},
    {NULL, NULL},
};

/* "::: a b ::: c" behind the command. */
static int split_words(exec_args *args)
{
    weir_exec_options *o = &args->exec;
    o->argv = args->words.items;
    o->lists = args->lists;
    size_t *len = &o->argv_len;
    for (size_t i = 0; i < args->words.len; i++) {
        if (strcmp(args->words.items[i], ":::") != 0) {
            ++*len;
            continue;
        }
        if (o->lists_len == MOST_LISTS)
            return command_fail(&cmd_exec, "at most %d lists of arguments (:::)", MOST_LISTS);
        weir_exec_list *list = &args->lists[o->lists_len++];
        list->words = args->words.items + i + 1;
        len = &list->len;
    }
    if (!o->argv_len)
        return command_fail(&cmd_exec, "no command was given. See weir exec --help.");
    return 0;
}

/* What an error has suggested is soon put at the end of the line, where it is the command's. */
static const char *advise(const exec_args *args)
{
    static const char *const options[] = {"--resume", "--restart", "--retry-failed"};
    const char *last = args->words.len ? args->words.items[args->words.len - 1] : "";
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(last, options[i]) == 0)
            return "; options come before the command, those behind it are its own";
    return NULL;
}

static const job_nouns exec_nouns = {"command", "commands", "run", "printed", NULL, NULL};

static int exec_run(int argc, char **argv)
{
    exec_args args = {.exec = WEIR_EXEC_OPTIONS_INIT};
    weir_error err;
    weir_job *job = NULL;
    int code;
    signal(SIGCHLD, SIG_DFL); /* who starts weir with it ignored would never hear of an end */
    if (!options_parse(&cmd_exec, &args, argc, argv, &code))
        return code;
    code = job_args_complete(&cmd_exec, &args.job);
    args.exec.job = args.job.options;
    args.exec.nice = (int)args.nice;
    args.exec.env = args.env.items;
    args.exec.env_len = args.env.len;
    const job_telling telling = {
        .nouns = &exec_nouns, .advice = advise(&args), .prints = args.exec.passthrough};
    if (code == 0)
        code = split_words(&args);
    if (code == 0 && weir_exec_new(&args.exec, &job, &err) != WEIR_OK)
        code = command_fail(&cmd_exec, "%s", err.text);
    else if (code == 0)
        code = job_args_run(&cmd_exec, &args.job, &telling, job);
    options_free(&cmd_exec, &args);
    return code;
}

const command cmd_exec = {
    .name = "exec",
    .summary = "run many commands at once, and get a row for each",
    .usage = "[OPTION]... COMMAND [WORD]... [::: ARGUMENT...]...",
    .about =
        "Runs a command for each row of the input, or for each argument behind `:::`, many at a "
        "time, and writes a row for each, in the order of the input, with what the command "
        "printed and how it ended. Without either, the command runs once.\n"
        "\n"
        "Rows go to standard output, everything else to standard error. At the end a summary "
        "accounts for every command.\n"
        "\n"
        "Times are written as `250ms`, `5s`, `2m`, `1h` (a bare number is seconds), sizes as "
        "`4K`, `64M`, `1G`.",
    .options = exec_options,
    .examples = exec_examples,
    .sections = exec_sections,
    .operands_offset = offsetof(exec_args, words),
    .takes_operands = true,
    .operands_end_options = true,
    .man = true,
    .run = exec_run,
};
