/*
 * csv_writer.c: RFC 4180 with LF line ends. Its invariant: every row has as many fields as the
 * header, whatever batch it came from, and a reader finds the same text in each.
 */
#include <math.h>
#include <string.h>

#include "json.h"
#include "text.h"
#include "word.h"
#include "writer_state.h"

static bool needs_quotes(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = wi_word_load(at);
        if (wi_word_equal(word, ',') | wi_word_equal(word, '"') | wi_word_equal(word, '\n') |
            wi_word_equal(word, '\r'))
            return true;
    }
    for (; at < end; at++)
        if (*at == ',' || *at == '"' || *at == '\n' || *at == '\r')
            return true;
    return false;
}

static void put_quoted(wi_buf *out, const char *at, size_t len)
{
    const char *end = at + len;
    wi_buf_putc(out, '"');
    for (const char *quote; (quote = memchr(at, '"', (size_t)(end - at))); at = quote + 1) {
        wi_buf_append(out, at, (size_t)(quote - at) + 1);
        wi_buf_putc(out, '"');
    }
    wi_buf_append(out, at, (size_t)(end - at));
    wi_buf_putc(out, '"');
}

static void put_text(wi_buf *out, const char *bytes, size_t len)
{
    if (len && needs_quotes(bytes, bytes + len))
        put_quoted(out, bytes, len);
    else
        wi_buf_append(out, bytes, len);
}

/* A JSON string is its characters, anything else the JSON itself. */
static void put_json(wi_row_writer *writer, wi_buf *out, const wi_cell *cell)
{
    if (cell->bytes[0] != '"') {
        put_text(out, cell->bytes, cell->len);
        return;
    }
    wi_buf_clear(&writer->scratch);
    wi_json_append_unescaped(&writer->scratch, cell->bytes + 1, cell->len - 2);
    put_text(out, writer->scratch.data, writer->scratch.len);
}

static void put_cell(wi_row_writer *writer, wi_buf *out, const wi_cell *cell)
{
    switch (cell->kind) {
    case WI_STRING:
        put_text(out, cell->bytes, cell->len);
        break;
    case WI_JSON:
        put_json(writer, out, cell);
        break;
    case WI_BINARY:
        wi_text_append_base64(out, cell->bytes, cell->len);
        break;
    case WI_INT:
        wi_buf_put_i64(out, cell->i);
        break;
    case WI_DOUBLE:
        if (isfinite(cell->d))
            wi_writer_put_double(out, cell->d);
        break;
    case WI_NULL:
    case WI_ABSENT:
        break;
    }
}

/* Ends the row that began at `mark`. */
static void end_row(wi_row_writer *writer, wi_buf *out, size_t mark)
{
    if (writer->terminal && !out->failed && out->len > mark) {
        wi_buf_clear(&writer->scratch);
        wi_text_append_printable(&writer->scratch, out->data + mark, out->len - mark);
        out->len = mark;
        wi_buf_append(out, writer->scratch.data, writer->scratch.len);
    }
    wi_buf_putc(out, '\n');
}

static void put_header(wi_row_writer *writer, const wi_schema *schema, wi_buf *out)
{
    size_t mark = out->len;
    size_t n = wi_schema_columns(schema);
    for (size_t i = 0; i < n; i++) {
        wi_name name = wi_schema_name(schema, i);
        if (i)
            wi_buf_putc(out, ',');
        /* Quotes keep what looks like a byte order mark in a name, and an empty line from being
         * one that readers pass over. */
        if ((i == 0 && name.len && (unsigned char)name.bytes[0] == 0xEF) || (n == 1 && !name.len))
            put_quoted(out, name.bytes, name.len);
        else
            put_text(out, name.bytes, name.len);
    }
    end_row(writer, out, mark);
}

static weir_status prepare(wi_row_writer *writer, const wi_schema *schema, weir_error *err)
{
    (void)err; /* running out of memory shows in the buffers */
    for (size_t i = 0; i < wi_schema_columns(writer->header); i++) {
        wi_name name = wi_schema_name(writer->header, i);
        wi_column_plan plan = {.column = wi_schema_find(schema, name.bytes, name.len)};
        wi_buf_append(&writer->plans, &plan, sizeof plan);
    }
    for (size_t i = 0; i < wi_schema_columns(schema) && !writer->fixed; i++) {
        wi_name name = wi_schema_name(schema, i);
        int column = (int)i;
        if (wi_schema_find(writer->header, name.bytes, name.len) < 0)
            wi_buf_append(&writer->strays, &column, sizeof column);
    }
    return WEIR_OK;
}

static weir_status check_strays(const wi_row_writer *writer, const wi_batch *batch, size_t row,
                                weir_error *err)
{
    const int *strays = (const int *)writer->strays.data;
    for (size_t i = 0; i < writer->strays.len / sizeof *strays; i++) {
        size_t column = (size_t)strays[i];
        wi_cell_kind kind = wi_batch_cell(batch, row, column).kind;
        if (kind == WI_ABSENT || kind == WI_NULL)
            continue;
        wi_name name = wi_schema_name(wi_batch_schema(batch), column);
        return wi_fail(err, WEIR_INVALID,
                       "column \"%.*s\" first occurs after the CSV header was written: "
                       "write NDJSON, whose rows may differ",
                       name.len > 100 ? 100 : (int)name.len, name.bytes);
    }
    return WEIR_OK;
}

static weir_status put_row(wi_row_writer *writer, const wi_batch *batch, size_t row, wi_buf *out,
                           weir_error *err)
{
    const wi_column_plan *plans = (const wi_column_plan *)writer->plans.data;
    size_t n = writer->plans.len / sizeof *plans;
    weir_status status = check_strays(writer, batch, row, err);
    if (status)
        return status;
    size_t mark = out->len;
    for (size_t i = 0; i < n; i++) {
        if (i)
            wi_buf_putc(out, ',');
        if (plans[i].column < 0)
            continue;
        wi_cell cell = wi_batch_cell(batch, row, (size_t)plans[i].column);
        put_cell(writer, out, &cell);
    }
    if (n == 1 && out->len == mark)
        wi_buf_append(out, "\"\"", 2); /* an empty line would be no row to many readers */
    end_row(writer, out, mark);
    return WEIR_OK;
}

const wi_writer_kind wi_writer_csv = {.prepare = prepare, .header = put_header, .row = put_row};
