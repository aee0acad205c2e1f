/*
 * outputs_testing.h: a job of numbered items, for tests of its outputs. Item n has the row
 * {"n":n,"error":...}; which items fail is the test's to say.
 */
#ifndef WI_OUTPUTS_TESTING_H
#define WI_OUTPUTS_TESTING_H

#include "folder.h"
#include "outputs.h"
#include "test.h"

typedef struct run_options {
    weir_journal mode;
    wi_format format;
    bool apart; /* the failed rows go to a file of their own */
    const char *rows;
    const char *errors;
    const char *no_journal;
    char *fact;
    int failing; /* each n that this divides fails; 0: none */
} run_options;

static inline weir_status run_open(const run_options *run, wi_outputs **out, weir_error *err)
{
    static const char *const columns[] = {"n", "error"};
    static wi_fact fact = {.name = "URL"};
    static const wi_facts facts = {.list = &fact, .len = 1};
    fact.value = run->fact;
    wi_outputs_options o = {
        .journal = run->mode,
        .has_errors = run->apart,
        .no_journal = run->no_journal,
        .facts = &facts,
    };
    for (size_t i = 0; i < WI_OUTPUTS_LEN; i++)
        o.sinks[i] = (wi_sink_options){.path = i ? run->errors : run->rows,
                                       .format = run->format,
                                       .columns = columns,
                                       .columns_len = 2};
    return wi_outputs_open(&o, out, err);
}

static inline weir_status run_begin(const run_options *run, wi_outputs **out, weir_error *err)
{
    wi_outputs *outputs = NULL;
    weir_status status = run_open(run, &outputs, err);
    if (status == WEIR_OK)
        status = wi_outputs_begin(outputs, err);
    if (status == WEIR_OK)
        *out = outputs;
    else
        wi_outputs_free(outputs);
    return status;
}

static inline weir_status run_write(wi_outputs *outputs, wi_outputs_which which, int n, bool fails,
                                    weir_error *err)
{
    wi_batch *batch;
    size_t first;
    wi_sink *sink = wi_outputs_sink(outputs, which);
    weir_status status = wi_sink_begin_row(sink, NULL, &batch, &first, err);
    if (status != WEIR_OK)
        return status;
    wi_batch_put_int(batch, first, n);
    if (fails)
        wi_batch_put(batch, first + 1, WI_STRING, "it failed", 9);
    return wi_sink_end_row(sink, err);
}

/* As the collector does it. *asked counts those that no earlier run has done. */
static inline weir_status run_item(const run_options *run, wi_outputs *outputs, int n, int *asked,
                                   weir_error *err)
{
    wi_key key = {{0}};
    int64_t from[WI_OUTPUTS_LEN], to[WI_OUTPUTS_LEN];
    wi_extent extents[WI_OUTPUTS_LEN];
    bool has_journal = wi_outputs_has_journal(outputs);
    bool fails = run->failing && n % run->failing == 0;
    if (has_journal && wi_outputs_claim(outputs, &n, sizeof n, &key) != WI_COMMITTED_NOT)
        return WEIR_OK;
    ++*asked;
    weir_status status = WEIR_OK;
    if (has_journal && fails)
        status = wi_outputs_positions(outputs, from, err);
    if (status == WEIR_OK)
        status = run_write(outputs, fails && run->apart ? WI_OUTPUTS_ERRORS : WI_OUTPUTS_ROWS, n,
                           fails, err);
    if (status == WEIR_OK && has_journal && fails)
        status = wi_outputs_positions(outputs, to, err);
    if (status != WEIR_OK || !has_journal)
        return status;
    for (size_t i = 0; fails && i < WI_OUTPUTS_LEN; i++)
        extents[i] = (wi_extent){from[i], to[i] - from[i]};
    return wi_outputs_done(outputs, &key, fails ? extents : NULL, err);
}

static inline weir_status run_items(const run_options *run, wi_outputs *outputs, int from, int to,
                                    int *asked, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (int n = from; status == WEIR_OK && n < to; n++)
        status = run_item(run, outputs, n, asked, err);
    return status == WEIR_OK ? wi_outputs_flush(outputs, err) : status;
}

/* All of it: items 0 to n - 1, and the end. */
static inline weir_status run_whole(const run_options *run, int n, int *asked, weir_error *err)
{
    wi_outputs *outputs = NULL;
    weir_status status = run_begin(run, &outputs, err);
    if (status == WEIR_OK)
        status = run_items(run, outputs, 0, n, asked, err);
    if (status == WEIR_OK)
        status = wi_outputs_finish(outputs, err);
    wi_outputs_free(outputs);
    return status;
}

enum { RUN_MOST = 4096 };

/* Counts the rows of each item in a file; false: something in it is no row, or none that there
 * can be. */
static inline bool run_count(const char *path, wi_format format, int *rows, int *failed)
{
    char line[256];
    int n;
    bool good = true;
    bool header = format == WI_FORMAT_CSV;
    FILE *in = fopen(path, "re");
    if (!in)
        return false;
    for (; good && fgets(line, sizeof line, in); header = false) {
        bool fails = strstr(line, "it failed") != NULL;
        if (header) {
            good = strcmp(line, "n,error\n") == 0;
            continue;
        }
        good = sscanf(line, format == WI_FORMAT_CSV ? "%d," : "{\"n\":%d,", &n) == 1 && n >= 0 &&
               n < RUN_MOST && line[strlen(line) - 1] == '\n';
        if (good)
            rows[n]++, *failed += fails;
    }
    fclose(in);
    return good && !header;
}

/* Is each of the items 0 to n - 1 there once, and nothing else? */
static inline bool run_is_whole(const run_options *run, int n, int *failed)
{
    int rows[RUN_MOST] = {0};
    int wrong = 0;
    *failed = 0;
    if (!run_count(run->rows, run->format, rows, failed) ||
        (run->apart && !run_count(run->errors, run->format, rows, failed)))
        return false;
    for (int i = 0; i < RUN_MOST; i++)
        wrong += rows[i] != (i < n);
    return wrong == 0;
}

/* ---- with expectations ---- */

static char run_rows[512];
static char run_errors[512];

static inline run_options options_of(weir_journal mode)
{
    snprintf(run_rows, sizeof run_rows, "%s", in_folder("o"));
    snprintf(run_errors, sizeof run_errors, "%s", in_folder("e"));
    return (run_options){
        .mode = mode, .format = WI_FORMAT_NDJSON, .rows = run_rows, .errors = run_errors};
}

static inline bool exists(const char *file)
{
    return access(in_folder(file), F_OK) == 0;
}

static inline wi_outputs *begun(const run_options *run)
{
    weir_error err = {0};
    wi_outputs *outputs = NULL;
    if (!EXPECT(run_begin(run, &outputs, &err) == WEIR_OK))
        printf("# %s\n", err.text);
    return outputs;
}

static inline void expect_refused(const run_options *run, weir_status want, const char *text)
{
    weir_error err = {0};
    wi_outputs *outputs = NULL;
    EXPECT_INT(run_begin(run, &outputs, &err), want);
    if (!EXPECT(strstr(err.text, text) != NULL))
        printf("# it says: %s\n", err.text);
    if (outputs)
        wi_outputs_free(outputs);
}

/* Items from `from` to `committed` are committed, and those up to `to` written; then the run ends
 * as if killed, but for what it holds in this process. */
static inline void run_until(const run_options *run, int from, int committed, int to)
{
    int asked = 0;
    wi_outputs *outputs = begun(run);
    REQUIRE(outputs);
    EXPECT_INT(run_items(run, outputs, from, committed, &asked, NULL), WEIR_OK);
    EXPECT_INT(wi_outputs_commit(outputs, NULL), WEIR_OK);
    EXPECT_INT(run_items(run, outputs, committed, to, &asked, NULL), WEIR_OK);
    wi_outputs_free(outputs);
}

static inline void expect_run(const run_options *run, int n, int want_asked, int want_failed)
{
    int asked = 0, failed = 0;
    weir_error err = {0};
    if (!EXPECT(run_whole(run, n, &asked, &err) == WEIR_OK))
        printf("# %s\n", err.text);
    EXPECT_INT(asked, want_asked);
    EXPECT(run_is_whole(run, n, &failed));
    EXPECT_INT(failed, want_failed);
    EXPECT_INT(count_files(), run->apart ? 3 : 2); /* and the journal */
}

/* Instead of libc's, where nothing crashes, and hundreds of runs would wait for the disk. What a
 * crash leaves is the matter of outputs_crash_test.c. */
#ifdef RUN_WITHOUT_FLUSHES
int unflushed_fsync(int fd) __asm__("fsync");
int unflushed_fdatasync(int fd) __asm__("fdatasync");

int unflushed_fsync(int fd)
{
    (void)fd;
    return 0;
}

int unflushed_fdatasync(int fd)
{
    (void)fd;
    return 0;
}
#endif

#endif
