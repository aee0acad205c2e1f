/* scan_record_test.c: rows of records: columns that clash and change, headers, faults, failures. */
#include "scan_rows_testing.h"
#include "torture.h"

#define NAME(text)            \
    {                         \
        text, sizeof text - 1 \
    }

static wi_scan_shape_options records_as(wi_format format)
{
    return (wi_scan_shape_options){.form = WI_SCAN_FORM_RECORD, .format = format};
}

static wi_expr *expr_of(const char *text)
{
    wi_expr *expr = NULL;
    EXPECT_INT(wi_expr_new(text, strlen(text), &expr, NULL), WEIR_OK);
    return expr;
}

/* ---- NDJSON ---- */

TEST(columns_are_those_of_each_file)
{
    stage s;
    int64_t faults = -1;
    wi_scan_shape_options options = records_as(WI_FORMAT_NDJSON);
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "a.csv", "id,name\n1,x\n2,\n", &faults), 2);
    EXPECT_INT(faults, 0);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "b.csv", "id,name\n3,\"y\nz\"\n4,w\n", &faults), 2);
    EXPECT_INT(stage_records(&s, WI_FORMAT_NDJSON, "c.ndjson",
                             "{\"n\":1.50,\"o\":{\"a\":null}}\n\n{\"m\":null}\n{}\n", &faults),
               3);
    stage_expect(&s, "{\"path\":\"a.csv\",\"line\":2,\"id\":\"1\",\"name\":\"x\"}\n"
                     "{\"path\":\"a.csv\",\"line\":3,\"id\":\"2\",\"name\":\"\"}\n"
                     "{\"path\":\"b.csv\",\"line\":2,\"id\":\"3\",\"name\":\"y\\nz\"}\n"
                     "{\"path\":\"b.csv\",\"line\":4,\"id\":\"4\",\"name\":\"w\"}\n"
                     "{\"path\":\"c.ndjson\",\"line\":1,\"n\":1.50,\"o\":{\"a\":null}}\n"
                     "{\"path\":\"c.ndjson\",\"line\":3,\"m\":null}\n"
                     "{\"path\":\"c.ndjson\",\"line\":4}\n");
    EXPECT(!wi_scan_shape_header(s.shape));
    stage_close(&s);
}

TEST(columns_called_like_ours_are_renamed)
{
    stage s;
    int64_t faults;
    wi_expr *where = expr_of("path = 'a' and input_path = 'p' and input_line = '9'");
    wi_scan_shape_options options = records_as(WI_FORMAT_NDJSON);
    options.where = where;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "a",
                             "path,line,error,input_error,text_encoding\np,9,e,f,\nq,9,e,f,g\n",
                             &faults),
               1);
    stage_expect(&s, "{\"path\":\"a\",\"line\":2,\"input_path\":\"p\",\"input_line\":\"9\","
                     "\"input_input_error\":\"e\",\"input_error\":\"f\","
                     "\"text_encoding\":\"\"}\n");
    stage_close(&s);
    wi_expr_free(where);
}

TEST(what_is_selected_is_null_where_it_is_not_there)
{
    stage s;
    int64_t faults;
    wi_expr *where = expr_of("hidden > 1 or other is null");
    wi_name select[] = {NAME("b"), NAME("line"), NAME("a")};
    wi_scan_shape_options options = records_as(WI_FORMAT_NDJSON);
    options.where = where;
    options.select = select;
    options.select_len = 3;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_NDJSON, "x",
                             "{\"a\":1,\"hidden\":2,\"other\":3}\n{\"b\":\"t\",\"other\":0}\n{}\n",
                             &faults),
               2);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "y", "a,b\n7,8\n", &faults), 1);
    stage_expect(&s, "{\"b\":null,\"line\":1,\"a\":1}\n{\"b\":null,\"line\":3,\"a\":null}\n"
                     "{\"b\":\"8\",\"line\":2,\"a\":\"7\"}\n");
    stage_close(&s);
    wi_expr_free(where);
}

TEST(faulty_records_are_rows)
{
    stage s;
    int64_t faults = -1;
    wi_scan_shape_options options = records_as(WI_FORMAT_NDJSON);
    options.limited = true;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "a.csv", "id,name\n1,x\n2\n3,y\n", &faults), 2);
    EXPECT_INT(faults, 1);
    EXPECT_INT(wi_scan_rows_failure(s.rows, "no more", NULL), WEIR_OK);
    stage_expect(&s, "{\"path\":\"a.csv\",\"line\":2,\"id\":\"1\",\"name\":\"x\"}\n"
                     "{\"path\":\"a.csv\",\"line\":3,\"error\":\"a.csv line 3: 1 field, but the "
                     "header has 2\"}\n"
                     "{\"path\":\"a.csv\",\"line\":4,\"id\":\"3\",\"name\":\"y\"}\n"
                     "{\"path\":\"a.csv\",\"error\":\"no more\"}\n");
    EXPECT_INT(s.portion.row_ends.len, 4 * sizeof(size_t));
    stage_close(&s);
}

TEST(faulty_records_go_apart)
{
    stage s;
    int64_t faults = -1;
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    options.errors_apart = true;
    options.errors_format = WI_FORMAT_NDJSON;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "b.csv");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "a.csv", "id,name\n1,x\n2\n3,y\n", &faults), 2);
    EXPECT_INT(faults, 1);
    stage_expect_header(&s, "path,line,id,name,path_encoding,error\n");
    stage_expect(&s, "a.csv,2,1,x,,\na.csv,4,3,y,,\n");
    EXPECT_STR(wi_buf_cstr(&s.portion.failed_rows),
               "{\"path\":\"b.csv\",\"error\":\"gone\"}\n"
               "{\"path\":\"a.csv\",\"line\":3,\"error\":\"a.csv line 3: 1 field, but the header "
               "has 2\"}\n");
    stage_close(&s);
}

/* ---- CSV ---- */

TEST(the_header_is_that_of_the_first_file)
{
    stage s;
    int64_t faults = -1;
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT(!wi_scan_shape_header(s.shape));
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "a.csv", "id,name\n1,x\n", &faults), 1);
    stage_expect_header(&s, "path,line,id,name,path_encoding,error\n");
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "b.csv", "name,id\ny,2\n", &faults), 1);
    EXPECT_INT(stage_records(&s, WI_FORMAT_NDJSON, "c.ndjson",
                             "{\"id\":3}\n{\"id\":4,\"new\":5}\n{\"id\":6,\"new\":null}\n",
                             &faults),
               2);
    EXPECT_INT(faults, 1);
    stage_expect(&s,
                 "a.csv,2,1,x,,\nb.csv,2,2,y,,\nc.ndjson,1,3,,,\n"
                 "c.ndjson,2,,,,\"column \"\"new\"\" is not in the CSV's header, which is that of "
                 "a.csv: write NDJSON, whose rows may differ, or name the columns (--select)\"\n"
                 "c.ndjson,3,6,,,\n");
    stage_close(&s);
}

TEST(other_hands_share_the_header)
{
    stage s;
    int64_t faults;
    wi_scan_rows *other = NULL;
    wi_portion portion = {.number = 1};
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    REQUIRE(wi_scan_rows_new(s.shape, &other, NULL) == WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "a.csv", "id\n1\n", &faults), 1);
    wi_scan_rows_begin(other, "z", 1, &portion);
    EXPECT_INT(wi_scan_rows_failure(other, "gone", NULL), WEIR_OK);
    wi_batch *batch = stage_batch(WI_FORMAT_CSV, "z", "name,id\n,2\nx,3\n");
    int64_t kept = -1;
    EXPECT_INT(wi_scan_rows_records(other, batch, &kept, &faults, NULL), WEIR_OK);
    EXPECT_INT(kept, 0);
    EXPECT_INT(faults, 2); /* an empty text is a value, too */
    wi_batch_unref(batch);
    EXPECT_INT(wi_scan_rows_settle(other, NULL), WEIR_OK);
    EXPECT(strncmp(wi_buf_cstr(&portion.rows), "z,,,,gone\nz,2,,,", 14) == 0);
    wi_scan_rows_free(other);
    wi_buf_fini(&portion.rows);
    stage_close(&s);
}

TEST(failures_wait_for_the_header)
{
    stage s;
    int64_t faults = -1;
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    options.limited = true;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a.csv");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_NDJSON, "b.ndjson", "{}\n[]\n", &faults), 1);
    EXPECT_INT(faults, 1);
    stage_expect(&s, "");
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "c.csv", "id\n1\n", &faults), 1);
    EXPECT_INT(stage_records(&s, WI_FORMAT_NDJSON, "d.ndjson", "{}\n", &faults), 1);
    stage_expect(&s, "a.csv,,,,gone\nb.ndjson,1,,,\n"
                     "b.ndjson,2,,,\"b.ndjson line 2: every line must be one JSON object, but this "
                     "begins an array: jq -c '.[]' turns it into such lines\"\n"
                     "c.csv,2,1,,\nd.ndjson,1,,,\n");
    EXPECT_INT(s.portion.row_ends.len, 5 * sizeof(size_t));
    stage_done(&s, false);
    size_t len = s.portion.rows.len;
    EXPECT_INT(wi_scan_shape_rest(s.shape, &s.portion, NULL), WEIR_OK);
    EXPECT_INT(s.portion.rows.len, len);
    stage_close(&s);
}

TEST(failures_that_nothing_came_after_are_the_rest)
{
    stage s;
    wi_portion rest = {.number = 0};
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    options.limited = true;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a.csv");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    stage_done(&s, true);
    EXPECT_INT(wi_scan_shape_rest(s.shape, &rest, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&rest.rows), "a.csv,,,gone\n");
    EXPECT_INT(rest.row_ends.len, sizeof(size_t));
    stage_expect_header(&s, "path,line,path_encoding,error\n");
    wi_buf_fini(&rest.rows);
    wi_buf_fini(&rest.row_ends);
    stage_close(&s);
}

TEST(a_file_without_rows_gives_a_header_too)
{
    stage s;
    wi_schema *schema = NULL;
    wi_name name = NAME("id");
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    REQUIRE(wi_schema_new(&name, 1, &schema, NULL) == WEIR_OK);
    stage_file(&s, "a.csv");
    EXPECT_INT(wi_scan_rows_columns(s.rows, schema, NULL), WEIR_OK);
    stage_expect_header(&s, "path,line,id,path_encoding,error\n");
    wi_schema_unref(schema);
    stage_close(&s);
}

TEST(where_drops_before_strays_are_looked_for)
{
    stage s;
    int64_t faults = -1;
    wi_expr *where = expr_of("new is null or new > 5");
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    options.where = where;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "a", "id\n1\n", &faults), 1);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "b", "id,new\n2,3\n4,9\n", &faults), 0);
    EXPECT_INT(faults, 1);
    stage_close(&s);
    wi_expr_free(where);
}

TEST(selected_columns_are_the_header)
{
    stage s;
    int64_t faults = -1;
    wi_name select[] = {NAME("name"), NAME("error"), NAME("id")};
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    options.select = select;
    options.select_len = 3;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "name,error,id,path\n");
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "b", "id,new\n2,3\n", &faults), 1);
    EXPECT_INT(faults, 0);
    stage_expect(&s, ",gone,,a\n,,2,b\n");
    stage_close(&s);
}

/* ---- counting ---- */

TEST(records_are_counted)
{
    stage s;
    int64_t faults = -1;
    wi_expr *where = expr_of("id > 1");
    wi_scan_shape_options options = {
        .form = WI_SCAN_FORM_COUNT, .sifted = WI_SCAN_FORM_RECORD, .format = WI_FORMAT_NDJSON};
    for (int i = 0; i < 2; i++) {
        options.where = i ? where : NULL;
        REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
        int64_t kept = stage_records(&s, WI_FORMAT_CSV, "a", "id,b\n1,\n2,\n3\n4,\n", &faults);
        EXPECT_INT(kept, i ? 2 : 3);
        EXPECT_INT(faults, 1);
        EXPECT_INT(wi_scan_rows_count(s.rows, kept, NULL), WEIR_OK);
        stage_expect(&s, i ? "{\"path\":\"a\",\"line\":4,\"error\":\"a line 4: 1 field, but the "
                             "header has 2\"}\n{\"path\":\"a\",\"count\":2}\n"
                           : "{\"path\":\"a\",\"line\":4,\"error\":\"a line 4: 1 field, but the "
                             "header has 2\"}\n{\"path\":\"a\",\"count\":3}\n");
        stage_close(&s);
    }
    wi_expr_free(where);
}

/* ---- many rows, and too many columns ---- */

TEST(many_records_come_in_their_order)
{
    stage s;
    int64_t faults;
    wi_buf text = WI_BUF_INIT;
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    for (int file = 0; file < 40; file++) {
        wi_buf_clear(&text);
        wi_buf_puts(&text, file % 3 ? "id,b\n" : "b,id\n");
        for (int i = 0; i < 90; i++) {
            wi_buf_printf(&text, file % 3 ? "%d,x\n" : "x,%d\n", i);
        }
        EXPECT_INT(stage_records(&s, WI_FORMAT_CSV, "f", wi_buf_cstr(&text), &faults), 90);
    }
    EXPECT_INT(wi_scan_rows_settle(s.rows, NULL), WEIR_OK);
    const char *at = wi_buf_cstr(&s.portion.rows);
    for (int file = 0; file < 40; file++) {
        for (int i = 0; i < 90; i++) {
            char row[64];
            snprintf(row, sizeof row, "f,%d,x,%d,,\n", i + 2, i);
            REQUIRE(EXPECT(strncmp(at, row, strlen(row)) == 0));
            at += strlen(row);
        }
    }
    EXPECT_STR(at, "");
    wi_buf_fini(&text);
    stage_close(&s);
}

TEST(too_many_columns_are_refused)
{
    stage s;
    weir_error err;
    char texts[WI_SCHEMA_MAX_COLUMNS][6];
    static wi_name names[WI_SCHEMA_MAX_COLUMNS];
    wi_schema *schema = NULL;
    wi_scan_shape_options options = records_as(WI_FORMAT_CSV);
    for (int i = 0; i < WI_SCHEMA_MAX_COLUMNS; i++)
        names[i] = (wi_name){texts[i], (size_t)snprintf(texts[i], sizeof texts[i], "%d", i)};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    REQUIRE(wi_schema_new(names, WI_SCHEMA_MAX_COLUMNS, &schema, NULL) == WEIR_OK);
    stage_file(&s, "a.csv");
    EXPECT_INT(wi_scan_rows_columns(s.rows, schema, &err), WEIR_TOOLARGE);
    EXPECT_INT(wi_scan_rows_failure(s.rows, err.text, NULL), WEIR_OK);
    wi_schema_unref(schema);
    stage_close(&s);
}

/* ---- lack of memory ---- */

static weir_status all_of(const wi_scan_shape_options *options, const wi_batch *a,
                          const wi_batch *b)
{
    stage s;
    int64_t kept;
    int64_t faults;
    weir_status status = stage_open(&s, options, NULL);
    s.portion.journaled = !options->limited;
    if (!status) {
        stage_file(&s, "\xFF");
        status = wi_scan_rows_failure(s.rows, "gone", NULL);
    }
    if (!status)
        status = wi_scan_rows_done(s.rows, true, NULL);
    if (!status)
        wi_scan_rows_begin(s.rows, "a", 1, &s.portion);
    if (!status)
        status = wi_scan_rows_records(s.rows, a, &kept, &faults, NULL);
    if (!status)
        status = wi_scan_rows_records(s.rows, b, &kept, &faults, NULL);
    if (!status)
        status = wi_scan_rows_settle(s.rows, NULL);
    if (!status)
        status = wi_scan_rows_done(s.rows, true, NULL);
    if (!status)
        status = wi_scan_shape_rest(s.shape, &s.portion, NULL);
    stage_close(&s);
    return status;
}

TEST(records_survive_lack_of_memory)
{
    wi_expr *where = expr_of("id != 7");
    wi_name select[] = {NAME("id"), NAME("path")};
    wi_batch *a = stage_batch(WI_FORMAT_CSV, "a", "id,path\n1,p\n2\n");
    wi_batch *b = stage_batch(WI_FORMAT_NDJSON, "b", "{\"id\":7}\n{\"id\":8,\"new\":1}\n");
    wi_scan_shape_options options = records_as(WI_FORMAT_NDJSON);
    TORTURE(all_of(&options, a, b));
    options.where = where;
    options.format = WI_FORMAT_CSV;
    options.limited = true;
    TORTURE(all_of(&options, a, b));
    options.select = select;
    options.select_len = 2;
    TORTURE(all_of(&options, a, b));
    options = (wi_scan_shape_options){.form = WI_SCAN_FORM_COUNT,
                                      .sifted = WI_SCAN_FORM_RECORD,
                                      .format = WI_FORMAT_CSV,
                                      .where = where};
    TORTURE(all_of(&options, a, b));
    wi_batch_unref(a);
    wi_batch_unref(b);
    wi_expr_free(where);
}

TESTS(CASE(columns_are_those_of_each_file), CASE(columns_called_like_ours_are_renamed),
      CASE(what_is_selected_is_null_where_it_is_not_there), CASE(faulty_records_are_rows),
      CASE(faulty_records_go_apart), CASE(the_header_is_that_of_the_first_file),
      CASE(other_hands_share_the_header), CASE(failures_wait_for_the_header),
      CASE(failures_that_nothing_came_after_are_the_rest),
      CASE(a_file_without_rows_gives_a_header_too), CASE(where_drops_before_strays_are_looked_for),
      CASE(selected_columns_are_the_header), CASE(records_are_counted),
      CASE(many_records_come_in_their_order), CASE(too_many_columns_are_refused),
      CASE(records_survive_lack_of_memory))
