/*
 * executor_stress_test.c: several threads at once submit, cancel, wait with timeouts, form groups
 * and shut down, as a seeded generator decides. Whatever happens, each task that was taken in ends
 * exactly once, and the counts say so.
 */
#include <pthread.h>
#include <stdint.h>

#include "kinds.h"
#include "weir/group.h"

enum {
    ROUNDS = 12,
    ACTORS = 3,
    ACTIONS = 60,
    HELD = 8,
};

typedef struct dice {
    uint64_t state;
} dice;

static uint32_t roll(dice *d, uint32_t sides)
{
    d->state = d->state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(d->state >> 33) % sides;
}

static atomic_llong ended; /* callbacks */

static void count_end(weir_future *future, void *arg)
{
    (void)arg;
    EXPECT(weir_future_done(future));
    atomic_fetch_add(&ended, 1);
}

/* What a task does is in the number it is given. */
static void *do_something(void *arg, weir_error *err)
{
    const errand *e = arg;
    switch (e->number % 5) {
    case 0:
        return answer(e->number, err);
    case 1:
        return fail(arg, err);
    case 2:
        return weir_sleep(e->number * 1000, err) ? NULL : answer(e->number, err);
    case 3:
        return weir_yield(err) ? NULL : answer(e->number, err);
    default:
        return weir_task_check(err) ? NULL : answer(e->number, err);
    }
}

typedef struct actor {
    weir_executor *ex;
    weir_group *group;
    dice dice;
    int number;
    long long taken; /* tasks that this one handed in, and watches */
    weir_future *held[HELD];
} actor;

static void drop(weir_future **place)
{
    weir_future_unref(*place);
    *place = NULL;
}

static void submit_one(actor *a)
{
    weir_future **place = &a->held[roll(&a->dice, HELD)];
    drop(place);
    errand *e = malloc(sizeof *e);
    *e = errand_of((int)roll(&a->dice, 500), 0);
    weir_task task = task_of(do_something, e);
    task.argument.release = free;
    task.timeout = roll(&a->dice, 4) ? 0 : (int64_t)roll(&a->dice, 400000) + 1;
    uint32_t way = roll(&a->dice, 5);
    weir_status status = way == 0   ? weir_executor_try_submit(a->ex, &task, place, NULL)
                         : way == 1 ? weir_group_submit(a->group, &task, place, NULL)
                                    : weir_executor_submit(a->ex, &task, place, NULL);
    if (status) {
        EXPECT(status == WEIR_AGAIN || status == WEIR_CLOSED || status == WEIR_CANCELLED);
        free(e);
        return;
    }
    a->taken++;
    EXPECT_INT(weir_future_add_done_callback(*place, count_end, NULL, NULL), WEIR_OK);
}

static void shut_down_somehow(actor *a)
{
    weir_shutdown_options options = {
        .cancel_pending = (int)roll(&a->dice, 2),
        .cancel_running = (int)roll(&a->dice, 2),
        .no_wait = (int)roll(&a->dice, 2),
        .timeout = (int64_t)roll(&a->dice, 2) * 100000,
    };
    weir_status status = weir_executor_shutdown(a->ex, &options, NULL);
    EXPECT(status == WEIR_OK || status == WEIR_TIMEDOUT);
}

static void act(actor *a)
{
    weir_future *future = a->held[roll(&a->dice, HELD)];
    uint32_t what = roll(&a->dice, 100);
    if (what < 60)
        submit_one(a);
    else if (what < 75 && future)
        weir_future_cancel(future);
    else if (what < 90 && future)
        weir_future_error(future, (int64_t)roll(&a->dice, 300000), NULL);
    else if (what < 92)
        weir_group_wait(a->group, (int64_t)roll(&a->dice, 100000), NULL);
    else if (what == 92 && roll(&a->dice, 8) == 0)
        weir_group_cancel(a->group);
    else if (what == 93 && a->number == 0 && roll(&a->dice, 4) == 0)
        shut_down_somehow(a);
}

static void *play(void *arg)
{
    actor *a = arg;
    for (int i = 0; i < ACTIONS; i++)
        act(a);
    return NULL;
}

static void play_round(uint64_t seed)
{
    dice d = {seed};
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = (int)roll(&d, 4) + 1,
                                                              .queue_limit = roll(&d, 20) + 1});
    REQUIRE(ex);
    weir_group *group = NULL;
    weir_group_policy policy = roll(&d, 2) ? WEIR_GROUP_CANCEL_REST : WEIR_GROUP_KEEP_GOING;
    REQUIRE(weir_group_new(ex, policy, &group, NULL) == WEIR_OK);
    actor actors[ACTORS] = {0};
    pthread_t threads[ACTORS];
    long long taken = 0;
    atomic_store(&ended, 0);
    for (int i = 0; i < ACTORS; i++) {
        actors[i] =
            (actor){.ex = ex, .group = group, .number = i, .dice = {seed * 31 + (unsigned)i}};
        REQUIRE(pthread_create(&threads[i], NULL, play, &actors[i]) == 0);
    }
    for (int i = 0; i < ACTORS; i++) {
        pthread_join(threads[i], NULL);
        taken += actors[i].taken;
    }
    weir_group_free(group);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, NULL), WEIR_OK);
    weir_executor_stats s = stats_of(ex);
    EXPECT_INT(s.submitted, taken);
    EXPECT_INT(s.succeeded + s.failed + s.cancelled, taken);
    EXPECT_INT(s.pending + s.running + s.workers, 0);
    weir_executor_free(ex);
    EXPECT_INT(atomic_load(&ended), taken);
    for (int i = 0; i < ACTORS; i++)
        for (int k = 0; k < HELD; k++)
            drop(&actors[i].held[k]);
}

TEST(whatever_happens_each_task_ends_once)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        int failures = atomic_load(&test_failures);
        play_round(seed);
        if (atomic_load(&test_failures) > failures)
            printf("# in the round of seed %d\n", (int)seed);
    }
}

KIND_TESTS(KIND_CASE(whatever_happens_each_task_ends_once))
