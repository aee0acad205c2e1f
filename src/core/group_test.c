/* group_test.c: tasks that belong together, on each kind of executor. */
#include "weir/group.h"

#include <pthread.h>

#include "kinds.h"

#define NO_PENDING "a task runs inside submit, so none is ever pending"

static weir_group *make_group(weir_executor *ex, weir_group_policy policy)
{
    weir_group *group = NULL;
    EXPECT_INT(weir_group_new(ex, policy, &group, NULL), WEIR_OK);
    return group;
}

static weir_status add(weir_group *group, weir_task_fn fn, errand *e, weir_future **future)
{
    weir_task task = task_of(fn, e);
    return weir_group_submit(group, &task, future, NULL);
}

TEST(a_group_waits_for_all_its_tasks)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    REQUIRE(ex);
    weir_group *group = make_group(ex, WEIR_GROUP_KEEP_GOING);
    REQUIRE(group);
    EXPECT_INT(weir_group_wait(group, -1, NULL), WEIR_OK);
    errand e = errand_of(1, 'x');
    open_gate();
    for (int i = 0; i < 10; i++)
        EXPECT_INT(add(group, hold, &e, NULL), WEIR_OK);
    EXPECT_INT(weir_group_wait(group, -1, NULL), WEIR_OK);
    EXPECT_INT(weir_group_pending(group), 0);
    EXPECT_INT(count_in_trace('x'), 10);
    EXPECT_INT(add(group, hold, &e, NULL), WEIR_OK); /* it can go on after a wait */
    EXPECT_INT(weir_group_wait(group, -1, NULL), WEIR_OK);
    weir_group_free(group);
    weir_executor_free(ex);
}

TEST(the_first_failure_is_told_and_the_others_go_on)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    weir_group *group = make_group(ex, WEIR_GROUP_KEEP_GOING);
    REQUIRE(group);
    errand e[4] = {errand_of(0, 'a'), errand_of(1, 'b'), errand_of(2, 'c'), errand_of(3, 'd')};
    EXPECT_INT(add(group, count_on, &e[0], NULL), WEIR_OK);
    EXPECT_INT(add(group, fail, &e[1], NULL), WEIR_OK);
    EXPECT_INT(add(group, fail, &e[2], NULL), WEIR_OK);
    weir_future *last = NULL;
    EXPECT_INT(add(group, count_on, &e[3], &last), WEIR_OK);
    weir_error err;
    EXPECT_INT(weir_group_wait(group, -1, &err), WEIR_NOTFOUND);
    EXPECT_STR(err.text, "there is no product 1");
    EXPECT_STR(trace(), "abcd");
    EXPECT_INT(collect(last), 4);
    weir_group_free(group);
    weir_executor_free(ex);
}

TEST(a_failure_can_cancel_the_rest)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    REQUIRE(ex);
    weir_group *group = make_group(ex, WEIR_GROUP_CANCEL_REST);
    REQUIRE(group);
    errand e = errand_of(5, 'x');
    weir_future *running = NULL;
    weir_future *pending = NULL;
    EXPECT_INT(add(group, hold, &e, &running), WEIR_OK);
    EXPECT_SOON(count_in_trace('x') == 1);
    weir_future *second = NULL;
    EXPECT_INT(add(group, hold, &e, &second), WEIR_OK);
    EXPECT_SOON(count_in_trace('x') == 2);
    EXPECT_INT(add(group, hold, &e, &pending), WEIR_OK);
    EXPECT_INT(weir_group_pending(group), 3);
    EXPECT_INT(weir_group_wait(group, 0, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(weir_future_cancel(second), WEIR_CANCEL_ASKED); /* a place, no failure */
    EXPECT_SOON(count_in_trace('x') == 3);
    EXPECT_INT(add(group, fail, &e, NULL), WEIR_OK);
    EXPECT_INT(weir_future_cancel(running), WEIR_CANCEL_ASKED);
    weir_error err;
    EXPECT_INT(weir_group_wait(group, -1, &err), WEIR_NOTFOUND);
    EXPECT_STR(err.text, "there is no product 5");
    EXPECT_INT(collect(pending), -WEIR_CANCELLED);
    EXPECT_INT(collect(running), -WEIR_CANCELLED);
    EXPECT_INT(collect(second), -WEIR_CANCELLED);
    weir_task task = task_of(fail, &e);
    EXPECT_INT(weir_group_submit(group, &task, NULL, &err), WEIR_CANCELLED);
    EXPECT_STR(err.text, "the group is cancelled, since a task failed: there is no product 5");
    weir_group_free(group);
    weir_executor_free(ex);
}

TEST(cancelling_a_group_ends_what_runs_and_what_is_pending)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    weir_group *group = make_group(ex, WEIR_GROUP_KEEP_GOING);
    REQUIRE(group);
    errand e = errand_of(1, 'x');
    weir_future *alien = NULL;
    for (int i = 0; i < 3; i++)
        EXPECT_INT(add(group, hold, &e, NULL), WEIR_OK);
    alien = give(ex, hold, &e);
    EXPECT_SOON(count_in_trace('x') == 1);
    weir_group_cancel(group);
    EXPECT_INT(weir_group_wait(group, -1, NULL), WEIR_CANCELLED);
    EXPECT_INT(weir_group_pending(group), 0);
    weir_group_free(group);
    EXPECT(!weir_future_done(alien));
    open_gate();
    EXPECT_INT(collect(alien), 2);
    EXPECT_STR(trace(), "xx");
    weir_executor_free(ex);
}

TEST(no_task_outlives_its_group)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    REQUIRE(ex);
    weir_group *group = make_group(ex, WEIR_GROUP_KEEP_GOING);
    REQUIRE(group);
    errand e = errand_of(1, 'x');
    for (int i = 0; i < 5; i++)
        EXPECT_INT(add(group, hold, &e, NULL), WEIR_OK);
    weir_group_free(group);
    weir_executor_stats stats = stats_of(ex);
    EXPECT_INT(stats.cancelled, 5);
    EXPECT_INT(stats.running + stats.pending, 0);
    weir_group_free(NULL);
    weir_executor_free(ex);
}

TEST(a_group_of_a_closed_executor_takes_nothing)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    weir_group *group = make_group(ex, WEIR_GROUP_KEEP_GOING);
    REQUIRE(group);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    errand e = errand_of(1, 0);
    weir_future *future = NULL;
    EXPECT_INT(add(group, count_on, &e, &future), WEIR_CLOSED);
    EXPECT(!future);
    EXPECT_INT(weir_group_pending(group), 0);
    EXPECT_INT(weir_group_wait(group, -1, NULL), WEIR_OK);
    weir_group_free(group);
    EXPECT_INT(weir_group_new(ex, (weir_group_policy)9, &group, NULL), WEIR_INVALID);
    weir_executor_free(ex);
}

/* ---- from inside ---- */

typedef struct inner {
    weir_executor *ex;
    weir_group *own; /* that the task belongs to */
    weir_status own_status;
    weir_status status;
    errand e;
} inner;

static void *wait_inside(void *arg, weir_error *err)
{
    inner *in = arg;
    weir_group *group = NULL;
    if (weir_group_new(in->ex, WEIR_GROUP_KEEP_GOING, &group, err))
        return NULL;
    leave_trace(in->e.dir, 'w');
    while (!gate_is_open(in->e.dir)) /* then the group has heard of this task */
        usleep(1000);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(add(group, count_on, &in->e, NULL), WEIR_OK);
    in->status = weir_group_wait(group, -1, NULL);
    in->own_status = weir_group_wait(in->own, -1, NULL);
    weir_group_free(group);
    return NULL;
}

TEST(a_task_may_wait_for_a_group_but_not_for_its_own)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    weir_group *group = make_group(ex, WEIR_GROUP_KEEP_GOING);
    REQUIRE(group);
    inner in = {.ex = ex, .own = group, .e = errand_of(1, 'x')};
    weir_task task = {.fn = wait_inside, .arg = &in};
    EXPECT_INT(weir_group_submit(group, &task, NULL, NULL), WEIR_OK);
    open_gate();
    EXPECT_INT(weir_group_wait(group, -1, NULL), WEIR_OK);
    EXPECT_INT(in.status, WEIR_OK);
    EXPECT_INT(in.own_status, WEIR_INVALID);
    EXPECT_STR(trace(), "wxxx");
    weir_group_free(group);
    weir_executor_free(ex);
}

KIND_TESTS(KIND_CASE(a_group_waits_for_all_its_tasks),
           KIND_CASE(the_first_failure_is_told_and_the_others_go_on),
           KIND_CASE_BUT(a_failure_can_cancel_the_rest, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(cancelling_a_group_ends_what_runs_and_what_is_pending, NOT_INLINE,
                         NO_PENDING),
           KIND_CASE_BUT(no_task_outlives_its_group, NOT_INLINE, NO_PENDING),
           KIND_CASE(a_group_of_a_closed_executor_takes_nothing),
           KIND_CASE_BUT(a_task_may_wait_for_a_group_but_not_for_its_own,
                         NOT_INLINE | NOT_PROCESSES,
                         "it waits for what the test does after submit, in the test's memory"))
