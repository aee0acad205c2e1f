/*
 * gate_simulation_test.c: what the gate has to reach in gate_simulation.h's scenarios: within
 * twenty round trips nine tenths of what the server can give, and from then on less than one
 * request in a hundred refused. And that of two origins none starves the other.
 */
#include "gate_simulation.h"

#include "test.h"

static void judge(const sim_scenario *scenario)
{
    sim *s = sim_new(scenario);
    sim_span spans[SIM_CHANGES + 1];
    sim_run(s);
    int n = sim_spans(s, spans);
    for (int i = 0; i < n; i++) {
        sim_span *span = &spans[i];
        if (span->to <= span->from)
            continue;
        printf("# %-36s rounds %4d to %4d: %5.1f%% used, worst %5.1f%%, %.2f%% refused, %d asked\n",
               scenario->name, (int)span->from, (int)span->to, 100 * span->used, 100 * span->worst,
               100 * span->refused, (int)span->asked);
        if (span->state == SIM_UP) {
            EXPECT(span->used >= 0.9 && span->worst >= 0.9);
            EXPECT(span->refused < 0.01 + 1.5 * scenario->noise);
        } else {
            EXPECT(span->asked <= 40); /* to see whether it is back */
        }
    }
    sim_free(s);
}

TEST(nine_tenths_soon_and_hardly_a_refusal)
{
    for (int i = 0; i < SIM_SCENARIOS; i++)
        judge(&sim_scenarios[i]);
}

/* ---- two origins ---- */

enum { TOTAL = 100 };

typedef struct pair {
    wi_gate *gate;
    wi_origin *origins[2];
    int64_t takes[2]; /* what an answer takes */
    int64_t left[2];  /* to ask */
    int64_t now;
    int64_t ends[TOTAL];
    int whose[TOTAL]; /* -1: free */
    int64_t in_flight[2];
    int64_t done[2];
} pair;

static void no_poke(void *arg, int lane)
{
    (void)arg;
    (void)lane;
}

static void pair_begin(pair *p, int64_t slow, int64_t quick)
{
    wi_gate_options options = {.lanes = 1, .total = TOTAL, .poke = no_poke};
    *p = (pair){.takes = {slow, quick}, .now = WI_SECOND};
    EXPECT(wi_gate_new(&options, &p->gate, NULL) == WEIR_OK);
    p->origins[0] = wi_gate_origin(p->gate, "slow", 4);
    p->origins[1] = wi_gate_origin(p->gate, "quick", 5);
    for (int i = 0; i < TOTAL; i++)
        p->whose[i] = -1;
}

static void pair_start(pair *p, int which)
{
    int slot = 0;
    while (p->whose[slot] >= 0)
        slot++;
    p->whose[slot] = which;
    p->ends[slot] = p->now + p->takes[which];
    p->in_flight[which]++;
    p->left[which]--;
}

/* The slow one is always the first to ask, and takes all it is given. */
static void pair_run(pair *p, int64_t span)
{
    int64_t again;
    for (int64_t until = p->now + span; p->now < until; p->now += WI_MILLISECOND) {
        for (int i = 0; i < TOTAL; i++) {
            if (p->whose[i] < 0 || p->ends[i] > p->now)
                continue;
            int which = p->whose[i];
            wi_leaving leaving = {.duration = p->takes[which]};
            p->whose[i] = -1;
            p->in_flight[which]--;
            p->done[which]++;
            wi_gate_leave(p->gate, p->origins[which], 0, p->now, &leaving);
        }
        for (int which = 0; which < 2; which++)
            while (p->left[which] && wi_gate_enter(p->gate, p->origins[which], 0, false, p->now,
                                                   &again) == WI_ENTRY_IN)
                pair_start(p, which);
    }
}

TEST(a_slow_origin_does_not_take_it_all)
{
    pair p;
    pair_begin(&p, 10 * WI_SECOND, 10 * WI_MILLISECOND);
    p.left[0] = 1000;
    pair_run(&p, WI_SECOND);
    EXPECT_INT(p.in_flight[0], TOTAL); /* alone it may */
    p.left[1] = 1000000;
    pair_run(&p, 25 * WI_SECOND);
    int64_t before = p.done[1];
    pair_run(&p, 10 * WI_SECOND);
    printf("# slow and quick: %d in flight and %d, %d quick ones a second\n", (int)p.in_flight[0],
           (int)p.in_flight[1], (int)(p.done[1] - before) / 10);
    EXPECT(p.in_flight[0] >= TOTAL / 2 - 1 && p.in_flight[1] >= TOTAL / 2 - 1);
    EXPECT(p.done[1] - before >= 40000);
    p.left[1] = 0;
    pair_run(&p, 40 * WI_SECOND); /* the quick one has nothing more to ask, for a while */
    EXPECT_INT(p.in_flight[0], TOTAL);
    p.left[1] = 1000000;
    pair_run(&p, 11 * WI_SECOND);
    EXPECT(p.in_flight[1] >= TOTAL / 2 - 1);
    p.left[0] = 0; /* and what the slow one leaves is the quick one's */
    pair_run(&p, 21 * WI_SECOND);
    EXPECT_INT(p.in_flight[1], TOTAL);
    wi_gate_free(p.gate);
}

TEST(some_is_kept_for_those_who_have_little)
{
    pair p;
    pair_begin(&p, 100 * WI_SECOND, 10 * WI_MILLISECOND);
    p.left[1] = 1;
    pair_run(&p, WI_MILLISECOND);
    p.left[0] = p.left[1] = 1000; /* the slow one asks first */
    pair_run(&p, 5 * WI_MILLISECOND);
    EXPECT(p.in_flight[0] < TOTAL);
    pair_run(&p, WI_SECOND);
    EXPECT_INT(p.done[1], 1001);
    wi_gate_free(p.gate);
}

TESTS(CASE(nine_tenths_soon_and_hardly_a_refusal), CASE(a_slow_origin_does_not_take_it_all),
      CASE(some_is_kept_for_those_who_have_little))
