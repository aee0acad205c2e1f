/*
 * executor_processes_test.c: what is special about tasks in child processes. The workers are this
 * test's own program, so what they run stands here too.
 */
#include "weir/executor.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"
#include "test.h"
#include "weir/wait.h"
#include "worker.h"

/* ---- around each test ---- */

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* No child, not even a dead one, and no descriptor remains. */
static void expect_clean(int fds)
{
    EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    EXPECT_INT(count_fds(), fds);
}

static weir_executor *new_pool(int workers, int64_t max_tasks)
{
    weir_executor *ex = NULL;
    weir_executor_options options = {.size = sizeof options,
                                     .kind = WEIR_PROCESSES,
                                     .max_workers = workers,
                                     .max_tasks_per_child = max_tasks};
    EXPECT(weir_executor_new(&options, &ex, NULL) == WEIR_OK);
    return ex;
}

static weir_status run(weir_executor *ex, const weir_task *task, void **result, weir_error *err)
{
    weir_future *future;
    weir_status status = weir_executor_submit(ex, task, &future, err);
    if (status)
        return status;
    status = weir_future_result(future, -1, result, err);
    weir_future_unref(future);
    return status;
}

/* ---- tasks ---- */

static void *square(void *arg, weir_error *err)
{
    (void)err;
    int64_t *out = malloc(sizeof *out);
    int64_t n = *(int64_t *)arg;
    if (out)
        *out = n * n;
    return out;
}

static const weir_type number = WEIR_TYPE(int64_t);
static const weir_type own_number = WEIR_TYPE_MALLOCED(int64_t);

static void *pid_of_worker(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    int64_t *out = malloc(sizeof *out);
    if (out)
        *out = getpid();
    return out;
}

static const weir_task ask_pid = {.fn = pid_of_worker, .result = WEIR_TYPE_MALLOCED(int64_t)};

static int64_t get_number(weir_executor *ex, const weir_task *task)
{
    void *result = NULL;
    weir_error err = {0};
    weir_status status = run(ex, task, &result, &err);
    if (!EXPECT(status == WEIR_OK && result)) {
        printf("# %s\n", err.text);
        return -1;
    }
    int64_t value = *(int64_t *)result;
    free(result);
    return value;
}

static void *sleep_for_ever(void *arg, weir_error *err)
{
    (void)arg;
    weir_sleep(WEIR_SECONDS(1000), err);
    return NULL;
}

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

/* ---- workers that end ---- */

typedef enum way { BY_SEGV, BY_ABORT, BY_EXIT, BY_KILL } way;

static void *end_process(void *arg, weir_error *err)
{
    (void)err;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    switch (*(way *)arg) {
    case BY_SEGV:
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        break;
    case BY_ABORT:
        signal(SIGABRT, SIG_DFL);
        abort();
    case BY_EXIT:
        _exit(3);
    case BY_KILL:
        raise(SIGKILL);
    }
    return NULL;
}

static void expect_end(weir_executor *ex, way how, const char *text)
{
    weir_error err;
    void *result;
    weir_task task = {
        .fn = end_process, .arg = &how, .argument = {sizeof how, NULL, NULL}, .name = "crasher"};
    EXPECT_INT(run(ex, &task, &result, &err), WEIR_BROKEN);
    EXPECT_STR(err.text, text);
}

TEST(a_crash_breaks_its_own_task_alone)
{
    int fds = count_fds();
    weir_executor *ex = new_pool(1, 0);
    int64_t first = get_number(ex, &ask_pid);
    expect_end(ex, BY_SEGV,
               "the worker process was killed by SIGSEGV (Segmentation fault) while running "
               "crasher");
    EXPECT(get_number(ex, &ask_pid) != first);
    expect_end(ex, BY_ABORT,
               "the worker process was killed by SIGABRT (Aborted) while running crasher");
    expect_end(ex, BY_EXIT, "the worker process exited with code 3 while running crasher");
    for (int i = 0; i < 5; i++)
        expect_end(ex, BY_KILL,
                   "the worker process was killed by SIGKILL (Killed) while running crasher");
    int64_t n = 5;
    weir_task task = {.fn = square, .arg = &n, .argument = number, .result = own_number};
    EXPECT_INT(get_number(ex, &task), 25);
    weir_executor_stats stats;
    weir_executor_stats_get(ex, &stats);
    EXPECT_INT(stats.replaced, 8);
    EXPECT_INT(stats.failed, 8);
    weir_executor_free(ex);
    expect_clean(fds);
}

static void *tell_and_sleep(void *arg, weir_error *err)
{
    kill(getppid(), SIGUSR1);
    return sleep_for_ever(arg, err);
}

TEST(a_worker_killed_from_outside)
{
    sigset_t told;
    sigemptyset(&told);
    sigaddset(&told, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &told, NULL);
    weir_executor *ex = new_pool(1, 0);
    pid_t pid = (pid_t)get_number(ex, &ask_pid);
    weir_future *sleeper;
    weir_future *next;
    REQUIRE(!weir_executor_submit(ex, &(weir_task){.fn = tell_and_sleep}, &sleeper, NULL));
    REQUIRE(!weir_executor_submit(ex, &ask_pid, &next, NULL));
    int signal;
    sigwait(&told, &signal);
    kill(pid, SIGKILL);
    weir_error err;
    void *result = NULL;
    EXPECT_INT(weir_future_error(sleeper, -1, &err), WEIR_BROKEN);
    EXPECT(strstr(err.text, "SIGKILL") != NULL);
    REQUIRE(weir_future_result(next, -1, &result, NULL) == WEIR_OK);
    EXPECT(*(int64_t *)result != pid);
    free(result);
    weir_future_unref(sleeper);
    weir_future_unref(next);
    weir_executor_free(ex);
    pthread_sigmask(SIG_UNBLOCK, &told, NULL);
}

/* An idle worker that dies costs no task. */
TEST(an_idle_worker_may_die)
{
    int fds = count_fds();
    weir_executor *ex = new_pool(1, 0);
    for (int i = 0; i < 20; i++) {
        pid_t pid = (pid_t)get_number(ex, &ask_pid);
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        kill(pid, SIGKILL);
        struct pollfd end = {.fd = pidfd, .events = POLLIN};
        EXPECT_INT(poll(&end, 1, 60000), 1);
        close(pidfd);
        EXPECT(get_number(ex, &ask_pid) != pid);
    }
    weir_executor_free(ex);
    expect_clean(fds);
}

static weir_status die_at_once(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    raise(SIGKILL);
    return WEIR_OK;
}

static weir_executor *new_pool_with(weir_status (*initializer)(void *, weir_error *), void *arg,
                                    weir_type type)
{
    weir_executor *ex = NULL;
    weir_executor_options options = {.size = sizeof options,
                                     .kind = WEIR_PROCESSES,
                                     .max_workers = 2,
                                     .initializer = initializer,
                                     .initializer_arg = arg,
                                     .initializer_type = type};
    EXPECT(weir_executor_new(&options, &ex, NULL) == WEIR_OK);
    return ex;
}

TEST(workers_that_never_live_break_the_pool)
{
    int fds = count_fds();
    weir_executor *ex = new_pool_with(die_at_once, NULL, (weir_type){0});
    weir_error err;
    void *result;
    EXPECT_INT(run(ex, &ask_pid, &result, &err), WEIR_BROKEN);
    EXPECT_STR(err.text, "3 worker processes in a row ended before they could run anything: the "
                         "last was killed by SIGKILL (Killed)");
    EXPECT_INT(run(ex, &ask_pid, &result, &err), WEIR_BROKEN);
    weir_executor_free(ex);
    expect_clean(fds);
}

/* ---- initializers ---- */

static int64_t initialized_with;

static weir_status remember(void *arg, weir_error *err)
{
    (void)err;
    initialized_with += *(int64_t *)arg;
    return WEIR_OK;
}

static void *recall(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    return &initialized_with;
}

TEST(the_initializer_runs_once_in_each_worker)
{
    int64_t n = 77;
    weir_executor *ex = new_pool_with(remember, &n, number);
    weir_task task = {.fn = recall, .result = number};
    for (int i = 0; i < 5; i++)
        EXPECT_INT(get_number(ex, &task), 77);
    EXPECT_INT(initialized_with, 0); /* it was not called here */
    weir_executor_free(ex);
}

static weir_status refuse(void *arg, weir_error *err)
{
    return wi_fail(err, WEIR_DENIED, "no key for %s", (const char *)arg);
}

static weir_status refuse_silently(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    return WEIR_CLOSED;
}

TEST(an_initializer_that_fails_breaks_the_pool)
{
    int fds = count_fds();
    weir_type string = WEIR_TYPE_STRING;
    char name[] = "the lock";
    weir_executor *ex = new_pool_with(refuse, name, string);
    weir_error err;
    void *result;
    weir_future *futures[20];
    int taken = 0;
    while (taken < 20 && !weir_executor_submit(ex, &ask_pid, &futures[taken], &err))
        taken++;
    EXPECT(taken > 0);
    for (int i = 0; i < taken; i++) {
        EXPECT_INT(weir_future_result(futures[i], -1, &result, &err), WEIR_DENIED);
        EXPECT_STR(err.text, "no key for the lock");
        weir_future_unref(futures[i]);
    }
    EXPECT_INT(run(ex, &ask_pid, &result, &err), WEIR_DENIED);
    EXPECT_STR(err.text, "no key for the lock");
    weir_executor_free(ex);

    ex = new_pool_with(refuse_silently, NULL, (weir_type){0});
    EXPECT_INT(run(ex, &ask_pid, &result, &err), WEIR_CLOSED);
    EXPECT_STR(err.text, "the executor's initializer failed: closed");
    weir_executor_free(ex);
    expect_clean(fds);
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

/* ---- what a worker is ---- */

static void *describe(void *arg, weir_error *err)
{
    (void)arg;
    char link[64] = {0};
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    raise(SIGINT); /* is for the parent */
    if (getenv(WI_WORKER_VARIABLE))
        wi_fail(err, WEIR_INVALID, "the variable is still there");
    else if (readlink("/proc/self/fd/0", link, sizeof link - 1) < 0 ||
             strcmp(link, "/dev/null") != 0)
        wi_fail(err, WEIR_INVALID, "stdin is %s", link);
    else if (sigismember(&mask, SIGTERM))
        wi_fail(err, WEIR_INVALID, "SIGTERM is blocked");
    else if (!(fcntl(WI_WORKER_ORDERS, F_GETFD) & FD_CLOEXEC))
        wi_fail(err, WEIR_INVALID, "its socket crosses into its children");
    return NULL;
}

TEST(a_worker_is_an_ordinary_process)
{
    weir_executor *ex = new_pool(1, 0);
    weir_error err = {0};
    void *result;
    EXPECT_INT(run(ex, &(weir_task){.fn = describe}, &result, &err), WEIR_OK);
    EXPECT_STR(err.text, "");
    weir_executor_free(ex);
}

/* Starts this program so that it only says that its main was reached; with these as 3 and 4. */
static void expect_main_is_reached(const char *variable, int three, int four)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const char *argv[] = {"test", "--say-hello", NULL};
    const char *env[] = {variable, NULL};
    int fds[] = {WI_SPAWN_NULL, ends[1], WI_SPAWN_INHERIT, three, four};
    wi_spawned child;
    wi_spawn_options options = {
        .path = "/proc/self/exe", .argv = argv, .env = env, .fds = fds, .n_fds = 5};
    weir_status status = wi_spawn(&options, &child, NULL);
    close(ends[1]);
    char text[16] = {0};
    if (EXPECT(status == WEIR_OK)) {
        EXPECT_INT(read(ends[0], text, sizeof text - 1), 5);
        wi_exit how;
        wi_spawn_reap(&child, true, &how);
        EXPECT_INT(how.code, 0);
    }
    EXPECT_STR(text, "hello");
    close(ends[0]);
}

TEST(a_forged_variable_changes_nothing)
{
    char entry[WI_WORKER_ENTRY_SIZE];
    unsigned char token[WI_WORKER_TOKEN] = {1, 2, 3};
    wi_worker_entry(token, entry);
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    expect_main_is_reached(WI_WORKER_VARIABLE "=", WI_SPAWN_NULL, WI_SPAWN_NULL);
    expect_main_is_reached(entry, WI_SPAWN_NULL, WI_SPAWN_NULL);
    expect_main_is_reached(entry, pair[1], pair[1]); /* nothing to read */
    EXPECT_INT(send(pair[0], "another token of 16", 16, 0), 16);
    expect_main_is_reached(entry, pair[1], pair[1]);
    char unread[32];
    EXPECT_INT(recv(pair[1], unread, sizeof unread, MSG_DONTWAIT), 16); /* it was left there */
    close(pair[0]);
    close(pair[1]);
}

static void *say_pid_and_sleep(void *arg, weir_error *err)
{
    pid_t pid = getpid();
    if (write(STDOUT_FILENO, &pid, sizeof pid) == sizeof pid)
        sleep_for_ever(arg, err);
    return NULL;
}

static int be_a_parent(void)
{
    weir_executor *ex = new_pool(2, 0);
    weir_task task = {.fn = say_pid_and_sleep};
    weir_future *future = NULL;
    for (int i = 0; i < 2; i++)
        weir_executor_submit(ex, &task, &future, NULL);
    return weir_future_result(future, -1, NULL, NULL); /* never comes */
}

TEST(workers_end_with_their_parent)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const char *argv[] = {"test", "--be-a-parent", NULL};
    int fds[] = {WI_SPAWN_NULL, ends[1], WI_SPAWN_INHERIT};
    wi_spawned parent;
    REQUIRE(wi_spawn(
                &(wi_spawn_options){.path = "/proc/self/exe", .argv = argv, .fds = fds, .n_fds = 3},
                &parent, NULL) == WEIR_OK);
    close(ends[1]);
    struct pollfd workers[2];
    for (int i = 0; i < 2; i++) {
        pid_t pid = 0;
        EXPECT_INT(read(ends[0], &pid, sizeof pid), sizeof pid);
        workers[i] = (struct pollfd){.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
        EXPECT(workers[i].fd >= 0);
    }
    wi_spawn_kill(&parent, SIGKILL, false);
    wi_exit how;
    wi_spawn_reap(&parent, true, &how);
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(poll(&workers[i], 1, 60000), 1);
        close(workers[i].fd);
    }
    close(ends[0]);
}

static const test_case cases[] = {
    CASE(a_static_function_gives_its_result),
    CASE(a_pool_without_work_starts_nothing),
    CASE(strings_and_nulls_cross),
    CASE(the_argument_is_released_once),
    CASE(large_values_cross_both_ways),
    CASE(what_cannot_cross_is_refused),
    CASE(a_function_that_workers_do_not_load),
    CASE(errors_cross_whole),
    CASE(a_crash_breaks_its_own_task_alone),
    CASE(a_worker_killed_from_outside),
    CASE(an_idle_worker_may_die),
    CASE(workers_that_never_live_break_the_pool),
    CASE(the_initializer_runs_once_in_each_worker),
    CASE(an_initializer_that_fails_breaks_the_pool),
    CASE(a_running_task_is_cancelled),
    CASE(the_timeout_crosses),
    CASE(shutdown_cancels_what_runs),
    CASE(workers_are_replaced_after_so_many_tasks),
    CASE(hundreds_of_tasks_over_four_workers),
    CASE(no_descriptor_left_for_a_worker),
    CASE(a_task_waits_when_no_second_worker_can_start),
    CASE(a_worker_is_an_ordinary_process),
    CASE(a_forged_variable_changes_nothing),
    CASE(workers_end_with_their_parent),
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--say-hello") == 0)
        return write(STDOUT_FILENO, "hello", 5) != 5;
    if (argc == 2 && strcmp(argv[1], "--be-a-parent") == 0)
        return be_a_parent();
    return test_run_all(argc, argv, cases, (int)(sizeof cases / sizeof *cases));
}
