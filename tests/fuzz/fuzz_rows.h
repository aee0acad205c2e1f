/* fuzz_rows.h: reading rows in any pieces, shown so that two readings can be compared. */
#ifndef WI_FUZZ_ROWS_H
#define WI_FUZZ_ROWS_H

#include "buf.h"
#include "fuzz.h"
#include "json.h"
#include "reader.h"
#include "text.h"
#include "writer.h"

/* What a reading gave. Lengths stand before bytes, so nothing can be mistaken. */
typedef struct reading {
    wi_buf all;     /* every row with line, fault and cells, or the failure */
    wi_buf cells;   /* only the cells, the absent ones as empty text */
    wi_buf written; /* the rows as the writer has them */
} reading;

static inline void reading_fini(reading *r)
{
    wi_buf_fini(&r->all);
    wi_buf_fini(&r->cells);
    wi_buf_fini(&r->written);
}

static inline void show(wi_buf *out, const char *bytes, size_t len)
{
    wi_buf_printf(out, " %zu:", len);
    wi_buf_append(out, bytes, len);
}

/* Is it what its kind promises? */
static inline void check_cell(const wi_cell *cell)
{
    if (cell->kind == WI_STRING) {
        CHECK(wi_utf8_valid_prefix(cell->bytes, cell->len) == cell->len);
    } else if (cell->kind == WI_JSON) {
        wi_json_result result = wi_json_check(cell->bytes, cell->len);
        CHECK(result.type != WI_JSON_INVALID && result.type != WI_JSON_NULL && !result.has_space);
    } else {
        CHECK(cell->kind == WI_ABSENT || cell->kind == WI_NULL);
    }
}

static inline void show_batch(reading *r, const wi_batch *batch)
{
    size_t columns = wi_schema_columns(wi_batch_schema(batch));
    for (size_t row = 0; row < wi_batch_rows(batch); row++) {
        const char *fault = wi_batch_fault(batch, row);
        wi_buf_printf(&r->all, "\nline %lld", (long long)wi_batch_line(batch, row));
        wi_buf_putc(&r->cells, '\n');
        if (fault)
            show(&r->all, fault, strlen(fault));
        for (size_t i = 0; i < columns; i++) {
            wi_cell cell = wi_batch_cell(batch, row, i);
            check_cell(&cell);
            show(&r->cells, cell.bytes, cell.len);
            if (cell.kind == WI_ABSENT)
                continue;
            wi_buf_printf(&r->all, " %zu/%d", i, (int)cell.kind);
            show(&r->all, cell.bytes, cell.len);
        }
    }
}

static inline void show_schema(reading *r, const wi_reader *reader)
{
    wi_schema *schema = wi_reader_schema(reader);
    for (size_t i = 0; schema && i < wi_schema_columns(schema); i++) {
        wi_name name = wi_schema_name(schema, i);
        CHECK(wi_schema_find(schema, name.bytes, name.len) == (int)i);
        show(&r->all, name.bytes, name.len);
        show(&r->cells, name.bytes, name.len);
    }
}

/* Takes all rows that are ready, `max_rows` at a time; false when the reader failed. */
static inline bool take_rows(reading *r, wi_reader *reader, size_t max_rows, wi_row_writer *writer)
{
    for (;;) {
        wi_batch *batch = NULL;
        weir_error err;
        if (wi_reader_next(reader, max_rows, &batch, &err)) {
            wi_buf_printf(&r->all, "\nfailed: %s", err.text);
            return false;
        }
        if (!batch)
            return true;
        CHECK(wi_batch_rows(batch) > 0 && wi_batch_rows(batch) <= max_rows);
        show_batch(r, batch);
        if (writer)
            CHECK(wi_row_writer_append(writer, batch, &r->written, NULL) == WEIR_OK);
        wi_batch_unref(batch);
    }
}

/* Reads bytes in pieces of `step`, or whole (0) and then writes it, too. */
static inline reading read_rows(wi_format format, size_t max_row, const char *bytes, size_t len,
                                size_t step, wi_format write_as)
{
    reading r = {0};
    wi_reader *reader = NULL;
    wi_row_writer *writer = NULL;
    bool whole = step == 0;
    bool good = true;
    CHECK(wi_reader_new(format, "in", max_row, &reader, NULL) == WEIR_OK);
    if (whole)
        CHECK(wi_row_writer_new(write_as, &writer, NULL) == WEIR_OK);
    for (size_t at = 0, n; at < len && good; at += n) {
        n = whole || step > len - at ? len - at : step;
        CHECK(wi_reader_feed(reader, bytes + at, n, NULL) == WEIR_OK);
        if (!whole)
            good = take_rows(&r, reader, 1 + at % 5, NULL);
    }
    if (good) {
        CHECK(wi_reader_feed(reader, NULL, 0, NULL) == WEIR_OK);
        take_rows(&r, reader, whole ? SIZE_MAX : 3, writer);
    }
    show_schema(&r, reader);
    wi_row_writer_free(writer);
    wi_reader_free(reader);
    CHECK(!r.all.failed && !r.cells.failed && !r.written.failed);
    return r;
}

static inline void check_same(const wi_buf *a, const wi_buf *b)
{
    CHECK(a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0));
}

#endif
