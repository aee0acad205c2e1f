/* The walk at its limits: large folders, deep ones, few descriptors, and folders that vanish. */
#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>

#include "walk_testing.h"

enum { MANY = 30000, DEEP = 5000 };

TEST(one_folder_with_very_many_files)
{
    REQUIRE(begin());
    put(".ignore", "*7\n");
    for (int i = 0; i < MANY; i++) { /* links are made and removed faster than files */
        char name[32], first[32];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(first, sizeof first, "f%d", i / (MANY / 10) * (MANY / 10));
        if (strcmp(name, first) == 0)
            put(name, "");
        else
            EXPECT(link(first, name) == 0);
    }
    for (int threads = 1; threads < 5; threads += 3) {
        result r;
        walk_with(&r, &(wi_walk_options){.max_fds = threads == 1 ? 1 : 0}, threads, 100);
        EXPECT_INT(r.files, MANY / 10 * 9);
        EXPECT_INT(r.errors, 0);
        forget(&r);
    }
    result r;
    walk_with(&r, &(wi_walk_options){.sorted = true}, 1, 0);
    EXPECT_INT(r.files, MANY / 10 * 9);
    EXPECT_MEM(r.paths.data, 9, "f0\nf1\nf10");
    forget(&r);
    end();
}

/* Paths of 10,000 bytes and more, which no system call takes at once. */
static int go_deep(int depth)
{
    int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < depth && fd >= 0; i++) {
        EXPECT(mkdirat(fd, i % 2 ? "x" : "yy", 0755) == 0);
        int below = openat(fd, i % 2 ? "x" : "yy", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = below;
        if (i % 100 == 0)
            close(openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    }
    return fd;
}

/* From the top down, each folder moved up before it is removed: nftw needs whole paths. */
static void remove_deep(void)
{
    for (int i = 0; i < DEEP; i++) {
        const char *name = i % 2 ? "x" : "yy", *below = i % 2 ? "yy" : "x";
        char inner[32], file[32];
        snprintf(inner, sizeof inner, "%s/%s", name, below);
        snprintf(file, sizeof file, "%s/file", name);
        unlink(file);
        if (i + 1 < DEEP)
            EXPECT(rename(inner, below) == 0);
        EXPECT(rmdir(name) == 0);
    }
}

TEST(very_deep_folders)
{
    REQUIRE(begin());
    int fd = go_deep(DEEP);
    EXPECT(fd >= 0);
    close(fd);
    for (size_t fds = 1; fds < 4; fds++) {
        result r;
        walk_with(&r, &(wi_walk_options){.max_fds = fds, .follow = fds == 2, .sorted = fds == 3},
                  fds == 2 ? 4 : 1, 0);
        EXPECT_INT(r.files, DEEP / 100);
        EXPECT_INT(r.errors, 0);
        forget(&r);
    }
    remove_deep();
    end();
}

static size_t open_fds(void)
{
    size_t n = 0;
    DIR *all = opendir("/proc/self/fd");
    while (all && readdir(all))
        n++;
    if (all)
        closedir(all);
    return n;
}

static void wide_tree(void)
{
    char name[64];
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "%d/%d/%d/%d", i % 3, i % 7, i % 11, i);
        put(name, "");
    }
}

TEST(few_descriptors_are_enough)
{
    REQUIRE(begin());
    wide_tree();
    size_t before = open_fds();
    struct rlimit old, few;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    few = old;
    few.rlim_cur = 32;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int i = 0; i < 3; i++) {
        result r;
        /* The last: more are wanted than there are, by more threads. */
        walk_with(&r, &(wi_walk_options){.max_fds = i == 2 ? 1000 : 0, .sorted = i == 1}, 16, 1);
        EXPECT_INT(r.files, 600);
        EXPECT_INT(r.errors, 0);
        forget(&r);
    }
    EXPECT_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_INT(open_fds(), before);
    end();
}

/* All descriptors in use but one, and batches kept while others are asked for. */
TEST(descriptors_are_kept_within_bounds)
{
    REQUIRE(begin());
    wide_tree();
    enum { KEPT = 64, MOST = 8 };
    static wi_walk_batch kept[KEPT];
    wi_walk *walk = NULL;
    size_t before = open_fds();
    REQUIRE(wi_walk_new(&(wi_walk_options){.max_fds = MOST}, &walk, NULL) == WEIR_OK);
    for (int i = 0; i < KEPT; i++) {
        EXPECT_INT(wi_walk_next(walk, 0, &kept[i], NULL), WEIR_OK);
        EXPECT(open_fds() <= before + MOST + 1);
    }
    for (int i = 0; i < KEPT; i++) {
        int fd = wi_walk_open(&kept[i], &kept[i].items[0], O_RDONLY);
        EXPECT(fd >= 0);
        close(fd);
        wi_walk_release(&kept[i]);
    }
    wi_walk_free(walk); /* in the middle of it */
    EXPECT_INT(open_fds(), before);
    end();
}

static atomic_bool removing;

static void *remove_all(void *arg)
{
    (void)arg;
    while (!atomic_load(&removing))
        ;
    nftw(".", folder_remove, 8, FTW_DEPTH | FTW_PHYS);
    return NULL;
}

/* Whatever is found is right or an error, and the walk ends. */
TEST(folders_that_vanish)
{
    REQUIRE(begin());
    wide_tree();
    pthread_t remover;
    atomic_store(&removing, false);
    REQUIRE(pthread_create(&remover, NULL, remove_all, NULL) == 0);
    wi_walk *walk = NULL;
    wi_walk_batch batch;
    size_t n = 0;
    REQUIRE(wi_walk_new(&(wi_walk_options){0}, &walk, NULL) == WEIR_OK);
    while (wi_walk_next(walk, 1, &batch, NULL) == WEIR_OK) {
        atomic_store(&removing, true);
        n += batch.n;
        EXPECT(!batch.items->error || batch.items->error->sys_errno == ENOENT);
        wi_walk_release(&batch);
    }
    wi_walk_free(walk);
    pthread_join(remover, NULL);
    EXPECT(n > 0 && n < 2000);
    end();
}

static void *stop(void *walk)
{
    wi_walk_stop(walk);
    return NULL;
}

TEST(any_thread_may_stop_it)
{
    REQUIRE(begin());
    wide_tree();
    for (int i = 0; i < 20; i++) {
        result r = {.batch = 1};
        pthread_t runner, stopper;
        pthread_mutex_init(&r.lock, NULL);
        REQUIRE(wi_walk_new(&(wi_walk_options){0}, &r.walk, NULL) == WEIR_OK);
        REQUIRE(pthread_create(&runner, NULL, run, &r) == 0);
        REQUIRE(pthread_create(&stopper, NULL, stop, r.walk) == 0);
        pthread_join(stopper, NULL);
        pthread_join(runner, NULL);
        EXPECT(r.status == WEIR_CANCELLED || r.status == WEIR_END);
        wi_walk_batch batch;
        EXPECT_INT(wi_walk_next(r.walk, 1, &batch, NULL), WEIR_CANCELLED);
        wi_walk_free(r.walk);
        forget(&r);
    }
    end();
}

TESTS(CASE(one_folder_with_very_many_files), CASE(very_deep_folders),
      CASE(few_descriptors_are_enough), CASE(descriptors_are_kept_within_bounds),
      CASE(folders_that_vanish), CASE(any_thread_may_stop_it))
