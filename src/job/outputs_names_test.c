/* outputs_names_test.c: where the names of outputs and their journals lead, and where not. */
#include <limits.h>
#include <sys/wait.h>

#define RUN_WITHOUT_FLUSHES
#include "outputs_testing.h"

TEST(links_lead_to_the_output_and_away_from_nothing_else)
{
    REQUIRE(folder_begin());
    REQUIRE(mkdir(in_folder("there"), 0777) == 0);
    put_file(in_folder("there/real"), "old", 3);
    put_file(in_folder("precious"), "precious", 8);
    REQUIRE(symlink("there/real", in_folder("o")) == 0);
    REQUIRE(symlink("../precious", in_folder("there/real.partial")) == 0);
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run_until(&run, 0, 5, 5);
    EXPECT(exists("there/real.weir") && !exists("o.weir"));
    expect_refused(&run, WEIR_INVALID, "there/real.weir holds an unfinished run");
    run.mode = WEIR_JOURNAL_RESUME;
    REQUIRE(rename(in_folder("there/real.partial"), in_folder("moved")) == 0);
    REQUIRE(symlink("../moved", in_folder("there/real.partial")) == 0);
    expect_refused(&run, WEIR_IO, "cannot go on with");
    REQUIRE(rename(in_folder("moved"), in_folder("there/real.partial")) == 0);
    int asked = 0, failed = 0;
    EXPECT_INT(run_whole(&run, 10, &asked, NULL), WEIR_OK);
    EXPECT_INT(asked, 5);
    struct stat st;
    EXPECT(lstat(run_rows, &st) == 0 && S_ISLNK(st.st_mode));
    EXPECT(run_is_whole(&run, 10, &failed));
    expect_file(in_folder("precious"), "precious");
    EXPECT(unlink(in_folder("there/real.weir")) == 0);
    REQUIRE(symlink("../precious", in_folder("there/real.weir")) == 0);
    expect_refused(&run, WEIR_INVALID, "real.weir is a symbolic link");
    folder_end();
}

TEST(names_that_do_not_go)
{
    char name[NAME_MAX + 1];
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    REQUIRE(mkdir(in_folder("o.weir"), 0777) == 0);
    expect_refused(&run, WEIR_INVALID, "o.weir: Is a directory");
    REQUIRE(rmdir(in_folder("o.weir")) == 0);
    REQUIRE(mkdir(in_folder("o.partial"), 0777) == 0);
    expect_refused(&run, WEIR_INVALID, "Is a directory");
    REQUIRE(rmdir(in_folder("o.partial")) == 0);
    EXPECT_INT(count_files(), 0);
    run.apart = true;
    for (int i = 0; i < 2; i++) {
        run.errors = i ? in_folder("o.weir") : in_folder("o.partial.new");
        expect_refused(&run, WEIR_INVALID, "is the name of a file that");
    }
    run.apart = false;
    memset(name, 'x', sizeof name);
    name[NAME_MAX - 12] = '\0';
    run.rows = in_folder(name);
    expect_refused(&run, WEIR_INVALID, "too long for that of its journal");
    name[NAME_MAX - 13] = '\0';
    run.rows = in_folder(name);
    expect_run(&run, 3, 3, 0);
    run.rows = in_folder("nowhere/o");
    expect_refused(&run, WEIR_NOTFOUND, "No such file");
    run.rows = test_folder;
    expect_refused(&run, WEIR_INVALID, "it is a directory");
    folder_end();
}

/* In the current folder; and what SQLite would take for something else. */
TEST(names_without_a_folder)
{
    char before[PATH_MAX];
    REQUIRE(folder_begin());
    REQUIRE(getcwd(before, sizeof before) && chdir(test_folder) == 0);
    run_options run = options_of(WEIR_JOURNAL_NEW);
    run.rows = "o";
    run_until(&run, 0, 5, 8);
    expect_refused(&run, WEIR_INVALID, "o.weir holds");
    run.mode = WEIR_JOURNAL_RESUME;
    expect_run(&run, 10, 5, 0);
    EXPECT(chdir(before) == 0);
    folder_end();
}

TEST(a_folder_that_may_not_be_written_is_told_before_anything_runs)
{
    REQUIRE(folder_begin());
    run_options run = options_of(WEIR_JOURNAL_NEW);
    EXPECT(chmod(test_folder, 0555) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        weir_error err = {0};
        wi_outputs *outputs = NULL;
        bool other = geteuid() != 0 || setuid(65534) == 0;
        _exit(other && run_open(&run, &outputs, &err) == WEIR_DENIED ? 0 : 1);
    }
    int how = 0;
    EXPECT(waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0);
    EXPECT(chmod(test_folder, 0755) == 0);
    folder_end();
}

TESTS(CASE(links_lead_to_the_output_and_away_from_nothing_else), CASE(names_that_do_not_go),
      CASE(names_without_a_folder),
      CASE(a_folder_that_may_not_be_written_is_told_before_anything_runs))
