/*
 * source.c: see source.h. Its invariant: numbers are given out without gaps, under the lock, in the
 * order of the input; at most READ_AHEAD batches wait to be taken, and the budget is charged with
 * them until they are taken whole.
 */
#include "source.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "thread.h"

enum {
    READ_AHEAD = 16,
    ROWS_PER_BATCH = 128,
    CHUNK = 64 << 10,
    AHEAD_SHARE = 8, /* of the budget: one part in so many */
};
#define MOST_CHOICES ((uint64_t)1 << 32) /* of each row, so that no count can overflow */

struct wi_source {
    wi_source_options options;
    wi_input *input;
    wi_reader *reader;
    char *chunk;
    wi_batch *first;
    bool fed_end; /* the reader knows that the input has ended */
    bool started;
    pthread_t thread;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t room;
    wi_batch *ahead[READ_AHEAD];
    size_t ahead_first;
    size_t ahead_len;
    int64_t ahead_bytes;
    uint64_t index;  /* in the items of the batch at the front, or of all choices */
    uint64_t number; /* of the next item */
    int64_t rows_read;
    bool hungry; /* a taker went away empty-handed */
    bool ended;
    bool whole; /* because there was no more, not because it was stopped */
    bool stopped;
    weir_error failure;
    weir_status status;
};

/* ---- reading ---- */

/* The next rows, or *out NULL at the end. Blocks. */
static weir_status read_batch(wi_source *source, wi_batch **out, weir_error *err)
{
    for (;;) {
        wi_batch *batch = NULL;
        weir_status status = wi_reader_next(source->reader, ROWS_PER_BATCH, &batch, err);
        if (status != WEIR_OK || batch || source->fed_end) {
            *out = batch;
            return status;
        }
        size_t n = 0;
        status = wi_input_read(source->input, source->chunk, CHUNK, &n, err);
        if (status == WEIR_OK)
            status = wi_reader_feed(source->reader, source->chunk, n, err);
        if (status != WEIR_OK)
            return status;
        source->fed_end = n == 0;
    }
}

static void charge(wi_source *source, int64_t bytes)
{
    source->ahead_bytes += bytes;
    if (source->options.budget)
        wi_budget_take(source->options.budget, bytes);
}

/* What waits for room is waited for by nobody who could make it: lanes take what is there, however
 * short memory is, as soon as they have nothing else. */
static bool has_room(const wi_source *source, int64_t bytes)
{
    const wi_budget *budget = source->options.budget;
    if (source->ahead_len == 0)
        return true;
    return source->ahead_len < READ_AHEAD &&
           (!budget || source->ahead_bytes + bytes <= budget->limit / AHEAD_SHARE);
}

static bool put_ahead(wi_source *source, wi_batch *batch)
{
    int64_t bytes = (int64_t)wi_batch_bytes(batch);
    pthread_mutex_lock(&source->lock);
    while (!has_room(source, bytes) && !source->stopped)
        pthread_cond_wait(&source->room, &source->lock);
    bool stopped = source->stopped;
    bool poke = source->hungry && !stopped;
    if (!stopped) {
        source->ahead[(source->ahead_first + source->ahead_len++) % READ_AHEAD] = batch;
        charge(source, bytes);
        source->rows_read += (int64_t)wi_batch_rows(batch);
        source->hungry = false;
    }
    pthread_mutex_unlock(&source->lock);
    if (stopped)
        wi_batch_unref(batch);
    if (poke)
        source->options.poke(source->options.poke_arg);
    return !stopped;
}

static void end(wi_source *source, weir_status status, const weir_error *err)
{
    pthread_mutex_lock(&source->lock);
    source->ended = true;
    source->whole = status == WEIR_OK && !source->stopped;
    if (status != WEIR_OK && !source->stopped) {
        source->status = status;
        source->failure = *err;
    }
    pthread_mutex_unlock(&source->lock);
    source->options.poke(source->options.poke_arg);
}

static void *read_ahead(void *arg)
{
    wi_source *source = arg;
    weir_error err;
    weir_status status = WEIR_OK;
    wi_batch *batch = source->first;
    source->first = NULL;
    while (status == WEIR_OK && batch && put_ahead(source, batch)) {
        batch = NULL;
        status = read_batch(source, &batch, &err);
    }
    end(source, status, &err);
    return NULL;
}

/* ---- life ---- */

/* An input that begins with a faulty row and has no column at all is not what it was taken for. */
static weir_status check_first(const wi_batch *first, weir_error *err)
{
    if (!first || wi_schema_columns(wi_batch_schema(first)) || !wi_batch_rows(first) ||
        !wi_batch_fault(first, 0))
        return WEIR_OK;
    return wi_fail(err, WEIR_INVALID, "%s", wi_batch_fault(first, 0));
}

weir_status wi_source_new(const wi_source_options *options, wi_source **out, weir_error *err)
{
    wi_source *source = calloc(1, sizeof *source);
    if (!source)
        return wi_fail_nomem(err);
    source->options = *options;
    pthread_mutex_init(&source->lock, NULL);
    pthread_cond_init(&source->room, NULL);
    weir_status status = WEIR_OK;
    if (options->input && options->choices > MOST_CHOICES)
        status = wi_fail(err, WEIR_INVALID, "more than 2^32 combinations for each input row");
    if (status == WEIR_OK && options->input) {
        source->chunk = malloc(CHUNK);
        status =
            source->chunk ? wi_input_open(options->input, &source->input, err) : wi_fail_nomem(err);
        if (status == WEIR_OK)
            status = wi_reader_new(options->format, wi_input_name(source->input), options->max_row,
                                   &source->reader, err);
        if (status == WEIR_OK)
            status = read_batch(source, &source->first, err);
        if (status == WEIR_OK)
            status = check_first(source->first, err);
    }
    if (status != WEIR_OK) {
        wi_source_free(source);
        return status;
    }
    *out = source;
    return WEIR_OK;
}

void wi_source_join(wi_source *source)
{
    wi_source_stop(source);
    if (source->started)
        pthread_join(source->thread, NULL);
    source->started = false;
}

void wi_source_free(wi_source *source)
{
    if (!source)
        return;
    wi_source_join(source);
    wi_batch_unref(source->first);
    wi_reader_free(source->reader);
    wi_input_close(source->input);
    free(source->chunk);
    pthread_cond_destroy(&source->room);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

wi_schema *wi_source_schema(const wi_source *source)
{
    wi_schema *schema = source->first    ? wi_batch_schema(source->first)
                        : source->reader ? wi_reader_schema(source->reader)
                                         : NULL;
    bool empty = !source->first && schema && !wi_schema_columns(schema); /* not a line of NDJSON */
    return empty ? NULL : schema;
}

weir_status wi_source_start(wi_source *source, weir_error *err)
{
    if (!source->input)
        return WEIR_OK;
    weir_status status = wi_thread_start(&source->thread, "weir-input", read_ahead, source, err);
    source->started = status == WEIR_OK;
    return status;
}

/* Takes the batch at the front away. */
static wi_batch *shift(wi_source *source)
{
    wi_batch *batch = source->ahead[source->ahead_first];
    source->ahead_first = (source->ahead_first + 1) % READ_AHEAD;
    source->ahead_len--;
    charge(source, -(int64_t)wi_batch_bytes(batch));
    pthread_cond_signal(&source->room);
    return batch;
}

void wi_source_stop(wi_source *source)
{
    pthread_mutex_lock(&source->lock);
    source->stopped = true;
    while (source->ahead_len)
        wi_batch_unref(shift(source));
    pthread_cond_signal(&source->room);
    pthread_mutex_unlock(&source->lock);
    if (source->input)
        wi_input_interrupt(source->input);
}

/* ---- taking ---- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A block of the items of one batch, or of the choices alone, from source->index on. */
static void cut_block(wi_source *source, uint64_t items, wi_block *block)
{
    block->number = source->number;
    block->count = (uint32_t)smaller(items - source->index, WI_BLOCK_ITEMS);
    block->first_index = source->index;
    block->choices = source->options.choices;
    source->index += block->count;
    source->number += block->count;
}

static bool cut_from_front(wi_source *source, wi_block *block)
{
    if (!source->ahead_len)
        return false;
    wi_batch *batch = source->ahead[source->ahead_first];
    uint64_t items = wi_batch_rows(batch) * source->options.choices;
    cut_block(source, items, block);
    if (source->index < items) {
        block->batch = wi_batch_ref(batch);
        return true;
    }
    block->batch = shift(source);
    source->index = 0;
    return true;
}

wi_source_turn wi_source_take(wi_source *source, wi_block *block)
{
    wi_source_turn turn = WI_SOURCE_BLOCK;
    *block = (wi_block){0};
    pthread_mutex_lock(&source->lock);
    if (source->stopped) {
        turn = WI_SOURCE_END;
    } else if (!source->input) {
        if (source->index < source->options.choices)
            cut_block(source, source->options.choices, block);
        else
            turn = WI_SOURCE_END;
    } else if (!cut_from_front(source, block)) {
        turn = source->ended ? WI_SOURCE_END : WI_SOURCE_LATER;
        source->hungry = turn == WI_SOURCE_LATER;
    }
    pthread_mutex_unlock(&source->lock);
    return turn;
}

weir_status wi_source_next(wi_source *source, wi_block *block, bool *is_end, weir_error *err)
{
    if (source->input && !source->ahead_len) {
        wi_batch *batch = source->first;
        source->first = NULL;
        weir_status status = batch ? WEIR_OK : read_batch(source, &batch, err);
        if (status != WEIR_OK)
            return status;
        if (batch)
            put_ahead(source, batch);
        else
            source->ended = source->whole = true;
    }
    *is_end = wi_source_take(source, block) != WI_SOURCE_BLOCK;
    return WEIR_OK;
}

weir_status wi_source_status(wi_source *source, weir_error *err)
{
    pthread_mutex_lock(&source->lock);
    weir_status status = source->status;
    if (status != WEIR_OK && err)
        *err = source->failure;
    pthread_mutex_unlock(&source->lock);
    return status;
}

void wi_source_numbers_get(wi_source *source, wi_source_numbers *numbers)
{
    pthread_mutex_lock(&source->lock);
    int64_t choices = (int64_t)source->options.choices;
    int64_t rows = source->rows_read;
    numbers->taken = (int64_t)source->number;
    numbers->ended = source->whole || !source->input;
    pthread_mutex_unlock(&source->lock);
    if (!source->input) {
        numbers->total = numbers->read = numbers->estimate = choices;
        return;
    }
    numbers->read = rows * choices;
    numbers->total = numbers->ended ? numbers->read : -1;
    int64_t size = wi_input_size(source->input);
    int64_t position = wi_input_position(source->input);
    numbers->estimate = numbers->ended ? numbers->read : -1;
    if (!numbers->ended && size > 0 && position > 0)
        numbers->estimate = (int64_t)((double)numbers->read * (double)size / (double)position);
}
