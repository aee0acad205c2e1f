/*
 * template_expand.c: a template and a row made into bytes. Its invariants: data never leaves the
 * place its hole gives it, and nothing is allocated but out's own growth.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "template_internal.h"
#include "text.h"

enum { NAME_MAX_BYTES = 255 };

typedef struct expansion {
    const wi_template *t;
    const wi_scope *scope;
    const wi_segment *segment; /* the hole being filled */
    wi_buf *out;
    weir_error *err;
} expansion;

/* `what: the value of "{id}" at column N why` */
static weir_status refuse(const expansion *e, const char *why)
{
    const wi_template *t = e->t;
    const char *hole = t->text.data + e->segment->source;
    const char *end = memchr(hole, '}', t->text.len - e->segment->source);
    size_t len = end ? (size_t)(end + 1 - hole) : 1;
    return wi_fail(e->err, WEIR_INVALID, "%s: the value of \"%.*s\" at %s %s", t->what,
                   wi_template_clip(hole, len, WI_TEMPLATE_EXCERPT), hole,
                   wi_template_position(t, e->segment->source).text, why);
}

/* Is everything since the last separator dots, so that one more could make "." or ".."? */
static bool only_dots_so_far(const wi_buf *out, size_t start)
{
    size_t at = out->len;
    while (at > start && out->data[at - 1] == '.')
        at--;
    return at == start || out->data[at - 1] == '/';
}

static void append_path(wi_buf *out, size_t start, const char *bytes, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool c1_lead = c == 0xC2 && i + 1 < len && ((unsigned char)bytes[i + 1] & 0xE0) == 0x80;
        bool c1_tail = i > 0 && (unsigned char)bytes[i - 1] == 0xC2 && (c & 0xE0) == 0x80;
        if (c < ' ' || c == 0x7F || c == '/' || c == '%' || c1_lead || c1_tail ||
            (c == '.' && only_dots_so_far(out, start)))
            wi_buf_append(out, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        else
            wi_buf_putc(out, (char)c);
    }
}

static bool has_line_break(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == '\r' || bytes[i] == '\n' || bytes[i] == '\0')
            return true;
    return false;
}

/* A piece of a value's plain text. */
static weir_status put_text(const expansion *e, size_t start, const char *bytes, size_t len)
{
    switch (e->segment->place) {
    case WI_PLACE_PERCENT:
        wi_text_append_percent(e->out, bytes, len);
        return WEIR_OK;
    case WI_PLACE_JSON_VALUE:
        wi_json_append_string(e->out, bytes, len);
        return WEIR_OK;
    case WI_PLACE_JSON_STRING:
        wi_json_append_escaped(e->out, bytes, len);
        return WEIR_OK;
    case WI_PLACE_PATH:
        append_path(e->out, start, bytes, len);
        return WEIR_OK;
    case WI_PLACE_HEADER:
        if (has_line_break(bytes, len))
            return refuse(e, "holds a line break or NUL, which a header cannot hold");
        break;
    case WI_PLACE_WORD:
    case WI_PLACE_SHELL:
        if (len && memchr(bytes, '\0', len))
            return refuse(e, "holds a NUL, which no argument can");
        break;
    case WI_PLACE_RAW:
        break;
    }
    wi_buf_append(e->out, bytes, len);
    return WEIR_OK;
}

/* The length of the escape that begins here; a surrogate pair is one. */
static size_t escape_length(const char *at, size_t len)
{
    if (len < 6 || at[1] != 'u')
        return len < 2 ? len : 2;
    bool high = (at[2] == 'd' || at[2] == 'D') && strchr("89abAB", at[3]);
    bool low = high && len >= 12 && at[6] == '\\' && at[7] == 'u' &&
               (at[8] == 'd' || at[8] == 'D') && strchr("cdefCDEF", at[9]);
    return low ? 12 : 6;
}

/* The inside of a JSON string, unescaped piece by piece, so that no second buffer is needed. */
static weir_status put_json_string(const expansion *e, size_t start, const char *text, size_t len)
{
    if (e->segment->place == WI_PLACE_JSON_STRING) { /* it is escaped already */
        wi_buf_append(e->out, text, len);
        return WEIR_OK;
    }
    char one[16];
    wi_buf escape = {.data = one, .cap = sizeof one, .max = sizeof one};
    weir_status status = WEIR_OK;
    while (len && !status) {
        const char *slash = memchr(text, '\\', len);
        size_t n = slash ? (size_t)(slash - text) : len;
        if (n) {
            status = put_text(e, start, text, n);
        } else {
            n = escape_length(text, len);
            wi_buf_clear(&escape);
            wi_json_append_unescaped(&escape, text, n);
            status = put_text(e, start, escape.data, escape.len);
        }
        text += n;
        len -= n;
    }
    return status;
}

/* A number needs no quotes where a whole JSON value stands. */
static weir_status put_number(const expansion *e, size_t start, const char *digits, size_t len)
{
    if (e->segment->place != WI_PLACE_JSON_VALUE)
        return put_text(e, start, digits, len);
    wi_buf_append(e->out, digits, len);
    return WEIR_OK;
}

static weir_status put_json(const expansion *e, size_t start, const wi_cell *cell)
{
    if (e->segment->place == WI_PLACE_JSON_VALUE) {
        wi_buf_append(e->out, cell->bytes, cell->len);
        return WEIR_OK;
    }
    if (cell->len >= 2 && cell->bytes[0] == '"')
        return put_json_string(e, start, cell->bytes + 1, cell->len - 2);
    return put_text(e, start, cell->bytes, cell->len);
}

static weir_status put_binary(const expansion *e, size_t start, const wi_cell *cell)
{
    wi_place place = e->segment->place;
    bool json = place == WI_PLACE_JSON_VALUE || place == WI_PLACE_JSON_STRING;
    if (json && wi_utf8_valid_prefix(cell->bytes, cell->len) != cell->len)
        return refuse(e, "is not UTF-8, which JSON cannot hold");
    return put_text(e, start, cell->bytes, cell->len);
}

static weir_status put_cell(const expansion *e, size_t start, const wi_cell *cell)
{
    bool value = e->segment->place == WI_PLACE_JSON_VALUE;
    char digits[32];
    int len;
    switch (cell->kind) {
    case WI_STRING:
        return put_text(e, start, cell->bytes, cell->len);
    case WI_JSON:
        return put_json(e, start, cell);
    case WI_NULL:
        if (value)
            wi_buf_puts(e->out, "null");
        return WEIR_OK;
    case WI_BINARY:
        return put_binary(e, start, cell);
    case WI_INT:
        len = snprintf(digits, sizeof digits, "%lld", (long long)cell->i);
        return put_number(e, start, digits, (size_t)len);
    case WI_DOUBLE:
        if (value && !isfinite(cell->d))
            return refuse(e, "is not finite, which JSON cannot hold");
        len = snprintf(digits, sizeof digits, "%.17g", cell->d);
        return put_number(e, start, digits, (size_t)len);
    case WI_ABSENT:
        break;
    }
    return WEIR_INTERNAL;
}

static weir_status put_column(const expansion *e, size_t start)
{
    const wi_batch *batch = e->scope->batch;
    const char *name = e->t->bytes.data + e->segment->span.at;
    size_t len = e->segment->span.len;
    int column = batch ? wi_schema_find(wi_batch_schema(batch), name, len) : -1;
    wi_cell cell = {.kind = WI_ABSENT};
    if (column >= 0)
        cell = wi_batch_cell(batch, e->scope->row, (size_t)column);
    if (cell.kind == WI_ABSENT)
        return wi_fail(e->err, WEIR_INVALID, "the row has no column \"%.*s\"",
                       wi_template_clip(name, len, WI_TEMPLATE_EXCERPT), name);
    return put_cell(e, start, &cell);
}

/* Decimal digits from the end of a buffer of 20; returns where they begin. */
static char *digits_of(uint64_t value, char *end)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return end;
}

/* The value that a choice of a URL's combinations gives one of its ranges or lists. */
static weir_status put_chosen(const expansion *e, size_t start, const wi_template *url,
                              const wi_segment *from)
{
    uint64_t i = e->scope->choice / from->stride % from->count;
    if (from->hole == WI_HOLE_LIST) {
        const wi_span *item = &url->items[from->span.at + i];
        return put_text(e, start, url->bytes.data + item->at, item->len);
    }
    int64_t value = (int64_t)((uint64_t)from->first + from->step * i);
    char text[64];
    if (from->letters) {
        text[0] = (char)value;
        return put_text(e, start, text, 1);
    }
    char *end = text + sizeof text;
    char *at = digits_of(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, end);
    while (end - at + (value < 0) < from->width)
        *--at = '0';
    if (value < 0)
        *--at = '-';
    if (from->width) /* 007 is no JSON number */
        return put_text(e, start, at, (size_t)(end - at));
    return put_number(e, start, at, (size_t)(end - at));
}

/* {1}: the row's first column. */
static weir_status put_position(const expansion *e, size_t start)
{
    const wi_batch *batch = e->scope->batch;
    size_t column = e->segment->chosen;
    wi_cell cell = {.kind = WI_ABSENT};
    if (batch && column < wi_schema_columns(wi_batch_schema(batch)))
        cell = wi_batch_cell(batch, e->scope->row, column);
    if (cell.kind == WI_ABSENT)
        return wi_fail(e->err, WEIR_INVALID, "the row has no column {%zu}", column + 1);
    return put_cell(e, start, &cell);
}

static weir_status put_choice(const expansion *e, size_t start)
{
    const wi_template *url = e->scope->url;
    if (!url && wi_template_is_of_command(e->t))
        return put_position(e, start);
    if (!url || e->segment->chosen >= url->choices_len)
        return wi_fail(e->err, WEIR_INVALID, "%s: {#%zu} at %s: the URL has no such range or list",
                       e->t->what, e->segment->chosen + 1,
                       wi_template_position(e->t, e->segment->source).text);
    return put_chosen(e, start, url, &url->segments[url->choices[e->segment->chosen]]);
}

/* {}: the one list there is, or the one column of the row. */
static weir_status put_value(const expansion *e, size_t start)
{
    const wi_template *lists = e->scope->url;
    if (lists)
        return put_chosen(e, start, lists, &lists->segments[lists->choices[0]]);
    const wi_batch *batch = e->scope->batch;
    if (!batch || wi_schema_columns(wi_batch_schema(batch)) != 1)
        return wi_fail(e->err, WEIR_INVALID,
                       "the row has not one column, which {} could stand for");
    wi_cell cell = wi_batch_cell(batch, e->scope->row, 0);
    return cell.kind == WI_ABSENT ? WEIR_OK : put_cell(e, start, &cell);
}

static weir_status put_segment(const expansion *e, size_t start)
{
    const wi_segment *s = e->segment;
    const char *bytes = e->t->bytes.data + s->span.at;
    char digits[20], *end = digits + sizeof digits, *at;
    switch (s->hole) {
    case WI_HOLE_TEXT:
        wi_buf_append(e->out, bytes, s->span.len);
        return WEIR_OK;
    case WI_HOLE_COLUMN:
        return put_column(e, start);
    case WI_HOLE_SECRET:
        return put_text(e, start, bytes, s->span.len);
    case WI_HOLE_NUMBER:
        at = digits_of(e->scope->number, end);
        return put_number(e, start, at, (size_t)(end - at));
    case WI_HOLE_CHOSEN:
        return put_choice(e, start);
    case WI_HOLE_RANGE:
    case WI_HOLE_LIST:
        return put_chosen(e, start, e->t, s);
    case WI_HOLE_VALUE:
        return put_value(e, start);
    }
    return WEIR_INTERNAL;
}

static weir_status check_names(const wi_template *t, const char *path, size_t len, weir_error *err)
{
    for (size_t from = 0; from <= len;) {
        const char *slash = memchr(path + from, '/', len - from);
        size_t n = slash ? (size_t)(slash - path) - from : len - from;
        if (n > NAME_MAX_BYTES)
            return wi_fail(err, WEIR_INVALID,
                           "%s: a file name would have %zu bytes, more than the %d allowed",
                           t->what, n, NAME_MAX_BYTES);
        from += n + 1;
    }
    return WEIR_OK;
}

static weir_status fill(expansion *e, wi_buf *shown)
{
    const wi_template *t = e->t;
    size_t start = e->out->len;
    for (size_t i = 0; i < t->segments_len; i++) {
        size_t before = e->out->len;
        e->segment = &t->segments[i];
        weir_status status = put_segment(e, start);
        if (status)
            return status;
        wi_template_cut(e->out, before, e->segment->part);
        if (e->segment->place == WI_PLACE_SHELL && e->segment->hole != WI_HOLE_TEXT)
            wi_template_quote(e->out, before);
        if (e->segment->place == WI_PLACE_PATH && e->segment->hole != WI_HOLE_TEXT &&
            e->out->len == before)
            wi_buf_putc(e->out, '_');
        if (shown && e->segment->hole == WI_HOLE_SECRET)
            wi_buf_puts(shown, "***");
        else if (shown)
            wi_buf_append(shown, e->out->data + before, e->out->len - before);
    }
    if (e->out->failed || (shown && shown->failed)) {
        size_t max = e->out->failed ? e->out->max : shown->max;
        return max ? wi_fail(e->err, WEIR_TOOLARGE, "%s: larger than %zu bytes", t->what, max)
                   : wi_fail_nomem(e->err);
    }
    if (t->mode == WI_TEMPLATE_PATH)
        return check_names(t, e->out->data + start, e->out->len - start, e->err);
    return WEIR_OK;
}

weir_status wi_template_expand(const wi_template *t, const wi_scope *scope, wi_buf *out,
                               wi_buf *shown, weir_error *err)
{
    expansion e = {.t = t, .scope = scope, .out = out, .err = err};
    if (!t->secrets)
        shown = NULL;
    size_t out_len = out->len, shown_len = shown ? shown->len : 0;
    weir_status status = fill(&e, shown);
    if (status) {
        out->len = out_len;
        if (shown)
            shown->len = shown_len;
    }
    return status;
}
