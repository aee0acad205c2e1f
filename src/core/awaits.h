/*
 * awaits.h: which task waits for which, so that those who would wait for each other for ever are
 * told instead.
 *
 * The graph has an edge from a task to the future it waits for (task->awaits), from a future to the
 * task that completes it (future->running), and from a task to the one that runs on top of it on
 * the same stack (task->inner), since that must end first. Its invariant: it has no cycle.
 */
#ifndef WI_AWAITS_H
#define WI_AWAITS_H

#include "task.h"
#include "weir/future.h"

/*
 * The current task is about to wait for the future, which is referenced until wi_awaits_end.
 * WEIR_INVALID: it would wait for itself, directly or over others; there is nothing to end then.
 */
weir_status wi_awaits_begin(weir_future *future, weir_error *err);
void wi_awaits_end(void);

/* WEIR_INVALID if the future is that of a task on the caller's stack, which can't end before the
 * caller does. */
weir_status wi_awaits_self(const weir_future *future, weir_error *err);

/* A task begins or ends on top of another. */
void wi_awaits_nest(wi_task *outer, wi_task *inner);

#endif
