/*
 * server.h: a web server for tests: what it answers, and when, is decided by the path.
 *
 * On 127.0.0.1 and a free port, a thread per connection, so that each can be written as a plain
 * sequence of reads and writes. server_end returns when all its threads have ended.
 */
#ifndef WEIR_TEST_SERVER_H
#define WEIR_TEST_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum { SERVER_CONNECTIONS = 2048, SERVER_REQUEST = 1 << 16 };

typedef struct server_connection {
    struct server *server;
    pthread_t thread;
    int fd;
    int requests;
    int ordinal; /* of the request, from 0, among all of the server */
    char request[SERVER_REQUEST];
    size_t len;  /* of what was read */
    size_t head; /* of the request's head, with the empty line */
    size_t size; /* of the whole request */
    char method[16];
    char path[256];
} server_connection;

typedef struct server {
    int fd;
    int port;
    pthread_t thread;
    void (*answer)(server_connection *connection);
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t change;
    server_connection *connections[SERVER_CONNECTIONS];
    int connections_len;
    int requests;
    bool ending;
    char last[SERVER_REQUEST]; /* the last request */
} server;

/* ---- for answer functions ---- */

static inline bool server_send(server_connection *c, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static inline bool server_puts(server_connection *c, const char *text)
{
    return server_send(c, text, strlen(text));
}

/* A whole answer with a body. */
static inline void server_reply(server_connection *c, const char *status, const char *headers,
                                const char *body, size_t len)
{
    char head[512];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
             len);
    if (server_puts(c, head) && strcmp(c->method, "HEAD") != 0)
        server_send(c, body, len);
}

/* No answer comes any more; what was sent before still arrives. */
static inline void server_close(server_connection *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

/* Waits until the client has gone. */
static inline void server_hang(server_connection *c)
{
    char byte;
    while (recv(c->fd, &byte, 1, 0) > 0)
        continue;
}

/* Waits until its group of n requests, in the order of their coming, is complete: so many are being
 * answered at once. */
static inline void server_await(server_connection *c, int n)
{
    server *s = c->server;
    pthread_mutex_lock(&s->lock);
    while (s->requests < (c->ordinal / n + 1) * n && !s->ending)
        pthread_cond_wait(&s->change, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static inline bool server_asks(const server_connection *c, const char *path)
{
    return strcmp(c->path, path) == 0;
}

/* ---- its threads ---- */

static inline bool server_read_more(server_connection *c)
{
    if (c->len + 1 >= sizeof c->request)
        return false;
    ssize_t n = recv(c->fd, c->request + c->len, sizeof c->request - 1 - c->len, 0);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    c->len += (size_t)n;
    c->request[c->len] = '\0';
    return true;
}

static inline bool server_read_request(server_connection *c)
{
    memmove(c->request, c->request + c->size, c->len - c->size);
    c->len -= c->size;
    c->size = 0;
    c->request[c->len] = '\0';
    char *end;
    while (!(end = strstr(c->request, "\r\n\r\n")))
        if (!server_read_more(c))
            return false;
    c->head = (size_t)(end + 4 - c->request);
    const char *length = strcasestr(c->request, "\r\nContent-Length:");
    c->size = c->head + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    while (c->len < c->size)
        if (!server_read_more(c))
            return false;
    return sscanf(c->request, "%15s %255s", c->method, c->path) == 2;
}

static inline void *server_serve(void *arg)
{
    server_connection *c = arg;
    server *s = c->server;
    while (server_read_request(c)) {
        pthread_mutex_lock(&s->lock);
        c->requests++;
        c->ordinal = s->requests++;
        memcpy(s->last, c->request, c->size);
        s->last[c->size] = '\0';
        pthread_cond_broadcast(&s->change);
        pthread_mutex_unlock(&s->lock);
        s->answer(c);
    }
    shutdown(c->fd, SHUT_RDWR); /* closed by server_end, so that its number is not used again */
    return NULL;
}

static inline void *server_accept(void *arg)
{
    server *s = arg;
    for (;;) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        pthread_mutex_lock(&s->lock);
        server_connection *c = NULL;
        bool ending = s->ending;
        if (fd >= 0 && !ending && s->connections_len < SERVER_CONNECTIONS)
            c = calloc(1, sizeof *c);
        if (c) {
            c->server = s;
            c->fd = fd;
            if (pthread_create(&c->thread, NULL, server_serve, c) == 0)
                s->connections[s->connections_len++] = c;
        }
        pthread_mutex_unlock(&s->lock);
        if (fd >= 0 && !c)
            close(fd);
        if (ending || (fd < 0 && errno != EINTR && errno != ECONNABORTED))
            return NULL;
    }
}

static inline server *server_begin(void (*answer)(server_connection *connection))
{
    server *s = calloc(1, sizeof *s);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    s->answer = answer;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(bind(s->fd, (struct sockaddr *)&address, size) == 0);
    EXPECT(listen(s->fd, 1024) == 0);
    getsockname(s->fd, (struct sockaddr *)&address, &size);
    s->port = ntohs(address.sin_port);
    EXPECT(pthread_create(&s->thread, NULL, server_accept, s) == 0);
    return s;
}

static inline int server_connections(server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->connections_len;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline int server_requests(server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->requests;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* The last request; until the next call. */
static inline const char *server_last(server *s)
{
    static char last[SERVER_REQUEST];
    pthread_mutex_lock(&s->lock);
    memcpy(last, s->last, sizeof last);
    pthread_mutex_unlock(&s->lock);
    return last;
}

static inline void server_end(server *s)
{
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    for (int i = 0; i < s->connections_len; i++)
        shutdown(s->connections[i]->fd, SHUT_RDWR);
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
    shutdown(s->fd, SHUT_RDWR); /* ends accept */
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->connections_len; i++) {
        pthread_join(s->connections[i]->thread, NULL);
        close(s->connections[i]->fd);
        free(s->connections[i]);
    }
    close(s->fd);
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

#endif
