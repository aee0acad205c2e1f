/* journal_test.c: what a journal remembers, whom it refuses, and that it does without memory. */
#include "journal.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "folder.h"
#include "test.h"
#include "torture.h"

/* ---- SQLite's allocations fail with ours ---- */

static void *sqlite_malloc(int size)
{
    size_t *block = torture_fails() ? NULL : __real_malloc((size_t)size + 16);
    if (block)
        *block = (size_t)size;
    return block ? (char *)block + 16 : NULL;
}

static void sqlite_free(void *at)
{
    if (at)
        __real_free((char *)at - 16);
}

static int sqlite_size(void *at)
{
    return at ? (int)*(size_t *)(void *)((char *)at - 16) : 0;
}

static void *sqlite_realloc(void *at, int size)
{
    size_t *block = torture_fails() ? NULL : __real_realloc((char *)at - 16, (size_t)size + 16);
    if (block)
        *block = (size_t)size;
    return block ? (char *)block + 16 : NULL;
}

static int sqlite_round(int size)
{
    return (size + 7) & ~7;
}

static int sqlite_begin(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void sqlite_end(void *arg)
{
    (void)arg;
}

__attribute__((constructor)) static void bring_memory(void)
{
    static sqlite3_mem_methods methods = {sqlite_malloc, sqlite_free,  sqlite_realloc, sqlite_size,
                                          sqlite_round,  sqlite_begin, sqlite_end,     NULL};
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    sqlite3_initialize();
}

/* ---- helpers ---- */

static const char *const outputs[] = {"rows", "errors"};
static char fetch[] = "fetch", url[] = "http://a/{id}", ndjson[] = "ndjson";
static wi_fact facts_list[] = {{"kind", fetch}, {"URL", url}, {"format", ndjson}, {"method", NULL}};
static const wi_facts facts = {facts_list, 4, false};

static weir_status open_with(const char *name, wi_journal_mode mode, const wi_facts *list,
                             wi_journal **out, weir_error *err)
{
    wi_journal_options o = {
        .path = in_folder(name), .mode = mode, .facts = list, .outputs = outputs, .outputs_len = 2};
    return wi_journal_open(&o, out, err);
}

static weir_status open_as(wi_journal_mode mode, wi_journal **out, weir_error *err)
{
    return open_with("o.weir", mode, &facts, out, err);
}

static wi_journal *opened(wi_journal_mode mode)
{
    weir_error err = {0};
    wi_journal *journal = NULL;
    EXPECT(open_as(mode, &journal, &err) == WEIR_OK);
    if (!journal)
        printf("# %s\n", err.text);
    return journal;
}

static wi_key key_of(const wi_journal *journal, int n)
{
    wi_key key;
    wi_journal_key(journal, &n, sizeof n, &key);
    return key;
}

static void add(wi_journal *journal, int n, bool failed)
{
    wi_key key = key_of(journal, n);
    EXPECT(wi_journal_add(journal, &key, failed, NULL) == WEIR_OK);
}

static void commit(wi_journal *journal, int64_t rows, int64_t errors)
{
    int64_t lengths[] = {rows, errors};
    EXPECT(wi_journal_commit(journal, lengths, NULL) == WEIR_OK);
}

static void end(wi_journal *journal, int64_t rows)
{
    int64_t lengths[] = {rows, 0};
    EXPECT(wi_journal_end(journal, lengths, NULL) == WEIR_OK);
    EXPECT(wi_journal_finish(journal, NULL) == WEIR_OK);
}

static wi_committed_as claim(wi_journal *journal, int n)
{
    wi_key key = key_of(journal, n);
    return wi_journal_claim(journal, &key);
}

static void expect_refused(const char *name, wi_journal_mode mode, weir_status want,
                           const char *text)
{
    weir_error err = {0};
    wi_journal *journal = NULL;
    EXPECT_INT(open_with(name, mode, &facts, &journal, &err), want);
    EXPECT(journal == NULL);
    if (!EXPECT(strstr(err.text, text) != NULL))
        printf("# it says: %s\n", err.text);
    wi_journal_free(journal);
}

/* ---- what is remembered ---- */

TEST(what_is_committed_is_there_and_the_rest_is_not)
{
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    EXPECT(claim(journal, 1) == WI_COMMITTED_NOT);
    add(journal, 1, false);
    add(journal, 2, true);
    commit(journal, 100, 20);
    EXPECT_INT(wi_journal_items(journal), 2);
    add(journal, 3, false);
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_RUNNING);
    EXPECT_INT(wi_journal_items(journal), 2);
    EXPECT_INT(wi_journal_length(journal, 0), 100);
    EXPECT_INT(wi_journal_length(journal, 1), 20);
    EXPECT(claim(journal, 3) == WI_COMMITTED_NOT);
    EXPECT(claim(journal, 2) == WI_COMMITTED_FAILED);
    EXPECT(claim(journal, 1) == WI_COMMITTED_OK);
    EXPECT(claim(journal, 1) == WI_COMMITTED_NOT);
    wi_journal_free(journal);
    folder_end();
}

TEST(what_is_asked_twice_is_committed_as_often)
{
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    add(journal, 7, true);
    for (int i = 0; i < 3; i++)
        add(journal, 7, false);
    commit(journal, 1, 0);
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    for (int i = 0; i < 3; i++)
        EXPECT(claim(journal, 7) == WI_COMMITTED_OK);
    EXPECT(claim(journal, 7) == WI_COMMITTED_FAILED);
    EXPECT(claim(journal, 7) == WI_COMMITTED_NOT);
    wi_journal_free(journal);
    folder_end();
}

TEST(an_unfinished_run_is_not_forgotten_unasked)
{
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    add(journal, 1, false);
    commit(journal, 5, 0);
    wi_journal_free(journal);
    expect_refused("o.weir", WI_JOURNAL_NEW, WEIR_INVALID, "unfinished run, with 1 items done");
    journal = opened(WI_JOURNAL_RESTART);
    REQUIRE(journal);
    EXPECT_INT(wi_journal_items(journal), 0);
    EXPECT_INT(wi_journal_length(journal, 0), 0);
    add(journal, 1, false);
    int64_t lengths[] = {6, 0};
    EXPECT(wi_journal_end(journal, lengths, NULL) == WEIR_OK);
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_ENDING);
    EXPECT(wi_journal_finish(journal, NULL) == WEIR_OK);
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_FINISHED);
    EXPECT(claim(journal, 1) == WI_COMMITTED_OK);
    commit(journal, 6, 0); /* nothing new: it stays finished */
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    EXPECT(claim(journal, 1) == WI_COMMITTED_NOT);
    wi_journal_free(journal);
    folder_end();
}

TEST(commits_are_due_by_number_and_by_time)
{
    REQUIRE(folder_begin());
    wi_clock clock = {.is_virtual = true, .virtual_now = 5 * WI_SECOND};
    wi_journal_options o = {.path = in_folder("due.weir"),
                            .outputs = outputs,
                            .outputs_len = 2,
                            .commit_rows = 3,
                            .commit_every = 2 * WI_SECOND,
                            .clock = &clock};
    wi_journal *journal = NULL;
    REQUIRE(wi_journal_open(&o, &journal, NULL) == WEIR_OK);
    EXPECT(wi_journal_due(journal, 99 * WI_SECOND) == WI_FOREVER);
    add(journal, 1, false);
    EXPECT_INT(wi_journal_due(journal, 6 * WI_SECOND), WI_SECOND);
    EXPECT_INT(wi_journal_due(journal, 7 * WI_SECOND), 0);
    add(journal, 2, false);
    add(journal, 3, false);
    EXPECT_INT(wi_journal_due(journal, 5 * WI_SECOND), 0);
    commit(journal, 1, 0);
    EXPECT(wi_journal_due(journal, 99 * WI_SECOND) == WI_FOREVER);
    wi_journal_free(journal);
    folder_end();
}

TEST(a_run_that_does_nothing_changes_nothing)
{
    REQUIRE(folder_begin());
    int64_t lengths[] = {7, 0};
    wi_journal_drop(opened(WI_JOURNAL_NEW));
    EXPECT_INT(count_files(), 0);
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    add(journal, 1, false); /* and not committed */
    EXPECT(!wi_journal_has_run(journal));
    wi_journal_drop(journal);
    EXPECT_INT(count_files(), 0);
    wi_journal_free(opened(WI_JOURNAL_RESUME)); /* as if killed: the next begins anew */
    journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    EXPECT(wi_journal_commit(journal, lengths, NULL) == WEIR_OK); /* nothing */
    add(journal, 1, false);
    end(journal, 10);
    wi_journal_drop(journal);
    EXPECT_INT(count_files(), 1);
    journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    EXPECT(claim(journal, 1) == WI_COMMITTED_NOT);
    EXPECT_INT(wi_journal_items(journal), 0);
    EXPECT(wi_journal_commit(journal, lengths, NULL) == WEIR_OK); /* nothing */
    add(journal, 2, false);
    wi_journal_drop(journal);
    journal = opened(WI_JOURNAL_RESUME); /* the finished run is what it was */
    REQUIRE(journal);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_FINISHED);
    EXPECT(claim(journal, 1) == WI_COMMITTED_OK);
    EXPECT_INT(wi_journal_length(journal, 0), 10);
    wi_journal_remove(journal);
    EXPECT_INT(count_files(), 0);
    folder_end();
}

/* ---- retries of what failed ---- */

static weir_status note_range(void *arg, int64_t offset, int64_t length, weir_error *err)
{
    char *text = arg;
    (void)err;
    snprintf(text + strlen(text), 100 - strlen(text), "%lld+%lld ", (long long)offset,
             (long long)length);
    return WEIR_OK;
}

static void expect_failed_rows(wi_journal *journal, size_t output, const char *want)
{
    char text[100] = "";
    EXPECT(wi_journal_failed_rows(journal, output, note_range, text, NULL) == WEIR_OK);
    EXPECT_STR(text, want);
}

static void add_failed(wi_journal *journal, int n, int64_t offset, int64_t length)
{
    add(journal, n, true);
    EXPECT(wi_journal_add_range(journal, 0, offset, length, NULL) == WEIR_OK);
}

TEST(a_retry_forgets_what_failed)
{
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    add_failed(journal, 1, 0, 10);
    EXPECT(wi_journal_add_range(journal, 1, 3, 4, NULL) == WEIR_OK);
    add(journal, 2, false);
    add_failed(journal, 3, 30, 5);
    end(journal, 50);
    EXPECT_INT(wi_journal_failed(journal), 2);
    wi_journal_free(journal);

    journal = opened(WI_JOURNAL_RETRY);
    REQUIRE(journal);
    expect_failed_rows(journal, 0, "0+10 30+5 ");
    expect_failed_rows(journal, 1, "3+4 ");
    EXPECT(claim(journal, 1) == WI_COMMITTED_NOT);
    EXPECT(claim(journal, 2) == WI_COMMITTED_OK);
    wi_journal_free(journal); /* killed before the copy was there */

    journal = opened(WI_JOURNAL_RETRY);
    REQUIRE(journal);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_FINISHED);
    EXPECT(wi_journal_rewrite(journal, (int64_t[]){35, 0}, NULL) == WEIR_OK);
    EXPECT_INT(wi_journal_items(journal), 1);
    EXPECT_INT(wi_journal_failed(journal), 0);
    wi_journal_free(journal); /* and after that */

    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_REWRITTEN);
    EXPECT_INT(wi_journal_items(journal), 1);
    EXPECT_INT(wi_journal_length(journal, 0), 35);
    EXPECT(claim(journal, 3) == WI_COMMITTED_NOT);
    expect_failed_rows(journal, 0, "");
    add_failed(journal, 3, 35, 6);
    commit(journal, 41, 0);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_RUNNING);
    expect_failed_rows(journal, 0, "35+6 ");
    wi_journal_free(journal);

    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_RUNNING);
    EXPECT(claim(journal, 3) == WI_COMMITTED_FAILED);
    EXPECT_INT(wi_journal_failed(journal), 1);
    wi_journal_free(journal);
    folder_end();
}

TEST(a_finished_run_goes_on_with_what_failed)
{
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    add_failed(journal, 1, 0, 10);
    end(journal, 10);
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT(wi_journal_rewrite(journal, (int64_t[]){10, 0}, NULL) == WEIR_OK);
    EXPECT(wi_journal_state_of(journal) == WI_JOURNAL_REWRITTEN);
    EXPECT(claim(journal, 1) == WI_COMMITTED_FAILED);
    expect_failed_rows(journal, 0, "0+10 ");
    wi_journal_free(journal);
    folder_end();
}

/* ---- whom it refuses ---- */

TEST(other_options_are_named)
{
    char other_url[] = "http://b/{id}", put[] = "PUT";
    wi_fact list[] = {{"kind", fetch}, {"URL", other_url}, {"format", NULL}, {"method", put}};
    wi_facts other = {list, 4, false};
    weir_error err = {0};
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    add(journal, 1, false);
    commit(journal, 1, 0);
    wi_journal_free(journal);
    journal = NULL;
    EXPECT(open_with("o.weir", WI_JOURNAL_RESUME, &other, &journal, &err) == WEIR_INVALID);
    if (!EXPECT(strstr(err.text, "o.weir: URL was \"http://a/{id}\" and is \"http://b/{id}\" now, "
                                 "format was \"ndjson\" and is not given now, method was not given "
                                 "and is \"PUT\" now; give what it was, or begin anew with "
                                 "--restart")))
        printf("# it says: %s\n", err.text);
    wi_journal_options one = {.path = in_folder("o.weir"),
                              .name = "mine.weir",
                              .mode = WI_JOURNAL_RESUME,
                              .facts = &facts,
                              .outputs = outputs,
                              .outputs_len = 1};
    EXPECT(wi_journal_open(&one, &journal, &err) == WEIR_INVALID);
    EXPECT(strstr(err.text, "the run of mine.weir: it had other outputs"));
    EXPECT(open_with("o.weir", WI_JOURNAL_RESTART, &other, &journal, &err) == WEIR_OK);
    wi_journal_free(journal);
    folder_end();
}

TEST(a_second_run_is_refused)
{
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    for (int mode = WI_JOURNAL_NEW; mode <= WI_JOURNAL_RETRY; mode++)
        expect_refused("o.weir", mode, WEIR_AGAIN, "another run writes this output");
    pid_t child = fork();
    if (child == 0) {
        wi_journal *second = NULL;
        _exit(open_as(WI_JOURNAL_RESTART, &second, NULL) == WEIR_AGAIN ? 0 : 1);
    }
    int how = 0;
    EXPECT(waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0);
    add(journal, 1, false); /* the first is none the worse */
    commit(journal, 1, 0);
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_RESUME);
    EXPECT(journal != NULL);
    expect_refused("o.weir", WI_JOURNAL_RESUME, WEIR_AGAIN, "another run writes this output");
    wi_journal_free(journal);
    folder_end();
}

static void run_sql(const char *name, const char *sql)
{
    sqlite3 *db = NULL;
    EXPECT(sqlite3_open(in_folder(name), &db) == SQLITE_OK &&
           sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

TEST(files_that_are_no_journal_are_left_alone)
{
    static const char text[] = "a file of somebody's, long enough to be asked what it is: ......."
                               "..................................................................";
    REQUIRE(folder_begin());
    put_file(in_folder("text"), text, sizeof text - 1);
    mkdir(in_folder("folder"), 0777);
    run_sql("other", "CREATE TABLE mine (x); INSERT INTO mine VALUES (1)");
    for (int mode = WI_JOURNAL_NEW; mode <= WI_JOURNAL_RETRY; mode++) {
        expect_refused("text", mode, WEIR_INVALID, "is no journal of Weir's");
        expect_refused("other", mode, WEIR_INVALID, "another program's database");
        expect_refused("folder", mode, WEIR_INVALID, "Is a directory");
        expect_refused("nowhere/x", mode, WEIR_NOTFOUND, "No such file");
    }
    expect_file(in_folder("text"), text);
    EXPECT(symlink("text", in_folder("link")) == 0);
    expect_refused("link", WI_JOURNAL_RESTART, WEIR_INVALID, "is a symbolic link");
    expect_file(in_folder("text"), text);
    folder_end();
}

/* Of another version, or damaged: as long as it is Weir's, it can be replaced, and only when that
 * is asked for. */
TEST(a_journal_that_cannot_be_used_can_be_begun_anew)
{
    static const char *const ways[] = {"PRAGMA user_version = 7", "DROP TABLE item",
                                       "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema"};
    static const char *const says[] = {"of version 7", "is damaged", "is damaged"};
    REQUIRE(folder_begin());
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        wi_journal *journal = opened(WI_JOURNAL_RESTART);
        REQUIRE(journal);
        add(journal, 1, false);
        commit(journal, 10, 0);
        wi_journal_free(journal);
        run_sql("o.weir", ways[i]);
        expect_refused("o.weir", WI_JOURNAL_NEW, WEIR_INVALID, says[i]);
        expect_refused("o.weir", WI_JOURNAL_RESUME, WEIR_INVALID, says[i]);
    }
    wi_journal *journal = opened(WI_JOURNAL_RESTART);
    REQUIRE(journal);
    add(journal, 2, false);
    commit(journal, 10, 0);
    wi_journal_free(journal);
    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT_INT(wi_journal_items(journal), 1);
    EXPECT(claim(journal, 2) == WI_COMMITTED_OK);
    wi_journal_free(journal);
    folder_end();
}

TEST(a_journal_that_was_tampered_with_is_told)
{
    static const char *const ways[] = {
        "DROP TABLE item",
        "INSERT INTO item (key, outcome) VALUES (x'00', 0)",
        "UPDATE run SET value = 9 WHERE name = 'state'",
        "DELETE FROM run",
        "UPDATE item SET outcome = 2",
    };
    REQUIRE(folder_begin());
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        unlink(in_folder("o.weir"));
        wi_journal *journal = opened(WI_JOURNAL_NEW);
        REQUIRE(journal);
        add(journal, 1, false);
        commit(journal, 1, 0);
        wi_journal_free(journal);
        run_sql("o.weir", ways[i]);
        expect_refused("o.weir", WI_JOURNAL_RESUME, WEIR_INVALID, "is damaged");
    }
    folder_end();
}

TEST(names_are_not_what_sqlite_reads_into_them)
{
    REQUIRE(folder_begin());
    char before[4096];
    REQUIRE(getcwd(before, sizeof before) && chdir(test_folder) == 0);
    static const char *const names[] = {":memory:", "file:a.weir?mode=memory"};
    for (size_t i = 0; i < 2; i++) {
        wi_journal_options o = {.path = names[i], .outputs = outputs, .outputs_len = 2};
        wi_journal *journal = NULL;
        EXPECT(wi_journal_open(&o, &journal, NULL) == WEIR_OK);
        wi_journal_free(journal);
        EXPECT(access(names[i], F_OK) == 0);
    }
    EXPECT(chdir(before) == 0);
    folder_end();
}

/* As somebody who is not root, in a process of its own. */
static int status_as_nobody(const char *name, const char *text)
{
    weir_error err = {0};
    wi_journal *journal = NULL;
    if (geteuid() == 0 && setuid(65534) != 0)
        return -1;
    weir_status status = open_with(name, WI_JOURNAL_RESUME, &facts, &journal, &err);
    bool said = strstr(err.text, text) != NULL;
    if (!said)
        printf("# it says: %s\n", err.text);
    return said ? (int)status : -1;
}

static void expect_denied(const char *name)
{
    int how = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(status_as_nobody(name, "Permission denied") == WEIR_DENIED ? 0 : 1);
    EXPECT(waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

TEST(what_may_not_be_written_is_said)
{
    REQUIRE(folder_begin());
    wi_journal_free(opened(WI_JOURNAL_NEW));
    EXPECT(chmod(in_folder("o.weir"), 0444) == 0 && chmod(test_folder, 0555) == 0);
    expect_denied("o.weir");
    expect_denied("none.weir");
    EXPECT(chmod(test_folder, 0755) == 0);
    folder_end();
}

/* ---- size and memory ---- */

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

TEST(an_item_takes_at_most_64_bytes)
{
    enum { ITEMS = 50000 };
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    for (int i = 0; i < ITEMS; i++) {
        add(journal, i, true); /* the dearest case: each failed, and has a row */
        EXPECT(wi_journal_add_range(journal, 0, 300LL * i, 300, NULL) == WEIR_OK);
        if (i % 5000 == 4999)
            commit(journal, 300LL * i, 0);
    }
    wi_journal_free(journal);
    int64_t size = size_of(in_folder("o.weir"));
    EXPECT(size > 16LL * ITEMS && size < 64LL * ITEMS);
    EXPECT_INT(count_files(), 1);
    folder_end();
}

/* Keys in memory and in a file are the same keys. */
TEST(keys_may_be_kept_in_a_file)
{
    enum { KEYS = 20000 };
    REQUIRE(folder_begin());
    for (int64_t memory = 0; memory <= 1 << 30; memory += 1 << 30) {
        wi_committed *committed = NULL;
        REQUIRE(wi_committed_new(KEYS, memory, in_folder("x"), &committed, NULL) == WEIR_OK);
        wi_key key = {{0}};
        for (int i = 0; i < KEYS; i++) {
            memcpy(&key, &i, sizeof i);
            wi_committed_add(committed, &key, i % 2);
        }
        int wrong = 0;
        for (int i = KEYS + 1000; i-- > 0;) {
            memcpy(&key, &i, sizeof i);
            wrong += wi_committed_claim(committed, &key) !=
                     (i < KEYS ? (wi_committed_as)(i % 2) : WI_COMMITTED_NOT);
        }
        EXPECT_INT(wrong, 0);
        EXPECT(wi_committed_claim(committed, &key) == WI_COMMITTED_NOT);
        wi_committed_free(committed);
        EXPECT_INT(count_files(), 0);
    }
    folder_end();
}

static weir_status ignore_range(void *arg, int64_t offset, int64_t length, weir_error *err)
{
    (void)arg, (void)offset, (void)length, (void)err;
    return WEIR_OK;
}

static weir_status go_on(void)
{
    weir_error err;
    wi_journal *journal = NULL;
    int64_t lengths[] = {9, 0};
    weir_status status = open_as(WI_JOURNAL_RETRY, &journal, &err);
    if (status == WEIR_OK)
        status = wi_journal_rewrite(journal, lengths, &err);
    if (status == WEIR_OK) {
        wi_key key = key_of(journal, 1);
        status = wi_journal_add(journal, &key, true, &err);
    }
    if (status == WEIR_OK)
        status = wi_journal_add_range(journal, 0, 1, 2, &err);
    if (status == WEIR_OK)
        status = wi_journal_failed_rows(journal, 0, ignore_range, NULL, &err);
    if (status == WEIR_OK)
        status = wi_journal_commit(journal, lengths, &err);
    if (status == WEIR_OK)
        status = wi_journal_end(journal, lengths, &err);
    if (status == WEIR_OK)
        status = wi_journal_finish(journal, &err);
    wi_journal_free(journal);
    return status;
}

TEST(survives_lack_of_memory)
{
    REQUIRE(folder_begin());
    wi_journal *journal = opened(WI_JOURNAL_NEW);
    REQUIRE(journal);
    add_failed(journal, 1, 0, 1);
    add(journal, 2, false);
    commit(journal, 9, 0);
    wi_journal_free(journal);
    TORTURE(go_on());
    journal = opened(WI_JOURNAL_RESUME);
    REQUIRE(journal);
    EXPECT_INT(wi_journal_items(journal), 2); /* each time one was replaced by one */
    EXPECT_INT(wi_journal_length(journal, 0), 9);
    wi_journal_free(journal);
    folder_end();
}

TESTS(CASE(what_is_committed_is_there_and_the_rest_is_not),
      CASE(what_is_asked_twice_is_committed_as_often),
      CASE(an_unfinished_run_is_not_forgotten_unasked), CASE(commits_are_due_by_number_and_by_time),
      CASE(a_run_that_does_nothing_changes_nothing), CASE(a_retry_forgets_what_failed),
      CASE(a_finished_run_goes_on_with_what_failed),
      CASE(a_journal_that_cannot_be_used_can_be_begun_anew), CASE(other_options_are_named),
      CASE(a_second_run_is_refused), CASE(files_that_are_no_journal_are_left_alone),
      CASE(a_journal_that_was_tampered_with_is_told),
      CASE(names_are_not_what_sqlite_reads_into_them), CASE(what_may_not_be_written_is_said),
      CASE(an_item_takes_at_most_64_bytes), CASE(keys_may_be_kept_in_a_file),
      CASE(survives_lack_of_memory))
