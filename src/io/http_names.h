/*
 * http_names.h: one look-up per host name at a time.
 *
 * libcurl starts a thread for every transfer that needs a name it does not know yet, so a thousand
 * requests to one host would begin with a thousand threads asking the same question. Here the first
 * asks, the others wait for its answer, and after REFRESH one of them asks again. If there is no
 * answer then, the address that served so far is remembered. A fixed number of slots: two hosts
 * that fall into one take turns, or go unprotected while the other is asking.
 */
#ifndef WI_HTTP_NAMES_H
#define WI_HTTP_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"

enum { WI_HTTP_NAME_SLOTS = 256 };

typedef struct wi_http_name {
    uint64_t hash;
    int64_t fresh_until;
    bool asking;
    char address[46]; /* that it had when it was last asked for; "": none */
    wi_list waiting;  /* of exchanges, by their node */
} wi_http_name;

typedef struct wi_http_names {
    wi_http_name slots[WI_HTTP_NAME_SLOTS];
} wi_http_names;

typedef enum wi_http_name_turn {
    WI_HTTP_NAME_KNOWN, /* go on; there is nothing to ask or to wait for */
    WI_HTTP_NAME_ASK,   /* go on, ask anew, and tell: wi_http_names_answered */
    WI_HTTP_NAME_WAIT,  /* wait in name->waiting */
} wi_http_name_turn;

void wi_http_names_init(wi_http_names *names);

/* What an exchange with this URL is to do. *name is set for ASK and WAIT. */
wi_http_name_turn wi_http_names_enter(wi_http_names *names, const char *url, int64_t now,
                                      wi_http_name **name);

/* The one who asked knows now (or will never know): those in name->waiting may go on. */
void wi_http_names_answered(wi_http_name *name, bool known, int64_t now);

/* A connection was made to this address of the URL's host. */
void wi_http_names_remember(wi_http_names *names, const char *url, const char *address);

/* The address remembered of the URL's host; NULL: none. */
const char *wi_http_names_remembered(const wi_http_names *names, const char *url);

/* Is a URL's host a name, rather than an address? */
bool wi_http_names_has_name(const char *url);

/* The host and port of a URL, "host:port", for CURLOPT_RESOLVE; false if it does not fit. */
bool wi_http_names_host_port(const char *url, char *dst, size_t size);

#endif
