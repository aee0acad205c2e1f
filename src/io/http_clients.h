/*
 * http_clients.h: the HTTP clients that the waits on a loop share, so that a connection outlives
 * the task that made it: one for each way to connect that is in use. For the loop's thread only.
 */
#ifndef WI_HTTP_CLIENTS_H
#define WI_HTTP_CLIENTS_H

#include "http.h"
#include "list.h"

enum { WI_HTTP_CLIENTS_MAX = 16 }; /* of a loop, besides those with a request under way */

/* A way to connect: what exchanges must agree on to share connections. Strings may be NULL. */
typedef struct wi_http_route {
    int64_t connect_timeout; /* ns; 0: none */
    const char *proxy;
    const char *cacert;
    int follow; /* redirects at most */
    bool insecure;
} wi_http_route;

typedef struct wi_http_client {
    wi_list node; /* the one used last comes first */
    wi_http *http;
    wi_http_headers *headers; /* of a request that has none of its own */
    wi_http_route route;
    size_t exchanges;
} wi_http_client;

/* The client for this route, counted as used by one exchange more. All clients of a loop have the
 * same events. */
weir_status wi_http_client_take(wi_loop *loop, const wi_http_route *route,
                                const wi_http_events *events, wi_http_client **out,
                                weir_error *err);

/* An exchange less. Does not free anything, so callbacks of its client may call it. */
void wi_http_client_give(wi_http_client *client);

/* "weir/0.1.0". */
extern const char wi_http_user_agent[];

#endif
