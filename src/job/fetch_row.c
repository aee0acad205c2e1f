/* fetch_row.c: from an answer to a row, and what the row of an item is known by. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "content.h"
#include "fetch.h"
#include "json.h"
#include "output.h"
#include "text.h"

size_t wi_fetch_columns(const void *job, const char *const **names)
{
    const wi_fetch *fetch = job;
    *names = fetch->columns;
    return fetch->columns_len;
}

size_t wi_fetch_optional_columns(const void *job, const char *const **names)
{
    static const char *const optional[] = {"body_encoding"};
    (void)job;
    *names = optional;
    return 1;
}

bool wi_fetch_classify(wi_fetch_item *f)
{
    if (f->content_kind != WI_ABSENT)
        return true;
    bool may_be_json =
        f->says_json || (f->says_nothing && wi_content_looks_structured(&f->content));
    return wi_content_classify(&f->content, may_be_json, &f->content_kind);
}

/* ---- response headers as one JSON object; a repeated header is an array ---- */

typedef struct header_line {
    const char *name;
    const char *value;
} header_line;

static bool next_line(const wi_buf *lines, size_t *at, header_line *line)
{
    if (*at >= lines->len)
        return false;
    line->name = lines->data + *at;
    line->value = line->name + strlen(line->name) + 1;
    *at = (size_t)(line->value - lines->data) + strlen(line->value) + 1;
    return true;
}

static void append_value(wi_buf *out, const char *value)
{
    wi_buf clean = WI_BUF_INIT;
    wi_utf8_append_lossy(&clean, value, strlen(value));
    wi_json_append_string(out, clean.data ? clean.data : "", clean.len);
    out->failed |= clean.failed;
    wi_buf_fini(&clean);
}

static bool seen_before(const wi_buf *lines, size_t until, const char *name)
{
    header_line line;
    for (size_t at = 0; at < until && next_line(lines, &at, &line);)
        if (strcmp(line.name, name) == 0)
            return at <= until;
    return false;
}

static void append_values(wi_buf *out, const wi_buf *lines, size_t from, const header_line *first)
{
    size_t begin = out->len;
    size_t n = 1;
    header_line line;
    append_value(out, first->value);
    while (next_line(lines, &from, &line)) {
        if (strcmp(line.name, first->name) != 0)
            continue;
        if (n++ == 1 && wi_buf_reserve(out, 1)) {
            memmove(out->data + begin + 1, out->data + begin, out->len - begin);
            out->data[begin] = '[';
            out->len++;
        }
        wi_buf_putc(out, ',');
        append_value(out, line.value);
    }
    if (n > 1)
        wi_buf_putc(out, ']');
}

static void put_headers(const wi_fetch_item *f, wi_batch *batch, size_t column)
{
    wi_buf object = WI_BUF_INIT;
    header_line line;
    if (f->lines.failed) { /* and its last line has no end */
        wi_batch_lack(batch);
        return;
    }
    wi_buf_putc(&object, '{');
    for (size_t at = 0, begin = 0; next_line(&f->lines, &at, &line); begin = at) {
        if (seen_before(&f->lines, begin, line.name))
            continue;
        if (object.len > 1)
            wi_buf_putc(&object, ',');
        append_value(&object, line.name);
        wi_buf_putc(&object, ':');
        append_values(&object, &f->lines, at, &line);
    }
    wi_buf_putc(&object, '}');
    if (object.failed)
        wi_batch_lack(batch);
    else if (!f->status)
        wi_batch_put_null(batch, column);
    else
        wi_batch_put(batch, column, WI_JSON, object.data, object.len);
    wi_buf_fini(&object);
}

/* ---- the row ---- */

static void put_body(wi_fetch_item *f, wi_batch *batch, size_t body, size_t encoding)
{
    if (!f->whole || f->saved) {
        wi_batch_put_null(batch, body);
        wi_batch_put_null(batch, encoding);
    } else if (wi_fetch_classify(f)) {
        wi_content_put(batch, body, encoding, &f->content, f->content_kind);
    } else {
        wi_batch_lack(batch);
    }
}

void wi_fetch_emit(const void *job, wi_item *item, wi_batch *batch, size_t first)
{
    const wi_fetch *fetch = job;
    wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    size_t column = first;
    wi_content_put_text(batch, column++, wi_fetch_shown(f));
    if (f->status)
        wi_batch_put_int(batch, column++, f->status);
    else
        wi_batch_put_null(batch, column++);
    wi_batch_put_int(batch, column++, item->attempts);
    wi_batch_put_double(batch, column++, (double)item->waited / WI_MILLISECOND);
    wi_content_put_text(batch, column++,
                        item->outcome == WI_OUTCOME_OK ? NULL : wi_item_error(item));
    if (fetch->with_headers)
        put_headers(f, batch, column++);
    if (fetch->save)
        wi_content_put_text(batch, column++, f->saved);
    if (fetch->with_body)
        put_body(f, batch, column, column + 1);
}

weir_status wi_fetch_put_path(const wi_fetch *fetch, const wi_fetch_item *f, wi_buf *out,
                              weir_error *err)
{
    wi_scope scope = wi_fetch_scope(f);
    wi_buf_puts(out, fetch->save_prefix);
    return wi_template_expand(fetch->save, &scope, out, NULL, err);
}

weir_status wi_fetch_save(const void *job, wi_item *item, weir_error *err)
{
    const wi_fetch *fetch = job;
    wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    if (!fetch->save || item->outcome != WI_OUTCOME_OK)
        return WEIR_OK;
    wi_buf path = WI_BUF_INIT;
    weir_status status = wi_fetch_put_path(fetch, f, &path, err);
    if (status == WEIR_OK && !wi_buf_cstr(&path))
        status = wi_fail_nomem(err);
    if (status == WEIR_OK)
        status = wi_output_save(fetch->save_root, path.data + strlen(fetch->save_prefix),
                                f->content.data ? f->content.data : "", f->content.len, err);
    if (status == WEIR_OK) {
        size_t len;
        f->saved = wi_buf_take(&path, &len);
    }
    wi_buf_fini(&path);
    return status;
}

/* All at once: flushing each file by itself would take as many turns of the disk. */
weir_status wi_fetch_sync(const void *job, weir_error *err)
{
    const wi_fetch *fetch = job;
    if (fetch->save && syncfs(fetch->save_root) != 0)
        return wi_fail_errno(err, errno, "cannot flush what is saved below %s to the disk",
                             *fetch->save_prefix ? fetch->save_prefix : ".");
    return WEIR_OK;
}

/* What differs from item to item, with what is secret in it left out: a token may be renewed. */
static void append_body(const wi_fetch *fetch, const wi_fetch_item *f, wi_buf *out)
{
    wi_buf whole = {.max = 1 << 30}, shown = {.max = 1 << 30};
    const char *bytes = f->body;
    size_t len = f->body_len;
    if (wi_template_has_secrets(fetch->body)) {
        wi_scope scope = wi_fetch_scope(f);
        wi_template_expand(fetch->body, &scope, &whole, &shown, NULL);
        out->failed |= whole.failed || shown.failed;
        bytes = shown.data;
        len = shown.len;
    }
    wi_buf_append(out, &len, sizeof len);
    wi_buf_append(out, bytes, len);
    wi_buf_fini(&whole);
    wi_buf_fini(&shown);
}

/* Headers are not among it: what they get from the input are cells, and the rest is for all items.
 * URLs that look alike without their secrets are told apart by their place in the template, which
 * the run that continues this one has, too. */
void wi_fetch_asks(const void *job, const wi_item *item, wi_buf *out)
{
    const wi_fetch *fetch = job;
    const wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    const char *url = wi_fetch_shown(f);
    wi_buf_append(out, f->method, strlen(f->method) + 1);
    wi_buf_append(out, url, strlen(url) + 1);
    if (f->shown)
        wi_buf_append(out, &item->choice, sizeof item->choice);
    if (f->body)
        append_body(fetch, f, out);
    if (fetch->save)
        wi_fetch_put_path(fetch, f, out, NULL);
}
