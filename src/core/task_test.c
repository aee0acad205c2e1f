/* task_test.c: tasks nest, have deadlines, and end when they are asked to, wherever they wait. */
#include "task.h"

#include <pthread.h>

#include "clock.h"
#include "on_fibers.h"
#include "test.h"
#include "weir/wait.h"

TEST(outside_all_tasks_is_a_root)
{
    wi_task *root = wi_task_current();
    EXPECT(wi_task_is_root(root));
    EXPECT(root->deadline == WI_FOREVER && !root->future && !root->executor);
    EXPECT_INT(wi_task_check(NULL), WEIR_OK);
}

TEST(tasks_nest)
{
    wi_task *root = wi_task_current();
    wi_task a;
    wi_task b;
    wi_task_enter(&a, "a", 0);
    EXPECT(wi_task_current() == &a && a.outer == root && !wi_task_is_root(&a));
    wi_task_enter(&b, NULL, 0);
    EXPECT(wi_task_current() == &b && b.outer == &a && a.inner == &b);
    EXPECT_STR(wi_task_name(&b), "(unnamed)");
    wi_task_leave(&b);
    EXPECT(wi_task_current() == &a && !a.inner);
    wi_task_leave(&a);
    EXPECT(wi_task_current() == root && !root->inner);
}

TEST(a_task_that_was_asked_does_not_wait)
{
    weir_error err;
    wi_task task;
    wi_task outer;
    wi_task_enter(&outer, "outer", 0);
    wi_task_enter(&task, "weigh", 0);
    wi_task_cancel(&task);
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    EXPECT(task.parker == waiting.parker);
    EXPECT_INT(wi_task_wait(&waiting, WI_FOREVER, &err), WEIR_CANCELLED);
    EXPECT_STR(err.text, "the task weigh was cancelled");
    wi_task_wait_end(&waiting);
    EXPECT(!task.parker);
    wi_task_leave(&task);
    EXPECT_INT(wi_task_check(NULL), WEIR_OK); /* the outer one was not asked */
    wi_task_leave(&outer);
}

TEST(deadlines_do_not_overflow)
{
    EXPECT(wi_deadline_in(-1) == WI_FOREVER);
    EXPECT(wi_deadline_in(INT64_MAX) == WI_FOREVER);
    EXPECT(wi_deadline_in(0) <= wi_park_now());
    int64_t soon = wi_deadline_in(WI_SECOND);
    EXPECT(soon > wi_park_now() - WI_SECOND && soon <= wi_park_now() + WI_SECOND);
}

/* ---- threads ---- */

typedef struct sleeper {
    _Atomic(wi_task *) task;
    atomic_bool go;
    atomic_bool left;
    weir_status status;
} sleeper;

static void *sleep_long(void *arg)
{
    sleeper *me = arg;
    wi_task task;
    wi_task_enter(&task, "sleeper", 0);
    atomic_store(&me->task, &task);
    me->status = weir_sleep(WEIR_SECONDS(100000), NULL);
    atomic_store(&me->left, true);
    while (!atomic_load(&me->go)) /* the caller of cancel keeps the task from leaving */
        weir_yield(NULL);
    wi_task_leave(&task);
    return NULL;
}

TEST(cancelling_ends_a_wait_of_a_thread)
{
    for (int i = 0; i < 200; i++) {
        sleeper s = {.status = WEIR_OK};
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, sleep_long, &s) == 0);
        while (!atomic_load(&s.task))
            continue;
        for (int spin = 0; spin < i * 20 && !atomic_load(&s.left); spin++)
            continue;
        wi_task_cancel(atomic_load(&s.task));
        atomic_store(&s.go, true);
        pthread_join(thread, NULL);
        EXPECT_INT(s.status, WEIR_CANCELLED);
    }
}

typedef struct deaf {
    _Atomic(wi_task *) task;
    _Atomic(wi_parker *) parker;
    atomic_bool condition;
} deaf;

static void *wait_deaf(void *arg)
{
    deaf *me = arg;
    wi_task task;
    wi_task_enter(&task, "deaf", 1);
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    atomic_store(&me->task, &task);
    atomic_store(&me->parker, waiting.parker);
    while (!atomic_load(&me->condition))
        wi_task_wait_deaf(&waiting);
    wi_task_wait_end(&waiting);
    wi_task_leave(&task);
    return NULL;
}

TEST(a_deaf_wait_hears_its_condition_only)
{
    deaf d = {.condition = false};
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, wait_deaf, &d) == 0);
    while (!atomic_load(&d.parker))
        continue;
    for (int i = 0; i < 100; i++)
        wi_task_cancel(atomic_load(&d.task));
    wi_parker *parker = atomic_load(&d.parker);
    atomic_store(&d.condition, true);
    wi_unpark(parker); /* a thread's: it outlives the wait, and is joined below */
    EXPECT_INT(pthread_join(thread, NULL), 0);
}

/* ---- fibers ---- */

static void outlive(void *arg)
{
    weir_error err;
    wi_task task;
    EXPECT(wi_task_is_root(wi_task_current()));
    wi_task_enter(&task, "limited", 50);
    EXPECT_INT(weir_sleep(30, &err), WEIR_OK);
    EXPECT_INT(wi_park_now(), 1030);
    EXPECT_INT(weir_sleep(30, &err), WEIR_TIMEDOUT);
    EXPECT_STR(err.text, "the deadline of the task limited has passed");
    EXPECT_INT(wi_park_now(), 1050);
    EXPECT_INT(weir_sleep(30, &err), WEIR_TIMEDOUT);
    EXPECT_INT(wi_park_now(), 1050);
    wi_task_leave(&task);
    EXPECT(wi_task_is_root(wi_task_current()));
    *(bool *)arg = true;
}

TEST(the_deadline_ends_a_wait)
{
    on_fibers f;
    bool done = false;
    REQUIRE(fibers_begin(&f));
    fibers_go(&f, outlive, &done);
    fibers_end(&f);
    EXPECT(done);
}

typedef struct pair {
    wi_task task;
    weir_status status;
    int64_t ended;
} pair;

static void sleep_until_asked(void *arg)
{
    pair *p = arg;
    wi_task_enter(&p->task, "one", 0);
    p->status = weir_sleep(WI_SECOND, NULL);
    p->ended = wi_park_now();
    wi_task_leave(&p->task);
}

static void ask_after_a_while(void *arg)
{
    pair *p = arg;
    wi_task other;
    wi_task_enter(&other, "two", 0);
    EXPECT(wi_task_current() == &other);
    EXPECT_INT(weir_sleep(70, NULL), WEIR_OK);
    EXPECT(wi_task_current() == &other); /* though another fiber has run meanwhile */
    wi_task_cancel(&p->task);
    wi_task_leave(&other);
}

TEST(each_fiber_has_its_own_task)
{
    on_fibers f;
    pair p = {.status = WEIR_OK};
    REQUIRE(fibers_begin(&f));
    fibers_go(&f, sleep_until_asked, &p);
    fibers_go(&f, ask_after_a_while, &p);
    fibers_end(&f);
    EXPECT_INT(p.status, WEIR_CANCELLED);
    EXPECT_INT(p.ended, 1070);
}

TESTS(CASE(outside_all_tasks_is_a_root), CASE(tasks_nest),
      CASE(a_task_that_was_asked_does_not_wait), CASE(deadlines_do_not_overflow),
      CASE(cancelling_ends_a_wait_of_a_thread), CASE(a_deaf_wait_hears_its_condition_only),
      CASE(the_deadline_ends_a_wait), CASE(each_fiber_has_its_own_task))
