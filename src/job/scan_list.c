/* scan_list.c: see scan_list.h. Its invariant: bytes[at..len) is what was read and not yet given.
 */
#include "scan_list.h"

#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "json.h"

enum { READ_SIZE = 64 << 10, ROWS = 256 };

struct wi_scan_list {
    wi_scan_list_options options; /* without its string */
    wi_input *input;
    bool ended;
    char *bytes;
    size_t at, len, cap;

    wi_reader *reader; /* of CSV, TSV and NDJSON; else NULL */
    wi_batch *batch;
    size_t row;
};

static weir_status begin(wi_scan_list *list, const char *path, weir_error *err)
{
    list->cap = READ_SIZE;
    list->bytes = malloc(list->cap);
    if (!list->bytes)
        return wi_fail_nomem(err);
    weir_status status = wi_input_open(path, &list->input, err);
    if (status == WEIR_OK && list->options.format != WI_FORMAT_LINES)
        status = wi_reader_new(list->options.format, wi_input_name(list->input),
                               list->options.max_row, &list->reader, err);
    return status;
}

weir_status wi_scan_list_open(const wi_scan_list_options *options, wi_scan_list **out,
                              weir_error *err)
{
    wi_scan_list *list = calloc(1, sizeof *list);
    if (!list)
        return wi_fail_nomem(err);
    list->options = *options;
    list->options.input = NULL;
    weir_status status = begin(list, options->input, err);
    if (status == WEIR_OK)
        *out = list;
    else
        wi_scan_list_close(list);
    return status;
}

void wi_scan_list_close(wi_scan_list *list)
{
    if (!list)
        return;
    wi_batch_unref(list->batch);
    wi_reader_free(list->reader);
    wi_input_close(list->input);
    free(list->bytes);
    free(list);
}

void wi_scan_list_interrupt(wi_scan_list *list)
{
    wi_input_interrupt(list->input);
}

/* ---- plain paths ---- */

/* Reads on behind what is there. */
static weir_status read_more(wi_scan_list *list, weir_error *err)
{
    memmove(list->bytes, list->bytes + list->at, list->len - list->at);
    list->len -= list->at;
    list->at = 0;
    if (list->len > list->options.max_row)
        return wi_fail(err, WEIR_TOOLARGE, "%s: a path is longer than %zu bytes",
                       wi_input_name(list->input), list->options.max_row);
    if (list->len == list->cap) {
        size_t cap = 2 * list->cap + READ_SIZE;
        char *grown = realloc(list->bytes, cap);
        if (!grown)
            return wi_fail_nomem(err);
        list->bytes = grown;
        list->cap = cap;
    }
    size_t n = 0;
    weir_status status =
        wi_input_read(list->input, list->bytes + list->len, list->cap - list->len, &n, err);
    list->len += n;
    list->ended = status == WEIR_OK && n == 0;
    return status;
}

static weir_status next_plain(wi_scan_list *list, wi_buf *path, weir_error *err)
{
    for (;;) {
        const char *from = list->bytes + list->at;
        size_t left = list->len - list->at;
        const char *end = left ? memchr(from, list->options.nul ? '\0' : '\n', left) : NULL;
        if (!end && !list->ended) {
            weir_status status = read_more(list, err);
            if (status != WEIR_OK)
                return status;
            continue;
        }
        if (!end && !left)
            return WEIR_END;
        size_t len = end ? (size_t)(end - from) : left;
        list->at += len + (end != NULL);
        if (len && !list->options.nul && from[len - 1] == '\r')
            len--;
        if (!len)
            continue;
        if (memchr(from, '\0', len))
            return wi_fail(err, WEIR_INVALID,
                           "%s: a path holds a NUL byte; if they end with one, say --null",
                           wi_input_name(list->input));
        wi_buf_append(path, from, len);
        return path->failed ? wi_fail_nomem(err) : WEIR_OK;
    }
}

/* ---- the column of a table ---- */

static weir_status next_batch(wi_scan_list *list, weir_error *err)
{
    wi_batch_unref(list->batch);
    list->batch = NULL;
    list->row = 0;
    for (;;) {
        weir_status status = wi_reader_next(list->reader, ROWS, &list->batch, err);
        if (status != WEIR_OK || list->batch)
            return status;
        if (list->ended)
            return WEIR_END;
        size_t n = 0;
        status = wi_input_read(list->input, list->bytes, list->cap, &n, err);
        list->ended = status == WEIR_OK && n == 0;
        if (status == WEIR_OK)
            status = wi_reader_feed(list->reader, list->bytes, n, err);
        if (status != WEIR_OK)
            return status;
    }
}

/* NDJSON may bring it with any row; a header that lacks it is that of another table. */
static weir_status check_header(const wi_scan_list *list, weir_error *err)
{
    const wi_schema *schema = wi_batch_schema(list->batch);
    char there[WI_SCHEMA_SHOWN];
    if (list->options.format == WI_FORMAT_NDJSON || wi_schema_find(schema, "path", 4) >= 0)
        return WEIR_OK;
    wi_schema_show(schema, there);
    return wi_fail(err, WEIR_INVALID, "%s: there is no column \"path\"; there are: %s",
                   wi_input_name(list->input), there);
}

/* What the column "path" has; nothing is appended if it has none. */
static void append_path(const wi_scan_list *list, size_t row, wi_buf *path)
{
    int column = wi_schema_find(wi_batch_schema(list->batch), "path", 4);
    wi_cell cell = {.kind = WI_ABSENT};
    if (column >= 0)
        cell = wi_batch_cell(list->batch, row, (size_t)column);
    if (cell.kind == WI_STRING)
        wi_buf_append(path, cell.bytes, cell.len);
    else if (cell.kind == WI_JSON && cell.bytes[0] == '"')
        wi_json_append_unescaped(path, cell.bytes + 1, cell.len - 2);
}

static weir_status next_cell(wi_scan_list *list, wi_buf *path, weir_error *err)
{
    weir_status status = WEIR_OK;
    if (!list->batch || list->row == wi_batch_rows(list->batch))
        status = next_batch(list, err);
    if (status == WEIR_OK)
        status = check_header(list, err);
    if (status != WEIR_OK)
        return status;
    size_t row = list->row++;
    const char *fault = wi_batch_fault(list->batch, row);
    const char *name = wi_input_name(list->input);
    if (!fault)
        append_path(list, row, path);
    if (path->failed)
        return wi_fail_nomem(err);
    if (path->len && !memchr(path->data, '\0', path->len))
        return WEIR_OK;
    wi_buf_clear(path);
    wi_buf_puts(path, name);
    if (path->failed)
        return wi_fail_nomem(err);
    if (fault)
        return wi_fail(err, WEIR_NOTFOUND, "%s", fault);
    return wi_fail(err, WEIR_NOTFOUND, "%s line %lld: there is no path in the column \"path\"",
                   name, (long long)wi_batch_line(list->batch, row));
}

weir_status wi_scan_list_next(wi_scan_list *list, wi_buf *path, weir_error *err)
{
    return list->reader ? next_cell(list, path, err) : next_plain(list, path, err);
}
