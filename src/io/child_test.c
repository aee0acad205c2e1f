/* child_test.c: what a command on a loop does that a wait for one (wait_child_test.c) cannot show:
 * output that has to wait for room. */
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "torture.h"

/* A command, and how much of its output is allowed. */
typedef struct command {
    wi_child child;
    size_t allowed;
    size_t grown;
    int refusals;
    bool done;
} command;

static bool may_grow(wi_child *child, size_t bytes)
{
    command *c = wi_container_of(child, command, child);
    EXPECT(!c->done);
    if (c->grown + bytes > c->allowed) {
        c->refusals++;
        return false;
    }
    c->grown += bytes;
    return true;
}

static void on_done(wi_child *child)
{
    wi_container_of(child, command, child)->done = true;
}

static wi_loop *loop;

static void begin(command *c, const char *script, size_t allowed, int64_t grace)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    wi_child_options options = {
        .spawn.argv = argv, .max_output = 16 << 20, .grace = grace, .may_grow = may_grow};
    *c = (command){.allowed = allowed};
    loop = NULL;
    REQUIRE(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK);
    REQUIRE(wi_child_start(&c->child, &options, NULL) == WEIR_OK);
    REQUIRE(wi_child_attend(&c->child, loop, on_done, NULL) == WEIR_OK);
}

static void turn_until_done(command *c)
{
    while (!c->done)
        wi_loop_turn(loop, true, NULL);
}

static void turn_until_refused(command *c)
{
    while (!c->child.owed)
        wi_loop_turn(loop, true, NULL);
}

static void finish(command *c)
{
    wi_buf_fini(&c->child.out.bytes);
    wi_buf_fini(&c->child.errors.bytes);
    wi_loop_free(loop);
    EXPECT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* The pipe and one piece hold less than it says, so it stands still, however long nobody reads. */
TEST(it_stands_still_until_there_is_room)
{
    command c;
    begin(&c, "head -c 1000000 /dev/zero; echo end >&2", 0, WI_SECOND);
    turn_until_refused(&c);
    size_t before = c.child.out.bytes.len;
    for (int i = 0; i < 20; i++) {
        wi_child_resume(&c.child); /* asks, and is refused */
        wi_loop_turn(loop, false, NULL);
    }
    EXPECT_INT(c.child.out.bytes.len, before);
    EXPECT(c.refusals >= 21 && !c.child.ended);
    c.allowed = 1 << 20;
    wi_child_resume(&c.child);
    turn_until_done(&c);
    EXPECT_INT(c.child.status, WEIR_OK);
    EXPECT_INT(c.child.out.bytes.len, 1000000);
    EXPECT_MEM(c.child.errors.bytes.data, c.child.errors.bytes.len, "end\n");
    EXPECT_INT(c.grown, 1000004);
    finish(&c);
}

/* It has ended long ago, and what it said still waits in its pipes. */
TEST(it_may_end_while_its_output_waits)
{
    command c;
    begin(&c, "echo out; echo errors >&2", 0, WI_MILLISECOND);
    turn_until_refused(&c);
    while (!c.child.ended)
        wi_loop_turn(loop, true, NULL);
    EXPECT(!c.done);
    c.allowed = 1000;
    wi_child_resume(&c.child);
    turn_until_done(&c);
    EXPECT_INT(c.child.how.code, 0);
    EXPECT_MEM(c.child.out.bytes.data, c.child.out.bytes.len, "out\n");
    EXPECT_MEM(c.child.errors.bytes.data, c.child.errors.bytes.len, "errors\n");
    finish(&c);
}

/* Grace is for commands that keep us waiting; here it is the other way round. */
TEST(grace_does_not_run_while_we_are_the_slow_ones)
{
    command c;
    begin(&c, "sleep 1000 & echo $!", 0, WI_MILLISECOND);
    turn_until_refused(&c);
    while (!c.child.ended)
        wi_loop_turn(loop, true, NULL);
    for (int i = 0; i < 5; i++)
        wi_loop_turn(loop, false, NULL);
    EXPECT(!c.done && !c.child.killed);
    c.allowed = 1000;
    wi_child_resume(&c.child);
    turn_until_done(&c);
    EXPECT(c.child.killed && c.child.out.bytes.len > 1);
    EXPECT_INT(c.child.status, WEIR_OK);
    finish(&c);
}

TEST(it_can_be_cancelled_while_its_output_waits)
{
    command c;
    begin(&c, "yes", 0, 50 * WI_SECOND);
    turn_until_refused(&c);
    wi_child_cancel(&c.child);
    EXPECT_INT(c.child.owed, 0);
    wi_child_resume(&c.child); /* comes too late, and does nothing */
    turn_until_done(&c);
    EXPECT_INT(c.child.status, WEIR_CANCELLED);
    EXPECT_INT(c.child.how.signal, SIGTERM);
    finish(&c);
    begin(&c, "echo out", 0, -1); /* ended, and with no time to lose */
    turn_until_refused(&c);
    while (!c.child.ended)
        wi_loop_turn(loop, true, NULL);
    wi_child_cancel(&c.child);
    EXPECT(c.done);
    finish(&c);
}

static weir_status run_once(void)
{
    const char *argv[] = {"sh", "-c", "cat; echo errors >&2", NULL};
    wi_child_options options = {
        .spawn.argv = argv, .input = "in", .input_len = 2, .max_output = 100};
    command c = {.allowed = 0};
    wi_loop *mine = NULL;
    weir_status status = wi_loop_new(wi_clock_real(), &mine, NULL);
    if (status == WEIR_OK)
        status = wi_child_start(&c.child, &options, NULL);
    if (status == WEIR_OK)
        status = wi_child_attend(&c.child, mine, on_done, NULL);
    if (status == WEIR_OK) {
        while (!c.done)
            wi_loop_turn(mine, true, NULL);
        status = c.child.status;
    }
    wi_buf_fini(&c.child.out.bytes);
    wi_buf_fini(&c.child.errors.bytes);
    wi_loop_free(mine);
    return status;
}

TEST(it_survives_lack_of_memory)
{
    TORTURE(run_once());
    EXPECT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TESTS(CASE(it_stands_still_until_there_is_room), CASE(it_may_end_while_its_output_waits),
      CASE(grace_does_not_run_while_we_are_the_slow_ones),
      CASE(it_can_be_cancelled_while_its_output_waits), CASE(it_survives_lack_of_memory))
