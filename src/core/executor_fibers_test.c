/*
 * executor_fibers_test.c: what is special of fibers: very many at once, time that a test brings,
 * work shared by the loops, tasks that never wait.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "executor_state.h"
#include "test.h"
#include "weir/fiber.h"
#include "weir/wait.h"

static weir_executor *make_fibers(int loops, int max_workers, wi_clock *clock)
{
    weir_executor *ex = NULL;
    weir_executor_options options = {.size = sizeof options,
                                     .kind = WEIR_FIBERS,
                                     .loops = loops,
                                     .max_workers = max_workers,
                                     .queue_limit = 1000000};
    EXPECT_INT(weir_executor_new(&options, &ex, NULL), WEIR_OK);
    if (ex && clock)
        wi_executor_use_clock(ex, clock);
    return ex;
}

static void *sleep_for_an_hour(void *arg, weir_error *err)
{
    EXPECT(weir_fiber_inside());
    weir_sleep(WEIR_SECONDS(3600), err);
    return arg;
}

typedef struct many {
    weir_executor *ex;
    int tasks;
    weir_status status;
} many;

/* From inside, so that the virtual clock cannot run before all have begun to sleep. */
static void *submit_sleepers(void *arg, weir_error *err)
{
    many *m = arg;
    for (int i = 0; i < m->tasks && !m->status; i++)
        m->status = weir_executor_submit(m->ex, &(weir_task){.fn = sleep_for_an_hour}, NULL, err);
    return NULL;
}

TEST(thousands_sleep_at_once_on_a_virtual_clock)
{
    wi_clock clock = {.is_virtual = true, .virtual_now = 1000};
    weir_executor *ex = make_fibers(1, 0, &clock);
    REQUIRE(ex);
    many m = {.ex = ex, .tasks = 5000};
    REQUIRE(weir_executor_submit(ex, &(weir_task){.fn = submit_sleepers, .arg = &m}, NULL, NULL) ==
            WEIR_OK);
    weir_executor_stats s;
    do
        weir_executor_stats_get(ex, &s);
    while (s.submitted < m.tasks + 1 && !s.succeeded && !s.failed); /* or they would be refused */
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(m.status, WEIR_OK);
    weir_executor_stats_get(ex, &s);
    EXPECT_INT(s.succeeded, m.tasks + 1);
    EXPECT(s.peak_workers >= m.tasks);
    EXPECT_INT(clock.virtual_now / WI_SECOND, 3600); /* all in the same hour */
    weir_executor_free(ex);
}

TEST(max_workers_is_a_bound_over_all_loops)
{
    wi_clock clock = {.is_virtual = true, .virtual_now = 1000};
    weir_executor *ex = make_fibers(1, 10, &clock);
    REQUIRE(ex);
    many m = {.ex = ex, .tasks = 99};
    REQUIRE(weir_executor_submit(ex, &(weir_task){.fn = submit_sleepers, .arg = &m}, NULL, NULL) ==
            WEIR_OK);
    weir_executor_stats s;
    do
        weir_executor_stats_get(ex, &s);
    while (s.submitted < m.tasks + 1 && !s.succeeded && !s.failed);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    weir_executor_stats_get(ex, &s);
    EXPECT_INT(s.succeeded, m.tasks + 1);
    EXPECT(s.peak_workers <= 10);
    EXPECT_INT(clock.virtual_now / WI_SECOND, 10 * 3600);
    weir_executor_free(ex);
}

/* ---- loops ---- */

typedef struct meeting {
    pthread_barrier_t barrier;
    atomic_int there;
} meeting;

/* Blocks its thread, as a task should not: so two meet only if two loops run. */
static void *meet(void *arg, weir_error *err)
{
    meeting *m = arg;
    (void)err;
    pthread_barrier_wait(&m->barrier);
    atomic_fetch_add(&m->there, 1);
    return NULL;
}

TEST(each_loop_runs_on_a_thread_of_its_own)
{
    meeting m;
    atomic_init(&m.there, 0);
    pthread_barrier_init(&m.barrier, NULL, 3);
    weir_executor *ex = make_fibers(3, 0, NULL);
    REQUIRE(ex);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(weir_executor_submit(ex, &(weir_task){.fn = meet, .arg = &m}, NULL, NULL),
                   WEIR_OK);
    weir_executor_free(ex);
    EXPECT_INT(atomic_load(&m.there), 3);
    pthread_barrier_destroy(&m.barrier);
}

static void *run_and_run(void *arg, weir_error *err)
{
    (void)err;
    atomic_int *runs = arg;
    atomic_fetch_add(runs, 1);
    return NULL;
}

TEST(tasks_that_never_wait_share_few_stacks)
{
    atomic_int runs = 0;
    weir_executor *ex = make_fibers(2, 0, NULL);
    REQUIRE(ex);
    for (int i = 0; i < 20000; i++)
        EXPECT_INT(
            weir_executor_submit(ex, &(weir_task){.fn = run_and_run, .arg = &runs}, NULL, NULL),
            WEIR_OK);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(atomic_load(&runs), 20000);
    weir_executor_stats s;
    weir_executor_stats_get(ex, &s);
    EXPECT(s.peak_workers < 2000);
    weir_executor_free(ex);
}

/* ---- a loop that fails ---- */

/* Puts something else in the place of each epoll descriptor. */
static void *break_epoll(void *arg, weir_error *err)
{
    (void)err;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int fd = 0; fd < 64; fd++) {
        char path[32];
        char target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, target, sizeof target - 1);
        if (len > 0 && strstr(target, "[eventpoll]"))
            dup3(null, fd, O_CLOEXEC);
    }
    close(null);
    return arg;
}

TEST(a_loop_that_fails_breaks_the_executor)
{
    weir_executor *ex = make_fibers(1, 0, NULL);
    REQUIRE(ex);
    weir_future *sleeper = NULL;
    weir_future *future = NULL;
    weir_task sleep = {.fn = sleep_for_an_hour};
    REQUIRE(weir_executor_submit(ex, &sleep, &sleeper, NULL) == WEIR_OK);
    REQUIRE(weir_executor_submit(ex, &(weir_task){.fn = break_epoll}, &future, NULL) == WEIR_OK);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    weir_future_unref(future);
    weir_error err;
    weir_task task = {.fn = break_epoll};
    while (!weir_executor_submit(ex, &task, &future, &err)) { /* until it has seen it */
        weir_future_error(future, -1, &err);
        weir_future_unref(future);
    }
    EXPECT_STR(err.text, "cannot wait for events: Invalid argument");
    EXPECT_INT(weir_future_error(sleeper, -1, NULL), WEIR_CANCELLED);
    weir_future_unref(sleeper);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    weir_executor_free(ex);
}

TESTS(CASE(thousands_sleep_at_once_on_a_virtual_clock), CASE(max_workers_is_a_bound_over_all_loops),
      CASE(each_loop_runs_on_a_thread_of_its_own), CASE(tasks_that_never_wait_share_few_stacks),
      CASE(a_loop_that_fails_breaks_the_executor))
