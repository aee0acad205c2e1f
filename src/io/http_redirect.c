/*
 * http_redirect.c: see http_curl.h. Redirects are followed here and not by libcurl, which would
 * send cookies, headers, bodies and certificates on to wherever a server says, and connect before
 * anyone can object.
 *
 * Its invariant: once an exchange has left the origin (scheme, host and port) it was meant for,
 * nothing of the caller's goes with it but a GET, HEAD or OPTIONS and a few harmless headers, not
 * even when it comes back: where it went in between may have chosen what is asked then.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "http_curl.h"
#include "text.h"

enum { MAX_PASSED = 64 << 10 }; /* of a redirect's body, before its connection is given up for it */

/* ---- an answer that leads elsewhere ---- */

static bool is_redirect(int http_status)
{
    return (http_status >= 301 && http_status <= 303) || http_status == 307 || http_status == 308;
}

void wi_redirect_void(wi_http_redirect *redirect)
{
    free(redirect->location);
    redirect->location = NULL;
    redirect->leads = false;
    redirect->passed = 0;
}

void wi_redirect_drop(wi_http_exchange *exchange)
{
    wi_http_redirect *redirect = &exchange->redirect;
    wi_redirect_void(redirect);
    if (!redirect->hops)
        return;
    exchange->http->curl->free(redirect->url);
    exchange->http->curl->slist_free_all(redirect->headers);
    *redirect = (wi_http_redirect){0};
    exchange->origin_len = 0; /* the parts are those of the last URL */
}

bool wi_redirect_header(wi_http_exchange *exchange, const char *name, size_t name_len,
                        const char *value, size_t value_len)
{
    wi_http_redirect *redirect = &exchange->redirect;
    if (!exchange->http->options.follow || !exchange->in_headers || redirect->location ||
        !is_redirect(exchange->http_status) || value_len == 0 ||
        !wi_text_equal_nocase(name, name_len, "location"))
        return true;
    redirect->location = strndup(value, value_len);
    return redirect->location != NULL;
}

void wi_redirect_headers_end(wi_http_exchange *exchange)
{
    exchange->redirect.leads = exchange->redirect.location != NULL;
}

bool wi_redirect_body(wi_http_exchange *exchange, size_t len)
{
    exchange->redirect.passed += len;
    return exchange->redirect.passed <= MAX_PASSED;
}

/* ---- what may be reached ---- */

static bool part(const wi_http_exchange *exchange, CURLUPart which, unsigned flags, char **out)
{
    CURLUcode code = exchange->http->curl->url_get(exchange->parts, which, out, flags);
    if (code != CURLUE_OK)
        *out = NULL;
    return code == CURLUE_OK;
}

static int port_of(const wi_http_exchange *exchange)
{
    char *text;
    if (!part(exchange, CURLUPART_PORT, CURLU_DEFAULT_PORT, &text))
        return 0;
    int port = atoi(text);
    exchange->http->curl->free(text);
    return port;
}

bool wi_reach_check_host(wi_http_exchange *exchange)
{
    const wi_http *http = exchange->http;
    const wi_reach *reach = http->options.reach;
    char *host;
    if (!reach)
        return true;
    bool known = part(exchange, CURLUPART_HOST, 0, &host);
    exchange->verdict = wi_reach_host(reach, known ? host : "", port_of(exchange), exchange->why);
    if (exchange->verdict == WI_REACH_ADDRESS && http->proxied) {
        exchange->verdict = WI_REACH_NO;
        snprintf(exchange->why, sizeof exchange->why,
                 "%.100s is not named by --allow, and a proxy hides its address", host);
    }
    http->curl->free(host);
    return exchange->verdict != WI_REACH_NO;
}

bool wi_reach_check_address(wi_http_exchange *exchange, const struct curl_sockaddr *address)
{
    const wi_http *http = exchange->http;
    if (!http->options.reach || http->proxied) /* it is the proxy's */
        return true;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    size_t len = address->addrlen < sizeof to ? address->addrlen : sizeof to;
    memset(&to, 0, sizeof to);
    memcpy(&to, &address->addr, len);
    wi_address a;
    int port;
    if (address->family == AF_INET && len >= sizeof to.v4) {
        a = wi_address_v4(&to.v4.sin_addr);
        port = ntohs(to.v4.sin_port);
    } else if (address->family == AF_INET6 && len >= sizeof to.v6) {
        a = wi_address_v6(&to.v6.sin6_addr);
        port = ntohs(to.v6.sin6_port);
    } else {
        snprintf(exchange->why, sizeof exchange->why, "it has no Internet address");
        return false;
    }
    return wi_reach_address(http->options.reach, &a, port, exchange->verdict, exchange->why);
}

void wi_reach_say(wi_http_exchange *exchange)
{
    snprintf(exchange->text, sizeof exchange->text, "%s%s", exchange->why,
             exchange->redirect.hops ? ", and a redirect leads there" : "");
}

/* ---- where it leads to ---- */

/* Scheme, host and port of exchange->parts. False: no memory. */
static bool append_origin(const wi_http_exchange *exchange, wi_buf *origin)
{
    const wi_curl *curl = exchange->http->curl;
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *text;
        if (!part(exchange, parts[i], CURLU_DEFAULT_PORT, &text))
            return false;
        wi_buf_puts(origin, text);
        wi_buf_putc(origin, ' ');
        curl->free(text);
    }
    return !origin->failed;
}

static bool is_http(wi_http_exchange *exchange)
{
    char *scheme;
    bool http = part(exchange, CURLUPART_SCHEME, 0, &scheme) &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    exchange->http->curl->free(scheme);
    return http;
}

/* Puts the new URL into exchange->parts. What it says about a user is not taken from it; that of
 * the old one stays while the origin does. */
static CURLUcode resolve(wi_http_exchange *exchange, const char *location)
{
    const wi_curl *curl = exchange->http->curl;
    wi_http_redirect *redirect = &exchange->redirect;
    wi_buf before = WI_BUF_INIT, after = WI_BUF_INIT;
    char *user, *password;
    part(exchange, CURLUPART_USER, 0, &user);
    part(exchange, CURLUPART_PASSWORD, 0, &password);
    bool ok = append_origin(exchange, &before);
    CURLUcode code = curl->url_set(exchange->parts, CURLUPART_URL, location,
                                   CURLU_URLENCODE | CURLU_ALLOW_SPACE);
    bool comparable = code == CURLUE_OK && is_http(exchange); /* file:///x has no host */
    ok = ok && (!comparable || append_origin(exchange, &after));
    redirect->foreign = redirect->foreign || before.len != after.len ||
                        !wi_text_same_nocase(before.data, after.data, before.len);
    if (code == CURLUE_OK && ok) {
        bool stays = !redirect->foreign;
        curl->url_set(exchange->parts, CURLUPART_OPTIONS, NULL, 0);
        code = curl->url_set(exchange->parts, CURLUPART_USER, stays ? user : NULL, 0);
        if (code == CURLUE_OK)
            code = curl->url_set(exchange->parts, CURLUPART_PASSWORD, stays ? password : NULL, 0);
    }
    curl->free(user);
    curl->free(password);
    wi_buf_fini(&before);
    wi_buf_fini(&after);
    return ok ? code : CURLUE_OUT_OF_MEMORY;
}

/* A 303 leads to what is to be looked at. Else the same is asked for again, and what changes
 * something is not carried to others. */
static bool turn_request(wi_http_exchange *exchange)
{
    wi_http_request *request = &exchange->request;
    const char *method = request->method;
    if (exchange->http_status == 303) {
        request->method = strcmp(method, "HEAD") == 0 ? method : "GET";
        request->body = NULL;
        request->body_len = 0;
        request->once = false;
        return true;
    }
    return !exchange->redirect.foreign ||
           (!request->body && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
                               strcmp(method, "OPTIONS") == 0));
}

static bool turn_headers(wi_http_exchange *exchange)
{
    const wi_curl *curl = exchange->http->curl;
    wi_http_redirect *redirect = &exchange->redirect;
    const wi_http_headers *all = exchange->request.headers;
    struct curl_slist *left;
    if (!wi_http_headers_filter(curl, all ? all->list : NULL, redirect->foreign,
                                !exchange->request.body, &left))
        return false;
    curl->slist_free_all(redirect->headers);
    redirect->headers = left;
    redirect->filtered = true;
    return true;
}

static weir_status say(wi_http_exchange *exchange, weir_status status, const char *what)
{
    snprintf(exchange->text, sizeof exchange->text, "%s", what);
    return status;
}

static weir_status lead_on(wi_http_exchange *exchange)
{
    const wi_curl *curl = exchange->http->curl;
    wi_http_redirect *redirect = &exchange->redirect;
    int64_t max = exchange->http->options.max_redirects;
    if (redirect->hops >= max) {
        snprintf(exchange->text, sizeof exchange->text, "more than %lld redirects", (long long)max);
        return WEIR_REDIRECT;
    }
    redirect->hops++;
    CURLUcode code = resolve(exchange, redirect->location);
    if (code == CURLUE_OUT_OF_MEMORY)
        return WEIR_NOMEM;
    if (code != CURLUE_OK) {
        snprintf(exchange->text, sizeof exchange->text,
                 "the URL that a redirect leads to cannot be used: %s", curl->url_strerror(code));
        return WEIR_PROTOCOL;
    }
    if (!is_http(exchange))
        return say(exchange, WEIR_PROTOCOL, "a redirect leads to what is neither http nor https");
    if (!turn_request(exchange))
        return say(exchange, WEIR_DENIED,
                   "a redirect leads to another origin, where only a GET, HEAD or OPTIONS without "
                   "a body follows");
    if (!wi_reach_check_host(exchange)) {
        wi_reach_say(exchange);
        return WEIR_DENIED;
    }
    char *url;
    if (!turn_headers(exchange) || !part(exchange, CURLUPART_URL, 0, &url))
        return WEIR_NOMEM;
    curl->free(redirect->url);
    redirect->url = url;
    exchange->request.url = url;
    return WEIR_OK;
}

void wi_redirect_follow(wi_http_exchange *exchange)
{
    wi_exchange_leave(exchange);
    weir_status status = lead_on(exchange);
    if (status != WEIR_OK) {
        wi_exchange_finish(exchange, status);
        return;
    }
    wi_redirect_void(&exchange->redirect);
    wi_exchange_set_up(exchange);
    if (exchange->lacking) {
        exchange->worn = true; /* what else is set on it nobody knows */
        wi_exchange_finish(exchange, WEIR_NOMEM);
        return;
    }
    wi_exchange_enter_later(exchange);
    wi_exchange_arm(exchange);
}
