/*
 * input.c: see input.h. Its invariant: no thread blocks in read(2) before poll(2) on the file and
 * the wake-up has said that there is something to read, so an interrupt always gets through.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW_SIZE = 128 * 1024, MAGIC_SIZE = 4 };

typedef enum coding { UNKNOWN, PLAIN, GZIP, ZSTD } coding;

struct wi_input {
    char *name;
    int fd;
    int wake; /* an eventfd that polls readable once interrupted */
    atomic_bool interrupted;
    bool regular; /* a regular file is always ready: no need to ask */
    atomic_int_least64_t position;
    int64_t size;
    coding coding;
    bool file_ended;
    bool inside; /* a gzip member or zstd frame has begun and not ended */
    size_t at;   /* raw[at..len): read from the file and not yet used */
    size_t len;
    z_stream gzip;
    ZSTD_DStream *zstd;
    char raw[RAW_SIZE];
};

/* ---- opening ---- */

static weir_status examine(wi_input *input, weir_error *err)
{
    struct stat st;
    if (fstat(input->fd, &st) != 0)
        return wi_fail_errno(err, errno, "cannot read %s", input->name);
    if (S_ISDIR(st.st_mode))
        return wi_fail(err, WEIR_INVALID, "%s is a directory, not a file", input->name);
    input->regular = S_ISREG(st.st_mode);
    input->size = -1;
    if (input->regular) {
        off_t begin = lseek(input->fd, 0, SEEK_CUR); /* standard input may have been read from */
        input->size = begin > 0 ? st.st_size - begin : st.st_size;
        if (input->size < 0)
            input->size = 0;
    }
    return WEIR_OK;
}

static weir_status open_files(wi_input *input, const char *path, weir_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    input->name = strdup(is_stdin ? "standard input" : path);
    if (!input->name)
        return wi_fail_nomem(err);
    /* Without O_NONBLOCK, opening a FIFO would wait for its writer, deaf to an interrupt. */
    input->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (input->fd < 0)
        return wi_fail_errno(err, errno, "cannot open %s", path);
    weir_status status = examine(input, err); /* first: a closed descriptor 0 may come to be wake */
    if (status)
        return status;
    input->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return input->wake < 0 ? wi_fail_errno(err, errno, "cannot read %s", input->name) : WEIR_OK;
}

weir_status wi_input_open(const char *path, wi_input **out, weir_error *err)
{
    wi_input *input = malloc(sizeof *input);
    if (!input)
        return wi_fail_nomem(err);
    memset(input, 0, offsetof(wi_input, raw));
    input->fd = input->wake = -1;
    weir_status status = open_files(input, path, err);
    if (status) {
        wi_input_close(input);
        return status;
    }
    *out = input;
    return WEIR_OK;
}

void wi_input_close(wi_input *input)
{
    if (!input)
        return;
    if (input->coding == GZIP)
        inflateEnd(&input->gzip);
    ZSTD_freeDStream(input->zstd);
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    if (input->wake >= 0)
        close(input->wake);
    free(input->name);
    free(input);
}

void wi_input_interrupt(wi_input *input)
{
    uint64_t one = 1;
    atomic_store(&input->interrupted, true);
    while (write(input->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

const char *wi_input_name(const wi_input *input)
{
    return input->name;
}

int64_t wi_input_position(const wi_input *input)
{
    return atomic_load_explicit(&input->position, memory_order_relaxed);
}

int64_t wi_input_size(const wi_input *input)
{
    return input->size;
}

/* ---- the file's own bytes ---- */

static weir_status wait_readable(wi_input *input, weir_error *err)
{
    struct pollfd fds[2] = {{.fd = input->fd, .events = POLLIN},
                            {.fd = input->wake, .events = POLLIN}};
    while (!input->regular && poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return wi_fail_errno(err, errno, "cannot read %s", input->name);
    if (atomic_load(&input->interrupted))
        return wi_fail(err, WEIR_CANCELLED, "reading %s was interrupted", input->name);
    return WEIR_OK;
}

/* At least one byte, or *n is 0 at the end of the file. */
static weir_status read_file(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err)
{
    for (;;) {
        weir_status status = wait_readable(input, err);
        if (status)
            return status;
        ssize_t got = input->file_ended ? 0 : read(input->fd, dst, size);
        if (got >= 0) {
            input->file_ended = got == 0;
            atomic_fetch_add_explicit(&input->position, got, memory_order_relaxed);
            *n = (size_t)got;
            return WEIR_OK;
        }
        if (errno != EINTR && errno != EAGAIN)
            return wi_fail_errno(err, errno, "cannot read %s", input->name);
    }
}

/* Adds to what is in raw, which is not full; *n is 0 at the end of the file. */
static weir_status fill(wi_input *input, size_t *n, weir_error *err)
{
    if (input->at == input->len)
        input->at = input->len = 0;
    weir_status status = read_file(input, input->raw + input->len, RAW_SIZE - input->len, n, err);
    if (!status)
        input->len += *n;
    return status;
}

/* ---- what they are coded in ---- */

static const struct {
    coding coding;
    size_t len;
    const char *bytes;
    unsigned char mask; /* of the first byte */
} magics[] = {
    {GZIP, 2, "\x1F\x8B", 0xFF},
    {ZSTD, 4, "\x28\xB5\x2F\xFD", 0xFF},
    {ZSTD, 4, "\x50\x2A\x4D\x18", 0xF0}, /* a skippable frame */
};

/* UNKNOWN: it may be a magic number, but more bytes are needed to know. */
static coding coding_of(const char *bytes, size_t len)
{
    coding found = PLAIN;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        size_t n = len < magics[i].len ? len : magics[i].len;
        if (n && ((unsigned char)bytes[0] & magics[i].mask) != (unsigned char)magics[i].bytes[0])
            continue;
        if (n > 1 && memcmp(bytes + 1, magics[i].bytes + 1, n - 1) != 0)
            continue;
        if (n == magics[i].len)
            return magics[i].coding;
        found = UNKNOWN;
    }
    return found;
}

static weir_status begin_decoding(wi_input *input, coding found, weir_error *err)
{
    if (found == GZIP && inflateInit2(&input->gzip, 15 + 16) != Z_OK)
        return wi_fail_nomem(err);
    if (found == ZSTD && !(input->zstd = ZSTD_createDStream()))
        return wi_fail_nomem(err);
    input->coding = found;
    return WEIR_OK;
}

static weir_status detect(wi_input *input, weir_error *err)
{
    coding found;
    while ((found = coding_of(input->raw, input->len)) == UNKNOWN) {
        size_t n = 0;
        weir_status status = fill(input, &n, err);
        if (status)
            return status;
        if (!n) {
            found = PLAIN;
            break;
        }
    }
    return begin_decoding(input, found, err);
}

static weir_status fail_truncated(const wi_input *input, const char *what, weir_error *err)
{
    return wi_fail(err, WEIR_TRUNCATED, "%s is cut short: its %s data end after %lld bytes",
                   input->name, what, (long long)wi_input_position(input));
}

static weir_status fail_damaged(const wi_input *input, const char *what, const char *why,
                                weir_error *err)
{
    return wi_fail(err, WEIR_INVALID, "%s is damaged: %s: %s", input->name, what, why);
}

/*
 * A step of decoding makes of raw what it can: *n bytes in dst. It sets `inside`, and fails when
 * the data are damaged.
 */
typedef weir_status decode_step(wi_input *input, char *dst, size_t size, size_t *n,
                                weir_error *err);

static weir_status step_gzip(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err)
{
    if (!input->inside) {
        /* Between members; zeros there are padding, as tapes have it. */
        while (input->at < input->len && !input->raw[input->at])
            input->at++;
        if (input->at == input->len)
            return WEIR_OK;
        inflateReset(&input->gzip);
        input->inside = true;
    }
    z_stream *z = &input->gzip;
    z->next_in = (unsigned char *)input->raw + input->at;
    z->avail_in = (unsigned)(input->len - input->at);
    z->next_out = (unsigned char *)dst;
    z->avail_out = size < 1U << 30 ? (unsigned)size : 1U << 30;
    unsigned room = z->avail_out;
    int result = inflate(z, Z_NO_FLUSH);
    input->at = input->len - z->avail_in;
    *n = room - z->avail_out;
    if (result == Z_MEM_ERROR)
        return wi_fail_nomem(err);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return fail_damaged(input, "gzip", z->msg ? z->msg : "not gzip data", err);
    input->inside = result != Z_STREAM_END;
    return WEIR_OK;
}

static weir_status step_zstd(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err)
{
    ZSTD_inBuffer in = {.src = input->raw, .size = input->len, .pos = input->at};
    ZSTD_outBuffer out = {.dst = dst, .size = size};
    if (!input->inside && in.pos == in.size)
        return WEIR_OK;
    size_t result = ZSTD_decompressStream(input->zstd, &out, &in);
    input->at = in.pos;
    *n = out.pos;
    if (ZSTD_isError(result))
        return fail_damaged(input, "zstd", ZSTD_getErrorName(result), err);
    input->inside = result != 0;
    return WEIR_OK;
}

static weir_status decode(wi_input *input, decode_step *step, const char *what, char *dst,
                          size_t size, size_t *n, weir_error *err)
{
    for (;;) {
        size_t made = 0;
        weir_status status = step(input, dst, size, &made, err);
        if (status)
            return status;
        if (made) {
            *n = made;
            return WEIR_OK;
        }
        if (input->at < input->len)
            continue;
        size_t more = 0;
        status = fill(input, &more, err);
        if (status)
            return status;
        if (!more && input->inside)
            return fail_truncated(input, what, err);
        if (!more) {
            *n = 0;
            return WEIR_OK;
        }
    }
}

static weir_status read_plain(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err)
{
    size_t left = input->len - input->at;
    if (!left)
        return read_file(input, dst, size, n, err);
    *n = left < size ? left : size;
    memcpy(dst, input->raw + input->at, *n);
    input->at += *n;
    return WEIR_OK;
}

weir_status wi_input_read(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err)
{
    if (atomic_load(&input->interrupted))
        return wi_fail(err, WEIR_CANCELLED, "reading %s was interrupted", input->name);
    if (input->coding == UNKNOWN) {
        weir_status status = detect(input, err);
        if (status)
            return status;
    }
    if (input->coding == GZIP)
        return decode(input, step_gzip, "gzip", dst, size, n, err);
    if (input->coding == ZSTD)
        return decode(input, step_zstd, "zstd", dst, size, n, err);
    return read_plain(input, dst, size, n, err);
}
