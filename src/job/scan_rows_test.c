/* scan_rows_test.c: the rows of every form, what is kept and selected of them, and failures. */
#include "scan_rows.h"

#include <stdlib.h>
#include <time.h>

#include "scan_rows_testing.h"
#include "torture.h"

#define NAME(text)            \
    {                         \
        text, sizeof text - 1 \
    }

static wi_expr *expr_of(const char *text)
{
    wi_expr *expr = NULL;
    EXPECT_INT(wi_expr_new(text, strlen(text), &expr, NULL), WEIR_OK);
    return expr;
}

static wi_matcher *matcher_of(const char *pattern)
{
    wi_matcher *matcher = NULL;
    wi_name name = {pattern, strlen(pattern)};
    wi_matcher_options options = {.no_unicode = true};
    EXPECT_INT(wi_matcher_new(&name, 1, &options, &matcher, NULL), WEIR_OK);
    return matcher;
}

/* ---- lines ---- */

static void put_lines(stage *s)
{
    stage_file(s, "a.log");
    EXPECT(stage_line(s, 1, "plain"));
    EXPECT(stage_line(s, 20, "say \"hi\",\tor\x1B[1m\r"));
    EXPECT(stage_line(s, 300, "caf\xE9"));
    stage_file(s, "b\xFF.log");
    EXPECT(stage_line(s, 4, ""));
    EXPECT_INT(wi_scan_rows_failure(s->rows, "cannot read on", NULL), WEIR_OK);
}

TEST(lines_as_ndjson)
{
    stage s;
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    put_lines(&s);
    stage_expect(
        &s, "{\"path\":\"a.log\",\"line\":1,\"text\":\"plain\"}\n"
            "{\"path\":\"a.log\",\"line\":20,\"text\":\"say \\\"hi\\\",\\tor\\u001b[1m\\r\"}\n"
            "{\"path\":\"a.log\",\"line\":300,\"text\":\"Y2Fm6Q==\",\"text_encoding\":\"base64\"}\n"
            "{\"path\":\"Yv8ubG9n\",\"line\":4,\"text\":\"\",\"path_encoding\":\"base64\"}\n"
            "{\"path\":\"Yv8ubG9n\",\"path_encoding\":\"base64\",\"error\":\"cannot read on\"}\n");
    stage_close(&s);
}

TEST(lines_as_csv)
{
    stage s;
    wi_scan_shape_options options = {.format = WI_FORMAT_CSV};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "path,line,text,text_encoding,path_encoding,error\n");
    put_lines(&s);
    stage_expect(&s, "a.log,1,plain,,,\n"
                     "a.log,20,\"say \"\"hi\"\",\tor\x1B[1m\r\",,,\n"
                     "a.log,300,Y2Fm6Q==,base64,,\n"
                     "Yv8ubG9n,4,,,base64,\n"
                     "Yv8ubG9n,,,,base64,cannot read on\n");
    stage_close(&s);
}

TEST(lines_on_a_terminal)
{
    stage s;
    wi_scan_shape_options options = {.format = WI_FORMAT_CSV, .terminal = true};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    stage_line(&s, 1, "\x1B[1m");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "no \x1B", NULL), WEIR_OK);
    stage_expect(&s, "a,1,\\x1B[1m,,,\na,,,,,no \\x1B\n");
    stage_close(&s);
}

TEST(text_with_nul_is_base64)
{
    stage s;
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_line(s.rows, 1, "a\0b", 3, NULL, NULL, NULL), WEIR_OK);
    stage_expect(&s,
                 "{\"path\":\"a\",\"line\":1,\"text\":\"YQBi\",\"text_encoding\":\"base64\"}\n");
    stage_close(&s);
}

TEST(groups_are_columns)
{
    stage s;
    wi_matcher *matcher = matcher_of("(?<user>\\w+)(?<host>@.*)?");
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .matcher = matcher};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    wi_span spans[2] = {{0, 2}, {2, 4}};
    EXPECT_INT(wi_scan_rows_line(s.rows, 1, "me@x", 4, spans, NULL, NULL), WEIR_OK);
    EXPECT_INT(wi_scan_rows_line(s.rows, 2, "me@\xE9", 4, spans, NULL, NULL), WEIR_OK);
    spans[1] = WI_SPAN_NONE;
    EXPECT_INT(wi_scan_rows_line(s.rows, 3, "me", 2, spans, NULL, NULL), WEIR_OK);
    stage_expect(&s,
                 "{\"path\":\"a\",\"line\":1,\"text\":\"me@x\",\"user\":\"me\",\"host\":\"@x\"}\n"
                 "{\"path\":\"a\",\"line\":2,\"text\":\"bWVA6Q==\",\"text_encoding\":\"base64\","
                 "\"user\":\"me\",\"host\":\"@\xEF\xBF\xBD\"}\n"
                 "{\"path\":\"a\",\"line\":3,\"text\":\"me\",\"user\":\"me\",\"host\":null}\n");
    stage_close(&s);
    options.format = WI_FORMAT_CSV;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "path,line,text,text_encoding,user,host,path_encoding,error\n");
    stage_close(&s);
    wi_matcher_free(matcher);
}

TEST(groups_called_like_columns_are_refused)
{
    weir_error err;
    wi_scan_shape *shape = NULL;
    wi_matcher *matcher = matcher_of("(?<line>x)");
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .matcher = matcher};
    EXPECT_INT(wi_scan_shape_new(&options, &shape, &err), WEIR_INVALID);
    EXPECT_STR(err.text, "the group \"line\" is called like a column that all lines have: give it "
                         "another name, as in (?<my_line>...)");
    EXPECT(!shape);
    wi_matcher_free(matcher);
}

/* ---- --where and --select ---- */

TEST(where_sees_columns_that_are_not_selected)
{
    stage s;
    wi_expr *where = expr_of("line > 1 and text like '%x%'");
    wi_name select[] = {NAME("text"), NAME("line")};
    wi_scan_shape_options options = {
        .format = WI_FORMAT_NDJSON, .where = where, .select = select, .select_len = 2};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    EXPECT(!stage_line(&s, 1, "x"));
    EXPECT(stage_line(&s, 2, "ax"));
    EXPECT(!stage_line(&s, 3, "a"));
    EXPECT(stage_line(&s, 4, "x\xFF")); /* its bytes count, not their base64 */
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    EXPECT(stage_line(&s, 5, "x"));
    stage_expect(&s, "{\"text\":\"ax\",\"line\":2}\n"
                     "{\"text\":\"eP8=\",\"line\":4,\"text_encoding\":\"base64\"}\n"
                     "{\"path\":\"a\",\"error\":\"gone\"}\n"
                     "{\"text\":\"x\",\"line\":5}\n");
    EXPECT_INT(wi_schema_columns(wi_scan_shape_header(s.shape)), 3);
    stage_close(&s);
    wi_expr_free(where);
}

TEST(what_is_base64_says_so_even_if_that_is_not_selected)
{
    stage s;
    wi_name select[] = {NAME("text"), NAME("path")};
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .select = select, .select_len = 2};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "\xFF");
    stage_line(&s, 1, "\xFF");
    stage_expect(&s, "{\"text\":\"/w==\",\"path\":\"/w==\",\"path_encoding\":\"base64\","
                     "\"text_encoding\":\"base64\"}\n");
    stage_close(&s);
}

TEST(csv_has_what_is_selected_and_what_failures_need)
{
    stage s;
    wi_name select[] = {NAME("text"), NAME("line")};
    wi_scan_shape_options options = {.format = WI_FORMAT_CSV, .select = select, .select_len = 2};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "text,line,path,error\n");
    stage_file(&s, "a");
    stage_line(&s, 7, "x");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    stage_expect(&s, "x,7,a,\n,,a,gone\n");
    stage_close(&s);

    options.errors_apart = true;
    options.errors_format = WI_FORMAT_CSV;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "text,line\n");
    EXPECT_INT(wi_schema_columns(wi_scan_shape_failure_header(s.shape)), 3);
    stage_file(&s, "a");
    stage_line(&s, 7, "x");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    stage_expect(&s, "x,7\n");
    EXPECT_STR(wi_buf_cstr(&s.portion.failed_rows), "a,,gone\n");
    stage_close(&s);
}

static void expect_refused(const wi_scan_shape_options *options, const char *want)
{
    weir_error err;
    wi_scan_shape *shape = NULL;
    EXPECT_INT(wi_scan_shape_new(options, &shape, &err), WEIR_INVALID);
    EXPECT_STR(err.text, want);
    EXPECT(!shape);
}

TEST(columns_that_are_not_there_are_refused)
{
    wi_expr *where = expr_of("lines > 1");
    wi_name select[] = {NAME("path"), NAME("size")};
    wi_name twice[] = {NAME("path"), NAME("path")};
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .where = where};
    expect_refused(&options, "--where: condition, character 1: there is no column \"lines\"; there "
                             "are: path, line, text, text_encoding, path_encoding, error");
    options = (wi_scan_shape_options){.format = WI_FORMAT_CSV, .select = select, .select_len = 2};
    expect_refused(&options, "--select: there is no column \"size\"; there are: path, line, text, "
                             "text_encoding, path_encoding, error");
    options.select = twice;
    expect_refused(&options, "--select: column \"path\" appears twice: give each its own name");
    wi_expr_free(where);
}

/* ---- whole files ---- */

static void put_whole(stage *s, const char *path, const char *bytes, size_t len)
{
    bool kept = false;
    stage_file(s, path);
    EXPECT_INT(wi_scan_rows_whole(s->rows, bytes, len, &kept, NULL), WEIR_OK);
    EXPECT(kept);
}

static void put_wholes(stage *s)
{
    put_whole(s, "a.json", "{\"a\":\n [1, 2.50]}\n", 18);
    put_whole(s, "b.txt", "hi\n", 3);
    put_whole(s, "c.bin", "\0\xFF", 2);
    put_whole(s, "empty", "", 0);
    put_whole(s, "not.json", "{", 1);
    put_whole(s, "number", "17\n", 3);
}

TEST(whole_files)
{
    stage s;
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_WHOLE, .format = WI_FORMAT_NDJSON};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    put_wholes(&s);
    stage_expect(&s, "{\"path\":\"a.json\",\"size\":18,\"content\":{\"a\":[1,2.50]}}\n"
                     "{\"path\":\"b.txt\",\"size\":3,\"content\":\"hi\\n\"}\n"
                     "{\"path\":\"c.bin\",\"size\":2,\"content\":\"AP8=\","
                     "\"content_encoding\":\"base64\"}\n"
                     "{\"path\":\"empty\",\"size\":0,\"content\":\"\"}\n"
                     "{\"path\":\"not.json\",\"size\":1,\"content\":\"{\"}\n"
                     "{\"path\":\"number\",\"size\":3,\"content\":\"17\\n\"}\n");
    stage_close(&s);
    options.format = WI_FORMAT_CSV;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "path,size,content,content_encoding,path_encoding,error\n");
    put_wholes(&s);
    stage_expect(&s,
                 "a.json,18,\"{\"\"a\"\":[1,2.50]}\",,,\nb.txt,3,\"hi\n\",,,\nc.bin,2,AP8=,base64,,"
                 "\nempty,0,,,,\nnot.json,1,{,,,\nnumber,3,\"17\n\",,,\n");
    stage_close(&s);
}

/* ---- facts ---- */

static struct stat some_stat(void)
{
    return (struct stat){.st_mode = S_IFREG | 0644,
                         .st_size = 5,
                         .st_mtim = {.tv_sec = 1767323045, .tv_nsec = 123456789},
                         .st_uid = 4000000001U,
                         .st_gid = 4000000002U,
                         .st_nlink = 2,
                         .st_ino = 77};
}

TEST(facts_of_files)
{
    stage s;
    bool kept = false;
    struct stat st = some_stat();
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_STAT, .format = WI_FORMAT_NDJSON};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_stat(s.rows, &st, NULL, &kept, NULL), WEIR_OK);
    EXPECT(kept);
    st.st_mode = S_IFDIR | S_ISVTX | 0777;
    EXPECT_INT(wi_scan_rows_stat(s.rows, &st, NULL, &kept, NULL), WEIR_OK);
    stage_expect(&s,
                 "{\"path\":\"a\",\"type\":\"file\",\"size\":5,"
                 "\"mtime\":\"2026-01-02T03:04:05.123456789Z\",\"mode\":\"0644\","
                 "\"owner\":\"4000000001\",\"group\":\"4000000002\",\"links\":2,\"inode\":77}\n"
                 "{\"path\":\"a\",\"type\":\"directory\",\"size\":5,"
                 "\"mtime\":\"2026-01-02T03:04:05.123456789Z\",\"mode\":\"1777\","
                 "\"owner\":\"4000000001\",\"group\":\"4000000002\",\"links\":2,\"inode\":77}\n");
    stage_close(&s);
}

TEST(facts_with_a_hash_in_csv)
{
    stage s;
    bool kept = false;
    struct stat st = some_stat();
    wi_expr *where = expr_of("mtime >= '2026' and mode = '0644' and size < 6");
    wi_scan_shape_options options = {
        .form = WI_SCAN_FORM_STAT, .with_hash = true, .format = WI_FORMAT_CSV, .where = where};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(
        &s, "path,type,size,hash,mtime,mode,owner,group,links,inode,path_encoding,error\n");
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_stat(s.rows, &st, "ab12", &kept, NULL), WEIR_OK);
    EXPECT(kept);
    st.st_size = 6;
    EXPECT_INT(wi_scan_rows_stat(s.rows, &st, "ab12", &kept, NULL), WEIR_OK);
    EXPECT(!kept);
    stage_expect(&s, "a,file,5,ab12,2026-01-02T03:04:05.123456789Z,0644,4000000001,4000000002,2,"
                     "77,,\n");
    stage_close(&s);
    wi_expr_free(where);
}

static void expect_time(int64_t seconds, const char *want)
{
    stage s;
    struct stat st = {.st_mtim = {.tv_sec = seconds}};
    wi_name select = NAME("mtime");
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_STAT,
                                     .format = WI_FORMAT_CSV,
                                     .select = &select,
                                     .select_len = 1,
                                     .errors_apart = true,
                                     .errors_format = WI_FORMAT_CSV};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_stat(s.rows, &st, NULL, NULL, NULL), WEIR_OK);
    EXPECT_INT(wi_scan_rows_settle(s.rows, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&s.portion.rows), want);
    stage_close(&s);
}

static void compare_time(time_t seconds)
{
    char want[128];
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        SKIP("libc does not know that year");
    long long year = 1900LL + tm.tm_year;
    snprintf(want, sizeof want, "%s%04lld-%02d-%02dT%02d:%02d:%02d.000000000Z\n",
             year < 0 ? "-" : "", llabs(year), tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    expect_time(seconds, want);
}

/* Against libc's calendar, also where years have not four digits. */
TEST(times_are_those_of_the_calendar)
{
    expect_time(0, "1970-01-01T00:00:00.000000000Z\n");
    expect_time(-1, "1969-12-31T23:59:59.000000000Z\n");
    expect_time(951782400, "2000-02-29T00:00:00.000000000Z\n");
    expect_time(253402300800, "10000-01-01T00:00:00.000000000Z\n");
    expect_time(-62167219201, "-0001-12-31T23:59:59.000000000Z\n");
    for (int64_t day = -141000; day < 151000; day += 97)
        compare_time(day * 86400 + 86399);
    for (int64_t day = -400000000; day < 400000000; day += 1234567)
        compare_time(day * 86400 + 12345);
}

TEST(hashes)
{
    stage s;
    bool kept = false;
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_HASH, .format = WI_FORMAT_NDJSON};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_hash(s.rows, 12, "00ff", &kept, NULL), WEIR_OK);
    EXPECT(kept);
    stage_expect(&s, "{\"path\":\"a\",\"size\":12,\"hash\":\"00ff\"}\n");
    stage_close(&s);
    options.format = WI_FORMAT_CSV;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "path,size,hash,path_encoding,error\n");
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_hash(s.rows, 12, "00ff", &kept, NULL), WEIR_OK);
    stage_expect(&s, "a,12,00ff,,\n");
    stage_close(&s);
}

/* ---- counts and paths ---- */

TEST(counts_are_of_lines_that_where_keeps)
{
    stage s;
    wi_expr *where = expr_of("text = 'x'");
    wi_scan_shape_options options = {
        .form = WI_SCAN_FORM_COUNT, .format = WI_FORMAT_NDJSON, .where = where};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    EXPECT(stage_line(&s, 1, "x"));
    EXPECT(!stage_line(&s, 2, "y"));
    EXPECT_INT(wi_scan_rows_count(s.rows, 1, NULL), WEIR_OK);
    stage_expect(&s, "{\"path\":\"a\",\"count\":1}\n");
    stage_close(&s);
    options.where = NULL;
    options.format = WI_FORMAT_CSV;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "path,count,path_encoding,error\n");
    stage_file(&s, "a");
    EXPECT(stage_line(&s, 2, "y"));
    EXPECT_INT(wi_scan_rows_count(s.rows, 1, NULL), WEIR_OK);
    stage_expect(&s, "a,1,,\n");
    stage_close(&s);
    wi_expr_free(where);
}

TEST(paths)
{
    stage s;
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_PATH, .format = WI_FORMAT_NDJSON};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_path(s.rows, NULL), WEIR_OK);
    stage_file(&s, "\xFF");
    EXPECT_INT(wi_scan_rows_path(s.rows, NULL), WEIR_OK);
    stage_expect(&s, "{\"path\":\"a\"}\n{\"path\":\"/w==\",\"path_encoding\":\"base64\"}\n");
    stage_close(&s);
    options.format = WI_FORMAT_CSV;
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    stage_expect_header(&s, "path,path_encoding,error\n");
    stage_file(&s, "a");
    EXPECT_INT(wi_scan_rows_path(s.rows, NULL), WEIR_OK);
    stage_expect(&s, "a,,\n");
    stage_close(&s);
}

/* ---- where rows end ---- */

static void expect_ends(const wi_scan_shape_options *options)
{
    stage s;
    REQUIRE(stage_open(&s, options, NULL) == WEIR_OK);
    wi_span none[1] = {WI_SPAN_NONE};
    stage_file(&s, "a");
    for (int64_t i = 1; i <= 2500; i++) {
        EXPECT_INT(wi_scan_rows_line(s.rows, i, "x\ny", 3, none, NULL, NULL), WEIR_OK);
        if (i % 600 == 0)
            EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    }
    EXPECT_INT(wi_scan_rows_settle(s.rows, NULL), WEIR_OK);
    size_t n = s.portion.row_ends.len / sizeof(size_t);
    const size_t *ends = (const size_t *)s.portion.row_ends.data;
    EXPECT_INT(n, 2504);
    EXPECT_INT(ends[n - 1], s.portion.rows.len);
    for (size_t i = 0, begin = 0; i < n; begin = ends[i++]) {
        bool ok = ends[i] > begin && s.portion.rows.data[ends[i] - 1] == '\n' &&
                  strchr("{a", s.portion.rows.data[begin]) != NULL;
        REQUIRE(EXPECT(ok));
    }
    stage_close(&s);
}

TEST(row_ends_are_noted_if_rows_are_limited)
{
    wi_name select[] = {NAME("path"), NAME("text")};
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .limited = true};
    expect_ends(&options);
    options.format = WI_FORMAT_CSV;
    expect_ends(&options);
    options.select = select;
    options.select_len = 2;
    expect_ends(&options);
    options.format = WI_FORMAT_NDJSON;
    expect_ends(&options);
}

/* ---- lack of memory ---- */

static weir_status all_of(const wi_scan_shape_options *options)
{
    stage s;
    weir_status status = stage_open(&s, options, NULL);
    wi_span groups[2] = {{0, 1}, WI_SPAN_NONE};
    struct stat st = some_stat();
    if (!status)
        stage_file(&s, "a\xFF");
    switch (status ? WI_SCAN_FORM_RECORD : options->form) {
    case WI_SCAN_FORM_LINE:
        for (int i = 1; i < 3 && !status; i++)
            status = wi_scan_rows_line(s.rows, i, "x\xFF", 2, groups, NULL, NULL);
        break;
    case WI_SCAN_FORM_WHOLE:
        status = wi_scan_rows_whole(s.rows, "[1,\n2]", 7, NULL, NULL);
        break;
    case WI_SCAN_FORM_STAT:
        status = wi_scan_rows_stat(s.rows, &st, "00", NULL, NULL);
        break;
    case WI_SCAN_FORM_COUNT:
        status = wi_scan_rows_line(s.rows, 1, "x", 1, groups, NULL, NULL);
        if (!status)
            status = wi_scan_rows_count(s.rows, 1, NULL);
        break;
    default:
        break;
    }
    if (!status)
        status = wi_scan_rows_failure(s.rows, "bad \xFF", NULL);
    if (!status)
        status = wi_scan_rows_settle(s.rows, NULL);
    stage_close(&s);
    return status;
}

TEST(rows_survive_lack_of_memory)
{
    wi_matcher *matcher = matcher_of("(?<a>x)|(?<b>y)");
    wi_expr *where = expr_of("path is not null");
    wi_name select[] = {NAME("path"), NAME("error")};
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .limited = true};
    TORTURE(all_of(&options));
    options.matcher = matcher;
    options.where = where;
    TORTURE(all_of(&options));
    options.form = WI_SCAN_FORM_COUNT;
    TORTURE(all_of(&options));
    options = (wi_scan_shape_options){.format = WI_FORMAT_CSV, .select = select, .select_len = 2};
    TORTURE(all_of(&options));
    options.form = WI_SCAN_FORM_WHOLE;
    options.errors_apart = true;
    options.errors_format = WI_FORMAT_NDJSON;
    TORTURE(all_of(&options));
    options.form = WI_SCAN_FORM_STAT;
    options.with_hash = true;
    TORTURE(all_of(&options));
    wi_expr_free(where);
    wi_matcher_free(matcher);
}

TESTS(CASE(lines_as_ndjson), CASE(lines_as_csv), CASE(lines_on_a_terminal),
      CASE(text_with_nul_is_base64), CASE(groups_are_columns),
      CASE(groups_called_like_columns_are_refused), CASE(where_sees_columns_that_are_not_selected),
      CASE(what_is_base64_says_so_even_if_that_is_not_selected),
      CASE(csv_has_what_is_selected_and_what_failures_need),
      CASE(columns_that_are_not_there_are_refused), CASE(whole_files), CASE(facts_of_files),
      CASE(facts_with_a_hash_in_csv), CASE(times_are_those_of_the_calendar), CASE(hashes),
      CASE(counts_are_of_lines_that_where_keeps), CASE(paths),
      CASE(row_ends_are_noted_if_rows_are_limited), CASE(rows_survive_lack_of_memory))
