/*
 * rows.h: what the tests of the readers share: a reader's rows as text, and the check
 * that they don't depend on how the input was cut.
 *
 * A row is shown as "LINE name=cell ... ! fault\n", without its absent cells; a JSON cell is shown
 * as name:cell, null as name:null.
 */
#ifndef WEIR_TEST_ROWS_H
#define WEIR_TEST_ROWS_H

#include "buf.h"
#include "reader.h"
#include "test.h"

static inline void show_row(wi_buf *out, const wi_batch *batch, size_t row)
{
    wi_schema *schema = wi_batch_schema(batch);
    wi_buf_printf(out, "%d", (int)wi_batch_line(batch, row));
    for (size_t i = 0; i < wi_schema_columns(schema); i++) {
        wi_cell cell = wi_batch_cell(batch, row, i);
        wi_name name = wi_schema_name(schema, i);
        if (cell.kind == WI_ABSENT)
            continue;
        wi_buf_putc(out, ' ');
        wi_buf_append(out, name.bytes, name.len);
        wi_buf_putc(out, cell.kind == WI_STRING ? '=' : ':');
        if (cell.kind == WI_NULL)
            wi_buf_puts(out, "null");
        else
            wi_buf_append(out, cell.bytes, cell.len);
    }
    if (wi_batch_fault(batch, row))
        wi_buf_printf(out, " ! %s", wi_batch_fault(batch, row));
    wi_buf_putc(out, '\n');
}

static inline weir_status show_ready(wi_reader *reader, size_t max_rows, wi_buf *out)
{
    for (;;) {
        weir_error err;
        wi_batch *batch = NULL;
        weir_status status = wi_reader_next(reader, max_rows, &batch, &err);
        if (status)
            wi_buf_printf(out, "failed: %s\n", err.text);
        if (status || !batch)
            return status;
        EXPECT(wi_batch_rows(batch) > 0 && wi_batch_rows(batch) <= max_rows);
        for (size_t i = 0; i < wi_batch_rows(batch); i++)
            show_row(out, batch, i);
        wi_batch_unref(batch);
    }
}

/* Feeds `first` bytes, then pieces of `step` bytes (0: all the rest). */
static inline void show_cut(wi_format format, size_t max_row, const char *text, size_t len,
                            size_t first, size_t step, wi_buf *out)
{
    wi_reader *reader = NULL;
    REQUIRE(wi_reader_new(format, "in", max_row, &reader, NULL) == WEIR_OK);
    weir_status status = WEIR_OK;
    for (size_t at = 0, n = first; at < len && !status; at += n, n = step ? step : len) {
        n = n > len - at ? len - at : n;
        if (n)
            EXPECT_INT(wi_reader_feed(reader, text + at, n, NULL), WEIR_OK);
        status = show_ready(reader, 1 + at % 3, out);
    }
    if (!status) {
        EXPECT_INT(wi_reader_feed(reader, NULL, 0, NULL), WEIR_OK);
        show_ready(reader, 2, out);
    }
    wi_reader_free(reader);
}

/* Reads text whole, cut in two at every place, and byte by byte: always `want`. */
static inline void expect_rows_n(wi_format format, size_t max_row, const char *text, size_t len,
                                 const char *want)
{
    wi_buf out = WI_BUF_INIT;
    show_cut(format, max_row, text, len, len, 0, &out);
    if (EXPECT_STR(wi_buf_cstr(&out), want)) {
        for (size_t first = 0; first <= len; first++) {
            wi_buf_clear(&out);
            show_cut(format, max_row, text, len, first, 0, &out);
            if (!EXPECT_STR(wi_buf_cstr(&out), want))
                break;
        }
        wi_buf_clear(&out);
        show_cut(format, max_row, text, len, 1, 1, &out);
        EXPECT_STR(wi_buf_cstr(&out), want);
    }
    wi_buf_fini(&out);
}

static inline void expect_rows(wi_format format, const char *text, const char *want)
{
    expect_rows_n(format, 1000, text, strlen(text), want);
}

#endif
