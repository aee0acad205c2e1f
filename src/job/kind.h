/*
 * kind.h: what one kind of job (fetch, scan, exec) adds to the engine.
 *
 * The engine has everything that is the same for all of them: admission, rate, retry, deadlines,
 * order, accounting, progress. A kind says what its rows look like, how an item starts and is
 * cancelled, and what came of it. `job` is the kind's own description of the whole job, made by it
 * and only read while the job runs; `state` is what it keeps per lane. A lane may be closed while
 * its last items are still on their way to the output: emit, save, release and describe get no
 * `state`, and must not follow a pointer to it that start or prepare kept in the item.
 */
#ifndef WI_KIND_H
#define WI_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"
#include "buf.h"
#include "error.h"
#include "item.h"

typedef struct wi_lane wi_lane;

typedef struct wi_kind {
    const char *name;       /* "fetch" */
    int descriptors;        /* an item takes while it runs */
    bool keeps_descriptors; /* afterwards too, for the next item of that origin */
    size_t item_size;       /* of the kind's struct that begins with a wi_item */

    /* Is the job possible with this input? schema: of its first rows, NULL without input (or with
     * an empty one: has_input tells). Called once, before anything is opened for writing. */
    weir_status (*check)(void *job, bool has_input, wi_schema *schema, weir_error *err);

    /* The result columns, which follow the input's in a row. */
    size_t (*columns)(const void *job, const char *const **names);

    /* Names (of columns()) that NDJSON leaves out where they are null. */
    size_t (*optional_columns)(const void *job, const char *const **names);

    /* Before the lane's first item, and (on its thread, if it has started) after its last. */
    weir_status (*open)(const void *job, wi_lane *lane, void **state, weir_error *err);
    void (*close)(void *state);

    /*
     * Makes an item ready to start any number of times, and names its origin. Also called, with
     * state NULL, to describe a plan. A failure is the item's.
     */
    weir_status (*prepare)(const void *job, void *state, wi_item *item, wi_buf *origin,
                           weir_error *err);

    /* May any item begin now? 0, or in how many ns to ask again. May be NULL: always. */
    int64_t (*hold)(void *state);

    /* Begins an attempt; wi_lane_attempt_ended must follow, even from inside start. */
    void (*start)(void *state, wi_item *item);

    /* Ends a running attempt; wi_lane_attempt_ended still follows, not from inside cancel. */
    void (*cancel)(void *state, wi_item *item);

    /* An item that asked wi_lane_may_grow and was told to pause may go on. */
    void (*resume)(void *state, wi_item *item);

    /* Puts the item's cells into a row, from column `first` on. The collector's thread. */
    void (*emit)(const void *job, wi_item *item, wi_batch *batch, size_t first);

    /* Writes what is to be kept besides rows, of an item that is ok or failed; a failure of this is
     * the item's. The collector's thread. May be NULL. */
    weir_status (*save)(const void *job, wi_item *item, weir_error *err);

    /* Writes what goes the way of the rows, but past them; a failure ends the run, as it does when
     * a row cannot be written. The collector's thread. May be NULL. */
    weir_status (*pass)(const void *job, wi_item *item, weir_error *err);

    /* Frees what the kind keeps in an item. Any thread. */
    void (*release)(wi_item *item);

    /* One line that says what the item is ("GET https://..."), without secrets. */
    void (*describe)(const wi_item *item, wi_buf *out);

    /* Frees `job`. */
    void (*free)(void *job);
} wi_kind;

#endif
