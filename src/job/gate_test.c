/*
 * gate_test.c: who may start, with given times; and whole lanes in miniature, which ask whenever
 * they are poked or one of theirs has ended, as the real ones do.
 */
#include "gate.h"

#include <stdlib.h>

#include "clock.h"
#include "random.h"
#include "test.h"
#include "torture.h"

static bool poked[WI_MAX_LANES];
static int pokes;

static void on_poke(void *arg, int lane)
{
    (void)arg;
    poked[lane] = true;
    pokes++;
}

static wi_gate *gate_with(wi_gate_options options)
{
    wi_gate *gate = NULL;
    memset(poked, 0, sizeof poked);
    pokes = 0;
    options.poke = on_poke;
    EXPECT(wi_gate_new(&options, &gate, NULL) == WEIR_OK);
    return gate;
}

static wi_origin *origin(wi_gate *gate, const char *name)
{
    return wi_gate_origin(gate, name, strlen(name));
}

static int64_t again;

static bool enter(wi_gate *gate, wi_origin *o, int lane, int64_t now)
{
    again = -1;
    return wi_gate_enter(gate, o, lane, false, now, &again) == WI_ENTRY_IN;
}

static int enter_all(wi_gate *gate, wi_origin *o, int lane, int64_t now)
{
    int n = 0;
    while (enter(gate, o, lane, now))
        n++;
    return n;
}

static void leave_as(wi_gate *gate, wi_origin *o, int lane, int64_t now, wi_leaving leaving)
{
    wi_gate_leave(gate, o, lane, now, &leaving);
}

static void hold(wi_gate *gate, wi_origin *o, int lane, int64_t now, int64_t duration, int64_t time)
{
    leave_as(gate, o, lane, now,
             (wi_leaving){.duration = duration, .signal = WI_SIGNAL_BUSY, .hold = time});
}

static void leave(wi_gate *gate, wi_origin *o, int lane, int64_t now)
{
    leave_as(gate, o, lane, now, (wi_leaving){.duration = WI_MILLISECOND});
}

static wi_gate_numbers numbers(wi_gate *gate, int64_t now)
{
    wi_gate_numbers n;
    wi_gate_numbers_get(gate, now, &n);
    return n;
}

TEST(the_total_is_kept)
{
    wi_gate *gate = gate_with((wi_gate_options){.lanes = 1, .total = 5});
    wi_origin *a = origin(gate, "a");
    wi_origin *b = origin(gate, "b");
    EXPECT(a != b && a == origin(gate, "a") && b == origin(gate, "b"));
    EXPECT_INT(wi_origin_index(a), 0);
    EXPECT_INT(wi_origin_index(b), 1);
    EXPECT_INT(enter_all(gate, a, 0, 1), 5);
    EXPECT_INT(again, WI_FOREVER);
    EXPECT(!enter(gate, b, 0, 1));
    EXPECT_INT(numbers(gate, 1).in_flight, 5);
    EXPECT_INT(numbers(gate, 1).limit, 5);
    leave(gate, a, 0, 2);
    EXPECT_INT(enter_all(gate, b, 0, 2), 1);
    wi_gate_leave_quietly(gate, b, 0);
    EXPECT_INT(numbers(gate, 2).in_flight, 4);
    EXPECT_INT(numbers(gate, 2).peak, 5);
    EXPECT_INT(numbers(gate, 2).origins, 2);
    wi_gate_free(gate);
}

TEST(an_origin_has_a_limit_of_its_own)
{
    wi_gate *gate = gate_with((wi_gate_options){.lanes = 1, .total = 5, .per_origin = 2});
    EXPECT_INT(enter_all(gate, origin(gate, "a"), 0, 1), 2);
    EXPECT_INT(enter_all(gate, origin(gate, "b"), 0, 1), 2);
    EXPECT_INT(enter_all(gate, origin(gate, "c"), 0, 1), 1);
    wi_gate_free(gate);
}

TEST(beyond_passes_limits_but_not_holds)
{
    wi_gate *gate = gate_with((wi_gate_options){.lanes = 1, .total = 1});
    wi_origin *a = origin(gate, "a");
    EXPECT(enter(gate, a, 0, 1));
    EXPECT(!enter(gate, a, 0, 1));
    EXPECT_INT(wi_gate_enter(gate, a, 0, true, 1, &again), WI_ENTRY_IN);
    hold(gate, a, 0, 2, 1, 10);
    EXPECT_INT(wi_gate_enter(gate, a, 0, true, 3, &again), WI_ENTRY_LATER);
    EXPECT_INT(again, 12);
    wi_gate_free(gate);
}

TEST(one_hold_is_for_all_lanes_and_one_origin)
{
    wi_gate *gate = gate_with((wi_gate_options){.lanes = 2, .total = 10});
    wi_origin *a = origin(gate, "a");
    wi_origin *b = origin(gate, "b");
    EXPECT(enter(gate, a, 0, 1));
    EXPECT(enter(gate, a, 0, 1));
    hold(gate, a, 0, 100, 99, 50);
    EXPECT(!enter(gate, a, 0, 149));
    EXPECT_INT(again, 150);
    EXPECT(!enter(gate, a, 1, 149));
    EXPECT_INT(again, 150);
    EXPECT(enter(gate, b, 1, 149));
    EXPECT_INT(numbers(gate, 149).held_until, 150);
    hold(gate, a, 0, 120, 99, 10); /* a shorter hold does not shorten it */
    EXPECT(!enter(gate, a, 1, 149));
    EXPECT(enter(gate, a, 1, 150));
    EXPECT_INT(numbers(gate, 150).held_until, 0);
    wi_gate_free(gate);
}

/* In any second no more begin than the rate allows, but for the burst; and no less. */
TEST(the_rate_is_kept)
{
    static const double rates[] = {0.5, 1, 7, 100, 5000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        wi_gate *gate =
            gate_with((wi_gate_options){.lanes = 1, .total = 1000000, .rate = rates[i]});
        wi_origin *a = origin(gate, "a");
        int64_t now = 77 * WI_SECOND;
        int64_t end = now + 20 * WI_SECOND;
        int64_t begun = 0;
        while (now < end) {
            begun += enter_all(gate, a, 0, now);
            EXPECT(again > now);
            now = again;
        }
        double burst = rates[i] / 20 > 1 ? rates[i] / 20 : 1;
        EXPECT((double)begun <= rates[i] * 20 + burst + 1);
        EXPECT((double)begun >= rates[i] * 20 - 1);
        EXPECT(enter(gate, origin(gate, "b"), 0, now)); /* each origin has a rate of its own */
        wi_gate_free(gate);
    }
}

TEST(a_rate_of_almost_nothing)
{
    wi_gate *gate = gate_with((wi_gate_options){.lanes = 1, .total = 10, .rate = 1e-300});
    wi_origin *a = origin(gate, "a");
    EXPECT(enter(gate, a, 0, 5));
    EXPECT(!enter(gate, a, 0, 6));
    EXPECT(again > 6);
    wi_gate_free(gate);
}

TEST(a_waiting_lane_under_its_share_is_poked)
{
    wi_gate *gate = gate_with((wi_gate_options){.lanes = 2, .total = 10});
    wi_origin *a = origin(gate, "a");
    EXPECT_INT(enter_all(gate, a, 0, 1), 10);
    EXPECT(!enter(gate, a, 1, 1));
    leave(gate, a, 0, 2);
    EXPECT(poked[1]);
    EXPECT(!enter(gate, a, 0, 2)); /* the slot is owed to the other */
    EXPECT(enter(gate, a, 1, 2));
    wi_gate_free(gate);
}

/* ---- lanes in miniature ---- */

enum { MANY = 64 };

typedef struct mini {
    int lanes;
    int origins;
    wi_gate *gate;
    wi_origin *at[8];
    int64_t wants[MANY][8]; /* items left to start */
    int64_t runs[MANY][8];
    int64_t served[MANY];
    int64_t wakes[MANY]; /* as the gate said */
    int64_t now;
} mini;

/* What on_pump in lane.c does. */
static void pump(mini *m, int lane)
{
    poked[lane] = false;
    m->wakes[lane] = WI_FOREVER;
    for (int i = 0; i < m->origins; i++) {
        while (m->wants[lane][i] > 0) {
            if (!enter(m->gate, m->at[i], lane, m->now)) {
                if (again < m->wakes[lane])
                    m->wakes[lane] = again;
                break;
            }
            m->wants[lane][i]--;
            m->runs[lane][i]++;
        }
    }
}

static void pump_those_poked(mini *m)
{
    bool any = true;
    for (int round = 0; any && EXPECT(round < 10000); round++) {
        any = false;
        for (int i = 0; i < m->lanes; i++) {
            if (!poked[i] && m->wakes[i] > m->now)
                continue;
            any = true;
            pump(m, i);
        }
    }
}

/* One that runs ends, by chance; its lane goes on at once, those poked only after it. */
static bool end_one(mini *m, wi_random *random)
{
    int64_t running = 0;
    for (int i = 0; i < m->lanes; i++)
        for (int k = 0; k < m->origins; k++)
            running += m->runs[i][k];
    int64_t chosen = wi_random_below(random, running);
    for (int i = 0; i < m->lanes; i++)
        for (int k = 0; k < m->origins; k++) {
            if (chosen >= 0 && chosen < m->runs[i][k]) {
                m->now += 1000;
                m->runs[i][k]--;
                m->served[i]++;
                leave(m->gate, m->at[k], i, m->now);
                pump(m, i);
                pump_those_poked(m);
                return true;
            }
            chosen -= m->runs[i][k];
        }
    return false;
}

static void mini_begin(mini *m, wi_gate_options options, int origins, int64_t wants)
{
    *m = (mini){.lanes = options.lanes, .origins = origins, .now = WI_SECOND};
    m->gate = gate_with(options);
    for (int i = 0; i < origins; i++) {
        char name[16];
        snprintf(name, sizeof name, "o%d", i);
        m->at[i] = origin(m->gate, name);
    }
    for (int i = 0; i < m->lanes; i++)
        for (int k = 0; k < origins; k++)
            m->wants[i][k] = wants;
    for (int i = 0; i < m->lanes; i++)
        pump(m, i);
    pump_those_poked(m);
}

/* None is served less than half as often as it should be. */
static void expect_fair(wi_gate_options options, int origins)
{
    static mini m;
    wi_random random;
    wi_random_init(&random, 7);
    mini_begin(&m, options, origins, 1000000);
    int64_t rounds = 2000 * (int64_t)options.lanes;
    for (int64_t i = 0; i < rounds; i++)
        REQUIRE(end_one(&m, &random));
    for (int i = 0; i < m.lanes; i++)
        if (!EXPECT(m.served[i] >= 1000))
            printf("# lane %d of %d: %lld of 2000 (total %lld, per origin %lld)\n", i, m.lanes,
                   (long long)m.served[i], (long long)options.total, (long long)options.per_origin);
    wi_gate_free(m.gate);
}

TEST(no_lane_starves)
{
    expect_fair((wi_gate_options){.lanes = 2, .total = 10}, 1);
    expect_fair((wi_gate_options){.lanes = 3, .total = 10}, 2);
    expect_fair((wi_gate_options){.lanes = 2, .total = 1000, .per_origin = 10}, 1);
    expect_fair((wi_gate_options){.lanes = 2, .total = 1000, .per_origin = 1}, 1);
    expect_fair((wi_gate_options){.lanes = 8, .total = 1000, .per_origin = 3}, 3);
    expect_fair((wi_gate_options){.lanes = 4, .total = 5, .per_origin = 2}, 3);
    expect_fair((wi_gate_options){.lanes = 2, .total = 4096, .find_limit = true}, 1);
}

/* Every item is served in the end: nobody waits for a poke that never comes. */
TEST(all_lanes_come_to_their_end)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        static mini m;
        wi_random random;
        wi_random_init(&random, seed);
        wi_gate_options options = {
            .lanes = 1 + (int)wi_random_below(&random, 6),
            .per_origin = wi_random_below(&random, 2) ? 1 + wi_random_below(&random, 6) : 0,
            .find_limit = wi_random_below(&random, 3) == 0,
        };
        options.total = options.lanes + wi_random_below(&random, 20);
        int before = atomic_load(&test_failures);
        mini_begin(&m, options, 1 + (int)wi_random_below(&random, 5), 0);
        int64_t wanted = 0;
        for (int i = 0; i < m.lanes; i++)
            for (int k = 0; k < m.origins; k++)
                wanted += m.wants[i][k] = wi_random_below(&random, 60);
        for (int i = 0; i < m.lanes; i++)
            pump(&m, i);
        pump_those_poked(&m);
        int64_t served = 0;
        while (end_one(&m, &random)) {
            served++;
            EXPECT(numbers(m.gate, m.now).in_flight <= options.total);
        }
        EXPECT_INT(served, wanted);
        EXPECT_INT(numbers(m.gate, m.now).in_flight, 0);
        wi_gate_free(m.gate);
        if (atomic_load(&test_failures) != before)
            printf("# with seed %llu\n", (unsigned long long)seed);
    }
}

static weir_status make_origins(void)
{
    wi_gate_options options = {.lanes = 3, .total = 10, .poke = on_poke};
    wi_gate *gate = NULL;
    weir_status status = wi_gate_new(&options, &gate, NULL);
    for (int i = 0; status == WEIR_OK && i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "origin-%d", i);
        wi_origin *made = origin(gate, name);
        status = made ? WEIR_OK : WEIR_NOMEM;
        if (made)
            EXPECT_INT(wi_origin_index(made), i);
    }
    wi_gate_free(gate);
    return status;
}

TEST(survives_lack_of_memory)
{
    TORTURE(make_origins());
}

/* Has a request of lane 0 fail, whatever the limit says; false: none may begin. */
static bool fail_one(wi_gate *gate, wi_origin *o, int64_t now)
{
    if (wi_gate_enter(gate, o, 0, true, now, &again) != WI_ENTRY_IN)
        return false;
    leave_as(gate, o, 0, now, (wi_leaving){.signal = WI_SIGNAL_SILENT, .why = "no answer"});
    return true;
}

TEST(who_has_given_up_is_not_waited_for)
{
    wi_gate *gate = gate_with((wi_gate_options){
        .lanes = 2, .total = 10, .find_limit = true, .per_origin = 1, .patience = WI_SECOND});
    wi_origin *o = origin(gate, "a");
    int64_t now = WI_SECOND;
    EXPECT(enter(gate, o, 0, now));
    EXPECT(!enter(gate, o, 1, now)); /* it waits for the slot, */
    leave_as(gate, o, 0, now, (wi_leaving){.signal = WI_SIGNAL_SILENT, .why = "no answer"});
    wi_entry entry = WI_ENTRY_LATER;
    for (int i = 0; i < 100 && entry != WI_ENTRY_GONE; i++) {
        now += 200 * WI_MILLISECOND;
        if (!fail_one(gate, o, now))
            entry = wi_gate_enter(gate, o, 0, true, now, &again);
    }
    EXPECT_INT(entry, WI_ENTRY_GONE);
    now = wi_gate_enter(gate, o, 0, true, now, &again) == WI_ENTRY_GONE ? again : now;
    EXPECT(!enter(gate, o, 0, now)); /* so that it comes first, */
    pokes = 0;
    EXPECT_INT(wi_gate_enter(gate, o, 1, false, now - 1, &again), WI_ENTRY_GONE);
    EXPECT(pokes > 0 && poked[0]); /* and fails unasked. */
    EXPECT(enter(gate, o, 0, now));
    wi_gate_free(gate);
}

TESTS(CASE(who_has_given_up_is_not_waited_for), CASE(the_total_is_kept),
      CASE(an_origin_has_a_limit_of_its_own), CASE(beyond_passes_limits_but_not_holds),
      CASE(one_hold_is_for_all_lanes_and_one_origin), CASE(the_rate_is_kept),
      CASE(a_rate_of_almost_nothing), CASE(a_waiting_lane_under_its_share_is_poked),
      CASE(no_lane_starves), CASE(all_lanes_come_to_their_end), CASE(survives_lack_of_memory))
