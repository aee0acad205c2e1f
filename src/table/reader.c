/*
 * reader.c: see reader.h. Its invariant: pending[at] is where a row begins (or the rest of one that
 * was too long), so what a row becomes never depends on how the input was cut when it was fed.
 */
#include "reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader_state.h"
#include "text.h"

enum { FAULTY_KEPT = 64 << 10 }; /* of a row with a fault, to know it by */

static bool has_suffix(const char *path, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);
    return len >= n && wi_text_equal_nocase(path + len - n, n, suffix);
}

wi_format wi_format_of_path(const char *path)
{
    size_t len = strlen(path);
    if (has_suffix(path, len, ".gz") || has_suffix(path, len, ".xz"))
        len -= 3;
    else if (has_suffix(path, len, ".bz2") || has_suffix(path, len, ".zst"))
        len -= 4;
    if (has_suffix(path, len, ".csv"))
        return WI_FORMAT_CSV;
    if (has_suffix(path, len, ".tsv"))
        return WI_FORMAT_TSV;
    if (has_suffix(path, len, ".ndjson") || has_suffix(path, len, ".jsonl") ||
        has_suffix(path, len, ".json"))
        return WI_FORMAT_NDJSON;
    return WI_FORMAT_LINES;
}

static weir_status set_kind(wi_reader *reader, wi_format format, weir_error *err)
{
    static const wi_name line = {.bytes = "line", .len = 4};
    switch (format) {
    case WI_FORMAT_AUTO:
        return set_kind(reader, wi_format_of_path(reader->name), err);
    case WI_FORMAT_CSV:
        reader->kind = &wi_reader_csv;
        return WEIR_OK;
    case WI_FORMAT_TSV:
        reader->kind = &wi_reader_tsv;
        return WEIR_OK;
    case WI_FORMAT_NDJSON:
        reader->kind = &wi_reader_ndjson;
        return wi_schema_new(NULL, 0, &reader->schema, err);
    case WI_FORMAT_LINES:
        reader->kind = &wi_reader_lines;
        return wi_schema_new(&line, 1, &reader->schema, err);
    }
    return wi_fail(err, WEIR_INTERNAL, "no such input format: %d", (int)format);
}

weir_status wi_reader_new(wi_format format, const char *name, size_t max_row, wi_reader **out,
                          weir_error *err)
{
    wi_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return wi_fail_nomem(err);
    reader->max_row = max_row < SIZE_MAX / 4 ? max_row : SIZE_MAX / 4;
    reader->line = 1;
    reader->name = strdup(name);
    weir_status status = reader->name ? set_kind(reader, format, err) : wi_fail_nomem(err);
    if (status) {
        wi_reader_free(reader);
        return status;
    }
    *out = reader;
    return WEIR_OK;
}

void wi_reader_free(wi_reader *reader)
{
    if (!reader)
        return;
    wi_batch_unref(reader->batch);
    wi_schema_unref(reader->schema);
    wi_buf_fini(&reader->pending);
    wi_buf_fini(&reader->clean);
    wi_buf_fini(&reader->scratch);
    free(reader->name);
    free(reader);
}

size_t wi_reader_bytes(const wi_reader *reader)
{
    return reader->pending.cap + reader->clean.cap + reader->scratch.cap;
}

wi_schema *wi_reader_schema(const wi_reader *reader)
{
    return reader->schema;
}

weir_status wi_reader_feed(wi_reader *reader, const char *bytes, size_t len, weir_error *err)
{
    if (reader->ended)
        return wi_fail(err, WEIR_CLOSED, "%s: the input has ended already", reader->name);
    if (!len) {
        reader->ended = true;
        return WEIR_OK;
    }
    wi_buf *pending = &reader->pending;
    if (reader->at >= pending->len / 2) { /* else moving would cost more than it frees */
        pending->len -= reader->at;
        if (pending->len)
            memmove(pending->data, pending->data + reader->at, pending->len);
        reader->at = 0;
    }
    if (!wi_buf_reserve(pending, len)) {
        pending->failed = false; /* nothing was lost: it may be fed again */
        return wi_fail_nomem(err);
    }
    wi_buf_append(pending, bytes, len);
    return WEIR_OK;
}

/* ---- for the formats ---- */

bool wi_reader_find_lf(wi_reader *reader, const char *row, size_t window, size_t *len)
{
    const char *lf = memchr(row + reader->scanned, '\n', window - reader->scanned);
    reader->scanned = window;
    if (lf)
        *len = (size_t)(lf - row);
    return lf != NULL;
}

void wi_reader_fault(wi_reader *reader, const char *row, const char *place, const char *format, ...)
{
    if (reader->faulty)
        return;
    reader->faulty = true;
    int64_t line = reader->line;
    size_t column = 1; /* in characters */
    for (const char *at = row; place && at < place; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*at & 0xC0) != 0x80) {
            column++;
        }
    }
    char where[32] = "";
    if (place)
        snprintf(where, sizeof where, ", column %zu", column);
    int n = snprintf(reader->fault, sizeof reader->fault, "%.200s line %lld%s: ", reader->name,
                     (long long)line, where);
    va_list ap;
    va_start(ap, format);
    vsnprintf(reader->fault + n, sizeof reader->fault - (size_t)n, format, ap);
    va_end(ap);
}

bool wi_reader_clean(wi_reader *reader, const char **row, size_t *len)
{
    const char *nul = memchr(*row, '\0', *len);
    size_t valid = wi_utf8_valid_prefix(*row, *len);
    if (nul && (size_t)(nul - *row) < valid)
        wi_reader_fault(reader, *row, nul, "a NUL byte: this does not look like text");
    if (valid == *len)
        return true;
    wi_reader_fault(reader, *row, *row + valid,
                    "byte 0x%02X is not valid UTF-8: convert the input, for example with iconv",
                    (unsigned char)(*row)[valid]);
    wi_buf_clear(&reader->clean);
    wi_utf8_append_lossy(&reader->clean, *row, *len);
    *row = reader->clean.data;
    *len = reader->clean.len;
    return !reader->clean.failed;
}

weir_status wi_reader_begin_row(wi_reader *reader, weir_error *err)
{
    if (!reader->batch) {
        weir_status status = wi_batch_new(reader->schema, &reader->batch, err);
        if (status)
            return status;
    }
    wi_batch_set_line(reader->batch, reader->line);
    return WEIR_OK;
}

weir_status wi_reader_end_row(wi_reader *reader, weir_error *err)
{
    if (reader->faulty) {
        size_t len = reader->row_len < FAULTY_KEPT ? reader->row_len : FAULTY_KEPT;
        wi_batch_set_fault(reader->batch, reader->fault);
        wi_batch_set_faulty(reader->batch, reader->row, len);
    }
    return wi_batch_end_row(reader->batch, err);
}

/* ---- cutting into rows ---- */

/* False: too little has come to know. */
static bool pass_byte_order_mark(wi_reader *reader)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t left = reader->pending.len - reader->at;
    size_t n = left < 3 ? left : 3;
    if (n && memcmp(reader->pending.data + reader->at, mark, n) == 0) {
        if (n < 3 && !reader->ended)
            return false;
        if (n == 3)
            reader->at += 3;
    }
    reader->begun = n > 0;
    return reader->begun;
}

static int64_t count_lines(const char *at, size_t len)
{
    int64_t n = 0;
    const char *end = at + len;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        n++;
    }
    return n;
}

/* The row at `at` has yet to be looked at: it is new, or could not be taken and is met again. */
static void begin_scan(wi_reader *reader)
{
    reader->scanned = 0;
    reader->state = 0;
    reader->breaks = 0;
}

static void advance(wi_reader *reader, size_t used, int64_t lines)
{
    reader->at += used;
    reader->line += lines;
    begin_scan(reader);
}

/* Passes over the rest of a row that was too long; false: its end has yet to come. */
static bool skip_rest(wi_reader *reader)
{
    const char *rest = reader->pending.data + reader->at;
    size_t left = reader->pending.len - reader->at;
    const char *lf = left ? memchr(rest, '\n', left) : NULL;
    reader->skipping = !lf;
    advance(reader, lf ? (size_t)(lf - rest) + 1 : left, lf != NULL);
    return !reader->skipping;
}

static weir_status take_too_long(wi_reader *reader, const char *row, weir_error *err)
{
    wi_reader_fault(reader, row, NULL, "the row is longer than %zu bytes (--max-row)",
                    reader->max_row);
    if (!reader->schema)
        return wi_fail(err, WEIR_TOOLARGE, "%s", reader->fault);
    weir_status status = wi_reader_begin_row(reader, err);
    if (!status)
        status = wi_reader_end_row(reader, err);
    if (!status) {
        advance(reader, reader->max_row, count_lines(row, reader->max_row));
        reader->skipping = true;
    }
    return status;
}

/* Takes one row; *more is false when no whole row is there. */
static weir_status step(wi_reader *reader, bool *more, weir_error *err)
{
    if (reader->skipping && !skip_rest(reader))
        *more = false;
    size_t left = reader->pending.len - reader->at;
    if (!*more || !left) {
        *more = false;
        return WEIR_OK;
    }
    const char *row = reader->pending.data + reader->at;
    size_t window = left <= reader->max_row ? left : reader->max_row + 1;
    size_t len = 0;
    size_t used;
    reader->faulty = false;
    reader->row = row;
    reader->row_len = window;
    if (reader->scanned < window && reader->kind->find_end(reader, row, window, &len)) {
        used = len + 1;
    } else if (left > reader->max_row) {
        return take_too_long(reader, row, err);
    } else if (reader->ended) {
        used = len = left;
    } else {
        *more = false;
        return WEIR_OK;
    }
    if (len && row[len - 1] == '\r')
        len--;
    reader->row_len = len;
    int64_t lines = reader->breaks + 1;
    weir_status status = reader->kind->take(reader, row, len, err);
    if (!status)
        advance(reader, used, lines);
    else
        begin_scan(reader);
    return status;
}

weir_status wi_reader_next(wi_reader *reader, size_t max_rows, wi_batch **out, weir_error *err)
{
    bool more = reader->begun || pass_byte_order_mark(reader);
    while (more && (!reader->batch || wi_batch_rows(reader->batch) < max_rows)) {
        weir_status status = step(reader, &more, err);
        if (status)
            return status;
    }
    *out = reader->batch;
    reader->batch = NULL;
    return WEIR_OK;
}
