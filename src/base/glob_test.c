/* glob_test.c: what matches, what is refused, and that nothing takes long. */
#include "glob.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "random.h"
#include "torture.h"

enum { WHOLE, SHELL, BELOW };

/* 1 or 0; -1 if the pattern is not valid. */
static int matches(const char *pattern, const char *text, unsigned flags, int how)
{
    wi_glob *glob = NULL;
    weir_error err = {0};
    if (wi_glob_new(pattern, strlen(pattern), flags, &glob, &err) != WEIR_OK)
        return -1;
    size_t len = strlen(text);
    int result = how == WHOLE   ? wi_glob_match(glob, text, len)
                 : how == SHELL ? wi_glob_match_shell(glob, text, len)
                                : wi_glob_match_below(glob, text, len, false);
    if (how == BELOW)
        EXPECT(result >= wi_glob_match_below(glob, text, len, true));
    int last = wi_glob_last(glob);
    if (result && how == WHOLE && len && last >= 0 && !(flags & WI_GLOB_NOCASE))
        EXPECT_INT((unsigned char)text[len - 1], last);
    wi_glob_free(glob);
    return result;
}

typedef struct row {
    const char *pattern;
    const char *text;
    int want;
} row;

static void check(const row *rows, size_t n, unsigned flags, int how)
{
    for (size_t i = 0; i < n; i++)
        if (!EXPECT_INT(matches(rows[i].pattern, rows[i].text, flags, how), rows[i].want))
            printf("# '%s' on '%s'\n", rows[i].pattern, rows[i].text);
}

#define CHECK_ROWS(rows, flags, how) check(rows, sizeof rows / sizeof rows[0], flags, how)

TEST(wildcards)
{
    static const row rows[] = {
        {"", "", 1},
        {"", "a", 0},
        {"a", "a", 1},
        {"a", "A", 0},
        {"abc", "ab", 0},
        {"a?c", "abc", 1},
        {"a?c", "a/c", 0},
        {"?", "", 0},
        {"*", "abc", 1},
        {"*", "", 1},
        {"*", "a/b", 0},
        {"*.c", "x.c", 1},
        {"*.c", ".c", 1},
        {"*.c", "x.cc", 0},
        {"*.c", "d/x.c", 0},
        {"x*", "xyz", 1},
        {"x*", "ax", 0},
        {"a*b*c", "aXbYbZc", 1},
        {"a*b*c", "aXbYbZ", 0},
        {"*a*", "bab", 1},
        {"a*a", "a", 0},
        {"aa*aa", "aaa", 0},
        {"*/x", "a/x", 1},
        {"*/x", "a/b/x", 0},
        {"a\\*", "a*", 1},
        {"a\\*", "ab", 0},
        {"\\a", "a", 1},
        {"{a,b}", "{a,b}", 1},
        {"{a,b}", "a", 0},
        {"\xff?", "\xff\xfe", 1},
    };
    CHECK_ROWS(rows, 0, WHOLE);
}

TEST(two_stars)
{
    static const row rows[] = {
        {"**", "a", 1},
        {"**", "a/b/c", 1},
        {"**/a", "a", 1},
        {"**/a", "x/y/a", 1},
        {"**/a", "x/ya", 0},
        {"**/a", "a/b", 0},
        {"a/**", "a/b", 1},
        {"a/**", "a/b/c", 1},
        {"a/**", "a", 0},
        {"a/**", "b/a/c", 0},
        {"a/**/b", "a/b", 1},
        {"a/**/b", "a/x/b", 1},
        {"a/**/b", "a/x/y/b", 1},
        {"a/**/b", "a/xb", 0},
        {"a/**/b", "ab", 0},
        {"a/**/**/b", "a/b", 1},
        {"**/**", "a/b", 1},
        {"a**", "abc", 1},
        {"a**", "a/c", 0},
        {"**a", "ca", 1},
        {"**a", "c/a", 0},
        {"a/**b", "a/xb", 1},
        {"a/**b", "a/x/b", 0},
        {"***/a", "x/y/a", 1},
        {"**/a*b", "x/acb", 1},
        {"**/a/*/b", "a/a/a/b", 1},
        {"**/a/*/b", "a/c/a/b", 0},
        {"**/a/b/**/c*", "a/a/b/d/e/cc", 1},
        {"**/x*y/z", "xy/xay/z", 1},
        {"**/[ab]/c", "q/b/c", 1},
        {"/**/a", "/a", 1},
        {"*/**/a", "x/a", 1},
        {"*/**/a", "a", 0},
        {"**/*a*/**/b", "c/xax/y/b", 1},
    };
    CHECK_ROWS(rows, 0, WHOLE);
}

TEST(sets)
{
    static const row rows[] = {
        {"[a-c]x", "bx", 1},
        {"[a-c]x", "dx", 0},
        {"[!a-c]", "d", 1},
        {"[!a-c]", "b", 0},
        {"[^a]", "b", 1},
        {"[^a]", "a", 0},
        {"[]a]", "]", 1},
        {"[!]a]", "]", 0},
        {"[a-]", "-", 1},
        {"[-a]", "-", 1},
        {"[z-a]", "m", 0},
        {"[!z-a]", "m", 1},
        {"[!a]", "/", 0},
        {"[/]", "/", 0},
        {"[\\]]", "]", 1},
        {"[a\\-c]", "b", 0},
        {"[a\\-c]", "-", 1},
        {"[[:digit:]]", "7", 1},
        {"[[:digit:]]", "a", 0},
        {"[[:alpha:]_]", "_", 1},
        {"[![:space:]]", "x", 1},
        {"[[:digit]", "d", 1},
        {"[[:nothing:]]", "a", -1},
        {"[", "[", -1},
        {"[a", "a", -1},
        {"[]", "]", -1},
        {"[!]", "!", -1},
        {"[a-", "a", -1},
        {"[\\", "a", -1},
        {"a\\", "a", -1},
        {"[*?{]", "?", 1},
        {"[a-c-e]", "d", 0},
        {"[a-c-e]", "-", 1},
        {"[\x80-\xff]", "\x90", 1},
        {"[[:]", ":", 1},
        {"[]-a]", "^", 1},
    };
    CHECK_ROWS(rows, 0, WHOLE);
}

TEST(braces)
{
    static const row rows[] = {
        {"{a,b}", "a", 1},        {"{a,b}", "b", 1},         {"{a,b}", "c", 0},
        {"*.{c,h}", "x.h", 1},    {"*.{c,h}", "x.hh", 0},    {"x{,.gz}", "x", 1},
        {"x{,.gz}", "x.gz", 1},   {"{a,b{c,d}}e", "bde", 1}, {"{a,b{c,d}}e", "ae", 1},
        {"{a,b{c,d}}e", "be", 0}, {"{a}", "a", 1},           {"{}", "", 1},
        {"a,b", "a,b", 1},        {"\\{a,b\\}", "{a,b}", 1}, {"{a\\,b,c}", "a,b", 1},
        {"[{]", "{", 1},          {"{[,],x}", ",", 1},       {"{src,lib}/**/*.c", "lib/a/b.c", 1},
        {"{**/,}x", "a/b/x", 1},  {"a/{**,b}", "a/b/c", 1},  {"{a,b}{c,d}{e,f}", "bcf", 1},
        {"{a", "a", -1},          {"a}", "a}", -1},          {"{a,{b}", "a", -1},
    };
    CHECK_ROWS(rows, WI_GLOB_BRACES, WHOLE);
}

TEST(either_case)
{
    static const row rows[] = {
        {"*.JPG", "x.jpg", 1},   {"*.jpg", "X.JPG", 1},  {"[a-c]", "B", 1},
        {"[!a-c]", "B", 0},      {"aB*Cd", "AbxxcD", 1}, {"\\A", "a", 1},
        {"[[:lower:]]", "X", 1}, {"\xe4", "\xc4", 0},    {"@", "`", 0},
    };
    CHECK_ROWS(rows, WI_GLOB_NOCASE, WHOLE);
}

TEST(shells_leave_hidden_files_alone)
{
    static const row rows[] = {
        {"*", ".a", 0},       {"*", "a.b", 1},     {".*", ".a", 1},
        {"?a", ".a", 0},      {"[.]a", ".a", 0},   {"*.c", ".c", 0},
        {"*.c", "x.c", 1},    {"**/a", ".b/a", 0}, {"**/a", "b/a", 1},
        {"**/.a", "b/.a", 1}, {"a/**", "a/.b", 0}, {"a/**", "a/b/.c/d", 0},
        {"a/**", "a/b/c", 1}, {"a/*", "a/.b", 0},  {"a/.*/c", "a/.b/c", 1},
        {"a*", "a.b", 1},
    };
    CHECK_ROWS(rows, 0, SHELL);
}

TEST(folders_that_may_hold_matches)
{
    static const row rows[] = {
        {"a/b/*.c", "a/", 1},     {"a/b/*.c", "a/b/", 1},  {"a/b/*.c", "a/c/", 0},
        {"a/b/*.c", "a/b/c/", 0}, {"*.c", "a/", 0},        {"**/x", "a/b/", 1},
        {"a*/c", "ab/", 1},       {"a*/c", "b/", 0},       {"a/**/c", "a/b/c/", 1},
        {"a/**/c", "b/", 0},      {"{a,b}/c", "b/", 1},    {"{a,b}/c", "c/", 0},
        {"a/**", "a/", 1},        {"a/[bc]/d", "a/c/", 1}, {"a/[bc]/d", "a/d/", 0},
    };
    CHECK_ROWS(rows, WI_GLOB_BRACES, BELOW);
}

static void expect_fault(const char *pattern, unsigned flags, const char *text)
{
    wi_glob *glob = NULL;
    weir_error err = {0};
    EXPECT_INT(wi_glob_new(pattern, strlen(pattern), flags, &glob, &err), WEIR_INVALID);
    EXPECT(glob == NULL);
    EXPECT_STR(err.text, text);
}

TEST(says_where_a_pattern_is_wrong)
{
    expect_fault("ab[c", 0, "glob 'ab[c', column 3: '[' is not closed with ']'");
    expect_fault("ab\\", 0, "glob 'ab\\', column 3: a backslash at the end escapes nothing");
    expect_fault("x{a,{b}", WI_GLOB_BRACES, "glob 'x{a,{b}', column 2: '{' is not closed with '}'");
    expect_fault("a}", WI_GLOB_BRACES,
                 "glob 'a}', column 2: '}' closes nothing: write \\} for the brace itself");
    expect_fault("[[:no:]]", 0, "glob '[[:no:]]', column 2: no class of bytes has this name");
    expect_fault("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", WI_GLOB_BRACES,
                 "glob '{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}', column 1: its "
                 "braces stand for too many patterns: write several globs, or [...]");
    char *longest = calloc(1, WI_GLOB_MAX + 2);
    memset(longest, 'a', WI_GLOB_MAX + 1);
    expect_fault(longest, 0, "a glob of 4097 bytes is too long: at most 4096 may be");
    EXPECT_INT(matches(longest + 1, longest + 1, 0, WHOLE), 1);
    free(longest);
}

/* Each would take longer than the universe is old if stars were tried in all combinations. */
TEST(hostile_patterns_end)
{
    enum { N = 2000 };
    char *pattern = calloc(1, 2 * N + 2), *text = calloc(1, 2 * N + 2);
    for (int i = 0; i < N; i++) {
        memcpy(pattern + 2 * i, "*a", 2);
        memcpy(text + 2 * i, "aa", 2);
    }
    memcpy(pattern + 2 * N, "b", 2);
    text[2 * N] = 'c';
    EXPECT_INT(matches(pattern, text, 0, WHOLE), 0);
    pattern[2 * N] = '?';
    EXPECT_INT(matches(pattern, text, 0, WHOLE), 1);
    for (int i = 0; i < N / 4; i++)
        memcpy(pattern + 8 * i, "**/*a*a/", 8);
    for (int i = 0; i < N; i++)
        memcpy(text + 2 * i, "a/", 2);
    pattern[2 * N] = '?';
    EXPECT_INT(matches(pattern, text, 0, WHOLE), 0);
    memset(pattern, '{', 2 * N);
    EXPECT_INT(matches(pattern, "a", WI_GLOB_BRACES, WHOLE), -1);
    memset(pattern + N, '}', N);
    pattern[2 * N] = 0;
    EXPECT_INT(matches(pattern, "", WI_GLOB_BRACES, WHOLE), -1);
    free(pattern);
    free(text);
}

/* libc's own fnmatch knows "*", "?" and sets within one component and across slashes. */
TEST(agrees_with_fnmatch)
{
    static const char bytes[] = "ab*?[]!-/.";
    wi_random random;
    wi_random_init(&random, 7);
    int compared = 0;
    for (int i = 0; i < 200000; i++) {
        char pattern[12] = {0}, text[10] = {0};
        size_t n = wi_random_below(&random, sizeof pattern);
        for (size_t k = 0; k < n; k++)
            pattern[k] = bytes[wi_random_below(&random, sizeof bytes - 1)];
        n = wi_random_below(&random, sizeof text);
        for (size_t k = 0; k < n; k++)
            text[k] = "ab/."[wi_random_below(&random, 4)];
        if (strstr(pattern, "**") || strchr(pattern, '['))
            continue;
        compared++;
        int want = fnmatch(pattern, text, FNM_PATHNAME) == 0;
        int shell = fnmatch(pattern, text, FNM_PATHNAME | FNM_PERIOD) == 0;
        if (!EXPECT_INT(matches(pattern, text, 0, WHOLE), want) ||
            !EXPECT_INT(matches(pattern, text, 0, SHELL), shell))
            printf("# '%s' on '%s'\n", pattern, text);
    }
    EXPECT(compared > 10000);
}

TEST(plain_prefixes)
{
    EXPECT_INT(wi_glob_plain_prefix("src/a*", 6), 5);
    EXPECT_INT(wi_glob_plain_prefix("src", 3), 3);
    EXPECT_INT(wi_glob_plain_prefix("{a}", 3), 0);
}

static weir_status compile(const char *pattern)
{
    wi_glob *glob = NULL;
    weir_error err;
    weir_status status = wi_glob_new(pattern, strlen(pattern), WI_GLOB_BRACES, &glob, &err);
    wi_glob_free(glob);
    return status;
}

TEST(survives_lack_of_memory)
{
    TORTURE(compile("a{b,c{d,e}[f-g],**/[h]}[!i]"));
}

TESTS(CASE(wildcards), CASE(two_stars), CASE(sets), CASE(braces), CASE(either_case),
      CASE(shells_leave_hidden_files_alone), CASE(folders_that_may_hold_matches),
      CASE(says_where_a_pattern_is_wrong), CASE(hostile_patterns_end), CASE(agrees_with_fnmatch),
      CASE(plain_prefixes), CASE(survives_lack_of_memory))
