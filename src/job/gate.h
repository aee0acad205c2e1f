/*
 * gate.h: who may start now. One gate for all lanes of a job.
 *
 * An origin (scheme, host and port for fetch) has a concurrency limit (limit.h), a pace that was
 * given (--rate) and one that is found (pace.h), what its server says that is left (rate_hint.h), a
 * time until which it is held back (Retry-After) and a circuit breaker (breaker.h); all origins
 * share the total in flight, of which none takes more than its part while others want theirs. Any
 * lane's thread may call; nothing blocks beyond a short lock. A lane that is turned away for want
 * of a slot is poked when one is due to it: with all slots taken, each lane has a claim to its
 * share. It is to ask again then, for as long as it has something to start there.
 */
#ifndef WI_GATE_H
#define WI_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "limit.h"
#include "rate_hint.h"

#define WI_MAX_LANES 64

typedef struct wi_gate wi_gate;
typedef struct wi_origin wi_origin;

typedef struct wi_gate_options {
    int lanes;
    int64_t total;                     /* in flight at once, over all origins */
    int64_t lane_most;                 /* of them, one lane's; 0: all */
    bool find_limit;                   /* per origin, up to total */
    int64_t per_origin;                /* 0: no limit but the total */
    double rate;                       /* begun per second and origin; 0: no limit */
    int64_t patience;                  /* with an origin that is gone; 0: no breaker */
    int64_t longest_hold;              /* that a server's hint is obeyed for; 0: any */
    void (*poke)(void *arg, int lane); /* thread-safe; has the lane try again */
    void *poke_arg;
} wi_gate_options;

typedef struct wi_gate_numbers {
    int64_t in_flight;
    int64_t peak;
    int64_t limit; /* the sum over origins, at most the total */
    int64_t origins;
    int64_t held_until; /* the latest of all origins, or 0 */
} wi_gate_numbers;

weir_status wi_gate_new(const wi_gate_options *options, wi_gate **out, weir_error *err);
void wi_gate_free(wi_gate *gate); /* NULL is fine */

/* The origin of that name, made if it is new; lives as long as the gate. NULL: no memory. */
wi_origin *wi_gate_origin(wi_gate *gate, const char *name, size_t len);

/* A number for each origin, from 0 in the order of their making. */
size_t wi_origin_index(const wi_origin *origin);

typedef enum wi_entry {
    WI_ENTRY_IN,    /* it has begun, and wi_gate_leave must follow */
    WI_ENTRY_LATER, /* *again is when to ask again (WI_FOREVER: after a poke) */
    WI_ENTRY_GONE,  /* the origin is gone, and was waited for in vain: what is queued is to fail */
} wi_entry;

/*
 * May the lane start one at this origin? `beyond`: even if no slot is free, since those who have
 * the slots wait for this one.
 */
wi_entry wi_gate_enter(wi_gate *gate, wi_origin *origin, int lane, bool beyond, int64_t now,
                       int64_t *again);

/* How an attempt ended. */
typedef struct wi_leaving {
    int64_t duration;
    wi_signal signal;
    const char *why;   /* nullable; what went wrong, if there was no answer */
    int64_t hold;      /* nothing starts there for so long */
    wi_rate_hint hint; /* all zero: none */
} wi_leaving;

/* One ended. True: its failure is the origin's, which is waited for: it is to enter again as if it
 * had not begun. */
bool wi_gate_leave(wi_gate *gate, wi_origin *origin, int lane, int64_t now,
                   const wi_leaving *leaving);

/* One ended that tells nothing of the origin: it was cancelled. */
void wi_gate_leave_quietly(wi_gate *gate, wi_origin *origin, int lane);

/* Why nothing begins at an origin that is gone; at most 400 bytes. */
void wi_gate_describe(wi_gate *gate, wi_origin *origin, char *text, size_t size);

int64_t wi_gate_origins(wi_gate *gate);

void wi_gate_numbers_get(wi_gate *gate, int64_t now, wi_gate_numbers *numbers);

#endif
