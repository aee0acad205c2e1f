/* exec_row.c: what a command printed, and how it ended, as a row or as lines. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "content.h"
#include "exec.h"
#include "text.h"

size_t wi_exec_columns(const void *job, const char *const **names)
{
    static const char *const all[WI_EXEC_COLUMNS] = {
        "command", "exit_code", "signal",          "attempts", "elapsed_ms",
        "error",   "stdout",    "stdout_encoding", "stderr",   "stderr_encoding"};
    const wi_exec *exec = job;
    *names = all;
    return exec->passthrough ? WI_EXEC_COLUMNS - 4 : WI_EXEC_COLUMNS;
}

size_t wi_exec_optional_columns(const void *job, const char *const **names)
{
    static const char *const optional[] = {"stdout_encoding", "stderr_encoding"};
    (void)job;
    *names = optional;
    return 2;
}

static void classify(wi_buf *bytes, wi_cell_kind *kind)
{
    if (*kind == WI_ABSENT)
        wi_content_classify(bytes, wi_content_looks_structured(bytes), kind);
}

void wi_exec_classify(wi_exec_item *x)
{
    classify(&x->child.out.bytes, &x->out_kind);
    classify(&x->child.errors.bytes, &x->errors_kind);
}

static const char *signal_name(int number, char *text, size_t size)
{
    const char *name = sigabbrev_np(number);
    if (!number)
        return NULL;
    if (name)
        snprintf(text, size, "SIG%s", name);
    else
        snprintf(text, size, "SIGRTMIN+%d", number - SIGRTMIN);
    return text;
}

void wi_exec_emit(const void *job, wi_item *item, wi_batch *batch, size_t first)
{
    const wi_exec *exec = job;
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    size_t column = first;
    char name[32];
    wi_buf command = WI_BUF_INIT;
    wi_exec_describe(item, &command);
    wi_content_put_text(batch, column++, x->argv ? wi_buf_cstr(&command) : NULL);
    wi_buf_fini(&command);
    if (x->ended && x->child.how.code >= 0)
        wi_batch_put_int(batch, column++, x->child.how.code);
    else
        wi_batch_put_null(batch, column++);
    wi_content_put_text(batch, column++,
                        x->ended ? signal_name(x->child.how.signal, name, sizeof name) : NULL);
    wi_batch_put_int(batch, column++, item->attempts);
    wi_batch_put_double(batch, column++, (double)item->waited / WI_MILLISECOND);
    wi_content_put_text(batch, column++,
                        item->outcome == WI_OUTCOME_OK ? NULL : wi_item_error(item));
    if (exec->passthrough)
        return;
    wi_exec_classify(x);
    wi_content_put(batch, column, column + 1, &x->child.out.bytes, x->out_kind);
    wi_content_put(batch, column + 2, column + 3, &x->child.errors.bytes, x->errors_kind);
}

/* ---- passing lines through ---- */

/* WEIR_CLOSED: nobody reads it any more. */
static weir_status write_all(int fd, const char *bytes, size_t len, weir_error *err)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            return wi_fail(err, WEIR_CLOSED, "nobody reads the output any more");
        if (n < 0)
            return wi_fail_errno(err, errno, "cannot write to standard %s",
                                 fd == STDOUT_FILENO ? "output" : "error");
        bytes += n;
        len -= (size_t)n;
    }
    return WEIR_OK;
}

/* Every line whole, and with the tag before it if there is one. */
static weir_status pass_on(int fd, const wi_buf *bytes, const wi_buf *tag, weir_error *err)
{
    bool whole = !bytes->len || bytes->data[bytes->len - 1] == '\n';
    if (!tag->len) {
        weir_status status = write_all(fd, bytes->data, bytes->len, err);
        return status || whole ? status : write_all(fd, "\n", 1, err);
    }
    wi_buf tagged = WI_BUF_INIT;
    for (size_t at = 0; at < bytes->len;) {
        const char *end = memchr(bytes->data + at, '\n', bytes->len - at);
        size_t len = end ? (size_t)(end - bytes->data) + 1 - at : bytes->len - at;
        wi_buf_append(&tagged, tag->data, tag->len);
        wi_buf_putc(&tagged, '\t');
        wi_buf_append(&tagged, bytes->data + at, len);
        at += len;
    }
    if (!whole)
        wi_buf_putc(&tagged, '\n');
    weir_status status =
        tagged.failed ? wi_fail_nomem(err) : write_all(fd, tagged.data, tagged.len, err);
    wi_buf_fini(&tagged);
    return status;
}

weir_status wi_exec_save(const void *job, wi_item *item, weir_error *err)
{
    const wi_exec *exec = job;
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    if (!exec->passthrough)
        return WEIR_OK;
    wi_buf value = WI_BUF_INIT;
    wi_buf tag = WI_BUF_INIT;
    wi_scope scope = wi_exec_scope(exec, item);
    weir_status status = WEIR_OK;
    if (exec->tag)
        status = wi_template_expand(exec->tag, &scope, &value, NULL, err);
    if (value.len) /* a stranger's bytes, which must not break a line or a terminal */
        wi_text_append_printable(&tag, value.data, value.len);
    if (status == WEIR_OK)
        status = pass_on(STDOUT_FILENO, &x->child.out.bytes, &tag, err);
    if (status == WEIR_OK)
        status = pass_on(STDERR_FILENO, &x->child.errors.bytes, &tag, err);
    wi_buf_fini(&value);
    wi_buf_fini(&tag);
    return status;
}
