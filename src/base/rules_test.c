/* rules_test.c: lists of patterns as gitignore(5) has them. */
#include "rules.h"

#include <stdlib.h>

#include "glob.h"
#include "torture.h"

static wi_rules *parsed(const char *text, size_t *faults, weir_error *first)
{
    wi_rules *rules = NULL;
    size_t none;
    EXPECT_INT(wi_rules_new(0, &rules, NULL), WEIR_OK);
    EXPECT_INT(wi_rules_add_text(rules, text, strlen(text), faults ? faults : &none, first, NULL),
               WEIR_OK);
    return rules;
}

static wi_verdict verdict(const wi_rules *rules, const char *path, bool is_folder)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return wi_rules_match(rules, path, strlen(path), strlen(name), is_folder);
}

/* What a list of one text says of a file. */
static int file(const char *text, const char *path)
{
    wi_rules *rules = parsed(text, NULL, NULL);
    wi_verdict got = verdict(rules, path, false);
    wi_rules_free(rules);
    return (int)got;
}

static int folder(const char *text, const char *path)
{
    wi_rules *rules = parsed(text, NULL, NULL);
    wi_verdict got = verdict(rules, path, true);
    wi_rules_free(rules);
    return (int)got;
}

TEST(the_last_match_decides)
{
    EXPECT_INT(file("*.o\n", "a/b.o"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("*.o\n", "a/b.c"), WI_VERDICT_NONE);
    EXPECT_INT(file("*.o\n!b.o\n", "a/b.o"), WI_VERDICT_KEEP);
    EXPECT_INT(file("!b.o\n*.o\n", "a/b.o"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("", "a"), WI_VERDICT_NONE);
}

TEST(slashes_bind_to_the_folder)
{
    EXPECT_INT(file("foo", "a/foo"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("/foo", "a/foo"), WI_VERDICT_NONE);
    EXPECT_INT(file("/foo", "foo"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a/foo", "a/foo"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a/foo", "b/a/foo"), WI_VERDICT_NONE);
    EXPECT_INT(file("a/*", "a/foo"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a/*", "a/b/foo"), WI_VERDICT_NONE);
    EXPECT_INT(file("**/foo", "a/b/foo"), WI_VERDICT_IGNORE);
    EXPECT_INT(folder("foo/", "a/foo"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("foo/", "a/foo"), WI_VERDICT_NONE);
    EXPECT_INT(folder("a/foo/", "a/foo"), WI_VERDICT_IGNORE);
    EXPECT_INT(folder("/", "a"), WI_VERDICT_NONE);
    EXPECT_INT(file("!", "a"), WI_VERDICT_NONE);
}

TEST(lines)
{
    EXPECT_INT(file("#a\n", "#a"), WI_VERDICT_NONE);
    EXPECT_INT(file("\\#a\n", "#a"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("\\!a\n", "!a"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a  \n", "a"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a\\ \n", "a "), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a\\  \n", "a "), WI_VERDICT_IGNORE);
    EXPECT_INT(file(" a\n", "a"), WI_VERDICT_NONE);
    EXPECT_INT(file("a\t\n", "a\t"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a\r\nb\r\n", "a"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("a b", "a b"), WI_VERDICT_IGNORE);
    EXPECT_INT(file("\xEF\xBB\xBF"
                    "a\n",
                    "a"),
               WI_VERDICT_IGNORE);
    EXPECT_INT(file("{a,b}", "a"), WI_VERDICT_NONE);
    EXPECT_INT(file("\n\n  \nx", ""), WI_VERDICT_NONE);
}

TEST(faults_are_counted_and_never_match)
{
    size_t faults = 0;
    weir_error first = {0};
    wi_rules *rules = parsed("a\n[\n!b\\\nc/\n", &faults, &first);
    EXPECT_INT(faults, 2);
    EXPECT_STR(first.text, "line 2: glob '[', column 1: '[' is not closed with ']'");
    EXPECT_INT(wi_rules_len(rules), 2);
    EXPECT_INT(wi_rules_keeps(rules), 0);
    EXPECT(!wi_rules_need_path(rules));
    EXPECT_INT(verdict(rules, "[", false), WI_VERDICT_NONE);
    EXPECT_INT(verdict(rules, "a", false), WI_VERDICT_IGNORE);
    EXPECT_INT(wi_rules_add(rules, "!x/y", 4, NULL), WEIR_OK);
    EXPECT_INT(wi_rules_keeps(rules), 1);
    EXPECT(wi_rules_need_path(rules));
    EXPECT_INT(wi_rules_add(rules, "[", 1, &first), WEIR_INVALID);
    wi_rules_free(rules);
}

TEST(options_of_globs)
{
    wi_rules *rules = NULL;
    REQUIRE(wi_rules_new(WI_GLOB_NOCASE | WI_GLOB_BRACES, &rules, NULL) == WEIR_OK);
    EXPECT_INT(wi_rules_add(rules, "*.{jpg,PNG}", 11, NULL), WEIR_OK);
    EXPECT_INT(verdict(rules, "a/B.JPG", false), WI_VERDICT_IGNORE);
    EXPECT_INT(verdict(rules, "a/B.png", false), WI_VERDICT_IGNORE);
    EXPECT_INT(verdict(rules, "a/B.gif", false), WI_VERDICT_NONE);
    wi_rules_free(rules);
}

static weir_status fill(void)
{
    static const char text[] = "a\nb/\n/c\n[\n!d\ne\nf\ng\nh\ni\n";
    wi_rules *rules = NULL;
    weir_error err;
    size_t faults = 0;
    weir_status status = wi_rules_new(0, &rules, &err);
    if (status == WEIR_OK)
        status = wi_rules_add_text(rules, text, sizeof text - 1, &faults, NULL, &err);
    wi_rules_free(rules);
    return status;
}

TEST(survives_lack_of_memory)
{
    TORTURE(fill());
}

TESTS(CASE(the_last_match_decides), CASE(slashes_bind_to_the_folder), CASE(lines),
      CASE(faults_are_counted_and_never_match), CASE(options_of_globs),
      CASE(survives_lack_of_memory))
