/*
 * portion.h: what came of a piece of a blocking kind's work: rows, rendered already, and what
 * became of its items.
 *
 * A piece of work has a number, from 0, without gaps, and one portion or several, of which the last
 * is marked. A portion belongs to the hand that fills it, until that gives it to the collector.
 */
#ifndef WI_PORTION_H
#define WI_PORTION_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "committed.h"
#include "list.h"

/* A place among the rows and one among the failed rows: so many bytes of them come before, counted
 * from the beginning of the piece of work, whichever of its portions they are in. */
typedef struct wi_portion_place {
    size_t rows, failed_rows;
} wi_portion_place;

/* An item that is done, for the journal; of one that failed also where its rows are. */
typedef struct wi_portion_done {
    wi_key key;
    bool failed;
    wi_portion_place from, to;
} wi_portion_done;

typedef struct wi_portion {
    wi_list node;
    uint64_t number;    /* of the piece of work */
    bool last;          /* of that number */
    wi_buf rows;        /* as they are to be written */
    wi_buf row_ends;    /* a size_t for each row, where it ends in rows; only if rows are limited */
    wi_buf failed_rows; /* for the output of failed rows, if there is one; else they are in rows */
    wi_buf failures;    /* reason NUL, what it happened to NUL, for each failed item */
    bool journaled;     /* a journal is kept; the next four are for it */
    bool torn;          /* it holds rows of an item that is not done, or has lost some */
    wi_key key;         /* of the item that its hand is at */
    wi_buf done;        /* a wi_portion_done for each item that is */
    wi_portion_place before; /* where its rows begin: what earlier portions of the piece held */
    int64_t ok, failed, cancelled, not_started; /* items */
    int64_t ok_before, failed_before;           /* which an earlier run has done */
    int64_t held;                               /* bytes that its hand keeps besides */
    int64_t charged;                            /* bytes it counts for in the budget */
} wi_portion;

/* An item has failed: counts it, and keeps why. Both texts may hold any byte but NUL. */
void wi_portion_fail(wi_portion *portion, const char *reason, const char *what);

/* Where the next row will be. */
static inline wi_portion_place wi_portion_place_now(const wi_portion *portion)
{
    return (wi_portion_place){portion->before.rows + portion->rows.len,
                              portion->before.failed_rows + portion->failed_rows.len};
}

/* The item that the hand is at is done: all of its rows, which began there, are in the portion or
 * in earlier ones. Nothing to do without a journal. */
void wi_portion_item_done(wi_portion *portion, bool failed, wi_portion_place from);

/* That item is not done, and will not be: takes back its rows, which began there, as the run that
 * continues this one will have all of them. Without a journal they stay. */
void wi_portion_item_cut(wi_portion *portion, wi_portion_place from);

/* ---- for the engine ---- */

wi_portion *wi_portion_new(uint64_t number); /* NULL: no memory */

/* A portion that takes over all that is in `from`, which is empty afterwards; NULL: no memory, and
 * nothing has changed. */
wi_portion *wi_portion_split(wi_portion *from);

void wi_portion_free(wi_portion *portion);

/* What it takes in memory, with what is held. */
int64_t wi_portion_bytes(const wi_portion *portion);

/* Has it lost anything for want of memory? */
bool wi_portion_is_damaged(const wi_portion *portion);

#endif
