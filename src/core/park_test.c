/* park_test.c: threads and fibers stand still and go on. */
#include "park.h"

#include <pthread.h>

#include "test.h"

TEST(a_permit_given_early_is_not_lost)
{
    wi_parker place;
    wi_parker *mine = wi_parker_here(&place);
    EXPECT(mine != &place);
    EXPECT(mine == wi_parker_here(&place));
    wi_unpark(mine);
    wi_unpark(mine);
    wi_park(mine, WI_FOREVER);
    wi_park(mine, wi_park_now()); /* there was one permit only */
    wi_park(mine, -5);
}

TEST(a_thread_waits_for_its_deadline)
{
    wi_parker place;
    wi_parker *mine = wi_parker_here(&place);
    int64_t deadline = wi_park_now() + 2 * WI_MILLISECOND;
    while (wi_park_now() < deadline)
        wi_park(mine, deadline);
}

/* Two take turns: whoever's turn it is hands it to the other. */
enum { TURNS = 2000 };

typedef struct table {
    pthread_mutex_t lock;
    wi_parker *parkers[2];
    int turn;
    int left;
} table;

typedef struct player {
    table *table;
    int number;
} player;

static void play(void *arg)
{
    const player *self = arg;
    table *t = self->table;
    wi_parker place;
    wi_parker *mine = wi_parker_here(&place);
    pthread_mutex_lock(&t->lock);
    t->parkers[self->number] = mine;
    for (;;) {
        while (t->left && t->turn != self->number) {
            pthread_mutex_unlock(&t->lock);
            wi_park(mine, WI_FOREVER);
            pthread_mutex_lock(&t->lock);
        }
        t->turn = !self->number;
        if (t->parkers[t->turn])
            wi_unpark(t->parkers[t->turn]);
        if (!t->left)
            break;
        t->left--;
    }
    t->parkers[self->number] = NULL;
    pthread_mutex_unlock(&t->lock);
}

static void *play_on_a_thread(void *arg)
{
    play(arg);
    return NULL;
}

TEST(threads_take_turns)
{
    table t = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = TURNS};
    player players[] = {{&t, 0}, {&t, 1}};
    pthread_t thread;
    pthread_create(&thread, NULL, play_on_a_thread, &players[0]);
    play(&players[1]);
    pthread_join(thread, NULL);
    EXPECT_INT(t.left, 0);
}

static void run_with_fibers(table *t, bool two_fibers)
{
    player players[] = {{t, 0}, {t, 1}};
    wi_loop *loop;
    wi_fibers *fibers;
    REQUIRE(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK);
    REQUIRE(wi_fibers_new(loop, 0, &fibers, NULL) == WEIR_OK);
    REQUIRE(wi_fiber_start(fibers, play, &players[0], NULL) == WEIR_OK);
    pthread_t thread;
    if (two_fibers)
        REQUIRE(wi_fiber_start(fibers, play, &players[1], NULL) == WEIR_OK);
    else
        pthread_create(&thread, NULL, play_on_a_thread, &players[1]);
    while (wi_fibers_live(fibers))
        wi_loop_turn(loop, true, NULL);
    if (!two_fibers)
        pthread_join(thread, NULL);
    wi_fibers_free(fibers);
    wi_loop_free(loop);
}

TEST(a_fiber_and_a_thread_take_turns)
{
    table t = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = TURNS};
    run_with_fibers(&t, false);
    EXPECT_INT(t.left, 0);
}

TEST(fibers_take_turns)
{
    table t = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = TURNS};
    run_with_fibers(&t, true);
    EXPECT_INT(t.left, 0);
}

static void wait_on_its_clock(void *arg)
{
    wi_parker place;
    wi_parker *mine = wi_parker_here(&place);
    EXPECT(mine == &place);
    int64_t deadline = wi_park_now() + 3600 * WI_SECOND;
    while (wi_park_now() < deadline)
        wi_park(mine, deadline);
    *(int64_t *)arg = wi_park_now();
}

TEST(a_fibers_deadline_is_on_its_loops_clock)
{
    wi_clock clock = {.is_virtual = true, .virtual_now = 77};
    wi_loop *loop;
    wi_fibers *fibers;
    int64_t end = 0;
    REQUIRE(wi_loop_new(&clock, &loop, NULL) == WEIR_OK);
    REQUIRE(wi_fibers_new(loop, 0, &fibers, NULL) == WEIR_OK);
    REQUIRE(wi_fiber_start(fibers, wait_on_its_clock, &end, NULL) == WEIR_OK);
    while (wi_fibers_live(fibers))
        wi_loop_turn(loop, true, NULL);
    EXPECT_INT(end, 77 + 3600 * WI_SECOND);
    wi_fibers_free(fibers);
    wi_loop_free(loop);
}

TESTS(CASE(a_permit_given_early_is_not_lost), CASE(a_thread_waits_for_its_deadline),
      CASE(threads_take_turns), CASE(a_fiber_and_a_thread_take_turns), CASE(fibers_take_turns),
      CASE(a_fibers_deadline_is_on_its_loops_clock))
