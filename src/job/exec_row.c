/*
 * exec_row.c: what a command printed, and how it ended, as a row or as lines. Its invariant: the
 * lines of one command are never mixed with those of another, nor one line with the next.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "content.h"
#include "exec.h"
#include "output.h"
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
    const char *text = wi_buf_cstr(&command);
    if (!text)
        wi_batch_lack(batch);
    wi_content_put_text(batch, column++, x->argv ? text : NULL);
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
    if (x->out_kind == WI_ABSENT || x->errors_kind == WI_ABSENT)
        wi_batch_lack(batch);
    wi_content_put(batch, column, column + 1, &x->child.out.bytes, x->out_kind);
    wi_content_put(batch, column + 2, column + 3, &x->child.errors.bytes, x->errors_kind);
}

/* ---- passing lines through ---- */

/* Lines that come out whole even if the last had no end; at most so many bytes of them are tagged
 * before they are written. */
enum { TAGGED_AT_ONCE = 64 << 10 };

typedef struct passage {
    int fd;
    const char *name;
    const wi_buf *tag;
    wi_buf tagged;
} passage;

static weir_status write_tagged(passage *p, weir_error *err)
{
    if (p->tagged.failed)
        return wi_fail_nomem(err);
    weir_status status = wi_output_write_to(p->fd, p->name, p->tagged.data, p->tagged.len, err);
    wi_buf_clear(&p->tagged);
    return status;
}

static weir_status tag_lines(passage *p, const wi_buf *bytes, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t at = 0; status == WEIR_OK && at < bytes->len;) {
        const char *end = memchr(bytes->data + at, '\n', bytes->len - at);
        size_t len = end ? (size_t)(end - bytes->data) - at : bytes->len - at;
        wi_buf_append(&p->tagged, p->tag->data, p->tag->len);
        wi_buf_putc(&p->tagged, '\t');
        wi_buf_append(&p->tagged, bytes->data + at, len);
        wi_buf_putc(&p->tagged, '\n');
        at += len + 1;
        if (p->tagged.len >= TAGGED_AT_ONCE || at >= bytes->len)
            status = write_tagged(p, err);
    }
    return status;
}

static weir_status pass_on(passage *p, const wi_buf *bytes, weir_error *err)
{
    if (p->tag)
        return tag_lines(p, bytes, err);
    bool whole = !bytes->len || bytes->data[bytes->len - 1] == '\n';
    weir_status status = wi_output_write_to(p->fd, p->name, bytes->data, bytes->len, err);
    return status || whole ? status : wi_output_write_to(p->fd, p->name, "\n", 1, err);
}

/* The tag has a stranger's bytes, which must break neither line nor terminal. */
static weir_status make_tag(const wi_exec *exec, const wi_item *item, wi_buf *tag, weir_error *err)
{
    wi_buf value = WI_BUF_INIT;
    wi_scope scope = wi_exec_scope(exec, item);
    weir_status status = wi_template_expand(exec->tag, &scope, &value, NULL, err);
    if (value.len)
        wi_text_append_printable(tag, value.data, value.len);
    wi_buf_fini(&value);
    return status;
}

weir_status wi_exec_pass(const void *job, wi_item *item, weir_error *err)
{
    const wi_exec *exec = job;
    wi_exec_item *x = wi_container_of(item, wi_exec_item, item);
    wi_buf tag = WI_BUF_INIT;
    passage out = {.fd = STDOUT_FILENO, .name = "standard output"};
    passage errors = {.fd = STDERR_FILENO, .name = "standard error"};
    if (!exec->passthrough || !x->ended)
        return WEIR_OK;
    if (exec->tag)
        out.tag = errors.tag = &tag;
    weir_status status = exec->tag ? make_tag(exec, item, &tag, err) : WEIR_OK;
    if (status == WEIR_OK)
        status = pass_on(&out, &x->child.out.bytes, err);
    if (status == WEIR_OK)
        status = pass_on(&errors, &x->child.errors.bytes, err);
    wi_buf_fini(&tag);
    wi_buf_fini(&out.tagged);
    wi_buf_fini(&errors.tagged);
    return status;
}
