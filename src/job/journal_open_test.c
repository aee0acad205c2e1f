/* journal_open_test.c: whom a journal refuses, and which files it leaves alone. */
#include "journal.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "journal_testing.h"

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

TESTS(CASE(other_options_are_named), CASE(a_second_run_is_refused),
      CASE(files_that_are_no_journal_are_left_alone),
      CASE(a_journal_that_was_tampered_with_is_told),
      CASE(a_journal_that_cannot_be_used_can_be_begun_anew),
      CASE(names_are_not_what_sqlite_reads_into_them), CASE(what_may_not_be_written_is_said))
