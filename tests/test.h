/*
 * test.h: unit tests that speak TAP (testanything.org), version 13.
 *
 *     TEST(parses_a_range)
 *     {
 *         EXPECT(count("{1..3}") == 3);
 *         EXPECT_STR(first("{1..3}"), "1");
 *     }
 *     TESTS(CASE(parses_a_range))
 *
 * A failed expectation is printed with its place and values, and the test goes on: no longjmp, so
 * expectations are safe on any thread and any stack. REQUIRE returns from the current function when
 * it fails. With arguments, only the tests named run.
 */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

static atomic_int test_failures;

#define TEST(name) static void test_##name(void)

static inline bool test_expect(bool ok, const char *file, int line, const char *text)
{
    if (!ok) {
        atomic_fetch_add(&test_failures, 1);
        printf("# %s:%d: expected %s\n", file, line, text);
    }
    return ok;
}

static inline bool test_expect_int(int64_t got, int64_t want, const char *file, int line,
                                   const char *text)
{
    if (got != want) {
        atomic_fetch_add(&test_failures, 1);
        printf("# %s:%d: %s is %lld, expected %lld\n", file, line, text, (long long)got,
               (long long)want);
    }
    return got == want;
}

static inline bool test_expect_mem(const char *got, size_t got_len, const char *want,
                                   size_t want_len, const char *file, int line, const char *text)
{
    bool same = got && got_len == want_len && memcmp(got, want, want_len) == 0;
    if (!same) {
        atomic_fetch_add(&test_failures, 1);
        printf("# %s:%d: %s is \"%.*s\", expected \"%.*s\"\n", file, line, text,
               got ? (int)got_len : 6, got ? got : "(null)", (int)want_len, want);
    }
    return same;
}

#define EXPECT(what) test_expect((what), __FILE__, __LINE__, #what)
#define EXPECT_INT(got, want) \
    test_expect_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, #got)
#define EXPECT_MEM(got, len, want) \
    test_expect_mem((got), (len), (want), strlen(want), __FILE__, __LINE__, #got)
#define EXPECT_STR(got, want) test_expect_str((got), (want), __FILE__, __LINE__, #got)
#define REQUIRE(what)      \
    do {                   \
        if (!EXPECT(what)) \
            return;        \
    } while (0)

static inline bool test_expect_str(const char *got, const char *want, const char *file, int line,
                                   const char *text)
{
    return test_expect_mem(got, got ? strlen(got) : 0, want, strlen(want), file, line, text);
}

/* For tests that pass for a reason of the machine's; shown in the report. */
#define SKIP(why)                       \
    do {                                \
        printf("# skipped: %s\n", why); \
        return;                         \
    } while (0)

static inline bool test_chosen(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

static inline int test_run_all(int argc, char **argv, const test_case *cases, int n)
{
    int failed_cases = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("TAP version 13\n1..%d\n", n);
    for (int i = 0; i < n; i++) {
        if (!test_chosen(argc, argv, cases[i].name)) {
            printf("ok %d - %s # SKIP not chosen\n", i + 1, cases[i].name);
            continue;
        }
        atomic_store(&test_failures, 0);
        cases[i].run();
        bool ok = atomic_load(&test_failures) == 0;
        failed_cases += !ok;
        printf("%sok %d - %s\n", ok ? "" : "not ", i + 1, cases[i].name);
    }
    return failed_cases != 0;
}

/* The list of tests stands once, at the end of the file: TESTS(CASE(a), CASE(b)) */
#define CASE(name)         \
    {                      \
#name, test_##name \
    }
#define TESTS(...)                                                                     \
    int main(int argc, char **argv)                                                    \
    {                                                                                  \
        static const test_case cases[] = {__VA_ARGS__};                                \
        return test_run_all(argc, argv, cases, (int)(sizeof cases / sizeof cases[0])); \
    }

#endif
