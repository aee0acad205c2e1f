/* walk_test.c: what a walk finds, by whatever number of threads, and what is trouble. */
#include "walk.h"

#include <dirent.h>

#include "torture.h"
#include "walk_testing.h"

/* The same with one thread and with several, in large batches and small. */
static void expect_walk(wi_walk_options options, const char *const *roots, size_t n,
                        const char *want)
{
    options.roots = roots;
    options.n_roots = n;
    options.ignore.no_global = true;
    for (int i = 0; i < 6; i++) {
        result r;
        options.max_fds = i == 4 ? 2 : 0;
        options.sorted = i == 5;
        walk_with(&r, &options, i % 2 && i < 5 ? 4 : 1, i < 2 ? 0 : 1);
        if (options.sorted)
            sort_lines(&r.paths);
        EXPECT_STR(r.paths.len ? wi_buf_cstr(&r.paths) : "", want);
        forget(&r);
    }
}

#define ROOTS(...) \
    (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void small_tree(void)
{
    put("a.c", "");
    put("b/c.h", "");
    put("b/d/e.c", "");
    put("b/.f.c", "");
    put(".g/h.c", "");
    mkdir(in_folder("empty"), 0755);
}

TEST(paths_are_written_as_the_roots_are)
{
    REQUIRE(begin());
    small_tree();
    wi_walk_options o = {0};
    expect_walk(o, NULL, 0, "a.c\nb/c.h\nb/d/e.c\n");
    expect_walk(o, ROOTS("."), "./a.c\n./b/c.h\n./b/d/e.c\n");
    expect_walk(o, ROOTS("./"), "./a.c\n./b/c.h\n./b/d/e.c\n");
    expect_walk(o, ROOTS("b"), "b/c.h\nb/d/e.c\n");
    expect_walk(o, ROOTS("b/"), "b/c.h\nb/d/e.c\n");
    expect_walk(o, ROOTS("b/d", "a.c", "b/.f.c"), "a.c\nb/.f.c\nb/d/e.c\n");
    expect_walk(o, ROOTS("b/../b/d"), "b/../b/d/e.c\n");
    expect_walk(o, ROOTS("empty"), "");
    end();
}

TEST(hidden_files_and_depth)
{
    REQUIRE(begin());
    small_tree();
    expect_walk((wi_walk_options){.hidden = true}, NULL, 0,
                ".g/h.c\na.c\nb/.f.c\nb/c.h\nb/d/e.c\n");
    expect_walk((wi_walk_options){.max_depth = 1}, NULL, 0, "a.c\n");
    expect_walk((wi_walk_options){.max_depth = 2}, NULL, 0, "a.c\nb/c.h\n");
    end();
}

TEST(globs_choose)
{
    REQUIRE(begin());
    small_tree();
    const char *globs[] = {"*.c", "!e.*"};
    wi_walk_options o = {.globs = globs, .n_globs = 1};
    expect_walk(o, NULL, 0, "a.c\nb/.f.c\nb/d/e.c\n");         /* a glob that matches means it */
    expect_walk(o, ROOTS("b/c.h", "b/d"), "b/c.h\nb/d/e.c\n"); /* so does a name */
    o.n_globs = 2;
    expect_walk(o, NULL, 0, "a.c\nb/.f.c\n");
    expect_walk((wi_walk_options){.globs = globs + 1, .n_globs = 1}, NULL, 0, "a.c\nb/c.h\n");
    globs[0] = "/b/*.h";
    o.n_globs = 1;
    expect_walk(o, ROOTS("."), "./b/c.h\n");
    expect_walk(o, ROOTS(test_folder), in_folder("b/c.h\n"));
    globs[0] = ".f.c"; /* named, so not left out as hidden */
    expect_walk(o, NULL, 0, "b/.f.c\n");
    globs[0] = "!b/";
    expect_walk(o, NULL, 0, "a.c\n");
    globs[0] = "*.C";
    expect_walk(o, NULL, 0, "");
    o.glob_nocase = true;
    expect_walk(o, NULL, 0, "a.c\nb/.f.c\nb/d/e.c\n");
    expect_walk((wi_walk_options){.iglobs = globs, .n_iglobs = 1}, NULL, 0,
                "a.c\nb/.f.c\nb/d/e.c\n");
    globs[0] = "[";
    wi_walk *walk = NULL;
    EXPECT_INT(wi_walk_new(&o, &walk, NULL), WEIR_INVALID);
    EXPECT(walk == NULL);
    end();
}

TEST(roots_may_be_globs)
{
    REQUIRE(begin());
    small_tree();
    put("b/[x].c", "");
    wi_walk_options o = {0};
    expect_walk(o, ROOTS("*.c"), "a.c\n");
    expect_walk(o, ROOTS("./*.c"), "./a.c\n");
    expect_walk(o, ROOTS("**/*.c"), "a.c\nb/[x].c\nb/d/e.c\n");
    expect_walk(o, ROOTS("b/[x].c"), "b/[x].c\n"); /* there is a file of this name */
    expect_walk(o, ROOTS("b/*.{c,h}"), "b/[x].c\nb/c.h\n");
    expect_walk(o, ROOTS("b/.*.c"), "b/.f.c\n");
    expect_walk(o, ROOTS("*"), "a.c\nb/[x].c\nb/c.h\nb/d/e.c\n"); /* folders, too, as if named */
    expect_walk(o, ROOTS("b/*/"), "b/d/e.c\n");
    expect_walk(o, ROOTS(".g/*"), ".g/h.c\n");
    expect_walk((wi_walk_options){.hidden = true}, ROOTS("*/*.c"), ".g/h.c\nb/.f.c\nb/[x].c\n");
    end();
}

TEST(lists_are_heeded)
{
    REQUIRE(begin());
    small_tree();
    mkdir(in_folder(".git"), 0755);
    put(".gitignore", "/b/d\n*.h\n");
    put(".git/info/exclude", "x\n");
    wi_walk_options o = {0};
    expect_walk(o, NULL, 0, "a.c\n");
    expect_walk(o, ROOTS("b"), "");
    expect_walk(o, ROOTS("b/d", "b/c.h"), "b/c.h\nb/d/e.c\n"); /* named, so meant */
    expect_walk((wi_walk_options){.ignore.no_parent = true}, ROOTS("b"), "b/c.h\nb/d/e.c\n");
    expect_walk((wi_walk_options){.ignore.no_vcs = true}, NULL, 0, "a.c\nb/c.h\nb/d/e.c\n");
    put("b/.ignore", "!d\n!.f.c\n");
    expect_walk(o, NULL, 0, "a.c\nb/.f.c\nb/d/e.c\n");
    put("b/.gitignore", "[\n");
    result r;
    o.ignore.no_global = true;
    walk_with(&r, &o, 1, 0);
    EXPECT_INT(r.notes, 1);
    EXPECT_STR(wi_buf_cstr(&r.trouble), "b/! b/.gitignore: line 1: glob '[', column 1: '[' is not "
                                        "closed with ']'\n");
    forget(&r);
    end();
}

TEST(links)
{
    REQUIRE(begin());
    small_tree();
    EXPECT(symlink("a.c", "link.c") == 0 && symlink("..", "b/loop") == 0 &&
           symlink("nowhere", "broken") == 0 && symlink("b/d", "to_d") == 0);
    wi_walk_options o = {0};
    expect_walk(o, NULL, 0, "a.c\nb/c.h\nb/d/e.c\n");
    expect_walk(o, ROOTS("link.c", "to_d"), "link.c\nto_d/e.c\n");
    o.follow = true;
    expect_walk(o, NULL, 0, "a.c\nb/c.h\nb/d/e.c\nlink.c\nto_d/e.c\n");
    result r;
    walk_with(&r, &o, 1, 0);
    EXPECT_INT(r.errors, 2);
    sort_lines(&r.trouble);
    EXPECT_STR(wi_buf_cstr(&r.trouble),
               "b/loop: the link b/loop leads back to ., a folder above it: left out\n"
               "broken: cannot look at broken: No such file or directory\n");
    forget(&r);
    end();
}

TEST(trouble_is_an_item)
{
    REQUIRE(begin());
    small_tree();
    const char *roots[] = {"missing", "a.c", "a.c/", "z*", "x["};
    result r;
    wi_walk_options o = {.roots = roots, .n_roots = 5, .sorted = true};
    walk_with(&r, &o, 1, 0);
    EXPECT_INT(r.errors, 4);
    EXPECT_STR(wi_buf_cstr(&r.paths), "a.c\n");
    EXPECT_STR(wi_buf_cstr(&r.trouble),
               "missing: cannot look at missing: No such file or directory\n"
               "a.c/: cannot look at a.c/: Not a directory\n"
               "z*: nothing matches z*, or all that does is hidden or ignored\n"
               "x[: there is no such file: glob 'x[', column 2: '[' is not closed with ']'\n");
    forget(&r);
    if (geteuid() != 0) {
        chmod("b/d", 0);
        o.n_roots = 0;
        walk_with(&r, &o, 2, 0);
        EXPECT_STR(wi_buf_cstr(&r.paths), "a.c\nb/c.h\n");
        EXPECT_STR(wi_buf_cstr(&r.trouble), "b/d: cannot read folder b/d/: Permission denied\n");
        forget(&r);
        chmod("b/d", 0755);
    }
    end();
}

TEST(sorted_by_name_in_each_folder)
{
    REQUIRE(begin());
    put("b/z", "");
    put("b/a/x", "");
    put("b/a.c", "");
    put("a", "");
    put("c", "");
    put("b-", "");
    result r;
    walk_with(&r, &(wi_walk_options){.sorted = true}, 1, 0);
    EXPECT_STR(wi_buf_cstr(&r.paths), "a\nb/a/x\nb/a.c\nb/z\nb-\nc\n");
    forget(&r);
    end();
}

/* With several threads the numbers of the items are the order. */
TEST(numbers_are_the_order)
{
    REQUIRE(begin());
    wi_buf want = WI_BUF_INIT;
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, i % 5 ? "%02d/%03d/%d" : "%02d/%03d", i / 20, i, i % 3);
        put(name, "");
        wi_buf_printf(&want, "%03d %s\n", i, name);
    }
    wi_walk_options o = {.sorted = true};
    for (int i = 0; i < 10; i++) {
        result r;
        walk_with(&r, &o, 4, (size_t)i % 2);
        sort_lines(&r.paths);
        EXPECT_STR(wi_buf_cstr(&r.paths), wi_buf_cstr(&want));
        forget(&r);
    }
    wi_buf_fini(&want);
    end();
}

TEST(files_are_opened_by_way_of_their_folder)
{
    REQUIRE(begin());
    small_tree();
    put("b/d/e.c", "text");
    for (size_t fds = 1; fds < 3; fds++) {
        const char *root = "b/d";
        wi_walk_options o = {.roots = &root, .n_roots = 1, .max_fds = fds == 1 ? 1 : 0};
        wi_walk *walk = NULL;
        wi_walk_batch batch;
        char text[8];
        struct stat st;
        REQUIRE(wi_walk_new(&o, &walk, NULL) == WEIR_OK);
        REQUIRE(wi_walk_next(walk, 0, &batch, NULL) == WEIR_OK);
        EXPECT_INT(batch.items[0].type, DT_REG);
        int fd = wi_walk_open(&batch, &batch.items[0], O_RDONLY);
        EXPECT_INT(read(fd, text, sizeof text), 4);
        EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
        EXPECT_INT(wi_walk_stat(&batch, &batch.items[0], 0, &st), 0);
        EXPECT_INT(st.st_size, 4);
        wi_walk_release(&batch);
        wi_walk_free(walk);
    }
    end();
}

TEST(names_of_any_bytes)
{
    REQUIRE(begin());
    put("new\nline", "");
    put("bad\xff\xfe/\x1b[31m", "");
    wi_walk_options o = {0};
    expect_walk(o, NULL, 0, "bad\xff\xfe/\x1b[31m\nline\nnew\n"); /* the lines, sorted */
    const char *roots[] = {"bad\xff\xfe/no\n\x1b"};
    result r;
    o.roots = roots;
    o.n_roots = 1;
    walk_with(&r, &o, 1, 0);
    EXPECT_STR(wi_buf_cstr(&r.trouble) + strlen(roots[0]),
               ": cannot look at bad\\xFF\\xFE/no\\n\\x1B: No such file or directory\n");
    forget(&r);
    end();
}

static weir_status many_roots(void *arg, wi_buf *path, weir_error *err)
{
    int *left = arg;
    if (*left == 0)
        return WEIR_END;
    if (*left == -1)
        return wi_fail(err, WEIR_IO, "the list of roots is torn");
    wi_buf_puts(path, --*left % 2 ? "a.c" : "b");
    return WEIR_OK;
}

TEST(roots_are_asked_for_as_needed)
{
    REQUIRE(begin());
    small_tree();
    int left = 1000;
    result r;
    walk_with(&r, &(wi_walk_options){.next_root = many_roots, .arg = &left}, 4, 0);
    EXPECT_INT(r.files, 500 + 2 * 500);
    forget(&r);
    left = -1;
    wi_walk *walk = NULL;
    wi_walk_batch batch;
    weir_error err = {0};
    REQUIRE(wi_walk_new(&(wi_walk_options){.next_root = many_roots, .arg = &left}, &walk, NULL) ==
            WEIR_OK);
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(wi_walk_next(walk, 0, &batch, &err), WEIR_IO);
        EXPECT_STR(err.text, "the list of roots is torn");
    }
    wi_walk_free(walk);
    end();
}

/* Although some take longer to be found than those behind them. */
TEST(files_that_are_named_keep_their_order)
{
    enum { FILES = 400, DETOURS = 700 };
    static char names[FILES][DETOURS * 5 + 8];
    const char *roots[FILES];
    wi_buf wanted = WI_BUF_INIT;
    REQUIRE(begin());
    put("d/x", "");
    for (int i = 0; i < FILES; i++) {
        char name[8], *at = names[i];
        snprintf(name, sizeof name, "f%d", i);
        if (i % 10) /* the others are missing */
            put(name, "");
        for (int detours = i % 3 ? 0 : DETOURS; detours > 0; detours--)
            at = stpcpy(at, "d/../");
        stpcpy(at, name);
        roots[i] = names[i];
        if (i % 10)
            wi_buf_printf(&wanted, "%03d %s\n", i, names[i]);
    }
    for (int threads = 2; threads <= 16; threads *= 2) {
        result r = {.numbered = true, .batch = (size_t)threads};
        walk_into(&r, &(wi_walk_options){.roots = roots, .n_roots = FILES}, threads);
        EXPECT_INT(r.errors, FILES / 10);
        EXPECT(strcmp(wi_buf_cstr(&r.paths), wi_buf_cstr(&wanted)) == 0);
        forget(&r);
    }
    wi_buf_fini(&wanted);
    end();
}

TEST(other_file_systems_may_be_left_out)
{
    struct stat root, proc;
    if (stat("/", &root) != 0 || stat("/proc/self", &proc) != 0 || root.st_dev == proc.st_dev)
        SKIP("/proc is not a file system of its own");
    const char *at = "/", *globs[] = {"/proc/cpuinfo"};
    wi_walk_options o = {.roots = &at, .n_roots = 1, .globs = globs, .n_globs = 1};
    o.max_depth = 2;
    o.ignore.no_vcs = true;
    REQUIRE(begin());
    REQUIRE(chdir("/") == 0);
    for (int one = 0; one < 2; one++) {
        result r;
        o.one_file_system = one;
        walk_with(&r, &o, 2, 0);
        EXPECT_INT(r.files, !one);
        forget(&r);
    }
    end();
}

static weir_status walk_all(bool sorted)
{
    const char *globs[] = {"!*.x", "*.c"}, *roots[] = {".", "b/*", "missing"};
    wi_walk_options o = {.sorted = sorted,
                         .follow = true,
                         .globs = globs,
                         .n_globs = 2,
                         .roots = roots,
                         .n_roots = 3,
                         .max_fds = 2};
    wi_walk *walk = NULL;
    wi_walk_batch batch;
    weir_error err = {0};
    weir_status status = wi_walk_new(&o, &walk, &err);
    if (status != WEIR_OK)
        return status;
    while ((status = wi_walk_next(walk, 2, &batch, &err)) == WEIR_OK)
        wi_walk_release(&batch);
    wi_walk_free(walk);
    EXPECT(status == WEIR_END || err.status == status);
    return status == WEIR_END ? WEIR_OK : status;
}

TEST(survives_lack_of_memory)
{
    REQUIRE(begin());
    small_tree();
    put("b/.ignore", "[\n/d/x\n");
    EXPECT(symlink("..", "b/loop") == 0 && symlink("nowhere", "b/broken.c") == 0);
    TORTURE(walk_all(false));
    TORTURE(walk_all(true));
    end();
}

TESTS(CASE(paths_are_written_as_the_roots_are), CASE(hidden_files_and_depth), CASE(globs_choose),
      CASE(roots_may_be_globs), CASE(lists_are_heeded), CASE(links), CASE(trouble_is_an_item),
      CASE(sorted_by_name_in_each_folder), CASE(numbers_are_the_order),
      CASE(files_are_opened_by_way_of_their_folder), CASE(names_of_any_bytes),
      CASE(roots_are_asked_for_as_needed), CASE(files_that_are_named_keep_their_order),
      CASE(other_file_systems_may_be_left_out), CASE(survives_lack_of_memory))
