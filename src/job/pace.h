/*
 * pace.h: how many per second, found while running.
 *
 * A server that refuses by a rate (429) is not kept within it by a limit of how many at once. What
 * it gives shows between two refusals: at both it had nothing left, so what it accepted in between
 * is just what it gives in that time, however it counts. From then on requests begin at that pace,
 * as from a token bucket, a little below what was measured; and now and then, when so many have
 * been accepted that a refusal among them is rare, a little above. Pure logic: the caller brings
 * the time and a lock.
 */
#ifndef WI_PACE_H
#define WI_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* The bucket: it fills at a rate, up to so many. Also that of a rate the user gave. */
typedef struct wi_bucket {
    double rate; /* per second; 0: it holds nothing back */
    double burst;
    double tokens;
    int64_t at; /* of tokens; 0: not looked at yet */
} wi_bucket;

/* Has it a token? Else *again is when it will have. */
bool wi_bucket_has(wi_bucket *bucket, int64_t now, int64_t *again);
void wi_bucket_take(wi_bucket *bucket);

typedef struct wi_pace {
    wi_bucket bucket;
    /* the rest is pace.c's own */
    int64_t anchor;     /* when it was refused; 0: it never was */
    int64_t accepted;   /* of requests begun since; */
    int64_t held;       /* meanwhile nothing was to begin for so long; */
    int64_t held_after; /* and this long after `end` */
    int64_t end;        /* when it was refused again; 0: not yet. What began before is awaited */
    double refused_at;  /* the rate then */
    double slowest;     /* that was set since the anchor */
    double measured;    /* the rate as it was measured last */
    double high;        /* the measure was no more than a lower bound, this is an upper; 0: none */
    int64_t basis;      /* of so many answers the rate was measured; 0: it is a guess */
    int64_t cut_at;     /* refusals of requests begun before are old news */
    int64_t changed_at; /* of the rate: */
    int64_t clean;      /* answers to requests begun since */
    bool bound;         /* did the pace hold a request back since? */
    bool grown;         /* since it was measured */
    bool charged;       /* the last refusal came of that */
    int failed;         /* so many in a row of such attempts */
    double step;
    double credit; /* refusals it may risk */
} wi_pace;

/* Is a rate known, or guessed at? */
static inline bool wi_pace_is_set(const wi_pace *pace)
{
    return pace->bucket.rate > 0;
}

/* May one begin? Else *again is when to ask again. */
bool wi_pace_may(wi_pace *pace, int64_t now, int64_t *again);

/* Nothing is to begin for so long: the server said so. */
void wi_pace_held(wi_pace *pace, int64_t time);

/* An answer that is no refusal to a request that began at `began`. */
void wi_pace_accepted(wi_pace *pace, int64_t now, int64_t began);

/*
 * A refusal. `alone`: there was no other in flight, so that fewer at once would be none. False: no
 * rate is known yet; fewer at once would help.
 */
bool wi_pace_refused(wi_pace *pace, int64_t now, int64_t began, bool alone);

#endif
