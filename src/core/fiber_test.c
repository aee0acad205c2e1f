/* fiber_test.c: fibers of one loop, on a virtual clock wherever time plays a part. */
#include "fiber.h"

#include <stdlib.h>

#include "test.h"
#include "weir/fiber.h"

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

TESTS(CASE(fibers_run_in_the_order_they_started), CASE(a_suspension_ends_at_its_deadline))
