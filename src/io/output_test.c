/* output_test.c: files that appear whole or not at all, and paths that try to lead astray. */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "folder.h"

static wi_output *open_output(const char *path)
{
    wi_output *output = NULL;
    EXPECT_INT(wi_output_open(path, &output, NULL), WEIR_OK);
    return output;
}

static void expect_refused(const char *path, weir_status want, const char *text)
{
    wi_output *output = NULL;
    weir_error err = {0};
    EXPECT_INT(wi_output_open(path, &output, &err), want);
    EXPECT(!output);
    if (!EXPECT(strstr(err.text, text) != NULL))
        printf("# it is: %s\n", err.text);
}

static int mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

TEST(commit_makes_the_file_appear)
{
    REQUIRE(folder_begin());
    mode_t mask = umask(027);
    wi_output *output = open_output(in_folder("out"));
    REQUIRE(output);
    EXPECT_INT(wi_output_write(output, "one\n", 4, NULL), WEIR_OK);
    EXPECT_INT(wi_output_write(output, "two\n", 4, NULL), WEIR_OK);
    EXPECT(access(in_folder("out"), F_OK) != 0);
    EXPECT_INT(count_files(), 1);
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    expect_file(in_folder("out"), "one\ntwo\n");
    EXPECT_INT(mode_of(in_folder("out")), 0640);
    EXPECT_INT(count_files(), 1);
    output = open_output(in_folder("empty"));
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    expect_file(in_folder("empty"), "");
    umask(mask);
    folder_end();
}

TEST(replacing_keeps_the_old_file_until_then_and_its_mode)
{
    REQUIRE(folder_begin());
    put_file(in_folder("out"), "old", 3);
    EXPECT(chmod(in_folder("out"), 0604) == 0);
    wi_output *output = open_output(in_folder("out"));
    EXPECT_INT(wi_output_write(output, "new", 3, NULL), WEIR_OK);
    expect_file(in_folder("out"), "old");
    wi_output_discard(output);
    expect_file(in_folder("out"), "old");
    EXPECT_INT(count_files(), 1);
    output = open_output(in_folder("out"));
    EXPECT_INT(wi_output_write(output, "new", 3, NULL), WEIR_OK);
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    expect_file(in_folder("out"), "new");
    EXPECT_INT(mode_of(in_folder("out")), 0604);
    EXPECT_INT(count_files(), 1);
    wi_output_discard(NULL);
    folder_end();
}

TEST(a_symbolic_link_stays_one)
{
    REQUIRE(folder_begin());
    put_file(in_folder("real"), "old", 3);
    EXPECT(symlink("real", in_folder("link")) == 0);
    wi_output *output = open_output(in_folder("link"));
    EXPECT_INT(wi_output_write(output, "new", 3, NULL), WEIR_OK);
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    expect_file(in_folder("real"), "new");
    struct stat st;
    EXPECT(lstat(in_folder("link"), &st) == 0 && S_ISLNK(st.st_mode));
    EXPECT(symlink("nowhere", in_folder("dangling")) == 0);
    expect_refused(in_folder("dangling"), WEIR_NOTFOUND, "a symbolic link to nothing");
    folder_end();
}

TEST(keep_leaves_the_whole_writes_under_another_name)
{
    REQUIRE(folder_begin());
    char *kept = NULL;
    wi_output *output = open_output(in_folder("out"));
    EXPECT_INT(wi_output_write(output, "whole\n", 6, NULL), WEIR_OK);
    EXPECT_INT(wi_output_keep(output, &kept, NULL), WEIR_OK);
    EXPECT_STR(kept, in_folder("out.partial"));
    expect_file(in_folder("out.partial"), "whole\n");
    EXPECT(access(in_folder("out"), F_OK) != 0);
    EXPECT_INT(count_files(), 1);
    free(kept);
    output = open_output(in_folder("other"));
    EXPECT_INT(wi_output_keep(output, &kept, NULL), WEIR_OK);
    EXPECT(!kept);
    EXPECT_INT(count_files(), 1);
    output = open_output("/dev/null");
    EXPECT_INT(wi_output_write(output, "x", 1, NULL), WEIR_OK);
    EXPECT_INT(wi_output_keep(output, &kept, NULL), WEIR_OK);
    EXPECT(!kept);
    folder_end();
}

TEST(a_write_that_failed_half_way_is_cut_off)
{
    REQUIRE(folder_begin());
    /* A file-size limit is a full disk that needs no mount. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
    struct rlimit old;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    char *kept = NULL;
    weir_error err = {0};
    wi_output *output = open_output(in_folder("out"));
    EXPECT_INT(wi_output_write(output, "1234", 4, NULL), WEIR_OK);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &(struct rlimit){6, old.rlim_max}) == 0);
    EXPECT_INT(wi_output_write(output, "5678", 4, &err), WEIR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    EXPECT_INT(err.sys_errno, EFBIG);
    EXPECT_INT(wi_output_keep(output, &kept, NULL), WEIR_OK);
    EXPECT_STR(kept, in_folder("out.partial"));
    expect_file(in_folder("out.partial"), "1234");
    free(kept);
    folder_end();
}

TEST(refuses_what_it_could_not_write)
{
    char name[NAME_MAX + 2];
    REQUIRE(folder_begin());
    expect_refused(in_folder("no/out"), WEIR_NOTFOUND, "No such file or directory");
    expect_refused(test_folder, WEIR_INVALID, "it is a directory");
    expect_refused(in_folder("new/"), WEIR_NOTFOUND, "cannot write");
    expect_refused("", WEIR_NOTFOUND, "cannot write");
    memset(name, 'n', sizeof name);
    name[NAME_MAX + 1] = '\0';
    expect_refused(in_folder(name), WEIR_INVALID, "File name too long");
    EXPECT_INT(count_files(), 0);
    if (geteuid() != 0) { /* root may write everything */
        put_file(in_folder("locked"), "x", 1);
        EXPECT(chmod(in_folder("locked"), 0444) == 0);
        expect_refused(in_folder("locked"), WEIR_DENIED, "Permission denied");
        EXPECT(chmod(test_folder, 0500) == 0);
        expect_refused(in_folder("new"), WEIR_DENIED, "Permission denied");
        EXPECT(chmod(test_folder, 0700) == 0);
    }
    folder_end();
}

TEST(the_longest_name_still_has_neighbours)
{
    char name[NAME_MAX + 1];
    char *kept = NULL;
    REQUIRE(folder_begin());
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = '\0';
    wi_output *output = open_output(in_folder(name));
    REQUIRE(output);
    EXPECT_INT(wi_output_write(output, "x", 1, NULL), WEIR_OK);
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    expect_file(in_folder(name), "x");
    output = open_output(in_folder(name));
    EXPECT_INT(wi_output_write(output, "y", 1, NULL), WEIR_OK);
    EXPECT_INT(wi_output_keep(output, &kept, NULL), WEIR_OK);
    REQUIRE(kept);
    expect_file(kept, "y");
    expect_file(in_folder(name), "x");
    free(kept);
    folder_end();
}

TEST(commit_that_cannot_rename_says_where_the_bytes_are)
{
    REQUIRE(folder_begin());
    weir_error err = {0};
    wi_output *output = open_output(in_folder("out"));
    EXPECT_INT(wi_output_write(output, "x", 1, NULL), WEIR_OK);
    EXPECT(mkdir(in_folder("out"), 0700) == 0);
    EXPECT_INT(wi_output_commit(output, &err), WEIR_INVALID);
    EXPECT(strstr(err.text, "what was written is in") && strstr(err.text, "out.weir-"));
    EXPECT_INT(count_files(), 1);
    folder_end();
}

TEST(devices_and_pipes_are_written_in_place)
{
    REQUIRE(folder_begin());
    weir_error err = {0};
    char got[8];
    wi_output *output = open_output("/dev/null");
    EXPECT_INT(wi_output_write(output, "gone", 4, NULL), WEIR_OK);
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    output = open_output("/dev/full");
    EXPECT_INT(wi_output_write(output, "x", 1, &err), WEIR_IO);
    EXPECT_INT(err.sys_errno, ENOSPC);
    EXPECT_STR(err.text, "cannot write /dev/full: No space left on device");
    wi_output_discard(output);
    EXPECT(access("/dev/full", F_OK) == 0);
    REQUIRE(mkfifo(in_folder("pipe"), 0600) == 0);
    int reader = open(in_folder("pipe"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    output = open_output(in_folder("pipe"));
    EXPECT_INT(wi_output_write(output, "through", 7, NULL), WEIR_OK);
    EXPECT(read(reader, got, sizeof got) == 7 && memcmp(got, "through", 7) == 0);
    signal(SIGPIPE, SIG_IGN);
    close(reader);
    EXPECT_INT(wi_output_write(output, "x", 1, &err), WEIR_CLOSED);
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    struct stat st;
    EXPECT(stat(in_folder("pipe"), &st) == 0 && S_ISFIFO(st.st_mode));
    folder_end();
}

/* ---- wi_output_save ---- */

static void expect_unsaved(int root, const char *relative, weir_status want)
{
    weir_error err = {0};
    EXPECT_INT(wi_output_save(root, relative, "evil", 4, &err), want);
    EXPECT(strncmp(err.text, "cannot save ", 12) == 0);
}

TEST(save_makes_folders_and_replaces_files)
{
    REQUIRE(folder_begin());
    int root = open(test_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    EXPECT_INT(wi_output_save(root, "a.json", "1", 1, NULL), WEIR_OK);
    EXPECT_INT(wi_output_save(root, "x/y/z/a.json", "2", 1, NULL), WEIR_OK);
    EXPECT_INT(wi_output_save(root, "x/y/b.json", "3", 1, NULL), WEIR_OK);
    EXPECT_INT(wi_output_save(root, "./x//y/./c.json", "", 0, NULL), WEIR_OK);
    EXPECT_INT(wi_output_save(root, "x/y/...", "4", 1, NULL), WEIR_OK);
    EXPECT_INT(wi_output_save(root, "a.json", "1 again", 7, NULL), WEIR_OK);
    expect_file(in_folder("a.json"), "1 again");
    expect_file(in_folder("x/y/z/a.json"), "2");
    expect_file(in_folder("x/y/b.json"), "3");
    expect_file(in_folder("x/y/c.json"), "");
    expect_file(in_folder("x/y/..."), "4");
    EXPECT_INT(count_files(), 5);
    close(root);
    folder_end();
}

TEST(save_stays_below_its_root)
{
    REQUIRE(folder_begin());
    EXPECT(mkdir(in_folder("root"), 0700) == 0 && mkdir(in_folder("outside"), 0700) == 0);
    put_file(in_folder("outside/victim"), "safe", 4);
    int root = open(in_folder("root"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    EXPECT(symlink("../outside", in_folder("root/out")) == 0);
    EXPECT(symlink(in_folder("outside"), in_folder("root/abs")) == 0);
    EXPECT(symlink("../outside/victim", in_folder("root/victim")) == 0);
    EXPECT(symlink("../outside/new", in_folder("root/dangling")) == 0);
    expect_unsaved(root, "../outside/victim", WEIR_DENIED);
    expect_unsaved(root, "a/../../outside/victim", WEIR_DENIED);
    expect_unsaved(root, "..", WEIR_DENIED);
    expect_unsaved(root, in_folder("outside/victim"), WEIR_DENIED);
    expect_unsaved(root, "out/victim", WEIR_DENIED);
    expect_unsaved(root, "out/deep/new", WEIR_DENIED);
    expect_unsaved(root, "abs/victim", WEIR_DENIED);
    EXPECT_INT(wi_output_save(root, "victim", "mine", 4, NULL), WEIR_OK); /* the link's place */
    EXPECT_INT(wi_output_save(root, "dangling", "mine", 4, NULL), WEIR_OK);
    expect_file(in_folder("root/victim"), "mine");
    expect_file(in_folder("root/dangling"), "mine");
    expect_file(in_folder("outside/victim"), "safe");
    EXPECT(access(in_folder("outside/new"), F_OK) != 0);
    EXPECT(access(in_folder("outside/deep"), F_OK) != 0);
    EXPECT_INT(count_files(), 5); /* two links, two files, the victim */
    close(root);
    folder_end();
}

TEST(save_refuses_what_is_no_file_name)
{
    char name[NAME_MAX + 2];
    REQUIRE(folder_begin());
    int root = open(test_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    EXPECT(mkdir(in_folder("dir"), 0700) == 0);
    put_file(in_folder("file"), "x", 1);
    memset(name, 'n', sizeof name);
    name[NAME_MAX + 1] = '\0';
    expect_unsaved(root, "", WEIR_INVALID);
    expect_unsaved(root, ".", WEIR_INVALID);
    expect_unsaved(root, "dir/", WEIR_INVALID);
    expect_unsaved(root, "dir", WEIR_INVALID);
    expect_unsaved(root, "file/below", WEIR_NOTFOUND);
    expect_unsaved(root, name, WEIR_INVALID);
    name[NAME_MAX] = '\0';
    EXPECT_INT(wi_output_save(root, name, "long", 4, NULL), WEIR_OK);
    EXPECT_INT(count_files(), 2);
    close(root);
    folder_end();
}

TESTS(CASE(commit_makes_the_file_appear),
      CASE(replacing_keeps_the_old_file_until_then_and_its_mode), CASE(a_symbolic_link_stays_one),
      CASE(keep_leaves_the_whole_writes_under_another_name),
      CASE(a_write_that_failed_half_way_is_cut_off), CASE(refuses_what_it_could_not_write),
      CASE(the_longest_name_still_has_neighbours),
      CASE(commit_that_cannot_rename_says_where_the_bytes_are),
      CASE(devices_and_pipes_are_written_in_place), CASE(save_makes_folders_and_replaces_files),
      CASE(save_stays_below_its_root), CASE(save_refuses_what_is_no_file_name))
