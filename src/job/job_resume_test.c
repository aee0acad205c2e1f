/*
 * job_resume_test.c: a job that is stopped again and again, and continued, has the rows of one that
 * was not. That it may be killed as well, tests/system/test_kill.py shows.
 */
#include "folder.h"
#include "job_testing.h"

static char output[512];
static char errors[512];

static wi_job_options options_of_file(uint64_t items, bool apart)
{
    wi_job_options o = options_for(items);
    snprintf(output, sizeof output, "%s", in_folder("rows.ndjson"));
    snprintf(errors, sizeof errors, "%s", in_folder("failed.ndjson"));
    o.common.write = NULL;
    o.common.output = output;
    o.common.errors = apart ? errors : NULL;
    o.common.commit_every = WI_MILLISECOND;
    return o;
}

static weir_job_stats run_once(const wi_job_options *options, fake *f)
{
    weir_job_stats s = {0};
    weir_error err;
    weir_job *job = NULL;
    atomic_store(&f->starts, 0);
    if (wi_job_new(options, &fake_kind, f, &job, &err) != WEIR_OK ||
        (f->job = job, weir_job_start(job, &err)) != WEIR_OK) {
        printf("# %s\n", err.text);
        EXPECT(!"begun");
        weir_job_free(job);
        return s;
    }
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.ok + s.failed + s.cancelled + s.not_started + s.ok_before + s.failed_before,
               (int64_t)options->choices);
    weir_job_free(job);
    return s;
}

static void expect_every_row(const wi_job_options *o, const weir_job_stats *s)
{
    rows_begin();
    take_file(output);
    if (o->common.errors)
        take_file(errors);
    EXPECT_INT(out.len, (int64_t)o->choices);
    EXPECT_INT(rows_seen_twice(), 0);
    EXPECT_INT(out.with_error, s->failed + s->failed_before);
    EXPECT_INT(count_files(), o->common.errors ? 3 : 2); /* these and the journal */
}

static void stop_and_go_on(uint64_t seed)
{
    wi_random r;
    wi_random_init(&r, seed);
    wi_job_options o =
        options_of_file(1 + (uint64_t)wi_random_below(&r, 1500), wi_random_below(&r, 2));
    o.common.lanes = 1 + wi_random_below(&r, 4);
    o.common.in_flight = 1 + wi_random_below(&r, 300);
    o.common.unordered = wi_random_below(&r, 2);
    o.common.memory = wi_random_below(&r, 2) ? 1 << 20 : 64 << 20;
    o.common.journal = WEIR_JOURNAL_RESUME;
    fake f = {
        .seed = seed,
        .longest = wi_random_below(&r, 3) * WI_MILLISECOND,
        .fail_percent = (int)wi_random_below(&r, 30),
        .fatal_percent = (int)wi_random_below(&r, 10),
        .bad_percent = (int)wi_random_below(&r, 10),
        .origins = 1 + (int)wi_random_below(&r, 4),
    };
    int before = atomic_load(&test_failures);
    int64_t done = 0;
    weir_job_stats s = {0};
    for (int i = 0; i < 20 && s.end != WEIR_JOB_END_COMPLETE; i++) {
        f.stop_at = i < 19 ? 1 + wi_random_below(&r, 400) : 0;
        f.stop_how = wi_random_below(&r, 2) ? WEIR_STOP_NOW : WEIR_STOP_DRAIN;
        s = run_once(&o, &f);
        EXPECT_INT(s.ok_before + s.failed_before <= done, true); /* some may not be read */
        if (s.end == WEIR_JOB_END_COMPLETE)
            EXPECT_INT(s.ok_before + s.failed_before, done);
        done += s.ok + s.failed;
    }
    EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
    expect_every_row(&o, &s);
    if (atomic_load(&test_failures) != before)
        printf("# with seed %llu\n", (unsigned long long)seed);
}

TEST(stopped_and_continued)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        REQUIRE(folder_begin());
        stop_and_go_on(seed);
        folder_end();
    }
}

TEST(what_failed_is_asked_again)
{
    REQUIRE(folder_begin());
    for (int apart = 0; apart < 2; apart++) {
        wi_job_options o = options_of_file(1000, apart);
        o.common.journal = WEIR_JOURNAL_RESTART;
        o.common.retries = 0;
        fake f = {.seed = 7, .fail_percent = 30};
        weir_job_stats s = run_once(&o, &f);
        EXPECT(s.failed > 100);
        expect_every_row(&o, &s);
        int64_t failed = s.failed;
        o.common.journal = WEIR_JOURNAL_RETRY_FAILED;
        for (int i = 0; i < 5 && failed; i++) {
            f.seed++; /* others fail */
            s = run_once(&o, &f);
            EXPECT_INT(s.ok_before, 1000 - failed);
            EXPECT_INT(s.failed_before, 0);
            expect_every_row(&o, &s);
            failed = s.failed;
        }
        EXPECT(failed < 50);
    }
    folder_end();
}

TEST(a_finished_run_has_nothing_left_to_do)
{
    REQUIRE(folder_begin());
    wi_job_options o = options_of_file(100, false);
    fake f = {.seed = 8, .fatal_percent = 10};
    weir_job_stats s = run_once(&o, &f);
    int64_t failed = s.failed;
    EXPECT(failed > 0);
    o.common.journal = WEIR_JOURNAL_RESUME;
    s = run_once(&o, &f);
    EXPECT_INT(s.ok_before, 100 - failed);
    EXPECT_INT(s.failed_before, failed);
    EXPECT_INT(atomic_load(&f.starts), 0);
    expect_every_row(&o, &s);
    o.choices = 200; /* the input has grown */
    s = run_once(&o, &f);
    EXPECT_INT(s.ok_before + s.failed_before, 100);
    EXPECT_INT(s.ok + s.failed, 100);
    expect_every_row(&o, &s);
    folder_end();
}

TEST(an_unfinished_run_is_not_begun_anew_by_chance)
{
    weir_error err;
    weir_job *job = NULL;
    REQUIRE(folder_begin());
    wi_job_options o = options_of_file(1000, false);
    fake f = {.seed = 9, .stop_at = 500};
    weir_job_stats s = run_once(&o, &f);
    EXPECT(s.ok > 0 && s.ok < 1000);
    f.stop_at = 0;
    REQUIRE(wi_job_new(&o, &fake_kind, &f, &job, &err) == WEIR_OK);
    EXPECT_INT(weir_job_start(job, &err), WEIR_INVALID);
    EXPECT(strstr(err.text, "--resume") && strstr(err.text, "--restart"));
    weir_job_free(job);
    o.common.journal = WEIR_JOURNAL_RESTART;
    s = run_once(&o, &f);
    EXPECT_INT(s.ok, 1000);
    expect_every_row(&o, &s);
    folder_end();
}

TESTS(CASE(stopped_and_continued), CASE(what_failed_is_asked_again),
      CASE(a_finished_run_has_nothing_left_to_do),
      CASE(an_unfinished_run_is_not_begun_anew_by_chance))
