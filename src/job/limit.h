/*
 * limit.h: how many at once, found while running.
 *
 * One origin's concurrency limit. It grows while latency holds (which, at a full limit, is the same
 * as saying that throughput grows), and halves on overload (429, 503, time-outs, refused
 * connections), at most once per round trip: multiplicative decrease (Chiu and Jain, 1989) after a
 * slow start (Jacobson, 1988), with the latency of a quiet server as the brake, as in TCP Vegas
 * (Brakmo and Peterson, 1995). Before the first answer has come it ramps up by time, since waiting
 * costs the other side little: from 32 by half every 100 ms up to 256. Pure logic: the caller
 * brings the time and a lock. limit.c tells the whole of it.
 */
#ifndef WI_LIMIT_H
#define WI_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* What the end of an attempt says of the other side. */
typedef enum wi_signal {
    WI_SIGNAL_FINE,    /* it answered, be it with an error */
    WI_SIGNAL_RATE,    /* too many in this time (429) */
    WI_SIGNAL_BUSY,    /* too many at once (503) */
    WI_SIGNAL_LATE,    /* an answer began, but did not end in time */
    WI_SIGNAL_SILENT,  /* none began in time */
    WI_SIGNAL_REFUSED, /* no connection came about */
    WI_SIGNAL_GONE, /* there is no such name, or the connection was cut before any answer: no sign
                       of too much */
} wi_signal;

typedef struct wi_limit {
    bool fixed;
    double limit;
    double ceiling;
    /* the rest is limit.c's own */
    int64_t born;         /* when the first request began; WI_FOREVER: not yet */
    bool answered;        /* the ramp is over */
    double step;          /* the next growth, as a part of the limit */
    double base;          /* ns; what an answer takes when no queue is ours; 0: not known */
    bool base_is_rough;   /* of the very first answers, which are the quickest */
    int64_t halved_at;    /* overload of requests begun before is old news */
    int64_t window_start; /* of the answers to requests begun since: */
    int64_t window_count;
    int64_t window_enough; /* so many close it */
    double window_limit;   /* when it opened */
    double window_sum;     /* ns */
    bool window_bound;     /* was the limit ever what held requests back? */
    int held;              /* windows in a row that neither grew nor shrank */
    double tried_from;     /* the limit before it was cut on trial; 0: no trial */
    double tried_mean;     /* and the latency then */
    double before;         /* the limit before it was halved for what is no sign of its height; 0 */
    bool wary;             /* it was refused (BUSY) at some height: */
    bool slow;             /* no higher for now: the last window's latency forbids it */
    bool quiet_bound;      /* was the limit reached since it changed? */
    int64_t quiet;         /* answers since, to requests begun since: */
    int64_t changed_at;
    double good;      /* the highest that was borne; 0: not known */
    double bad;       /* the lowest that was refused; 0: not known */
    bool charged;     /* the last refusals came of trying */
    bool trying;      /* higher than that, to see */
    double credit;    /* refusals that may be risked so */
    double answers;   /* of the last few hundred, */
    double refusals;  /* so many were refused (BUSY) */
    double tolerated; /* this part of them is refused whatever the limit; 0: none is */
    int odd;          /* refusals in a row that less at once seems not to help against, */
    double odd_from;  /* the first at this limit */
} wi_limit;

/* fixed > 0: the limit is that, always. Else it is found, never above ceiling (>= 1). */
void wi_limit_init(wi_limit *limit, int64_t fixed, int64_t ceiling);

/* A request is about to begin; `bound`: after it the limit is reached. */
void wi_limit_begin(wi_limit *limit, int64_t now, bool bound);

/* A request ended after `latency` ns. */
void wi_limit_end(wi_limit *limit, int64_t now, int64_t latency, wi_signal signal);

/* What it was halved for is cared for otherwise (a pace is known): as before. */
void wi_limit_restore(wi_limit *limit, int64_t now);

/* How many may be in flight now, at least 1. */
int64_t wi_limit_now(wi_limit *limit, int64_t now);

/* When wi_limit_now may rise by time alone; WI_FOREVER: not before an answer. */
int64_t wi_limit_next_rise(const wi_limit *limit, int64_t now);

#endif
