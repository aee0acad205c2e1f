/*
 * crash.c: to be preloaded into the command: counts what it does to files below one folder, ends it
 * by SIGKILL at a chosen one, or records all of them, so that a test can make the folder anew as a
 * crash at any moment would have left it.
 *
 *     WEIR_CRASH_BELOW   the folder; without it nothing happens
 *     WEIR_CRASH_AT      kill at the n-th operation, from 1
 *     WEIR_CRASH_OPS     count these only: "write,sync" (names below); all if not set
 *     WEIR_CRASH_HOW     "before" it (the default), or "half" way through what is written
 *     WEIR_CRASH_LOG     a file, outside of the folder, that gets the record (see `note`)
 *
 * Its invariant: what is done to the folder is done one thing after the other, under one lock, so
 * the record has the order in which it happened. What the command starts is left alone.
 */
#undef _FILE_OFFSET_BITS /* both names of each function are wanted */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { CREATE, WRITE, TRUNCATE, SYNC, RENAME, LINK, UNLINK, FOLDER, ALL, OPS };

static const char *const names[OPS] = {"create", "write",  "truncate", "sync", "rename",
                                       "link",   "unlink", "folder",   "all"};

/* One operation. Paths are whole; what is not below the folder is not noted. */
typedef struct event {
    enum op op;
    char path[PATH_MAX];
    char to[PATH_MAX]; /* of RENAME and LINK */
    int64_t offset;    /* of WRITE; the new length of TRUNCATE */
    const void *bytes;
    size_t len;
} event;

static char below[PATH_MAX];
static size_t below_len;
static pid_t owner; /* not what it forks */
static bool counted[OPS];
static long left; /* operations until the end; 0: it doesn't come */
static bool half;
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv("WEIR_CRASH_BELOW");
    const char *at = getenv("WEIR_CRASH_AT");
    const char *ops = getenv("WEIR_CRASH_OPS");
    const char *how = getenv("WEIR_CRASH_HOW");
    const char *record = getenv("WEIR_CRASH_LOG");
    if (!folder || !realpath(folder, below))
        return;
    below_len = strlen(below);
    owner = getpid();
    left = at ? strtol(at, NULL, 10) : 0;
    half = how && strcmp(how, "half") == 0;
    for (int op = 0; op < OPS; op++)
        counted[op] = !ops || strstr(ops, names[op]);
    if (record)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, record,
                              O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("WEIR_CRASH_BELOW"); /* for what is started from here */
    unsetenv("LD_PRELOAD");
}

/* ---- which operations count ---- */

static bool is_below(const char *path)
{
    return strncmp(path, below, below_len) == 0 &&
           (path[below_len] == '/' || path[below_len] == '\0');
}

static bool path_of_fd(int fd, char path[PATH_MAX])
{
    static const char gone[] = " (deleted)";
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    size_t len = sizeof gone - 1;
    return is_below(path) && !((size_t)n > len && strcmp(path + n - len, gone) == 0);
}

static bool path_at(int folder, const char *name, char path[PATH_MAX])
{
    char base[PATH_MAX] = "";
    if (*name != '/' && folder == AT_FDCWD && !getcwd(base, sizeof base))
        return false;
    if (*name != '/' && folder != AT_FDCWD && !path_of_fd(folder, base))
        return false;
    int n = snprintf(path, PATH_MAX, "%s%s%s", base, *base ? "/" : "", name);
    return n < PATH_MAX && is_below(path);
}

static bool is_watched(void)
{
    return below_len && getpid() == owner;
}

/* Those below are true for what happens below the folder, and then hold the lock: `end` follows. */

static bool locked(bool ours)
{
    if (ours)
        pthread_mutex_lock(&lock);
    return ours;
}

static bool ours_open(int fd, event *e)
{
    return locked(is_watched() && path_of_fd(fd, e->path));
}

static bool ours_named(int folder, const char *name, event *e)
{
    return locked(is_watched() && path_at(folder, name, e->path));
}

static bool ours_moved(int from, const char *old, int to, const char *new, event *e)
{
    return locked(is_watched() && path_at(from, old, e->path) && path_at(to, new, e->to));
}

static _Noreturn void die(void)
{
    for (;;)
        kill(getpid(), SIGKILL);
}

/* Counts it: true if it is the one to die in. */
static bool is_last(const event *e)
{
    return counted[e->op] && left && --left == 0;
}

/* Before the operation. One that writes and is to be cut in half is left to the caller: true. */
static bool happens(const event *e)
{
    bool last = is_last(e);
    if (last && !(half && e->op == WRITE))
        die();
    return last;
}

/* A record: numbers in the order below, the machine's own, then the two paths and the bytes. */
static void note(const event *e)
{
    struct {
        uint32_t op, path_len, to_len, bytes_len;
        int64_t offset;
    } head = {e->op, (uint32_t)strlen(e->path), (uint32_t)strlen(e->to),
              e->op == WRITE ? (uint32_t)e->len : 0, e->offset};
    const struct iovec parts[] = {{&head, sizeof head},
                                  {(void *)(uintptr_t)e->path, head.path_len},
                                  {(void *)(uintptr_t)e->to, head.to_len},
                                  {(void *)(uintptr_t)e->bytes, head.bytes_len}};
    size_t len = sizeof head + head.path_len + head.to_len + head.bytes_len;
    if (log_fd >= 0 && syscall(SYS_writev, log_fd, parts, 4) != (long)len)
        abort(); /* a record with a hole in it proves nothing */
}

static void end(const event *e, bool done)
{
    if (done)
        note(e);
    pthread_mutex_unlock(&lock);
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* ---- writing ---- */

/* offset: -1 where the file stands. */
static ssize_t really_write(int fd, const void *bytes, size_t len, int64_t offset)
{
    return offset < 0 ? REAL(write)(fd, bytes, len) : REAL(pwrite64)(fd, bytes, len, offset);
}

static ssize_t any_write(int fd, const void *bytes, size_t len, int64_t offset)
{
    event e = {.op = WRITE, .bytes = bytes};
    if (!ours_open(fd, &e))
        return really_write(fd, bytes, len, offset);
    struct stat st;
    bool appends = fcntl(fd, F_GETFL) & O_APPEND;
    e.offset = offset >= 0                      ? offset
               : appends && fstat(fd, &st) == 0 ? st.st_size
                                                : lseek(fd, 0, SEEK_CUR);
    if (happens(&e)) {
        really_write(fd, bytes, len / 2, offset);
        die();
    }
    ssize_t n = really_write(fd, bytes, len, offset);
    e.len = n > 0 ? (size_t)n : 0;
    end(&e, n > 0);
    return n;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    return any_write(fd, bytes, len, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    return any_write(fd, bytes, len, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset)
{
    return any_write(fd, bytes, len, offset);
}

/* As many bytes as the first part holds: callers must go on after short writes anyway. */
ssize_t writev(int fd, const struct iovec *parts, int n)
{
    char path[PATH_MAX];
    if (!is_watched() || !path_of_fd(fd, path))
        return REAL(writev)(fd, parts, n);
    while (n > 1 && !parts->iov_len)
        parts++, n--;
    return n ? any_write(fd, parts->iov_base, parts->iov_len, -1) : 0;
}

/* By hand, so that what is copied is seen. */
static ssize_t copy(int from, off64_t *from_at, int to, off64_t *to_at, size_t len)
{
    char piece[16384];
    size_t most = len < sizeof piece ? len : sizeof piece;
    ssize_t n = from_at ? pread64(from, piece, most, *from_at) : read(from, piece, most);
    if (n <= 0)
        return n;
    ssize_t written = any_write(to, piece, (size_t)n, to_at ? *to_at : -1);
    if (written > 0 && from_at)
        *from_at += written;
    if (written > 0 && to_at)
        *to_at += written;
    return written;
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t len,
                        unsigned flags)
{
    char path[PATH_MAX];
    if (!is_watched() || !path_of_fd(to, path))
        return REAL(copy_file_range)(from, from_at, to, to_at, len, flags);
    return copy(from, from_at, to, to_at, len);
}

static ssize_t any_sendfile(int to, int from, off64_t *from_at, size_t len)
{
    char path[PATH_MAX];
    if (!is_watched() || !path_of_fd(to, path))
        return REAL(sendfile64)(to, from, from_at, len);
    return copy(from, from_at, to, NULL, len);
}

ssize_t sendfile(int to, int from, off_t *from_at, size_t len)
{
    return any_sendfile(to, from, from_at, len);
}

ssize_t sendfile64(int to, int from, off64_t *from_at, size_t len)
{
    return any_sendfile(to, from, from_at, len);
}

static int any_truncate(int fd, int64_t len)
{
    event e = {.op = TRUNCATE, .offset = len};
    if (!ours_open(fd, &e))
        return REAL(ftruncate64)(fd, len);
    happens(&e);
    int result = REAL(ftruncate64)(fd, len);
    end(&e, result == 0);
    return result;
}

int ftruncate(int fd, off_t len)
{
    return any_truncate(fd, len);
}

int ftruncate64(int fd, off64_t len)
{
    return any_truncate(fd, len);
}

/* ---- syncing ---- */

static int any_sync(int fd, int (*real)(int))
{
    event e = {.op = SYNC};
    if (!ours_open(fd, &e))
        return real(fd);
    happens(&e);
    int result = real(fd);
    end(&e, result == 0);
    return result;
}

int fsync(int fd)
{
    return any_sync(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return any_sync(fd, REAL(fdatasync));
}

/* Of whatever file system: the folder's is among them where it matters. */
int syncfs(int fd)
{
    event e = {.op = ALL};
    if (!locked(is_watched()))
        return REAL(syncfs)(fd);
    happens(&e);
    int result = REAL(syncfs)(fd);
    end(&e, result == 0);
    return result;
}

/* ---- names ---- */

static int any_open(int folder, const char *name, int flags, mode_t mode)
{
    event e = {.op = CREATE};
    struct stat st;
    bool changes = flags & (O_CREAT | O_TRUNC) && (flags & O_TMPFILE) != O_TMPFILE;
    if (!changes || !ours_named(folder, name, &e))
        return REAL(openat64)(folder, name, flags, mode);
    bool exists = fstatat(folder, name, &st, 0) == 0;
    if (exists)
        e.op = TRUNCATE;
    bool alters = exists ? (flags & O_TRUNC) && !(flags & O_EXCL) && st.st_size : flags & O_CREAT;
    if (alters)
        happens(&e);
    int fd = REAL(openat64)(folder, name, flags, mode);
    end(&e, alters && fd >= 0);
    return fd;
}

#define MODE_OF(flags, mode)                                \
    do {                                                    \
        va_list ap;                                         \
        va_start(ap, flags);                                \
        if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) \
            mode = va_arg(ap, mode_t);                      \
        va_end(ap);                                         \
    } while (0)

int open(const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE_OF(flags, mode);
    return any_open(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE_OF(flags, mode);
    return any_open(AT_FDCWD, name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE_OF(flags, mode);
    return any_open(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...)
{
    mode_t mode = 0;
    MODE_OF(flags, mode);
    return any_open(folder, name, flags, mode);
}

static int any_rename(int from, const char *old, int to, const char *new, unsigned flags)
{
    event e = {.op = RENAME};
    if (!ours_moved(from, old, to, new, &e))
        return REAL(renameat2)(from, old, to, new, flags);
    happens(&e);
    int result = REAL(renameat2)(from, old, to, new, flags);
    end(&e, result == 0);
    return result;
}

int rename(const char *old, const char *new)
{
    return any_rename(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int renameat(int from, const char *old, int to, const char *new)
{
    return any_rename(from, old, to, new, 0);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return any_rename(from, old, to, new, flags);
}

static int any_link(int from, const char *old, int to, const char *new, int flags)
{
    event e = {.op = LINK};
    if (!ours_moved(from, old, to, new, &e))
        return REAL(linkat)(from, old, to, new, flags);
    happens(&e);
    int result = REAL(linkat)(from, old, to, new, flags);
    end(&e, result == 0);
    return result;
}

int link(const char *old, const char *new)
{
    return any_link(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
    return any_link(from, old, to, new, flags);
}

static int any_unlink(int folder, const char *name, int flags)
{
    event e = {.op = UNLINK};
    if (!ours_named(folder, name, &e))
        return REAL(unlinkat)(folder, name, flags);
    happens(&e);
    int result = REAL(unlinkat)(folder, name, flags);
    end(&e, result == 0);
    return result;
}

int unlink(const char *name)
{
    return any_unlink(AT_FDCWD, name, 0);
}

int remove(const char *name)
{
    return any_unlink(AT_FDCWD, name, 0);
}

int unlinkat(int folder, const char *name, int flags)
{
    return any_unlink(folder, name, flags);
}

static int any_mkdir(int folder, const char *name, mode_t mode)
{
    event e = {.op = FOLDER};
    if (!ours_named(folder, name, &e))
        return REAL(mkdirat)(folder, name, mode);
    happens(&e);
    int result = REAL(mkdirat)(folder, name, mode);
    end(&e, result == 0);
    return result;
}

int mkdir(const char *name, mode_t mode)
{
    return any_mkdir(AT_FDCWD, name, mode);
}

int mkdirat(int folder, const char *name, mode_t mode)
{
    return any_mkdir(folder, name, mode);
}
