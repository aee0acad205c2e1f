/*
 * overflow.h: last words for a fiber whose stack has run over.
 *
 * A fault in a stack's guard comes as a signal that no code can take on that stack, so threads that
 * run fibers have another one for it. Faults that are not of fibers go to whoever handled them
 * before.
 */
#ifndef WI_OVERFLOW_H
#define WI_OVERFLOW_H

#include <stdbool.h>
#include <stddef.h>

/* Whose stack it was. */
typedef struct wi_overflow {
    const char *name; /* nullable, untrusted */
    size_t stack_size;
} wi_overflow;

/* Makes the calling thread ready for overflows, if it is not yet. */
void wi_overflow_prepare(void);

/*
 * Is a fault at this address an overflow of the stack that the calling thread runs on? fiber.c
 * answers; in the signal handler.
 */
bool wi_overflow_find(const void *address, wi_overflow *overflow);

/* Writes the message to standard error. Safe in signal handlers. */
void wi_overflow_report(const wi_overflow *overflow);

/* Ends the process as a fault does that nobody handles. */
_Noreturn void wi_overflow_die(void);

#endif
