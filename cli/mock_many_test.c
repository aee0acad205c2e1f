/*
 * mock_many_test.c: 10,000 requests held at once. The mock runs in a child process, so that each
 * side has a descriptor limit of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mock.h"
#include "test.h"

enum { MANY = 10000, WAVE = 1000, PATIENCE_MS = 30000 };

#define MS INT64_C(1000000)
#define HOUR (3600 * 1000 * MS)

/* What the child says at its start and at its end. */
typedef struct report {
    uint16_t port;
    int failed;
    mock_stats stats;
} report;

typedef struct server {
    pid_t pid;
    int from; /* reports */
    int to;   /* closed: the child shall stop */
    uint16_t port;
} server;

static void serve(int64_t latency, int in, int out)
{
    report r = {0};
    weir_error err;
    mock *m;
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mock_start(&(mock_options){.latency = latency}, &m, &err) != WEIR_OK) {
        printf("# %s\n", err.text);
        r.failed = 1;
    } else {
        r.port = mock_port(m);
    }
    if (write(out, &r, sizeof r) != sizeof r || r.failed)
        return;
    while (read(in, &byte, 1) < 0 && errno == EINTR)
        continue;
    mock_stop(m, &r.stats);
    if (write(out, &r, sizeof r) != sizeof r)
        return;
}

/* A report is smaller than a pipe, so it comes whole. */
static bool read_report(const server *s, report *out)
{
    return read(s->from, out, sizeof *out) == sizeof *out && !out->failed;
}

static bool server_start(server *s, int64_t latency)
{
    int up[2], down[2];
    report first;
    if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0)
        return false;
    fflush(stdout);
    s->pid = fork();
    if (s->pid == 0) {
        close(up[0]);
        close(down[1]);
        serve(latency, down[0], up[1]);
        fflush(stdout);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    s->from = up[0];
    s->to = down[1];
    if (s->pid < 0 || !read_report(s, &first))
        return false;
    s->port = first.port;
    return true;
}

static void server_stop(server *s, mock_stats *last)
{
    report r = {0};
    int status = 0;
    close(s->to);
    EXPECT(read_report(s, &r));
    close(s->from);
    EXPECT(waitpid(s->pid, &status, 0) == s->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    *last = r.stats;
}

static long server_rss_kib(const server *s)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)s->pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The clients: nonblocking sockets on one epoll set. */
typedef struct crowd {
    int epoll_fd;
    int fds[MANY];
    int answered; /* with 200 */
    int ended;    /* in any way */
} crowd;

static crowd clients;

static int dial(const server *s, int flags)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    /* A reset at the end, so that the runs' sockets don't linger in TIME_WAIT. */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    return fd;
}

static void clients_hang_up(void)
{
    for (int i = 0; i < MANY; i++)
        close(clients.fds[i]);
    close(clients.epoll_fd);
}

static void serve_event(const struct epoll_event *event)
{
    uint32_t i = event->data.u32;
    int fd = clients.fds[i];
    if (event->events & EPOLLOUT) {
        char request[96];
        int n = snprintf(request, sizeof request, "GET /products/%u HTTP/1.1\r\nHost: x\r\n\r\n",
                         i + 1);
        struct epoll_event next = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = i};
        if (send(fd, request, (size_t)n, MSG_NOSIGNAL) == n &&
            epoll_ctl(clients.epoll_fd, EPOLL_CTL_MOD, fd, &next) == 0)
            return;
    } else {
        char answer[1024];
        ssize_t n = recv(fd, answer, sizeof answer, 0);
        clients.answered += n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
    }
    clients.ended++;
}

/* Works until `until` clients have sent or been answered, or for PATIENCE_MS without an event. */
static int clients_work(int events)
{
    struct epoll_event ready[256];
    int seen = 0;
    while (seen < events) {
        int n = epoll_wait(clients.epoll_fd, ready, 256, PATIENCE_MS);
        if (n <= 0)
            break;
        for (int i = 0; i < n; i++)
            serve_event(&ready[i]);
        seen += n;
    }
    return seen;
}

static uint64_t stat_of(const server *s, const char *name)
{
    char answer[4096], key[64];
    static const char request[] = "GET /stats HTTP/1.0\r\n\r\n";
    size_t len = 0;
    ssize_t n = 0;
    int fd = dial(s, 0);
    if (fd >= 0 && send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
        while ((n = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0)
            len += (size_t)n;
    if (fd >= 0)
        close(fd);
    answer[len] = '\0';
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *at = strstr(answer, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : UINT64_MAX;
}

static uint64_t await_stat(const server *s, const char *name, uint64_t want)
{
    uint64_t value = 0;
    for (int tries = 0; tries < PATIENCE_MS / 10; tries++) {
        if ((value = stat_of(s, name)) == want)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10 * MS}, NULL);
    }
    return value;
}

/* At least so many; the one that asks is among them. */
static void await_connections(const server *s, uint64_t want)
{
    for (int tries = 0; tries < PATIENCE_MS / 10; tries++) {
        uint64_t open = stat_of(s, "open_connections");
        if (open >= want && open != UINT64_MAX)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10 * MS}, NULL);
    }
}

/*
 * In waves, each of which the server has accepted before the next one comes: what overflows the
 * queue of a busy machine's listening socket is dropped by the kernel, and is lost in the end.
 */
static bool clients_dial(const server *s)
{
    clients.answered = clients.ended = 0;
    clients.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < MANY; i++) {
        struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.u32 = (uint32_t)i};
        clients.fds[i] = dial(s, SOCK_NONBLOCK);
        if (clients.fds[i] < 0 ||
            epoll_ctl(clients.epoll_fd, EPOLL_CTL_ADD, clients.fds[i], &event) != 0)
            return false;
        if (i % WAVE == WAVE - 1)
            await_connections(s, (uint64_t)i + 1);
    }
    return true;
}

static const char *too_few_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < MANY + 256)
        return "the hard limit of descriptors is below 10,256";
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? NULL : "cannot raise the limit of descriptors";
}

static int64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
enum { SANITIZED = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) };
#else
enum { SANITIZED = 0 };
#endif

TEST(ten_thousand_requests_are_held_at_once)
{
    server s;
    mock_stats stats;
    if (too_few_descriptors())
        SKIP(too_few_descriptors());
    REQUIRE(server_start(&s, HOUR));
    long before = server_rss_kib(&s);
    REQUIRE(clients_dial(&s));
    EXPECT_INT(clients_work(MANY), MANY);
    EXPECT_INT(await_stat(&s, "in_flight", MANY), MANY);
    long each = (server_rss_kib(&s) - before) * 1024 / MANY;
    printf("# %ld bytes of memory per held request\n", each);
    EXPECT(SANITIZED || each < 32768);

    /* Their clients' going away is seen although they are suspended. */
    clients_hang_up();
    EXPECT_INT(await_stat(&s, "in_flight", 0), 0);
    server_stop(&s, &stats);
    EXPECT_INT(stats.requests, MANY);
    EXPECT_INT(stats.abandoned, MANY);
    EXPECT_INT(stats.peak_in_flight, MANY);
    EXPECT_INT(stats.open_connections, 0);
}

TEST(ten_thousand_delayed_requests_are_answered)
{
    server s;
    mock_stats stats;
    if (too_few_descriptors())
        SKIP(too_few_descriptors());
    REQUIRE(server_start(&s, 1000 * MS));
    int64_t begun = now();
    REQUIRE(clients_dial(&s));
    EXPECT_INT(clients_work(2 * MANY), 2 * MANY);
    EXPECT_INT(clients.answered, MANY);
    printf("# 10,000 answers, each 1 s late, after %" PRId64 " ms\n", (now() - begun) / MS);
    clients_hang_up();
    server_stop(&s, &stats);
    printf("# at most %" PRIu64 " at once\n", stats.peak_in_flight);
    EXPECT_INT(stats.status[200], MANY);
    EXPECT_INT(stats.in_flight, 0);
}

TESTS(CASE(ten_thousand_requests_are_held_at_once),
      CASE(ten_thousand_delayed_requests_are_answered))
