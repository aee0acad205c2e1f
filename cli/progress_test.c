#include "progress.h"

#include "test.h"
#include "units.h"

static char text[PROGRESS_SIZE];

static progress_view middle(void)
{
    return (progress_view){
        .stats = {.phase = WEIR_JOB_RUNNING,
                  .total = 10000,
                  .estimate = -1,
                  .input = 10000,
                  .ok = 4500,
                  .failed = 12,
                  .in_flight = 256,
                  .p50 = 98 * UNITS_MS,
                  .p99 = 240 * UNITS_MS,
                  .elapsed = 5 * UNITS_SEC},
        .rate = 812,
        .left = 7 * UNITS_SEC,
        .idle = 0.996,
    };
}

static const char *rendered(const progress_view *view, int width)
{
    size_t columns = progress_render(text, view, width, term_style_get(false));
    EXPECT_INT(columns, term_columns(text));
    return text;
}

TEST(shows_everything_where_there_is_room)
{
    progress_view v = middle();
    EXPECT_STR(rendered(&v, 119),
               "━━━━━━━━━─────────────  45%  4,512/10,000  12 failed  256 in flight  812/s  "
               "p50 98 ms p99 240 ms  ETA 0:07  99% waiting");
}

TEST(leaves_out_what_matters_less)
{
    progress_view v = middle();
    EXPECT_STR(rendered(&v, 77), /* what 80 columns leave */
               " 45%  4,512/10,000  12 failed  256 in flight  812/s  ETA 0:07  99% waiting");
    EXPECT_STR(rendered(&v, 70),
               "━━━─────  45%  4,512/10,000  12 failed  256 in flight  812/s  ETA 0:07");
    EXPECT_STR(rendered(&v, 39), "4,512/10,000  12 failed  256 in flight");
    EXPECT_STR(rendered(&v, 24), "4,512/10,000  12 failed");
    EXPECT_STR(rendered(&v, 12), "4,512/10,000");
    EXPECT_STR(rendered(&v, 11), "");
    EXPECT_STR(rendered(&v, 0), "");
    EXPECT_STR(rendered(&v, -1), "");
}

TEST(never_is_wider_than_the_terminal)
{
    progress_view v = middle();
    for (int width = 0; width < 200; width++)
        EXPECT(progress_render(text, &v, width, term_style_get(true)) <= (size_t)width);
}

TEST(says_what_it_knows_of_the_total)
{
    progress_view v = middle();
    v.stats.total = -1;
    v.left = -1;
    EXPECT(strstr(rendered(&v, 100), "4,512 done  12 failed"));
    EXPECT(!strstr(text, "%  4") && !strstr(text, "ETA"));
    v.stats.estimate = 9000;
    EXPECT(strstr(rendered(&v, 100), " 50%  4,512/~9,000  12 failed"));
    v.stats.total = 0;
    v.stats.ok = v.stats.failed = 0;
    EXPECT(strstr(rendered(&v, 100), "0/0"));
    v.stats.total = 3;
    v.stats.ok = 5; /* more than was thought */
    EXPECT(strstr(rendered(&v, 100), "100%  5/3"));
}

TEST(says_when_it_is_held_back_or_finishing)
{
    progress_view v = middle();
    v.stats.held_until = 12 * UNITS_SEC;
    EXPECT(strstr(rendered(&v, 119), "256 in flight  held back 0:12"));
    v.stats.phase = WEIR_JOB_DRAINING;
    EXPECT(strstr(rendered(&v, 119), "finishing 256 in flight"));
    EXPECT(!strstr(text, "ETA"));
}

TEST(writes_a_plain_line_without_controls)
{
    progress_view v = middle();
    progress_render_plain(text, &v);
    EXPECT_STR(text, "45%, 4,512/10,000, 12 failed, 256 in flight, 812/s, p50 98 ms p99 240 ms, "
                     "ETA 0:07, 99% waiting");
}

TEST(colors_and_resets)
{
    progress_view v = middle();
    progress_render(text, &v, 119, term_style_get(true));
    EXPECT(strstr(text, "\x1b[31m12 failed\x1b[0m"));
}

/* A job that does `rate` items a second, looked at ten times a second for `seconds`. */
static progress_view look_for(progress_history *history, int64_t rate, int64_t seconds)
{
    progress_view v = {.stats = {.total = 100000, .estimate = -1}};
    for (int64_t i = 0; i <= seconds * 10; i++) {
        v.stats.elapsed = i * 100 * UNITS_MS;
        v.stats.ok = rate * i / 10;
        progress_look(history, &v);
    }
    return v;
}

TEST(measures_the_rate_and_what_is_left)
{
    progress_history history = {.len = 0};
    progress_view v = look_for(&history, 1000, 60);
    EXPECT_INT(v.rate, 1000);
    EXPECT_INT(v.left, 40 * UNITS_SEC);
}

TEST(forgets_the_rate_of_long_ago)
{
    progress_history history = {.len = 0};
    progress_view v = look_for(&history, 1000, 60);
    for (int i = 0; i < 100; i++) { /* ten times as fast, for ten seconds */
        v.stats.elapsed += 100 * UNITS_MS;
        v.stats.ok += 1000;
        progress_look(&history, &v);
    }
    EXPECT_INT(v.rate, 10000);
}

TEST(falls_back_to_the_whole_run_when_nothing_moved)
{
    progress_history history = {.len = 0};
    progress_view v = look_for(&history, 100, 10);
    for (int i = 0; i < 100; i++) {
        v.stats.elapsed += 100 * UNITS_MS;
        progress_look(&history, &v);
    }
    EXPECT_INT(v.rate, 50);
}

TEST(counts_what_was_done_before_but_not_for_the_rate)
{
    progress_history history = {.len = 0};
    progress_view v = {
        .stats = {.total = 100000, .estimate = -1, .ok_before = 30000, .failed_before = 10000}};
    for (int64_t i = 0; i <= 100; i++) {
        v.stats.elapsed = i * 100 * UNITS_MS;
        v.stats.ok = 100 * i;
        progress_look(&history, &v);
    }
    v.idle = -1;
    EXPECT_INT(v.rate, 1000);
    EXPECT_INT(v.left, 50 * UNITS_SEC);
    progress_render_plain(text, &v);
    EXPECT_STR(text, "50%, 50,000/100,000, 40,000 before, 0 in flight, 1,000/s, ETA 0:50");
}

TEST(takes_all_of_the_run_where_all_was_done_before)
{
    progress_history history = {.len = 0};
    progress_view v = {.stats = {.total = 10, .estimate = -1, .ok_before = 10}, .idle = -1};
    progress_look(&history, &v);
    v.stats.elapsed = UNITS_SEC;
    progress_look(&history, &v);
    EXPECT_INT(v.rate, 0);
    EXPECT_INT(v.left, -1);
    progress_render_plain(text, &v);
    EXPECT_STR(text, "100%, 10/10, 10 before, 0 in flight");
}

TEST(does_not_guess_before_the_first_item)
{
    progress_history history = {.len = 0};
    progress_view v = look_for(&history, 0, 3);
    EXPECT_INT(v.rate, 0);
    EXPECT_INT(v.left, -1);
}

TESTS(CASE(shows_everything_where_there_is_room), CASE(leaves_out_what_matters_less),
      CASE(never_is_wider_than_the_terminal), CASE(says_what_it_knows_of_the_total),
      CASE(says_when_it_is_held_back_or_finishing), CASE(writes_a_plain_line_without_controls),
      CASE(colors_and_resets), CASE(measures_the_rate_and_what_is_left),
      CASE(forgets_the_rate_of_long_ago), CASE(falls_back_to_the_whole_run_when_nothing_moved),
      CASE(counts_what_was_done_before_but_not_for_the_rate),
      CASE(takes_all_of_the_run_where_all_was_done_before),
      CASE(does_not_guess_before_the_first_item))
