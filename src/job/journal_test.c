/* journal_test.c: what a journal remembers, and that it does without memory. */
#include "journal.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "journal_testing.h"
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
      CASE(a_finished_run_goes_on_with_what_failed), CASE(an_item_takes_at_most_64_bytes),
      CASE(keys_may_be_kept_in_a_file), CASE(survives_lack_of_memory))
