/*
 * crew_resume_test.c: jobs whose work blocks, killed or stopped wherever they are and continued:
 * every item has its rows, once, and the rows of those that failed are found again.
 */
#include <sys/wait.h>

#include "crew_testing.h"
#include "folder.h"

enum { MIB = 1 << 20, ROUNDS = 12 };

static char output[512];
static char errors[512];

static wi_job_options options_of(wi_random *r, bool apart)
{
    wi_job_options o = diligent_options(1 + wi_random_below(r, 8));
    snprintf(output, sizeof output, "%s", in_folder("rows.ndjson"));
    snprintf(errors, sizeof errors, "%s", in_folder("failed.ndjson"));
    o.common.write = NULL;
    o.common.output = output;
    o.common.errors = apart ? errors : NULL;
    o.common.unordered = wi_random_below(r, 2);
    o.common.memory = wi_random_below(r, 2) ? MIB : 64 * MIB;
    o.common.journal = WEIR_JOURNAL_RESUME;
    o.common.commit_every = wi_random_below(r, 3) ? 1 : 5 * WI_MILLISECOND;
    return o;
}

/* Pieces of a few bytes, or such as go out in several portions. */
static diligent job_of(wi_random *r, uint64_t seed, bool apart)
{
    bool large = wi_random_below(r, 2);
    return (diligent){
        .seed = seed,
        .items = large ? 1 + wi_random_below(r, 60) : wi_random_below(r, 1500),
        .per_piece = 1 + wi_random_below(r, large ? 6 : 30),
        .rows = large ? 1 + wi_random_below(r, 300) : 1 + wi_random_below(r, 4),
        .padding = large ? (size_t)wi_random_below(r, 5000) : 0,
        .longest = wi_random_below(r, 2) * WI_MILLISECOND / 10,
        .fail_percent = (int)wi_random_below(r, 40),
        .fails_late = wi_random_below(r, 2),
        .holds = wi_random_below(r, 4) ? 0 : wi_random_below(r, 2 * MIB),
        .errors_apart = apart,
    };
}

static weir_job_stats run_once(const wi_job_options *options, const diligent *like)
{
    weir_job_stats s = {0};
    weir_error err = {0};
    diligent d = *like;
    weir_job *job = diligent_make(options, &d);
    if (!job)
        return s;
    if (!EXPECT_INT(weir_job_start(job, &err), WEIR_OK))
        printf("# %s\n", err.text);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    s = diligent_sound(job, &d);
    weir_job_free(job);
    return s;
}

/* In a process of its own, which is killed. True: it was not, the job having come to its end. */
static bool run_and_kill(const wi_job_options *options, const diligent *like)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int before = atomic_load(&test_failures);
        weir_job_stats s = run_once(options, like);
        EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
        fflush(stdout);
        _exit(atomic_load(&test_failures) != before);
    }
    int status = 0;
    EXPECT(child > 0 && waitpid(child, &status, 0) == child);
    EXPECT(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    return !WIFSIGNALED(status);
}

static void expect_rows(const diligent *d, const wi_job_options *o, int fail_percent)
{
    int64_t wrong = 0, rows_of_all = 0, failures = 0;
    rows_begin();
    take_file(output);
    EXPECT_INT(o->common.errors ? out.with_error : 0, 0);
    if (o->common.errors)
        take_file(errors);
    for (int64_t item = 0; item < d->items; item++) {
        bool failed = diligent_chance(d, (uint64_t)item, 1, fail_percent);
        int64_t n = failed && !d->fails_late ? 1 : d->rows;
        for (int64_t r = 0; r < d->rows; r++)
            wrong += out.seen[item * d->rows + r] != (r < n);
        rows_of_all += n;
        failures += failed;
    }
    EXPECT_INT(wrong, 0);
    EXPECT_INT(out.len, rows_of_all);
    EXPECT_INT(out.with_error, failures);
    EXPECT_INT(count_files(), o->common.errors ? 3 : 2); /* these and the journal */
}

/* At the end what failed is asked again, and does not: none of its old rows may be left. */
static void retry(const wi_job_options *options, const diligent *like)
{
    wi_job_options o = *options;
    diligent d = *like;
    int64_t failures = diligent_failures(&d, 0, d.items);
    o.common.journal = WEIR_JOURNAL_RETRY_FAILED;
    d.fail_percent = 0;
    weir_job_stats s = run_once(&o, &d);
    EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, failures);
    EXPECT_INT(s.ok_before, d.items - failures);
    expect_rows(&d, &o, 0);
}

static void go_on_until_it_ends(uint64_t seed)
{
    wi_random r;
    wi_random_init(&r, seed);
    bool apart = wi_random_below(&r, 2);
    wi_job_options o = options_of(&r, apart);
    diligent d = job_of(&r, seed, apart);
    bool ended = false;
    for (int i = 0; i < ROUNDS && !ended; i++) {
        diligent once = d;
        bool last = i == ROUNDS - 1;
        if (wi_random_below(&r, 3) || last) {
            once.kill_at = last ? 0 : 1 + wi_random_below(&r, d.items);
            ended = run_and_kill(&o, &once);
        } else {
            if (wi_random_below(&r, 2))
                once.stop_at = 1 + wi_random_below(&r, d.items / d.per_piece + 1);
            else
                once.stop_in = wi_random_below(&r, d.items);
            once.stop_how = wi_random_below(&r, 2) ? WEIR_STOP_NOW : WEIR_STOP_DRAIN;
            ended = run_once(&o, &once).end == WEIR_JOB_END_COMPLETE;
        }
    }
    EXPECT(ended);
    expect_rows(&d, &o, d.fail_percent);
    retry(&o, &d);
}

TEST(killed_and_continued)
{
    const char *more = getenv("WEIR_LONG");
    for (uint64_t seed = 1; seed <= (more ? 60 : 12); seed++) {
        int before = atomic_load(&test_failures);
        REQUIRE(folder_begin());
        go_on_until_it_ends(seed);
        folder_end();
        if (atomic_load(&test_failures) != before)
            printf("# with seed %llu\n", (unsigned long long)seed);
    }
}

/* A run that is complete has nothing to do, however often it is continued. */
TEST(nothing_is_left_to_do)
{
    wi_random r;
    wi_random_init(&r, 1);
    REQUIRE(folder_begin());
    wi_job_options o = options_of(&r, true);
    diligent d = {.seed = 3, .items = 1000, .rows = 2, .fail_percent = 10, .errors_apart = true};
    for (int i = 0; i < 3; i++) {
        weir_job_stats s = run_once(&o, &d);
        int64_t failures = diligent_failures(&d, 0, 1000);
        EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
        EXPECT_INT(s.attempts, i ? 0 : 1000);
        EXPECT_INT(s.ok + s.ok_before, 1000 - failures);
        EXPECT_INT(s.failed + s.failed_before, failures);
        expect_rows(&d, &o, d.fail_percent);
    }
    folder_end();
}

/* Of one whose rows were half out, and of all that came since, nothing is kept. */
TEST(what_is_cut_short_with_rows_that_are_out)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        wi_random r;
        wi_random_init(&r, 5);
        REQUIRE(folder_begin());
        wi_job_options o = options_of(&r, false);
        o.common.unordered = unordered;
        o.common.commit_every = 1;
        diligent d = {.seed = 5, .items = 30, .per_piece = 3, .rows = 1000, .padding = 1000};
        diligent cut = d;
        cut.stop_in = 16;
        cut.stop_how = WEIR_STOP_NOW;
        weir_job_stats s = run_once(&o, &cut);
        EXPECT_INT(s.end, WEIR_JOB_END_STOPPED);
        EXPECT(s.cancelled > 0);
        EXPECT_INT(run_once(&o, &d).end, WEIR_JOB_END_COMPLETE);
        expect_rows(&d, &o, 0);
        folder_end();
    }
}

/* Several that are larger than the memory, at once, and without order: one at a time goes out, and
 * those that end meanwhile wait for it, within the memory. */
TEST(rows_of_one_piece_stand_together)
{
    wi_random r;
    wi_random_init(&r, 2);
    REQUIRE(folder_begin());
    wi_job_options o = options_of(&r, false);
    o.common.unordered = true;
    o.common.memory = MIB;
    o.common.in_flight = 6;
    diligent d = {.seed = 4, .items = 40, .per_piece = 2, .rows = 300, .padding = 3000};
    diligent once = d;
    weir_job *job = diligent_make(&o, &once);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    EXPECT_INT(diligent_sound(job, &once).end, WEIR_JOB_END_COMPLETE);
    EXPECT(once.most_buffered <= MIB + 6 * MIB);
    weir_job_free(job);
    expect_rows(&d, &o, 0);
    int64_t last = -1, changes = 0;
    FILE *in = fopen(output, "re");
    REQUIRE(in != NULL);
    for (long long number; fscanf(in, "{\"number\":%lld,%*[^\n]\n", &number) == 1;) {
        int64_t piece = number / (d.rows * d.per_piece);
        changes += piece != last;
        last = piece;
    }
    fclose(in);
    EXPECT_INT(changes, d.items / d.per_piece);
    folder_end();
}

TESTS(CASE(killed_and_continued), CASE(nothing_is_left_to_do),
      CASE(what_is_cut_short_with_rows_that_are_out), CASE(rows_of_one_piece_stand_together))
