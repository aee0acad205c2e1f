/* wait_time_test.c: sleeping, yielding and deadlines, on threads and on fibers. */
#include "clock.h"
#include "on_fibers.h"
#include "task.h"
#include "test.h"
#include "weir/wait.h"

static void sleep_so_long(void *arg)
{
    int64_t *ns = arg;
    int64_t before = wi_park_now();
    EXPECT_INT(weir_sleep(*ns, NULL), WEIR_OK);
    *ns = wi_park_now() - before;
}

TEST(fibers_sleep_side_by_side)
{
    on_fibers f;
    int64_t spans[] = {WI_SECOND, 3 * WI_SECOND, 1, 2 * WI_SECOND};
    REQUIRE(fibers_begin(&f));
    for (int i = 0; i < 4; i++)
        fibers_go(&f, sleep_so_long, &spans[i]);
    fibers_end(&f);
    EXPECT_INT(spans[0], WI_SECOND);
    EXPECT_INT(spans[1], 3 * WI_SECOND);
    EXPECT_INT(spans[2], 1);
    EXPECT_INT(spans[3], 2 * WI_SECOND);
    EXPECT_INT(f.clock.virtual_now, 1000 + 3 * WI_SECOND);
}

TEST(a_thread_sleeps_at_least_so_long)
{
    int64_t span = 2 * WI_MILLISECOND;
    sleep_so_long(&span);
    EXPECT(span >= 2 * WI_MILLISECOND);
    EXPECT_INT(weir_sleep(0, NULL), WEIR_OK);
    EXPECT_INT(weir_sleep(-5, NULL), WEIR_OK);
}

TEST(no_sleep_and_no_yield_for_a_task_that_is_to_end)
{
    wi_task task;
    wi_task_enter(&task, "late", 0);
    EXPECT_INT(weir_task_check(NULL), WEIR_OK);
    EXPECT_INT(weir_yield(NULL), WEIR_OK);
    wi_task_cancel(&task);
    EXPECT_INT(weir_task_check(NULL), WEIR_CANCELLED);
    EXPECT_INT(weir_sleep(0, NULL), WEIR_CANCELLED);
    EXPECT_INT(weir_sleep(WEIR_SECONDS(100000), NULL), WEIR_CANCELLED);
    EXPECT_INT(weir_yield(NULL), WEIR_CANCELLED);
    wi_task_leave(&task);
    EXPECT_INT(weir_yield(NULL), WEIR_OK);
}

static void use_deadlines(void *arg)
{
    wi_task task;
    wi_task_enter(&task, "part", 100);
    EXPECT_INT(weir_deadline_left(), 100);
    int64_t before = weir_deadline_set(20);
    EXPECT_INT(before, 100);
    EXPECT_INT(weir_deadline_left(), 20);
    EXPECT_INT(weir_sleep(50, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(wi_park_now(), 1020);
    EXPECT_INT(weir_deadline_left(), 0);
    EXPECT_INT(weir_deadline_set(before), 0); /* 1020 + 100 is later than what it was given */
    EXPECT_INT(weir_deadline_left(), 80);
    weir_deadline_set(-1);
    EXPECT_INT(weir_deadline_left(), 80);
    weir_deadline_set(1000000);
    EXPECT_INT(weir_deadline_left(), 80);
    EXPECT_INT(weir_sleep(1000, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(wi_park_now(), 1100);
    wi_task_leave(&task);
    *(bool *)arg = true;
}

TEST(a_task_cannot_outlive_the_deadline_it_was_given)
{
    on_fibers f;
    bool done = false;
    REQUIRE(fibers_begin(&f));
    fibers_go(&f, use_deadlines, &done);
    fibers_end(&f);
    EXPECT(done);
}

TEST(a_thread_outside_tasks_may_have_a_deadline)
{
    EXPECT_INT(weir_deadline_left(), -1);
    EXPECT_INT(weir_deadline_set(0), -1);
    weir_error err;
    EXPECT_INT(weir_deadline_left(), 0);
    EXPECT_INT(weir_sleep(WEIR_SECONDS(100000), &err), WEIR_TIMEDOUT);
    EXPECT_STR(err.text, "the deadline of this thread has passed");
    EXPECT_INT(weir_deadline_set(-1), 0);
    EXPECT_INT(weir_deadline_left(), -1);
    EXPECT_INT(weir_sleep(1, NULL), WEIR_OK);
}

typedef struct turns {
    char mark;
    char **at;
} turns;

static void write_in_turn(void *arg)
{
    turns *me = arg;
    for (int i = 0; i < 3; i++) {
        *(*me->at)++ = me->mark;
        EXPECT_INT(weir_yield(NULL), WEIR_OK);
    }
}

TEST(a_fiber_that_yields_lets_others_run)
{
    on_fibers f;
    char text[8] = "";
    char *at = text;
    turns a = {'a', &at};
    turns b = {'b', &at};
    REQUIRE(fibers_begin(&f));
    fibers_go(&f, write_in_turn, &a);
    fibers_go(&f, write_in_turn, &b);
    fibers_end(&f);
    EXPECT_STR(text, "ababab");
}

TESTS(CASE(fibers_sleep_side_by_side), CASE(a_thread_sleeps_at_least_so_long),
      CASE(no_sleep_and_no_yield_for_a_task_that_is_to_end),
      CASE(a_task_cannot_outlive_the_deadline_it_was_given),
      CASE(a_thread_outside_tasks_may_have_a_deadline), CASE(a_fiber_that_yields_lets_others_run))
