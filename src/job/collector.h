/*
 * collector.h: where what is done becomes rows, in order, counted once each.
 *
 * A thread of its own takes finished items from all lanes, or portions from all hands, brings them
 * into the order of the input (unless that is not wanted), writes their rows, counts them and frees
 * them. So outputs are waited for here and never in a lane or by a hand. A collector gets items or
 * portions, as its kind has lanes or a crew, and never both.
 */
#ifndef WI_COLLECTOR_H
#define WI_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "error.h"
#include "kind.h"
#include "list.h"
#include "outputs.h"
#include "tally.h"

typedef struct wi_collector wi_collector;

typedef struct wi_collector_options {
    const wi_kind *kind;
    void *job;
    wi_budget *budget;
    wi_outputs *outputs;
    bool ordered;
    int64_t halt_after;          /* so many failures end the run; 0: they do not */
    int64_t limit;               /* of portions so many rows are written; 0: all. Their row_ends
                                    say where it is reached */
    void (*relieved)(void *arg); /* there is memory again, or another item is awaited */
    void (*failed)(void *arg);   /* halt_after items have */
    void (*limited)(void *arg);  /* limit rows are written: those that still come are not */
    bool (*is_whole)(void *arg); /* did all that there is to do come to its end? Asked when nothing
                                    comes any more */
    void (*ended)(void *arg);    /* everything is written: the thread's last act */
    void (*fault)(void *arg, const weir_error *err); /* rows cannot be written (any more) */
    void *arg;
} wi_collector_options;

typedef struct wi_collector_numbers {
    int64_t ok;
    int64_t failed;
    int64_t cancelled;
    int64_t not_started;
    int64_t ok_before;
    int64_t failed_before;
} wi_collector_numbers;

weir_status wi_collector_new(const wi_collector_options *options, wi_collector **out,
                             weir_error *err);
weir_status wi_collector_start(wi_collector *collector, weir_error *err);

/*
 * Takes over n done items or portions; the list is empty afterwards. Any thread. Where order is
 * kept, a portion that is not the last of its number may come only when that number is due next.
 */
void wi_collector_put(wi_collector *collector, wi_list *things, size_t n);

/* Has all that was put left? Any thread. */
bool wi_collector_is_idle(wi_collector *collector);

/* Has all that was put been looked at? What has not left then waits for its turn, and not for the
 * collector. Any thread. */
bool wi_collector_has_caught_up(wi_collector *collector);

/* The number that is due next. Any thread. */
uint64_t wi_collector_next(wi_collector *collector);

/* Nothing comes any more: when all are written, `ended` is called and the thread ends. Any thread;
 * does not block. */
void wi_collector_close(wi_collector *collector);

/* Closes, waits for the thread and frees. NULL is fine. The outputs are the caller's. */
void wi_collector_free(wi_collector *collector);

/* Where its rows go. */
wi_outputs *wi_collector_outputs(const wi_collector *collector);

void wi_collector_numbers_get(wi_collector *collector, wi_collector_numbers *numbers);

/* Most frequent reason first; after `ended`. */
wi_tally *wi_collector_tally(wi_collector *collector);

#endif
