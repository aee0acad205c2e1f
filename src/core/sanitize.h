/*
 * sanitize.h: what the sanitizers and Valgrind want to be told about stacks and switches. Nothing
 * of it is left in a plain build, but for Valgrind's markers, which a processor runs over.
 *
 * Before each switch the one who leaves says where to; after it, the one who arrives says so.
 */
#ifndef WI_SANITIZE_H
#define WI_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __has_feature
#define WI_HAS_FEATURE(x) __has_feature(x)
#else
#define WI_HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || WI_HAS_FEATURE(address_sanitizer)
#define WI_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define WI_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || WI_HAS_FEATURE(thread_sanitizer)
#define WI_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define WI_TSAN 0
#endif

#ifdef WI_VALGRIND
#include <valgrind/memcheck.h>
#endif

/* Of a stack that is switched to and from. */
typedef struct wi_sanitize {
#if WI_ASAN
    void *fake; /* while it is left */
    const void *low;
    size_t size;
#endif
#if WI_TSAN
    void *fiber;
#endif
#ifdef WI_VALGRIND
    unsigned valgrind;
#endif
    char nothing; /* C has no empty structs */
} wi_sanitize;

/* The memory of a stack whose frames are gone may be used anew. */
static inline void wi_sanitize_forget(const char *low, size_t size)
{
    (void)low;
    (void)size;
#if WI_ASAN
    __asan_unpoison_memory_region(low, size);
#endif
#ifdef WI_VALGRIND
    VALGRIND_MAKE_MEM_UNDEFINED(low, size);
#endif
}

/* A new stack. */
static inline void wi_sanitize_init(wi_sanitize *self, const char *low, size_t size)
{
    (void)self;
    (void)low;
    (void)size;
#if WI_ASAN
    self->fake = NULL;
    self->low = low;
    self->size = size;
#endif
#if WI_TSAN
    self->fiber = __tsan_create_fiber(0);
#endif
#ifdef WI_VALGRIND
    self->valgrind = VALGRIND_STACK_REGISTER(low, low + size);
#endif
}

/* After it was left for good. */
static inline void wi_sanitize_fini(wi_sanitize *self)
{
    (void)self;
#if WI_TSAN
    __tsan_destroy_fiber(self->fiber);
#endif
#ifdef WI_VALGRIND
    VALGRIND_STACK_DEREGISTER(self->valgrind);
#endif
}

/* The thread's own stack, before it is left. */
static inline void wi_sanitize_own(wi_sanitize *self)
{
    (void)self;
#if WI_TSAN
    self->fiber = __tsan_get_current_fiber();
#endif
}

/* for_good: `from` will not be gone back to. */
static inline void wi_sanitize_leave(wi_sanitize *from, const wi_sanitize *to, bool for_good)
{
    (void)from;
    (void)to;
    (void)for_good;
#if WI_ASAN
    __sanitizer_start_switch_fiber(for_good ? NULL : &from->fake, to->low, to->size);
#endif
#if WI_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* own: the thread's own stack, if that is what was left: its bounds are learned here. */
static inline void wi_sanitize_arrive(wi_sanitize *self, wi_sanitize *own)
{
    (void)self;
    (void)own;
#if WI_ASAN
    __sanitizer_finish_switch_fiber(self->fake, own ? &own->low : NULL, own ? &own->size : NULL);
#endif
}

#endif
