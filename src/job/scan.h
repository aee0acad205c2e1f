/*
 * scan.h: the kind `scan`, whose items are files. Its parts:
 *
 *   scan_new.c   from options to a job
 *   scan.c       the kind: pieces of work from the walk, an outcome for every file
 *   scan_file.c  what is read of one file and which of it is kept
 *   scan_rows.c  the rows that makes
 *   scan_list.c  the paths of -i
 */
#ifndef WI_SCAN_H
#define WI_SCAN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "crew.h"
#include "digest.h"
#include "expr.h"
#include "kind.h"
#include "list.h"
#include "matcher.h"
#include "pieces.h"
#include "scan_list.h"
#include "scan_rows.h"
#include "walk.h"
#include "weir/scan.h"

enum { WI_SCAN_NOTES = 4 };

/* The whole job's; read by all hands. */
typedef struct wi_scan {
    wi_walk_options walk_options;
    wi_walk *walk;
    wi_scan_list *list; /* of -i; nullable */
    wi_matcher *matcher;
    wi_expr *where;
    wi_scan_shape *shape;
    weir_scan_read read;
    weir_scan_give give;
    wi_format records; /* AUTO: by each file's suffix */
    wi_digest_kind digest;
    bool hashes, stats;
    bool text;
    bool no_decompress;
    size_t max_row;
    int64_t limit;      /* 0: none */
    bool judges_lines;  /* they make rows, or --where says whether they count */
    bool numbers_lines; /* and somebody wants to know where they are */

    _Atomic int64_t found;           /* files */
    atomic_bool ended;               /* there are no more */
    _Atomic int64_t binary, unknown; /* files passed over: their content, their suffix */
    atomic_int notes_len;            /* the walk's; may go beyond the array */
    char *notes[WI_SCAN_NOTES];

    pthread_mutex_t lock;
    wi_list hands; /* all that are at work */

    wi_walk_batch planned; /* for plans: items from planned_at on are still to be named */
    size_t planned_at;
    void **kept; /* what options pointed to, copied */
    size_t kept_len;
} wi_scan;

/* What is kept besides rows and counts for the budget. */
typedef enum wi_scan_held {
    WI_SCAN_HELD_LINE,    /* one that is longer than usual */
    WI_SCAN_HELD_ARCHIVE, /* what it takes to decompress */
    WI_SCAN_HELD_WHOLE,   /* a file */
    WI_SCAN_HELD_RECORD,  /* one that has not come to its end */
    WI_SCAN_HELDS
} wi_scan_held;

/* One hand's. */
typedef struct wi_scan_hand {
    wi_list node; /* in scan->hands */
    wi_scan *scan;
    wi_hand *hand;
    wi_pieces *pieces;
    wi_search *search; /* nullable */
    wi_scan_rows *rows;
    wi_digest *digest; /* nullable */
    wi_span *groups;   /* nullable */
    wi_portion *portion;
    wi_buf path;
    wi_buf whole;
    int64_t bytes;    /* read of this file */
    int64_t kept;     /* rows of this piece of work */
    size_t passed_on; /* bytes of its rows that the crew knows of */
    size_t held[WI_SCAN_HELDS];
    int64_t lines;   /* of this file, before the piece that is looked at */
    int64_t faults;  /* records of this file that are none */
    bool is_stream;  /* this file, and no regular one */
    bool was_binary; /* so it was passed over */
} wi_scan_hand;

extern const wi_kind wi_scan_kind;

void wi_scan_free(void *job);

/* So many bytes are kept of that kind now; may wait. False: the file is to be cut short. */
bool wi_scan_hold(wi_scan_hand *hand, wi_scan_held what, size_t bytes);

/* Of its walk_options and list: what is wrong with globs and lists of ignored files is found now.
 */
weir_status wi_scan_make_walk(wi_scan *scan, weir_error *err);

/* ---- scan_file.c ---- */

/*
 * Reads a file (path is hand->path) and puts its rows. WEIR_OK: all of it that is wanted, or it was
 * passed over; WEIR_CANCELLED: it was cut short; WEIR_NOMEM: the job's; any other is the file's
 * failure, which rows of it may have come before.
 */
weir_status wi_scan_file(wi_scan_hand *hand, const wi_walk_batch *batch, const wi_walk_item *item,
                         weir_error *err);

#endif
