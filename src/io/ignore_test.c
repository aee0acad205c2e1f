/* ignore_test.c: which list decides, above and below, in and out of working trees. */
#include "ignore.h"

#include "git.h"
#include "torture.h"
#include "tree_testing.h"

typedef struct tree {
    wi_ignore *ignore;
    wi_ignore_folder *folders[4];
    size_t n;
    int notes;
    char last_note[WEIR_ERROR_TEXT_SIZE];
} tree;

static void count_note(void *arg, const weir_error *fault)
{
    tree *t = arg;
    t->notes++;
    memcpy(t->last_note, fault->text, sizeof t->last_note);
}

/* Enters the folder "" and then those given, each below the one before. */
static void enter(tree *t, const wi_ignore_options *options, const char *const *names, size_t n)
{
    wi_ignore_notes notes = {count_note, t};
    char path[512] = "";
    if (!t->ignore)
        EXPECT_INT(wi_ignore_new(options, &notes, &t->ignore, NULL), WEIR_OK);
    for (size_t i = 0; i <= n; i++) {
        if (i)
            sprintf(path + strlen(path), "%s/", names[i - 1]);
        int fd = open(in_folder(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        EXPECT(fd >= 0);
        EXPECT_INT(wi_ignore_enter(t->ignore, i ? t->folders[i - 1] : NULL, fd, WI_IGNORE_ALL, path,
                                   &notes, &t->folders[i], NULL),
                   WEIR_OK);
        close(fd);
    }
    t->n = n + 1;
}

static void leave(tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        wi_ignore_folder_unref(t->folders[i]);
    wi_ignore_free(t->ignore);
    *t = (tree){0};
}

/* A verdict on a path, as the last folder entered has it. */
static int ask(const tree *t, const char *path)
{
    const char *slash = strrchr(path, '/');
    wi_ignore_path what = {
        .path = path, .len = strlen(path), .name_len = strlen(slash ? slash + 1 : path)};
    return (int)wi_ignore_match(t->ignore, t->folders[t->n - 1], &what);
}

/* With one file named in the options, and nothing of the user's own. */
static int ask_once(wi_ignore_options options, const char *sub, const char *path)
{
    tree t = {0};
    enter(&t, &options, &sub, sub != NULL);
    int verdict = ask(&t, path);
    leave(&t);
    return verdict;
}

static void no_user(void)
{
    setenv("HOME", in_folder("nobody"), 1);
    unsetenv("XDG_CONFIG_HOME");
}

TEST(kinds_of_lists_have_an_order)
{
    REQUIRE(folder_begin());
    no_user();
    wi_ignore_options all = {0};
    mkdir(in_folder(".git"), 0755);
    put(".git/info/exclude", "a\nb\nc\nd\n");
    EXPECT_INT(ask_once(all, NULL, "a"), WI_VERDICT_IGNORE);
    put(".gitignore", "!a\nb\nc\n");
    EXPECT_INT(ask_once(all, NULL, "a"), WI_VERDICT_KEEP);
    EXPECT_INT(ask_once(all, NULL, "d"), WI_VERDICT_IGNORE);
    put(".ignore", "!b\nc\n");
    EXPECT_INT(ask_once(all, NULL, "b"), WI_VERDICT_KEEP);
    put(".rgignore", "!c\n");
    EXPECT_INT(ask_once(all, NULL, "c"), WI_VERDICT_KEEP);
    EXPECT_INT(ask_once((wi_ignore_options){.no_dot = true}, NULL, "c"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){.no_vcs = true}, NULL, "a"), WI_VERDICT_NONE);
    EXPECT_INT(ask_once((wi_ignore_options){.no_exclude = true}, NULL, "d"), WI_VERDICT_NONE);
    EXPECT_INT(ask_once((wi_ignore_options){.nocase = true}, NULL, "D"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once(all, NULL, "e"), WI_VERDICT_NONE);
    put("list", "e\n");
    put("list2", "!e\nf/x\n");
    const char *files[] = {in_folder("list"), in_folder("list2")};
    EXPECT_INT(ask_once((wi_ignore_options){.files = files, .n_files = 1}, NULL, "e"),
               WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){.files = files, .n_files = 2}, NULL, "e"),
               WI_VERDICT_KEEP);
    EXPECT_INT(ask_once((wi_ignore_options){.files = files, .n_files = 2}, NULL, "f/x"),
               WI_VERDICT_IGNORE);
    folder_end();
}

TEST(the_nearest_folder_decides)
{
    REQUIRE(folder_begin());
    no_user();
    mkdir(in_folder(".git"), 0755);
    put(".gitignore", "*.o\n/sub/x\ny\n");
    put("sub/.gitignore", "!*.o\n/y\n");
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/a.o"), WI_VERDICT_KEEP);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/x"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/y"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/z"), WI_VERDICT_NONE);
    put("sub/.ignore", "z\n");
    put(".rgignore", "!z\n");
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/z"), WI_VERDICT_KEEP);
    folder_end();
}

TEST(gits_lists_count_in_its_trees_only)
{
    REQUIRE(folder_begin());
    no_user();
    put(".gitignore", "a\n");
    put("sub/.gitignore", "b\n");
    EXPECT_INT(ask_once((wi_ignore_options){0}, NULL, "a"), WI_VERDICT_NONE);
    EXPECT_INT(ask_once((wi_ignore_options){.no_require_git = true}, NULL, "a"), WI_VERDICT_IGNORE);
    mkdir(in_folder("sub/.git"), 0755);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/b"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){.no_require_git = true}, "sub", "sub/a"),
               WI_VERDICT_NONE); /* above the tree's top */
    folder_end();
}

TEST(a_tree_may_have_its_repository_elsewhere)
{
    REQUIRE(folder_begin());
    no_user();
    put("tree/.git", "gitdir: ../main/.git/worktrees/tree\n");
    put("main/.git/worktrees/tree/commondir", "../..\n");
    put("main/.git/info/exclude", "a\n");
    put("module/.git", "gitdir: ../main/.git\n");
    EXPECT_INT(ask_once((wi_ignore_options){0}, "tree", "tree/a"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "module", "module/a"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "main", "main/a"), WI_VERDICT_IGNORE);
    put("broken/.git", "nothing\n");
    EXPECT_INT(ask_once((wi_ignore_options){0}, "broken", "broken/a"), WI_VERDICT_NONE);
    folder_end();
}

TEST(the_users_own_list)
{
    REQUIRE(folder_begin());
    mkdir(in_folder(".git"), 0755);
    put("sub/x", "");
    put("home/.config/git/ignore", "a\n/sub/b\n");
    setenv("HOME", in_folder("home"), 1);
    unsetenv("XDG_CONFIG_HOME");
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/a"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/b"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){.no_global = true}, "sub", "sub/a"), WI_VERDICT_NONE);
    put("xdg/git/ignore", "c\n");
    setenv("XDG_CONFIG_HOME", in_folder("xdg"), 1);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/c"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/a"), WI_VERDICT_NONE);
    put("xdg/git/config", "[core]\n\texcludesFile = ~/list\n");
    put("home/list", "d\n");
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/d"), WI_VERDICT_IGNORE);
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/c"), WI_VERDICT_NONE);
    put("home/.gitconfig", "[core]\nexcludesfile=\n");
    EXPECT_INT(ask_once((wi_ignore_options){0}, "sub", "sub/d"), WI_VERDICT_NONE);
    no_user();
    folder_end();
}

TEST(folders_above_a_root)
{
    REQUIRE(folder_begin());
    no_user();
    mkdir(in_folder(".git"), 0755);
    put(".gitignore", "/sub/deep/a\nb\n");
    put("sub/.ignore", "deep/c\n");
    put("sub/deep/x", "");
    wi_ignore_options options = {0};
    for (int no_parent = 0; no_parent < 2; no_parent++) {
        tree t = {0};
        wi_ignore_notes notes = {count_note, &t};
        options.no_parent = no_parent;
        EXPECT_INT(wi_ignore_new(&options, &notes, &t.ignore, NULL), WEIR_OK);
        char *real = realpath(in_folder("sub/deep"), NULL);
        char absolute[512];
        EXPECT_INT(wi_ignore_above(t.ignore, real, &notes, &t.folders[0], NULL), WEIR_OK);
        t.n = 1;
        EXPECT_INT(wi_ignore_needs_absolute(t.folders[0]), !no_parent);
        for (int i = 0; i < 4; i++) {
            char path[] = {"."};
            path[0] = (char)('a' + i);
            snprintf(absolute, sizeof absolute, "%s/%c", real, 'a' + i);
            wi_ignore_path what = {.path = path,
                                   .len = 1,
                                   .name_len = 1,
                                   .absolute = absolute,
                                   .absolute_len = strlen(absolute)};
            EXPECT_INT(wi_ignore_match(t.ignore, t.folders[0], &what),
                       i < 3 && !no_parent ? WI_VERDICT_IGNORE : WI_VERDICT_NONE);
        }
        free(real);
        leave(&t);
    }
    folder_end();
}

TEST(what_is_no_list_is_told_or_passed_over)
{
    REQUIRE(folder_begin());
    no_user();
    mkdir(in_folder(".git"), 0755);
    put("real", "a\n");
    EXPECT(symlink("real", in_folder(".gitignore")) == 0); /* as git does: not followed */
    mkdir(in_folder(".ignore"), 0755);
    mkfifo(in_folder(".rgignore"), 0644);
    tree t = {0};
    enter(&t, &(wi_ignore_options){0}, NULL, 0);
    EXPECT_INT(ask(&t, "a"), WI_VERDICT_NONE);
    EXPECT_INT(t.notes, 0);
    leave(&t);
    unlink(in_folder(".gitignore"));
    put(".gitignore", "a\n[\nb\\\n");
    enter(&t, &(wi_ignore_options){0}, NULL, 0);
    EXPECT_INT(ask(&t, "a"), WI_VERDICT_IGNORE);
    EXPECT_INT(t.notes, 1);
    EXPECT_STR(t.last_note, ".gitignore: line 2: glob '[', column 1: '[' is not closed with ']' "
                            "(2 of its lines are wrong)");
    leave(&t);
    const char *missing = in_folder("missing");
    weir_error err;
    wi_ignore *ignore = NULL;
    EXPECT_INT(
        wi_ignore_new(&(wi_ignore_options){.files = &missing, .n_files = 1}, NULL, &ignore, &err),
        WEIR_NOTFOUND);
    EXPECT(ignore == NULL);
    folder_end();
}

static void expect_excludes(const char *text, const char *want)
{
    wi_buf path = WI_BUF_INIT;
    bool found = wi_git_config_excludes(text, strlen(text), "/home/me", &path);
    EXPECT_INT(found, want != NULL);
    if (want)
        EXPECT_STR(wi_buf_cstr(&path), want);
    wi_buf_fini(&path);
}

TEST(configuration_of_git)
{
    expect_excludes("[core]\nexcludesFile = /a b/c  # no\n", "/a b/c");
    expect_excludes("[CORE]\r\n\tExcludesfile=\"/a ; b\" ; no\r\n", "/a ; b");
    expect_excludes("[core] excludesFile = ~/x", "/home/me/x");
    expect_excludes("[core]\nexcludesFile = ~you/x", "~you/x");
    expect_excludes("[core]\nexcludesFile = \"a\\\"\\\\b\"\n", "a\"\\b");
    expect_excludes("[core]\nexcludesFile = a\\\nb\n", "ab");
    expect_excludes("[core]\nexcludesFile = a\n[core]\nexcludesFile = b\n", "b");
    expect_excludes("[core]\nexcludesFile\n", NULL);
    expect_excludes("[core \"x\"]\nexcludesFile = a\n", NULL);
    expect_excludes("[user]\nexcludesFile = a\n[core]\neditor = vi\n", NULL);
    expect_excludes("# [core]\n;excludesFile = a\n[core", NULL);
    expect_excludes("[core]\nexcludesFile = ", "");
    expect_excludes("", NULL);
}

/* All that allocates, in a tree that has of everything. */
static weir_status everything(void)
{
    wi_ignore *ignore = NULL;
    wi_ignore_folder *above = NULL, *folder = NULL;
    const char *file = in_folder("list");
    weir_error err;
    wi_ignore_options options = {.files = &file, .n_files = 1};
    weir_status status = wi_ignore_new(&options, NULL, &ignore, &err);
    if (status == WEIR_OK)
        status = wi_ignore_above(ignore, in_folder("tree/sub"), NULL, &above, &err);
    if (status == WEIR_OK) {
        int fd = open(in_folder("tree"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        status = wi_ignore_enter(ignore, above, fd, WI_IGNORE_ALL, "", NULL, &folder, &err);
        close(fd);
    }
    wi_ignore_folder_unref(folder);
    wi_ignore_folder_unref(above);
    wi_ignore_free(ignore);
    return status;
}

TEST(survives_lack_of_memory)
{
    REQUIRE(folder_begin());
    setenv("HOME", test_folder, 1);
    put(".config/git/ignore", "x\n");
    put("list", "a\n");
    put("tree/.git", "gitdir: ../git/w\n");
    put("git/w/commondir", "..\n");
    put("git/info/exclude", "b\n");
    put("tree/.gitignore", "[\nc/d\n");
    put("tree/.rgignore", "!e\n");
    put("tree/sub/x", "");
    TORTURE(everything());
    no_user();
    folder_end();
}

TESTS(CASE(kinds_of_lists_have_an_order), CASE(the_nearest_folder_decides),
      CASE(gits_lists_count_in_its_trees_only), CASE(a_tree_may_have_its_repository_elsewhere),
      CASE(the_users_own_list), CASE(folders_above_a_root),
      CASE(what_is_no_list_is_told_or_passed_over), CASE(configuration_of_git),
      CASE(survives_lack_of_memory))
