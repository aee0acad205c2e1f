/* future_task_test.c: the future of a task: cancelling it in each state, and waiting for each
 * other. */
#include "clock.h"
#include "future_state.h"
#include "torture.h"
#include "weir/executor.h"
#include "weir/wait.h"

static int released;

static void count_release(void *value)
{
    (void)value;
    released++;
}

static weir_executor *pool(weir_executor_kind kind, int workers)
{
    weir_executor *ex = NULL;
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = kind;
    options.max_workers = workers;
    EXPECT(weir_executor_new(&options, &ex, NULL) == WEIR_OK);
    return ex;
}

static weir_future *submit(weir_executor *ex, weir_task_fn fn, void *arg)
{
    weir_future *future = NULL;
    EXPECT(weir_executor_submit(ex, &(weir_task){.fn = fn, .arg = arg, .name = "it"}, &future,
                                NULL) == WEIR_OK);
    return future;
}

typedef struct gate {
    weir_executor *ex;
    atomic_bool begun;
    atomic_bool open;
} gate;

static void *pass_gate(void *arg, weir_error *err)
{
    gate *g = arg;
    (void)err;
    atomic_store(&g->begun, true);
    while (!atomic_load(&g->open))
        weir_yield(NULL);
    return arg;
}

static void await_begun(gate *g)
{
    while (!atomic_load(&g->begun))
        weir_yield(NULL);
}

TEST(cancelling_what_is_queued)
{
    gate g = {.ex = pool(WEIR_THREADS, 1)};
    weir_future *first = submit(g.ex, pass_gate, &g);
    await_begun(&g);
    released = 0;
    weir_task task = {.fn = pass_gate, .arg = &g, .argument.release = count_release};
    weir_future *queued = NULL;
    REQUIRE(weir_executor_submit(g.ex, &task, &queued, NULL) == WEIR_OK);
    EXPECT_INT(weir_future_cancel(queued), WEIR_CANCEL_DONE);
    EXPECT_INT(released, 1);
    EXPECT_INT(weir_future_error(queued, -1, NULL), WEIR_CANCELLED);
    weir_executor_stats stats;
    weir_executor_stats_get(g.ex, &stats);
    EXPECT_INT(stats.pending, 0);
    EXPECT_INT(stats.cancelled, 1);
    EXPECT_INT(weir_future_complete(first, NULL), 0); /* those are not the program's */
    EXPECT_INT(weir_future_start(first), 0);
    atomic_store(&g.open, true);
    EXPECT_INT(weir_future_error(first, -1, NULL), WEIR_OK);
    EXPECT_INT(weir_future_cancel(first), WEIR_CANCEL_TOO_LATE);
    weir_future_unref(first);
    weir_executor_free(g.ex);
    EXPECT_INT(released, 1);
    weir_future_unref(queued);
}

static void *sleep_long(void *arg, weir_error *err)
{
    atomic_store((atomic_bool *)arg, true);
    weir_sleep(WEIR_SECONDS(100000), err);
    return arg;
}

static void *sleep_and_forget(void *arg, weir_error *err)
{
    sleep_long(arg, NULL);
    EXPECT_INT(err->status, WEIR_OK);
    return arg;
}

static void *say_cancelled(void *arg, weir_error *err)
{
    wi_fail(err, WEIR_CANCELLED, "another was");
    return arg;
}

TEST(cancelling_what_runs)
{
    static const weir_executor_kind kinds[] = {WEIR_THREADS, WEIR_FIBERS};
    for (int i = 0; i < 2; i++) {
        weir_executor *ex = pool(kinds[i], 2);
        atomic_bool begun = false;
        weir_error err;
        void *got = NULL;
        weir_future *f = submit(ex, sleep_long, &begun);
        while (!atomic_load(&begun))
            weir_yield(NULL);
        EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_ASKED);
        EXPECT_INT(weir_future_result(f, -1, &got, &err), WEIR_CANCELLED);
        EXPECT(weir_future_cancelled(f));
        EXPECT_STR(err.text, "the task it was cancelled");
        weir_future_unref(f);

        atomic_store(&begun, false);
        f = submit(ex, sleep_and_forget, &begun);
        while (!atomic_load(&begun))
            weir_yield(NULL);
        EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_ASKED);
        EXPECT_INT(weir_future_result(f, -1, &got, &err), WEIR_OK);
        EXPECT(got == &begun && !weir_future_cancelled(f));
        weir_future_unref(f);

        f = submit(ex, say_cancelled, NULL);
        EXPECT_INT(weir_future_error(f, -1, &err), WEIR_CANCELLED);
        EXPECT_INT(weir_future_get_state(f), WEIR_FUTURE_FINISHED); /* nobody had asked */
        EXPECT_STR(err.text, "another was");
        weir_future_unref(f);
        weir_executor_stats stats;
        weir_executor_stats_get(ex, &stats);
        EXPECT_INT(stats.cancelled, 1);
        EXPECT_INT(stats.succeeded, 1);
        EXPECT_INT(stats.failed, 1);
        weir_executor_free(ex);
    }
}

static void *check_in(void *arg, weir_error *err)
{
    return weir_task_check(err) ? NULL : arg;
}

TEST(cancelling_at_any_moment)
{
    weir_executor *ex = pool(WEIR_THREADS, 2);
    released = 0;
    for (int i = 0; i < 2000; i++) {
        weir_task task = {.fn = check_in, .arg = ex};
        weir_future *f = NULL;
        void *got = NULL;
        REQUIRE(weir_executor_submit(ex, &task, &f, NULL) == WEIR_OK);
        for (int spin = 0; spin < i % 50 * 40 && !weir_future_done(f); spin++)
            continue;
        weir_cancel how = weir_future_cancel(f);
        weir_status status = weir_future_result(f, -1, &got, NULL);
        EXPECT(status == (weir_future_cancelled(f) ? WEIR_CANCELLED : WEIR_OK));
        if (how == WEIR_CANCEL_DONE)
            EXPECT_INT(status, WEIR_CANCELLED);
        else if (how == WEIR_CANCEL_TOO_LATE)
            EXPECT_INT(status, WEIR_OK);
        weir_future_unref(f);
    }
    weir_executor_stats stats;
    weir_executor_stats_get(ex, &stats);
    EXPECT_INT(stats.submitted, 2000);
    EXPECT_INT(stats.succeeded + stats.cancelled, 2000);
    weir_executor_free(ex);
}

/* ---- those who wait for each other ---- */

static void *submit_and_wait(void *arg, weir_error *err)
{
    gate *g = arg;
    void *got = NULL;
    atomic_store(&g->open, true);
    weir_future *f = submit(g->ex, pass_gate, g);
    weir_future_result(f, -1, &got, err);
    weir_future_unref(f);
    return got;
}

TEST(the_only_worker_runs_what_it_waits_for)
{
    static const weir_executor_kind kinds[] = {WEIR_INLINE, WEIR_THREADS, WEIR_FIBERS};
    for (int i = 0; i < 3; i++) {
        gate g = {.ex = pool(kinds[i], kinds[i] == WEIR_INLINE ? 0 : 1)};
        void *got = NULL;
        weir_future *f = submit(g.ex, submit_and_wait, &g);
        EXPECT_INT(weir_future_result(f, -1, &got, NULL), WEIR_OK);
        EXPECT(got == &g);
        weir_future_unref(f);
        weir_executor_free(g.ex);
    }
}

typedef struct knot {
    atomic_int ready;
    int n;
    weir_future *_Atomic others[3]; /* each waits for the next */
} knot;

typedef struct strand {
    knot *knot;
    int index;
} strand;

static void *wait_for_next(void *arg, weir_error *err)
{
    strand *me = arg;
    knot *k = me->knot;
    void *got = NULL;
    atomic_fetch_add(&k->ready, 1);
    while (!atomic_load(&k->others[(me->index + 1) % k->n]) || atomic_load(&k->ready) < k->n)
        weir_yield(NULL);
    weir_future_result(k->others[(me->index + 1) % k->n], -1, &got, err);
    return NULL;
}

/* One of them is told; its failure is what the one that waits for it gets, and so on. */
static void tie(weir_executor_kind kind, int n)
{
    weir_executor *ex = pool(kind, n);
    knot k = {.n = n};
    strand strands[3];
    for (int i = 0; i < n; i++) {
        strands[i] = (strand){&k, i};
        atomic_store(&k.others[i], submit(ex, wait_for_next, &strands[i]));
    }
    for (int i = 0; i < n; i++) {
        weir_error err = {.status = WEIR_OK};
        EXPECT_INT(weir_future_error(k.others[i], -1, &err), WEIR_INVALID);
        EXPECT(strstr(err.text, n == 1 ? "its own end" : "waits for it in turn"));
    }
    for (int i = 0; i < n; i++)
        weir_future_unref(k.others[i]);
    weir_executor_free(ex);
}

TEST(tasks_that_wait_for_each_other_are_told)
{
    for (int i = 0; i < 50; i++)
        for (int n = 1; n <= 3; n++) {
            tie(WEIR_THREADS, n);
            tie(WEIR_FIBERS, n);
        }
}

typedef struct family {
    weir_executor *pool;
    weir_executor *inline_pool;
    weir_future *_Atomic parent;
    weir_status seen;
} family;

static void *wait_for_parent(void *arg, weir_error *err)
{
    family *f = arg;
    void *got;
    while (!atomic_load(&f->parent))
        weir_yield(NULL);
    f->seen = weir_future_result(f->parent, -1, &got, err);
    return NULL;
}

static void *submit_to_inline(weir_task_fn fn, family *f, weir_error *err)
{
    weir_future *child = submit(f->inline_pool, fn, f);
    weir_future_error(child, -1, err);
    weir_future_unref(child);
    return NULL;
}

static void *submit_inline(void *arg, weir_error *err)
{
    return submit_to_inline(wait_for_parent, arg, err);
}

static void *wait_over_another(void *arg, weir_error *err)
{
    family *f = arg;
    weir_future *child = submit(f->pool, wait_for_parent, f);
    weir_future_error(child, -1, err);
    weir_future_unref(child);
    return NULL;
}

static void *submit_inline_waiter(void *arg, weir_error *err)
{
    return submit_to_inline(wait_over_another, arg, err);
}

/* What runs on top of a task, or is waited for by that, must not wait for the task. */
TEST(nor_may_one_wait_for_a_task_below_it)
{
    static const weir_task_fn fns[] = {submit_inline, wait_over_another, submit_inline_waiter};
    for (int i = 0; i < 3; i++)
        for (int workers = 1; workers <= 2; workers++) {
            family f = {.pool = pool(WEIR_THREADS, workers), .inline_pool = pool(WEIR_INLINE, 0)};
            weir_future *parent = submit(f.pool, fns[i], &f);
            atomic_store(&f.parent, parent);
            EXPECT_INT(weir_future_error(parent, -1, NULL), WEIR_INVALID);
            weir_executor_free(f.pool);
            weir_future_unref(parent);
            EXPECT_INT(f.seen, WEIR_INVALID); /* told, or it got the error of who was */
            weir_executor_free(f.inline_pool);
        }
}

static void *wait_in_vain(void *arg, weir_error *err)
{
    void *got;
    weir_future_result(arg, -1, &got, err);
    return NULL;
}

TEST(waiting_ends_with_the_waiting_task)
{
    weir_executor *ex = pool(WEIR_THREADS, 1);
    weir_future *never = NULL;
    REQUIRE(weir_future_new(NULL, &never, NULL) == WEIR_OK);
    weir_future *f = NULL;
    weir_error err;
    weir_task task = {.fn = wait_in_vain, .arg = never, .timeout = 1};
    REQUIRE(weir_executor_submit(ex, &task, &f, NULL) == WEIR_OK);
    EXPECT_INT(weir_future_error(f, -1, &err), WEIR_TIMEDOUT);
    EXPECT(weir_future_done(f));
    weir_future_unref(f);
    f = submit(ex, wait_in_vain, never);
    while (!weir_future_running(f))
        weir_yield(NULL);
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_ASKED);
    EXPECT_INT(weir_future_error(f, -1, &err), WEIR_CANCELLED);
    weir_future_unref(f);
    EXPECT(!weir_future_done(never));
    weir_future_unref(never);
    weir_executor_free(ex);
}

/* ---- without memory ---- */

static weir_status submit_one(weir_executor *ex)
{
    weir_future *f;
    weir_error err;
    weir_task task = {.fn = say_cancelled};
    weir_status status = weir_executor_submit(ex, &task, &f, &err);
    if (!status) {
        EXPECT_INT(weir_future_error(f, -1, &err), WEIR_CANCELLED);
        weir_future_unref(f);
    }
    return status;
}

TEST(submitting_survives_lack_of_memory)
{
    weir_executor *ex = pool(WEIR_INLINE, 0);
    TORTURE(submit_one(ex));
    weir_executor_free(ex);
}

TESTS(CASE(cancelling_what_is_queued), CASE(cancelling_what_runs), CASE(cancelling_at_any_moment),
      CASE(the_only_worker_runs_what_it_waits_for), CASE(tasks_that_wait_for_each_other_are_told),
      CASE(nor_may_one_wait_for_a_task_below_it), CASE(waiting_ends_with_the_waiting_task),
      CASE(submitting_survives_lack_of_memory))
