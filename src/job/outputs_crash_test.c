/*
 * outputs_crash_test.c: the power may go at any moment. Everything that a series of runs does to
 * the folder of its outputs, journal and SQLite's own files included, is recorded in one sequence:
 * writes, truncations, flushes, names made, changed and removed. Then the folder is made anew as
 * each prefix of it may have left it, and the run goes on from there. In the end each row is there
 * once, what was committed has not been asked again, and until then the output of the run before
 * was whole.
 *
 * What a crash leaves is what was flushed, and of the rest what is said at `loss`. A name is on the
 * disk when its folder was flushed, and not before; names come and go in their order.
 */
#include "outputs_state.h"
#include "outputs_testing.h"
#include "random.h"
#include "recorder_testing.h"

enum { ITEMS = 60, PER_COMMIT = 7 };

/* ---- the runs ---- */

static void mark(int done, int whole)
{
    event *e = record(MARK);
    e->done = done;
    e->whole = whole;
}

/* Items up to n, a commit after every few; then the run ends, or is dropped. */
static void run_once(run_options *run, weir_journal mode, int failing, int n, bool ends, int whole)
{
    int asked = 0, before = 0;
    wi_outputs *outputs = NULL;
    run->mode = mode;
    run->failing = failing;
    REQUIRE(run_begin(run, &outputs, NULL) == WEIR_OK);
    for (int i = 0; i < n; i++) {
        EXPECT(run_item(run, outputs, i, &asked, NULL) == WEIR_OK);
        EXPECT(wi_outputs_flush(outputs, NULL) == WEIR_OK);
        if (asked < before + PER_COMMIT)
            continue;
        before = asked;
        EXPECT(wi_outputs_commit(outputs, NULL) == WEIR_OK);
        mark((int)wi_journal_items(outputs->journal), whole);
    }
    if (ends) {
        EXPECT(wi_outputs_finish(outputs, NULL) == WEIR_OK);
        mark(n, n);
    }
    wi_outputs_free(outputs);
}

static int failed_of(int failing, int n)
{
    return (n + failing - 1) / failing;
}

static void record_runs(run_options *run)
{
    enum { SOME = ITEMS / 2, MOST = ITEMS - 10 };
    recording = true;
    mark(0, -1);
    run_once(run, WEIR_JOURNAL_NEW, 4, SOME, false, -1);
    run_once(run, WEIR_JOURNAL_RESUME, 4, MOST, true, -1);
    run_once(run, WEIR_JOURNAL_RESUME, 4, ITEMS, true, MOST); /* the input has grown */
    mark(ITEMS - failed_of(4, ITEMS), ITEMS);
    run_once(run, WEIR_JOURNAL_RETRY_FAILED, 8, SOME, false, ITEMS);
    mark(ITEMS - failed_of(4, ITEMS), ITEMS);
    run_once(run, WEIR_JOURNAL_RETRY_FAILED, 16, ITEMS, true, ITEMS);
    mark(0, ITEMS);
    run_once(run, WEIR_JOURNAL_NEW, 3, SOME, false, ITEMS);
    mark(0, ITEMS);
    run_once(run, WEIR_JOURNAL_RESTART, 3, ITEMS, true, ITEMS);
    recording = false;
}

/* ---- what a crash leaves ---- */

typedef enum loss {
    WHOLE,      /* everything is there */
    TORN,       /* of the last write only its first half */
    SPOILT,     /* the last write's end is wrong */
    NONE_IN,    /* of what was not flushed, nothing */
    NAMES_IN,   /* only names */
    CONTENT_IN, /* only what is in files */
    LAST_IN,    /* only the last */
    ONE_OUT,    /* all but what is in one file */
    SOME_IN,    /* by chance */
    LOSSES,
} loss;

typedef struct image {
    char *bytes;
    int64_t len, cap;
} image;

static image images[MOST_FILES];
static char *folder_names[MOST_FILES]; /* by file; NULL: it has none */

static void grow(image *file, int64_t len)
{
    if (len > file->cap) {
        file->cap = 2 * len;
        file->bytes = realloc(file->bytes, (size_t)file->cap);
    }
    if (file->bytes && len > file->len)
        memset(file->bytes + file->len, 0, (size_t)(len - file->len));
}

static void apply_content(const event *e, loss what, bool is_last)
{
    image *file = &images[e->file];
    if (e->kind == TRUNCATE) {
        grow(file, e->offset);
        file->len = e->offset;
        return;
    }
    int len = is_last && what == TORN ? e->len / 2 : e->len;
    if (!len)
        return;
    grow(file, e->offset + len);
    memcpy(file->bytes + e->offset, e->bytes, (size_t)len);
    if (is_last && what == SPOILT)
        memset(file->bytes + e->offset + len / 2, '!', (size_t)(len - len / 2));
    if (e->offset + len > file->len)
        file->len = e->offset + len;
}

static int file_named(const char *text)
{
    for (int i = 0; i < MOST_FILES; i++)
        if (folder_names[i] && strcmp(folder_names[i], text) == 0)
            return i;
    return -1;
}

static void apply_name(event *e)
{
    int file = file_named(e->name);
    if (e->kind == CREATE) {
        folder_names[e->file] = e->name;
    } else if (e->kind == REMOVE && file >= 0) {
        folder_names[file] = NULL;
    } else if (e->kind == RENAME && file >= 0) {
        int old = file_named(e->to);
        if (old >= 0)
            folder_names[old] = NULL;
        folder_names[file] = e->to;
    }
}

static bool is_of_names(const event *e)
{
    return e->kind == CREATE || e->kind == RENAME || e->kind == REMOVE;
}

/* Has an event that was not flushed come to the disk? */
static bool is_in(const event *e, loss what, bool is_last, int one, wi_random *random)
{
    switch (what) {
    case NONE_IN:
        return false;
    case NAMES_IN:
        return is_of_names(e);
    case CONTENT_IN:
        return !is_of_names(e);
    case LAST_IN:
        return is_last;
    case ONE_OUT:
        return e->file != one || is_of_names(e);
    case SOME_IN:
        return wi_random_below(random, 2);
    default:
        return true;
    }
}

static void crash_after(int n, loss what, wi_random *random)
{
    bool names_go_on = true; /* they come in their order */
    int one = n ? events[n - 1].file : -1;
    for (int i = 0; i < MOST_FILES; i++) {
        images[i].len = 0;
        folder_names[i] = NULL;
    }
    for (int i = 0; i < n; i++) {
        event *e = &events[i];
        if (e->kind == SYNC || e->kind == SYNC_NAMES || e->kind == MARK)
            continue;
        bool in = e->synced < n || is_in(e, what, i == n - 1, one, random);
        if (is_of_names(e)) {
            names_go_on &= in;
            if (names_go_on)
                apply_name(e);
        } else if (in) {
            apply_content(e, what, i == n - 1);
        }
    }
}

/* Makes the folder so. */
static void make_folder(void)
{
    DIR *folder = opendir(test_folder);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            unlink(in_folder(entry->d_name));
    if (folder)
        closedir(folder);
    for (int i = 0; i < MOST_FILES; i++)
        if (folder_names[i])
            put_file(in_folder(folder_names[i]), images[i].bytes ? images[i].bytes : "",
                     (size_t)images[i].len);
}

/* ---- and whether the run goes on from there ---- */

static bool output_is_whole(const run_options *run, const event *before, const event *after)
{
    int failed;
    if (run->apart || before->whole < 0)
        return true; /* two files take their names one after the other */
    return run_is_whole(run, before->whole, &failed) || run_is_whole(run, after->whole, &failed);
}

/* By --resume, or by --retry-failed; then nothing fails any more. */
static bool recovers(const run_options *crashed, bool retries, const event *before,
                     const event *after)
{
    int asked = 0, failed = 0;
    weir_error err = {0};
    run_options run = *crashed;
    run.mode = retries ? WEIR_JOURNAL_RETRY_FAILED : WEIR_JOURNAL_RESUME;
    run.failing = 0;
    if (!output_is_whole(&run, before, after)) {
        printf("# the output of the run before is not what it was\n");
        return false;
    }
    if (run_whole(&run, ITEMS, &asked, &err) != WEIR_OK) {
        printf("# %s\n", err.text);
        return false;
    }
    int least = before->done < after->done ? before->done : after->done;
    bool good = run_is_whole(&run, ITEMS, &failed) && count_files() == (run.apart ? 3 : 2) &&
                (retries ? failed == 0 : asked <= ITEMS - least);
    if (!good)
        printf("# %d were asked, %d were done, %d failed, %d files\n", asked, least, failed,
               count_files());
    return good;
}

/* The promise that holds after n events, and the next. */
static const event *mark_before(int n)
{
    while (n > 0 && events[n - 1].kind != MARK)
        n--;
    return &events[n ? n - 1 : 0];
}

static const event *mark_after(int n)
{
    while (n < events_len && events[n].kind != MARK)
        n++;
    return n < events_len ? &events[n] : mark_before(n);
}

static void forget_events(void)
{
    for (int i = 0; i < events_len; i++)
        free(events[i].bytes);
    for (int i = 0; i < MOST_FILES; i++) {
        free(images[i].bytes);
        images[i] = (image){0};
    }
    events_len = names_len = files_len = 0;
}

/* Of all crashes there are so many of one that is tried; all with WEIR_LONG=1. */
static int one_of(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return getenv("WEIR_LONG") ? 7 : 47;
#else
    return getenv("WEIR_LONG") ? 1 : 7;
#endif
}

__attribute__((constructor)) static void take_time(void)
{
    if (getenv("WEIR_LONG"))
        test_seconds = 600;
}

static void options_begin(run_options *run, wi_format format, bool apart)
{
    *run = options_of(WEIR_JOURNAL_NEW);
    run->format = format;
    run->apart = apart;
}

/* After each event from `first` on, with each loss; one of `every`. */
static int crash_each(const run_options *run, int first, int every, wi_random *random)
{
    int crashes = 0, failed = 0, i = (int)wi_random_below(random, every);
    for (int n = first; n <= events_len; n++) {
        event_kind last = events[n - 1].kind;
        for (int what = 0; what < LOSSES && failed < 5; what++) {
            if (last != WRITE && (what == TORN || what == SPOILT || what == ONE_OUT))
                continue;
            if (i++ % every)
                continue;
            bool retries = wi_random_below(random, 3) == 0;
            crashes++;
            crash_after(n, (loss)what, random);
            make_folder();
            if (!EXPECT(recovers(run, retries, mark_before(n), mark_after(n)))) {
                printf("# after %d of %d events (the last: %d of %s), loss %d\n", n, events_len,
                       (int)last, events[n - 1].name, what);
                failed++;
            }
        }
    }
    return crashes;
}

static void crash_everywhere(wi_format format, bool apart)
{
    run_options run;
    wi_random random;
    wi_random_init(&random, 7);
    REQUIRE(folder_begin());
    options_begin(&run, format, apart);
    record_runs(&run);
    find_syncs();
    int crashes = crash_each(&run, 1, one_of(), &random);
    printf("# %d crashes after %d events\n", crashes, events_len);
    EXPECT(events_len > 300);
    forget_events();
    folder_end();
}

/* What is in the folder is on the disk, as if it had been written so. */
static void record_folder(int done)
{
    static char bytes[1 << 20];
    recording = true;
    note_new_names();
    for (int i = 0; i < names_len; i++) {
        char text[sizeof names[i].name];
        memcpy(text, names[i].name, sizeof text);
        int fd = open(in_folder(text), O_RDONLY | O_CLOEXEC);
        ssize_t len = read(fd, bytes, sizeof bytes);
        EXPECT(len >= 0 && len < (ssize_t)sizeof bytes);
        record_write(fd, bytes, (size_t)len, 0);
        record_sync(fd);
        close(fd);
    }
    record(SYNC_NAMES);
    mark(done, -1);
}

/* And the recovery of that. */
TEST(a_recovery_recovers_from_every_prefix)
{
    wi_random random;
    wi_random_init(&random, 8);
    int crashes = 0, tried = getenv("WEIR_LONG") ? 20 : 8;
    for (int i = 0; i < tried; i++) {
        run_options run;
        REQUIRE(folder_begin());
        options_begin(&run, i % 2 ? WI_FORMAT_CSV : WI_FORMAT_NDJSON, i % 4 > 1);
        record_runs(&run);
        find_syncs();
        int n = 1 + (int)wi_random_below(&random, events_len);
        crash_after(n, (loss)wi_random_below(&random, LOSSES), &random);
        make_folder();
        forget_events();
        record_folder(0);
        int first = events_len;
        run_once(&run,
                 wi_random_below(&random, 2) ? WEIR_JOURNAL_RETRY_FAILED : WEIR_JOURNAL_RESUME, 7,
                 ITEMS, true, -1);
        recording = false;
        find_syncs();
        crashes += crash_each(&run, first, 3 * one_of(), &random);
        forget_events();
        folder_end();
    }
    printf("# %d crashes in %d recoveries\n", crashes, tried);
    EXPECT(crashes > tried);
}

TEST(a_run_recovers_from_every_prefix)
{
    crash_everywhere(WI_FORMAT_CSV, false);
}

TEST(a_run_with_two_outputs_recovers_from_every_prefix)
{
    crash_everywhere(WI_FORMAT_NDJSON, true);
}

TESTS(CASE(a_run_recovers_from_every_prefix),
      CASE(a_run_with_two_outputs_recovers_from_every_prefix),
      CASE(a_recovery_recovers_from_every_prefix))
