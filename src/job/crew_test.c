/* crew_test.c: jobs whose work blocks: every item comes out once, in order, within the limits, and
 * every way they can end. */
#include <dirent.h>

#include "crew_testing.h"
#include "folder.h"
#include "torture.h"

enum { MIB = 1 << 20 };

/* ---- whole runs ---- */

TEST(all_items_come_out_in_order)
{
    diligent d = {.seed = 1, .items = 3000, .rows = 3, .longest = WI_MILLISECOND / 2};
    wi_job_options o = diligent_options(7);
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 3000);
    EXPECT_INT(s.total, 3000);
    EXPECT_INT(out.len, 9000);
    EXPECT(s.peak_in_flight <= 7);
    EXPECT(s.waited > 0 && s.p50 > 0 && s.p99 >= s.p50);
}

TEST(unordered_items_all_come_out)
{
    diligent d = {.seed = 2, .items = 3000, .rows = 3, .longest = WI_MILLISECOND / 2};
    wi_job_options o = diligent_options(7);
    o.common.unordered = true;
    EXPECT_INT(diligent_run(&o, &d, WEIR_JOB_END_COMPLETE).ok, 3000);
    EXPECT_INT(out.len, 9000);
}

TEST(sizes_around_those_of_pieces)
{
    static const int64_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        diligent d = {.seed = i, .items = sizes[i]};
        wi_job_options o = diligent_options((int64_t)i % 4 + 1);
        EXPECT_INT(diligent_run(&o, &d, WEIR_JOB_END_COMPLETE).ok, sizes[i]);
        EXPECT_INT(out.len, sizes[i]);
    }
}

TEST(a_hundred_thousand)
{
    diligent d = {.seed = 3, .items = 100000, .per_piece = 64, .fail_percent = 1};
    wi_job_options o = diligent_options(4);
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.failed, diligent_failures(&d, 0, 100000));
    EXPECT_INT(s.ok + s.failed, 100000);
    EXPECT_INT(out.len, 100000);
    EXPECT_INT(out.with_error, s.failed);
}

TEST(one_hand)
{
    diligent d = {.seed = 4, .items = 500};
    wi_job_options o = diligent_options(1);
    EXPECT_INT(diligent_run(&o, &d, WEIR_JOB_END_COMPLETE).peak_in_flight, 1);
}

TEST(a_number_that_is_found)
{
    diligent d = {.seed = 5, .items = 20000, .longest = WI_MILLISECOND};
    wi_job_options o = diligent_options(0);
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 20000);
    EXPECT(s.peak_in_flight <= WI_CREW_MOST);
}

/* What waits for one that never ends is not kept back with the rest. */
TEST(rows_are_not_kept_until_the_next_item_ends)
{
    diligent d = {.seed = 6, .items = 80, .stuck_from = 9};
    wi_job_options o = diligent_options(2);
    weir_job *job = diligent_make(&o, &d);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    weir_job_stats s;
    do
        weir_job_stats_get(job, &s);
    while (s.ok < 72);
    weir_job_stop(job, WEIR_STOP_NOW);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    s = diligent_sound(job, &d);
    EXPECT_INT(s.ok, 72);
    weir_job_free(job);
}

TEST(failed_rows_apart)
{
    REQUIRE(folder_begin());
    diligent d = {.seed = 7, .items = 1000, .fail_percent = 20, .errors_apart = true};
    wi_job_options o = diligent_options(3);
    o.common.errors = in_folder("errors.ndjson");
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(out.len, s.ok);
    EXPECT_INT(out.with_error, 0);
    struct stat st;
    EXPECT(stat(in_folder("errors.ndjson"), &st) == 0 && st.st_size > s.failed * 30);
    folder_end();
}

TEST(notes_of_the_kind)
{
    diligent d = {.seed = 8, .items = 10};
    wi_job_options o = diligent_options(1);
    weir_job *job = diligent_make(&o, &d);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    EXPECT_STR(weir_job_note(job, 0), "note 0");
    EXPECT_STR(weir_job_note(job, 1), "note 1");
    EXPECT(weir_job_note(job, 2) == NULL);
    weir_job_free(job);
}

TEST(a_plan)
{
    diligent d = {.seed = 9, .items = 1000, .fail_percent = 50};
    wi_job_options o = diligent_options(5);
    weir_job *job = diligent_make(&o, &d);
    REQUIRE(job != NULL);
    weir_job_plan plan;
    REQUIRE(weir_job_plan_make(job, 0, &plan, NULL) == WEIR_OK);
    EXPECT_INT(plan.items, 1000);
    EXPECT_INT(plan.counted, 1000);
    EXPECT_INT(plan.faulty, diligent_failures(&d, 0, 1000));
    EXPECT_INT(plan.limit, 5);
    EXPECT(!plan.limit_is_found);
    EXPECT_INT(plan.examples_len, 5);
    EXPECT(strncmp(plan.examples[0], "item ", 5) == 0);
    EXPECT(plan.first_fault && strstr(plan.first_fault, "would fail"));
    EXPECT_INT(weir_job_plan_make(job, 0, &plan, NULL), WEIR_INVALID);
    weir_job_free(job);
    diligent cut = {.seed = 9, .items = 1000};
    job = diligent_make(&o, &cut);
    REQUIRE(job != NULL && weir_job_plan_make(job, 10, &plan, NULL) == WEIR_OK);
    EXPECT_INT(plan.items, -1);
    EXPECT_INT(plan.counted, 10);
    weir_job_free(job);
}

/* ---- memory ---- */

/* The first piece comes last of all that memory is enough for; then everything goes on. */
TEST(others_wait_for_the_one_that_is_due)
{
    diligent d = {.seed = 10,
                  .items = 200,
                  .per_piece = 1,
                  .rows = 10,
                  .padding = 10000,
                  .waits_for_memory = true};
    wi_job_options o = diligent_options(6);
    o.common.memory = MIB;
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 200);
    EXPECT_INT(out.len, 2000);
    EXPECT(d.most_buffered >= 768 << 10);
    EXPECT(d.most_buffered <= MIB + 6 * MIB / 2);
}

/* Items that are larger than the whole budget, each. */
TEST(items_beyond_the_budget)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        diligent d = {.seed = 11, .items = 12, .per_piece = 2, .rows = 300, .padding = 10000};
        wi_job_options o = diligent_options(4);
        o.common.unordered = unordered;
        o.common.memory = MIB;
        weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
        EXPECT_INT(s.ok, 12);
        EXPECT_INT(out.len, 3600);
        EXPECT(d.most_buffered <= MIB + 4 * MIB);
    }
}

/* Each of them has the whole budget: one at a time may go on. */
TEST(what_is_held_besides_rows_is_memory_too)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        diligent d = {.seed = 12, .items = 300, .per_piece = 3, .rows = 50, .padding = 1000};
        d.holds = MIB;
        wi_job_options o = diligent_options(8);
        o.common.unordered = unordered;
        o.common.memory = MIB;
        weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
        EXPECT_INT(s.ok, 300);
        EXPECT_INT(out.len, 15000);
        EXPECT_INT(d.most_holding, 1);
        EXPECT_INT(s.buffered, 0);
    }
}

/* ---- ends ---- */

static void end_with(uint64_t seed)
{
    wi_random r;
    wi_random_init(&r, seed);
    wi_job_options o = diligent_options(wi_random_below(&r, 4) ? 1 + wi_random_below(&r, 30) : 0);
    o.common.unordered = wi_random_below(&r, 2);
    o.common.memory = wi_random_below(&r, 2) ? 1 << 20 : 64 << 20;
    o.common.halt_after = wi_random_below(&r, 4) ? 0 : 1 + wi_random_below(&r, 10);
    o.limit = wi_random_below(&r, 3) ? 0 : 1 + wi_random_below(&r, 3000);
    diligent d = {
        .seed = seed,
        .items = wi_random_below(&r, 2000),
        .per_piece = 1 + wi_random_below(&r, 20),
        .rows = 1 + wi_random_below(&r, 5),
        .padding = wi_random_below(&r, 3) ? 0 : (size_t)wi_random_below(&r, 3000),
        .longest = wi_random_below(&r, 2) * WI_MILLISECOND / 2,
        .fail_percent = wi_random_below(&r, 2) ? (int)wi_random_below(&r, 10) : 0,
        .stop_at = wi_random_below(&r, 400),
        .stop_how = wi_random_below(&r, 2) ? WEIR_STOP_NOW : WEIR_STOP_DRAIN,
        .opens = wi_random_below(&r, 4) ? 0 : 1 + (int)wi_random_below(&r, 3),
        .holds = wi_random_below(&r, 3) ? 0 : wi_random_below(&r, 2 * MIB),
    };
    int before = atomic_load(&test_failures);
    weir_job *job = diligent_make(&o, &d);
    if (!job)
        return;
    out.closes_after = wi_random_below(&r, 4) ? 0 : 1 + wi_random_below(&r, 2000);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = diligent_sound(job, &d);
    EXPECT(o.common.unordered || out.in_order);
    EXPECT(s.end != WEIR_JOB_END_COMPLETE || s.cancelled + s.not_started == 0);
    EXPECT(s.end != WEIR_JOB_END_COMPLETE || out.len == s.ok * d.rows + s.failed);
    EXPECT(s.end != WEIR_JOB_END_LIMIT || out.len == o.limit);
    weir_job_free(job);
    if (atomic_load(&test_failures) != before)
        printf("# with seed %llu\n", (unsigned long long)seed);
}

TEST(any_end_adds_up)
{
    for (uint64_t seed = 1; seed <= 150; seed++)
        end_with(seed);
}

TEST(drain_lets_those_begun_finish)
{
    diligent d = {.seed = 12, .items = 5000, .longest = WI_MILLISECOND, .stop_at = 50};
    wi_job_options o = diligent_options(5);
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_STOPPED);
    EXPECT(s.ok > 0 && s.ok < 5000);
    EXPECT_INT(s.cancelled, 0);
    EXPECT_INT(out.len, s.ok);
}

TEST(stop_now_cuts_short)
{
    diligent d = {.seed = 13, .items = 5000, .stuck_from = 1, .stop_at = 4};
    d.stop_how = WEIR_STOP_NOW;
    wi_job_options o = diligent_options(4);
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_STOPPED);
    EXPECT(s.ok <= 8);
    EXPECT(s.cancelled >= 3);
    EXPECT(s.not_started > 0);
}

TEST(from_drain_to_now)
{
    diligent d = {.seed = 14, .items = 1000, .stuck_from = 1, .stop_at = 3};
    wi_job_options o = diligent_options(3);
    weir_job *job = diligent_make(&o, &d);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    weir_job_stats s;
    do
        weir_job_stats_get(job, &s);
    while (s.phase != WEIR_JOB_DRAINING);
    EXPECT_INT(weir_job_wait(job, 0, NULL), WEIR_TIMEDOUT);
    weir_job_stop(job, WEIR_STOP_NOW);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    EXPECT_INT(diligent_sound(job, &d).end, WEIR_JOB_END_STOPPED);
    weir_job_free(job);
}

TEST(stopped_before_the_start)
{
    diligent d = {.seed = 15, .items = 100};
    wi_job_options o = diligent_options(2);
    weir_job *job = diligent_make(&o, &d);
    REQUIRE(job != NULL);
    weir_job_stop(job, WEIR_STOP_DRAIN);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    EXPECT_INT(diligent_sound(job, &d).end, WEIR_JOB_END_STOPPED);
    EXPECT_INT(out.len, 0);
    weir_job_free(job);
}

TEST(the_deadline_ends_a_job)
{
    diligent d = {.seed = 16, .items = 1000, .stuck_from = 2};
    wi_job_options o = diligent_options(3);
    o.common.deadline = 10 * WI_MILLISECOND;
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_DEADLINE);
    EXPECT(s.cancelled + s.not_started > 0);
}

TEST(failures_end_a_job)
{
    diligent d = {.seed = 17, .items = 100000, .fail_percent = 10};
    wi_job_options o = diligent_options(2);
    o.common.halt_after = 5;
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_FAILFAST);
    EXPECT(s.failed >= 5);
    EXPECT(s.ok + s.failed < 100000);
}

/* The first so many rows, and not one more, wherever in a piece of work the last is. */
TEST(the_limit_is_kept_to_the_row)
{
    static const int64_t limits[] = {1, 2, 23, 24, 25, 997, 2999, 3000};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        diligent d = {.seed = 18, .items = 1000, .rows = 3, .longest = WI_MILLISECOND / 20};
        wi_job_options o = diligent_options(4);
        o.limit = limits[i];
        diligent_run(&o, &d, WEIR_JOB_END_LIMIT);
        EXPECT_INT(out.len, limits[i]);
        EXPECT_INT(out.last, limits[i] - 1);
    }
    diligent d = {.seed = 18, .items = 100, .rows = 3};
    wi_job_options o = diligent_options(4);
    o.limit = 301;
    diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(out.len, 300);
}

TEST(a_limit_in_the_midst_of_a_large_item)
{
    diligent d = {.seed = 19, .items = 4, .per_piece = 1, .rows = 40000, .padding = 100};
    wi_job_options o = diligent_options(3);
    o.limit = 12345;
    o.common.memory = MIB;
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_LIMIT);
    EXPECT_INT(out.len, 12345);
    EXPECT_INT(out.last, 12344);
    EXPECT(s.ok < 4);
}

/* What was wanted is there: the file takes its name. */
TEST(a_limit_commits)
{
    REQUIRE(folder_begin());
    diligent d = {.seed = 20, .items = 1000};
    wi_job_options o = diligent_options(2);
    o.limit = 100;
    o.common.write = NULL;
    o.common.output = in_folder("rows.ndjson");
    diligent_run(&o, &d, WEIR_JOB_END_LIMIT);
    struct stat st;
    EXPECT(stat(in_folder("rows.ndjson"), &st) == 0 && st.st_size > 100 * 30);
    folder_end();
}

static void with_fault(diligent *d, const char *text)
{
    weir_error err = {0};
    wi_job_options o = diligent_options(3);
    weir_job *job = diligent_make(&o, d);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, &err), WEIR_IO);
    EXPECT_STR(err.text, text);
    EXPECT_INT(diligent_sound(job, d).end, WEIR_JOB_END_FAULT);
    weir_job_free(job);
    EXPECT(d->freed);
}

TEST(a_fault_ends_a_job)
{
    diligent in_work = {.seed = 21, .items = 5000, .fault_at = 7};
    with_fault(&in_work, "piece 7 is broken");
    diligent at_the_beginning = {.seed = 21, .items = 5000, .begin_fails = true};
    with_fault(&at_the_beginning, "it does not begin");
    diligent no_hand = {.seed = 21, .items = 5000, .opens = 1, .opened = 1};
    with_fault(&no_hand, "no more hands");
}

TEST(fewer_hands_will_do)
{
    diligent d = {.seed = 22, .items = 5000, .opens = 2};
    wi_job_options o = diligent_options(8);
    weir_job_stats s = diligent_run(&o, &d, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 5000);
    EXPECT(s.peak_in_flight <= 2);
}

TEST(an_output_that_is_full_ends_a_job)
{
    diligent d = {.seed = 23, .items = 50000};
    wi_job_options o = diligent_options(2);
    o.common.write = NULL;
    o.common.output = "/dev/full";
    weir_job *job = diligent_make(&o, &d);
    REQUIRE(job != NULL);
    weir_error err = {0};
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, &err), WEIR_IO);
    EXPECT(strstr(err.text, "/dev/full") != NULL);
    EXPECT_INT(diligent_sound(job, &d).end, WEIR_JOB_END_FAULT);
    weir_job_free(job);
}

static int descriptors(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

TEST(free_in_the_midst)
{
    int before = descriptors();
    for (uint64_t seed = 1; seed <= 30; seed++) {
        diligent d = {.seed = seed, .items = 100000, .longest = WI_MILLISECOND, .rows = 2};
        wi_job_options o = diligent_options((int64_t)seed % 6);
        weir_job *job = diligent_make(&o, &d);
        REQUIRE(job != NULL);
        EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
        while (atomic_load(&d.started) < (int64_t)seed * 5)
            continue;
        weir_job_free(job);
        EXPECT(d.freed);
        EXPECT_INT(atomic_load(&d.open_hands), 0);
    }
    EXPECT_INT(descriptors(), before);
}

/* ---- lack of memory ---- */

static weir_status make_and_free(void)
{
    diligent d = {.seed = 24, .items = 10, .rows = 1, .per_piece = 8};
    wi_job_options o = diligent_options(3);
    weir_job *job;
    weir_status status = wi_job_new(&o, &diligent_kind, &d, &job, NULL);
    if (status == WEIR_OK)
        weir_job_free(job);
    EXPECT(d.freed);
    return status;
}

static weir_status fill_and_split(void)
{
    wi_portion *portion = wi_portion_new(7);
    if (!portion)
        return WEIR_NOMEM;
    wi_buf_puts(&portion->rows, "a row\n");
    wi_portion_fail(portion, "reason", "what");
    EXPECT_INT(portion->failed, 1);
    wi_portion *part = wi_portion_split(portion);
    bool damaged = wi_portion_is_damaged(part ? part : portion);
    if (part) {
        EXPECT_INT(part->number, 7);
        EXPECT_INT(part->failed, 1);
        EXPECT_INT(portion->rows.len + (size_t)portion->failed, 0);
        EXPECT(damaged || wi_portion_bytes(part) >= (int64_t)sizeof *part + 17);
        wi_portion_free(part);
    }
    wi_portion_free(portion);
    return part && !damaged ? WEIR_OK : WEIR_NOMEM;
}

TEST(survives_lack_of_memory)
{
    TORTURE(make_and_free());
    TORTURE(fill_and_split());
}

TESTS(CASE(all_items_come_out_in_order), CASE(unordered_items_all_come_out),
      CASE(sizes_around_those_of_pieces), CASE(a_hundred_thousand), CASE(one_hand),
      CASE(a_number_that_is_found), CASE(rows_are_not_kept_until_the_next_item_ends),
      CASE(failed_rows_apart), CASE(notes_of_the_kind), CASE(a_plan),
      CASE(others_wait_for_the_one_that_is_due), CASE(items_beyond_the_budget),
      CASE(what_is_held_besides_rows_is_memory_too), CASE(any_end_adds_up),
      CASE(drain_lets_those_begun_finish), CASE(stop_now_cuts_short), CASE(from_drain_to_now),
      CASE(stopped_before_the_start), CASE(the_deadline_ends_a_job), CASE(failures_end_a_job),
      CASE(the_limit_is_kept_to_the_row), CASE(a_limit_in_the_midst_of_a_large_item),
      CASE(a_limit_commits), CASE(a_fault_ends_a_job), CASE(fewer_hands_will_do),
      CASE(an_output_that_is_full_ends_a_job), CASE(free_in_the_midst),
      CASE(survives_lack_of_memory))
