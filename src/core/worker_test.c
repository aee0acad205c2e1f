/*
 * worker_test.c: the life of a worker process: how it begins and is initialized, what it is
 * meanwhile, and what its end, or its parent's, means for others.
 */
#include "worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "error.h"
#include "processes.h"
#include "spawned.h"

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
    CASE(a_crash_breaks_its_own_task_alone),
    CASE(a_worker_killed_from_outside),
    CASE(an_idle_worker_may_die),
    CASE(workers_that_never_live_break_the_pool),
    CASE(the_initializer_runs_once_in_each_worker),
    CASE(an_initializer_that_fails_breaks_the_pool),
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
