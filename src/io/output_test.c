/* output_test.c: files that appear whole or not at all, and paths that try to lead astray. */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "copy.h"
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

/* ---- files that can be continued ---- */

static wi_output *continued(const char *place, int64_t length)
{
    weir_error err = {0};
    wi_output *output = NULL;
    if (!EXPECT(wi_output_continue(place, "out", length, &output, &err) == WEIR_OK))
        printf("# %s\n", err.text);
    return output;
}

static void expect_not_continued(const char *place, int64_t length, weir_status want,
                                 const char *text)
{
    wi_output *output = NULL;
    weir_error err = {0};
    EXPECT_INT(wi_output_continue(place, "out", length, &output, &err), want);
    EXPECT(!output);
    if (!EXPECT(strstr(err.text, text) != NULL))
        printf("# it is: %s\n", err.text);
}

TEST(a_file_is_continued_where_it_was)
{
    char bytes[16];
    size_t len = 0;
    REQUIRE(folder_begin());
    const char *place = in_folder("out");
    mode_t mask = umask(027);
    put_file(in_folder("out.partial"), "of an earlier run", 17);
    wi_output *output = continued(place, 0);
    REQUIRE(output);
    umask(mask);
    EXPECT_INT(mode_of(in_folder("out.partial")), 0640);
    EXPECT_INT(wi_output_write(output, "one\ntwo\n", 8, NULL), WEIR_OK);
    EXPECT_INT(wi_output_sync(output, NULL), WEIR_OK);
    EXPECT_INT(wi_output_length(output), 8);
    wi_output_leave(output, 4);
    expect_file(in_folder("out.partial"), "one\n");
    put_file(in_folder("out.partial"), "one\nhalf of", 11);
    output = continued(place, 4);
    REQUIRE(output);
    EXPECT_INT(wi_output_length(output), 4);
    expect_file(in_folder("out.partial"), "one\n");
    EXPECT_INT(wi_output_write(output, "2\n", 2, NULL), WEIR_OK);
    EXPECT_INT(wi_output_read(output, 1, bytes, sizeof bytes, &len, NULL), WEIR_OK);
    EXPECT_MEM(bytes, len, "ne\n2\n");
    EXPECT_INT(wi_output_read(output, 6, bytes, sizeof bytes, &len, NULL), WEIR_OK);
    EXPECT_INT(len, 0);
    EXPECT_INT(wi_output_commit(output, NULL), WEIR_OK);
    expect_file(place, "one\n2\n");
    EXPECT_INT(count_files(), 1);

    EXPECT(chmod(place, 0604) == 0);
    output = continued(place, 0);
    REQUIRE(output);
    EXPECT_INT(mode_of(in_folder("out.partial")), 0604);
    EXPECT_INT(wi_output_write(output, "new", 3, NULL), WEIR_OK);
    expect_file(place, "one\n2\n");
    wi_output_discard(output);
    expect_file(place, "one\n2\n");
    EXPECT_INT(count_files(), 1);
    folder_end();
}

TEST(what_stands_in_for_a_file_is_not_continued)
{
    REQUIRE(folder_begin());
    const char *place = in_folder("out");
    expect_not_continued(place, 1, WEIR_NOTFOUND, "cannot go on with");
    put_file(in_folder("out.partial"), "12", 2);
    expect_not_continued(place, 3, WEIR_INVALID, "has 2 bytes, and 3 were there");
    expect_file(in_folder("out.partial"), "12");
    EXPECT(unlink(in_folder("out.partial")) == 0);
    put_file(in_folder("precious"), "precious", 8);
    EXPECT(symlink("precious", in_folder("out.partial")) == 0);
    expect_not_continued(place, 3, WEIR_IO, "cannot go on with");
    wi_output *output = continued(place, 0); /* takes its place */
    REQUIRE(output);
    EXPECT_INT(wi_output_write(output, "new", 3, NULL), WEIR_OK);
    wi_output_leave(output, -1);
    expect_file(in_folder("precious"), "precious");
    expect_file(in_folder("out.partial"), "new");
    EXPECT(unlink(in_folder("out.partial")) == 0 && mkfifo(in_folder("out.partial"), 0600) == 0);
    expect_not_continued(place, 3, WEIR_INVALID, "no regular file");
    EXPECT(unlink(in_folder("out.partial")) == 0 && mkdir(in_folder("out.partial"), 0700) == 0);
    expect_not_continued(place, 0, WEIR_INVALID, "Is a directory");
    expect_not_continued(in_folder("nowhere/out"), 0, WEIR_NOTFOUND, "No such file");
    folder_end();
}

static void expect_place(const char *path, const char *want)
{
    char *place = NULL;
    weir_error err = {0};
    if (!EXPECT(wi_output_look(path, &place, &err) == WEIR_OK))
        printf("# %s\n", err.text);
    if (want)
        EXPECT_STR(place, want);
    else
        EXPECT(!place);
    free(place);
}

static void expect_no_place(const char *path, weir_status want, const char *text)
{
    char *place = NULL;
    weir_error err = {0};
    EXPECT_INT(wi_output_look(path, &place, &err), want);
    EXPECT(!place && strstr(err.text, text));
}

TEST(looking_at_a_path_changes_nothing)
{
    REQUIRE(folder_begin());
    expect_place(in_folder("new"), in_folder("new"));
    EXPECT_INT(count_files(), 0);
    EXPECT(mkdir(in_folder("there"), 0777) == 0);
    put_file(in_folder("there/real"), "old", 3);
    EXPECT(symlink("there/real", in_folder("link")) == 0);
    EXPECT(symlink("there", in_folder("folder")) == 0);
    expect_place(in_folder("link"), in_folder("there/real"));
    expect_place(in_folder("folder/new"), in_folder("there/new"));
    expect_place("-", NULL);
    expect_place("/dev/null", NULL);
    EXPECT(mkfifo(in_folder("fifo"), 0600) == 0);
    expect_place(in_folder("fifo"), NULL);
    expect_place("/new", "//new");
    EXPECT(symlink("nowhere", in_folder("dangling")) == 0);
    expect_no_place(in_folder("dangling"), WEIR_NOTFOUND, "a symbolic link to nothing");
    expect_no_place(in_folder("nowhere/new"), WEIR_NOTFOUND, "No such file");
    expect_no_place(in_folder("new/"), WEIR_NOTFOUND, "No such file");
    expect_no_place(in_folder("there"), WEIR_INVALID, "it is a directory");
    expect_no_place("", WEIR_NOTFOUND, "No such file");
    folder_end();
}

/* ---- copies ---- */

TEST(a_copy_has_what_was_not_left_out)
{
    int64_t length = 0;
    wi_copy *copy = NULL;
    REQUIRE(folder_begin());
    put_file(in_folder("from"), "0123456789 and more", 19);
    EXPECT(chmod(in_folder("from"), 0604) == 0);
    put_file(in_folder("to"), "what was there", 14);
    REQUIRE(wi_copy_begin(in_folder("from"), in_folder("to"), 10, &copy, NULL) == WEIR_OK);
    EXPECT_INT(wi_copy_skip(copy, 0, 2, NULL), WEIR_OK);
    EXPECT_INT(wi_copy_skip(copy, 2, 1, NULL), WEIR_OK);
    EXPECT_INT(wi_copy_skip(copy, 5, 3, NULL), WEIR_OK);
    EXPECT_INT(wi_copy_skip(copy, 7, 1, NULL), WEIR_INVALID); /* left out already */
    EXPECT_INT(wi_copy_skip(copy, 9, 2, NULL), WEIR_INVALID);
    EXPECT_INT(wi_copy_end(copy, &length, NULL), WEIR_OK);
    wi_copy_free(copy);
    EXPECT_INT(length, 4);
    expect_file(in_folder("to"), "3489");
    EXPECT_INT(mode_of(in_folder("to")), 0604);
    REQUIRE(wi_copy_begin(in_folder("from"), in_folder("to"), 10, &copy, NULL) == WEIR_OK);
    wi_copy_free(copy); /* not ended */
    EXPECT(access(in_folder("to"), F_OK) != 0);
    weir_error err = {0};
    EXPECT_INT(wi_copy_begin(in_folder("from"), in_folder("to"), 20, &copy, &err), WEIR_INVALID);
    EXPECT(strstr(err.text, "no longer what its journal says"));
    EXPECT_INT(wi_copy_begin(in_folder("none"), in_folder("to"), 0, &copy, NULL), WEIR_NOTFOUND);
    EXPECT_INT(count_files(), 1);
    folder_end();
}

TESTS(CASE(a_file_is_continued_where_it_was), CASE(what_stands_in_for_a_file_is_not_continued),
      CASE(looking_at_a_path_changes_nothing), CASE(a_copy_has_what_was_not_left_out),
      CASE(commit_makes_the_file_appear),
      CASE(replacing_keeps_the_old_file_until_then_and_its_mode), CASE(a_symbolic_link_stays_one),
      CASE(keep_leaves_the_whole_writes_under_another_name),
      CASE(a_write_that_failed_half_way_is_cut_off), CASE(refuses_what_it_could_not_write),
      CASE(the_longest_name_still_has_neighbours),
      CASE(commit_that_cannot_rename_says_where_the_bytes_are),
      CASE(devices_and_pipes_are_written_in_place), CASE(save_makes_folders_and_replaces_files),
      CASE(save_stays_below_its_root), CASE(save_refuses_what_is_no_file_name))
