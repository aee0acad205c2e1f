/*
 * sweep.h: looking through much memory for something simple, with vectors where there are some.
 * The widest that the processor has are chosen once, by wi_sweep_level.
 */
#ifndef WI_SWEEP_H
#define WI_SWEEP_H

#include <stdbool.h>
#include <stddef.h>

typedef enum wi_sweep_level {
    WI_SWEEP_PLAIN = 0,
    WI_SWEEP_SSE2,
    WI_SWEEP_AVX2,
} wi_sweep_level;

/* The best that this processor can do. */
wi_sweep_level wi_sweep_best(void);

/* For tests and measurements: use no more than this from now on. Not while others search. */
void wi_sweep_limit(wi_sweep_level most);

/* How many line feeds there are. */
size_t wi_count_newlines(const char *bytes, size_t len);

/* Is every byte below 0x80? */
bool wi_is_ascii(const char *bytes, size_t len);

#endif
