/*
 * http_shard.c: see http_curl.h. libcurl's sockets are known by their descriptors' numbers. libcurl
 * lets us close one that connected, but (as of 7.88) closes by itself one that never did, and says
 * only that it need not be watched any more, before that or after. So such a socket is not touched
 * from then on, for its number may be another thread's; it is forgotten when that comes again.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_curl.h"

/* ---- sockets ---- */

static wi_http_socket *socket_at(wi_http *http, curl_socket_t fd)
{
    return (size_t)fd < http->sockets_len ? http->sockets[fd] : NULL;
}

static void on_socket_ready(wi_watch *watch, uint32_t events)
{
    wi_http_socket *sock = wi_container_of(watch, wi_http_socket, watch);
    wi_shard *s = sock->shard;
    int mask = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    int running;
    if (s->broken) /* what is left of its sockets closes when its transfers are taken out */
        wi_watch_want(watch, 0);
    else
        wi_shard_check(s, s->http->curl->multi_socket_action(s->multi, watch->fd, mask, &running));
    wi_defer_set(s->http->loop, &s->drain);
}

/*
 * With a thousand transfers in flight each one's state has left the cache by the time its answer
 * comes. Asked for while the one before is served, it is there again: a tenth of the whole price.
 */
static void on_socket_soon(wi_watch *watch)
{
    enum { EASY_SIZE = 5 << 10, LINE = 64 }; /* of a handle in libcurl 7.88; a hint, no more */
    const char *easy = (const char *)wi_container_of(watch, wi_http_socket, watch)->easy;
    for (size_t at = 0; at < EASY_SIZE; at += LINE)
        __builtin_prefetch(easy + at);
}

static void socket_drop(wi_http *http, curl_socket_t fd, bool is_open)
{
    wi_http_socket *sock = socket_at(http, fd);
    if (!sock)
        return;
    if (is_open)
        wi_watch_fini(&sock->watch);
    else
        wi_watch_forget(&sock->watch);
    http->sockets[fd] = NULL;
    free(sock);
}

static wi_http_socket *socket_add(wi_http *http, curl_socket_t fd)
{
    socket_drop(http, fd, false);
    if ((size_t)fd >= http->sockets_len) {
        size_t len = ((size_t)fd + 64) * 3 / 2;
        wi_http_socket **sockets = realloc(http->sockets, len * sizeof(wi_http_socket *));
        if (!sockets)
            return NULL;
        memset(sockets + http->sockets_len, 0, (len - http->sockets_len) * sizeof *sockets);
        http->sockets = sockets;
        http->sockets_len = len;
    }
    wi_http_socket *sock = calloc(1, sizeof *sock);
    if (!sock)
        return NULL;
    wi_watch_init(&sock->watch, http->loop, fd, on_socket_ready);
    sock->watch.soon = on_socket_soon;
    http->sockets[fd] = sock;
    return sock;
}

/*
 * A host that has vanished says nothing, and who waits for its answer without a limit would wait
 * forever. So the kernel asks after half a minute of silence, and gives up a minute later: an
 * outage may last for that long. A socket that cannot be set so works all the same.
 */
static void keep_alive(int fd)
{
    static const struct {
        int level, name, value;
    } settings[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 30},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 6},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value, sizeof(int));
}

curl_socket_t wi_http_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    wi_http_exchange *exchange = arg;
    wi_http *http = exchange->http;
    wi_exchange_name_answered(exchange, true);
    if (!wi_reach_check_address(exchange, address)) {
        exchange->denied = true;
        return CURL_SOCKET_BAD;
    }
    exchange->opened = true;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        exchange->socket_errno = errno;
        return CURL_SOCKET_BAD;
    }
    wi_http_socket *sock = socket_add(http, fd);
    if (!sock) {
        close(fd);
        exchange->socket_errno = ENOMEM;
        return CURL_SOCKET_BAD;
    }
    sock->ours = true;
    keep_alive(fd);
    wi_exchange_connects(exchange);
    return fd;
}

int wi_http_close_socket(void *arg, curl_socket_t fd)
{
    socket_drop(arg, fd, true);
    return close(fd);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)socket_arg;
    wi_shard *s = arg;
    wi_http_socket *sock = socket_at(s->http, fd);
    if (what == CURL_POLL_REMOVE) {
        if (sock && sock->ours)
            wi_watch_want(&sock->watch, 0);
        else /* libcurl's own (name look-up), closed behind our back right after this */
            socket_drop(s->http, fd, true);
        return 0;
    }
    if (!sock && !(sock = socket_add(s->http, fd)))
        return -1;
    sock->shard = s;
    sock->easy = easy;
    wi_watch_want(&sock->watch,
                  (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U));
    return 0;
}

/* ---- shards ---- */

static int want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    wi_shard *s = arg;
    wi_timer_clear(&s->timer);
    wi_defer_clear(&s->kick);
    if (timeout_ms == 0)
        wi_defer_set(s->http->loop, &s->kick);
    else if (timeout_ms > 0)
        wi_timer_set(&s->timer, wi_loop_now(s->http->loop) + timeout_ms * WI_MILLISECOND);
    return 0;
}

static void run_timeouts(wi_shard *s)
{
    int running;
    if (s->broken)
        return;
    wi_shard_check(s,
                   s->http->curl->multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running));
    wi_defer_set(s->http->loop, &s->drain);
}

static void on_shard_timer(wi_timer *timer)
{
    run_timeouts(wi_container_of(timer, wi_shard, timer));
}

static void on_shard_kick(wi_defer *defer)
{
    run_timeouts(wi_container_of(defer, wi_shard, kick));
}

static void on_shard_drain(wi_defer *defer)
{
    wi_shard *s = wi_container_of(defer, wi_shard, drain);
    const wi_curl *curl = s->http->curl;
    CURLMsg *message;
    int left;
    while (!s->broken && (message = curl->multi_info_read(s->multi, &left))) {
        wi_http_exchange *exchange = NULL;
        CURLcode code = message->data.result;
        curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        wi_exchange_ended(exchange, code);
    }
}

void wi_shard_free(wi_shard *s)
{
    wi_list_remove(&s->all);
    wi_list_remove(&s->open);
    if (s->multi)
        s->http->curl->multi_cleanup(s->multi);
    wi_timer_fini(&s->timer);
    wi_defer_clear(&s->kick);
    wi_defer_clear(&s->drain);
    free(s);
}

static wi_shard *shard_new(wi_http *http)
{
    wi_shard *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    const wi_curl *curl = http->curl;
    s->http = http;
    wi_list_init(&s->all);
    wi_list_init(&s->open);
    wi_list_init(&s->members);
    wi_defer_init(&s->kick, on_shard_kick);
    wi_defer_init(&s->drain, on_shard_drain);
    s->multi = curl->multi_init();
    if (!s->multi || !wi_timer_init(&s->timer, http->loop, on_shard_timer)) {
        wi_shard_free(s);
        return NULL;
    }
    curl->multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl->multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl->multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl->multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    curl->multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)WI_SHARD_SIZE);
    curl->multi_setopt(s->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    wi_list_append(&http->shards, &s->all);
    wi_list_append(&http->open, &s->open);
    return s;
}

wi_shard *wi_shard_with_room(wi_http *http)
{
    if (wi_list_empty(&http->open))
        return shard_new(http);
    return wi_container_of(http->open.next, wi_shard, open);
}

void wi_shard_check(wi_shard *s, CURLMcode code)
{
    if (s->broken || (code != CURLM_OUT_OF_MEMORY && code != CURLM_INTERNAL_ERROR &&
                      code != CURLM_ABORTED_BY_CALLBACK))
        return;
    s->broken = true;
    wi_list_remove(&s->open);
    wi_timer_clear(&s->timer);
    for (wi_list *node = s->members.next; node != &s->members; node = node->next)
        wi_exchange_end_early(wi_container_of(node, wi_http_exchange, member), WEIR_NOMEM);
}

void wi_shard_entered(wi_shard *s, wi_http_exchange *exchange)
{
    wi_list_append(&s->members, &exchange->member);
    if (++s->active == WI_SHARD_SIZE)
        wi_list_remove(&s->open);
}

void wi_shard_left(wi_shard *s, wi_http_exchange *exchange)
{
    s->active--;
    wi_list_remove(&exchange->member);
    wi_list_remove(&s->open);
    if (s->broken) {
        if (!s->active)
            wi_shard_free(s);
        return;
    }
    wi_list_prepend(&s->http->open, &s->open);
}

void wi_http_drop_sockets(wi_http *http)
{
    for (size_t fd = 0; fd < http->sockets_len; fd++)
        socket_drop(http, (curl_socket_t)fd, false);
    free(http->sockets);
}
