/*
 * item.h: one unit of a job, from the input to its row.
 *
 *   ready -> running -> done            (ok, failed, cancelled, not started, or done before)
 *      ^       |
 *      +- waiting                       (attempts left, and the error may be retried)
 *
 * An item belongs to the lane that took it, until it is done; then to the collector, which frees
 * it. So none of this needs a lock. A kind's own item begins with a wi_item.
 */
#ifndef WI_ITEM_H
#define WI_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"
#include "committed.h"
#include "gate.h"
#include "list.h"
#include "loop.h"

typedef enum wi_item_state {
    WI_ITEM_READY,
    WI_ITEM_RUNNING,
    WI_ITEM_WAITING,
    WI_ITEM_DONE,
} wi_item_state;

typedef enum wi_outcome {
    WI_OUTCOME_OK,
    WI_OUTCOME_FAILED,
    WI_OUTCOME_CANCELLED,     /* it had begun when the run was stopped */
    WI_OUTCOME_NOT_STARTED,   /* it had not */
    WI_OUTCOME_OK_BEFORE,     /* an earlier run has its row: the journal says so */
    WI_OUTCOME_FAILED_BEFORE, /* the same, and it failed then */
    WI_OUTCOMES,
} wi_outcome;

typedef struct wi_item {
    wi_list node;    /* in the one list of its state */
    uint64_t number; /* from 0, in the order of the input */
    wi_batch *batch; /* its input row; NULL without input */
    size_t row;
    uint64_t choice;
    struct wi_lane *lane;
    wi_origin *origin;
    wi_timer timer; /* while waiting */
    wi_item_state state;
    wi_outcome outcome;
    wi_key key;      /* of what it asks, if a journal is kept */
    int attempts;    /* begun */
    int excused;     /* of them, those that failed because the origin was gone */
    bool paused;     /* running, but told to wait for memory */
    int64_t waited;  /* ns, over all attempts that ended */
    int64_t charged; /* bytes it counts for in the budget */
    char *error;     /* why the last attempt failed, whole; NULL: as `reason` says. free() */
    char reason[64]; /* the same in few words, for counting */
} wi_item;

/* Both texts at once; error may be NULL, and is copied. */
void wi_item_set_failure(wi_item *item, const char *reason, const char *error);

/* What stands in the row's error column; NULL if there is no failure. */
const char *wi_item_error(const wi_item *item);

#endif
