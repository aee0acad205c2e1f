/*
 * help.h: a worker that waits for a task of its own executor runs it, if nobody has begun it: all
 * workers might wait like that, and nobody would be left to run what they wait for.
 */
#ifndef WI_HELP_H
#define WI_HELP_H

#include <stdbool.h>

#include "weir/future.h"

/*
 * True: the future was queued by the caller's own executor, and has been run here (the caller is on
 * a thread), or runs now beside the caller (on a fiber, whose stack is too small for two). The
 * caller looks at its condition again.
 */
bool wi_help(weir_future *future);

/* The same for several: one at a time, and each is tried once. Starts with futures and n. */
typedef struct wi_helper {
    weir_future *const *futures;
    size_t n;
    size_t next;
    weir_future *current; /* that runs beside the caller, or did; NULL: none is left to help */
} wi_helper;

/* True: the caller looks at its condition again, and asks again. */
bool wi_help_any(wi_helper *helper);

#endif
