/*
 * weir/fiber.h: what a task may want to know of the small stack it runs on.
 *
 * A fiber is a task with a stack of its own (WEIR_FIBERS, weir/executor.h). Its waits suspend it,
 * and its thread goes on with others; it never moves to another thread, so thread-local variables
 * keep their value over a wait (and are shared by the fibers of a thread). What computes for long
 * keeps the others waiting: give it to weir_offload. A lock of the program must not be held over a
 * wait.
 *
 * An overflow of the stack ends the process with a message that names the task, instead of writing
 * over somebody else's memory.
 */
#ifndef WEIR_FIBER_H
#define WEIR_FIBER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Tells whether the caller runs on a fiber: 1 if so, else 0. */
int weir_fiber_inside(void);

/* Tells how many bytes of stack are left to the calling fiber; 0 elsewhere. */
size_t weir_fiber_stack_left(void);

/* How stacks are protected against overflow. */
typedef enum weir_fiber_guard {
    WEIR_FIBER_GUARD_INSTALL,  /* MADV_GUARD_INSTALL (Linux 6.13): costs no mapping */
    WEIR_FIBER_GUARD_MPROTECT, /* a page without access, as long as vm.max_map_count allows */
    WEIR_FIBER_GUARD_CANARY    /* a mark at the stack's end, looked at when the fiber suspends */
} weir_fiber_guard;

/* Of all fibers of the process. */
typedef struct weir_fiber_stats {
    int64_t live;
    int64_t pooled;         /* stacks that wait to be used again */
    int64_t switches;       /* to a fiber and back, so far */
    weir_fiber_guard guard; /* of the newest stack */
    const char *switching;  /* "x86-64", "aarch64" or "ucontext" */
} weir_fiber_stats;

/* Counts the fibers of the process, now. Any thread. */
void weir_fiber_stats_get(weir_fiber_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
