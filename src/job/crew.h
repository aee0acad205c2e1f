/*
 * crew.h: the threads of a job whose work blocks; each is a hand.
 *
 * What lanes are to kinds that wait on a loop, a crew is to kinds whose work is made of system
 * calls that block (wi_blocking in kind.h). Hands ask the kind for pieces of work until there are
 * none. How many hands there are is fixed, or found: as many as keep the processors busy while each
 * spends a part of its time waiting (P / (1 - waiting), by Little's law), no more than help
 * throughput. A foreman, a thread that sleeps most of the time, sees to that (crew_size.h), to the
 * deadline, and to it that nothing lies about that a hand has ready.
 *
 * A crew hands portions to the collector, minds the memory budget, the order and the job's
 * stopping. Its invariant: every piece of work that a hand began has exactly one last portion,
 * whatever happens in between; and the hand whose number is due next waits for memory only as long
 * as the collector is about to give some back without it.
 */
#ifndef WI_CREW_H
#define WI_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "portion.h"
#include "works.h"

typedef struct wi_crew wi_crew;
typedef struct wi_hand wi_hand;

enum {
    WI_CREW_MOST = 256,           /* hands that are found to be of use, at most */
    WI_PIECE_ITEMS = 64,          /* items of a piece of work, at most */
    WI_PORTION_BYTES = 256 << 10, /* of rows, after which a piece's portion is to be flushed */
};

/* ---- for kinds: on the hand's own thread, from inside wi_blocking.work ---- */

/*
 * How many items the next piece of work should have: as many as will take a few milliseconds, as
 * far as those before tell, so that rows come soon and all hands end at about the same time; 1 to
 * WI_PIECE_ITEMS.
 */
size_t wi_hand_share(const wi_hand *hand);

/* Begins a piece of work; its portion is the hand's until wi_hand_end. NULL: no memory, and the job
 * ends. */
wi_portion *wi_hand_begin(wi_hand *hand, uint64_t number);

/*
 * Has an earlier run committed the item that asks this? Then it is counted, and to be passed over.
 * Before an item begins; its key is portion->key from then on: what became of it is to be told with
 * wi_portion_item_done or wi_portion_item_cut. Without a journal it never has.
 */
bool wi_hand_claim(wi_hand *hand, const void *asks, size_t len);

/*
 * To be asked when the portion's rows have grown beyond WI_PORTION_BYTES, and not in the middle of
 * a row. Hands over what is there if its turn has come; else charges it to the budget and, if that
 * is spent, waits until its turn comes or there is memory. May block. The portion is empty or not
 * afterwards; the pointer stays valid. False: no more rows are wanted (stopped at once, or the
 * limit is reached): the item is to be cut short.
 */
bool wi_hand_flush(wi_hand *hand);

/*
 * The kind keeps so many bytes for an item besides its portion's rows; 0 once it does not, which
 * never waits. Charges them to the budget and, if that is spent, waits
 * until there is memory or its turn has come; where order is not kept, turns are taken, and end
 * with the 0. False: the item is to be cut short.
 */
bool wi_hand_hold(wi_hand *hand, int64_t bytes);

/* What it holds may be long in growing, through no fault of its own: it is not to keep a turn that
 * was taken. Its next hold may take one again. */
void wi_hand_yield(wi_hand *hand);

/* Ends the piece of work with its last portion. */
void wi_hand_end(wi_hand *hand);

/* Is no item to be begun any more? Then those not begun count as not_started. */
bool wi_hand_is_draining(const wi_hand *hand);

/* Is also what has begun to be cut short? Then it counts as cancelled. Cheap: to be asked for each
 * piece of a file. */
bool wi_hand_is_stopping(const wi_hand *hand);

/* An item begins now: for the numbers (in flight); ended: its duration and the bytes that were read
 * of it. */
void wi_hand_item_begins(wi_hand *hand);
void wi_hand_item_ended(wi_hand *hand, int64_t bytes);

/* ---- for the job ---- */

weir_status wi_crew_new(const wi_works_options *options, wi_crew **out, weir_error *err);

/* deadline_at: on the real clock; 0: none. `ended` follows, also if this fails. */
weir_status wi_crew_start(wi_crew *crew, wi_collector *collector, int64_t deadline_at,
                          weir_error *err);

/* The job is to stop, as *stopping says. Any thread; does not block; may be called again, and
 * before start. */
void wi_crew_stop(wi_crew *crew);

/* There is memory again, or another number is due. Any thread. */
void wi_crew_relieve(wi_crew *crew);

/* What a crew knows of in_flight, limit, peak, attempts, their durations and bytes. Any thread. */
void wi_crew_stats(wi_crew *crew, weir_job_stats *stats);

const wi_descriptors *wi_crew_descriptors(const wi_crew *crew);

/* Waits for the foreman's end and frees. NULL is fine. */
void wi_crew_free(wi_crew *crew);

#endif
