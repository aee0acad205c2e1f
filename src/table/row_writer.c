/*
 * row_writer.c: see writer.h. Its invariant: after a failure neither out nor what the writer knows
 * of the header has changed, so the caller may go on with another batch.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "writer_state.h"

weir_status wi_row_writer_new(wi_format format, wi_row_writer **out, weir_error *err)
{
    if (format != WI_FORMAT_NDJSON && format != WI_FORMAT_CSV)
        return wi_fail(err, WEIR_UNSUPPORTED, "rows can be written as NDJSON or CSV only");
    wi_row_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return wi_fail_nomem(err);
    writer->kind = format == WI_FORMAT_CSV ? &wi_writer_csv : &wi_writer_ndjson;
    *out = writer;
    return WEIR_OK;
}

void wi_row_writer_free(wi_row_writer *writer)
{
    if (!writer)
        return;
    wi_schema_unref(writer->schema);
    wi_schema_unref(writer->header);
    wi_buf_fini(&writer->optional);
    wi_buf_fini(&writer->plans);
    wi_buf_fini(&writer->keys);
    wi_buf_fini(&writer->strays);
    wi_buf_fini(&writer->scratch);
    free(writer);
}

void wi_row_writer_for_terminal(wi_row_writer *writer)
{
    writer->terminal = true;
}

static void forget_plans(wi_row_writer *writer)
{
    wi_schema_unref(writer->schema);
    writer->schema = NULL;
}

weir_status wi_row_writer_optional(wi_row_writer *writer, const char *column, weir_error *err)
{
    wi_buf_append(&writer->optional, column, strlen(column) + 1);
    forget_plans(writer);
    if (writer->optional.failed) {
        writer->optional.failed = false;
        return wi_fail_nomem(err);
    }
    return WEIR_OK;
}

static void write_header(wi_row_writer *writer, wi_schema *schema, wi_buf *out)
{
    if (writer->header)
        return;
    if (writer->kind->header)
        writer->kind->header(writer, schema, out);
    writer->header = wi_schema_ref(schema);
}

static weir_status prepare(wi_row_writer *writer, wi_schema *schema, weir_error *err)
{
    if (writer->schema == schema)
        return WEIR_OK;
    forget_plans(writer);
    wi_buf_clear(&writer->plans);
    wi_buf_clear(&writer->keys);
    wi_buf_clear(&writer->strays);
    weir_status status = writer->kind->prepare(writer, schema, err);
    if (status)
        return status;
    if (writer->plans.failed || writer->keys.failed || writer->strays.failed)
        return wi_fail_nomem(err);
    writer->schema = wi_schema_ref(schema);
    return WEIR_OK;
}

void wi_row_writer_fix(wi_row_writer *writer, wi_schema *columns)
{
    forget_plans(writer);
    wi_schema_unref(writer->header);
    writer->header = wi_schema_ref(columns);
    writer->fixed = true;
}

static weir_status append_rows(wi_row_writer *writer, const wi_batch *batch, wi_buf *out,
                               wi_buf *ends, weir_error *err)
{
    weir_status status = prepare(writer, wi_batch_schema(batch), err);
    for (size_t row = 0; row < wi_batch_rows(batch) && !status; row++) {
        status = writer->kind->row(writer, batch, row, out, err);
        if (ends)
            wi_buf_append(ends, &out->len, sizeof out->len);
    }
    if (!status && (out->failed || writer->scratch.failed || (ends && ends->failed)))
        status = wi_fail_nomem(err);
    return status;
}

/* Takes back what was written to out since `mark`, and a header that was part of it. */
static void take_back(wi_row_writer *writer, bool had_header, wi_buf *out, size_t mark)
{
    out->len = mark;
    out->failed = false;
    wi_buf_clear(&writer->scratch);
    if (!had_header) {
        forget_plans(writer);
        wi_schema_unref(writer->header);
        writer->header = NULL;
    }
}

weir_status wi_row_writer_append_ends(wi_row_writer *writer, const wi_batch *batch, wi_buf *out,
                                      wi_buf *ends, weir_error *err)
{
    size_t mark = out->len;
    size_t ends_mark = ends ? ends->len : 0;
    bool had_header = writer->header != NULL;
    if (out->failed || (ends && ends->failed))
        return wi_fail_nomem(err);
    write_header(writer, wi_batch_schema(batch), out);
    weir_status status = append_rows(writer, batch, out, ends, err);
    if (status)
        take_back(writer, had_header, out, mark);
    if (status && ends) {
        ends->len = ends_mark;
        ends->failed = false;
    }
    return status;
}

weir_status wi_row_writer_append(wi_row_writer *writer, const wi_batch *batch, wi_buf *out,
                                 weir_error *err)
{
    return wi_row_writer_append_ends(writer, batch, out, NULL, err);
}

weir_status wi_row_writer_header(wi_row_writer *writer, wi_schema *schema, wi_buf *out,
                                 weir_error *err)
{
    size_t mark = out->len;
    bool had_header = writer->header != NULL;
    if (out->failed)
        return wi_fail_nomem(err);
    write_header(writer, schema, out);
    if (!out->failed && !writer->scratch.failed)
        return WEIR_OK;
    take_back(writer, had_header, out, mark);
    return wi_fail_nomem(err);
}

void wi_writer_put_double(wi_buf *out, double value)
{
    if (fabs(value) >= 1e15) { /* too large to have decimals */
        wi_buf_printf(out, "%.0f", value);
        return;
    }
    int64_t milli = (int64_t)(fabs(value) * 1000 + 0.5);
    if (value < 0 && milli)
        wi_buf_putc(out, '-');
    wi_buf_put_i64(out, milli / 1000);
    int rest = (int)(milli % 1000);
    if (rest) {
        char decimals[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                            (char)('0' + rest % 10)};
        wi_buf_append(out, decimals, rest % 10 ? 4 : rest % 100 ? 3 : 2);
    }
}
