/* template_test.c: what parses, what is refused and in which words, and what data can never do. */
#include "template.h"

#include <stdlib.h>

#include "test.h"
#include "torture.h"

/* One row of named string or JSON cells to expand against. */
typedef struct row {
    const char *name;
    wi_cell_kind kind;
    const char *bytes;
} row;

static wi_batch *batch_of(const row *cells, size_t n)
{
    wi_name names[8];
    for (size_t i = 0; i < n; i++)
        names[i] = (wi_name){cells[i].name, strlen(cells[i].name)};
    wi_schema *schema = NULL;
    wi_batch *batch = NULL;
    if (!EXPECT(wi_schema_new(names, n, &schema, NULL) == WEIR_OK))
        return NULL;
    EXPECT(wi_batch_new(schema, &batch, NULL) == WEIR_OK);
    wi_schema_unref(schema);
    for (size_t i = 0; i < n; i++)
        if (cells[i].kind == WI_NULL)
            wi_batch_put_null(batch, i);
        else if (cells[i].kind == WI_INT)
            wi_batch_put_int(batch, i, atoll(cells[i].bytes));
        else if (cells[i].kind == WI_DOUBLE)
            wi_batch_put_double(batch, i, atof(cells[i].bytes));
        else if (cells[i].kind != WI_ABSENT)
            wi_batch_put(batch, i, cells[i].kind, cells[i].bytes, strlen(cells[i].bytes));
    EXPECT(wi_batch_end_row(batch, NULL) == WEIR_OK);
    return batch;
}

static weir_error last;
static char text[4096];

static const char *as_text(const wi_buf *buf)
{
    size_t len = buf->len < sizeof text ? buf->len : sizeof text - 1;
    if (len)
        memcpy(text, buf->data, len);
    text[len] = '\0';
    return text;
}

/* The expansion in `text`, or the error's text. */
static const char *expand_in(const char *template_, wi_template_mode mode, const wi_scope *scope)
{
    wi_template *t = NULL;
    wi_buf out = WI_BUF_INIT;
    memset(&last, 0, sizeof last);
    weir_status status = wi_template_parse(template_, strlen(template_), mode, "URL", &t, &last);
    if (!status)
        status = wi_template_expand(t, scope, &out, NULL, &last);
    EXPECT_INT(last.status, status);
    as_text(&out);
    EXPECT(!status || out.len == 0);
    wi_template_free(t);
    wi_buf_fini(&out);
    return status ? last.text : text;
}

static const char *expand(const char *template_, wi_template_mode mode, wi_cell_kind kind,
                          const char *value)
{
    row cells[] = {{"id", kind, value}};
    wi_batch *batch = batch_of(cells, 1);
    const char *got = expand_in(template_, mode, &(wi_scope){.batch = batch, .number = 7});
    wi_batch_unref(batch);
    return got;
}

static const char *parse_fault(const char *template_, wi_template_mode mode)
{
    wi_template *t = NULL;
    memset(&last, 0, sizeof last);
    weir_status status = wi_template_parse(template_, strlen(template_), mode, "URL", &t, &last);
    EXPECT_INT(status, last.status);
    EXPECT(!t || !status);
    wi_template_free(t);
    return last.text;
}

/* All combinations of a URL, separated by spaces. */
static const char *all(const char *template_)
{
    wi_template *t = NULL;
    wi_buf out = WI_BUF_INIT;
    if (!EXPECT_INT(
            wi_template_parse(template_, strlen(template_), WI_TEMPLATE_URL, "URL", &t, &last), 0))
        return last.text;
    uint64_t count = wi_template_count(t);
    for (uint64_t i = 0; i < count && i < 100; i++) {
        if (i)
            wi_buf_putc(&out, ' ');
        wi_scope scope = {.choice = i, .number = i + 1};
        EXPECT_INT(wi_template_expand(t, &scope, &out, NULL, &last), 0);
    }
    as_text(&out);
    wi_buf_fini(&out);
    wi_template_free(t);
    return text;
}

static uint64_t count_of(const char *template_)
{
    wi_template *t = NULL;
    if (!EXPECT_INT(
            wi_template_parse(template_, strlen(template_), WI_TEMPLATE_URL, "URL", &t, &last), 0))
        return 0;
    uint64_t count = wi_template_count(t);
    wi_template_free(t);
    return count;
}

TEST(ranges)
{
    EXPECT_STR(all("a{1..3}b"), "a1b a2b a3b");
    EXPECT_STR(all("{3..1}"), "3 2 1");
    EXPECT_STR(all("{5..5}"), "5");
    EXPECT_STR(all("{-1..1}"), "-1 0 1");
    EXPECT_STR(all("{098..101}"), "098 099 100 101");
    EXPECT_STR(all("{1..010..4}"), "001 005 009");
    EXPECT_STR(all("{-01..1}"), "-01 000 001");
    EXPECT_STR(all("{0..10..5}"), "0 5 10");
    EXPECT_STR(all("{10..0..4}"), "10 6 2");
    EXPECT_STR(all("{1..3..9}"), "1");
    EXPECT_STR(all("{a..e..2}"), "a c e");
    EXPECT_STR(all("{C..A}"), "C B A");
}

TEST(ranges_at_the_edge_of_64_bits)
{
    EXPECT_STR(all("{9223372036854775806..9223372036854775807}"),
               "9223372036854775806 9223372036854775807");
    EXPECT_STR(all("{-9223372036854775807..-9223372036854775808}"),
               "-9223372036854775807 -9223372036854775808");
    EXPECT_STR(all("{-9223372036854775808..9223372036854775807..9223372036854775807}"),
               "-9223372036854775808 -1 9223372036854775806");
    EXPECT_STR(all("{9223372036854775807..-9223372036854775808..9223372036854775807}"),
               "9223372036854775807 0 -9223372036854775807");
    EXPECT_INT(count_of("{1..4611686018427387904}"), 1LL << 62);
    EXPECT_STR(parse_fault("{1..4611686018427387905}", WI_TEMPLATE_URL),
               "URL: \"{1..4611686018427387905}\" at column 1 has more than 2^62 values");
    EXPECT_STR(parse_fault("x{1..9223372036854775808}", WI_TEMPLATE_URL),
               "URL: \"{1..9223372036854775808}\" at column 2 has a number beyond 64 bits");
    EXPECT(strstr(parse_fault("{1..2..9223372036854775808}", WI_TEMPLATE_URL), "beyond 64 bits"));
    EXPECT_INT(count_of("{1..2147483648}{1..2147483648}"), 1LL << 62);
    EXPECT_STR(parse_fault("{1..2147483648}{1..2147483649}", WI_TEMPLATE_URL),
               "URL: \"{1..2147483649}\" at column 16 makes more than 2^62 combinations");
}

TEST(lists)
{
    EXPECT_STR(all("{a,b}/{x,,y}"), "a/x a/ a/y b/x b/ b/y");
    EXPECT_STR(all("{,}"), " ");
    EXPECT_STR(all("{a\\,b,\\{c\\},\\\\}"), "a,b {c} \\");
    EXPECT_STR(all("{1..2}{a,b}{#}"), "1a1 1b2 2a3 2b4");
    EXPECT_INT(count_of("{a,b}{1..3}{x,y,z}"), 18);
    EXPECT_INT(count_of("plain"), 1);
}

TEST(escapes_and_text)
{
    EXPECT_STR(all("\\{a\\}\\\\n\\x"), "{a}\\n\\x");
    EXPECT_STR(all("end\\"), "end\\");
    EXPECT_STR(all("https://h/?q=a,b..c"), "https://h/?q=a,b..c");
}

TEST(what_is_refused_and_how)
{
    EXPECT_STR(parse_fault("https://api.example.com/x/{1..x}", WI_TEMPLATE_URL),
               "URL: \"{1..x}\" at column 27 is neither a range ({1..200}) nor a list ({a,b}) nor "
               "a column name");
    EXPECT_STR(parse_fault("https://api.example.com/x/{id", WI_TEMPLATE_URL),
               "URL: \"{\" at column 27 is never closed; write \\{ for a literal brace");
    EXPECT_STR(parse_fault("x/{a/{b}", WI_TEMPLATE_URL),
               "URL: \"{\" at column 3 is never closed; write \\{ for a literal brace");
    EXPECT_STR(parse_fault("x/{a\\}", WI_TEMPLATE_URL),
               "URL: \"{\" at column 3 is never closed; write \\{ for a literal brace");
    EXPECT_STR(parse_fault("x/b}", WI_TEMPLATE_URL),
               "URL: \"}\" at column 4 closes nothing; write \\} for a literal brace");
    EXPECT_STR(parse_fault("äö{}", WI_TEMPLATE_URL), "URL: \"{}\" at column 3 has no column name");
    EXPECT_STR(parse_fault("x{:raw}", WI_TEMPLATE_URL),
               "URL: \"{:raw}\" at column 2 has no column name");
    EXPECT_STR(parse_fault("x{1..9..0}", WI_TEMPLATE_URL),
               "URL: \"{1..9..0}\" at column 2 needs a step of at least 1; A and B give the "
               "direction");
    EXPECT(strstr(parse_fault("{1..9..-1}", WI_TEMPLATE_URL), "at least 1"));
    EXPECT(strstr(parse_fault("{1..}", WI_TEMPLATE_URL), "is neither"));
    EXPECT(strstr(parse_fault("{..}", WI_TEMPLATE_URL), "is neither"));
    EXPECT(strstr(parse_fault("{1...3}", WI_TEMPLATE_URL), "is neither"));
    EXPECT(strstr(parse_fault("{1..2..3..4}", WI_TEMPLATE_URL), "is neither"));
    EXPECT(strstr(parse_fault("{a..Z}", WI_TEMPLATE_URL), "is neither"));
    EXPECT(strstr(parse_fault("{a..9}", WI_TEMPLATE_URL), "is neither"));
    EXPECT(strstr(parse_fault("{+1..9}", WI_TEMPLATE_URL), "is neither"));
    EXPECT(strstr(parse_fault("{-..9}", WI_TEMPLATE_URL), "is neither"));
    EXPECT_STR(parse_fault("", WI_TEMPLATE_URL), "URL: is empty");
    EXPECT_STR(parse_fault("https://h/a b", WI_TEMPLATE_URL),
               "URL: \" \" at column 12 cannot stand in a URL; percent-encode it (a space is %20)");
    EXPECT_STR(parse_fault("https://h/{a,b c}", WI_TEMPLATE_URL),
               "URL: \" \" at column 15 cannot stand in a URL; percent-encode it (a space is %20)");
    EXPECT(strstr(parse_fault("https://h/\x1b[m", WI_TEMPLATE_URL), "\"\\x1b\" at column 11") ||
           strstr(last.text, "\"\\x1B\" at column 11"));
    EXPECT(strstr(parse_fault("h{#0}", WI_TEMPLATE_RAW), "from {#1}"));
    EXPECT(strstr(parse_fault("h{#99999999999999999999}", WI_TEMPLATE_RAW), "from {#1}"));
    EXPECT(strstr(parse_fault("h{1..2}{#1}", WI_TEMPLATE_URL), "is for headers"));
}

TEST(a_url_does_not_begin_with_an_encoded_column)
{
    EXPECT_STR(parse_fault("{url}", WI_TEMPLATE_URL),
               "URL: \"{url}\" at column 1 would be percent-encoded, the scheme and its slashes "
               "too; write {url:raw}");
    EXPECT(strstr(parse_fault("{env:BASE}/x", WI_TEMPLATE_URL), "write {env:BASE:raw}"));
    EXPECT_STR(expand("{id:raw}?q={id}", WI_TEMPLATE_URL, WI_STRING, "http://h/ä"),
               "http://h/ä?q=http%3A%2F%2Fh%2F%C3%A4");
    EXPECT_STR(expand("{id}", WI_TEMPLATE_FORM, WI_STRING, "a/b"), "a%2Fb");
    EXPECT_STR(all("{http,https}://h"), "http://h https://h");
}

TEST(nul_bytes)
{
    static const char url[] = "http://h/\0x";
    static const wi_template_mode strict[] = {WI_TEMPLATE_URL, WI_TEMPLATE_HEADER,
                                              WI_TEMPLATE_PATH};
    for (int i = 0; i < 3; i++) {
        wi_template *t = NULL;
        EXPECT_INT(wi_template_parse(url, sizeof url - 1, strict[i], "it", &t, &last),
                   WEIR_INVALID);
        EXPECT(strstr(last.text, "at column 10 cannot stand in a"));
    }
    wi_template *t = NULL;
    wi_buf out = WI_BUF_INIT;
    EXPECT_INT(wi_template_parse("{\0}", 3, WI_TEMPLATE_RAW, "it", &t, &last), 0);
    EXPECT_INT(wi_template_expand(t, &(wi_scope){0}, &out, NULL, &last), 0);
    EXPECT(out.len == 3 && memcmp(out.data, "{\0}", 3) == 0);
    wi_template_free(t);
    wi_buf_fini(&out);
}

TEST(columns_in_a_url)
{
    EXPECT_STR(expand("h/{id}/{#}", WI_TEMPLATE_URL, WI_STRING, "a b&c=ü~"),
               "h/a%20b%26c%3D%C3%BC~/7");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_JSON, "\"a\\n\\u00e4\\ud83d\\ude00\\ud800!\""),
               "h/a%0A%C3%A4%F0%9F%98%80%EF%BF%BD%21");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_JSON, "\"\\ud800\\ud83d\\ude00\""),
               "h/%EF%BF%BD%F0%9F%98%80");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_JSON, "1.50e3"), "h/1.50e3");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_JSON, "true"), "h/true");
    EXPECT_STR(expand("h/{id:raw}", WI_TEMPLATE_URL, WI_JSON, "[1,{\"a\":2}]"), "h/[1,{\"a\":2}]");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_NULL, NULL), "h/");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_INT, "-42"), "h/-42");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_DOUBLE, "0.5"), "h/0.5");
    EXPECT_STR(expand("h/{id}", WI_TEMPLATE_URL, WI_ABSENT, NULL), "the row has no column \"id\"");
    EXPECT_INT(last.status, WEIR_INVALID);
    EXPECT_STR(expand("h/{di}", WI_TEMPLATE_URL, WI_STRING, "x"), "the row has no column \"di\"");
    EXPECT_STR(expand_in("h/{id}", WI_TEMPLATE_URL, &(wi_scope){0}),
               "the row has no column \"id\"");
}

TEST(json_bodies)
{
    EXPECT_STR(expand("{\"a\": {id}, \"b\": \"<{id}>\"}", WI_TEMPLATE_JSON, WI_STRING, "q\"\n"),
               "{\"a\": \"q\\\"\\n\", \"b\": \"<q\\\"\\n>\"}");
    EXPECT_STR(expand("{\"a\":{id},\"b\":\"{id}\"}", WI_TEMPLATE_JSON, WI_JSON, "\"q\\\"\\u00e4\""),
               "{\"a\":\"q\\\"\\u00e4\",\"b\":\"q\\\"\\u00e4\"}");
    EXPECT_STR(expand("{\"a\":{id},\"b\":\"{id}\"}", WI_TEMPLATE_JSON, WI_JSON, "{\"x\":[1]}"),
               "{\"a\":{\"x\":[1]},\"b\":\"{\\\"x\\\":[1]}\"}");
    EXPECT_STR(expand("[{id},\"{id}\",{#}]", WI_TEMPLATE_JSON, WI_NULL, NULL), "[null,\"\",7]");
    EXPECT_STR(expand("[{id},\"{id}\"]", WI_TEMPLATE_JSON, WI_INT, "12"), "[12,\"12\"]");
    EXPECT_STR(expand("[{id},\"{id}\"]", WI_TEMPLATE_JSON, WI_STRING, "12"), "[\"12\",\"12\"]");
    EXPECT_STR(expand("[{id:raw}]", WI_TEMPLATE_JSON, WI_STRING, "1,2"), "[1,2]");
    EXPECT(strstr(expand("[{id}]", WI_TEMPLATE_JSON, WI_DOUBLE, "nan"), "is not finite"));
    EXPECT(strstr(expand("[{id}]", WI_TEMPLATE_JSON, WI_BINARY, "\xff"), "is not UTF-8"));
}

TEST(json_bodies_know_where_strings_end)
{
    EXPECT_STR(expand("[\"\\\"{id}\",{id}]", WI_TEMPLATE_JSON, WI_STRING, "v"),
               "[\"\\\"v\",\"v\"]");
    EXPECT_STR(expand("[\"\\\\\",{id}]", WI_TEMPLATE_JSON, WI_STRING, "v"), "[\"\\\\\",\"v\"]");
    EXPECT_STR(expand("[\"\\\\{id}\"]", WI_TEMPLATE_JSON, WI_STRING, "v"), "[\"\\\\v\"]");
    EXPECT_STR(expand("[\"\\{id\\}\"]", WI_TEMPLATE_JSON, WI_STRING, "v"), "[\"{id}\"]");
    EXPECT_STR(expand("\"\\u007b\"", WI_TEMPLATE_JSON, WI_STRING, "v"), "\"\\u007b\"");
}

TEST(braces_in_bodies_are_text)
{
    static const char *const same[] = {"{}",
                                       "{\"a\":{}}",
                                       "{ \"a\": { \"b\": 1 } }",
                                       "{\n\t\"a\": 1}",
                                       "\"{1,3}\"",
                                       "\"{a{\"",
                                       "\"{1..3}\"",
                                       "\"{ id }\"",
                                       "}{",
                                       "{id"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        EXPECT_STR(expand(same[i], WI_TEMPLATE_JSON, WI_STRING, "v"), same[i]);
        EXPECT_STR(expand(same[i], WI_TEMPLATE_FORM, WI_STRING, "v"), same[i]);
        EXPECT_STR(expand(same[i], WI_TEMPLATE_RAW, WI_STRING, "v"), same[i]);
    }
    EXPECT_STR(expand("a={id}&b=\\{id\\}", WI_TEMPLATE_FORM, WI_STRING, "x y"), "a=x%20y&b={id}");
    EXPECT_STR(expand("<a>{id}</a>", WI_TEMPLATE_RAW, WI_STRING, "<&>"), "<a><&></a>");
}

TEST(headers)
{
    EXPECT_STR(expand("X: {id}", WI_TEMPLATE_HEADER, WI_STRING, "a b\t\xc3\xa4"),
               "X: a b\t\xc3\xa4");
    EXPECT_STR(expand("X: {id}", WI_TEMPLATE_HEADER, WI_STRING, "a\r\nY: b"),
               "URL: the value of \"{id}\" at column 4 holds a line break or NUL, which a header "
               "cannot hold");
    EXPECT_INT(last.status, WEIR_INVALID);
    EXPECT(strstr(expand("X: {id}", WI_TEMPLATE_HEADER, WI_JSON, "\"a\\nb\""), "holds a line"));
    EXPECT(strstr(expand("X: {id}", WI_TEMPLATE_HEADER, WI_JSON, "\"a\\u0000b\""), "holds a line"));
    EXPECT(strstr(parse_fault("X: a\r\nY: b", WI_TEMPLATE_HEADER), "at column 5 cannot stand"));
    EXPECT(strstr(parse_fault("X: {id:raw}", WI_TEMPLATE_HEADER), "cannot be :raw here"));
    EXPECT(strstr(parse_fault("X: {1..3}", WI_TEMPLATE_HEADER), "which only a URL has"));
    EXPECT(strstr(parse_fault("X: {a,b}", WI_TEMPLATE_HEADER), "which only a URL has"));
    EXPECT(strstr(parse_fault("X: {", WI_TEMPLATE_HEADER), "never closed"));
}

TEST(paths)
{
    EXPECT_STR(expand("/d/{id}.json", WI_TEMPLATE_PATH, WI_STRING, "a b"), "/d/a b.json");
    EXPECT_STR(expand("d/{id}", WI_TEMPLATE_PATH, WI_STRING, "../../etc/passwd"),
               "d/%2E.%2F..%2Fetc%2Fpasswd");
    EXPECT_STR(expand("d/{id}", WI_TEMPLATE_PATH, WI_STRING, ".."), "d/%2E.");
    EXPECT_STR(expand("d/.{id}", WI_TEMPLATE_PATH, WI_STRING, "."), "d/.%2E");
    EXPECT_STR(expand("d/{id}{id}", WI_TEMPLATE_PATH, WI_STRING, "."), "d/%2E.");
    EXPECT_STR(expand("{id}", WI_TEMPLATE_PATH, WI_STRING, ".x"), "%2Ex");
    EXPECT_STR(expand("{id}", WI_TEMPLATE_PATH, WI_STRING, "a.b"), "a.b");
    EXPECT_STR(expand("d/{id}", WI_TEMPLATE_PATH, WI_STRING, ""), "d/_");
    EXPECT_STR(expand("d/{id}", WI_TEMPLATE_PATH, WI_NULL, NULL), "d/_");
    EXPECT_STR(expand("d/{id}", WI_TEMPLATE_PATH, WI_JSON, "\"\""), "d/_");
    EXPECT_STR(expand("{id}", WI_TEMPLATE_PATH, WI_STRING, "%2F\x7f\n\xc2\x85\xc2\xa0"),
               "%252F%7F%0A%C2%85\xc2\xa0");
    EXPECT_STR(expand("{id}", WI_TEMPLATE_PATH, WI_JSON, "\"\\u0000\\/x\""), "%00%2Fx");
    EXPECT(strstr(parse_fault("dir/", WI_TEMPLATE_PATH), "names no file"));
    EXPECT(strstr(parse_fault("", WI_TEMPLATE_PATH), "names no file"));
    EXPECT(strstr(parse_fault("{id:raw}", WI_TEMPLATE_PATH), "cannot be :raw here"));
}

TEST(long_file_names_fail)
{
    char name[300];
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    EXPECT_INT(strlen(expand("{id}/{id}", WI_TEMPLATE_PATH, WI_STRING, name)), 511);
    EXPECT_INT(last.status, 0);
    EXPECT(strstr(expand("{id}/{id}.x", WI_TEMPLATE_PATH, WI_STRING, name),
                  "would have 257 bytes, more than the 255 allowed"));
    EXPECT_INT(last.status, WEIR_INVALID);
}

TEST(chosen_values_elsewhere)
{
    wi_template *url = NULL, *other = NULL;
    const char *u = "h/{a,b\"/}/{1..3}/{01..03}";
    REQUIRE(wi_template_parse(u, strlen(u), WI_TEMPLATE_URL, "URL", &url, &last) == WEIR_OK);
    wi_scope scope = {.url = url, .choice = 9 + 3 + 2, .number = 15};
    EXPECT_STR(expand_in("{#1}-{#2}-{#3}-{#}", WI_TEMPLATE_PATH, &scope), "b\"%2F-2-03-15");
    EXPECT_STR(expand_in("[{#1},{#2},{#3},\"{#1}\"]", WI_TEMPLATE_JSON, &scope),
               "[\"b\\\"/\",2,\"03\",\"b\\\"/\"]");
    EXPECT(strstr(expand_in("x{#4}", WI_TEMPLATE_PATH, &scope), "no such range or list"));
    EXPECT(strstr(expand_in("x{#1}", WI_TEMPLATE_PATH, &(wi_scope){0}), "no such range or list"));
    REQUIRE(wi_template_parse("x{#4}", 5, WI_TEMPLATE_PATH, "--save", &other, &last) == WEIR_OK);
    EXPECT_INT(wi_template_check(other, NULL, NULL, &last), WEIR_OK);
    EXPECT_INT(wi_template_check(other, NULL, url, &last), WEIR_INVALID);
    EXPECT_STR(last.text, "--save: {#4} at column 2, but the URL has 3 ranges or lists");
    wi_template_free(url);
    wi_template_free(other);
}

TEST(unknown_columns)
{
    row cells[] = {{"id", WI_STRING, "1"}, {"name", WI_STRING, "x"}};
    wi_batch *batch = batch_of(cells, 2);
    const wi_schema *schema = wi_batch_schema(batch);
    wi_template *t = NULL;
    const char *u = "https://api.example.com/items/{idd}";
    REQUIRE(wi_template_parse(u, strlen(u), WI_TEMPLATE_URL, "URL", &t, &last) == WEIR_OK);
    EXPECT_INT(wi_template_check(t, schema, NULL, &last), WEIR_INVALID);
    EXPECT_STR(last.text, "URL: unknown column \"idd\" at column 31; the input has: id, name");
    EXPECT_INT(wi_template_check(t, NULL, NULL, &last), WEIR_INVALID);
    EXPECT_STR(last.text, "URL: unknown column \"idd\" at column 31; there is no input (-i) to "
                          "take it from");
    wi_template_free(t);
    const char *body = "{\"a\": {id},\n \"b\": \"{name}\",\n \"ü\": {nope}}";
    REQUIRE(wi_template_parse(body, strlen(body), WI_TEMPLATE_JSON, "body", &t, &last) == WEIR_OK);
    EXPECT_INT(wi_template_check(t, schema, NULL, &last), WEIR_INVALID);
    EXPECT_STR(last.text,
               "body: unknown column \"nope\" at line 3, column 7; the input has: id, name");
    wi_template_free(t);
    wi_batch_unref(batch);
}

TEST(many_columns_are_listed_in_part)
{
    char names[20][48];
    wi_name list[20];
    for (int i = 0; i < 20; i++)
        list[i] = (wi_name){names[i], (size_t)sprintf(names[i], "column_%d", i)};
    wi_schema *schema = NULL;
    wi_template *t = NULL;
    REQUIRE(wi_schema_new(list, 20, &schema, &last) == WEIR_OK);
    REQUIRE(wi_template_parse("x{y}", 4, WI_TEMPLATE_URL, "URL", &t, &last) == WEIR_OK);
    EXPECT_INT(wi_template_check(t, schema, NULL, &last), WEIR_INVALID);
    EXPECT(strstr(last.text, "column_6, column_7 and 12 more"));
    wi_template_free(t);
    wi_schema_unref(schema);
}

TEST(secrets)
{
    setenv("UNITS_SECRET", "s3\"cret/", 1);
    wi_template *t = NULL;
    wi_buf out = WI_BUF_INIT, shown = WI_BUF_INIT;
    const char *u = "h/{env:UNITS_SECRET}/{#}";
    REQUIRE(wi_template_parse(u, strlen(u), WI_TEMPLATE_URL, "URL", &t, &last) == WEIR_OK);
    unsetenv("UNITS_SECRET");
    EXPECT(wi_template_has_secrets(t));
    EXPECT_INT(wi_template_expand(t, &(wi_scope){.number = 5}, &out, &shown, &last), WEIR_OK);
    EXPECT_MEM(out.data, out.len, "h/s3%22cret%2F/5");
    EXPECT_MEM(shown.data, shown.len, "h/***/5");
    wi_template_free(t);
    wi_buf_clear(&shown);
    REQUIRE(wi_template_parse("h/{#}", 5, WI_TEMPLATE_URL, "URL", &t, &last) == WEIR_OK);
    EXPECT(!wi_template_has_secrets(t));
    EXPECT_INT(wi_template_expand(t, &(wi_scope){.number = 5}, &out, &shown, &last), WEIR_OK);
    EXPECT_INT(shown.len, 0);
    wi_template_free(t);
    wi_buf_fini(&out);
    wi_buf_fini(&shown);
    EXPECT_STR(parse_fault("h/{env:UNITS_SECRET}", WI_TEMPLATE_URL),
               "URL: \"{env:UNITS_SECRET}\" at column 3 names an environment variable that is not "
               "set");
    EXPECT(strstr(parse_fault("h/{env:}", WI_TEMPLATE_URL), "names no environment variable"));
    setenv("UNITS_SECRET", "a\nb\xff", 1);
    EXPECT(strstr(parse_fault("X: {env:UNITS_SECRET}", WI_TEMPLATE_HEADER), "has a line break"));
    EXPECT(strstr(parse_fault("[{env:UNITS_SECRET}]", WI_TEMPLATE_JSON), "not UTF-8"));
    EXPECT(!strstr(last.text, "a\nb"));
    unsetenv("UNITS_SECRET");
}

static bool constant(const char *template_, wi_template_mode mode)
{
    wi_template *t = NULL;
    if (wi_template_parse(template_, strlen(template_), mode, "it", &t, &last) != WEIR_OK)
        return false;
    bool is = wi_template_is_constant(t);
    wi_template_free(t);
    return is;
}

TEST(constants)
{
    EXPECT(constant("abc", WI_TEMPLATE_URL));
    EXPECT(constant("", WI_TEMPLATE_RAW));
    EXPECT(constant("a{1..1}", WI_TEMPLATE_URL));
    EXPECT(!constant("a{1..2}", WI_TEMPLATE_URL));
    EXPECT(!constant("a{#}", WI_TEMPLATE_URL));
    EXPECT(!constant("a{#1}", WI_TEMPLATE_RAW));
    EXPECT(!constant("a{id}", WI_TEMPLATE_RAW));
}

TEST(a_cap_is_kept)
{
    row cells[] = {{"id", WI_STRING, "0123456789"}};
    wi_batch *batch = batch_of(cells, 1);
    wi_template *t = NULL;
    wi_buf out;
    wi_buf_init(&out, 16);
    wi_buf_puts(&out, "x");
    REQUIRE(wi_template_parse("{id}{id}", 8, WI_TEMPLATE_RAW, "body", &t, &last) == WEIR_OK);
    EXPECT_INT(wi_template_expand(t, &(wi_scope){.batch = batch}, &out, NULL, &last),
               WEIR_TOOLARGE);
    EXPECT_STR(last.text, "body: larger than 16 bytes");
    EXPECT_INT(out.len, 1);
    wi_template_free(t);
    wi_buf_fini(&out);
    wi_batch_unref(batch);
}

static weir_status parse_and_expand(void)
{
    static const char url[] = "h/{a,b}/{1..3}/{x,y,z}{#}{#}{#}{#}{#}/{env:PATH}";
    wi_template *t = NULL;
    wi_buf out = WI_BUF_INIT, shown = WI_BUF_INIT;
    weir_status status = wi_template_parse(url, sizeof url - 1, WI_TEMPLATE_URL, "URL", &t, &last);
    if (!status)
        status = wi_template_expand(t, &(wi_scope){.url = t}, &out, &shown, &last);
    wi_buf_fini(&out);
    wi_buf_fini(&shown);
    wi_template_free(t);
    return status;
}

TEST(survives_lack_of_memory)
{
    TORTURE(parse_and_expand());
}

TESTS(CASE(ranges), CASE(ranges_at_the_edge_of_64_bits), CASE(lists), CASE(escapes_and_text),
      CASE(what_is_refused_and_how), CASE(a_url_does_not_begin_with_an_encoded_column),
      CASE(nul_bytes), CASE(columns_in_a_url), CASE(json_bodies),
      CASE(json_bodies_know_where_strings_end), CASE(braces_in_bodies_are_text), CASE(headers),
      CASE(paths), CASE(long_file_names_fail), CASE(chosen_values_elsewhere), CASE(unknown_columns),
      CASE(many_columns_are_listed_in_part), CASE(secrets), CASE(constants), CASE(a_cap_is_kept),
      CASE(survives_lack_of_memory))
