/* outputs_test.c: where rows go, what of them a later run finds, and who is refused. */
#include "outputs.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "clock.h"
#define RUN_WITHOUT_FLUSHES
#include "outputs_testing.h"
#include "torture.h"

static int mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

/* ---- from beginning to end ---- */

TEST(an_output_appears_whole_and_its_journal_has_its_mode)
{
    int asked = 0;
    REQUIRE(folder_begin());
    mode_t mask = umask(007);
    run_options run = options_of(WEIR_JOURNAL_NEW);
    wi_outputs *outputs = begun(&run);
    REQUIRE(outputs);
    EXPECT(wi_outputs_has_journal(outputs));
    EXPECT_INT(wi_outputs_due(outputs, 0) == WI_FOREVER, true);
    EXPECT_INT(run_items(&run, outputs, 0, 10, &asked, NULL), WEIR_OK);
    EXPECT(wi_outputs_due(outputs, 0) != WI_FOREVER);
    EXPECT(!exists("o") && exists("o.partial") && exists("o.weir"));
    EXPECT_INT(wi_outputs_finish(outputs, NULL), WEIR_OK);
    wi_outputs_free(outputs);
    EXPECT_INT(count_files(), 2);
    EXPECT_INT(mode_of(run_rows), 0660);
    EXPECT_INT(mode_of(in_folder("o.weir")), 0660);
    umask(mask);

    EXPECT(chmod(run_rows, 0604) == 0 && unlink(in_folder("o.weir")) == 0);
    outputs = begun(&run);
    REQUIRE(outputs);
    EXPECT_INT(mode_of(in_folder("o.weir")), 0604);
    EXPECT_INT(mode_of(in_folder("o.partial")), 0604);
    wi_outputs_free(outputs);
    EXPECT_INT(count_files(), 1);
    folder_end();
}

TEST(looking_changes_nothing)
{
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run.apart = true;
    wi_outputs *outputs = NULL;
    EXPECT_INT(run_open(&run, &outputs, NULL), WEIR_OK);
    EXPECT_INT(count_files(), 0);
    EXPECT(wi_outputs_sink(outputs, WI_OUTPUTS_ROWS) == NULL);
    wi_outputs_free(outputs);
    EXPECT_INT(count_files(), 0);
    folder_end();
}

/* Each state that a run can be in, and each way to begin. */
TEST(every_beginning)
{
    enum { NOTHING, UNFINISHED, FINISHED, STATES };
    static const int asked[STATES][4] = {/* by weir_journal; -1: refused */
                                         {12, 12, 12, 12},
                                         {-1, 7, 12, 8},
                                         {12, 2, 12, 5}};
    for (int apart = 0; apart < 2; apart++) {
        for (int format = 0; format < 2; format++) {
            for (int i = 0; i < STATES * 4; i++) {
                REQUIRE(folder_begin());
                run_options run = options_of(WEIR_JOURNAL_NEW);
                run.apart = apart;
                run.format = format ? WI_FORMAT_CSV : WI_FORMAT_NDJSON;
                run.failing = 4; /* 0, 4, 8 */
                int ignored = 0;
                if (i / 4 == UNFINISHED)
                    run_until(&run, 1, 6, 8);
                if (i / 4 == FINISHED)
                    EXPECT_INT(run_whole(&run, 10, &ignored, NULL), WEIR_OK);
                run.mode = (weir_journal)(i % 4);
                if (asked[i / 4][i % 4] < 0)
                    expect_refused(&run, WEIR_INVALID, "o.weir holds an unfinished run, with 5");
                else
                    expect_run(&run, 12, asked[i / 4][i % 4], 3);
                folder_end();
            }
        }
    }
}

TEST(a_run_goes_on_any_number_of_times)
{
    for (int format = 0; format < 2; format++) {
        REQUIRE(folder_begin());
        run_options run = options_of(WEIR_JOURNAL_RESUME);
        run.apart = true;
        run.failing = 3;
        run.format = format ? WI_FORMAT_CSV : WI_FORMAT_NDJSON;
        for (int i = 0; i < 10; i++)
            run_until(&run, 0, 10 * i, 10 * i + 5);
        expect_run(&run, 100, 10, 34);
        expect_run(&run, 110, 10, 37); /* the input has grown */
        run.mode = WEIR_JOURNAL_RETRY_FAILED;
        run.failing = 5;
        expect_run(&run, 110, 37, 8);
        run.failing = 0;
        run_until(&run, 0, 20, 40); /* of what failed, 0 and 15 are committed */
        expect_run(&run, 110, 6, 0);
        expect_run(&run, 110, 0, 0);
        folder_end();
    }
}

TEST(a_csv_that_is_continued_tells_its_header)
{
    REQUIRE(folder_begin());
    wi_buf header = WI_BUF_INIT;
    run_options run = options_of(WEIR_JOURNAL_RESUME);
    run.format = WI_FORMAT_CSV;
    wi_outputs *outputs = begun(&run);
    REQUIRE(outputs);
    EXPECT_INT(wi_outputs_header(outputs, WI_OUTPUTS_ROWS, &header, NULL), WEIR_OK);
    EXPECT_INT(header.len, 0);
    wi_outputs_free(outputs);
    run_until(&run, 0, 5, 5);
    outputs = begun(&run);
    REQUIRE(outputs);
    EXPECT_INT(wi_outputs_header(outputs, WI_OUTPUTS_ROWS, &header, NULL), WEIR_OK);
    EXPECT_MEM(header.data, header.len, "n,error");
    EXPECT_INT(wi_outputs_header(outputs, WI_OUTPUTS_ERRORS, &header, NULL), WEIR_OK);
    EXPECT_INT(header.len, 7);
    wi_outputs_free(outputs);
    wi_buf_fini(&header);
    folder_end();
}

/* ---- ending early ---- */

static char said[512];

static void take_text(void *arg, const char *text)
{
    (void)arg;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", text);
}

TEST(what_is_kept_is_said)
{
    int asked = 0;
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    wi_outputs *outputs = begun(&run);
    REQUIRE(outputs);
    EXPECT_INT(run_items(&run, outputs, 0, 2000, &asked, NULL), WEIR_OK);
    said[0] = '\0';
    wi_outputs_keep(outputs, take_text, NULL); /* nothing is committed */
    EXPECT_STR(said, "");
    wi_outputs_free(outputs);
    EXPECT_INT(count_files(), 0);

    outputs = begun(&run);
    REQUIRE(outputs);
    EXPECT_INT(run_items(&run, outputs, 0, 1234, &asked, NULL), WEIR_OK);
    EXPECT_INT(wi_outputs_commit(outputs, NULL), WEIR_OK);
    EXPECT_INT(run_items(&run, outputs, 1234, 1300, &asked, NULL), WEIR_OK);
    wi_outputs_keep(outputs, take_text, NULL);
    char want[600];
    snprintf(want, sizeof want,
             "1,234 items are done and kept in %s.partial: continue with --resume\n", run_rows);
    EXPECT_STR(said, want);
    wi_outputs_free(outputs);
    int counts[RUN_MOST] = {0}, failed = 0;
    EXPECT(run_count(in_folder("o.partial"), run.format, counts, &failed));
    EXPECT(counts[1233] == 1 && counts[1234] == 0); /* cut back */
    run.mode = WEIR_JOURNAL_RESUME;
    expect_run(&run, 2000, 766, 0);
    folder_end();
}

TEST(a_run_that_does_nothing_leaves_the_finished_one)
{
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run.failing = 2;
    expect_run(&run, 10, 10, 5);
    said[0] = '\0';
    wi_outputs *outputs = begun(&run);
    REQUIRE(outputs);
    wi_outputs_keep(outputs, take_text, NULL);
    wi_outputs_free(outputs);
    EXPECT_STR(said, "");
    EXPECT_INT(count_files(), 2);
    run.mode = WEIR_JOURNAL_RETRY_FAILED;
    run.failing = 0;
    expect_run(&run, 10, 5, 0);
    run.mode = WEIR_JOURNAL_NEW; /* a run of nothing is one, too */
    expect_run(&run, 0, 0, 0);
    run.mode = WEIR_JOURNAL_RESUME;
    expect_run(&run, 3, 3, 0);
    folder_end();
}

TEST(a_full_disk_loses_only_what_was_not_committed)
{
    int asked = 0;
    weir_error err = {0};
    struct rlimit old;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    REQUIRE(folder_begin());
    sigaction(SIGXFSZ, &ignore, NULL);
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    for (int bytes = 3000; bytes <= 50000; bytes += 2345) {
        int step = bytes % 2 ? 50 : 1000; /* so that it is the journal or the rows */
        run_options run = options_of(WEIR_JOURNAL_RESTART);
        wi_outputs *outputs = begun(&run);
        REQUIRE(outputs);
        REQUIRE(setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)bytes, old.rlim_max}) == 0);
        weir_status status = WEIR_OK;
        for (int n = 0; status == WEIR_OK && n < 4000; n += step) {
            status = run_items(&run, outputs, n, n + step, &asked, &err);
            if (status == WEIR_OK)
                status = wi_outputs_commit(outputs, &err);
        }
        EXPECT_INT(status, WEIR_IO);
        said[0] = '\0';
        wi_outputs_keep(outputs, take_text, NULL);
        setrlimit(RLIMIT_FSIZE, &old);
        wi_outputs_free(outputs);
        asked = 0;
        run.mode = WEIR_JOURNAL_RESUME;
        expect_run(&run, 4000, said[0] ? 4000 - (int)strtol(said, NULL, 10) : 4000, 0);
    }
    folder_end();
}

/* ---- between the journal and the names ---- */

TEST(an_end_that_is_cut_short_is_made_up_for)
{
    int asked = 0;
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run.apart = true;
    run.failing = 4;
    wi_outputs *outputs = begun(&run);
    REQUIRE(outputs);
    EXPECT_INT(run_items(&run, outputs, 0, 12, &asked, NULL), WEIR_OK);
    REQUIRE(mkdir(run_errors, 0777) == 0); /* the second of the names cannot be given */
    EXPECT(wi_outputs_finish(outputs, NULL) != WEIR_OK);
    said[0] = '\0';
    wi_outputs_keep(outputs, take_text, NULL);
    EXPECT(strstr(said, "12 items are done"));
    wi_outputs_free(outputs);
    EXPECT(exists("o") && !exists("o.partial") && exists("e.partial"));
    REQUIRE(rmdir(run_errors) == 0);
    expect_refused(&run, WEIR_INVALID, "unfinished run, with 12 items");
    run.mode = WEIR_JOURNAL_RESUME;
    expect_run(&run, 13, 1, 4);
    folder_end();
}

TEST(a_copy_that_has_not_got_its_name_gets_it)
{
    for (int mode = 0; mode < 2; mode++) {
        REQUIRE(folder_begin());
        run_options run = options_of(WEIR_JOURNAL_NEW);
        run.apart = true;
        run.failing = 4;
        expect_run(&run, 12, 12, 3);
        run.mode = mode ? WEIR_JOURNAL_RETRY_FAILED : WEIR_JOURNAL_RESUME;
        REQUIRE(mkdir(in_folder("e.partial"), 0777) == 0);
        expect_refused(&run, WEIR_INVALID, "cannot rename");
        EXPECT(exists("o.partial") && exists("e.partial.new"));
        EXPECT(exists("o") && exists("e"));
        REQUIRE(rmdir(in_folder("e.partial")) == 0);
        run.mode = WEIR_JOURNAL_RESUME;
        expect_run(&run, 12, mode ? 3 : 0, 3);
        folder_end();
    }
}

/* Killed while it makes the next copy, or just before. */
static void retry_and_be_killed(const run_options *run)
{
    wi_outputs *outputs = NULL;
    struct sigaction kills = {.sa_handler = SIG_DFL};
    sigaction(SIGXFSZ, &kills, NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){5, 5});
    run_begin(run, &outputs, NULL);
    _exit(0);
}

TEST(a_copy_half_made_is_not_taken_for_the_last)
{
    int how = 0;
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run.failing = 4;
    expect_run(&run, 12, 12, 3);
    run.mode = WEIR_JOURNAL_RESUME;
    REQUIRE(mkdir(in_folder("o.partial"), 0777) == 0);
    expect_refused(&run, WEIR_INVALID, "cannot rename");
    REQUIRE(rmdir(in_folder("o.partial")) == 0);
    run.mode = WEIR_JOURNAL_RETRY_FAILED;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        retry_and_be_killed(&run);
    EXPECT(waitpid(child, &how, 0) == child && WIFSIGNALED(how));
    run.mode = WEIR_JOURNAL_RESUME;
    expect_run(&run, 12, 0, 3);
    folder_end();
}

TEST(outputs_that_are_not_what_they_were_are_told)
{
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run_until(&run, 0, 10, 10);
    run.mode = WEIR_JOURNAL_RESUME;
    put_file(in_folder("o.partial"), "{\"n\":0}\n", 8);
    expect_refused(&run, WEIR_INVALID, "has 8 bytes, and ");
    EXPECT(unlink(in_folder("o.partial")) == 0);
    expect_refused(&run, WEIR_NOTFOUND, "cannot go on with");
    REQUIRE(mkfifo(in_folder("o.partial"), 0600) == 0);
    expect_refused(&run, WEIR_INVALID, "no regular file");
    EXPECT(exists("o.weir"));
    run.mode = WEIR_JOURNAL_RESTART;
    expect_run(&run, 10, 10, 0);
    run.mode = WEIR_JOURNAL_RESUME;
    put_file(run_rows, "changed\n", 8);
    expect_refused(&run, WEIR_INVALID, "is no longer what its journal says");
    EXPECT(unlink(run_rows) == 0);
    expect_refused(&run, WEIR_NOTFOUND, "cannot go on with");
    run.mode = WEIR_JOURNAL_NEW;
    expect_run(&run, 10, 10, 0);
    folder_end();
}

/* ---- who is refused ---- */

TEST(a_second_run_is_refused)
{
    REQUIRE(folder_begin());
    int asked = 0;
    run_options run = options_of(WEIR_JOURNAL_NEW);
    wi_outputs *outputs = begun(&run);
    REQUIRE(outputs);
    for (int mode = WEIR_JOURNAL_NEW; mode <= WEIR_JOURNAL_NONE; mode++) {
        run_options second = options_of((weir_journal)mode);
        expect_refused(&second, WEIR_AGAIN, "another run writes this output");
    }
    EXPECT_INT(run_items(&run, outputs, 0, 10, &asked, NULL), WEIR_OK);
    EXPECT_INT(wi_outputs_finish(outputs, NULL), WEIR_OK); /* none the worse */
    wi_outputs_free(outputs);
    int failed;
    EXPECT(run_is_whole(&run, 10, &failed));
    folder_end();
}

TEST(another_job_does_not_go_on_with_it)
{
    static char was[] = "http://a/{id}", is[] = "http://b/{id}";
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run.fact = was;
    run_until(&run, 0, 10, 10);
    run.mode = WEIR_JOURNAL_RESUME;
    run.fact = is;
    expect_refused(&run, WEIR_INVALID, "URL was \"http://a/{id}\" and is \"http://b/{id}\" now");
    run.fact = was;
    run.apart = true;
    expect_refused(&run, WEIR_INVALID, "other outputs");
    run.apart = false;
    expect_run(&run, 10, 0, 0);
    folder_end();
}

static int take_bytes(void *arg, const char *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

TEST(where_there_can_be_no_journal_there_is_none)
{
    REQUIRE(folder_begin());
    for (int mode = WEIR_JOURNAL_NEW; mode <= WEIR_JOURNAL_NONE; mode++) {
        bool asks = mode != WEIR_JOURNAL_NEW && mode != WEIR_JOURNAL_NONE;
        const char *const paths[] = {"/dev/null", "-", run_rows, run_rows, run_rows};
        for (size_t i = 0; i < 5; i++) {
            run_options run = options_of((weir_journal)mode);
            wi_outputs *outputs = NULL;
            run.rows = paths[i];
            run.apart = i == 2 || i == 3;
            run.errors = i == 2 ? "/dev/null" : "-";
            run.no_journal = i == 4 ? "--limit" : NULL;
            if (asks) {
                expect_refused(&run, WEIR_INVALID,
                               i < 2    ? "needs a file for the rows (-o)"
                               : i == 4 ? "and --limit exclude each other"
                                        : "needs a file for the failed rows too (--errors)");
            } else {
                EXPECT_INT(run_begin(&run, &outputs, NULL), WEIR_OK);
                EXPECT(outputs && !wi_outputs_has_journal(outputs));
                wi_outputs_free(outputs);
            }
        }
        wi_outputs_options o = {.journal = (weir_journal)mode,
                                .sinks = {{.write = take_bytes, .format = WI_FORMAT_NDJSON}}};
        wi_outputs *outputs = NULL;
        EXPECT_INT(wi_outputs_open(&o, &outputs, NULL), asks ? WEIR_INVALID : WEIR_OK);
        wi_outputs_free(outputs);
        EXPECT_INT(count_files(), 0);
    }
    folder_end();
}

TEST(a_run_without_a_journal_minds_one)
{
    int asked = 0, failed = 0;
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run_options none = options_of(WEIR_JOURNAL_NONE);
    run_until(&run, 0, 10, 10);
    expect_refused(&none, WEIR_INVALID, "holds an unfinished run");
    none.mode = WEIR_JOURNAL_NEW;
    none.no_journal = "--limit";
    expect_refused(&none, WEIR_INVALID, "holds an unfinished run");
    run.mode = WEIR_JOURNAL_RESUME;
    expect_run(&run, 10, 0, 0);
    none.mode = WEIR_JOURNAL_NONE;
    wi_outputs *outputs = begun(&none);
    REQUIRE(outputs);
    expect_refused(&run, WEIR_AGAIN, "another run");
    wi_outputs_free(outputs); /* it came to nothing */
    EXPECT(exists("o.weir"));
    EXPECT_INT(run_whole(&none, 20, &asked, NULL), WEIR_OK);
    EXPECT(run_is_whole(&none, 20, &failed));
    EXPECT_INT(count_files(), 1); /* the journal spoke of another output */

    outputs = begun(&none);
    REQUIRE(outputs);
    EXPECT_INT(run_items(&none, outputs, 0, 10, &asked, NULL), WEIR_OK);
    said[0] = '\0';
    wi_outputs_keep(outputs, take_text, NULL);
    wi_outputs_free(outputs);
    EXPECT(strstr(said, "the rows written so far are in ") && exists("o.partial"));
    expect_refused(&run, WEIR_INVALID,
                   "o.partial has rows of another run, or of one without a journal");
    EXPECT_INT(count_files(), 2); /* both are as they were */
    run.mode = WEIR_JOURNAL_RESTART;
    expect_run(&run, 10, 10, 0);
    folder_end();
}

/* ---- without memory ---- */

static weir_status begin_and_go_on(void)
{
    int asked = 0;
    weir_error err;
    run_options run = options_of(WEIR_JOURNAL_RESTART);
    run.apart = true;
    run.failing = 2;
    run.format = WI_FORMAT_CSV;
    wi_outputs *outputs = NULL;
    weir_status status = run_begin(&run, &outputs, &err);
    if (status == WEIR_OK)
        status = run_items(&run, outputs, 0, 3, &asked, &err);
    if (status == WEIR_OK)
        status = wi_outputs_commit(outputs, &err);
    if (status == WEIR_OK)
        wi_outputs_keep(outputs, take_text, said);
    wi_outputs_free(outputs);
    run.mode = WEIR_JOURNAL_RETRY_FAILED;
    return status == WEIR_OK ? run_whole(&run, 5, &asked, &err) : status;
}

TEST(survives_lack_of_memory)
{
    REQUIRE(folder_begin());
    TORTURE((said[0] = '\0', begin_and_go_on()));
    run_options run = options_of(WEIR_JOURNAL_RESUME);
    run.apart = true;
    run.failing = 2;
    run.format = WI_FORMAT_CSV;
    expect_run(&run, 6, 1, 3);
    folder_end();
}

TESTS(CASE(an_output_appears_whole_and_its_journal_has_its_mode), CASE(looking_changes_nothing),
      CASE(every_beginning), CASE(a_run_goes_on_any_number_of_times),
      CASE(a_csv_that_is_continued_tells_its_header), CASE(what_is_kept_is_said),
      CASE(a_run_that_does_nothing_leaves_the_finished_one),
      CASE(a_full_disk_loses_only_what_was_not_committed),
      CASE(an_end_that_is_cut_short_is_made_up_for), CASE(a_copy_that_has_not_got_its_name_gets_it),
      CASE(a_copy_half_made_is_not_taken_for_the_last),
      CASE(outputs_that_are_not_what_they_were_are_told), CASE(a_second_run_is_refused),
      CASE(another_job_does_not_go_on_with_it), CASE(where_there_can_be_no_journal_there_is_none),
      CASE(a_run_without_a_journal_minds_one), CASE(survives_lack_of_memory))
