/*
 * wait_child.c: weir_child_run: a command (child.h) as a wait. Its invariant: when it returns the
 * command has ended and is reaped, whatever became of the caller's task meanwhile.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "op.h"
#include "option_size.h"
#include "weir/wait.h"

enum { MAX_OUTPUT = 64 << 20 };

typedef struct child_wait {
    wi_op op;
    wi_child_options options;
    wi_child child;
    bool attended;
    weir_status status; /* of that */
} child_wait;

/* ---- on the loop ---- */

static void on_done(wi_child *child)
{
    wi_op_end(&wi_container_of(child, child_wait, child)->op);
}

static void begin(wi_op *op)
{
    child_wait *wait = wi_container_of(op, child_wait, op);
    wait->attended = true;
    wait->status = wi_child_attend(&wait->child, op->loop, on_done, NULL);
    if (wait->status != WEIR_OK)
        wi_op_end(op);
}

static void cancel(wi_op *op)
{
    wi_child_cancel(&wi_container_of(op, child_wait, op)->child);
}

/* ---- the environment ---- */

static bool same_name(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");
    return strncmp(a, b, len) == 0 && b[len] == '=';
}

static bool is_replaced(const char *entry, const char *const *by, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (same_name(by[i], entry))
            return true;
    return false;
}

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

/* The program's own with what is added; of several with one name, the last. NULL: no memory. */
static const char **join_environment(const char *const *added)
{
    const char *const *own = (const char *const *)environ;
    size_t n_own = count(own);
    size_t n_added = count(added);
    const char **all = malloc((n_own + n_added + 1) * sizeof *all);
    if (!all)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < n_own; i++)
        if (!is_replaced(own[i], added, n_added))
            all[n++] = own[i];
    for (size_t i = 0; i < n_added; i++)
        if (!is_replaced(added[i], added + i + 1, n_added - i - 1))
            all[n++] = added[i];
    all[n] = NULL;
    return all;
}

/* ---- the call ---- */

static weir_status check_options(const weir_child_options *o, weir_error *err)
{
    if (!o->argv || !o->argv[0] || !*o->argv[0])
        return wi_fail(err, WEIR_INVALID, "weir_child_run was given no command (argv)");
    if (o->input_len && !o->input)
        return wi_fail(err, WEIR_INVALID, "input_len is %zu, but there is no input", o->input_len);
    for (size_t i = 0; o->env && o->env[i]; i++)
        if (!strchr(o->env[i], '=') || o->env[i][0] == '=')
            return wi_fail(err, WEIR_INVALID, "environment entry %zu is not of the form NAME=value",
                           i + 1);
    return WEIR_OK;
}

static weir_status take(wi_buf *buf, char **bytes, size_t *len)
{
    if (!wi_buf_cstr(buf))
        return WEIR_NOMEM;
    *bytes = buf->data;
    *len = buf->len;
    *buf = (wi_buf)WI_BUF_INIT;
    return WEIR_OK;
}

static weir_status take_result(wi_child *child, weir_child_result *result, weir_error *err)
{
    weir_child_result got = {.exit_code = child->how.code, .signal = child->how.signal};
    if (take(&child->out.bytes, &got.out, &got.out_len) != WEIR_OK ||
        take(&child->errors.bytes, &got.errors, &got.errors_len) != WEIR_OK) {
        weir_child_result_clear(&got);
        return wi_fail_nomem(err);
    }
    *result = got;
    return WEIR_OK;
}

static weir_status judge(child_wait *wait, weir_child_result *result, weir_error *err)
{
    const wi_child *child = &wait->child;
    const char *name = wait->options.spawn.argv[0];
    if (wait->status != WEIR_OK)
        return wi_fail_nomem(err);
    switch (child->status) {
    case WEIR_OK:
        break;
    case WEIR_TOOLARGE:
        return wi_fail(err, WEIR_TOOLARGE, "%s wrote more than %zu bytes to its %s (max_output)",
                       name, wait->options.max_output, child->too_large);
    case WEIR_NOMEM:
        return wi_fail_nomem(err);
    default:
        return wi_fail(err, child->status, "%s could not be listened to any more", name);
    }
    if (child->how.code < 0 && !child->how.signal)
        return wi_fail(err, WEIR_IO,
                       "how %s ended is lost: the program ignores SIGCHLD or waits for all its "
                       "children",
                       name);
    return take_result(&wait->child, result, err);
}

static weir_status run(child_wait *wait, weir_child_result *result, weir_error *err)
{
    wi_child *child = &wait->child;
    weir_status status = wi_task_check(err);
    if (status == WEIR_OK)
        status = wi_child_start(child, &wait->options, err);
    if (status != WEIR_OK)
        return status;
    status = wi_op_run(&wait->op, begin, cancel, err);
    if (!wait->attended) /* there is no loop to be had */
        wi_child_abandon(child);
    if (status == WEIR_OK)
        status = judge(wait, result, err);
    wi_buf_fini(&child->out.bytes);
    wi_buf_fini(&child->errors.bytes);
    return status;
}

weir_status weir_child_run(const weir_child_options *options, weir_child_result *result,
                           weir_error *err)
{
    weir_child_options o;
    weir_status status = wi_options_take(&o, sizeof o, options, "weir_child_options", err);
    if (status == WEIR_OK)
        status = check_options(&o, err);
    if (status != WEIR_OK)
        return status;
    const char **env = o.env ? join_environment(o.env) : NULL;
    if (o.env && !env)
        return wi_fail_nomem(err);
    child_wait wait = {
        .op.begins_anyway = true, /* a command that runs by then is ended in order */
        .options =
            {
                .spawn = {.argv = o.argv, .env = env, .cwd = o.cwd},
                .input = o.input,
                .input_len = o.input_len,
                .max_output = o.max_output ? o.max_output : MAX_OUTPUT,
                .grace = o.grace ? o.grace : WEIR_SECONDS(2),
            },
    };
    status = run(&wait, result, err);
    free(env);
    return status;
}

void weir_child_result_clear(weir_child_result *result)
{
    free(result->out);
    free(result->errors);
    *result = (weir_child_result){0};
}
