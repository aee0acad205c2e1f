/*
 * gate_simulation_test.c: what the gate has to reach in gate_simulation.h's scenarios: within twenty
 * round trips nine tenths of what the server can give, and from then on less than one request in a
 * hundred refused.
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
        bool fine = span->state != SIM_UP ||
                    (span->used >= 0.9 && span->worst >= 0.9 && span->refused < 0.01);
        printf("# %-36s rounds %4d to %4d: %5.1f%% used, worst %5.1f%%, %.2f%% refused, %d asked\n",
               scenario->name, (int)span->from, (int)span->to, 100 * span->used, 100 * span->worst,
               100 * span->refused, (int)span->asked);
        EXPECT(fine);
    }
    sim_free(s);
}

TEST(nine_tenths_soon_and_hardly_a_refusal)
{
    for (int i = 0; i < SIM_SCENARIOS; i++)
        judge(&sim_scenarios[i]);
}

TESTS(CASE(nine_tenths_soon_and_hardly_a_refusal))
