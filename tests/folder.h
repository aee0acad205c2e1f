/* folder.h: a temporary folder for a test, and files in it. */
#ifndef WEIR_TEST_FOLDER_H
#define WEIR_TEST_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

/* The test's folder, and a path in it; the second lives until the sixteenth call after it. */
static char test_folder[256];

static inline bool folder_begin(void)
{
    const char *under = getenv("TMPDIR");
    snprintf(test_folder, sizeof test_folder, "%.200s/weir-test-XXXXXX", under ? under : "/tmp");
    return EXPECT(mkdtemp(test_folder) != NULL);
}

static inline int folder_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void folder_end(void)
{
    EXPECT(nftw(test_folder, folder_remove, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static inline const char *in_folder(const char *name)
{
    static _Thread_local char paths[16][1024];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
    return path;
}

static inline void put_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    EXPECT(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

static inline void expect_file(const char *path, const char *want)
{
    char got[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof got);
    EXPECT_MEM(n < 0 ? NULL : got, n < 0 ? 0 : (size_t)n, want);
    if (fd >= 0)
        close(fd);
}

static int folder_files;

static inline int folder_count(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)path;
    (void)st;
    (void)ftw;
    folder_files += flag != FTW_D;
    return 0;
}

/* How many files there are in the folder and below. */
static inline int count_files(void)
{
    folder_files = 0;
    nftw(test_folder, folder_count, 8, FTW_PHYS);
    return folder_files;
}

#endif
