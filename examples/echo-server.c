/*
 * An echo server: each connection is served by a fiber that reads, waits and writes as if it were
 * the only one.
 *
 *     echo-server [PORT [CONNECTIONS]]     (0: any port; 1,000 connections)
 *
 * Listens on 127.0.0.1 and says where. Beyond its number of connections, further ones wait in the
 * kernel's queue until one ends. TERM and INT end it: no more are taken, those there are closed at
 * once, and it exits with 0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/weir.h>

/* What all fibers share. */
typedef struct server {
    int listener;
    weir_group *group;   /* the accept loop and all connections: cancelled and waited for as one */
    weir_channel *seats; /* holds a value for each connection: when it is full, accepting waits */
} server;

typedef struct connection {
    int fd;
    server *server;
} connection;

/* The task's argument belongs to the executor, which calls this once, whether the task ran, failed
 * or was cancelled before it began: the one place where a connection ends. */
static void hang_up(void *arg)
{
    connection *c = arg;
    void *seat;
    close(c->fd);
    weir_channel_try_receive(c->server->seats, &seat, NULL);
    free(c);
}

static weir_status send_all(int fd, const char *bytes, size_t len, weir_error *err)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            weir_status status = weir_wait_writable(fd, err);
            if (status != WEIR_OK)
                return status;
        } else if (errno != EINTR) {
            return WEIR_RESET;
        }
    }
    return WEIR_OK;
}

/* One connection, until the other side ends it or the server does. */
static void *echo(void *arg, weir_error *err)
{
    const connection *c = arg;
    char bytes[4096]; /* a fiber's stack is small */
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n > 0) {
            if (send_all(c->fd, bytes, (size_t)n, err) != WEIR_OK)
                return NULL;
        } else if (n < 0 && errno == EAGAIN) {
            if (weir_wait_readable(c->fd, err) != WEIR_OK)
                return NULL;
        } else if (n == 0 || errno != EINTR) {
            return NULL;
        }
    }
}

/* Hands a new connection, which has its seat already, to a fiber. */
static void serve(server *s, int fd)
{
    connection *c = malloc(sizeof *c);
    weir_task task = {.fn = echo, .arg = c, .name = "echo", .argument = {.release = hang_up}};
    if (c == NULL) {
        void *seat;
        close(fd);
        weir_channel_try_receive(s->seats, &seat, NULL);
        return;
    }
    *c = (connection){.fd = fd, .server = s};
    if (weir_group_submit(s->group, &task, NULL, NULL) != WEIR_OK)
        hang_up(c);
}

static int may_pass(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* The task that accepts. It ends when it is cancelled, or when the listener fails for good. */
static void *accept_all(void *arg, weir_error *err)
{
    server *s = arg;
    while (weir_channel_send(s->seats, s, err) == WEIR_OK) {
        int fd;
        while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
            weir_status status = WEIR_OK;
            if (errno == EAGAIN)
                status = weir_wait_readable(s->listener, err);
            else if (may_pass(errno)) /* no descriptor left: one may come back */
                status = weir_sleep(WEIR_MILLISECONDS(100), err);
            else if (errno != EINTR && errno != ECONNABORTED) {
                fprintf(stderr, "echo-server: cannot accept: %s\n", strerror(errno));
                kill(getpid(), SIGTERM);
                return NULL;
            }
            if (status != WEIR_OK)
                return NULL;
        }
        serve(s, fd);
    }
    return NULL;
}

/* A listening socket on the loopback address, and its port. -1: errno says why not. */
static int listen_on(uint16_t port, uint16_t *actual)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    *actual = ntohs(address.sin_port);
    return fd;
}

/* Runs until a signal of the set arrives. */
static weir_status run(server *s, const sigset_t *stop, uint16_t port, weir_error *err)
{
    weir_status status = weir_group_submit(
        s->group, &(weir_task){.fn = accept_all, .arg = s, .name = "accept"}, NULL, err);
    if (status != WEIR_OK)
        return status;
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    int signal;
    sigwait(stop, &signal);
    return WEIR_OK;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 7007, connections = argc > 2 ? atoi(argv[2]) : 1000;
    if (argc > 3 || port < 0 || port > 65535 || connections < 1) {
        fprintf(stderr, "usage: echo-server [PORT [CONNECTIONS]]\n");
        return 2;
    }
    /* Before there are threads, which inherit this: the signals wait for sigwait. */
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);

    uint16_t actual = 0;
    server s = {.listener = listen_on((uint16_t)port, &actual)};
    if (s.listener < 0) {
        fprintf(stderr, "echo-server: cannot listen on port %d: %s\n", port, strerror(errno));
        return 2;
    }
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = WEIR_FIBERS;
    weir_executor *executor = NULL;
    weir_error err;
    weir_status status = weir_executor_new(&options, &executor, &err);
    if (status == WEIR_OK)
        status = weir_channel_new((size_t)connections, &s.seats, &err);
    if (status == WEIR_OK)
        status = weir_group_new(executor, WEIR_GROUP_KEEP_GOING, &s.group, &err);
    if (status == WEIR_OK)
        status = run(&s, &stop, actual, &err);
    if (status != WEIR_OK)
        fprintf(stderr, "echo-server: %s\n", err.text);
    weir_group_free(s.group); /* cancels every fiber and waits for its end */
    weir_executor_free(executor);
    weir_channel_unref(s.seats);
    close(s.listener);
    return status != WEIR_OK ? 2 : 0;
}
