/*
 * http_curl.c: http.h on libcurl's multi interface, driven by our loop; http_curl.h has the whole
 * picture. Here are the client and the beginning of exchanges. Easy handles are pooled, and set up
 * anew only where a request differs from the one before.
 *
 * Its invariant: what is set on a handle for one request is set again, or taken back, for the next.
 */
#include "http_curl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { RECEIVE_BUFFER = 16 << 10 };

const char *wi_http_version(void)
{
    static _Thread_local char text[160];
    const wi_curl *curl;
    weir_error err;
    if (wi_curl_load(&curl, &err) != WEIR_OK)
        return "libcurl (not there)";
    const curl_version_info_data *info = curl->version_info(CURLVERSION_NOW);
    snprintf(text, sizeof text, "libcurl %s (%s%s)", info->version,
             info->ssl_version ? info->ssl_version : "no TLS",
             info->features & CURL_VERSION_HTTP2 ? ", HTTP/2" : "");
    return text;
}

/* ---- the beginning of an exchange ---- */

/* libcurl copies texts, and a request is not to be sent without one of them. */
#define SET(option, value) \
    exchange->lacking |=   \
        exchange->http->curl->easy_setopt(exchange->easy, option, value) == CURLE_OUT_OF_MEMORY

/* What proves who asks: for the origin that is asked, and none that it leads to. */
static void set_credentials(wi_http_exchange *exchange, const wi_http_options *o)
{
    SET(CURLOPT_USERPWD, o->user);
    SET(CURLOPT_XOAUTH2_BEARER, o->bearer);
    SET(CURLOPT_HTTPAUTH, (long)(o->bearer ? CURLAUTH_BEARER : CURLAUTH_BASIC));
    SET(CURLOPT_NETRC, (long)(o->netrc ? CURL_NETRC_OPTIONAL : CURL_NETRC_IGNORED));
    SET(CURLOPT_COOKIE, o->cookie);
    SET(CURLOPT_SSLCERT, o->cert);
    SET(CURLOPT_SSLKEY, o->key);
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

bool wi_http_uses_proxy(const char *proxy)
{
    return proxy ? *proxy != '\0' : proxy_in_environment();
}

static long milliseconds(int64_t span)
{
    return span > 0 ? (long)((span + WI_MILLISECOND - 1) / WI_MILLISECOND) : 0;
}

static void set_transport(wi_http_exchange *exchange, const wi_http_options *o)
{
    if (o->proxy) {
        SET(CURLOPT_PROXY, o->proxy);
    } else if (!exchange->http->proxied) { /* or it is looked up there for every request */
        SET(CURLOPT_PROXY, "");
        SET(CURLOPT_NOPROXY, "*");
    }
    if (o->cacert)
        SET(CURLOPT_CAINFO, o->cacert);
    if (o->insecure) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* What is the same for every request of this handle's life. */
static void set_for_life(wi_http *http, wi_http_exchange *exchange)
{
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_SHARE, http->share);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_DNS_CACHE_TIMEOUT, -1L); /* http_names.c asks anew */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    wi_exchange_listen(exchange);
    set_credentials(exchange, &http->options);
    set_transport(exchange, &http->options);
    exchange->plain_get = true;
}

/*
 * A connection is timed by us, which costs less. But libcurl has to know how long there is where a
 * name may have several addresses of which the first is dead, so that it goes on to the next in
 * time.
 */
static void set_connect_timeout(wi_http *http, wi_http_exchange *exchange, const char *url)
{
    bool named = wi_http_names_has_name(url);
    if (named == exchange->named)
        return;
    exchange->named = named;
    http->curl->easy_setopt(exchange->easy, CURLOPT_CONNECTTIMEOUT_MS,
                            named ? milliseconds(http->options.connect_timeout) : 0L);
}

/* Multiplexing is for TLS, where the server says in the handshake whether it can. */
static void set_scheme(wi_http *http, wi_http_exchange *exchange, const char *url)
{
    bool https = strncasecmp(url, "https:", 6) == 0 && !http->options.http1_only;
    if (https == exchange->https)
        return;
    exchange->https = https;
    SET(CURLOPT_HTTP_VERSION, (long)(https ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    SET(CURLOPT_PIPEWAIT, https ? 1L : 0L);
}

/*
 * Parsing a URL is a sixth of a small request's price, so a handle that is used for the same origin
 * again, *same then, is given the new path only.
 */
static CURLUcode set_url(wi_http *http, wi_http_exchange *exchange, const char *url, bool *same)
{
    const wi_curl *curl = http->curl;
    const char *authority = strstr(url, "://");
    size_t len = authority ? 3 + (size_t)(authority - url) : 0;
    len += strcspn(url + len, "/?#\\");
    bool plain = url[len] == '/' && !strstr(url + len, "/.") && !strchr(url + len, '#');
    if (!plain || len != exchange->origin_len || memcmp(exchange->origin, url, len) != 0) {
        exchange->origin_len = plain && len <= WI_HTTP_MAX_ORIGIN ? len : 0;
        memcpy(exchange->origin, url, exchange->origin_len);
        set_connect_timeout(http, exchange, url);
        *same = false;
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

static void set_method(wi_http_exchange *exchange, const wi_http_request *request)
{
    bool plain_get = !request->body && strcmp(request->method, "GET") == 0;
    if (plain_get && exchange->plain_get)
        return;
    exchange->plain_get = plain_get;
    SET(CURLOPT_NOBODY, 0L);
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_CUSTOMREQUEST, NULL);
    if (plain_get)
        return;
    if (strcmp(request->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
        return;
    }
    bool post = strcmp(request->method, "POST") == 0;
    if (request->body || post) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        SET(CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    if (!post)
        SET(CURLOPT_CUSTOMREQUEST, request->method);
}

void wi_exchange_free(wi_http_exchange *exchange)
{
    const wi_curl *curl = exchange->http->curl;
    if (exchange->easy)
        curl->easy_cleanup(exchange->easy);
    curl->url_cleanup(exchange->parts);
    wi_timer_fini(&exchange->timeout);
    wi_content_drop(&exchange->content);
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
    wi_list_init(&exchange->member);
    exchange->easy = http->curl->easy_init();
    exchange->parts = http->curl->url();
    if (!exchange->easy || !exchange->parts ||
        !wi_timer_init(&exchange->timeout, http->loop, wi_exchange_on_timeout)) {
        wi_exchange_free(exchange);
        return NULL;
    }
    set_for_life(http, exchange);
    if (exchange->lacking) {
        wi_exchange_free(exchange);
        return NULL;
    }
    return exchange;
}

void wi_exchange_set_up(wi_http_exchange *exchange)
{
    wi_http *http = exchange->http;
    const wi_http_redirect *redirect = &exchange->redirect;
    const wi_http_headers *headers = exchange->request.headers;
    SET(CURLOPT_CURLU, exchange->parts);
    SET(CURLOPT_HTTPHEADER, redirect->filtered ? redirect->headers
                            : headers          ? headers->list
                                               : NULL);
    if (redirect->hops)
        set_connect_timeout(http, exchange, exchange->request.url);
    set_scheme(http, exchange, exchange->request.url);
    set_method(exchange, &exchange->request);
    if (exchange->bare != redirect->foreign) {
        static const wi_http_options none;
        exchange->bare = redirect->foreign;
        set_credentials(exchange, exchange->bare ? &none : &http->options);
    }
    exchange->sent = false;
    exchange->resume = false;
    exchange->aborted = false;
    exchange->opened = false;
    exchange->denied = false;
    exchange->paused_at = 0;
    exchange->header_bytes = 0;
    exchange->socket_errno = 0;
    exchange->in_headers = false;
    exchange->ends_with = WEIR_OK;
    exchange->text[0] = '\0';
    int64_t limit = http->options.connect_timeout;
    exchange->connect_at = limit > 0 ? wi_loop_now(http->loop) + limit : WI_FOREVER;
    exchange->knock_at = exchange->recall_at = WI_FOREVER;
    exchange->recall = exchange->recalled = false;
}

weir_status wi_http_start(wi_http *http, const wi_http_request *request, void *arg,
                          wi_http_exchange **out, weir_error *err)
{
    wi_http_exchange *exchange = exchange_get(http);
    if (!exchange)
        return wi_fail_nomem(err);
    bool same_origin = true;
    CURLUcode code = set_url(http, exchange, request->url, &same_origin);
    if (code != CURLUE_OK && code != CURLUE_OUT_OF_MEMORY) {
        exchange->origin_len = 0;
        wi_list_prepend(&http->idle, &exchange->node);
        /* It is not repeated: it may hold a password. */
        return wi_fail(err, WEIR_INVALID, "the URL cannot be used: %s",
                       http->curl->url_strerror(code));
    }
    exchange->arg = arg;
    exchange->request = *request;
    exchange->http_status = 0;
    exchange->started = 0;
    int64_t now = wi_loop_now(http->loop);
    exchange->timeout_at = request->timeout > 0 ? now + request->timeout : 0;
    wi_exchange_set_up(exchange);
    if (code == CURLUE_OUT_OF_MEMORY || exchange->lacking) {
        wi_exchange_free(exchange); /* what else is set on it nobody knows */
        return wi_fail_nomem(err);
    }
    *out = exchange;
    wi_exchange_enter_later(exchange);
    if (!same_origin && !wi_reach_check_host(exchange)) {
        exchange->origin_len = 0; /* nor is it taken for known to be good the next time */
        wi_exchange_end_early(exchange, WEIR_DENIED);
        wi_reach_say(exchange);
        return WEIR_OK;
    }
    wi_exchange_arm(exchange);
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
    wi_defer_init(&http->attend, wi_exchange_on_attend);
    wi_http_names_init(&http->names);
    http->proxied = wi_http_uses_proxy(options->proxy);
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
        wi_exchange_free(wi_container_of(node, wi_http_exchange, node));
    while (!wi_list_empty(&http->shards))
        wi_shard_free(wi_container_of(http->shards.next, wi_shard, all));
    if (http->share)
        http->curl->share_cleanup(http->share);
    wi_http_drop_sockets(http);
    wi_defer_clear(&http->attend);
    free_options(&http->options);
    free(http->scratch);
    free(http);
}
