/* wait_file_test.c: whole files of every kind: small, large, growing, made up by the kernel, never
 * ending, and none at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "places_torture.h"

enum { BIG = 5 << 20 };

typedef struct reading {
    const char *path;
    size_t max;
    const char *expected; /* nullable */
    size_t len;           /* of what came */
    atomic_int begun;
} reading;

static void *read_file(void *arg, weir_error *err)
{
    reading *r = arg;
    char *untouched = (char *)(uintptr_t)8;
    char *bytes = untouched;
    size_t len = 12345;
    atomic_store(&r->begun, 1);
    if (weir_file_read(r->path, r->max, &bytes, &len, err) != WEIR_OK) {
        EXPECT(bytes == untouched && len == 12345);
        return NULL;
    }
    EXPECT_INT(bytes[len], 0);
    if (r->expected)
        EXPECT_MEM(bytes, len, r->expected);
    r->len = len;
    free(bytes);
    return NULL;
}

static void read_everywhere(reading *r, weir_status expected, const char *text)
{
    for (place p = 0; p < PLACES; p++) {
        weir_error err = {.status = WEIR_OK};
        int before = place_descriptors();
        EXPECT_INT(place_run(p, read_file, r, 0, &err), expected);
        if (text && !EXPECT(strstr(err.text, text) != NULL))
            printf("# %s: %s\n", place_names[p], err.text);
        if (p < PLACE_FIBERS) /* which make threads that stay */
            EXPECT_INT(place_descriptors(), before);
    }
}

TEST(files_come_whole)
{
    REQUIRE(folder_begin());
    put_file(in_folder("small"), "small", 5);
    put_file(in_folder("empty"), "", 0);
    read_everywhere(&(reading){.path = in_folder("small"), .expected = "small"}, WEIR_OK, NULL);
    read_everywhere(&(reading){.path = in_folder("empty"), .expected = ""}, WEIR_OK, NULL);
    char *big = malloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 31 >> 3);
    put_file(in_folder("big"), big, BIG);
    char *bytes;
    size_t len;
    EXPECT_INT(weir_file_read(in_folder("big"), 0, &bytes, &len, NULL), WEIR_OK);
    EXPECT(len == BIG && memcmp(bytes, big, BIG) == 0);
    free(bytes);
    free(big);
    reading r = {.path = in_folder("big")};
    read_everywhere(&r, WEIR_OK, NULL);
    EXPECT_INT(r.len, BIG);
    folder_end();
}

TEST(max_is_the_most_that_comes)
{
    REQUIRE(folder_begin());
    put_file(in_folder("five"), "12345", 5);
    const char *path = in_folder("five");
    read_everywhere(&(reading){.path = path, .max = 5, .expected = "12345"}, WEIR_OK, NULL);
    read_everywhere(&(reading){.path = path, .max = 4}, WEIR_TOOLARGE, "more than 4 bytes");
    read_everywhere(&(reading){.path = "/proc/self/status", .max = 4}, WEIR_TOOLARGE, "/proc");
    read_everywhere(&(reading){.path = "/dev/zero", .max = 3 << 20}, WEIR_TOOLARGE, "/dev/zero");
    folder_end();
}

/* They say that their size is 0, or one page. */
TEST(files_of_the_kernel_come_whole)
{
    reading r = {.path = "/proc/self/status"};
    read_everywhere(&r, WEIR_OK, NULL);
    EXPECT(r.len > 500);
    read_everywhere(&(reading){.path = "/dev/null", .expected = ""}, WEIR_OK, NULL);
}

TEST(what_is_no_file_has_a_reason)
{
    REQUIRE(folder_begin());
    read_everywhere(&(reading){.path = in_folder("none")}, WEIR_NOTFOUND, "none");
    read_everywhere(&(reading){.path = test_folder}, WEIR_INVALID, "is a directory");
    read_everywhere(&(reading){.path = ""}, WEIR_INVALID, "no path");
    read_everywhere(&(reading){.path = NULL}, WEIR_INVALID, "no path");
    put_file(in_folder("secret"), "x", 1);
    chmod(in_folder("secret"), 0);
    if (geteuid() != 0)
        read_everywhere(&(reading){.path = in_folder("secret")}, WEIR_DENIED, "secret");
    put_file(in_folder("file"), "x", 1);
    read_everywhere(&(reading){.path = in_folder("file/below")}, WEIR_NOTFOUND, "below");
    folder_end();
}

/* Writes while the file is read: the reader takes what has come by its end. */
static void *grow(void *arg)
{
    reading *r = arg;
    int fd = open(r->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    for (int i = 0; i < 200; i++)
        EXPECT(write(fd, "more", 4) == 4);
    close(fd);
    return NULL;
}

TEST(a_growing_file_is_read_to_an_end)
{
    REQUIRE(folder_begin());
    put_file(in_folder("log"), "more", 4);
    reading r = {.path = in_folder("log")};
    pthread_t thread;
    pthread_create(&thread, NULL, grow, &r);
    for (place p = 0; p < PLACES; p++) {
        EXPECT_INT(place_run(p, read_file, &r, 0, NULL), WEIR_OK);
        EXPECT(r.len >= 4 && r.len % 4 == 0 && r.len <= 804);
    }
    pthread_join(thread, NULL);
    EXPECT_INT(place_run(PLACE_PLAIN, read_file, &r, 0, NULL), WEIR_OK);
    EXPECT_INT(r.len, 804);
    folder_end();
}

static void *feed(void *arg)
{
    int fd = open(arg, O_WRONLY | O_CLOEXEC); /* waits for the reader */
    EXPECT(write(fd, "through ", 8) == 8);
    EXPECT(write(fd, "a pipe", 6) == 6);
    close(fd);
    return NULL;
}

TEST(a_fifo_is_read_from_its_writer_to_its_end)
{
    REQUIRE(folder_begin());
    for (place p = 0; p < PLACES; p++) {
        char path[512];
        snprintf(path, sizeof path, "%s/fifo%d", test_folder, (int)p);
        REQUIRE(mkfifo(path, 0600) == 0);
        pthread_t thread;
        pthread_create(&thread, NULL, feed, path);
        reading r = {.path = path, .expected = "through a pipe"};
        EXPECT_INT(place_run(p, read_file, &r, 0, NULL), WEIR_OK);
        pthread_join(thread, NULL);
    }
    folder_end();
}

static void await_begun(void *arg)
{
    reading *r = arg;
    while (!atomic_load(&r->begun))
        weir_yield(NULL);
}

TEST(a_read_ends_with_its_task)
{
    REQUIRE(folder_begin());
    REQUIRE(mkfifo(in_folder("silent"), 0600) == 0);
    for (place p = 0; p < PLACES; p++) {
        reading r = {.path = in_folder("silent")};
        EXPECT_INT(place_run(p, read_file, &r, WEIR_MILLISECONDS(5), NULL), WEIR_TIMEDOUT);
        atomic_store(&r.begun, 0);
        if (p >= PLACE_THREADS)
            EXPECT_INT(place_cancel(p, read_file, &r, await_begun), WEIR_CANCELLED);
    }
    folder_end();
}

TEST(many_fibers_read_many_files)
{
    enum { N = 1000 };
    REQUIRE(folder_begin());
    static reading readings[N];
    static weir_future *futures[N];
    static char paths[N][300];
    weir_executor *executor = place_executor(PLACE_FIBERS);
    for (size_t i = 0; i < N; i++) {
        char text[16];
        snprintf(paths[i], sizeof paths[i], "%s/%zu", test_folder, i);
        snprintf(text, sizeof text, "%zu", i);
        put_file(paths[i], text, strlen(text));
        readings[i] = (reading){.path = paths[i], .expected = strrchr(paths[i], '/') + 1};
        futures[i] = place_submit(executor, read_file, &readings[i], 0);
    }
    EXPECT_INT(place_join(futures, N), 0);
    weir_executor_free(executor);
    folder_end();
}

static weir_status read_one(const char *path)
{
    char *bytes;
    size_t len;
    weir_status status = weir_file_read(path, 0, &bytes, &len, NULL);
    if (status == WEIR_OK)
        free(bytes);
    return status;
}

static weir_status read_status(void)
{
    return read_one("/proc/self/smaps"); /* large, of unknown size */
}

static weir_status read_null(void)
{
    return read_one("/dev/null");
}

TEST(reading_survives_lack_of_memory)
{
    TORTURE(read_status());
    TORTURE(read_null());
    place_torture_fiber(read_null, NULL);
}

TESTS(CASE(files_come_whole), CASE(max_is_the_most_that_comes),
      CASE(files_of_the_kernel_come_whole), CASE(what_is_no_file_has_a_reason),
      CASE(a_growing_file_is_read_to_an_end), CASE(a_fifo_is_read_from_its_writer_to_its_end),
      CASE(a_read_ends_with_its_task), CASE(many_fibers_read_many_files),
      CASE(reading_survives_lack_of_memory))
