/* collector.c: see collector.h. Its invariant: an item is counted when, and only when, it leaves,
 * by itself or in its portion. */
#include "collector.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "order.h"
#include "portion.h"
#include "thread.h"

/* What there is to do with what arrives: items, or portions. */
typedef struct arrivals {
    uint64_t (*number)(const wi_list *node);
    bool (*is_last)(const wi_list *node); /* of its number; NULL: always */
    void (*leave)(wi_collector *collector, wi_list *node);
    void (*drop)(wi_collector *collector, wi_list *node);
} arrivals;

struct wi_collector {
    wi_collector_options options;
    const arrivals *arrivals;
    pthread_t thread;
    bool started;
    wi_order order;
    int64_t failures;
    bool broken; /* rows cannot be written: items are counted, no more */
    wi_tally tally;
    _Atomic uint64_t next;
    _Atomic int64_t counts[WI_OUTCOMES];
    atomic_size_t inside; /* of what was put, that which has not left */
    atomic_size_t unseen; /* ..., that which was not looked at */
    int64_t rows;         /* written of portions, if there is a limit */

    bool is_open; /* a piece of work whose last portion has not come */
    bool torn;    /* the sinks hold rows of what is not done */
    uint64_t open_number;
    wi_list aside; /* portions that wait until it has */

    pthread_mutex_t lock; /* the two below */
    wi_list inbox;
    bool closed;
    pthread_cond_t news;
};

/* ---- items ---- */

static void item_free(wi_collector *collector, wi_item *item)
{
    collector->options.kind->release(item);
    wi_budget_give(collector->options.budget, item->charged);
    wi_batch_unref(item->batch);
    free(item->error);
    free(item);
}

static void break_off(wi_collector *collector, const weir_error *err)
{
    if (collector->broken)
        return;
    collector->broken = true;
    collector->options.fault(collector->options.arg, err);
}

static void save(wi_collector *collector, wi_item *item)
{
    weir_error err;
    const wi_kind *kind = collector->options.kind;
    if (!kind->save)
        return;
    if (kind->save(collector->options.job, item, &err) == WEIR_OK)
        return;
    wi_item_set_failure(item, "not saved", err.text);
    item->outcome = WI_OUTCOME_FAILED;
}

static wi_sink *rows_of(const wi_collector *collector)
{
    return wi_outputs_sink(collector->options.outputs, WI_OUTPUTS_ROWS);
}

static wi_sink *errors_of(const wi_collector *collector)
{
    return wi_outputs_sink(collector->options.outputs, WI_OUTPUTS_ERRORS);
}

static weir_status write_row(wi_collector *collector, wi_item *item, weir_error *err)
{
    bool apart = item->outcome == WI_OUTCOME_FAILED && errors_of(collector);
    wi_sink *sink = apart ? errors_of(collector) : rows_of(collector);
    wi_schema *input = item->batch ? wi_batch_schema(item->batch) : NULL;
    const wi_kind *kind = collector->options.kind;
    wi_batch *batch;
    size_t first;
    weir_status status = WEIR_OK;
    if (kind->pass)
        status = kind->pass(collector->options.job, item, err);
    if (status == WEIR_OK)
        status = wi_sink_begin_row(sink, input, &batch, &first, err);
    if (status != WEIR_OK)
        return status;
    size_t known = input ? wi_schema_columns(input) : 0;
    for (size_t i = 0; i < first && i < known; i++) {
        wi_cell cell = wi_batch_cell(item->batch, item->row, i);
        if (cell.kind != WI_ABSENT)
            wi_batch_put_cell(batch, i, &cell);
    }
    kind->emit(collector->options.job, item, batch, first);
    return wi_sink_end_row(sink, err);
}

/* The same, and notes that the item is done; of one that failed also where its row is. */
static weir_status write_row_for_good(wi_collector *collector, wi_item *item, weir_error *err)
{
    wi_outputs *outputs = collector->options.outputs;
    bool failed = item->outcome == WI_OUTCOME_FAILED;
    int64_t from[WI_OUTPUTS_LEN], to[WI_OUTPUTS_LEN];
    wi_extent extents[WI_OUTPUTS_LEN];
    weir_status status = failed ? wi_outputs_positions(outputs, from, err) : WEIR_OK;
    if (status == WEIR_OK)
        status = write_row(collector, item, err);
    if (status == WEIR_OK && failed)
        status = wi_outputs_positions(outputs, to, err);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; failed && i < WI_OUTPUTS_LEN; i++)
        extents[i] = (wi_extent){from[i], to[i] - from[i]};
    return wi_outputs_done(outputs, &item->key, failed ? extents : NULL, err);
}

static void count_failure(wi_collector *collector, const wi_item *item)
{
    wi_buf what = WI_BUF_INIT;
    collector->options.kind->describe(item, &what);
    wi_tally_add(&collector->tally, item->reason, what.data ? what.data : "", what.len);
    wi_buf_fini(&what);
    if (++collector->failures == collector->options.halt_after)
        collector->options.failed(collector->options.arg);
}

static uint64_t item_number(const wi_list *node)
{
    return wi_container_of(node, wi_item, node)->number;
}

static void item_leaves(wi_collector *collector, wi_list *node)
{
    wi_item *item = wi_container_of(node, wi_item, node);
    bool has_row = item->outcome == WI_OUTCOME_OK || item->outcome == WI_OUTCOME_FAILED;
    if (has_row && !collector->broken) {
        weir_error err;
        save(collector, item);
        weir_status status = wi_outputs_has_journal(collector->options.outputs)
                                 ? write_row_for_good(collector, item, &err)
                                 : write_row(collector, item, &err);
        if (status != WEIR_OK)
            break_off(collector, &err);
    }
    if (item->outcome == WI_OUTCOME_FAILED)
        count_failure(collector, item);
    atomic_fetch_add_explicit(&collector->counts[item->outcome], 1, memory_order_relaxed);
    item_free(collector, item);
}

static void item_drops(wi_collector *collector, wi_list *node)
{
    item_free(collector, wi_container_of(node, wi_item, node));
}

static const arrivals items = {.number = item_number, .leave = item_leaves, .drop = item_drops};

/* ---- portions ---- */

static uint64_t portion_number(const wi_list *node)
{
    return wi_container_of(node, wi_portion, node)->number;
}

static bool portion_is_last(const wi_list *node)
{
    return wi_container_of(node, wi_portion, node)->last;
}

static void portion_drops(wi_collector *collector, wi_list *node)
{
    wi_portion *portion = wi_container_of(node, wi_portion, node);
    wi_budget_give(collector->options.budget, portion->charged);
    wi_portion_free(portion);
}

static bool is_limited(const wi_collector *collector)
{
    return collector->options.limit && collector->rows >= collector->options.limit;
}

/* How many bytes of a portion's rows are to be written: up to the row that reaches the limit. */
static size_t wanted(wi_collector *collector, const wi_portion *portion)
{
    if (!collector->options.limit)
        return portion->rows.len;
    int64_t left = collector->options.limit - collector->rows;
    int64_t rows = (int64_t)(portion->row_ends.len / sizeof(size_t));
    if (rows < left) {
        collector->rows += rows;
        return portion->rows.len;
    }
    size_t end;
    memcpy(&end, portion->row_ends.data + (size_t)(left - 1) * sizeof end, sizeof end);
    collector->rows += left;
    return end;
}

/* Tells what is done. A place is that in the sink as far as both are from the end. */
static weir_status tell_done(wi_collector *collector, const wi_portion *portion, weir_error *err)
{
    wi_outputs *outputs = collector->options.outputs;
    const wi_portion_done *done = (const wi_portion_done *)portion->done.data;
    size_t n = portion->done.len / sizeof *done;
    const wi_portion_place end = wi_portion_place_now(portion);
    int64_t at[WI_OUTPUTS_LEN] = {-1};
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < n; i++, done++) {
        if (done->failed && at[0] < 0)
            status = wi_outputs_positions(outputs, at, err);
        const wi_extent extents[WI_OUTPUTS_LEN] = {
            {at[WI_OUTPUTS_ROWS] - (int64_t)(end.rows - done->from.rows),
             (int64_t)(done->to.rows - done->from.rows)},
            {at[WI_OUTPUTS_ERRORS] - (int64_t)(end.failed_rows - done->from.failed_rows),
             (int64_t)(done->to.failed_rows - done->from.failed_rows)},
        };
        if (status == WEIR_OK)
            status = wi_outputs_done(outputs, &done->key, done->failed ? extents : NULL, err);
    }
    return status;
}

static void write_portion(wi_collector *collector, const wi_portion *portion)
{
    const wi_collector_options *o = &collector->options;
    weir_error err;
    weir_status status = WEIR_OK;
    if (collector->broken || is_limited(collector))
        return;
    if (wi_portion_is_damaged(portion))
        status = wi_fail_nomem(&err);
    if (status == WEIR_OK)
        status = wi_sink_write_rendered(rows_of(collector), portion->rows.data,
                                        wanted(collector, portion), &err);
    if (status == WEIR_OK && errors_of(collector))
        status = wi_sink_write_rendered(errors_of(collector), portion->failed_rows.data,
                                        portion->failed_rows.len, &err);
    if (status == WEIR_OK && portion->done.len)
        status = tell_done(collector, portion, &err);
    if (status != WEIR_OK)
        break_off(collector, &err);
    else if (is_limited(collector))
        o->limited(o->arg);
}

static void count_failures(wi_collector *collector, const wi_portion *portion)
{
    const char *at = portion->failures.data;
    for (int64_t i = 0; i < portion->failed && !portion->failures.failed; i++) {
        const char *what = at + strlen(at) + 1;
        size_t len = strlen(what);
        wi_tally_add(&collector->tally, at, what, len);
        at = what + len + 1;
    }
    int64_t halt = collector->options.halt_after, before = collector->failures;
    collector->failures += portion->failed;
    if (halt && before < halt && collector->failures >= halt)
        collector->options.failed(collector->options.arg);
}

static void count(wi_collector *collector, wi_outcome outcome, int64_t n)
{
    atomic_fetch_add_explicit(&collector->counts[outcome], n, memory_order_relaxed);
}

/* Has it come after the limit was reached? Or is it torn, and a journal kept? Such a one is left
 * out unless it is too late: the run that continues this one will have all of it. */
static bool is_in_vain(const wi_collector *collector, const wi_portion *portion)
{
    return is_limited(collector) ||
           (portion->torn && portion->journaled && !collector->is_open && portion->last);
}

static void portion_leaves(wi_collector *collector, wi_list *node)
{
    const wi_portion *portion = wi_container_of(node, wi_portion, node);
    int64_t in_vain = 0;
    if (is_in_vain(collector, portion)) {
        in_vain = portion->ok + portion->failed;
    } else {
        write_portion(collector, portion);
        if (portion->failed)
            count_failures(collector, portion);
        count(collector, WI_OUTCOME_OK, portion->ok);
        count(collector, WI_OUTCOME_FAILED, portion->failed);
        collector->torn |= portion->torn;
    }
    collector->is_open = !portion->last;
    collector->open_number = portion->number;
    count(collector, WI_OUTCOME_OK_BEFORE, portion->ok_before);
    count(collector, WI_OUTCOME_FAILED_BEFORE, portion->failed_before);
    count(collector, WI_OUTCOME_CANCELLED, portion->cancelled + in_vain);
    count(collector, WI_OUTCOME_NOT_STARTED, portion->not_started);
    portion_drops(collector, node);
}

/* What waited for the end. If this is none, but a journal is kept, the run that continues this one
 * has it: only there it may turn out how it is to look. */
static void take_rest(wi_collector *collector)
{
    weir_error err;
    const wi_collector_options *o = &collector->options;
    const wi_blocking *kind = o->kind->blocking;
    if (!kind || !kind->rest || collector->broken)
        return;
    if (wi_outputs_has_journal(o->outputs) && !o->is_whole(o->arg))
        return;
    wi_portion *rest = wi_portion_new(0);
    if (!rest) {
        wi_fail_nomem(&err);
        break_off(collector, &err);
        return;
    }
    rest->last = true;
    rest->journaled = wi_outputs_has_journal(o->outputs);
    if (kind->rest(o->job, rest, &err) != WEIR_OK) {
        break_off(collector, &err);
        wi_portion_free(rest);
    } else {
        portion_leaves(collector, &rest->node);
    }
}

static const arrivals portions = {.number = portion_number,
                                  .is_last = portion_is_last,
                                  .leave = portion_leaves,
                                  .drop = portion_drops};

/* ---- both ---- */

static void take_leave(wi_collector *collector, wi_list *node)
{
    collector->arrivals->leave(collector, node);
    atomic_fetch_sub(&collector->inside, 1);
}

/* Do the sinks hold the rows of what is done, and no others? */
static bool is_at_boundary(const wi_collector *collector)
{
    return !collector->is_open && !collector->torn;
}

static void commit(wi_collector *collector)
{
    weir_error err;
    wi_outputs *outputs = collector->options.outputs;
    if (collector->broken || !wi_outputs_has_journal(outputs) || !is_at_boundary(collector))
        return;
    if (wi_outputs_commit(outputs, &err) != WEIR_OK)
        break_off(collector, &err);
}

/* In how many ns from now a commit is due; WI_FOREVER: not before something else comes. */
static int64_t commit_due(const wi_collector *collector)
{
    const wi_outputs *outputs = collector->options.outputs;
    if (collector->broken || !wi_outputs_has_journal(outputs) || !is_at_boundary(collector))
        return WI_FOREVER;
    return wi_outputs_due(outputs, wi_clock_now(wi_clock_real()));
}

static void flush(wi_collector *collector)
{
    weir_error err;
    if (collector->broken)
        return;
    if (wi_outputs_flush(collector->options.outputs, &err) != WEIR_OK)
        break_off(collector, &err);
}

/* Where order is kept, a portion that others of its number follow is itself due. */
static void put_in_order(wi_collector *collector, wi_list *node)
{
    const arrivals *kind = collector->arrivals;
    weir_error err;
    if (kind->is_last && !kind->is_last(node)) {
        take_leave(collector, node);
        return;
    }
    if (wi_order_put(&collector->order, kind->number(node), node))
        return;
    wi_fail_nomem(&err);
    break_off(collector, &err);
    take_leave(collector, node);
}

/* Where order is not kept: rows of one piece stand together, so that there can be a commit after
 * them. Without a journal they need not. */
static void put_together(wi_collector *collector, wi_list *node)
{
    if (collector->is_open && wi_outputs_has_journal(collector->options.outputs) &&
        collector->arrivals->number(node) != collector->open_number) {
        wi_list_append(&collector->aside, node);
        return;
    }
    take_leave(collector, node);
    while (!collector->is_open && (node = wi_list_shift(&collector->aside)))
        take_leave(collector, node);
}

static void process(wi_collector *collector, wi_list *things)
{
    wi_list *node;
    size_t seen = 0;
    for (; (node = wi_list_shift(things)); seen++) {
        if (!collector->options.ordered)
            put_together(collector, node);
        else
            put_in_order(collector, node);
    }
    while ((node = wi_order_take(&collector->order)))
        take_leave(collector, node);
    atomic_store(&collector->next, collector->order.next);
    flush(collector);
    if (commit_due(collector) == 0)
        commit(collector);
    atomic_fetch_sub(&collector->unseen, seen);
    if (wi_budget_relieved(collector->options.budget))
        collector->options.relieved(collector->options.arg);
}

static bool has_news(const wi_collector *collector)
{
    return !wi_list_empty(&collector->inbox) || collector->closed;
}

/* Until there is something, or a commit is due. False: nothing comes any more. */
static bool wait_for_things(wi_collector *collector, wi_list *things)
{
    int64_t due = commit_due(collector);
    int64_t until = due == WI_FOREVER ? due : wi_clock_now(wi_clock_real()) + due;
    struct timespec at = {until / WI_SECOND, until % WI_SECOND};
    int waited = 0;
    pthread_mutex_lock(&collector->lock);
    while (!has_news(collector) && waited == 0)
        waited = until == WI_FOREVER
                     ? pthread_cond_wait(&collector->news, &collector->lock)
                     : pthread_cond_timedwait(&collector->news, &collector->lock, &at);
    wi_list_splice(things, &collector->inbox);
    bool over = collector->closed && wi_list_empty(things);
    pthread_mutex_unlock(&collector->lock);
    return !over;
}

static void *collect(void *arg)
{
    wi_collector *collector = arg;
    wi_list things;
    wi_list_init(&things);
    while (wait_for_things(collector, &things))
        process(collector, &things);
    /* After a fault numbers may be missing: what came is still counted. */
    wi_list *node;
    while ((node = wi_order_take_any(&collector->order)) ||
           (node = wi_list_shift(&collector->aside)))
        take_leave(collector, node);
    take_rest(collector);
    flush(collector);
    commit(collector);
    wi_tally_sort(&collector->tally);
    collector->options.ended(collector->options.arg);
    return NULL;
}

/* ---- life ---- */

weir_status wi_collector_new(const wi_collector_options *options, wi_collector **out,
                             weir_error *err)
{
    wi_collector *collector = calloc(1, sizeof *collector);
    if (!collector)
        return wi_fail_nomem(err);
    collector->options = *options;
    collector->arrivals = options->kind->blocking ? &portions : &items;
    wi_list_init(&collector->inbox);
    wi_list_init(&collector->aside);
    pthread_mutex_init(&collector->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&collector->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = collector;
    return WEIR_OK;
}

weir_status wi_collector_start(wi_collector *collector, weir_error *err)
{
    weir_status status =
        wi_thread_start(&collector->thread, "weir-collector", collect, collector, err);
    collector->started = status == WEIR_OK;
    return status;
}

void wi_collector_put(wi_collector *collector, wi_list *things, size_t n)
{
    atomic_fetch_add(&collector->inside, n);
    atomic_fetch_add(&collector->unseen, n);
    pthread_mutex_lock(&collector->lock);
    bool was_empty = wi_list_empty(&collector->inbox);
    wi_list_splice(&collector->inbox, things);
    if (was_empty)
        pthread_cond_signal(&collector->news);
    pthread_mutex_unlock(&collector->lock);
}

bool wi_collector_is_idle(wi_collector *collector)
{
    return atomic_load(&collector->inside) == 0;
}

bool wi_collector_has_caught_up(wi_collector *collector)
{
    return atomic_load(&collector->unseen) == 0;
}

uint64_t wi_collector_next(wi_collector *collector)
{
    return atomic_load(&collector->next);
}

void wi_collector_close(wi_collector *collector)
{
    pthread_mutex_lock(&collector->lock);
    collector->closed = true;
    pthread_cond_signal(&collector->news);
    pthread_mutex_unlock(&collector->lock);
}

void wi_collector_free(wi_collector *collector)
{
    if (!collector)
        return;
    if (collector->started) {
        wi_collector_close(collector);
        pthread_join(collector->thread, NULL);
    }
    wi_list *node;
    while ((node = wi_list_shift(&collector->inbox)))
        collector->arrivals->drop(collector, node);
    wi_order_fini(&collector->order);
    pthread_cond_destroy(&collector->news);
    pthread_mutex_destroy(&collector->lock);
    free(collector);
}

void wi_collector_numbers_get(wi_collector *collector, wi_collector_numbers *numbers)
{
    numbers->ok = atomic_load(&collector->counts[WI_OUTCOME_OK]);
    numbers->failed = atomic_load(&collector->counts[WI_OUTCOME_FAILED]);
    numbers->cancelled = atomic_load(&collector->counts[WI_OUTCOME_CANCELLED]);
    numbers->not_started = atomic_load(&collector->counts[WI_OUTCOME_NOT_STARTED]);
    numbers->ok_before = atomic_load(&collector->counts[WI_OUTCOME_OK_BEFORE]);
    numbers->failed_before = atomic_load(&collector->counts[WI_OUTCOME_FAILED_BEFORE]);
}

wi_outputs *wi_collector_outputs(const wi_collector *collector)
{
    return collector->options.outputs;
}

wi_tally *wi_collector_tally(wi_collector *collector)
{
    return &collector->tally;
}
