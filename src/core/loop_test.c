/* loop_test.c: the loop alone, on a virtual clock wherever time plays a part. */
#include "loop.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

typedef struct fixture {
    wi_clock clock;
    wi_loop *loop;
} fixture;

/* A loop keeps a pointer to its clock, so the fixture stays where it was made. */
#define FIXTURE(f)                                                    \
    fixture f = {.clock = {.is_virtual = true, .virtual_now = 1000}}; \
    REQUIRE(wi_loop_new(&f.clock, &f.loop, NULL) == WEIR_OK)

typedef struct counted_timer {
    wi_timer timer;
    int calls;
    int64_t at;
    int64_t again; /* > 0: set itself anew so much later */
} counted_timer;

static void count_timer(wi_timer *timer)
{
    counted_timer *counted = wi_container_of(timer, counted_timer, timer);
    counted->calls++;
    counted->at = wi_loop_now(timer->loop);
    if (counted->again)
        wi_timer_set(timer, counted->at + counted->again);
}

TEST(timers_fire_in_order_at_their_time)
{
    FIXTURE(f);
    counted_timer timers[20] = {0};
    for (int i = 0; i < 20; i++) {
        REQUIRE(wi_timer_init(&timers[i].timer, f.loop, count_timer));
        wi_timer_set(&timers[i].timer, 1000 + (i * 7 % 20) * 10);
    }
    for (int turn = 0; turn < 20; turn++)
        wi_loop_turn(f.loop, true, NULL);
    for (int i = 0; i < 20; i++) {
        EXPECT_INT(timers[i].calls, 1);
        EXPECT_INT(timers[i].at, 1000 + (i * 7 % 20) * 10);
        wi_timer_fini(&timers[i].timer);
    }
    wi_loop_free(f.loop);
}

TEST(a_timer_can_be_moved_cleared_and_repeated)
{
    FIXTURE(f);
    counted_timer moved = {0};
    counted_timer cleared = {0};
    counted_timer repeated = {.again = 5};
    REQUIRE(wi_timer_init(&moved.timer, f.loop, count_timer));
    REQUIRE(wi_timer_init(&cleared.timer, f.loop, count_timer));
    REQUIRE(wi_timer_init(&repeated.timer, f.loop, count_timer));
    wi_timer_set(&moved.timer, 1010);
    wi_timer_set(&moved.timer, 1030);
    wi_timer_set(&cleared.timer, 1010);
    wi_timer_clear(&cleared.timer);
    wi_timer_set(&repeated.timer, 1010);
    while (f.clock.virtual_now < 1030)
        wi_loop_turn(f.loop, true, NULL);
    EXPECT_INT(moved.calls, 1);
    EXPECT_INT(moved.at, 1030);
    EXPECT_INT(cleared.calls, 0);
    EXPECT_INT(repeated.calls, 5);
    wi_timer_set(&moved.timer, WI_FOREVER);
    EXPECT_INT(moved.timer.node.index, 0);
    wi_timer_fini(&moved.timer);
    wi_timer_fini(&cleared.timer);
    wi_timer_fini(&repeated.timer);
    wi_loop_free(f.loop);
}

typedef struct counted_watch {
    wi_watch watch;
    int calls;
    uint32_t events;
    wi_watch *ends; /* another watch to end when called */
} counted_watch;

static void count_watch(wi_watch *watch, uint32_t events)
{
    counted_watch *counted = wi_container_of(watch, counted_watch, watch);
    counted->calls++;
    counted->events = events;
    if (counted->ends)
        wi_watch_fini(counted->ends);
}

/* Its end to read from is watched, for nothing yet. */
#define WATCHED_PIPE(f, in, ends) \
    int ends[2];                  \
    REQUIRE(pipe(ends) == 0);     \
    counted_watch in = {0};       \
    wi_watch_init(&in.watch, (f).loop, ends[0], count_watch)

static void close_pipe(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

TEST(a_watch_reports_what_is_wanted_only)
{
    FIXTURE(f);
    WATCHED_PIPE(f, in, pipe_fds);
    wi_watch_want(&in.watch, EPOLLIN);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 0);
    REQUIRE(write(pipe_fds[1], "x", 1) == 1);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 1);
    EXPECT_INT(in.events, EPOLLIN);
    wi_watch_want(&in.watch, 0);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 1);
    wi_watch_want(&in.watch, EPOLLIN);
    wi_watch_want(&in.watch, 0);
    wi_watch_want(&in.watch, EPOLLIN);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 2);
    wi_watch_fini(&in.watch);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 2);
    close_pipe(pipe_fds);
    wi_loop_free(f.loop);
}

TEST(a_watch_asked_once_reports_once_even_for_a_number_used_again)
{
    FIXTURE(f);
    WATCHED_PIPE(f, in, pipe_fds);
    EXPECT_INT(wi_watch_once(&in.watch, EPOLLIN), 0);
    REQUIRE(write(pipe_fds[1], "x", 1) == 1);
    for (int turn = 0; turn < 3; turn++)
        wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 1);
    EXPECT_INT(wi_watch_once(&in.watch, EPOLLIN), 0);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 2);
    close(pipe_fds[0]);
    EXPECT_INT(wi_watch_once(&in.watch, EPOLLIN), EBADF);
    int other[2];
    REQUIRE(pipe(other) == 0);
    REQUIRE(dup2(other[0], pipe_fds[0]) == pipe_fds[0]);
    REQUIRE(write(other[1], "x", 1) == 1);
    EXPECT_INT(wi_watch_once(&in.watch, EPOLLIN), 0);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 3);
    wi_watch_fini(&in.watch);
    close_pipe(pipe_fds);
    if (other[0] != pipe_fds[0])
        close(other[0]);
    close(other[1]);
    wi_loop_free(f.loop);
}

TEST(a_watch_of_which_nothing_is_wanted_wakes_once_at_most)
{
    FIXTURE(f);
    WATCHED_PIPE(f, in, pipe_fds);
    wi_watch_want(&in.watch, EPOLLIN);
    wi_loop_turn(f.loop, false, NULL);
    wi_watch_want(&in.watch, 0);
    REQUIRE(write(pipe_fds[1], "x", 1) == 1);
    wi_loop_turn(f.loop, false, NULL);
    counted_timer timer = {0};
    REQUIRE(wi_timer_init(&timer.timer, f.loop, count_timer));
    wi_timer_set(&timer.timer, 2000);
    wi_loop_turn(f.loop, true, NULL); /* moves the clock only if nothing comes */
    EXPECT_INT(timer.calls, 1);
    EXPECT_INT(in.calls, 0);
    wi_watch_want(&in.watch, EPOLLIN);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 1);
    wi_watch_fini(&in.watch);
    wi_timer_fini(&timer.timer);
    close_pipe(pipe_fds);
    wi_loop_free(f.loop);
}

TEST(a_descriptor_may_be_closed_while_nothing_is_wanted_of_it)
{
    FIXTURE(f);
    WATCHED_PIPE(f, in, a);
    int b[2];
    REQUIRE(pipe(b) == 0);
    counted_watch other = {0};
    wi_watch_want(&in.watch, EPOLLIN);
    wi_loop_turn(f.loop, false, NULL);
    wi_watch_want(&in.watch, 0);
    /* its number is another's, who watches it too, before the loop hears that it is not wanted */
    REQUIRE(dup2(b[0], a[0]) == a[0]);
    wi_watch_init(&other.watch, f.loop, a[0], count_watch);
    wi_watch_want(&other.watch, EPOLLIN);
    REQUIRE(write(b[1], "x", 1) == 1);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 0);
    EXPECT_INT(other.calls, 1);
    wi_watch_forget(&in.watch);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(other.calls, 2);
    wi_watch_fini(&other.watch);

    /* and what is wanted anew is wanted of the one that has the number now */
    wi_watch_init(&in.watch, f.loop, b[1], count_watch);
    wi_watch_want(&in.watch, EPOLLOUT);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 1);
    wi_watch_want(&in.watch, 0);
    wi_loop_turn(f.loop, false, NULL);
    REQUIRE(dup2(a[1], b[1]) == b[1]);
    wi_watch_want(&in.watch, EPOLLOUT);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(in.calls, 2);
    wi_watch_fini(&in.watch);
    close_pipe(a);
    close_pipe(b);
    wi_loop_free(f.loop);
}

TEST(a_watch_ended_by_another_gets_no_event_of_the_same_turn)
{
    FIXTURE(f);
    WATCHED_PIPE(f, first, a);
    WATCHED_PIPE(f, second, b);
    first.ends = &second.watch;
    second.ends = &first.watch;
    wi_watch_want(&first.watch, EPOLLIN);
    wi_watch_want(&second.watch, EPOLLIN);
    REQUIRE(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(first.calls + second.calls, 1);
    wi_watch_fini(&first.watch);
    wi_watch_fini(&second.watch);
    close_pipe(a);
    close_pipe(b);
    wi_loop_free(f.loop);
}

TEST(a_descriptor_epoll_refuses_is_reported)
{
    FIXTURE(f);
    counted_watch broken = {0};
    wi_watch_init(&broken.watch, f.loop, 1 << 20, count_watch);
    wi_watch_want(&broken.watch, EPOLLIN);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(broken.calls, 1);
    EXPECT_INT(broken.events, EPOLLERR);
    wi_watch_fini(&broken.watch);
    wi_loop_free(f.loop);
}

typedef struct counted_defer {
    wi_defer defer;
    wi_loop *loop;
    int calls;
    int repeat;
} counted_defer;

static void count_defer(wi_defer *defer)
{
    counted_defer *counted = wi_container_of(defer, counted_defer, defer);
    counted->calls++;
    if (counted->repeat-- > 0)
        wi_defer_set(counted->loop, defer);
}

TEST(deferred_work_runs_in_the_same_turn_even_when_it_defers_more)
{
    FIXTURE(f);
    counted_defer work = {.loop = f.loop, .repeat = 9};
    counted_defer cleared = {.loop = f.loop};
    wi_defer_init(&work.defer, count_defer);
    wi_defer_init(&cleared.defer, count_defer);
    wi_defer_set(f.loop, &work.defer);
    wi_defer_set(f.loop, &work.defer);
    wi_defer_set(f.loop, &cleared.defer);
    wi_defer_clear(&cleared.defer);
    wi_loop_turn(f.loop, false, NULL);
    EXPECT_INT(work.calls, 10);
    EXPECT_INT(cleared.calls, 0);
    wi_loop_free(f.loop);
}

TEST(endless_deferred_work_does_not_starve_the_rest)
{
    FIXTURE(f);
    counted_defer work = {.loop = f.loop, .repeat = 1000000000};
    wi_defer_init(&work.defer, count_defer);
    wi_defer_set(f.loop, &work.defer);
    wi_loop_turn(f.loop, true, NULL);
    EXPECT(work.calls > 0 && work.calls < 1000000);
    wi_defer_clear(&work.defer);
    wi_loop_free(f.loop);
}

enum { POSTERS = 4, POSTS_EACH = 5000 };

typedef struct counted_post {
    wi_post post;
    int calls;
} counted_post;

typedef struct poster {
    wi_loop *loop;
    counted_post *own; /* POSTS_EACH of them */
    counted_post *shared;
} poster;

static void count_post(wi_post *post)
{
    wi_container_of(post, counted_post, post)->calls++;
}

static void *post_many(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < POSTS_EACH; i++) {
        wi_loop_post(p->loop, &p->own[i].post);
        wi_loop_post(p->loop, &p->shared->post);
    }
    return NULL;
}

static int delivered(poster *posters)
{
    int n = 0;
    for (int p = 0; p < POSTERS; p++)
        for (int i = 0; i < POSTS_EACH; i++)
            n += posters[p].own[i].calls;
    return n;
}

TEST(every_post_arrives_once_and_repeated_ones_at_least_once)
{
    wi_loop *loop;
    REQUIRE(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK);
    counted_post shared = {0};
    wi_post_init(&shared.post, count_post);
    poster posters[POSTERS];
    pthread_t threads[POSTERS];
    for (int p = 0; p < POSTERS; p++) {
        posters[p] = (poster){loop, calloc(POSTS_EACH, sizeof(counted_post)), &shared};
        for (int i = 0; i < POSTS_EACH; i++)
            wi_post_init(&posters[p].own[i].post, count_post);
        pthread_create(&threads[p], NULL, post_many, &posters[p]);
    }
    while (delivered(posters) < POSTERS * POSTS_EACH)
        wi_loop_turn(loop, true, NULL);
    for (int p = 0; p < POSTERS; p++)
        pthread_join(threads[p], NULL);
    wi_loop_turn(loop, false, NULL);
    int worst = 0;
    for (int p = 0; p < POSTERS; p++) {
        for (int i = 0; i < POSTS_EACH; i++)
            worst |= posters[p].own[i].calls != 1;
        free(posters[p].own);
    }
    EXPECT(!worst);
    EXPECT(shared.calls >= 1 && shared.calls <= POSTERS * POSTS_EACH);
    wi_loop_free(loop);
}

static void *stop_from_elsewhere(void *arg)
{
    wi_loop_stop(arg);
    return NULL;
}

TEST(stop_from_another_thread_ends_run)
{
    wi_loop *loop;
    REQUIRE(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK);
    pthread_t thread;
    pthread_create(&thread, NULL, stop_from_elsewhere, loop);
    EXPECT(wi_loop_run(loop, NULL) == WEIR_OK);
    pthread_join(thread, NULL);
    wi_loop_free(loop);
}

typedef struct attached_part {
    wi_timer timer;
    wi_loop *loop;
    const void *older; /* key of one that must still be there when this is freed */
    int *freed;
    int turn; /* of being freed */
} attached_part;

static void free_part(void *value)
{
    attached_part *part = value;
    part->turn = ++*part->freed;
    if (part->older)
        EXPECT(wi_loop_get(part->loop, part->older) != NULL);
    wi_timer_fini(&part->timer);
}

TEST(attached_objects_are_freed_with_the_loop_newest_first)
{
    static const char first_key, second_key;
    FIXTURE(f);
    int freed = 0;
    attached_part first = {.loop = f.loop, .freed = &freed};
    attached_part second = {.loop = f.loop, .freed = &freed, .older = &first_key};
    REQUIRE(wi_timer_init(&second.timer, f.loop, NULL));
    EXPECT(wi_loop_get(f.loop, &first_key) == NULL);
    REQUIRE(wi_loop_attach(f.loop, &first_key, &first, free_part));
    REQUIRE(wi_loop_attach(f.loop, &second_key, &second, free_part));
    EXPECT(wi_loop_get(f.loop, &first_key) == &first);
    EXPECT(wi_loop_get(f.loop, &second_key) == &second);
    EXPECT_INT(freed, 0);
    wi_loop_free(f.loop);
    EXPECT_INT(second.turn, 1);
    EXPECT_INT(first.turn, 2);
}

/* ---- what the kernel refuses ---- */

/* From now on the system call fails so, in this process. */
static bool refuse(long call, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { REFUSED_WELL, REFUSED_BADLY, NOT_REFUSED };

/* What check says where the system call fails so. */
static int where_refused(long call, int error, bool (*check)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(100);
        _exit(!refuse(call, error) ? NOT_REFUSED : check() ? REFUSED_WELL : REFUSED_BADLY);
    }
    waitpid(child, &status, 0);
    return status < 0 || WIFSIGNALED(status) ? REFUSED_BADLY : WEXITSTATUS(status);
}

static bool no_loop_is_made(void)
{
    wi_loop *loop = NULL;
    weir_error err;
    return wi_loop_new(wi_clock_real(), &loop, &err) == WEIR_IO && err.sys_errno == ENOSPC && !loop;
}

TEST(a_loop_that_could_not_be_posted_to_is_not_made)
{
    int how = where_refused(SYS_epoll_ctl, ENOSPC, no_loop_is_made);
    if (how == NOT_REFUSED)
        SKIP("system calls cannot be filtered here");
    EXPECT_INT(how, REFUSED_WELL);
}

static bool a_timer_comes(void)
{
    wi_loop *loop;
    counted_timer timer = {0};
    if (wi_loop_new(wi_clock_real(), &loop, NULL) != WEIR_OK ||
        !wi_timer_init(&timer.timer, loop, count_timer))
        return false;
    wi_timer_set(&timer.timer, wi_loop_clock(loop) + WI_MILLISECOND);
    while (!timer.calls)
        if (wi_loop_turn(loop, true, NULL))
            return false;
    return true;
}

#ifdef SYS_epoll_pwait2
TEST(the_older_way_to_wait_serves_too)
{
    static const int errors[] = {ENOSYS, EPERM};
    for (int i = 0; i < 2; i++) {
        int how = where_refused(SYS_epoll_pwait2, errors[i], a_timer_comes);
        if (how == NOT_REFUSED)
            SKIP("system calls cannot be filtered here");
        EXPECT_INT(how, REFUSED_WELL);
    }
}
#else
TEST(the_older_way_to_wait_serves_too)
{
    EXPECT(a_timer_comes());
}
#endif

TESTS(CASE(attached_objects_are_freed_with_the_loop_newest_first),
      CASE(timers_fire_in_order_at_their_time), CASE(a_timer_can_be_moved_cleared_and_repeated),
      CASE(a_watch_reports_what_is_wanted_only),
      CASE(a_watch_asked_once_reports_once_even_for_a_number_used_again),
      CASE(a_watch_of_which_nothing_is_wanted_wakes_once_at_most),
      CASE(a_descriptor_may_be_closed_while_nothing_is_wanted_of_it),
      CASE(a_watch_ended_by_another_gets_no_event_of_the_same_turn),
      CASE(a_descriptor_epoll_refuses_is_reported),
      CASE(deferred_work_runs_in_the_same_turn_even_when_it_defers_more),
      CASE(endless_deferred_work_does_not_starve_the_rest),
      CASE(every_post_arrives_once_and_repeated_ones_at_least_once),
      CASE(stop_from_another_thread_ends_run), CASE(a_loop_that_could_not_be_posted_to_is_not_made),
      CASE(the_older_way_to_wait_serves_too))
