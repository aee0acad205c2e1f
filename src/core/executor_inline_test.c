/* executor_inline_test.c: what is WEIR_INLINE's own: its tasks are calls of whoever hands them in.
 */
#include <stdatomic.h>

#include "test.h"
#include "weir/executor.h"
#include "weir/map.h"
#include "weir/wait.h"

static weir_executor *outer;
static weir_executor *within;
static atomic_int begun;

static void setup(void)
{
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = WEIR_INLINE;
    EXPECT_INT(weir_executor_new(&options, &within, NULL), WEIR_OK);
    options.kind = WEIR_THREADS;
    EXPECT_INT(weir_executor_new(&options, &outer, NULL), WEIR_OK);
    atomic_store(&begun, 0);
}

static void teardown(void)
{
    weir_executor_free(outer);
    weir_executor_free(within);
}

static void *wait_long(void *arg, weir_error *err)
{
    atomic_fetch_add(&begun, 1);
    weir_sleep(WEIR_SECONDS(1000), err);
    return arg;
}

static weir_status run_within(weir_task_fn fn, weir_error *err)
{
    weir_task task = {.fn = fn};
    weir_future *future;
    weir_status status = weir_executor_submit(within, &task, &future, err);
    if (status)
        return status;
    status = weir_future_error(future, -1, err);
    EXPECT_INT(weir_future_get_state(future), WEIR_FUTURE_FINISHED);
    weir_future_unref(future);
    return status;
}

static void *call(void *arg, weir_error *err)
{
    run_within(wait_long, err);
    return arg;
}

static void *call_twice_deep(void *arg, weir_error *err)
{
    run_within(call, err);
    return arg;
}

static void *map(void *arg, weir_error *err)
{
    static int items[3];
    weir_map *m;
    void *result;
    EXPECT_INT(weir_map_start(within, wait_long, items, 3, sizeof *items, NULL, &m, err), WEIR_OK);
    weir_status first = weir_map_next(m, &result, err);
    EXPECT_INT(weir_map_index(m), 0);
    EXPECT_INT(weir_map_next(m, &result, NULL), first); /* the caller's own: nothing was run */
    EXPECT(weir_map_count(m) <= 1);
    weir_map_free(m);
    return arg;
}

static weir_status cancelled(weir_task_fn fn)
{
    atomic_store(&begun, 0);
    weir_task task = {.fn = fn};
    weir_future *future;
    EXPECT_INT(weir_executor_submit(outer, &task, &future, NULL), WEIR_OK);
    while (!atomic_load(&begun))
        weir_yield(NULL);
    EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_ASKED);
    weir_status status = weir_future_error(future, -1, NULL);
    EXPECT(weir_future_cancelled(future));
    weir_future_unref(future);
    return status;
}

TEST(it_is_cancelled_with_its_caller)
{
    setup();
    EXPECT_INT(cancelled(call), WEIR_CANCELLED);
    EXPECT_INT(cancelled(call_twice_deep), WEIR_CANCELLED);
    EXPECT_INT(cancelled(map), WEIR_CANCELLED);
    EXPECT_INT(atomic_load(&begun), 1);
    teardown();
}

static weir_status timed(weir_task_fn fn)
{
    weir_task task = {.fn = fn, .timeout = WEIR_MILLISECONDS(1)};
    weir_future *future;
    EXPECT_INT(weir_executor_submit(outer, &task, &future, NULL), WEIR_OK);
    weir_status status = weir_future_error(future, -1, NULL);
    weir_future_unref(future);
    return status;
}

TEST(it_has_its_callers_deadline)
{
    setup();
    EXPECT_INT(timed(call), WEIR_TIMEDOUT);
    EXPECT_INT(timed(call_twice_deep), WEIR_TIMEDOUT);
    EXPECT_INT(timed(map), WEIR_TIMEDOUT);
    weir_deadline_set(0);
    EXPECT_INT(run_within(wait_long, NULL), WEIR_TIMEDOUT);
    weir_deadline_set(-1);
    teardown();
}

static void *spend(void *arg, weir_error *err)
{
    (void)err;
    weir_deadline_set(0);
    return arg;
}

TEST(what_it_does_to_its_deadline_is_its_own)
{
    setup();
    EXPECT_INT(run_within(spend, NULL), WEIR_OK);
    EXPECT_INT(weir_deadline_left(), -1);
    EXPECT_INT(weir_sleep(0, NULL), WEIR_OK);
    teardown();
}

TESTS(CASE(it_is_cancelled_with_its_caller), CASE(it_has_its_callers_deadline),
      CASE(what_it_does_to_its_deadline_is_its_own))
