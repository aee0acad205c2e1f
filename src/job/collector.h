/*
 * collector.h: where done items become rows, in order, counted once each.
 *
 * A thread of its own takes finished items from all lanes, brings them into the order of the input
 * (unless that is not wanted), writes their rows, counts them and frees them. So disks are waited
 * for here and never in a lane.
 */
#ifndef WI_COLLECTOR_H
#define WI_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "error.h"
#include "kind.h"
#include "list.h"
#include "sink.h"
#include "tally.h"

typedef struct wi_collector wi_collector;

typedef struct wi_collector_options {
    const wi_kind *kind;
    const void *job;
    wi_budget *budget;
    wi_sink *rows;
    wi_sink *errors; /* for the failed ones; NULL: with the others */
    bool ordered;
    int64_t halt_after;          /* so many failures end the run; 0: they do not */
    void (*relieved)(void *arg); /* there is memory again, or another item is awaited */
    void (*failed)(void *arg);   /* halt_after items have */
    void (*ended)(void *arg);    /* everything is written: the thread's last act */
    void (*fault)(void *arg, const weir_error *err); /* rows cannot be written (any more) */
    void *arg;
} wi_collector_options;

typedef struct wi_collector_numbers {
    int64_t ok;
    int64_t failed;
    int64_t cancelled;
    int64_t not_started;
} wi_collector_numbers;

weir_status wi_collector_new(const wi_collector_options *options, wi_collector **out,
                             weir_error *err);
weir_status wi_collector_start(wi_collector *collector, weir_error *err);

/* Takes over n done items; the list is empty afterwards. Any thread. */
void wi_collector_put(wi_collector *collector, wi_list *items, size_t n);

/* Have all items that were put left? Any thread. */
bool wi_collector_is_idle(wi_collector *collector);

/* The number of the item whose row is due next. Any thread. */
uint64_t wi_collector_next(wi_collector *collector);

/* No item comes any more: when all are written, `ended` is called and the thread ends. Any thread;
 * does not block. */
void wi_collector_close(wi_collector *collector);

/* Closes, waits for the thread and frees. NULL is fine. The sinks are the caller's. */
void wi_collector_free(wi_collector *collector);

void wi_collector_numbers_get(wi_collector *collector, wi_collector_numbers *numbers);

/* Most frequent reason first; after `ended`. */
wi_tally *wi_collector_tally(wi_collector *collector);

#endif
