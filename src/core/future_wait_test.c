/* future_wait_test.c: waiting for several futures at once, and taking them as they come. */
#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "future_state.h"
#include "on_fibers.h"
#include "torture.h"
#include "weir/executor.h"
#include "weir/wait.h"

enum { MANY = 100000, FUTURES = 40 };

static weir_future *new_future(void)
{
    weir_future *future = NULL;
    EXPECT(weir_future_new(NULL, &future, NULL) == WEIR_OK);
    return future;
}

static void fill(weir_future **futures, size_t n)
{
    for (size_t i = 0; i < n; i++)
        futures[i] = new_future();
}

static void drop(weir_future **futures, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weir_future_unref(futures[i]);
}

static void fail(weir_future *future, weir_status status)
{
    EXPECT_INT(weir_future_fail(future, &(weir_error){.status = status}), 1);
}

/* ---- weir_wait, without waiting ---- */

static void expect_wait(weir_future **futures, size_t n, weir_wait_until until, weir_status want,
                        size_t want_done)
{
    size_t done = 77;
    EXPECT_INT(weir_wait(futures, n, until, 0, &done, NULL), want);
    EXPECT_INT(done, want_done);
}

TEST(what_each_way_to_wait_waits_for)
{
    weir_future *f[20];
    static const size_t sizes[] = {3, 20}; /* with and without memory of its own */
    for (int s = 0; s < 2; s++) {
        size_t n = sizes[s];
        fill(f, n);
        expect_wait(f, n, WEIR_FIRST_COMPLETED, WEIR_TIMEDOUT, 0);
        weir_future_cancel(f[n - 1]);
        expect_wait(f, n, WEIR_FIRST_COMPLETED, WEIR_OK, 1); /* at once, begun or not */
        expect_wait(f, n, WEIR_FIRST_EXCEPTION, WEIR_TIMEDOUT, 1);
        weir_future_complete(f[1], NULL);
        expect_wait(f, n, WEIR_FIRST_EXCEPTION, WEIR_TIMEDOUT, 2);
        weir_future_start(f[0]);
        fail(f[0], WEIR_CANCELLED);
        expect_wait(f, n, WEIR_FIRST_EXCEPTION, WEIR_OK, 3);
        expect_wait(f, n, WEIR_ALL_COMPLETED, n == 3 ? WEIR_OK : WEIR_TIMEDOUT, 3);
        for (size_t i = 2; i + 1 < n; i++)
            weir_future_complete(f[i], NULL);
        expect_wait(f, n, WEIR_ALL_COMPLETED, WEIR_OK, n);
        drop(f, n);
    }
}

TEST(waiting_for_none_is_over_at_once)
{
    weir_error err;
    expect_wait(NULL, 0, WEIR_FIRST_COMPLETED, WEIR_OK, 0);
    expect_wait(NULL, 0, WEIR_ALL_COMPLETED, WEIR_OK, 0);
    EXPECT_INT(weir_wait(NULL, 0, WEIR_ALL_COMPLETED, -1, NULL, NULL), WEIR_OK);
    EXPECT_INT(weir_wait(NULL, 0, (weir_wait_until)9, -1, NULL, &err), WEIR_INVALID);
}

TEST(a_future_given_twice_counts_once)
{
    weir_future *different[10];
    weir_future *twice[21];
    fill(different, 10);
    for (int i = 0; i < 21; i++)
        twice[i] = different[i % 10];
    for (int i = 0; i < 5; i++)
        weir_future_complete(different[i], NULL);
    expect_wait(twice, 21, WEIR_ALL_COMPLETED, WEIR_TIMEDOUT, 5);
    weir_future *few[] = {different[0], different[0], different[9], different[0], different[9]};
    expect_wait(few, 5, WEIR_FIRST_COMPLETED, WEIR_OK, 1);
    for (int i = 5; i < 10; i++)
        weir_future_complete(different[i], NULL);
    expect_wait(twice, 21, WEIR_ALL_COMPLETED, WEIR_OK, 10);
    expect_wait(few, 5, WEIR_ALL_COMPLETED, WEIR_OK, 2);
    drop(different, 10);
}

/* ---- on fibers, whose clock tells when ---- */

typedef struct plan {
    weir_future *futures[FUTURES];
    size_t n;
    weir_wait_until until;
    int64_t timeout;
    weir_status want;
    size_t want_done;
    int64_t want_at;
} plan;

static void wait_as_planned(void *arg)
{
    plan *p = arg;
    size_t done = 0;
    EXPECT_INT(weir_wait(p->futures, p->n, p->until, p->timeout, &done, NULL), p->want);
    EXPECT_INT(done, p->want_done);
    EXPECT_INT(wi_park_now(), 1000 + p->want_at);
    for (size_t i = 0; i < p->n; i++) /* nothing of the wait is left behind */
        EXPECT(wi_list_empty(&p->futures[i]->waiters));
}

/* One a nanosecond: the third fails, the second is cancelled, all others complete. */
static void end_one_by_one(void *arg)
{
    plan *p = arg;
    for (size_t i = 0; i < p->n; i++) {
        EXPECT_INT(weir_sleep(1, NULL), WEIR_OK);
        if (i == 1)
            EXPECT_INT(weir_future_cancel(p->futures[i]), WEIR_CANCEL_DONE);
        else if (i == 2)
            fail(p->futures[i], WEIR_IO);
        else
            EXPECT_INT(weir_future_complete(p->futures[i], NULL), 1);
    }
}

TEST(a_wait_ends_when_it_should)
{
    static const plan plans[] = {
        {.until = WEIR_FIRST_COMPLETED, .timeout = -1, .want_done = 1, .want_at = 1},
        {.until = WEIR_FIRST_EXCEPTION, .timeout = -1, .want_done = 3, .want_at = 3},
        {.until = WEIR_ALL_COMPLETED, .timeout = -1, .want_done = FUTURES, .want_at = FUTURES},
    };
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        on_fibers f;
        plan p = plans[i];
        p.n = FUTURES;
        fill(p.futures, p.n);
        REQUIRE(fibers_begin(&f));
        fibers_go(&f, end_one_by_one, &p);
        fibers_go(&f, wait_as_planned, &p);
        fibers_end(&f);
        drop(p.futures, FUTURES);
    }
}

TEST(or_when_its_time_has_passed)
{
    on_fibers f;
    plan p = {.n = FUTURES, .timeout = 9, .want = WEIR_TIMEDOUT, .want_at = 9};
    fill(p.futures, p.n);
    REQUIRE(fibers_begin(&f));
    fibers_go(&f, wait_as_planned, &p);
    fibers_end(&f);
    drop(p.futures, FUTURES);
}

/* ---- threads ---- */

typedef struct ender {
    weir_future **futures;
    size_t n;
} ender;

static void *end_all(void *arg)
{
    ender *e = arg;
    for (size_t i = 0; i < e->n; i++)
        if (i % 3 == 2)
            weir_future_cancel(e->futures[i]);
        else
            weir_future_complete(e->futures[i], NULL);
    return NULL;
}

TEST(a_hundred_thousand_futures)
{
    weir_future **f = malloc(2 * MANY * sizeof *f);
    REQUIRE(f != NULL);
    fill(f, MANY);
    memcpy(f + MANY, f, MANY * sizeof *f);
    ender e = {f, MANY};
    pthread_t thread;
    size_t done = 0;
    weir_completions *c = NULL;
    weir_future *next;
    REQUIRE(weir_as_completed(f, 2 * MANY, -1, &c, NULL) == WEIR_OK);
    REQUIRE(pthread_create(&thread, NULL, end_all, &e) == 0);
    EXPECT_INT(weir_wait(f, 2 * MANY, WEIR_ALL_COMPLETED, -1, &done, NULL), WEIR_OK);
    EXPECT_INT(done, MANY);
    pthread_join(thread, NULL);
    size_t wrong = 0;
    for (size_t i = 0; i < MANY; i++)
        wrong += weir_completions_next(c, &next, NULL) != WEIR_OK || next != f[i];
    EXPECT_INT(wrong, 0);
    EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_END);
    weir_completions_free(c);
    drop(f, MANY);
    free(f);
}

TEST(waits_race_with_ends)
{
    for (int i = 0; i < 600; i++) {
        weir_future *f[FUTURES];
        pthread_t thread;
        size_t done = 0;
        size_t n = i % 2 ? 5 : FUTURES;
        fill(f, n);
        ender e = {f, n};
        weir_wait_until until = (weir_wait_until)(i % 3);
        REQUIRE(pthread_create(&thread, NULL, end_all, &e) == 0);
        weir_status status = weir_wait(f, n, until, i % 7 ? -1 : i * 100, &done, NULL);
        if (i % 7 || !status) {
            EXPECT_INT(status, WEIR_OK);
            EXPECT(until == WEIR_FIRST_COMPLETED ? done > 0 : done == n);
        }
        EXPECT(done <= n);
        weir_completions *c = NULL;
        weir_future *next;
        REQUIRE(weir_as_completed(f, n, -1, &c, NULL) == WEIR_OK);
        for (size_t k = i % 5 == 0 ? n / 2 : 0; k < n; k++) {
            EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_OK);
            EXPECT(weir_future_done(next));
        }
        weir_completions_free(c); /* some are freed while futures still end */
        pthread_join(thread, NULL);
        drop(f, n);
    }
}

/* ---- as they complete ---- */

TEST(first_those_that_are_over_then_the_others)
{
    weir_future *f[6];
    weir_future *next = NULL;
    weir_completions *c = NULL;
    fill(f, 6);
    weir_future *given[] = {f[0], f[3], f[1], f[3], f[2], f[0], f[4], f[5]};
    weir_future_complete(f[2], NULL);
    weir_future_complete(f[3], NULL);
    REQUIRE(weir_as_completed(given, 8, 0, &c, NULL) == WEIR_OK);
    weir_future_cancel(f[4]);
    weir_future_complete(f[1], NULL);
    static const int order[] = {3, 2, 4, 1};
    for (int i = 0; i < 4; i++) {
        EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_OK);
        EXPECT(next == f[order[i]]);
    }
    EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_TIMEDOUT);
    EXPECT(next == f[1]);
    weir_future_complete(f[5], NULL); /* late, but here */
    EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_OK);
    EXPECT(next == f[5]);
    drop(f, 6); /* the iterator has its own references */
    EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_TIMEDOUT);
    weir_completions_free(c);
    REQUIRE(weir_as_completed(NULL, 0, -1, &c, NULL) == WEIR_OK);
    EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_END);
    weir_completions_free(c);
    weir_completions_free(NULL);
}

static void take_as_they_come(void *arg)
{
    plan *p = arg;
    weir_future *next;
    weir_completions *c = NULL;
    REQUIRE(weir_as_completed(p->futures, p->n, 10, &c, NULL) == WEIR_OK);
    for (size_t i = 0; i < 5; i++) {
        EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_OK);
        EXPECT(next == p->futures[i]);
        EXPECT_INT(wi_park_now(), 1001 + (int64_t)i);
    }
    EXPECT_INT(weir_sleep(20, NULL), WEIR_OK);
    for (size_t i = 5; i < 24; i++) { /* they are over, so the deadline is none of theirs */
        EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_OK);
        EXPECT(next == p->futures[i]);
    }
    weir_status status = weir_completions_next(c, &next, NULL);
    if (!status) /* it ended just now */
        status = weir_completions_next(c, &next, NULL);
    EXPECT_INT(status, WEIR_TIMEDOUT);
    weir_completions_free(c);
    REQUIRE(weir_as_completed(p->futures, p->n, 12, &c, NULL) == WEIR_OK);
    size_t n = 0;
    while (!(status = weir_completions_next(c, &next, NULL)))
        n++;
    EXPECT_INT(status, WEIR_TIMEDOUT); /* one deadline for all, not one for each */
    EXPECT(n >= 36 && n <= 37);
    EXPECT_INT(wi_park_now(), 1037);
    weir_completions_free(c);
}

TEST(one_deadline_for_all)
{
    on_fibers f;
    plan p = {.n = FUTURES};
    fill(p.futures, p.n);
    REQUIRE(fibers_begin(&f));
    fibers_go(&f, end_one_by_one, &p);
    fibers_go(&f, take_as_they_come, &p);
    fibers_end(&f);
    drop(p.futures, p.n);
}

/* ---- tasks ---- */

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
    EXPECT(weir_executor_submit(ex, &(weir_task){.fn = fn, .arg = arg}, &future, NULL) == WEIR_OK);
    return future;
}

static void *nap(void *arg, weir_error *err)
{
    weir_sleep(1, err);
    return arg;
}

static void *wait_for_children(void *arg, weir_error *err)
{
    weir_future *children[30];
    size_t done = 0;
    for (int i = 0; i < 30; i++)
        children[i] = submit(arg, nap, arg);
    weir_wait(children, 30, WEIR_FIRST_COMPLETED, -1, &done, err);
    EXPECT(done >= 1);
    weir_wait(children, 30, WEIR_ALL_COMPLETED, -1, &done, err);
    EXPECT_INT(done, 30);
    drop(children, 30);
    return NULL;
}

static void *iterate_over_children(void *arg, weir_error *err)
{
    weir_future *children[30];
    weir_future *next;
    weir_completions *c = NULL;
    int n = 0;
    for (int i = 0; i < 30; i++)
        children[i] = submit(arg, nap, arg);
    weir_as_completed(children, 30, -1, &c, err);
    while (weir_completions_next(c, &next, NULL) == WEIR_OK)
        n++;
    EXPECT_INT(n, 30);
    weir_completions_free(c);
    drop(children, 30);
    return NULL;
}

TEST(the_only_worker_runs_what_it_waits_for)
{
    static const weir_executor_kind kinds[] = {WEIR_INLINE, WEIR_THREADS, WEIR_FIBERS};
    static const weir_task_fn fns[] = {wait_for_children, iterate_over_children};
    for (int i = 0; i < 6; i++) {
        weir_executor *ex = pool(kinds[i / 2], i < 2 ? 0 : 1);
        weir_future *f = submit(ex, fns[i % 2], ex);
        EXPECT_INT(weir_future_error(f, -1, NULL), WEIR_OK);
        weir_future_unref(f);
        weir_executor_free(ex);
    }
}

typedef struct self {
    weir_future *_Atomic mine;
    weir_future *other;
} self;

static void *wait_for_all_and_self(void *arg, weir_error *err)
{
    self *s = arg;
    while (!atomic_load(&s->mine))
        weir_yield(NULL);
    weir_future *both[] = {s->other, s->mine};
    EXPECT_INT(weir_wait(both, 2, WEIR_FIRST_COMPLETED, 0, NULL, NULL), WEIR_TIMEDOUT);
    weir_wait(both, 2, WEIR_ALL_COMPLETED, -1, NULL, err);
    return NULL;
}

static void *wait_in_vain(void *arg, weir_error *err)
{
    weir_wait((weir_future **)arg, 1, WEIR_ALL_COMPLETED, -1, NULL, err);
    return NULL;
}

static void *iterate_in_vain(void *arg, weir_error *err)
{
    weir_completions *c = NULL;
    weir_future *next;
    EXPECT_INT(weir_as_completed(arg, 1, -1, &c, NULL), WEIR_OK);
    weir_completions_next(c, &next, err);
    weir_completions_free(c);
    return NULL;
}

TEST(a_wait_ends_with_its_task)
{
    weir_executor *ex = pool(WEIR_THREADS, 1);
    self s = {.other = new_future()};
    weir_error err;
    weir_future *f = submit(ex, wait_for_all_and_self, &s);
    atomic_store(&s.mine, f);
    EXPECT_INT(weir_future_error(f, -1, &err), WEIR_INVALID);
    weir_future_unref(f);
    static const weir_task_fn fns[] = {wait_in_vain, iterate_in_vain};
    for (int i = 0; i < 2; i++) {
        f = submit(ex, fns[i], &s.other);
        while (!weir_future_running(f))
            weir_yield(NULL);
        EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_ASKED);
        EXPECT_INT(weir_future_error(f, -1, &err), WEIR_CANCELLED);
        EXPECT(weir_future_cancelled(f));
        weir_future_unref(f);
        weir_task task = {.fn = fns[i], .arg = &s.other, .timeout = 1};
        REQUIRE(weir_executor_submit(ex, &task, &f, NULL) == WEIR_OK);
        EXPECT_INT(weir_future_error(f, -1, &err), WEIR_TIMEDOUT);
        weir_future_unref(f);
    }
    EXPECT(wi_list_empty(&s.other->waiters));
    weir_future_unref(s.other);
    weir_executor_free(ex);
}

/* ---- without memory ---- */

static weir_future *tortured[20];

static weir_status wait_for_some(void)
{
    weir_error err;
    size_t done = 5;
    weir_status status = weir_wait(tortured, 20, WEIR_ALL_COMPLETED, 1, &done, &err);
    EXPECT(status == WEIR_TIMEDOUT ? done == 0 : status == WEIR_NOMEM && done == 5);
    return status == WEIR_TIMEDOUT ? WEIR_OK : status;
}

static weir_status iterate_over_some(void)
{
    weir_completions *c;
    weir_future *next;
    weir_status status = weir_as_completed(tortured, 20, 0, &c, NULL);
    if (status)
        return status;
    EXPECT_INT(weir_completions_next(c, &next, NULL), WEIR_TIMEDOUT);
    weir_completions_free(c);
    return WEIR_OK;
}

TEST(waits_survive_lack_of_memory)
{
    fill(tortured, 20);
    TORTURE(wait_for_some());
    TORTURE(iterate_over_some());
    for (int i = 0; i < 20; i++)
        EXPECT(wi_list_empty(&tortured[i]->waiters));
    drop(tortured, 20);
}

TESTS(CASE(what_each_way_to_wait_waits_for), CASE(waiting_for_none_is_over_at_once),
      CASE(a_future_given_twice_counts_once), CASE(a_wait_ends_when_it_should),
      CASE(or_when_its_time_has_passed), CASE(a_hundred_thousand_futures),
      CASE(waits_race_with_ends), CASE(first_those_that_are_over_then_the_others),
      CASE(one_deadline_for_all), CASE(the_only_worker_runs_what_it_waits_for),
      CASE(a_wait_ends_with_its_task), CASE(waits_survive_lack_of_memory))
