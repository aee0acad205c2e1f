/* template_command_test.c: placeholders of commands: what is one, what is not, and what a value
 * becomes. */
#include <stdlib.h>

#include "template.h"
#include "test.h"
#include "torture.h"

static weir_error last;
static char text[1024];

static wi_batch *row_of(const char *name, const char *value, size_t len)
{
    wi_name names[] = {{name, strlen(name)}};
    wi_schema *schema = NULL;
    wi_batch *batch = NULL;
    if (!EXPECT(wi_schema_new(names, 1, &schema, NULL) == WEIR_OK))
        return NULL;
    EXPECT(wi_batch_new(schema, &batch, NULL) == WEIR_OK);
    wi_schema_unref(schema);
    wi_batch_put(batch, 0, WI_STRING, value, len);
    EXPECT(wi_batch_end_row(batch, NULL) == WEIR_OK);
    return batch;
}

/* The expansion, or the error's text. */
static const char *expand_with(const char *word, wi_template_mode mode, const wi_scope *scope,
                               const wi_schema *schema)
{
    wi_template *t = NULL;
    wi_buf out = WI_BUF_INIT;
    memset(&last, 0, sizeof last);
    weir_status status = wi_template_parse(word, strlen(word), mode, "command", &t, &last);
    if (!status)
        status = wi_template_check(t, schema, scope->url, &last);
    if (!status)
        status = wi_template_expand(t, scope, &out, NULL, &last);
    EXPECT_INT(last.status, status);
    size_t len = out.len < sizeof text ? out.len : sizeof text - 1;
    if (len)
        memcpy(text, out.data, len);
    text[len] = '\0';
    wi_buf_fini(&out);
    wi_template_free(t);
    return status ? last.text : text;
}

static const char *expand(const char *word, wi_template_mode mode, const char *value)
{
    wi_batch *batch = row_of("file", value, strlen(value));
    wi_scope scope = {.batch = batch, .number = 12};
    const char *got = expand_with(word, mode, &scope, wi_batch_schema(batch));
    wi_batch_unref(batch);
    return got;
}

static const char *word(const char *template_, const char *value)
{
    return expand(template_, WI_TEMPLATE_WORD, value);
}

TEST(placeholders_of_a_value)
{
    EXPECT_STR(word("{}", "a b"), "a b");
    EXPECT_STR(word("-o{.}.png", "dir/x.tar.gz"), "-odir/x.tar.png");
    EXPECT_STR(word("{.}", "dir.d/noext"), "dir.d/noext");
    EXPECT_STR(word("{/}", "a/b/c.txt"), "c.txt");
    EXPECT_STR(word("{/}", "c.txt"), "c.txt");
    EXPECT_STR(word("{//}", "a/b/c.txt"), "a/b");
    EXPECT_STR(word("{//}", "c.txt"), ".");
    EXPECT_STR(word("{//}", "/c.txt"), "/");
    EXPECT_STR(word("{/.}", "a/b/c.tar.gz"), "c.tar");
    EXPECT_STR(word("{file}={file/.}:{#}", "x/y.z"), "x/y.z=y:12");
    EXPECT_STR(word("{1}={1/.}", "x/y.z"), "x/y.z=y");
    EXPECT_STR(word("{}", ""), "");
    EXPECT_STR(word("{//}", ""), ".");
}

TEST(braces_that_are_text)
{
    EXPECT_STR(word("{print $1}", "v"), "{print $1}");
    EXPECT_STR(word("{a,b}", "v"), "{a,b}");
    EXPECT_STR(word("${file:-x}", "v"), "${file:-x}");
    EXPECT_STR(word("{", "v"), "{");
    EXPECT_STR(word("}", "v"), "}");
    EXPECT_STR(word("{{}}", "v"), "{v}");
    EXPECT_STR(word("{...}", "v"), "{...}");
    EXPECT_STR(word("{#.}", "v"), "{#.}");
    EXPECT_STR(word("\\{}", "v"), "{}");
    EXPECT_STR(word("a\\\\b", "v"), "a\\\\b");
}

TEST(quotes_for_a_shell)
{
    EXPECT_STR(expand("cat {} | wc -l", WI_TEMPLATE_SHELL, "a b"), "cat 'a b' | wc -l");
    EXPECT_STR(expand("{}", WI_TEMPLATE_SHELL, "it's"), "'it'\\''s'");
    EXPECT_STR(expand("{}", WI_TEMPLATE_SHELL, "''"), "''\\'''\\'''");
    EXPECT_STR(expand("{}", WI_TEMPLATE_SHELL, ""), "''");
    EXPECT_STR(expand("{/.}", WI_TEMPLATE_SHELL, "a'/$(b).c"), "'$(b)'");
    EXPECT_STR(expand("{#}", WI_TEMPLATE_SHELL, "v"), "'12'");
}

TEST(a_nul_is_no_argument)
{
    wi_batch *batch = row_of("file", "a\0b", 3);
    wi_scope scope = {.batch = batch};
    EXPECT(strstr(expand_with("{}", WI_TEMPLATE_WORD, &scope, wi_batch_schema(batch)), "NUL"));
    EXPECT_STR(expand_with("{}", WI_TEMPLATE_STDIN, &scope, wi_batch_schema(batch)), "a");
    wi_batch_unref(batch);
}

static const char *const first[] = {"a/b.c", "d"};
static const char *const second[] = {"1", "2", "3"};

static wi_template *lists_of(size_t n)
{
    wi_words lists[] = {{first, 2}, {second, 3}};
    wi_template *t = NULL;
    EXPECT_INT(wi_template_of_lists(lists, n, &t, &last), WEIR_OK);
    return t;
}

TEST(lists_of_arguments)
{
    wi_template *lists = lists_of(2);
    EXPECT_INT(wi_template_count(lists), 6);
    wi_scope scope = {.url = lists, .choice = 2};
    EXPECT_STR(expand_with("{1/.}-{2}", WI_TEMPLATE_WORD, &scope, NULL), "b-3");
    scope.choice = 3;
    EXPECT_STR(expand_with("{1}-{2}", WI_TEMPLATE_WORD, &scope, NULL), "d-1");
    EXPECT_STR(expand_with("{}", WI_TEMPLATE_WORD, &scope, NULL),
               "command: {} at column 1 could be each of 2 lists of arguments; write {1}, {2}");
    EXPECT_STR(expand_with("x{3}", WI_TEMPLATE_WORD, &scope, NULL),
               "command: {3} at column 2, but there are 2 lists of arguments");
    wi_template_free(lists);
    lists = lists_of(1);
    scope = (wi_scope){.url = lists};
    EXPECT_STR(expand_with("{}", WI_TEMPLATE_WORD, &scope, NULL), "a/b.c");
    wi_template_free(lists);
    wi_words nothing = {(const char *const[]){""}, 1};
    REQUIRE(wi_template_of_lists(&nothing, 1, &lists, &last) == WEIR_OK);
    scope.url = lists;
    EXPECT_STR(expand_with("<{}>", WI_TEMPLATE_WORD, &scope, NULL), "<>");
    EXPECT_STR(expand_with("{}", WI_TEMPLATE_SHELL, &scope, NULL), "''");
    wi_template_free(lists);
}

TEST(what_a_value_cannot_be)
{
    wi_name names[] = {{"id", 2}, {"file", 4}};
    wi_schema *schema = NULL;
    REQUIRE(wi_schema_new(names, 2, &schema, NULL) == WEIR_OK);
    wi_scope nothing = {0};
    EXPECT_STR(expand_with("a {}", WI_TEMPLATE_WORD, &nothing, schema),
               "command: {} at column 3 could be each of the input's 2 columns; name one, as {id}");
    EXPECT_STR(expand_with("{}", WI_TEMPLATE_WORD, &nothing, NULL),
               "command: {} at column 1, but there is neither an input (-i) nor arguments (:::)");
    EXPECT_STR(expand_with("{1}", WI_TEMPLATE_WORD, &nothing, NULL),
               "command: {1} at column 1, but there is neither an input (-i) nor arguments (:::)");
    EXPECT_STR(expand_with("{3}", WI_TEMPLATE_WORD, &nothing, schema),
               "command: {3} at column 1, but the input has 2 columns");
    EXPECT_STR(expand_with("{name.}", WI_TEMPLATE_WORD, &nothing, schema),
               "command: unknown column \"name\" at column 1; the input has: id, file");
    wi_schema_unref(schema);
}

static bool has_values(const char *template_)
{
    wi_template *t = NULL;
    EXPECT_INT(wi_template_parse(template_, strlen(template_), WI_TEMPLATE_WORD, "w", &t, NULL), 0);
    bool has = wi_template_has_values(t);
    wi_template_free(t);
    return has;
}

TEST(whether_there_is_a_value)
{
    EXPECT(has_values("{}") && has_values("x{2}") && has_values("{a}"));
    EXPECT(!has_values("{#}") && !has_values("plain {") && !has_values(""));
}

static weir_status make_lists(void)
{
    wi_words lists[] = {{first, 2}, {second, 3}};
    wi_template *t = NULL;
    weir_status status = wi_template_of_lists(lists, 2, &t, &last);
    wi_template_free(status ? NULL : t);
    return status;
}

TEST(lists_survive_lack_of_memory)
{
    TORTURE(make_lists());
}

TESTS(CASE(placeholders_of_a_value), CASE(braces_that_are_text), CASE(quotes_for_a_shell),
      CASE(a_nul_is_no_argument), CASE(lists_of_arguments), CASE(what_a_value_cannot_be),
      CASE(whether_there_is_a_value), CASE(lists_survive_lack_of_memory))
