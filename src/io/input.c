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

#include "archive.h"

enum { RAW_SIZE = 128 * 1024 };

struct wi_input {
    char *name;
    int fd;
    int wake; /* an eventfd that polls readable once interrupted */
    atomic_bool interrupted;
    bool regular; /* a regular file is always ready: no need to ask */
    atomic_int_least64_t position;
    int64_t size;
    bool detected; /* whether it is an archive is decided */
    bool file_ended;
    wi_archive archive;
    char raw[RAW_SIZE];
};

static weir_status read_file(void *arg, char *dst, size_t size, size_t *n, weir_error *err);

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
    input->archive = (wi_archive){
        .read = read_file,
        .arg = input,
        .name = input->name,
        .raw = input->raw,
        .size = RAW_SIZE,
    };
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
    wi_archive_end(&input->archive);
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
static weir_status read_file(void *arg, char *dst, size_t size, size_t *n, weir_error *err)
{
    wi_input *input = arg;
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

/* ---- what they are coded in ---- */

/* Reads until it is known what the file is. */
static weir_status detect(wi_input *input, weir_error *err)
{
    wi_archive *archive = &input->archive;
    wi_archive_guess found;
    wi_coding coding;
    while ((found = wi_archive_guess_coding(archive->raw, archive->len, &coding)) ==
           WI_ARCHIVE_PERHAPS) {
        size_t n = 0;
        weir_status status =
            read_file(input, archive->raw + archive->len, archive->size - archive->len, &n, err);
        if (status)
            return status;
        if (!n)
            break;
        archive->len += n;
    }
    weir_status status = found == WI_ARCHIVE_IS ? wi_archive_begin(archive, coding, err) : WEIR_OK;
    input->detected = status == WEIR_OK;
    return status;
}

void wi_input_no_decompress(wi_input *input)
{
    input->detected = true;
}

static weir_status read_plain(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err)
{
    wi_archive *begin = &input->archive; /* which it is not, but what was read to know is there */
    size_t left = begin->len - begin->at;
    if (!left)
        return read_file(input, dst, size, n, err);
    *n = left < size ? left : size;
    memcpy(dst, begin->raw + begin->at, *n);
    begin->at += *n;
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
    return input->archive.decoder ? wi_archive_read(&input->archive, dst, size, n, err)
                                  : read_plain(input, dst, size, n, err);
}
