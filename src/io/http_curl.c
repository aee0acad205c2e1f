/*
 * http_curl.c: http.h on libcurl's multi interface, driven by our loop.
 *
 * A client spreads its transfers over shards, each a multi handle with at most SHARD_SIZE of them
 * and its own connections: libcurl searches its connections one by one, so a transfer's price grows
 * with their number (measured: 33,000 requests/s with 1,000 in flight in shards, 20,000 without).
 * Easy handles are pooled, and set up anew only where a request differs from the one before.
 *
 * Its invariant: libcurl is never entered from inside one of its own callbacks. What callbacks or
 * callers ask for (cancel, resume, a time-out) is noted and attended to at the end of the turn.
 */
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "curl_library.h"
#include "http_names.h"
#include "text.h"

enum {
    SHARD_SIZE = 64,
    RECEIVE_BUFFER = 16 << 10,
    MAX_ORIGIN = 120,
};

typedef struct shard {
    wi_http *http;
    CURLM *multi;
    wi_list all;
    wi_list open; /* in http->open while it has room */
    size_t active;
    wi_timer timer;
    wi_defer kick;  /* libcurl wants to be called at once */
    wi_defer drain; /* transfers may have ended */
} shard;

typedef struct http_socket {
    wi_watch watch;
    shard *shard;
    bool ours; /* opened by open_socket, so that its close is seen too */
} http_socket;

typedef enum exchange_state {
    EXCHANGE_IDLE,    /* pooled */
    EXCHANGE_WAITING, /* for a name another one asks for */
    EXCHANGE_ACTIVE,  /* libcurl has it */
    EXCHANGE_ENDING,  /* its end is decided, to be reported by attend */
} exchange_state;

struct wi_http_exchange {
    wi_list node; /* in http->idle, a name's waiting, or http->attention */
    wi_http *http;
    shard *shard;
    CURL *easy;
    void *arg;
    const char *url; /* the caller's */
    exchange_state state;
    wi_timer timeout;
    int64_t started;
    int64_t paused_at; /* 0: it runs */
    int64_t timeout_at;
    weir_status ends_with;
    wi_http_name *asks;
    struct curl_slist *forget_name;
    size_t header_bytes;
    int http_status;
    bool resume;
    bool aborted;
    bool once;
    bool sent;
    long redirects_sent;
    CURLU *parts;      /* the URL last asked for, */
    size_t origin_len; /* which begins with so many bytes of scheme and authority: */
    char origin[MAX_ORIGIN];
    /* what the handle is set up for */
    bool https;
    bool plain_get;
    char text[CURL_ERROR_SIZE];
};

struct wi_http {
    wi_loop *loop;
    const wi_curl *curl;
    CURLSH *share;
    wi_http_events events;
    wi_http_options options;
    wi_list shards;
    wi_list open;
    wi_list idle;
    wi_list attention;
    wi_defer attend;
    http_socket **sockets; /* by descriptor */
    size_t sockets_len;
    wi_http_names names;
};

/* ---- request headers ---- */

struct wi_http_headers {
    struct curl_slist *list;
};

/*
 * libcurl goes through the list a dozen times per request, so the two lines that all requests have
 * are one entry of it. Only for these: it must see for itself the ones it acts upon, such as
 * credentials, which it keeps from other hosts.
 */
wi_http_headers *wi_http_headers_new(const char *user_agent, bool accept_encoding)
{
    char lines[400];
    const wi_curl *curl;
    wi_http_headers *headers = calloc(1, sizeof *headers);
    if (!headers || wi_curl_load(&curl, NULL) != WEIR_OK) {
        free(headers);
        return NULL;
    }
    int features = curl->version_info(CURLVERSION_NOW)->features;
    int n =
        snprintf(lines, sizeof lines, "%s%s%s%s%s%s%s", accept_encoding ? "Accept-Encoding: " : "",
                 !accept_encoding               ? ""
                 : features & CURL_VERSION_LIBZ ? "gzip, deflate"
                                                : "identity",
                 accept_encoding && features & CURL_VERSION_BROTLI ? ", br" : "",
                 accept_encoding && features & CURL_VERSION_ZSTD ? ", zstd" : "",
                 accept_encoding && user_agent ? "\r\n" : "", user_agent ? "User-Agent: " : "",
                 user_agent ? user_agent : "");
    if (n <= 0)
        return headers;
    headers->list = (size_t)n < sizeof lines ? curl->slist_append(NULL, lines) : NULL;
    if (!headers->list) {
        free(headers);
        return NULL;
    }
    return headers;
}

wi_http_headers *wi_http_headers_add(wi_http_headers *headers, const char *line)
{
    const wi_curl *curl;
    char *copy = strdup(line);
    struct curl_slist *longer = NULL;
    if (copy && wi_curl_load(&curl, NULL) == WEIR_OK) {
        /* libcurl takes "Name:" as "leave this header out", and "Name;" as an empty one. */
        char *colon = strchr(copy, ':');
        if (colon && colon[1 + strspn(colon + 1, " \t")] == '\0')
            strcpy(colon, ";");
        longer = curl->slist_append(headers->list, copy);
    }
    free(copy);
    if (!longer) {
        wi_http_headers_free(headers);
        return NULL;
    }
    headers->list = longer;
    return headers;
}

void wi_http_headers_free(wi_http_headers *list)
{
    const wi_curl *curl;
    if (!list || wi_curl_load(&curl, NULL) != WEIR_OK)
        return;
    curl->slist_free_all(list->list);
    free(list);
}

const char *wi_http_version(void)
{
    static _Thread_local char text[160];
    const wi_curl *curl;
    weir_error err;
    if (wi_curl_load(&curl, &err) != WEIR_OK)
        return "libcurl (not there)";
    const curl_version_info_data *info = curl->version_info(CURLVERSION_NOW);
    snprintf(text, sizeof text, "libcurl %s (%s%s%s)", info->version,
             info->ssl_version ? info->ssl_version : "no TLS",
             info->features & CURL_VERSION_HTTP2 ? ", HTTP/2" : "",
             info->features & CURL_VERSION_BROTLI ? ", br" : "");
    return text;
}

/* ---- sockets ---- */

static http_socket *socket_at(wi_http *http, curl_socket_t fd)
{
    return (size_t)fd < http->sockets_len ? http->sockets[fd] : NULL;
}

static void on_socket_ready(wi_watch *watch, uint32_t events)
{
    http_socket *sock = wi_container_of(watch, http_socket, watch);
    shard *s = sock->shard;
    int mask = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    int running;
    s->http->curl->multi_socket_action(s->multi, watch->fd, mask, &running);
    wi_defer_set(s->http->loop, &s->drain);
}

static http_socket *socket_add(wi_http *http, curl_socket_t fd)
{
    if ((size_t)fd >= http->sockets_len) {
        size_t len = ((size_t)fd + 64) * 3 / 2;
        http_socket **sockets = realloc(http->sockets, len * sizeof(http_socket *));
        if (!sockets)
            return NULL;
        memset(sockets + http->sockets_len, 0, (len - http->sockets_len) * sizeof *sockets);
        http->sockets = sockets;
        http->sockets_len = len;
    }
    http_socket *sock = calloc(1, sizeof *sock);
    if (!sock)
        return NULL;
    wi_watch_init(&sock->watch, http->loop, fd, on_socket_ready);
    http->sockets[fd] = sock;
    return sock;
}

static void socket_drop(wi_http *http, curl_socket_t fd)
{
    http_socket *sock = socket_at(http, fd);
    if (!sock)
        return;
    wi_watch_fini(&sock->watch);
    http->sockets[fd] = NULL;
    free(sock);
}

static void name_answered(wi_http *http, wi_http_exchange *exchange, bool known);

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    wi_http_exchange *exchange = arg;
    wi_http *http = exchange->http;
    name_answered(http, exchange, true);
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        snprintf(exchange->text, sizeof exchange->text, "cannot open a socket: %s",
                 strerrordesc_np(errno));
        return CURL_SOCKET_BAD;
    }
    http_socket *sock = socket_add(http, fd);
    if (!sock) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    sock->ours = true;
    return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
    socket_drop(arg, fd);
    return close(fd);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    (void)socket_arg;
    shard *s = arg;
    http_socket *sock = socket_at(s->http, fd);
    if (what == CURL_POLL_REMOVE) {
        if (sock && sock->ours)
            wi_watch_want(&sock->watch, 0);
        else /* libcurl's own (name look-up), closed behind our back right after this */
            socket_drop(s->http, fd);
        return 0;
    }
    if (!sock && !(sock = socket_add(s->http, fd)))
        return -1;
    sock->shard = s;
    wi_watch_want(&sock->watch,
                  (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U));
    return 0;
}

/* ---- shards ---- */

static int want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    shard *s = arg;
    wi_timer_clear(&s->timer);
    wi_defer_clear(&s->kick);
    if (timeout_ms == 0)
        wi_defer_set(s->http->loop, &s->kick);
    else if (timeout_ms > 0)
        wi_timer_set(&s->timer, wi_loop_now(s->http->loop) + timeout_ms * WI_MILLISECOND);
    return 0;
}

static void run_timeouts(shard *s)
{
    int running;
    s->http->curl->multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    wi_defer_set(s->http->loop, &s->drain);
}

static void on_shard_timer(wi_timer *timer)
{
    run_timeouts(wi_container_of(timer, shard, timer));
}

static void on_shard_kick(wi_defer *defer)
{
    run_timeouts(wi_container_of(defer, shard, kick));
}

static void on_shard_drain(wi_defer *defer);

static void shard_free(shard *s)
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

static shard *shard_new(wi_http *http)
{
    shard *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    const wi_curl *curl = http->curl;
    s->http = http;
    wi_list_init(&s->all);
    wi_list_init(&s->open);
    wi_defer_init(&s->kick, on_shard_kick);
    wi_defer_init(&s->drain, on_shard_drain);
    s->multi = curl->multi_init();
    if (!s->multi || !wi_timer_init(&s->timer, http->loop, on_shard_timer)) {
        shard_free(s);
        return NULL;
    }
    curl->multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl->multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl->multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl->multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    curl->multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)SHARD_SIZE);
    curl->multi_setopt(s->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    wi_list_append(&http->shards, &s->all);
    wi_list_append(&http->open, &s->open);
    return s;
}

static shard *shard_with_room(wi_http *http)
{
    if (wi_list_empty(&http->open))
        return shard_new(http);
    return wi_container_of(http->open.next, shard, open);
}

static void shard_left(shard *s)
{
    s->active--;
    wi_list_remove(&s->open);
    wi_list_prepend(&s->http->open, &s->open);
}

/* ---- an exchange's callbacks from libcurl ---- */

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    wi_http_exchange *exchange = arg;
    const wi_http_events *events = &exchange->http->events;
    size_t len = size * n;
    exchange->header_bytes += len;
    if (exchange->header_bytes > WI_HTTP_MAX_HEADERS) {
        exchange->aborted = true;
        return 0;
    }
    while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', len);
        int64_t status = 0;
        if (space && line + len - space >= 4)
            wi_text_parse_i64(space + 1, 3, &status);
        exchange->http_status = (int)status;
        events->begin(exchange->arg, exchange->http_status);
        return size * n;
    }
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return size * n;
    const char *value = colon + 1;
    const char *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    events->header(exchange->arg, line, (size_t)(colon - line), value, (size_t)(end - value));
    return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    wi_http_exchange *exchange = arg;
    switch (exchange->http->events.body(exchange->arg, bytes, size * n)) {
    case WI_HTTP_TAKEN:
        return size * n;
    case WI_HTTP_PAUSE:
        if (!exchange->paused_at) {
            exchange->paused_at = wi_loop_now(exchange->http->loop);
            wi_timer_clear(&exchange->timeout);
        }
        return CURL_WRITEFUNC_PAUSE;
    case WI_HTTP_ABORT:
        break;
    }
    exchange->aborted = true;
    return 0;
}

/*
 * Called right before a request is sent. libcurl sends it again by itself when a kept connection
 * turns out to be dead, which must not happen to a request that may have been carried out.
 */
static int before_request(void *arg, char *peer, char *local, int peer_port, int local_port)
{
    (void)peer, (void)local, (void)peer_port, (void)local_port;
    wi_http_exchange *exchange = arg;
    long redirects = 0;
    exchange->http->curl->easy_getinfo(exchange->easy, CURLINFO_REDIRECT_COUNT, &redirects);
    if (exchange->once && exchange->sent && redirects <= exchange->redirects_sent) {
        exchange->ends_with = WEIR_RESET;
        return CURL_PREREQFUNC_ABORT;
    }
    exchange->sent = true;
    exchange->redirects_sent = redirects;
    return CURL_PREREQFUNC_OK;
}

/* ---- the end of an exchange ---- */

static weir_status status_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return WEIR_OK;
    case CURLE_OUT_OF_MEMORY:
        return WEIR_NOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
        return WEIR_INVALID;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return WEIR_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return WEIR_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return WEIR_TIMEDOUT;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return WEIR_RESET;
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return WEIR_TRUNCATED;
    case CURLE_TOO_MANY_REDIRECTS:
        return WEIR_REDIRECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return WEIR_TLS;
    default:
        return WEIR_PROTOCOL;
    }
}

/* A name that is not found is not found for those who waited for it either. */
static void fail_waiting(wi_http_exchange *exchange)
{
    wi_list *waiting = &exchange->asks->waiting;
    for (wi_list *node = waiting->next; node != waiting; node = node->next) {
        wi_http_exchange *other = wi_container_of(node, wi_http_exchange, node);
        other->state = EXCHANGE_ENDING;
        other->ends_with = WEIR_RESOLVE;
        memcpy(other->text, exchange->text, sizeof other->text);
    }
}

/* Those who waited for a name are attended to. */
static void name_answered(wi_http *http, wi_http_exchange *exchange, bool known)
{
    wi_http_name *name = exchange->asks;
    if (!name)
        return;
    exchange->asks = NULL;
    wi_http_names_answered(name, known, wi_loop_now(http->loop));
    wi_list_splice(&http->attention, &name->waiting);
    wi_defer_set(http->loop, &http->attend);
}

static void release(wi_http_exchange *exchange)
{
    exchange->state = EXCHANGE_IDLE;
    wi_timer_clear(&exchange->timeout);
    if (exchange->forget_name) {
        exchange->http->curl->easy_setopt(exchange->easy, CURLOPT_RESOLVE, NULL);
        exchange->http->curl->slist_free_all(exchange->forget_name);
        exchange->forget_name = NULL;
    }
    wi_list_remove(&exchange->node);
    wi_list_prepend(&exchange->http->idle, &exchange->node);
}

static void finish(wi_http_exchange *exchange, weir_status status)
{
    wi_http *http = exchange->http;
    if (exchange->shard) {
        http->curl->multi_remove_handle(exchange->shard->multi, exchange->easy);
        shard_left(exchange->shard);
        exchange->shard = NULL;
    }
    if (exchange->asks && status == WEIR_RESOLVE)
        fail_waiting(exchange);
    name_answered(http, exchange, false);
    int64_t now = wi_loop_now(http->loop);
    int64_t paused = exchange->paused_at ? now - exchange->paused_at : 0;
    char text[CURL_ERROR_SIZE + 64];
    wi_text_printable(text, sizeof text, exchange->text, strlen(exchange->text));
    wi_http_result result = {
        .status = status,
        .http_status = exchange->http_status,
        .sent = exchange->sent,
        .duration = now - exchange->started - paused,
        .text = status == WEIR_OK ? "" : text,
    };
    release(exchange);
    http->events.done(exchange->arg, &result);
}

static void finish_with_code(wi_http_exchange *exchange, CURLcode code)
{
    weir_status status = status_of(code);
    if (exchange->ends_with != WEIR_OK) {
        status = exchange->ends_with;
        snprintf(exchange->text, sizeof exchange->text,
                 "the connection was closed before an answer came");
    } else if (exchange->aborted) {
        status = WEIR_TOOLARGE;
        exchange->text[0] = '\0'; /* libcurl only knows that it could not write */
        if (exchange->header_bytes > WI_HTTP_MAX_HEADERS)
            snprintf(exchange->text, sizeof exchange->text, "headers of more than %zu KiB",
                     WI_HTTP_MAX_HEADERS >> 10);
    } else if (status != WEIR_OK && !exchange->text[0]) {
        snprintf(exchange->text, sizeof exchange->text, "%s",
                 exchange->http->curl->easy_strerror(code));
    }
    finish(exchange, status);
}

static void on_shard_drain(wi_defer *defer)
{
    shard *s = wi_container_of(defer, shard, drain);
    const wi_curl *curl = s->http->curl;
    CURLMsg *message;
    int left;
    while ((message = curl->multi_info_read(s->multi, &left))) {
        wi_http_exchange *exchange = NULL;
        CURLcode code = message->data.result;
        curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        if (exchange->state == EXCHANGE_ACTIVE)
            finish_with_code(exchange, code);
    }
}

static void attend_later(wi_http_exchange *exchange)
{
    wi_list_remove(&exchange->node);
    wi_list_append(&exchange->http->attention, &exchange->node);
    wi_defer_set(exchange->http->loop, &exchange->http->attend);
}

static void end_early(wi_http_exchange *exchange, weir_status status)
{
    if (exchange->state != EXCHANGE_ACTIVE && exchange->state != EXCHANGE_WAITING)
        return;
    exchange->state = EXCHANGE_ENDING;
    exchange->ends_with = status;
    exchange->text[0] = '\0';
    attend_later(exchange);
}

void wi_http_cancel(wi_http_exchange *exchange)
{
    end_early(exchange, WEIR_CANCELLED);
}

static void on_exchange_timeout(wi_timer *timer)
{
    end_early(wi_container_of(timer, wi_http_exchange, timeout), WEIR_TIMEDOUT);
}

void wi_http_resume(wi_http_exchange *exchange)
{
    if (exchange->state != EXCHANGE_ACTIVE || !exchange->paused_at)
        return;
    exchange->resume = true;
    attend_later(exchange);
}

static void resume_now(wi_http_exchange *exchange)
{
    wi_http *http = exchange->http;
    int64_t paused = wi_loop_now(http->loop) - exchange->paused_at;
    exchange->resume = false;
    exchange->paused_at = 0;
    exchange->started += paused;
    if (exchange->timeout_at) {
        exchange->timeout_at += paused;
        wi_timer_set(&exchange->timeout, exchange->timeout_at);
    }
    http->curl->easy_pause(exchange->easy, CURLPAUSE_CONT);
    wi_defer_set(http->loop, &exchange->shard->drain);
}

static void enter(wi_http_exchange *exchange);

static void on_attend(wi_defer *defer)
{
    wi_http *http = wi_container_of(defer, wi_http, attend);
    wi_list now;
    wi_list_init(&now);
    wi_list_splice(&now, &http->attention);
    wi_list *node;
    while ((node = wi_list_shift(&now))) {
        wi_http_exchange *exchange = wi_container_of(node, wi_http_exchange, node);
        if (exchange->state == EXCHANGE_ENDING)
            finish(exchange, exchange->ends_with);
        else if (exchange->state == EXCHANGE_WAITING)
            enter(exchange);
        else if (exchange->resume)
            resume_now(exchange);
    }
}

/* ---- the beginning of an exchange ---- */

static void set_credentials(const wi_curl *curl, CURL *easy, const wi_http_options *o)
{
    if (o->user) {
        curl->easy_setopt(easy, CURLOPT_USERPWD, o->user);
        curl->easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    }
    if (o->bearer) {
        curl->easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, o->bearer);
        curl->easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    }
    if (o->netrc)
        curl->easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    if (o->cookie)
        curl->easy_setopt(easy, CURLOPT_COOKIE, o->cookie);
}

static bool proxy_in_environment(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]))
            return true;
    return false;
}

static void set_transport(const wi_curl *curl, CURL *easy, const wi_http_options *o)
{
    if (o->proxy) {
        curl->easy_setopt(easy, CURLOPT_PROXY, o->proxy);
    } else if (!proxy_in_environment()) { /* or it is looked up there for every request */
        curl->easy_setopt(easy, CURLOPT_PROXY, "");
        curl->easy_setopt(easy, CURLOPT_NOPROXY, "*");
    }
    if (o->cacert)
        curl->easy_setopt(easy, CURLOPT_CAINFO, o->cacert);
    if (o->cert)
        curl->easy_setopt(easy, CURLOPT_SSLCERT, o->cert);
    if (o->key)
        curl->easy_setopt(easy, CURLOPT_SSLKEY, o->key);
    if (o->insecure) {
        curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (o->follow) {
        curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        curl->easy_setopt(easy, CURLOPT_MAXREDIRS, (long)o->max_redirects);
        curl->easy_setopt(easy, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
    }
    if (o->connect_timeout > 0)
        curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                          (long)((o->connect_timeout + WI_MILLISECOND - 1) / WI_MILLISECOND));
}

/* What is the same for every request of this handle's life. */
static void set_for_life(wi_http *http, wi_http_exchange *exchange)
{
    const wi_curl *curl = http->curl;
    CURL *easy = exchange->easy;
    curl->easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl->easy_setopt(easy, CURLOPT_SHARE, http->share);
    curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl->easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, -1L); /* http_names.c asks anew */
    curl->easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl->easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl->easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->text);
    curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl->easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl->easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl->easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl->easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, http);
    curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    set_credentials(curl, easy, &http->options);
    set_transport(curl, easy, &http->options);
    exchange->plain_get = true;
}

/* Multiplexing is for TLS, where the server says in the handshake whether it can. */
static void set_scheme(wi_http *http, wi_http_exchange *exchange, const char *url)
{
    bool https = strncasecmp(url, "https:", 6) == 0 && !http->options.http1_only;
    if (https == exchange->https)
        return;
    exchange->https = https;
    http->curl->easy_setopt(exchange->easy, CURLOPT_HTTP_VERSION,
                            (long)(https ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    http->curl->easy_setopt(exchange->easy, CURLOPT_PIPEWAIT, https ? 1L : 0L);
}

/*
 * Parsing a URL is a sixth of a small request's price, so a handle that is used for the same origin
 * again is given the new path only.
 */
static CURLUcode set_url(wi_http *http, wi_http_exchange *exchange, const char *url)
{
    const wi_curl *curl = http->curl;
    const char *authority = strstr(url, "://");
    size_t len = authority ? 3 + (size_t)(authority - url) : 0;
    len += strcspn(url + len, "/?#\\");
    bool plain = url[len] == '/' && !strstr(url + len, "/.") && !strchr(url + len, '#');
    if (!plain || len != exchange->origin_len || memcmp(exchange->origin, url, len) != 0) {
        exchange->origin_len = plain && len <= MAX_ORIGIN ? len : 0;
        memcpy(exchange->origin, url, exchange->origin_len);
        return curl->url_set(exchange->parts, CURLUPART_URL, url, 0);
    }
    char path[2048];
    size_t path_len = strcspn(url + len, "?");
    const char *query = url[len + path_len] ? url + len + path_len + 1 : NULL;
    if (path_len >= sizeof path)
        return curl->url_set(exchange->parts, CURLUPART_URL, url, 0);
    memcpy(path, url + len, path_len);
    path[path_len] = '\0';
    CURLUcode code = curl->url_set(exchange->parts, CURLUPART_PATH, path, 0);
    return code == CURLUE_OK ? curl->url_set(exchange->parts, CURLUPART_QUERY, query, 0) : code;
}

static void set_method(wi_http *http, wi_http_exchange *exchange, const wi_http_request *request)
{
    const wi_curl *curl = http->curl;
    CURL *easy = exchange->easy;
    bool plain_get = !request->body && strcmp(request->method, "GET") == 0;
    if (plain_get && exchange->plain_get)
        return;
    exchange->plain_get = plain_get;
    curl->easy_setopt(easy, CURLOPT_NOBODY, 0L);
    curl->easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    if (plain_get)
        return;
    if (strcmp(request->method, "HEAD") == 0) {
        curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    bool post = strcmp(request->method, "POST") == 0;
    if (request->body || post) {
        curl->easy_setopt(easy, CURLOPT_POST, 1L);
        curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        curl->easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    if (!post)
        curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void exchange_free(wi_http_exchange *exchange)
{
    const wi_curl *curl = exchange->http->curl;
    if (exchange->easy)
        curl->easy_cleanup(exchange->easy);
    curl->url_cleanup(exchange->parts);
    wi_timer_fini(&exchange->timeout);
    free(exchange);
}

static wi_http_exchange *exchange_get(wi_http *http)
{
    wi_list *node = wi_list_shift(&http->idle);
    if (node)
        return wi_container_of(node, wi_http_exchange, node);
    wi_http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->http = http;
    wi_list_init(&exchange->node);
    exchange->easy = http->curl->easy_init();
    exchange->parts = http->curl->url();
    if (!exchange->easy || !exchange->parts ||
        !wi_timer_init(&exchange->timeout, http->loop, on_exchange_timeout)) {
        exchange_free(exchange);
        return NULL;
    }
    set_for_life(http, exchange);
    return exchange;
}

/* The one who asks for a name makes libcurl forget what it knew of it. */
static void ask_name(wi_http_exchange *exchange, wi_http_name *name)
{
    const wi_curl *curl = exchange->http->curl;
    char entry[300] = "-";
    exchange->asks = name;
    if (wi_http_names_host_port(exchange->url, entry + 1, sizeof entry - 1))
        exchange->forget_name = curl->slist_append(NULL, entry);
    if (exchange->forget_name)
        curl->easy_setopt(exchange->easy, CURLOPT_RESOLVE, exchange->forget_name);
}

/* Into libcurl, or into the queue for a name. */
static void enter(wi_http_exchange *exchange)
{
    wi_http *http = exchange->http;
    const wi_curl *curl = http->curl;
    wi_http_name *name = NULL;
    wi_http_name_turn turn =
        wi_http_names_enter(&http->names, exchange->url, wi_loop_now(http->loop), &name);
    if (turn == WI_HTTP_NAME_WAIT) {
        exchange->state = EXCHANGE_WAITING;
        wi_list_append(&name->waiting, &exchange->node);
        return;
    }
    curl->easy_setopt(exchange->easy, CURLOPT_FRESH_CONNECT, turn == WI_HTTP_NAME_ASK ? 1L : 0L);
    if (turn == WI_HTTP_NAME_ASK)
        ask_name(exchange, name);
    exchange->state = EXCHANGE_ACTIVE;
    shard *s = shard_with_room(http);
    if (!s || curl->multi_add_handle(s->multi, exchange->easy) != CURLM_OK) {
        end_early(exchange, WEIR_NOMEM);
        return;
    }
    exchange->shard = s;
    if (++s->active == SHARD_SIZE)
        wi_list_remove(&s->open);
}

weir_status wi_http_start(wi_http *http, const wi_http_request *request, void *arg,
                          wi_http_exchange **out, weir_error *err)
{
    wi_http_exchange *exchange = exchange_get(http);
    if (!exchange)
        return wi_fail_nomem(err);
    CURL *easy = exchange->easy;
    CURLUcode code = set_url(http, exchange, request->url);
    if (code != CURLUE_OK) {
        exchange->origin_len = 0;
        wi_list_prepend(&http->idle, &exchange->node);
        return wi_fail(err, WEIR_INVALID, "\"%.200s\" is not a URL: %s", request->url,
                       http->curl->url_strerror(code));
    }
    http->curl->easy_setopt(easy, CURLOPT_CURLU, exchange->parts);
    http->curl->easy_setopt(easy, CURLOPT_HTTPHEADER,
                            request->headers ? request->headers->list : NULL);
    set_scheme(http, exchange, request->url);
    set_method(http, exchange, request);
    exchange->arg = arg;
    exchange->url = request->url;
    exchange->once = request->once;
    exchange->sent = false;
    exchange->resume = false;
    exchange->aborted = false;
    exchange->paused_at = 0;
    exchange->header_bytes = 0;
    exchange->http_status = 0;
    exchange->ends_with = WEIR_OK;
    exchange->text[0] = '\0';
    exchange->started = wi_loop_now(http->loop);
    exchange->timeout_at = request->timeout > 0 ? exchange->started + request->timeout : 0;
    if (exchange->timeout_at)
        wi_timer_set(&exchange->timeout, exchange->timeout_at);
    *out = exchange;
    enter(exchange);
    return WEIR_OK;
}

/* ---- the client ---- */

static weir_status check_readable(const char *path, const char *what, weir_error *err)
{
    if (path && access(path, R_OK) != 0)
        return wi_fail_errno(err, errno, "cannot read the %s %s", what, path);
    return WEIR_OK;
}

static weir_status copy_options(wi_http_options *to, const wi_http_options *from)
{
    *to = *from;
    const char **strings[] = {&to->user,   &to->bearer, &to->cookie, &to->proxy,
                              &to->cacert, &to->cert,   &to->key};
    bool ok = true;
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        if (*strings[i] && !(*strings[i] = strdup(*strings[i])))
            ok = false;
    return ok ? WEIR_OK : WEIR_NOMEM;
}

static void free_options(wi_http_options *o)
{
    const char *strings[] = {o->user, o->bearer, o->cookie, o->proxy, o->cacert, o->cert, o->key};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        free((char *)strings[i]);
}

weir_status wi_http_new(wi_loop *loop, const wi_http_options *options, const wi_http_events *events,
                        wi_http **out, weir_error *err)
{
    const wi_curl *curl;
    weir_status status = wi_curl_load(&curl, err);
    if (status == WEIR_OK)
        status = check_readable(options->cacert, "CA certificates (--cacert)", err);
    if (status == WEIR_OK)
        status = check_readable(options->cert, "certificate (--cert)", err);
    if (status == WEIR_OK)
        status = check_readable(options->key, "key (--key)", err);
    if (status != WEIR_OK)
        return status;
    wi_http *http = calloc(1, sizeof *http);
    if (!http)
        return wi_fail_nomem(err);
    http->loop = loop;
    http->curl = curl;
    http->events = *events;
    wi_list_init(&http->shards);
    wi_list_init(&http->open);
    wi_list_init(&http->idle);
    wi_list_init(&http->attention);
    wi_defer_init(&http->attend, on_attend);
    wi_http_names_init(&http->names);
    http->share = curl->share_init();
    if (copy_options(&http->options, options) != WEIR_OK || !http->share) {
        wi_http_free(http);
        return wi_fail_nomem(err);
    }
    curl->share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl->share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    *out = http;
    return WEIR_OK;
}

void wi_http_free(wi_http *http)
{
    if (!http)
        return;
    wi_list *node;
    while ((node = wi_list_shift(&http->idle)))
        exchange_free(wi_container_of(node, wi_http_exchange, node));
    while (!wi_list_empty(&http->shards))
        shard_free(wi_container_of(http->shards.next, shard, all));
    if (http->share)
        http->curl->share_cleanup(http->share);
    for (size_t fd = 0; fd < http->sockets_len; fd++)
        socket_drop(http, (curl_socket_t)fd);
    free(http->sockets);
    wi_defer_clear(&http->attend);
    free_options(&http->options);
    free(http);
}
