/*
 * map_state.h: the inside of a map, for the three files that are it: map.c (the one who asks),
 * map_runner.c (items run by the workers of this process) and map_future.c (items that are futures,
 * for executors whose workers are elsewhere).
 *
 * Words: an item is drawn when it is taken from the input, and has its place from then on; it is
 * handed out when weir_map_next has returned its outcome. Outcomes travel in a ring of slots, which
 * has one for each item that is drawn and not handed out. An item's slot is that of its place or,
 * as completed, that of the number of items which ended before it; a slot becomes ready when its
 * mark is stored, with the phase that tells this round of the ring from the last one. So runners
 * deliver and the consumer collects without a lock; what is drawn, who runs and who waits is
 * arranged under one, for many items at a time if they are quick.
 *
 * The invariant: each item that was drawn gets one outcome in one slot, and drawn - handed out is
 * at most buffer_size.
 *
 * The executor's lock may be held where a map's is taken, never the other way round.
 */
#ifndef WI_MAP_STATE_H
#define WI_MAP_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "executor_state.h"
#include "list.h"
#include "task.h"
#include "weir/map.h"
#include "work.h"

/* A slot's mark: the place and these. */
enum {
    WI_SLOT_PHASE = 1,
    WI_SLOT_FAILED = 2, /* value is an error */
    WI_SLOT_LENT = 4,   /* the task still runs, and has the argument */
    WI_SLOT_FLAGS = 7,
    WI_SLOT_BITS = 3
};

typedef struct wi_map_slot {
    _Atomic uint64_t mark;
    void *value; /* result, or a wi_map_error */
    void *arg;   /* of a lazy map */
} wi_map_slot;

/* As much of a weir_error as there is. */
typedef struct wi_map_error {
    weir_status status;
    int sys_errno;
    char text[];
} wi_map_error;

typedef struct wi_map_call wi_map_call; /* for a runner, in the executor's queue */

/* Items that were drawn many at a time and have not begun: see map_runner.c. */
typedef struct wi_map_range {
    wi_list node; /* in ranges, if there may be any */
    _Atomic uint64_t held;
} wi_map_range;

struct weir_map {
    /* set at the start */
    weir_executor *executor; /* referenced */
    weir_task_fn fn;
    char *items; /* NULL: lazy */
    size_t item_size;
    weir_map_input input;
    void *source;
    const char *name;
    weir_type argument;
    weir_type result;
    void (*release_result)(void *result); /* of those nobody took */
    int64_t task_timeout;
    int64_t deadline;
    wi_map_slot *slots;
    size_t slot_count; /* a power of two */
    int slot_shift;
    size_t buffer_size;
    size_t step;        /* how many are handed out before the drawers are told */
    size_t max_runners; /* or futures */
    size_t max_chunk;
    size_t max_waiting; /* calls in the executor's queue */
    bool as_completed;
    bool in_process;
    bool on_demand; /* inline: runs only where weir_map_next waits */

    char pad_consumer[64]; /* the consumer's alone */
    size_t taken;          /* outcomes taken from the ring */
    size_t count;
    size_t index;
    void *arg;
    bool arg_mine; /* to release at the next call */

    char pad_delivery[64];
    atomic_size_t finished;    /* as completed: the next slot */
    atomic_size_t waiting_for; /* 1 + the slot the consumer waits for; 0: it does not */

    char pad_lock[64];
    pthread_mutex_t lock; /* over all below */
    size_t drawn;
    size_t total;   /* items there are to draw; SIZE_MAX: nobody knows yet */
    size_t handed;  /* `taken`, as far as the drawers were told */
    bool drawing;   /* somebody is in input */
    bool hungry;    /* the consumer waits */
    bool closed;    /* nothing is begun any more */
    bool abandoned; /* nor waited for */
    bool told;      /* the consumer got, or will get, the reason */
    bool freeing;
    weir_error why;
    wi_parker *parker; /* the consumer's, while it waits */

    /* map_runner.c */
    size_t chunk;      /* items to draw at once */
    size_t active;     /* runners that run */
    size_t waiting;    /* calls that are queued */
    size_t present;    /* these, runners that have not quite ended, and futures */
    wi_list queued;    /* calls that no runner has answered */
    wi_list spare;     /* calls */
    wi_list runners;   /* that run */
    wi_list ranges;    /* of runners, and the next */
    wi_map_range left; /* by a runner that let others in */

    /* map_future.c */
    wi_list futures; /* items handed to the executor, or about to be */
    size_t in_flight;
    bool feeding;
};

/* ---- outcomes: map.c ---- */

wi_map_error *wi_map_copy_error(const weir_error *error);
void wi_map_free_error(wi_map_error *error);

static inline uint64_t wi_map_phase(const weir_map *map, size_t at)
{
    return ~(at >> map->slot_shift) & WI_SLOT_PHASE;
}

/* Delivers an outcome, and returns its slot's number. The consumer, if that is what it waits for,
 * has to be woken: see wi_map_deliver. */
static inline size_t wi_map_store(weir_map *map, size_t place, uint64_t flags, void *value,
                                  void *arg)
{
    size_t at = map->as_completed ? atomic_fetch_add(&map->finished, 1) : place;
    wi_map_slot *slot = &map->slots[at & (map->slot_count - 1)];
    slot->value = value;
    slot->arg = arg;
    uint64_t mark = (uint64_t)place << WI_SLOT_BITS | flags | wi_map_phase(map, at);
    atomic_store(&slot->mark, mark);
    return at;
}

/* Under the lock. */
void wi_map_wake(weir_map *map);

/* Without the lock; the sequentially consistent store above and the load here, and the consumer's
 * the other way round, see to it that one sees the other. */
static inline void wi_map_deliver(weir_map *map, size_t place, uint64_t flags, void *value,
                                  void *arg)
{
    size_t at = wi_map_store(map, place, flags, value, arg);
    if (atomic_load(&map->waiting_for) != at + 1)
        return;
    pthread_mutex_lock(&map->lock);
    wi_map_wake(map);
    pthread_mutex_unlock(&map->lock);
}

static inline void *wi_map_item(const weir_map *map, size_t place)
{
    return map->items ? map->items + place * map->item_size : NULL;
}

/* How many may be drawn. Under the lock. */
static inline size_t wi_map_room(const weir_map *map)
{
    size_t room = map->buffer_size - (map->drawn - map->handed);
    size_t left = map->total - map->drawn;
    return map->closed || map->drawing ? 0 : room < left ? room : left;
}

/*
 * Draws the next of a lazy map. Under the lock, which is given away meanwhile, with room for one.
 * WEIR_OK: *place and *arg are drawn. WEIR_END: there was none; its error, if any, is delivered.
 */
weir_status wi_map_draw(weir_map *map, size_t *place, void **arg);

/*
 * Under the lock: nothing more is drawn or begun, what runs is asked to end, and what has not begun
 * fails with `why`. abandon: so does what runs, at once; its outcomes are dropped when they come.
 */
void wi_map_close(weir_map *map, const weir_error *why, bool abandon);

/* Closes the map if its deadline has passed. Under the lock. */
bool wi_map_is_late(weir_map *map);

/* ---- map_runner.c ---- */

/* Items that nobody has begun fail with why; runners are asked to end. Part of wi_map_close. */
void wi_map_close_runners(weir_map *map, const weir_error *why, bool abandon);

/*
 * A call for the executor's queue, if there is something for one more runner to do; NULL otherwise.
 * Under the lock; then send it, without.
 */
wi_map_call *wi_map_make_call(weir_map *map);
weir_status wi_map_send_call(weir_map *map, wi_map_call *call, bool wait, weir_error *err);

/* The consumer is a task of the executor and a call is queued: answers it here, or beside. */
typedef enum wi_map_help { WI_MAP_NO_HELP, WI_MAP_HELPED, WI_MAP_HELP_COMES } wi_map_help;
wi_map_help wi_map_help_out(weir_map *map);

/* Calls that are queued will not be answered. */
void wi_map_recall(weir_map *map);

bool wi_map_init_runners(weir_map *map); /* false: no memory */
void wi_map_fini_runners(weir_map *map);

/* ---- map_future.c ---- */

/* Submits what there is room for. wait: for the executor's queue, if nothing else is under way. */
weir_status wi_map_feed(weir_map *map, bool wait, weir_error *err);

/* Part of wi_map_close, and what it leaves to do without the lock. */
void wi_map_abandon_futures(weir_map *map, const weir_error *why);
void wi_map_cancel_futures(weir_map *map);

#endif
