/*
 * exec.c: from an item to a command, and from its end to an outcome. Its invariant: an item whose
 * `running` is set has a child on the loop, and the child's end is the end of the attempt.
 */
#include "exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "clock.h"
#include "lane.h"
#include "system_load.h"
#include "text.h"

enum { MAX_TEXT = 2 << 20 }; /* of a command; Linux takes no more than about as much */
#define HOLD_FOR WI_SECOND   /* between looks at a machine that has too much to do */

struct wi_exec_lane {
    const wi_exec *exec;
    wi_lane *lane;
    wi_system_load load;
    bool nice; /* it has the niceness that its commands are to have */
};

/* ---- from a row to a command ---- */

wi_scope wi_exec_scope(const wi_exec *exec, const wi_item *item)
{
    return (wi_scope){.batch = item->batch,
                      .row = item->row,
                      .number = item->number + 1,
                      .url = exec->lists,
                      .choice = item->choice};
}

/* Appends one expansion with its 0. */
static weir_status add_text(wi_exec_item *x, const wi_template *template_, const wi_scope *scope,
                            weir_error *err)
{
    weir_status status = wi_template_expand(template_, scope, &x->text, NULL, err);
    wi_buf_putc(&x->text, '\0');
    if (status == WEIR_OK && x->text.failed)
        status = wi_fail(err, WEIR_TOOLARGE, "a command of more than %d bytes", MAX_TEXT);
    return status;
}

static weir_status expand(const wi_exec *exec, wi_exec_item *x, weir_error *err)
{
    wi_scope scope = wi_exec_scope(exec, &x->item);
    weir_status status = WEIR_OK;
    wi_buf_init(&x->text, MAX_TEXT);
    wi_buf_init(&x->input, (size_t)1 << 30);
    for (size_t i = 0; status == WEIR_OK && i < exec->words_len; i++)
        status = add_text(x, exec->words[i], &scope, err);
    for (size_t i = 0; status == WEIR_OK && i < exec->env_len; i++)
        status = add_text(x, exec->env[i], &scope, err);
    if (status == WEIR_OK && exec->cwd)
        status = add_text(x, exec->cwd, &scope, err);
    if (status == WEIR_OK && exec->input_text)
        status = wi_template_expand(exec->input_text, &scope, &x->input, NULL, err);
    return status;
}

static const char *next_text(const char **at)
{
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

/* Is the name of an entry set again by one of these? */
static bool is_replaced(const char *entry, const char *const *by, size_t n)
{
    size_t name = strcspn(entry, "=") + 1;
    for (size_t i = 0; i < n; i++)
        if (strncmp(entry, by[i], name) == 0)
            return true;
    return false;
}

/* The last of each name counts. */
static void point_env(const wi_exec *exec, const char **env, const char **at)
{
    size_t n = 0;
    for (size_t i = 0; i < exec->env_len; i++)
        env[n++] = next_text(at);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_replaced(env[i], env + i + 1, n - i - 1))
            env[kept++] = env[i];
    n = kept;
    for (size_t i = 0; i < exec->environ_len; i++)
        if (!is_replaced(exec->environ[i], env, n))
            env[kept++] = exec->environ[i];
    env[kept] = NULL;
}

/* The text is at its place for good: point into it. */
static weir_status point(const wi_exec *exec, wi_exec_item *x, weir_error *err)
{
    size_t shell = exec->shell ? 2 : 0;
    size_t words = shell + exec->words_len + 1;
    size_t env = exec->env_len ? exec->environ_len + exec->env_len + 1 : 0;
    x->argv = calloc(words + env, sizeof *x->argv);
    if (!x->argv)
        return wi_fail_nomem(err);
    const char *at = x->text.data;
    if (exec->shell) {
        x->argv[0] = "/bin/sh";
        x->argv[1] = "-c";
    }
    for (size_t i = 0; i < exec->words_len; i++)
        x->argv[shell + i] = next_text(&at);
    if (env) {
        x->env = x->argv + words;
        point_env(exec, x->env, &at);
    }
    if (exec->cwd)
        x->cwd = next_text(&at);
    return WEIR_OK;
}

static void on_time_over(wi_timer *timer);
static void on_end(wi_defer *defer);

weir_status wi_exec_prepare(const void *job, void *state, wi_item *item, wi_buf *origin,
                            weir_error *err)
{
    const wi_exec *exec = job;
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    x->exec = exec;
    x->lane = state;
    weir_status status = expand(exec, x, err);
    if (status == WEIR_OK)
        status = point(exec, x, err);
    if (status == WEIR_OK && !(x->argv[0] && *x->argv[0]))
        status = wi_fail(err, WEIR_INVALID, "the command's name is empty");
    wi_defer_init(&x->end, on_end);
    wi_buf_puts(origin, "this machine");
    return status == WEIR_OK && origin->failed ? wi_fail_nomem(err) : status;
}

static bool is_plain(const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < len; i++)
        if (!((word[i] >= '0' && word[i] <= '9') || (word[i] >= 'a' && word[i] <= 'z') ||
              (word[i] >= 'A' && word[i] <= 'Z') || strchr("_-./,:=@%+", word[i]) ||
              (unsigned char)word[i] >= 0x80))
            return false;
    return len > 0;
}

void wi_exec_describe(const wi_item *item, wi_buf *out)
{
    const wi_exec_item *x = wi_container_of(item, const wi_exec_item, item);
    bool shell = x->exec && x->exec->shell;
    if (!x->argv && wi_item_error(item))
        wi_buf_puts(out, wi_item_error(item));
    for (size_t i = shell ? 2 : 0; x->argv && x->argv[i]; i++) {
        if (i > (shell ? 2 : 0))
            wi_buf_putc(out, ' ');
        size_t from = out->len;
        wi_buf_puts(out, x->argv[i]);
        if (!shell && !is_plain(x->argv[i]))
            wi_template_quote(out, from);
    }
}

/* ---- the end of an attempt ---- */

/* Why the command was ended before its own end. */
static void say_ended(wi_exec_item *x)
{
    const wi_exec *exec = x->exec;
    char error[128];
    if (x->timed_out) {
        snprintf(error, sizeof error, "did not end within %g s (--timeout)",
                 (double)exec->timeout / WI_SECOND);
        wi_item_set_failure(&x->item, "timed out", error);
    } else if (x->child.status == WEIR_TOOLARGE) {
        snprintf(error, sizeof error, "wrote more than %zu bytes to %s (--max-output)",
                 exec->max_output, x->child.too_large);
        wi_item_set_failure(&x->item, "too much output", error);
    } else {
        wi_item_set_failure(&x->item, weir_status_text(x->child.status), NULL);
    }
}

/* How it ended by itself, and not well. */
static void say_end(wi_exec_item *x)
{
    char reason[64];
    wi_exit how = x->child.how;
    if (how.signal) {
        wi_exit_text(how, reason, sizeof reason);
        wi_item_set_failure(&x->item, reason, NULL);
    } else if (how.code >= 0) {
        snprintf(reason, sizeof reason, "exit code %d", how.code);
        wi_item_set_failure(&x->item, reason, NULL);
    } else {
        wi_item_set_failure(&x->item, "its end was lost",
                            "its end was lost: the program ignores SIGCHLD, or waits for children "
                            "that are not its own");
    }
}

static void judge(wi_exec_item *x, wi_attempt *attempt)
{
    const wi_exit_set *retry_on = &x->exec->retry_on;
    wi_exit how = x->child.how;
    if (x->child.status != WEIR_OK) {
        say_ended(x);
        attempt->may_retry = x->timed_out && retry_on->timeout;
    } else if (how.code == 0) {
        attempt->ok = true;
        x->item.reason[0] = '\0';
    } else {
        say_end(x);
        attempt->may_retry =
            how.signal ? retry_on->signal : wi_exit_set_has_code(retry_on, how.code);
    }
}

static void forget_output(wi_exec_item *x)
{
    wi_lane_shrink(x->lane->lane, &x->item, x->charged);
    x->charged = 0;
    x->ended = false;
    wi_buf_fini(&x->child.out.bytes);
    wi_buf_fini(&x->child.errors.bytes);
    x->out_kind = x->errors_kind = WI_ABSENT;
}

/* That was not the command's time, but ours. */
static void end_pause(wi_exec_item *x)
{
    if (x->paused_at)
        x->begun += wi_loop_clock(wi_lane_loop(x->lane->lane)) - x->paused_at;
    x->paused_at = 0;
}

static void end_attempt(wi_exec_item *x)
{
    wi_lane *lane = x->lane->lane;
    end_pause(x);
    wi_attempt attempt = {
        .cancelled = x->child.status == WEIR_CANCELLED && !x->timed_out,
        .retry_after = -1,
        .duration = wi_loop_clock(wi_lane_loop(lane)) - x->begun,
    };
    judge(x, &attempt);
    if (!x->exec->passthrough)
        wi_exec_classify(x); /* here, where it is done by all lanes side by side */
    if (wi_lane_attempt_ended(lane, &x->item, &attempt))
        forget_output(x);
}

static void on_end(wi_defer *defer)
{
    end_attempt(wi_container_of(defer, wi_exec_item, end));
}

static void on_done(wi_child *child)
{
    wi_exec_item *x = wi_container_of(child, wi_exec_item, child);
    x->running = false;
    x->ended = true;
    wi_timer_fini(&x->limit);
    wi_lane_received(x->lane->lane, child->out.bytes.len + child->errors.bytes.len);
    if (x->inside)
        wi_defer_set(child->loop, &x->end);
    else
        end_attempt(x);
}

static void on_time_over(wi_timer *timer)
{
    wi_exec_item *x = wi_container_of(timer, wi_exec_item, limit);
    x->timed_out = !x->child.ending; /* else there is another reason */
    wi_child_cancel(&x->child);
}

/* ---- the kind's functions ---- */

static bool may_grow(wi_child *child, size_t bytes)
{
    wi_exec_item *x = wi_container_of(child, wi_exec_item, child);
    if (wi_lane_may_grow(x->lane->lane, &x->item, bytes)) {
        x->charged += bytes;
        return true;
    }
    x->paused_at = wi_loop_clock(child->loop);
    if (x->exec->timeout)
        wi_timer_clear(&x->limit);
    return false;
}

/* Commands inherit niceness from the thread that starts them, and have it from their first moment.
 * The thread cannot be less nice again; it is for nothing else. */
static void be_nice(wi_exec_lane *lane)
{
    if (lane->exec->nice && !lane->nice)
        setpriority(PRIO_PROCESS, 0, lane->exec->nice); /* of this thread alone, on Linux */
    lane->nice = true;
}

static void start(void *state, wi_item *item)
{
    wi_exec_lane *lane = state;
    const wi_exec *exec = lane->exec;
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    wi_loop *loop = wi_lane_loop(lane->lane);
    weir_error err;
    wi_child_options options = {
        .spawn = {.argv = x->argv, .env = x->env, .cwd = x->cwd},
        .input = x->input.data,
        .input_len = x->input.len,
        .max_output = exec->max_output,
        .grace = exec->grace,
        .may_grow = may_grow,
        .guard = exec->guard,
    };
    be_nice(lane);
    x->begun = wi_loop_clock(loop);
    x->timed_out = x->inside = false;
    weir_status status = WEIR_OK;
    if (exec->timeout && !wi_timer_init(&x->limit, loop, on_time_over))
        status = wi_fail_nomem(&err);
    if (status == WEIR_OK)
        status = wi_child_start(&x->child, &options, &err);
    if (status == WEIR_OK)
        status = wi_child_attend(&x->child, loop, on_done, &err);
    if (status != WEIR_OK) {
        wi_timer_fini(&x->limit);
        wi_attempt attempt = {.retry_after = -1,
                              .may_retry = exec->retry_on.start,
                              .duration = wi_loop_clock(loop) - x->begun};
        wi_item_set_failure(item, "could not be started", err.text);
        wi_lane_attempt_ended(lane->lane, item, &attempt);
        return;
    }
    x->running = true;
    if (exec->timeout)
        wi_timer_set(&x->limit, x->begun + exec->timeout);
}

static void cancel(void *state, wi_item *item)
{
    (void)state;
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    x->inside = true;
    if (x->running)
        wi_child_cancel(&x->child);
    if (x->running)
        x->inside = false;
}

static void resume(void *state, wi_item *item)
{
    (void)state;
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    if (!x->running)
        return;
    end_pause(x);
    if (x->exec->timeout)
        wi_timer_set(&x->limit, x->begun + x->exec->timeout);
    x->inside = true;
    wi_child_resume(&x->child);
    if (x->running)
        x->inside = false;
}

static int64_t hold(void *state)
{
    wi_exec_lane *lane = state;
    const wi_exec *exec = lane->exec;
    if (exec->load_max <= 0 && exec->memory_free <= 0)
        return 0;
    wi_system_load_look(&lane->load, wi_loop_clock(wi_lane_loop(lane->lane)));
    bool busy = exec->load_max > 0 && lane->load.average > exec->load_max;
    bool full = exec->memory_free > 0 && lane->load.available < exec->memory_free;
    return busy || full ? HOLD_FOR : 0;
}

static void release(wi_item *item)
{
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    wi_buf_fini(&x->text);
    wi_buf_fini(&x->input);
    wi_buf_fini(&x->child.out.bytes);
    wi_buf_fini(&x->child.errors.bytes);
    free(x->argv);
}

static weir_status open_lane(const void *job, wi_lane *lane, void **state, weir_error *err)
{
    wi_exec_lane *made = calloc(1, sizeof *made);
    if (!made)
        return wi_fail_nomem(err);
    made->exec = job;
    made->lane = lane;
    *state = made;
    return WEIR_OK;
}

static weir_status check_one(const wi_exec *exec, const wi_template *template_,
                             const wi_schema *schema, weir_error *err)
{
    return template_ ? wi_template_check(template_, schema, exec->lists, err) : WEIR_OK;
}

static weir_status check(void *job, bool has_input, wi_schema *schema, weir_error *err)
{
    const wi_exec *exec = job;
    if (has_input && !schema)
        return WEIR_OK; /* an empty input: nothing will be run */
    weir_status status = check_one(exec, exec->cwd, schema, err);
    if (status == WEIR_OK)
        status = check_one(exec, exec->input_text, schema, err);
    if (status == WEIR_OK)
        status = check_one(exec, exec->tag, schema, err);
    for (size_t i = 0; status == WEIR_OK && i < exec->words_len; i++)
        status = check_one(exec, exec->words[i], schema, err);
    for (size_t i = 0; status == WEIR_OK && i < exec->env_len; i++)
        status = check_one(exec, exec->env[i], schema, err);
    return status;
}

static void asks(const void *job, const wi_item *item, wi_buf *out)
{
    (void)job;
    const wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    wi_buf_append(out, &x->text.len, sizeof x->text.len);
    wi_buf_append(out, x->text.data, x->text.len);
    wi_buf_append(out, x->input.data, x->input.len);
}

const wi_kind wi_exec_kind = {
    .name = "exec",
    .descriptors = 4, /* three pipes and a pidfd */
    .item_size = sizeof(wi_exec_item),
    .check = check,
    .columns = wi_exec_columns,
    .optional_columns = wi_exec_optional_columns,
    .open = open_lane,
    .close = free,
    .prepare = wi_exec_prepare,
    .hold = hold,
    .start = start,
    .cancel = cancel,
    .resume = resume,
    .emit = wi_exec_emit,
    .asks = asks,
    .pass = wi_exec_pass,
    .release = release,
    .describe = wi_exec_describe,
    .free = wi_exec_free,
};
