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
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "temporary.h"

struct wi_output {
    char *name; /* for messages */
    char *path; /* with symbolic links resolved; NULL: written in place */
    char *temp; /* NULL: written in place */
    int fd;
    int64_t whole;  /* bytes of all writes that succeeded */
    int64_t synced; /* of them, those that are on the disk for certain */
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

char *wi_output_name(const char *path, const char *suffix)
{
    size_t len = strlen(path);
    size_t end = strlen(suffix) + 1;
    char *name = malloc(len + end);
    if (name) {
        memcpy(name, path, len);
        memcpy(name + len, suffix, end);
    }
    return name;
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

int wi_output_create(const char *path, const char *like)
{
    struct stat old;
    bool has_old = like && stat(like, &old) == 0;
    int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd;
    do
        fd = open(path, flags, has_old ? 0600 : 0666);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0 && has_old)
        take_after(fd, &old);
    return fd;
}

static weir_status look_beside(const char *path, bool is_there, const char *name, weir_error *err)
{
    struct stat link;
    if (!is_there && lstat(path, &link) == 0)
        return wi_fail(err, WEIR_NOTFOUND, "cannot write %s: a symbolic link to nothing", name);
    if (is_there && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        return wi_fail_errno(err, errno, "cannot write %s", name);
    return WEIR_OK;
}

static weir_status open_beside(wi_output *output, const char *path, const struct stat *old,
                               weir_error *err)
{
    weir_status status = look_beside(path, old != NULL, output->name, err);
    if (status != WEIR_OK)
        return status;
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

typedef enum found { NONE, FILE_THERE, IN_PLACE } found;

/* What is there? */
static weir_status find(const char *path, const char *name, struct stat *st, found *what,
                        weir_error *err)
{
    size_t len = strlen(path);
    if (stat(path, st) != 0) {
        if (errno != ENOENT || !len)
            return wi_fail_errno(err, errno, "cannot write %s", name);
        if (path[len - 1] == '/')
            return wi_fail_errno(err, ENOENT, "cannot write %s", name);
        *what = NONE;
        return WEIR_OK;
    }
    if (S_ISDIR(st->st_mode))
        return wi_fail(err, WEIR_INVALID, "cannot write %s: it is a directory", name);
    *what = S_ISREG(st->st_mode) ? FILE_THERE : IN_PLACE;
    return WEIR_OK;
}

static weir_status open_path(wi_output *output, const char *path, weir_error *err)
{
    struct stat st;
    found what;
    weir_status status = find(path, output->name, &st, &what, err);
    if (status != WEIR_OK)
        return status;
    return what == IN_PLACE ? open_in_place(output, path, err)
                            : open_beside(output, path, what == FILE_THERE ? &st : NULL, err);
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

int wi_output_sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder)
        return ENOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    int sys_errno = fd < 0 ? errno : flush_to_disk(fd);
    if (fd >= 0)
        close(fd);
    return sys_errno == EACCES ? 0 : sys_errno; /* who may not read it cannot do more */
}

/* 0, or the errno; the temporary file is still there then. */
static int settle(const wi_output *output, const char *path)
{
    int sys_errno = flush_to_disk(output->fd);
    if (sys_errno)
        return sys_errno;
    if (rename(output->temp, path) != 0)
        return errno;
    wi_output_sync_folder(path);
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
    char *stem = strndup(path, wi_temporary_stem(path, sizeof ".partial" - 1));
    char *name = stem ? wi_output_name(stem, ".partial") : NULL;
    free(stem);
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

/* The folder's place and the name in it, for a path whose last part may not exist yet. NULL: see
 * errno. */
static char *place_of(const char *path)
{
    char real[PATH_MAX];
    char *place = NULL;
    if (realpath(path, real)) {
        place = strdup(real);
        errno = ENOMEM;
        return place;
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *folder = slash ? strndup(path, (size_t)(name - path)) : strdup(".");
    if (folder && !realpath(folder, real)) {
        free(folder);
        return NULL;
    }
    size_t len = folder ? strlen(real) : 0;
    if (folder && (place = malloc(len + strlen(name) + 2))) {
        memcpy(place, real, len);
        place[len] = '/';
        memcpy(place + len + 1, name, strlen(name) + 1);
    }
    free(folder);
    errno = ENOMEM;
    return place;
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

/* ---- files that can be continued ---- */

/* May a file be made in its folder, and renamed? */
static weir_status look_at_folder(char *place, const char *name, weir_error *err)
{
    char *slash = strrchr(place, '/'); /* there is one */
    *slash = '\0';
    int sys_errno = 0;
    if (faccessat(AT_FDCWD, *place ? place : "/", W_OK | X_OK, AT_EACCESS) != 0)
        sys_errno = errno;
    *slash = '/';
    return sys_errno ? wi_fail_errno(err, sys_errno, "cannot write %s", name) : WEIR_OK;
}

weir_status wi_output_look(const char *path, char **place, weir_error *err)
{
    struct stat st;
    found what = IN_PLACE;
    char *at = NULL;
    weir_status status = WEIR_OK;
    if (strcmp(path, "-") != 0)
        status = find(path, path, &st, &what, err);
    if (status == WEIR_OK && what != IN_PLACE)
        status = look_beside(path, what == FILE_THERE, path, err);
    if (status == WEIR_OK && what != IN_PLACE && !(at = place_of(path)))
        status = wi_fail_errno(err, errno, "cannot write %s", path);
    if (at)
        status = look_at_folder(at, path, err);
    if (status != WEIR_OK)
        free(at);
    else
        *place = at;
    return status;
}

/* A file that goes by this name in another run, too, is that one's until it ends; a file system
 * without locks lets everybody have it. */
static weir_status lock(const wi_output *output, int fd, weir_error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return WEIR_OK;
    return wi_fail(err, WEIR_AGAIN, "%s is in use: another run writes it", output->temp);
}

static weir_status look_for_another(const wi_output *output, weir_error *err)
{
    int fd = open(output->temp, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    weir_status status = fd >= 0 ? lock(output, fd, err) : WEIR_OK;
    if (fd >= 0)
        close(fd);
    return status;
}

/* Whatever is there under that name is no longer wanted: it is not written into, since it could be
 * another name of a file that is. */
static weir_status begin_partial(wi_output *output, weir_error *err)
{
    weir_status status = look_for_another(output, err);
    if (status != WEIR_OK)
        return status;
    if (unlink(output->temp) != 0 && errno != ENOENT)
        return fail_open(output, errno, err);
    output->fd = wi_output_create(output->temp, output->path);
    return output->fd < 0 ? fail_open(output, errno, err) : lock(output, output->fd, err);
}

static weir_status go_on(wi_output *output, int64_t length, weir_error *err)
{
    struct stat st;
    /* A FIFO that somebody put there does not hold it up. */
    do
        output->fd = open(output->temp, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    while (output->fd < 0 && errno == EINTR);
    if (output->fd < 0 || fstat(output->fd, &st) != 0)
        return wi_fail_errno(err, errno, "cannot go on with %s", output->temp);
    if (!S_ISREG(st.st_mode))
        return wi_fail(err, WEIR_INVALID, "cannot go on with %s: it is no regular file",
                       output->temp);
    weir_status status = lock(output, output->fd, err);
    if (status != WEIR_OK)
        return status;
    if (st.st_size < length)
        return wi_fail(err, WEIR_INVALID,
                       "%s has %lld bytes, and %lld were there: it cannot be continued; begin anew "
                       "with --restart",
                       output->temp, (long long)st.st_size, (long long)length);
    if (ftruncate(output->fd, length) != 0 || lseek(output->fd, length, SEEK_SET) != length)
        return wi_fail_errno(err, errno, "cannot cut back %s", output->temp);
    return WEIR_OK;
}

weir_status wi_output_continue(const char *place, const char *name, int64_t length, wi_output **out,
                               weir_error *err)
{
    wi_output *output = calloc(1, sizeof *output);
    if (!output)
        return wi_fail_nomem(err);
    output->fd = -1;
    output->whole = output->synced = length;
    output->name = strdup(name);
    output->path = strdup(place);
    output->temp = wi_output_name(place, ".partial");
    weir_status status = WEIR_OK;
    if (!output->name || !output->path || !output->temp)
        status = wi_fail_nomem(err);
    else
        status = length ? go_on(output, length, err) : begin_partial(output, err);
    if (status != WEIR_OK) {
        free_output(output); /* what is there stays */
        return status;
    }
    *out = output;
    return WEIR_OK;
}

int64_t wi_output_length(const wi_output *output)
{
    return output->whole;
}

weir_status wi_output_read(const wi_output *output, int64_t offset, char *bytes, size_t size,
                           size_t *len, weir_error *err)
{
    ssize_t n;
    do
        n = pread(output->fd, bytes, size, offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return wi_fail_errno(err, errno, "cannot read %s", output->temp);
    *len = (size_t)n;
    return WEIR_OK;
}

weir_status wi_output_sync(wi_output *output, weir_error *err)
{
    if (output->whole == output->synced)
        return WEIR_OK;
    while (fdatasync(output->fd) != 0)
        if (errno != EINTR)
            return wi_fail_errno(err, errno, "cannot bring %s to the disk", output->name);
    output->synced = output->whole;
    return WEIR_OK;
}

void wi_output_leave(wi_output *output, int64_t length)
{
    int failed = length >= 0 ? ftruncate(output->fd, length) : 0;
    (void)failed; /* who continues it cuts it back */
    free_output(output);
}
