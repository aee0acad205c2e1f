/* input_test.c: files, pipes and archives, whole and broken. */
#include "input.h"

#include <pthread.h>
#include <signal.h>

#include "encode.h"
#include "folder.h"

/* Reads to the end in pieces of `step` bytes. */
static weir_status read_all(const char *path, size_t step, wi_buf *out, weir_error *err)
{
    wi_input *input = NULL;
    char piece[4096];
    size_t n = 0;
    weir_status status = wi_input_open(path, &input, err);
    if (status)
        return status;
    do {
        status = wi_input_read(input, piece, step, &n, err);
        if (!status)
            wi_buf_append(out, piece, n);
    } while (!status && n);
    if (!status) {
        n = 9;
        EXPECT_INT(wi_input_read(input, piece, step, &n, NULL), WEIR_OK); /* still the end */
        EXPECT_INT(n, 0);
    }
    wi_input_close(input);
    return status;
}

static void expect_text(const char *path, const char *want)
{
    static const size_t steps[] = {1, 7, 4096};
    for (size_t i = 0; i < 3; i++) {
        wi_buf out = WI_BUF_INIT;
        EXPECT_INT(read_all(path, steps[i], &out, NULL), WEIR_OK);
        EXPECT_MEM(out.data ? out.data : "", out.len, want);
        wi_buf_fini(&out);
    }
}

static void expect_failure(const char *path, weir_status want, const char *text)
{
    wi_buf out = WI_BUF_INIT;
    weir_error err = {0};
    EXPECT_INT(read_all(path, 100, &out, &err), want);
    EXPECT_INT(err.status, want);
    if (!EXPECT(strstr(err.text, text) != NULL))
        printf("# it is: %s\n", err.text);
    wi_buf_fini(&out);
}

TEST(reads_files_as_they_are)
{
    REQUIRE(folder_begin());
    put_file(in_folder("a"), "some text\n", 10);
    expect_text(in_folder("a"), "some text\n");
    put_file(in_folder("empty"), "", 0);
    expect_text(in_folder("empty"), "");
    put_file(in_folder("short"), "\x1F", 1); /* begins like an archive */
    expect_text(in_folder("short"), "\x1F");
    put_file(in_folder("not.gz"), "(\xB5/x and so on", 14);
    expect_text(in_folder("not.gz"), "(\xB5/x and so on");
    expect_text("/dev/null", "");
    wi_input *input = NULL;
    REQUIRE(wi_input_open(in_folder("a"), &input, NULL) == WEIR_OK);
    char piece[4];
    size_t n;
    EXPECT_INT(wi_input_size(input), 10);
    EXPECT_INT(wi_input_position(input), 0);
    EXPECT_STR(wi_input_name(input), in_folder("a"));
    EXPECT_INT(wi_input_read(input, piece, sizeof piece, &n, NULL), WEIR_OK);
    EXPECT(wi_input_position(input) > 0 && wi_input_position(input) <= 10);
    wi_input_close(input);
    wi_input_close(NULL);
    folder_end();
}

TEST(refuses_what_it_cannot_read)
{
    REQUIRE(folder_begin());
    expect_failure(in_folder("none"), WEIR_NOTFOUND, "none: No such file or directory");
    expect_failure(test_folder, WEIR_INVALID, "is a directory, not a file");
    put_file(in_folder("a"), "x", 1);
    expect_failure(in_folder("a/b"), WEIR_NOTFOUND, "cannot open");
    if (geteuid() != 0) { /* root may read everything */
        EXPECT(chmod(in_folder("a"), 0) == 0);
        expect_failure(in_folder("a"), WEIR_DENIED, "cannot open");
    }
    folder_end();
}

TEST(gzip_is_read_with_all_its_members)
{
    REQUIRE(folder_begin());
    wi_buf bytes = WI_BUF_INIT;
    append_gzip(&bytes, "one ", 4);
    append_gzip(&bytes, "", 0);
    append_gzip(&bytes, "two", 3);
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_text(in_folder("data"), "one two");
    wi_buf_append(&bytes, "\0\0\0\0", 4); /* a tape's padding */
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_text(in_folder("data"), "one two");
    wi_buf_puts(&bytes, "garbage");
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_failure(in_folder("data"), WEIR_INVALID, "is damaged: gzip:");
    wi_buf_fini(&bytes);
    folder_end();
}

TEST(zstd_is_read_with_all_its_frames)
{
    REQUIRE(folder_begin());
    wi_buf bytes = WI_BUF_INIT;
    wi_buf_append(&bytes, "\x53\x2A\x4D\x18\x03\0\0\0abc", 11); /* a frame to be skipped */
    append_zstd(&bytes, "one ", 4, 0);
    append_zstd(&bytes, "", 0, 0);
    append_zstd(&bytes, "two", 3, 0);
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_text(in_folder("data"), "one two");
    put_file(in_folder("data"), bytes.data + 11, bytes.len - 11);
    expect_text(in_folder("data"), "one two");
    wi_buf_puts(&bytes, "garbage");
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_failure(in_folder("data"), WEIR_INVALID, "is damaged: zstd:");
    wi_buf_fini(&bytes);
    folder_end();
}

TEST(xz_and_bzip2_are_read_with_all_their_streams)
{
    REQUIRE(folder_begin());
    wi_buf bytes = WI_BUF_INIT;
    append_xz(&bytes, "one ", 4, 6);
    append_xz(&bytes, "", 0, 6);
    wi_buf_append(&bytes, "\0\0\0\0", 4);
    append_xz(&bytes, "two", 3, 9);
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_text(in_folder("data"), "one two");
    wi_buf_puts(&bytes, "some garbage");
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_failure(in_folder("data"), WEIR_INVALID, "is damaged: xz:");
    wi_buf_clear(&bytes);
    append_bzip2(&bytes, "", 0);
    append_bzip2(&bytes, "one ", 4);
    append_bzip2(&bytes, "two", 3);
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_text(in_folder("data"), "one two");
    put_file(in_folder("data"), bytes.data + 14, bytes.len - 14);
    expect_text(in_folder("data"), "one two");
    wi_buf_puts(&bytes, "garbage");
    put_file(in_folder("data"), bytes.data, bytes.len);
    expect_failure(in_folder("data"), WEIR_INVALID, "is damaged: bzip2:");
    put_file(in_folder("data"), "BZh0 and BZh9 are no archives\n", 30);
    expect_text(in_folder("data"), "BZh0 and BZh9 are no archives\n");
    put_file(in_folder("data"), "BZh9 is none either\n", 20);
    expect_text(in_folder("data"), "BZh9 is none either\n");
    wi_buf_fini(&bytes);
    folder_end();
}

static void check_cut_and_damaged(const wi_buf *bytes, size_t magic)
{
    for (size_t len = magic; len < bytes->len; len++) {
        put_file(in_folder("data"), bytes->data, len);
        expect_failure(in_folder("data"), WEIR_TRUNCATED, "data is cut short");
    }
    /* A checksum sees it, whatever else does not. */
    REQUIRE(bytes->len > 6);
    char *damaged = malloc(bytes->len);
    REQUIRE(damaged);
    memcpy(damaged, bytes->data, bytes->len);
    damaged[bytes->len - 6] ^= 0x55;
    put_file(in_folder("data"), damaged, bytes->len);
    expect_failure(in_folder("data"), WEIR_INVALID, "data is damaged");
    free(damaged);
}

TEST(archives_cut_short_or_damaged_are_errors)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog, again and again";
    REQUIRE(folder_begin());
    wi_buf bytes = WI_BUF_INIT;
    append_gzip(&bytes, text, sizeof text);
    check_cut_and_damaged(&bytes, 2);
    wi_buf_clear(&bytes);
    append_zstd(&bytes, text, sizeof text, 0);
    check_cut_and_damaged(&bytes, 4);
    wi_buf_clear(&bytes);
    append_xz(&bytes, text, sizeof text, 6);
    check_cut_and_damaged(&bytes, 6);
    wi_buf_clear(&bytes);
    append_bzip2(&bytes, text, sizeof text);
    check_cut_and_damaged(&bytes, 10);
    wi_buf_fini(&bytes);
    folder_end();
}

/* ---- pipes ---- */

static void *write_endlessly(void *arg)
{
    const wi_buf *bytes = arg;
    int fd = open(in_folder("pipe"), O_WRONLY | O_CLOEXEC);
    while (fd >= 0 && write(fd, bytes->data, bytes->len) > 0)
        ;
    close(fd);
    return NULL;
}

static int64_t resident_pages(void)
{
    long long size = 0;
    long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%lld %lld", &size, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident;
}

TEST(a_stream_without_end_is_decompressed_in_constant_memory)
{
    static char zeros[1 << 20];
    static char piece[1 << 16];
    wi_buf member = WI_BUF_INIT;
    pthread_t writer;
    wi_input *input = NULL;
    size_t total = 0;
    int64_t before = 0;
    signal(SIGPIPE, SIG_IGN);
    REQUIRE(folder_begin());
    append_gzip(&member, zeros, sizeof zeros); /* about 1 kB for each MB */
    REQUIRE(mkfifo(in_folder("pipe"), 0600) == 0);
    REQUIRE(pthread_create(&writer, NULL, write_endlessly, &member) == 0);
    REQUIRE(wi_input_open(in_folder("pipe"), &input, NULL) == WEIR_OK);
    EXPECT_INT(wi_input_size(input), -1);
    while (total < (size_t)256 << 20) {
        size_t n = 0;
        REQUIRE(wi_input_read(input, piece, sizeof piece, &n, NULL) == WEIR_OK && n > 0);
        total += n;
        if (total < (size_t)16 << 20)
            before = resident_pages();
    }
    EXPECT(resident_pages() - before < ((int64_t)16 << 20) / sysconf(_SC_PAGESIZE));
    EXPECT(wi_input_position(input) < (int64_t)total / 100);
    wi_input_close(input);
    pthread_join(writer, NULL);
    wi_buf_fini(&member);
    folder_end();
}

TEST(a_pipe_gives_what_is_there)
{
    REQUIRE(folder_begin());
    REQUIRE(mkfifo(in_folder("pipe"), 0600) == 0);
    wi_input *input = NULL;
    char piece[100];
    size_t n = 0;
    REQUIRE(wi_input_open(in_folder("pipe"), &input, NULL) == WEIR_OK); /* waits for nobody */
    int fd = open(in_folder("pipe"), O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    EXPECT(write(fd, "5", 1) == 1); /* no archive begins so: it is not held back */
    EXPECT_INT(wi_input_read(input, piece, sizeof piece, &n, NULL), WEIR_OK);
    EXPECT_MEM(piece, n, "5");
    EXPECT(write(fd, "678", 3) == 3);
    EXPECT_INT(wi_input_read(input, piece, sizeof piece, &n, NULL), WEIR_OK);
    EXPECT_MEM(piece, n, "678");
    close(fd);
    EXPECT_INT(wi_input_read(input, piece, sizeof piece, &n, NULL), WEIR_OK);
    EXPECT_INT(n, 0);
    wi_input_close(input);
    folder_end();
}

static void *read_blocked(void *arg)
{
    static weir_error err;
    char piece[10];
    size_t n;
    wi_input_read(arg, piece, sizeof piece, &n, &err);
    return &err;
}

TEST(an_interrupt_ends_a_blocked_read_and_all_later_ones)
{
    REQUIRE(folder_begin());
    REQUIRE(mkfifo(in_folder("pipe"), 0600) == 0);
    wi_input *input = NULL;
    pthread_t reader;
    void *result = NULL;
    char piece[10];
    size_t n = 77;
    REQUIRE(wi_input_open(in_folder("pipe"), &input, NULL) == WEIR_OK);
    int fd = open(in_folder("pipe"), O_WRONLY | O_CLOEXEC);
    REQUIRE(pthread_create(&reader, NULL, read_blocked, input) == 0);
    /* Whether it comes before the read blocks or after makes no difference. */
    wi_input_interrupt(input);
    pthread_join(reader, &result);
    const weir_error *err = result;
    REQUIRE(err);
    EXPECT_INT(err->status, WEIR_CANCELLED);
    EXPECT(strstr(err->text, "was interrupted") != NULL);
    EXPECT(write(fd, "x", 1) == 1);
    EXPECT_INT(wi_input_read(input, piece, sizeof piece, &n, NULL), WEIR_CANCELLED);
    EXPECT_INT(n, 77);
    close(fd);
    wi_input_close(input);
    folder_end();
}

TEST(standard_input_is_read_from_where_it_stands)
{
    REQUIRE(folder_begin());
    put_file(in_folder("a"), "header\nrest", 11);
    int saved = dup(STDIN_FILENO);
    int fd = open(in_folder("a"), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    EXPECT(lseek(STDIN_FILENO, 7, SEEK_SET) == 7);
    wi_input *input = NULL;
    char piece[100];
    size_t n = 0;
    REQUIRE(wi_input_open("-", &input, NULL) == WEIR_OK);
    EXPECT_STR(wi_input_name(input), "standard input");
    EXPECT_INT(wi_input_size(input), 4);
    EXPECT_INT(wi_input_read(input, piece, sizeof piece, &n, NULL), WEIR_OK);
    EXPECT_MEM(piece, n, "rest");
    wi_input_close(input);
    EXPECT(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* not ours to close */
    close(STDIN_FILENO);
    weir_error err;
    EXPECT_INT(wi_input_open("-", &input, &err), WEIR_IO);
    EXPECT_STR(err.text, "cannot read standard input: Bad file descriptor");
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    close(fd);
    folder_end();
}

TESTS(CASE(reads_files_as_they_are), CASE(refuses_what_it_cannot_read),
      CASE(gzip_is_read_with_all_its_members), CASE(zstd_is_read_with_all_its_frames),
      CASE(xz_and_bzip2_are_read_with_all_their_streams),
      CASE(archives_cut_short_or_damaged_are_errors),
      CASE(a_stream_without_end_is_decompressed_in_constant_memory),
      CASE(a_pipe_gives_what_is_there), CASE(an_interrupt_ends_a_blocked_read_and_all_later_ones),
      CASE(standard_input_is_read_from_where_it_stands))
