/*
 * scan_record.c: rows of records: the file's own columns between path and error. Its invariant:
 * rows->uses tells of each column of rows->record what becomes of it, and rows->batch (or the
 * sieve) has a place for all of them, two further on.
 */
#include <stdio.h>
#include <string.h>

#include "columns.h"
#include "scan_rows_state.h"

static const char *const first[] = {"path", "line"};
static const char *const last[] = {"path_encoding", "error"};

/* ---- which columns there are ---- */

static bool same_columns(const wi_schema *a, const wi_schema *b)
{
    size_t n = wi_schema_columns(a);
    if (n != wi_schema_columns(b))
        return false;
    for (size_t i = 0; i < n; i++) {
        wi_name x = wi_schema_name(a, i);
        wi_name y = wi_schema_name(b, i);
        if (x.len != y.len || (x.len && memcmp(x.bytes, y.bytes, x.len) != 0))
            return false;
    }
    return true;
}

static bool is_judged(const wi_scan_rows *rows, wi_name name)
{
    const wi_expr *where = rows->shape->options.where;
    for (size_t i = 0; where && i < wi_expr_columns(where); i++) {
        wi_name column = wi_expr_column(where, i);
        if (column.len == name.len && memcmp(column.bytes, name.bytes, name.len) == 0)
            return true;
    }
    return false;
}

static char use_of(const wi_scan_rows *rows, const wi_schema *header, wi_name name)
{
    const wi_scan_shape *shape = rows->shape;
    char use = is_judged(rows, name) ? WI_SCAN_JUDGED : 0;
    if (shape->counts)
        return use;
    if (!header || wi_schema_find(header, name.bytes, name.len) >= 0)
        return (char)(use | WI_SCAN_WRITTEN);
    return (char)(use | (shape->open ? WI_SCAN_STRAY : 0));
}

static weir_status plan(wi_scan_rows *rows, const wi_schema *all, weir_error *err)
{
    const wi_schema *header = wi_scan_shape_header(rows->shape);
    size_t n = wi_schema_columns(all) - WI_SCAN_RECORD_FIRST - WI_SCAN_PATH_ENCODING_FROM_END;
    wi_buf_clear(&rows->uses);
    rows->has_strays = false;
    for (size_t i = 0; i < n; i++) {
        char use = use_of(rows, header, wi_schema_name(all, i + WI_SCAN_RECORD_FIRST));
        rows->has_strays |= (use & WI_SCAN_STRAY) != 0;
        wi_buf_putc(&rows->uses, use);
    }
    return rows->uses.failed ? wi_fail_nomem(err) : WEIR_OK;
}

/* The first file with columns says what the header of a CSV is. */
static weir_status offer_header(wi_scan_rows *rows, wi_schema *all, size_t own, weir_error *err)
{
    wi_scan_waiting taken = {0};
    if (!wi_scan_shape_waits(rows->shape) || rows->header_known || !own)
        return WEIR_OK;
    weir_status status = wi_scan_shape_fix_header(rows->shape, all, rows->path, rows->path_len,
                                                  wi_scan_rows_is_whole(rows) ? &taken : NULL, err);
    if (!status)
        status = wi_scan_rows_learn_header(rows, &taken, err);
    wi_scan_waiting_fini(&taken);
    return status;
}

static weir_status take_up(wi_scan_rows *rows, wi_schema *record, wi_schema *all, weir_error *err)
{
    wi_batch **place = rows->shape->counts ? &rows->sieve : &rows->batch;
    wi_batch *batch = NULL;
    weir_status status = wi_scan_rows_render(rows, err);
    if (!status)
        status = offer_header(rows, all, wi_schema_columns(record), err);
    if (!status)
        status = wi_batch_new(all, &batch, err);
    if (!status)
        status = plan(rows, all, err);
    if (status) {
        wi_batch_unref(batch);
        wi_schema_unref(rows->record);
        rows->record = NULL; /* its plan may be gone */
        return status;
    }
    wi_batch_unref(*place);
    *place = batch;
    wi_schema_ref(record);
    wi_schema_unref(rows->record);
    rows->record = record;
    return WEIR_OK;
}

weir_status wi_scan_rows_columns(wi_scan_rows *rows, wi_schema *record, weir_error *err)
{
    if (rows->record == record || (rows->record && same_columns(rows->record, record)))
        return WEIR_OK;
    wi_schema *all = NULL;
    weir_status status = wi_columns_join(first, 2, record, last, 2, &all, err);
    if (!status)
        status = take_up(rows, record, all, err);
    wi_schema_unref(all);
    return status;
}

/* ---- rows ---- */

static size_t put_cells(wi_scan_rows *rows, wi_batch *to, const wi_batch *from, size_t row,
                        char with, char without)
{
    size_t bytes = 0;
    for (size_t i = 0; i < rows->uses.len; i++) {
        char use = rows->uses.data[i];
        if (!(use & with) || (use & without))
            continue;
        wi_cell cell = wi_batch_cell(from, row, i);
        bytes += cell.len;
        wi_batch_put_cell(to, i + WI_SCAN_RECORD_FIRST, &cell);
    }
    return bytes;
}

/* The column with a value for which the header has no place, or -1. */
static int stray_of(const wi_scan_rows *rows, const wi_batch *batch, size_t row)
{
    for (size_t i = 0; rows->has_strays && i < rows->uses.len; i++) {
        if (!(rows->uses.data[i] & WI_SCAN_STRAY))
            continue;
        wi_cell_kind kind = wi_batch_cell(batch, row, i).kind;
        if (kind != WI_ABSENT && kind != WI_NULL)
            return (int)i;
    }
    return -1;
}

static weir_status fail_stray(wi_scan_rows *rows, const wi_batch *batch, size_t row, int stray,
                              weir_error *err)
{
    char text[WEIR_ERROR_TEXT_SIZE];
    wi_name name = wi_schema_name(wi_batch_schema(batch), (size_t)stray);
    snprintf(text, sizeof text,
             "column \"%.*s\" is not in the CSV's header, which is that of %.200s: write NDJSON, "
             "whose rows may differ, or name the columns (--select)",
             name.len < 100 ? (int)name.len : 100, name.bytes,
             rows->shape->header_path ? rows->shape->header_path : "failed files");
    return wi_scan_rows_fail(rows, wi_batch_line(batch, row), text, err);
}

typedef enum fate { DROPPED, KEPT, FAULTY } fate;

/* Puts what --where is about, and asks it. */
static weir_status judge(wi_scan_rows *rows, wi_batch *to, const wi_batch *batch, size_t row,
                         size_t *bytes, bool *keeps, weir_error *err)
{
    int64_t line = wi_batch_line(batch, row);
    wi_scan_rows_put_path(rows, to);
    if (line)
        wi_batch_put_int(to, 1, line);
    *bytes = rows->path_len + put_cells(rows, to, batch, row, WI_SCAN_JUDGED, 0);
    return wi_scan_rows_judge(rows, to, keeps, err);
}

/* A record that is not written into the batch: it is not wanted, or not possible. */
static weir_status put_nothing(wi_scan_rows *rows, wi_batch *to, const wi_batch *batch, size_t row,
                               int stray, bool is_empty, weir_error *err)
{
    weir_status status = wi_batch_drop_row(to, err);
    if (!status && stray >= 0)
        return fail_stray(rows, batch, row, stray, err);
    if (!status && is_empty)
        return wi_scan_rows_fail(rows, wi_batch_line(batch, row), NULL, err);
    return status;
}

static weir_status put_row(wi_scan_rows *rows, const wi_batch *batch, size_t row, fate *became,
                           weir_error *err)
{
    bool counts = rows->shape->counts;
    wi_batch *to = counts ? rows->sieve : rows->batch;
    bool keeps;
    size_t bytes;
    *became = KEPT;
    if (counts && !rows->filter)
        return WEIR_OK;
    weir_status status = judge(rows, to, batch, row, &bytes, &keeps, err);
    if (status) {
        wi_batch_drop_row(to, NULL);
        return status;
    }
    int stray = keeps ? stray_of(rows, batch, row) : -1;
    *became = stray >= 0 ? FAULTY : keeps ? KEPT : DROPPED;
    bool is_empty = keeps && wi_scan_shape_waits(rows->shape) && !rows->header_known;
    if (*became != KEPT || counts || is_empty)
        return put_nothing(rows, to, batch, row, stray, is_empty, err);
    bytes += put_cells(rows, to, batch, row, WI_SCAN_WRITTEN, WI_SCAN_JUDGED);
    return wi_scan_rows_end(rows, bytes, err);
}

weir_status wi_scan_rows_records(wi_scan_rows *rows, const wi_batch *batch, int64_t *kept,
                                 int64_t *faults, weir_error *err)
{
    int64_t counts[FAULTY + 1] = {0};
    weir_status status = wi_scan_rows_columns(rows, wi_batch_schema(batch), err);
    for (size_t row = 0; !status && row < wi_batch_rows(batch); row++) {
        const char *fault = wi_batch_fault(batch, row);
        fate became = FAULTY;
        if (fault)
            status = wi_scan_rows_fail(rows, wi_batch_line(batch, row), fault, err);
        else
            status = put_row(rows, batch, row, &became, err);
        counts[became]++;
    }
    if (status)
        return status;
    *kept = counts[KEPT];
    *faults = counts[FAULTY];
    return WEIR_OK;
}
