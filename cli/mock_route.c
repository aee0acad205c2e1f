/*
 * mock_route.c: the paths and their handlers. Its invariant: the table is the only list of paths,
 * so the page at / always tells all of them.
 */
#include "mock_route.h"

#include <inttypes.h>
#include <string.h>

#include "mock_answer.h"
#include "mock_catalog.h"

enum { DELAY_MAX_MS = 86400000, REDIRECTS_MAX = 1000000, HEADERS_MAX = 64 };

static enum MHD_Result answer_str(mock_request *request, const char *type, const char *str)
{
    mock_text_add_str(&request->body.bytes, str);
    return mock_answer(request, 200, type, NULL);
}

static enum MHD_Result get_echo(mock_request *request, const char *rest)
{
    (void)rest;
    mock_text *text = &request->body.bytes;
    mock_text_add_str(text, "{");
    mock_request_add_json(text, request, true);
    mock_text_add_str(text, "}\n");
    return mock_answer(request, 200, MOCK_TYPE_JSON, NULL);
}

typedef struct header_pairs {
    const char *at[2 * HEADERS_MAX + 1];
    size_t len;
} header_pairs;

static enum MHD_Result pair_argument(void *cls, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    header_pairs *pairs = cls;
    (void)kind;
    if (pairs->len == 2 * HEADERS_MAX)
        return MHD_NO;
    pairs->at[pairs->len++] = name;
    pairs->at[pairs->len++] = value ? value : "";
    return MHD_YES;
}

static enum MHD_Result get_headers(mock_request *request, const char *rest)
{
    (void)rest;
    header_pairs pairs = {.len = 0};
    mock_mhd.get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, pair_argument,
                                   &pairs);
    mock_text *text = &request->body.bytes;
    mock_text_addf(text, "{\"headers_added\": %zu}\n", pairs.len / 2);
    return mock_answer(request, 200, MOCK_TYPE_JSON, pairs.at);
}

static enum MHD_Result get_status(mock_request *request, const char *rest)
{
    unsigned long long code;
    const char *after = mock_request_arg(request, "retry_after");
    if (!mock_number(rest, MOCK_STATUS_COUNT - 1, &code) || code < 200)
        return mock_answer_error(request, 400, "the status must be 200 to 599", NULL);
    if (code != 204 && code != 304)
        mock_text_addf(&request->body.bytes, "{\"status\": %llu}\n", code);
    return mock_answer(request, (unsigned)code, MOCK_TYPE_JSON,
                       after ? (const char *[]){MHD_HTTP_HEADER_RETRY_AFTER, after, NULL} : NULL);
}

static enum MHD_Result get_delay(mock_request *request, const char *rest)
{
    unsigned long long ms;
    if (!mock_number(rest, DELAY_MAX_MS, &ms))
        return mock_answer_error(request, 400, "the delay must be 0 to 86400000 ms", NULL);
    if (mock_request_wait(request, (int64_t)ms * 1000000))
        return MHD_YES;
    mock_text_addf(&request->body.bytes, "{\"delayed_ms\": %llu}\n", ms);
    return mock_answer(request, 200, MOCK_TYPE_JSON, NULL);
}

static enum MHD_Result get_bytes(mock_request *request, const char *rest)
{
    unsigned long long n;
    if (!mock_number(rest, INT64_MAX, &n))
        return mock_answer_error(request, 400, "the number of bytes must be 0 or more", NULL);
    request->body.source = MOCK_SOURCE_PATTERN;
    request->body.len = n;
    return mock_answer(request, 200, MOCK_TYPE_TEXT, NULL);
}

static enum MHD_Result get_stream(mock_request *request, const char *rest)
{
    unsigned long long n, ms = 0;
    const char *gap = mock_request_arg(request, "chunk_ms");
    if (!mock_number(rest, INT64_MAX / MOCK_CHUNK, &n) ||
        (gap && !mock_number(gap, DELAY_MAX_MS, &ms)))
        return mock_answer_error(request, 400, "chunks and chunk_ms must be numbers", NULL);
    request->body = (mock_body){
        .source = MOCK_SOURCE_CHUNKS,
        .len = n * MOCK_CHUNK,
        .piece = MOCK_CHUNK,
        .gap = (int64_t)ms * 1000000,
        .chunked = true,
    };
    return mock_answer(request, 200, MOCK_TYPE_TEXT, NULL);
}

static enum MHD_Result redirect(mock_request *request, const char *location)
{
    return mock_answer(request, 302, NULL,
                       (const char *[]){MHD_HTTP_HEADER_LOCATION, location, NULL});
}

static enum MHD_Result get_redirect(mock_request *request, const char *rest)
{
    unsigned long long n;
    char next[64];
    if (!mock_number(rest, REDIRECTS_MAX, &n) || n == 0)
        return mock_answer_error(request, 400, "the redirects must be 1 to 1000000", NULL);
    snprintf(next, sizeof next, "/redirect/%llu", n - 1);
    return redirect(request, n > 1 ? next : "/products/1");
}

static enum MHD_Result get_redirect_loop(mock_request *request, const char *rest)
{
    (void)rest;
    return redirect(request, "/redirect-loop");
}

static enum MHD_Result get_text(mock_request *request, const char *rest)
{
    (void)rest;
    return answer_str(request, MOCK_TYPE_TEXT,
                      "Plain text, not JSON: \xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac "
                      "\xf0\x9f\x90\x9f, \"quotes\", a comma,\nand a second line.\n");
}

static enum MHD_Result get_binary(mock_request *request, const char *rest)
{
    (void)rest;
    for (int i = 0; i < 256; i++)
        mock_text_add(&request->body.bytes, &(unsigned char){(unsigned char)i}, 1);
    return mock_answer(request, 200, "application/octet-stream", NULL);
}

/* A title, a colour, a cleared screen, an 8-bit CSI, and text that a carriage return hides. */
static enum MHD_Result get_escape(mock_request *request, const char *rest)
{
    (void)rest;
    return answer_str(request, MOCK_TYPE_TEXT,
                      "\033]0;title\007\033[31mred\033[0m \033[2J\033[H\xc2\x9b"
                      "7m\b\b\x7f hidden\rshown\n");
}

static enum MHD_Result get_stats(mock_request *request, const char *rest)
{
    (void)rest;
    mock_stats stats;
    mock_counters_read(&request->state->counters, &stats);
    mock_stats_add_json(&request->body.bytes, &stats);
    return mock_answer(request, 200, MOCK_TYPE_JSON, NULL);
}

static enum MHD_Result get_health(mock_request *request, const char *rest)
{
    (void)rest;
    return answer_str(request, MOCK_TYPE_JSON, "{\"status\": \"ok\"}\n");
}

static enum MHD_Result get_index(mock_request *request, const char *rest);

/* A path that ends in "/" needs something after it, and the handler gets that. One that is `open`
 * stands for all below it, and the handler gets what follows. */
typedef struct route {
    const char *path;
    enum MHD_Result (*handle)(mock_request *request, const char *rest);
    const char *usage;
    const char *help;
    bool open;
    bool uncounted;
} route;

static const route routes[] = {
    {"/products", mock_catalog, "/products/N", "product N, made from its number", .open = true},
    {NULL, NULL, "/products?page=P&per_page=K", "a page of products; Link: <...>; rel=\"next\"",
     .open = true},
    {NULL, NULL, "POST PUT PATCH DELETE /products[/N]", "says what was sent (201, 200, 200, 204)",
     .open = true},
    {"/gzip/products", mock_catalog_gzip, "/gzip/products/N", "the same, always compressed",
     .open = true},
    {"/echo", get_echo, "/echo", "method, path, query, headers and body of the request",
     .open = true},
    {"/headers", get_headers, "/headers?Name=value", "adds headers to the answer"},
    {"/status/", get_status, "/status/CODE?retry_after=...", "answers with CODE, 200 to 599"},
    {"/delay/", get_delay, "/delay/MS", "answers after MS milliseconds"},
    {"/bytes/", get_bytes, "/bytes/N", "N bytes of text"},
    {"/stream/", get_stream, "/stream/N?chunk_ms=M", "N chunks of 16 bytes, M ms apart"},
    {"/redirect/", get_redirect, "/redirect/N", "N redirects that end at /products/1"},
    {"/redirect-loop", get_redirect_loop, "/redirect-loop", "redirects to itself"},
    {"/text", get_text, "/text", "UTF-8 text that is not JSON"},
    {"/binary", get_binary, "/binary", "all 256 bytes: not UTF-8"},
    {"/escape", get_escape, "/escape", "text with terminal escape sequences"},
    {"/stats", get_stats, "/stats", "counts, as JSON; does not count itself", .uncounted = true},
    {"/health", get_health, "/health", "answers ok; is not counted", .uncounted = true},
    {"/", get_index, "/", "this page"},
};

enum { ROUTES_LEN = sizeof routes / sizeof routes[0] };

static enum MHD_Result get_index(mock_request *request, const char *rest)
{
    (void)rest;
    mock_text *text = &request->body.bytes;
    mock_text_add_str(text, "weir mock: a local API to practise against\n\n");
    for (int i = 0; i < ROUTES_LEN; i++)
        mock_text_addf(text, "  %-36s %s\n", routes[i].usage, routes[i].help);
    mock_text_add_str(text, "\nLatency, faults and the rate limit that the mock was started with "
                            "apply to /products\nand /gzip/products only. Request bodies may have "
                            "16 MiB.\n");
    return mock_answer(request, 200, MOCK_TYPE_TEXT, NULL);
}

/* What of the path is left for the route's handler; NULL: the route is not for this path. */
static const char *match(const route *r, const char *path)
{
    size_t len = r->path ? strlen(r->path) : 0;
    if (len == 0 || strncmp(path, r->path, len) != 0)
        return NULL;
    const char *rest = path + len;
    if (!*rest || (r->open && *rest == '/') || (len > 1 && r->path[len - 1] == '/'))
        return rest;
    return NULL;
}

static const route *find(const char *path, const char **rest)
{
    for (int i = 0; i < ROUTES_LEN; i++)
        if ((*rest = match(&routes[i], path)))
            return &routes[i];
    return NULL;
}

bool mock_route_uncounted(const char *path)
{
    const char *rest;
    const route *r = find(path, &rest);
    return r && r->uncounted;
}

enum MHD_Result mock_route(mock_request *request)
{
    const char *rest;
    const route *r = find(request->path, &rest);
    if (!r)
        return mock_answer_error(request, 404, "no such path; / lists all", NULL);
    return r->handle(request, rest);
}
