/* matcher_test.c: lines found, not found and refused; against the naive way, and by many threads.
 */
#include "matcher.h"

#include <pthread.h>

#include "naive_match.h"
#include "sweep.h"
#include "torture.h"

static wi_matcher *matcher_of(const char *const *texts, size_t n, wi_matcher_options options)
{
    wi_name names[16];
    wi_matcher *matcher = NULL;
    weir_error err = {0};
    for (size_t i = 0; i < n; i++)
        names[i] = (wi_name){texts[i], strlen(texts[i])};
    if (!EXPECT_INT(wi_matcher_new(names, n, &options, &matcher, &err), WEIR_OK))
        printf("# %s\n", err.text);
    return matcher;
}

/* The lines that are found, as "|one|two". */
static void show_lines(const wi_matcher *matcher, const char *text, wi_buf *out)
{
    wi_search *search = NULL;
    wi_span line;
    REQUIRE(wi_search_new(matcher, &search, NULL) == WEIR_OK);
    wi_search_begin(search, text, strlen(text));
    while (wi_search_next(search, &line, NULL) == WEIR_OK) {
        wi_buf_putc(out, '|');
        wi_buf_append(out, text + line.begin, line.end - line.begin);
    }
    EXPECT_INT(wi_search_next(search, &line, NULL), WEIR_END); /* still */
    wi_search_free(search);
}

static void expect_lines_of(const char *const *patterns, size_t n, wi_matcher_options options,
                            const char *text, const char *want)
{
    wi_buf out = WI_BUF_INIT;
    wi_matcher *matcher = matcher_of(patterns, n, options);
    REQUIRE(matcher != NULL);
    show_lines(matcher, text, &out);
    if (!EXPECT_STR(wi_buf_cstr(&out), want))
        printf("# of %s\n", patterns[0]);
    wi_buf_fini(&out);
    wi_matcher_free(matcher);
}

static void expect_lines(const char *pattern, wi_matcher_options options, const char *text,
                         const char *want)
{
    expect_lines_of(&pattern, 1, options, text, want);
}

#define PLAIN ((wi_matcher_options){0})

TEST(lines_are_matched_one_by_one)
{
    expect_lines("b", PLAIN, "abc\nxyz\nb\n", "|abc|b");
    expect_lines("b", PLAIN, "abc\nxyz\nb", "|abc|b"); /* without a last line feed */
    expect_lines("^$", PLAIN, "\na\n\n", "||");
    expect_lines("^$", PLAIN, "", "");
    expect_lines("", PLAIN, "a\n\nb", "|a||b");
    expect_lines("a\\sb", PLAIN, "a\nb\na b\n", "|a b");
    expect_lines("[^x]b", PLAIN, "a\nb\nab\n", "|ab");
    expect_lines("(?s)a.b", PLAIN, "a\nb\nacb\n", "|acb");
    expect_lines("a\\p{Cc}b", PLAIN, "a\nb\na\tb\n", "|a\tb");
    expect_lines("\\Aa|b\\z", PLAIN, "xa\nax\nbx\nxb\n", "|ax|xb");
    expect_lines("(?<!\\s)b", PLAIN, "a\nb\n b", "|b");
    expect_lines("a(?!\\s)", PLAIN, "a\na b\nab", "|a|ab");
    expect_lines("(*COMMIT)b", PLAIN, "a\nb\n", "|b");
    expect_lines("{\"a\":1}", PLAIN, "{\"a\":1}\n{\"a\":2}\n", "|{\"a\":1}");
}

TEST(carriage_returns_belong_to_lines)
{
    expect_lines("a$", PLAIN, "a\r\na\n", "|a");
    expect_lines("a\\r?$", PLAIN, "a\r\na\n", "|a\r|a");
}

TEST(options_are_those_of_ripgrep)
{
    expect_lines("Abc", (wi_matcher_options){.ignore_case = true}, "xaBCx\nab\n", "|xaBCx");
    expect_lines("abc", (wi_matcher_options){.smart_case = true}, "ABC\nabc\n", "|ABC|abc");
    expect_lines("aBc", (wi_matcher_options){.smart_case = true}, "ABC\naBc\n", "|aBc");
    expect_lines("a\\Wb", (wi_matcher_options){.smart_case = true}, "A b\n", "|A b");
    expect_lines("\xC3\x84", (wi_matcher_options){.smart_case = true}, "\xC3\xA4\n\xC3\x84\n",
                 "|\xC3\x84");
    expect_lines("(?<Name>a)", (wi_matcher_options){.smart_case = true}, "A\n", "|A");
    expect_lines("foo", (wi_matcher_options){.word_regexp = true}, "foo\nfood\na-foo!\n_foo",
                 "|foo|a-foo!");
    expect_lines("-2", (wi_matcher_options){.word_regexp = true}, "x -2 y\n1-2\n", "|x -2 y");
    expect_lines("abc", (wi_matcher_options){.word_regexp = true},
                 "abc\xe9\n\xe9"
                 "abc\nabc \xe9\nabc\n",
                 "|abc \xe9|abc"); /* what it is, none knows */
    expect_lines("a|ab", (wi_matcher_options){.line_regexp = true}, "a\nab\nabc\n", "|a|ab");
    expect_lines("a.b", (wi_matcher_options){.fixed_strings = true}, "axb\na.b\n", "|a.b");
    expect_lines("a.b", (wi_matcher_options){.fixed_strings = true, .line_regexp = true},
                 "a.b\na.bc\n", "|a.b");
    expect_lines("b", (wi_matcher_options){.invert_match = true}, "a\nb\n\nc", "|a||c");
    expect_lines("b", (wi_matcher_options){.invert_match = true}, "b\nb\n", "");
    expect_lines("\\w", (wi_matcher_options){.no_unicode = true}, "\xC3\xA4\na\n", "|a");
    expect_lines("\\w", PLAIN, "\xC3\xA4\na\n", "|\xC3\xA4|a");
}

/* The third forms of k and s are not ASCII. */
TEST(case_beyond_ascii)
{
    wi_matcher_options nocase = {.ignore_case = true};
    expect_lines("kelvin", nocase,
                 "\xE2\x84\xAA"
                 "elvin\nKELVIN\n",
                 "|\xE2\x84\xAA"
                 "elvin|KELVIN");
    expect_lines("mast", nocase, "ma\xC5\xBFt\nMAST\nmat\n", "|ma\xC5\xBFt|MAST");
    expect_lines("(?i)mast", PLAIN, "ma\xC5\xBFt\nMAST\nmat\n", "|ma\xC5\xBFt|MAST");
    expect_lines("\xC3\xA4x", nocase, "\xC3\x84X\n\xC3\xA4x\n", "|\xC3\x84X|\xC3\xA4x");
}

TEST(bytes_that_are_no_characters)
{
    expect_lines("abc", PLAIN,
                 "\xFF\xFE"
                 "abc\xFF\nab\n",
                 "|\xFF\xFE"
                 "abc\xFF");
    expect_lines("a.c", PLAIN,
                 "a\xFF"
                 "c\nabc\n",
                 "|abc");
    expect_lines("^abc$", PLAIN, "\xFFx\nabc\n\xFF\n", "|abc");
    expect_lines("\\d+x", PLAIN,
                 "\xC3"
                 "12x\xC3\nx\xC3\n",
                 "|\xC3"
                 "12x\xC3");
    expect_lines("a.c", (wi_matcher_options){.no_unicode = true},
                 "a\xFF"
                 "c\nabc\n",
                 "|a\xFF"
                 "c|abc");
}

TEST(several_patterns)
{
    static const char *const literals[] = {"one", "two", "three"};
    static const char *const mixed[] = {"o+n", "(?<x>\\d+)th", "lit", "(?=.*z)y"};
    expect_lines_of(literals, 3, PLAIN, "a two\nthre\none\n", "|a two|one");
    expect_lines_of(mixed, 4, PLAIN, "4th\nnone\nsplit on\nyz\nzy\n", "|4th|none|split on|yz");
    expect_lines_of(mixed, 4, (wi_matcher_options){.invert_match = true}, "4th\nx\nyz\nzy\n",
                    "|x|zy");
}

TEST(groups_are_columns)
{
    static const char *const patterns[] = {"(?<key>\\w+)=(?<value>\\d+)", "(?P<value>\\w+)!", "pl"};
    wi_matcher *matcher = matcher_of(patterns, 3, PLAIN);
    wi_search *search = NULL;
    wi_span match;
    wi_span columns[2];
    REQUIRE(matcher && wi_search_new(matcher, &search, NULL) == WEIR_OK);
    REQUIRE(wi_matcher_columns(matcher) == 2);
    EXPECT_MEM(wi_matcher_column(matcher, 0).bytes, wi_matcher_column(matcher, 0).len, "key");
    EXPECT_MEM(wi_matcher_column(matcher, 1).bytes, wi_matcher_column(matcher, 1).len, "value");
    EXPECT_INT(wi_search_spans(search, "say a=12, b!", 12, 0, &match, columns, NULL), WEIR_OK);
    EXPECT_INT(match.begin, 4);
    EXPECT_INT(match.end, 8);
    EXPECT_INT(columns[0].begin, 4);
    EXPECT_INT(columns[1].begin, 6);
    EXPECT_INT(columns[1].end, 8);
    EXPECT_INT(wi_search_spans(search, "say a=12, b!", 12, 8, &match, columns, NULL), WEIR_OK);
    EXPECT_INT(match.begin, 10);
    EXPECT(columns[0].begin == SIZE_MAX);
    EXPECT_INT(columns[1].begin, 10);
    EXPECT_INT(wi_search_spans(search, "a plain", 7, 0, &match, columns, NULL), WEIR_OK);
    EXPECT_INT(match.begin, 2);
    EXPECT_INT(match.end, 4);
    EXPECT(columns[0].begin == SIZE_MAX && columns[1].begin == SIZE_MAX);
    EXPECT_INT(wi_search_spans(search, "none", 4, 0, &match, NULL, NULL), WEIR_END);
    wi_search_free(search);
    wi_matcher_free(matcher);
}

static void expect_refused(const char *pattern, wi_matcher_options options, const char *words)
{
    wi_name names[2] = {{"fine", 4}, {pattern, strlen(pattern)}};
    wi_matcher *matcher = NULL;
    weir_error err = {0};
    EXPECT_INT(wi_matcher_new(names, 2, &options, &matcher, &err), WEIR_INVALID);
    if (!EXPECT(strstr(err.text, words) != NULL))
        printf("# it is: %s\n", err.text);
    EXPECT(matcher == NULL);
}

TEST(patterns_that_are_none)
{
    expect_refused("ab(", PLAIN, "pattern 2, column 4: missing closing parenthesis");
    expect_refused("a[b", PLAIN, "column 4: missing terminating ]");
    expect_refused("*a", PLAIN, "column 1: quantifier does not follow a repeatable item");
    expect_refused("a\\C", PLAIN, "pattern 2, column");
    expect_refused("a\\nb", PLAIN, "column 2: it asks for a line feed");
    expect_refused("ab\n", PLAIN, "column 3: it asks for a line feed");
    expect_refused("a\nb", (wi_matcher_options){.fixed_strings = true}, "asks for a line feed");
    expect_refused("a\xFF", PLAIN, "UTF-8 error");
    expect_refused("(?x) a # )", (wi_matcher_options){.line_regexp = true}, "valid alone");
    expect_refused("(*UTF)a", (wi_matcher_options){.word_regexp = true}, "valid alone");
    wi_matcher *matcher = NULL;
    EXPECT_INT(wi_matcher_new(NULL, 0, &PLAIN, &matcher, NULL), WEIR_INVALID);
    wi_matcher_free(NULL);
    wi_search_free(NULL);
}

TEST(a_pattern_without_end_is_an_error_of_its_line)
{
    static const char *const patterns[] = {"^(a+)+$", "^(a|aa)+b(?=c)$"};
    wi_buf text = WI_BUF_INIT;
    for (int i = 0; i < 2; i++) {
        wi_matcher *matcher = matcher_of(&patterns[i], 1, PLAIN);
        wi_search *search = NULL;
        wi_span line = {0};
        weir_error err = {0};
        wi_buf_clear(&text);
        wi_buf_puts(&text, "aaa\n");
        for (int k = 0; k < 60; k++)
            wi_buf_putc(&text, 'a');
        wi_buf_puts(&text, "!\nx\naa\n");
        REQUIRE(matcher && wi_search_new(matcher, &search, NULL) == WEIR_OK);
        wi_search_begin(search, text.data, text.len);
        if (i == 0)
            EXPECT_INT(wi_search_next(search, &line, NULL), WEIR_OK);
        EXPECT_INT(wi_search_next(search, &line, &err), i == 0 ? WEIR_TOOLARGE : WEIR_END);
        if (i == 0) {
            EXPECT(strstr(err.text, "pattern 1 needs more steps") != NULL);
            EXPECT_INT(wi_search_next(search, &line, NULL), WEIR_OK);
            EXPECT_INT(line.begin, text.len - 3);
            EXPECT_INT(wi_search_next(search, &line, NULL), WEIR_END);
        }
        wi_search_free(search);
        wi_matcher_free(matcher);
    }
    wi_buf_fini(&text);
}

/* ---- against the naive way ---- */

static uint32_t seed = 7;

static unsigned roll(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % n;
}

static void random_pattern(wi_buf *out)
{
    static const char *const parts[] = {
        "a",      "b",        "foo",      "bar",    "[ab]",  "[^a]",        "\\s",
        "\\W",    "\\w+",     ".",        ".*",     "(",     ")",           "|",
        "*",      "+",        "?",        "^",      "$",     "\\b",         "(?:",
        "(?i)",   "{2}",      "[^]x]",    "(?=",    "(?!",   "(?<!",        "\\d+",
        "k",      "S",        "\xC3\xA4", "[\\s,]", "(?<n>", "\\1",         "*+",
        "(?>",    "\\D",      "\\S+",     "x{1,3}", "??",    "[\xC3\xA4z]", "\\.",
        "foobar", "(foo|ba)", "(?-i:b)",  "\\pL",   "\\x61", "{",           "[[:space:]a]",
        "\\B",    "error",    " ",        "(?#x)",  "*?",    "\\R",         "\\z",
    };
    for (unsigned n = 1 + roll(7); n; n--)
        wi_buf_puts(out, parts[roll(sizeof parts / sizeof *parts)]);
}

static void random_text(wi_buf *out)
{
    static const char *const parts[] = {
        "a",   "b",        "foo",      "bar",  " ",  "\n", "\n", "x",    "12", "]",
        "FOO", "\xC3\xA4", "\xC3\x84", "\xFF", "\r", "\t", "k",  "\xC3", "s",  "foobar",
        "K",   ".",        "Bar",      "{",    "A",  "z",  ",",  "error"};
    for (unsigned n = roll(60); n; n--)
        wi_buf_puts(out, parts[roll(sizeof parts / sizeof *parts)]);
}

/* One round; true if the patterns were any. */
static bool compare_once(void)
{
    wi_buf patterns[3] = {0};
    wi_name names[3];
    size_t n = 1 + (roll(4) == 0 ? roll(3) : 0);
    wi_matcher_options options = {
        .ignore_case = roll(3) == 0,
        .fixed_strings = roll(8) == 0,
        .word_regexp = roll(6) == 0,
        .line_regexp = roll(8) == 0,
        .invert_match = roll(5) == 0,
        .no_unicode = roll(6) == 0,
    };
    for (size_t i = 0; i < n; i++) {
        random_pattern(&patterns[i]);
        names[i] = (wi_name){patterns[i].data, patterns[i].len};
    }
    wi_matcher *matcher = NULL;
    bool valid = wi_matcher_new(names, n, &options, &matcher, NULL) == WEIR_OK;
    if (valid) {
        naive plain;
        wi_search *search = NULL;
        naive_open(&plain, names, n, &options);
        EXPECT_INT(wi_search_new(matcher, &search, NULL), WEIR_OK);
        for (int i = 0; i < 3 && search; i++) {
            wi_buf text = WI_BUF_INIT;
            size_t line = 0;
            random_text(&text);
            const char *wrong = naive_compare(&plain, matcher, search, options.invert_match,
                                              text.data ? text.data : "", text.len, &line);
            if (!EXPECT(wrong == NULL))
                printf("# %s: line %zu of \"%.*s\" by \"%.*s\" (%zu), i%d F%d w%d x%d v%d b%d\n",
                       wrong, line, (int)text.len, text.data, (int)names[0].len, names[0].bytes, n,
                       options.ignore_case, options.fixed_strings, options.word_regexp,
                       options.line_regexp, options.invert_match, options.no_unicode);
            wi_buf_fini(&text);
        }
        wi_search_free(search);
        naive_close(&plain);
        wi_matcher_free(matcher);
    }
    for (size_t i = 0; i < n; i++)
        wi_buf_fini(&patterns[i]);
    return valid;
}

TEST(finds_what_the_naive_way_finds)
{
    int valid = 0;
    for (int i = 0; i < 20000; i++)
        valid += compare_once();
    wi_sweep_limit(WI_SWEEP_PLAIN);
    for (int i = 0; i < 3000; i++)
        valid += compare_once();
    wi_sweep_limit(WI_SWEEP_AVX2);
    EXPECT(valid > 5000);
    printf("# %d of 23000 were patterns\n", valid);
}

/* More than is searched in one go, with candidates that are none. */
static void fill_large(wi_buf *text, int seed_of)
{
    seed = (uint32_t)seed_of;
    while (text->len < 300000) {
        unsigned kind = roll(50);
        if (kind == 0)
            wi_buf_puts(text, "foo x bar \xC3\xA4");
        else
            wi_buf_printf(text, "%s %u %s%s", kind & 1 ? "foo" : "some log of 12:30", roll(1000),
                          kind == 7 ? "error: 17" : "nothing", kind == 9 ? " \xFF" : "");
        wi_buf_puts(text, "\n");
    }
}

TEST(large_texts)
{
    static const char *const patterns[] = {
        "foo.*bar", "\\w+: \\d+", "foo", "[^x]*error", "some\\s+log.*\\b99\\b", "^f.*g$"};
    wi_buf text = WI_BUF_INIT;
    fill_large(&text, 3);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        for (int invert = 0; invert < 2; invert++) {
            wi_matcher_options options = {.invert_match = invert};
            wi_name name = {patterns[i], strlen(patterns[i])};
            wi_matcher *matcher = matcher_of(&patterns[i], 1, options);
            wi_search *search = NULL;
            naive plain;
            size_t line = 0;
            REQUIRE(matcher && wi_search_new(matcher, &search, NULL) == WEIR_OK);
            naive_open(&plain, &name, 1, &options);
            const char *wrong =
                naive_compare(&plain, matcher, search, invert, text.data, text.len, &line);
            if (!EXPECT(wrong == NULL))
                printf("# %s: %s, line %zu\n", patterns[i], wrong, line);
            naive_close(&plain);
            wi_search_free(search);
            wi_matcher_free(matcher);
        }
    }
    wi_buf_fini(&text);
}

/* ---- threads and memory ---- */

typedef struct shared {
    const wi_matcher *matcher;
    const wi_buf *text;
    size_t found;
} shared;

static void *count_lines(void *arg)
{
    shared *s = arg;
    wi_search *search = NULL;
    wi_span line;
    if (wi_search_new(s->matcher, &search, NULL) != WEIR_OK)
        return NULL;
    for (int i = 0; i < 3; i++) {
        wi_search_begin(search, s->text->data, s->text->len);
        while (wi_search_next(search, &line, NULL) == WEIR_OK)
            s->found++;
    }
    wi_search_free(search);
    return NULL;
}

TEST(threads_share_a_matcher)
{
    static const char *const patterns[] = {"foo.*bar", "\\w+: \\d+", "thing", "oth"};
    wi_buf text = WI_BUF_INIT;
    fill_large(&text, 5);
    wi_matcher *matcher = matcher_of(patterns, 4, PLAIN);
    REQUIRE(matcher != NULL);
    pthread_t threads[4];
    shared shares[4];
    for (int i = 0; i < 4; i++) {
        shares[i] = (shared){matcher, &text, 0};
        REQUIRE(pthread_create(&threads[i], NULL, count_lines, &shares[i]) == 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    EXPECT(shares[0].found > 1000);
    for (int i = 1; i < 4; i++)
        EXPECT_INT(shares[i].found, shares[0].found);
    wi_matcher_free(matcher);
    wi_buf_fini(&text);
}

static bool after_a_few(const void *arg)
{
    int *left = *(int *const *)arg;
    return (*left)-- <= 0;
}

TEST(a_search_can_be_stopped_between_lines)
{
    static const char *const patterns[] = {"(?<a>a+)+$", "z(?=y)"};
    wi_buf text = WI_BUF_INIT;
    weir_error err = {0};
    wi_span line;
    int left = 10, *arg = &left;
    for (int i = 0; i < 10000; i++)
        wi_buf_puts(&text, "aaaaaaaaaaaaaaaaaaaaaa!\n");
    wi_matcher *matcher = matcher_of(patterns, 2, PLAIN);
    wi_search *search = NULL;
    REQUIRE(matcher && wi_search_new(matcher, &search, NULL) == WEIR_OK);
    wi_search_stop_when(search, after_a_few, &arg);
    wi_search_begin(search, text.data, text.len);
    EXPECT_INT(wi_search_next(search, &line, &err), WEIR_CANCELLED);
    EXPECT_INT(left, -1);
    wi_search_begin(search, "a\n", 2); /* another text, another search */
    left = 10;
    EXPECT_INT(wi_search_next(search, &line, &err), WEIR_OK);
    wi_search_free(search);
    wi_matcher_free(matcher);
    wi_buf_fini(&text);
}

static weir_status make_search_and_free(void)
{
    static const wi_name patterns[] = {{"lit", 3}, {"(?<a>x+)foo\\d", 13}, {"b|c", 3}, {"\\s", 2}};
    wi_matcher_options options = {.smart_case = true};
    wi_matcher *matcher = NULL;
    wi_search *search = NULL;
    wi_span line;
    weir_error err;
    weir_status status = wi_matcher_new(patterns, 4, &options, &matcher, &err);
    if (status == WEIR_INVALID)
        printf("# %s\n", err.text);
    if (status)
        return status;
    status = wi_search_new(matcher, &search, &err);
    if (!status) {
        wi_search_begin(search, "a\nxfoo1\n", 8);
        status = wi_search_next(search, &line, &err);
        EXPECT(status != WEIR_OK || line.begin == 2);
    }
    wi_search_free(search);
    wi_matcher_free(matcher);
    return status;
}

TEST(survives_lack_of_memory)
{
    TORTURE(make_search_and_free());
}

TESTS(CASE(lines_are_matched_one_by_one), CASE(carriage_returns_belong_to_lines),
      CASE(options_are_those_of_ripgrep), CASE(case_beyond_ascii),
      CASE(bytes_that_are_no_characters), CASE(several_patterns), CASE(groups_are_columns),
      CASE(patterns_that_are_none), CASE(a_pattern_without_end_is_an_error_of_its_line),
      CASE(finds_what_the_naive_way_finds), CASE(large_texts), CASE(threads_share_a_matcher),
      CASE(a_search_can_be_stopped_between_lines), CASE(survives_lack_of_memory))
