/* op_test.c: operations that end by themselves, at once or later, or are cancelled, on the service
 * loop and on a fiber's own. */
#include "op.h"

#include <stdlib.h>

#include "places_torture.h"

typedef struct timed {
    wi_op op;
    wi_timer timer;
    int64_t span;  /* 0: it ends inside begin; negative: never */
    bool slow;     /* it ends some time after it was cancelled */
    wi_loop *home; /* NULL: the caller is on no fiber */
    atomic_int begun;
    atomic_int cancelled;
    weir_status expected;
} timed;

static void on_timer(wi_timer *timer)
{
    timed *t = wi_container_of(timer, timed, timer);
    wi_timer_fini(timer);
    wi_op_end(&t->op);
}

static void timed_begin(wi_op *op)
{
    timed *t = wi_container_of(op, timed, op);
    atomic_fetch_add(&t->begun, 1);
    EXPECT(!wi_fiber_current()); /* on the loop's own stack */
    EXPECT(!t->home || t->home == op->loop);
    if (t->span == 0) {
        wi_op_end(op);
        return;
    }
    EXPECT(wi_timer_init(&t->timer, op->loop, on_timer));
    if (t->span > 0)
        wi_timer_set(&t->timer, wi_loop_now(op->loop) + t->span);
}

static void timed_cancel(wi_op *op)
{
    timed *t = wi_container_of(op, timed, op);
    atomic_fetch_add(&t->cancelled, 1);
    EXPECT(!atomic_load(&op->ended));
    if (t->slow) {
        wi_timer_set(&t->timer, wi_loop_now(op->loop) + WI_MILLISECOND);
        return;
    }
    wi_timer_fini(&t->timer);
    wi_op_end(op);
}

static void *run_timed(void *arg, weir_error *err)
{
    timed *t = arg;
    t->home = wi_fiber_current() ? wi_fiber_loop(wi_fiber_current()) : NULL;
    EXPECT_INT(wi_op_run(&t->op, timed_begin, timed_cancel, err), t->expected);
    return NULL;
}

TEST(an_operation_ends_by_itself_at_once_or_later)
{
    for (place p = 0; p < PLACES; p++)
        for (int64_t span = 0; span <= WI_MILLISECOND; span += WI_MILLISECOND) {
            timed t = {.span = span};
            EXPECT_INT(place_run(p, run_timed, &t, 0, NULL), WEIR_OK);
            EXPECT_INT(t.begun, 1);
            EXPECT_INT(t.cancelled, 0);
        }
}

TEST(a_deadline_cancels_it_once_and_waits_for_its_end)
{
    for (place p = 0; p < PLACES; p++)
        for (int slow = 0; slow < 2; slow++) {
            timed t;
            int64_t timeout = WEIR_MILLISECONDS(1);
            do { /* on a slow machine it may pass before anything has begun */
                t = (timed){.span = -1, .slow = slow, .expected = WEIR_TIMEDOUT};
                timeout *= 2;
                EXPECT_INT(place_run(p, run_timed, &t, timeout, NULL), WEIR_TIMEDOUT);
            } while (!t.begun && timeout < WEIR_SECONDS(30));
            EXPECT_INT(t.begun, 1);
            EXPECT_INT(t.cancelled, 1);
        }
}

static void await_begun(void *arg)
{
    timed *t = arg;
    while (!atomic_load(&t->begun))
        weir_yield(NULL);
}

TEST(cancelling_the_task_cancels_it_once)
{
    for (place p = PLACE_THREADS; p < PLACES; p++)
        for (int slow = 0; slow < 2; slow++) {
            timed t = {.span = -1, .slow = slow, .expected = WEIR_CANCELLED};
            EXPECT_INT(place_cancel(p, run_timed, &t, await_begun), WEIR_CANCELLED);
            EXPECT_INT(t.cancelled, 1);
        }
}

static void *run_when_over(void *arg, weir_error *err)
{
    timed *t = arg;
    weir_deadline_set(0);
    EXPECT_INT(wi_op_run(&t->op, timed_begin, timed_cancel, err), WEIR_TIMEDOUT);
    return NULL;
}

TEST(it_does_not_begin_for_a_task_that_is_to_end)
{
    for (place p = 0; p < PLACES; p++) {
        timed t = {.span = 0};
        EXPECT_INT(place_run(p, run_when_over, &t, 0, NULL), WEIR_TIMEDOUT);
        EXPECT_INT(t.begun, 0);
    }
}

TEST(unless_it_has_to)
{
    for (place p = 0; p < PLACES; p++) {
        timed t = {.span = -1, .op.begins_anyway = true};
        EXPECT_INT(place_run(p, run_when_over, &t, 0, NULL), WEIR_TIMEDOUT);
        EXPECT_INT(t.begun, 1);
        EXPECT_INT(t.cancelled, 1);
    }
}

/* Ends and cancellations meet: whoever comes first, the operation ends once and nobody touches it
 * after that (which the sanitizers see). */
static void *race(void *arg, weir_error *err)
{
    (void)err;
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < 40; i++) {
        timed *t = calloc(1, sizeof *t);
        t->span = 100000 + rand_r(&seed) % 100000;
        int64_t before = weir_deadline_set(100000 + rand_r(&seed) % 100000);
        weir_status status = wi_op_run(&t->op, timed_begin, timed_cancel, NULL);
        EXPECT(status == WEIR_OK || status == WEIR_TIMEDOUT);
        EXPECT(atomic_load(&t->op.ended) || !atomic_load(&t->begun));
        weir_deadline_set(before);
        free(t);
    }
    return NULL;
}

TEST(ends_and_cancellations_may_meet)
{
    for (place p = PLACE_THREADS; p < PLACES; p++) {
        weir_executor *executor = place_executor(p);
        weir_future *futures[8];
        for (size_t i = 0; i < 8; i++)
            futures[i] = place_submit(executor, race, (void *)(uintptr_t)(i + 1), 0);
        EXPECT_INT(place_join(futures, 8), 0);
        weir_executor_free(executor);
    }
}

static weir_status run_on_this_thread(void)
{
    timed t = {.span = 0};
    return wi_op_run(&t.op, timed_begin, timed_cancel, NULL);
}

TEST(the_service_loop_starts_once_if_at_all)
{
    weir_status status = WEIR_NOMEM;
    long failed = 0;
    for (; status == WEIR_NOMEM; failed++) {
        long before = atomic_load(&torture_live);
        torture_arm(failed, false);
        status = run_on_this_thread();
        torture_left = -1;
        EXPECT(status == WEIR_OK || atomic_load(&torture_live) == before);
    }
    EXPECT_INT(status, WEIR_OK);
    EXPECT(failed > 1);
    int threads = place_threads();
    EXPECT_INT(run_on_this_thread(), WEIR_OK);
    EXPECT_INT(place_threads(), threads);
}

TEST(a_child_of_fork_has_a_service_loop_of_its_own)
{
    EXPECT_INT(run_on_this_thread(), WEIR_OK);
    EXPECT_INT(place_after_fork(run_on_this_thread), WEIR_OK);
    EXPECT_INT(run_on_this_thread(), WEIR_OK);
}

TESTS(CASE(the_service_loop_starts_once_if_at_all),
      CASE(an_operation_ends_by_itself_at_once_or_later),
      CASE(a_deadline_cancels_it_once_and_waits_for_its_end),
      CASE(cancelling_the_task_cancels_it_once), CASE(it_does_not_begin_for_a_task_that_is_to_end),
      CASE(unless_it_has_to), CASE(ends_and_cancellations_may_meet),
      CASE(a_child_of_fork_has_a_service_loop_of_its_own))
