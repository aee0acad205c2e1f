/*
 * spawned.c: see spawned.h. Its invariant: a process that was started is either handed out with its
 * pidfd or has been killed and reaped before the call returns.
 */
#include "spawned.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* The descriptors in the parent that the child's are made from. */
typedef struct sources {
    int fds[WI_SPAWN_FDS_MAX];
    int copies[WI_SPAWN_FDS_MAX]; /* to be closed again; -1: none */
    int n;
} sources;

/* Else the program has closed it, or something of its own has the number now. The child must not
 * get it for something of its own. */
static bool crosses(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && !(flags & FD_CLOEXEC);
}

/*
 * A source that has the number of one of the child's would be overwritten before it is used, so it
 * is taken out of their way first.
 */
static int sources_init(sources *from, const wi_spawn_options *options)
{
    from->n = options->n_fds < 3 ? 3 : (int)options->n_fds;
    for (int i = 0; i < from->n; i++) {
        from->fds[i] = i < (int)options->n_fds ? options->fds[i] : WI_SPAWN_NULL;
        if (from->fds[i] == WI_SPAWN_INHERIT && !crosses(i))
            from->fds[i] = WI_SPAWN_NULL;
        from->copies[i] = -1;
    }
    for (int i = 0; i < from->n; i++) {
        if (from->fds[i] < 0 || from->fds[i] >= from->n)
            continue;
        int copy = fcntl(from->fds[i], F_DUPFD_CLOEXEC, from->n);
        if (copy < 0)
            return errno;
        from->fds[i] = from->copies[i] = copy;
    }
    return 0;
}

static void sources_fini(sources *from)
{
    for (int i = 0; i < from->n; i++)
        if (from->copies[i] >= 0)
            close(from->copies[i]);
}

static int add_actions(posix_spawn_file_actions_t *actions, const sources *from,
                       const wi_spawn_options *options)
{
    int failed = 0;
    for (int i = 0; i < from->n && !failed; i++) {
        if (from->fds[i] == WI_SPAWN_NULL)
            failed = posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0);
        else if (from->fds[i] >= 0)
            failed = posix_spawn_file_actions_adddup2(actions, from->fds[i], i);
    }
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(actions, from->n);
    if (!failed && options->cwd)
        failed = posix_spawn_file_actions_addchdir_np(actions, options->cwd);
    return failed;
}

static int set_attributes(posix_spawnattr_t *attributes, const wi_spawn_options *options)
{
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (options->own_group)
        flags |= POSIX_SPAWN_SETPGROUP;
    int failed = posix_spawnattr_setsigmask(attributes, &none);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(attributes, &all);
    if (!failed)
        failed = posix_spawnattr_setpgroup(attributes, 0);
    return failed ? failed : posix_spawnattr_setflags(attributes, flags);
}

static int start(const wi_spawn_options *options, const sources *from, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    failed = add_actions(&actions, from, options);
    if (!failed)
        failed = set_attributes(&attributes, options);
    char *const *argv = (char *const *)options->argv;
    char *const *env = options->env ? (char *const *)options->env : environ;
    if (!failed && options->path)
        failed = posix_spawn(pid, options->path, &actions, &attributes, argv, env);
    else if (!failed)
        failed = posix_spawnp(pid, argv[0], &actions, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static weir_status describe(const wi_spawn_options *options, int failed, weir_error *err)
{
    if (options->cwd && access(options->cwd, X_OK) != 0)
        return wi_fail_errno(err, errno, "cannot start %s in the directory %s", options->argv[0],
                             options->cwd);
    return wi_fail_errno(err, failed, "cannot start %s", options->argv[0]);
}

weir_status wi_spawn(const wi_spawn_options *options, wi_spawned *out, weir_error *err)
{
    sources from;
    pid_t pid = 0;
    int failed = sources_init(&from, options);
    if (!failed)
        failed = start(options, &from, &pid);
    sources_fini(&from);
    if (failed)
        return describe(options, failed, err);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        failed = errno;
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        return wi_fail_errno(err, failed, "cannot watch the process of %s", options->argv[0]);
    }
    *out = (wi_spawned){.pid = pid, .pidfd = pidfd};
    return WEIR_OK;
}

bool wi_spawn_reap(wi_spawned *spawned, bool wait, wi_exit *how)
{
    siginfo_t info = {0};
    int got;
    do {
        got = waitid(P_PIDFD, (id_t)spawned->pidfd, &info, WEXITED | (wait ? 0 : WNOHANG));
    } while (got < 0 && errno == EINTR);
    if (got == 0 && info.si_pid == 0)
        return false;
    *how = (wi_exit){.code = -1};
    if (got == 0 && info.si_code == CLD_EXITED)
        how->code = info.si_status;
    else if (got == 0)
        how->signal = info.si_status;
    close(spawned->pidfd);
    spawned->pidfd = -1;
    return true;
}

bool wi_spawn_is_lost(const wi_spawned *spawned)
{
    siginfo_t info = {0};
    return waitid(P_PIDFD, (id_t)spawned->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) != 0 &&
           errno == ECHILD;
}

void wi_spawn_kill(const wi_spawned *spawned, int signal, bool group)
{
    if (group)
        kill(-spawned->pid, signal);
    else
        syscall(SYS_pidfd_send_signal, spawned->pidfd, signal, NULL, 0);
}

void wi_exit_text(wi_exit how, char *text, size_t size)
{
    if (how.signal) {
        const char *name = sigabbrev_np(how.signal);
        const char *meaning = sigdescr_np(how.signal);
        if (name && meaning)
            snprintf(text, size, "was killed by SIG%s (%s)", name, meaning);
        else
            snprintf(text, size, "was killed by signal %d", how.signal);
    } else if (how.code >= 0) {
        snprintf(text, size, "exited with code %d", how.code);
    } else {
        snprintf(text, size, "ended");
    }
}
