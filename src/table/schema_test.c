/* schema_test.c: names in order, found by name, never twice. */
#include "schema.h"

#include "test.h"

static wi_name name(const char *text)
{
    return (wi_name){.bytes = text, .len = strlen(text)};
}

TEST(finds_columns_by_name)
{
    char id[] = "id";
    wi_name names[] = {name(id), name("price"), name("")};
    wi_schema *schema = NULL;
    REQUIRE(wi_schema_new(names, 3, &schema, NULL) == WEIR_OK);
    id[0] = 'x'; /* the schema has its own copy */
    EXPECT_INT(wi_schema_columns(schema), 3);
    EXPECT_MEM(wi_schema_name(schema, 0).bytes, wi_schema_name(schema, 0).len, "id");
    EXPECT_INT(wi_schema_find(schema, "id", 2), 0);
    EXPECT_INT(wi_schema_find(schema, "price", 5), 1);
    EXPECT_INT(wi_schema_find(schema, "", 0), 2);
    EXPECT_INT(wi_schema_find(schema, "pric", 4), -1);
    EXPECT(wi_schema_ref(schema) == schema);
    wi_schema_unref(schema);
    wi_schema_unref(schema);
    wi_schema_unref(NULL);
}

TEST(refuses_duplicates_by_name)
{
    wi_name names[] = {name("a"), name("b"), name("a")};
    wi_schema *schema = NULL;
    weir_error err;
    EXPECT_INT(wi_schema_new(names, 3, &schema, &err), WEIR_INVALID);
    EXPECT_STR(err.text, "column \"a\" appears twice: give each its own name");
    EXPECT(!schema);
}

TEST(extends_without_touching_the_base)
{
    wi_name names[] = {name("a"), name("b"), name("c")};
    wi_schema *base = NULL;
    wi_schema *more = NULL;
    wi_schema *same = NULL;
    REQUIRE(wi_schema_new(names, 1, &base, NULL) == WEIR_OK);
    REQUIRE(wi_schema_extend(base, names + 1, 2, &more, NULL) == WEIR_OK);
    EXPECT_INT(wi_schema_columns(base), 1);
    EXPECT_INT(wi_schema_columns(more), 3);
    EXPECT_INT(wi_schema_find(more, "a", 1), 0);
    EXPECT_INT(wi_schema_find(more, "c", 1), 2);
    EXPECT_INT(wi_schema_extend(base, NULL, 0, &same, NULL), WEIR_OK);
    EXPECT(same == base);
    wi_schema_unref(same);
    EXPECT_INT(wi_schema_extend(more, names, 1, &same, NULL), WEIR_INVALID);
    wi_schema_unref(base);
    EXPECT_INT(wi_schema_find(more, "a", 1), 0);
    wi_schema_unref(more);
}

TEST(has_a_cap)
{
    static wi_name names[WI_SCHEMA_MAX_COLUMNS + 1];
    static char texts[WI_SCHEMA_MAX_COLUMNS + 1][16];
    for (int i = 0; i <= WI_SCHEMA_MAX_COLUMNS; i++) {
        snprintf(texts[i], sizeof texts[i], "c%d", i);
        names[i] = name(texts[i]);
    }
    wi_schema *schema = NULL;
    weir_error err;
    EXPECT_INT(wi_schema_new(names, WI_SCHEMA_MAX_COLUMNS + 1, &schema, &err), WEIR_TOOLARGE);
    EXPECT_STR(err.text, "4097 columns, but at most 4096 are possible");
    REQUIRE(wi_schema_new(names, WI_SCHEMA_MAX_COLUMNS, &schema, NULL) == WEIR_OK);
    EXPECT_INT(wi_schema_find(schema, "c4095", 5), 4095);
    wi_schema_unref(schema);
}

static void expect_shown(size_t n, const char *text, const char *want)
{
    static char texts[50][16];
    wi_name names[50];
    wi_schema *schema = NULL;
    char shown[WI_SCHEMA_SHOWN];
    for (size_t i = 0; i < n; i++) {
        snprintf(texts[i], sizeof texts[i], "%s%zu", text, i);
        names[i] = name(texts[i]);
    }
    REQUIRE(wi_schema_new(names, n, &schema, NULL) == WEIR_OK);
    wi_schema_show(schema, shown);
    EXPECT_STR(shown, want);
    wi_schema_unref(schema);
}

TEST(shows_names_as_far_as_they_fit)
{
    expect_shown(0, "", "none");
    expect_shown(1, "a", "a0");
    expect_shown(3, "a", "a0, a1, a2");
    expect_shown(50, "column_",
                 "column_0, column_1, column_2, column_3, column_4, column_5, "
                 "column_6, column_7, column_8, column_9, column_10, column_11, "
                 "column_12, column_13, column_14, column_15, column_16, "
                 "column_17, column_18, ...");
    char text[300];
    char shown[WI_SCHEMA_SHOWN];
    wi_schema *schema = NULL;
    memset(text, 'x', sizeof text);
    wi_name longest = {text, sizeof text};
    REQUIRE(wi_schema_new(&longest, 1, &schema, NULL) == WEIR_OK);
    wi_schema_show(schema, shown);
    EXPECT_STR(shown, "...");
    wi_schema_unref(schema);
}

TESTS(CASE(shows_names_as_far_as_they_fit), CASE(finds_columns_by_name),
      CASE(refuses_duplicates_by_name), CASE(extends_without_touching_the_base), CASE(has_a_cap))
