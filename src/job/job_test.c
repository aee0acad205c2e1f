/* job_test.c: whole jobs: every item comes out once, in order, within the limits. */
#include "folder.h"
#include "job_testing.h"

/* ---- whole runs ---- */

TEST(all_items_come_out_in_order)
{
    fake f = {.seed = 1, .longest = 2 * WI_MILLISECOND};
    wi_job_options o = options_for(5000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 5000);
    EXPECT_INT(s.total, 5000);
    EXPECT(s.peak_in_flight <= 100);
}

TEST(unordered_items_all_come_out)
{
    fake f = {.seed = 2, .longest = 2 * WI_MILLISECOND};
    wi_job_options o = options_for(5000);
    o.common.unordered = true;
    EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, 5000);
}

TEST(a_hundred_thousand)
{
    fake f = {.seed = 3, .fatal_percent = 1, .bad_percent = 1};
    wi_job_options o = options_for(100000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT(s.failed > 500 && s.failed < 5000);
    EXPECT_INT(s.ok + s.failed, 100000);
}

TEST(sizes_around_those_of_blocks)
{
    static const uint64_t sizes[] = {1, 2, 31, 32, 63, 64, 65, 127, 128, 129, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fake f = {.seed = i, .longest = WI_MILLISECOND / 10};
        wi_job_options o = options_for(sizes[i]);
        o.common.lanes = (int64_t)i % 4 + 1;
        EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, sizes[i]);
    }
}

TEST(many_lanes)
{
    fake f = {.seed = 4, .longest = WI_MILLISECOND, .origins = 7};
    wi_job_options o = options_for(5000);
    o.common.lanes = 32;
    o.common.in_flight = 40;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 5000);
    EXPECT(s.peak_in_flight <= 40);
}

TEST(one_at_a_time)
{
    fake f = {.seed = 5, .longest = WI_MILLISECOND / 20, .origins = 3};
    wi_job_options o = options_for(500);
    o.common.lanes = 4;
    o.common.in_flight = 1;
    EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).peak_in_flight, 1);
}

TEST(one_at_a_time_per_origin)
{
    fake f = {.seed = 6, .longest = WI_MILLISECOND / 20, .origins = 5};
    wi_job_options o = options_for(1000);
    o.common.lanes = 3;
    o.per_host = 1;
    EXPECT(run(&o, &f, WEIR_JOB_END_COMPLETE).peak_in_flight <= 5);
}

TEST(a_limit_that_is_found)
{
    fake f = {.seed = 7, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(20000);
    o.common.in_flight = 0;
    EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, 20000);
}

/* ---- retries ---- */

TEST(attempts_are_counted)
{
    fake f = {.seed = 8, .stubborn = 17, .stubborn_for = 2};
    wi_job_options o = options_for(100);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 100);
    EXPECT_INT(s.attempts, 102);
    EXPECT_INT(s.retries, 2);
    EXPECT_INT(out.attempts[17], 3);
    EXPECT_INT(out.attempts[18], 1);
}

TEST(attempts_end)
{
    fake f = {.seed = 9, .stubborn = 17, .stubborn_for = 100};
    wi_job_options o = options_for(100);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 99);
    EXPECT_INT(s.failed, 1);
    EXPECT_INT(out.attempts[17], 4);
    fake g = {.seed = 9, .stubborn = 17, .stubborn_for = 100};
    o.common.retries = 0;
    s = run(&o, &g, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.attempts, 100);
    EXPECT_INT(out.attempts[17], 1);
}

TEST(many_retries)
{
    fake f = {.seed = 10, .fail_percent = 40, .fatal_percent = 5, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(3000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    int64_t failed = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        bool fatal = chance(&f, i, 3, 5);
        int attempts = 1;
        while (!fatal && attempts <= 4 && chance(&f, i, 10 + (unsigned)attempts, 40))
            attempts++;
        failed += fatal || attempts > 4;
        EXPECT_INT(out.attempts[i], attempts > 4 ? 4 : attempts);
    }
    EXPECT_INT(s.failed, failed);
    EXPECT_INT(s.retries, s.attempts - 3000);
    EXPECT_INT(s.retries_refused, 0);
}

/* The reserve is 1000 retries and each item brings one: 4000 would need 12,000. */
TEST(the_retry_budget_ends)
{
    fake f = {.seed = 11, .fail_percent = 100};
    wi_job_options o = options_for(4000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.failed, 4000);
    EXPECT(s.retries <= 5000);
    EXPECT(s.retries_refused > 0);
}

/* ---- before the start ---- */

TEST(a_job_that_is_not_started)
{
    fake f = {.seed = 19};
    wi_job_options o = options_for(10);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_job_stats s;
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.phase, WEIR_JOB_READY);
    EXPECT_INT(weir_job_wait(job, 0, NULL), WEIR_INVALID);
    weir_job_free(job);
    EXPECT(f.freed);
    weir_job_free(NULL);
}

TEST(stopped_before_the_start)
{
    fake f = {.seed = 20};
    wi_job_options o = options_for(10);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_job_stop(job, WEIR_STOP_DRAIN);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, 10);
    EXPECT_INT(s.end, WEIR_JOB_END_STOPPED);
    EXPECT_INT(s.not_started, 10);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_INVALID);
    weir_job_free(job);
}

TEST(a_plan)
{
    fake f = {.seed = 21, .origins = 3, .bad_percent = 50};
    wi_job_options o = options_for(1000);
    o.common.rate = 100;
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_job_plan plan;
    REQUIRE(weir_job_plan_make(job, 0, &plan, NULL) == WEIR_OK);
    EXPECT_INT(plan.items, 1000);
    EXPECT_INT(plan.counted, 1000);
    EXPECT(plan.faulty > 300 && plan.faulty < 700);
    EXPECT_INT(plan.origins, 3);
    EXPECT_INT(plan.examples_len, 5);
    EXPECT(strncmp(plan.examples[0], "number ", 7) == 0);
    EXPECT(plan.first_fault && strstr(plan.first_fault, "is bad"));
    EXPECT(plan.shortest > WI_SECOND);
    weir_job_free(job);
    EXPECT_INT(atomic_load(&f.starts), 0);
}

/* ---- memory ---- */

enum { MIB = 1 << 20 };

/* All that is received counts; beyond the budget only those go on for whom others wait. */
static void with_little_memory(bool unordered, uint64_t stubborn, int lanes)
{
    fake f = {.seed = stubborn + (unsigned)lanes,
              .longest = WI_MILLISECOND,
              .body = MIB,
              .piece = MIB / 8,
              .fail_percent = 10,
              .stubborn = stubborn,
              .stubborn_for = 3};
    wi_job_options o = options_for(400);
    o.common.unordered = unordered;
    o.common.lanes = lanes;
    o.common.in_flight = 64;
    o.common.memory = 8 * MIB;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT(s.ok > 390);
    /* An awaited item a lane, and what several lanes took at the same moment. */
    long most = 8 * MIB + lanes * (MIB + MIB / 8);
    if (!EXPECT(atomic_load(&f.most) <= most))
        printf("# %ld of %ld bytes, %d lanes%s\n", atomic_load(&f.most), most, lanes,
               unordered ? ", unordered" : "");
}

TEST(little_memory)
{
    with_little_memory(false, 0, 1);
    with_little_memory(false, 0, 4);
    with_little_memory(false, 65, 2);
    with_little_memory(true, 0, 1);
    with_little_memory(true, 3, 4);
}

/* Bodies that are larger than the whole budget, each. */
TEST(bodies_beyond_the_budget)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        fake f = {.seed = 23, .body = 3 * MIB, .piece = MIB / 4, .longest = WI_MILLISECOND};
        wi_job_options o = options_for(60);
        o.common.unordered = unordered;
        o.common.lanes = 3;
        o.common.memory = 1 * MIB;
        EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, 60);
    }
}

/* ---- inputs ---- */

static const char *put_rows(const char *name, int n, int wide_from)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "we");
    for (int i = 0; file && i < n; i++)
        fprintf(file, i < wide_from ? "{\"a\":%d}\n" : "{\"a\":%d,\"b\":1}\n", i);
    EXPECT(file && fclose(file) == 0);
    return path;
}

TEST(rows_of_an_input)
{
    REQUIRE(folder_begin());
    fake f = {.seed = 24, .longest = WI_MILLISECOND, .fail_percent = 10};
    wi_job_options o = options_for(3);
    o.common.input = put_rows("rows.ndjson", 3000, 2000);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, 9000);
    EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.total, 9000);
    EXPECT(out.in_order);
    weir_job_free(job);
    folder_end();
}

/* Whether they are read ahead, wait or run: however short memory is, all of them get their turn. */
TEST(rows_beyond_the_budget)
{
    REQUIRE(folder_begin());
    FILE *file = fopen(in_folder("large.txt"), "we");
    for (int i = 0; file && i < 300; i++)
        fprintf(file, "%020000d\n", i);
    EXPECT(file && fclose(file) == 0);
    for (int i = 0; i < 4; i++) {
        fake f = {.seed = 27, .longest = WI_MILLISECOND, .fail_percent = 10};
        wi_job_options o = options_for(1);
        o.common.input = in_folder("large.txt");
        o.common.unordered = i % 2;
        o.common.memory = 64 << 10;
        o.common.lanes = i < 2 ? 1 : 4;
        o.common.retries = 30;
        weir_job *job = make(&o, &f);
        REQUIRE(job != NULL);
        EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
        EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
        EXPECT_INT(expect_sound(job, &f, 300).ok, 300);
        weir_job_free(job);
    }
    folder_end();
}

static int64_t lines_of(const char *path)
{
    int64_t lines = 0;
    int c;
    FILE *file = fopen(path, "re");
    while (file && (c = getc(file)) != EOF)
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

/* A CSV's header is written before the new column is known: its rows fail, the job does not. */
static void with_new_column(const char *output, const char *errors)
{
    fake f = {.seed = 25};
    wi_job_options o = options_for(1);
    weir_job_stats s;
    o.common.input = put_rows("rows.ndjson", 1000, 900);
    o.common.write = NULL;
    o.common.output = in_folder(output);
    o.common.errors = errors ? in_folder(errors) : NULL;
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_error err = {0};
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    if (!EXPECT_INT(weir_job_wait(job, -1, &err), WEIR_OK))
        printf("# %s\n", err.text);
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.failed, 100);
    EXPECT_INT(s.ok, 900);
    weir_job_free(job);
    EXPECT_INT(lines_of(in_folder(output)),
               strstr(output, ".csv") ? 1 + (errors ? 900 : 1000) : 900);
    if (errors)
        EXPECT_INT(lines_of(in_folder(errors)), 100 + (strstr(errors, ".csv") != NULL));
}

/* The rows have a place for it, the failed ones' CSV has not. */
static void with_all_failed(void)
{
    fake f = {.seed = 26, .fatal_percent = 100};
    wi_job_options o = options_for(1);
    o.common.input = put_rows("rows.ndjson", 1000, 500);
    o.common.errors = in_folder("all.csv");
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_free(job);
    EXPECT_INT(lines_of(in_folder("all.csv")), 1001);
    EXPECT_INT(out.len, 0);
}

TEST(a_new_column_has_no_place_in_csv)
{
    REQUIRE(folder_begin());
    with_new_column("rows.csv", NULL);
    with_new_column("rows.csv", "errors.csv");
    with_new_column("rows.csv", "errors.ndjson");
    with_all_failed();
    folder_end();
}

TESTS(CASE(all_items_come_out_in_order), CASE(unordered_items_all_come_out),
      CASE(a_hundred_thousand), CASE(sizes_around_those_of_blocks), CASE(many_lanes),
      CASE(one_at_a_time), CASE(one_at_a_time_per_origin), CASE(a_limit_that_is_found),
      CASE(attempts_are_counted), CASE(attempts_end), CASE(many_retries),
      CASE(the_retry_budget_ends), CASE(a_job_that_is_not_started), CASE(stopped_before_the_start),
      CASE(a_plan), CASE(little_memory), CASE(bodies_beyond_the_budget), CASE(rows_of_an_input),
      CASE(rows_beyond_the_budget), CASE(a_new_column_has_no_place_in_csv))
