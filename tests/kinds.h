/*
 * kinds.h: tests that hold for every kind of executor, each run once per kind.
 *
 *     TEST(a_result_arrives) { ... with kind ... }
 *     KIND_TESTS(KIND_CASE(a_result_arrives), KIND_CASE_BUT(it_waits, NOT_INLINE, "why not"))
 *
 * Tasks are written so that processes can run them: what they are told comes as the bytes of an
 * errand, and what they tell besides their result are bytes appended to a file, the trace, which
 * counts and orders over all kinds. A gate is a file that a task waits for.
 */
#ifndef WEIR_TEST_KINDS_H
#define WEIR_TEST_KINDS_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "weir/executor.h"
#include "weir/wait.h"

enum {
    NOT_INLINE = 1 << WEIR_INLINE,
    NOT_THREADS = 1 << WEIR_THREADS,
    NOT_FIBERS = 1 << WEIR_FIBERS,
    NOT_PROCESSES = 1 << WEIR_PROCESSES,
};

typedef struct kind_case {
    const char *name;
    void (*run)(void);
    unsigned but;
    const char *why;
} kind_case;

/* The kind that is tested now. */
static weir_executor_kind kind;

/* ---- where tasks leave their traces ---- */

static char scratch[64];

static inline void scratch_open(void)
{
    strcpy(scratch, "/tmp/weir-kinds-XXXXXX");
    if (!mkdtemp(scratch))
        abort();
}

static inline void scratch_path(char path[96], const char *dir, const char *name)
{
    snprintf(path, 96, "%s/%s", dir, name);
}

static inline void scratch_remove(const char *name)
{
    char path[96];
    scratch_path(path, scratch, name);
    unlink(path);
}

static inline void scratch_close(void)
{
    scratch_remove("gate");
    scratch_remove("trace");
    rmdir(scratch);
}

static inline void leave_trace(const char *dir, char letter)
{
    char path[96];
    scratch_path(path, dir, "trace");
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, &letter, 1) != 1)
        abort();
    close(fd);
}

/* The letters so far. */
static inline const char *trace(void)
{
    static char letters[512];
    char path[96];
    scratch_path(path, scratch, "trace");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, letters, sizeof letters - 1);
    letters[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
    return letters;
}

static inline int count_in_trace(char letter)
{
    int n = 0;
    for (const char *at = trace(); *at; at++)
        n += *at == letter;
    return n;
}

static inline bool gate_is_open(const char *dir)
{
    char path[96];
    scratch_path(path, dir, "gate");
    return access(path, F_OK) == 0;
}

static inline void open_gate(void)
{
    char path[96];
    scratch_path(path, scratch, "gate");
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static inline void close_gate(void)
{
    scratch_remove("gate");
}

/* ---- tasks ---- */

typedef struct errand {
    char dir[64];
    int number;
    char letter; /* left in the trace when the task begins; 0: none */
} errand;

static inline errand errand_of(int number, char letter)
{
    errand e = {.number = number, .letter = letter};
    memcpy(e.dir, scratch, sizeof e.dir);
    return e;
}

static inline void *answer(int number, weir_error *err)
{
    int *result = malloc(sizeof *result);
    if (!result)
        err->status = WEIR_NOMEM;
    else
        *result = number;
    return result;
}

/* One more than it was given. */
static inline void *count_on(void *arg, weir_error *err)
{
    const errand *e = arg;
    if (e->letter)
        leave_trace(e->dir, e->letter);
    return answer(e->number + 1, err);
}

/* Waits for the gate, or for its end. */
static inline void *hold(void *arg, weir_error *err)
{
    const errand *e = arg;
    if (e->letter)
        leave_trace(e->dir, e->letter);
    while (!gate_is_open(e->dir))
        if (weir_sleep(WEIR_MILLISECONDS(1), err))
            return NULL;
    return answer(e->number + 1, err);
}

/* Waits for the gate, and for nothing else. */
static inline void *insist(void *arg, weir_error *err)
{
    const errand *e = arg;
    if (e->letter)
        leave_trace(e->dir, e->letter);
    while (!gate_is_open(e->dir))
        usleep(1000);
    return answer(e->number + 1, err);
}

static inline void *fail(void *arg, weir_error *err)
{
    const errand *e = arg;
    if (e->letter)
        leave_trace(e->dir, e->letter);
    err->status = WEIR_NOTFOUND;
    err->sys_errno = ENOENT;
    snprintf(err->text, sizeof err->text, "there is no product %d", e->number);
    return NULL;
}

static inline weir_task task_of(weir_task_fn fn, errand *e)
{
    return (weir_task){.fn = fn,
                       .arg = e,
                       .argument = {.size = sizeof *e},
                       .result = {.size = sizeof(int), .release = free}};
}

/* ---- the test's side ---- */

static inline weir_executor *make_executor(weir_executor_options options)
{
    weir_error err;
    weir_executor *ex = NULL;
    options.size = sizeof options;
    options.kind = kind;
    if (kind == WEIR_FIBERS && !options.loops)
        options.loops = 2;
    if (!EXPECT(weir_executor_new(&options, &ex, &err) == WEIR_OK))
        printf("# %s\n", err.text);
    return ex;
}

/* NULL if it was not taken. */
static inline weir_future *give(weir_executor *ex, weir_task_fn fn, errand *e)
{
    weir_error err;
    weir_future *future = NULL;
    weir_task task = task_of(fn, e);
    if (!EXPECT(weir_executor_submit(ex, &task, &future, &err) == WEIR_OK))
        printf("# %s\n", err.text);
    return future;
}

/* Its number, or minus its status; the reference is given back. */
static inline int collect(weir_future *future)
{
    void *result = NULL;
    weir_error err;
    weir_status status = weir_future_result(future, WEIR_SECONDS(60), &result, &err);
    int number = status ? -(int)status : *(int *)result;
    free(result);
    weir_future_unref(future);
    return number;
}

/* Until the condition holds; a minute is for ever. */
#define EXPECT_SOON(condition)                                          \
    do {                                                                \
        int tries = 60000;                                              \
        while (!(condition) && --tries)                                 \
            usleep(1000);                                               \
        test_expect(tries > 0, __FILE__, __LINE__, "soon " #condition); \
    } while (0)

static inline weir_executor_stats stats_of(weir_executor *ex)
{
    weir_executor_stats stats;
    weir_executor_stats_get(ex, &stats);
    return stats;
}

/* ---- running them ---- */

static inline int kinds_run(int argc, char **argv, const kind_case *cases, int n,
                            const weir_executor_kind *kinds, int kinds_n)
{
    int failed = 0;
    int number = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("TAP version 13\n1..%d\n", n * kinds_n);
    for (int k = 0; k < kinds_n; k++)
        for (int i = 0; i < n; i++) {
            kind = kinds[k];
            char name[128];
            snprintf(name, sizeof name, "%s %s", weir_executor_kind_name(kind), cases[i].name);
            number++;
            bool chosen = test_chosen(argc, argv, cases[i].name) || test_chosen(argc, argv, name);
            if (!chosen || cases[i].but & 1U << kind) {
                printf("ok %d - %s # SKIP %s\n", number, name,
                       chosen ? cases[i].why : "not chosen");
                continue;
            }
            test_begin(name);
            scratch_open();
            cases[i].run();
            scratch_close();
            bool ok = atomic_load(&test_failures) == 0;
            failed += !ok;
            printf("%sok %d - %s\n", ok ? "" : "not ", number, name);
        }
    return failed != 0;
}

#define KIND_CASE(name)             \
    {                               \
#name, test_##name, 0, NULL \
    }
#define KIND_CASE_BUT(name, kinds, why) \
    {                                   \
#name, test_##name, kinds, why  \
    }
#define KIND_TESTS(...)                                                                 \
    int main(int argc, char **argv)                                                     \
    {                                                                                   \
        static const kind_case cases[] = {__VA_ARGS__};                                 \
        static const weir_executor_kind kinds[] = {KINDS_TESTED};                       \
        return kinds_run(argc, argv, cases, (int)(sizeof cases / sizeof *cases), kinds, \
                         (int)(sizeof kinds / sizeof *kinds));                          \
    }

#ifndef KINDS_TESTED
#define KINDS_TESTED WEIR_INLINE, WEIR_THREADS, WEIR_FIBERS, WEIR_PROCESSES
#endif

#endif
