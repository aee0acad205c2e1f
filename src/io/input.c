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

#include "decoder.h"

enum { RAW_SIZE = 128 * 1024 };

struct wi_input {
    char *name;
    int fd;
    int wake; /* an eventfd that polls readable once interrupted */
    atomic_bool interrupted;
    bool regular; /* a regular file is always ready: no need to ask */
    atomic_int_least64_t position;
    int64_t size;
    bool detected; /* whether there is a decoder is decided */
    bool file_ended;
    wi_coding coding;
    wi_decoder *decoder;
    size_t at; /* raw[at..len): read from the file and not yet used */
    size_t len;
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
    wi_decoder_free(input->decoder);
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

typedef struct magic {
    wi_coding coding;
    size_t len;
    const char *bytes;
} magic;

static const magic magics[] = {
    {WI_CODING_GZIP, 2, "\x1F\x8B"},
    {WI_CODING_ZSTD, 4, "\x28\xB5\x2F\xFD"},
    {WI_CODING_ZSTD, 4, "\x50\x2A\x4D\x18"}, /* a skippable frame, of sixteen kinds */
    {WI_CODING_XZ, 6, "\xFD\x37zXZ\0"},
    {WI_CODING_BZIP2, 10, "BZh91AY&SY"},       /* of any level; then a block, */
    {WI_CODING_BZIP2, 10, "BZh9\x17rE8P\x90"}, /* or the end at once */
};

static bool agrees(const magic *m, const char *bytes, size_t i)
{
    if (m->coding == WI_CODING_BZIP2 && i == 3)
        return bytes[i] >= '1' && bytes[i] <= '9';
    unsigned mask = i == 0 && m->bytes[0] == 0x50 ? 0xF0 : 0xFF;
    return ((unsigned char)bytes[i] & mask) == (unsigned char)m->bytes[i];
}

typedef enum guess { NONE, PERHAPS, CODED } guess;

/* PERHAPS: more bytes are needed to know. */
static guess coding_of(const char *bytes, size_t len, wi_coding *coding)
{
    guess found = NONE;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        size_t n = len < magics[i].len ? len : magics[i].len;
        size_t same = 0;
        while (same < n && agrees(&magics[i], bytes, same))
            same++;
        if (same == magics[i].len) {
            *coding = magics[i].coding;
            return CODED;
        }
        if (same == n)
            found = PERHAPS;
    }
    return found;
}

static weir_status detect(wi_input *input, weir_error *err)
{
    guess found;
    while ((found = coding_of(input->raw, input->len, &input->coding)) == PERHAPS) {
        size_t n = 0;
        weir_status status = fill(input, &n, err);
        if (status)
            return status;
        if (!n)
            break;
    }
    wi_codings codings = {.len = 1, .list = {input->coding}};
    weir_status status = WEIR_OK;
    if (found == CODED)
        status = wi_decoder_new(&codings, WI_WINDOW_LOG_FILE, &input->decoder, err);
    input->detected = status == WEIR_OK;
    return status;
}

static weir_status fail_decoding(const wi_input *input, const weir_error *why, weir_error *err)
{
    switch (why->status) {
    case WEIR_NOMEM:
        return wi_fail_nomem(err);
    case WEIR_TRUNCATED:
        return wi_fail(err, WEIR_TRUNCATED, "%s is cut short: its %s data end after %lld bytes",
                       input->name, wi_coding_name(input->coding),
                       (long long)wi_input_position(input));
    case WEIR_INVALID:
        return wi_fail(err, WEIR_INVALID, "%s is damaged: %s", input->name, why->text);
    default:
        return wi_fail(err, why->status, "cannot read %s: %s", input->name, why->text);
    }
}

static weir_status read_decoded(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err)
{
    weir_error why;
    for (;;) {
        size_t used = 0;
        size_t made = 0;
        if (wi_decoder_decode(input->decoder, input->raw + input->at, input->len - input->at, &used,
                              dst, size, &made, &why) != WEIR_OK)
            return fail_decoding(input, &why, err);
        input->at += used;
        size_t more = 0;
        weir_status status = made ? WEIR_OK : fill(input, &more, err);
        if (status)
            return status;
        if (!made && !more && wi_decoder_finish(input->decoder, &why) != WEIR_OK)
            return fail_decoding(input, &why, err);
        if (made || !more) {
            *n = made;
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
    if (!input->detected) {
        weir_status status = detect(input, err);
        if (status)
            return status;
    }
    return input->decoder ? read_decoded(input, dst, size, n, err)
                          : read_plain(input, dst, size, n, err);
}
