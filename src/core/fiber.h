/*
 * fiber.h: functions with stacks of their own, switched by hand on one loop's thread.
 *
 * The fibers of a loop run one at a time on its thread, between its callbacks, and never move. A
 * fiber runs until it suspends or returns. Everything is for the loop's thread, except
 * wi_fiber_wake, which any thread may call.
 *
 * A stack and all that Weir keeps of a fiber share the pages at its upper end, so that a fiber
 * which only waits costs one page. Stacks come from a pool and go back to it.
 */
#ifndef WI_FIBER_H
#define WI_FIBER_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "loop.h"

typedef struct wi_fibers wi_fibers; /* those of one loop */
typedef struct wi_fiber wi_fiber;

/* stack_size: usable bytes, rounded up to pages, 16 KiB at least; 0: 64 KiB. At most 1 GiB. */
weir_status wi_fibers_new(wi_loop *loop, size_t stack_size, wi_fibers **out, weir_error *err);

/* No fiber may be left. NULL is fine. */
void wi_fibers_free(wi_fibers *family);

/* Fibers that have not returned. */
size_t wi_fibers_live(const wi_fibers *family);

/*
 * Has fn(arg) run on a fiber, soon: from the loop, never from inside this call. May be called on
 * the loop's own stack or on one of its fibers. WEIR_NOMEM.
 */
weir_status wi_fiber_start(wi_fibers *family, void (*fn)(void *arg), void *arg, weir_error *err);

/* ---- of the fiber that runs ---- */

/* NULL: the caller is on no fiber. */
wi_fiber *wi_fiber_current(void);

wi_loop *wi_fiber_loop(const wi_fiber *fiber);
wi_fibers *wi_fiber_family(const wi_fiber *fiber);

/* A pointer for the layer above, NULL at the start; and a name for messages (borrowed, nullable).
 */
void **wi_fiber_local(wi_fiber *fiber);
void wi_fiber_set_name(wi_fiber *fiber, const char *name);

/*
 * Suspends the current fiber until wi_fiber_wake, or until its loop's clock reaches `deadline`
 * (WI_FOREVER: never). A wake that came since the last suspension counts: it returns at once. It
 * may also return for no reason, so callers look at their condition in a loop.
 */
void wi_fiber_suspend(int64_t deadline);

/* Lets the loop take a turn, and all fibers that are ready run, before it goes on. */
void wi_fiber_yield(void);

/*
 * Calls fn(arg) on the loop thread's own, large stack, and returns after it: for libraries that
 * need more stack than fibers have. fn must not suspend; in it, wi_fiber_current is NULL.
 */
void wi_fiber_call(void (*fn)(void *arg), void *arg);

/*
 * Wakes a fiber, or spares it its next suspension. Any thread. The caller sees to it that the fiber
 * has not returned when it calls; that it returns afterwards, with this wake still on its way, is
 * fine.
 */
void wi_fiber_wake(wi_fiber *fiber);

#endif
