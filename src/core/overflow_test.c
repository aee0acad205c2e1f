/* overflow_test.c: what a process says when a fiber's stack runs over, each time in a child. */
#include "overflow.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber.h"
#include "sanitize.h"
#include "stack.h"
#include "test.h"

typedef struct ending {
    int signal; /* 0: it exited */
    int code;
    char text[4096];
} ending;

/* What becomes of a child that calls fn, and what it writes to standard error. */
static void watch(ending *end, void (*fn)(void))
{
    *end = (ending){0};
    int pipe_fds[2];
    REQUIRE(pipe(pipe_fds) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(pipe_fds[1], STDERR_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        fn();
        _exit(0);
    }
    close(pipe_fds[1]);
    size_t len = 0;
    ssize_t n;
    while ((n = read(pipe_fds[0], end->text + len, sizeof end->text - 1 - len)) > 0 ||
           (n < 0 && errno == EINTR))
        len += n > 0 ? (size_t)n : 0;
    close(pipe_fds[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void run_fiber(void (*fn)(void *arg))
{
    wi_loop *loop;
    wi_fibers *fibers;
    if (wi_loop_new(wi_clock_real(), &loop, NULL) ||
        wi_fibers_new(loop, 100 << 10, &fibers, NULL) || wi_fiber_start(fibers, fn, NULL, NULL))
        _exit(99);
    while (wi_fibers_live(fibers))
        wi_loop_turn(loop, true, NULL);
}

static volatile int endless = 1;

static __attribute__((noinline)) int dig(int depth)
{
    volatile char room[512];
    room[0] = (char)depth;
    return endless ? dig(depth + 1) + room[0] : depth;
}

static void dig_under_a_name(void *arg)
{
    (void)arg;
    wi_fiber_set_name(wi_fiber_current(), "load\033[2J page");
    dig(0);
}

static void dig_without_a_name(void *arg)
{
    (void)arg;
    dig(0);
}

static void overflow_installed(void)
{
    run_fiber(dig_under_a_name);
}

static void overflow_protected(void)
{
    wi_stack_limit_guard(WEIR_FIBER_GUARD_MPROTECT);
    run_fiber(dig_without_a_name);
}

TEST(an_overflow_is_reported_with_its_task)
{
    ending end;
    watch(&end, overflow_installed);
    EXPECT_INT(end.signal, SIGSEGV);
    static const char whole[] =
        "weir: stack overflow in task \"load\\x1B[2J page\": its fiber's stack of 102400 bytes is "
        "used up; give its executor a larger stack_size, or large variables the heap\n";
    EXPECT_MEM(end.text, strnlen(end.text, sizeof whole - 1), whole); /* an emulator adds its own */
    watch(&end, overflow_protected);
    EXPECT_INT(end.signal, SIGSEGV);
    EXPECT(strstr(end.text, "weir: stack overflow in a task without a name: ") == end.text);
}

/* Writes a little below its stack, as frames would; it must not go on to suspend. */
static void write_below(void *arg)
{
    (void)arg;
    volatile char *here = __builtin_frame_address(0);
    wi_fiber_set_name(wi_fiber_current(), "digger");
    size_t left = weir_fiber_stack_left();
    if (WI_ASAN)
        wi_sanitize_forget((char *)here - left - 4096, left + 4096);
    for (size_t i = 0; i < 4096; i++)
        (here - left)[(ptrdiff_t)i - 4096] = 1;
    wi_fiber_yield();
    _exit(98);
}

static void overflow_canary(void)
{
    wi_stack_limit_guard(WEIR_FIBER_GUARD_CANARY);
    run_fiber(write_below);
}

TEST(a_dead_canary_ends_the_process)
{
    ending end;
    watch(&end, overflow_canary);
    EXPECT_INT(end.signal, SIGSEGV);
    EXPECT(strstr(end.text, "weir: stack overflow in task \"digger\": ") == end.text);
}

static void leave_with_42(int number)
{
    (void)number;
    _exit(42);
}

static void leave_with_43(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    _exit(info->si_addr ? 43 : 1);
}

static void fault(void *arg)
{
    (void)arg;
    volatile char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *none = 1;
}

static void fault_with_simple_handler(void)
{
    signal(SIGSEGV, leave_with_42);
    run_fiber(fault);
}

static void fault_with_full_handler(void)
{
    struct sigaction action = {.sa_sigaction = leave_with_43, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    run_fiber(fault);
}

static void fault_without_handler(void)
{
    signal(SIGSEGV, SIG_DFL);
    run_fiber(fault);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void be_killed(void)
{
    signal(SIGBUS, SIG_DFL);
    run_fiber(nothing);
    raise(SIGBUS);
}

static void ignore(void)
{
    signal(SIGBUS, SIG_IGN);
    run_fiber(nothing);
    raise(SIGBUS);
    _exit(44);
}

TEST(other_faults_go_to_whom_they_went_before)
{
    ending end;
    watch(&end, fault_with_simple_handler);
    EXPECT_INT(end.code, 42);
    watch(&end, fault_with_full_handler);
    EXPECT_INT(end.code, 43);
    watch(&end, fault_without_handler);
    EXPECT_INT(end.signal, SIGSEGV);
    EXPECT(!strstr(end.text, "weir:"));
    watch(&end, be_killed);
    EXPECT_INT(end.signal, SIGBUS);
    watch(&end, ignore);
    EXPECT_INT(end.code, 44);
}

TESTS(CASE(an_overflow_is_reported_with_its_task), CASE(a_dead_canary_ends_the_process),
      CASE(other_faults_go_to_whom_they_went_before))
