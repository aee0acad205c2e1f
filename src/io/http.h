/*
 * http.h: one HTTP exchange at a time, thousands of them side by side, on a loop.
 *
 * Start an exchange, be called back exactly once when it has ended, cancel it in between. Nothing
 * above src/io knows which transport runs; today it is libcurl (http_curl.c), HTTP/1.1 and, where
 * the server offers it over TLS, HTTP/2; bodies arrive decoded (decoder.h), whatever was asked for.
 *
 * A client and its exchanges belong to its loop's thread. Callbacks come from the loop, never from
 * inside start, cancel or resume, so each of these may be called from any callback.
 */
#ifndef WI_HTTP_H
#define WI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "loop.h"
#include "reach.h"

#define WI_HTTP_MAX_HEADERS ((size_t)256 << 10) /* bytes of all headers of one answer */

typedef struct wi_http wi_http;
typedef struct wi_http_exchange wi_http_exchange;
typedef struct wi_http_headers wi_http_headers;

/* Strings are copied. NULL, 0: not set. */
typedef struct wi_http_options {
    const wi_reach *reach;   /* borrowed; NULL: every host may be reached */
    int64_t connect_timeout; /* ns */
    const char *user;        /* "name:password" */
    const char *bearer;
    const char *cookie;
    const char *proxy; /* "": none, whatever the environment says */
    const char *cacert;
    const char *cert;
    const char *key;
    int64_t max_redirects; /* with follow */
    bool netrc;
    bool insecure;
    bool http1_only;
    bool follow;
} wi_http_options;

/* What to ask. Everything is borrowed until done has been called. */
typedef struct wi_http_request {
    const char *method;
    const char *url;
    const wi_http_headers *headers; /* nullable */
    const char *body;               /* NULL: none */
    size_t body_len;
    int64_t timeout; /* ns for the whole exchange without pauses; 0: none */
    bool once;       /* not to be sent twice: a kept connection that turns out dead is an error */
    bool fresh;      /* on a new connection: the kept ones may be dead, though nobody said so */
} wi_http_request;

typedef struct wi_http_result {
    weir_status status; /* WEIR_OK: a whole answer came, whatever its HTTP status */
    int http_status;    /* 0: no answer began */
    bool sent;          /* the request may have reached the server */
    bool elsewhere;     /* a redirect led to another origin, where this came to pass */
    int64_t duration;   /* ns */
    const char *text;   /* what went wrong, printable; "" if nothing; valid during the call */
} wi_http_result;

typedef enum wi_http_taken {
    WI_HTTP_TAKEN,
    WI_HTTP_PAUSE, /* not taken: offer it again after wi_http_resume */
    WI_HTTP_ABORT, /* end the exchange with WEIR_TOOLARGE */
} wi_http_taken;

/* How an exchange reports. `arg` is what was given to start. */
typedef struct wi_http_events {
    /* An answer begins; what came before it (a redirect, 100 Continue) is void. */
    void (*begin)(void *arg, int http_status);
    void (*header)(void *arg, const char *name, size_t name_len, const char *value,
                   size_t value_len);
    wi_http_taken (*body)(void *arg, const char *bytes, size_t len);
    void (*done)(void *arg, const wi_http_result *result);
} wi_http_events;

/* Does anything go through a proxy, this one or one of the environment? Then addresses are not
 * seen, and a `reach` that goes by them cannot be kept. */
bool wi_http_uses_proxy(const char *proxy);

/* WEIR_INVALID where an option cannot be used (a certificate file that is not there). */
weir_status wi_http_new(wi_loop *loop, const wi_http_options *options, const wi_http_events *events,
                        wi_http **out, weir_error *err);

/* No exchange may be left. NULL is fine. */
void wi_http_free(wi_http *http);

/*
 * Begins; the exchange stays valid until done is called. WEIR_NOMEM, or WEIR_INVALID for a request
 * that cannot be made; done is not called then. It ends with WEIR_DENIED where it, or a redirect,
 * leads to what may not be reached (http_redirect.c has what else a redirect may not).
 */
weir_status wi_http_start(wi_http *http, const wi_http_request *request, void *arg,
                          wi_http_exchange **out, weir_error *err);

/* Ends it with WEIR_CANCELLED, unless it has ended already. */
void wi_http_cancel(wi_http_exchange *exchange);

/* Goes on after WI_HTTP_PAUSE. The pause does not count against the timeout. */
void wi_http_resume(wi_http_exchange *exchange);

/*
 * A list of request headers, shared by any number of exchanges once made. It begins with what every
 * request should have: who asks (NULL: not said) and, unless the caller has an Accept-Encoding of
 * its own, the encodings that are decoded. NULL: no memory.
 */
wi_http_headers *wi_http_headers_new(const char *user_agent, bool accept_encoding);

/* Adds "Name: value". NULL: no memory; the list is freed then. */
wi_http_headers *wi_http_headers_add(wi_http_headers *headers, const char *line);
void wi_http_headers_free(wi_http_headers *headers); /* NULL is fine */

/* May it be a method, or a header's name (RFC 9110, section 5.6.2)? */
bool wi_http_is_token(const char *text, size_t len);

/* Is a method idempotent, so that a request may be sent again (RFC 9110, section 9.2.2)? */
bool wi_http_is_repeatable(const char *method);

/* "libcurl 7.88.1 OpenSSL/3.0.15 zlib/1.2.13 …"; static storage. */
const char *wi_http_version(void);

#endif
