/*
 * park.h: the one way to stand still: a fiber is suspended, a thread blocks.
 *
 * Every wait of Weir ends up here. A parker is a permit that is given by wi_unpark and used up by
 * wi_park, so a wake that comes too early is not lost. A fiber has one, and every thread that is on
 * no fiber has one.
 */
#ifndef WI_PARK_H
#define WI_PARK_H

#include <stdatomic.h>
#include <stdint.h>

#include "fiber.h"

typedef struct wi_parker {
    wi_fiber *fiber;    /* NULL: a thread */
    atomic_uint permit; /* of a thread: what its futex waits on */
} wi_parker;

/*
 * The parker of whoever asks. A fiber's is `place`, filled; a thread's is its own, and `place` is
 * not used. place lives on the caller's stack as long as anyone may unpark it.
 */
wi_parker *wi_parker_here(wi_parker *place);

/*
 * Stands still until unparked, or until wi_park_now() reaches the deadline (WI_FOREVER: never). May
 * return for no reason: ask for the condition in a loop. By the one whose parker it is.
 */
void wi_park(wi_parker *parker, int64_t deadline);

/* Any thread. The parker must live until this returns: hold the lock under which it is registered.
 */
void wi_unpark(wi_parker *parker);

/* The time on the clock that deadlines are measured on here: a fiber's loop's, else the real one.
 */
int64_t wi_park_now(void);

#endif
