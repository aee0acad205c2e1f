/*
 * http_curl.h: the transport on libcurl from inside, shared by its files and nobody else.
 *
 *   http_curl.c      the client, and what an exchange begins with
 *   http_exchange.c  from there to its end: libcurl's callbacks, names, time-outs, pauses
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
    bool ours;  /* opened by wi_http_open_socket, so that its close is seen too */
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

struct wi_http_exchange {
    wi_list node;   /* in http->idle, a name's waiting, or http->attention */
    wi_list member; /* in its shard's members */
    wi_http *http;
    wi_shard *shard;
    CURL *easy;
    void *arg;
    const char *url; /* the caller's */
    wi_exchange_state state;
    wi_timer timeout;
    int64_t started;
    int64_t paused_at;  /* 0: it runs */
    int64_t timeout_at; /* 0: never */
    int64_t connect_at; /* unless the request is sent by then; WI_FOREVER: never */
    weir_status ends_with;
    wi_http_name *asks;
    struct curl_slist *forget_name;
    size_t header_bytes;
    int http_status;
    int socket_errno; /* why no socket could be had; 0: one was */
    bool in_headers;  /* a status line came, the empty line after the headers did not */
    bool resume;
    bool aborted;
    bool once;
    bool sent;
    bool lacking; /* an option could not be set for want of memory */
    bool worn;    /* libcurl counts the dead connections of a handle's life, and gives up at six */
    long redirects_sent;
    CURLU *parts;      /* the URL last asked for, */
    size_t origin_len; /* which begins with so many bytes of scheme and authority: */
    char origin[WI_HTTP_MAX_ORIGIN];
    /* what the handle is set up for */
    bool https;
    bool plain_get;
    wi_http_content content;
    char text[CURL_ERROR_SIZE];
};

struct wi_http {
    wi_loop *loop;
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

/* It ends with this at the end of the turn, if it has not ended yet. */
void wi_exchange_end_early(wi_http_exchange *exchange, weir_status status);

/* libcurl is done with it. */
void wi_exchange_ended(wi_http_exchange *exchange, CURLcode code);

/* The name it asks for, if it asks for one, has been looked up. */
void wi_exchange_name_answered(wi_http_exchange *exchange, bool known);

void wi_exchange_on_timeout(wi_timer *timer);

/* Sees to it that on_timeout is called in time. */
void wi_exchange_arm(wi_http_exchange *exchange);
void wi_exchange_on_attend(wi_defer *defer);

/* ---- http_content.c ---- */

/* The value of a Content-Encoding header. */
void wi_content_add(wi_http_content *content, const char *value, size_t len);

/* A chunk of a body that is `coded`, for events.body. */
wi_http_taken wi_content_body(wi_http_exchange *exchange, const char *bytes, size_t len);

/* The body has ended, if one came. False, with `fault` set: it is not whole. */
bool wi_content_finish(wi_http_content *content);

void wi_content_drop(wi_http_content *content);

/* ---- http_curl.c ---- */

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
