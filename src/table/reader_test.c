/* reader_test.c: what holds for every format: names, feeding, ending, and plain lines. */
#include "rows.h"
#include "torture.h"

TEST(formats_go_by_suffix)
{
    EXPECT_INT(wi_format_of_path("ids.csv"), WI_FORMAT_CSV);
    EXPECT_INT(wi_format_of_path("dir.csv/IDS.CSV.gz"), WI_FORMAT_CSV);
    EXPECT_INT(wi_format_of_path("a.tsv.zst"), WI_FORMAT_TSV);
    EXPECT_INT(wi_format_of_path("a.tsv.xz"), WI_FORMAT_TSV);
    EXPECT_INT(wi_format_of_path("a.csv.bz2"), WI_FORMAT_CSV);
    EXPECT_INT(wi_format_of_path("a.ndjson"), WI_FORMAT_NDJSON);
    EXPECT_INT(wi_format_of_path("a.jsonl.gz"), WI_FORMAT_NDJSON);
    EXPECT_INT(wi_format_of_path("a.json"), WI_FORMAT_NDJSON);
    EXPECT_INT(wi_format_of_path("a.txt"), WI_FORMAT_LINES);
    EXPECT_INT(wi_format_of_path("-"), WI_FORMAT_LINES);
    EXPECT_INT(wi_format_of_path(""), WI_FORMAT_LINES);
    EXPECT_INT(wi_format_of_path("csv"), WI_FORMAT_LINES);
    EXPECT_INT(wi_format_of_path("a.csv.bak"), WI_FORMAT_LINES);
}

TEST(lines_are_rows_of_one_column)
{
    expect_rows(WI_FORMAT_LINES, "one\ntwo, \"three\"\r\n\n\r\nlast",
                "1 line=one\n2 line=two, \"three\"\n5 line=last\n");
    expect_rows(WI_FORMAT_LINES, "", "");
    expect_rows(WI_FORMAT_LINES, "\xEF\xBB\xBFx\n", "1 line=x\n");
    expect_rows(WI_FORMAT_LINES, "a\rb\n", "1 line=a\rb\n");
    expect_rows(WI_FORMAT_LINES, "x\xFF\nok\n",
                "1 line=x\xEF\xBF\xBD ! in line 1, column 2: byte 0xFF is not valid UTF-8: convert "
                "the input, for example with iconv\n2 line=ok\n");
    expect_rows_n(WI_FORMAT_LINES, 5, "12345\n123456\n\n1234567890123\n1\n", 30,
                  "1 line=12345\n2 ! in line 2: the row is longer than 5 bytes (--max-row)\n"
                  "4 ! in line 4: the row is longer than 5 bytes (--max-row)\n5 line=1\n");
}

TEST(the_schema_is_known_after_a_header_alone)
{
    wi_reader *reader = NULL;
    wi_batch *batch = NULL;
    REQUIRE(wi_reader_new(WI_FORMAT_AUTO, "ids.csv", 100, &reader, NULL) == WEIR_OK);
    EXPECT(!wi_reader_schema(reader));
    EXPECT_INT(wi_reader_feed(reader, "a,b", 3, NULL), WEIR_OK);
    EXPECT_INT(wi_reader_next(reader, 10, &batch, NULL), WEIR_OK);
    EXPECT(!batch && !wi_reader_schema(reader));
    EXPECT_INT(wi_reader_feed(reader, NULL, 0, NULL), WEIR_OK);
    EXPECT_INT(wi_reader_next(reader, 10, &batch, NULL), WEIR_OK);
    EXPECT(!batch);
    REQUIRE(wi_reader_schema(reader));
    EXPECT_INT(wi_schema_find(wi_reader_schema(reader), "b", 1), 1);
    weir_error err;
    EXPECT_INT(wi_reader_feed(reader, "1", 1, &err), WEIR_CLOSED);
    EXPECT_STR(err.text, "ids.csv: the input has ended already");
    wi_reader_free(reader);
    wi_reader_free(NULL);
}

TEST(batches_outlive_their_reader_and_differ_from_row_to_row)
{
    wi_reader *reader = NULL;
    wi_batch *first = NULL;
    wi_batch *second = NULL;
    REQUIRE(wi_reader_new(WI_FORMAT_CSV, "in", 100, &reader, NULL) == WEIR_OK);
    wi_reader_feed(reader, "a\n1\n2\n3\n4\n5\n", 12, NULL);
    wi_reader_next(reader, 3, &first, NULL);
    wi_reader_next(reader, 3, &second, NULL);
    wi_reader_free(reader);
    REQUIRE(first && second);
    EXPECT_INT(wi_batch_rows(first), 3);
    EXPECT_INT(wi_batch_rows(second), 2);
    wi_cell cell = wi_batch_cell(second, 1, 0);
    EXPECT_MEM(cell.bytes, cell.len, "5");
    EXPECT_INT(wi_batch_line(second, 1), 6);
    EXPECT(wi_batch_schema(first) == wi_batch_schema(second));
    wi_batch_unref(first);
    wi_batch_unref(second);
}

TEST(a_stream_without_end_is_read_in_little_memory)
{
    wi_reader *reader = NULL;
    wi_buf piece = WI_BUF_INIT;
    for (int i = 0; i < 1000; i++)
        wi_buf_puts(&piece, "some line of text that is not too short\n");
    REQUIRE(wi_reader_new(WI_FORMAT_LINES, "in", 1000, &reader, NULL) == WEIR_OK);
    size_t rows = 0;
    for (int i = 0; i < 500; i++) {
        /* a piece that never ends with a line, so that something always stays behind */
        REQUIRE(wi_reader_feed(reader, piece.data + (i ? 0 : 7), piece.len - (i ? 0 : 7), NULL) ==
                WEIR_OK);
        for (wi_batch *batch = NULL;; rows += wi_batch_rows(batch), wi_batch_unref(batch)) {
            REQUIRE(wi_reader_next(reader, 300, &batch, NULL) == WEIR_OK);
            if (!batch)
                break;
            EXPECT(wi_batch_bytes(batch) < 200000);
        }
    }
    EXPECT_INT(rows, 500000);
    wi_reader_free(reader);
    wi_buf_fini(&piece);
}

/* Reads all of it as it comes, in pieces; fails like the call that failed. */
static weir_status read_pieces(wi_format format, const char *text)
{
    wi_reader *reader = NULL;
    size_t len = strlen(text);
    weir_status status = wi_reader_new(format, "in", 40, &reader, NULL);
    for (size_t at = 0; !status && at <= len; at += 9) {
        wi_batch *batch = NULL;
        status = wi_reader_feed(reader, text + at, len - at < 9 ? len - at : 9, NULL);
        if (!status)
            status = wi_reader_next(reader, 10, &batch, NULL);
        wi_batch_unref(batch);
    }
    wi_reader_free(reader);
    return status;
}

TEST(reading_survives_lack_of_memory)
{
    TORTURE(read_pieces(WI_FORMAT_CSV, "a,,c\n1,\"x\"\"y\",3\n\xFF,\"z\"q\n\"open\n,"));
    TORTURE(read_pieces(WI_FORMAT_TSV,
                        "a\tb\n1\\t\t2\nthis row has far more bytes than it may have\n"));
    TORTURE(
        read_pieces(WI_FORMAT_NDJSON, "{\"a\":1}\n{\"b\\u0041\": [ 1 ]}\n[]\n{\"c\":\"\xFF\"}\n"));
    TORTURE(read_pieces(WI_FORMAT_LINES, "one\ntwo\xC3\nthree"));
}

/* The rows of `text`, however often memory ran out on the way: a call that failed is repeated. */
static void show_stubborn(wi_format format, const char *text, wi_buf *out)
{
    wi_reader *reader = NULL;
    REQUIRE(wi_reader_new(format, "in", 40, &reader, NULL) == WEIR_OK);
    wi_reader_feed(reader, text, strlen(text), NULL);
    wi_reader_feed(reader, NULL, 0, NULL);
    for (long fail_at = 1;; fail_at++) {
        wi_batch *batch = NULL;
        torture_left = fail_at;
        weir_status status = wi_reader_next(reader, 2, &batch, NULL);
        torture_left = -1;
        EXPECT(status == WEIR_OK || status == WEIR_NOMEM);
        for (size_t i = 0; batch && i < wi_batch_rows(batch); i++)
            show_row(out, batch, i);
        wi_batch_unref(batch);
        if (!status && !batch)
            break;
        REQUIRE(fail_at < 1000);
    }
    wi_reader_free(reader);
}

TEST(no_row_is_lost_when_memory_comes_back)
{
    static const struct {
        wi_format format;
        const char *text;
    } inputs[] = {
        {WI_FORMAT_CSV, "a,,c\n1,\"x\"\"y\",3\n\xFF,\"z\"q\n4,5,6\n\"open\n,"},
        {WI_FORMAT_TSV, "a\tb\n1\\t\t2\nthis row has far more bytes than it may have\n3\t4\n"},
        {WI_FORMAT_NDJSON, "{\"a\":1}\n{\"b\\u0041\": [ 1 ]}\n[]\n{\"c\":\"\xFF\",\"a\":null}\n"},
        {WI_FORMAT_LINES, "one\ntwo\xC3\nthree"},
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        wi_buf calm = WI_BUF_INIT;
        wi_buf out = WI_BUF_INIT;
        size_t len = strlen(inputs[i].text);
        show_cut(inputs[i].format, 40, inputs[i].text, len, len, 0, &calm);
        show_stubborn(inputs[i].format, inputs[i].text, &out);
        EXPECT_STR(wi_buf_cstr(&out), wi_buf_cstr(&calm));
        wi_buf_fini(&calm);
        wi_buf_fini(&out);
    }
}

TESTS(CASE(formats_go_by_suffix), CASE(lines_are_rows_of_one_column),
      CASE(the_schema_is_known_after_a_header_alone),
      CASE(batches_outlive_their_reader_and_differ_from_row_to_row),
      CASE(a_stream_without_end_is_read_in_little_memory), CASE(reading_survives_lack_of_memory),
      CASE(no_row_is_lost_when_memory_comes_back))
