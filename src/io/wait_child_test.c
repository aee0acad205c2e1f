/* wait_child_test.c: commands that end well, badly, too late, never and with company; and that
 * nothing of them is left behind: no process, no descriptor. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder.h"
#include "places_torture.h"

typedef struct command {
    weir_child_options options;
    int exit_code;
    int signal;
    const char *out;     /* nullable */
    const char *errors;  /* nullable */
    const char *started; /* a file that it makes when it has come so far */
} command;

#define ARGV(...)         \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define RUN(...) .options = {.size = sizeof(weir_child_options), .argv = ARGV(__VA_ARGS__)}
#define SHELL(text, ...) \
    .options = {.size = sizeof(weir_child_options), .argv = ARGV("sh", "-c", text), __VA_ARGS__}

static void *run_command(void *arg, weir_error *err)
{
    command *c = arg;
    char *untouched = (char *)(uintptr_t)8;
    weir_child_result result = {.out = untouched};
    if (weir_child_run(&c->options, &result, err) != WEIR_OK) {
        EXPECT(result.out == untouched);
        return NULL;
    }
    EXPECT_INT(result.exit_code, c->exit_code);
    EXPECT_INT(result.signal, c->signal);
    EXPECT_INT(result.out[result.out_len], 0);
    EXPECT_INT(result.errors[result.errors_len], 0);
    if (c->out)
        EXPECT_MEM(result.out, result.out_len, c->out);
    if (c->errors)
        EXPECT_MEM(result.errors, result.errors_len, c->errors);
    weir_child_result_clear(&result);
    EXPECT(!result.out && !result.errors);
    return NULL;
}

static bool no_children(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* Everywhere, and what it leaves behind. The service loop stays, and is there before. */
static void run_everywhere(command *c, weir_status expected, const char *text)
{
    EXPECT_INT(place_run(PLACE_PLAIN, run_command, &(command){RUN("true")}, 0, NULL), WEIR_OK);
    int before = place_descriptors();
    for (place p = 0; p < PLACES; p++) {
        weir_error err = {.status = WEIR_OK};
        EXPECT_INT(place_run(p, run_command, c, 0, &err), expected);
        if (text && !EXPECT(strstr(err.text, text) != NULL))
            printf("# %s: %s\n", place_names[p], err.text);
    }
    EXPECT_INT(place_descriptors(), before);
    EXPECT(no_children());
}

TEST(a_command_says_what_it_has_to_say)
{
    run_everywhere(&(command){RUN("echo", "hello"), .out = "hello\n", .errors = ""}, WEIR_OK, NULL);
    run_everywhere(
        &(command){SHELL("echo no >&2; exit 3"), .exit_code = 3, .out = "", .errors = "no\n"},
        WEIR_OK, NULL);
    run_everywhere(&(command){SHELL("kill -USR1 $$"), .exit_code = -1, .signal = SIGUSR1}, WEIR_OK,
                   NULL);
    run_everywhere(&(command){RUN("true"), .out = "", .errors = ""}, WEIR_OK, NULL);
}

TEST(it_gets_input_environment_and_folder)
{
    run_everywhere(
        &(command){SHELL("cat; echo end", .input = "in", .input_len = 2), .out = "inend\n"},
        WEIR_OK, NULL);
    run_everywhere(&(command){SHELL("cat; echo end"), .out = "end\n"}, WEIR_OK, NULL);
    run_everywhere(&(command){SHELL("pwd", .cwd = "/"), .out = "/\n"}, WEIR_OK, NULL);
    setenv("WEIR_TEST_OLD", "old", 1);
    setenv("WEIR_TEST_KEPT", "kept", 1);
    run_everywhere(&(command){SHELL("echo $WEIR_TEST_OLD $WEIR_TEST_NEW $WEIR_TEST_KEPT",
                                    .env = ARGV("WEIR_TEST_NEW=one", "WEIR_TEST_OLD=new",
                                                "WEIR_TEST_NEW=two")),
                              .out = "new two kept\n"},
                   WEIR_OK, NULL);
}

TEST(much_goes_in_and_out_at_once)
{
    enum { MUCH = 3 << 20 };
    char *input = malloc(MUCH + 1);
    memset(input, 'x', MUCH);
    input[MUCH] = '\0';
    run_everywhere(&(command){SHELL("tee /dev/stderr", .input = input, .input_len = MUCH),
                              .out = input, .errors = input},
                   WEIR_OK, NULL);
    /* who does not read all of it is no reason to fail */
    run_everywhere(&(command){SHELL("head -c 3", .input = input, .input_len = MUCH), .out = "xxx"},
                   WEIR_OK, NULL);
    run_everywhere(&(command){SHELL("exit 0", .input = input, .input_len = MUCH), .out = ""},
                   WEIR_OK, NULL);
    free(input);
}

TEST(what_cannot_be_started_has_a_reason)
{
    run_everywhere(&(command){RUN("no-such-command-here")}, WEIR_NOTFOUND, "no-such-command-here");
    run_everywhere(&(command){RUN("/etc")}, WEIR_DENIED, "/etc");
    run_everywhere(&(command){SHELL("true", .cwd = "/no/such/folder")}, WEIR_NOTFOUND,
                   "/no/such/folder");
    run_everywhere(&(command){SHELL("true", .env = ARGV("A=b", "none"))}, WEIR_INVALID, "entry 2");
    run_everywhere(&(command){SHELL("true", .input_len = 3)}, WEIR_INVALID, "no input");
    run_everywhere(&(command){.options = {.size = sizeof(weir_child_options)}}, WEIR_INVALID,
                   "no command");
    run_everywhere(&(command){.options = {.size = 4}}, WEIR_INVALID, "size");
}

TEST(output_is_bounded)
{
    run_everywhere(&(command){SHELL("printf 12345", .max_output = 5), .out = "12345"}, WEIR_OK,
                   NULL);
    run_everywhere(&(command){SHELL("printf 123456", .max_output = 5)}, WEIR_TOOLARGE,
                   "5 bytes to its standard output");
    run_everywhere(&(command){SHELL("yes >&2", .max_output = 100000)}, WEIR_TOOLARGE,
                   "standard error");
}

TEST(nothing_of_the_program_is_handed_on)
{
    int fd = open("/dev/null", O_RDONLY); /* not close-on-exec */
    int high = dup2(fd, 600);
    run_everywhere(&(command){SHELL("ls /proc/self/fd | wc -l"), .out = "4\n"}, WEIR_OK, NULL);
    close(high);
    close(fd);
}

/* ---- its end with the task ---- */

static void await_started(void *arg)
{
    command *c = arg;
    while (access(c->started, F_OK) != 0)
        weir_sleep(WEIR_MICROSECONDS(200), NULL);
}

static bool file_has(const char *path, const char *text)
{
    char got[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof got - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && strstr(got, text) != NULL;
}

/* $1: the file that says it has come so far, and whether it had time to say "bye". */
static void end_everywhere(const char *script, int64_t grace, bool in_order)
{
    for (place p = 0; p < PLACES; p++)
        for (int cancelled = 0; cancelled < 2; cancelled++) {
            REQUIRE(folder_begin());
            const char *started = in_folder("started");
            command c = {.options = {.size = sizeof(weir_child_options),
                                     .argv = ARGV("sh", "-c", script, "sh", started),
                                     .grace = grace},
                         .started = started};
            if (!cancelled)
                EXPECT_INT(place_run(p, run_command, &c, WEIR_MILLISECONDS(300), NULL),
                           WEIR_TIMEDOUT);
            else if (p >= PLACE_THREADS)
                EXPECT_INT(place_cancel(p, run_command, &c, await_started), WEIR_CANCELLED);
            EXPECT(no_children());
            if (access(started, F_OK) == 0)
                EXPECT(file_has(started, "bye") == in_order);
            folder_end();
        }
}

TEST(it_ends_with_its_task)
{
    end_everywhere("echo up >$1; sleep 1000", WEIR_SECONDS(50), false);
}

TEST(it_may_end_in_order)
{
    /* builtins alone: a signal that comes while a shell starts something may be lost on it */
    end_everywhere("trap 'echo bye >$1; exit' TERM; echo up >$1; while :; do :; done",
                   WEIR_SECONDS(50), true);
}

TEST(it_is_killed_if_it_will_not_end)
{
    end_everywhere("trap '' TERM; echo up >$1; while :; do sleep 0.01; done", WEIR_MILLISECONDS(20),
                   false);
}

TEST(it_is_killed_at_once_without_grace)
{
    end_everywhere("trap 'echo bye >$1; exit' TERM; echo up >$1; while :; do sleep 0.01; done", -1,
                   false);
}

/* ---- company ---- */

static bool runs(const char *pid_file)
{
    char text[64] = "";
    int fd = open(pid_file, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    char path[128];
    snprintf(path, sizeof path, "/proc/%ld/stat", strtol(text, NULL, 10));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char stat[256] = "";
    ssize_t n = read(fd, stat, sizeof stat - 1);
    close(fd);
    const char *state = n > 0 ? strrchr(stat, ')') : NULL;
    return state && state[2] != 'Z' && state[2] != 'X'; /* whose parent is not here to reap it */
}

/* A process left behind holds the output open: it has its grace, and ends. */
TEST(company_that_holds_the_output_is_not_waited_for)
{
    REQUIRE(folder_begin());
    const char *pid = in_folder("pid");
    command c = {
        .options = {.size = sizeof(weir_child_options),
                    .argv = ARGV("sh", "-c", "sleep 1000 & echo $! >$1; echo done", "sh", pid),
                    .grace = WEIR_MILLISECONDS(5)},
        .out = "done\n"};
    for (place p = 0; p < PLACES; p++) {
        EXPECT_INT(place_run(p, run_command, &c, 0, NULL), WEIR_OK);
        while (runs(pid)) /* it was sent KILL, and is on its way */
            weir_sleep(WEIR_MILLISECONDS(1), NULL);
        EXPECT(no_children());
    }
    folder_end();
}

/* What it says within its grace counts. */
TEST(company_may_finish_what_it_says)
{
    run_everywhere(
        &(command){SHELL("(sleep 0.05; echo late) & echo early", .grace = WEIR_SECONDS(50)),
                   .out = "early\nlate\n"},
        WEIR_OK, NULL);
}

/* One that is out of the way is left alone. */
TEST(company_with_an_output_of_its_own_goes_on)
{
    REQUIRE(folder_begin());
    const char *pid = in_folder("pid");
    command c = {.options = {.size = sizeof(weir_child_options),
                             .argv = ARGV("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $! >$1",
                                          "sh", pid)}};
    EXPECT_INT(place_run(PLACE_PLAIN, run_command, &c, 0, NULL), WEIR_OK);
    EXPECT(runs(pid));
    char text[64] = "";
    int fd = open(pid, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    kill((pid_t)strtol(text, NULL, 10), SIGKILL);
    folder_end();
}

/* Company ends with the task too. */
TEST(company_ends_with_the_task)
{
    REQUIRE(folder_begin());
    const char *pid = in_folder("pid");
    command c = {.options = {.size = sizeof(weir_child_options),
                             .argv = ARGV("sh", "-c",
                                          "sleep 1000 & echo $! >$1.new; mv $1.new $1; sleep 1000",
                                          "sh", pid),
                             .grace = WEIR_SECONDS(50)},
                 .started = pid};
    EXPECT_INT(place_cancel(PLACE_FIBERS, run_command, &c, await_started), WEIR_CANCELLED);
    while (runs(pid))
        weir_sleep(WEIR_MILLISECONDS(1), NULL);
    folder_end();
}

TEST(an_end_that_somebody_else_took_is_said_to_be_lost)
{
    signal(SIGCHLD, SIG_IGN);
    weir_error err;
    EXPECT_INT(place_run(PLACE_PLAIN, run_command, &(command){RUN("true")}, 0, &err), WEIR_IO);
    /* before or after it could be watched */
    EXPECT(strstr(err.text, "SIGCHLD") || strstr(err.text, "cannot watch"));
    signal(SIGCHLD, SIG_DFL);
}

/* ---- many ---- */

TEST(two_hundred_at_once)
{
    enum { N = 200 };
    static weir_future *futures[N];
    static command commands[N];
    static char texts[N][16];
    for (place p = PLACE_THREADS; p < PLACES; p++) {
        int before = place_descriptors();
        weir_executor *executor = place_executor(p);
        for (size_t i = 0; i < N; i++) {
            snprintf(texts[i], sizeof texts[i], "number %zu", i);
            static const char *const cat[] = {"cat", NULL};
            commands[i] = (command){.options = {.size = sizeof(weir_child_options),
                                                .argv = cat,
                                                .input = texts[i],
                                                .input_len = strlen(texts[i])},
                                    .out = texts[i]};
            futures[i] = place_submit(executor, run_command, &commands[i], 0);
        }
        EXPECT_INT(place_join(futures, N), 0);
        weir_executor_free(executor);
        EXPECT_INT(place_descriptors(), before);
        EXPECT(no_children());
    }
}

static weir_status run_once(void)
{
    weir_child_result result;
    weir_child_options options = {.size = sizeof options,
                                  .argv = ARGV("sh", "-c", "cat; echo $X >&2"),
                                  .env = ARGV("X=y"),
                                  .input = "x",
                                  .input_len = 1};
    weir_status status = weir_child_run(&options, &result, NULL);
    if (status == WEIR_OK)
        weir_child_result_clear(&result);
    return status;
}

TEST(running_survives_lack_of_memory)
{
    TORTURE(run_once());
    int before = place_descriptors();
    place_torture_fiber(run_once, NULL);
    EXPECT_INT(place_descriptors(), before);
    EXPECT(no_children());
}

TESTS(CASE(a_command_says_what_it_has_to_say), CASE(it_gets_input_environment_and_folder),
      CASE(much_goes_in_and_out_at_once), CASE(what_cannot_be_started_has_a_reason),
      CASE(output_is_bounded), CASE(nothing_of_the_program_is_handed_on),
      CASE(it_ends_with_its_task), CASE(it_may_end_in_order), CASE(it_is_killed_if_it_will_not_end),
      CASE(it_is_killed_at_once_without_grace),
      CASE(company_that_holds_the_output_is_not_waited_for), CASE(company_may_finish_what_it_says),
      CASE(company_with_an_output_of_its_own_goes_on), CASE(company_ends_with_the_task),
      CASE(an_end_that_somebody_else_took_is_said_to_be_lost), CASE(two_hundred_at_once),
      CASE(running_survives_lack_of_memory))
