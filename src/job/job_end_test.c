/* job_end_test.c: every way a job can end before all of its items have. */
#include "job_testing.h"

static void end_with(uint64_t seed)
{
    wi_random r;
    wi_random_init(&r, seed);
    wi_job_options o = options_for(1 + (uint64_t)wi_random_below(&r, 1500));
    o.common.lanes = 1 + wi_random_below(&r, 5);
    o.common.in_flight = wi_random_below(&r, 4) ? 1 + wi_random_below(&r, 300) : 0;
    o.per_host = wi_random_below(&r, 3) ? 0 : 1 + wi_random_below(&r, 8);
    o.common.unordered = wi_random_below(&r, 2);
    o.common.retries = wi_random_below(&r, 4);
    o.common.memory = wi_random_below(&r, 2) ? 1 << 20 : 64 << 20;
    fake f = {
        .seed = seed,
        .longest = wi_random_below(&r, 3) * WI_MILLISECOND,
        .fail_percent = (int)wi_random_below(&r, 30),
        .fatal_percent = (int)wi_random_below(&r, 10),
        .bad_percent = (int)wi_random_below(&r, 10),
        .origins = 1 + (int)wi_random_below(&r, 4),
        .stop_at = 1 + wi_random_below(&r, 2000),
        .stop_how = wi_random_below(&r, 2) ? WEIR_STOP_NOW : WEIR_STOP_DRAIN,
    };
    f.body = wi_random_below(&r, 2) ? 40000 : 0;
    f.piece = 10000;
    bool fail_fast = wi_random_below(&r, 4) == 0;
    o.common.halt_after = fail_fast;
    int before = atomic_load(&test_failures);
    weir_job *job = make(&o, &f);
    if (!job)
        return;
    out.closes_after = wi_random_below(&r, 4) ? 0 : 1 + wi_random_below(&r, 2000);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, (int64_t)o.choices);
    EXPECT(o.common.unordered || out.in_order);
    EXPECT(s.end != WEIR_JOB_END_COMPLETE || s.cancelled + s.not_started == 0);
    weir_job_free(job);
    EXPECT_INT(atomic_load(&f.open_lanes), 0);
    if (atomic_load(&test_failures) != before)
        printf("# with seed %llu\n", (unsigned long long)seed);
}

TEST(any_end_adds_up)
{
    for (uint64_t seed = 1; seed <= 100; seed++)
        end_with(seed);
}

TEST(drain_lets_those_in_flight_finish)
{
    fake f = {.seed = 12, .longest = 5 * WI_MILLISECOND, .stop_at = 300};
    wi_job_options o = options_for(5000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_STOPPED);
    EXPECT(s.ok >= 300);
    EXPECT(s.ok < 5000);
    EXPECT_INT(s.cancelled, 0);
    EXPECT_INT(s.failed, 0);
}

TEST(stop_now_cancels_those_in_flight)
{
    fake f = {.seed = 13, .longest = 3600 * WI_SECOND, .stop_at = 100, .stop_how = WEIR_STOP_NOW};
    wi_job_options o = options_for(5000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_STOPPED);
    EXPECT_INT(s.ok, 0);
    EXPECT(s.cancelled >= 100 && s.cancelled <= 101); /* one may begin on the other lane */
    EXPECT_INT(s.not_started, 5000 - s.cancelled);
    EXPECT_INT(out.len, 0);
}

TEST(from_drain_to_now)
{
    fake f = {.seed = 14, .longest = 3600 * WI_SECOND, .stop_at = 50};
    wi_job_options o = options_for(1000);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    weir_job_stats s;
    do
        weir_job_stats_get(job, &s);
    while (s.phase != WEIR_JOB_DRAINING);
    EXPECT_INT(weir_job_wait(job, 0, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(weir_job_wait(job, WI_MILLISECOND, NULL), WEIR_TIMEDOUT);
    weir_job_stop(job, WEIR_STOP_NOW);
    weir_job_stop(job, WEIR_STOP_DRAIN);
    EXPECT_INT(weir_job_wait(job, INT64_MAX, NULL), WEIR_OK);
    s = expect_sound(job, &f, 1000);
    EXPECT_INT(s.end, WEIR_JOB_END_STOPPED);
    weir_job_stop(job, WEIR_STOP_NOW);
    weir_job_free(job);
}

TEST(the_deadline_ends_a_job)
{
    fake f = {.seed = 15, .longest = 3600 * WI_SECOND};
    wi_job_options o = options_for(1000);
    o.common.deadline = 10 * WI_MILLISECOND;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_DEADLINE);
    EXPECT_INT(s.cancelled + s.not_started + s.ok, 1000);
}

TEST(the_first_failure_ends_a_job)
{
    fake f = {.seed = 16, .stubborn = 200, .stubborn_for = 100};
    wi_job_options o = options_for(100000);
    o.common.halt_after = 1;
    o.common.retries = 0;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_FAILFAST);
    EXPECT_INT(s.failed, 1);
}

TEST(an_output_that_is_closed_ends_a_job)
{
    fake f = {.seed = 17, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(50000);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    out.closes_after = 100;
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, 50000);
    EXPECT_INT(s.end, WEIR_JOB_END_CLOSED);
    EXPECT(s.not_started > 0);
    weir_job_free(job);
}

TEST(an_output_that_is_full_ends_a_job)
{
    fake f = {.seed = 18, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(50000);
    o.common.write = NULL;
    o.common.output = "/dev/full";
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_error err = {0};
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, &err), WEIR_IO);
    EXPECT(strstr(err.text, "/dev/full") != NULL);
    weir_job_stats s = expect_sound(job, &f, 50000);
    EXPECT_INT(s.end, WEIR_JOB_END_FAULT);
    EXPECT(s.not_started > 0);
    weir_job_free(job);
}

TEST(free_in_the_midst)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        fake f = {.seed = seed, .longest = 3 * WI_MILLISECOND, .fail_percent = 20};
        wi_job_options o = options_for(2000);
        o.common.lanes = 1 + (int64_t)seed % 4;
        weir_job *job = make(&o, &f);
        REQUIRE(job != NULL);
        EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
        while (atomic_load(&f.starts) < (long)seed * 10)
            continue;
        weir_job_free(job);
        EXPECT(f.freed);
        EXPECT_INT(atomic_load(&f.live), 0);
        EXPECT_INT(atomic_load(&f.open_lanes), 0);
    }
}

TESTS(CASE(any_end_adds_up), CASE(drain_lets_those_in_flight_finish),
      CASE(stop_now_cancels_those_in_flight), CASE(from_drain_to_now),
      CASE(the_deadline_ends_a_job), CASE(the_first_failure_ends_a_job),
      CASE(an_output_that_is_closed_ends_a_job), CASE(an_output_that_is_full_ends_a_job),
      CASE(free_in_the_midst))
