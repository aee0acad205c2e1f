/*
 * exec_new.c: from options to a job. Its invariant: whatever is wrong with the options is found
 * before anything is started or written, and said with the name the option has on the command line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exec.h"
#include "job.h"
#include "option_size.h"
#include "reader.h"
#include "thread.h"
#include "weir/exec.h"

#define DEFAULT_GRACE (2 * WI_SECOND)

enum {
    DEFAULT_MAX_OUTPUT = 16 << 20,
    MOST_LISTS = 16,
    NICEST = 19,
};

static weir_status parse(const char *text, wi_template_mode mode, const char *what,
                         wi_template **out, weir_error *err)
{
    return wi_template_parse(text, strlen(text), mode, what, out, err);
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

static void free_templates(wi_template **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wi_template_free(list[i]);
}

/* Text that holds words, each with its 0, as templates. */
static weir_status parse_words(wi_exec *exec, const wi_buf *text, weir_error *err)
{
    weir_status status = text->failed ? wi_fail_nomem(err) : WEIR_OK;
    wi_template_mode mode = exec->shell ? WI_TEMPLATE_SHELL : WI_TEMPLATE_WORD;
    free_templates(exec->words, exec->words_len);
    exec->words_len = 0;
    for (size_t at = 0; status == WEIR_OK && at < text->len; at += strlen(text->data + at) + 1) {
        status = parse(text->data + at, mode, "command", &exec->words[exec->words_len], err);
        exec->words_len += status == WEIR_OK;
    }
    return status;
}

/* Does anything say what is to be done with the values? Then none is added to the command. */
static bool uses_values(const wi_exec *exec)
{
    bool uses = (exec->input_text && wi_template_has_values(exec->input_text)) ||
                (exec->cwd && wi_template_has_values(exec->cwd));
    for (size_t i = 0; !uses && i < exec->words_len; i++)
        uses = wi_template_has_values(exec->words[i]);
    for (size_t i = 0; !uses && i < exec->env_len; i++)
        uses = wi_template_has_values(exec->env[i]);
    return uses;
}

/* The words, each with its 0; of a line for the shell, one. */
static void gather_words(const weir_exec_options *o, wi_buf *out)
{
    for (size_t i = 0; i < o->argv_len; i++) {
        wi_buf_puts(out, o->shell && i ? " " : "");
        wi_buf_puts(out, o->argv[i]);
        if (!o->shell)
            wi_buf_putc(out, '\0');
    }
}

static weir_status set_words(wi_exec *exec, const weir_exec_options *o, weir_error *err)
{
    if (!o->argv_len)
        return wi_fail(err, WEIR_INVALID, "no command was given");
    wi_buf text = WI_BUF_INIT;
    exec->shell = o->shell;
    exec->words = calloc(o->argv_len + MOST_LISTS, sizeof *exec->words);
    if (!exec->words)
        return wi_fail_nomem(err);
    gather_words(o, &text);
    size_t len = text.len;
    wi_buf_append(&text, "", o->shell ? 1 : 0);
    weir_status status = parse_words(exec, &text, err);
    if (status == WEIR_OK && (o->job.input || o->lists_len) && !uses_values(exec)) {
        text.len = len;
        append_values(o, &text);
        wi_buf_append(&text, "", o->shell ? 1 : 0);
        status = parse_words(exec, &text, err);
    }
    wi_buf_fini(&text);
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

/* As it is now: what the program changes later is not seen by commands. */
static weir_status keep_environment(wi_exec *exec, weir_error *err)
{
    size_t n = 0;
    while (environ[n])
        n++;
    exec->environ = calloc(n + 1, sizeof *exec->environ);
    if (!exec->environ)
        return wi_fail_nomem(err);
    for (; exec->environ_len < n; exec->environ_len++)
        if (!(exec->environ[exec->environ_len] = strdup(environ[exec->environ_len])))
            return wi_fail_nomem(err);
    return WEIR_OK;
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
    return o->env_len ? keep_environment(exec, err) : WEIR_OK;
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
        status = set_env(exec, o, err);
    if (status == WEIR_OK)
        status = set_words(exec, o, err);
    if (status == WEIR_OK)
        status = set_tag(exec, o, err);
    return status;
}

static weir_status check_numbers(const weir_exec_options *o, weir_error *err)
{
    const wi_range ranges[] = {
        {"--max-output", o->max_output, 1, (int64_t)1 << 30},
        {"--nice", o->nice, 1, 19},
        {"--memory-free", o->memory_free, 1, (int64_t)1 << 50},
    };
    if (o->load_max < 0 || o->load_max != o->load_max)
        return wi_fail(err, WEIR_INVALID, "--load-max: a load is not negative");
    return wi_check_ranges(ranges, sizeof ranges / sizeof ranges[0], err);
}

void wi_exec_free(void *job)
{
    wi_exec *exec = job;
    free_templates(exec->words, exec->words_len);
    free(exec->words);
    free_templates(exec->env, exec->env_len);
    free(exec->env);
    wi_guard_free(exec->guard);
    wi_template_free(exec->lists);
    wi_template_free(exec->input_text);
    wi_template_free(exec->cwd);
    wi_template_free(exec->tag);
    for (size_t i = 0; i < exec->environ_len; i++)
        free(exec->environ[i]);
    free(exec->environ);
    free(exec);
}

static int discard(void *arg, const char *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

/* The rest, which can only fail for want of memory. */
static weir_status complete(wi_exec *exec, const weir_exec_options *o, weir_job_options *common,
                            weir_error *err)
{
    exec->max_output = o->max_output ? (size_t)o->max_output : DEFAULT_MAX_OUTPUT;
    exec->passthrough = o->passthrough;
    exec->grace = o->grace ? o->grace : DEFAULT_GRACE;
    exec->load_max = o->load_max;
    exec->memory_free = o->memory_free;
    exec->timeout = common->timeout;
    if (o->nice) {
        int nice = getpriority(PRIO_PROCESS, 0) + o->nice;
        exec->nice = nice < NICEST ? nice : NICEST;
    }
    if (!common->in_flight)
        common->in_flight = wi_processors();
    if (exec->passthrough && !common->output && !common->write)
        common->write = discard;
    /* The one whose row is awaited may run beyond what may be in flight, once in each lane. */
    return wi_guard_new((size_t)common->in_flight + WI_MAX_LANES, exec->grace, &exec->guard, err);
}

/* What a run that continues must have in common with the first. The lists are its input, which may
 * be longer then; a variable may be a secret. */
static weir_status add_facts(const weir_exec_options *o, wi_facts *facts, weir_error *err)
{
    wi_buf env = WI_BUF_INIT;
    wi_facts_add_list(facts, "the command", o->argv, o->argv_len);
    wi_facts_add_flag(facts, "shell", o->shell);
    wi_facts_add(facts, "stdin", o->input_text);
    wi_facts_add(facts, "cwd", o->cwd);
    wi_facts_add_flag(facts, "passthrough", o->passthrough);
    for (size_t i = 0; i < o->env_len; i++)
        wi_buf_append(&env, o->env[i], strlen(o->env[i]) + 1);
    if (env.len)
        wi_facts_add_hash(facts, "env (its hash)", env.data, env.len);
    facts->failed |= env.failed;
    wi_buf_fini(&env);
    return facts->failed ? wi_fail_nomem(err) : WEIR_OK;
}

weir_status weir_exec_new(const weir_exec_options *options, weir_job **out, weir_error *err)
{
    weir_exec_options taken;
    const weir_exec_options *o = &taken;
    weir_status status = wi_options_take(&taken, sizeof taken, options, "weir_exec_options", err);
    if (status != WEIR_OK)
        return status;
    wi_exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return wi_fail_nomem(err);
    wi_job_options job = {.common = o->job};
    status = check_numbers(o, err);
    if (status == WEIR_OK)
        status = wi_job_options_fill(&job.common, -1, -1, err);
    if (status == WEIR_OK)
        status = describe_job(exec, o, err);
    if (status == WEIR_OK)
        status = complete(exec, o, &job.common, err);
    if (status == WEIR_OK)
        status = add_facts(o, &job.facts, err);
    if (status != WEIR_OK) {
        wi_facts_fini(&job.facts);
        wi_exec_free(exec);
        return status;
    }
    job.choices = exec->lists ? wi_template_count(exec->lists) : 1;
    return wi_job_new(&job, &wi_exec_kind, exec, out, err);
}
