/*
 * mock.c: starting, running and stopping the mock. Its invariant: after mock_start has returned,
 * everything but the counters and `wake_fd` belongs to the mock's thread until it is joined.
 */
#include "mock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mock_request.h"

enum {
    SPARE_CONNECTIONS = 64,  /* for looking at /stats while all others are held */
    SPARE_DESCRIPTORS = 128, /* for everything that is no connection of the mock's */
    BACKLOG = 16384,         /* the kernel cuts it to net.core.somaxconn */
    EVENTS = 256,
    POOL = 16 << 10, /* a connection's memory for its request's head: all of it is touched */
};

#define WAIT_MAX (INT64_C(366) * 86400 * 1000000000)

struct mock {
    mock_state state;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    int wake_fd; /* an eventfd: the mock shall stop */
    pthread_t thread;
    uint16_t port;
    char url[sizeof "http://[]:65535" + INET6_ADDRSTRLEN];
};

static weir_status fail(weir_error *err, weir_status status, int sys_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The only foreign text in these messages is a listening address, and that was parsed by then. */
static weir_status fail(weir_error *err, weir_status status, int sys_errno, const char *format, ...)
{
    if (!err)
        return status;
    va_list ap;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    err->status = status;
    err->sys_errno = sys_errno;
    return status;
}

static weir_status check(const mock_options *o, weir_error *err)
{
    const char *wrong = NULL;
    if (o->latency < 0 || o->jitter < 0 || o->slow_body < 0)
        wrong = "latency, jitter and slow body must not be negative";
    else if (o->latency > WAIT_MAX || o->jitter > WAIT_MAX || o->slow_body > WAIT_MAX)
        wrong = "latency, jitter and slow body must be at most a year";
    else if (!(o->error_percent >= 0 && o->error_percent <= 100))
        wrong = "the share of errors must be 0% to 100%";
    else if (!(o->rate_limit >= 0 && o->rate_limit <= 1e9))
        wrong = "the rate limit must be 0 to 1000000000 per second";
    else if (o->error_kinds & ~(MOCK_FAULT_BIT(MOCK_FAULT_COUNT) - 2))
        wrong = "there is an unknown kind of error";
    else if (o->connections < 0 || o->connections > 1000000)
        wrong = "the number of connections must be 1 to 1000000";
    return wrong ? fail(err, WEIR_INVALID, 0, "%s", wrong) : WEIR_OK;
}

static weir_status raise_descriptors(int64_t connections, weir_error *err)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)connections + SPARE_CONNECTIONS + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return fail(err, WEIR_IO, errno, "cannot read the limit of descriptors");
    if (limit.rlim_cur >= needed)
        return WEIR_OK;
    if (limit.rlim_max < needed)
        return fail(err, WEIR_INVALID, 0,
                    "%" PRId64 " connections need %" PRIu64
                    " descriptors and the hard limit is %" PRIu64
                    "; raise it (ulimit -Hn) or ask for fewer connections",
                    connections, (uint64_t)needed, (uint64_t)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return fail(err, WEIR_IO, errno, "cannot raise the limit of descriptors to %" PRIu64,
                    (uint64_t)limit.rlim_max);
    return WEIR_OK;
}

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

static bool parse_address(const char *text, uint16_t port, address *out)
{
    *out = (address){0};
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return true;
    }
    return false;
}

static int listen_at(const address *where)
{
    int one = 1;
    int fd = socket(where->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* Connections inherit TCP_NODELAY from the socket that they came to. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
        bind(fd, &where->any, sizeof *where) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Sets the port and the URL, and returns a listening socket in *out. */
static weir_status open_socket(mock *m, const mock_options *options, int *out, weir_error *err)
{
    const char *text = options->address ? options->address : "127.0.0.1";
    address where;
    if (!parse_address(text, options->port, &where))
        return fail(err, WEIR_INVALID, 0,
                    "the address to listen on must be numeric, as 127.0.0.1 or ::1");
    int fd = listen_at(&where);
    if (fd < 0) {
        int saved = errno;
        char reason[128];
        return fail(err, WEIR_IO, saved, "cannot listen on %s port %u: %s%s", text, options->port,
                    strerror_r(saved, reason, sizeof reason),
                    saved == EADDRINUSE ? "; choose another port, or 0 for any free one" : "");
    }
    socklen_t len = sizeof where;
    getsockname(fd, &where.any, &len);
    bool v6 = where.any.sa_family == AF_INET6;
    m->port = ntohs(v6 ? where.v6.sin6_port : where.v4.sin_port);
    snprintf(m->url, sizeof m->url, v6 ? "http://[%s]:%u" : "http://%s:%u", text, m->port);
    *out = fd;
    return WEIR_OK;
}

/* The socket belongs to libmicrohttpd from here on. */
static struct MHD_Daemon *start_daemon(mock *m, int listen_fd, unsigned connections)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
    mock_state *state = &m->state;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, connections, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)mock_request_new, state},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)mock_request_free, state},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)mock_connection_notify, state},
        {MHD_OPTION_END, 0, NULL},
    };
    return mock_mhd.start_daemon(flags, 0, NULL, NULL, mock_request_handle, &m->state,
                                 MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static int loop_timeout(mock *m)
{
    MHD_UNSIGNED_LONG_LONG ms;
    int timeout = mock_holds_timeout(&m->state.holds, mock_now());
    if (mock_mhd.get_timeout(m->daemon, &ms) && (timeout < 0 || ms < (unsigned)timeout))
        timeout = ms < 1000 ? (int)ms : 1000;
    return timeout;
}

/* Which event it was: a hold's client, the daemon (NULL) or the wake-up (the mock itself). */
static bool take_events(mock *m, const struct epoll_event *events, int n)
{
    bool go_on = true;
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == m)
            go_on = false;
        else if (events[i].data.ptr)
            mock_holds_gone(&m->state.holds, events[i].data.ptr);
    }
    return go_on;
}

static void *run(void *arg)
{
    mock *m = arg;
    struct epoll_event events[EVENTS];
    bool go_on = true;
    while (go_on) {
        int n = epoll_wait(m->epoll_fd, events, EVENTS, loop_timeout(m));
        go_on = take_events(m, events, n);
        mock_holds_release(&m->state.holds, mock_now());
        mock_mhd.run(m->daemon);
    }
    m->state.stopping = true;
    mock_holds_release_all(&m->state.holds);
    mock_mhd.run(m->daemon);
    mock_mhd.stop_daemon(m->daemon);
    return NULL;
}

static bool watch(mock *m, int fd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    return epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int start_thread(mock *m)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&m->thread, NULL, run, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void release(mock *m)
{
    if (m->epoll_fd >= 0)
        close(m->epoll_fd);
    if (m->wake_fd >= 0)
        close(m->wake_fd);
    mock_holds_fini(&m->state.holds);
    mock_faults_fini(&m->state.faults);
    free(m);
}

static weir_status prepare(mock *m, unsigned limit, weir_error *err)
{
    mock_state *state = &m->state;
    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->epoll_fd < 0 || m->wake_fd < 0 || !watch(m, m->wake_fd, m))
        return fail(err, WEIR_IO, errno, "no descriptors for its event loop");
    if (!mock_faults_init(&state->faults, &state->options) ||
        !mock_holds_init(&state->holds, limit, m->epoll_fd))
        return fail(err, WEIR_NOMEM, 0, "out of memory");
    mock_bucket_init(&state->bucket, state->options.rate_limit, mock_now());
    return WEIR_OK;
}

static weir_status launch(mock *m, const mock_options *options, unsigned limit, weir_error *err)
{
    int listen_fd = -1;
    weir_status status = open_socket(m, options, &listen_fd, err);
    if (status)
        return status;
    m->daemon = start_daemon(m, listen_fd, limit);
    if (!m->daemon)
        return fail(err, WEIR_INTERNAL, 0, "the HTTP server did not start");
    int daemon_fd = mock_mhd.get_daemon_info(m->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    if (watch(m, daemon_fd, NULL) && start_thread(m) == 0)
        return WEIR_OK;
    mock_mhd.stop_daemon(m->daemon);
    return fail(err, WEIR_IO, 0, "cannot start its thread");
}

weir_status mock_start(const mock_options *options, mock **out, weir_error *err)
{
    int64_t connections = options->connections ? options->connections : MOCK_CONNECTIONS;
    const char *why;
    weir_status status = check(options, err);
    if (!status && (status = mock_library_load(&why)))
        return fail(err, status, 0, "%s", why);
    if (!status)
        status = raise_descriptors(connections, err);
    if (status)
        return status;
    mock *m = calloc(1, sizeof *m);
    if (!m)
        return fail(err, WEIR_NOMEM, 0, "out of memory");
    m->epoll_fd = m->wake_fd = -1;
    m->state.options = *options;
    m->state.options.address = NULL;
    unsigned limit = (unsigned)connections + SPARE_CONNECTIONS;
    status = prepare(m, limit, err);
    if (!status)
        status = launch(m, options, limit, err);
    if (status) {
        release(m);
        return status;
    }
    *out = m;
    return WEIR_OK;
}

uint16_t mock_port(const mock *m)
{
    return m->port;
}

const char *mock_url(const mock *m)
{
    return m->url;
}

void mock_stats_get(const mock *m, mock_stats *out)
{
    mock_counters_read(&m->state.counters, out);
}

void mock_stop(mock *m, mock_stats *last)
{
    if (!m)
        return;
    eventfd_write(m->wake_fd, 1);
    pthread_join(m->thread, NULL);
    if (last)
        mock_stats_get(m, last);
    release(m);
}
