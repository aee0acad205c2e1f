/*
 * output.c: see output.h. Its invariant: until commit, nothing is ever written to the file of that
 * name, only to its temporary neighbour; what is no regular file has no such neighbour.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "temporary.h"

struct wi_output {
    char *name; /* for messages */
    char *path; /* with symbolic links resolved; NULL: written in place */
    char *temp; /* NULL: written in place */
    int fd;
    int64_t whole; /* bytes of all writes that succeeded */
};

static void free_output(wi_output *output)
{
    if (output->fd > STDERR_FILENO)
        close(output->fd);
    free(output->name);
    free(output->path);
    free(output->temp);
    free(output);
}

/* ---- opening ---- */

static weir_status fail_open(const wi_output *output, int sys_errno, weir_error *err)
{
    return wi_fail_errno(err, sys_errno, "cannot write %s", output->name);
}

static weir_status open_in_place(wi_output *output, const char *path, weir_error *err)
{
    do
        output->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    while (output->fd < 0 && errno == EINTR);
    return output->fd < 0 ? fail_open(output, errno, err) : WEIR_OK;
}

/*
 * Gives the new file the mode of the old one and, where that is allowed, its owner. Where it is
 * not, the file is ours: no reason not to write it.
 */
static void take_after(int fd, const struct stat *old)
{
    int denied = fchown(fd, old->st_uid, old->st_gid);
    if (denied)
        denied = fchown(fd, (uid_t)-1, old->st_gid);
    denied |= fchmod(fd, old->st_mode & 0777);
    (void)denied;
}

static weir_status open_beside(wi_output *output, const char *path, const struct stat *old,
                               weir_error *err)
{
    struct stat link;
    if (!old && lstat(path, &link) == 0)
        return wi_fail(err, WEIR_NOTFOUND, "cannot write %s: a symbolic link to nothing",
                       output->name);
    if (old && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        return fail_open(output, errno, err);
    output->path = old ? realpath(path, NULL) : strdup(path);
    if (!output->path)
        return fail_open(output, errno, err);
    output->fd = wi_temporary_open(AT_FDCWD, output->path, old ? 0600 : 0666, &output->temp);
    if (output->fd < 0)
        return fail_open(output, errno, err);
    if (old)
        take_after(output->fd, old);
    return WEIR_OK;
}

static weir_status open_path(wi_output *output, const char *path, weir_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        size_t len = strlen(path);
        if (errno != ENOENT || !len)
            return fail_open(output, errno, err);
        if (path[len - 1] == '/')
            return fail_open(output, ENOENT, err);
        return open_beside(output, path, NULL, err);
    }
    if (S_ISDIR(st.st_mode))
        return wi_fail(err, WEIR_INVALID, "cannot write %s: it is a directory", output->name);
    return S_ISREG(st.st_mode) ? open_beside(output, path, &st, err)
                               : open_in_place(output, path, err);
}

weir_status wi_output_open(const char *path, wi_output **out, weir_error *err)
{
    bool is_stdout = strcmp(path, "-") == 0;
    wi_output *output = calloc(1, sizeof *output);
    if (!output)
        return wi_fail_nomem(err);
    output->fd = is_stdout ? STDOUT_FILENO : -1;
    output->name = strdup(is_stdout ? "standard output" : path);
    weir_status status = WEIR_OK;
    if (!output->name)
        status = wi_fail_nomem(err);
    else if (!is_stdout)
        status = open_path(output, path, err);
    else if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        status = fail_open(output, errno, err);
    if (status) {
        wi_output_discard(output);
        return status;
    }
    *out = output;
    return WEIR_OK;
}

/* ---- writing ---- */

bool wi_output_is_terminal(const wi_output *output)
{
    return isatty(output->fd) == 1;
}

/* 0, or the errno. */
static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len < SSIZE_MAX ? len : SSIZE_MAX);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) { /* somebody made our standard output non-blocking */
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

weir_status wi_output_write_to(int fd, const char *name, const char *bytes, size_t len,
                               weir_error *err)
{
    int sys_errno = write_all(fd, bytes, len);
    if (sys_errno == EPIPE)
        return wi_fail(err, WEIR_CLOSED, "%s: its reader has gone", name);
    return sys_errno ? wi_fail_errno(err, sys_errno, "cannot write %s", name) : WEIR_OK;
}

weir_status wi_output_write(wi_output *output, const char *bytes, size_t len, weir_error *err)
{
    weir_status status = wi_output_write_to(output->fd, output->name, bytes, len, err);
    if (status == WEIR_OK)
        output->whole += (int64_t)len;
    return status;
}

/* ---- ending ---- */

/* 0, or the errno. Pipes and terminals have no disk to flush to. */
static int flush_to_disk(int fd)
{
    while (fsync(fd) != 0) {
        if (errno == EINVAL || errno == ENOTSUP || errno == EROFS)
            return 0;
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* So that the new name survives a crash; a file system that cannot do it has done what it could. */
static void flush_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    if (fd >= 0) {
        flush_to_disk(fd);
        close(fd);
    }
}

/* 0, or the errno; the temporary file is still there then. */
static int settle(const wi_output *output, const char *path)
{
    int sys_errno = flush_to_disk(output->fd);
    if (sys_errno)
        return sys_errno;
    if (rename(output->temp, path) != 0)
        return errno;
    flush_folder(path);
    return 0;
}

static weir_status fail_settle(const wi_output *output, const char *path, int sys_errno,
                               weir_error *err)
{
    return wi_fail_errno(err, sys_errno, "cannot finish %s (what was written is in %s)", path,
                         output->temp);
}

weir_status wi_output_commit(wi_output *output, weir_error *err)
{
    weir_status status = WEIR_OK;
    int sys_errno = output->temp ? settle(output, output->path) : flush_to_disk(output->fd);
    if (sys_errno && output->temp)
        status = fail_settle(output, output->path, sys_errno, err);
    else if (sys_errno)
        status = wi_fail_errno(err, sys_errno, "cannot finish %s", output->name);
    free_output(output);
    return status;
}

static char *partial_name(const char *path)
{
    static const char suffix[] = ".partial";
    size_t len = wi_temporary_stem(path, sizeof suffix - 1);
    char *name = malloc(len + sizeof suffix);
    if (name) {
        memcpy(name, path, len);
        memcpy(name + len, suffix, sizeof suffix);
    }
    return name;
}

weir_status wi_output_keep(wi_output *output, char **kept, weir_error *err)
{
    if (!output->temp || !output->whole) {
        wi_output_discard(output);
        *kept = NULL;
        return WEIR_OK;
    }
    weir_status status = WEIR_OK;
    char *name = partial_name(output->path);
    int sys_errno = ftruncate(output->fd, output->whole) == 0 ? 0 : errno;
    if (!sys_errno)
        sys_errno = name ? settle(output, name) : ENOMEM;
    if (sys_errno) {
        status = fail_settle(output, name ? name : output->path, sys_errno, err);
        free(name);
    } else {
        *kept = name;
    }
    free_output(output);
    return status;
}

void wi_output_discard(wi_output *output)
{
    if (!output)
        return;
    if (output->temp)
        unlink(output->temp);
    free_output(output);
}

/* The folder's place and the name in it, for a path whose last part may not exist yet. */
static char *place_of(const char *path)
{
    char *whole = realpath(path, NULL);
    if (whole)
        return whole;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    char *real = folder ? realpath(folder, NULL) : NULL;
    if (!real || asprintf(&whole, "%s/%s", real, slash ? slash + 1 : path) < 0)
        whole = NULL;
    free(folder);
    free(real);
    return whole;
}

bool wi_output_is_same(const char *a, const char *b)
{
    struct stat sa;
    struct stat sb;
    if (strcmp(a, "-") == 0 || strcmp(b, "-") == 0)
        return strcmp(a, b) == 0;
    if (stat(a, &sa) == 0 && stat(b, &sb) == 0)
        return S_ISREG(sa.st_mode) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
    char *pa = place_of(a);
    char *pb = place_of(b);
    bool same = pa && pb && strcmp(pa, pb) == 0;
    free(pa);
    free(pb);
    return same;
}
