/* sink_test.c: columns, schemas that change on the way, and the ends an output can come to. */
#include "sink.h"

#include "buf.h"
#include "folder.h"
#include "test.h"
#include "torture.h"

static const char *const columns[] = {"url", "status"};

static wi_buf written;
static int calls_until_closed;

static int take(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    if (calls_until_closed > 0 && --calls_until_closed == 0)
        return 1;
    wi_buf_append(&written, bytes, len);
    return 0;
}

static wi_sink_options to_callback(wi_format format)
{
    wi_buf_fini(&written);
    calls_until_closed = 0;
    return (wi_sink_options){.write = take, .format = format, .columns = columns, .columns_len = 2};
}

static wi_schema *schema_of(const char *const *names, size_t n)
{
    wi_name list[8];
    wi_schema *schema = NULL;
    for (size_t i = 0; i < n; i++)
        list[i] = (wi_name){names[i], strlen(names[i])};
    return wi_schema_new(list, n, &schema, NULL) == WEIR_OK ? schema : NULL;
}

/* A row whose cells are numbers from 1. */
static weir_status add_row(wi_sink *sink, wi_schema *input, weir_error *err)
{
    wi_batch *batch;
    size_t first;
    weir_status status = wi_sink_begin_row(sink, input, &batch, &first, err);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < first + 2; i++)
        wi_batch_put_int(batch, i, (int64_t)i + 1);
    return wi_sink_end_row(sink, err);
}

static void expect_rows(wi_sink *sink, const char *want)
{
    EXPECT(wi_sink_flush(sink, NULL) == WEIR_OK);
    EXPECT_MEM(written.data ? written.data : "", written.len, want);
}

TEST(columns_that_clash_are_renamed)
{
    static const char *const names[] = {"id", "url", "input_url", "status", "url2"};
    wi_sink *sink = NULL;
    wi_sink_options options = to_callback(WI_FORMAT_NDJSON);
    wi_schema *input = schema_of(names, 5);
    REQUIRE(input && wi_sink_new(&options, &sink, NULL) == WEIR_OK);
    EXPECT(add_row(sink, input, NULL) == WEIR_OK);
    expect_rows(sink, "{\"id\":1,\"input_input_url\":2,\"input_url\":3,\"input_status\":4,"
                      "\"url2\":5,\"url\":6,\"status\":7}\n");
    EXPECT(wi_sink_commit(sink, NULL) == WEIR_OK);
    wi_sink_free(sink);
    wi_schema_unref(input);
}

TEST(the_schema_may_change)
{
    static const char *const names[] = {"a", "b"};
    wi_sink *sink = NULL;
    wi_sink_options options = to_callback(WI_FORMAT_NDJSON);
    wi_schema *one = schema_of(names, 1);
    wi_schema *two = schema_of(names, 2);
    REQUIRE(one && two && wi_sink_new(&options, &sink, NULL) == WEIR_OK);
    EXPECT(add_row(sink, one, NULL) == WEIR_OK);
    EXPECT(add_row(sink, two, NULL) == WEIR_OK);
    wi_schema_unref(two);
    EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
    EXPECT(add_row(sink, one, NULL) == WEIR_OK);
    expect_rows(sink, "{\"a\":1,\"url\":2,\"status\":3}\n"
                      "{\"a\":1,\"b\":2,\"url\":3,\"status\":4}\n"
                      "{\"url\":1,\"status\":2}\n"
                      "{\"a\":1,\"url\":2,\"status\":3}\n");
    wi_sink_free(sink);
    wi_schema_unref(one);
}

TEST(csv_has_a_header_even_without_rows)
{
    static const char *const names[] = {"a", "status"};
    for (int rows = 0; rows < 2; rows++) {
        wi_sink *sink = NULL;
        wi_sink_options options = to_callback(WI_FORMAT_CSV);
        wi_schema *input = schema_of(names, 2);
        options.fixed = input;
        REQUIRE(input && wi_sink_new(&options, &sink, NULL) == WEIR_OK);
        for (int i = 0; i < rows; i++)
            EXPECT(add_row(sink, input, NULL) == WEIR_OK);
        EXPECT(wi_sink_commit(sink, NULL) == WEIR_OK);
        EXPECT_MEM(written.data, written.len,
                   rows ? "a,input_status,url,status\n1,2,3,4\n" : "a,input_status,url,status\n");
        wi_sink_free(sink);
        wi_schema_unref(input);
    }
}

TEST(csv_keeps_its_columns)
{
    static const char *const names[] = {"a", "b"};
    wi_sink *sink = NULL;
    wi_sink_options options = to_callback(WI_FORMAT_CSV);
    wi_schema *one = schema_of(names, 1);
    wi_schema *two = schema_of(names, 2);
    options.fixed = one;
    REQUIRE(one && two && wi_sink_new(&options, &sink, NULL) == WEIR_OK);
    EXPECT(add_row(sink, two, NULL) == WEIR_OK);
    EXPECT(add_row(sink, one, NULL) == WEIR_OK);
    expect_rows(sink, "a,url,status\n1,2,3\n1,2,3\n");
    wi_sink_free(sink);
    wi_schema_unref(one);
    wi_schema_unref(two);
}

TEST(many_rows_are_written_on_the_way)
{
    wi_sink *sink = NULL;
    wi_sink_options options = to_callback(WI_FORMAT_NDJSON);
    REQUIRE(wi_sink_new(&options, &sink, NULL) == WEIR_OK);
    for (int i = 0; i < 5000; i++)
        EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
    EXPECT(written.len >= 4 * 1024 * strlen("{\"url\":1,\"status\":2}\n"));
    EXPECT(wi_sink_commit(sink, NULL) == WEIR_OK);
    EXPECT_INT(written.len, 5000 * strlen("{\"url\":1,\"status\":2}\n"));
    wi_sink_free(sink);
}

TEST(an_output_that_is_closed)
{
    wi_sink *sink = NULL;
    weir_error err = {0};
    wi_sink_options options = to_callback(WI_FORMAT_NDJSON);
    REQUIRE(wi_sink_new(&options, &sink, NULL) == WEIR_OK);
    calls_until_closed = 1;
    EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
    EXPECT_INT(wi_sink_flush(sink, &err), WEIR_CLOSED);
    char *kept = NULL;
    EXPECT(wi_sink_keep(sink, &kept, NULL) == WEIR_OK);
    EXPECT(kept == NULL);
    wi_sink_free(sink);
    wi_sink_free(NULL);
}

static wi_sink *sink_to(const char *path)
{
    wi_sink *sink = NULL;
    wi_sink_options options = {
        .path = path, .format = WI_FORMAT_NDJSON, .columns = columns, .columns_len = 2};
    EXPECT(wi_sink_new(&options, &sink, NULL) == WEIR_OK);
    return sink;
}

static wi_schema *known;

static wi_schema *header_of(void *arg)
{
    (void)arg;
    return known;
}

static wi_sink *rendered_sink(void)
{
    wi_sink_options options = to_callback(WI_FORMAT_CSV);
    wi_sink *sink = NULL;
    options.header = header_of;
    return wi_sink_new(&options, &sink, NULL) == WEIR_OK ? sink : NULL;
}

TEST(rendered_rows_have_a_header)
{
    static const char *const names[] = {"path", "line"};
    for (int with_rows = 0; with_rows < 2; with_rows++) {
        known = NULL;
        wi_sink *sink = rendered_sink();
        REQUIRE(sink != NULL);
        EXPECT(wi_sink_write_rendered(sink, NULL, 0, NULL) == WEIR_OK);
        known = schema_of(names, 2); /* before the first row is soon enough */
        if (with_rows) {
            EXPECT(wi_sink_write_rendered(sink, "a,1\n", 4, NULL) == WEIR_OK);
            EXPECT(wi_sink_write_rendered(sink, "b,2\n", 4, NULL) == WEIR_OK);
            expect_rows(sink, "path,line\na,1\nb,2\n");
        }
        EXPECT(wi_sink_commit(sink, NULL) == WEIR_OK);
        expect_rows(sink, with_rows ? "path,line\na,1\nb,2\n" : "path,line\n");
        wi_sink_free(sink);
        wi_schema_unref(known);
    }
}

TEST(rendered_rows_of_any_length_come_in_order)
{
    enum { LONG = 300 << 10 };
    static char row[LONG];
    memset(row, 'x', sizeof row);
    known = NULL;
    wi_sink *sink = rendered_sink();
    REQUIRE(sink != NULL);
    EXPECT(wi_sink_write_rendered(sink, "a\n", 2, NULL) == WEIR_OK);
    EXPECT(wi_sink_write_rendered(sink, row, sizeof row, NULL) == WEIR_OK);
    EXPECT(wi_sink_write_rendered(sink, "b\n", 2, NULL) == WEIR_OK);
    EXPECT(wi_sink_flush(sink, NULL) == WEIR_OK);
    EXPECT_INT(written.len, LONG + 4);
    EXPECT(written.len == LONG + 4 && memcmp(written.data, "a\nx", 3) == 0 &&
           memcmp(written.data + LONG, "xxb\n", 4) == 0);
    wi_sink_free(sink);
}

TEST(a_file_is_whole_or_partial_or_not_there)
{
    REQUIRE(folder_begin());
    wi_sink *sink = sink_to(in_folder("whole"));
    REQUIRE(sink != NULL);
    EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
    EXPECT(wi_sink_commit(sink, NULL) == WEIR_OK);
    wi_sink_free(sink);
    expect_file(in_folder("whole"), "{\"url\":1,\"status\":2}\n");

    char *kept = NULL;
    sink = sink_to(in_folder("early"));
    REQUIRE(sink != NULL);
    EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
    EXPECT(wi_sink_flush(sink, NULL) == WEIR_OK);
    EXPECT(add_row(sink, NULL, NULL) == WEIR_OK); /* not written yet: not kept */
    EXPECT(wi_sink_keep(sink, &kept, NULL) == WEIR_OK);
    EXPECT_STR(kept, in_folder("early.partial"));
    EXPECT(access(in_folder("early"), F_OK) != 0);
    expect_file(in_folder("early.partial"), "{\"url\":1,\"status\":2}\n");
    free(kept);
    wi_sink_free(sink);

    sink = sink_to(in_folder("none"));
    REQUIRE(sink != NULL);
    EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
    EXPECT(wi_sink_flush(sink, NULL) == WEIR_OK);
    wi_sink_free(sink);
    EXPECT(access(in_folder("none"), F_OK) != 0);
    folder_end();
}

static wi_sink *sink_at(wi_format format, int64_t length, wi_schema *(*header)(void *arg))
{
    wi_sink *sink = NULL;
    wi_sink_options options = to_callback(format);
    options.write = NULL;
    options.path = "out";
    options.header = header;
    EXPECT_INT(wi_sink_continue(&options, in_folder("out"), length, &sink, NULL), WEIR_OK);
    return sink;
}

static int64_t position_of(wi_sink *sink)
{
    int64_t position = -1;
    EXPECT_INT(wi_sink_position(sink, &position, NULL), WEIR_OK);
    return position;
}

TEST(a_csv_that_is_continued_has_one_header)
{
    for (int with_rows = 0; with_rows < 2; with_rows++) {
        REQUIRE(folder_begin());
        wi_buf header = WI_BUF_INIT;
        wi_sink *sink = sink_at(WI_FORMAT_CSV, 0, NULL);
        REQUIRE(sink);
        EXPECT_INT(position_of(sink), 11); /* behind the header */
        EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
        EXPECT_INT(position_of(sink), 15);
        EXPECT_INT(wi_sink_length(sink), 0); /* nothing is written yet */
        EXPECT_INT(wi_sink_flush(sink, NULL), WEIR_OK);
        EXPECT_INT(wi_sink_sync(sink, NULL), WEIR_OK);
        EXPECT_INT(wi_sink_length(sink), 15);
        wi_sink_leave(sink, with_rows ? 15 : 11);
        wi_sink_free(sink);
        sink = sink_at(WI_FORMAT_CSV, with_rows ? 15 : 11, NULL);
        REQUIRE(sink);
        EXPECT_INT(wi_sink_read_header(sink, &header, NULL), WEIR_OK);
        EXPECT_MEM(header.data, header.len, "url,status");
        EXPECT_INT(position_of(sink), with_rows ? 15 : 11);
        for (int i = 0; i < with_rows; i++)
            EXPECT(add_row(sink, NULL, NULL) == WEIR_OK);
        EXPECT_INT(wi_sink_commit(sink, NULL), WEIR_OK);
        wi_sink_free(sink);
        expect_file(in_folder("out"), with_rows ? "url,status\n1,2\n1,2\n" : "url,status\n");
        wi_buf_fini(&header);
        folder_end();
    }
}

TEST(rendered_rows_that_are_continued_have_one_header)
{
    static const char *const names[] = {"path", "a\n\"b\""};
    REQUIRE(folder_begin());
    wi_buf header = WI_BUF_INIT;
    known = NULL;
    wi_sink *sink = sink_at(WI_FORMAT_CSV, 0, header_of);
    REQUIRE(sink);
    EXPECT_INT(position_of(sink), 0); /* it is not known yet */
    known = schema_of(names, 2);
    EXPECT_INT(position_of(sink), 15);
    EXPECT_INT(position_of(sink), 15);
    EXPECT(wi_sink_write_rendered(sink, "a,1\n", 4, NULL) == WEIR_OK);
    EXPECT_INT(position_of(sink), 19);
    EXPECT_INT(wi_sink_flush(sink, NULL), WEIR_OK);
    wi_sink_leave(sink, 19);
    wi_sink_free(sink);
    sink = sink_at(WI_FORMAT_CSV, 19, header_of);
    REQUIRE(sink);
    EXPECT_INT(wi_sink_read_header(sink, &header, NULL), WEIR_OK);
    EXPECT_MEM(header.data, header.len, "path,\"a\n\"\"b\"\"\"");
    EXPECT(wi_sink_write_rendered(sink, "b,2\n", 4, NULL) == WEIR_OK);
    EXPECT_INT(wi_sink_commit(sink, NULL), WEIR_OK);
    wi_sink_free(sink);
    expect_file(in_folder("out"), "path,\"a\n\"\"b\"\"\"\na,1\nb,2\n");
    wi_buf_fini(&header);
    wi_schema_unref(known);
    folder_end();
}

static weir_status write_some(void)
{
    static const char *const names[] = {"url", "b"};
    wi_sink *sink = NULL;
    wi_schema *input = NULL;
    wi_name list[] = {{names[0], 3}, {names[1], 1}};
    wi_sink_options options = {
        .write = take, .format = WI_FORMAT_CSV, .columns = columns, .columns_len = 2};
    wi_buf_clear(&written);
    weir_status status = wi_schema_new(list, 2, &input, NULL);
    options.fixed = input;
    if (status == WEIR_OK)
        status = wi_sink_new(&options, &sink, NULL);
    if (status == WEIR_OK)
        status = add_row(sink, input, NULL);
    if (status == WEIR_OK)
        status = wi_sink_commit(sink, NULL);
    wi_sink_free(sink);
    wi_schema_unref(input);
    wi_buf_clear(&written);
    return status;
}

TEST(survives_lack_of_memory)
{
    wi_buf_fini(&written);
    EXPECT(wi_buf_reserve(&written, 1000)); /* the test's own */
    calls_until_closed = 0;
    TORTURE(write_some());
    wi_buf_fini(&written);
}

TESTS(CASE(columns_that_clash_are_renamed), CASE(the_schema_may_change),
      CASE(csv_has_a_header_even_without_rows), CASE(csv_keeps_its_columns),
      CASE(many_rows_are_written_on_the_way), CASE(rendered_rows_have_a_header),
      CASE(rendered_rows_of_any_length_come_in_order), CASE(an_output_that_is_closed),
      CASE(a_file_is_whole_or_partial_or_not_there), CASE(a_csv_that_is_continued_has_one_header),
      CASE(rendered_rows_that_are_continued_have_one_header), CASE(survives_lack_of_memory))
