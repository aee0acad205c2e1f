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

/* An item that is done, for the journal. Its rows are counted from the beginning of the piece of
 * work, whichever of its portions they are in. */
typedef struct wi_portion_done {
    wi_key key;
    bool failed;
    size_t rows, rows_len; /* where the rows of one that failed are */
    size_t failed_rows, failed_rows_len;
} wi_portion_done;

typedef struct wi_portion {
    wi_list node;
    uint64_t number;    /* of the piece of work */
    bool last;          /* of that number */
    wi_buf rows;        /* as they are to be written */
    wi_buf row_ends;    /* a size_t for each row, where it ends in rows; only if rows are limited */
    wi_buf failed_rows; /* for the output of failed rows, if there is one; else they are in rows */
    wi_buf failures;    /* reason NUL, what it happened to NUL, for each failed item */
    wi_buf done;        /* a wi_portion_done for each item that is, if a journal is kept */
    int64_t ok, failed, cancelled, not_started; /* items */
    int64_t ok_before, failed_before;           /* which an earlier run has done */
    int64_t held;                               /* bytes that its hand keeps besides */
    int64_t charged;                            /* bytes it counts for in the budget */
} wi_portion;

/* An item has failed: counts it, and keeps why. Both texts may hold any byte but NUL. */
void wi_portion_fail(wi_portion *portion, const char *reason, const char *what);

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
