/*
 * guard.c: see guard.h. Its invariant: a process is named in the table only while it is not reaped,
 * so at the program's end the number means that process, its group, or nobody; who got the number
 * afterwards began later than the table says.
 */
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "module.h"
#include "spawned.h"

#define VARIABLE "WEIR_GUARD"
#define NAME "command-guard" /* without "weir", by which somebody may kill all processes */

enum {
    TABLE = 3,     /* the descriptor in the guard */
    SEARCHES = 20, /* for a process that was just being started, */
};
#define PAUSE (10 * WI_MILLISECOND) /* so long apart */

/* Free: both 0. Being started: `output` alone. */
typedef struct place {
    _Atomic uint64_t output; /* the pipe's inode */
    _Atomic int64_t started; /* or a little later; of CLOCK_BOOTTIME */
    atomic_int leader;
} place;

/* Shared with the guard. */
typedef struct table {
    uint64_t token; /* the variable's value: it is this table that is meant */
    int64_t grace;
    pid_t program;
    size_t most;
    place places[];
} table;

struct wi_guard {
    size_t most;
    int64_t grace;

    pthread_mutex_t lock; /* all below */
    bool tried;
    table *table; /* NULL: there is no guard (yet) */
    size_t size;
    wi_spawned process;
    size_t used; /* places ever given away */
    size_t unused_len;
    int *unused; /* of those, the ones that came back */
};

static int64_t boottime(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * WI_SECOND + now.tv_nsec;
}

/* ---- the program's side ---- */

weir_status wi_guard_new(size_t most, int64_t grace, wi_guard **out, weir_error *err)
{
    wi_guard *guard = calloc(1, sizeof *guard);
    int *unused = calloc(most ? most : 1, sizeof *unused);
    if (!guard || !unused) {
        free(guard);
        free(unused);
        return wi_fail_nomem(err);
    }
    *guard = (wi_guard){.most = most, .grace = grace, .unused = unused, .process.pidfd = -1};
    pthread_mutex_init(&guard->lock, NULL);
    *out = guard;
    return WEIR_OK;
}

/* The program's environment and the variable. */
static const char **environment_with(const char *entry)
{
    size_t n = 0;
    while (environ[n])
        n++;
    const char **env = calloc(n + 2, sizeof *env);
    if (!env)
        return NULL;
    env[0] = entry;
    memcpy(env + 1, environ, n * sizeof *env);
    return env;
}

static bool spawn(wi_guard *guard, int fd)
{
    char entry[64];
    snprintf(entry, sizeof entry, VARIABLE "=%016" PRIx64, guard->table->token);
    const char **env = environment_with(entry);
    if (!env)
        return false;
    const char *argv[] = {NAME, NULL};
    const int fds[] = {WI_SPAWN_NULL, WI_SPAWN_NULL, WI_SPAWN_NULL, fd};
    wi_spawn_options options = {.path = "/proc/self/exe",
                                .argv = argv,
                                .env = env,
                                .cwd = "/",
                                .fds = fds,
                                .n_fds = TABLE + 1,
                                .own_group = true}; /* out of reach of the terminal's Ctrl-C */
    bool started = wi_spawn(&options, &guard->process, NULL) == WEIR_OK;
    free(env);
    return started;
}

static table *make_table(const wi_guard *guard, int fd, size_t size)
{
    uint64_t token;
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0 ||
        getrandom(&token, sizeof token, 0) != sizeof token)
        return NULL;
    table *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (made == MAP_FAILED)
        return NULL;
    made->token = token;
    made->grace = guard->grace;
    made->program = getpid();
    made->most = guard->most;
    return made;
}

static void become_guard(void);

/* What fails here leaves the program without a guard. */
static void start(wi_guard *guard)
{
    if (getauxval(AT_SECURE) || !wi_module_is_early((void *)become_guard))
        return;
    int fd = memfd_create("weir-guard", MFD_CLOEXEC);
    guard->size = sizeof(table) + guard->most * sizeof(place);
    guard->table = make_table(guard, fd, guard->size);
    if (guard->table && !spawn(guard, fd)) {
        munmap(guard->table, guard->size);
        guard->table = NULL;
    }
    if (fd >= 0)
        close(fd);
}

int wi_guard_enter(wi_guard *guard, int output)
{
    struct stat st;
    int at = -1;
    if (!guard || fstat(output, &st) != 0)
        return -1;
    pthread_mutex_lock(&guard->lock);
    if (!guard->tried)
        start(guard);
    guard->tried = true;
    if (guard->table && guard->unused_len)
        at = guard->unused[--guard->unused_len];
    else if (guard->table && guard->used < guard->most)
        at = (int)guard->used++;
    pthread_mutex_unlock(&guard->lock);
    if (at >= 0)
        atomic_store(&guard->table->places[at].output, st.st_ino);
    return at;
}

void wi_guard_set(wi_guard *guard, int at, pid_t leader)
{
    if (at < 0)
        return;
    atomic_store(&guard->table->places[at].started, boottime());
    atomic_store(&guard->table->places[at].leader, leader);
}

void wi_guard_leave(wi_guard *guard, int at)
{
    if (at < 0)
        return;
    atomic_store(&guard->table->places[at].output, 0);
    atomic_store(&guard->table->places[at].leader, 0);
    pthread_mutex_lock(&guard->lock);
    guard->unused[guard->unused_len++] = at;
    pthread_mutex_unlock(&guard->lock);
}

void wi_guard_free(wi_guard *guard)
{
    if (!guard)
        return;
    if (guard->table) {
        wi_exit how;
        wi_spawn_kill(&guard->process, SIGKILL, false);
        wi_spawn_reap(&guard->process, true, &how);
        for (size_t i = 0; i < guard->used; i++)
            if (guard->table->places[i].leader)
                kill(-guard->table->places[i].leader, SIGKILL);
        munmap(guard->table, guard->size);
    }
    pthread_mutex_destroy(&guard->lock);
    free(guard->unused);
    free(guard);
}

/* ---- the guard's side ---- */

/* Of proc_pid_stat(5). */
typedef struct facts {
    pid_t group;
    uint64_t started; /* clock ticks, of CLOCK_BOOTTIME */
} facts;

static bool look(pid_t pid, facts *out)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(text, 1, sizeof text - 1, in) : 0;
    if (in)
        fclose(in);
    text[n] = '\0';
    const char *rest = strrchr(text, ')'); /* the name before it may hold anything */
    return rest && sscanf(rest,
                          ") %*c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                          "%*d %*d %" SCNu64,
                          &out->group, &out->started) == 2;
}

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL);
}

/* Is the number still what the table says? The leader may have ended, but while its group has
 * members no other process gets its number. A program may have spoilt the table before it ended,
 * and 1 would stand for everybody. */
static bool is_meant(const place *p)
{
    facts f;
    int64_t tick = WI_SECOND / sysconf(_SC_CLK_TCK);
    return p->leader > 1 && (!look(p->leader, &f) || f.started <= (uint64_t)(p->started / tick));
}

static void end_all(const table *t, int signal)
{
    for (size_t i = 0; i < t->most; i++)
        if (is_meant(&t->places[i]))
            kill(-t->places[i].leader, signal);
}

static bool all_ended(const table *t)
{
    for (size_t i = 0; i < t->most; i++)
        if (is_meant(&t->places[i]) && kill(-t->places[i].leader, 0) == 0)
            return false;
    return true;
}

/* The inode of the pipe that is the process's standard output; 0: it is none. */
static uint64_t output_of(pid_t pid)
{
    char path[64];
    char target[64];
    uint64_t inode;
    snprintf(path, sizeof path, "/proc/%d/fd/1", pid);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    return sscanf(target, "pipe:[%" SCNu64 "]", &inode) == 1 ? inode : 0;
}

/* A new process has a group of its own before it has its standard output (spawned.c). */
static void enter_if_being_started(table *t, pid_t pid)
{
    facts f;
    uint64_t output = output_of(pid);
    if (!output || !look(pid, &f) || f.group != pid)
        return;
    for (size_t i = 0; i < t->most; i++) {
        place *p = &t->places[i];
        if (p->leader || p->output != output)
            continue;
        p->started = boottime();
        p->leader = pid;
    }
}

static bool any_being_started(const table *t)
{
    for (size_t i = 0; i < t->most; i++)
        if (t->places[i].output && !t->places[i].leader)
            return true;
    return false;
}

/* Finds those that the program had no more time to enter. */
static void search(table *t)
{
    for (int i = 0; i < SEARCHES && any_being_started(t); i++) {
        DIR *processes = opendir("/proc");
        const struct dirent *entry;
        while (processes && (entry = readdir(processes)))
            if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name))
                enter_if_being_started(t, (pid_t)strtol(entry->d_name, NULL, 10));
        if (processes)
            closedir(processes);
        pause_shortly();
    }
}

/* Until the program, which is the parent, has ended. */
static void await_end(pid_t program)
{
    int fd = (int)syscall(SYS_pidfd_open, program, 0);
    if (getppid() != program)
        return;
    if (fd < 0)
        _exit(1);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    while (poll(&end, 1, -1) < 1)
        continue;
}

static _Noreturn void stand_guard(table *t)
{
    prctl(PR_SET_NAME, NAME);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
    await_end(t->program);
    search(t);
    if (t->grace > 0) {
        end_all(t, SIGTERM);
        int64_t until = boottime() + t->grace;
        while (!all_ended(t) && boottime() < until)
            pause_shortly();
    }
    end_all(t, SIGKILL);
    _exit(0);
}

/* The table, if it is the one that the variable means. */
static table *find_table(const char *value)
{
    struct stat st;
    if (fstat(TABLE, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(table))
        return NULL;
    table *t = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, TABLE, 0);
    if (t == MAP_FAILED)
        return NULL;
    bool meant = t->token == strtoull(value, NULL, 16) &&
                 t->most <= ((size_t)st.st_size - sizeof(table)) / sizeof(place);
    if (!meant)
        munmap(t, (size_t)st.st_size);
    return meant ? t : NULL;
}

__attribute__((constructor)) static void become_guard(void)
{
    const char *value = secure_getenv(VARIABLE);
    table *t = value ? find_table(value) : NULL;
    if (t)
        stand_guard(t);
}
