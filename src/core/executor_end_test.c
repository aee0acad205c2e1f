/*
 * executor_end_test.c: how an executor of each kind begins and ends: initializers, broken pools,
 * shutdown in each state, counts that add up at every moment, nothing left behind.
 */
#include <dirent.h>
#include <pthread.h>

#include "kinds.h"

#define NO_PENDING "a task runs inside submit, so none is ever pending"

static weir_status shut_down(weir_executor *ex, weir_shutdown_options options)
{
    return weir_executor_shutdown(ex, &options, NULL);
}

/* ---- shutdown ---- */

TEST(an_executor_nobody_used_can_go)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    weir_executor_free(ex);
    weir_executor_free(make_executor((weir_executor_options){0}));
}

TEST(shutdown_waits_for_what_was_handed_in)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    REQUIRE(ex);
    open_gate();
    errand e = errand_of(1, 'x');
    weir_future *futures[20];
    for (int i = 0; i < 20; i++)
        futures[i] = give(ex, hold, &e);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(count_in_trace('x'), 20);
    EXPECT_INT(stats_of(ex).workers, 0);
    EXPECT_INT(stats_of(ex).succeeded, 20);
    for (int i = 0; i < 20; i++) {
        EXPECT(weir_future_done(futures[i]));
        EXPECT_INT(collect(futures[i]), 2);
    }
    weir_executor_free(ex);
}

TEST(nothing_is_taken_after_shutdown)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(1, 'x');
    EXPECT_INT(collect(give(ex, count_on, &e)), 2);
    EXPECT_INT(shut_down(ex, (weir_shutdown_options){.no_wait = 1}), WEIR_OK);
    weir_task task = task_of(count_on, &e);
    weir_future *future = NULL;
    weir_error err;
    EXPECT_INT(weir_executor_submit(ex, &task, &future, &err), WEIR_CLOSED);
    EXPECT_STR(err.text, "the executor is shut down");
    EXPECT_INT(weir_executor_try_submit(ex, &task, &future, NULL), WEIR_CLOSED);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(weir_executor_submit(ex, &task, &future, NULL), WEIR_CLOSED);
    EXPECT(!future);
    EXPECT_STR(trace(), "x");
    EXPECT_INT(stats_of(ex).submitted, 1);
    weir_executor_free(ex);
}

/* One runs, and four are pending. */
static weir_executor *make_busy(errand *e, weir_future *futures[5], weir_task_fn fn)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    if (!ex)
        return NULL;
    *e = errand_of(1, 'x');
    for (int i = 0; i < 5; i++)
        futures[i] = give(ex, fn, e);
    EXPECT_SOON(count_in_trace('x') == 1);
    return ex;
}

TEST(shutdown_can_cancel_what_is_pending)
{
    errand e;
    weir_future *futures[5];
    weir_executor *ex = make_busy(&e, futures, hold);
    REQUIRE(ex);
    EXPECT_INT(shut_down(ex, (weir_shutdown_options){.cancel_pending = 1, .no_wait = 1}), WEIR_OK);
    for (int i = 1; i < 5; i++)
        EXPECT(weir_future_cancelled(futures[i]));
    EXPECT(!weir_future_done(futures[0]));
    EXPECT_INT(stats_of(ex).cancelled, 4);
    open_gate();
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(collect(futures[0]), 2);
    for (int i = 1; i < 5; i++)
        EXPECT_INT(collect(futures[i]), -WEIR_CANCELLED);
    EXPECT_STR(trace(), "x");
    weir_executor_free(ex);
}

TEST(shutdown_can_cancel_what_runs)
{
    errand e;
    weir_future *futures[5];
    weir_executor *ex = make_busy(&e, futures, hold);
    REQUIRE(ex);
    EXPECT_INT(shut_down(ex, (weir_shutdown_options){.cancel_pending = 1, .cancel_running = 1}),
               WEIR_OK);
    for (int i = 0; i < 5; i++)
        EXPECT_INT(collect(futures[i]), -WEIR_CANCELLED);
    EXPECT_STR(trace(), "x");
    weir_executor_free(ex);
}

TEST(shutdown_gives_up_after_its_timeout)
{
    errand e;
    weir_future *futures[5];
    weir_executor *ex = make_busy(&e, futures, hold);
    REQUIRE(ex);
    weir_error err;
    weir_shutdown_options options = {.timeout = WEIR_MILLISECONDS(2)};
    EXPECT_INT(weir_executor_shutdown(ex, &options, &err), WEIR_TIMEDOUT);
    EXPECT_STR(err.text, "the executor has not ended yet: 1 tasks are running, 4 pending");
    EXPECT_INT(weir_executor_shutdown(ex, &options, &err), WEIR_TIMEDOUT);
    EXPECT_INT(shut_down(ex, (weir_shutdown_options){.timeout = -1}), WEIR_INVALID);
    open_gate();
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(weir_executor_shutdown(ex, &options, NULL), WEIR_OK);
    for (int i = 0; i < 5; i++)
        EXPECT_INT(collect(futures[i]), 2);
    weir_executor_free(ex);
}

TEST(what_is_queued_still_runs_after_a_shutdown_nobody_waits_for)
{
    errand e;
    weir_future *futures[5];
    weir_executor *ex = make_busy(&e, futures, hold);
    REQUIRE(ex);
    EXPECT_INT(shut_down(ex, (weir_shutdown_options){.no_wait = 1}), WEIR_OK);
    for (int i = 0; i < 5; i++)
        weir_future_unref(futures[i]);
    open_gate();
    EXPECT_SOON(count_in_trace('x') == 5);
    EXPECT_SOON(stats_of(ex).workers == 0);
    weir_executor_free(ex);
}

TEST(freeing_waits_like_shutdown)
{
    errand e;
    weir_future *futures[5];
    weir_executor *ex = make_busy(&e, futures, hold);
    REQUIRE(ex);
    open_gate();
    weir_executor_free(ex);
    for (int i = 0; i < 5; i++)
        EXPECT_INT(collect(futures[i]), 2); /* futures outlive their executor */
}

static void *shut_down_too(void *ex)
{
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    return NULL;
}

TEST(several_may_shut_down_at_once)
{
    errand e;
    weir_future *futures[5];
    weir_executor *ex = make_busy(&e, futures, hold);
    REQUIRE(ex);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, shut_down_too, ex) == 0);
    open_gate();
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 5; i++)
        EXPECT_INT(collect(futures[i]), 2);
    weir_executor_free(ex);
}

static void *shut_down_inside(void *arg, weir_error *err)
{
    EXPECT_INT(weir_executor_shutdown(arg, NULL, err), WEIR_INVALID);
    EXPECT_INT(shut_down(arg, (weir_shutdown_options){.no_wait = 1}), WEIR_OK);
    EXPECT_INT(weir_executor_submit(arg, &(weir_task){.fn = shut_down_inside}, NULL, NULL),
               WEIR_CLOSED);
    *err = (weir_error){.status = WEIR_OK};
    return NULL;
}

TEST(a_task_may_shut_down_without_waiting)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    weir_future *future = NULL;
    weir_task task = {.fn = shut_down_inside, .arg = ex};
    REQUIRE(weir_executor_submit(ex, &task, &future, NULL) == WEIR_OK);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    weir_future_unref(future);
    weir_executor_free(ex);
}

/* ---- initializers ---- */

static weir_status prepare(void *arg, weir_error *err)
{
    const errand *e = arg;
    if (weir_sleep(1, err)) /* it may wait */
        return err->status;
    leave_trace(e->dir, e->letter);
    return WEIR_OK;
}

TEST(each_worker_is_initialized_before_it_works)
{
    errand first = errand_of(0, 'i');
    weir_executor *ex =
        make_executor((weir_executor_options){.max_workers = 2,
                                              .loops = kind == WEIR_FIBERS,
                                              .initializer = prepare,
                                              .initializer_arg = &first,
                                              .initializer_type = {.size = sizeof first}});
    REQUIRE(ex);
    EXPECT_STR(trace(), "");
    errand e = errand_of(1, 'x');
    EXPECT_INT(collect(give(ex, count_on, &e)), 2);
    EXPECT_STR(trace(), "ix");
    for (int i = 0; i < 10; i++)
        EXPECT_INT(collect(give(ex, count_on, &e)), 2);
    EXPECT_INT(count_in_trace('x'), 11);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    if (kind == WEIR_INLINE || kind == WEIR_FIBERS)
        EXPECT_INT(count_in_trace('i'), 1);
    else
        EXPECT_INT(count_in_trace('i'), stats_of(ex).peak_workers);
    weir_executor_free(ex);
}

static weir_status refuse(void *arg, weir_error *err)
{
    const errand *e = arg;
    leave_trace(e->dir, e->letter);
    while (!gate_is_open(e->dir))
        usleep(1000);
    err->status = WEIR_DENIED;
    snprintf(err->text, sizeof err->text, "no licence for %d", e->number);
    return WEIR_DENIED;
}

TEST(a_failed_initializer_breaks_the_executor)
{
    errand first = errand_of(8, 'i');
    weir_executor *ex =
        make_executor((weir_executor_options){.max_workers = 1,
                                              .initializer = refuse,
                                              .initializer_arg = &first,
                                              .initializer_type = {.size = sizeof first}});
    REQUIRE(ex);
    if (kind == WEIR_INLINE)
        open_gate();
    errand e = errand_of(1, 'x');
    weir_future *futures[3];
    int given = kind == WEIR_INLINE ? 1 : 3;
    for (int i = 0; i < given; i++)
        futures[i] = give(ex, count_on, &e);
    open_gate();
    weir_error err;
    for (int i = 0; i < given; i++) {
        EXPECT_INT(weir_future_error(futures[i], -1, &err), WEIR_DENIED);
        EXPECT_STR(err.text, "no licence for 8");
        EXPECT_INT(weir_future_get_state(futures[i]), WEIR_FUTURE_FINISHED);
        weir_future_unref(futures[i]);
    }
    weir_task task = task_of(count_on, &e);
    EXPECT_INT(weir_executor_submit(ex, &task, NULL, &err), WEIR_DENIED);
    EXPECT_STR(err.text, "no licence for 8");
    EXPECT_SOON(stats_of(ex).workers == 0);
    EXPECT_INT(stats_of(ex).failed, given);
    EXPECT_INT(stats_of(ex).submitted, given);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(weir_executor_submit(ex, &task, NULL, &err), WEIR_DENIED);
    EXPECT_INT(count_in_trace('x'), 0);
    weir_executor_free(ex);
}

static weir_status refuse_silently(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    return WEIR_RESOLVE;
}

TEST(a_broken_executor_says_so_without_a_text)
{
    weir_executor *ex = make_executor((weir_executor_options){.initializer = refuse_silently});
    REQUIRE(ex);
    errand e = errand_of(1, 0);
    weir_future *future = give(ex, count_on, &e);
    weir_error err;
    EXPECT_INT(weir_future_error(future, -1, &err), WEIR_RESOLVE);
    EXPECT_STR(err.text, "the executor's initializer failed: host name could not be resolved");
    weir_future_unref(future);
    weir_executor_free(ex);
}

/* ---- counts ---- */

typedef struct watcher {
    weir_executor *ex;
    atomic_bool stop;
    atomic_int looks;
    int wrong;
} watcher;

static void *watch_counts(void *arg)
{
    watcher *w = arg;
    while (!atomic_load(&w->stop)) {
        weir_executor_stats s = stats_of(w->ex);
        atomic_fetch_add(&w->looks, 1);
        w->wrong += s.submitted != s.pending + s.running + s.succeeded + s.failed + s.cancelled;
        w->wrong += s.idle > s.workers || s.workers > s.peak_workers;
    }
    return NULL;
}

TEST(counts_add_up_at_every_moment)
{
    enum { TASKS = 200 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3, .queue_limit = 20});
    REQUIRE(ex);
    watcher w = {.ex = ex};
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, watch_counts, &w) == 0);
    EXPECT_SOON(atomic_load(&w.looks) > 0);
    errand e = errand_of(1, 0);
    for (int i = 0; i < TASKS; i++) {
        weir_future *future = give(ex, i % 3 ? count_on : fail, &e);
        if (i % 5 == 0)
            weir_future_cancel(future);
        weir_future_unref(future);
    }
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    EXPECT_INT(w.wrong, 0);
    weir_executor_stats s = stats_of(ex);
    EXPECT_INT(s.submitted, TASKS);
    EXPECT_INT(s.succeeded + s.failed + s.cancelled, TASKS);
    EXPECT_INT(s.workers + s.idle, 0);
    weir_executor_free(ex);
}

/* ---- what is left behind: nothing ---- */

static int entries(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

TEST(no_thread_and_no_descriptor_is_left)
{
    int threads = entries("/proc/self/task");
    int descriptors = entries("/proc/self/fd");
    for (int round = 0; round < 3; round++) {
        weir_executor *ex = make_executor((weir_executor_options){.max_workers = 4});
        REQUIRE(ex);
        errand e = errand_of(1, 0);
        weir_future *futures[8];
        open_gate();
        for (int i = 0; i < 8; i++)
            futures[i] = give(ex, hold, &e);
        for (int i = 0; i < 8; i++)
            EXPECT_INT(collect(futures[i]), 2);
        weir_executor_free(ex);
        /* a joined thread may still be listed for a moment */
        EXPECT_SOON(entries("/proc/self/task") == threads);
        EXPECT_INT(entries("/proc/self/fd"), descriptors);
    }
}

KIND_TESTS(KIND_CASE(an_executor_nobody_used_can_go),
           KIND_CASE(shutdown_waits_for_what_was_handed_in),
           KIND_CASE(nothing_is_taken_after_shutdown),
           KIND_CASE_BUT(shutdown_can_cancel_what_is_pending, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(shutdown_can_cancel_what_runs, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(shutdown_gives_up_after_its_timeout, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(what_is_queued_still_runs_after_a_shutdown_nobody_waits_for, NOT_INLINE,
                         NO_PENDING),
           KIND_CASE_BUT(freeing_waits_like_shutdown, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(several_may_shut_down_at_once, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(a_task_may_shut_down_without_waiting, NOT_PROCESSES,
                         "a child has no executor of its parent's"),
           KIND_CASE(each_worker_is_initialized_before_it_works),
           KIND_CASE(a_failed_initializer_breaks_the_executor),
           KIND_CASE(a_broken_executor_says_so_without_a_text),
           KIND_CASE(counts_add_up_at_every_moment), KIND_CASE(no_thread_and_no_descriptor_is_left))
