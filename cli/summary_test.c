#include "summary.h"

#include <signal.h>
#include <stdlib.h>

#include "test.h"
#include "units.h"

static const job_nouns requests = {"request", "requests", "sent", "received", "server", "servers"};
static const job_nouns commands_run = {"command", "commands", "run", "printed", NULL, NULL};

static const job_nouns files = {.one = "file",
                                .many = "files",
                                .started = "read",
                                .received = "read",
                                .hand = "thread",
                                .hands = "threads"};

static char text[4096];

static const char *printed(const summary *s, int width)
{
    FILE *out = fmemopen(text, sizeof text, "w");
    summary_print(out, s, term_style_get(false), width);
    fclose(out);
    return text;
}

static summary experiment(void)
{
    return (summary){.nouns = &requests,
                     .stats = {.phase = WEIR_JOB_DONE,
                               .end = WEIR_JOB_END_COMPLETE,
                               .input = 200,
                               .total = 200,
                               .input_ended = 1,
                               .ok = 200,
                               .attempts = 200,
                               .peak_in_flight = 200,
                               .waited = 200400 * UNITS_MS,
                               .elapsed = 1020 * UNITS_MS,
                               .p50 = UNITS_SEC,
                               .p99 = 1010 * UNITS_MS,
                               .bytes = 84000},
                     .output = "products.ndjson"};
}

TEST(tells_a_good_run)
{
    summary s = experiment();
    EXPECT_STR(printed(&s, 80), "200 requests, all ok\n"
                                "200 waits, 200.4 s of waiting, in 1.02 s: 196× overlapped\n"
                                "p50 1.00 s, p99 1.01 s, at most 200 in flight, 196/s, 84.0 kB "
                                "received\n"
                                "rows in products.ndjson\n");
}

TEST(accounts_for_every_item_and_reason)
{
    summary s = experiment();
    s.stats.input = 12345;
    s.stats.ok = 12000;
    s.stats.failed = 341;
    s.stats.cancelled = 1;
    s.stats.not_started = 3;
    s.stats.retries = 1;
    s.stats.retries_refused = 7;
    s.stats.end = WEIR_JOB_END_DEADLINE;
    s.reasons[0] = (weir_job_reason){"HTTP 500", "https://host/1", 338};
    s.reasons[1] = (weir_job_reason){"timed out after 30s", "https://host/2", 1};
    s.reasons_len = 2;
    s.other_reasons = 1;
    s.other_failures = 2;
    printed(&s, 0);
    EXPECT(strstr(text, "stopped early: the deadline passed\n"
                        "12,345 requests = 12,000 ok + 341 failed + 1 cancelled + 3 not started\n"
                        "  338 × HTTP 500  first: https://host/1\n"
                        "    1 × timed out after 30s  https://host/2\n"
                        "  and 2 for 1 more reason\n"));
    EXPECT(strstr(text, "1 retry, 7 more not made"));
    EXPECT(!strstr(text, "rows in")); /* not all came through: a note says where they are */
}

TEST(counts_what_was_done_before)
{
    summary s = experiment();
    s.stats.input = 10000;
    s.stats.ok_before = 4000;
    s.stats.ok = 5990;
    s.stats.failed = 10;
    EXPECT(strstr(printed(&s, 0), "10,000 requests = 4,000 done before + 5,990 ok + 10 failed\n"));
    EXPECT(strstr(text, ", 5,882/s")); /* of what was done now */
    s.stats.ok_before = 3988;
    s.stats.failed_before = 12;
    s.reasons[0] = (weir_job_reason){"HTTP 500", "https://host/1", 10};
    s.reasons_len = 1;
    EXPECT(strstr(printed(&s, 0),
                  "10,000 requests = 4,000 done before (12 failed) + 5,990 ok + 10 failed\n"
                  "  10 × HTTP 500  first: https://host/1\n"
                  "  12 failed before; --retry-failed does them again\n"));
    s = experiment();
    s.stats.ok_before = 150;
    s.stats.ok = 50;
    EXPECT(strstr(printed(&s, 0), "200 requests, all ok (150 done before)\n"));
    s.stats.ok_before = 200;
    s.stats.ok = s.stats.attempts = s.stats.waited = 0;
    EXPECT_STR(printed(&s, 0), "200 requests, all ok (200 done before)\n"
                               "rows in products.ndjson\n");
    s.stats.ok_before = 199;
    s.stats.failed_before = 1;
    EXPECT_STR(printed(&s, 0), "200 requests = 200 done before (1 failed)\n"
                               "  1 failed before; --retry-failed does it again\n"
                               "rows in products.ndjson\n");
}

TEST(leaves_out_what_did_not_happen)
{
    summary s = {.nouns = &requests, .stats = {.end = WEIR_JOB_END_COMPLETE, .input_ended = 1}};
    EXPECT_STR(printed(&s, 80), "0 requests: the input is empty\n");
    s = (summary){.nouns = &requests,
                  .stats = {.end = WEIR_JOB_END_COMPLETE,
                            .input = 1,
                            .input_ended = 1,
                            .ok = 1,
                            .attempts = 1,
                            .waited = UNITS_SEC,
                            .elapsed = UNITS_SEC,
                            .p50 = UNITS_SEC,
                            .p99 = UNITS_SEC,
                            .peak_in_flight = 1},
                  .output = "-"};
    EXPECT_STR(printed(&s, 80), "1 request, ok\n"
                                "1 wait, 1.00 s of waiting, in 1.00 s: 1.0× overlapped\n"
                                "p50 1.00 s, p99 1.00 s, at most 1 in flight, 1/s\n");
}

TEST(calls_things_by_their_names)
{
    summary s = experiment();
    s.nouns = &commands_run;
    s.stats.retries_refused = 2;
    printed(&s, 80);
    EXPECT(strstr(text, "200 commands, all ok\n"));
    EXPECT(strstr(text, "84.0 kB printed\n"));
    EXPECT(strstr(text, "too large a share of commands failed\n"));
    EXPECT(!strstr(text, "request") && !strstr(text, "received"));
}

TEST(tells_of_threads_where_work_blocks)
{
    summary s = experiment();
    s.nouns = &files;
    s.found = true;
    s.stats.ok = 199;
    s.stats.failed = 1;
    s.stats.peak_in_flight = 12;
    s.stats.p50 = 80 * UNITS_US;
    s.stats.p99 = 2100 * UNITS_US;
    EXPECT_STR(printed(&s, 80), "200 files = 199 ok + 1 failed\n"
                                "84.0 kB read in 1.02 s, 196/s, p50 80 us, p99 2.1 ms\n"
                                "at most 12 threads at work, found while running\n"
                                "rows in products.ndjson\n");
    s.found = false;
    s.stats.bytes = 0;
    s.stats.p99 = 0;
    printed(&s, 80);
    EXPECT(strstr(text, "\n1.02 s, 196/s\nat most 12 threads at work\n"));
    s = (summary){.nouns = &files, .stats = {.end = WEIR_JOB_END_COMPLETE, .input_ended = 1}};
    EXPECT_STR(printed(&s, 80), "0 files: none was found\n");
}

TEST(says_how_it_was_stopped)
{
    summary s = experiment();
    s.stats.end = WEIR_JOB_END_STOPPED;
    s.stats.input_ended = 0;
    s.signal = SIGINT;
    EXPECT(strstr(printed(&s, 80), "stopped early: Ctrl-C; the rest of the input was not read\n"));
    EXPECT(!strstr(text, "rows in"));
    s.signal = 0;
    s.stats.input_ended = 1;
    EXPECT(strstr(printed(&s, 80), "stopped early\n"));
    s.stats.end = WEIR_JOB_END_FAILFAST;
    EXPECT(strstr(printed(&s, 80), "stopped early: the first failure (--fail-fast)\n"));
    s.halt_after = 1;
    EXPECT(strstr(printed(&s, 80), "stopped early: the first failure (--fail-fast)\n"));
    s.halt_after = 1000;
    EXPECT(strstr(printed(&s, 80), "stopped early: 1,000 failures (--halt-after)\n"));
}

TEST(takes_a_limit_for_a_good_end)
{
    summary s = experiment();
    s.nouns = &files;
    s.stats.end = WEIR_JOB_END_LIMIT;
    s.stats.input_ended = 0;
    s.stats.ok = 190;
    s.stats.cancelled = 4;
    s.stats.not_started = 6;
    EXPECT(strstr(printed(&s, 0), "stopped early: no more rows were wanted (--limit)\n"
                                  "200 files = 190 ok + 4 cancelled + 6 not started\n"));
    EXPECT(strstr(text, "\nrows in products.ndjson\n"));
    EXPECT_INT(summary_exit_code(WEIR_OK, &s.stats, 0), 0);
    s.stats.failed = 1;
    EXPECT_INT(summary_exit_code(WEIR_OK, &s.stats, 0), 1);
    s.stats.end = WEIR_JOB_END_STOPPED;
    EXPECT(strstr(printed(&s, 0), "; the rest was not looked for\n"));
}

TEST(cuts_long_examples_to_the_terminal)
{
    summary s = experiment();
    s.stats.ok = 199;
    s.stats.failed = 1;
    s.reasons[0] = (weir_job_reason){"HTTP 500", "https://hóst/some/long/path", 1};
    s.reasons_len = 1;
    EXPECT(strstr(printed(&s, 30), "  1 × HTTP 500  https://hóst/…\n"));
    EXPECT(strstr(printed(&s, 43), "  1 × HTTP 500  https://hóst/some/long/path\n"));
    EXPECT(strstr(printed(&s, 1), "\n…\n"));
}

TEST(escapes_paths)
{
    summary s = experiment();
    s.output = "a\x1b[2Jb";
    EXPECT(strstr(printed(&s, 0), "rows in a\\x1b[2Jb\n"));
}

TEST(keeps_the_exit_codes)
{
    weir_job_stats s = experiment().stats;
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, 0), 0);
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, SIGINT), 0); /* too late to stop anything */
    EXPECT_INT(summary_exit_code(WEIR_IO, &s, 0), 2);
    s.failed = 1;
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, 0), 1);
    s.end = WEIR_JOB_END_STOPPED;
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, SIGINT), 130);
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, SIGTERM), 143);
    s.end = WEIR_JOB_END_FAULT;
    EXPECT_INT(summary_exit_code(WEIR_IO, &s, SIGINT), 2);
    s.end = WEIR_JOB_END_CLOSED;
    EXPECT_INT(summary_exit_code(WEIR_CLOSED, &s, 0), 0);
    s = (weir_job_stats){.end = WEIR_JOB_END_COMPLETE, .input = 2, .ok = 1, .ok_before = 1};
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, 0), 0);
    s.ok_before = 0;
    s.failed_before = 1; /* its row is in the output */
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, 0), 1);
    s = (weir_job_stats){.end = WEIR_JOB_END_DEADLINE, .input = 1, .ok = 1};
    EXPECT_INT(summary_exit_code(WEIR_OK, &s, 0), 1); /* part of the input was never read */
}

TESTS(CASE(tells_a_good_run), CASE(accounts_for_every_item_and_reason),
      CASE(counts_what_was_done_before), CASE(leaves_out_what_did_not_happen),
      CASE(calls_things_by_their_names), CASE(tells_of_threads_where_work_blocks),
      CASE(says_how_it_was_stopped), CASE(takes_a_limit_for_a_good_end),
      CASE(cuts_long_examples_to_the_terminal), CASE(escapes_paths), CASE(keeps_the_exit_codes))
