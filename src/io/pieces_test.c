/* pieces_test.c: files of every kind in pieces of whole lines. */
#include "pieces.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "encode.h"
#include "folder.h"
#include "random.h"
#include "torture.h"

enum { USUAL = 256 << 10 }; /* the buffer's size */

static wi_pieces *pieces_of(size_t max_line, bool no_decompress)
{
    wi_pieces *pieces = NULL;
    wi_pieces_options options = {.max_line = max_line, .no_decompress = no_decompress};
    EXPECT_INT(wi_pieces_new(&options, &pieces, NULL), WEIR_OK);
    return pieces;
}

/* All that comes, to the end. Pieces end where lines do, but for the last of a whole file and those
 * of binary ones. */
static weir_status read_all(wi_pieces *pieces, bool lines, wi_buf *out, weir_error *err)
{
    weir_status status;
    bool open_line = false;
    for (;;) {
        const char *bytes = NULL;
        size_t len = 0;
        status = lines ? wi_pieces_next(pieces, &bytes, &len, err)
                       : wi_pieces_next_bytes(pieces, &bytes, &len, err);
        if (status)
            break;
        EXPECT(bytes && len > 0);
        EXPECT(!lines || !open_line);
        open_line = bytes[len - 1] != '\n' && wi_pieces_nul(pieces) < 0;
        wi_buf_append(out, bytes, len);
    }
    EXPECT(status == WEIR_END || !lines || !open_line);
    const char *bytes = NULL;
    size_t len = 77;
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_END); /* and so it stays */
    EXPECT(bytes == NULL && len == 77);
    return status;
}

static weir_status read_path(wi_pieces *pieces, const char *path, bool lines, wi_buf *out,
                             weir_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    wi_pieces_begin(pieces, fd, path);
    weir_status status = read_all(pieces, lines, out, err);
    close(fd);
    return status;
}

static void expect_bytes(wi_pieces *pieces, const char *path, const char *want, size_t len)
{
    for (int i = 0; i < 4; i++) {
        wi_buf out = WI_BUF_INIT;
        if (i & 2)
            wi_pieces_enter_folder(pieces);
        EXPECT_INT(read_path(pieces, path, i & 1, &out, NULL), WEIR_END);
        EXPECT(out.len == len && (len == 0 || memcmp(out.data, want, len) == 0));
        wi_buf_fini(&out);
    }
    wi_pieces_leave_folder(pieces);
}

/* It fails so, after these bytes. */
static void expect_failure(wi_pieces *pieces, const char *path, const char *before,
                           weir_status want, const char *text)
{
    wi_buf out = WI_BUF_INIT;
    weir_error err = {0};
    EXPECT_INT(read_path(pieces, path, true, &out, &err), want);
    EXPECT_INT(err.status, want);
    EXPECT_MEM(out.data ? out.data : "", out.len, before);
    if (!EXPECT(strstr(err.text, text) != NULL))
        printf("# it is: %s\n", err.text);
    wi_buf_fini(&out);
}

/* ---- plain files ---- */

TEST(small_files_are_one_piece_each)
{
    static const char *const texts[] = {"a\nb\nc\n", "a\nb\nno feed", "\n", "x", "\n\n\n"};
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *bytes = NULL;
        size_t len = 0;
        put_file(in_folder("a"), texts[i], strlen(texts[i]));
        int fd = open(in_folder("a"), O_RDONLY | O_CLOEXEC);
        wi_pieces_begin(pieces, fd, "a");
        EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_OK);
        EXPECT_MEM(bytes, len, texts[i]);
        EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_END);
        EXPECT_INT(wi_pieces_nul(pieces), -1);
        close(fd);
    }
    wi_pieces_free(pieces);
    wi_pieces_free(NULL);
    folder_end();
}

TEST(nothing_was_begun_or_nothing_is_there)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    const char *bytes;
    size_t len;
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_END);
    put_file(in_folder("empty"), "", 0);
    expect_bytes(pieces, in_folder("empty"), "", 0);
    expect_bytes(pieces, "/dev/null", "", 0);
    wi_pieces_free(pieces);
    folder_end();
}

/* How often this thread has read so far; -1 where the kernel does not count. */
static long reads(void)
{
    char text[512] = "";
    int fd = open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(fd);
    const char *count = strstr(text, "syscr: ");
    return count ? atol(count + 7) : -1;
}

static long reads_of(wi_pieces *pieces, int fd)
{
    const char *bytes;
    size_t len;
    long before = reads();
    lseek(fd, 0, SEEK_SET);
    wi_pieces_begin(pieces, fd, "file");
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_OK);
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_END);
    return reads() - before - 1; /* but for the look itself */
}

TEST(a_small_file_takes_one_read_in_a_folder_and_two_elsewhere)
{
    static char zeros[8192];
    if (reads() < 0)
        SKIP("the kernel does not count reads");
    wi_pieces *pieces = pieces_of(1 << 20, false);
    int fd = memfd_create("file", MFD_CLOEXEC);
    REQUIRE(fd >= 0);
    EXPECT(write(fd, zeros, 100) == 100);
    EXPECT_INT(reads_of(pieces, fd), 2);
    wi_pieces_enter_folder(pieces);
    EXPECT_INT(reads_of(pieces, fd), 1);
    EXPECT_INT(reads_of(pieces, fd), 1);
    EXPECT(ftruncate(fd, 8192) == 0); /* whole pages: a read may have failed there */
    EXPECT_INT(reads_of(pieces, fd), 2);
    EXPECT(ftruncate(fd, 100) == 0);
    wi_pieces_leave_folder(pieces);
    EXPECT_INT(reads_of(pieces, fd), 2);
    close(fd);
    wi_pieces_free(pieces);
}

/* A file left before its end leaves nothing behind for the next. */
TEST(a_file_may_be_left)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    const char *bytes;
    size_t len;
    wi_buf big = WI_BUF_INIT;
    for (int i = 0; i < 100000; i++)
        wi_buf_puts(&big, "a line\n");
    put_file(in_folder("big"), big.data, big.len);
    put_file(in_folder("small"), "small\n", 6);
    wi_buf_clear(&big);
    append_gzip(&big, "packed\n", 7);
    put_file(in_folder("packed"), big.data, big.len);
    static const char *const names[] = {"big", "packed"};
    for (int i = 0; i < 2; i++) {
        int fd = open(in_folder(names[i]), O_RDONLY | O_CLOEXEC);
        wi_pieces_begin(pieces, fd, names[i]);
        EXPECT_INT(wi_pieces_next_bytes(pieces, &bytes, &len, NULL), WEIR_OK);
        close(fd);
        expect_bytes(pieces, in_folder("small"), "small\n", 6);
    }
    wi_buf_fini(&big);
    wi_pieces_free(pieces);
    folder_end();
}

/* Sizes around the buffer's, lines of all lengths, with and without a line feed at the end. */
TEST(large_files_come_in_pieces)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(4 << 20, false);
    wi_buf text = WI_BUF_INIT;
    wi_random random;
    wi_random_init(&random, 1);
    while (text.len < 5 * USUAL) {
        int64_t n = wi_random_below(&random, wi_random_below(&random, 40) ? 100 : 2 * USUAL);
        for (int64_t i = 0; i < n; i++)
            wi_buf_putc(&text, (char)('a' + i % 26));
        wi_buf_putc(&text, '\n');
    }
    static const size_t sizes[] = {1, USUAL / 2, USUAL, 2 * USUAL, 5 * USUAL};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t len = sizes[i] - 1; len <= sizes[i] + 1 && len <= text.len; len++) {
            put_file(in_folder("text"), text.data, len);
            expect_bytes(pieces, in_folder("text"), text.data, len);
        }
    }
    wi_buf_fini(&text);
    wi_pieces_free(pieces);
    folder_end();
}

static void check_long_line(wi_pieces *pieces, size_t before, size_t line, bool feed, bool fits)
{
    char want[100];
    wi_buf text = WI_BUF_INIT;
    for (size_t i = 0; i < before; i++)
        wi_buf_putc(&text, i + 1 < before ? 'b' : '\n');
    for (size_t i = 0; i < line; i++)
        wi_buf_putc(&text, 'x');
    wi_buf_puts(&text, feed ? "\nmore\n" : "");
    put_file(in_folder("text"), text.data, text.len);
    if (fits) {
        expect_bytes(pieces, in_folder("text"), text.data, text.len);
    } else {
        text.data[before] = '\0';
        snprintf(want, sizeof want, "text: the line that begins at byte %zu is longer than",
                 before);
        expect_failure(pieces, in_folder("text"), text.data, WEIR_TOOLARGE, want);
    }
    wi_buf_fini(&text);
}

TEST(lines_may_be_as_long_as_is_allowed)
{
    static const size_t limits[] = {16, 100, USUAL - 1, USUAL, USUAL + 1, 3 * USUAL + 7};
    REQUIRE(folder_begin());
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        wi_pieces *pieces = pieces_of(limits[i], false);
        for (size_t before = 0; before < 12; before += 5) {
            check_long_line(pieces, before, limits[i], true, true);
            check_long_line(pieces, before, limits[i], false, true);
            check_long_line(pieces, before, limits[i] + 1, true, false);
            check_long_line(pieces, before, limits[i] + 1, false, false);
        }
        put_file(in_folder("text"), "and on\n", 7);
        expect_bytes(pieces, in_folder("text"), "and on\n", 7);
        wi_pieces_free(pieces);
    }
    folder_end();
}

TEST(any_bytes_know_no_lines)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(16, false);
    wi_buf out = WI_BUF_INIT;
    static char many[1000];
    memset(many, 'x', sizeof many);
    put_file(in_folder("text"), many, sizeof many);
    EXPECT_INT(read_path(pieces, in_folder("text"), false, &out, NULL), WEIR_END);
    EXPECT(out.len == sizeof many && memcmp(out.data, many, sizeof many) == 0);
    wi_buf_fini(&out);
    wi_pieces_free(pieces);
    folder_end();
}

static int64_t nul_of(const wi_pieces_options *options, const char *path)
{
    wi_pieces *pieces = NULL;
    wi_buf out = WI_BUF_INIT;
    EXPECT_INT(wi_pieces_new(options, &pieces, NULL), WEIR_OK);
    EXPECT_INT(read_path(pieces, path, true, &out, NULL), WEIR_END);
    int64_t nul = wi_pieces_nul(pieces);
    put_file(in_folder("after"), "text\n", 5);
    EXPECT_INT(read_path(pieces, in_folder("after"), true, &out, NULL), WEIR_END);
    EXPECT_INT(wi_pieces_nul(pieces), -1);
    wi_buf_fini(&out);
    wi_pieces_free(pieces);
    return nul;
}

TEST(the_first_nul_is_known)
{
    REQUIRE(folder_begin());
    size_t len = 3 * USUAL;
    char *text = malloc(len);
    REQUIRE(text);
    for (size_t i = 0; i < len; i++)
        text[i] = i % 50 == 49 ? '\n' : 'x';
    wi_pieces_options options = {.max_line = 1 << 20};
    put_file(in_folder("a"), text, len);
    EXPECT_INT(nul_of(&options, in_folder("a")), -1);
    static const size_t places[] = {3 * USUAL - 1, 2 * USUAL, USUAL, USUAL - 1, 1, 0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        text[places[i]] = '\0';
        put_file(in_folder("a"), text, len);
        EXPECT_INT(nul_of(&options, in_folder("a")), places[i]);
    }
    options.no_nul = true;
    EXPECT_INT(nul_of(&options, in_folder("a")), -1);
    options.no_nul = false;
    memset(text, 0, len);
    put_file(in_folder("a"), text, len);
    EXPECT_INT(nul_of(&options, in_folder("a")), 0);
    wi_buf packed = WI_BUF_INIT;
    append_gzip(&packed, "text\nte\0t", 9);
    put_file(in_folder("a"), packed.data, packed.len);
    EXPECT_INT(nul_of(&options, in_folder("a")), 7);
    wi_buf_fini(&packed);
    free(text);
    folder_end();
}

/* Binary files have lines of any length, which are not waited for. */
TEST(a_nul_is_told_before_its_line_ends)
{
    REQUIRE(folder_begin());
    enum { LEN = 2 * USUAL + USUAL / 2 };
    char *text = malloc(LEN);
    REQUIRE(text);
    memset(text, 'x', LEN);
    static const size_t feeds[] = {LEN, 9, USUAL - 1}, nuls[] = {USUAL - 2, 20, USUAL + 5};
    for (size_t i = 0; i < 3; i++) {
        wi_pieces_options options = {.max_line = 2 * USUAL};
        if (feeds[i] < LEN)
            text[feeds[i]] = '\n';
        text[nuls[i]] = '\0';
        put_file(in_folder("a"), text, LEN);
        EXPECT_INT(nul_of(&options, in_folder("a")), nuls[i]);
        text[nuls[i]] = 'x';
        if (feeds[i] < LEN)
            text[feeds[i]] = 'x';
    }
    free(text);
    folder_end();
}

/* It is in a line whose end has not come: it is not in a piece yet. */
TEST(a_nul_is_known_once_it_is_given)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1 << 20, false);
    const char *bytes;
    size_t len;
    char *text = malloc(USUAL + 10);
    REQUIRE(text);
    memset(text, 'x', USUAL + 10);
    text[9] = '\n';
    text[20] = '\0';
    put_file(in_folder("a"), text, USUAL + 10);
    int fd = open(in_folder("a"), O_RDONLY | O_CLOEXEC);
    wi_pieces_begin(pieces, fd, "a");
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_OK);
    EXPECT_INT(len, 10);
    EXPECT_INT(wi_pieces_nul(pieces), -1);
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_OK);
    EXPECT_INT(len, USUAL);
    EXPECT_INT(wi_pieces_nul(pieces), 20);
    close(fd);
    free(text);
    wi_pieces_free(pieces);
    folder_end();
}

/* ---- files that are not what they seem ---- */

TEST(files_of_the_kernel_have_no_size)
{
    wi_pieces *pieces = pieces_of(1 << 20, false);
    wi_buf out = WI_BUF_INIT;
    wi_pieces_enter_folder(pieces); /* where a short read says nothing */
    EXPECT_INT(read_path(pieces, "/proc/self/status", true, &out, NULL), WEIR_END);
    wi_buf_putc(&out, '\0');
    EXPECT(out.len > 100 && strstr(out.data, "\nPid:\t") != NULL);
    wi_buf_clear(&out);
    EXPECT_INT(read_path(pieces, "/proc/self/smaps", true, &out, NULL), WEIR_END); /* many reads */
    wi_buf_putc(&out, '\0');
    EXPECT(out.len > 4096 && strstr(out.data, "[vdso]") != NULL);
    wi_buf_fini(&out);
    wi_pieces_free(pieces);
}

static char *lines_of(size_t len)
{
    char *text = malloc(len);
    for (size_t i = 0; text && i < len; i++)
        text[i] = i % 64 == 63 ? '\n' : (char)('a' + i / 64 % 26);
    return text;
}

TEST(files_grow_and_shrink_while_they_are_read)
{
    REQUIRE(folder_begin());
    size_t len = 4 * USUAL;
    char *text = lines_of(2 * len);
    wi_pieces *pieces = pieces_of(1 << 20, false);
    REQUIRE(text && pieces);
    static const off_t ends[] = {0, USUAL + 10, 8 * USUAL}; /* of its size in the middle of it */
    for (size_t i = 0; i < 3; i++) {
        wi_buf out = WI_BUF_INIT;
        const char *bytes;
        size_t n;
        put_file(in_folder("a"), text, len);
        int fd = open(in_folder("a"), O_RDWR | O_CLOEXEC);
        wi_pieces_begin(pieces, fd, "a");
        REQUIRE(wi_pieces_next(pieces, &bytes, &n, NULL) == WEIR_OK);
        EXPECT_INT(n, USUAL);
        EXPECT(ftruncate(fd, ends[i]) == 0);
        if (ends[i] > (off_t)len)
            EXPECT(pwrite(fd, text + len, len, (off_t)len) == (ssize_t)len);
        wi_buf_append(&out, bytes, n);
        EXPECT_INT(read_all(pieces, true, &out, NULL), WEIR_END);
        size_t want = ends[i] > USUAL ? (size_t)ends[i] : USUAL;
        EXPECT(out.len == want && memcmp(out.data, text, want) == 0);
        wi_buf_fini(&out);
        close(fd);
    }
    wi_pieces_free(pieces);
    free(text);
    folder_end();
}

TEST(what_cannot_be_read_is_named)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    expect_failure(pieces, test_folder, "", WEIR_INVALID, test_folder);
    wi_pieces_begin(pieces, -1, "closed");
    const char *bytes;
    size_t len;
    weir_error err = {0};
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, &err), WEIR_IO);
    EXPECT_STR(err.text, "cannot read closed: Bad file descriptor");
    expect_failure(pieces, "/proc/self/mem", "", WEIR_IO,
                   "cannot read /proc/self/mem: Input/output");
    put_file(in_folder("a"), "text\n", 5);
    int fd = open(in_folder("a"), O_WRONLY | O_CLOEXEC);
    wi_pieces_begin(pieces, fd, "a");
    EXPECT_INT(wi_pieces_next_bytes(pieces, &bytes, &len, &err), WEIR_IO);
    EXPECT_INT(wi_pieces_next_bytes(pieces, &bytes, &len, NULL), WEIR_END);
    close(fd);
    wi_pieces_free(pieces);
    folder_end();
}

/* A pipe that says EAGAIN stands for a disk that says EIO. */
TEST(what_came_before_a_failure_is_given)
{
    int ends[2];
    wi_pieces *pieces = pieces_of(1 << 20, false);
    for (int lines = 0; lines < 2; lines++) {
        wi_buf out = WI_BUF_INIT;
        weir_error err = {0};
        REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        EXPECT(write(ends[1], "one\ntwo\nthr", 11) == 11);
        wi_pieces_begin(pieces, ends[0], "disk");
        EXPECT_INT(read_all(pieces, lines, &out, &err), WEIR_IO);
        EXPECT_MEM(out.data, out.len, lines ? "one\ntwo\n" : "one\ntwo\nthr");
        EXPECT_STR(err.text, "cannot read disk: Resource temporarily unavailable");
        wi_buf_fini(&out);
        close(ends[0]);
        close(ends[1]);
    }
    wi_pieces_free(pieces);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void *write_and_signal(void *arg)
{
    const int *ends = arg; /* the pipe's, and what to signal */
    pthread_t reader = *(const pthread_t *)(const void *)(ends + 2);
    for (int i = 0; i < 200; i++) {
        pthread_kill(reader, SIGUSR1);
        EXPECT(write(ends[1], "some line\nand", 13) == 13);
        pthread_kill(reader, SIGUSR1);
    }
    close(ends[1]);
    return NULL;
}

/* Of a pipe, read as if it were a file: short reads and EINTR come in any order. */
TEST(signals_and_short_reads_change_nothing)
{
    struct {
        int ends[2];
        pthread_t reader;
    } shared = {.reader = pthread_self()};
    pthread_t writer;
    wi_buf out = WI_BUF_INIT;
    struct sigaction action = {.sa_handler = count_signal}, old; /* no SA_RESTART */
    wi_pieces *pieces = pieces_of(1000, false);
    REQUIRE(pipe2(shared.ends, O_CLOEXEC) == 0);
    sigaction(SIGUSR1, &action, &old);
    REQUIRE(pthread_create(&writer, NULL, write_and_signal, &shared) == 0);
    wi_pieces_begin(pieces, shared.ends[0], "pipe");
    EXPECT_INT(read_all(pieces, true, &out, NULL), WEIR_END);
    EXPECT_INT(out.len, 200 * 13);
    pthread_join(writer, NULL);
    sigaction(SIGUSR1, &old, NULL);
    EXPECT(signals > 0);
    close(shared.ends[0]);
    wi_buf_fini(&out);
    wi_pieces_free(pieces);
}

/* ---- archives ---- */

enum { GZIP, ZSTD, XZ, BZIP2, CODINGS };

static void append(wi_buf *out, int coding, const char *bytes, size_t len)
{
    switch (coding) {
    case GZIP:
        append_gzip(out, bytes, len);
        break;
    case ZSTD:
        append_zstd(out, bytes, len, 0);
        break;
    case XZ:
        append_xz(out, bytes, len, 0);
        break;
    default:
        append_bzip2(out, bytes, len);
    }
}

static void put_packed(const char *path, int coding, const char *bytes, size_t len)
{
    wi_buf packed = WI_BUF_INIT;
    append(&packed, coding, bytes, len);
    put_file(path, packed.data, packed.len);
    wi_buf_fini(&packed);
}

TEST(archives_are_known_by_their_content)
{
    REQUIRE(folder_begin());
    size_t len = 3 * USUAL + 5;
    char *text = lines_of(len);
    wi_pieces *pieces = pieces_of(1000, false);
    wi_pieces *raw = pieces_of(1 << 20, true);
    REQUIRE(text && pieces && raw);
    for (int coding = 0; coding < CODINGS; coding++) {
        put_packed(in_folder("a"), coding, "one\ntwo", 7);
        expect_bytes(pieces, in_folder("a"), "one\ntwo", 7);
        put_packed(in_folder("a"), coding, "", 0);
        expect_bytes(pieces, in_folder("a"), "", 0);
        put_packed(in_folder("a"), coding, text, len);
        expect_bytes(pieces, in_folder("a"), text, len);

        wi_buf packed = WI_BUF_INIT;
        append(&packed, coding, "one\n", 4);
        append(&packed, coding, "", 0);
        append(&packed, coding, "two\n", 4);
        put_file(in_folder("a"), packed.data, packed.len);
        expect_bytes(pieces, in_folder("a"), "one\ntwo\n", 8);
        expect_bytes(raw, in_folder("a"), packed.data, packed.len);
        wi_buf_fini(&packed);
    }
    free(text);
    wi_pieces_free(pieces);
    wi_pieces_free(raw);
    folder_end();
}

TEST(an_archive_in_an_archive_stays_one)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    for (int coding = 0; coding < CODINGS; coding++) {
        wi_buf inner = WI_BUF_INIT;
        append(&inner, (coding + 1) % CODINGS, "one\n", 4);
        put_packed(in_folder("a"), coding, inner.data, inner.len);
        expect_bytes(pieces, in_folder("a"), inner.data, inner.len);
        wi_buf_fini(&inner);
    }
    wi_pieces_free(pieces);
    folder_end();
}

TEST(beginnings_of_archives_are_none)
{
    static const char *const texts[] = {
        "\x1F", "(",    "(\xB5/",    "\xFD",           "\xFD\x37zXZ", "B",
        "BZh",  "BZh9", "BZh91AY&S", "BZh0 is none\n", "P*M",         "\x1F\n\x8B\n",
    };
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(16, false);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_file(in_folder("a"), texts[i], strlen(texts[i]));
        expect_bytes(pieces, in_folder("a"), texts[i], strlen(texts[i]));
    }
    wi_pieces_free(pieces);
    folder_end();
}

/* Cut anywhere behind the magic bytes: the lines that are there come first. */
TEST(archives_cut_short)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    for (int coding = 0; coding < CODINGS; coding++) {
        wi_buf packed = WI_BUF_INIT;
        append(&packed, coding, "one\nand a part", 14);
        for (size_t len = 10; len < packed.len; len++) {
            wi_buf out = WI_BUF_INIT;
            weir_error err = {0};
            put_file(in_folder("a"), packed.data, len);
            EXPECT_INT(read_path(pieces, in_folder("a"), true, &out, &err), WEIR_TRUNCATED);
            EXPECT(out.len == 0 || (out.len == 4 && memcmp(out.data, "one\n", 4) == 0));
            EXPECT(out.len == 4 || len + 1 < packed.len || coding == BZIP2 || coding == XZ);
            EXPECT(strstr(err.text, "a is cut short: its") != NULL);
            wi_buf_fini(&out);
        }
        wi_buf_fini(&packed);
    }
    wi_pieces_free(pieces);
    folder_end();
}

TEST(damaged_archives)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    for (int coding = 0; coding < CODINGS; coding++) {
        wi_buf packed = WI_BUF_INIT;
        append(&packed, coding, "one\n", 4);
        wi_buf_puts(&packed, "some garbage");
        put_file(in_folder("a"), packed.data, packed.len);
        expect_failure(pieces, in_folder("a"), "one\n", WEIR_INVALID, "a is damaged: ");
        wi_buf_clear(&packed);
        append(&packed, coding, "one\ntwo", 7);
        packed.data[packed.len - 6] ^= 0x55;
        put_file(in_folder("a"), packed.data, packed.len);
        wi_buf out = WI_BUF_INIT;
        weir_error err = {0};
        EXPECT_INT(read_path(pieces, in_folder("a"), true, &out, &err), WEIR_INVALID);
        EXPECT(strstr(err.text, "a is damaged: ") != NULL);
        wi_buf_fini(&out);
        wi_buf_fini(&packed);
    }
    put_file(in_folder("a"), "and on\n", 7);
    expect_bytes(pieces, in_folder("a"), "and on\n", 7);
    wi_pieces_free(pieces);
    folder_end();
}

TEST(a_line_of_an_archive_may_be_too_long)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(100000, false);
    char *line = malloc(64 << 20);
    REQUIRE(line);
    memset(line, 'x', 64 << 20);
    put_packed(in_folder("bomb"), GZIP, line, 64 << 20);
    free(line);
    expect_failure(pieces, in_folder("bomb"), "", WEIR_TOOLARGE,
                   "bomb: the line that begins at byte 0 is longer than 100000 bytes; --max-row");
    wi_pieces_free(pieces);
    folder_end();
}

/* What was asked for, and how often it is still granted. */
typedef struct growth {
    size_t bytes;
    int left;
} growth;

static bool grow(void *arg, size_t bytes)
{
    growth *g = arg;
    EXPECT(bytes > g->bytes);
    g->bytes = bytes;
    return g->left-- > 0;
}

TEST(a_long_line_asks_for_its_room)
{
    REQUIRE(folder_begin());
    growth g = {0, 100};
    wi_pieces_options options = {.max_line = 1 << 20, .may_grow = grow, .arg = &g};
    wi_pieces *pieces = NULL;
    static char text[3 * USUAL];
    REQUIRE(wi_pieces_new(&options, &pieces, NULL) == WEIR_OK);
    memset(text, 'x', sizeof text);
    put_file(in_folder("short"), text, USUAL - 1);
    expect_bytes(pieces, in_folder("short"), text, USUAL - 1);
    EXPECT_INT(g.bytes, 0);
    put_file(in_folder("long"), text, 3 * USUAL);
    wi_buf out = WI_BUF_INIT;
    EXPECT_INT(read_path(pieces, in_folder("long"), true, &out, NULL), WEIR_END);
    EXPECT_INT(out.len, 3 * USUAL);
    EXPECT(g.bytes > 3 * USUAL);
    wi_pieces_end(pieces);
    wi_buf_fini(&out);
    g = (growth){0, 1};
    expect_failure(pieces, in_folder("long"), "", WEIR_CANCELLED, "long");
    EXPECT_INT(g.left, -1);
    wi_pieces_free(pieces);
    folder_end();
}

/* ---- streams ---- */

TEST(streams_are_opened_by_their_path)
{
    REQUIRE(folder_begin());
    wi_pieces *pieces = pieces_of(1000, false);
    wi_buf out = WI_BUF_INIT;
    weir_error err = {0};
    const char *bytes = NULL;
    size_t len = 0;
    EXPECT_INT(wi_pieces_begin_stream(pieces, in_folder("none"), &err), WEIR_NOTFOUND);
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_END);
    REQUIRE(mkfifo(in_folder("pipe"), 0600) == 0);
    REQUIRE(wi_pieces_begin_stream(pieces, in_folder("pipe"), &err) == WEIR_OK);
    int fd = open(in_folder("pipe"), O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    EXPECT(write(fd, "one\ntw", 6) == 6); /* what is there is given, not waited for */
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_OK);
    EXPECT_MEM(bytes, len, "one\n");
    EXPECT(write(fd, "o\nthree", 7) == 7);
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_OK);
    EXPECT_MEM(bytes, len, "two\n");
    close(fd);
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_OK);
    EXPECT_MEM(bytes, len, "three");
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_END);
    put_file(in_folder("a"), "text\n", 5);
    expect_bytes(pieces, in_folder("a"), "text\n", 5);
    wi_buf_fini(&out);
    wi_pieces_free(pieces);
    folder_end();
}

TEST(streams_are_decompressed_unless_told)
{
    REQUIRE(folder_begin());
    put_packed(in_folder("a"), ZSTD, "one\ntwo", 7);
    for (int no = 0; no < 2; no++) {
        wi_pieces *pieces = pieces_of(1000, no);
        wi_buf out = WI_BUF_INIT;
        REQUIRE(wi_pieces_begin_stream(pieces, in_folder("a"), NULL) == WEIR_OK);
        EXPECT_INT(read_all(pieces, true, &out, NULL), WEIR_END);
        EXPECT(no ? out.len > 7 && memcmp(out.data, "(\xB5/\xFD", 4) == 0
                  : out.len == 7 && memcmp(out.data, "one\ntwo", 7) == 0);
        wi_buf_fini(&out);
        wi_pieces_free(pieces);
    }
    folder_end();
}

TEST(standard_input_is_a_stream)
{
    REQUIRE(folder_begin());
    put_packed(in_folder("a"), GZIP, "one\ntwo", 7);
    int saved = dup(STDIN_FILENO);
    int fd = open(in_folder("a"), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    wi_pieces *pieces = pieces_of(16, false);
    wi_buf out = WI_BUF_INIT;
    weir_error err = {0};
    REQUIRE(wi_pieces_begin_stream(pieces, "-", NULL) == WEIR_OK);
    EXPECT_INT(read_all(pieces, true, &out, NULL), WEIR_END);
    EXPECT_MEM(out.data, out.len, "one\ntwo");
    put_file(in_folder("a"), "1\n a line that is too long", 26);
    EXPECT(lseek(fd, 0, SEEK_SET) == 0);
    wi_buf_clear(&out);
    REQUIRE(wi_pieces_begin_stream(pieces, "-", NULL) == WEIR_OK);
    EXPECT_INT(read_all(pieces, true, &out, &err), WEIR_TOOLARGE);
    EXPECT(strstr(err.text, "standard input: the line that begins at byte 2 ") != NULL);
    EXPECT_MEM(out.data, out.len, "1\n");
    wi_buf_fini(&out);
    wi_pieces_free(pieces);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    close(fd);
    folder_end();
}

static void *read_blocked(void *arg)
{
    static weir_error err;
    const char *bytes;
    size_t len;
    wi_pieces_next(arg, &bytes, &len, &err);
    return &err;
}

TEST(an_interrupt_ends_a_stream_and_all_later_ones)
{
    REQUIRE(folder_begin());
    REQUIRE(mkfifo(in_folder("pipe"), 0600) == 0);
    wi_pieces *pieces = pieces_of(1000, false);
    pthread_t reader;
    void *result = NULL;
    const char *bytes;
    size_t len;
    REQUIRE(wi_pieces_begin_stream(pieces, in_folder("pipe"), NULL) == WEIR_OK);
    int fd = open(in_folder("pipe"), O_WRONLY | O_CLOEXEC);
    REQUIRE(pthread_create(&reader, NULL, read_blocked, pieces) == 0);
    wi_pieces_interrupt(pieces);
    pthread_join(reader, &result);
    const weir_error *err = result;
    REQUIRE(err);
    EXPECT_INT(err->status, WEIR_CANCELLED);
    REQUIRE(wi_pieces_begin_stream(pieces, in_folder("pipe"), NULL) == WEIR_OK);
    EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_CANCELLED);
    close(fd);
    wi_pieces_free(pieces);
    folder_end();
}

/* ---- whatever the content and however it is cut ---- */

typedef struct cutting {
    int fd;
    uint64_t seed;
    const char *bytes;
    size_t len;
} cutting;

static void *write_cut(void *arg)
{
    const cutting *cut = arg;
    wi_random random;
    wi_random_init(&random, cut->seed);
    for (size_t at = 0; at < cut->len;) {
        size_t n = 1 + (size_t)wi_random_below(&random, wi_random_below(&random, 3) ? 50 : 70000);
        n = n < cut->len - at ? n : cut->len - at;
        ssize_t wrote = write(cut->fd, cut->bytes + at, n);
        if (wrote < 0)
            break;
        at += (size_t)wrote;
    }
    close(cut->fd);
    return NULL;
}

/* Read as a file, and as a stream, from a pipe. */
static void check_cut(wi_pieces *pieces, bool stream, uint64_t seed, const wi_buf *raw,
                      const wi_buf *want)
{
    int ends[2];
    char path[40];
    pthread_t writer;
    wi_buf out = WI_BUF_INIT;
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    cutting cut = {.fd = ends[1], .seed = seed, .bytes = raw->data, .len = raw->len};
    REQUIRE(pthread_create(&writer, NULL, write_cut, &cut) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    if (seed & 1)
        wi_pieces_enter_folder(pieces);
    if (stream)
        EXPECT_INT(wi_pieces_begin_stream(pieces, path, NULL), WEIR_OK);
    else
        wi_pieces_begin(pieces, ends[0], path);
    EXPECT_INT(read_all(pieces, seed % 4 != 0, &out, NULL), WEIR_END);
    EXPECT(out.len == want->len && (out.len == 0 || memcmp(out.data, want->data, out.len) == 0));
    pthread_join(writer, NULL);
    close(ends[0]);
    wi_buf_fini(&out);
}

TEST(pieces_put_together_are_the_file)
{
    wi_pieces *pieces = pieces_of(1 << 20, false);
    wi_random random;
    wi_random_init(&random, 7);
    for (uint64_t seed = 0; seed < 60; seed++) {
        wi_buf text = WI_BUF_INIT;
        wi_buf packed = WI_BUF_INIT;
        int64_t size = wi_random_below(&random, seed % 3 ? 3000 : 4 * USUAL);
        int64_t line = 1 + wi_random_below(&random, seed % 5 ? 100 : 2 * USUAL);
        wi_buf_putc(&text, 't'); /* so it is no archive */
        while ((int64_t)text.len < size)
            wi_buf_putc(&text,
                        wi_random_below(&random, line) ? (char)wi_random_u32(&random) : '\n');
        append(&packed, (int)(seed % CODINGS), text.data, text.len);
        check_cut(pieces, false, seed, &text, &text);
        check_cut(pieces, true, seed, &text, &text);
        check_cut(pieces, false, seed, &packed, &text);
        check_cut(pieces, true, seed, &packed, &text);
        wi_buf_fini(&text);
        wi_buf_fini(&packed);
    }
    wi_pieces_free(pieces);
}

/* ---- memory ---- */

static weir_status read_and_free(const char *path, bool stream)
{
    wi_pieces *pieces = NULL;
    wi_pieces_options options = {.max_line = 4 * USUAL};
    weir_status status = wi_pieces_new(&options, &pieces, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!status && stream)
        status = wi_pieces_begin_stream(pieces, path, NULL);
    else if (!status)
        wi_pieces_begin(pieces, fd, path);
    const char *bytes;
    size_t len;
    while (!status)
        status = wi_pieces_next(pieces, &bytes, &len, NULL);
    if (status == WEIR_END && !stream) { /* the buffer is made smaller again, or stays */
        wi_pieces_begin(pieces, fd, path);
        EXPECT_INT(wi_pieces_next(pieces, &bytes, &len, NULL), WEIR_END); /* of this descriptor */
    }
    wi_pieces_free(pieces);
    close(fd);
    return status == WEIR_END ? WEIR_OK : status;
}

TEST(lack_of_memory_is_survived)
{
    REQUIRE(folder_begin());
    char *text = lines_of(3 * USUAL);
    REQUIRE(text);
    put_file(in_folder("text"), text, 3 * USUAL);
    memset(text, 'x', 3 * USUAL);
    put_file(in_folder("line"), text, 3 * USUAL);
    free(text);
    TORTURE(read_and_free(in_folder("text"), false));
    TORTURE(read_and_free(in_folder("text"), true));
    TORTURE(read_and_free(in_folder("line"), false));
    TORTURE(read_and_free(in_folder("line"), true));
    for (int coding = 0; coding < CODINGS; coding++) {
        put_packed(in_folder("packed"), coding, "one\ntwo", 7);
        TORTURE(read_and_free(in_folder("packed"), false));
        TORTURE(read_and_free(in_folder("packed"), true));
    }
    folder_end();
}

TESTS(CASE(small_files_are_one_piece_each),
      CASE(a_small_file_takes_one_read_in_a_folder_and_two_elsewhere),
      CASE(nothing_was_begun_or_nothing_is_there), CASE(a_file_may_be_left),
      CASE(large_files_come_in_pieces), CASE(lines_may_be_as_long_as_is_allowed),
      CASE(any_bytes_know_no_lines), CASE(the_first_nul_is_known),
      CASE(a_nul_is_told_before_its_line_ends), CASE(a_nul_is_known_once_it_is_given),
      CASE(files_of_the_kernel_have_no_size), CASE(files_grow_and_shrink_while_they_are_read),
      CASE(what_cannot_be_read_is_named), CASE(what_came_before_a_failure_is_given),
      CASE(signals_and_short_reads_change_nothing), CASE(archives_are_known_by_their_content),
      CASE(an_archive_in_an_archive_stays_one), CASE(beginnings_of_archives_are_none),
      CASE(archives_cut_short), CASE(damaged_archives), CASE(a_line_of_an_archive_may_be_too_long),
      CASE(a_long_line_asks_for_its_room), CASE(streams_are_opened_by_their_path),
      CASE(streams_are_decompressed_unless_told), CASE(standard_input_is_a_stream),
      CASE(an_interrupt_ends_a_stream_and_all_later_ones), CASE(pieces_put_together_are_the_file),
      CASE(lack_of_memory_is_survived))
