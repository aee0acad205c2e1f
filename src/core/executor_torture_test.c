/*
 * executor_torture_test.c: an executor of each kind, its tasks and groups, when memory runs out
 * anywhere in the thread that uses them.
 */
#include <sched.h>

#include "torture.h"
#include "weir/channel.h"
#include "weir/executor.h"
#include "weir/group.h"

static void *pass_on(void *arg, weir_error *err)
{
    (void)err;
    return arg;
}

static void *fail(void *arg, weir_error *err)
{
    err->status = WEIR_NOTFOUND;
    strcpy(err->text, "there is none");
    return arg;
}

static weir_status use_group(weir_executor *ex)
{
    weir_group *group = NULL;
    weir_status status = weir_group_new(ex, WEIR_GROUP_KEEP_GOING, &group, NULL);
    if (status)
        return status;
    weir_task task = {.fn = pass_on, .arg = &task};
    for (int i = 0; i < 3 && !status; i++)
        status = weir_group_submit(group, &task, NULL, NULL);
    weir_status end = weir_group_wait(group, -1, NULL);
    weir_group_free(group);
    return status ? status : end;
}

static weir_status use(weir_executor *ex)
{
    weir_future *futures[2] = {NULL, NULL};
    weir_task task = {.fn = pass_on, .arg = &task};
    weir_status status = weir_executor_submit(ex, &task, &futures[0], NULL);
    if (!status) {
        void *result = NULL;
        EXPECT_INT(weir_future_result(futures[0], -1, &result, NULL), WEIR_OK);
        EXPECT(result == &task);
        task.fn = fail;
        status = weir_executor_submit(ex, &task, &futures[1], NULL);
    }
    if (!status)
        EXPECT_INT(weir_future_error(futures[1], -1, NULL), WEIR_NOTFOUND);
    weir_future_unref(futures[0]);
    weir_future_unref(futures[1]);
    return status ? status : use_group(ex);
}

static weir_status make_and_use(weir_executor_kind kind)
{
    weir_executor *ex = NULL;
    weir_executor_options options = {
        .size = sizeof options, .kind = kind, .max_workers = 2, .thread_name_prefix = "short"};
    weir_status status = weir_executor_new(&options, &ex, NULL);
    if (status)
        return status;
    status = use(ex);
    weir_executor_stats s;
    weir_executor_stats_get(ex, &s);
    EXPECT_INT(s.submitted, s.pending + s.running + s.succeeded + s.failed + s.cancelled);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    weir_executor_free(ex);
    return status;
}

/* What crosses into a process is copied, and has a size. */
static weir_status use_processes(void)
{
    weir_executor *ex = NULL;
    weir_executor_options options = {
        .size = sizeof options, .kind = WEIR_PROCESSES, .max_workers = 1};
    weir_status status = weir_executor_new(&options, &ex, NULL);
    if (status)
        return status;
    weir_future *future = NULL;
    status = weir_executor_submit(ex, &(weir_task){.fn = fail}, &future, NULL);
    if (!status)
        EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_NOTFOUND);
    weir_future_unref(future);
    weir_executor_free(ex);
    return status;
}

TEST(inline_survives_lack_of_memory)
{
    TORTURE(make_and_use(WEIR_INLINE));
}

TEST(threads_survive_lack_of_memory)
{
    TORTURE(make_and_use(WEIR_THREADS));
}

TEST(fibers_survive_lack_of_memory)
{
    TORTURE(make_and_use(WEIR_FIBERS));
}

TEST(processes_survive_lack_of_memory)
{
    TORTURE(use_processes());
}

/* ---- a fiber that could not be started, and is waited for ---- */

static atomic_int waiting;

/* Its thread's next allocation fails. */
static void *wait_for_close(void *arg, weir_error *err)
{
    void *value;
    torture_arm(0, false);
    atomic_fetch_add(&waiting, 1);
    weir_channel_receive(arg, &value, err);
    err->status = WEIR_OK;
    return NULL;
}

static void *close_channel(void *arg, weir_error *err)
{
    (void)err;
    weir_channel_close(arg);
    return NULL;
}

static void start_late(int waiters)
{
    weir_executor *ex = NULL;
    weir_channel *channel = NULL;
    weir_executor_options options = {.size = sizeof options, .kind = WEIR_FIBERS, .loops = 1};
    REQUIRE(weir_executor_new(&options, &ex, NULL) == WEIR_OK);
    REQUIRE(weir_channel_new(0, &channel, NULL) == WEIR_OK);
    atomic_store(&waiting, 0);
    for (int i = 0; i < waiters; i++) {
        weir_task task = {.fn = wait_for_close, .arg = channel};
        EXPECT_INT(weir_executor_submit(ex, &task, NULL, NULL), WEIR_OK);
        while (atomic_load(&waiting) <= i)
            sched_yield();
    }
    weir_task task = {.fn = close_channel, .arg = channel};
    EXPECT_INT(weir_executor_submit(ex, &task, NULL, NULL), WEIR_OK);
    weir_executor_free(ex);
    weir_channel_unref(channel);
}

TEST(a_fiber_that_could_not_start_is_started_later)
{
    for (int waiters = 60; waiters < 70; waiters++) /* a heap grows */
        start_late(waiters);
}

TESTS(CASE(inline_survives_lack_of_memory), CASE(threads_survive_lack_of_memory),
      CASE(fibers_survive_lack_of_memory), CASE(processes_survive_lack_of_memory),
      CASE(a_fiber_that_could_not_start_is_started_later))
