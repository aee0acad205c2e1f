/*
 * fuzz_records.c: whatever tables a scan meets, its rows of records are sound NDJSON or a sound
 * CSV, without anything that could steer a terminal in NDJSON, each record is kept, faulty or left
 * out, and a journal is told of each file. The first byte has the formats, the second what is asked
 * of the records; NULs part the files.
 */
#include "fuzz_rows.h"
#include "scan_rows.h"

typedef struct stage {
    wi_scan_shape *shape;
    wi_scan_rows *rows;
    wi_portion portion;
    int64_t files, read, kept, faults;
    bool failed; /* a file has too many columns */
} stage;

static wi_expr *condition(unsigned which)
{
    static const char *const all[] = {"a > 1", "line % 2 = 1 or `b c` is null", "path like '%e'",
                                      "error is not null"};
    wi_expr *expr = NULL;
    const char *text = all[which % 4];
    return wi_expr_new(text, strlen(text), &expr, NULL) == WEIR_OK ? expr : NULL;
}

static void read_file(stage *s, wi_format format, const char *bytes, size_t len)
{
    wi_reader *reader = NULL;
    wi_batch *batch = NULL;
    weir_error err = {0};
    int64_t faults_before = s->faults;
    CHECK(wi_reader_new(format, "file", 1 << 12, &reader, NULL) == WEIR_OK);
    wi_scan_rows_begin(s->rows, "some\xff/file", 10, &s->portion);
    if (len)
        CHECK(wi_reader_feed(reader, bytes, len, NULL) == WEIR_OK);
    CHECK(wi_reader_feed(reader, NULL, 0, NULL) == WEIR_OK);
    weir_status status = WEIR_OK;
    while (!s->failed && (status = wi_reader_next(reader, 5, &batch, &err)) == WEIR_OK && batch) {
        int64_t kept = 0, faults = 0, n = (int64_t)wi_batch_rows(batch);
        status = wi_scan_rows_records(s->rows, batch, &kept, &faults, &err);
        CHECK(status == WEIR_OK || status == WEIR_TOOLARGE);
        CHECK(kept >= 0 && faults >= 0 && kept + faults <= n);
        s->failed = status != WEIR_OK;
        s->read += n;
        s->kept += kept;
        s->faults += faults;
        wi_batch_unref(batch);
    }
    if (status == WEIR_OK && !s->failed && wi_reader_schema(reader))
        CHECK(wi_scan_rows_columns(s->rows, wi_reader_schema(reader), NULL) == WEIR_OK);
    if (status != WEIR_OK)
        CHECK(wi_scan_rows_failure(s->rows, err.text, NULL) == WEIR_OK);
    bool failed = status != WEIR_OK || s->faults > faults_before;
    CHECK(wi_scan_rows_done(s->rows, failed, NULL) == WEIR_OK);
    s->files++;
    wi_reader_free(reader);
}

static int64_t check_ndjson(const wi_buf *rows)
{
    int64_t n = 0;
    for (size_t at = 0; at < rows->len; n++) {
        const char *line = rows->data + at;
        const char *end = memchr(line, '\n', rows->len - at);
        CHECK(end && wi_json_check(line, (size_t)(end - line)).type == WI_JSON_OBJECT);
        for (const char *c = line; c < end; c++)
            CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
        at += (size_t)(end - line) + 1;
    }
    return n;
}

/* Every row has the header's cells. */
static int64_t check_csv(const stage *s)
{
    wi_schema *header = wi_scan_shape_header(s->shape);
    wi_row_writer *writer = NULL;
    wi_reader *reader = NULL;
    wi_batch *batch = NULL;
    wi_buf text = WI_BUF_INIT;
    int64_t n = 0;
    if (!header) {
        CHECK(s->portion.rows.len == 0);
        return -1; /* what failed waits for one */
    }
    CHECK(wi_row_writer_new(WI_FORMAT_CSV, &writer, NULL) == WEIR_OK);
    CHECK(wi_row_writer_header(writer, header, &text, NULL) == WEIR_OK);
    wi_buf_append(&text, s->portion.rows.data, s->portion.rows.len);
    CHECK(!text.failed && wi_reader_new(WI_FORMAT_CSV, "out", 1 << 24, &reader, NULL) == WEIR_OK);
    CHECK(wi_reader_feed(reader, text.data, text.len, NULL) == WEIR_OK);
    CHECK(wi_reader_feed(reader, NULL, 0, NULL) == WEIR_OK);
    for (;;) {
        CHECK(wi_reader_next(reader, 100, &batch, NULL) == WEIR_OK);
        if (!batch)
            break;
        for (size_t row = 0; row < wi_batch_rows(batch); row++) {
            const char *fault = wi_batch_fault(batch, row);
            CHECK(!fault || strstr(fault, "NUL byte")); /* which a string of JSON may hold */
        }
        n += (int64_t)wi_batch_rows(batch);
        wi_batch_unref(batch);
    }
    wi_reader_free(reader);
    wi_row_writer_free(writer);
    wi_buf_fini(&text);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const wi_format formats[] = {WI_FORMAT_CSV, WI_FORMAT_TSV, WI_FORMAT_NDJSON};
    static const wi_name select[] = {{"a", 1}, {"line", 4}, {"path", 4}};
    if (size < 2 || size > 8192)
        return 0;
    stage s = {0};
    wi_expr *where = data[1] & 4 ? condition(data[1] >> 3) : NULL;
    wi_scan_shape_options options = {
        .form = WI_SCAN_FORM_RECORD,
        .format = data[1] & 1 ? WI_FORMAT_CSV : WI_FORMAT_NDJSON,
        .errors_format = WI_FORMAT_NDJSON,
        .errors_apart = data[1] & 2,
        .where = where,
        .select = select,
        .select_len = data[1] & 128 ? 3 : 0,
    };
    CHECK(wi_scan_shape_new(&options, &s.shape, NULL) == WEIR_OK);
    CHECK(wi_scan_rows_new(s.shape, &s.rows, NULL) == WEIR_OK);
    s.portion.journaled = data[1] & 32;
    unsigned kinds = data[0];
    for (size_t at = 2; at < size && !s.failed; kinds /= 3) {
        const char *bytes = (const char *)data + at;
        const char *nul = memchr(bytes, 0, size - at);
        size_t len = nul ? (size_t)(nul - bytes) : size - at;
        read_file(&s, formats[kinds % 3], bytes, len);
        at += len + 1;
    }
    CHECK(wi_scan_rows_settle(s.rows, NULL) == WEIR_OK);
    CHECK(wi_scan_shape_rest(s.shape, &s.portion, NULL) == WEIR_OK);
    CHECK(!wi_portion_is_damaged(&s.portion));
    int64_t written =
        options.format == WI_FORMAT_CSV ? check_csv(&s) : check_ndjson(&s.portion.rows);
    CHECK(written < 0 || written >= s.kept);
    size_t told = s.portion.done.len / sizeof(wi_portion_done);
    CHECK(told == (s.portion.journaled ? (size_t)s.files : 0));
    check_ndjson(&s.portion.failed_rows);
    wi_scan_rows_free(s.rows);
    wi_scan_shape_free(s.shape);
    wi_expr_free(where);
    wi_buf_fini(&s.portion.rows);
    wi_buf_fini(&s.portion.row_ends);
    wi_buf_fini(&s.portion.failed_rows);
    wi_buf_fini(&s.portion.failures);
    wi_buf_fini(&s.portion.done);
    return 0;
}
