/*
 * stack.h: the pool that a loop's fibers take their stacks from.
 *
 * Stacks are mapped many at a time (a slab), each with a guard below it. One that is given back
 * stays warm, with the memory it touched, for the next taker; once far more wait than are in use,
 * those that were unused longest give their memory back, and whole slabs their addresses.
 */
#ifndef WI_STACK_H
#define WI_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "list.h"
#include "weir/fiber.h"

typedef struct wi_slab wi_slab;

typedef struct wi_stack {
    char *low; /* its guard ends here */
    wi_slab *slab;
    unsigned index; /* in the slab */
} wi_stack;

typedef struct wi_stacks {
    size_t size;   /* usable bytes of each */
    size_t stride; /* from one to the next */
    unsigned per_slab;
    uint64_t all;  /* a bit for each of a slab */
    size_t live;   /* taken */
    size_t pooled; /* given back, and warm */
    wi_list warm;  /* slabs with such; the one used last at the end */
    wi_list cold;  /* slabs whose free stacks hold no memory */
} wi_stacks;

enum {
    WI_STACK_MIN = 16 << 10,
    WI_STACK_MAX = 1 << 30,
    WI_STACK_DEFAULT = 64 << 10,
    WI_STACK_GUARD = 16 << 10, /* at least; large frames should not step over it */
    WI_STACK_KEPT = 256,       /* so many more than are in use stay warm */
};

/* size: 0 for the default; rounded up to pages. WEIR_INVALID if it is too large. */
weir_status wi_stacks_init(wi_stacks *stacks, size_t size, weir_error *err);

/* Unmaps all; every stack must have been given back. */
void wi_stacks_fini(wi_stacks *stacks);

/* All zero, or as its last user left it. */
weir_status wi_stack_take(wi_stacks *stacks, wi_stack *out, weir_error *err);
void wi_stack_give(wi_stacks *stacks, const wi_stack *stack);

/* Is the address in the guard of this stack? */
bool wi_stack_guards(const wi_stacks *stacks, const wi_stack *stack, const void *address);

weir_fiber_guard wi_stack_guard(const wi_stack *stack);

/* False if the guard is a canary, and dead. */
bool wi_stack_sound(const wi_stack *stack);

/* How the newest slab is guarded. Any thread. */
weir_fiber_guard wi_stack_newest_guard(void);

/* For tests: the best guard that may be used from now on. */
void wi_stack_limit_guard(weir_fiber_guard best);

#endif
