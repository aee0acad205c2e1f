/*
 * gate_simulation.h: the gate against servers of many sorts, on a clock that only the simulation
 * moves. For gate_simulation_test.c, which says what has to come out, and for gate_plot.c, which
 * draws it (docs/gate.svg).
 *
 * A client has more to ask than can ever be answered, and asks whenever the gate lets it. A server
 * has some workers and a queue before them, or refuses what is too much at once or in a time; and
 * its capacity may change. Time is counted in round trips: what an answer takes when nothing else
 * is asked. Every run is the same.
 */
#ifndef WI_GATE_SIMULATION_H
#define WI_GATE_SIMULATION_H

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "gate.h"
#include "heap.h"
#include "list.h"
#include "random.h"

enum { SIM_FLIGHT = 4096, SIM_ROUNDS = 2000, SIM_CHANGES = 4, SIM_SETTLING = 20 };

typedef enum sim_state {
    SIM_UP,
    SIM_REFUSES, /* connections */
    SIM_HANGS,   /* takes requests and never answers */
} sim_state;

/* From this round trip on. */
typedef struct sim_change {
    int64_t round;
    double factor; /* of the capacity */
    sim_state state;
} sim_change;

typedef struct sim_scenario {
    const char *name;
    int64_t service; /* what an answer takes; a round trip */
    double spread;   /* of that, by chance; 0: none */
    int64_t workers; /* with a queue before them; 0: as many as needed */
    int64_t at_once; /* 503 beyond; 0: no such limit */
    double rate;     /* 429 beyond so many per second; 0: no such limit */
    double burst;    /* of that */
    int64_t period;  /* not as a bucket, but so many in each such time; 0: a bucket */
    double thrash; /* answers take 1 + (n / thrash)^2 times as long with n at once; 0: they don't */
    bool retry_after;
    bool hints;
    double noise; /* so many are refused (503) whatever the load */
    int64_t rounds;
    int64_t settling; /* 0: twenty */
    int64_t window;   /* in each of which it has to be in use; 0: twenty, or fifty answers */
    sim_change changes[SIM_CHANGES]; /* the first with round 0 ends them */
} sim_scenario;

typedef struct sim_request {
    wi_heap_node node;
    wi_list queue;
    int64_t begun;
    int64_t hold;
    wi_rate_hint hint;
    wi_signal signal;
    bool served; /* by a worker, now */
} sim_request;

typedef struct sim_round {
    int64_t good;
    int64_t refused;
    int64_t lost; /* no answer at all */
    int64_t in_flight;
} sim_round;

typedef struct sim {
    const sim_scenario *is;
    wi_gate *gate;
    wi_origin *origin;
    wi_random random;
    wi_heap heap;
    int64_t now;
    int64_t wake;
    int64_t in_flight;
    sim_request requests[SIM_FLIGHT];
    sim_request *idle[SIM_FLIGHT];
    size_t idle_len;

    /* the server */
    int change; /* the next */
    double factor;
    sim_state state;
    wi_list queue;
    int64_t serving;
    double tokens;
    int64_t tokens_at;

    sim_round rounds[SIM_ROUNDS];
} sim;

static const int64_t sim_net = 5 * WI_MILLISECOND; /* until a refusal is heard */
static const int64_t sim_timeout = 30 * WI_SECOND;

static inline void sim_poke(void *arg, int lane)
{
    (void)lane;
    ((sim *)arg)->wake = 0;
}

static inline sim *sim_new(const sim_scenario *scenario)
{
    sim *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    wi_gate_options options = {.lanes = 1,
                               .total = SIM_FLIGHT,
                               .find_limit = true,
                               .patience = 30 * WI_SECOND,
                               .longest_hold = 300 * WI_SECOND,
                               .poke = sim_poke,
                               .poke_arg = s};
    if (wi_gate_new(&options, &s->gate, NULL) != WEIR_OK)
        abort();
    s->is = scenario;
    s->origin = wi_gate_origin(s->gate, "server", 6);
    s->factor = 1;
    s->now = s->tokens_at = WI_SECOND;
    s->tokens =
        scenario->period ? scenario->rate * (double)scenario->period / WI_SECOND : scenario->burst;
    wi_list_init(&s->queue);
    wi_random_init(&s->random, 42);
    for (size_t i = 0; i < SIM_FLIGHT; i++)
        s->idle[s->idle_len++] = &s->requests[i];
    return s;
}

static inline void sim_free(sim *s)
{
    wi_gate_free(s->gate);
    wi_heap_fini(&s->heap);
    free(s);
}

/* ---- the server ---- */

/* Eight throws of a coin, each of which makes it longer or shorter by `spread`: nearly lognormal,
 * with the same mean. */
static inline int64_t sim_work(sim *s)
{
    double time = (double)s->is->service;
    double spread = 1 + s->is->spread;
    for (int i = 0; i < 8 && s->is->spread > 0; i++) {
        time *= wi_random_u32(&s->random) & 1 ? spread : 1 / spread;
        time /= (spread + 1 / spread) / 2;
    }
    double load = s->is->thrash > 0 ? (double)s->serving / s->is->thrash : 0;
    return (int64_t)(time * (1 + load * load));
}

static inline void sim_end_at(sim *s, sim_request *r, int64_t when, wi_signal signal)
{
    r->signal = signal;
    if (!wi_heap_push(&s->heap, &r->node, when))
        abort();
}

static inline void sim_serve(sim *s, sim_request *r)
{
    s->serving++;
    r->served = true;
    sim_end_at(s, r, s->now + sim_work(s), WI_SIGNAL_FINE);
}

static inline int64_t sim_workers(const sim *s)
{
    return (int64_t)((double)s->is->workers * s->factor + 0.5);
}

static inline void sim_serve_queue(sim *s)
{
    while (!wi_list_empty(&s->queue) && s->serving < sim_workers(s))
        sim_serve(s, wi_container_of(wi_list_shift(&s->queue), sim_request, queue));
}

/* What the server says of its limit: as it is when the request comes. */
static inline void sim_tell(const sim *s, sim_request *r, bool refused)
{
    const sim_scenario *is = s->is;
    int64_t left = is->period ? is->period - s->now % is->period : WI_SECOND;
    left = (left + WI_SECOND - 1) / WI_SECOND * WI_SECOND; /* in whole seconds */
    if (is->retry_after && refused)
        r->hold = left;
    if (is->hints)
        r->hint = (wi_rate_hint){
            .has_remaining = true,
            .remaining = (int64_t)s->tokens,
            .limit = (int64_t)(is->rate * (double)is->period / WI_SECOND),
            .reset = left,
        };
}

static inline bool sim_has_token(sim *s, sim_request *r)
{
    double rate = s->is->rate * s->factor;
    int64_t period = s->is->period;
    if (period && s->now / period != s->tokens_at / period)
        s->tokens = rate * (double)period / WI_SECOND;
    if (!period) {
        s->tokens += (double)(s->now - s->tokens_at) * rate / WI_SECOND;
        if (s->tokens > s->is->burst)
            s->tokens = s->is->burst;
    }
    s->tokens_at = s->now;
    bool has = s->tokens >= 1;
    s->tokens -= has;
    sim_tell(s, r, !has);
    return has;
}

static inline void sim_take(sim *s, sim_request *r)
{
    const sim_scenario *is = s->is;
    if (s->state == SIM_REFUSES)
        sim_end_at(s, r, s->now + WI_MILLISECOND, WI_SIGNAL_REFUSED);
    else if (s->state == SIM_HANGS)
        sim_end_at(s, r, s->now + sim_timeout, WI_SIGNAL_SILENT);
    else if (is->rate > 0 && !sim_has_token(s, r))
        sim_end_at(s, r, s->now + sim_net, WI_SIGNAL_RATE);
    else if (is->noise > 0 && wi_random_below(&s->random, 1000) < (int64_t)(is->noise * 1000))
        sim_end_at(s, r, s->now + is->service, WI_SIGNAL_BUSY);
    else if (is->at_once && (double)s->serving >= (double)is->at_once * s->factor)
        sim_end_at(s, r, s->now + sim_net, WI_SIGNAL_BUSY);
    else if (is->workers && s->serving >= sim_workers(s))
        wi_list_append(&s->queue, &r->queue);
    else
        sim_serve(s, r);
}

/* What was being answered when a server goes away is never answered. */
static inline void sim_change_now(sim *s, const sim_change *change)
{
    s->factor = change->factor;
    s->state = change->state;
    s->change++;
    if (s->state == SIM_UP)
        sim_serve_queue(s);
}

/* What it can give, per second. */
static inline double sim_capacity(const sim_scenario *is, double factor)
{
    double service = (double)is->service / WI_SECOND;
    if (is->rate > 0)
        return is->rate * factor;
    if (is->thrash > 0)
        return is->thrash / 2 / service * factor;
    int64_t at_once = is->workers ? is->workers : is->at_once ? is->at_once : SIM_FLIGHT;
    return (double)at_once * factor / service;
}

static inline int64_t sim_round_of(const sim *s)
{
    int64_t round = (s->now - WI_SECOND) / s->is->service;
    return round < s->is->rounds ? round : s->is->rounds - 1;
}

/* ---- the client ---- */

static inline void sim_begin_all(sim *s)
{
    while (s->idle_len) {
        s->wake = WI_FOREVER;
        wi_entry entry = wi_gate_enter(s->gate, s->origin, 0, false, s->now, &s->wake);
        if (entry != WI_ENTRY_IN)
            break;
        sim_request *r = s->idle[--s->idle_len];
        *r = (sim_request){.begun = s->now};
        wi_list_init(&r->queue);
        s->in_flight++;
        sim_take(s, r);
    }
    sim_round *round = &s->rounds[sim_round_of(s)];
    if (s->in_flight > round->in_flight)
        round->in_flight = s->in_flight;
}

static inline void sim_end_one(sim *s)
{
    sim_request *r = (sim_request *)wi_heap_top(&s->heap);
    wi_heap_remove(&s->heap, &r->node);
    s->serving -= r->served;
    if (r->served && s->state != SIM_UP)
        r->signal = WI_SIGNAL_GONE;
    wi_leaving leaving = {
        .duration = s->now - r->begun, .signal = r->signal, .hold = r->hold, .hint = r->hint};
    s->in_flight--;
    sim_round *round = &s->rounds[sim_round_of(s)];
    round->good += r->signal == WI_SIGNAL_FINE;
    round->refused += r->signal == WI_SIGNAL_RATE || r->signal == WI_SIGNAL_BUSY;
    round->lost += r->signal >= WI_SIGNAL_LATE;
    wi_gate_leave(s->gate, s->origin, 0, s->now, &leaving);
    s->idle[s->idle_len++] = r;
    if (s->is->workers)
        sim_serve_queue(s);
}

static inline void sim_run(sim *s)
{
    const sim_scenario *is = s->is;
    int64_t until = s->now + is->rounds * is->service;
    for (;;) {
        sim_begin_all(s);
        const sim_change *change = s->change < SIM_CHANGES && is->changes[s->change].round
                                       ? &is->changes[s->change]
                                       : NULL;
        int64_t change_at = change ? WI_SECOND + change->round * is->service : WI_FOREVER;
        wi_heap_node *top = wi_heap_top(&s->heap);
        int64_t next = s->wake < change_at ? s->wake : change_at;
        if (top && top->key < next)
            next = top->key;
        if (next >= until)
            return;
        s->now = next > s->now ? next : s->now;
        if (change && change_at <= s->now)
            sim_change_now(s, change);
        else if (top && top->key <= s->now)
            sim_end_one(s);
    }
}

/* ---- what came out ---- */

/* From one change to the next, without the time it has to settle. */
typedef struct sim_span {
    int64_t from, to; /* rounds */
    double factor;
    sim_state state;
    double used;    /* of what the server could give */
    double worst;   /* of that, in twenty round trips or the time of fifty answers */
    double refused; /* of all requests */
    int64_t asked;
} sim_span;

static inline void sim_judge(const sim *s, sim_span *span)
{
    double each = sim_capacity(s->is, span->factor) * (double)s->is->service / WI_SECOND;
    int64_t window = each * SIM_SETTLING > 50 ? SIM_SETTLING : (int64_t)(50 / each) + 1;
    int64_t good = 0, refused = 0, recent = 0;
    if (window < s->is->window)
        window = s->is->window;
    span->worst = 1e9;
    for (int64_t i = span->from; i < span->to; i++) {
        good += s->rounds[i].good;
        refused += s->rounds[i].refused;
        span->asked += s->rounds[i].good + s->rounds[i].refused + s->rounds[i].lost;
        recent += s->rounds[i].good;
        if (i - span->from >= window)
            recent -= s->rounds[i - window].good;
        double used = (double)recent / (each * (double)window);
        if (i - span->from >= window - 1 && used < span->worst)
            span->worst = used;
    }
    span->used = (double)good / (each * (double)(span->to - span->from));
    span->refused = good + refused ? (double)refused / (double)(good + refused) : 0;
}

static inline int64_t sim_settling(const sim_scenario *is)
{
    return is->settling ? is->settling : SIM_SETTLING;
}

static inline int sim_spans(const sim *s, sim_span spans[SIM_CHANGES + 1])
{
    int n = 0;
    const sim_scenario *is = s->is;
    int64_t settling = sim_settling(is);
    sim_span span = {.from = settling, .factor = 1};
    for (int i = 0; i <= SIM_CHANGES; i++) {
        bool last = i == SIM_CHANGES || !is->changes[i].round;
        span.to = last ? is->rounds : is->changes[i].round;
        spans[n] = span;
        sim_judge(s, &spans[n++]);
        if (last)
            break;
        const sim_change *change = &is->changes[i];
        span = (sim_span){
            .from = change->round + settling, .factor = change->factor, .state = change->state};
    }
    return n;
}

/* ---- the scenarios ---- */

#define SIM_MS(n) ((n)*WI_MILLISECOND)

static const sim_scenario sim_scenarios[] = {
    {.name = "4 workers, 10 ms", .service = SIM_MS(10), .workers = 4, .rounds = 400},
    {.name = "32 workers, 10 ms", .service = SIM_MS(10), .workers = 32, .rounds = 200},
    {.name = "200 workers, 10 ms", .service = SIM_MS(10), .workers = 200, .rounds = 120},
    {.name = "1,000 workers, 10 ms", .service = SIM_MS(10), .workers = 1000, .rounds = 120},
    {.name = "4 workers, 1 s", .service = SIM_MS(1000), .workers = 4, .rounds = 400},
    {.name = "32 workers, 1 s", .service = SIM_MS(1000), .workers = 32, .rounds = 200},
    {.name = "200 workers, 1 s", .service = SIM_MS(1000), .workers = 200, .rounds = 120},
    {.name = "1,000 workers, 1 s", .service = SIM_MS(1000), .workers = 1000, .rounds = 120},
    {.name = "4,000 workers, 1 s", .service = SIM_MS(1000), .workers = 4000, .rounds = 40},
    {.name = "100 workers, 100 ms, spread",
     .service = SIM_MS(100),
     .spread = 0.2,
     .workers = 100,
     .rounds = 200},
    {.name = "503 above 4", .service = SIM_MS(100), .at_once = 4, .rounds = 1000},
    {.name = "503 above 20", .service = SIM_MS(100), .at_once = 20, .rounds = 600},
    {.name = "503 above 100", .service = SIM_MS(100), .at_once = 100, .rounds = 300},
    {.name = "503 above 100, spread",
     .service = SIM_MS(100),
     .spread = 0.2,
     .at_once = 100,
     .rounds = 300},
    {.name = "503 above 1,000", .service = SIM_MS(100), .at_once = 1000, .rounds = 120},
    {.name = "429 above 100/s", .service = SIM_MS(50), .rate = 100, .burst = 10, .rounds = 1500},
    {.name = "429 above 1,000/s", .service = SIM_MS(50), .rate = 1000, .burst = 100, .rounds = 600},
    {.name = "429 above 20/s, 1 s",
     .service = SIM_MS(1000),
     .rate = 20,
     .burst = 20,
     .rounds = 300},
    {.name = "429 above 100/s, 1 s",
     .service = SIM_MS(1000),
     .rate = 100,
     .burst = 100,
     .rounds = 150},
    {.name = "429 above 100/s, Retry-After",
     .service = SIM_MS(50),
     .rate = 100,
     .burst = 20,
     .retry_after = true,
     .rounds = 1500,
     .settling = 260,
     .window = 400},
    {.name = "429 above 200 in 2 s, RateLimit",
     .service = SIM_MS(100),
     .rate = 100,
     .period = SIM_MS(2000),
     .hints = true,
     .rounds = 400},
    {.name = "429 above 300 in 3 s, told nothing",
     .service = SIM_MS(100),
     .rate = 100,
     .period = SIM_MS(3000),
     .rounds = 600,
     .settling = 120,
     .window = 120},
    {.name = "2% refused for no reason",
     .service = SIM_MS(100),
     .noise = 0.02,
     .rounds = 200,
     .settling = 140},
    {.name = "latency grows with load", .service = SIM_MS(100), .thrash = 100, .rounds = 200},
    {.name = "brown-out to a third",
     .service = SIM_MS(100),
     .workers = 120,
     .rounds = 240,
     .changes = {{80, 1 / 3.0, SIM_UP}, {160, 1, SIM_UP}}},
    {.name = "brown-out to a third, 503",
     .service = SIM_MS(100),
     .at_once = 120,
     .rounds = 240,
     .changes = {{80, 1 / 3.0, SIM_UP}, {160, 1, SIM_UP}}},
    {.name = "brown-out to a third, 429",
     .service = SIM_MS(100),
     .rate = 600,
     .burst = 60,
     .rounds = 400,
     .changes = {{120, 1 / 3.0, SIM_UP}, {240, 1, SIM_UP}}},
    {.name = "blackout, refused",
     .service = SIM_MS(1000),
     .workers = 100,
     .rounds = 120,
     .changes = {{40, 1, SIM_REFUSES}, {60, 1, SIM_UP}}},
    {.name = "blackout, no answer",
     .service = SIM_MS(1000),
     .workers = 100,
     .rounds = 200,
     .changes = {{40, 1, SIM_HANGS}, {80, 1, SIM_UP}}},
};

enum { SIM_SCENARIOS = sizeof sim_scenarios / sizeof sim_scenarios[0] };

#endif
