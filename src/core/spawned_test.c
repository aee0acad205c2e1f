/* spawned_test.c: what a started process has and has not, and how its end is told. */
#include "spawned.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

/* Reads all that comes until the end. */
static size_t drain(int fd, char *text, size_t size)
{
    size_t len = 0;
    while (len < size - 1) {
        ssize_t n = read(fd, text + len, size - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = 0;
    return len;
}

typedef struct output {
    char text[4096];
    wi_exit how;
} output;

/* Runs a command whose descriptor `number` is a pipe that is read to its end. */
static weir_status run(const char *const *argv, const char *cwd, int number, output *out,
                       weir_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return wi_fail_errno(err, errno, "pipe");
    int fds[8];
    for (int i = 0; i < 8; i++)
        fds[i] = i < 3 ? WI_SPAWN_NULL : WI_SPAWN_INHERIT;
    fds[number] = ends[1];
    wi_spawned child;
    wi_spawn_options options = {.argv = argv, .cwd = cwd, .fds = fds, .n_fds = (size_t)number + 1};
    weir_status status = wi_spawn(&options, &child, err);
    close(ends[1]);
    if (status == WEIR_OK) {
        drain(ends[0], out->text, sizeof out->text);
        wi_spawn_reap(&child, true, &out->how);
    }
    close(ends[0]);
    return status;
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

TEST(output_and_code_come_back)
{
    output out = {0};
    const char *argv[] = {"sh", "-c", "echo hello; exit 7", NULL};
    REQUIRE(run(argv, NULL, 1, &out, NULL) == WEIR_OK);
    EXPECT_STR(out.text, "hello\n");
    EXPECT_INT(out.how.code, 7);
    EXPECT_INT(out.how.signal, 0);
}

TEST(no_other_descriptor_crosses)
{
    int stray = open("/dev/null", O_RDONLY); /* not close-on-exec, on purpose */
    int before = count_fds();
    output out = {0};
    /* The shell's own glob opens a directory, which shows as one more; so ls is executed. */
    const char *argv[] = {"sh", "-c", "exec ls /proc/self/fd", NULL};
    REQUIRE(run(argv, NULL, 1, &out, NULL) == WEIR_OK);
    EXPECT_STR(out.text, "0\n1\n2\n3\n"); /* 3: the directory that ls reads */
    EXPECT_INT(count_fds(), before);
    close(stray);
}

TEST(fixed_numbers_above_two)
{
    output out = {0};
    const char *argv[] = {"sh", "-c", "echo out; echo five >&5", NULL};
    REQUIRE(run(argv, NULL, 5, &out, NULL) == WEIR_OK);
    EXPECT_STR(out.text, "five\n");
}

/* The child's first own descriptor must not get that number. */
TEST(what_is_not_there_to_inherit_is_null)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    fflush(stdout);
    int save1 = fcntl(1, F_DUPFD_CLOEXEC, 10);
    const char *argv[] = {"sh", "-c", "d=$(readlink /proc/$$/fd/1); echo $d >&2", NULL};
    int fds[] = {WI_SPAWN_NULL, WI_SPAWN_INHERIT, ends[1]};
    wi_spawn_options options = {.argv = argv, .fds = fds, .n_fds = 3};
    wi_exit how;
    wi_spawned child;
    dup3(ends[0], 1, O_CLOEXEC); /* the program's own; it has closed its output */
    weir_status first = wi_spawn(&options, &child, NULL);
    if (first == WEIR_OK)
        wi_spawn_reap(&child, true, &how);
    close(1);
    weir_status second = wi_spawn(&options, &child, NULL);
    if (second == WEIR_OK)
        wi_spawn_reap(&child, true, &how);
    dup2(save1, 1);
    close(save1);
    close(ends[1]);
    char text[64];
    drain(ends[0], text, sizeof text);
    close(ends[0]);
    EXPECT_INT(first, WEIR_OK);
    EXPECT_INT(second, WEIR_OK);
    EXPECT_STR(text, "/dev/null\n/dev/null\n");
}

/* The child's 0 and 1 are the parent's 1 and 0: each source has the number of another target. */
TEST(numbers_may_be_exchanged)
{
    int save0 = fcntl(0, F_DUPFD_CLOEXEC, 10);
    int save1 = fcntl(1, F_DUPFD_CLOEXEC, 10);
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    int nul = open("/dev/null", O_RDWR | O_CLOEXEC);
    fflush(stdout);
    dup2(pair[1], 0);
    dup2(nul, 1);
    const char *argv[] = {"sh", "-c", "echo to one; read x; echo $x >&3", NULL};
    int fds[] = {1, 0, WI_SPAWN_NULL, 0};
    wi_spawned child;
    weir_status status =
        wi_spawn(&(wi_spawn_options){.argv = argv, .fds = fds, .n_fds = 4}, &child, NULL);
    if (save0 >= 0)
        dup2(save0, 0);
    else
        close(0);
    dup2(save1, 1);
    close(save0);
    close(save1);
    close(nul);
    close(pair[1]);
    REQUIRE(status == WEIR_OK);
    char text[64];
    drain(pair[0], text, sizeof text);
    close(pair[0]);
    wi_exit how;
    EXPECT(wi_spawn_reap(&child, true, &how));
    EXPECT_STR(text, "to one\n\n");
}

static void nothing(int signal)
{
    (void)signal;
}

TEST(signals_are_as_by_default)
{
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, nothing);
    output out = {0};
    const char *argv[] = {"grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status", NULL};
    weir_status status = run(argv, NULL, 1, &out, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    REQUIRE(status == WEIR_OK);
    EXPECT(strstr(out.text, "SigBlk:\t0000000000000000") != NULL);
    const char *ignored = strstr(out.text, "SigIgn:\t");
    REQUIRE(ignored != NULL);
    /* The two that libc keeps to itself (32 and 33) are ignored by its own doing. */
    EXPECT_INT(strtoull(ignored + 8, NULL, 16) & ~0x180000000ULL, 0);
}

TEST(directory_and_environment)
{
    output out = {0};
    const char *pwd[] = {"pwd", NULL};
    REQUIRE(run(pwd, "/proc", 1, &out, NULL) == WEIR_OK);
    EXPECT_STR(out.text, "/proc\n");

    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const char *argv[] = {"env", NULL};
    const char *env[] = {"WEIR_TEST_COLOUR=blue", NULL};
    int fds[] = {WI_SPAWN_NULL, ends[1]};
    wi_spawned child;
    REQUIRE(wi_spawn(&(wi_spawn_options){.argv = argv, .env = env, .fds = fds, .n_fds = 2}, &child,
                     NULL) == WEIR_OK);
    close(ends[1]);
    drain(ends[0], out.text, sizeof out.text);
    close(ends[0]);
    EXPECT(wi_spawn_reap(&child, true, &out.how));
    EXPECT_STR(out.text, "WEIR_TEST_COLOUR=blue\n");
}

TEST(what_cannot_start_is_named)
{
    int before = count_fds();
    output out = {0};
    weir_error err;
    const char *missing[] = {"weir-no-such-program", NULL};
    EXPECT_INT(run(missing, NULL, 1, &out, &err), WEIR_NOTFOUND);
    EXPECT_STR(err.text, "cannot start weir-no-such-program: No such file or directory");
    EXPECT_INT(err.sys_errno, ENOENT);
    const char *folder[] = {"/proc", NULL};
    EXPECT_INT(run(folder, NULL, 1, &out, &err), WEIR_DENIED);
    const char *pwd[] = {"pwd", NULL};
    EXPECT_INT(run(pwd, "/weir-no-such-folder", 1, &out, &err), WEIR_NOTFOUND);
    EXPECT(strstr(err.text, "in the directory /weir-no-such-folder") != NULL);
    EXPECT_INT(count_fds(), before);
    EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

TEST(group_and_signal)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const char *argv[] = {"sh", "-c", "sleep 1000 & echo begun; wait", NULL};
    int fds[] = {WI_SPAWN_NULL, ends[1]};
    wi_spawned child;
    REQUIRE(wi_spawn(&(wi_spawn_options){.argv = argv, .fds = fds, .n_fds = 2, .own_group = true},
                     &child, NULL) == WEIR_OK);
    close(ends[1]);
    char text[16];
    EXPECT_INT(read(ends[0], text, sizeof text), 6);
    EXPECT_INT(getpgid(child.pid), child.pid);
    EXPECT((fcntl(child.pidfd, F_GETFD) & FD_CLOEXEC) != 0);
    wi_exit how;
    EXPECT(!wi_spawn_reap(&child, false, &how));
    wi_spawn_kill(&child, SIGKILL, true);
    EXPECT(wi_spawn_reap(&child, true, &how));
    EXPECT_INT(how.signal, SIGKILL);
    EXPECT_INT(how.code, -1);
    EXPECT_INT(read(ends[0], text, sizeof text), 0); /* the sleeping one is gone as well */
    close(ends[0]);
}

TEST(an_end_that_others_took)
{
    const char *argv[] = {"true", NULL};
    wi_spawned child;
    REQUIRE(wi_spawn(&(wi_spawn_options){.argv = argv}, &child, NULL) == WEIR_OK);
    EXPECT(waitpid(child.pid, NULL, 0) == child.pid);
    wi_exit how;
    EXPECT(wi_spawn_reap(&child, true, &how));
    EXPECT_INT(how.code, -1);
    EXPECT_INT(how.signal, 0);
}

TEST(ends_in_words)
{
    char text[64];
    wi_exit_text((wi_exit){.code = -1, .signal = SIGSEGV}, text, sizeof text);
    EXPECT_STR(text, "was killed by SIGSEGV (Segmentation fault)");
    wi_exit_text((wi_exit){.code = 3}, text, sizeof text);
    EXPECT_STR(text, "exited with code 3");
    wi_exit_text((wi_exit){.code = -1, .signal = SIGRTMIN + 1}, text, sizeof text);
    EXPECT(strncmp(text, "was killed by signal ", 21) == 0);
    wi_exit_text((wi_exit){.code = -1}, text, sizeof text);
    EXPECT_STR(text, "ended");
}

TESTS(CASE(output_and_code_come_back), CASE(no_other_descriptor_crosses),
      CASE(fixed_numbers_above_two), CASE(numbers_may_be_exchanged),
      CASE(what_is_not_there_to_inherit_is_null), CASE(signals_are_as_by_default),
      CASE(directory_and_environment), CASE(what_cannot_start_is_named), CASE(group_and_signal),
      CASE(an_end_that_others_took), CASE(ends_in_words))
