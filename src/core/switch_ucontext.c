/*
 * switch_ucontext.c: see switch.h; for every machine whose C library has makecontext. Slower, since
 * that keeps the signal mask too, with a system call each time.
 */
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#include "switch.h"

const char wi_switch_name[] = "ucontext";

typedef struct start {
    ucontext_t context;
    void (*entry)(void *arg);
    void *arg;
} start;

void wi_switch(void **left, void *to)
{
    ucontext_t here;
    *left = &here;
    swapcontext(&here, to);
}

/* makecontext hands over ints; a pointer takes two. */
static void begin(unsigned high, unsigned low)
{
    const start *s = (const start *)((uintptr_t)high << 16 << 16 | low);
    s->entry(s->arg);
    abort();
}

void *wi_switch_new(char *top, size_t size, void (*entry)(void *arg), void *arg)
{
    start *s = (start *)((uintptr_t)(top - sizeof(start)) & ~(uintptr_t)63);
    getcontext(&s->context);
    s->entry = entry;
    s->arg = arg;
    s->context.uc_stack.ss_sp = top - size;
    s->context.uc_stack.ss_size = (size_t)((char *)s - (top - size));
    s->context.uc_link = NULL;
    uintptr_t address = (uintptr_t)s;
    makecontext(&s->context, (void (*)(void))begin, 2, (unsigned)(address >> 16 >> 16),
                (unsigned)address);
    return &s->context;
}
