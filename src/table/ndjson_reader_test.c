/* ndjson_reader_test.c: objects a line, keys that come and go, and lines that are no objects. */
#include <stdlib.h>

#include "rows.h"

static void ndjson(const char *text, const char *want)
{
    expect_rows(WI_FORMAT_NDJSON, text, want);
}

TEST(members_become_cells_as_they_came)
{
    ndjson("{\"a\":1,\"b\":\"x\"}\n{\"a\":1.50,\"b\":\"\\u0041\"}\n",
           "1 a:1 b:\"x\"\n2 a:1.50 b:\"\\u0041\"\n");
    ndjson("{\"a\":12345678901234567890}", "1 a:12345678901234567890\n");
    ndjson(" { \"a\" : [ 1 , 2 ] , \"b\" : { \"c\" : \" \" } } \r\n",
           "1 a:[1,2] b:{\"c\":\" \"}\n");
    ndjson("{\"a\":null,\"b\":true}\n", "1 a:null b:true\n");
    ndjson("{}\n{\"a\":1}\n{}\n", "1\n2 a:1\n3\n");
}

TEST(keys_may_come_and_go_and_change_places)
{
    ndjson("{\"a\":1}\n{\"b\":2}\n{\"b\":3,\"a\":4}\n{\"a\":5,\"c\":6,\"b\":7}\n",
           "1 a:1\n2 b:2\n3 a:4 b:3\n4 a:5 b:7 c:6\n");
    ndjson("{\"a\":1,\"a\":2}\n{\"a\":3}\n", "1 a:2\n2 a:3\n");
    ndjson("{\"a\\u0062\":1}\n{\"ab\":2}\n{\"\":3}\n", "1 ab:1\n2 ab:2\n3 :3\n");
}

TEST(blank_lines_and_a_mark_are_passed_over)
{
    ndjson("\xEF\xBB\xBF{\"a\":1}\n\n  \t\r\n{\"a\":2}\n", "1 a:1\n4 a:2\n");
    ndjson("", "");
    ndjson("\n", "");
}

TEST(faults_say_where)
{
    ndjson("{\"a\":1}\n{\"a\" 1}\n{\"a\":3}\n",
           "1 a:1\n2 ! in line 2, column 6: expected a colon\n3 a:3\n");
    ndjson("{\"\xC3\xBC\":x}\n", "1 ! in line 1, column 6: expected a value\n");
    ndjson("{\"a\":\n", "1 ! in line 1, column 6: the text ends too early\n");
    ndjson("17\n", "1 ! in line 1: every line must be one JSON object\n");
    ndjson("[\n  {\"a\":1},\n",
           "1 ! in line 1: every line must be one JSON object, but this begins an array: jq -c "
           "'.[]' turns it into such lines\n"
           "2 ! in line 2, column 10: text after the value\n");
    ndjson("{\"a\":\"x\xFF\",\"b\":2}\n",
           "1 a:\"x\xEF\xBF\xBD\" b:2 ! in line 1, column 8: byte 0xFF is not valid UTF-8: convert "
           "the input, for example with iconv\n");
    expect_rows_n(WI_FORMAT_NDJSON, 99, "{\"a\":\0}\n{\"a\":1}\n", 16,
                  "1 ! in line 1, column 6: a NUL byte: this does not look like text\n2 a:1\n");
    expect_rows_n(WI_FORMAT_NDJSON, 8, "{\"a\":123}\n{\"a\":1}\n", 18,
                  "1 ! in line 1: the row is longer than 8 bytes (--max-row)\n2 a:1\n");
}

TEST(deep_nesting_is_bounded)
{
    wi_buf text = WI_BUF_INIT;
    wi_buf_puts(&text, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        wi_buf_putc(&text, '[');
    wi_buf_puts(&text, "\n{\"a\":1}\n");
    wi_buf out = WI_BUF_INIT;
    show_cut(WI_FORMAT_NDJSON, 1 << 20, text.data, text.len, text.len, 0, &out);
    EXPECT_STR(wi_buf_cstr(&out), "1 ! in line 1, column 517: nested too deeply\n2 a:1\n");
    wi_buf_fini(&text);
    wi_buf_fini(&out);
}

TEST(a_line_of_a_megabyte_is_one_row)
{
    wi_buf text = WI_BUF_INIT;
    wi_buf_puts(&text, "{\"a\":\"");
    for (int i = 0; i < 1 << 20; i++)
        wi_buf_putc(&text, 'x');
    wi_buf_puts(&text, "\"}\n{\"a\":2}\n");
    wi_buf out = WI_BUF_INIT;
    show_cut(WI_FORMAT_NDJSON, 2 << 20, text.data, text.len, 4096, 4096, &out);
    EXPECT_INT(out.len, (1 << 20) + strlen("1 a:\"\"\n2 a:2\n"));
    EXPECT_STR(wi_buf_cstr(&out) + out.len - 8, "\"\n2 a:2\n");
    wi_buf_fini(&text);
    wi_buf_fini(&out);
}

TEST(too_many_keys_are_a_fault_of_the_row)
{
    wi_buf text = WI_BUF_INIT;
    for (int i = 0; i <= WI_SCHEMA_MAX_COLUMNS; i++)
        wi_buf_printf(&text, "{\"k%d\":%d}\n", i, i);
    wi_buf_puts(&text, "{\"k7\":1,\"other\":2,\"k8\":3}\n");
    wi_reader *reader = NULL;
    wi_batch *batch = NULL;
    REQUIRE(wi_reader_new(WI_FORMAT_NDJSON, "in", 1000, &reader, NULL) == WEIR_OK);
    wi_reader_feed(reader, text.data, text.len, NULL);
    REQUIRE(wi_reader_next(reader, SIZE_MAX, &batch, NULL) == WEIR_OK && batch);
    EXPECT_INT(wi_batch_rows(batch), WI_SCHEMA_MAX_COLUMNS + 2);
    EXPECT_INT(wi_schema_columns(wi_reader_schema(reader)), WI_SCHEMA_MAX_COLUMNS);
    for (size_t i = 0; i < WI_SCHEMA_MAX_COLUMNS; i++) {
        EXPECT(!wi_batch_fault(batch, i));
        EXPECT_INT(wi_batch_cell(batch, i, i).kind, WI_JSON);
    }
    EXPECT_STR(
        wi_batch_fault(batch, WI_SCHEMA_MAX_COLUMNS),
        "in line 4097, column 3: one key too many: at most 4096 different keys are possible");
    EXPECT_STR(wi_batch_fault(batch, WI_SCHEMA_MAX_COLUMNS + 1),
               "in line 4098, column 10: one key too many: at most 4096 different keys are "
               "possible");
    EXPECT_INT(wi_batch_cell(batch, WI_SCHEMA_MAX_COLUMNS + 1, 8).kind, WI_JSON);
    wi_batch_unref(batch);
    wi_reader_free(reader);
    wi_buf_fini(&text);
}

TESTS(CASE(members_become_cells_as_they_came), CASE(keys_may_come_and_go_and_change_places),
      CASE(blank_lines_and_a_mark_are_passed_over), CASE(faults_say_where),
      CASE(deep_nesting_is_bounded), CASE(a_line_of_a_megabyte_is_one_row),
      CASE(too_many_keys_are_a_fault_of_the_row))
