/* guard_test.c: a program that is killed, and what becomes of its commands. */
#include "guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "folder.h"
#include "test.h"
#include "torture.h"

static const char *const sleeper[] = {"sleep", "1000", NULL};

/* What was orphaned here is this process's to reap, so it can wait for its end. */
static void adopt_orphans(void)
{
    EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

/* How a process ended that the killed program, or the guard after it, left to us. */
static int end_of(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        if ((errno != EINTR && errno != ECHILD) || kill(pid, 0) != 0)
            return -1;
    return status;
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
}

typedef struct program {
    const char *const *argv;
    int64_t grace;
    size_t commands;
} program;

/* Starts commands, says which processes they are, and waits for its end. */
static _Noreturn void run_program(const program *p, int tell)
{
    static wi_child children[16];
    wi_guard *guard = NULL;
    if (wi_guard_new(p->commands, p->grace, &guard, NULL) != WEIR_OK)
        _exit(1);
    wi_child_options options = {.spawn.argv = p->argv, .max_output = 1000, .guard = guard};
    for (size_t i = 0; i < p->commands; i++) {
        if (wi_child_start(&children[i], &options, NULL) != WEIR_OK)
            _exit(1);
        pid_t pid = children[i].process.pid;
        if (write(tell, &pid, sizeof pid) != sizeof pid)
            _exit(1);
    }
    for (;;)
        pause();
}

/* Has it run, kills it, and fills in its commands. */
static void kill_program(const program *p, pid_t *commands, const char *until)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0)
        run_program(p, ends[1]);
    close(ends[1]);
    for (size_t i = 0; i < p->commands; i++)
        EXPECT(read(ends[0], &commands[i], sizeof commands[i]) == sizeof commands[i]);
    while (until && access(until, F_OK) != 0)
        poll(NULL, 0, 1);
    kill(pid, SIGKILL);
    EXPECT(waitpid(pid, NULL, 0) == pid);
    close(ends[0]);
}

TEST(commands_end_with_a_program_that_is_killed)
{
    pid_t commands[16] = {0};
    adopt_orphans();
    kill_program(&(program){.argv = sleeper, .grace = 50 * WI_SECOND, .commands = 16}, commands,
                 NULL);
    for (size_t i = 0; i < 16; i++) {
        int status = end_of(commands[i]);
        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    }
    reap_all();
}

/* $1 is made when the trap is set. */
static const char *const stubborn[] = {"sh", "-c",
                                       "trap '' TERM; >up; while :; do sleep 0.01; done", NULL};

TEST(who_ignores_term_is_killed)
{
    pid_t command = 0;
    adopt_orphans();
    REQUIRE(folder_begin());
    char *before = getcwd(NULL, 0);
    EXPECT(chdir(test_folder) == 0);
    kill_program(&(program){.argv = stubborn, .grace = 20 * WI_MILLISECOND, .commands = 1},
                 &command, in_folder("up"));
    int status = end_of(command);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    reap_all();
    EXPECT(chdir(before) == 0);
    free(before);
    folder_end();
}

/* The whole group, even if its leader is gone: only then, and as our child, which no dying shell
 * can reap in our place, the other one says that it is there. */
static const char *const parents[] = {
    "sh", "-c",
    "{ while read -r me _ _ parent _ </proc/self/stat && [ \"$parent\" = $$ ]; do sleep 0.01; done;"
    " echo $me >pid; mv pid up; exec sleep 1000; } & exec >/dev/null 2>&1; exit",
    NULL};

TEST(the_whole_group_ends)
{
    pid_t command = 0;
    adopt_orphans();
    REQUIRE(folder_begin());
    char *before = getcwd(NULL, 0);
    EXPECT(chdir(test_folder) == 0);
    kill_program(&(program){.argv = parents, .grace = 0, .commands = 1}, &command, in_folder("up"));
    char text[32] = "";
    int fd = open("up", O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    int status = end_of((pid_t)strtol(text, NULL, 10));
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    reap_all();
    EXPECT(chdir(before) == 0);
    free(before);
    folder_end();
}

/* Entered, started, and the program is killed before it can say which process it is. */
static _Noreturn void be_interrupted(int tell)
{
    wi_guard *guard = NULL;
    int output[2];
    wi_spawned process;
    if (wi_guard_new(1, 0, &guard, NULL) != WEIR_OK || pipe2(output, O_CLOEXEC) != 0)
        _exit(1);
    const int fds[] = {WI_SPAWN_NULL, output[1], WI_SPAWN_NULL};
    wi_spawn_options options = {.argv = sleeper, .fds = fds, .n_fds = 3, .own_group = true};
    if (wi_guard_enter(guard, output[0]) != 0 || wi_spawn(&options, &process, NULL) != WEIR_OK ||
        write(tell, &process.pid, sizeof process.pid) != sizeof process.pid)
        _exit(1);
    for (;;)
        pause();
}

TEST(a_command_that_was_just_being_started_is_found)
{
    int ends[2];
    pid_t command = 0;
    adopt_orphans();
    REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0)
        be_interrupted(ends[1]);
    EXPECT(read(ends[0], &command, sizeof command) == sizeof command);
    kill(pid, SIGKILL);
    EXPECT(waitpid(pid, NULL, 0) == pid);
    int status = end_of(command);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    reap_all();
    close(ends[0]);
    close(ends[1]);
}

/* ---- without an accident ---- */

static bool is_running(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static wi_spawned start_sleeper(wi_guard *guard, int *place)
{
    wi_spawned process = {.pidfd = -1};
    int output[2];
    EXPECT(pipe2(output, O_CLOEXEC) == 0);
    *place = wi_guard_enter(guard, output[0]);
    wi_spawn_options options = {.argv = sleeper, .own_group = true};
    EXPECT_INT(wi_spawn(&options, &process, NULL), WEIR_OK);
    wi_guard_set(guard, *place, process.pid);
    close(output[0]);
    close(output[1]);
    return process;
}

TEST(who_left_is_left_alone_and_who_did_not_is_ended)
{
    wi_guard *guard = NULL;
    wi_exit how;
    int places[2];
    REQUIRE(wi_guard_new(2, WI_SECOND, &guard, NULL) == WEIR_OK);
    wi_spawned left = start_sleeper(guard, &places[0]);
    wi_spawned stayed = start_sleeper(guard, &places[1]);
    EXPECT(places[0] >= 0 && places[1] >= 0 && places[0] != places[1]);
    int none;
    wi_spawned third = start_sleeper(guard, &none); /* there are no more places */
    EXPECT_INT(none, -1);
    wi_guard_leave(guard, none);
    wi_guard_leave(guard, places[0]);
    wi_guard_free(guard);
    EXPECT(wi_spawn_reap(&stayed, true, &how));
    EXPECT_INT(how.signal, SIGKILL);
    EXPECT(is_running(left.pid) && is_running(third.pid));
    wi_spawn_kill(&left, SIGKILL, true);
    wi_spawn_kill(&third, SIGKILL, true);
    EXPECT(wi_spawn_reap(&left, true, &how) && wi_spawn_reap(&third, true, &how));
    EXPECT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); /* the guard is gone, too */
}

TEST(places_are_used_again)
{
    wi_guard *guard = NULL;
    int output[2];
    REQUIRE(pipe2(output, O_CLOEXEC) == 0);
    REQUIRE(wi_guard_new(2, 0, &guard, NULL) == WEIR_OK);
    for (int i = 0; i < 100; i++) {
        int a = wi_guard_enter(guard, output[0]);
        int b = wi_guard_enter(guard, output[0]);
        EXPECT(a >= 0 && b >= 0 && a != b);
        EXPECT_INT(wi_guard_enter(guard, output[0]), -1);
        wi_guard_leave(guard, i % 2 ? a : b);
        wi_guard_leave(guard, i % 2 ? b : a);
    }
    wi_guard_free(guard);
    EXPECT_INT(wi_guard_enter(NULL, output[0]), -1);
    wi_guard_free(NULL);
    close(output[0]);
    close(output[1]);
}

/* A program that finds the variable by mistake goes on as if it were not there. */
TEST(a_variable_that_means_nothing_makes_no_guard)
{
    const char *argv[] = {"guard_test", "places_are_used_again", NULL};
    const char *env[] = {"WEIR_GUARD=1234", NULL};
    wi_spawned process;
    wi_exit how;
    wi_spawn_options options = {.path = "/proc/self/exe", .argv = argv, .env = env};
    REQUIRE(wi_spawn(&options, &process, NULL) == WEIR_OK);
    EXPECT(wi_spawn_reap(&process, true, &how));
    EXPECT_INT(how.code, 0);
}

static weir_status enter_and_leave(void)
{
    wi_guard *guard = NULL;
    int output[2];
    if (pipe2(output, O_CLOEXEC) != 0)
        return WEIR_IO;
    weir_status status = wi_guard_new(4, 0, &guard, NULL);
    if (status == WEIR_OK)
        wi_guard_leave(guard, wi_guard_enter(guard, output[0]));
    wi_guard_free(guard);
    close(output[0]);
    close(output[1]);
    return status;
}

TEST(guarding_survives_lack_of_memory)
{
    TORTURE(enter_and_leave());
}

TESTS(CASE(commands_end_with_a_program_that_is_killed), CASE(who_ignores_term_is_killed),
      CASE(the_whole_group_ends), CASE(a_command_that_was_just_being_started_is_found),
      CASE(who_left_is_left_alone_and_who_did_not_is_ended), CASE(places_are_used_again),
      CASE(a_variable_that_means_nothing_makes_no_guard), CASE(guarding_survives_lack_of_memory))
