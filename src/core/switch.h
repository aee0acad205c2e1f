/*
 * switch.h: leaving one stack in the middle of a call, and going on at the place where another was
 * left.
 *
 * A place is kept on the stack that it belongs to, as an address: what a function must preserve by
 * the machine's calling convention, floating-point control state included. Signal masks are the
 * thread's and stay as they are.
 */
#ifndef WI_SWITCH_H
#define WI_SWITCH_H

#include <stddef.h>

/* Keeps in *left where the caller stands, and goes on at `to`, which is used up. */
void wi_switch(void **left, void *to);

/*
 * A place that starts entry(arg) on the stack of `size` bytes that ends at `top` (a multiple of
 * 16). entry must never return.
 */
void *wi_switch_new(char *top, size_t size, void (*entry)(void *arg), void *arg);

/* "x86-64", "aarch64" or "ucontext" */
extern const char wi_switch_name[];

#endif
