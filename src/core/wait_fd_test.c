/* wait_fd_test.c: waiting for descriptors of every sort, by one task or several, on every kind of
 * stack. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places_torture.h"

typedef struct pair {
    int ours;
    int theirs;
    atomic_int waiting;
    atomic_int woken;
} pair;

#define PAIR(name) \
    pair name;     \
    pair_open(&name)

static void pair_open(pair *p)
{
    int fds[2];
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    *p = (pair){.ours = fds[0], .theirs = fds[1]};
}

static void pair_close(pair *p)
{
    close(p->ours);
    close(p->theirs);
}

static void put(int fd, char byte)
{
    EXPECT(write(fd, &byte, 1) == 1);
}

static void *echo(void *arg, weir_error *err)
{
    pair *p = arg;
    char byte = 0;
    while (weir_wait_readable(p->ours, err) == WEIR_OK) {
        ssize_t n = read(p->ours, &byte, 1);
        if (n == 0)
            return NULL;
        if (n < 0)
            continue;
        EXPECT_INT(weir_wait_writable(p->ours, err), WEIR_OK);
        put(p->ours, byte);
    }
    return NULL;
}

static void *ping(void *arg)
{
    pair *p = arg;
    for (int i = 0; i < 100; i++) {
        char byte = (char)i;
        put(p->theirs, byte);
        weir_error err;
        EXPECT_INT(weir_wait_readable(p->theirs, &err), WEIR_OK);
        EXPECT(read(p->theirs, &byte, 1) == 1 && byte == (char)i);
    }
    shutdown(p->theirs, SHUT_WR);
    return NULL;
}

TEST(bytes_go_there_and_back)
{
    for (place where = 0; where < PLACES; where++) {
        PAIR(p);
        pthread_t thread;
        pthread_create(&thread, NULL, ping, &p);
        EXPECT_INT(place_run(where, echo, &p, 0, NULL), WEIR_OK);
        pthread_join(thread, NULL);
        pair_close(&p);
    }
}

static void *wait_readable(void *arg, weir_error *err)
{
    pair *p = arg;
    atomic_fetch_add(&p->waiting, 1);
    if (weir_wait_readable(p->ours, err) == WEIR_OK)
        atomic_fetch_add(&p->woken, 1);
    return NULL;
}

static void await_waiting(void *arg)
{
    pair *p = arg;
    while (!atomic_load(&p->waiting))
        weir_yield(NULL);
}

TEST(a_wait_ends_with_its_task)
{
    for (place where = 0; where < PLACES; where++) {
        PAIR(p);
        EXPECT_INT(place_run(where, wait_readable, &p, WEIR_MILLISECONDS(3), NULL), WEIR_TIMEDOUT);
        atomic_store(&p.waiting, 0);
        if (where >= PLACE_THREADS)
            EXPECT_INT(place_cancel(where, wait_readable, &p, await_waiting), WEIR_CANCELLED);
        EXPECT_INT(p.woken, 0);
        pair_close(&p);
    }
}

TEST(several_may_wait_for_the_same_one)
{
    for (place where = PLACE_THREADS; where < PLACES; where++) {
        PAIR(p);
        weir_executor *executor = place_executor(where);
        weir_future *futures[4];
        for (size_t i = 0; i < 4; i++)
            futures[i] = place_submit(executor, wait_readable, &p, 0);
        while (atomic_load(&p.waiting) < 4)
            weir_yield(NULL);
        weir_future_cancel(futures[3]);
        EXPECT_INT(place_join(&futures[3], 1), 1);
        EXPECT_INT(p.woken, 0);
        put(p.theirs, 'x');
        EXPECT_INT(place_join(futures, 3), 0);
        EXPECT_INT(p.woken, 3);
        weir_executor_free(executor);
        pair_close(&p);
    }
}

/* One waits until there is something to read, another until there is room: the room comes first,
 * and must not wake the reader. */
static void *wait_writable(void *arg, weir_error *err)
{
    pair *p = arg;
    weir_wait_writable(p->ours, err);
    return NULL;
}

TEST(a_reader_and_a_writer_wait_for_different_things)
{
    for (place where = PLACE_THREADS; where < PLACES; where++) {
        PAIR(p);
        char bytes[4096] = {0};
        while (write(p.ours, bytes, sizeof bytes) > 0)
            continue;
        weir_executor *executor = place_executor(where);
        weir_future *reader = place_submit(executor, wait_readable, &p, 0);
        weir_future *writer = place_submit(executor, wait_writable, &p, 0);
        await_waiting(&p);
        while (read(p.theirs, bytes, sizeof bytes) > 0)
            continue;
        EXPECT_INT(weir_future_error(writer, -1, NULL), WEIR_OK);
        EXPECT_INT(p.woken, 0);
        put(p.theirs, 'x');
        EXPECT_INT(weir_future_error(reader, -1, NULL), WEIR_OK);
        weir_future_unref(reader);
        weir_future_unref(writer);
        weir_executor_free(executor);
        pair_close(&p);
    }
}

static void *wait_for_file(void *arg, weir_error *err)
{
    if (weir_wait_readable(*(int *)arg, err) == WEIR_OK)
        weir_wait_writable(*(int *)arg, err);
    return NULL;
}

TEST(files_are_always_ready_and_what_is_not_open_never)
{
    for (place where = 0; where < PLACES; where++) {
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        EXPECT_INT(place_run(where, wait_for_file, &fd, 0, NULL), WEIR_OK);
        close(fd); /* its number may be in use again at once */
        int bad[] = {-1, 1 << 30, 777};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            weir_error err;
            EXPECT_INT(place_run(where, wait_for_file, &bad[i], 0, &err), WEIR_INVALID);
            EXPECT(strstr(err.text, "is not open") != NULL);
        }
    }
}

/* The number of a descriptor that was waited for is used again for another. */
static void *use_numbers_again(void *arg, weir_error *err)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        PAIR(p);
        int64_t before = weir_deadline_set(i % 3 ? 0 : WEIR_MILLISECONDS(1));
        weir_status status = weir_wait_readable(p.ours, NULL);
        EXPECT_INT(status, WEIR_TIMEDOUT);
        weir_deadline_set(before);
        put(p.theirs, 'x');
        EXPECT_INT(weir_wait_readable(p.ours, err), WEIR_OK);
        pair_close(&p);
    }
    return NULL;
}

TEST(a_number_may_be_used_again_for_another_descriptor)
{
    for (place where = 0; where < PLACES; where++) {
        int before = place_descriptors();
        EXPECT_INT(place_run(where, use_numbers_again, NULL, 0, NULL), WEIR_OK);
        EXPECT_INT(place_descriptors(), before);
    }
}

TEST(many_fibers_echo_at_once)
{
    enum { N = 200 };
    weir_executor *executor = place_executor(PLACE_FIBERS);
    pair pairs[N];
    weir_future *futures[N];
    for (size_t i = 0; i < N; i++) {
        pair_open(&pairs[i]);
        futures[i] = place_submit(executor, echo, &pairs[i], 0);
    }
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < N; i++)
            put(pairs[i].theirs, 'x');
        for (size_t i = 0; i < N; i++) {
            char byte = 0;
            EXPECT_INT(weir_wait_readable(pairs[i].theirs, NULL), WEIR_OK);
            EXPECT(read(pairs[i].theirs, &byte, 1) == 1 && byte == 'x');
        }
    }
    for (size_t i = 0; i < N; i++)
        shutdown(pairs[i].theirs, SHUT_WR);
    EXPECT_INT(place_join(futures, N), 0);
    for (size_t i = 0; i < N; i++)
        pair_close(&pairs[i]);
    weir_executor_free(executor);
}

static pair tortured;

static weir_status wait_twice(void)
{
    weir_status status = weir_wait_readable(tortured.ours, NULL);
    return status == WEIR_OK ? weir_wait_writable(tortured.ours, NULL) : status;
}

TEST(waiting_survives_lack_of_memory)
{
    pair_open(&tortured);
    put(tortured.theirs, 'x');
    place_torture_fiber(wait_twice, NULL);
    TORTURE(wait_twice());
    pair_close(&tortured);
}

TESTS(CASE(bytes_go_there_and_back), CASE(a_wait_ends_with_its_task),
      CASE(several_may_wait_for_the_same_one),
      CASE(a_reader_and_a_writer_wait_for_different_things),
      CASE(files_are_always_ready_and_what_is_not_open_never),
      CASE(a_number_may_be_used_again_for_another_descriptor), CASE(many_fibers_echo_at_once),
      CASE(waiting_survives_lack_of_memory))
