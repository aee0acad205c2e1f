/*
 * wait_http.c: weir_http_request and weir_http_get: one exchange (http.h) as a wait. The answer is
 * collected on the heap by the loop's thread while the caller stands still.
 *
 * Its invariant: what the request and the answer are made of belongs to the caller's frame, which
 * the exchange never outlives; nothing but a connection is left behind on the loop.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "http_clients.h"
#include "op.h"
#include "option_size.h"
#include "text.h"
#include "weir/wait.h"

enum {
    MAX_URL = 1 << 20,
    MAX_BODY = 64 << 20,
    HEADERS_HINT = 384,  /* most answers' headers fit */
    BODY_HINT = 1 << 20, /* as much is trusted to come when a server says so */
};

struct weir_http_response {
    int status;
    wi_buf headers; /* name, 0, value, 0, and so on */
    wi_buf body;    /* a 0 behind its end */
};

typedef struct http_wait {
    wi_op op;
    const weir_http_options *options; /* nullable */
    wi_http_route route;
    wi_http_request request;
    wi_http_headers *headers; /* of its own */
    wi_http_client *client;
    wi_http_exchange *exchange;
    weir_http_response *response;
    size_t max_body;
    int64_t length; /* that the answer says its body has; -1: it does not */
    bool no_memory;
    weir_status status;
    weir_error error; /* the caller's belongs to the caller until the exchange has ended */
} http_wait;

/* ---- the answer ---- */

static void on_begin(void *arg, int http_status)
{
    http_wait *wait = arg;
    weir_http_response *response = wait->response;
    response->status = http_status;
    wi_buf_clear(&response->headers);
    wi_buf_clear(&response->body);
    wi_buf_reserve(&response->headers, HEADERS_HINT);
    wait->length = -1;
}

static void on_header(void *arg, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    http_wait *wait = arg;
    wi_buf *headers = &wait->response->headers;
    wi_buf_append(headers, name, strnlen(name, name_len));
    wi_buf_putc(headers, '\0');
    wi_buf_append(headers, value, strnlen(value, value_len));
    wi_buf_putc(headers, '\0');
    if (name_len == 14 && wi_text_equal_nocase(name, name_len, "content-length") &&
        !wi_text_parse_i64(value, value_len, &wait->length))
        wait->length = -1;
}

static wi_http_taken on_body(void *arg, const char *bytes, size_t len)
{
    http_wait *wait = arg;
    wi_buf *body = &wait->response->body;
    if (len > wait->max_body - body->len)
        return WI_HTTP_ABORT;
    size_t room = len;
    if (!body->cap && wait->length > (int64_t)len)
        room = wait->length < BODY_HINT ? (size_t)wait->length : BODY_HINT;
    if (!wi_buf_reserve(body, room + 1)) {
        wait->no_memory = true;
        return WI_HTTP_ABORT;
    }
    wi_buf_append(body, bytes, len);
    return WI_HTTP_TAKEN;
}

/* The URL without what may be secret: userinfo and query. */
static void show_url(char *shown, size_t size, const char *url)
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    size_t authority = strcspn(start, "/?#\\");
    const char *at = memrchr(start, '@', authority);
    const char *host = at ? at + 1 : start;
    snprintf(shown, size, "%.*s%.*s", (int)(start - url), url, (int)strcspn(host, "?#"), host);
}

static weir_status describe(http_wait *wait, const wi_http_result *result)
{
    char shown[160];
    show_url(shown, sizeof shown, wait->request.url);
    const char *method = wait->request.method;
    if (wait->no_memory)
        return wi_fail_nomem(&wait->error);
    if (result->status == WEIR_TIMEDOUT && !*result->text)
        return wi_fail(&wait->error, WEIR_TIMEDOUT, "%s %s: no whole answer within %g s", method,
                       shown, (double)wait->request.timeout / WI_SECOND);
    if (result->status == WEIR_TOOLARGE && !*result->text)
        return wi_fail(&wait->error, WEIR_TOOLARGE,
                       "%s %s: a body of more than %zu bytes (max_body)", method, shown,
                       wait->max_body);
    return wi_fail(&wait->error, result->status, "%s %s: %s%s%s", method, shown,
                   weir_status_text(result->status), *result->text ? ": " : "", result->text);
}

static void on_done(void *arg, const wi_http_result *result)
{
    http_wait *wait = arg;
    weir_http_response *response = wait->response;
    wait->exchange = NULL;
    wi_http_client_give(wait->client);
    bool terminated = response->body.len == 0 || wi_buf_cstr(&response->body);
    wait->no_memory = wait->no_memory || response->headers.failed || !terminated;
    wait->status = WEIR_OK;
    if (result->status != WEIR_OK || wait->no_memory)
        wait->status = describe(wait, result);
    wi_op_end(&wait->op);
}

static const wi_http_events events = {on_begin, on_header, on_body, on_done};

/* ---- the request ---- */

/* The value of the header of that name among the options, or NULL. */
static const char *find_header(const weir_http_options *o, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; o && o->headers && o->headers[i]; i++)
        if (strncasecmp(o->headers[i], name, len) == 0 && o->headers[i][len] == ':')
            return o->headers[i] + len + 1;
    return NULL;
}

static weir_status check_url(const char *url, weir_error *err)
{
    if (!url || (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0))
        return wi_fail(err, WEIR_INVALID, "\"%.100s\" is not a URL with http:// or https://",
                       url ? url : "");
    size_t len = strlen(url);
    if (len > MAX_URL)
        return wi_fail(err, WEIR_TOOLARGE, "a URL of %zu bytes; at most %d are sent", len, MAX_URL);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)url[i] <= ' ' || url[i] == 0x7f)
            return wi_fail(err, WEIR_INVALID, "the URL has a %s at byte %zu; write it as %%%02X",
                           url[i] == ' ' ? "space" : "control character", i + 1,
                           (unsigned char)url[i]);
    return WEIR_OK;
}

static weir_status check_headers(const weir_http_options *o, weir_error *err)
{
    for (size_t i = 0; o->headers && o->headers[i]; i++) {
        const char *line = o->headers[i];
        const char *colon = strchr(line, ':');
        bool whole = colon && wi_http_is_token(line, (size_t)(colon - line));
        for (const char *c = colon; whole && *c; c++)
            whole = ((unsigned char)*c >= ' ' && *c != 0x7f) || *c == '\t';
        if (!whole)
            return wi_fail(err, WEIR_INVALID, "header %zu is not of the form \"Name: value\"",
                           i + 1);
    }
    return WEIR_OK;
}

static weir_status check_credentials(const weir_http_options *o, weir_error *err)
{
    if ((o->user != NULL) + (o->bearer != NULL) + (find_header(o, "Authorization") != NULL) > 1)
        return wi_fail(err, WEIR_INVALID,
                       "of user, bearer and an Authorization header, only one can be used");
    if (o->user && !strchr(o->user, ':'))
        return wi_fail(err, WEIR_INVALID, "user is not of the form \"name:password\"");
    for (const char *c = o->bearer; c && *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return wi_fail(err, WEIR_INVALID,
                           "the bearer token has a space or a byte no token has");
    return WEIR_OK;
}

static weir_status check_options(const weir_http_options *o, weir_error *err)
{
    if (o->method && !wi_http_is_token(o->method, strlen(o->method)))
        return wi_fail(err, WEIR_INVALID, "\"%s\" cannot be a request method", o->method);
    if (o->body_len && !o->body)
        return wi_fail(err, WEIR_INVALID, "body_len is %zu, but there is no body", o->body_len);
    if (o->follow < 0)
        return wi_fail(err, WEIR_INVALID, "follow is %d; 0 follows no redirect", o->follow);
    weir_status status = check_headers(o, err);
    return status == WEIR_OK ? check_credentials(o, err) : status;
}

static void prepare(http_wait *wait, const char *url, const weir_http_options *o)
{
    wait->options = o;
    const char *method = o->method ? o->method : o->body ? "POST" : "GET";
    wait->max_body = o->max_body ? o->max_body : MAX_BODY;
    wait->length = -1;
    wait->request = (wi_http_request){
        .method = method,
        .url = url,
        .body = o->body,
        .body_len = o->body_len,
        .timeout = o->timeout < 0 ? 0
                   : o->timeout   ? o->timeout
                                  : WEIR_SECONDS(30),
        .once = !wi_http_is_repeatable(method),
    };
    wait->route = (wi_http_route){
        .connect_timeout = o->connect_timeout < 0   ? 0
                           : o->connect_timeout > 0 ? o->connect_timeout
                                                    : WEIR_SECONDS(10),
        .proxy = o->proxy,
        .cacert = o->cacert,
        .follow = o->follow,
        .insecure = o->insecure != 0,
    };
}

/* ---- on the loop ---- */

static bool has_own_headers(const weir_http_options *o)
{
    return o->headers || o->user || o->bearer || o->body;
}

static const char *type_of_body(const weir_http_options *o)
{
    const char *body = o->body;
    size_t i = 0;
    while (i < o->body_len && strchr(" \t\r\n", body[i]))
        i++;
    bool json = i < o->body_len && (body[i] == '{' || body[i] == '[');
    return json ? "Content-Type: application/json"
                : "Content-Type: application/x-www-form-urlencoded";
}

/* As a header, credentials don't keep requests of different users from sharing connections. No
 * redirect takes it along to another origin. */
static wi_http_headers *add_credentials(wi_http_headers *headers, const weir_http_options *o)
{
    wi_buf line = WI_BUF_INIT;
    wi_buf_puts(&line, o->user ? "Authorization: Basic " : "Authorization: Bearer ");
    if (o->user)
        wi_text_append_base64(&line, o->user, strlen(o->user));
    else
        wi_buf_puts(&line, o->bearer);
    const char *text = wi_buf_cstr(&line);
    if (text) {
        headers = wi_http_headers_add(headers, text);
    } else {
        wi_http_headers_free(headers);
        headers = NULL;
    }
    wi_buf_fini(&line);
    return headers;
}

static wi_http_headers *make_headers(const weir_http_options *o)
{
    wi_http_headers *headers =
        wi_http_headers_new(find_header(o, "User-Agent") ? NULL : wi_http_user_agent,
                            !find_header(o, "Accept-Encoding"));
    for (size_t i = 0; headers && o->headers && o->headers[i]; i++)
        headers = wi_http_headers_add(headers, o->headers[i]);
    if (headers && (o->user || o->bearer))
        headers = add_credentials(headers, o);
    if (headers && o->body && !find_header(o, "Content-Type"))
        headers = wi_http_headers_add(headers, type_of_body(o));
    return headers;
}

/* libcurl's TLS library takes itself down at exit, so the loop's connections must go before. */
static void load_library(void)
{
    wi_http_version();
    wi_op_stop_first_at_exit();
}

static weir_status start(http_wait *wait)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    weir_status status =
        wi_http_client_take(wait->op.loop, &wait->route, &events, &wait->client, &wait->error);
    if (status != WEIR_OK)
        return status;
    wait->request.headers = wait->client->headers;
    if (has_own_headers(wait->options))
        wait->request.headers = wait->headers = make_headers(wait->options);
    status = wait->request.headers ? WEIR_OK : wi_fail_nomem(&wait->error);
    if (status == WEIR_OK)
        status =
            wi_http_start(wait->client->http, &wait->request, wait, &wait->exchange, &wait->error);
    if (status != WEIR_OK)
        wi_http_client_give(wait->client);
    return status;
}

static void begin(wi_op *op)
{
    http_wait *wait = wi_container_of(op, http_wait, op);
    wait->status = start(wait);
    if (wait->status != WEIR_OK)
        wi_op_end(op);
}

static void cancel(wi_op *op)
{
    wi_http_cancel(wi_container_of(op, http_wait, op)->exchange);
}

/* ---- the calls ---- */

weir_status weir_http_request(const char *url, const weir_http_options *options,
                              weir_http_response **out, weir_error *err)
{
    weir_http_options o = WEIR_HTTP_OPTIONS_INIT;
    weir_status status = check_url(url, err);
    if (status == WEIR_OK && options)
        status = wi_options_take(&o, sizeof o, options, "weir_http_options", err);
    if (status == WEIR_OK)
        status = check_options(&o, err);
    if (status != WEIR_OK)
        return status;
    http_wait wait;
    memset(&wait, 0, offsetof(http_wait, error));
    prepare(&wait, url, &o);
    wait.response = calloc(1, sizeof *wait.response);
    if (!wait.response)
        return wi_fail_nomem(err);
    status = wi_op_run(&wait.op, begin, cancel, err);
    if (status == WEIR_OK && wait.status != WEIR_OK) {
        status = wait.status;
        if (err)
            *err = wait.error;
    }
    wi_http_headers_free(wait.headers);
    if (status == WEIR_OK)
        *out = wait.response;
    else
        weir_http_response_free(wait.response);
    return status;
}

weir_status weir_http_get(const char *url, weir_http_response **out, weir_error *err)
{
    weir_http_response *response = NULL;
    weir_status status = weir_http_request(url, NULL, &response, err);
    if (status != WEIR_OK)
        return status;
    if (response->status >= 200 && response->status < 300) {
        *out = response;
        return WEIR_OK;
    }
    char shown[160];
    show_url(shown, sizeof shown, url);
    const char *where = weir_http_response_header(response, "Location");
    bool redirect = response->status >= 300 && response->status < 400 && where;
    status = wi_fail(err, WEIR_HTTP, "GET %s: HTTP %d%s", shown, response->status,
                     redirect ? ", a redirect, which weir_http_get does not follow" : "");
    weir_http_response_free(response);
    return status;
}

int weir_http_response_status(const weir_http_response *response)
{
    return response->status;
}

const char *weir_http_response_body(const weir_http_response *response, size_t *len)
{
    if (len)
        *len = response->body.len;
    return response->body.len ? response->body.data : "";
}

const char *weir_http_response_header(const weir_http_response *response, const char *name)
{
    const char *at = response->headers.data;
    const char *end = at ? at + response->headers.len : NULL;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

void weir_http_response_free(weir_http_response *response)
{
    if (!response)
        return;
    wi_buf_fini(&response->headers);
    wi_buf_fini(&response->body);
    free(response);
}
