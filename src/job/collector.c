/* collector.c: see collector.h. Its invariant: an item is counted when, and only when, it leaves.
 */
#include "collector.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"
#include "thread.h"

struct wi_collector {
    wi_collector_options options;
    pthread_t thread;
    bool started;
    wi_order order;
    int64_t failures;
    bool broken; /* rows cannot be written: items are counted, no more */
    wi_tally tally;
    _Atomic uint64_t next;
    _Atomic int64_t counts[4]; /* by wi_outcome */
    atomic_size_t inside;      /* items put that have not left */

    pthread_mutex_t lock; /* the two below */
    wi_list inbox;
    bool closed;
    pthread_cond_t news;
};

weir_status wi_collector_new(const wi_collector_options *options, wi_collector **out,
                             weir_error *err)
{
    wi_collector *collector = calloc(1, sizeof *collector);
    if (!collector)
        return wi_fail_nomem(err);
    collector->options = *options;
    wi_list_init(&collector->inbox);
    pthread_mutex_init(&collector->lock, NULL);
    pthread_cond_init(&collector->news, NULL);
    *out = collector;
    return WEIR_OK;
}

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
    bool ended = item->outcome == WI_OUTCOME_OK || item->outcome == WI_OUTCOME_FAILED;
    if (!kind->save || !ended || collector->broken)
        return;
    if (kind->save(collector->options.job, item, &err) == WEIR_OK)
        return;
    wi_item_set_failure(item, "not saved", err.text);
    item->outcome = WI_OUTCOME_FAILED;
}

static weir_status write_row(wi_collector *collector, wi_item *item, weir_error *err)
{
    bool apart = item->outcome == WI_OUTCOME_FAILED && collector->options.errors;
    wi_sink *sink = apart ? collector->options.errors : collector->options.rows;
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

static void count_failure(wi_collector *collector, const wi_item *item)
{
    wi_buf what = WI_BUF_INIT;
    collector->options.kind->describe(item, &what);
    wi_tally_add(&collector->tally, item->reason, what.data ? what.data : "", what.len);
    wi_buf_fini(&what);
    if (++collector->failures == collector->options.halt_after)
        collector->options.failed(collector->options.arg);
}

static void take_leave(wi_collector *collector, wi_item *item)
{
    weir_error err;
    save(collector, item);
    bool has_row = item->outcome == WI_OUTCOME_OK || item->outcome == WI_OUTCOME_FAILED;
    if (has_row && !collector->broken && write_row(collector, item, &err) != WEIR_OK)
        break_off(collector, &err);
    if (item->outcome == WI_OUTCOME_FAILED)
        count_failure(collector, item);
    atomic_fetch_add_explicit(&collector->counts[item->outcome], 1, memory_order_relaxed);
    item_free(collector, item);
    atomic_fetch_sub(&collector->inside, 1);
}

static void flush(wi_collector *collector)
{
    weir_error err;
    if (collector->broken)
        return;
    weir_status status = wi_sink_flush(collector->options.rows, &err);
    if (status == WEIR_OK && collector->options.errors)
        status = wi_sink_flush(collector->options.errors, &err);
    if (status != WEIR_OK)
        break_off(collector, &err);
}

static void put_in_order(wi_collector *collector, wi_item *item)
{
    weir_error err;
    if (wi_order_put(&collector->order, item->number, item))
        return;
    wi_fail_nomem(&err);
    break_off(collector, &err);
    take_leave(collector, item);
}

static void process(wi_collector *collector, wi_list *items)
{
    wi_list *node;
    while ((node = wi_list_shift(items))) {
        wi_item *item = wi_container_of(node, wi_item, node);
        if (!collector->options.ordered)
            take_leave(collector, item);
        else
            put_in_order(collector, item);
    }
    wi_item *item;
    while ((item = wi_order_take(&collector->order)))
        take_leave(collector, item);
    atomic_store(&collector->next, collector->order.next);
    flush(collector);
    if (wi_budget_relieved(collector->options.budget))
        collector->options.relieved(collector->options.arg);
}

static bool wait_for_items(wi_collector *collector, wi_list *items)
{
    pthread_mutex_lock(&collector->lock);
    while (wi_list_empty(&collector->inbox) && !collector->closed)
        pthread_cond_wait(&collector->news, &collector->lock);
    wi_list_splice(items, &collector->inbox);
    pthread_mutex_unlock(&collector->lock);
    return !wi_list_empty(items);
}

static void *collect(void *arg)
{
    wi_collector *collector = arg;
    wi_list items;
    wi_list_init(&items);
    while (wait_for_items(collector, &items))
        process(collector, &items);
    /* After a fault numbers may be missing: what came is still counted. */
    wi_item *item;
    while ((item = wi_order_take_any(&collector->order)))
        take_leave(collector, item);
    flush(collector);
    wi_tally_sort(&collector->tally);
    collector->options.ended(collector->options.arg);
    return NULL;
}

weir_status wi_collector_start(wi_collector *collector, weir_error *err)
{
    weir_status status =
        wi_thread_start(&collector->thread, "weir-collector", collect, collector, err);
    collector->started = status == WEIR_OK;
    return status;
}

void wi_collector_put(wi_collector *collector, wi_list *items, size_t n)
{
    atomic_fetch_add(&collector->inside, n);
    pthread_mutex_lock(&collector->lock);
    bool was_empty = wi_list_empty(&collector->inbox);
    wi_list_splice(&collector->inbox, items);
    if (was_empty)
        pthread_cond_signal(&collector->news);
    pthread_mutex_unlock(&collector->lock);
}

bool wi_collector_is_idle(wi_collector *collector)
{
    return atomic_load(&collector->inside) == 0;
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
        item_free(collector, wi_container_of(node, wi_item, node));
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
}

wi_tally *wi_collector_tally(wi_collector *collector)
{
    return &collector->tally;
}
