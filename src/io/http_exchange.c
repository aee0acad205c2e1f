/*
 * http_exchange.c: see http_curl.h. Its invariants: done is called exactly once for each exchange
 * that was started; and libcurl is never entered from inside one of its own callbacks. What
 * callbacks or callers ask for (cancel, resume, a time-out) is noted and attended to at the end of
 * the turn.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http_curl.h"
#include "text.h"

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
    if (len >= 5 && wi_text_same_nocase(line, "HTTP/", 5)) { /* what libcurl takes for one */
        const char *space = memchr(line, ' ', len);
        int64_t status = 0;
        if (space && line + len - space >= 4)
            wi_text_parse_i64(space + 1, 3, &status);
        exchange->http_status = (int)status;
        exchange->in_headers = true;
        wi_redirect_void(&exchange->redirect);
        if (exchange->content.coded)
            wi_content_drop(&exchange->content);
        events->begin(exchange->arg, exchange->http_status);
        return size * n;
    }
    if (len == 0) {
        exchange->in_headers = false;
        wi_redirect_headers_end(exchange);
    }
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return size * n;
    const char *value = colon + 1;
    const char *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    if (exchange->in_headers &&
        wi_text_equal_nocase(line, (size_t)(colon - line), "content-encoding"))
        wi_content_add(&exchange->content, value, (size_t)(end - value));
    if (!wi_redirect_header(exchange, line, (size_t)(colon - line), value, (size_t)(end - value))) {
        exchange->ends_with = WEIR_NOMEM;
        return 0;
    }
    events->header(exchange->arg, line, (size_t)(colon - line), value, (size_t)(end - value));
    return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    wi_http_exchange *exchange = arg;
    if (exchange->redirect.leads)
        return wi_redirect_body(exchange, size * n) ? size * n : 0;
    wi_http_taken taken = exchange->content.coded
                              ? wi_content_body(exchange, bytes, size * n)
                              : exchange->http->events.body(exchange->arg, bytes, size * n);
    switch (taken) {
    case WI_HTTP_TAKEN:
        return size * n;
    case WI_HTTP_PAUSE:
        if (!exchange->paused_at)
            exchange->paused_at = wi_loop_now(exchange->http->loop);
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
    (void)local, (void)peer_port, (void)local_port;
    wi_http_exchange *exchange = arg;
    exchange->worn = exchange->worn || exchange->sent;
    if (exchange->sent && exchange->request.once) {
        exchange->ends_with = WEIR_RESET;
        return CURL_PREREQFUNC_ABORT;
    }
    if (exchange->resolve && !exchange->sent && !exchange->http->proxied)
        wi_http_names_remember(&exchange->http->names, exchange->request.url, peer);
    exchange->sent = true;
    return CURL_PREREQFUNC_OK;
}

void wi_exchange_listen(wi_http_exchange *exchange)
{
    const wi_curl *curl = exchange->http->curl;
    CURL *easy = exchange->easy;
    curl->easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->text);
    curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl->easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl->easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl->easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, wi_http_open_socket);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
    curl->easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, wi_http_close_socket);
    curl->easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, exchange->http);
}

/* ---- the end of an exchange ---- */

static weir_status status_of(const wi_http_exchange *exchange, CURLcode code)
{
    switch (code) {
    case CURLE_OK: /* also for an answer that ends before its headers do */
        return exchange->in_headers    ? WEIR_TRUNCATED
               : exchange->http_status ? WEIR_OK
                                       : WEIR_PROTOCOL;
    case CURLE_OUT_OF_MEMORY: /* also what libcurl says of a line longer than it takes */
        return exchange->in_headers ? WEIR_TOOLARGE : WEIR_NOMEM;
    case CURLE_URL_MALFORMAT:        /* ours, or one that an answer led to; */
    case CURLE_UNSUPPORTED_PROTOCOL: /* "HTTP/0.9" is any answer that is none */
        return exchange->sent || exchange->redirect.hops ? WEIR_PROTOCOL : WEIR_INVALID;
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

/* Those who waited for the name are attended to. */
void wi_exchange_name_answered(wi_http_exchange *exchange, bool known)
{
    wi_http *http = exchange->http;
    wi_http_name *name = exchange->asks;
    if (!name)
        return;
    exchange->asks = NULL;
    wi_http_names_answered(name, known, wi_loop_now(http->loop));
    wi_list_splice(&http->attention, &name->waiting);
    wi_defer_set(http->loop, &http->attend);
}

/* What libcurl is told of names before it begins: "-HOST:PORT" forgets one. */
static void set_resolve(wi_http_exchange *exchange, const char *entry)
{
    const wi_curl *curl = exchange->http->curl;
    if (exchange->resolve) {
        curl->easy_setopt(exchange->easy, CURLOPT_RESOLVE, NULL);
        curl->slist_free_all(exchange->resolve);
    }
    exchange->resolve = entry ? curl->slist_append(NULL, entry) : NULL;
    if (exchange->resolve)
        curl->easy_setopt(exchange->easy, CURLOPT_RESOLVE, exchange->resolve);
}

static void release(wi_http_exchange *exchange)
{
    wi_redirect_drop(exchange);
    exchange->state = EXCHANGE_IDLE;
    wi_list_remove(&exchange->node);
    if (exchange->worn)
        wi_exchange_free(exchange);
    else
        wi_list_prepend(&exchange->http->idle, &exchange->node);
}

static void leave_shard(wi_http_exchange *exchange)
{
    if (!exchange->shard)
        return;
    exchange->http->curl->multi_remove_handle(exchange->shard->multi, exchange->easy);
    exchange->worn |= exchange->shard->broken;
    wi_shard_left(exchange->shard, exchange);
    exchange->shard = NULL;
}

void wi_exchange_leave(wi_http_exchange *exchange)
{
    leave_shard(exchange);
    wi_exchange_name_answered(exchange, false);
    set_resolve(exchange, NULL);
    if (exchange->content.coded)
        wi_content_drop(&exchange->content);
}

void wi_exchange_finish(wi_http_exchange *exchange, weir_status status)
{
    wi_http *http = exchange->http;
    if (exchange->asks && status == WEIR_RESOLVE)
        fail_waiting(exchange);
    wi_exchange_leave(exchange);
    int64_t now = wi_loop_clock(http->loop); /* much may have happened in this turn */
    int64_t paused = exchange->paused_at ? now - exchange->paused_at : 0;
    char text[CURL_ERROR_SIZE + 64];
    wi_text_printable(text, sizeof text, exchange->text, strlen(exchange->text));
    wi_http_result result = {
        .status = status,
        .http_status = exchange->http_status,
        .sent = exchange->sent || exchange->redirect.hops > 0,
        .elsewhere = exchange->redirect.foreign,
        .duration = exchange->started ? now - exchange->started - paused : 0,
        .text = status == WEIR_OK ? "" : text,
    };
    void *arg = exchange->arg;
    release(exchange);
    http->events.done(arg, &result);
}

static void say_no_connection(wi_http_exchange *exchange)
{
    snprintf(exchange->text, sizeof exchange->text, "no connection within %g s",
             (double)exchange->http->options.connect_timeout / WI_SECOND);
}

/* libcurl says where to, and after how many milliseconds, but not whether it was refused, or
 * whether there is no way there: "Failed to connect to HOST port N after N ms: ...". */
static void say_why_not_connected(wi_http_exchange *exchange)
{
    long error = 0;
    exchange->http->curl->easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &error);
    char *after = strstr(exchange->text, " after ");
    const char *why = error ? strerrordesc_np((int)error) : NULL;
    if (after && why)
        snprintf(after, sizeof exchange->text - (size_t)(after - exchange->text), ": %s", why);
}

static void attend_later(wi_http_exchange *exchange)
{
    wi_list_remove(&exchange->node);
    wi_list_append(&exchange->http->attention, &exchange->node);
    wi_defer_set(exchange->http->loop, &exchange->http->attend);
}

void wi_exchange_enter_later(wi_http_exchange *exchange)
{
    exchange->state = EXCHANGE_WAITING;
    attend_later(exchange);
}

/*
 * Names that cannot be looked up for a while are no reason to stop asking a server that is there:
 * the exchange begins anew with the address that served until now. False: there is none, or it did.
 */
static bool recall_address(wi_http_exchange *exchange)
{
    char host_port[300], entry[350];
    wi_http *http = exchange->http;
    const char *address = wi_http_names_remembered(&http->names, exchange->request.url);
    exchange->recall = false;
    if (!exchange->asks || exchange->recalled || !address ||
        !wi_http_names_host_port(exchange->request.url, host_port, sizeof host_port))
        return false;
    leave_shard(exchange);
    snprintf(entry, sizeof entry, "%s:%s", host_port, address);
    set_resolve(exchange, entry);
    exchange->recalled = true;
    exchange->recall_at = WI_FOREVER;
    exchange->text[0] = '\0';
    wi_exchange_enter_later(exchange);
    return true;
}

void wi_exchange_ended(wi_http_exchange *exchange, CURLcode code)
{
    if (exchange->state != EXCHANGE_ACTIVE)
        return; /* its end was decided before */
    if (code == CURLE_COULDNT_RESOLVE_HOST && recall_address(exchange))
        return;
    if (exchange->redirect.leads) { /* however its body ended */
        wi_redirect_follow(exchange);
        return;
    }
    wi_http_content *content = &exchange->content;
    weir_status status = status_of(exchange, code);
    bool undecoded = status == WEIR_OK
                         ? !wi_content_finish(content)
                         : exchange->aborted && !exchange->in_headers && content->fault != WEIR_OK;
    if (exchange->ends_with != WEIR_OK) {
        status = exchange->ends_with;
        snprintf(exchange->text, sizeof exchange->text, "%s",
                 status == WEIR_RESET ? "the connection was closed before an answer came"
                                      : weir_status_text(status));
    } else if (undecoded) {
        status = content->fault;
        snprintf(exchange->text, sizeof exchange->text, "%s", content->why);
    } else if (exchange->denied && !exchange->opened) {
        status = WEIR_DENIED;
        wi_reach_say(exchange);
    } else if (exchange->socket_errno && code == CURLE_COULDNT_CONNECT) {
        status = exchange->socket_errno == ENOMEM ? WEIR_NOMEM : status;
        snprintf(exchange->text, sizeof exchange->text, "no socket can be opened: %s",
                 strerrordesc_np(exchange->socket_errno));
    } else if (strncmp(exchange->text, "Unsupported proxy", 17) == 0) {
        /* libcurl repeats it whole, with its password */
        snprintf(exchange->text, sizeof exchange->text, "the proxy is no URL that can be used");
    } else if (code == CURLE_COULDNT_CONNECT) {
        say_why_not_connected(exchange);
    } else if (code == CURLE_OPERATION_TIMEDOUT && !exchange->sent) {
        say_no_connection(exchange);
    } else if (exchange->aborted) {
        status = WEIR_TOOLARGE;
        exchange->text[0] = '\0'; /* libcurl only knows that it could not write */
        if (exchange->header_bytes > WI_HTTP_MAX_HEADERS)
            snprintf(exchange->text, sizeof exchange->text, "headers of more than %zu KiB",
                     WI_HTTP_MAX_HEADERS >> 10);
    } else if (status == WEIR_TOOLARGE) {
        snprintf(exchange->text, sizeof exchange->text, "a header line of more than 100 KiB");
    } else if (status != WEIR_OK && code == CURLE_OK) {
        snprintf(exchange->text, sizeof exchange->text,
                 status == WEIR_TRUNCATED ? "the connection was closed amid the headers"
                                          : "the answer has no status");
    } else if (status != WEIR_OK && !exchange->text[0]) {
        snprintf(exchange->text, sizeof exchange->text, "%s",
                 exchange->http->curl->easy_strerror(code));
    }
    wi_exchange_finish(exchange, status);
}

void wi_exchange_end_early(wi_http_exchange *exchange, weir_status status)
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
    wi_exchange_end_early(exchange, WEIR_CANCELLED);
}

/* When the exchange ends for taking too long, as far as is known now. */
static int64_t deadline_of(const wi_http_exchange *exchange)
{
    int64_t at = exchange->paused_at || !exchange->timeout_at ? WI_FOREVER : exchange->timeout_at;
    return exchange->sent || exchange->connect_at > at ? at : exchange->connect_at;
}

/*
 * A timer that is set for a time before the deadline is left alone: it finds out when it is called.
 * So an exchange that ends in time, as nearly all do, moves nothing in the loop's heap.
 */
void wi_exchange_arm(wi_http_exchange *exchange)
{
    int64_t at = deadline_of(exchange);
    if (!exchange->sent && exchange->knock_at < at)
        at = exchange->knock_at;
    if (exchange->asks && exchange->recall_at < at)
        at = exchange->recall_at;
    if (at != WI_FOREVER &&
        (!wi_timer_is_set(&exchange->timeout) || exchange->timeout.node.key > at))
        wi_timer_set(&exchange->timeout, at);
}

/*
 * libcurl gives the first of a name's addresses half of the time there is to connect, and so on.
 * Its own timer for that may come a moment too early to count, and is not set again; nor does it
 * come back to begin with the next one (7.88.1). So as long as there is no connection it is made to
 * look now and then, which is what the end of a pause does.
 */
enum { KNOCKS = 16 };

void wi_exchange_connects(wi_http_exchange *exchange)
{
    int64_t limit = exchange->http->options.connect_timeout;
    if (!exchange->named || limit <= 0)
        return;
    exchange->knock_at = wi_loop_now(exchange->http->loop) + limit / KNOCKS + WI_MILLISECOND;
    wi_exchange_arm(exchange);
}

static void knock(wi_http_exchange *exchange, int64_t now)
{
    if (exchange->sent || exchange->knock_at > now || exchange->state != EXCHANGE_ACTIVE)
        return;
    exchange->knock_at = now + exchange->http->options.connect_timeout / KNOCKS + WI_MILLISECOND;
    const wi_curl *curl = exchange->http->curl;
    curl->easy_pause(exchange->easy, CURLPAUSE_SEND);
    curl->easy_pause(exchange->easy, CURLPAUSE_CONT);
}

void wi_exchange_on_timeout(wi_timer *timer)
{
    wi_http_exchange *exchange = wi_container_of(timer, wi_http_exchange, timeout);
    if (exchange->state != EXCHANGE_ACTIVE && exchange->state != EXCHANGE_WAITING)
        return;
    int64_t at = deadline_of(exchange);
    if (at > wi_loop_now(timer->loop)) {
        if (exchange->asks && exchange->recall_at <= wi_loop_now(timer->loop)) {
            exchange->recall = true;
            exchange->recall_at = WI_FOREVER;
            attend_later(exchange);
        }
        knock(exchange, wi_loop_now(timer->loop));
        wi_exchange_arm(exchange);
        return;
    }
    wi_exchange_end_early(exchange, WEIR_TIMEDOUT);
    if (at == exchange->connect_at)
        say_no_connection(exchange);
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
    if (exchange->timeout_at)
        exchange->timeout_at += paused;
    wi_exchange_arm(exchange);
    /* What libcurl held back is offered from inside this call; if that is refused, libcurl says so
     * here and only here. */
    CURLcode code = http->curl->easy_pause(exchange->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK)
        wi_exchange_ended(exchange, code);
    else
        wi_defer_set(http->loop, &exchange->shard->drain);
}

/* ---- into libcurl ---- */

/* The one who asks for a name makes libcurl forget what it knew of it. */
static void ask_name(wi_http_exchange *exchange, wi_http_name *name)
{
    char entry[300] = "-";
    int64_t limit = exchange->http->options.connect_timeout;
    exchange->asks = name;
    if (wi_http_names_host_port(exchange->request.url, entry + 1, sizeof entry - 1))
        set_resolve(exchange, entry);
    if (limit > 0 && name->address[0]) {
        exchange->recall_at = wi_loop_now(exchange->http->loop) + limit / 2;
        wi_exchange_arm(exchange);
    }
}

/* Into libcurl, or into the queue for a name. */
static void enter(wi_http_exchange *exchange)
{
    if (!exchange->started) /* now, and not when the turn began: much may have come in between */
        exchange->started = wi_loop_clock(exchange->http->loop);
    wi_http *http = exchange->http;
    const wi_curl *curl = http->curl;
    wi_http_name *name = NULL;
    wi_http_name_turn turn = WI_HTTP_NAME_ASK;
    if (!exchange->recalled)
        turn = wi_http_names_enter(&http->names, exchange->request.url, wi_loop_now(http->loop),
                                   &name);
    if (turn == WI_HTTP_NAME_WAIT) {
        exchange->state = EXCHANGE_WAITING;
        wi_list_append(&name->waiting, &exchange->node);
        return;
    }
    curl->easy_setopt(exchange->easy, CURLOPT_FRESH_CONNECT,
                      turn == WI_HTTP_NAME_ASK || exchange->request.fresh ? 1L : 0L);
    if (name)
        ask_name(exchange, name);
    exchange->state = EXCHANGE_ACTIVE;
    wi_shard *s = wi_shard_with_room(http);
    CURLMcode code = s ? curl->multi_add_handle(s->multi, exchange->easy) : CURLM_OUT_OF_MEMORY;
    if (s)
        wi_shard_check(s, code);
    if (code != CURLM_OK) {
        wi_exchange_end_early(exchange, WEIR_NOMEM);
        return;
    }
    exchange->shard = s;
    wi_shard_entered(s, exchange);
}

void wi_exchange_on_attend(wi_defer *defer)
{
    wi_http *http = wi_container_of(defer, wi_http, attend);
    wi_list now;
    wi_list_init(&now);
    wi_list_splice(&now, &http->attention);
    wi_list *node;
    while ((node = wi_list_shift(&now))) {
        wi_http_exchange *exchange = wi_container_of(node, wi_http_exchange, node);
        if (exchange->state == EXCHANGE_ENDING)
            wi_exchange_finish(exchange, exchange->ends_with);
        else if (exchange->state == EXCHANGE_WAITING)
            enter(exchange);
        else if (exchange->recall)
            recall_address(exchange);
        else if (exchange->resume)
            resume_now(exchange);
    }
}
