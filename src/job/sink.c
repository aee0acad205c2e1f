/* sink.c: see sink.h. Its invariant: a batch holds rows of one schema, and whole rows only. */
#include "sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "output.h"
#include "writer.h"

enum {
    BATCH_ROWS = 1024,
    BATCH_BYTES = 1 << 20,
    RENDERED_BYTES = 256 << 10, /* written together; what is longer by itself is not copied */
    MOST_HEADER = 16 << 20,     /* that is read again */
};

struct wi_sink {
    wi_sink_options options;
    wi_output *output;
    wi_row_writer *writer;
    wi_schema *input; /* of the rows in the batch; may be NULL */
    bool has_schema;
    bool has_rendered; /* rows, and so what header there is */
    wi_schema *schema;
    size_t input_columns;
    wi_batch *batch;
    wi_buf bytes; /* rendered, not yet written */
};

/* place: NULL: it cannot be continued. */
static weir_status open_output(wi_sink *sink, const char *place, int64_t length, weir_error *err)
{
    const wi_sink_options *o = &sink->options;
    if (place)
        return wi_output_continue(place, o->path, length, &sink->output, err);
    weir_status status = o->path ? wi_output_open(o->path, &sink->output, err) : WEIR_OK;
    if (status == WEIR_OK && sink->output && wi_output_is_terminal(sink->output))
        wi_row_writer_for_terminal(sink->writer);
    return status;
}

static weir_status take_up_schema(wi_sink *sink, wi_schema *input, weir_error *err);

/* The header of a CSV is there: rows follow it. */
static weir_status pass_header(wi_sink *sink, weir_error *err)
{
    sink->has_rendered = true;
    if (sink->options.header || sink->options.format != WI_FORMAT_CSV)
        return WEIR_OK;
    weir_status status = take_up_schema(sink, sink->options.fixed, err);
    if (status == WEIR_OK)
        wi_row_writer_fix(sink->writer, sink->schema);
    return status;
}

weir_status wi_sink_continue(const wi_sink_options *options, const char *place, int64_t length,
                             wi_sink **out, weir_error *err)
{
    wi_sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return wi_fail_nomem(err);
    sink->options = *options;
    weir_status status = wi_row_writer_new(options->format, &sink->writer, err);
    for (size_t i = 0; status == WEIR_OK && i < options->optional_len; i++)
        status = wi_row_writer_optional(sink->writer, options->optional[i], err);
    if (status == WEIR_OK && length)
        status = pass_header(sink, err);
    if (status == WEIR_OK)
        status = open_output(sink, place, length, err);
    if (status != WEIR_OK) {
        wi_sink_free(sink);
        return status;
    }
    *out = sink;
    return WEIR_OK;
}

weir_status wi_sink_new(const wi_sink_options *options, wi_sink **out, weir_error *err)
{
    return wi_sink_continue(options, NULL, 0, out, err);
}

void wi_sink_free(wi_sink *sink)
{
    if (!sink)
        return;
    wi_batch_unref(sink->batch);
    wi_schema_unref(sink->schema);
    wi_schema_unref(sink->input);
    wi_row_writer_free(sink->writer);
    wi_output_discard(sink->output);
    wi_buf_fini(&sink->bytes);
    free(sink);
}

static weir_status take_up_schema(wi_sink *sink, wi_schema *input, weir_error *err)
{
    weir_status status = wi_sink_flush(sink, err);
    wi_schema *schema = NULL;
    wi_batch *batch = NULL;
    if (status == WEIR_OK)
        status = wi_columns_join(NULL, 0, input, sink->options.columns, sink->options.columns_len,
                                 &schema, err);
    if (status == WEIR_OK)
        status = wi_batch_new(schema, &batch, err);
    if (status != WEIR_OK) {
        wi_schema_unref(schema);
        return status;
    }
    wi_batch_unref(sink->batch);
    wi_schema_unref(sink->schema);
    wi_schema_unref(sink->input);
    sink->batch = batch;
    sink->schema = schema;
    sink->input = input ? wi_schema_ref(input) : NULL;
    sink->input_columns = input ? wi_schema_columns(input) : 0;
    sink->has_schema = true;
    return WEIR_OK;
}

weir_status wi_sink_begin_row(wi_sink *sink, wi_schema *input, wi_batch **batch, size_t *first,
                              weir_error *err)
{
    weir_status status = WEIR_OK;
    if (sink->options.format == WI_FORMAT_CSV)
        input = sink->options.fixed;
    if (!sink->has_schema || sink->input != input)
        status = take_up_schema(sink, input, err);
    if (status == WEIR_OK) {
        *batch = sink->batch;
        *first = sink->input_columns;
    }
    return status;
}

weir_status wi_sink_end_row(wi_sink *sink, weir_error *err)
{
    weir_status status = wi_batch_end_row(sink->batch, err);
    if (status == WEIR_OK &&
        (wi_batch_rows(sink->batch) >= BATCH_ROWS || wi_batch_bytes(sink->batch) >= BATCH_BYTES))
        status = wi_sink_flush(sink, err);
    return status;
}

static weir_status write_bytes(wi_sink *sink, const char *bytes, size_t len, weir_error *err)
{
    if (!len)
        return WEIR_OK;
    if (sink->output)
        return wi_output_write(sink->output, bytes, len, err);
    if (sink->options.write(sink->options.write_arg, bytes, len) != 0)
        return wi_fail(err, WEIR_CLOSED, "the output takes no more rows");
    return WEIR_OK;
}

static weir_status write_out(wi_sink *sink, weir_error *err)
{
    size_t len = sink->bytes.len;
    sink->bytes.len = 0;
    return write_bytes(sink, sink->bytes.data, len, err);
}

static weir_status render(wi_sink *sink, weir_error *err)
{
    weir_status status = WEIR_OK;
    if (sink->batch && wi_batch_rows(sink->batch)) {
        status = wi_row_writer_append(sink->writer, sink->batch, &sink->bytes, err);
        wi_batch_clear(sink->batch);
    }
    return status;
}

weir_status wi_sink_flush(wi_sink *sink, weir_error *err)
{
    weir_status status = render(sink, err);
    return status == WEIR_OK ? write_out(sink, err) : status;
}

/* ---- rows that come rendered ---- */

/* The header, as soon as it is known; the writer knows whether it was written. */
static weir_status put_known_header(wi_sink *sink, weir_error *err)
{
    wi_schema *schema = sink->options.header(sink->options.header_arg);
    if (!schema)
        return WEIR_OK;
    return wi_row_writer_header(sink->writer, schema, &sink->bytes, err);
}

weir_status wi_sink_write_rendered(wi_sink *sink, const char *bytes, size_t len, weir_error *err)
{
    weir_status status = WEIR_OK;
    if (!sink->has_rendered && len)
        status = put_known_header(sink, err);
    sink->has_rendered |= len > 0;
    if (status == WEIR_OK && sink->bytes.len && sink->bytes.len + len > RENDERED_BYTES)
        status = write_out(sink, err);
    if (status == WEIR_OK && len > RENDERED_BYTES)
        return write_bytes(sink, bytes, len, err);
    wi_buf_append(&sink->bytes, bytes, len);
    if (status == WEIR_OK && sink->bytes.failed) {
        sink->bytes.failed = false; /* what was in it still is */
        status = wi_fail_nomem(err);
    }
    return status;
}

/* ---- the end ---- */

/* The header of an output without a row. */
static weir_status put_late_header(wi_sink *sink, weir_error *err)
{
    if (sink->options.header)
        return sink->has_rendered ? WEIR_OK : put_known_header(sink, err);
    weir_status status =
        sink->has_schema ? WEIR_OK : take_up_schema(sink, sink->options.fixed, err);
    if (status == WEIR_OK)
        status = wi_row_writer_header(sink->writer, sink->schema, &sink->bytes, err);
    return status;
}

weir_status wi_sink_end(wi_sink *sink, weir_error *err)
{
    weir_status status = wi_sink_flush(sink, err);
    if (status == WEIR_OK)
        status = put_late_header(sink, err);
    return status == WEIR_OK ? write_out(sink, err) : status;
}

weir_status wi_sink_commit(wi_sink *sink, weir_error *err)
{
    weir_status status = wi_sink_end(sink, err);
    if (status == WEIR_OK && sink->output) {
        status = wi_output_commit(sink->output, err);
        sink->output = NULL;
    }
    return status;
}

weir_status wi_sink_keep(wi_sink *sink, char **kept, weir_error *err)
{
    *kept = NULL;
    if (!sink->output)
        return WEIR_OK;
    wi_output *output = sink->output;
    sink->output = NULL;
    return wi_output_keep(output, kept, err);
}

/* ---- files that can be continued ---- */

/* Before the first row, as far as it is known then. */
static weir_status put_header(wi_sink *sink, weir_error *err)
{
    if (sink->options.format != WI_FORMAT_CSV || sink->has_rendered)
        return WEIR_OK;
    if (!sink->options.header)
        return put_late_header(sink, err);
    weir_status status = put_known_header(sink, err);
    sink->has_rendered = status == WEIR_OK && sink->bytes.len > 0;
    return status;
}

weir_status wi_sink_position(wi_sink *sink, int64_t *position, weir_error *err)
{
    weir_status status = render(sink, err);
    if (status == WEIR_OK)
        status = put_header(sink, err);
    if (status == WEIR_OK && sink->bytes.len > RENDERED_BYTES)
        status = write_out(sink, err);
    if (status == WEIR_OK)
        *position = wi_sink_length(sink) + (int64_t)sink->bytes.len;
    return status;
}

int64_t wi_sink_length(const wi_sink *sink)
{
    return wi_output_length(sink->output);
}

/* Up to the first line's end that no quotes are around. */
weir_status wi_sink_read_header(const wi_sink *sink, wi_buf *header, weir_error *err)
{
    char chunk[4096];
    size_t n = 0;
    bool quoted = false;
    if (sink->options.format != WI_FORMAT_CSV)
        return WEIR_OK;
    for (int64_t at = 0; at < wi_sink_length(sink); at += (int64_t)n) {
        weir_status status = wi_output_read(sink->output, at, chunk, sizeof chunk, &n, err);
        if (status != WEIR_OK || !n)
            return status;
        for (size_t i = 0; i < n; i++) {
            quoted ^= chunk[i] == '"';
            if (chunk[i] == '\n' && !quoted)
                return WEIR_OK;
            wi_buf_putc(header, chunk[i]);
        }
        if (header->failed)
            return wi_fail_nomem(err);
        if (header->len > MOST_HEADER)
            return wi_fail(err, WEIR_INVALID, "%s begins with no CSV header", sink->options.path);
    }
    return WEIR_OK;
}

weir_status wi_sink_sync(wi_sink *sink, weir_error *err)
{
    return wi_output_sync(sink->output, err);
}

void wi_sink_leave(wi_sink *sink, int64_t length)
{
    if (sink->output)
        wi_output_leave(sink->output, length);
    sink->output = NULL;
}
