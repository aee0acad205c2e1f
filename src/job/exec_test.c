/* exec_test.c: whole jobs of real commands through the public interface: every end that a command
 * can come to, memory that is short, and runs that are stopped. */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "folder.h"
#include "test.h"
#include "torture.h"
#include "weir/exec.h"

/* ---- what comes out ---- */

static wi_buf rows;

static int take_rows(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    wi_buf_append(&rows, bytes, len);
    return 0;
}

static const char *text_of_rows(void)
{
    return wi_buf_cstr(&rows) ? rows.data : "";
}

static size_t count_rows(const char *text)
{
    size_t n = 0;
    for (const char *at = text_of_rows(); (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

static bool no_children(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* ---- jobs ---- */

static const char *script[] = {"sh", "-c", NULL};
static char numbers[1000][8];
static const char *words[1000];
static weir_exec_list list = {words, 0};

/* A script for the shell, with {} for the numbers from 1 to n. */
static weir_exec_options options_for(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%zu", i + 1);
        words[i] = numbers[i];
    }
    script[2] = text;
    list.len = n;
    weir_exec_options o = WEIR_EXEC_OPTIONS_INIT;
    o.argv = script;
    o.argv_len = 3;
    o.lists = &list;
    o.lists_len = 1;
    o.job.write = take_rows;
    o.job.in_flight = 8;
    o.job.lanes = 2;
    o.job.retry_delay = WI_MILLISECOND;
    o.job.retry_max_delay = 2 * WI_MILLISECOND;
    return o;
}

static weir_job *make(const weir_exec_options *o)
{
    weir_job *job = NULL;
    weir_error err = {.status = WEIR_OK};
    wi_buf_clear(&rows);
    if (!EXPECT_INT(weir_exec_new(o, &job, &err), WEIR_OK))
        printf("# %s\n", err.text);
    return job;
}

static weir_job_stats finish(weir_job *job)
{
    weir_job_stats s;
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.input, s.ok + s.failed + s.cancelled + s.not_started);
    EXPECT_INT(s.in_flight, 0);
    EXPECT_INT(s.buffered, 0);
    EXPECT_INT(count_rows("\n"), s.ok + s.failed);
    weir_job_free(job);
    EXPECT(no_children());
    return s;
}

static weir_job_stats run(const weir_exec_options *o)
{
    weir_job *job = make(o);
    if (!job)
        return (weir_job_stats){0};
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    return finish(job);
}

TEST(every_end_is_told)
{
    weir_exec_options o = options_for("case {} in 1) ;; 2) exit 7 ;; 3) kill -KILL $$ ;; 4) yes ;;"
                                      " 5) echo '{\"a\": 1}' ;; esac",
                                      5);
    o.max_output = 1000;
    weir_job_stats s = run(&o);
    EXPECT_INT(s.ok, 2);
    EXPECT_INT(s.failed, 3);
    EXPECT(strstr(text_of_rows(), "\"exit_code\":7,\"signal\":null,"));
    EXPECT(strstr(text_of_rows(), "\"signal\":\"SIGKILL\",\"attempts\":1,"));
    EXPECT(strstr(text_of_rows(), "wrote more than 1000 bytes to standard output"));
    EXPECT(strstr(text_of_rows(), "\"stdout\":{\"a\":1},"));
    o = options_for("sleep 1000", 2);
    o.job.timeout = 300 * WI_MILLISECOND;
    EXPECT_INT(run(&o).failed, 2);
    EXPECT_INT(count_rows("did not end within 0.3 s (--timeout)"), 2);
}

/* Each fails twice before it is good, with output that has to be given back. */
TEST(attempts_begin_anew)
{
    REQUIRE(folder_begin());
    weir_exec_options o =
        options_for("head -c 100000 /dev/zero; echo >>{}; [ $(wc -l <{}) -ge 3 ] || exit 75", 50);
    o.cwd = test_folder;
    o.job.retries = 2;
    o.job.retry_on = "75";
    weir_job_stats s = run(&o);
    EXPECT_INT(s.ok, 50);
    EXPECT_INT(s.attempts, 150);
    EXPECT_INT(s.retries, 100);
    EXPECT_INT(s.bytes, 150 * 100000);
    EXPECT_INT(count_rows("\"attempts\":3,"), 50);
    folder_end();
}

/* A megabyte for all, and half of one from each: they stand still until their turn comes. */
TEST(little_memory_is_enough)
{
    weir_exec_options o = options_for("head -c 500000 /dev/zero | tr '\\0' {}; exit 0", 9);
    o.job.memory = 1 << 20;
    weir_job_stats s = run(&o);
    EXPECT_INT(s.ok, 9);
    EXPECT(rows.len > 9 * 500000);
    o.job.unordered = true;
    o.job.in_flight = 9;
    EXPECT_INT(run(&o).ok, 9);
}

/* Each waits longer for its turn than it may take, and sleeps a while then. */
TEST(standing_still_is_not_the_commands_time)
{
    weir_exec_options o = options_for("head -c 1000000 /dev/zero | tr '\\0' {}; sleep 0.5", 6);
    o.job.memory = 1 << 20;
    o.job.timeout = 2 * WI_SECOND;
    weir_job_stats s = run(&o);
    EXPECT_INT(s.ok, 6);
    EXPECT(s.elapsed > o.job.timeout);
}

/* While all but one of them stand still for want of memory. */
TEST(stopping_ends_what_stands_still)
{
    weir_exec_options o = options_for("[ {} = 1 ] && sleep 1000; yes {}", 8);
    o.job.memory = 1 << 20;
    o.grace = WI_SECOND;
    weir_job *job = make(&o);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    weir_job_stats s;
    do
        weir_job_stats_get(job, &s);
    while (s.buffered < 1 << 20);
    weir_job_stop(job, WEIR_STOP_NOW);
    s = finish(job);
    EXPECT_INT(s.end, WEIR_JOB_END_STOPPED);
    EXPECT_INT(s.cancelled, 8);
}

TEST(draining_lets_commands_finish)
{
    REQUIRE(folder_begin());
    weir_exec_options o =
        options_for("echo >up-{}; while [ ! -e go ]; do sleep 0.005; done; echo done", 50);
    o.cwd = test_folder;
    weir_job *job = make(&o);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    weir_job_stats s;
    do
        weir_job_stats_get(job, &s);
    while (s.in_flight < 8);
    weir_job_stop(job, WEIR_STOP_DRAIN);
    put_file(in_folder("go"), "", 0);
    s = finish(job);
    EXPECT_INT(s.ok, 8);
    EXPECT_INT(s.not_started, 42);
    EXPECT_INT(count_rows("\"stdout\":\"done\\n\""), 8);
    folder_end();
}

/* Freed while it runs: nothing is left. */
TEST(freeing_ends_all)
{
    weir_exec_options o = options_for("sleep 1000", 20);
    weir_job *job = make(&o);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    weir_job_stats s;
    do
        weir_job_stats_get(job, &s);
    while (s.in_flight < 8);
    weir_job_free(job);
    EXPECT(no_children());
}

TEST(so_many_failures_end_the_run)
{
    weir_exec_options o = options_for("exit 1", 500);
    o.job.halt_after = 3;
    o.job.in_flight = 1;
    weir_job_stats s = run(&o);
    EXPECT_INT(s.end, WEIR_JOB_END_FAILFAST);
    EXPECT(s.failed >= 3 && s.failed < 500);
}

/* Nothing begins, and the deadline comes all the same. */
TEST(holding_back_is_no_standstill)
{
    weir_exec_options o = options_for("true", 20);
    o.memory_free = (int64_t)1 << 50;
    o.job.deadline = 50 * WI_MILLISECOND;
    weir_job_stats s = run(&o);
    EXPECT_INT(s.end, WEIR_JOB_END_DEADLINE);
    EXPECT_INT(s.not_started, 20);
    o.memory_free = 1;
    o.load_max = 1e6;
    o.job.deadline = 0;
    EXPECT_INT(run(&o).ok, 20);
}

TEST(what_cannot_be_started_is_retried_if_that_is_wanted)
{
    const char *argv[] = {"/no/such/program", "{}"};
    weir_exec_options o = options_for("", 5);
    o.argv = argv;
    o.argv_len = 2;
    o.job.retries = 2;
    weir_job_stats s = run(&o);
    EXPECT_INT(s.failed, 5);
    EXPECT_INT(s.attempts, 15);
    o.job.retry_on = "none";
    EXPECT_INT(run(&o).attempts, 5);
}

static void expect_refused(const weir_exec_options *o, const char *words_of_it)
{
    weir_error err = {.status = WEIR_OK};
    weir_job *job = (weir_job *)(uintptr_t)8;
    EXPECT_INT(weir_exec_new(o, &job, &err), WEIR_INVALID);
    EXPECT(job == (weir_job *)(uintptr_t)8);
    if (!EXPECT(strstr(err.text, words_of_it) != NULL))
        printf("# %s\n", err.text);
}

TEST(wrong_options_are_refused)
{
    weir_exec_options o = options_for("true", 1);
    o.size = 4;
    expect_refused(&o, "size");
    o = options_for("true", 1);
    o.argv_len = 0;
    expect_refused(&o, "no command");
    o = options_for("true", 1);
    o.nice = -1;
    expect_refused(&o, "--nice");
    o = options_for("true", 1);
    o.load_max = -1;
    expect_refused(&o, "--load-max");
    o = options_for("true", 1);
    o.job.halt_after = -1;
    expect_refused(&o, "--halt-after");
    o = options_for("true", 1);
    o.tag = 1;
    expect_refused(&o, "--passthrough");
    o = options_for("true", 1);
    o.job.input = "-";
    expect_refused(&o, ":::");
    o = options_for("echo {2}", 1);
    expect_refused(&o, "{2}");
}

/* From options to commands, and back to nothing. */
static weir_status plan_once(void)
{
    const char *env[] = {"A={}", "B=c", "A=d"};
    weir_exec_options o = options_for("echo {} {.}", 3);
    o.shell = 1;
    o.env = env;
    o.env_len = 3;
    o.cwd = "/{//}";
    o.input_text = "in {}";
    o.passthrough = 1;
    o.tag = 1;
    weir_job *job = NULL;
    weir_job_plan plan;
    weir_error err;
    weir_status status = weir_exec_new(&o, &job, &err);
    if (status == WEIR_OK)
        status = weir_job_plan_make(job, 0, &plan, &err);
    if (status == WEIR_OK)
        EXPECT_INT(plan.items, 3);
    weir_job_free(job);
    return status;
}

TEST(planning_survives_lack_of_memory)
{
    TORTURE(plan_once());
}

TESTS(CASE(every_end_is_told), CASE(attempts_begin_anew), CASE(little_memory_is_enough),
      CASE(standing_still_is_not_the_commands_time), CASE(stopping_ends_what_stands_still),
      CASE(draining_lets_commands_finish), CASE(freeing_ends_all),
      CASE(so_many_failures_end_the_run), CASE(holding_back_is_no_standstill),
      CASE(what_cannot_be_started_is_retried_if_that_is_wanted), CASE(wrong_options_are_refused),
      CASE(planning_survives_lack_of_memory))
