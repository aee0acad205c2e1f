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
 * it fails. With arguments, only the tests named run. One that hangs ends the program, and is
 * named.
 */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of one test. More than any has taken on the busiest machine, and less than the program may take
 * before it is killed from outside, where nobody would learn which test hung. */
#ifndef TEST_SECONDS
#define TEST_SECONDS 100
#endif

static int test_seconds = TEST_SECONDS;

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

static char test_running[128];

static inline void test_hangs(int signal)
{
    static const char says[] = " hangs: it was given up\n";
    (void)signal;
    if (write(STDERR_FILENO, test_running, strlen(test_running)) < 0 ||
        write(STDERR_FILENO, says, sizeof says - 1) < 0)
        _exit(1);
    abort();
}

/*
 * From here on the test of that name runs. Its time is up with a signal of those that a program
 * raises itself: others the thread sanitizer holds back from a thread that spins or waits for a
 * lock. A child of fork has no such timer until it begins a test.
 */
static inline void test_begin(const char *name)
{
    static timer_t timer;
    static pid_t owner; /* of the timer */
    snprintf(test_running, sizeof test_running, "%s", name);
    atomic_store(&test_failures, 0);
    struct sigaction action = {.sa_handler = test_hangs};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTRAP};
    if (owner != getpid() && sigaction(SIGTRAP, &action, NULL) == 0 &&
        timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
        owner = getpid();
    struct itimerspec span = {.it_value.tv_sec = test_seconds};
    if (owner == getpid())
        timer_settime(timer, 0, &span, NULL);
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
        test_begin(cases[i].name);
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
