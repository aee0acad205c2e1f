/*
 * exec_new.c: from options to a job. Its invariant: whatever is wrong with the options is found
 * before anything is started or written, and said with the name the option has on the command line.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec.h"
#include "job.h"
#include "reader.h"
#include "weir/exec.h"

#define DEFAULT_GRACE (2 * WI_SECOND)

enum {
    DEFAULT_MAX_OUTPUT = 16 << 20,
    MOST_LISTS = 16,
};

static weir_status parse(const char *text, wi_template_mode mode, const char *what,
                         wi_template **out, weir_error *err)
{
    return wi_template_parse(text, strlen(text), mode, what, out, err);
}

/* Does a text have a placeholder for a value? */
static weir_status find_values(const char *text, bool *found, weir_error *err)
{
    wi_template *t = NULL;
    if (!text)
        return WEIR_OK;
    weir_status status = parse(text, WI_TEMPLATE_STDIN, "command", &t, err);
    if (status == WEIR_OK)
        *found = *found || wi_template_has_values(t);
    wi_template_free(t);
    return status;
}

/* "{}" or "{1} {2} {3}" behind a command that says nothing of where its values belong. */
static void append_values(const weir_exec_options *o, wi_buf *out)
{
    size_t n = o->lists_len > 1 ? o->lists_len : 1;
    for (size_t i = 0; i < n; i++) {
        wi_buf_puts(out, o->shell ? " " : "");
        if (n > 1)
            wi_buf_printf(out, "{%zu}", i + 1);
        else
            wi_buf_puts(out, "{}");
        if (!o->shell)
            wi_buf_putc(out, '\0');
    }
}

/* The words, each with its 0; of a line for the shell, one. */
static weir_status gather_words(const weir_exec_options *o, wi_buf *out, weir_error *err)
{
    bool found = !o->job.input && !o->lists_len;
    weir_status status = find_values(o->input_text, &found, err);
    if (status == WEIR_OK)
        status = find_values(o->cwd, &found, err);
    for (size_t i = 0; status == WEIR_OK && i < o->argv_len; i++) {
        status = find_values(o->argv[i], &found, err);
        wi_buf_puts(out, o->shell && i ? " " : "");
        wi_buf_puts(out, o->argv[i]);
        if (!o->shell)
            wi_buf_putc(out, '\0');
    }
    if (!found)
        append_values(o, out);
    if (o->shell)
        wi_buf_putc(out, '\0');
    return status == WEIR_OK && out->failed ? wi_fail_nomem(err) : status;
}

static weir_status set_words(wi_exec *exec, const weir_exec_options *o, weir_error *err)
{
    if (!o->argv_len)
        return wi_fail(err, WEIR_INVALID, "no command was given");
    wi_buf words = WI_BUF_INIT;
    wi_template_mode mode = o->shell ? WI_TEMPLATE_SHELL : WI_TEMPLATE_WORD;
    exec->shell = o->shell;
    exec->words = calloc(o->argv_len + MOST_LISTS, sizeof(wi_template *));
    weir_status status = exec->words ? gather_words(o, &words, err) : wi_fail_nomem(err);
    for (size_t at = 0; status == WEIR_OK && at < words.len; at += strlen(words.data + at) + 1) {
        status = parse(words.data + at, mode, "command", &exec->words[exec->words_len], err);
        exec->words_len += status == WEIR_OK;
    }
    wi_buf_fini(&words);
    return status;
}

static weir_status set_lists(wi_exec *exec, const weir_exec_options *o, weir_error *err)
{
    wi_words lists[MOST_LISTS];
    if (!o->lists_len)
        return WEIR_OK;
    if (o->job.input)
        return wi_fail(err, WEIR_INVALID, "arguments (:::) and an input (-i) were both given");
    if (o->lists_len > MOST_LISTS)
        return wi_fail(err, WEIR_INVALID, "at most %d lists of arguments (:::) can be given",
                       MOST_LISTS);
    for (size_t i = 0; i < o->lists_len; i++)
        lists[i] = (wi_words){o->lists[i].words, o->lists[i].len};
    return wi_template_of_lists(lists, o->lists_len, &exec->lists, err);
}

static weir_status set_env(wi_exec *exec, const weir_exec_options *o, weir_error *err)
{
    exec->env = calloc(o->env_len + 1, sizeof(wi_template *));
    if (!exec->env)
        return wi_fail_nomem(err);
    for (size_t i = 0; i < o->env_len; i++) {
        size_t name = strcspn(o->env[i], "={");
        if (!name || o->env[i][name] != '=')
            return wi_fail(err, WEIR_INVALID, "--env: \"%.100s\" is not of the form NAME=VALUE",
                           o->env[i]);
        weir_status status = parse(o->env[i], WI_TEMPLATE_WORD, "--env", &exec->env[i], err);
        if (status != WEIR_OK)
            return status;
        exec->env_len++;
    }
    while (environ[exec->environ_len])
        exec->environ_len++;
    exec->environ = calloc(exec->environ_len + 1, sizeof(char *));
    for (size_t i = 0; exec->environ && i < exec->environ_len; i++)
        if (!(exec->environ[i] = strdup(environ[i])))
            return wi_fail_nomem(err);
    return exec->environ ? WEIR_OK : wi_fail_nomem(err);
}

static weir_status set_tag(wi_exec *exec, const weir_exec_options *o, weir_error *err)
{
    wi_buf text = WI_BUF_INIT;
    if (!o->tag && !o->tag_text)
        return WEIR_OK;
    if (!o->passthrough)
        return wi_fail(err, WEIR_INVALID, "--tag is for lines that are passed on (--passthrough)");
    if (o->tag_text)
        wi_buf_puts(&text, o->tag_text);
    else if (o->lists_len < 2)
        wi_buf_puts(&text, "{}");
    for (size_t i = 0; !o->tag_text && o->lists_len > 1 && i < o->lists_len; i++)
        wi_buf_printf(&text, "%s{%zu}", i ? " " : "", i + 1);
    weir_status status = wi_buf_cstr(&text)
                             ? parse(text.data, WI_TEMPLATE_STDIN, "--tag", &exec->tag, err)
                             : wi_fail_nomem(err);
    wi_buf_fini(&text);
    return status;
}

static weir_status describe_job(wi_exec *exec, const weir_exec_options *o, weir_error *err)
{
    weir_status status = wi_exit_set_parse(o->job.retry_on, &exec->retry_on, err);
    if (status == WEIR_OK)
        status = set_lists(exec, o, err);
    if (status == WEIR_OK && o->input_text)
        status = parse(o->input_text, WI_TEMPLATE_STDIN, "--stdin", &exec->input_text, err);
    if (status == WEIR_OK && o->cwd)
        status = parse(o->cwd, WI_TEMPLATE_WORD, "--cwd", &exec->cwd, err);
    if (status == WEIR_OK)
        status = set_words(exec, o, err);
    if (status == WEIR_OK)
        status = set_env(exec, o, err);
    if (status == WEIR_OK)
        status = set_tag(exec, o, err);
    return status;
}

static weir_status check_numbers(const weir_exec_options *o, weir_error *err)
{
    const wi_range ranges[] = {
        {"--max-output", o->max_output, 1, (int64_t)1 << 30},
        {"--nice", o->nice, -20, 19},
        {"--memory-free", o->memory_free, 1, (int64_t)1 << 50},
    };
    if (o->size < sizeof *o)
        return wi_fail(err, WEIR_INVALID, "weir_exec_options has the wrong size");
    if (o->load_max < 0 || o->load_max != o->load_max)
        return wi_fail(err, WEIR_INVALID, "--load-max: a load is not negative");
    return wi_check_ranges(ranges, sizeof ranges / sizeof ranges[0], err);
}

static void free_templates(wi_template **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wi_template_free(list[i]);
    free(list);
}

void wi_exec_free(void *job)
{
    wi_exec *exec = job;
    free_templates(exec->words, exec->words_len);
    free_templates(exec->env, exec->env_len);
    wi_template_free(exec->lists);
    wi_template_free(exec->input_text);
    wi_template_free(exec->cwd);
    wi_template_free(exec->tag);
    for (size_t i = 0; exec->environ && i < exec->environ_len; i++)
        free(exec->environ[i]);
    free(exec->environ);
    free(exec);
}

static int64_t processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

static int discard(void *arg, const char *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

weir_status weir_exec_new(const weir_exec_options *o, weir_job **out, weir_error *err)
{
    wi_exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return wi_fail_nomem(err);
    wi_job_options job = {.common = o->job};
    weir_status status = check_numbers(o, err);
    if (status == WEIR_OK)
        status = wi_job_options_fill(&job.common, -1, -1, err);
    if (status == WEIR_OK)
        status = describe_job(exec, o, err);
    if (status != WEIR_OK) {
        wi_exec_free(exec);
        return status;
    }
    exec->max_output = o->max_output ? (size_t)o->max_output : DEFAULT_MAX_OUTPUT;
    exec->passthrough = o->passthrough;
    exec->grace = o->grace ? o->grace : DEFAULT_GRACE;
    exec->nice = o->nice;
    exec->load_max = o->load_max;
    exec->memory_free = o->memory_free;
    exec->timeout = job.common.timeout;
    job.choices = exec->lists ? wi_template_count(exec->lists) : 1;
    if (!job.common.in_flight)
        job.common.in_flight = processors();
    if (exec->passthrough && !job.common.output && !job.common.write)
        job.common.write = discard;
    return wi_job_new(&job, &wi_exec_kind, exec, out, err);
}
