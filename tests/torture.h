/*
 * torture.h: does this survive when memory runs out, wherever it does?
 *
 *     static weir_status parse_and_free(void) { ... }
 *
 *     TEST(parsing_survives_lack_of_memory)
 *     {
 *         TORTURE(parse_and_free());
 *     }
 *
 * TORTURE evaluates its expression again and again: first with its first allocation failing, then
 * its second, and so on until a run in which none was left to fail; then all over with every
 * allocation from the n-th on failing, as when memory is really gone. Each run must return
 * WEIR_NOMEM, or WEIR_OK if it could do without, and give back all it took; the last must return
 * WEIR_OK. A unit takes part by its name in torture_tests (its folder's meson.build), which links
 * it with --wrap, so that Weir's own calls are counted and those inside libc are not. Only the
 * thread that runs TORTURE meets failures; blocks may be freed on any.
 */
#ifndef WEIR_TORTURE_H
#define WEIR_TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "weir/error.h"

enum { TORTURE_MAX_RUNS = 100000 };

/* Volatile, since libc's headers promise that malloc calls nothing back in this file. */
static _Thread_local volatile long torture_left = -1; /* allocations until one fails; -1: none */
static _Thread_local volatile bool torture_for_good;  /* and all after it too */
static _Thread_local volatile bool torture_hit;
static atomic_long torture_live; /* blocks allocated and not yet freed */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *block);

static inline bool torture_fails(void)
{
    if (torture_left < 0)
        return false;
    if (torture_left > 0) {
        torture_left--;
        return false;
    }
    if (!torture_for_good)
        torture_left = -1;
    torture_hit = true;
    return true;
}

static inline void *torture_count(void *block)
{
    if (block)
        atomic_fetch_add(&torture_live, 1);
    return block;
}

void *__wrap_malloc(size_t size)
{
    return torture_fails() ? NULL : torture_count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return torture_fails() ? NULL : torture_count(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (torture_fails())
        return NULL;
    void *block = __real_realloc(old, size);
    return old ? block : torture_count(block);
}

char *__wrap_strdup(const char *text)
{
    return torture_fails() ? NULL : torture_count(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t len)
{
    return torture_fails() ? NULL : torture_count(__real_strndup(text, len));
}

void __wrap_free(void *block)
{
    if (block)
        atomic_fetch_sub(&torture_live, 1);
    __real_free(block);
}

static inline void torture_arm(long nth, bool for_good)
{
    torture_hit = false;
    torture_for_good = for_good;
    torture_left = nth;
}

/* Ends a run; true if it was the last of its kind: no allocation was left to fail. */
static inline bool torture_done(long nth, long live_before, weir_status got, const char *file,
                                int line, const char *text)
{
    bool hit = torture_hit;
    torture_left = -1;
    long lost = atomic_load(&torture_live) - live_before;
    bool good = lost == 0 && (got == WEIR_OK || (hit && got == WEIR_NOMEM));
    if (!good)
        printf(
            "# %s:%d: with allocation %ld failing%s, status %d and %ld blocks more than before\n",
            file, line, nth + 1, torture_for_good ? " and all after it" : "", (int)got, lost);
    test_expect(good, file, line, text);
    return !hit || !good;
}

#define TORTURE(expression)                                                                       \
    do {                                                                                          \
        for (int torture_mode = 0; torture_mode < 2; torture_mode++) {                            \
            long torture_run = 0;                                                                 \
            for (;; torture_run++) {                                                              \
                long torture_before = atomic_load(&torture_live);                                 \
                torture_arm(torture_run, torture_mode == 1);                                      \
                weir_status torture_got = (expression);                                           \
                if (torture_done(torture_run, torture_before, torture_got, __FILE__, __LINE__,    \
                                 #expression) ||                                                  \
                    torture_run == TORTURE_MAX_RUNS)                                              \
                    break;                                                                        \
            }                                                                                     \
            test_expect(torture_run < TORTURE_MAX_RUNS, __FILE__, __LINE__, #expression " ends"); \
        }                                                                                         \
    } while (0)

#endif
