/* temporary.c: see temporary.h. Its invariant: an existing file is never opened (O_EXCL). */
#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

static const char infix[] = ".weir-";

enum { DIGITS = 6, SUFFIX = sizeof infix - 1 + DIGITS, ATTEMPTS = 100 };

size_t wi_temporary_stem(const char *path, size_t suffix)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    /* A name that is too long itself stays so, and fails where it is used. */
    if (len + suffix > NAME_MAX && len <= NAME_MAX)
        len = NAME_MAX - suffix;
    return (size_t)(name - path) + len;
}

static void put_digits(char *to)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t random = wi_random_seed();
    for (int i = 0; i < DIGITS; i++, random /= sizeof digits - 1)
        to[i] = digits[random % (sizeof digits - 1)];
}

int wi_temporary_open(int folder, const char *path, mode_t mode, char **temp)
{
    size_t stem = wi_temporary_stem(path, SUFFIX);
    char *name = malloc(stem + SUFFIX + 1);
    if (!name)
        return -1;
    memcpy(name, path, stem);
    memcpy(name + stem, infix, sizeof infix - 1);
    name[stem + SUFFIX] = '\0';
    int fd;
    int attempts = 0;
    do {
        put_digits(name + stem + sizeof infix - 1);
        fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    } while (fd < 0 && (errno == EEXIST || errno == EINTR) && ++attempts < ATTEMPTS);
    if (fd < 0) {
        int sys_errno = errno;
        free(name);
        errno = sys_errno;
        return -1;
    }
    *temp = name;
    return fd;
}
