/*
 * hand.c: what a hand does, and what kinds ask of it; see crew.h. Its invariant: before a hand
 * waits for anything of the crew's, all that it has ready is the collector's.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "collector.h"
#include "crew_state.h"

enum {
    OUTBOX_PORTIONS = 256, /* handed to the collector together, */
    OUTBOX_BYTES = 256 << 10,
};
#define PIECE_TIME (4 * WI_MILLISECOND) /* that a piece of work should take */

static void add(_Atomic int64_t *number, int64_t delta)
{
    /* One writer: no read-modify-write needed. */
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + delta,
                          memory_order_relaxed);
}

static void begin_to(wi_hand *hand, wi_hand_doing doing)
{
    atomic_store_explicit(&hand->doing, doing, memory_order_relaxed);
}

static int stopping(const wi_hand *hand)
{
    return atomic_load_explicit(hand->crew->options.stopping, memory_order_relaxed);
}

static void report(wi_hand *hand, const weir_error *err)
{
    hand->crew->options.fault(hand->crew->options.arg, err);
}

static void report_nomem(wi_hand *hand)
{
    weir_error err;
    wi_fail_nomem(&err);
    report(hand, &err);
}

/* ---- to the collector ---- */

void wi_hand_hand_over(wi_hand *hand)
{
    wi_list ready;
    wi_list_init(&ready);
    pthread_mutex_lock(&hand->lock);
    wi_list_splice(&ready, &hand->outbox);
    size_t n = hand->outbox_len;
    hand->outbox_len = 0;
    hand->outbox_bytes = 0;
    pthread_mutex_unlock(&hand->lock);
    if (n)
        wi_collector_put(hand->crew->collector, &ready, n);
}

static void charge(wi_hand *hand, wi_portion *portion)
{
    int64_t bytes = wi_portion_bytes(portion);
    wi_budget_take(hand->crew->options.budget, bytes - portion->charged);
    portion->charged = bytes;
}

/* ---- memory, and whose turn it is ---- */

static bool is_due(wi_hand *hand, uint64_t number)
{
    const wi_crew *crew = hand->crew;
    return !crew->ordered || wi_collector_next(crew->collector) == number;
}

/* What is kept besides rows goes to nobody else when it waits: one hand at a time may go on, to be
 * done with it. */
static bool is_first(wi_hand *hand, uint64_t number)
{
    wi_crew *crew = hand->crew;
    wi_hand *first = NULL;
    if (crew->ordered)
        return is_due(hand, number);
    return atomic_compare_exchange_strong(&crew->first, &first, hand) || first == hand;
}

/* Rows of a piece that has not ended may go out when its number is due. Where order is not kept,
 * but a journal, they would be torn apart by those of others: then it is the first who may. */
static bool may_give_part(wi_hand *hand, uint64_t number)
{
    return hand->journaled ? is_first(hand, number) : is_due(hand, number);
}

/* Pieces that end while another is open are kept until that has ended, too. */
static bool may_begin(wi_hand *hand, uint64_t number)
{
    return is_due(hand, number) && !atomic_load(&hand->crew->opened);
}

void wi_hand_yield(wi_hand *hand)
{
    wi_crew *crew = hand->crew;
    if (hand->opened || atomic_load(&crew->first) != hand)
        return;
    atomic_store(&crew->opened, false);
    atomic_store(&crew->first, NULL);
    wi_crew_relieve(crew);
}

/* What has to do with memory, and how it may be had. */
typedef struct need {
    uint64_t number;
    bool (*is_over)(wi_budget *budget);
    bool (*has_turn)(wi_hand *hand, uint64_t number);
    int stop; /* when there is no more waiting */
} need;

/* Whose turn it is waits only while the collector will make room without it. In this order, since
 * the collector asks whether anybody is pressed after it has done all that is looked at here. */
static bool must_wait(wi_hand *hand, const need *n)
{
    const wi_crew *crew = hand->crew;
    return n->is_over(crew->options.budget) &&
           !(n->has_turn(hand, n->number) && wi_collector_has_caught_up(crew->collector));
}

/* Until there is memory, or it is the only one who can make some; or n->stop is reached. */
static void wait_for_room(wi_hand *hand, const need *n)
{
    wi_crew *crew = hand->crew;
    int before = atomic_load_explicit(&hand->doing, memory_order_relaxed);
    if (!must_wait(hand, n))
        return;
    wi_hand_hand_over(hand);
    begin_to(hand, WI_HAND_HELD);
    pthread_mutex_lock(&crew->lock);
    while (atomic_load(crew->options.stopping) < n->stop && must_wait(hand, n))
        pthread_cond_wait(&crew->room, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    begin_to(hand, (wi_hand_doing)before);
}

/* Past the outbox. */
static void put(wi_hand *hand, wi_portion *portion)
{
    wi_list list;
    wi_list_init(&list);
    wi_list_append(&list, &portion->node);
    wi_collector_put(hand->crew->collector, &list, 1);
}

/* Gives away what the portion has so far. */
static bool give_part(wi_hand *hand)
{
    wi_portion *part = wi_portion_split(hand->portion);
    if (!part) {
        report_nomem(hand);
        return false;
    }
    charge(hand, hand->portion); /* what the kind holds has stayed there */
    charge(hand, part);
    if (hand->journaled && !hand->crew->ordered) {
        hand->opened = true;
        atomic_store(&hand->crew->opened, true);
    }
    put(hand, part);
    return true;
}

/* ---- for kinds ---- */

wi_portion *wi_hand_begin(wi_hand *hand, uint64_t number)
{
    wi_crew *crew = hand->crew;
    const need n = {number, wi_budget_is_tight, may_begin, 1 + WEIR_STOP_DRAIN};
    wait_for_room(hand, &n);
    hand->portion = wi_portion_new(number);
    if (!hand->portion) {
        report_nomem(hand);
        return NULL;
    }
    hand->portion->journaled = hand->journaled;
    hand->now = hand->piece_began = wi_clock_now(wi_clock_real());
    hand->items_before = hand->attempts;
    hand->passed_over = 0;
    begin_to(hand, WI_HAND_WORKING);
    int working = atomic_fetch_add_explicit(&crew->working, 1, memory_order_relaxed) + 1;
    int peak = atomic_load_explicit(&crew->peak, memory_order_relaxed);
    while (working > peak && !atomic_compare_exchange_weak(&crew->peak, &peak, working))
        continue;
    return hand->portion;
}

size_t wi_hand_share(const wi_hand *hand)
{
    if (!hand->per_item)
        return 1;
    int64_t items = PIECE_TIME / hand->per_item;
    return items < 1 ? 1 : items > WI_PIECE_ITEMS ? WI_PIECE_ITEMS : (size_t)items;
}

static void learn_share(wi_hand *hand)
{
    int64_t items = hand->attempts - hand->items_before + hand->passed_over;
    if (items == 0)
        return;
    int64_t per_item = (hand->now - hand->piece_began) / items + 1;
    hand->per_item = hand->per_item ? (hand->per_item + per_item) / 2 : per_item;
    atomic_store_explicit(&hand->crew->per_item, hand->per_item, memory_order_relaxed);
}

bool wi_hand_claim(wi_hand *hand, const void *asks, size_t len)
{
    wi_portion *portion = hand->portion;
    if (!hand->journaled)
        return false;
    switch (
        wi_outputs_claim(wi_collector_outputs(hand->crew->collector), asks, len, &portion->key)) {
    case WI_COMMITTED_OK:
        portion->ok_before++;
        break;
    case WI_COMMITTED_FAILED:
        portion->failed_before++;
        break;
    case WI_COMMITTED_NOT:
        return false;
    }
    hand->passed_over++;
    return true;
}

bool wi_hand_flush(wi_hand *hand)
{
    uint64_t number = hand->portion->number;
    const need n = {number, wi_budget_is_spent, may_give_part, 1 + WEIR_STOP_NOW};
    charge(hand, hand->portion);
    wait_for_room(hand, &n);
    if (stopping(hand) >= 1 + WEIR_STOP_NOW)
        return false;
    return !may_give_part(hand, number) || give_part(hand);
}

bool wi_hand_hold(wi_hand *hand, int64_t bytes)
{
    const need n = {hand->portion->number, wi_budget_is_spent, is_first, 1 + WEIR_STOP_NOW};
    hand->portion->held = bytes;
    charge(hand, hand->portion);
    if (bytes)
        wait_for_room(hand, &n);
    else
        wi_hand_yield(hand);
    return !wi_hand_is_stopping(hand);
}

/* What is ready goes to the collector with other pieces, soon. */
static void put_by(wi_hand *hand, wi_portion *portion)
{
    pthread_mutex_lock(&hand->lock);
    wi_list_append(&hand->outbox, &portion->node);
    hand->outbox_len++;
    hand->outbox_bytes += portion->charged;
    bool full = hand->outbox_len >= OUTBOX_PORTIONS || hand->outbox_bytes >= OUTBOX_BYTES;
    pthread_mutex_unlock(&hand->lock);
    if (full || wi_budget_is_pressed(hand->crew->options.budget))
        wi_hand_hand_over(hand);
}

void wi_hand_end(wi_hand *hand)
{
    wi_portion *portion = hand->portion;
    hand->portion = NULL;
    learn_share(hand);
    portion->held = 0;
    portion->last = true;
    charge(hand, portion);
    if (hand->opened)
        put(hand, portion); /* before the next can open its own */
    else
        put_by(hand, portion);
    hand->opened = false;
    wi_hand_yield(hand);
    atomic_fetch_sub_explicit(&hand->crew->working, 1, memory_order_relaxed);
    begin_to(hand, WI_HAND_SEEKING);
}

bool wi_hand_is_draining(const wi_hand *hand)
{
    return stopping(hand) != 0;
}

bool wi_hand_is_stopping(const wi_hand *hand)
{
    return stopping(hand) >= 1 + WEIR_STOP_NOW;
}

/* An item begins when the one before it ended, or its piece of work began: what lies between is not
 * worth a look at the clock. */
void wi_hand_item_begins(wi_hand *hand)
{
    hand->item_began = hand->now;
    atomic_store_explicit(&hand->in_flight, 1, memory_order_relaxed);
}

void wi_hand_item_ended(wi_hand *hand, int64_t bytes)
{
    hand->now = wi_clock_now(wi_clock_real());
    int64_t duration = hand->now - hand->item_began;
    atomic_store_explicit(&hand->in_flight, 0, memory_order_relaxed);
    add(&hand->attempts, 1);
    add(&hand->waited, duration);
    add(&hand->bytes, bytes);
    wi_histogram_add(&hand->durations, duration);
}

/* ---- being watched ---- */

/* The kernel says of a thread "NUMBER (NAME) STATE ...": R is running or waiting for a processor.
 */
bool wi_hand_look(const wi_hand *hand, bool *blocked)
{
    char text[64];
    int fd = atomic_load(&hand->watched);
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text, 0) : 0;
    if (n <= 0)
        return false;
    const char *end = memrchr(text, ')', (size_t)n);
    if (!end || end + 2 >= text + n)
        return false;
    *blocked = end[2] != 'R';
    return true;
}

/* ---- life ---- */

/* Waits as long as it is one too many; false: nobody is needed any more. */
static bool is_needed(wi_hand *hand)
{
    wi_crew *crew = hand->crew;
    if (hand->index < atomic_load_explicit(&crew->wanted, memory_order_relaxed))
        return true;
    wi_hand_hand_over(hand);
    begin_to(hand, WI_HAND_DISMISSED);
    pthread_mutex_lock(&crew->lock);
    while (hand->index >= atomic_load(&crew->wanted) && !crew->over)
        pthread_cond_wait(&crew->call, &crew->lock);
    bool over = crew->over;
    pthread_mutex_unlock(&crew->lock);
    begin_to(hand, WI_HAND_SEEKING);
    return !over;
}

static void work(wi_hand *hand)
{
    const wi_blocking *kind = hand->crew->options.kind->blocking;
    weir_error err;
    weir_status status = WEIR_OK;
    begin_to(hand, WI_HAND_SEEKING);
    while (status == WEIR_OK && is_needed(hand)) {
        status = kind->work(hand->state, &err);
        if (hand->portion) {
            hand->portion->torn |= status != WEIR_OK;
            wi_hand_end(hand);
        }
    }
    wi_hand_hand_over(hand);
    begin_to(hand, WI_HAND_NOTHING);
    if (status != WEIR_OK && status != WEIR_END && status != WEIR_CANCELLED)
        report(hand, &err);
}

void *wi_hand_run(void *arg)
{
    wi_hand *hand = arg;
    wi_crew *crew = hand->crew;
    const wi_blocking *kind = crew->options.kind->blocking;
    weir_error err;
    atomic_store(&hand->watched, open("/proc/thread-self/stat", O_RDONLY | O_CLOEXEC));
    weir_status status = kind->open(crew->options.job, hand, &hand->state, &err);
    if (status == WEIR_OK) {
        work(hand);
        kind->close(hand->state);
    }
    pthread_mutex_lock(&crew->lock);
    if (status == WEIR_OK)
        crew->over = true;
    else if (crew->failed++ == 0)
        crew->failure = err;
    crew->busy--;
    pthread_cond_signal(&crew->news);
    pthread_cond_broadcast(&crew->call);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

wi_hand *wi_hand_new(wi_crew *crew, int index)
{
    wi_hand *hand = calloc(1, sizeof *hand);
    if (!hand)
        return NULL;
    hand->crew = crew;
    hand->index = index;
    hand->per_item = atomic_load(&crew->per_item);
    hand->journaled = wi_outputs_has_journal(wi_collector_outputs(crew->collector));
    atomic_init(&hand->watched, -1);
    wi_list_init(&hand->outbox);
    pthread_mutex_init(&hand->lock, NULL);
    return hand;
}

void wi_hand_free(wi_hand *hand)
{
    if (!hand)
        return;
    int fd = atomic_load(&hand->watched);
    if (fd >= 0)
        close(fd);
    pthread_mutex_destroy(&hand->lock);
    free(hand);
}
