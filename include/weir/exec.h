/*
 * weir/exec.h: the job kind that runs commands.
 *
 * An item is one command, made from templates and a row of the input, or from lists of arguments.
 * Its row holds the input columns, then command, exit_code, signal, attempts, elapsed_ms, error,
 * stdout, stderr, and stdout_encoding, stderr_encoding ("base64" where the output is neither JSON
 * nor UTF-8 text). An item is ok if its command ended with exit code 0. docs/rows.md has the
 * details.
 *
 * No shell is involved unless asked for: each value is one argument. Commands lead process groups
 * of their own and get none of the program's descriptors but the three standard ones.
 *
 * Commands are children of the program, which must not ignore SIGCHLD or wait for children that are
 * not its own. Beside them the job has another child, which ends them should the program be killed;
 * that needs libweir from the program's start on, so linked and not opened by dlopen.
 */
#ifndef WEIR_EXEC_H
#define WEIR_EXEC_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/job.h"
#include "weir/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Words that stand beside each other: "::: a b c" of the command line. */
typedef struct weir_exec_list {
    const char *const *words;
    size_t len;
} weir_exec_list;

/*
 * Zero means the default. Strings are copied by weir_exec_new. Placeholders in templates are {} {.}
 * {/} {//} {/.} {#}, {column} and {1} with the same endings; where nothing has one that stands for
 * a value, {} (or {1}, {2} and so on with several lists) is added to the command.
 *
 * In `job`: in_flight 0 is one per processor, timeout is none, retries are none; retry_on is a list
 * of exit codes (75, 64-78) and the words timeout, signal, start (it could not be started) and any;
 * any is the default.
 */
typedef struct weir_exec_options {
    size_t size; /* sizeof(weir_exec_options) */
    weir_job_options job;

    /* the commands */
    const char *const *argv; /* templates of its words; the first is looked up in PATH */
    size_t argv_len;
    int shell; /* the words, joined by spaces, are a line for /bin/sh; values are quoted */
    const weir_exec_list *lists; /* every combination is a command; not together with an input */
    size_t lists_len;
    const char *input_text; /* template of its standard input; NULL: empty */
    const char *cwd;        /* template; NULL: the program's */
    const char *const *env; /* templates "NAME=value", added to the environment */
    size_t env_len;

    /* their output */
    int64_t max_output; /* bytes of each of stdout and stderr; 16 MiB */
    int passthrough; /* write it on to the program's own stdout and stderr, each command's whole */
    int tag;         /* and each line after the item's value and a tab, */
    const char *tag_text; /* or what this template makes; NULL: {} (or {1} {2}, ...) */

    /* when they may begin, and how they end */
    int64_t grace;       /* between TERM and KILL; 2 s; negative: KILL at once */
    int nice;            /* added to the commands' niceness; 1 to 19 */
    double load_max;     /* begin none while the load average is above; 0: no limit */
    int64_t memory_free; /* nor while fewer bytes of memory are available */
} weir_exec_options;

#define WEIR_EXEC_OPTIONS_INIT WEIR_OPTIONS_INIT(weir_exec_options)

/*
 * Makes a job. Checks every option, opens the input and reads its first rows (which may block on a
 * pipe), opens the outputs; starts nothing. WEIR_INVALID says which option or template is wrong.
 */
weir_status weir_exec_new(const weir_exec_options *options, weir_job **out, weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
