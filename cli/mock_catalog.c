/*
 * mock_catalog.c: the products under HTTP. Its invariant: a request turned away by the rate limit
 * does not count as an attempt, so time has no say in which attempts fail.
 */
#include "mock_catalog.h"

#include <inttypes.h>
#include <string.h>

#include "mock_answer.h"
#include "mock_product.h"

enum { PER_PAGE = 50, PER_PAGE_MAX = 1000, PIECES = 10 };

/* What a request under /products is about. */
typedef struct subject {
    uint64_t product; /* 0: the list */
    uint64_t page;
    uint64_t per_page;
} subject;

static bool parse_arg(const mock_request *request, const char *name, uint64_t normal, uint64_t max,
                      uint64_t *out)
{
    const char *text = mock_request_arg(request, name);
    unsigned long long value = normal;
    if (text && (!mock_number(text, max, &value) || value == 0))
        return false;
    *out = value;
    return true;
}

/* NULL, or what is wrong and the status that says so. */
static const char *parse(const mock_request *request, const char *rest, subject *out,
                         unsigned *status)
{
    *status = 404;
    *out = (subject){0};
    unsigned long long n;
    if (strcmp(rest, "") != 0 && strcmp(rest, "/") != 0) {
        uint64_t last = request->state->options.products;
        if (!mock_number(rest + 1, last ? last : UINT64_MAX / 2, &n) || n == 0)
            return "no such product";
        out->product = n;
        return NULL;
    }
    *status = 400;
    if (!parse_arg(request, "page", 1, 1000000000, &out->page) ||
        !parse_arg(request, "per_page", PER_PAGE, PER_PAGE_MAX, &out->per_page))
        return "page must be 1 or more, per_page 1 to 1000";
    return NULL;
}

/* What attempts are counted by: lists share the numbers that no product has. */
static uint64_t attempt_key(const subject *what)
{
    return what->product ? what->product : UINT64_MAX - what->page;
}

static enum MHD_Result reject(mock_request *request, int64_t wait)
{
    char seconds[32];
    int64_t s = (wait - 1) / 1000000000 + 1;
    snprintf(seconds, sizeof seconds, "%" PRId64, s);
    mock_count(&request->state->counters.rejected, 1);
    return mock_answer_error(request, 429, "too many requests",
                             (const char *[]){MHD_HTTP_HEADER_RETRY_AFTER, seconds, NULL});
}

/* Sends a product answer in the way the options and the request's fate ask for. */
static enum MHD_Result answer_product(mock_request *request, unsigned status, bool gzip,
                                      const char *const *headers)
{
    const mock_options *options = &request->state->options;
    mock_body *body = &request->body;
    const char *with_gzip[16] = {NULL};
    size_t n = 0;
    for (; headers && headers[n] && n < 12; n++)
        with_gzip[n] = headers[n];
    if (gzip && body->bytes.len) {
        if (!mock_answer_gzip(request))
            return MHD_NO;
        with_gzip[n++] = MHD_HTTP_HEADER_CONTENT_ENCODING;
        with_gzip[n++] = "gzip";
    }
    size_t len = body->bytes.len;
    if (request->fate.fault == MOCK_FAULT_TRUNCATE) {
        if (len < 2 || strcmp(request->method, "HEAD") == 0)
            return mock_answer_reset(request); /* there is no body to cut */
        body->cut = len / 2;
    }
    if (options->slow_body && len) {
        body->piece = (len + PIECES - 1) / PIECES;
        body->gap = options->slow_body / (PIECES - 1);
    }
    if (options->chunked && len) {
        body->chunked = true;
        body->piece = body->piece ? body->piece : len / 4 + 1;
    }
    return mock_answer(request, status, MOCK_TYPE_JSON, with_gzip);
}

static enum MHD_Result send_list(mock_request *request, const subject *what, bool gzip)
{
    uint64_t all = request->state->options.products;
    all = all ? all : MOCK_CATALOG_LEN;
    uint64_t first = (what->page - 1) * what->per_page;
    uint64_t end = first + what->per_page < all ? first + what->per_page : all;
    mock_text *text = &request->body.bytes;
    mock_text_add_str(text, "[");
    for (uint64_t n = first; n < end; n++) {
        mock_text_add_str(text, n > first ? ",\n" : "\n");
        mock_product_add(text, n + 1);
    }
    mock_text_add_str(text, "\n]\n");
    char total[32], link[256];
    int len = 0;
    snprintf(total, sizeof total, "%" PRIu64, all);
    if (end < all)
        len = snprintf(link, sizeof link,
                       "</products?page=%" PRIu64 "&per_page=%" PRIu64 ">; rel=\"next\"",
                       what->page + 1, what->per_page);
    if (what->page > 1)
        snprintf(link + len, sizeof link - (size_t)len,
                 "%s</products?page=%" PRIu64 "&per_page=%" PRIu64 ">; rel=\"prev\"",
                 len ? ", " : "", what->page - 1, what->per_page);
    bool linked = len || what->page > 1;
    return answer_product(request, 200, gzip,
                          (const char *[]){"X-Total-Count", total, linked ? "Link" : NULL,
                                           linked ? link : NULL, NULL});
}

static enum MHD_Result send_by_method(mock_request *request, const subject *what, bool gzip)
{
    const char *method = request->method;
    mock_text *text = &request->body.bytes;
    bool read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (read && !what->product)
        return send_list(request, what, gzip);
    if (read) {
        mock_product_add(text, what->product);
        mock_text_add_str(text, "\n");
        return answer_product(request, 200, gzip, NULL);
    }
    if (strcmp(method, "DELETE") == 0)
        return answer_product(request, 204, false, NULL);
    bool post = strcmp(method, "POST") == 0;
    if (!post && strcmp(method, "PUT") != 0 && strcmp(method, "PATCH") != 0)
        return mock_answer_error(
            request, 405, "products take GET, HEAD, POST, PUT, PATCH and DELETE",
            (const char *[]){MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE", NULL});
    mock_text_add_str(text, "{");
    mock_request_add_json(text, request, false);
    mock_text_add_str(text, "}\n");
    return answer_product(request, post ? 201 : 200, gzip, NULL);
}

static enum MHD_Result meet_fate(mock_request *request, const subject *what, bool gzip)
{
    mock_counters *counters = &request->state->counters;
    mock_fault fault = request->fate.fault;
    /* A hang ends only by its client going away or the mock's end, and then this is not reached. */
    if (mock_request_wait(request,
                          fault == MOCK_FAULT_HANG ? MOCK_HOLD_FOREVER : request->fate.delay))
        return MHD_YES;
    if (fault != MOCK_FAULT_HANG)
        mock_count(&counters->faults[fault], 1);
    switch (fault) {
    case MOCK_FAULT_500:
        return mock_answer_error(request, 500, "a fault, as asked for", NULL);
    case MOCK_FAULT_RESET:
        return mock_answer_reset(request);
    case MOCK_FAULT_HANG:
        return MHD_NO;
    default:
        return send_by_method(request, what, gzip);
    }
}

static enum MHD_Result answer(mock_request *request, const char *rest, bool gzip)
{
    subject what;
    unsigned status;
    const char *wrong = parse(request, rest, &what, &status);
    mock_state *state = request->state;
    if (!request->has_fate) {
        mock_count(&state->counters.product_requests, 1);
        if (wrong)
            return mock_answer_error(request, status, wrong, NULL);
        int64_t wait = state->bucket.rate > 0 ? mock_bucket_take(&state->bucket, mock_now()) : 0;
        if (wait)
            return reject(request, wait);
        request->fate = mock_faults_next(&state->faults, attempt_key(&what));
        request->has_fate = true;
        if (request->fate.fault == MOCK_FAULT_HANG)
            mock_count(&state->counters.faults[MOCK_FAULT_HANG], 1);
    }
    return meet_fate(request, &what, gzip);
}

enum MHD_Result mock_catalog(mock_request *request, const char *rest)
{
    bool gzip = false;
    if (request->state->options.gzip) {
        const char *accepted = mock_request_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING);
        gzip = accepted && strcasestr(accepted, "gzip");
    }
    return answer(request, rest, gzip);
}

enum MHD_Result mock_catalog_gzip(mock_request *request, const char *rest)
{
    return answer(request, rest, true);
}
