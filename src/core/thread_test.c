/* thread_test.c: threads are named, take no signals, and report that they could not be started. */
#include "thread.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static void *look(void *arg)
{
    pthread_sigmask(SIG_BLOCK, NULL, arg);
    return arg;
}

TEST(a_thread_blocks_all_signals)
{
    sigset_t before;
    sigset_t after;
    sigset_t blocked;
    pthread_t thread;
    void *result = NULL;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    REQUIRE(wi_thread_start(&thread, "weir-lane-12345", look, &blocked, NULL) == WEIR_OK);
    pthread_join(thread, &result);
    EXPECT(result == &blocked);
    EXPECT(sigismember(&blocked, SIGINT));
    EXPECT(sigismember(&blocked, SIGTERM));
    EXPECT(sigismember(&blocked, SIGPIPE));
    EXPECT(sigismember(&blocked, SIGUSR1));
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int i = 1; i < SIGRTMIN; i++)
        EXPECT_INT(sigismember(&after, i), sigismember(&before, i));
}

/* The name is set by the starter, who may come after the thread has looked: so ask from outside. */
static void *wait_for_line(void *arg)
{
    char byte;
    return read(*(int *)arg, &byte, 1) == 1 ? arg : NULL;
}

TEST(a_thread_has_its_name)
{
    int ends[2];
    pthread_t thread;
    char name[16] = "";
    REQUIRE(pipe(ends) == 0);
    REQUIRE(wi_thread_start(&thread, "weir-lane-12345", wait_for_line, &ends[0], NULL) == WEIR_OK);
    EXPECT_INT(pthread_getname_np(thread, name, sizeof name), 0);
    EXPECT_STR(name, "weir-lane-12345");
    EXPECT(write(ends[1], "x", 1) == 1);
    pthread_join(thread, NULL);
    close(ends[0]);
    close(ends[1]);
}

TESTS(CASE(a_thread_blocks_all_signals), CASE(a_thread_has_its_name))
