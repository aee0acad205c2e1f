/*
 * crew_size_test.c: how many hands are found, over storages and processors that are simulated in
 * steps of 20 microseconds: nothing here takes real time.
 */
#include "crew_size.h"

#include "clock.h"
#include "random.h"
#include "test.h"

#define STEP 20000

enum { MOST = 256, LOOKED_AT = 8 };

typedef enum doing { ABSENT, PAUSED, RUNNABLE, BLOCKED } doing;

typedef struct world {
    int processors;
    double others;     /* part of the processors that other programs have */
    int64_t computing; /* ns of a processor for each item */
    int64_t waiting;   /* ns of storage for each item */
    int percent;       /* of items that need storage at all */
    int parallel;      /* items that storage works at side by side; 0: any number */
    bool idle;

    int64_t now, cpu, done;
    doing hands[MOST];
    int64_t left[MOST]; /* of what each does */
    int first;          /* who runs next */
    int served;         /* by storage, from this one on */
    int cursor;
    wi_random random;
    wi_crew_size size;
    int most; /* hands wanted at any time */
} world;

static void begin(world *w)
{
    wi_random_init(&w->random, 7);
    if (!w->processors)
        w->processors = 2;
    if (!w->percent && w->waiting)
        w->percent = 100;
    w->now = WI_SECOND;
    wi_crew_size_init(&w->size, w->processors, MOST);
}

/* Something between a half and one and a half of it. */
static int64_t about(world *w, int64_t time)
{
    return time / 2 + wi_random_below(&w->random, time + 1);
}

static void next_item(world *w, int i)
{
    w->hands[i] = i < w->size.hands ? RUNNABLE : PAUSED;
    w->left[i] = about(w, w->computing);
}

static void run_hands(world *w)
{
    int free = 0;
    for (int p = 0; p < w->processors; p++)
        free += (double)wi_random_below(&w->random, 1000) >= w->others * 1000;
    for (int k = 0; k < MOST && free; k++) {
        int i = (w->first + k) % MOST;
        if (w->hands[i] != RUNNABLE)
            continue;
        free--;
        w->cpu += STEP;
        w->left[i] -= STEP;
        if (free == 0)
            w->first = i + 1;
        if (w->left[i] > 0)
            continue;
        if (wi_random_below(&w->random, 100) < w->percent) {
            w->hands[i] = BLOCKED;
            w->left[i] = about(w, w->waiting);
        } else {
            w->done++;
            next_item(w, i);
        }
    }
}

static void serve(world *w)
{
    int free = w->parallel ? w->parallel : MOST;
    for (int k = 0; k < MOST && free; k++) {
        int i = (w->served + k) % MOST;
        if (w->hands[i] != BLOCKED)
            continue;
        free--;
        w->left[i] -= STEP;
        if (w->left[i] <= 0) {
            w->done++;
            next_item(w, i);
        }
    }
    w->served = wi_random_below(&w->random, MOST) % MOST;
}

static void look(world *w)
{
    wi_crew_sample sample = {.now = w->now, .cpu = w->cpu, .done = w->done, .idle = w->idle};
    for (int i = 0; i < MOST; i++)
        sample.present += w->hands[i] == RUNNABLE || w->hands[i] == BLOCKED;
    for (int k = 0; k < LOOKED_AT && k < w->size.hands; k++) {
        w->cursor = (w->cursor + 1) % w->size.hands;
        sample.runnable += w->hands[w->cursor] == RUNNABLE;
        sample.blocked += w->hands[w->cursor] == BLOCKED;
    }
    int hands = wi_crew_size_next(&w->size, &sample);
    w->most = hands > w->most ? hands : w->most;
    for (int i = 0; i < hands; i++)
        if (w->hands[i] == ABSENT || w->hands[i] == PAUSED)
            next_item(w, i);
}

/* Lets time go by; the items done meanwhile. */
static int64_t live(world *w, int64_t time)
{
    int64_t done = w->done;
    for (int64_t end = w->now + time; w->now < end; w->now += STEP) {
        if (w->now % (2 * WI_MILLISECOND) == 0)
            look(w);
        run_hands(w);
        serve(w);
    }
    return w->done - done;
}

/* ---- */

TEST(files_in_memory_need_a_hand_for_each_processor)
{
    for (int processors = 1; processors <= 8; processors *= 2) {
        world w = {.processors = processors, .computing = 50000};
        begin(&w);
        live(&w, 2 * WI_SECOND);
        EXPECT_INT(w.most, processors);
    }
}

TEST(one_file_in_a_hundred_is_not_in_memory)
{
    world w = {.computing = 50000, .waiting = 100000, .percent = 1};
    begin(&w);
    live(&w, 2 * WI_SECOND);
    EXPECT(w.most <= 3);
}

/* Others have the processors; that is no reason for more hands. */
TEST(a_busy_machine)
{
    world w = {.computing = 50000, .others = 0.75};
    begin(&w);
    live(&w, 2 * WI_SECOND);
    EXPECT_INT(w.most, 2);
}

TEST(slow_storage_has_many_at_once)
{
    world w = {.computing = 20000, .waiting = 5 * WI_MILLISECOND};
    begin(&w);
    live(&w, 100 * WI_MILLISECOND);
    EXPECT(w.size.hands >= 128);
    live(&w, 100 * WI_MILLISECOND);
    EXPECT(w.size.hands >= 200);
}

TEST(storage_that_takes_a_second_has_many_at_once)
{
    world w = {.computing = 20000, .waiting = WI_SECOND};
    begin(&w);
    live(&w, 200 * WI_MILLISECOND);
    EXPECT_INT(w.size.hands, MOST);
}

/* P / (1 - waiting) = 2 / (1 - 0.9) = 20. */
TEST(as_many_as_keep_the_processors_busy)
{
    world w = {.computing = 200000, .waiting = 1800000};
    begin(&w);
    live(&w, WI_SECOND);
    EXPECT(w.size.hands >= 18 && w.size.hands <= 40);
    int64_t most = 2 * WI_SECOND / w.computing;
    int64_t done = live(&w, WI_SECOND);
    if (!EXPECT(done >= most * 85 / 100))
        printf("# %lld of %lld with %d hands\n", (long long)done, (long long)most, w.size.hands);
}

TEST(a_busy_machine_with_slow_storage)
{
    world w = {.computing = 20000, .waiting = 5 * WI_MILLISECOND, .others = 0.8};
    begin(&w);
    live(&w, 300 * WI_MILLISECOND);
    EXPECT(w.size.hands >= 64);
}

TEST(hands_are_taken_back_when_files_are_in_memory)
{
    world w = {.computing = 50000, .waiting = 5 * WI_MILLISECOND};
    begin(&w);
    live(&w, WI_SECOND / 2);
    EXPECT(w.size.hands > 100);
    w.percent = 0;
    live(&w, WI_SECOND);
    EXPECT(w.size.hands <= 4);
    w.percent = 100;
    live(&w, WI_SECOND);
    EXPECT(w.size.hands > 100);
}

TEST(nobody_is_added_while_some_idle)
{
    world w = {.computing = 20000, .waiting = 5 * WI_MILLISECOND, .idle = true};
    begin(&w);
    live(&w, WI_SECOND);
    EXPECT_INT(w.most, 2);
    w.idle = false;
    live(&w, WI_SECOND / 2);
    EXPECT(w.size.hands > 100);
}

/* It does eight at a time, however many ask: 1600 in a second. */
TEST(storage_that_is_at_its_end)
{
    world w = {.computing = 20000, .waiting = 5 * WI_MILLISECOND, .parallel = 8};
    begin(&w);
    live(&w, 6 * WI_SECOND);
    EXPECT(w.size.hands <= 64);
    int64_t done = live(&w, 2 * WI_SECOND);
    if (!EXPECT(done > 2800))
        printf("# %lld with %d hands\n", (long long)done, w.size.hands);
}

/* What is tried costs little where all of them do help. */
TEST(trials_cost_little)
{
    world w = {.computing = 4000, .waiting = 20 * WI_MILLISECOND};
    begin(&w);
    live(&w, WI_SECOND / 2);
    EXPECT_INT(w.size.hands, MOST);
    int64_t done = live(&w, 10 * WI_SECOND);
    int64_t most = 10 * WI_SECOND / (20 * WI_MILLISECOND) * MOST;
    if (!EXPECT(done >= most * 85 / 100))
        printf("# %lld of %lld\n", (long long)done, (long long)most);
}

TEST(a_cap)
{
    world w = {.computing = 20000, .waiting = 5 * WI_MILLISECOND};
    begin(&w);
    wi_crew_size_cap(&w.size, 17);
    live(&w, WI_SECOND);
    EXPECT_INT(w.most, 17);
    wi_crew_size_cap(&w.size, 1);
    live(&w, WI_SECOND / 10);
    EXPECT_INT(w.size.hands, 1);
    wi_crew_size_cap(&w.size, 0);
    live(&w, WI_SECOND / 10);
    EXPECT_INT(w.size.hands, 1);
}

TESTS(CASE(files_in_memory_need_a_hand_for_each_processor),
      CASE(one_file_in_a_hundred_is_not_in_memory), CASE(a_busy_machine),
      CASE(slow_storage_has_many_at_once), CASE(storage_that_takes_a_second_has_many_at_once),
      CASE(as_many_as_keep_the_processors_busy), CASE(a_busy_machine_with_slow_storage),
      CASE(hands_are_taken_back_when_files_are_in_memory), CASE(nobody_is_added_while_some_idle),
      CASE(storage_that_is_at_its_end), CASE(trials_cost_little), CASE(a_cap))
