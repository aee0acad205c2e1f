/* future_test.c: one future at a time: states, moving results, callbacks, cancelling, deadlocks. */
#include "weir/future.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "future_state.h"
#include "on_fibers.h"
#include "torture.h"
#include "weir/executor.h"
#include "weir/wait.h"

static int released;

static void count_release(void *value)
{
    (void)value;
    released++;
}

static weir_future *new_future(void)
{
    weir_future *future = NULL;
    released = 0;
    EXPECT(weir_future_new(count_release, &future, NULL) == WEIR_OK);
    return future;
}

/* ---- futures of the program's own ---- */

TEST(a_future_goes_from_pending_to_running_to_finished)
{
    int value = 7;
    void *got = NULL;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_get_state(f), WEIR_FUTURE_PENDING);
    EXPECT(!weir_future_done(f) && !weir_future_running(f) && !weir_future_cancelled(f));
    EXPECT_INT(weir_future_start(f), 1);
    EXPECT_INT(weir_future_start(f), 0);
    EXPECT(!weir_future_done(f) && weir_future_running(f));
    EXPECT_INT(weir_future_complete(f, &value), 1);
    EXPECT_INT(weir_future_complete(f, NULL), 0);
    EXPECT_INT(weir_future_fail(f, &(weir_error){.status = WEIR_IO}), 0);
    EXPECT_INT(weir_future_start(f), 0);
    EXPECT(weir_future_done(f) && !weir_future_running(f) && !weir_future_cancelled(f));
    EXPECT_INT(weir_future_error(f, -1, NULL), WEIR_OK);
    EXPECT_INT(weir_future_result(f, -1, &got, NULL), WEIR_OK);
    EXPECT(got == &value);
    weir_future_unref(f);
    EXPECT_INT(released, 0);
}

TEST(a_result_is_given_once)
{
    int value;
    void *got = NULL;
    weir_error err;
    weir_future *f = new_future();
    weir_future_complete(f, &value);
    EXPECT_INT(weir_future_result(f, 0, &got, NULL), WEIR_OK);
    got = NULL;
    EXPECT_INT(weir_future_result(f, 0, &got, &err), WEIR_INVALID);
    EXPECT(!got && strstr(err.text, "taken before"));
    EXPECT_INT(weir_future_error(f, 0, NULL), WEIR_OK);
    weir_future_unref(f);
    EXPECT_INT(released, 0);
}

TEST(what_nobody_took_is_released)
{
    int value;
    weir_future *f = weir_future_ref(new_future());
    weir_future_complete(f, &value);
    weir_future_unref(f);
    EXPECT_INT(released, 0);
    weir_future_unref(f);
    EXPECT_INT(released, 1);
    weir_future_unref(new_future()); /* there was nothing to release */
    EXPECT_INT(released, 0);
    weir_future_unref(NULL);
}

TEST(an_error_is_copied_and_stays)
{
    void *got = &released;
    weir_error why = {.status = WEIR_IO, .sys_errno = 5, .text = "the disk is gone"};
    weir_error err;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_fail(f, &(weir_error){.status = WEIR_OK}), 0);
    EXPECT_INT(weir_future_fail(f, &why), 1);
    memset(&why, 0, sizeof why);
    EXPECT_INT(weir_future_get_state(f), WEIR_FUTURE_FINISHED);
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(weir_future_result(f, -1, &got, &err), WEIR_IO);
        EXPECT_INT(err.status, WEIR_IO);
        EXPECT_INT(err.sys_errno, 5);
        EXPECT_STR(err.text, "the disk is gone");
        EXPECT_INT(weir_future_error(f, -1, NULL), WEIR_IO);
    }
    EXPECT(got == &released);
    weir_future_unref(f);
}

TEST(cancelling_in_each_state)
{
    weir_error err;
    void *got = &released;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_DONE);
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_DONE);
    EXPECT(weir_future_done(f) && weir_future_cancelled(f));
    EXPECT_INT(weir_future_start(f), 0);
    EXPECT_INT(weir_future_complete(f, &released), 0);
    EXPECT_INT(weir_future_result(f, 0, &got, &err), WEIR_CANCELLED);
    EXPECT_STR(err.text, "the future was cancelled");
    EXPECT(got == &released);
    weir_future_unref(f);
    EXPECT_INT(released, 0);

    f = new_future();
    EXPECT_INT(weir_future_start(f), 1);
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_TOO_LATE);
    EXPECT(weir_future_running(f));
    weir_future_fail(f, &(weir_error){.status = WEIR_CANCELLED});
    EXPECT_INT(weir_future_get_state(f), WEIR_FUTURE_FINISHED);
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_TOO_LATE);
    weir_future_unref(f);
}

TEST(a_timeout_of_0_does_not_wait)
{
    weir_error err;
    void *got;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_result(f, 0, &got, &err), WEIR_TIMEDOUT);
    EXPECT_INT(weir_future_error(f, 0, &err), WEIR_TIMEDOUT);
    EXPECT_INT(weir_future_error(f, 1, &err), WEIR_TIMEDOUT);
    EXPECT(!weir_future_done(f));
    weir_future_unref(f);
}

/* ---- callbacks ---- */

typedef struct note {
    char *text;
    char mark;
} note;

static void write_note(weir_future *future, void *arg)
{
    note *n = arg;
    EXPECT(weir_future_done(future));
    n->text[strlen(n->text)] = n->mark;
}

static void write_note_and_add(weir_future *future, void *arg)
{
    note now = {((note *)arg)->text, 'x'};
    write_note(future, arg);
    EXPECT_INT(weir_future_add_done_callback(future, write_note, &now, NULL), WEIR_OK);
}

TEST(callbacks_come_in_the_order_they_were_added)
{
    for (int ending = 0; ending < 3; ending++) {
        char text[8] = "";
        note notes[] = {{text, 'a'}, {text, 'b'}, {text, 'c'}, {text, 'd'}};
        weir_future *f = new_future();
        weir_future_add_done_callback(f, write_note, &notes[0], NULL);
        weir_future_add_done_callback(f, write_note_and_add, &notes[1], NULL);
        weir_future_add_done_callback(f, write_note, &notes[2], NULL);
        EXPECT_STR(text, "");
        if (ending == 0)
            weir_future_complete(f, NULL);
        else if (ending == 1)
            weir_future_fail(f, &(weir_error){.status = WEIR_IO});
        else
            weir_future_cancel(f);
        EXPECT_STR(text, "abxc");
        weir_future_add_done_callback(f, write_note, &notes[3], NULL);
        EXPECT_STR(text, "abxcd");
        weir_future_unref(f);
    }
}

static void drop(weir_future *future, void *arg)
{
    weir_future_unref(arg);
    EXPECT(weir_future_done(future));
}

TEST(a_future_lives_until_its_callbacks_have_returned)
{
    char text[8] = "";
    note after = {text, 'a'};
    weir_future *f = new_future();
    weir_future_add_done_callback(f, drop, f, NULL);
    weir_future_add_done_callback(f, write_note, &after, NULL);
    weir_future_complete(f, &released);
    EXPECT_STR(text, "a");
    EXPECT_INT(released, 1);
    f = new_future(); /* and those of one that never ended are not called */
    weir_future_add_done_callback(f, write_note, &after, NULL);
    weir_future_unref(f);
    EXPECT_STR(text, "a");
}

/* ---- races ---- */

enum { RACERS = 4, RACES = 400 };

typedef struct race {
    weir_future *future;
    pthread_barrier_t start;
    atomic_int won;
    atomic_int called;
    atomic_int taken;
    atomic_int ticket;
} race;

static void count_call(weir_future *future, void *arg)
{
    race *r = arg;
    EXPECT(weir_future_done(future));
    atomic_fetch_add(&r->called, 1);
}

static void *compete(void *arg)
{
    race *r = arg;
    int me = atomic_fetch_add(&r->ticket, 1);
    void *got = NULL;
    pthread_barrier_wait(&r->start);
    weir_future_add_done_callback(r->future, count_call, r, NULL);
    if (me % 3 == 0)
        r->won += weir_future_cancel(r->future) == WEIR_CANCEL_DONE ? 100 : 0;
    else if (weir_future_complete(r->future, r))
        r->won++;
    weir_status status = weir_future_result(r->future, -1, &got, NULL);
    if (!status) {
        EXPECT(got == r);
        atomic_fetch_add(&r->taken, 1);
    } else
        EXPECT(status == WEIR_CANCELLED || status == WEIR_INVALID);
    weir_future_unref(r->future);
    return NULL;
}

TEST(a_future_ends_once_whoever_tries)
{
    for (int i = 0; i < RACES; i++) {
        race r = {.future = new_future()};
        pthread_t threads[RACERS];
        pthread_barrier_init(&r.start, NULL, RACERS);
        for (int t = 0; t < RACERS; t++) {
            weir_future_ref(r.future);
            REQUIRE(pthread_create(&threads[t], NULL, compete, &r) == 0);
        }
        for (int t = 0; t < RACERS; t++)
            pthread_join(threads[t], NULL);
        bool cancelled = weir_future_cancelled(r.future);
        EXPECT(cancelled ? r.won >= 100 && r.won % 100 == 0 : r.won == 1);
        EXPECT_INT(r.taken, !cancelled);
        EXPECT_INT(r.called, RACERS);
        weir_future_unref(r.future);
        pthread_barrier_destroy(&r.start);
    }
}

static void *complete_it(void *arg)
{
    EXPECT_INT(weir_future_complete(arg, arg), 1);
    weir_future_unref(arg);
    return NULL;
}

TEST(waiting_and_completing_at_once)
{
    for (int i = 0; i < RACES; i++) {
        void *got = NULL;
        weir_future *f = new_future();
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, complete_it, weir_future_ref(f)) == 0);
        weir_status status = weir_future_result(f, i % 2 ? -1 : i * 500, &got, NULL);
        if (i % 2 || status != WEIR_TIMEDOUT)
            EXPECT(status == WEIR_OK && got == f);
        weir_future_unref(f);
        pthread_join(thread, NULL);
    }
}

/* ---- on fibers ---- */

static void ask_for_it(void *arg)
{
    void *got = NULL;
    EXPECT_INT(weir_future_result(arg, 100, &got, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(wi_park_now(), 1100);
    EXPECT_INT(weir_future_result(arg, -1, &got, NULL), WEIR_OK);
    EXPECT_INT(wi_park_now(), 1300);
    EXPECT(got == arg);
}

static void give_it(void *arg)
{
    EXPECT_INT(weir_sleep(300, NULL), WEIR_OK);
    EXPECT_INT(weir_future_complete(arg, arg), 1);
}

TEST(a_fiber_waits_for_another)
{
    on_fibers fibers;
    weir_future *f = new_future();
    REQUIRE(fibers_begin(&fibers));
    fibers_go(&fibers, ask_for_it, f);
    fibers_go(&fibers, give_it, f);
    fibers_end(&fibers);
    weir_future_unref(f);
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
    weir_future *never = new_future();
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

static weir_status use_one(void)
{
    weir_future *f;
    char text[8] = "";
    note n = {text, 'a'};
    weir_error err;
    weir_status status = weir_future_new(NULL, &f, &err);
    if (status)
        return status;
    status = weir_future_add_done_callback(f, write_note, &n, &err);
    EXPECT_INT(weir_future_fail(f, &(weir_error){.status = WEIR_IO, .text = "why"}), 1);
    EXPECT_STR(text, status ? "" : "a");
    EXPECT_INT(weir_future_error(f, -1, &err), WEIR_IO);
    EXPECT(strcmp(err.text, "why") == 0 || strcmp(err.text, "input/output error") == 0);
    weir_future_unref(f);
    return status;
}

TEST(futures_survive_lack_of_memory)
{
    TORTURE(use_one());
}

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

TESTS(CASE(a_future_goes_from_pending_to_running_to_finished), CASE(a_result_is_given_once),
      CASE(what_nobody_took_is_released), CASE(an_error_is_copied_and_stays),
      CASE(cancelling_in_each_state), CASE(a_timeout_of_0_does_not_wait),
      CASE(callbacks_come_in_the_order_they_were_added),
      CASE(a_future_lives_until_its_callbacks_have_returned),
      CASE(a_future_ends_once_whoever_tries), CASE(waiting_and_completing_at_once),
      CASE(a_fiber_waits_for_another), CASE(cancelling_what_is_queued), CASE(cancelling_what_runs),
      CASE(cancelling_at_any_moment), CASE(the_only_worker_runs_what_it_waits_for),
      CASE(tasks_that_wait_for_each_other_are_told), CASE(nor_may_one_wait_for_a_task_below_it),
      CASE(waiting_ends_with_the_waiting_task), CASE(futures_survive_lack_of_memory),
      CASE(submitting_survives_lack_of_memory))
