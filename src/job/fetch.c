/*
 * fetch.c: from an item to a request, and from an exchange to an outcome. Its invariant: an item
 * with an exchange is running, and the exchange's end is the end of the attempt.
 */
#include "fetch.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lane.h"
#include "text.h"

enum { MAX_URL = 1 << 20 };

struct wi_fetch_lane {
    const wi_fetch *fetch;
    wi_lane *lane;
    wi_http *http;
    wi_http_headers *headers; /* the constant ones */
};

/* ---- from a row to a request ---- */

/* scheme://host:port in small letters, without what stands before an '@'. */
static weir_status origin_of(const char *url, const char *shown, wi_buf *origin, weir_error *err)
{
    size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                    : strncasecmp(url, "https://", 8) == 0 ? 8
                                                           : 0;
    if (!scheme)
        return wi_fail(err, WEIR_INVALID, "\"%.100s\" is not a URL with http:// or https://",
                       shown);
    const char *start = url + scheme;
    const char *end = start + strcspn(start, "/?#"); /* for libcurl, too, no backslash */
    const char *at = memrchr(start, '@', (size_t)(end - start));
    if (at)
        start = at + 1;
    if (start == end || *start == ':')
        return wi_fail(err, WEIR_INVALID, "\"%.100s\" names no host", shown);
    wi_buf_append(origin, url, scheme);
    wi_buf_append(origin, start, (size_t)(end - start));
    if (origin->failed)
        return wi_fail_nomem(err);
    for (size_t i = 0; i < origin->len; i++)
        if (origin->data[i] >= 'A' && origin->data[i] <= 'Z')
            origin->data[i] |= 0x20;
    return WEIR_OK;
}

static weir_status check_url(const char *url, size_t len, const char *shown, weir_error *err)
{
    if (len > MAX_URL)
        return wi_fail(err, WEIR_TOOLARGE, "a URL of %zu bytes; at most %d are sent", len, MAX_URL);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)url[i] <= ' ' || url[i] == 0x7f)
            return wi_fail(err, WEIR_INVALID,
                           "the URL \"%.100s\" has a %s in it; write it as %%%02X", shown,
                           url[i] == ' ' ? "space" : "control character", (unsigned char)url[i]);
    return WEIR_OK;
}

/* A password before an '@' is sent, but not shown. */
static bool hide_userinfo(char **shown, const char *url)
{
    const char *text = *shown ? *shown : url;
    const char *start = strstr(text, "://");
    start = start ? start + 3 : text;
    const char *end = start + strcspn(start, "/?#"); /* for libcurl, too, no backslash */
    const char *at = memrchr(start, '@', (size_t)(end - start));
    if (!at)
        return true;
    size_t head = (size_t)(start - text);
    size_t tail = strlen(at + 1);
    char *hidden = malloc(head + tail + 1);
    if (!hidden)
        return false;
    memcpy(hidden, text, head);
    memcpy(hidden + head, at + 1, tail + 1);
    free(*shown);
    *shown = hidden;
    return true;
}

static weir_status make_url(wi_fetch_item *f, const wi_scope *scope, wi_buf *origin,
                            weir_error *err)
{
    wi_buf url = {.max = MAX_URL * 4};
    wi_buf shown = {.max = MAX_URL * 4};
    bool secret = wi_template_has_secrets(f->template_);
    weir_status status = wi_template_expand(f->template_, scope, &url, secret ? &shown : NULL, err);
    if (status == WEIR_OK && (!wi_buf_cstr(&url) || (secret && !wi_buf_cstr(&shown))))
        status = wi_fail(err, WEIR_TOOLARGE, "a URL of more than %d bytes", MAX_URL);
    size_t len = url.len;
    f->url = wi_buf_take(&url, &len);
    if (secret)
        f->shown = wi_buf_take(&shown, &(size_t){0});
    wi_buf_fini(&url);
    wi_buf_fini(&shown);
    if (status == WEIR_OK && !hide_userinfo(&f->shown, f->url)) /* before any message shows it */
        status = wi_fail_nomem(err);
    if (status == WEIR_OK)
        status = check_url(f->url, len, wi_fetch_shown(f), err);
    if (status == WEIR_OK)
        status = origin_of(f->url, wi_fetch_shown(f), origin, err);
    return status;
}

static weir_status make_headers(const wi_fetch *fetch, const wi_scope *scope,
                                wi_http_headers **headers, weir_error *err)
{
    wi_buf line = WI_BUF_INIT;
    *headers = wi_http_headers_new(fetch->user_agent, fetch->accept_encoding);
    weir_status status = *headers ? WEIR_OK : wi_fail_nomem(err);
    for (size_t i = 0; status == WEIR_OK && i < fetch->headers_len; i++) {
        wi_buf_clear(&line);
        status = wi_template_expand(fetch->headers[i], scope, &line, NULL, err);
        if (status == WEIR_OK &&
            (!wi_buf_cstr(&line) || !(*headers = wi_http_headers_add(*headers, line.data))))
            status = wi_fail_nomem(err);
    }
    wi_buf_fini(&line);
    return status;
}

static weir_status make_body(const wi_fetch *fetch, wi_fetch_item *f, const wi_scope *scope,
                             weir_error *err)
{
    if (!fetch->body)
        return WEIR_OK;
    wi_buf body = {.max = 1 << 30};
    weir_status status = wi_template_expand(fetch->body, scope, &body, NULL, err);
    if (status == WEIR_OK && body.failed)
        status = wi_fail_nomem(err);
    f->body = wi_buf_take(&body, &f->body_len);
    wi_buf_fini(&body);
    return status;
}

wi_scope wi_fetch_scope(const wi_fetch_item *f)
{
    return (wi_scope){.batch = f->item.batch,
                      .row = f->item.row,
                      .number = f->item.number + 1,
                      .url = f->template_,
                      .choice = f->choice};
}

weir_status wi_fetch_prepare(const void *job, void *state, wi_item *item, wi_buf *origin,
                             weir_error *err)
{
    const wi_fetch *fetch = job;
    wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    f->lane = state;
    f->method = fetch->method;
    f->choice = item->choice;
    size_t i = 0;
    while (f->choice >= wi_template_count(fetch->urls[i]))
        f->choice -= wi_template_count(fetch->urls[i++]);
    f->template_ = fetch->urls[i];
    wi_scope scope = wi_fetch_scope(f);
    weir_status status = make_url(f, &scope, origin, err);
    if (status == WEIR_OK && !fetch->headers_constant)
        status = make_headers(fetch, &scope, &f->headers, err);
    if (status == WEIR_OK)
        status = make_body(fetch, f, &scope, err);
    if (status != WEIR_OK) { /* what nobody asked for is not shown as asked for */
        free(f->url);
        free(f->shown);
        f->url = f->shown = NULL;
    }
    return status;
}

/* ---- an exchange's events ---- */

static void forget_body(wi_fetch_item *f)
{
    if (f->content.len)
        wi_lane_shrink(f->lane->lane, &f->item, f->content.len);
    wi_buf_fini(&f->content);
    f->content_kind = WI_ABSENT;
}

static void forget_content(wi_fetch_item *f)
{
    forget_body(f);
    f->whole = false;
    wi_buf_clear(&f->lines);
}

static void on_begin(void *arg, int http_status)
{
    wi_fetch_item *f = arg;
    forget_content(f);
    f->status = http_status;
    f->retry_after[0] = '\0';
    f->date = 0;
    f->hint = (wi_rate_hint){0};
    f->says_json = false;
    f->says_nothing = true;
    f->location[0] = '\0';
}

static bool is_json_type(const char *value, size_t len)
{
    const char *end = memchr(value, ';', len);
    size_t n = end ? (size_t)(end - value) : len;
    while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    return n >= 5 && (value[n - 5] == '/' || value[n - 5] == '+') &&
           strncasecmp(value + n - 4, "json", 4) == 0;
}

static void keep_line(wi_fetch_item *f, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    for (size_t i = 0; i < name_len && name[i]; i++)
        wi_buf_putc(&f->lines, (char)tolower((unsigned char)name[i]));
    wi_buf_putc(&f->lines, '\0');
    wi_buf_append(&f->lines, value, strnlen(value, value_len));
    wi_buf_putc(&f->lines, '\0');
}

/* How much of the text stands before the first of the stops. */
static size_t length_before(const char *text, size_t len, const char *stops)
{
    size_t n = 0;
    while (n < len && !strchr(stops, text[n]))
        n++;
    return n;
}

static void on_header(void *arg, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    wi_fetch_item *f = arg;
    if (f->lane->fetch->with_headers)
        keep_line(f, name, name_len, value, value_len);
    if (wi_text_equal_nocase(name, name_len, "content-type")) {
        f->says_json = is_json_type(value, value_len);
        f->says_nothing = false;
    } else if (wi_text_equal_nocase(name, name_len, "retry-after")) {
        snprintf(f->retry_after, sizeof f->retry_after, "%.*s", (int)value_len, value);
    } else if (wi_text_equal_nocase(name, name_len, "date")) {
        f->date = wi_retry_date(value, value_len, time(NULL));
    } else if (wi_rate_hint_header(&f->hint, name, name_len, value, value_len,
                                   f->date ? f->date : time(NULL))) {
        return;
    } else if (wi_text_equal_nocase(name, name_len, "location")) {
        /* A server may repeat a secret that the URL's query holds. */
        size_t shown = f->shown ? length_before(value, value_len, "?#") : value_len;
        wi_text_printable(f->location, sizeof f->location, value, shown);
    }
}

static wi_http_taken on_body(void *arg, const char *bytes, size_t len)
{
    wi_fetch_item *f = arg;
    const wi_fetch *fetch = f->lane->fetch;
    if (len > fetch->max_body - f->content.len)
        return WI_HTTP_ABORT;
    if (!wi_lane_may_grow(f->lane->lane, &f->item, len))
        return WI_HTTP_PAUSE;
    wi_lane_received(f->lane->lane, len);
    wi_buf_append(&f->content, bytes, len);
    return f->content.failed ? WI_HTTP_ABORT : WI_HTTP_TAKEN;
}

/* The names of the statuses one meets (RFC 9110, section 15, and RFC 6585). */
static const char *status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

static void judge_status(wi_fetch_item *f, wi_attempt *attempt)
{
    const wi_fetch *fetch = f->lane->fetch;
    char reason[64];
    char error[320];
    attempt->ok = (f->status >= 200 && f->status < 300) || f->status == 304;
    if (attempt->ok) {
        f->item.reason[0] = '\0';
        return;
    }
    bool redirect = f->status >= 300 && f->status < 400 && f->location[0];
    snprintf(reason, sizeof reason, "HTTP %d%s%s", f->status, *status_phrase(f->status) ? " " : "",
             status_phrase(f->status));
    snprintf(error, sizeof error, "%s: it leads to %s, which was not followed (--location)", reason,
             f->location);
    wi_item_set_failure(&f->item, reason, redirect ? error : NULL);
    attempt->may_retry = wi_retry_set_has_http(&fetch->retry_on, f->status) && !fetch->once;
    attempt->signal = f->status == 429   ? WI_SIGNAL_RATE
                      : f->status == 503 ? WI_SIGNAL_BUSY
                                         : WI_SIGNAL_FINE;
    if (attempt->signal != WI_SIGNAL_FINE)
        attempt->retry_after =
            wi_retry_after(f->retry_after, strlen(f->retry_after), f->date ? f->date : time(NULL));
    if (attempt->retry_after > 0) {
        snprintf(error, sizeof error, "%s, retry after %lld s", reason,
                 (long long)((attempt->retry_after + WI_SECOND - 1) / WI_SECOND));
        wi_item_set_failure(&f->item, reason, error);
    }
}

/* What says nothing of whether there is anybody (a bad certificate, too long a body, somebody else
 * who is not there) says that there is. */
static wi_signal signal_of(const wi_http_result *result)
{
    bool answered = result->http_status != 0;
    if (result->elsewhere)
        return WI_SIGNAL_FINE;
    switch (result->status) {
    case WEIR_TIMEDOUT:
        return answered ? WI_SIGNAL_LATE : WI_SIGNAL_SILENT;
    case WEIR_CONNECT:
        return WI_SIGNAL_REFUSED;
    case WEIR_RESOLVE:
        return WI_SIGNAL_GONE;
    case WEIR_RESET:
    case WEIR_TRUNCATED:
        return answered ? WI_SIGNAL_FINE : WI_SIGNAL_GONE;
    default:
        return WI_SIGNAL_FINE;
    }
}

static void judge_failure(wi_fetch_item *f, const wi_http_result *result, wi_attempt *attempt)
{
    const wi_fetch *fetch = f->lane->fetch;
    char error[400];
    bool denied = result->status == WEIR_DENIED; /* by the lists, or by what redirects may not */
    const char *reason = denied ? "not allowed" : weir_status_text(result->status);
    if (result->status == WEIR_TIMEDOUT && !*result->text)
        snprintf(error, sizeof error, "no whole answer within %g s (--timeout)",
                 (double)fetch->timeout / WI_SECOND);
    else if (result->status == WEIR_TOOLARGE && !*result->text)
        snprintf(error, sizeof error, "a body of more than %zu bytes (--max-body)",
                 fetch->max_body);
    else
        snprintf(error, sizeof error, "%s%s%s", reason, *result->text ? ": " : "", result->text);
    wi_item_set_failure(&f->item, reason, error);
    /* What is not known to have been sent may be sent again, whatever the method. */
    attempt->may_retry = !denied && wi_retry_set_has_code(&fetch->retry_on, result->status) &&
                         (!fetch->once || !result->sent);
    attempt->signal = signal_of(result);
    f->status = result->http_status;
    f->doubtful = result->status == WEIR_TIMEDOUT || result->status == WEIR_RESET ||
                  result->status == WEIR_TRUNCATED;
    forget_body(f);
}

static void on_done(void *arg, const wi_http_result *result)
{
    wi_fetch_item *f = arg;
    wi_attempt attempt = {
        .cancelled = result->status == WEIR_CANCELLED,
        .retry_after = -1,
        .hint = f->hint,
        .duration = result->duration,
    };
    f->exchange = NULL;
    f->whole = result->status == WEIR_OK;
    if (f->whole)
        judge_status(f, &attempt);
    else
        judge_failure(f, result, &attempt);
    if (attempt.ok && f->lane->fetch->with_body && !f->lane->fetch->save)
        wi_fetch_classify(f); /* here, where it is done by all lanes side by side */
    if (wi_lane_attempt_ended(f->lane->lane, &f->item, &attempt)) {
        forget_content(f);
        wi_buf_fini(&f->content);
    }
}

/* ---- the kind's functions ---- */

static void start(void *state, wi_item *item)
{
    wi_fetch_lane *lane = state;
    const wi_fetch *fetch = lane->fetch;
    wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    weir_error err;
    wi_http_request request = {
        .method = fetch->method,
        .url = f->url,
        .headers = fetch->headers_constant ? lane->headers : f->headers,
        .body = fetch->body       ? f->body
                : fetch->has_body ? fetch->body_constant.data
                                  : NULL,
        .body_len = fetch->body ? f->body_len : fetch->body_constant.len,
        .timeout = fetch->timeout,
        .once = fetch->once,
        .fresh = f->doubtful, /* other kept connections may have the same fate */
    };
    if (fetch->has_body && !request.body)
        request.body = "";
    forget_content(f);
    f->status = 0;
    f->hint = (wi_rate_hint){0};
    weir_status status = wi_http_start(lane->http, &request, f, &f->exchange, &err);
    if (status != WEIR_OK) {
        wi_attempt attempt = {.retry_after = -1};
        wi_item_set_failure(item, status == WEIR_NOMEM ? "out of memory" : "could not be asked",
                            err.text);
        wi_lane_attempt_ended(lane->lane, item, &attempt);
    }
}

static void cancel(void *state, wi_item *item)
{
    (void)state;
    wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    if (f->exchange)
        wi_http_cancel(f->exchange);
}

static void resume(void *state, wi_item *item)
{
    (void)state;
    wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    if (f->exchange)
        wi_http_resume(f->exchange);
}

static void release(wi_item *item)
{
    wi_fetch_item *f = wi_container_of(item, wi_fetch_item, item);
    free(f->url);
    free(f->shown);
    free(f->body);
    free(f->saved);
    wi_http_headers_free(f->headers);
    wi_buf_fini(&f->content);
    wi_buf_fini(&f->lines);
}

static void describe(const wi_item *item, wi_buf *out)
{
    const wi_fetch_item *f = wi_container_of(item, const wi_fetch_item, item);
    const char *url = wi_fetch_shown(f);
    if (url && strcmp(f->method, "GET") != 0)
        wi_buf_printf(out, "%s ", f->method);
    if (url)
        wi_buf_puts(out, url);
    else if (item->batch && wi_batch_fault(item->batch, item->row))
        wi_buf_puts(out, wi_batch_fault(item->batch, item->row));
    else if (wi_item_error(item))
        wi_buf_puts(out, wi_item_error(item));
}

static void close_lane(void *state)
{
    wi_fetch_lane *lane = state;
    wi_http_free(lane->http);
    wi_http_headers_free(lane->headers);
    free(lane);
}

static weir_status open_lane(const void *job, wi_lane *lane, void **state, weir_error *err)
{
    static const wi_http_events events = {on_begin, on_header, on_body, on_done};
    const wi_fetch *fetch = job;
    wi_fetch_lane *made = calloc(1, sizeof *made);
    if (!made)
        return wi_fail_nomem(err);
    made->fetch = fetch;
    made->lane = lane;
    wi_scope nothing = {0};
    weir_status status = wi_http_new(wi_lane_loop(lane), &fetch->http, &events, &made->http, err);
    if (status == WEIR_OK && fetch->headers_constant)
        status = make_headers(fetch, &nothing, &made->headers, err);
    if (status != WEIR_OK) {
        close_lane(made);
        return status;
    }
    *state = made;
    return WEIR_OK;
}

static weir_status check(void *job, bool has_input, wi_schema *schema, weir_error *err);

const wi_kind wi_fetch_kind = {
    .name = "fetch",
    .descriptors = 1,
    .keeps_descriptors = true,
    .item_size = sizeof(wi_fetch_item),
    .check = check,
    .columns = wi_fetch_columns,
    .optional_columns = wi_fetch_optional_columns,
    .open = open_lane,
    .close = close_lane,
    .prepare = wi_fetch_prepare,
    .start = start,
    .cancel = cancel,
    .resume = resume,
    .emit = wi_fetch_emit,
    .asks = wi_fetch_asks,
    .save = wi_fetch_save,
    .sync = wi_fetch_sync,
    .release = release,
    .describe = describe,
    .free = wi_fetch_free,
};

static weir_status check_one(const wi_template *template_, const wi_schema *schema,
                             const wi_template *url, weir_error *err)
{
    return template_ ? wi_template_check(template_, schema, url, err) : WEIR_OK;
}

static weir_status check(void *job, bool has_input, wi_schema *schema, weir_error *err)
{
    const wi_fetch *fetch = job;
    weir_status status = WEIR_OK;
    if (has_input && !schema)
        return WEIR_OK; /* an empty input, without even a header: nothing will be asked */
    if (fetch->url_column && wi_schema_find(schema, "url", 3) < 0)
        return wi_fail(err, WEIR_INVALID,
                       "no URL was given and the input has no column \"url\": give a URL with "
                       "{COLUMN} in it, or such a column");
    for (size_t i = 0; status == WEIR_OK && i < fetch->urls_len; i++) {
        const wi_template *url = fetch->urls[i];
        status = check_one(url, schema, NULL, err);
        for (size_t k = 0; status == WEIR_OK && k < fetch->headers_len; k++)
            status = check_one(fetch->headers[k], schema, url, err);
        if (status == WEIR_OK)
            status = check_one(fetch->body, schema, url, err);
        if (status == WEIR_OK)
            status = check_one(fetch->save, schema, url, err);
    }
    return status;
}
