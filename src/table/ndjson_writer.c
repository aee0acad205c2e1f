/*
 * ndjson_writer.c: one object a row. Its invariant: every byte below 0x20 in the output is the LF
 * that ends a row, and neither DEL nor a C1 character occurs.
 */
#include <math.h>
#include <string.h>

#include "json.h"
#include "text.h"
#include "writer_state.h"

static bool is_optional(const wi_row_writer *writer, wi_name name)
{
    const char *at = writer->optional.data;
    const char *end = at + writer->optional.len;
    for (; at < end; at += strlen(at) + 1)
        if (strlen(at) == name.len && memcmp(at, name.bytes, name.len) == 0)
            return true;
    return false;
}

static weir_status prepare(wi_row_writer *writer, const wi_schema *schema, weir_error *err)
{
    (void)err; /* running out of memory shows in the buffers */
    const wi_schema *written = writer->fixed ? writer->header : schema;
    for (size_t i = 0; i < wi_schema_columns(written); i++) {
        wi_name name = wi_schema_name(written, i);
        int column = written == schema ? (int)i : wi_schema_find(schema, name.bytes, name.len);
        wi_column_plan plan = {.key_at = writer->keys.len,
                               .optional = writer->optional.len && is_optional(writer, name),
                               .column = column};
        wi_buf_putc(&writer->keys, ',');
        wi_json_append_string(&writer->keys, name.bytes, name.len);
        wi_buf_putc(&writer->keys, ':');
        plan.key_len = writer->keys.len - plan.key_at;
        wi_buf_append(&writer->plans, &plan, sizeof plan);
    }
    return WEIR_OK;
}

static void put_value(wi_buf *out, const wi_cell *cell)
{
    switch (cell->kind) {
    case WI_STRING:
        wi_json_append_string(out, cell->bytes, cell->len);
        break;
    case WI_JSON:
        wi_json_append_tame(out, cell->bytes, cell->len);
        break;
    case WI_BINARY:
        wi_buf_putc(out, '"');
        wi_text_append_base64(out, cell->bytes, cell->len);
        wi_buf_putc(out, '"');
        break;
    case WI_INT:
        wi_buf_put_i64(out, cell->i);
        break;
    case WI_DOUBLE:
        if (isfinite(cell->d)) {
            wi_writer_put_double(out, cell->d);
            break;
        }
        wi_buf_append(out, "null", 4); /* JSON has no infinities */
        break;
    case WI_NULL:
    case WI_ABSENT:
        wi_buf_append(out, "null", 4);
        break;
    }
}

static weir_status put_row(wi_row_writer *writer, const wi_batch *batch, size_t row, wi_buf *out,
                           weir_error *err)
{
    (void)err;
    const wi_column_plan *plans = (const wi_column_plan *)writer->plans.data;
    size_t n = writer->plans.len / sizeof *plans;
    size_t skip = 1; /* the comma that each key brings */
    wi_buf_putc(out, '{');
    for (size_t i = 0; i < n; i++) {
        wi_cell cell = {.kind = WI_ABSENT};
        if (plans[i].column >= 0)
            cell = wi_batch_cell(batch, row, (size_t)plans[i].column);
        bool none = cell.kind == WI_ABSENT || cell.kind == WI_NULL;
        if ((none && plans[i].optional) || (cell.kind == WI_ABSENT && !writer->fixed))
            continue;
        wi_buf_append(out, writer->keys.data + plans[i].key_at + skip, plans[i].key_len - skip);
        put_value(out, &cell);
        skip = 0;
    }
    wi_buf_append(out, "}\n", 2);
    return WEIR_OK;
}

const wi_writer_kind wi_writer_ndjson = {.prepare = prepare, .row = put_row};
