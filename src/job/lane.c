/*
 * lane.c: see lane.h. Its invariants: every item it took is in exactly one list (ready at its
 * origin, running, waiting, or the outbox) or with the collector; and what an item entered at the
 * gate it leaves exactly once.
 */
#include "lane.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "item_key.h"
#include "random.h"
#include "ready.h"
#include "thread.h"

enum {
    READY_WANTED = 32,     /* prepared items to have at hand */
    READY_AHEAD = 1024,    /* looked at to find out whether there is another origin, */
    READY_ACROSS = 16384,  /* and to find one for an origin that is not held back */
    OUTBOX_ITEMS = 256,    /* handed to the collector together, */
    OUTBOX_BYTES = 1 << 20 /* or so many bytes, */
};
#define OUTBOX_DELAY (5 * WI_MILLISECOND) /* or so long after the first */

struct wi_lane {
    wi_lane_shared shared;
    int index;
    pthread_t thread;
    bool started;
    wi_loop *loop;
    void *state; /* the kind's */
    wi_random random;
    wi_ready ready;
    wi_list running;
    wi_list waiting;
    size_t paused_len;
    bool source_ended;
    bool finished;
    int stopped_at; /* the value of *stopping that was acted upon */
    wi_list outbox;
    size_t outbox_len;
    int64_t outbox_bytes;
    wi_timer outbox_timer;
    wi_timer deadline;
    wi_timer again; /* when the gate said to ask again */
    wi_defer pump;
    wi_post poke;
    wi_buf origin_name;
    wi_item_keys keys;
    wi_lane_numbers numbers;
    wi_histogram durations;
};

static void add(_Atomic int64_t *number, int64_t delta)
{
    /* One writer: no read-modify-write needed. */
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + delta,
                          memory_order_relaxed);
}

static void pump_later(wi_lane *lane)
{
    wi_defer_set(lane->loop, &lane->pump);
}

/* ---- done ---- */

static void hand_over(wi_lane *lane)
{
    wi_timer_clear(&lane->outbox_timer);
    if (!lane->outbox_len)
        return;
    wi_collector_put(lane->shared.collector, &lane->outbox, lane->outbox_len);
    lane->outbox_len = 0;
    lane->outbox_bytes = 0;
}

static void on_outbox_timer(wi_timer *timer)
{
    hand_over(wi_container_of(timer, wi_lane, outbox_timer));
}

static void item_done(wi_lane *lane, wi_item *item, wi_outcome outcome)
{
    item->state = WI_ITEM_DONE;
    item->outcome = outcome;
    wi_timer_fini(&item->timer);
    wi_list_remove(&item->node);
    wi_list_append(&lane->outbox, &item->node);
    if (lane->outbox_len++ == 0)
        wi_timer_set(&lane->outbox_timer, wi_loop_now(lane->loop) + OUTBOX_DELAY);
    lane->outbox_bytes += item->charged;
    if (lane->outbox_len >= OUTBOX_ITEMS || lane->outbox_bytes >= OUTBOX_BYTES ||
        wi_budget_is_pressed(lane->shared.budget))
        hand_over(lane);
}

/* ---- taking ---- */

static void on_item_timer(wi_timer *timer)
{
    wi_item *item = wi_container_of(timer, wi_item, timer);
    wi_lane *lane = item->lane;
    wi_list_remove(&item->node);
    add(&lane->numbers.waiting, -1);
    wi_ready_put(&lane->ready, item);
    pump_later(lane);
}

/* The row has a value in a column that a CSV header, written long ago, lacks. */
static bool has_new_column(const wi_lane *lane, const wi_item *item, weir_error *err)
{
    wi_schema *fixed = lane->shared.fixed_schema;
    wi_schema *schema = item->batch ? wi_batch_schema(item->batch) : NULL;
    if (!fixed || !schema || fixed == schema)
        return false;
    for (size_t i = wi_schema_columns(fixed); i < wi_schema_columns(schema); i++) {
        wi_cell_kind kind = wi_batch_cell(item->batch, item->row, i).kind;
        if (kind == WI_ABSENT || kind == WI_NULL)
            continue;
        wi_name name = wi_schema_name(schema, i);
        wi_fail(err, WEIR_INVALID,
                "line %lld: the column \"%.*s\" is not among those of the first rows, so CSV "
                "output has no place for it; use NDJSON",
                (long long)wi_batch_line(item->batch, item->row), (int)name.len, name.bytes);
        return true;
    }
    return false;
}

/* Was it done by the run that this one continues? False: no memory; then the run ends, since a row
 * without its key would be there again in the next. */
static bool claim(wi_lane *lane, wi_item *item, weir_status prepared, const char *reason,
                  wi_committed_as *before)
{
    *before = WI_COMMITTED_NOT;
    if (!wi_outputs_has_journal(lane->shared.outputs))
        return true;
    const wi_buf *asks = NULL;
    if (prepared != WEIR_NOMEM)
        asks = wi_item_keys_text(&lane->keys, lane->shared.kind, lane->shared.job, item,
                                 prepared == WEIR_OK ? NULL : reason);
    if (!asks) {
        weir_error err;
        wi_fail_nomem(&err);
        lane->shared.fault(lane->shared.arg, &err);
        return false;
    }
    *before = wi_outputs_claim(lane->shared.outputs, asks->data, asks->len, &item->key);
    return true;
}

static void prepare(wi_lane *lane, wi_item *item)
{
    weir_error err;
    weir_status status = WEIR_OK;
    const char *fault = item->batch ? wi_batch_fault(item->batch, item->row) : NULL;
    const char *reason = "bad input row";
    wi_buf_clear(&lane->origin_name);
    if (fault) {
        status = wi_fail(&err, WEIR_INVALID, "%s", fault);
    } else if (has_new_column(lane, item, &err)) {
        status = WEIR_INVALID;
    } else {
        status = lane->shared.kind->prepare(lane->shared.job, lane->state, item, &lane->origin_name,
                                            &err);
        reason = "could not be prepared";
    }
    if (status == WEIR_OK) {
        item->origin =
            wi_gate_origin(lane->shared.gate, lane->origin_name.data, lane->origin_name.len);
        if (!item->origin || !wi_ready_reserve(&lane->ready, item->origin))
            status = wi_fail_nomem(&err);
    }
    wi_committed_as before;
    if (!claim(lane, item, status, reason, &before)) {
        item_done(lane, item, WI_OUTCOME_NOT_STARTED);
    } else if (before == WI_COMMITTED_OK) {
        item_done(lane, item, WI_OUTCOME_OK_BEFORE);
    } else if (before == WI_COMMITTED_FAILED) {
        item_done(lane, item, WI_OUTCOME_FAILED_BEFORE);
    } else if (status == WEIR_OK) {
        wi_ready_put(&lane->ready, item);
    } else {
        wi_item_set_failure(item, status == WEIR_NOMEM ? "out of memory" : reason, err.text);
        item_done(lane, item, WI_OUTCOME_FAILED);
    }
}

static void take_block(wi_lane *lane, wi_block *block)
{
    int64_t charge = (int64_t)lane->shared.kind->item_size;
    if (block->batch)
        charge += (int64_t)(wi_batch_bytes(block->batch) /
                            (wi_batch_rows(block->batch) * block->choices));
    for (uint32_t i = 0; i < block->count; i++) {
        wi_item *item = calloc(1, lane->shared.kind->item_size);
        if (!item || !wi_timer_init(&item->timer, lane->loop, on_item_timer)) {
            free(item);
            weir_error err;
            wi_fail_nomem(&err);
            lane->shared.fault(lane->shared.arg, &err);
            break;
        }
        wi_list_init(&item->node);
        item->lane = lane;
        item->number = block->number + i;
        item->batch = block->batch ? wi_batch_ref(block->batch) : NULL;
        item->row = (size_t)((block->first_index + i) / block->choices);
        item->choice = (block->first_index + i) % block->choices;
        item->charged = charge;
        wi_budget_take(lane->shared.budget, charge);
        prepare(lane, item);
    }
    wi_batch_unref(block->batch);
}

static bool has_nothing(const wi_lane *lane)
{
    return !lane->ready.len && !lane->outbox_len && wi_list_empty(&lane->running) &&
           wi_list_empty(&lane->waiting);
}

/* Takes a block if one is wanted and there is memory; false: not, or none there. */
static bool take_more(wi_lane *lane, bool all_held)
{
    if (lane->source_ended)
        return false;
    size_t across = wi_gate_origins(lane->shared.gate) > 1 ? READY_ACROSS : READY_AHEAD;
    if (lane->ready.len >= (all_held ? across : READY_WANTED))
        return false;
    if (wi_budget_is_tight(lane->shared.budget) && !has_nothing(lane))
        return false;
    wi_block block;
    switch (wi_source_take(lane->shared.source, &block)) {
    case WI_SOURCE_BLOCK:
        take_block(lane, &block);
        return true;
    case WI_SOURCE_END:
        lane->source_ended = true;
        return false;
    case WI_SOURCE_LATER:
        break;
    }
    return false;
}

/* ---- starting ---- */

/*
 * The item whose row is due next goes on even when memory is short, or nothing ever would. Where no
 * order is kept that is the lane's oldest, and only once all rows are written: as long as some are
 * not, memory will be given back by that.
 */
static bool is_awaited(const wi_lane *lane, const wi_item *item)
{
    if (lane->shared.ordered)
        return item->number == wi_collector_next(lane->shared.collector);
    if (lane->outbox_len || !wi_collector_is_idle(lane->shared.collector))
        return false;
    return wi_list_empty(&lane->running) || lane->running.next == &item->node;
}

static void start(wi_lane *lane, wi_item *item)
{
    wi_ready_remove(&lane->ready, item);
    wi_list_append(&lane->running, &item->node);
    item->state = WI_ITEM_RUNNING;
    item->paused = false;
    if (item->attempts++ == 0) {
        pthread_mutex_lock(lane->shared.retry_lock);
        wi_retry_budget_deposit(lane->shared.retry_budget);
        pthread_mutex_unlock(lane->shared.retry_lock);
    } else {
        add(&lane->numbers.retries, 1);
    }
    lane->shared.kind->start(lane->state, item);
}

/* Asked to stop, but not yet stopped; a poke is on its way. */
static bool is_stopping(const wi_lane *lane)
{
    return atomic_load_explicit(lane->shared.stopping, memory_order_relaxed) > lane->stopped_at;
}

/* Its origin is gone. */
static void fail_unasked(wi_lane *lane, wi_item *item)
{
    char why[400];
    char error[448];
    wi_gate_describe(lane->shared.gate, item->origin, why, sizeof why);
    snprintf(error, sizeof error, "the server is gone: %s", why);
    wi_item_set_failure(item, "the server is gone", error);
    wi_ready_remove(&lane->ready, item);
    item_done(lane, item, WI_OUTCOME_FAILED);
}

/* Starts what the gate lets through from one queue, at most so many; *again: when to come back. */
static size_t start_from(wi_lane *lane, wi_ready_queue *queue, size_t most, int64_t *again)
{
    size_t started = 0;
    int64_t now = wi_loop_now(lane->loop);
    wi_item *item;
    while (started < most && (item = wi_ready_first(queue)) && !is_stopping(lane)) {
        bool tight = wi_budget_is_tight(lane->shared.budget);
        if (tight && !is_awaited(lane, item))
            break;
        int64_t when = WI_FOREVER;
        wi_entry entry =
            wi_gate_enter(lane->shared.gate, queue->origin, lane->index, tight, now, &when);
        if (entry == WI_ENTRY_LATER) {
            if (when < *again)
                *again = when;
            break;
        }
        if (entry == WI_ENTRY_IN)
            start(lane, item);
        else
            fail_unasked(lane, item);
        started++;
    }
    return started;
}

/* One round over the origins that have ready items. */
static size_t start_round(wi_lane *lane, size_t most, int64_t *again)
{
    size_t started = 0;
    wi_list round;
    wi_list_init(&round);
    wi_list_splice(&round, &lane->ready.queues);
    wi_list *node;
    while ((node = wi_list_shift(&round))) {
        wi_list_append(&lane->ready.queues, node);
        started += start_from(lane, wi_container_of(node, wi_ready_queue, node), most, again);
    }
    return started;
}

/* One item of each origin first, so that the gate knows of all before the first has taken its
 * share. */
static size_t start_ready(wi_lane *lane, int64_t *again)
{
    const wi_kind *kind = lane->shared.kind;
    int64_t hold = kind->hold && lane->ready.len ? kind->hold(lane->state) : 0;
    if (hold) {
        *again = wi_loop_now(lane->loop) + hold;
        return 0;
    }
    bool several = lane->ready.queues.next != lane->ready.queues.prev;
    size_t started = several ? start_round(lane, 1, again) : 0;
    return started + start_round(lane, SIZE_MAX, again);
}

/* ---- stopping ---- */

static void drop(wi_lane *lane, wi_item *item)
{
    item_done(lane, item, item->attempts ? WI_OUTCOME_CANCELLED : WI_OUTCOME_NOT_STARTED);
}

static void drop_ready(wi_lane *lane)
{
    wi_list *node;
    while ((node = lane->ready.queues.next) != &lane->ready.queues) {
        wi_item *item = wi_ready_first(wi_container_of(node, wi_ready_queue, node));
        wi_ready_remove(&lane->ready, item);
        drop(lane, item);
    }
}

static void obey_stop(wi_lane *lane, int stopping)
{
    lane->stopped_at = stopping;
    lane->source_ended = true;
    wi_list *node;
    drop_ready(lane);
    while ((node = wi_list_shift(&lane->waiting)))
        drop(lane, wi_container_of(node, wi_item, node));
    atomic_store(&lane->numbers.waiting, 0);
    if (stopping == 1 + WEIR_STOP_NOW)
        for (node = lane->running.next; node != &lane->running; node = node->next)
            lane->shared.kind->cancel(lane->state, wi_container_of(node, wi_item, node));
}

static void resume_paused(wi_lane *lane)
{
    if (!lane->paused_len)
        return;
    bool spent = wi_budget_is_spent(lane->shared.budget);
    for (wi_list *node = lane->running.next; node != &lane->running; node = node->next) {
        wi_item *item = wi_container_of(node, wi_item, node);
        if (item->paused && (!spent || is_awaited(lane, item))) {
            item->paused = false;
            lane->paused_len--;
            lane->shared.kind->resume(lane->state, item);
        }
    }
}

/* Everything a lane does of its own accord: take, start, resume, end. */
static void on_pump(wi_defer *defer)
{
    wi_lane *lane = wi_container_of(defer, wi_lane, pump);
    int stopping = atomic_load(lane->shared.stopping);
    if (stopping > lane->stopped_at)
        obey_stop(lane, stopping);
    resume_paused(lane);
    int64_t again;
    bool more;
    do {
        again = WI_FOREVER;
        size_t started = start_ready(lane, &again);
        more = take_more(lane, started == 0);
    } while (more && !is_stopping(lane));
    wi_timer_set(&lane->again, again);
    if (lane->source_ended && !lane->ready.len && wi_list_empty(&lane->running) &&
        wi_list_empty(&lane->waiting) && !lane->finished) {
        hand_over(lane);
        lane->finished = true;
        lane->shared.ended(lane->shared.arg);
        wi_loop_stop(lane->loop);
    }
}

static void on_again(wi_timer *timer)
{
    pump_later(wi_container_of(timer, wi_lane, again));
}

static void on_deadline(wi_timer *timer)
{
    wi_lane *lane = wi_container_of(timer, wi_lane, deadline);
    lane->shared.deadline(lane->shared.arg);
}

static void on_poke(wi_post *post)
{
    pump_later(wi_container_of(post, wi_lane, poke));
}

/* ---- what kinds call ---- */

wi_loop *wi_lane_loop(wi_lane *lane)
{
    return lane->loop;
}

void wi_lane_received(wi_lane *lane, size_t bytes)
{
    add(&lane->numbers.bytes, (int64_t)bytes);
}

void wi_lane_shrink(wi_lane *lane, wi_item *item, size_t bytes)
{
    wi_budget_give(lane->shared.budget, (int64_t)bytes);
    item->charged -= (int64_t)bytes;
}

bool wi_lane_may_grow(wi_lane *lane, wi_item *item, size_t bytes)
{
    if (wi_budget_is_spent(lane->shared.budget) && !is_awaited(lane, item)) {
        lane->paused_len += !item->paused;
        item->paused = true;
        /* The awaited item may have been turned away when there was memory, but no slot; and the
         * slots are held by such as this one now. */
        lane->shared.paused(lane->shared.arg);
        return false;
    }
    wi_budget_take(lane->shared.budget, (int64_t)bytes);
    item->charged += (int64_t)bytes;
    return true;
}

static bool wants_retry(wi_lane *lane, const wi_item *item, const wi_attempt *attempt)
{
    if (!attempt->may_retry || item->attempts - item->excused > lane->shared.retries ||
        lane->stopped_at)
        return false;
    if (attempt->retry_after > lane->shared.retry_after_max)
        return false;
    pthread_mutex_lock(lane->shared.retry_lock);
    bool granted = wi_retry_budget_withdraw(lane->shared.retry_budget);
    pthread_mutex_unlock(lane->shared.retry_lock);
    add(&lane->numbers.retries_refused, !granted);
    return granted;
}

static void wait_for_retry(wi_lane *lane, wi_item *item, int64_t retry_after)
{
    int64_t delay = wi_retry_backoff(&lane->random, item->attempts - item->excused,
                                     lane->shared.retry_delay, lane->shared.retry_max_delay);
    if (delay < retry_after)
        delay = retry_after;
    item->state = WI_ITEM_WAITING;
    wi_list_append(&lane->waiting, &item->node);
    add(&lane->numbers.waiting, 1);
    wi_timer_set(&item->timer, wi_loop_now(lane->loop) + delay);
}

static bool leave_gate(wi_lane *lane, const wi_item *item, const wi_attempt *attempt)
{
    const wi_leaving leaving = {
        .duration = attempt->duration,
        .signal = attempt->signal,
        .why = attempt->signal >= WI_SIGNAL_SILENT ? wi_item_error(item) : NULL,
        .hold = attempt->retry_after <= lane->shared.retry_after_max ? attempt->retry_after : 0,
        .hint = attempt->hint,
    };
    return wi_gate_leave(lane->shared.gate, item->origin, lane->index, wi_loop_now(lane->loop),
                         &leaving);
}

/* Not the item's fault: it waits at the gate, and this attempt is none of those it has. */
static bool may_excuse(const wi_lane *lane, const wi_attempt *attempt)
{
    return attempt->may_retry && lane->shared.retries > 0 && !lane->stopped_at;
}

bool wi_lane_attempt_ended(wi_lane *lane, wi_item *item, const wi_attempt *attempt)
{
    wi_gate *gate = lane->shared.gate;
    bool retry = false;
    wi_list_remove(&item->node);
    lane->paused_len -= item->paused;
    item->paused = false;
    item->waited += attempt->duration;
    add(&lane->numbers.waited, attempt->duration);
    add(&lane->numbers.attempts, 1);
    if (attempt->cancelled) {
        wi_gate_leave_quietly(gate, item->origin, lane->index);
        item_done(lane, item, WI_OUTCOME_CANCELLED);
    } else {
        wi_histogram_add(&lane->durations, attempt->duration);
        bool excused = leave_gate(lane, item, attempt) && may_excuse(lane, attempt);
        item->excused += excused;
        retry = excused || (!attempt->ok && wants_retry(lane, item, attempt));
        if (excused)
            wi_ready_put(&lane->ready, item);
        else if (retry)
            wait_for_retry(lane, item, attempt->retry_after);
        else
            item_done(lane, item, attempt->ok ? WI_OUTCOME_OK : WI_OUTCOME_FAILED);
    }
    pump_later(lane);
    return retry;
}

/* ---- life ---- */

static void close_state(wi_lane *lane)
{
    if (lane->state)
        lane->shared.kind->close(lane->state);
    lane->state = NULL;
}

static void *run(void *arg)
{
    wi_lane *lane = arg;
    weir_error err;
    if (lane->shared.deadline_at)
        wi_timer_set(&lane->deadline, lane->shared.deadline_at);
    pump_later(lane);
    if (wi_loop_run(lane->loop, &err) != WEIR_OK) {
        lane->shared.fault(lane->shared.arg, &err);
        lane->shared.ended(lane->shared.arg);
    }
    close_state(lane); /* here, so that lanes take their connections down side by side */
    return NULL;
}

weir_status wi_lane_new(const wi_lane_shared *shared, int index, wi_lane **out, weir_error *err)
{
    wi_lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return wi_fail_nomem(err);
    lane->shared = *shared;
    lane->index = index;
    wi_ready_init(&lane->ready);
    wi_list_init(&lane->running);
    wi_list_init(&lane->waiting);
    wi_list_init(&lane->outbox);
    wi_defer_init(&lane->pump, on_pump);
    wi_post_init(&lane->poke, on_poke);
    wi_buf_init(&lane->origin_name, 64 << 10);
    wi_random_init(&lane->random, wi_random_seed());
    weir_status status = wi_loop_new(wi_clock_real(), &lane->loop, err);
    if (status == WEIR_OK && (!wi_timer_init(&lane->outbox_timer, lane->loop, on_outbox_timer) ||
                              !wi_timer_init(&lane->again, lane->loop, on_again) ||
                              !wi_timer_init(&lane->deadline, lane->loop, on_deadline)))
        status = wi_fail_nomem(err);
    if (status == WEIR_OK)
        status = shared->kind->open(shared->job, lane, &lane->state, err);
    if (status != WEIR_OK) {
        wi_lane_free(lane);
        return status;
    }
    *out = lane;
    return WEIR_OK;
}

weir_status wi_lane_start(wi_lane *lane, weir_error *err)
{
    char name[16];
    snprintf(name, sizeof name, "weir-lane-%d", lane->index);
    weir_status status = wi_thread_start(&lane->thread, name, run, lane, err);
    lane->started = status == WEIR_OK;
    return status;
}

void wi_lane_poke(wi_lane *lane)
{
    wi_loop_post(lane->loop, &lane->poke);
}

void wi_lane_free(wi_lane *lane)
{
    if (!lane)
        return;
    if (lane->started)
        pthread_join(lane->thread, NULL);
    close_state(lane);
    wi_ready_fini(&lane->ready);
    wi_timer_fini(&lane->outbox_timer);
    wi_timer_fini(&lane->again);
    wi_timer_fini(&lane->deadline);
    wi_buf_fini(&lane->origin_name);
    wi_item_keys_fini(&lane->keys);
    wi_loop_free(lane->loop);
    free(lane);
}

wi_lane_numbers *wi_lane_numbers_of(wi_lane *lane)
{
    return &lane->numbers;
}

const wi_histogram *wi_lane_durations(const wi_lane *lane)
{
    return &lane->durations;
}
