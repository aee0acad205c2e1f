/*
 * executor_processes_test.c: what is special about tasks in child processes: values and errors that
 * cross, cancellation that follows them, workers that come and go. The workers are this test's own
 * program, so what they run stands here too.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "error.h"
#include "processes.h"
#include "worker.h"

/* ---- values ---- */

TEST(a_static_function_gives_its_result)
{
    int fds = count_fds();
    weir_executor *ex = new_pool(1, 0);
    int64_t n = 12;
    weir_task task = {.fn = square, .arg = &n, .argument = number, .result = own_number};
    EXPECT_INT(get_number(ex, &task), 144);
    EXPECT(get_number(ex, &ask_pid) != getpid());
    weir_executor_stats stats;
    weir_executor_stats_get(ex, &stats);
    EXPECT_INT(stats.succeeded, 2);
    EXPECT_INT(stats.workers, 1);
    EXPECT_INT(stats.idle, 1);
    EXPECT_INT(stats.replaced, 0);
    weir_executor_free(ex);
    expect_clean(fds);
}

TEST(a_pool_without_work_starts_nothing)
{
    int fds = count_fds();
    weir_executor *ex = new_pool(4, 0);
    EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    EXPECT_INT(count_fds(), fds);
    weir_executor_free(ex);
    expect_clean(fds);
}

static void *reverse(void *arg, weir_error *err)
{
    (void)err;
    char *text = strdup(arg);
    size_t n = text ? strlen(text) : 0;
    for (size_t i = 0; i < n / 2; i++) {
        char c = text[i];
        text[i] = text[n - 1 - i];
        text[n - 1 - i] = c;
    }
    return text;
}

static void *is_null(void *arg, weir_error *err)
{
    if (arg)
        wi_fail(err, WEIR_INVALID, "not NULL");
    return NULL;
}

/* The copy itself as the result: it is freed once. */
static void *same(void *arg, weir_error *err)
{
    (void)err;
    return arg;
}

TEST(strings_and_nulls_cross)
{
    weir_executor *ex = new_pool(1, 0);
    weir_type string = WEIR_TYPE_STRING;
    weir_type own_string = {0, weir_type_measure_string, free};
    char text[] = "a stream";
    void *result = NULL;
    weir_task task = {.fn = reverse, .arg = text, .argument = string, .result = own_string};
    REQUIRE(run(ex, &task, &result, NULL) == WEIR_OK);
    EXPECT_STR(result, "maerts a");
    free(result);

    char empty[] = "";
    task = (weir_task){.fn = same, .arg = empty, .argument = string, .result = own_string};
    REQUIRE(run(ex, &task, &result, NULL) == WEIR_OK);
    EXPECT_STR(result, "");
    free(result);

    task = (weir_task){.fn = is_null, .argument = string, .result = own_string};
    result = &task;
    EXPECT(run(ex, &task, &result, NULL) == WEIR_OK);
    EXPECT(result == NULL);
    weir_executor_free(ex);
}

static atomic_int released;

static void count_release(void *value)
{
    (void)value;
    atomic_fetch_add(&released, 1);
}

TEST(the_argument_is_released_once)
{
    weir_executor *ex = new_pool(1, 0);
    int64_t n = 3;
    weir_task task = {.fn = square, .arg = &n, .argument = number, .result = own_number};
    task.argument.release = count_release;
    atomic_store(&released, 0);
    EXPECT_INT(get_number(ex, &task), 9);
    EXPECT_INT(atomic_load(&released), 1);
    weir_executor_free(ex);
    EXPECT_INT(atomic_load(&released), 1);
}

typedef struct large {
    size_t len;
    unsigned char bytes[];
} large;

static size_t measure_large(const void *value)
{
    const large *l = value;
    return sizeof *l + l->len;
}

static large *make_large(size_t len, unsigned seed)
{
    large *l = malloc(sizeof *l + len);
    if (!l)
        return NULL;
    l->len = len;
    for (size_t i = 0; i < len; i++)
        l->bytes[i] = (unsigned char)(seed = seed * 1103515245 + 12345);
    return l;
}

static void *invert(void *arg, weir_error *err)
{
    (void)err;
    large *l = arg;
    for (size_t i = 0; i < l->len; i++)
        l->bytes[i] ^= 0xff;
    return l;
}

TEST(large_values_cross_both_ways)
{
    weir_executor *ex = new_pool(2, 0);
    enum { N = 4, BYTES = 10 << 20 };
    weir_type type = {0, measure_large, free};
    weir_future *futures[N];
    large *values[N];
    for (int i = 0; i < N; i++) {
        values[i] = make_large(BYTES + (size_t)i, (unsigned)i);
        weir_task task = {
            .fn = invert, .arg = values[i], .argument = {0, measure_large, NULL}, .result = type};
        REQUIRE(values[i] && !weir_executor_submit(ex, &task, &futures[i], NULL));
    }
    for (int i = 0; i < N; i++) {
        void *result = NULL;
        REQUIRE(weir_future_result(futures[i], -1, &result, NULL) == WEIR_OK);
        large *l = result;
        REQUIRE(l && l->len == values[i]->len);
        size_t wrong = 0;
        for (size_t k = 0; k < l->len; k++)
            wrong += l->bytes[k] != (values[i]->bytes[k] ^ 0xff);
        EXPECT_INT(wrong, 0);
        free(l);
        free(values[i]);
        weir_future_unref(futures[i]);
    }
    weir_executor_free(ex);
}

static size_t measure_too_much(const void *value)
{
    (void)value;
    return (size_t)WI_WORKER_VALUE_MAX + 1;
}

static weir_status accept_anything(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    return WEIR_OK;
}

TEST(what_cannot_cross_is_refused)
{
    weir_executor *ex = new_pool(1, 0);
    weir_error err;
    void *result;
    int64_t n = 2;
    weir_task task = {.fn = square, .arg = &n, .result = own_number};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_INVALID);
    EXPECT(strstr(err.text, "argument.size") != NULL);
    task = (weir_task){.fn = square, .arg = &n, .argument = number};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_INVALID);
    EXPECT(strstr(err.text, "result.size") != NULL);
    task.argument = (weir_type){0, measure_too_much, NULL};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_TOOLARGE);
    task.argument = number;
    task.result = (weir_type){0, measure_too_much, free};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_TOOLARGE);
    task.result = own_number;
    EXPECT_INT(get_number(ex, &task), 4);
    weir_executor_stats stats;
    weir_executor_stats_get(ex, &stats);
    EXPECT_INT(stats.replaced, 0);
    weir_executor_free(ex);

    weir_executor_options options = {
        .size = sizeof options, .kind = WEIR_PROCESSES, .initializer_arg = &n};
    options.initializer = accept_anything;
    EXPECT_INT(weir_executor_new(&options, &ex, &err), WEIR_INVALID);
}

TEST(a_function_that_workers_do_not_load)
{
    void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        SKIP("there is no library to load");
    weir_executor *ex = new_pool(1, 0);
    weir_error err;
    void *result;
    weir_task task = {.fn = (weir_task_fn)dlsym(library, "zlibVersion")};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_INVALID);
    EXPECT(strstr(err.text, "zlibVersion") && strstr(err.text, "libz"));
    weir_executor_free(ex);
    dlclose(library);
}

/* ---- errors ---- */

static void *fail_so(void *arg, weir_error *err)
{
    errno = 0;
    wi_fail_errno(err, EHOSTUNREACH, "cannot reach %s", (const char *)arg);
    return arg;
}

TEST(errors_cross_whole)
{
    weir_executor *ex = new_pool(1, 0);
    weir_type string = WEIR_TYPE_STRING;
    char text[] = "the moon";
    weir_error err;
    void *result = &err;
    weir_task task = {.fn = fail_so, .arg = text, .argument = string, .result = string};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_IO);
    EXPECT_INT(err.status, WEIR_IO);
    EXPECT_INT(err.sys_errno, EHOSTUNREACH);
    EXPECT_STR(err.text, "cannot reach the moon: No route to host");
    EXPECT(result == &err);
    weir_executor_free(ex);
}

/* ---- cancelling and time ---- */

TEST(a_running_task_is_cancelled)
{
    weir_executor *ex = new_pool(1, 0);
    weir_task task = {.fn = sleep_for_ever, .name = "sleeper"};
    int64_t pid = get_number(ex, &ask_pid);
    for (int i = 0; i < 20; i++) {
        weir_future *future;
        REQUIRE(!weir_executor_submit(ex, &task, &future, NULL));
        while (!weir_future_running(future))
            sched_yield();
        EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_ASKED);
        EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_CANCELLED);
        EXPECT(weir_future_cancelled(future));
        weir_future_unref(future);
        EXPECT_INT(get_number(ex, &ask_pid), pid); /* neither killed nor still cancelled */
    }
    weir_executor_free(ex);
}

static void *rest_a_while(void *arg, weir_error *err)
{
    (void)arg;
    weir_sleep(WEIR_MICROSECONDS(300), err);
    return NULL;
}

static void *do_nothing(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    return NULL;
}

static void *cancel_until_done(void *arg)
{
    while (!weir_future_done(arg))
        weir_future_cancel(arg);
    return NULL;
}

/* Cancelling comes while the reply is on its way, and the process has its next task. */
TEST(a_late_cancellation_does_not_hit_the_next_task)
{
    weir_executor *ex = new_pool(1, 0);
    for (int i = 0; i < 300; i++) {
        weir_future *first;
        weir_future *next;
        pthread_t thread;
        REQUIRE(!weir_executor_submit(ex, &(weir_task){.fn = do_nothing}, &first, NULL));
        REQUIRE(!weir_executor_submit(ex, &(weir_task){.fn = rest_a_while}, &next, NULL));
        REQUIRE(pthread_create(&thread, NULL, cancel_until_done, first) == 0);
        EXPECT_INT(weir_future_error(next, -1, NULL), WEIR_OK);
        pthread_join(thread, NULL);
        weir_future_unref(first);
        weir_future_unref(next);
    }
    weir_executor_free(ex);
}

TEST(the_timeout_crosses)
{
    weir_executor *ex = new_pool(1, 0);
    weir_error err;
    void *result;
    weir_task task = {.fn = sleep_for_ever, .name = "sleeper", .timeout = WEIR_MILLISECONDS(5)};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_TIMEDOUT);
    EXPECT(strstr(err.text, "sleeper") != NULL);
    weir_executor_free(ex);
}

TEST(shutdown_cancels_what_runs)
{
    int fds = count_fds();
    weir_executor *ex = new_pool(2, 0);
    weir_task task = {.fn = sleep_for_ever};
    weir_future *futures[6];
    for (int i = 0; i < 6; i++)
        REQUIRE(!weir_executor_submit(ex, &task, &futures[i], NULL));
    while (!weir_future_running(futures[1]))
        sched_yield();
    weir_shutdown_options options = {.cancel_pending = 1, .cancel_running = 1};
    EXPECT_INT(weir_executor_shutdown(ex, &options, NULL), WEIR_OK);
    for (int i = 0; i < 6; i++) {
        EXPECT(weir_future_cancelled(futures[i]));
        weir_future_unref(futures[i]);
    }
    expect_clean(fds);
    weir_executor_free(ex);
}

/* ---- pools ---- */

TEST(workers_are_replaced_after_so_many_tasks)
{
    int fds = count_fds();
    weir_executor *ex = new_pool(1, 2);
    int64_t pids[6];
    for (int i = 0; i < 6; i++)
        pids[i] = get_number(ex, &ask_pid);
    EXPECT(pids[0] == pids[1] && pids[2] == pids[3] && pids[4] == pids[5]);
    EXPECT(pids[0] != pids[2] && pids[2] != pids[4]);
    weir_executor_free(ex);
    expect_clean(fds);
}

TEST(hundreds_of_tasks_over_four_workers)
{
    enum { N = 600 };
    int fds = count_fds();
    weir_executor *ex = new_pool(4, 0);
    static int64_t numbers[N];
    static weir_future *futures[N];
    for (int64_t i = 0; i < N; i++) {
        numbers[i] = i;
        weir_task task = {
            .fn = square, .arg = &numbers[i], .argument = number, .result = own_number};
        REQUIRE(!weir_executor_submit(ex, &task, &futures[i], NULL));
    }
    for (int64_t i = 0; i < N; i++) {
        void *result = NULL;
        REQUIRE(weir_future_result(futures[i], -1, &result, NULL) == WEIR_OK);
        EXPECT_INT(*(int64_t *)result, i * i);
        free(result);
        weir_future_unref(futures[i]);
    }
    weir_executor_stats stats;
    weir_executor_stats_get(ex, &stats);
    EXPECT(stats.peak_workers <= 4);
    EXPECT_INT(stats.succeeded, N);
    weir_executor_free(ex);
    expect_clean(fds);
}

TEST(no_descriptor_left_for_a_worker)
{
    int fds = count_fds();
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    weir_executor *ex = new_pool(1, 0);
    weir_error err;
    void *result;
    int free_fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(free_fd);
    struct rlimit tight = {.rlim_cur = (rlim_t)free_fd, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    weir_status status = run(ex, &ask_pid, &result, &err);
    tight.rlim_cur = (rlim_t)free_fd + 3; /* enough for the manager, not for a worker */
    setrlimit(RLIMIT_NOFILE, &tight);
    weir_status second = run(ex, &ask_pid, &result, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_INT(status, WEIR_IO);
    EXPECT_INT(second, WEIR_IO);
    EXPECT_INT(err.sys_errno, EMFILE);
    EXPECT(get_number(ex, &ask_pid) > 0);
    weir_executor_free(ex);
    expect_clean(fds);
}

/* With one process at work and no room for another, the next task waits for that one. */
TEST(a_task_waits_when_no_second_worker_can_start)
{
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    weir_executor *ex = new_pool(2, 0);
    int64_t pid = get_number(ex, &ask_pid);
    weir_future *sleeper;
    weir_future *next;
    REQUIRE(!weir_executor_submit(ex, &(weir_task){.fn = sleep_for_ever}, &sleeper, NULL));
    while (!weir_future_running(sleeper))
        sched_yield();
    int free_fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(free_fd);
    struct rlimit tight = {.rlim_cur = (rlim_t)free_fd, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    REQUIRE(!weir_executor_submit(ex, &ask_pid, &next, NULL));
    while (!weir_future_running(next))
        sched_yield();
    EXPECT_INT(weir_future_cancel(sleeper), WEIR_CANCEL_ASKED);
    void *result = NULL;
    EXPECT_INT(weir_future_result(next, -1, &result, NULL), WEIR_OK);
    setrlimit(RLIMIT_NOFILE, &before);
    REQUIRE(result != NULL);
    EXPECT_INT(*(int64_t *)result, pid);
    free(result);
    weir_future_unref(sleeper);
    weir_future_unref(next);
    weir_executor_free(ex);
}

TESTS(CASE(a_static_function_gives_its_result), CASE(a_pool_without_work_starts_nothing),
      CASE(strings_and_nulls_cross), CASE(the_argument_is_released_once),
      CASE(large_values_cross_both_ways), CASE(what_cannot_cross_is_refused),
      CASE(a_function_that_workers_do_not_load), CASE(errors_cross_whole),
      CASE(a_running_task_is_cancelled), CASE(a_late_cancellation_does_not_hit_the_next_task),
      CASE(the_timeout_crosses), CASE(shutdown_cancels_what_runs),
      CASE(workers_are_replaced_after_so_many_tasks), CASE(hundreds_of_tasks_over_four_workers),
      CASE(no_descriptor_left_for_a_worker), CASE(a_task_waits_when_no_second_worker_can_start))
