/* fiber_test.c: fibers of one loop, on a virtual clock wherever time plays a part. */
#include "fiber.h"

#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>

#include "sanitize.h"
#include "stack.h"
#include "switch.h"
#include "torture.h"
#include "weir/fiber.h"

/* The thread sanitizer knows no more than 8,000 at a time. */
enum { MANY = WI_TSAN || WI_ASAN ? 1000 : 10000 };

typedef struct fixture {
    wi_clock clock;
    wi_loop *loop;
    wi_fibers *fibers;
} fixture;

#define FIXTURE(f)                                                    \
    fixture f = {.clock = {.is_virtual = true, .virtual_now = 1000}}; \
    REQUIRE(wi_loop_new(&f.clock, &f.loop, NULL) == WEIR_OK);         \
    REQUIRE(wi_fibers_new(f.loop, 0, &f.fibers, NULL) == WEIR_OK)

static void run_all(fixture *f)
{
    while (wi_fibers_live(f->fibers))
        wi_loop_turn(f->loop, true, NULL);
}

static void finish(fixture *f)
{
    run_all(f);
    wi_fibers_free(f->fibers);
    wi_loop_free(f->loop);
}

/* ---- order and time ---- */

typedef struct trace {
    char text[64];
    size_t len;
} trace;

typedef struct traced {
    trace *trace;
    char mark;
    int64_t sleep;
} traced;

static void note(trace *t, char mark)
{
    if (t->len + 1 < sizeof t->text)
        t->text[t->len++] = mark;
}

static void run_traced(void *arg)
{
    traced *t = arg;
    for (int i = 0; i < 3; i++) {
        note(t->trace, t->mark);
        if (t->sleep)
            wi_fiber_suspend(wi_loop_now(wi_fiber_loop(wi_fiber_current())) + t->sleep);
        else
            wi_fiber_yield();
    }
}

TEST(fibers_run_in_the_order_they_started)
{
    FIXTURE(f);
    trace all = {0};
    traced each[] = {{&all, 'a', 0}, {&all, 'b', 0}, {&all, 'c', 0}};
    for (int i = 0; i < 3; i++)
        REQUIRE(wi_fiber_start(f.fibers, run_traced, &each[i], NULL) == WEIR_OK);
    EXPECT_INT(all.len, 0);
    EXPECT_INT(wi_fibers_live(f.fibers), 3);
    finish(&f);
    EXPECT_STR(all.text, "abcabcabc");
}

TEST(a_suspension_ends_at_its_deadline)
{
    FIXTURE(f);
    trace all = {0};
    traced each[] = {{&all, 'a', 30}, {&all, 'b', 20}, {&all, 'c', 50}};
    for (int i = 0; i < 3; i++)
        REQUIRE(wi_fiber_start(f.fibers, run_traced, &each[i], NULL) == WEIR_OK);
    finish(&f);
    EXPECT_STR(all.text, "abcbabcac");
    EXPECT_INT(f.clock.virtual_now, 1150);
}

static void nothing(wi_timer *timer)
{
    (void)timer;
}

static void yield_until_fired(void *arg)
{
    int *turns = arg;
    wi_timer timer;
    REQUIRE(wi_timer_init(&timer, wi_fiber_loop(wi_fiber_current()), nothing));
    wi_timer_set(&timer, 1000);
    for (; wi_timer_is_set(&timer) && *turns < 100; ++*turns)
        wi_fiber_yield();
    wi_timer_fini(&timer);
}

TEST(yield_lets_the_loop_take_a_turn)
{
    FIXTURE(f);
    int turns = 0;
    REQUIRE(wi_fiber_start(f.fibers, yield_until_fired, &turns, NULL) == WEIR_OK);
    finish(&f);
    EXPECT_INT(turns, 1);
}

/* ---- wakes ---- */

typedef struct sleeper {
    wi_fiber *fiber;
    int wakes; /* before it ends */
    int woken;
    int64_t deadline;
} sleeper;

static void sleep_some(void *arg)
{
    sleeper *s = arg;
    s->fiber = wi_fiber_current();
    while (s->woken < s->wakes) {
        wi_fiber_suspend(s->deadline);
        s->woken++;
    }
}

static void wake_sleeper(void *arg)
{
    wi_fiber_wake(((sleeper *)arg)->fiber);
}

TEST(a_wake_ends_a_suspension_once)
{
    FIXTURE(f);
    sleeper s = {.wakes = 2, .deadline = WI_FOREVER};
    REQUIRE(wi_fiber_start(f.fibers, sleep_some, &s, NULL) == WEIR_OK);
    for (int i = 0; i < 3; i++)
        wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(s.woken, 0);
    wake_sleeper(&s);
    wake_sleeper(&s);
    for (int i = 0; i < 3; i++)
        wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(s.woken, 1); /* both came before it went on */
    wake_sleeper(&s);
    finish(&f);
    EXPECT_INT(s.woken, 2);
}

TEST(a_wake_before_the_deadline_leaves_no_timer_behind)
{
    FIXTURE(f);
    sleeper s = {.wakes = 1, .deadline = 50000};
    REQUIRE(wi_fiber_start(f.fibers, sleep_some, &s, NULL) == WEIR_OK);
    wi_loop_turn(f.loop, false, NULL);
    REQUIRE(wi_fiber_start(f.fibers, wake_sleeper, &s, NULL) == WEIR_OK);
    finish(&f);
    EXPECT_INT(s.woken, 1);
    EXPECT_INT(f.clock.virtual_now, 1000);
}

static void wake_self_and_suspend(void *arg)
{
    wi_fiber_wake(wi_fiber_current());
    wi_fiber_suspend(WI_FOREVER);
    wi_fiber_wake(wi_fiber_current());
    wi_fiber_yield(); /* is no suspension */
    wi_fiber_suspend(WI_FOREVER);
    *(bool *)arg = true;
}

TEST(a_wake_that_came_before_is_not_lost)
{
    FIXTURE(f);
    bool done = false;
    REQUIRE(wi_fiber_start(f.fibers, wake_self_and_suspend, &done, NULL) == WEIR_OK);
    for (int i = 0; i < 5; i++)
        wi_loop_turn(f.loop, false, NULL);
    EXPECT(done);
    finish(&f);
}

enum { WAKERS = 3, TARGETS = 50, WAKES_EACH = 40 };

/* Whoever wakes holds the lock, so the fiber cannot have returned. */
typedef struct target {
    pthread_mutex_t lock;
    wi_fiber *fiber; /* NULL: it has returned, or not begun */
    int given;
} target;

static void take_wakes(void *arg)
{
    target *t = arg;
    pthread_mutex_lock(&t->lock);
    t->fiber = wi_fiber_current();
    while (t->given < WAKERS * WAKES_EACH) {
        pthread_mutex_unlock(&t->lock);
        wi_fiber_suspend(WI_FOREVER);
        pthread_mutex_lock(&t->lock);
    }
    t->fiber = NULL;
    pthread_mutex_unlock(&t->lock);
}

static void *give_wakes(void *arg)
{
    target *targets = arg;
    for (int i = 0; i < WAKES_EACH; i++) {
        for (int k = 0; k < TARGETS; k++) {
            target *t = &targets[k];
            pthread_mutex_lock(&t->lock);
            t->given++;
            if (t->fiber)
                wi_fiber_wake(t->fiber);
            pthread_mutex_unlock(&t->lock);
        }
    }
    return NULL;
}

TEST(wakes_come_from_other_threads)
{
    wi_loop *loop;
    wi_fibers *fibers;
    REQUIRE(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK);
    REQUIRE(wi_fibers_new(loop, 0, &fibers, NULL) == WEIR_OK);
    static target targets[TARGETS];
    for (int i = 0; i < TARGETS; i++) {
        pthread_mutex_init(&targets[i].lock, NULL);
        REQUIRE(wi_fiber_start(fibers, take_wakes, &targets[i], NULL) == WEIR_OK);
    }
    pthread_t threads[WAKERS];
    for (int i = 0; i < WAKERS; i++)
        pthread_create(&threads[i], NULL, give_wakes, targets);
    while (wi_fibers_live(fibers))
        wi_loop_turn(loop, true, NULL);
    for (int i = 0; i < WAKERS; i++)
        pthread_join(threads[i], NULL);
    wi_fibers_free(fibers); /* with wakes on their way, most likely */
    wi_loop_free(loop);
    for (int i = 0; i < TARGETS; i++)
        EXPECT_INT(targets[i].given, WAKERS * WAKES_EACH);
}

static void *wake_from_elsewhere(void *arg)
{
    wi_fiber_wake(arg);
    return NULL;
}

static void be_woken_and_return(void *arg)
{
    *(uintptr_t *)arg = (uintptr_t)wi_fiber_current();
    pthread_t thread;
    pthread_create(&thread, NULL, wake_from_elsewhere, wi_fiber_current());
    pthread_join(thread, NULL);
}

static void tell_self(void *arg)
{
    *(uintptr_t *)arg = (uintptr_t)wi_fiber_current();
}

TEST(memory_waits_for_a_wake_on_its_way)
{
    FIXTURE(f);
    uintptr_t woken = 0;
    uintptr_t next = 0;
    uintptr_t last = 0;
    REQUIRE(wi_fiber_start(f.fibers, be_woken_and_return, &woken, NULL) == WEIR_OK);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(wi_fibers_live(f.fibers), 0);
    REQUIRE(wi_fiber_start(f.fibers, tell_self, &next, NULL) == WEIR_OK);
    wi_loop_turn(f.loop, false, NULL); /* delivers the wake, and runs that */
    REQUIRE(wi_fiber_start(f.fibers, tell_self, &last, NULL) == WEIR_OK);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT(woken && next && woken >> 12 != next >> 12);
    EXPECT_INT(last >> 12, woken >> 12);
    REQUIRE(wi_fiber_start(f.fibers, be_woken_and_return, &woken, NULL) == WEIR_OK);
    wi_loop_turn(f.loop, false, NULL);
    finish(&f); /* with a wake on its way */
}

/* ---- many ---- */

static void count_over_waits(void *arg)
{
    volatile int local = 0;
    for (int i = 0; i < 5; i++) {
        local += i;
        if (i % 2)
            wi_fiber_yield();
        else
            wi_fiber_suspend(wi_loop_now(wi_fiber_loop(wi_fiber_current())) + 10 * (i + 1));
    }
    *(int *)arg += local;
}

TEST(many_fibers_wait_at_the_same_time)
{
    FIXTURE(f);
    weir_fiber_stats before;
    weir_fiber_stats during;
    weir_fiber_stats after;
    int sum = 0;
    weir_fiber_stats_get(&before);
    for (int i = 0; i < MANY; i++)
        REQUIRE(wi_fiber_start(f.fibers, count_over_waits, &sum, NULL) == WEIR_OK);
    for (int i = 0; i < 5; i++)
        wi_loop_turn(f.loop, false, NULL);
    weir_fiber_stats_get(&during);
    EXPECT_INT(during.live - before.live, MANY);
    run_all(&f);
    weir_fiber_stats_get(&after);
    EXPECT_INT(sum, 10 * MANY);
    EXPECT_INT(after.live, before.live);
    EXPECT_INT(after.switches - before.switches, 6 * MANY);
    EXPECT(after.pooled > before.pooled);
    EXPECT(after.pooled - before.pooled <= WI_STACK_KEPT);
    EXPECT_STR(after.switching, wi_switch_name);
    finish(&f);
    weir_fiber_stats_get(&after);
    EXPECT_INT(after.pooled, before.pooled);
}

static void start_more(void *arg)
{
    int *left = arg;
    wi_fibers *family = wi_fiber_family(wi_fiber_current());
    if (--*left > 0)
        EXPECT(wi_fiber_start(family, start_more, left, NULL) == WEIR_OK);
    wi_fiber_yield();
}

TEST(fibers_start_fibers)
{
    FIXTURE(f);
    int left = 100;
    REQUIRE(wi_fiber_start(f.fibers, start_more, &left, NULL) == WEIR_OK);
    finish(&f);
    EXPECT_INT(left, 0);
}

typedef struct pair {
    wi_fiber *fibers[2];
    int wakes;
    bool enough;
} pair;

static void wake_each_other(void *arg)
{
    pair *p = arg;
    int self = p->fibers[0] != NULL;
    p->fibers[self] = wi_fiber_current();
    while (!p->enough) {
        p->wakes++;
        if (p->fibers[!self])
            wi_fiber_wake(p->fibers[!self]);
        wi_fiber_suspend(WI_FOREVER);
    }
}

TEST(fibers_that_never_rest_do_not_starve_the_loop)
{
    FIXTURE(f);
    pair p = {.wakes = 0};
    for (int i = 0; i < 2; i++)
        REQUIRE(wi_fiber_start(f.fibers, wake_each_other, &p, NULL) == WEIR_OK);
    for (int turn = 1; turn <= 3; turn++) {
        int before = p.wakes;
        wi_loop_turn(f.loop, false, NULL);
        EXPECT(p.wakes > before && p.wakes < 100000 * turn);
    }
    p.enough = true;
    wi_fiber_wake(p.fibers[0]);
    wi_fiber_wake(p.fibers[1]);
    finish(&f);
}

/* ---- what a fiber keeps ---- */

static void keep_rounding(void *arg)
{
    int mode = *(int *)arg;
    EXPECT_INT(fegetround(), FE_TONEAREST);
    fesetround(mode);
    for (int i = 0; i < 3; i++) {
        wi_fiber_yield();
        EXPECT_INT(fegetround(), mode);
    }
}

TEST(floating_point_control_is_a_fibers_own)
{
    FIXTURE(f);
    int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int i = 0; i < 3; i++)
        REQUIRE(wi_fiber_start(f.fibers, keep_rounding, &modes[i], NULL) == WEIR_OK);
    for (int i = 0; i < 6; i++) {
        wi_loop_turn(f.loop, false, NULL);
        EXPECT_INT(fegetround(), FE_TONEAREST);
    }
    finish(&f);
}

/* More values than there are registers to keep over a call, of both kinds. */
static void keep_values(void *arg)
{
    const volatile int *from = arg;
    long a = from[0], b = from[1], c = from[2], d = from[3], e = from[4], g = from[5];
    double h = a * 0.5, i = b * 0.5, j = c * 0.5, k = d * 0.5, l = e * 0.5, m = g * 0.5;
    double n = a * 0.25, o = b * 0.25, p = c * 0.25, q = d * 0.25;
    for (int turn = 0; turn < 3; turn++) {
        wi_fiber_yield();
        EXPECT_INT(a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * g, 654321 * from[0]);
        EXPECT_INT((int64_t)(h + i + j + k + l + m), 21 * from[0] / 2);
        EXPECT_INT((int64_t)(100 * (n + o + p + q)), 250 * from[0]);
    }
}

TEST(registers_are_a_fibers_own)
{
    FIXTURE(f);
    int values[3][6];
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 6; k++)
            values[i][k] = (i + 1) * (k + 1);
        REQUIRE(wi_fiber_start(f.fibers, keep_values, values[i], NULL) == WEIR_OK);
    }
    finish(&f);
}

static void use_local(void *arg)
{
    void **local = wi_fiber_local(wi_fiber_current());
    EXPECT(*local == NULL);
    *local = arg;
    wi_fiber_yield();
    EXPECT(*wi_fiber_local(wi_fiber_current()) == arg);
}

TEST(each_fiber_has_a_pointer_for_the_layer_above)
{
    FIXTURE(f);
    for (int round = 0; round < 2; round++) {
        REQUIRE(wi_fiber_start(f.fibers, use_local, &f, NULL) == WEIR_OK);
        REQUIRE(wi_fiber_start(f.fibers, use_local, &round, NULL) == WEIR_OK);
        run_all(&f);
    }
    finish(&f);
}

/* ---- where am I ---- */

static void look_around(void *arg)
{
    fixture *f = arg;
    EXPECT_INT(weir_fiber_inside(), 1);
    size_t left = weir_fiber_stack_left();
    EXPECT(left > WI_STACK_DEFAULT / 2 && left < WI_STACK_DEFAULT);
    EXPECT(wi_fiber_loop(wi_fiber_current()) == f->loop);
    EXPECT(wi_fiber_family(wi_fiber_current()) == f->fibers);
}

TEST(a_fiber_knows_that_it_is_one)
{
    FIXTURE(f);
    EXPECT_INT(weir_fiber_inside(), 0);
    EXPECT_INT(weir_fiber_stack_left(), 0);
    EXPECT(wi_fiber_current() == NULL);
    REQUIRE(wi_fiber_start(f.fibers, look_around, &f, NULL) == WEIR_OK);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(weir_fiber_inside(), 0);
    finish(&f);
}

/* ---- calls on the loop's stack ---- */

static void use_much_stack(void *arg)
{
    volatile char room[4 * WI_STACK_DEFAULT];
    for (size_t i = 0; i < sizeof room; i += 64)
        room[i] = 1;
    EXPECT_INT(weir_fiber_inside(), 0);
    *(int *)arg += room[64];
}

static void call_deep(void *arg)
{
    wi_fiber *self = wi_fiber_current();
    for (int i = 0; i < 3; i++) {
        wi_fiber_call(use_much_stack, arg);
        EXPECT(wi_fiber_current() == self);
        wi_fiber_yield();
    }
}

typedef struct nested {
    fixture inner;
    int calls;
} nested;

static void run_another_loop(void *arg)
{
    nested *n = arg;
    EXPECT(wi_fiber_start(n->inner.fibers, call_deep, &n->calls, NULL) == WEIR_OK);
    run_all(&n->inner);
}

static void call_another_loop(void *arg)
{
    wi_fiber *self = wi_fiber_current();
    wi_fiber_call(run_another_loop, arg);
    EXPECT(wi_fiber_current() == self);
}

TEST(a_call_runs_on_the_loops_stack)
{
    FIXTURE(f);
    FIXTURE(inner);
    nested n = {inner, 0};
    int calls = 0;
    wi_fiber_call(use_much_stack, &calls);
    REQUIRE(wi_fiber_start(f.fibers, call_deep, &calls, NULL) == WEIR_OK);
    REQUIRE(wi_fiber_start(f.fibers, call_deep, &calls, NULL) == WEIR_OK);
    REQUIRE(wi_fiber_start(f.fibers, call_another_loop, &n, NULL) == WEIR_OK);
    finish(&f);
    EXPECT_INT(calls, 7);
    EXPECT_INT(n.calls, 3);
    finish(&inner);
}

/* ---- failures ---- */

static weir_status start_many(void)
{
    static wi_clock clock = {.is_virtual = true};
    wi_loop *loop;
    wi_fibers *fibers = NULL;
    int sum = 0;
    int started = 0;
    weir_status status = wi_loop_new(&clock, &loop, NULL);
    if (status)
        return status;
    status = wi_fibers_new(loop, 0, &fibers, NULL);
    for (; !status && started < 150; started++)
        status = wi_fiber_start(fibers, count_over_waits, &sum, NULL);
    while (fibers && wi_fibers_live(fibers))
        wi_loop_turn(loop, true, NULL);
    EXPECT_INT(sum, 10 * (status ? started ? started - 1 : 0 : started));
    wi_fibers_free(fibers);
    wi_loop_free(loop);
    return status;
}

TEST(starting_survives_lack_of_memory)
{
    TORTURE(start_many());
}

TEST(a_stack_can_be_too_large)
{
    FIXTURE(f);
    wi_fibers *none = NULL;
    weir_error err;
    EXPECT(wi_fibers_new(f.loop, SIZE_MAX, &none, &err) == WEIR_INVALID);
    EXPECT(strstr(err.text, "stack_size") != NULL);
    EXPECT(none == NULL);
    finish(&f);
}

TESTS(CASE(fibers_run_in_the_order_they_started), CASE(a_suspension_ends_at_its_deadline),
      CASE(yield_lets_the_loop_take_a_turn), CASE(a_wake_ends_a_suspension_once),
      CASE(a_wake_before_the_deadline_leaves_no_timer_behind),
      CASE(a_wake_that_came_before_is_not_lost), CASE(wakes_come_from_other_threads),
      CASE(memory_waits_for_a_wake_on_its_way), CASE(many_fibers_wait_at_the_same_time),
      CASE(fibers_start_fibers), CASE(fibers_that_never_rest_do_not_starve_the_loop),
      CASE(floating_point_control_is_a_fibers_own), CASE(registers_are_a_fibers_own),
      CASE(each_fiber_has_a_pointer_for_the_layer_above), CASE(a_fiber_knows_that_it_is_one),
      CASE(a_call_runs_on_the_loops_stack), CASE(starting_survives_lack_of_memory),
      CASE(a_stack_can_be_too_large))
