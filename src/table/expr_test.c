/* expr_test.c: conditions that are true, false, unknown and none. */
#include "expr.h"

#include "torture.h"

/* ---- a table ---- */

enum { PATH, STATUS, SIZE, TEXT, JSON, LACKING, COLUMNS };

static wi_batch *table(void)
{
    static const wi_name names[COLUMNS] = {{"path", 4}, {"status", 6}, {"size", 4},
                                           {"a b", 3},  {"json", 4},   {"lacking", 7}};
    wi_schema *schema = NULL;
    wi_batch *batch = NULL;
    if (wi_schema_new(names, COLUMNS, &schema, NULL) == WEIR_OK)
        wi_batch_new(schema, &batch, NULL);
    wi_schema_unref(schema);
    return batch;
}

static void put_row(wi_batch *batch, const char *path, int64_t status, double size,
                    const char *text, const char *json)
{
    wi_batch_put(batch, PATH, WI_STRING, path, strlen(path));
    wi_batch_put_int(batch, STATUS, status);
    wi_batch_put_double(batch, SIZE, size);
    wi_batch_put(batch, TEXT, WI_STRING, text, strlen(text));
    if (json)
        wi_batch_put(batch, JSON, WI_JSON, json, strlen(json));
    else
        wi_batch_put_null(batch, JSON);
    EXPECT_INT(wi_batch_end_row(batch, NULL), WEIR_OK);
}

/* 'y', 'n', or '?' if neither it nor its opposite holds. */
static char outcome(const char *text, const wi_batch *batch, size_t row)
{
    char opposite[2000];
    bool kept[2] = {false, false};
    snprintf(opposite, sizeof opposite, "not (%s)", text);
    for (int i = 0; i < 2; i++) {
        const char *which = i ? opposite : text;
        wi_expr *expr = NULL;
        wi_filter *filter = NULL;
        weir_error err = {0};
        if (!EXPECT_INT(wi_expr_new(which, strlen(which), &expr, &err), WEIR_OK)) {
            printf("# %s\n", err.text);
            return '!';
        }
        EXPECT_INT(wi_filter_new(expr, &filter, NULL), WEIR_OK);
        EXPECT_INT(wi_filter_keeps(filter, batch, row, &kept[i], NULL), WEIR_OK);
        wi_filter_free(filter);
        wi_expr_free(expr);
    }
    EXPECT(!(kept[0] && kept[1]));
    return kept[0] ? 'y' : kept[1] ? 'n' : '?';
}

typedef struct condition {
    const char *text;
    char want;
} condition;

static void expect_outcomes(const condition *conditions, size_t n)
{
    wi_batch *batch = table();
    REQUIRE(batch != NULL);
    put_row(batch, "logs/app.log", 503, 1.5, "200", "\"a \\\"q\\\" \\u00e4\"");
    for (size_t i = 0; i < n; i++) {
        char got = outcome(conditions[i].text, batch, 0);
        if (!EXPECT(got == conditions[i].want))
            printf("# %s: %c, not %c\n", conditions[i].text, got, conditions[i].want);
    }
    wi_batch_unref(batch);
}

#define EXPECT_OUTCOMES(...)                               \
    do {                                                   \
        static const condition list[] = {__VA_ARGS__};     \
        expect_outcomes(list, sizeof list / sizeof *list); \
    } while (0)

TEST(comparisons)
{
    EXPECT_OUTCOMES({"status >= 500 and path like \"%.log\"", 'y'}, {"status = 503", 'y'},
                    {"status==503.0", 'y'}, {"status != 503", 'n'}, {"status <> 503", 'n'},
                    {"status < 503.5", 'y'}, {"503<=status", 'y'}, {"status > 503", 'n'},
                    {"size = 1.5", 'y'}, {"size > 1", 'y'}, {"size = 15e-1", 'y'},
                    {"size < -1", 'n'}, {"path = 'logs/app.log'", 'y'}, {"path < 'logs/b'", 'y'},
                    {"path = 'it''s'", 'n'}, {"json = 'a \"q\" \xC3\xA4'", 'y'},
                    {"json = \"a \"\"q\"\" \xC3\xA4\"", 'y'}, {"size < status", 'y'},
                    {"status < 9223372036854775808", 'y'}, {"status > -9223372036854775808", 'y'});
}

TEST(texts_beside_numbers)
{
    EXPECT_OUTCOMES({"`a b` = 200", 'y'}, {"`a b` < 1e3", 'y'}, {"`a b` = '200'", 'y'},
                    {"`a b` < '3'", 'y'}, {"`a b` < 3", 'n'}, {"path = 5", '?'}, {"path != 5", '?'},
                    {"status = '503'", 'y'}, {"status = ' 503.0 '", 'y'}, {"status = 'x'", '?'},
                    {"status = true", '?'}, {"path = true", '?'});
}

TEST(three_values)
{
    EXPECT_OUTCOMES(
        {"lacking = 1", '?'}, {"lacking is null", 'y'}, {"lacking is not null", 'n'},
        {"status is null", 'n'}, {"lacking = 1 or status = 503", 'y'},
        {"lacking = 1 or status = 1", '?'}, {"lacking = 1 and status = 503", '?'},
        {"lacking = 1 and status = 1", 'n'}, {"not lacking = 1", '?'}, {"lacking = null", '?'},
        {"status = null", '?'}, {"null", '?'}, {"true", 'y'}, {"false or true and not false", 'y'},
        {"status in (1, 503)", 'y'}, {"status in (1, null)", '?'}, {"status not in (1, null)", '?'},
        {"status not in (1, 2)", 'y'}, {"status in (503, null)", 'y'}, {"lacking in (1)", '?'},
        {"path in ('a', \"logs/app.log\")", 'y'}, {"status between 500 and 599", 'y'},
        {"status not between 500 and 599", 'n'}, {"status between 600 and lacking", 'n'},
        {"status between 500 and lacking", '?'}, {"(status = 1) is null", 'n'},
        {"(lacking = 1) is null", 'y'}, {"(status = 503) = true", 'y'}, {"none_such is null", 'y'},
        {"status", 'y'}, {"path", '?'}, {"NOT status > 1 OR TRUE", 'y'});
}

TEST(likes)
{
    EXPECT_OUTCOMES({"path like '%.log'", 'y'}, {"path like 'logs'", 'n'},
                    {"path like 'LOGS%'", 'n'}, {"path ilike 'LOGS%'", 'y'},
                    {"path not like '%.txt'", 'y'}, {"path like '____/app.log'", 'y'},
                    {"path like '%a%p%p%'", 'y'}, {"path like '%'", 'y'}, {"path like ''", 'n'},
                    {"path like '%%log%%'", 'y'}, {"json like 'a _q_ _'", 'y'},
                    {"status like '5__'", 'y'}, {"size like '1.5'", 'y'},
                    {"path like 'logs!/app_log' escape '!'", 'y'},
                    {"path like 'logs/app!_log' escape '!'", 'n'}, {"lacking like '%'", '?'},
                    {"path like null", '?'});
}

TEST(json_cells)
{
    wi_batch *batch = table();
    REQUIRE(batch != NULL);
    put_row(batch, "", 0, 0, "", "1.50");
    put_row(batch, "", 0, 0, "true", "true");
    put_row(batch, "", 0, 0, "", "{\"a\":1}");
    put_row(batch, "", 0, 0, "", NULL);
    EXPECT(outcome("json = 1.5 and json > '1.2'", batch, 0) == 'y');
    EXPECT(outcome("json", batch, 1) == 'y');
    EXPECT(outcome("json = true and `a b` = true and json = 'TRUE'", batch, 1) == 'y');
    EXPECT(outcome("json = false", batch, 1) == 'n');
    EXPECT(outcome("json like '%\"a\":1%'", batch, 2) == 'y');
    EXPECT(outcome("json is null", batch, 3) == 'y');
    EXPECT(outcome("`a b` = '' and `a b` is not null", batch, 3) == 'y');
    wi_batch_unref(batch);
}

static void expect_refused(const char *text, const char *words)
{
    wi_expr *expr = NULL;
    weir_error err = {0};
    EXPECT_INT(wi_expr_new(text, strlen(text), &expr, &err), WEIR_INVALID);
    if (!EXPECT(strstr(err.text, words) != NULL))
        printf("# %s: %s\n", text, err.text);
    EXPECT(expr == NULL);
}

TEST(conditions_that_are_none)
{
    expect_refused("", "character 1: a column, a value or ( is missing");
    expect_refused("a =", "character 4: a column, a value or ( is missing");
    expect_refused("a = = b", "character 5: expected a column, a value or (, not =");
    expect_refused("a b", "character 3: expected and, or, a comparison or the end, not b");
    expect_refused("(a = 1", "character 7: and, or, or ) is missing");
    expect_refused("a = 'x", "character 5: this quote is not closed");
    expect_refused("a = 1x", "character 5: expected a number such as");
    expect_refused("a = 1.2.3", "expected a number");
    expect_refused("a not 3", "expected like, ilike, in or between, not 3");
    expect_refused("a is 3", "expected null or not null, not 3");
    expect_refused("a in 3", "expected ( and a list of values, not 3");
    expect_refused("a in ()", "expected a column, a value or (, not )");
    expect_refused("a in (1 2)", "expected , or ), not 2");
    expect_refused("a like 3", "character 8: expected a pattern in quotes");
    expect_refused("a like 'x' escape 'yy'", "one character in quotes");
    expect_refused("like = 3", "columns named like an operator stand in ``");
    expect_refused("`` = 3", "name is missing");
    expect_refused("'a b' = 3", "quotes are for texts");
    expect_refused("a = 1;", "not ;");
    expect_refused("a = '\xFF'", "not UTF-8");
    expect_refused("a\33[m = 3", "not \\x1B");
}

TEST(depth_and_length_are_bounded)
{
    enum { MANY = 20000 };
    static char text[MANY + 100];
    wi_expr *expr = NULL;
    weir_error err;
    memset(text, '(', MANY);
    EXPECT_INT(wi_expr_new(text, MANY, &expr, &err), WEIR_INVALID);
    EXPECT(strstr(err.text, "more than 100 levels") != NULL);
    for (size_t i = 0; i < MANY / 4; i++)
        memcpy(text + 4 * i, "not ", 4);
    EXPECT_INT(wi_expr_new(text, MANY, &expr, &err), WEIR_INVALID);
    for (size_t i = 0; i < MANY / 5; i++)
        memcpy(text + 5 * i, i % 2 ? "a or " : "b or ", 5);
    text[MANY] = 'c'; /* wide is fine */
    EXPECT_INT(wi_expr_new(text, MANY + 1, &expr, &err), WEIR_OK);
    EXPECT_INT(wi_expr_columns(expr), 3);
    wi_expr_free(expr);
    EXPECT_INT(wi_expr_new(text, WI_EXPR_MAX_LEN + 1, &expr, &err), WEIR_TOOLARGE);
    wi_expr_free(NULL);
    wi_filter_free(NULL);
}

TEST(columns_are_checked)
{
    wi_batch *batch = table();
    wi_expr *expr = NULL;
    weir_error err = {0};
    static const char text[] = "status > 1 and (`a b` = 2 or status < 0 and statsu = 3)";
    REQUIRE(batch && wi_expr_new(text, sizeof text - 1, &expr, NULL) == WEIR_OK);
    EXPECT_INT(wi_expr_columns(expr), 3);
    EXPECT_MEM(wi_expr_column(expr, 1).bytes, wi_expr_column(expr, 1).len, "a b");
    EXPECT_INT(wi_expr_check(expr, wi_batch_schema(batch), &err), WEIR_NOTFOUND);
    EXPECT_STR(err.text, "condition, character 45: there is no column \"statsu\"; there are: path, "
                         "status, size, a b, json, lacking");
    wi_expr_free(expr);
    wi_batch_unref(batch);
}

static wi_batch *torture_batch;

static weir_status make_evaluate_and_free(void)
{
    static const char text[] = "json = 'a \"q\" \xC3\xA4' and path like '%' or `a b` in (1, 2)";
    wi_expr *expr = NULL;
    wi_filter *filter = NULL;
    bool keeps = false;
    weir_status status = wi_expr_new(text, sizeof text - 1, &expr, NULL);
    if (!status)
        status = wi_filter_new(expr, &filter, NULL);
    if (!status)
        status = wi_filter_keeps(filter, torture_batch, 0, &keeps, NULL);
    EXPECT(status || keeps);
    wi_filter_free(filter);
    wi_expr_free(expr);
    return status;
}

TEST(survives_lack_of_memory)
{
    torture_batch = table();
    REQUIRE(torture_batch != NULL);
    put_row(torture_batch, "x", 1, 1, "x", "\"a \\\"q\\\" \\u00e4\"");
    TORTURE(make_evaluate_and_free());
    wi_batch_unref(torture_batch);
}

TESTS(CASE(comparisons), CASE(texts_beside_numbers), CASE(three_values), CASE(likes),
      CASE(json_cells), CASE(conditions_that_are_none), CASE(depth_and_length_are_bounded),
      CASE(columns_are_checked), CASE(survives_lack_of_memory))
