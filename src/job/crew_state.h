/*
 * crew_state.h: what the two halves of a crew know of each other: crew.c, the foreman, who starts,
 * watches and dismisses hands, and hand.c, what a hand does.
 */
#ifndef WI_CREW_STATE_H
#define WI_CREW_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "crew.h"
#include "crew_size.h"
#include "histogram.h"

/* What a hand is at, for the foreman to see. */
typedef enum wi_hand_doing {
    WI_HAND_NOTHING,  /* it has not begun, or it is over */
    WI_HAND_SEEKING,  /* work */
    WI_HAND_WORKING,  /* at a piece of it */
    WI_HAND_HELD,     /* until its turn comes, or there is memory */
    WI_HAND_DISMISSED /* until it is called back */
} wi_hand_doing;

struct wi_hand {
    wi_crew *crew;
    int index;
    pthread_t thread;
    void *state;         /* the kind's */
    wi_portion *portion; /* of the piece of work it is at */
    int64_t now;         /* when it last looked */
    int64_t item_began;
    int64_t piece_began;
    int64_t items_before; /* this piece */
    int64_t passed_over;  /* items of this piece, which an earlier run has done */
    bool journaled;       /* what is done is noted, */
    bool opened;          /* and a part of this piece has gone out while order is not kept */
    int64_t per_item;     /* ns that one took of late; 0: not known */

    /* Written by the hand's thread alone, read by others. */
    atomic_int doing;   /* a wi_hand_doing */
    atomic_int watched; /* a descriptor that tells whether it is blocked; -1: none */
    _Atomic int64_t in_flight, attempts, waited, bytes;
    wi_histogram durations;

    pthread_mutex_t lock; /* of the three below: what is ready for the collector */
    wi_list outbox;
    size_t outbox_len;
    int64_t outbox_bytes;
};

struct wi_crew {
    wi_works_options options;
    wi_collector *collector;
    int64_t deadline_at;
    bool ordered;
    bool find; /* how many hands are of use; else there are as many as were asked for */
    wi_descriptors descriptors;
    pthread_t thread; /* the foreman's */
    bool started;
    wi_hand **hands;
    wi_crew_size size;
    int cursor;         /* the hand to be watched next */
    weir_error failure; /* of a hand that could not begin */

    atomic_int made;        /* hands there are, some of which may be over */
    atomic_int wanted;      /* those from here on are to leave */
    atomic_int working;     /* at a piece of work */
    wi_hand *_Atomic first; /* without order: it goes on although memory is spent; NULL: nobody */
    atomic_bool opened;     /* the piece of the first: no other may hand over parts of its own */
    atomic_int peak;
    _Atomic int64_t per_item; /* what a hand knows that begins */

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t news;  /* for the foreman */
    pthread_cond_t room;  /* for hands that are held */
    pthread_cond_t call;  /* for hands that are dismissed */
    bool begun;           /* wi_blocking.stop may be called */
    bool over;            /* no work is left: nobody is needed any more */
    int busy;             /* hands whose threads are not at their end */
    int failed;           /* hands that could not begin */
};

/* ---- hand.c ---- */

wi_hand *wi_hand_new(wi_crew *crew, int index); /* NULL: no memory */
void wi_hand_free(wi_hand *hand);               /* NULL is fine; not while its thread runs */

/* Its thread. */
void *wi_hand_run(void *arg);

/* Gives what is ready to the collector. Any thread. */
void wi_hand_hand_over(wi_hand *hand);

/* Is it blocked in the kernel? False: that cannot be seen. */
bool wi_hand_look(const wi_hand *hand, bool *blocked);

#endif
