/*
 * save.c: wi_output_save of output.h. Its invariant: folders are entered below `root` only, by
 * descriptors, and the last part of a path is renamed to, never opened: a symbolic link there is
 * replaced and not followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "output.h"
#include "temporary.h"

enum { FOLDER = O_PATH | O_DIRECTORY | O_CLOEXEC };

/* Is every part of the path a plain name? Parts that are empty or "." do no harm. */
static bool leads_down(const char *path)
{
    if (*path == '/')
        return false;
    for (const char *part = path; *part;) {
        size_t len = strcspn(part, "/");
        if (len == 2 && part[0] == '.' && part[1] == '.')
            return false;
        part += len + (part[len] == '/');
    }
    return true;
}

/* Opens a part of a path in its folder, or the whole path as far as this part below root. */
typedef int enter_part(int root, char *path, int folder, const char *part);

/* Enters part by part, cutting the path behind each for that long. */
static int walk(int root, char *path, enter_part *enter)
{
    int folder = openat(root, ".", FOLDER);
    for (char *part = path; folder >= 0 && *part;) {
        size_t len = strcspn(part, "/");
        char end = part[len];
        part[len] = '\0';
        int next = enter(root, path, folder, part);
        int sys_errno = errno;
        part[len] = end;
        close(folder);
        folder = next;
        errno = sys_errno;
        part += len + (end == '/');
    }
    return folder;
}

/* Through no symbolic link at all. */
static int enter_plain(int root, char *path, int folder, const char *part)
{
    (void)root, (void)path;
    int fd = openat(folder, *part ? part : ".", FOLDER | O_NOFOLLOW);
    int sys_errno = errno;
    struct stat st;
    if (fd < 0 && fstatat(folder, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        sys_errno = ELOOP; /* and not ENOTDIR, which would name the wrong fault */
    errno = sys_errno;
    return fd;
}

static int open_below(int root, char *path)
{
    struct open_how how = {.flags = FOLDER, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* before Linux 5.6 */
        return walk(root, path, enter_plain);
    return fd;
}

/* Makes the folder if it is not there yet. */
static int enter_made(int root, char *path, int folder, const char *part)
{
    if (*part && mkdirat(folder, part, 0777) != 0 && errno != EEXIST)
        return -1;
    return open_below(root, path);
}

/* 0, or the errno. */
static int write_whole(int folder, const char *name, const char *bytes, size_t len)
{
    char *temp = NULL;
    int fd = wi_temporary_open(folder, name, 0666, &temp);
    if (fd < 0)
        return errno;
    int sys_errno = 0;
    while (len && !sys_errno) {
        ssize_t n = write(fd, bytes, len);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno != EINTR) {
            sys_errno = errno;
        }
    }
    if (close(fd) != 0 && !sys_errno && errno != EINTR)
        sys_errno = errno;
    if (!sys_errno && renameat(folder, temp, folder, name) != 0)
        sys_errno = errno;
    if (sys_errno)
        unlinkat(folder, temp, 0);
    free(temp);
    return sys_errno;
}

/* 0, or the errno. `path` is ours to cut into folder and name. */
static int save(int root, char *path, const char *bytes, size_t len)
{
    char nowhere[] = "";
    char *slash = strrchr(path, '/');
    char *name = slash ? slash + 1 : path;
    if (slash)
        *slash = '\0';
    char *below = slash ? path : nowhere;
    int folder = open_below(root, below);
    if (folder < 0 && errno == ENOENT)
        folder = walk(root, below, enter_made);
    if (folder < 0)
        return errno;
    int sys_errno = write_whole(folder, name, bytes, len);
    close(folder);
    return sys_errno;
}

weir_status wi_output_save(int root, const char *relative, const char *bytes, size_t len,
                           weir_error *err)
{
    const char *slash = strrchr(relative, '/');
    const char *name = slash ? slash + 1 : relative;
    if (!leads_down(relative))
        return wi_fail(err, WEIR_DENIED, "cannot save %s: it leads out of the folder", relative);
    if (!*name || strcmp(name, ".") == 0)
        return wi_fail(err, WEIR_INVALID, "cannot save \"%s\": it names no file", relative);
    char *path = strdup(relative);
    if (!path)
        return wi_fail_nomem(err);
    int sys_errno = save(root, path, bytes, len);
    free(path);
    if (sys_errno == EXDEV || sys_errno == ELOOP)
        return wi_fail(err, WEIR_DENIED,
                       "cannot save %s: a symbolic link on its way leads out of the folder",
                       relative);
    if (sys_errno)
        return wi_fail_errno(err, sys_errno, "cannot save %s", relative);
    return WEIR_OK;
}
