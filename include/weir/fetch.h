/*
 * weir/fetch.h: the job kind that asks for URLs.
 *
 * An item is one HTTP request, made from templates and a row of the input. Its row holds the input
 * columns, then url, status, attempts, elapsed_ms, error, headers (if asked for), body, and
 * body_encoding ("base64" where the body is neither JSON nor UTF-8 text). elapsed_ms is the time
 * spent on all attempts, without the pauses between them. An item is ok if its answer has a 2xx
 * status (or 304), failed otherwise. docs/rows.md has the details.
 */
#ifndef WEIR_FETCH_H
#define WEIR_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/job.h"
#include "weir/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Zero means the default everywhere. Strings are copied by weir_fetch_new. Times are nanoseconds,
 * sizes bytes.
 */
typedef struct weir_fetch_options {
    size_t size; /* sizeof(weir_fetch_options) */
    weir_job_options job;

    /* the requests */
    const char *const *urls; /* templates; none: the input's column "url", or its lines */
    size_t urls_len;
    const char *method;         /* "GET", or "POST" with a body */
    const char *const *headers; /* "Name: value" templates */
    size_t headers_len;
    const char *body; /* a template; NULL: none */
    size_t body_len;
    int body_raw; /* send the body as it is: it is no template */

    /* the rows */
    const char *save; /* a path template, one file per good body; NULL: none */
    int with_headers;
    int no_body;

    /* how many, how long, how large */
    int64_t per_host;        /* in flight to one server, at most; 0: no limit of its own */
    int64_t connect_timeout; /* 10 s */
    int64_t max_body;        /* 64 MiB */
    int retry_unsafe;        /* repeat POST and PATCH too */
    int64_t retry_after_max; /* the longest Retry-After that is obeyed; 5 min */

    /* HTTP */
    const char *user;   /* "name:password" */
    const char *bearer; /* a token */
    int netrc;
    const char *cookie; /* "a=b; c=d" */
    const char *proxy;
    const char *cacert; /* PEM files */
    const char *cert;
    const char *key;
    int insecure;
    int http1_only;
    int follow;             /* redirects, up to max_redirects, without credentials elsewhere */
    int64_t max_redirects;  /* 10 */
    const char *user_agent; /* "weir/VERSION" */

    /* what may be reached, at first and by redirects: hosts, domains (".example.com"), addresses
     * and blocks of them ("10.0.0.0/8"), each with ":port" if need be, parted by commas */
    const char *const *allow; /* nothing else; none: everything */
    size_t allow_len;
    const char *const *deny; /* none of these, whatever allow says */
    size_t deny_len;
    int no_private; /* no address that is not of the public Internet */
} weir_fetch_options;

#define WEIR_FETCH_OPTIONS_INIT WEIR_OPTIONS_INIT(weir_fetch_options)

/*
 * Makes a job. Checks every option, opens the input and reads its first rows (which may block on a
 * pipe), opens the outputs; sends nothing. WEIR_INVALID says which option or template is wrong,
 * where, and what to do.
 */
weir_status weir_fetch_new(const weir_fetch_options *options, weir_job **out, weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
