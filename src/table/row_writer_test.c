/* row_writer_test.c: batches as NDJSON and CSV, and back. */
#include "writer.h"

#include <math.h>

#include "test.h"
#include "torture.h"

static wi_schema *schema_of(const char *const *texts, size_t n)
{
    wi_name names[8];
    wi_schema *schema = NULL;
    for (size_t i = 0; i < n; i++)
        names[i] = (wi_name){.bytes = texts[i], .len = strlen(texts[i])};
    EXPECT_INT(wi_schema_new(names, n, &schema, NULL), WEIR_OK);
    return schema;
}

static wi_batch *batch_of(const char *const *texts, size_t n)
{
    wi_schema *schema = schema_of(texts, n);
    wi_batch *batch = NULL;
    EXPECT_INT(wi_batch_new(schema, &batch, NULL), WEIR_OK);
    wi_schema_unref(schema);
    return batch;
}

static void put_text(wi_batch *batch, size_t column, wi_cell_kind kind, const char *text)
{
    wi_batch_put(batch, column, kind, text, strlen(text));
}

static void expect_written(wi_format format, const wi_batch *batch, const char *want)
{
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    REQUIRE(wi_row_writer_new(format, &writer, NULL) == WEIR_OK);
    EXPECT_INT(wi_row_writer_optional(writer, "hint", NULL), WEIR_OK);
    EXPECT_INT(wi_row_writer_append(writer, batch, &out, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), want);
    wi_buf_fini(&out);
    wi_row_writer_free(writer);
}

static wi_batch *one_of_each(void)
{
    static const char *const names[] = {"s", "j", "b", "i", "d", "n", "a", "hint"};
    wi_batch *batch = batch_of(names, 8);
    put_text(batch, 0, WI_STRING, "a \"b\", c");
    put_text(batch, 1, WI_JSON, "{\"x\":[1,\"2\"]}");
    wi_batch_put(batch, 2, WI_BINARY, "\0\xFF", 2);
    wi_batch_put_int(batch, 3, -42);
    wi_batch_put_double(batch, 4, 12.3);
    wi_batch_put_null(batch, 5);
    wi_batch_put_null(batch, 7);
    wi_batch_end_row(batch, NULL);
    wi_batch_end_row(batch, NULL);
    put_text(batch, 0, WI_STRING, "");
    put_text(batch, 1, WI_JSON, "\"say \\\"hi\\\"\\u0041\"");
    wi_batch_put(batch, 2, WI_BINARY, NULL, 0);
    put_text(batch, 7, WI_STRING, "two\nlines");
    wi_batch_end_row(batch, NULL);
    return batch;
}

TEST(ndjson_has_every_kind)
{
    wi_batch *batch = one_of_each();
    expect_written(WI_FORMAT_NDJSON, batch,
                   "{\"s\":\"a \\\"b\\\", c\",\"j\":{\"x\":[1,\"2\"]},\"b\":\"AP8=\",\"i\":-42,"
                   "\"d\":12.3,\"n\":null}\n"
                   "{}\n"
                   "{\"s\":\"\",\"j\":\"say \\\"hi\\\"\\u0041\",\"b\":\"\","
                   "\"hint\":\"two\\nlines\"}\n");
    wi_batch_unref(batch);
}

TEST(csv_has_every_kind)
{
    wi_batch *batch = one_of_each();
    expect_written(WI_FORMAT_CSV, batch,
                   "s,j,b,i,d,n,a,hint\n"
                   "\"a \"\"b\"\", c\",\"{\"\"x\"\":[1,\"\"2\"\"]}\",AP8=,-42,12.3,,,\n"
                   ",,,,,,,\n"
                   ",\"say \"\"hi\"\"A\",,,,,,\"two\nlines\"\n");
    wi_batch_unref(batch);
}

TEST(ndjson_holds_nothing_a_terminal_obeys)
{
    static const char *const names[] = {"k\x1B", "j"};
    wi_batch *batch = batch_of(names, 2);
    put_text(batch, 0, WI_STRING, "\x1B[2J\x7F\xC2\x9B");
    put_text(batch, 1, WI_JSON, "[\"\x7F\xC2\x9B\"]");
    wi_batch_end_row(batch, NULL);
    expect_written(WI_FORMAT_NDJSON, batch,
                   "{\"k\\u001b\":\"\\u001b[2J\\u007f\\u009b\",\"j\":[\"\\u007f\\u009b\"]}\n");
    wi_batch_unref(batch);
}

/* Elsewhere it is the bytes that count. */
TEST(csv_for_a_terminal_neither)
{
    static const char *const names[] = {"k\x1B", "j", "s"};
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    wi_batch *batch = batch_of(names, 3);
    put_text(batch, 0, WI_STRING, "\x1B[2J\x7F\xC2\x9B");
    put_text(batch, 1, WI_JSON, "\"a\\n\\u001b\xE2\x80\xAE\"");
    put_text(batch, 2, WI_STRING, "gr\xC3\xBCn, \"ja\"");
    wi_batch_end_row(batch, NULL);
    expect_written(WI_FORMAT_CSV, batch,
                   "k\x1B,j,s\n\x1B[2J\x7F\xC2\x9B,\"a\n\x1B\xE2\x80\xAE\",\"gr\xC3\xBCn, "
                   "\"\"ja\"\"\"\n");
    REQUIRE(wi_row_writer_new(WI_FORMAT_CSV, &writer, NULL) == WEIR_OK);
    wi_row_writer_for_terminal(writer);
    EXPECT_INT(wi_row_writer_append(writer, batch, &out, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out),
               "k\\x1B,j,s\n\\x1B[2J\\x7F\\u{009B},\"a\\n\\x1B\\u{202E}\",\"gr\xC3\xBCn, "
               "\"\"ja\"\"\"\n");
    wi_buf_fini(&out);
    wi_row_writer_free(writer);
    wi_batch_unref(batch);
}

TEST(doubles_have_three_decimals_at_most)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {12.3, "12.3"},
        {12, "12"},
        {0.001, "0.001"},
        {0.0004, "0"},
        {-0.0004, "0"},
        {-0.0006, "-0.001"},
        {1.25, "1.25"},
        {0.1 + 0.2, "0.3"},
        {999.9996, "1000"},
        {-7.05, "-7.05"},
        {1e14, "100000000000000"},
        {1e15, "1000000000000000"},
        {1e21, "1000000000000000000000"},
        {-1e15, "-1000000000000000"},
    };
    static const char *const names[] = {"d"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[64];
        wi_batch *batch = batch_of(names, 1);
        wi_batch_put_double(batch, 0, cases[i].value);
        wi_batch_end_row(batch, NULL);
        snprintf(want, sizeof want, "{\"d\":%s}\n", cases[i].text);
        expect_written(WI_FORMAT_NDJSON, batch, want);
        snprintf(want, sizeof want, "d\n%s\n", cases[i].text);
        expect_written(WI_FORMAT_CSV, batch, want);
        wi_batch_unref(batch);
    }
    wi_batch *batch = batch_of(names, 1);
    wi_batch_put_double(batch, 0, INFINITY);
    wi_batch_end_row(batch, NULL);
    wi_batch_put_double(batch, 0, NAN);
    wi_batch_end_row(batch, NULL);
    expect_written(WI_FORMAT_NDJSON, batch, "{\"d\":null}\n{\"d\":null}\n");
    expect_written(WI_FORMAT_CSV, batch, "d\n\"\"\n\"\"\n");
    wi_batch_unref(batch);
}

TEST(csv_matches_columns_by_name)
{
    static const char *const first_names[] = {"a", "b"};
    static const char *const then_names[] = {"c", "b", "x"};
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    weir_error err;
    wi_batch *first = batch_of(first_names, 2);
    wi_batch *then = batch_of(then_names, 3);
    REQUIRE(wi_row_writer_new(WI_FORMAT_CSV, &writer, NULL) == WEIR_OK);
    put_text(first, 0, WI_STRING, "1");
    put_text(first, 1, WI_STRING, "2");
    wi_batch_end_row(first, NULL);
    put_text(then, 1, WI_STRING, "3");
    wi_batch_put_null(then, 0);
    wi_batch_end_row(then, NULL);
    EXPECT_INT(wi_row_writer_append(writer, first, &out, NULL), WEIR_OK);
    EXPECT_INT(wi_row_writer_append(writer, then, &out, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), "a,b\n1,2\n,3\n");
    put_text(then, 1, WI_STRING, "4");
    wi_batch_end_row(then, NULL);
    put_text(then, 2, WI_STRING, "stray");
    wi_batch_end_row(then, NULL);
    EXPECT_INT(wi_row_writer_append(writer, then, &out, &err), WEIR_INVALID);
    EXPECT_STR(err.text, "column \"x\" first occurs after the CSV header was written: write "
                         "NDJSON, whose rows may differ");
    EXPECT_STR(wi_buf_cstr(&out), "a,b\n1,2\n,3\n"); /* not even row 2 of the batch */
    EXPECT_INT(wi_row_writer_append(writer, first, &out, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), "a,b\n1,2\n,3\n1,2\n");
    wi_batch_unref(first);
    wi_batch_unref(then);
    wi_buf_fini(&out);
    wi_row_writer_free(writer);
}

TEST(ndjson_takes_any_schema_after_another)
{
    static const char *const a[] = {"a"};
    static const char *const b[] = {"b"};
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    wi_batch *first = batch_of(a, 1);
    wi_batch *then = batch_of(b, 1);
    REQUIRE(wi_row_writer_new(WI_FORMAT_NDJSON, &writer, NULL) == WEIR_OK);
    wi_batch_put_int(first, 0, 1);
    wi_batch_end_row(first, NULL);
    wi_batch_put_int(then, 0, 2);
    wi_batch_end_row(then, NULL);
    EXPECT_INT(wi_row_writer_append(writer, first, &out, NULL), WEIR_OK);
    wi_batch_unref(first);
    EXPECT_INT(wi_row_writer_append(writer, then, &out, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), "{\"a\":1}\n{\"b\":2}\n");
    wi_batch_unref(then);
    wi_buf_fini(&out);
    wi_row_writer_free(writer);
}

TEST(a_header_alone_is_written_once)
{
    static const char *const names[] = {"a,b", ""};
    wi_schema *schema = schema_of(names, 2);
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    REQUIRE(wi_row_writer_new(WI_FORMAT_CSV, &writer, NULL) == WEIR_OK);
    EXPECT_INT(wi_row_writer_header(writer, schema, &out, NULL), WEIR_OK);
    EXPECT_INT(wi_row_writer_header(writer, schema, &out, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), "\"a,b\",\n");
    wi_row_writer_free(writer);
    wi_buf_clear(&out);
    REQUIRE(wi_row_writer_new(WI_FORMAT_NDJSON, &writer, NULL) == WEIR_OK);
    EXPECT_INT(wi_row_writer_header(writer, schema, &out, NULL), WEIR_OK);
    EXPECT_INT(out.len, 0);
    wi_row_writer_free(writer);
    wi_schema_unref(schema);
    wi_buf_fini(&out);
}

TEST(a_full_buffer_stays_as_it_was)
{
    static const char *const names[] = {"name"};
    wi_batch *batch = batch_of(names, 1);
    wi_row_writer *writer = NULL;
    wi_buf out;
    weir_error err;
    wi_buf_init(&out, 24);
    REQUIRE(wi_row_writer_new(WI_FORMAT_CSV, &writer, NULL) == WEIR_OK);
    put_text(batch, 0, WI_STRING, "more than twenty-four bytes");
    wi_batch_end_row(batch, NULL);
    EXPECT_INT(wi_row_writer_append(writer, batch, &out, &err), WEIR_NOMEM);
    EXPECT(out.len == 0 && !out.failed);
    wi_batch_clear(batch);
    put_text(batch, 0, WI_STRING, "fits");
    wi_batch_end_row(batch, NULL);
    EXPECT_INT(wi_row_writer_append(writer, batch, &out, &err), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), "name\nfits\n"); /* with the header that was taken back */
    wi_batch_unref(batch);
    wi_buf_fini(&out);
    wi_row_writer_free(writer);
}

static void expect_fixed(wi_format format, const wi_batch *batch, const char *want)
{
    static const char *const names[] = {"new", "d", "s", "hint", "a"};
    wi_schema *columns = schema_of(names, 5);
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    wi_buf ends = WI_BUF_INIT;
    REQUIRE(wi_row_writer_new(format, &writer, NULL) == WEIR_OK);
    EXPECT_INT(wi_row_writer_optional(writer, "hint", NULL), WEIR_OK);
    wi_row_writer_fix(writer, columns);
    wi_schema_unref(columns);
    EXPECT_INT(wi_row_writer_append_ends(writer, batch, &out, &ends, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&out), want);
    const size_t *at = (const size_t *)ends.data;
    EXPECT_INT(ends.len, 3 * sizeof *at);
    EXPECT_INT(at[0], (size_t)(strchr(want, '\n') - want) + 1);
    EXPECT_INT(at[2], out.len);
    out.max = out.cap;
    for (int i = 0; i < 100 && !wi_row_writer_append_ends(writer, batch, &out, &ends, NULL); i++)
        ;
    EXPECT_INT(((const size_t *)ends.data)[ends.len / sizeof *at - 1], out.len);
    wi_buf_fini(&out);
    wi_buf_fini(&ends);
    wi_row_writer_free(writer);
}

TEST(columns_may_be_fixed)
{
    wi_batch *batch = one_of_each();
    expect_fixed(WI_FORMAT_NDJSON, batch,
                 "{\"new\":null,\"d\":12.3,\"s\":\"a \\\"b\\\", c\",\"a\":null}\n"
                 "{\"new\":null,\"d\":null,\"s\":null,\"a\":null}\n"
                 "{\"new\":null,\"d\":null,\"s\":\"\",\"hint\":\"two\\nlines\",\"a\":null}\n");
    expect_fixed(WI_FORMAT_CSV, batch, ",12.3,\"a \"\"b\"\", c\",,\n,,,,\n,,,\"two\nlines\",\n");
    wi_batch_unref(batch);
}

static weir_status write_all(wi_format format, bool terminal, const wi_batch *batch)
{
    wi_row_writer *writer = NULL;
    wi_buf out = WI_BUF_INIT;
    weir_status status = wi_row_writer_new(format, &writer, NULL);
    if (!status)
        status = wi_row_writer_optional(writer, "hint", NULL);
    if (!status && terminal)
        wi_row_writer_for_terminal(writer);
    if (!status) {
        status = wi_row_writer_append(writer, batch, &out, NULL);
        EXPECT(status == WEIR_OK || (out.len == 0 && !out.failed));
    }
    wi_row_writer_free(writer);
    wi_buf_fini(&out);
    return status;
}

TEST(writing_survives_lack_of_memory)
{
    wi_batch *batch = one_of_each();
    TORTURE(write_all(WI_FORMAT_NDJSON, false, batch));
    TORTURE(write_all(WI_FORMAT_CSV, false, batch));
    TORTURE(write_all(WI_FORMAT_CSV, true, batch));
    wi_batch_unref(batch);
}

TEST(other_formats_are_refused)
{
    wi_row_writer *writer = NULL;
    weir_error err;
    EXPECT_INT(wi_row_writer_new(WI_FORMAT_LINES, &writer, &err), WEIR_UNSUPPORTED);
    EXPECT_INT(wi_row_writer_new(WI_FORMAT_AUTO, &writer, &err), WEIR_UNSUPPORTED);
    EXPECT_STR(err.text, "rows can be written as NDJSON or CSV only");
    EXPECT(!writer);
    wi_row_writer_free(NULL);
}

TESTS(CASE(columns_may_be_fixed), CASE(csv_for_a_terminal_neither), CASE(ndjson_has_every_kind),
      CASE(csv_has_every_kind), CASE(ndjson_holds_nothing_a_terminal_obeys),
      CASE(doubles_have_three_decimals_at_most), CASE(csv_matches_columns_by_name),
      CASE(ndjson_takes_any_schema_after_another), CASE(a_header_alone_is_written_once),
      CASE(a_full_buffer_stays_as_it_was), CASE(writing_survives_lack_of_memory),
      CASE(other_formats_are_refused))
