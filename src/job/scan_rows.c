/*
 * scan_rows.c: see scan_rows.h. Its invariant: rows come out in the order in which they were put,
 * so what waits in the batch is written before anything that is written past it.
 */
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "json.h"
#include "scan_rows_state.h"
#include "text.h"

enum {
    BATCH_ROWS = 1000,
    BATCH_BYTES = 256 << 10,
    BATCH_KEPT = 1 << 20, /* storage of a batch that is kept for the next rows */
};

enum { LINE_LINE = 1, LINE_TEXT, LINE_TEXT_ENCODING, LINE_FIRST_GROUP };
enum { WHOLE_SIZE = 1, WHOLE_CONTENT, WHOLE_ENCODING };

/* ---- making ---- */

static weir_status make_writer(const wi_scan_shape *shape, wi_format format, wi_row_writer **out,
                               weir_error *err)
{
    const char *const *names;
    size_t n = wi_scan_form_optional(shape->options.form, &names);
    weir_status status = wi_row_writer_new(format, out, err);
    for (size_t i = 0; !status && i < n; i++)
        status = wi_row_writer_optional(*out, names[i], err);
    return status;
}

static weir_status make_writers(wi_scan_rows *rows, weir_error *err)
{
    const wi_scan_shape_options *o = &rows->shape->options;
    wi_format failures = o->errors_apart ? o->errors_format : o->format;
    weir_status status = make_writer(rows->shape, o->format, &rows->writer, err);
    if (!status)
        status = make_writer(rows->shape, failures, &rows->failure_writer, err);
    if (status)
        return status;
    if (o->terminal)
        wi_row_writer_for_terminal(rows->writer);
    if (o->terminal && !o->errors_apart)
        wi_row_writer_for_terminal(rows->failure_writer);
    if (o->errors_apart && failures == WI_FORMAT_CSV)
        wi_row_writer_fix(rows->failure_writer, rows->shape->failure);
    return wi_scan_rows_learn_header(rows, NULL, err);
}

weir_status wi_scan_rows_new(wi_scan_shape *shape, wi_scan_rows **out, weir_error *err)
{
    wi_scan_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return wi_fail_nomem(err);
    rows->shape = shape;
    weir_status status = make_writers(rows, err);
    if (!status)
        status = wi_batch_new(shape->failure, &rows->failures, err);
    if (!status && shape->columns)
        status = wi_batch_new(shape->columns, &rows->batch, err);
    if (!status && shape->counts && shape->judged)
        status = wi_batch_new(shape->judged, &rows->sieve, err);
    if (!status && shape->options.where)
        status = wi_filter_new(shape->options.where, &rows->filter, err);
    if (status) {
        wi_scan_rows_free(rows);
        return status;
    }
    *out = rows;
    return WEIR_OK;
}

void wi_scan_rows_free(wi_scan_rows *rows)
{
    if (!rows)
        return;
    wi_filter_free(rows->filter);
    wi_batch_unref(rows->batch);
    wi_batch_unref(rows->sieve);
    wi_batch_unref(rows->failures);
    wi_batch_unref(rows->waiting);
    wi_row_writer_free(rows->writer);
    wi_row_writer_free(rows->failure_writer);
    wi_schema_unref(rows->record);
    wi_buf_fini(&rows->uses);
    wi_buf_fini(&rows->head);
    wi_buf_fini(&rows->tail);
    wi_buf_fini(&rows->scratch);
    free(rows);
}

void wi_scan_rows_begin(wi_scan_rows *rows, const char *path, size_t len, wi_portion *portion)
{
    rows->path = path;
    rows->path_len = len;
    rows->path_kind = WI_ABSENT;
    rows->portion = portion;
    rows->begins = wi_portion_place_now(portion);
    rows->first_row = rows->batch ? wi_batch_rows(rows->batch) : 0;
    wi_buf_clear(&rows->head);
    wi_buf_clear(&rows->tail);
}

/* ---- writing what waits ---- */

static wi_buf *ends_of(wi_scan_rows *rows)
{
    return rows->shape->options.limited ? &rows->portion->row_ends : NULL;
}

/* Gives back what a row far longer than others took. */
static void empty(wi_batch **batch)
{
    wi_batch *fresh = NULL;
    if (wi_batch_bytes(*batch) <= BATCH_KEPT ||
        wi_batch_new(wi_batch_schema(*batch), &fresh, NULL) != WEIR_OK) {
        wi_batch_clear(*batch);
        return;
    }
    wi_batch_unref(*batch);
    *batch = fresh;
}

/* The file's rows begin where the one before them ends. */
static void find_beginning(wi_scan_rows *rows, const wi_buf *ends)
{
    size_t end;
    memcpy(&end, ends->data + (rows->first_row - 1) * sizeof end, sizeof end);
    rows->begins.rows = rows->portion->before.rows + end;
}

weir_status wi_scan_rows_render(wi_scan_rows *rows, weir_error *err)
{
    if (!rows->batch || !wi_batch_rows(rows->batch))
        return WEIR_OK;
    bool finds = rows->first_row && rows->portion->journaled;
    wi_buf *ends = finds ? &rows->scratch : ends_of(rows);
    wi_buf_clear(&rows->scratch);
    weir_status status =
        wi_row_writer_append_ends(rows->writer, rows->batch, &rows->portion->rows, ends, err);
    if (status)
        return status;
    if (finds)
        find_beginning(rows, ends);
    empty(&rows->batch);
    rows->first_row = 0;
    rows->pending = 0;
    return WEIR_OK;
}

/* A part of the file's rows may go out now, and others wait for a header: they would be torn apart.
 * So there is to be no other than for them. */
static weir_status force_header(wi_scan_rows *rows, weir_error *err)
{
    wi_scan_waiting taken = {0};
    weir_status status = wi_scan_shape_fix_header(rows->shape, rows->shape->failure, NULL, 0,
                                                  wi_scan_rows_is_whole(rows) ? &taken : NULL, err);
    if (!status)
        status = wi_scan_rows_learn_header(rows, &taken, err);
    wi_scan_waiting_fini(&taken);
    return status;
}

weir_status wi_scan_rows_settle(wi_scan_rows *rows, weir_error *err)
{
    weir_status status =
        rows->waiting && rows->portion->journaled ? force_header(rows, err) : WEIR_OK;
    return status ? status : wi_scan_rows_render(rows, err);
}

weir_status wi_scan_rows_end(wi_scan_rows *rows, size_t bytes, weir_error *err)
{
    weir_status status = wi_batch_end_row(rows->batch, err);
    rows->pending += bytes;
    if (!status && (rows->pending >= BATCH_BYTES || wi_batch_rows(rows->batch) >= BATCH_ROWS))
        status = wi_scan_rows_render(rows, err);
    return status;
}

weir_status wi_scan_rows_judge(wi_scan_rows *rows, const wi_batch *batch, bool *keeps,
                               weir_error *err)
{
    *keeps = true;
    if (!rows->filter)
        return WEIR_OK;
    return wi_filter_keeps(rows->filter, batch, wi_batch_rows(batch), keeps, err);
}

weir_status wi_scan_rows_finish(wi_scan_rows *rows, size_t bytes, bool *kept, weir_error *err)
{
    bool keeps;
    weir_status status = wi_scan_rows_judge(rows, rows->batch, &keeps, err);
    if (status) {
        wi_batch_drop_row(rows->batch, NULL);
        return status;
    }
    status = keeps ? wi_scan_rows_end(rows, bytes, err) : wi_batch_drop_row(rows->batch, err);
    if (!status && kept)
        *kept = keeps;
    return status;
}

/* ---- the header ---- */

/* No row of this file is in the portion, nor any in the batch: they would have needed a header. */
static weir_status write_waiting(wi_scan_rows *rows, const wi_scan_waiting *taken, weir_error *err)
{
    wi_portion *portion = rows->portion;
    weir_status status = WEIR_OK;
    if (taken && taken->rows) {
        size_t own = wi_portion_place_now(portion).failed_rows - rows->begins.failed_rows;
        status = wi_scan_waiting_write(taken, rows->writer, rows->shape->options.limited, portion,
                                       own, err);
        rows->begins = wi_portion_place_now(portion);
        rows->begins.failed_rows -= own;
    }
    if (!status && rows->waiting)
        status = wi_scan_rows_write_past(rows, rows->waiting, err);
    if (status)
        return status;
    wi_batch_unref(rows->waiting);
    rows->waiting = NULL;
    return status;
}

weir_status wi_scan_rows_learn_header(wi_scan_rows *rows, const wi_scan_waiting *taken,
                                      weir_error *err)
{
    const wi_scan_shape_options *o = &rows->shape->options;
    wi_schema *header = rows->header_known ? NULL : wi_scan_shape_header(rows->shape);
    if (!header)
        return WEIR_OK;
    rows->header_known = true;
    wi_row_writer_fix(rows->writer, header);
    /* NDJSON always tells of a failure whatever there is to tell. */
    if (!o->errors_apart && o->format == WI_FORMAT_CSV)
        wi_row_writer_fix(rows->failure_writer, header);
    return write_waiting(rows, taken, err);
}

/* ---- paths and texts ---- */

static bool path_is_text(wi_scan_rows *rows)
{
    if (rows->path_kind == WI_ABSENT)
        rows->path_kind = wi_text_is(rows->path, rows->path_len) ? WI_STRING : WI_BINARY;
    return rows->path_kind == WI_STRING;
}

void wi_scan_rows_put_path(wi_scan_rows *rows, wi_batch *batch)
{
    bool is_text = path_is_text(rows);
    wi_batch_put(batch, WI_SCAN_PATH, rows->path_kind, rows->path, rows->path_len);
    if (is_text)
        return;
    size_t n = wi_schema_columns(wi_batch_schema(batch));
    wi_batch_put(batch, n - WI_SCAN_PATH_ENCODING_FROM_END, WI_STRING, "base64", 6);
}

void wi_scan_rows_put_text(wi_batch *batch, size_t column, size_t encoding, const char *bytes,
                           size_t len)
{
    bool is_text = wi_text_is(bytes, len);
    wi_batch_put(batch, column, is_text ? WI_STRING : WI_BINARY, bytes, len);
    if (!is_text)
        wi_batch_put(batch, encoding, WI_STRING, "base64", 6);
}

/* ---- lines ---- */

static const char text_key[] = ",\"text\":\"";
static const char text_end[] = "\"";
static const char bytes_end[] = "\",\"text_encoding\":\"base64\"";

/* What stands before the number and after the text in every line of the file. */
static bool frame_lines(wi_scan_rows *rows)
{
    wi_buf_puts(&rows->head, "{\"path\":\"");
    if (path_is_text(rows)) {
        wi_json_append_escaped(&rows->head, rows->path, rows->path_len);
    } else {
        wi_text_append_base64(&rows->head, rows->path, rows->path_len);
        wi_buf_puts(&rows->tail, ",\"path_encoding\":\"base64\"");
    }
    wi_buf_puts(&rows->head, "\",\"line\":");
    wi_buf_puts(&rows->tail, "}\n");
    if (!rows->head.failed && !rows->tail.failed)
        return true;
    wi_buf_clear(&rows->head);
    wi_buf_clear(&rows->tail);
    return false;
}

static weir_status write_line(wi_scan_rows *rows, int64_t line, const char *text, size_t len,
                              weir_error *err)
{
    wi_buf *out = &rows->portion->rows;
    wi_buf *ends = ends_of(rows);
    size_t mark = out->len;
    if (!rows->head.len && !frame_lines(rows))
        return wi_fail_nomem(err);
    wi_buf_append(out, rows->head.data, rows->head.len);
    wi_buf_put_i64(out, line);
    wi_buf_append(out, text_key, sizeof text_key - 1);
    if (wi_json_append_text(out, text, len)) {
        wi_buf_append(out, text_end, sizeof text_end - 1);
    } else {
        wi_text_append_base64(out, text, len);
        wi_buf_append(out, bytes_end, sizeof bytes_end - 1);
    }
    wi_buf_append(out, rows->tail.data, rows->tail.len);
    if (ends && !out->failed)
        wi_buf_append(ends, &out->len, sizeof out->len);
    if (!out->failed && !(ends && ends->failed))
        return WEIR_OK;
    out->len = mark;
    out->failed = false;
    if (ends)
        ends->failed = false;
    return wi_fail_nomem(err);
}

/* A group is text even where the line is none, but for what its bytes were cut out of. */
static void put_groups(wi_scan_rows *rows, wi_batch *batch, const char *text, const wi_span *groups)
{
    size_t n = wi_schema_columns(wi_batch_schema(batch)) - WI_SCAN_PATH_ENCODING_FROM_END;
    for (size_t column = LINE_FIRST_GROUP; column < n; column++, groups++) {
        if (groups->begin == SIZE_MAX) {
            wi_batch_put_null(batch, column);
            continue;
        }
        const char *group = text + groups->begin;
        size_t len = groups->end - groups->begin;
        wi_buf *clean = &rows->scratch;
        if (!wi_text_is(group, len)) {
            wi_buf_clear(clean);
            wi_utf8_append_lossy(clean, group, len);
            group = clean->data;
            len = clean->len;
        }
        wi_batch_put(batch, column, WI_STRING, group, len);
    }
}

static void put_line(wi_scan_rows *rows, wi_batch *batch, int64_t line, const char *text,
                     size_t len, const wi_span *groups)
{
    wi_scan_rows_put_path(rows, batch);
    wi_batch_put_int(batch, LINE_LINE, line);
    wi_scan_rows_put_text(batch, LINE_TEXT, LINE_TEXT_ENCODING, text, len);
    if (groups)
        put_groups(rows, batch, text, groups);
}

/* A line that is only to be judged. */
static weir_status judge_line(wi_scan_rows *rows, int64_t line, const char *text, size_t len,
                              const wi_span *groups, bool *kept, weir_error *err)
{
    bool keeps = true;
    weir_status status = WEIR_OK;
    if (rows->filter) {
        put_line(rows, rows->sieve, line, text, len, groups);
        status = wi_scan_rows_judge(rows, rows->sieve, &keeps, err);
        weir_status dropped = wi_batch_drop_row(rows->sieve, status ? NULL : err);
        status = status ? status : dropped;
    }
    if (!status && kept)
        *kept = keeps;
    return status;
}

weir_status wi_scan_rows_line(wi_scan_rows *rows, int64_t line, const char *text, size_t len,
                              const wi_span *groups, bool *kept, weir_error *err)
{
    if (rows->shape->counts)
        return judge_line(rows, line, text, len, groups, kept, err);
    if (!rows->shape->plain) {
        put_line(rows, rows->batch, line, text, len, groups);
        return wi_scan_rows_finish(rows, rows->path_len + len, kept, err);
    }
    weir_status status = write_line(rows, line, text, len, err);
    if (!status && kept)
        *kept = true;
    return status;
}

/* ---- whole files, counts, paths ---- */

weir_status wi_scan_rows_whole(wi_scan_rows *rows, const char *bytes, size_t len, bool *kept,
                               weir_error *err)
{
    wi_buf content = {.data = (char *)bytes, .len = len, .cap = len}; /* read only */
    bool minify;
    wi_cell_kind kind = wi_content_kind(bytes, len, wi_content_looks_structured(&content), &minify);
    wi_buf minified = WI_BUF_INIT;
    if (minify) {
        wi_json_append_minified(&minified, bytes, len);
        if (minified.failed)
            return wi_fail_nomem(err);
        content = minified;
    }
    wi_scan_rows_put_path(rows, rows->batch);
    wi_batch_put_int(rows->batch, WHOLE_SIZE, (int64_t)len);
    wi_batch_put(rows->batch, WHOLE_CONTENT, kind, content.data, content.len);
    if (kind == WI_BINARY)
        wi_batch_put(rows->batch, WHOLE_ENCODING, WI_STRING, "base64", 6);
    wi_buf_fini(&minified);
    return wi_scan_rows_finish(rows, rows->path_len + len, kept, err);
}

weir_status wi_scan_rows_count(wi_scan_rows *rows, int64_t count, weir_error *err)
{
    wi_scan_rows_put_path(rows, rows->batch);
    wi_batch_put_int(rows->batch, 1, count);
    return wi_scan_rows_end(rows, rows->path_len, err);
}

weir_status wi_scan_rows_path(wi_scan_rows *rows, weir_error *err)
{
    wi_scan_rows_put_path(rows, rows->batch);
    return wi_scan_rows_end(rows, rows->path_len, err);
}

/* ---- failures ---- */

static weir_status write_past(wi_scan_rows *rows, wi_row_writer *writer, const wi_batch *batch,
                              weir_error *err)
{
    weir_status status = wi_scan_rows_render(rows, err);
    if (status)
        return status;
    return wi_row_writer_append_ends(writer, batch, &rows->portion->rows, ends_of(rows), err);
}

weir_status wi_scan_rows_write_past(wi_scan_rows *rows, const wi_batch *batch, weir_error *err)
{
    return write_past(rows, rows->writer, batch, err);
}

/* What is in rows->failures waits with the file, which so keeps its rows together. */
static weir_status wait_for_header(wi_scan_rows *rows, weir_error *err)
{
    weir_status status = wi_scan_copy_rows(&rows->waiting, rows->failures, err);
    if (!status)
        status = wi_scan_rows_learn_header(rows, NULL, err);
    if (!status && rows->waiting && wi_batch_rows(rows->waiting) >= WI_SCAN_MOST_WAITING)
        status = force_header(rows, err);
    return status;
}

weir_status wi_scan_rows_fail(wi_scan_rows *rows, int64_t line, const char *error, weir_error *err)
{
    wi_batch *batch = rows->failures;
    size_t n = wi_schema_columns(wi_batch_schema(batch));
    wi_batch_clear(batch);
    wi_scan_rows_put_path(rows, batch);
    if (line)
        wi_batch_put_int(batch, LINE_LINE, line);
    if (error)
        wi_content_put_text(batch, n - WI_SCAN_ERROR_FROM_END, error);
    weir_status status = wi_batch_end_row(batch, err);
    if (status)
        return status;
    if (error && rows->shape->options.errors_apart)
        return wi_row_writer_append(rows->failure_writer, batch, &rows->portion->failed_rows, err);
    if (wi_scan_shape_waits(rows->shape) && !rows->header_known)
        return wait_for_header(rows, err);
    return error ? write_past(rows, rows->failure_writer, batch, err)
                 : wi_scan_rows_write_past(rows, batch, err);
}

weir_status wi_scan_rows_failure(wi_scan_rows *rows, const char *error, weir_error *err)
{
    return wi_scan_rows_fail(rows, 0, error, err);
}

/* ---- the end of a file ---- */

/* Has it rows that wait for a header, and so no place yet? Then so does what is to be told of it.
 */
static bool is_put_aside(wi_scan_rows *rows, bool failed, weir_status *status, weir_error *err)
{
    wi_portion *portion = rows->portion;
    const wi_portion_done done = {.key = portion->key,
                                  .failed = failed,
                                  .to.failed_rows = wi_portion_place_now(portion).failed_rows -
                                                    rows->begins.failed_rows};
    bool journaled = portion->journaled;
    size_t stay = portion->failed_rows.len - (journaled ? done.to.failed_rows : 0);
    const char *apart = portion->failed_rows.data;
    if (!wi_scan_shape_defer(rows->shape, rows->waiting, journaled ? &done : NULL,
                             apart ? apart + stay : "", status, err))
        return false;
    if (*status == WEIR_OK)
        portion->failed_rows.len = stay;
    wi_batch_unref(rows->waiting);
    rows->waiting = NULL;
    return true;
}

weir_status wi_scan_rows_done(wi_scan_rows *rows, bool failed, weir_error *err)
{
    weir_status status = WEIR_OK;
    if (rows->waiting && rows->portion->journaled && !wi_scan_rows_is_whole(rows))
        status = force_header(rows, err);
    if (!status && rows->waiting && is_put_aside(rows, failed, &status, err))
        return status;
    if (!status && rows->waiting)
        status = wi_scan_rows_learn_header(rows, NULL, err);
    if (!status && failed && rows->portion->journaled)
        status = wi_scan_rows_render(rows, err);
    if (!status)
        wi_portion_item_done(rows->portion, failed, rows->begins);
    return status;
}

weir_status wi_scan_rows_cut(wi_scan_rows *rows, weir_error *err)
{
    if (!rows->portion->journaled)
        return wi_scan_rows_done(rows, false, err);
    wi_batch_unref(rows->waiting);
    rows->waiting = NULL;
    weir_status status = wi_scan_rows_render(rows, err);
    if (!status)
        wi_portion_item_cut(rows->portion, rows->begins);
    return status;
}
