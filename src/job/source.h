/*
 * source.h: where a job's items come from, in blocks, numbered from 0 in the order of the input.
 *
 * An input row makes `choices` items (the combinations of a URL's ranges; 1 for most). With no
 * input, the choices are all there is. An input is read by a thread of the source's own, a bounded
 * number of batches ahead, and no more of them than fit into an eighth of the memory budget, beyond
 * the first; any lane takes blocks.
 */
#ifndef WI_SOURCE_H
#define WI_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "budget.h"
#include "error.h"
#include "reader.h"

#define WI_BLOCK_ITEMS 64

typedef struct wi_source wi_source;

typedef struct wi_source_options {
    const char *input; /* a path, "-", or NULL: none */
    wi_format format;
    size_t max_row;
    uint64_t choices;
    wi_budget *budget;       /* charged with what is read ahead; NULL: none */
    void (*poke)(void *arg); /* any thread: blocks have come, or the end */
    void *poke_arg;
} wi_source_options;

/* Items first_index + k of a batch: row (first_index + k) / choices, choice the rest. */
typedef struct wi_block {
    uint64_t number; /* of its first item */
    uint32_t count;
    uint64_t first_index;
    uint64_t choices;
    wi_batch *batch; /* a reference that is the taker's; NULL without input */
} wi_block;

typedef enum wi_source_turn {
    WI_SOURCE_BLOCK,
    WI_SOURCE_LATER, /* nothing now: poke says when */
    WI_SOURCE_END,
} wi_source_turn;

typedef struct wi_source_numbers {
    int64_t total;    /* items in all; -1: not known (yet) */
    int64_t estimate; /* as far as the size of the input tells; -1: it does not */
    int64_t read;     /* items of the rows read so far, taken or not */
    int64_t taken;
    bool ended;
} wi_source_numbers;

/* Opens the input and reads its first rows, which may block. If the first is faulty and none has a
 * column, its fault is the error. */
weir_status wi_source_new(const wi_source_options *options, wi_source **out, weir_error *err);
void wi_source_free(wi_source *source); /* NULL is fine; joins first */

/* Stops, and returns when its thread can poke nobody any more. */
void wi_source_join(wi_source *source);

/* The schema of the first rows or, if there are none, what the header or the format says of them;
 * NULL without input, or if it says nothing. Borrowed; before the first take only. */
wi_schema *wi_source_schema(const wi_source *source);

/* Begins to read ahead. */
weir_status wi_source_start(wi_source *source, weir_error *err);

/* Ends reading, at once: what was not taken is not taken any more. Any thread, never blocks. */
void wi_source_stop(wi_source *source);

/* Any thread; does not block. */
wi_source_turn wi_source_take(wi_source *source, wi_block *block);

/* The next block, read by the caller's own thread. Instead of start and take; for plans. */
weir_status wi_source_next(wi_source *source, wi_block *block, bool *end, weir_error *err);

/* Why reading ended early, if it did so by itself. After WI_SOURCE_END. */
weir_status wi_source_status(wi_source *source, weir_error *err);

void wi_source_numbers_get(wi_source *source, wi_source_numbers *numbers);

#endif
