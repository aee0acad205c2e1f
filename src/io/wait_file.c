/*
 * wait_file.c: weir_file_read. Regular files are opened and read on a thread, since the kernel has
 * no readiness for them; what comes from a pipe or a terminal is waited for like a socket.
 *
 * Its invariant: nothing blocks but reads of regular files, a chunk at a time; between two of them
 * the task is asked whether it is to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "weir/wait.h"

enum { CHUNK = 1 << 20, FIRST_ROOM = 16 << 10 };

static const size_t default_max = (size_t)1 << 30;

typedef struct file {
    const char *path;
    size_t max;
    int fd; /* -1: closed */
    char *bytes;
    size_t len;
    size_t room;
    weir_status status;
} file;

static weir_status file_fail(const file *f, int failed, weir_error *err)
{
    return wi_fail_errno(err, failed, "cannot read %s", f->path);
}

static weir_status too_large(const file *f, weir_error *err)
{
    return wi_fail(err, WEIR_TOOLARGE, "%s has more than %zu bytes, the most that were asked for",
                   f->path, f->max);
}

/* Room for one byte at least, and one for the 0 behind the end. */
static weir_status make_room(file *f, size_t room, weir_error *err)
{
    if (room > f->max + 1) /* one more shows that there is more */
        room = f->max + 1;
    char *bytes = realloc(f->bytes, room + 1);
    if (!bytes)
        return wi_fail_nomem(err);
    f->bytes = bytes;
    f->room = room;
    return WEIR_OK;
}

/* One read; *got is 0 at the end. WEIR_AGAIN: there is nothing yet. */
static weir_status read_chunk(file *f, size_t *got, weir_error *err)
{
    if (f->len > f->max)
        return too_large(f, err);
    if (f->len == f->room) {
        weir_status status = make_room(f, f->room + f->room / 2 + FIRST_ROOM, err);
        if (status != WEIR_OK)
            return status;
    }
    size_t most = f->room - f->len < CHUNK ? f->room - f->len : CHUNK;
    ssize_t n;
    do {
        n = read(f->fd, f->bytes + f->len, most);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return WEIR_AGAIN;
    if (n < 0)
        return file_fail(f, errno, err);
    f->len += (size_t)n;
    *got = (size_t)n;
    return WEIR_OK;
}

static weir_status read_regular(file *f, weir_error *err)
{
    size_t got = 0;
    do {
        weir_status status = weir_task_check(err);
        if (status == WEIR_OK)
            status = read_chunk(f, &got, err);
        if (status == WEIR_AGAIN)
            status = file_fail(f, EAGAIN, err);
        if (status != WEIR_OK)
            return status;
    } while (got);
    return WEIR_OK;
}

/* The wait comes first: a FIFO that nobody has opened for writing yet looks as if it had ended. */
static weir_status read_stream(file *f, weir_error *err)
{
    size_t got = 1;
    while (got) {
        weir_status status = weir_wait_readable(f->fd, err);
        if (status == WEIR_OK)
            status = read_chunk(f, &got, err);
        if (status == WEIR_OK)
            status = weir_yield(err); /* some never end and are always ready */
        if (status != WEIR_OK && status != WEIR_AGAIN)
            return status;
    }
    return WEIR_OK;
}

/*
 * Size is a hint: a file may grow, and one in /proc says 0. O_NONBLOCK keeps a FIFO without a
 * writer from blocking right here.
 */
static weir_status open_file(file *f, bool *regular, weir_error *err)
{
    struct stat st;
    do {
        f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    } while (f->fd < 0 && errno == EINTR);
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return file_fail(f, errno, err);
    if (S_ISDIR(st.st_mode))
        return wi_fail(err, WEIR_INVALID, "cannot read %s: it is a directory", f->path);
    *regular = S_ISREG(st.st_mode);
    if (*regular && st.st_size > 0 && (uint64_t)st.st_size > f->max)
        return too_large(f, err);
    size_t size = *regular && st.st_size > 0 ? (size_t)st.st_size : 0;
    return make_room(f, size ? size + 1 : FIRST_ROOM, err);
}

static void close_file(file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* A task function: a stream remains open, to be read by the caller. */
static void *open_and_read(void *arg, weir_error *err)
{
    file *f = arg;
    bool regular = false;
    f->status = open_file(f, &regular, err);
    if (f->status == WEIR_OK && regular)
        f->status = read_regular(f, err);
    if (f->status != WEIR_OK || regular)
        close_file(f);
    return NULL;
}

static void give(file *f, char **bytes, size_t *len)
{
    if (f->room - f->len > FIRST_ROOM) {
        char *fitting = realloc(f->bytes, f->len + 1);
        f->bytes = fitting ? fitting : f->bytes;
    }
    f->bytes[f->len] = '\0';
    *bytes = f->bytes;
    if (len)
        *len = f->len;
}

weir_status weir_file_read(const char *path, size_t max, char **bytes, size_t *len, weir_error *err)
{
    if (!path || !*path)
        return wi_fail(err, WEIR_INVALID, "weir_file_read was given no path");
    file f = {.path = path, .max = max ? max : default_max, .fd = -1};
    if (f.max > SIZE_MAX / 4)
        f.max = SIZE_MAX / 4;
    weir_status status = weir_offload(open_and_read, &f, NULL, err);
    if (status == WEIR_OK && f.fd >= 0)
        status = read_stream(&f, err);
    close_file(&f);
    if (status == WEIR_OK)
        give(&f, bytes, len);
    else
        free(f.bytes);
    return status;
}
