/* csv_reader_test.c: CSV and TSV, their corners, and every way to cut them. */
#include "rows.h"

static void csv(const char *text, const char *want)
{
    expect_rows(WI_FORMAT_CSV, text, want);
}

static void tsv(const char *text, const char *want)
{
    expect_rows(WI_FORMAT_TSV, text, want);
}

TEST(reads_plain_rows)
{
    csv("a,b\n1,2\n3,4\n", "2 a=1 b=2\n3 a=3 b=4\n");
    csv("a,b\n1,2\n3,4", "2 a=1 b=2\n3 a=3 b=4\n");
    csv("a,b\r\n1,2\r\n", "2 a=1 b=2\n");
    csv("a,b\r\n1,2\r", "2 a=1 b=2\n");
    csv("a,b,c\n,,\n", "2 a= b= c=\n");
    csv("a,b\n 1 ,\t2\n", "2 a= 1  b=\t2\n");
    csv("long header name,second\nmore than eight bytes,more than eight bytes too\n",
        "2 long header name=more than eight bytes second=more than eight bytes too\n");
}

TEST(reads_quoted_fields)
{
    csv("a,b\n\"x\",\"y\"\n", "2 a=x b=y\n");
    csv("a,b\n\"\",\"\"\n", "2 a= b=\n");
    csv("a,b\n\"1,2\",\"3\n4\"\nx,y\n", "2 a=1,2 b=3\n4\n4 a=x b=y\n");
    csv("a,b\n\"1\r\n2\",3\r\n\"4\",5\r\n", "2 a=1\r\n2 b=3\n4 a=4 b=5\n");
    csv("a,b\n\"say \"\"hi\"\"\",\"\"\"\"\n", "2 a=say \"hi\" b=\"\n");
    csv("\"a\",\"b,\"\"c\"\n1,2\n", "2 a=1 b,\"c=2\n");
    csv("a\n\"x\"", "2 a=x\n");
    csv("a\n\"x\ny\"\n\"z\"", "2 a=x\ny\n4 a=z\n");
}

TEST(a_quote_inside_an_unquoted_field_is_itself)
{
    csv("a,b\n5\" pipe,x\n1,2\n", "2 a=5\" pipe b=x\n3 a=1 b=2\n");
    csv("a,b\n1,x\"y\"\n", "2 a=1 b=x\"y\"\n");
    csv("a,b\n \"1\",2\n", "2 a= \"1\" b=2\n");
}

TEST(faults_name_line_and_column)
{
    csv("a,b\n1\n1,2,3\n4,5\n", "2 a=1 ! in line 2: 1 field, but the header has 2\n"
                                "3 a=1 b=2 ! in line 3: 3 fields, but the header has 2\n"
                                "4 a=4 b=5\n");
    csv("a,b\n\"x\"y,2\n3,4\n",
        "2 a=xy b=2 ! in line 2, column 4: expected a comma after the closing quote\n"
        "3 a=3 b=4\n");
    csv("a,b\n\"x\"\"y\" \"z\",2\n",
        "2 a=x\"y \"z\" b=2 ! in line 2, column 7: expected a comma after the closing quote\n");
    csv("a,b\n1,\"x\ny\",z\n", "2 a=1 b=x\ny ! in line 2: 3 fields, but the header has 2\n");
    csv("a,b\n1,\"x\ny\"z\n3,4\n",
        "2 a=1 b=x\nyz ! in line 3, column 3: expected a comma after the closing quote\n"
        "4 a=3 b=4\n");
}

TEST(a_quote_never_closed_is_a_fault_where_it_opens)
{
    csv("a,b\n1,2\n3,\"x\n4,5\n",
        "2 a=1 b=2\n"
        "3 a=3 b=x\n4,5\n ! in line 3, column 3: the quote that opens here is never closed\n");
    csv("a\n\"", "2 a= ! in line 2, column 1: the quote that opens here is never closed\n");
    csv("a\n\"x\"\"", "2 a=x\" ! in line 2, column 1: the quote that opens here is never closed\n");
}

TEST(passes_over_a_byte_order_mark)
{
    csv("\xEF\xBB\xBF"
        "a,b\n1,2\n",
        "2 a=1 b=2\n");
    csv("\xEF\xBB\xBF\"a\",b\n1,2\n", "2 a=1 b=2\n");
    csv("\xEF\xBB\xBF", "");
    csv("\xEF\xBB", "failed: in line 1, column 1: byte 0xEF is not valid UTF-8: convert the "
                    "input, for example with iconv\n");
    csv("a\n\xEF\xBB\xBFx\n", "2 a=\xEF\xBB\xBFx\n");
}

TEST(empty_lines_are_skipped_but_for_one_column)
{
    csv("\n\r\na,b\n\n1,2\n\r\n\n3,4\n\n", "5 a=1 b=2\n8 a=3 b=4\n");
    csv("a\n1\n\n2\n", "2 a=1\n3 a=\n4 a=2\n");
    csv("", "");
    csv("\n\n", "");
    csv("a,b\n", "");
    csv("a,b", "");
}

TEST(a_header_that_is_no_use_fails)
{
    csv("a,b,a\n1,2,3\n",
        "failed: in line 1: the header: column \"a\" appears twice: give each its own name\n");
    csv(",,\n1,2,3\n", "failed: in line 1: the header names no column\n");
    csv("\"\"\n1\n", "failed: in line 1: the header names no column\n");
    csv("a,b\xFF\n1,2\n", "failed: in line 1, column 4: byte 0xFF is not valid UTF-8: convert the "
                          "input, for example with iconv\n");
    csv("a,\"b\n1,2\n", "failed: in line 1, column 3: the quote that opens here is never closed\n");
    expect_rows_n(WI_FORMAT_CSV, 10, "a23456789,b\n1,2\n", 16,
                  "failed: in line 1: the row is longer than 10 bytes (--max-row)\n");
}

TEST(columns_without_a_name_get_one)
{
    csv(",id,\n1,2,3\n", "2 column_1=1 id=2 column_3=3\n");
    csv("column_2,\n1,2\n",
        "failed: in line 1: the header: column \"column_2\" appears twice: give each its own "
        "name\n");
}

TEST(nul_and_bad_utf8_are_faults_of_their_row)
{
    expect_rows_n(WI_FORMAT_CSV, 1000, "a,b\n1,x\0y\n3,4\n", 14, /* shown up to the NUL */
                  "2 a=1 b=x");
    csv("a,b\ngr\xC3\xBC\xC3\x9F,x\xFFy\n3,4\n",
        "2 a=gr\xC3\xBC\xC3\x9F b=x\xEF\xBF\xBDy ! in line 2, column 7: byte 0xFF is not valid "
        "UTF-8: convert the input, for example with iconv\n3 a=3 b=4\n");
    csv("a,b\n\"\xC3\",\"\xE2\x82\"\n",
        "2 a=\xEF\xBF\xBD b=\xEF\xBF\xBD\xEF\xBF\xBD ! in line 2, column 2: byte 0xC3 is not "
        "valid UTF-8: convert the input, for example with iconv\n");
    wi_reader *reader = NULL;
    wi_batch *batch = NULL;
    REQUIRE(wi_reader_new(WI_FORMAT_CSV, "in", 99, &reader, NULL) == WEIR_OK);
    wi_reader_feed(reader, "a,b\n1,x\0y\n", 10, NULL);
    REQUIRE(wi_reader_next(reader, 9, &batch, NULL) == WEIR_OK && batch);
    EXPECT_STR(wi_batch_fault(batch, 0),
               "in line 2, column 4: a NUL byte: this does not look like text");
    wi_cell cell = wi_batch_cell(batch, 0, 1);
    EXPECT(cell.len == 3 && memcmp(cell.bytes, "x\0y", 3) == 0);
    wi_batch_unref(batch);
    wi_reader_free(reader);
}

TEST(rows_too_long_are_faults_and_reading_goes_on)
{
    static const char text[] = "a,b\n12345678,9\n1234567890,1\n3,4\n\"12\n45678901\n\"5,6\n7,8\n";
    expect_rows_n(WI_FORMAT_CSV, 10, text, sizeof text - 1,
                  "2 a=12345678 b=9\n"
                  "3 ! in line 3: the row is longer than 10 bytes (--max-row)\n"
                  "4 a=3 b=4\n"
                  "5 ! in line 5: the row is longer than 10 bytes (--max-row)\n"
                  "7 a=5,6\n7,8\n ! in line 7, column 1: the quote that opens here is never "
                  "closed\n");
    expect_rows_n(WI_FORMAT_CSV, 4, "a,b\n1,2345", 10,
                  "2 ! in line 2: the row is longer than 4 bytes (--max-row)\n");
    expect_rows_n(WI_FORMAT_CSV, 4, "a,b\n1,23456\n", 12,
                  "2 ! in line 2: the row is longer than 4 bytes (--max-row)\n");
    expect_rows_n(WI_FORMAT_CSV, 4, "a,b\n1,2\r\n1,23\r\n", 15,
                  "2 a=1 b=2\n3 ! in line 3: the row is longer than 4 bytes (--max-row)\n");
}

TEST(tsv_has_escapes_and_no_quotes)
{
    tsv("a\tb\n1\t2\n", "2 a=1 b=2\n");
    tsv("a\tb\r\n\"1\t2,\"\r\n", "2 a=\"1 b=2,\"\n");
    tsv("a\tb\nx\\ty\\nz\t\\\\n\\r\n", "2 a=x\ty\nz b=\\n\r\n");
    tsv("a\tb\nC:\\dir\tend\\\n", "2 a=C:\\dir b=end\\\n");
    tsv("a\tb\n1\n", "2 a=1 ! in line 2: 1 field, but the header has 2\n");
    tsv("a\ta\n",
        "failed: in line 1: the header: column \"a\" appears twice: give each its own name\n");
}

TESTS(CASE(reads_plain_rows), CASE(reads_quoted_fields),
      CASE(a_quote_inside_an_unquoted_field_is_itself), CASE(faults_name_line_and_column),
      CASE(a_quote_never_closed_is_a_fault_where_it_opens), CASE(passes_over_a_byte_order_mark),
      CASE(empty_lines_are_skipped_but_for_one_column), CASE(a_header_that_is_no_use_fails),
      CASE(columns_without_a_name_get_one), CASE(nul_and_bad_utf8_are_faults_of_their_row),
      CASE(rows_too_long_are_faults_and_reading_goes_on), CASE(tsv_has_escapes_and_no_quotes))
