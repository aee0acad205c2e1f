/*
 * fetch.h: the kind "fetch" from inside: what its job, its items and its lanes keep.
 *
 *   fetch_new.c  options -> wi_fetch     (weir_fetch_new)
 *   fetch.c      item -> request -> answer
 *   fetch_row.c  answer -> row
 */
#ifndef WI_FETCH_H
#define WI_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "http.h"
#include "item.h"
#include "kind.h"
#include "rate_hint.h"
#include "retry.h"
#include "template.h"

enum { WI_FETCH_COLUMNS = 9 };

/* The whole job; only read while it runs. */
typedef struct wi_fetch {
    wi_template **urls;
    size_t urls_len;
    uint64_t choices; /* of all URLs together */
    bool url_column;  /* no URL was given: the input's column of that name holds them */
    char *method;
    char *user_agent; /* NULL: among the headers */
    bool accept_encoding;
    wi_template **headers; /* a header is constant for the whole run, or the item's own */
    size_t headers_len;
    bool headers_constant;
    wi_template *body;
    wi_buf body_constant; /* if the body has no holes */
    bool has_body;
    wi_template *save; /* relative to save_root */
    char *save_prefix; /* for the row: "dir/" or "" */
    int save_root;     /* a directory's descriptor, or -1 */
    bool with_headers;
    bool with_body;
    bool once; /* not to be repeated: the method is not idempotent */
    size_t max_body;
    int64_t timeout;
    wi_retry_set retry_on;
    wi_http_options http; /* its strings are owned, */
    wi_reach *reach;      /* and so is this; NULL: everything may be reached */
    size_t columns_len;
    const char *columns[WI_FETCH_COLUMNS];
} wi_fetch;

typedef struct wi_fetch_lane wi_fetch_lane;

typedef struct wi_fetch_item {
    wi_item item;
    wi_fetch_lane *lane;
    const wi_template *template_; /* the URL template it is made from, */
    uint64_t choice;              /* and which of its combinations */
    char *url;
    char *shown; /* the URL without secrets; NULL: url has none */
    const char *method;
    wi_http_headers *headers;
    char *body;
    size_t body_len;
    wi_http_exchange *exchange;
    /* the answer */
    int status;
    char retry_after[48]; /* the header as it came, */
    time_t date;          /* and the server's clock at that time; 0: it does not tell */
    wi_rate_hint hint;
    char location[160]; /* where a redirect leads that is not followed; printable */
    bool says_json;
    bool says_nothing; /* of its type */
    bool doubtful;     /* the last attempt's connection broke or fell silent */
    bool whole;        /* it came to its end: content is its body, not a part of it */
    wi_buf content;
    wi_buf lines;              /* with_headers: "name\0value\0" each */
    wi_cell_kind content_kind; /* WI_ABSENT: not looked at yet */
    char *saved;               /* the file, as it stands in the row */
} wi_fetch_item;

extern const wi_kind wi_fetch_kind;

static inline const char *wi_fetch_shown(const wi_fetch_item *f)
{
    return f->shown ? f->shown : f->url;
}

/* Makes a request's text from the item's row; fills in origin. For fetch.c and plans. If it fails,
 * the item has no URL. */
weir_status wi_fetch_prepare(const void *job, void *state, wi_item *item, wi_buf *origin,
                             weir_error *err);

/* What its templates are expanded with. */
wi_scope wi_fetch_scope(const wi_fetch_item *f);

void wi_fetch_free(void *job);

/* ---- fetch_row.c ---- */

/* Says what the body is (JSON, which it minifies, text, or other), once. False: no memory. */
bool wi_fetch_classify(wi_fetch_item *f);

size_t wi_fetch_columns(const void *job, const char *const **names);
size_t wi_fetch_optional_columns(const void *job, const char *const **names);
void wi_fetch_emit(const void *job, wi_item *item, wi_batch *batch, size_t first);

/* Appends where its body is saved, as it stands in the row. */
weir_status wi_fetch_put_path(const wi_fetch *fetch, const wi_fetch_item *f, wi_buf *out,
                              weir_error *err);
weir_status wi_fetch_save(const void *job, wi_item *item, weir_error *err);
void wi_fetch_asks(const void *job, const wi_item *item, wi_buf *out);
weir_status wi_fetch_sync(const void *job, weir_error *err);

#endif
