/*
 * limit_test.c: the limit against simulated servers, on a clock that only the simulation moves.
 *
 * A client keeps as many requests in flight as the limit says; a server answers each after a
 * latency of its own. Nothing here sleeps, and every run is the same.
 */
#include "limit.h"

#include <stdlib.h>

#include "clock.h"
#include "heap.h"
#include "random.h"
#include "test.h"

enum { MAX_FLIGHT = 4096, MAX_WORKERS = 512 };

typedef struct request {
    wi_heap_node node;
    int64_t begun;
    bool overload;
} request;

typedef struct sim {
    wi_limit limit;
    wi_heap heap;
    int64_t now;
    int64_t items; /* still to begin */
    int64_t in_flight;
    request requests[MAX_FLIGHT];
    request *idle[MAX_FLIGHT];
    size_t idle_len;
    wi_random random;

    /* the server */
    int64_t latency; /* without any queue */
    int64_t workers; /* 0: as many as needed */
    int64_t free_at[MAX_WORKERS];
    int64_t refuse_above; /* 0: never */
    int64_t served;       /* in flight and not refused */
    double spread;        /* of the latency; 1: none */
    double load;          /* latency grows by 1 per so many in flight; 0: it does not */
    bool dead;

    /* what was seen since sim_look */
    int64_t since;
    int64_t done, refused;
    double lowest, highest;
} sim;

static sim *sim_new(int64_t ceiling)
{
    sim *s = calloc(1, sizeof *s);
    if (!EXPECT(s != NULL))
        abort();
    wi_limit_init(&s->limit, 0, ceiling);
    wi_random_init(&s->random, 42);
    s->items = INT64_MAX;
    s->latency = 100 * WI_MILLISECOND;
    for (size_t i = 0; i < MAX_FLIGHT; i++)
        s->idle[s->idle_len++] = &s->requests[i];
    return s;
}

static void sim_free(sim *s)
{
    wi_heap_fini(&s->heap);
    free(s);
}

static void sim_look(sim *s)
{
    s->since = s->now;
    s->done = s->refused = 0;
    s->lowest = 1e9;
    s->highest = 0;
}

/* Answers per second since sim_look. */
static double sim_rate(const sim *s)
{
    return (double)s->done * 1e9 / (double)(s->now - s->since);
}

/* Eight throws of a coin, each of which makes it longer or shorter by `spread`: nearly lognormal,
 * with the same mean. */
static double spread_out(sim *s, double time)
{
    for (int i = 0; i < 8; i++) {
        bool longer = wi_random_u32(&s->random) & 1;
        time *= longer ? s->spread : 1 / s->spread;
        time /= (s->spread + 1 / s->spread) / 2;
    }
    return time;
}

static int64_t service_time(sim *s)
{
    double time = (double)s->latency;
    if (s->spread > 1)
        time = spread_out(s, time);
    if (s->load > 0)
        time *= 1 + (double)s->served / s->load;
    return (int64_t)time;
}

/* The next worker to be free takes the request; those in front of it are waited for. */
static int64_t queue_time(sim *s, int64_t work)
{
    int64_t *first = &s->free_at[0];
    for (int64_t i = 1; i < s->workers; i++)
        if (s->free_at[i] < *first)
            first = &s->free_at[i];
    int64_t start = *first > s->now ? *first : s->now;
    *first = start + work;
    return *first - s->now;
}

static int64_t serve(sim *s, request *r)
{
    r->overload = s->dead || (s->refuse_above && s->served >= s->refuse_above);
    if (r->overload)
        return 10 * WI_MILLISECOND;
    s->served++;
    int64_t work = service_time(s);
    return s->workers ? queue_time(s, work) : work;
}

static void begin_all(sim *s)
{
    while (s->items > 0 && s->in_flight < wi_limit_now(&s->limit, s->now) && s->idle_len) {
        request *r = s->idle[--s->idle_len];
        s->items--;
        s->in_flight++;
        r->begun = s->now;
        wi_limit_begin(&s->limit, s->now, s->in_flight >= wi_limit_now(&s->limit, s->now));
        EXPECT(wi_heap_push(&s->heap, &r->node, s->now + serve(s, r)));
    }
}

static void end_one(sim *s)
{
    request *r = (request *)wi_heap_top(&s->heap);
    wi_heap_remove(&s->heap, &r->node);
    s->in_flight--;
    s->served -= !r->overload;
    s->done += !r->overload;
    s->refused += r->overload;
    wi_limit_end(&s->limit, s->now, s->now - r->begun,
                 !r->overload ? WI_SIGNAL_FINE
                 : s->dead    ? WI_SIGNAL_REFUSED
                              : WI_SIGNAL_BUSY);
    s->idle[s->idle_len++] = r;
}

static void sim_run(sim *s, int64_t span)
{
    int64_t until = s->now + span;
    for (;;) {
        begin_all(s);
        int64_t rise = wi_limit_next_rise(&s->limit, s->now);
        wi_heap_node *top = wi_heap_top(&s->heap);
        int64_t next = top && top->key < rise ? top->key : rise;
        if (next > until)
            break;
        s->now = next;
        if (top && top->key <= s->now)
            end_one(s);
        double limit = s->limit.limit;
        s->lowest = limit < s->lowest ? limit : s->lowest;
        s->highest = limit > s->highest ? limit : s->highest;
        if (!(limit >= 1 && limit <= s->limit.ceiling)) {
            EXPECT(!"the limit left its bounds");
            break;
        }
    }
    s->now = until;
}

static void sim_print(const sim *s, const char *what)
{
    printf("# %s: limit %.1f to %.1f, now %.1f; %.1f answers/s, %.2f%% refused\n", what, s->lowest,
           s->highest, s->limit.limit, sim_rate(s),
           s->done ? 100.0 * (double)s->refused / (double)(s->done + s->refused) : 100.0);
}

TEST(fixed_stays)
{
    sim *s = sim_new(4000);
    wi_limit_init(&s->limit, 7, 4000);
    s->dead = true;
    sim_run(s, 10 * WI_SECOND);
    EXPECT_INT(wi_limit_now(&s->limit, s->now), 7);
    EXPECT(wi_limit_next_rise(&s->limit, s->now) == WI_FOREVER);
    sim_free(s);
}

TEST(a_ceiling_holds)
{
    for (int64_t ceiling = 1; ceiling <= 50; ceiling += 7) {
        sim *s = sim_new(ceiling);
        sim_run(s, 20 * WI_SECOND);
        EXPECT_INT(wi_limit_now(&s->limit, s->now), ceiling);
        sim_free(s);
    }
    wi_limit limit;
    wi_limit_init(&limit, 0, -5);
    EXPECT_INT(wi_limit_now(&limit, 0), 1);
}

TEST(two_hundred_of_a_second_are_soon_all_in_flight)
{
    sim *s = sim_new(4000);
    s->latency = WI_SECOND;
    s->items = 200;
    sim_run(s, WI_SECOND / 2);
    EXPECT_INT(s->items, 0);
    EXPECT_INT(s->in_flight, 200);
    sim_run(s, 2 * WI_SECOND);
    EXPECT_INT(s->in_flight, 0);
    sim_free(s);
}

TEST(the_ramp_waits_for_nobody_but_the_first_request)
{
    wi_limit limit;
    wi_limit_init(&limit, 0, 4000);
    EXPECT(wi_limit_next_rise(&limit, 5) == WI_FOREVER);
    EXPECT_INT(wi_limit_now(&limit, 3600 * WI_SECOND), 32);
    int64_t t = 3600 * WI_SECOND;
    wi_limit_begin(&limit, t, false);
    EXPECT_INT(wi_limit_next_rise(&limit, t), t + WI_SECOND / 10);
    EXPECT_INT(wi_limit_now(&limit, t + WI_SECOND / 10 - 1), 32);
    EXPECT_INT(wi_limit_now(&limit, t + WI_SECOND / 10), 48);
    EXPECT_INT(wi_limit_next_rise(&limit, t + WI_SECOND / 10), t + WI_SECOND / 5);
    EXPECT_INT(wi_limit_now(&limit, t + 3600 * WI_SECOND), 256);
    EXPECT(wi_limit_next_rise(&limit, t + 3600 * WI_SECOND) == WI_FOREVER);
}

TEST(a_server_without_limits_is_used_up_to_the_ceiling)
{
    sim *s = sim_new(4000);
    sim_look(s);
    sim_run(s, 2 * WI_SECOND);
    sim_print(s, "no limits, 20 round trips");
    EXPECT_INT(wi_limit_now(&s->limit, s->now), 4000);
    sim_free(s);
}

static void settle(int64_t workers, double spread)
{
    char what[64];
    sim *s = sim_new(4000);
    s->workers = workers;
    s->spread = spread;
    sim_run(s, 20 * WI_SECOND);
    sim_look(s);
    sim_run(s, 60 * WI_SECOND);
    snprintf(what, sizeof what, "%d workers, spread %.1f", (int)workers, spread);
    sim_print(s, what);
    EXPECT(sim_rate(s) >= 0.9 * (double)workers * 10);
    EXPECT(s->highest <= 3 * (double)workers);
    if (spread == 1)
        EXPECT(s->lowest >= 0.9 * (double)workers);
    sim_free(s);
}

TEST(a_queue_is_not_fed)
{
    static const int64_t workers[] = {4, 10, 50, 100, 500};
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        settle(workers[i], 1);
        settle(workers[i], 1.2);
    }
}

TEST(a_blind_ramp_into_a_queue_is_undone)
{
    sim *s = sim_new(4000);
    s->workers = 10;
    s->latency = WI_SECOND;
    sim_run(s, 180 * WI_SECOND); /* 256 are in the queue at first, which alone takes 25 s */
    sim_look(s);
    sim_run(s, 120 * WI_SECOND);
    sim_print(s, "10 workers of 1 s");
    EXPECT(s->highest <= 30);
    EXPECT(sim_rate(s) >= 9);
    sim_free(s);
}

TEST(spread_latencies_do_not_hold_back)
{
    static const double spreads[] = {1.2, 1.5, 1.7};
    for (int i = 0; i < 3; i++) {
        sim *s = sim_new(1000);
        s->spread = spreads[i];
        sim_run(s, 20 * WI_SECOND);
        sim_look(s);
        sim_run(s, 60 * WI_SECOND);
        sim_print(s, "no limits, spread latencies");
        EXPECT(sim_rate(s) >= 0.7 * 10000);
        sim_free(s);
    }
}

TEST(refusals_stay_rare)
{
    static const int64_t above[] = {3, 20, 100, 1000};
    for (int i = 0; i < 4; i++) {
        sim *s = sim_new(4000);
        s->refuse_above = above[i];
        sim_run(s, 3 * WI_SECOND);
        sim_look(s);
        sim_run(s, 60 * WI_SECOND);
        sim_print(s, "refusing");
        EXPECT((double)s->refused < 0.05 * (double)(s->done + s->refused));
        EXPECT(sim_rate(s) >= 0.6 * 10 * (double)above[i]);
        EXPECT(s->highest <= 1.3 * (double)above[i] + 2);
        sim_free(s);
    }
}

TEST(latency_that_grows_with_load)
{
    sim *s = sim_new(4000);
    s->load = 100;
    sim_run(s, 20 * WI_SECOND);
    sim_look(s);
    sim_run(s, 120 * WI_SECOND);
    sim_print(s, "latency grows with load");
    EXPECT(s->lowest >= 20 && s->highest <= 400);
    EXPECT(sim_rate(s) >= 300); /* 1,000/s is what infinitely many would get */
    sim_free(s);
}

TEST(a_dead_server_and_its_return)
{
    sim *s = sim_new(4000);
    s->dead = true;
    sim_run(s, 5 * WI_SECOND);
    EXPECT_INT(wi_limit_now(&s->limit, s->now), 1);
    s->dead = false;
    sim_run(s, 10 * WI_SECOND);
    sim_look(s);
    sim_run(s, WI_SECOND);
    sim_print(s, "100 round trips after the return");
    EXPECT(sim_rate(s) >= 1000);
    sim_free(s);
}

TEST(a_brown_out_and_its_end)
{
    sim *s = sim_new(4000);
    s->workers = 100;
    sim_run(s, 10 * WI_SECOND);
    s->latency = 2 * WI_SECOND; /* a twentieth of what it could */
    sim_run(s, 60 * WI_SECOND);
    sim_look(s);
    sim_run(s, 60 * WI_SECOND);
    sim_print(s, "brown-out");
    EXPECT(sim_rate(s) >= 0.85 * 50);
    s->latency = 100 * WI_MILLISECOND;
    sim_run(s, 4 * WI_SECOND); /* its queue is emptied first */
    sim_look(s);
    sim_run(s, 10 * WI_SECOND);
    sim_print(s, "soon after it");
    EXPECT(sim_rate(s) >= 900);
    sim_run(s, 50 * WI_SECOND);
    sim_look(s);
    sim_run(s, 20 * WI_SECOND);
    sim_print(s, "a minute after it");
    EXPECT(sim_rate(s) >= 900);
    EXPECT(s->highest <= 308);
    sim_free(s);
}

TEST(slower_answers_alone_are_no_reason_to_slow_down)
{
    sim *s = sim_new(1000);
    sim_run(s, 10 * WI_SECOND);
    EXPECT_INT(wi_limit_now(&s->limit, s->now), 1000);
    s->latency = WI_SECOND; /* another kind of request, say */
    sim_run(s, 20 * WI_SECOND);
    sim_look(s);
    sim_run(s, 20 * WI_SECOND);
    sim_print(s, "ten times slower");
    EXPECT(sim_rate(s) >= 900);
    sim_free(s);
}

TEST(a_limit_that_is_not_reached_does_not_grow)
{
    sim *s = sim_new(4000);
    s->latency = 50 * WI_MILLISECOND;
    for (int i = 0; i < 100; i++) {
        s->items = 20;
        sim_run(s, WI_SECOND);
    }
    EXPECT_INT(wi_limit_now(&s->limit, s->now), 32);
    sim_free(s);
}

TEST(one_round_trip_halves_once)
{
    wi_limit limit;
    wi_limit_init(&limit, 0, 4000);
    for (int i = 0; i < 32; i++)
        wi_limit_begin(&limit, 0, false);
    for (int i = 0; i < 32; i++)
        wi_limit_end(&limit, WI_MILLISECOND + i, WI_MILLISECOND + i, WI_SIGNAL_BUSY);
    EXPECT_INT(wi_limit_now(&limit, WI_SECOND), 16);
    wi_limit_end(&limit, 2 * WI_SECOND, WI_SECOND / 2, WI_SIGNAL_BUSY);
    EXPECT_INT(wi_limit_now(&limit, 2 * WI_SECOND), 8);
}

TEST(odd_times_do_no_harm)
{
    wi_limit limit;
    wi_limit_init(&limit, 0, 100);
    for (int i = 0; i < 1000; i++) {
        wi_limit_begin(&limit, 0, true);
        wi_limit_end(&limit, 0, i % 3 ? 0 : -5, i % 50 == 0 ? WI_SIGNAL_BUSY : WI_SIGNAL_FINE);
        EXPECT(limit.limit >= 1 && limit.limit <= 100);
        EXPECT(wi_limit_next_rise(&limit, 0) == WI_FOREVER);
    }
}

TESTS(CASE(fixed_stays), CASE(a_ceiling_holds),
      CASE(two_hundred_of_a_second_are_soon_all_in_flight),
      CASE(the_ramp_waits_for_nobody_but_the_first_request),
      CASE(a_server_without_limits_is_used_up_to_the_ceiling), CASE(a_queue_is_not_fed),
      CASE(a_blind_ramp_into_a_queue_is_undone), CASE(spread_latencies_do_not_hold_back),
      CASE(refusals_stay_rare), CASE(latency_that_grows_with_load),
      CASE(a_dead_server_and_its_return), CASE(a_brown_out_and_its_end),
      CASE(slower_answers_alone_are_no_reason_to_slow_down),
      CASE(a_limit_that_is_not_reached_does_not_grow), CASE(one_round_trip_halves_once),
      CASE(odd_times_do_no_harm))
