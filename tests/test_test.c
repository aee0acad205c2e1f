/* test_test.c: that a test that hangs is ended and named. */
#include "test.h"

#include <sched.h>
#include <sys/wait.h>

static _Noreturn void hang(int told)
{
    dup2(told, STDERR_FILENO);
    test_seconds = 1;
    test_begin("the_one");
    for (;;)
        sched_yield();
}

static size_t read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;
    while (len < size && (n = read(fd, text + len, size - len)) > 0)
        len += (size_t)n;
    return len;
}

TEST(one_that_hangs_ends_the_program_and_is_named)
{
    int ends[2];
    int how = 0;
    char text[200];
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        test_begin("another"); /* which is over */
        hang(ends[1]);
    }
    close(ends[1]);
    size_t len = read_all(ends[0], text, sizeof text);
    close(ends[0]);
    EXPECT(child > 0 && waitpid(child, &how, 0) == child);
    EXPECT(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    EXPECT_MEM(text, len, "the_one hangs: it was given up\n");
}

TESTS(CASE(one_that_hangs_ends_the_program_and_is_named))
