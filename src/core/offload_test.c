/* offload_test.c: blocking work from fibers and elsewhere: its results, its errors, its end with
 * the caller. */
#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "places_torture.h"
#include "weir/fiber.h"

typedef struct work {
    weir_status fails_with;
    int number;
    pthread_t thread; /* that did it */
    bool on_fiber;
    bool stubborn; /* does not fail although it is asked to end */
    atomic_int begun;
    atomic_int over;
    int64_t deadline_left;
} work;

static void *work_do(void *arg, weir_error *err)
{
    work *w = arg;
    w->thread = pthread_self();
    w->on_fiber = weir_fiber_inside();
    w->deadline_left = weir_deadline_left();
    if (w->fails_with != WEIR_OK)
        wi_fail(err, w->fails_with, "as it should");
    return &w->number;
}

static void *offload(void *arg, weir_error *err)
{
    work *w = arg;
    void *result = NULL;
    pthread_t here = pthread_self();
    bool fiber = weir_fiber_inside();
    weir_status status = weir_offload(work_do, w, &result, err);
    EXPECT_INT(status, w->fails_with);
    EXPECT(result == (status == WEIR_OK ? &w->number : NULL));
    EXPECT(!w->on_fiber);
    EXPECT(!!pthread_equal(here, w->thread) != fiber);
    return NULL;
}

TEST(a_result_or_an_error_comes_back)
{
    for (place where = 0; where < PLACES; where++) {
        work fine = {.fails_with = WEIR_OK};
        EXPECT_INT(place_run(where, offload, &fine, 0, NULL), WEIR_OK);
        EXPECT_INT(fine.deadline_left, -1);
        work timed = {.fails_with = WEIR_OK};
        EXPECT_INT(place_run(where, offload, &timed, WEIR_SECONDS(100), NULL), WEIR_OK);
        EXPECT(timed.deadline_left > 0 && timed.deadline_left <= WEIR_SECONDS(100));
        work failing = {.fails_with = WEIR_PROTOCOL};
        weir_error err;
        EXPECT_INT(place_run(where, offload, &failing, 0, &err), WEIR_PROTOCOL);
        EXPECT_STR(err.text, "as it should");
    }
}

static void *work_long(void *arg, weir_error *err)
{
    work *w = arg;
    atomic_store(&w->begun, 1);
    while (weir_sleep(WEIR_SECONDS(100), w->stubborn ? NULL : err) == WEIR_OK)
        continue;
    atomic_store(&w->over, 1);
    return &w->number;
}

static void *offload_long(void *arg, weir_error *err)
{
    work *w = arg;
    void *result = NULL;
    weir_status status = weir_offload(work_long, w, &result, err);
    EXPECT_INT(atomic_load(&w->over), atomic_load(&w->begun));
    if (w->stubborn)
        EXPECT(status == WEIR_OK && result == &w->number);
    else
        EXPECT(status != WEIR_OK && !result);
    return NULL;
}

static void await_begun(void *arg)
{
    work *w = arg;
    while (!atomic_load(&w->begun))
        weir_yield(NULL);
}

TEST(it_ends_with_its_caller_and_not_after_it)
{
    for (place where = 0; where < PLACES; where++) {
        work timed = {.number = 1};
        EXPECT_INT(place_run(where, offload_long, &timed, WEIR_MILLISECONDS(5), NULL),
                   WEIR_TIMEDOUT);
        if (where < PLACE_THREADS)
            continue;
        work cancelled = {.number = 2};
        EXPECT_INT(place_cancel(where, offload_long, &cancelled, await_begun), WEIR_CANCELLED);
    }
}

TEST(a_result_that_comes_in_spite_of_that_is_not_lost)
{
    for (place where = PLACE_THREADS; where < PLACES; where++) {
        work w = {.stubborn = true};
        EXPECT_INT(place_cancel(where, offload_long, &w, await_begun), WEIR_OK);
    }
}

static void *spend_deadline(void *arg, weir_error *err)
{
    (void)err;
    weir_deadline_set(0);
    return arg;
}

static void *offload_spending(void *arg, weir_error *err)
{
    void *result = NULL;
    EXPECT_INT(weir_offload(spend_deadline, arg, &result, err), WEIR_OK);
    EXPECT(result == arg);
    EXPECT_INT(weir_deadline_left(), -1);
    return NULL;
}

TEST(what_it_does_to_its_deadline_is_its_own)
{
    for (place where = 0; where < PLACES; where++)
        EXPECT_INT(place_run(where, offload_spending, &where, 0, NULL), WEIR_OK);
}

/* More calls than threads, from more fibers than both, each offloading from within again. */
static void *offload_nested(void *arg, weir_error *err)
{
    weir_offload(work_do, arg, NULL, err);
    return NULL;
}

static void *offload_twice(void *arg, weir_error *err)
{
    weir_offload(offload_nested, arg, NULL, err);
    return NULL;
}

static void offload_many(void)
{
    enum { N = 300 };
    weir_executor *executor = place_executor(PLACE_FIBERS);
    weir_future *futures[N];
    static work works[N];
    for (size_t i = 0; i < N; i++)
        futures[i] = place_submit(executor, offload_twice, &works[i], 0);
    EXPECT_INT(place_join(futures, N), 0);
    weir_executor_free(executor);
}

TEST(many_fibers_share_few_threads)
{
    offload_many();
}

/* Cancelled before a thread had time for it: it never runs. */
TEST(what_has_not_begun_never_does)
{
    enum { BUSY = 2000 };
    weir_executor *executor = place_executor(PLACE_FIBERS);
    static work works[BUSY];
    weir_future *futures[BUSY];
    for (size_t i = 0; i < BUSY; i++)
        futures[i] = place_submit(executor, offload_long, &works[i], 0);
    while (!atomic_load(&works[0].begun))
        weir_yield(NULL);
    int begun = 0;
    for (size_t i = BUSY; i > 0; i--)
        weir_future_cancel(futures[i - 1]);
    for (size_t i = 0; i < BUSY; i++) {
        EXPECT_INT(weir_future_error(futures[i], -1, NULL), WEIR_CANCELLED);
        weir_future_unref(futures[i]);
        begun += works[i].begun;
    }
    EXPECT(begun > 0 && begun < BUSY);
    weir_executor_free(executor);
}

static weir_status offload_once(void)
{
    static work w;
    return weir_offload(work_do, &w, NULL, NULL);
}

TEST(offloading_survives_lack_of_memory)
{
    offload_many(); /* makes the threads, which stay */
    place_torture_fiber(offload_once, NULL);
}

TESTS(CASE(a_result_or_an_error_comes_back), CASE(it_ends_with_its_caller_and_not_after_it),
      CASE(a_result_that_comes_in_spite_of_that_is_not_lost),
      CASE(what_it_does_to_its_deadline_is_its_own), CASE(many_fibers_share_few_threads),
      CASE(what_has_not_begun_never_does), CASE(offloading_survives_lack_of_memory))
