/*
 * http_curl.h: the transport on libcurl from inside, shared by its files and nobody else.
 *
 *   http_curl.c      the client, and what an exchange begins with
 *   http_exchange.c  from there to its end: libcurl's callbacks, names, time-outs, pauses
 *   http_redirect.c  from an answer to the request it leads to, and whom that may reach
 *   http_content.c   what a body is encoded in
 *   http_headers.c   the headers of requests
 *   http_shard.c     libcurl's sockets and timers on our loop
 *
 * A client spreads its transfers over shards, each a multi handle with at most WI_SHARD_SIZE of
 * them and its own connections: libcurl searches its connections one by one, so a transfer's price
 * grows with their number (measured: 33,000 requests/s with 1,000 in flight in shards, 20,000
 * without).
 */
#ifndef WI_HTTP_CURL_H
#define WI_HTTP_CURL_H

#include "curl_library.h"
#include "decoder.h"
#include "http.h"
#include "http_names.h"

enum {
    WI_SHARD_SIZE = 64,
    WI_HTTP_MAX_ORIGIN = 120,
    WI_HTTP_PIECE = 16 << 10, /* of a decoded body; a paused exchange keeps at most one */
};

typedef struct wi_shard {
    wi_http *http;
    CURLM *multi;
    wi_list all;
    wi_list open;    /* in http->open while it has room */
    wi_list members; /* the exchanges that it has */
    size_t active;
    bool broken; /* libcurl cannot go on with it: no transfer enters any more */
    wi_timer timer;
    wi_defer kick;  /* libcurl wants to be called at once */
    wi_defer drain; /* transfers may have ended */
} wi_shard;

typedef struct wi_http_socket {
    wi_watch watch;
    wi_shard *shard;
    CURL *easy; /* the transfer it serves, or served last */
    bool ours;  /* opened by wi_http_open_socket */
} wi_http_socket;

typedef enum wi_exchange_state {
    EXCHANGE_IDLE,    /* pooled */
    EXCHANGE_WAITING, /* to enter libcurl, or for a name another one asks for */
    EXCHANGE_ACTIVE,  /* libcurl has it */
    EXCHANGE_ENDING,  /* its end is decided, to be reported by attend */
} wi_exchange_state;

/* How the body of an answer is encoded; all zero for most. */
typedef struct wi_http_content {
    bool coded; /* else nothing else counts */
    wi_codings codings;
    wi_decoder *decoder; /* since the body began */
    char *kept;          /* a decoded piece that was not taken */
    size_t kept_len;
    size_t skip;
    weir_status fault; /* it cannot be decoded, for this reason: */
    char why[200];
} wi_http_content;

/* Where an exchange has come by redirects; all zero for most. */
typedef struct wi_http_redirect {
    char *location; /* of the answer that comes in now, if it is to be followed */
    bool leads;     /* its headers are all there, so that it will be */
    size_t passed;  /* bytes of its body */
    int64_t hops;
    char *url;                  /* where the last one led to, from libcurl; NULL: none did */
    bool foreign;               /* away from the origin that was asked first, now or before */
    bool filtered;              /* instead of the request's headers, these: */
    struct curl_slist *headers; /* owned */
} wi_http_redirect;

struct wi_http_exchange {
    wi_list node;   /* in http->idle, a name's waiting, or http->attention */
    wi_list member; /* in its shard's members */
    wi_http *http;
    wi_shard *shard;
    CURL *easy;
    void *arg;
    wi_http_request request; /* as it is sent now, after redirects; what it points to is borrowed */
    wi_exchange_state state;
    wi_timer timeout;
    int64_t started;
    int64_t paused_at;  /* 0: it runs */
    int64_t timeout_at; /* 0: never */
    int64_t connect_at; /* unless the request is sent by then; WI_FOREVER: never */
    int64_t recall_at;  /* unless the name has been looked up by then; WI_FOREVER: never */
    int64_t knock_at;   /* until then, libcurl is asked whether to go on to the next address */
    weir_status ends_with;
    wi_http_name *asks;
    struct curl_slist *resolve; /* what libcurl is to forget of the name, or to know of it */
    bool recall;                /* it is time to use the address remembered, */
    bool recalled;              /* and that was done */
    size_t header_bytes;
    int http_status;
    int socket_errno; /* why no socket could be had; 0: one was */
    bool in_headers;  /* a status line came, the empty line after the headers did not */
    bool resume;
    bool aborted;
    bool named; /* its URL has a name, which may have several addresses */
    bool sent;
    bool lacking; /* an option could not be set for want of memory */
    bool worn;    /* libcurl counts the dead connections of a handle's life, and gives up at six */
    wi_http_redirect redirect;
    wi_reach_verdict verdict; /* on the host that is asked; if there is a reach */
    bool opened;              /* a socket to it */
    bool denied;              /* an address of its, for this reason: */
    char why[WI_REACH_WHY];
    CURLU *parts;      /* the URL last asked for, */
    size_t origin_len; /* which begins with so many bytes of scheme and authority: */
    char origin[WI_HTTP_MAX_ORIGIN];
    /* what the handle is set up for */
    bool https;
    bool plain_get;
    bool bare; /* without credentials */
    wi_http_content content;
    char text[CURL_ERROR_SIZE];
};

struct wi_http {
    wi_loop *loop;
    bool proxied; /* names are the proxy's to look up */
    const wi_curl *curl;
    CURLSH *share;
    wi_http_events events;
    wi_http_options options;
    wi_list shards;
    wi_list open;
    wi_list idle;
    wi_list attention;
    wi_defer attend;
    wi_http_socket **sockets; /* by descriptor */
    size_t sockets_len;
    char *scratch; /* WI_HTTP_PIECE bytes for decoding, once something was encoded */
    wi_http_names names;
};

struct wi_http_headers {
    struct curl_slist *list;
};

/* ---- http_exchange.c ---- */

/* Tells a new handle whom to call. */
void wi_exchange_listen(wi_http_exchange *exchange);

/* Has it enter libcurl at the end of the turn: who starts it may be inside of libcurl. */
void wi_exchange_enter_later(wi_http_exchange *exchange);

/* libcurl is done with it. */
void wi_exchange_ended(wi_http_exchange *exchange, CURLcode code);

/* Takes it from libcurl, which may be asked for something else then. */
void wi_exchange_leave(wi_http_exchange *exchange);

/* Takes it from libcurl, and tells. What was wrong stands in its text. */
void wi_exchange_finish(wi_http_exchange *exchange, weir_status status);

/* Has it end at the end of the turn, unless its end is decided; clears its text. */
void wi_exchange_end_early(wi_http_exchange *exchange, weir_status status);

/* The name it asks for, if it asks for one, has been looked up. */
void wi_exchange_name_answered(wi_http_exchange *exchange, bool known);

void wi_exchange_on_timeout(wi_timer *timer);

/* Sees to it that on_timeout is called in time. */
void wi_exchange_arm(wi_http_exchange *exchange);

/* A socket was opened, to make a connection. */
void wi_exchange_connects(wi_http_exchange *exchange);
void wi_exchange_on_attend(wi_defer *defer);

/* ---- http_content.c ---- */

/* The value of a Content-Encoding header. */
void wi_content_add(wi_http_content *content, const char *value, size_t len);

/* A chunk of a body that is `coded`, for events.body. */
wi_http_taken wi_content_body(wi_http_exchange *exchange, const char *bytes, size_t len);

/* The body has ended, if one came. False, with `fault` set: it is not whole. */
bool wi_content_finish(wi_http_content *content);

void wi_content_drop(wi_http_content *content);

/* ---- http_redirect.c ---- */

/* A header of an answer came, or their end. Locations are kept if they are to be followed. False:
 * no memory. */
bool wi_redirect_header(wi_http_exchange *exchange, const char *name, size_t name_len,
                        const char *value, size_t value_len);
void wi_redirect_headers_end(wi_http_exchange *exchange);

/* A piece of the body of an answer that leads elsewhere; false: that was enough of it. */
bool wi_redirect_body(wi_http_exchange *exchange, size_t len);

/* Asks where the answer leads to, or ends the exchange. */
void wi_redirect_follow(wi_http_exchange *exchange);

/* Forgets the answer that came, or all of them. */
void wi_redirect_void(wi_http_redirect *redirect);
void wi_redirect_drop(wi_http_exchange *exchange);

/* May the host of exchange->parts be reached? Writes the verdict, and why not. */
bool wi_reach_check_host(wi_http_exchange *exchange);

/* May this address be connected to? Writes why not. */
bool wi_reach_check_address(wi_http_exchange *exchange, const struct curl_sockaddr *address);

/* For exchange->text: why it was denied. */
void wi_reach_say(wi_http_exchange *exchange);

/* ---- http_headers.c ---- */

/* A copy of those headers that a redirect leaves: to another origin what is no secret, without a
 * body nothing that describes one. False: no memory. */
bool wi_http_headers_filter(const wi_curl *curl, const struct curl_slist *list, bool foreign,
                            bool bodiless, struct curl_slist **out);

/* ---- http_curl.c ---- */

/* Sets the handle up for exchange->request, whose URL is in exchange->parts. */
void wi_exchange_set_up(wi_http_exchange *exchange);

void wi_exchange_free(wi_http_exchange *exchange);

/* ---- http_shard.c ---- */

/* One with room for a transfer; NULL: no memory. */
wi_shard *wi_shard_with_room(wi_http *http);

/* A transfer was added to it, or taken away. */
void wi_shard_entered(wi_shard *shard, wi_http_exchange *exchange);
void wi_shard_left(wi_shard *shard, wi_http_exchange *exchange);

/* What a call of libcurl returned for it. A multi handle that lacked memory once is in no state to
 * be called again: its transfers end, and others take another. */
void wi_shard_check(wi_shard *shard, CURLMcode code);

void wi_shard_free(wi_shard *shard);

/* For CURLOPT_OPENSOCKETFUNCTION (arg: the exchange) and CURLOPT_CLOSESOCKETFUNCTION (the client).
 */
curl_socket_t wi_http_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);
int wi_http_close_socket(void *arg, curl_socket_t fd);

/* Forgets all sockets that are left. */
void wi_http_drop_sockets(wi_http *http);

#endif
