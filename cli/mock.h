/*
 * mock.h: a local HTTP API to practise against, in this process (`weir mock`, `weir demo`, tests).
 *
 * One thread runs all of it: libmicrohttpd's epoll set nested in one of our own, beside the timers
 * of the answers held back. So 10,000 delayed requests cost their sockets and nothing else. What a
 * product request meets depends only on the seed, the product and how often it was asked for.
 */
#ifndef CLI_MOCK_H
#define CLI_MOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/error.h"

typedef struct mock mock;

/* How a product request can fail. */
typedef enum mock_fault {
    MOCK_FAULT_NONE,
    MOCK_FAULT_500,      /* status 500 with a JSON error */
    MOCK_FAULT_RESET,    /* the connection is reset, without an answer */
    MOCK_FAULT_TRUNCATE, /* half the body, then the connection is closed */
    MOCK_FAULT_HANG,     /* nothing, until the client gives up or the mock stops */
    MOCK_FAULT_COUNT
} mock_fault;

#define MOCK_FAULT_BIT(fault) (1u << (fault))

enum {
    MOCK_CONNECTIONS = 10000, /* at once, unless told otherwise */
    MOCK_STATUS_COUNT = 600,
};

/* Zero means the default everywhere. Times are nanoseconds. */
typedef struct mock_options {
    const char *address;  /* to listen on, numeric IPv4 or IPv6; "127.0.0.1" */
    uint16_t port;        /* 0: any free one */
    int64_t connections;  /* how many at once it must be able to hold; MOCK_CONNECTIONS */
    uint64_t products;    /* /products/N exists up to this N; 0: every N */
    int64_t latency;      /* before a product is answered */
    int64_t jitter;       /* latency +- jitter, uniformly */
    double error_percent; /* of the product requests */
    unsigned error_kinds; /* MOCK_FAULT_BITs; 0: all */
    double rate_limit;    /* product requests per second; 0: no limit */
    uint64_t seed;
    int64_t slow_body; /* a product's body takes this long */
    bool chunked;      /* products are sent without a Content-Length */
    bool gzip;         /* products are compressed for clients that accept it */
    FILE *access_log;  /* a line per request; NULL: none */
} mock_options;

/* One list for the counters, their snapshot and /stats. "Counted" requests are all but those for
 * /stats and /health, so that looking does not change what is seen. */
#define MOCK_STATS_LIST(X)                                                        \
    X(requests)         /* counted requests begun */                              \
    X(product_requests) /* of them, those under /products (and /gzip/products) */ \
    X(in_flight)        /* counted requests begun and not ended, now */           \
    X(peak_in_flight)                                                             \
    X(connections)      /* accepted, with those that ask for /stats */            \
    X(open_connections) /* now */                                                 \
    X(peak_connections)                                                           \
    X(abandoned) /* requests whose client went away while they were held */       \
    X(rejected)  /* by the rate limit, with 429 */

typedef struct mock_stats {
#define MOCK_STATS_FIELD(name) uint64_t name;
    MOCK_STATS_LIST(MOCK_STATS_FIELD)
#undef MOCK_STATS_FIELD
    uint64_t faults[MOCK_FAULT_COUNT];
    uint64_t status[MOCK_STATUS_COUNT]; /* answers by status code */
} mock_stats;

/*
 * Listens, starts the mock's thread and returns; raises the soft RLIMIT_NOFILE if it must. The
 * options are copied, but not the access log, which must outlive the mock. WEIR_INVALID, WEIR_IO
 * or WEIR_NOMEM with a text that says what to do. All signals are blocked in the mock's thread.
 */
weir_status mock_start(const mock_options *options, mock **out, weir_error *err);

/* The port it listens on. Any thread. */
uint16_t mock_port(const mock *m);

/* "http://127.0.0.1:8080", no slash at its end. Any thread; belongs to the mock. */
const char *mock_url(const mock *m);

/* The counters now. Any thread. */
void mock_stats_get(const mock *m, mock_stats *out);

/* A few lines for people. */
void mock_stats_print(FILE *file, const mock_stats *stats);

/* Ends what is held, closes every connection, joins the thread and frees the mock. The final
 * counters go to `last` unless it is NULL. A NULL mock is fine (and leaves `last` alone). */
void mock_stop(mock *m, mock_stats *last);

/* "500", "reset", "truncate", "hang". */
const char *mock_fault_name(mock_fault fault);

/* Reads "500,reset" into MOCK_FAULT_BITs; false: an unknown or empty name stands in it. */
bool mock_fault_parse(const char *text, unsigned *kinds);

#endif
