/* offload_test.c: blocking work from fibers and elsewhere: its results, its errors, its end with
 * the caller. */
#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "places_torture.h"
#include "weir/channel.h"
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

static int count_begun(work *works, size_t n)
{
    int begun = 0;
    for (size_t i = 0; i < n; i++)
        begun += atomic_load(&works[i].begun);
    return begun;
}

/* Cancelled before a thread had time for it: it never runs. Which of them come first, and hold all
 * threads until then, is not said: the loops run side by side. */
TEST(what_has_not_begun_never_does)
{
    enum { BUSY = 2000 };
    weir_executor *executor = place_executor(PLACE_FIBERS);
    static work works[BUSY];
    weir_future *futures[BUSY];
    for (size_t i = 0; i < BUSY; i++)
        futures[i] = place_submit(executor, offload_long, &works[i], 0);
    while (!count_begun(works, BUSY))
        weir_yield(NULL);
    for (size_t i = BUSY; i > 0; i--)
        weir_future_cancel(futures[i - 1]);
    for (size_t i = 0; i < BUSY; i++) {
        EXPECT_INT(weir_future_error(futures[i], -1, NULL), WEIR_CANCELLED);
        weir_future_unref(futures[i]);
    }
    int begun = count_begun(works, BUSY);
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

/* ---- it is part of its task ---- */

static weir_executor *narrow; /* of one fiber */
static weir_future *own;

static void *number_of(void *arg, weir_error *err)
{
    weir_yield(err);
    return arg;
}

/* More than the queue takes, and no fiber is free for them but the one that waits. */
static void *submit_and_wait(void *arg, weir_error *err)
{
    enum { N = 4 };
    weir_future *futures[N];
    weir_task task = {.fn = number_of, .arg = arg};
    for (int i = 0; i < N; i++)
        EXPECT_INT(weir_executor_submit(narrow, &task, &futures[i], err), WEIR_OK);
    EXPECT_INT(weir_wait(futures, N / 2, WEIR_ALL_COMPLETED, -1, NULL, err), WEIR_OK);
    for (int i = 0; i < N; i++) {
        void *result = NULL;
        EXPECT_INT(weir_future_result(futures[i], -1, &result, err), WEIR_OK);
        EXPECT(result == arg);
        weir_future_unref(futures[i]);
    }
    return arg;
}

static void *await_own(void *arg, weir_error *err)
{
    void *result;
    EXPECT_INT(weir_executor_shutdown(narrow, NULL, err), WEIR_INVALID);
    EXPECT_INT(weir_future_result(own, -1, &result, err), WEIR_INVALID);
    return arg;
}

static void *await_peer(void *arg, weir_error *err)
{
    weir_future *peer = arg;
    weir_future_error(peer, -1, err);
    return NULL;
}

/* Waits for what waits for it, each of them in what it has offloaded. */
static void *await_each_other(void *arg, weir_error *err)
{
    weir_task task = {.fn = await_peer, .arg = own};
    weir_future *peer;
    EXPECT_INT(weir_executor_submit(narrow, &task, &peer, err), WEIR_OK);
    EXPECT_INT(weir_future_error(peer, -1, err), WEIR_INVALID);
    weir_future_unref(peer);
    return arg;
}

static void *offload_that(void *arg, weir_error *err)
{
    weir_channel *begin = arg;
    void *fn = NULL;
    if (weir_channel_receive(begin, &fn, err))
        return NULL;
    weir_offload(*(weir_task_fn *)fn, NULL, NULL, err);
    return NULL;
}

TEST(it_may_do_what_its_task_may)
{
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = WEIR_FIBERS;
    options.max_workers = 1;
    options.queue_limit = 1;
    weir_channel *begin;
    REQUIRE(!weir_executor_new(&options, &narrow, NULL));
    REQUIRE(!weir_channel_new(1, &begin, NULL));
    static weir_task_fn cases[] = {submit_and_wait, await_own, await_each_other};
    static const weir_status ends[] = {WEIR_OK, WEIR_INVALID, WEIR_INVALID};
    for (int i = 0; i < 3; i++) {
        weir_task task = {.fn = offload_that, .arg = begin};
        REQUIRE(!weir_executor_submit(narrow, &task, &own, NULL));
        REQUIRE(!weir_channel_send(begin, &cases[i], NULL));
        EXPECT_INT(weir_future_error(own, -1, NULL), ends[i]);
        weir_future_unref(own);
    }
    weir_channel_unref(begin);
    weir_executor_free(narrow);
}

static void *offload_in_task(void *arg, weir_error *err)
{
    (void)arg;
    err->status = offload_once();
    return NULL;
}

static weir_status offload_on_fiber(void)
{
    return place_run(PLACE_FIBERS, offload_in_task, NULL, 0, NULL);
}

TEST(a_child_of_fork_has_threads_of_its_own)
{
    EXPECT_INT(offload_on_fiber(), WEIR_OK);
    EXPECT_INT(place_after_fork(offload_on_fiber), WEIR_OK);
    EXPECT_INT(offload_on_fiber(), WEIR_OK);
}

TESTS(CASE(it_may_do_what_its_task_may), CASE(a_result_or_an_error_comes_back),
      CASE(it_ends_with_its_caller_and_not_after_it),
      CASE(a_result_that_comes_in_spite_of_that_is_not_lost),
      CASE(what_it_does_to_its_deadline_is_its_own), CASE(many_fibers_share_few_threads),
      CASE(what_has_not_begun_never_does), CASE(offloading_survives_lack_of_memory),
      CASE(a_child_of_fork_has_threads_of_its_own))
