/*
 * breaker.h: what to do about an origin that is gone.
 *
 * A circuit breaker (M. Nygard, "Release It!", 2007) with patience. So many failures in a row, not
 * one answer between them, and the origin is taken to be gone: nothing begins there but one request
 * now and then, to see whether it is back, at growing intervals; what is queued waits. After a
 * while of that the wait is over, and what is queued fails at once; the one request now and then
 * goes on, and the first answer, be it good or bad, ends all this. Pure logic: the caller brings
 * the time and a lock.
 */
#ifndef WI_BREAKER_H
#define WI_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "limit.h"

typedef enum wi_breaker_state {
    WI_BREAKER_CLOSED,
    WI_BREAKER_WAITING, /* for the origin's return */
    WI_BREAKER_OPEN,    /* it has waited long enough */
} wi_breaker_state;

typedef struct wi_breaker {
    int64_t patience; /* 0: there is no breaker */
    wi_breaker_state state;
    bool ever;        /* did it ever answer? */
    int64_t failures; /* in a row */
    int64_t refusals; /* of them without any wait for an answer */
    int64_t since;    /* the first of them ended */
    time_t since_wall;
    int64_t probe_at;
    int64_t interval;
    char why[200]; /* the last one's reason */
} wi_breaker;

void wi_breaker_init(wi_breaker *breaker, int64_t patience);

/* May one begin? False: *again is when to ask again; or *fail is set: what is queued is to fail. */
bool wi_breaker_may(wi_breaker *breaker, int64_t now, int64_t *again, bool *fail);

/* One begins. */
void wi_breaker_begin(wi_breaker *breaker, int64_t now);

/* One ended; why: for SILENT and GONE, nullable. True: what queues there may
 * go on, or is to fail. */
bool wi_breaker_end(wi_breaker *breaker, int64_t now, wi_signal signal, const char *why);

/* Is a failure no fault of the item's, which is to wait as if it had not begun? */
static inline bool wi_breaker_excuses(const wi_breaker *breaker, wi_signal signal)
{
    return breaker->state == WI_BREAKER_WAITING && signal >= WI_SIGNAL_SILENT;
}

/* Until when nothing begins, as far as it can tell; 0: nothing is held back. */
int64_t wi_breaker_until(const wi_breaker *breaker);

/* "no answer since 12:03:04 UTC, 27 failures in a row; the last: ..." Always fits 400 bytes. */
void wi_breaker_describe(const wi_breaker *breaker, char *text, size_t size);

#endif
