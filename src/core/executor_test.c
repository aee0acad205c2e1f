/*
 * executor_test.c: what a submitted task and its future promise, for each kind of executor: states,
 * order, results and errors, cancellation, deadlines, callbacks, bounds, names.
 */
#include <dirent.h>
#include <limits.h>
#include <pthread.h>

#include "kinds.h"

#define NO_PENDING "a task runs inside submit, so none is ever pending"
#define NO_SHARED_MEMORY "a child shares no memory with the test"

TEST(a_result_arrives)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(41, 0);
    weir_future *future = give(ex, count_on, &e);
    REQUIRE(future);
    void *result = NULL;
    EXPECT_INT(weir_future_result(future, -1, &result, NULL), WEIR_OK);
    EXPECT_INT(*(int *)result, 42);
    EXPECT_INT(weir_future_get_state(future), WEIR_FUTURE_FINISHED);
    EXPECT_INT(weir_future_result(future, -1, &result, NULL), WEIR_INVALID);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    free(result);
    weir_future_unref(future);
    weir_executor_free(ex);
}

TEST(an_error_arrives_whole)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(7, 0);
    weir_future *future = give(ex, fail, &e);
    REQUIRE(future);
    void *result = &e;
    weir_error err;
    EXPECT_INT(weir_future_result(future, -1, &result, &err), WEIR_NOTFOUND);
    EXPECT_INT(err.status, WEIR_NOTFOUND);
    EXPECT_INT(err.sys_errno, ENOENT);
    EXPECT_STR(err.text, "there is no product 7");
    EXPECT(result == &e);
    EXPECT_INT(weir_future_get_state(future), WEIR_FUTURE_FINISHED);
    EXPECT_INT(weir_future_error(future, 0, &err), WEIR_NOTFOUND);
    weir_future_unref(future);
    weir_executor_free(ex);
}

static void *nothing(void *arg, weir_error *err)
{
    (void)err;
    return arg;
}

TEST(a_task_needs_neither_argument_nor_result)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    weir_future *future = NULL;
    REQUIRE(weir_executor_submit(ex, &(weir_task){.fn = nothing}, &future, NULL) == WEIR_OK);
    void *result = &future;
    EXPECT_INT(weir_future_result(future, -1, &result, NULL), WEIR_OK);
    EXPECT(result == NULL);
    weir_future_unref(future);
    weir_executor_free(ex);
}

TEST(nobody_needs_to_want_the_future)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    for (int i = 0; i < 10; i++) {
        errand e = errand_of(i, 'x');
        weir_task task = task_of(count_on, &e);
        REQUIRE(weir_executor_submit(ex, &task, NULL, NULL) == WEIR_OK);
        EXPECT_SOON(stats_of(ex).succeeded == i + 1); /* the errand has to stay until then */
    }
    weir_executor_free(ex);
    EXPECT_STR(trace(), "xxxxxxxxxx");
}

TEST(a_task_without_function_is_refused)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    weir_future *future = NULL;
    weir_error err;
    EXPECT_INT(weir_executor_submit(ex, &(weir_task){0}, &future, &err), WEIR_INVALID);
    EXPECT_INT(weir_executor_submit(ex, NULL, &future, &err), WEIR_INVALID);
    EXPECT_INT(weir_executor_submit(ex, &(weir_task){.fn = nothing, .timeout = -1}, &future, &err),
               WEIR_INVALID);
    EXPECT(!future);
    EXPECT_INT(stats_of(ex).submitted, 0);
    weir_executor_free(ex);
}

/* ---- states ---- */

TEST(a_task_is_pending_then_running_then_finished)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    errand e[2] = {errand_of(1, 'a'), errand_of(2, 'b')};
    weir_future *first = give(ex, hold, &e[0]);
    EXPECT_SOON(weir_future_running(first));
    weir_future *second = give(ex, hold, &e[1]);
    EXPECT_INT(weir_future_get_state(second), WEIR_FUTURE_PENDING);
    EXPECT(!weir_future_done(first) && !weir_future_done(second));
    weir_executor_stats stats = stats_of(ex);
    EXPECT_INT(stats.running, 1);
    EXPECT_INT(stats.pending, 1);
    EXPECT_INT(stats.workers, 1);
    open_gate();
    EXPECT_INT(weir_future_error(second, -1, NULL), WEIR_OK);
    EXPECT_INT(weir_future_get_state(second), WEIR_FUTURE_FINISHED);
    EXPECT_INT(weir_future_get_state(first), WEIR_FUTURE_FINISHED);
    EXPECT_INT(collect(first), 2);
    EXPECT_INT(collect(second), 3);
    EXPECT_STR(trace(), "ab");
    weir_executor_free(ex);
}

TEST(one_worker_takes_tasks_in_order)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    errand e[26];
    weir_future *futures[26];
    open_gate();
    for (int i = 0; i < 26; i++) {
        e[i] = errand_of(i, (char)('a' + i));
        futures[i] = give(ex, hold, &e[i]);
    }
    for (int i = 0; i < 26; i++)
        EXPECT_INT(collect(futures[i]), i + 1);
    EXPECT_STR(trace(), "abcdefghijklmnopqrstuvwxyz");
    EXPECT_INT(stats_of(ex).peak_workers, 1);
    weir_executor_free(ex);
}

TEST(so_many_run_at_once_and_no_more)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3});
    REQUIRE(ex);
    errand e = errand_of(0, 'x');
    weir_future *futures[5];
    for (int i = 0; i < 5; i++)
        futures[i] = give(ex, hold, &e);
    EXPECT_SOON(count_in_trace('x') == 3);
    weir_executor_stats stats = stats_of(ex);
    EXPECT_INT(stats.running, 3);
    EXPECT_INT(stats.pending, 2);
    open_gate();
    for (int i = 0; i < 5; i++)
        EXPECT_INT(collect(futures[i]), 1);
    EXPECT_INT(count_in_trace('x'), 5);
    weir_executor_free(ex);
}

TEST(many_tasks_all_arrive)
{
    enum { MANY = 300 };
    weir_executor *ex = make_executor((weir_executor_options){.queue_limit = 16});
    REQUIRE(ex);
    errand e[MANY];
    weir_future *futures[MANY];
    for (int i = 0; i < MANY; i++) {
        e[i] = errand_of(i, 0);
        futures[i] = give(ex, i % 10 == 3 ? fail : count_on, &e[i]);
    }
    for (int i = 0; i < MANY; i++)
        EXPECT_INT(collect(futures[i]), i % 10 == 3 ? -WEIR_NOTFOUND : i + 1);
    weir_executor_stats stats = stats_of(ex);
    EXPECT_INT(stats.submitted, MANY);
    EXPECT_INT(stats.succeeded, MANY * 9 / 10);
    EXPECT_INT(stats.failed, MANY / 10);
    EXPECT_INT(stats.cancelled + stats.pending + stats.running, 0);
    weir_executor_free(ex);
}

/* ---- cancelling, in each state ---- */

TEST(what_is_pending_never_runs_once_cancelled)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    errand e[3] = {errand_of(1, 'a'), errand_of(2, 'b'), errand_of(3, 'c')};
    weir_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] = give(ex, hold, &e[i]);
    EXPECT_SOON(weir_future_running(futures[0]));
    EXPECT_INT(weir_future_cancel(futures[1]), WEIR_CANCEL_DONE);
    EXPECT_INT(weir_future_get_state(futures[1]), WEIR_FUTURE_CANCELLED);
    EXPECT_INT(stats_of(ex).cancelled, 1);
    EXPECT_INT(stats_of(ex).pending, 1);
    open_gate();
    EXPECT_INT(collect(futures[0]), 2);
    EXPECT_INT(collect(futures[1]), -WEIR_CANCELLED);
    EXPECT_INT(collect(futures[2]), 4);
    EXPECT_STR(trace(), "ac");
    weir_executor_free(ex);
}

TEST(what_runs_is_asked_to_end)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(1, 'a');
    weir_future *future = give(ex, hold, &e);
    EXPECT_SOON(count_in_trace('a') == 1);
    EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_ASKED);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_CANCELLED);
    EXPECT(weir_future_cancelled(future));
    EXPECT_INT(stats_of(ex).cancelled, 1);
    weir_future_unref(future);
    weir_executor_free(ex);
}

TEST(what_was_asked_to_end_may_finish_all_the_same)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(1, 'a');
    weir_future *future = give(ex, insist, &e);
    EXPECT_SOON(count_in_trace('a') == 1);
    EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_ASKED);
    EXPECT(!weir_future_done(future));
    open_gate();
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    EXPECT_INT(stats_of(ex).succeeded, 1);
    EXPECT_INT(collect(future), 2);
    weir_executor_free(ex);
}

TEST(what_is_over_cannot_be_cancelled)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(1, 0);
    weir_future *future = give(ex, count_on, &e);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_TOO_LATE);
    EXPECT_INT(collect(future), 2);
    EXPECT_INT(stats_of(ex).cancelled, 0);
    weir_executor_free(ex);
}

/* ---- deadlines ---- */

TEST(a_task_past_its_deadline_fails_in_its_wait)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(1, 0);
    weir_task task = task_of(hold, &e);
    task.timeout = WEIR_MILLISECONDS(5);
    weir_future *future = NULL;
    REQUIRE(weir_executor_submit(ex, &task, &future, NULL) == WEIR_OK);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(weir_future_get_state(future), WEIR_FUTURE_FINISHED);
    EXPECT_INT(stats_of(ex).failed, 1);
    weir_future_unref(future);
    weir_executor_free(ex);
}

TEST(one_who_waits_may_give_up)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    errand e = errand_of(1, 0);
    weir_future *future = give(ex, hold, &e);
    EXPECT_INT(weir_future_error(future, 0, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(weir_future_error(future, WEIR_MILLISECONDS(2), NULL), WEIR_TIMEDOUT);
    EXPECT(!weir_future_done(future));
    open_gate();
    EXPECT_INT(collect(future), 2);
    weir_executor_free(ex);
}

/* ---- callbacks ---- */

typedef struct called {
    int order;
    int calls;
    int *turn;
} called;

static void note_call(weir_future *future, void *arg)
{
    called *who = arg;
    EXPECT(weir_future_done(future));
    who->order = ++*who->turn;
    who->calls++;
}

TEST(callbacks_come_once_and_in_order)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    int turn = 0;
    called who[3] = {{.turn = &turn}, {.turn = &turn}, {.turn = &turn}};
    errand e = errand_of(1, 0);
    if (kind == WEIR_INLINE)
        open_gate(); /* then it is over when they are added */
    weir_future *future = give(ex, hold, &e);
    EXPECT_INT(weir_future_add_done_callback(future, note_call, &who[0], NULL), WEIR_OK);
    EXPECT_INT(weir_future_add_done_callback(future, note_call, &who[1], NULL), WEIR_OK);
    open_gate();
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK); /* they have returned then */
    EXPECT_INT(weir_future_add_done_callback(future, note_call, &who[2], NULL), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(who[i].calls, 1);
        EXPECT_INT(who[i].order, i + 1);
    }
    EXPECT_INT(collect(future), 2);
    weir_executor_free(ex);
}

TEST(callbacks_come_for_what_was_cancelled)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    int turn = 0;
    called who = {.turn = &turn};
    errand e = errand_of(1, 0);
    weir_future *first = give(ex, hold, &e);
    weir_future *second = give(ex, hold, &e);
    EXPECT_SOON(weir_future_running(first));
    EXPECT_INT(weir_future_add_done_callback(second, note_call, &who, NULL), WEIR_OK);
    EXPECT_INT(who.calls, 0);
    EXPECT_INT(weir_future_cancel(second), WEIR_CANCEL_DONE);
    EXPECT_INT(who.calls, 1);
    open_gate();
    EXPECT_INT(collect(first), 2);
    weir_executor_free(ex);
    EXPECT_INT(who.calls, 1);
    weir_future_unref(second);
}

/* ---- who frees what ---- */

static atomic_int released;

static void release(void *value)
{
    atomic_fetch_add(&released, 1);
    free(value);
}

static weir_task releasing_task(weir_task_fn fn)
{
    errand *e = malloc(sizeof *e);
    *e = errand_of(1, 0);
    return (weir_task){.fn = fn,
                       .arg = e,
                       .argument = {.size = sizeof *e, .release = release},
                       .result = {.size = sizeof(int), .release = free}};
}

TEST(an_argument_is_released_once)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    REQUIRE(ex);
    atomic_store(&released, 0);
    weir_future *first = NULL;
    weir_future *second = NULL;
    weir_task task = releasing_task(hold);
    if (kind == WEIR_INLINE)
        open_gate();
    REQUIRE(weir_executor_submit(ex, &task, &first, NULL) == WEIR_OK);
    task = releasing_task(hold);
    REQUIRE(weir_executor_submit(ex, &task, &second, NULL) == WEIR_OK);
    weir_future_cancel(second);
    open_gate();
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(atomic_load(&released), 2);
    task = releasing_task(hold);
    EXPECT_INT(weir_executor_submit(ex, &task, NULL, NULL), WEIR_CLOSED);
    EXPECT_INT(atomic_load(&released), 2);
    free(task.arg);
    weir_future_unref(first);
    weir_future_unref(second);
    weir_executor_free(ex);
}

TEST(a_result_nobody_took_is_released)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    atomic_store(&released, 0);
    errand e = errand_of(1, 0);
    weir_task task = task_of(count_on, &e);
    task.result.release = release;
    weir_future *future = NULL;
    REQUIRE(weir_executor_submit(ex, &task, &future, NULL) == WEIR_OK);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    EXPECT_INT(atomic_load(&released), 0);
    weir_future_unref(future);
    /* A process releases its own; what it sent is a plain block of malloc here, and freed so. */
    EXPECT_INT(atomic_load(&released), kind == WEIR_PROCESSES ? 0 : 1);
    weir_executor_free(ex);
}

/* ---- tasks that use their own executor ---- */

typedef struct sum {
    weir_executor *ex;
    int from;
    int to;
    int total;
} sum;

/* Halves its range until one number is left. */
static void *add_up(void *arg, weir_error *err)
{
    sum *s = arg;
    if (s->to - s->from == 1) {
        s->total = s->from;
        return s;
    }
    int middle = s->from + (s->to - s->from) / 2;
    sum halves[2] = {{s->ex, s->from, middle, 0}, {s->ex, middle, s->to, 0}};
    weir_future *futures[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        weir_task task = {.fn = add_up, .arg = &halves[i]};
        EXPECT_INT(weir_executor_submit(s->ex, &task, &futures[i], err), WEIR_OK);
    }
    for (int i = 0; i < 2; i++) {
        void *result = NULL;
        EXPECT_INT(weir_future_result(futures[i], -1, &result, err), WEIR_OK);
        EXPECT(result == &halves[i]);
        s->total += halves[i].total;
        weir_future_unref(futures[i]);
    }
    return s;
}

TEST(tasks_that_wait_for_tasks_need_no_worker_more)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1, .queue_limit = 1});
    REQUIRE(ex);
    sum s = {ex, 0, 100, 0};
    weir_future *future = NULL;
    weir_task task = {.fn = add_up, .arg = &s};
    REQUIRE(weir_executor_submit(ex, &task, &future, NULL) == WEIR_OK);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    EXPECT_INT(s.total, 4950);
    EXPECT_INT(stats_of(ex).submitted, 199);
    weir_future_unref(future);
    weir_executor_free(ex);
}

typedef struct self {
    weir_executor *ex;
    _Atomic(weir_future *) future;
    weir_status status[2];
} self;

static void *wait_for_itself(void *arg, weir_error *err)
{
    self *me = arg;
    (void)err;
    void *result;
    while (!atomic_load(&me->future))
        usleep(1000);
    me->status[0] = weir_future_result(me->future, -1, &result, NULL);
    me->status[1] = weir_executor_shutdown(me->ex, NULL, NULL);
    return NULL;
}

TEST(a_task_that_waits_for_itself_is_told)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    self me = {.ex = ex};
    weir_future *future = NULL;
    weir_task task = {.fn = wait_for_itself, .arg = &me};
    REQUIRE(weir_executor_submit(ex, &task, &future, NULL) == WEIR_OK);
    atomic_store(&me.future, future);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
    EXPECT_INT(me.status[0], WEIR_INVALID);
    EXPECT_INT(me.status[1], WEIR_INVALID);
    EXPECT_INT(stats_of(ex).succeeded, 1); /* and it was not shut down */
    errand e = errand_of(1, 0);
    EXPECT_INT(collect(give(ex, count_on, &e)), 2);
    weir_future_unref(future);
    weir_executor_free(ex);
}

/* ---- the queue's bound ---- */

typedef struct submitter {
    weir_executor *ex;
    errand e;
    weir_status status;
    weir_future *future;
    atomic_bool returned;
} submitter;

static void *submit_one(void *arg)
{
    submitter *s = arg;
    weir_task task = task_of(hold, &s->e);
    s->status = weir_executor_submit(s->ex, &task, &s->future, NULL);
    atomic_store(&s->returned, true);
    return NULL;
}

/* One runs, two are queued, and no more fit. */
static weir_executor *make_full(errand *e, weir_future *futures[3])
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1, .queue_limit = 2});
    if (!ex)
        return NULL;
    *e = errand_of(1, 'x');
    futures[0] = give(ex, hold, e);
    EXPECT_SOON(weir_future_running(futures[0]));
    futures[1] = give(ex, hold, e);
    futures[2] = give(ex, hold, e);
    return ex;
}

TEST(a_full_queue_lets_nobody_in)
{
    errand e;
    weir_future *futures[3];
    weir_executor *ex = make_full(&e, futures);
    REQUIRE(ex);
    weir_task task = task_of(hold, &e);
    weir_future *none = NULL;
    EXPECT_INT(weir_executor_try_submit(ex, &task, &none, NULL), WEIR_AGAIN);
    EXPECT(!none);
    EXPECT_INT(stats_of(ex).submitted, 3);
    submitter s = {.ex = ex, .e = e};
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, submit_one, &s) == 0);
    usleep(2000); /* gives a submitter that does not wait the time to show it */
    EXPECT(!atomic_load(&s.returned));
    EXPECT_INT(weir_future_cancel(futures[1]), WEIR_CANCEL_DONE); /* makes room */
    pthread_join(thread, NULL);
    EXPECT_INT(s.status, WEIR_OK);
    EXPECT_INT(weir_executor_try_submit(ex, &task, &none, NULL), WEIR_AGAIN);
    open_gate();
    EXPECT_INT(collect(futures[0]), 2);
    EXPECT_INT(collect(futures[2]), 2);
    EXPECT_INT(collect(s.future), 2);
    weir_future_unref(futures[1]);
    weir_executor_free(ex);
}

TEST(a_waiting_submitter_gets_in_when_a_task_is_taken)
{
    errand e;
    weir_future *futures[3];
    weir_executor *ex = make_full(&e, futures);
    REQUIRE(ex);
    enum { SUBMITTERS = 4 };
    submitter s[SUBMITTERS];
    pthread_t threads[SUBMITTERS];
    for (int i = 0; i < SUBMITTERS; i++) {
        s[i] = (submitter){.ex = ex, .e = e};
        REQUIRE(pthread_create(&threads[i], NULL, submit_one, &s[i]) == 0);
    }
    open_gate();
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_INT(s[i].status, WEIR_OK);
        EXPECT_INT(collect(s[i].future), 2);
    }
    for (int i = 0; i < 3; i++)
        EXPECT_INT(collect(futures[i]), 2);
    weir_executor_free(ex);
}

static void *submit_in_task(void *arg, weir_error *err)
{
    submitter *s = arg;
    weir_task task = task_of(hold, &s->e);
    leave_trace(s->e.dir, 's');
    s->status = weir_executor_submit(s->ex, &task, &s->future, err);
    return NULL;
}

TEST(a_waiting_submitter_can_be_cancelled)
{
    errand e;
    weir_future *futures[3];
    weir_executor *ex = make_full(&e, futures);
    REQUIRE(ex);
    weir_executor *other = NULL;
    REQUIRE(weir_executor_new(NULL, &other, NULL) == WEIR_OK);
    submitter s = {.ex = ex, .e = e};
    weir_task task = {.fn = submit_in_task, .arg = &s};
    weir_future *future = NULL;
    REQUIRE(weir_executor_submit(other, &task, &future, NULL) == WEIR_OK);
    EXPECT_SOON(count_in_trace('s') == 1);
    EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_ASKED);
    EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_CANCELLED);
    EXPECT_INT(s.status, WEIR_CANCELLED);
    EXPECT_INT(stats_of(ex).submitted, 3);
    weir_future_unref(future);
    weir_executor_free(other);
    open_gate();
    for (int i = 0; i < 3; i++)
        EXPECT_INT(collect(futures[i]), 2);
    weir_executor_free(ex);
}

TEST(a_waiting_submitter_hears_of_shutdown)
{
    errand e;
    weir_future *futures[3];
    weir_executor *ex = make_full(&e, futures);
    REQUIRE(ex);
    submitter s = {.ex = ex, .e = e};
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, submit_one, &s) == 0);
    EXPECT_INT(weir_executor_shutdown(ex, &(weir_shutdown_options){.no_wait = 1}, NULL), WEIR_OK);
    pthread_join(thread, NULL);
    EXPECT_INT(s.status, WEIR_CLOSED);
    open_gate();
    for (int i = 0; i < 3; i++)
        EXPECT_INT(collect(futures[i]), 2);
    weir_executor_free(ex);
}

/* ---- workers ---- */

static int threads_named(const char *name)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[300];
        char comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = fd < 0 ? 0 : read(fd, comm, sizeof comm - 1);
        if (fd >= 0)
            close(fd);
        comm[len > 0 ? len - 1 : 0] = 0;
        n += strcmp(comm, name) == 0;
    }
    if (dir)
        closedir(dir);
    return n;
}

TEST(workers_have_names)
{
    weir_executor *ex =
        make_executor((weir_executor_options){.max_workers = 1,
                                              .loops = kind == WEIR_FIBERS,
                                              .thread_name_prefix = "a-rather-long-name"});
    REQUIRE(ex);
    errand e = errand_of(1, 0);
    weir_future *future = give(ex, hold, &e);
    EXPECT_SOON(threads_named("a-rather-long-1") == 1);
    open_gate();
    EXPECT_INT(collect(future), 2);
    weir_executor_free(ex);
    EXPECT_INT(threads_named("a-rather-long-1"), 0);
}

TEST(an_idle_worker_is_used_again)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 8});
    REQUIRE(ex);
    EXPECT_INT(stats_of(ex).workers, 0);
    for (int i = 0; i < 20; i++) {
        errand e = errand_of(i, 0);
        EXPECT_INT(collect(give(ex, count_on, &e)), i + 1);
        EXPECT_SOON(stats_of(ex).idle == stats_of(ex).workers);
    }
    EXPECT_INT(stats_of(ex).peak_workers, 1);
    weir_executor_free(ex);
}

TEST(a_worker_that_cannot_be_started_fails_the_submit)
{
    weir_executor *ex = make_executor((weir_executor_options){.stack_size = (size_t)1 << 52});
    REQUIRE(ex);
    errand e = errand_of(1, 0);
    weir_task task = task_of(count_on, &e);
    weir_future *future = NULL;
    weir_error err = {.status = WEIR_OK};
    EXPECT(weir_executor_submit(ex, &task, &future, &err) != WEIR_OK);
    EXPECT(err.status != WEIR_OK);
    EXPECT(!future);
    weir_executor_stats stats = stats_of(ex);
    EXPECT_INT(stats.submitted + stats.pending + stats.running + stats.workers, 0);
    weir_executor_free(ex);
}

/* ---- options ---- */

static weir_status try_options(weir_executor_options options)
{
    weir_executor *ex = NULL;
    weir_error err;
    weir_status status = weir_executor_new(&options, &ex, &err);
    EXPECT((ex == NULL) == (status != WEIR_OK));
    weir_executor_free(ex);
    return status;
}

TEST(options_that_make_no_sense_are_refused)
{
    enum { SIZE = sizeof(weir_executor_options) };
    EXPECT_INT(try_options((weir_executor_options){SIZE, .kind = kind}), WEIR_OK);
    EXPECT_INT(try_options((weir_executor_options){0, .kind = kind}), WEIR_INVALID);
    EXPECT_INT(try_options((weir_executor_options){SIZE + 1, .kind = kind}), WEIR_INVALID);
    EXPECT_INT(try_options((weir_executor_options){SIZE, .kind = (weir_executor_kind)4}),
               WEIR_INVALID);
    EXPECT_INT(try_options((weir_executor_options){SIZE, .kind = kind, .max_workers = -1}),
               WEIR_INVALID);
    EXPECT_INT(try_options((weir_executor_options){SIZE, .kind = kind, .loops = -1}), WEIR_INVALID);
    EXPECT_INT(try_options((weir_executor_options){SIZE, .kind = kind, .loops = 1}),
               kind == WEIR_FIBERS ? WEIR_OK : WEIR_INVALID);
    EXPECT_INT(try_options((weir_executor_options){SIZE, .kind = kind, .max_tasks_per_child = 1}),
               kind == WEIR_PROCESSES ? WEIR_OK : WEIR_INVALID);
    EXPECT_INT(try_options((weir_executor_options){SIZE, .kind = kind, .initializer_arg = &kind}),
               WEIR_INVALID);
    weir_executor_free(NULL);
}

KIND_TESTS(KIND_CASE(a_result_arrives), KIND_CASE(an_error_arrives_whole),
           KIND_CASE(a_task_needs_neither_argument_nor_result),
           KIND_CASE(nobody_needs_to_want_the_future),
           KIND_CASE(a_task_without_function_is_refused),
           KIND_CASE_BUT(a_task_is_pending_then_running_then_finished, NOT_INLINE, NO_PENDING),
           KIND_CASE(one_worker_takes_tasks_in_order),
           KIND_CASE_BUT(so_many_run_at_once_and_no_more, NOT_INLINE, NO_PENDING),
           KIND_CASE(many_tasks_all_arrive),
           KIND_CASE_BUT(what_is_pending_never_runs_once_cancelled, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(what_runs_is_asked_to_end, NOT_INLINE,
                         "nobody has the future of a task that runs inside submit"),
           KIND_CASE_BUT(what_was_asked_to_end_may_finish_all_the_same, NOT_INLINE,
                         "nobody has the future of a task that runs inside submit"),
           KIND_CASE(what_is_over_cannot_be_cancelled),
           KIND_CASE(a_task_past_its_deadline_fails_in_its_wait),
           KIND_CASE_BUT(one_who_waits_may_give_up, NOT_INLINE, NO_PENDING),
           KIND_CASE(callbacks_come_once_and_in_order),
           KIND_CASE_BUT(callbacks_come_for_what_was_cancelled, NOT_INLINE, NO_PENDING),
           KIND_CASE(an_argument_is_released_once), KIND_CASE(a_result_nobody_took_is_released),
           KIND_CASE_BUT(tasks_that_wait_for_tasks_need_no_worker_more, NOT_PROCESSES,
                         NO_SHARED_MEMORY),
           KIND_CASE_BUT(a_task_that_waits_for_itself_is_told, NOT_INLINE | NOT_PROCESSES,
                         "it needs its own future, in the test's memory"),
           KIND_CASE_BUT(a_full_queue_lets_nobody_in, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(a_waiting_submitter_gets_in_when_a_task_is_taken, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(a_waiting_submitter_can_be_cancelled, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(a_waiting_submitter_hears_of_shutdown, NOT_INLINE, NO_PENDING),
           KIND_CASE_BUT(workers_have_names, NOT_INLINE | NOT_PROCESSES, "it has no threads"),
           KIND_CASE_BUT(an_idle_worker_is_used_again, NOT_INLINE, "it has no workers"),
           KIND_CASE_BUT(a_worker_that_cannot_be_started_fails_the_submit,
                         NOT_INLINE | NOT_PROCESSES, "its workers have no stack of a given size"),
           KIND_CASE(options_that_make_no_sense_are_refused))
