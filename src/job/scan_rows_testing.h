/* scan_rows_testing.h: one hand's rows over one portion, for the tests of scan_rows.h. */
#ifndef WI_SCAN_ROWS_TESTING_H
#define WI_SCAN_ROWS_TESTING_H

#include <string.h>

#include "scan_rows.h"
#include "test.h"
#include "writer.h"

typedef struct stage {
    wi_scan_shape *shape;
    wi_scan_rows *rows;
    wi_portion portion;
    bool in_file;
} stage;

static inline weir_status stage_open(stage *s, const wi_scan_shape_options *options,
                                     weir_error *err)
{
    *s = (stage){.shape = NULL};
    weir_status status = wi_scan_shape_new(options, &s->shape, err);
    return status ? status : wi_scan_rows_new(s->shape, &s->rows, err);
}

/* The file is at its end. */
static inline void stage_done(stage *s, bool failed)
{
    if (s->in_file)
        EXPECT_INT(wi_scan_rows_done(s->rows, failed, NULL), WEIR_OK);
    s->in_file = false;
}

static inline void stage_close(stage *s)
{
    wi_scan_rows_free(s->rows);
    wi_scan_shape_free(s->shape);
    wi_buf_fini(&s->portion.rows);
    wi_buf_fini(&s->portion.row_ends);
    wi_buf_fini(&s->portion.failed_rows);
    wi_buf_fini(&s->portion.done);
}

static inline void stage_file(stage *s, const char *path)
{
    stage_done(s, false);
    s->in_file = true;
    wi_scan_rows_begin(s->rows, path, strlen(path), &s->portion);
}

static inline bool stage_line(stage *s, int64_t line, const char *text)
{
    bool kept = false;
    EXPECT_INT(wi_scan_rows_line(s->rows, line, text, strlen(text), NULL, &kept, NULL), WEIR_OK);
    return kept;
}

static inline wi_batch *stage_batch(wi_format format, const char *name, const char *text)
{
    wi_reader *reader = NULL;
    wi_batch *batch = NULL;
    if (wi_reader_new(format, name, 1000, &reader, NULL) != WEIR_OK)
        return NULL;
    if (wi_reader_feed(reader, text, strlen(text), NULL) == WEIR_OK &&
        wi_reader_feed(reader, NULL, 0, NULL) == WEIR_OK)
        EXPECT_INT(wi_reader_next(reader, 1000, &batch, NULL), WEIR_OK);
    wi_reader_free(reader);
    return batch;
}

/* Reads the text as a file of this name; returns how many were kept, *faults how many were not
 * possible. */
static inline int64_t stage_records(stage *s, wi_format format, const char *name, const char *text,
                                    int64_t *faults)
{
    int64_t kept = -1;
    wi_batch *batch = stage_batch(format, name, text);
    if (!EXPECT(batch != NULL))
        return -1;
    stage_file(s, name);
    EXPECT_INT(wi_scan_rows_records(s->rows, batch, &kept, faults, NULL), WEIR_OK);
    wi_batch_unref(batch);
    return kept;
}

static inline void stage_expect(stage *s, const char *want)
{
    EXPECT_INT(wi_scan_rows_settle(s->rows, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&s->portion.rows), want);
}

static inline void stage_expect_header(stage *s, const char *want)
{
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    wi_schema *header = wi_scan_shape_header(s->shape);
    REQUIRE(EXPECT(header != NULL));
    REQUIRE(wi_row_writer_new(WI_FORMAT_CSV, &writer, NULL) == WEIR_OK);
    EXPECT_INT(wi_row_writer_header(writer, header, &out, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), want);
    wi_row_writer_free(writer);
    wi_buf_fini(&out);
}

#endif
