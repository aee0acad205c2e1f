/*
 * faults.c: faults for a whole run of a program, preloaded into it. Its invariant: a call that no
 * rule strikes does what it always does, and what the program starts is left alone.
 *
 * WEIR_FAULTS holds rules, parted by spaces: CALLS:WHEN:WHAT[:WHERE].
 *
 *     CALLS  names of calls, parted by commas; they are counted together
 *     WHEN   3: the third; 3+: the third and all after it; /5: every fifth;
 *            p20~7: 20 of 100, drawn with the seed 7; !: while the rule is armed; 0: never
 *     WHAT   the name of an errno; short=N: no more than N bytes are read or written;
 *            jump=N: clocks are N seconds off (calls: realtime, monotonic)
 *     WHERE  fdN: only that descriptor; @NAME: only threads whose name begins so; else how the path
 *            or the descriptor's file begins
 *
 * WEIR_FAULTS_STATE names a file with three 64-bit numbers for each rule: how many calls it has
 * seen, how many it struck, and whether it is armed, which others may set while the program runs.
 */
#undef _FILE_OFFSET_BITS /* both open and open64 are to be had */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* clang-format off */
#define CALLS(X) \
    X(read) X(pread) X(write) X(writev) X(pwrite) X(fsync) X(fdatasync) X(ftruncate) X(close) \
    X(open) X(rename) X(unlink) X(mkdir) X(getdents) X(dup) X(pipe) X(socket) X(accept) \
    X(connect) X(send) X(recv) X(epoll_create) X(epoll_ctl) X(epoll_wait) X(eventfd) \
    X(pidfd_open) X(spawn) X(mmap) X(thread) X(malloc) X(realtime) X(monotonic)
/* clang-format on */

#define AS_ENUM(name) CALL_##name,
enum { CALLS(AS_ENUM) CALLS_LEN };
#define AS_TEXT(name) #name,
static const char *const call_names[] = {CALLS(AS_TEXT)};

/* clang-format off */
#define ERRNOS(X) \
    X(EINTR) X(EIO) X(ENOSPC) X(EDQUOT) X(EROFS) X(EMFILE) X(ENFILE) X(ENOMEM) X(EAGAIN) \
    X(EACCES) X(EPERM) X(ENOSYS) X(ENOBUFS) X(ECONNREFUSED) X(ECONNRESET) X(ETIMEDOUT) X(EPIPE) \
    X(ESTALE)
/* clang-format on */

#define AS_PAIR(name) {#name, name},
static const struct {
    const char *name;
    int number;
} errnos[] = {ERRNOS(AS_PAIR)};

enum { MAX_RULES = 16, FD_ANY = -1, FD_NONE = -2 };

typedef struct rule {
    uint64_t calls; /* bits */
    char when;      /* '=', '+', '/', 'p', '!' */
    uint64_t n;
    uint64_t seed;
    int error; /* 0: short or jump */
    int64_t amount;
    int fd;
    char path[512];
} rule;

typedef struct state {
    _Atomic uint64_t seen;
    _Atomic uint64_t hit;
    _Atomic uint64_t armed;
} state;

static rule rules[MAX_RULES];
static int rules_len;
static uint64_t all_calls; /* of all rules: most calls need no more than a look at it */
static state own_states[MAX_RULES];
static state *states = own_states;

/* ---- rules ---- */

static void refuse(const char *text)
{
    fprintf(stderr, "faults: cannot read the rule \"%s\"\n", text);
    _exit(99);
}

static uint64_t read_calls(char *text)
{
    uint64_t calls = 0;
    char *rest = NULL;
    for (char *name = strtok_r(text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        int i = 0;
        while (i < CALLS_LEN && strcmp(name, call_names[i]) != 0)
            i++;
        if (i == CALLS_LEN)
            refuse(name);
        calls |= 1ULL << i;
    }
    return calls;
}

static void read_when(rule *r, const char *text)
{
    char *end;
    bool leads = *text == '/' || *text == 'p' || *text == '!';
    r->when = leads ? *text : '=';
    r->n = strtoull(text + leads, &end, 10);
    if (!leads && *end == '+')
        r->when = *end++;
    if (r->when == 'p' && *end == '~')
        r->seed = strtoull(end + 1, &end, 10);
    if (*end || (r->when == '/' && !r->n))
        refuse(text);
}

static void read_what(rule *r, const char *text)
{
    const char *value = strchr(text, '=');
    if (value) {
        r->amount = strtoll(value + 1, NULL, 10);
        return;
    }
    for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++)
        if (strcmp(text, errnos[i].name) == 0)
            r->error = errnos[i].number;
    if (!r->error)
        refuse(text);
}

static void read_rule(char *text)
{
    char *rest = NULL;
    char *calls = strtok_r(text, ":", &rest), *when = strtok_r(NULL, ":", &rest);
    char *what = strtok_r(NULL, ":", &rest);
    rule *r = &rules[rules_len];
    if (!what || rules_len == MAX_RULES || strlen(rest) >= sizeof r->path)
        refuse(text);
    r->calls = read_calls(calls);
    read_when(r, when);
    read_what(r, what);
    r->fd = strncmp(rest, "fd", 2) == 0 ? atoi(rest + 2) : FD_ANY;
    if (r->fd == FD_ANY)
        memcpy(r->path, rest, strlen(rest) + 1);
    all_calls |= r->calls;
    rules_len++;
}

__attribute__((constructor)) static void begin(void)
{
    static char text[8192];
    const char *given = getenv("WEIR_FAULTS"), *place = getenv("WEIR_FAULTS_STATE");
    if (!given || strlen(given) >= sizeof text)
        return;
    int fd = place ? (int)syscall(SYS_openat, AT_FDCWD, place, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *shared = mmap(NULL, sizeof own_states, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED)
            states = shared;
        close(fd);
    }
    memcpy(text, given, strlen(given) + 1);
    unsetenv("WEIR_FAULTS");
    unsetenv("LD_PRELOAD");
    char *rest = NULL;
    uint64_t calls = 0;
    for (char *one = strtok_r(text, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
        read_rule(one);
        calls |= all_calls;
        all_calls = 0; /* none strikes before all are read */
    }
    all_calls = calls;
}

/* ---- does one strike? ---- */

static bool is_place(const rule *r, int fd, const char *path)
{
    char link[32], file[sizeof r->path];
    if (r->fd != FD_ANY)
        return fd == r->fd;
    if (!*r->path)
        return true;
    if (*r->path == '@') {
        prctl(PR_GET_NAME, link);
        return strncmp(link, r->path + 1, strlen(r->path + 1)) == 0;
    }
    if (!path && fd >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, file, sizeof file - 1);
        file[n > 0 ? n : 0] = '\0';
        path = file;
    }
    return path && strncmp(path, r->path, strlen(r->path)) == 0;
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static bool is_time(const rule *r, state *s)
{
    uint64_t nth = atomic_fetch_add(&s->seen, 1) + 1;
    switch (r->when) {
    case '+':
        return nth >= r->n;
    case '/':
        return nth % r->n == 0;
    case 'p':
        return mix(r->seed + nth) % 100 < r->n;
    case '!':
        return atomic_load(&s->armed) != 0;
    default:
        return nth == r->n;
    }
}

/* The rule that strikes this call, or NULL. errno stays as it is. */
static const rule *strike(int call, int fd, const char *path)
{
    if (!(all_calls >> call & 1))
        return NULL;
    int before = errno;
    const rule *found = NULL;
    for (int i = 0; i < rules_len; i++) {
        const rule *r = &rules[i];
        if ((r->calls >> call & 1) && is_place(r, fd, path) && is_time(r, &states[i]) && !found) {
            atomic_fetch_add(&states[i].hit, 1);
            found = r;
        }
    }
    errno = before;
    return found;
}

/* 0, or the errno with which the call is to fail. */
static int fault(int call, int fd, const char *path)
{
    const rule *r = strike(call, fd, path);
    return r ? r->error : 0;
}

/* ---- calls that fail or do all of their work ---- */

#define NEXT(type, name, params) \
    static type(*next) params;   \
    if (!next)                   \
        next = (type(*) params)dlsym(RTLD_NEXT, #name);

#define WRAP(type, name, failed, call, fd, path, params, args) \
    type name params;                                          \
    type name params                                           \
    {                                                          \
        NEXT(type, name, params)                               \
        int error = fault(CALL_##call, fd, path);              \
        if (error) {                                           \
            errno = error;                                     \
            return failed;                                     \
        }                                                      \
        return next args;                                      \
    }

WRAP(int, fsync, -1, fsync, fd, NULL, (int fd), (fd))
WRAP(int, fdatasync, -1, fdatasync, fd, NULL, (int fd), (fd))
WRAP(int, ftruncate, -1, ftruncate, fd, NULL, (int fd, off_t len), (fd, len))
WRAP(int, ftruncate64, -1, ftruncate, fd, NULL, (int fd, off_t len), (fd, len))
WRAP(int, rename, -1, rename, FD_NONE, to, (const char *from, const char *to), (from, to))
WRAP(int, renameat, -1, rename, FD_NONE, to, (int a, const char *from, int b, const char *to),
     (a, from, b, to))
WRAP(int, renameat2, -1, rename, FD_NONE, to,
     (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
WRAP(int, unlink, -1, unlink, FD_NONE, path, (const char *path), (path))
WRAP(int, unlinkat, -1, unlink, FD_NONE, path, (int at, const char *path, int flags),
     (at, path, flags))
WRAP(int, mkdirat, -1, mkdir, FD_NONE, path, (int at, const char *path, mode_t mode),
     (at, path, mode))
WRAP(ssize_t, getdents64, -1, getdents, fd, NULL, (int fd, void *to, size_t size), (fd, to, size))
WRAP(int, pipe2, -1, pipe, FD_NONE, NULL, (int fds[2], int flags), (fds, flags))
WRAP(int, socket, -1, socket, FD_NONE, NULL, (int domain, int type, int protocol),
     (domain, type, protocol))
WRAP(int, accept4, -1, accept, fd, NULL,
     (int fd, struct sockaddr *address, socklen_t *len, int flags), (fd, address, len, flags))
WRAP(int, connect, -1, connect, fd, NULL, (int fd, const struct sockaddr *to, socklen_t len),
     (fd, to, len))
WRAP(int, epoll_create1, -1, epoll_create, FD_NONE, NULL, (int flags), (flags))
WRAP(int, epoll_ctl, -1, epoll_ctl, fd, NULL, (int epoll, int op, int fd, struct epoll_event *e),
     (epoll, op, fd, e))
WRAP(int, epoll_wait, -1, epoll_wait, fd, NULL, (int fd, struct epoll_event *e, int n, int ms),
     (fd, e, n, ms))
WRAP(int, epoll_pwait2, -1, epoll_wait, fd, NULL,
     (int fd, struct epoll_event *e, int n, const struct timespec *span, const sigset_t *set),
     (fd, e, n, span, set))
WRAP(int, eventfd, -1, eventfd, FD_NONE, NULL, (unsigned value, int flags), (value, flags))
WRAP(int, posix_spawn, error, spawn, FD_NONE, path,
     (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
      const posix_spawnattr_t *attr, char *const *argv, char *const *envp),
     (pid, path, actions, attr, argv, envp))
WRAP(int, posix_spawnp, error, spawn, FD_NONE, file,
     (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,
      const posix_spawnattr_t *attr, char *const *argv, char *const *envp),
     (pid, file, actions, attr, argv, envp))
WRAP(int, pthread_create, error, thread, FD_NONE, NULL,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
     (thread, attr, fn, arg))
WRAP(void *, mmap, MAP_FAILED, mmap, fd, NULL,
     (void *at, size_t len, int prot, int flags, int fd, off_t offset),
     (at, len, prot, flags, fd, offset))
WRAP(void *, mmap64, MAP_FAILED, mmap, fd, NULL,
     (void *at, size_t len, int prot, int flags, int fd, off_t offset),
     (at, len, prot, flags, fd, offset))

/* As the kernel does it: the descriptor is closed whatever it returns. */
int close(int fd)
{
    NEXT(int, close, (int))
    int error = fault(CALL_close, fd, NULL);
    int result = next(fd);
    if (!error)
        return result;
    errno = error;
    return -1;
}

/* ---- calls that may do a part ---- */

#define WRAP_COUNT(name, call, params, args)           \
    ssize_t name params;                               \
    ssize_t name params                                \
    {                                                  \
        NEXT(ssize_t, name, params)                    \
        const rule *r = strike(CALL_##call, fd, NULL); \
        if (r && r->error) {                           \
            errno = r->error;                          \
            return -1;                                 \
        }                                              \
        if (r && size > (size_t)r->amount)             \
            size = (size_t)r->amount;                  \
        return next args;                              \
    }

WRAP_COUNT(read, read, (int fd, void *to, size_t size), (fd, to, size))
WRAP_COUNT(__read_chk, read, (int fd, void *to, size_t size, size_t room), (fd, to, size, room))
WRAP_COUNT(pread, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
WRAP_COUNT(pread64, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
WRAP_COUNT(__pread64_chk, pread, (int fd, void *to, size_t size, off_t at, size_t room),
           (fd, to, size, at, room))
WRAP_COUNT(write, write, (int fd, const void *from, size_t size), (fd, from, size))
WRAP_COUNT(pwrite, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
WRAP_COUNT(pwrite64, pwrite, (int fd, const void *from, size_t size, off_t at),
           (fd, from, size, at))
WRAP_COUNT(send, send, (int fd, const void *from, size_t size, int flags), (fd, from, size, flags))
WRAP_COUNT(recv, recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags))

ssize_t writev(int fd, const struct iovec *pieces, int n)
{
    NEXT(ssize_t, writev, (int, const struct iovec *, int))
    const rule *r = strike(CALL_writev, fd, NULL);
    if (r && r->error) {
        errno = r->error;
        return -1;
    }
    return next(fd, pieces, r && n > 1 ? 1 : n);
}

/* ---- calls with arguments that may be left out ---- */

#define WRAP_OPEN(name, params, last, path, args)    \
    int name params;                                 \
    int name params                                  \
    {                                                \
        NEXT(int, name, params)                      \
        mode_t mode = 0;                             \
        va_list ap;                                  \
        va_start(ap, last);                          \
        if (last & (O_CREAT | O_TMPFILE))            \
            mode = va_arg(ap, mode_t);               \
        va_end(ap);                                  \
        int error = fault(CALL_open, FD_NONE, path); \
        if (error) {                                 \
            errno = error;                           \
            return -1;                               \
        }                                            \
        return next args;                            \
    }

WRAP_OPEN(open, (const char *path, int flags, ...), flags, path, (path, flags, mode))
WRAP_OPEN(open64, (const char *path, int flags, ...), flags, path, (path, flags, mode))
WRAP_OPEN(openat, (int at, const char *path, int flags, ...), flags, path, (at, path, flags, mode))
WRAP_OPEN(openat64, (int at, const char *path, int flags, ...), flags, path,
          (at, path, flags, mode))
WRAP(int, __open64_2, -1, open, FD_NONE, path, (const char *path, int flags), (path, flags))
WRAP(int, __openat64_2, -1, open, FD_NONE, path, (int at, const char *path, int flags),
     (at, path, flags))

#define WRAP_FCNTL(name)                                         \
    int name(int fd, int what, ...)                              \
    {                                                            \
        NEXT(int, name, (int, int, ...))                         \
        va_list ap;                                              \
        va_start(ap, what);                                      \
        void *arg = va_arg(ap, void *);                          \
        va_end(ap);                                              \
        bool makes = what == F_DUPFD || what == F_DUPFD_CLOEXEC; \
        int error = makes ? fault(CALL_dup, fd, NULL) : 0;       \
        if (error) {                                             \
            errno = error;                                       \
            return -1;                                           \
        }                                                        \
        return next(fd, what, arg);                              \
    }
WRAP_FCNTL(fcntl)
int fcntl64(int fd, int what, ...);
WRAP_FCNTL(fcntl64)

static int64_t clock_offset(int call, bool counts);

long syscall(long number, ...)
{
    NEXT(long, syscall, (long, ...))
    long a[6];
    va_list ap;
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    int error = number == SYS_openat2      ? fault(CALL_open, FD_NONE, (const char *)a[1])
                : number == SYS_pidfd_open ? fault(CALL_pidfd_open, FD_NONE, NULL)
                                           : 0;
    if (error) {
        errno = error;
        return -1;
    }
    struct timespec until;
    if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && a[3]) {
        until = *(const struct timespec *)a[3];
        until.tv_sec -= clock_offset(CALL_monotonic, false);
        a[3] = (long)&until;
    }
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- memory: by names of libc's own, since dlsym allocates ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool no_memory(void)
{
    if (!fault(CALL_malloc, FD_NONE, NULL))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return no_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return no_memory() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return no_memory() ? NULL : __libc_realloc(old, size);
}

/* ---- clocks ---- */

/* By how many seconds the clock is off now. */
static int64_t clock_offset(int call, bool counts)
{
    if (counts) {
        const rule *r = strike(call, FD_NONE, NULL);
        return r ? r->amount : 0;
    }
    for (int i = 0; i < rules_len; i++)
        if ((rules[i].calls >> call & 1) && atomic_load(&states[i].armed))
            return rules[i].amount;
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    NEXT(int, clock_gettime, (clockid_t, struct timespec *))
    bool real = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    bool monotonic = clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
                     clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME;
    int result = next(clock, now);
    if (result == 0 && (real || monotonic))
        now->tv_sec += clock_offset(real ? CALL_realtime : CALL_monotonic, true);
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    NEXT(int, gettimeofday, (struct timeval *, void *))
    int result = next(now, zone);
    now->tv_sec += clock_offset(CALL_realtime, true);
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* The kernel does not know of the leap. What is large is a time of day. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    typedef int wait_fn(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    static wait_fn *wait;
    if (!wait)
        wait = (wait_fn *)dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    struct timespec at = *until;
    int64_t real = at.tv_sec - clock_offset(CALL_realtime, false);
    bool monotonic = real < 1000000000;
    at.tv_sec = monotonic ? at.tv_sec - clock_offset(CALL_monotonic, false) : real;
    return wait(cond, mutex, monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, &at);
}
