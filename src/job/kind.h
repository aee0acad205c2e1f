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
#include "portion.h"

typedef struct wi_lane wi_lane;
typedef struct wi_hand wi_hand;
struct wi_source_numbers;

/*
 * What a kind has instead of lanes and their calls if its work blocks: see crew.h. Its items are in
 * pieces of work; `state` is what it keeps per hand.
 */
typedef struct wi_blocking {
    /* Before the first hand begins. */
    weir_status (*begin)(void *job, weir_error *err);

    /* Has every `work` that waits return soon, and no more work be found. Any thread, more than
     * once; does not block. Not before begin. */
    void (*stop)(void *job);

    /* On the hand's thread, before its first piece and after its last. */
    weir_status (*open)(void *job, wi_hand *hand, void **state, weir_error *err);
    void (*close)(void *state);

    /* Does a piece of work. WEIR_OK: there may be more; WEIR_END: there is none, for any hand, nor
     * will be; WEIR_CANCELLED: after stop; any other: the job cannot go on. */
    weir_status (*work)(void *state, weir_error *err);

    /* How many hands wait, inside `work`, for other hands and not for the world: more of them would
     * be of no use. Any thread. May be NULL: none ever does. */
    int (*idle)(const void *job);

    /* How many items are known and whether they are all (total, read, taken, ended). Any thread,
     * at any time. */
    void (*numbers)(const void *job, struct wi_source_numbers *numbers);

    /* The header of a CSV, borrowed: asked when the first row is to be written, and at the end.
     * NULL: none is known. The collector's thread. */
    wi_schema *(*header)(void *job);

    /* The same for the output of failed rows, always known. NULL: as header. */
    wi_schema *(*failed_header)(void *job);

    /* Puts rows that waited for something that has not come until the end; before the header is
     * asked for the last time. The collector's thread. May be NULL: none wait. */
    weir_status (*rest)(void *job, wi_portion *portion, weir_error *err);

    /* The CSV has this header already, which an earlier run has written: its rows go on under it.
     * After begin, before the first hand. May be NULL: the header is always the same. */
    weir_status (*continues)(void *job, const char *header, size_t len, weir_error *err);

    /* What there is to say at the end, a line each, until NULL; as printable text in `out`. */
    const char *(*note)(void *job, size_t i, wi_buf *out);

    /* Appends to `out` what the next item is called, for a plan ("/a/b"); WEIR_INVALID: the item
     * would fail; WEIR_END: no more. After begin, instead of work. */
    weir_status (*plan)(void *job, wi_buf *out, weir_error *err);
} wi_blocking;

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

    /* Appends what the item asks: items that may have different rows, apart from the input's cells
     * in them, ask different things. After prepare; the lane's thread. */
    void (*asks)(const void *job, const wi_item *item, wi_buf *out);

    /* Brings to the disk what save has written. The collector's thread. May be NULL. */
    weir_status (*sync)(const void *job, weir_error *err);

    /* Frees what the kind keeps in an item. Any thread. */
    void (*release)(wi_item *item);

    /* One line that says what the item is ("GET https://..."), without secrets. */
    void (*describe)(const wi_item *item, wi_buf *out);

    /* Frees `job`. */
    void (*free)(void *job);

    /* A kind whose work blocks: of the above it has only name, descriptors and free. NULL:
     * it has lanes. */
    const wi_blocking *blocking;
} wi_kind;

#endif
