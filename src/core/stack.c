/*
 * stack.c: see stack.h. Its invariant: a slab is in `warm` if a warm stack of it is free, else in
 * `cold` if any is free, else in neither; `pooled` counts the warm ones.
 */
#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sanitize.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

enum {
    SLAB_STACKS = 64, /* the bits of a mask */
    SLAB_BYTES = 64 << 20,
    CANARY_BYTES = 512,
    DEFAULT_MAX_MAPPINGS = 65530,
};

struct wi_slab {
    wi_list node;
    char *base;
    uint64_t free; /* a bit for each stack */
    uint64_t warm; /* of the free ones */
    weir_fiber_guard guard;
};

static atomic_int best_guard = WEIR_FIBER_GUARD_INSTALL;
static atomic_int newest_guard = WEIR_FIBER_GUARD_INSTALL;
static atomic_long split_mappings; /* of the process, by mprotect here */

static size_t slab_bytes(const wi_stacks *stacks)
{
    return stacks->stride * stacks->per_slab;
}

weir_status wi_stacks_init(wi_stacks *stacks, size_t size, weir_error *err)
{
    if (size > WI_STACK_MAX)
        return wi_fail(err, WEIR_INVALID,
                       "a stack_size of %zu bytes is too large; it can be at most %d", size,
                       WI_STACK_MAX);
    if (!size)
        size = WI_STACK_DEFAULT;
    if (size < WI_STACK_MIN)
        size = WI_STACK_MIN;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t guard = page > WI_STACK_GUARD ? page : WI_STACK_GUARD;
    *stacks = (wi_stacks){.size = (size + page - 1) / page * page};
    stacks->stride = guard + stacks->size;
    size_t per_slab = SLAB_BYTES / stacks->stride;
    stacks->per_slab = per_slab < 1 ? 1 : per_slab > SLAB_STACKS ? SLAB_STACKS : (unsigned)per_slab;
    stacks->all = UINT64_MAX >> (SLAB_STACKS - stacks->per_slab);
    wi_list_init(&stacks->warm);
    wi_list_init(&stacks->cold);
    return WEIR_OK;
}

/* ---- guards ---- */

void wi_stack_limit_guard(weir_fiber_guard best)
{
    atomic_store(&best_guard, (int)best);
}

weir_fiber_guard wi_stack_newest_guard(void)
{
    return (weir_fiber_guard)atomic_load(&newest_guard);
}

static long read_max_mappings(void)
{
    char text[32] = "";
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    long max = n > 0 ? strtol(text, NULL, 10) : 0;
    return max > 0 ? max : DEFAULT_MAX_MAPPINGS;
}

/* Each guard splits a mapping in two. A quarter of the kernel's limit is left to everybody else. */
static bool claim_mappings(long n)
{
    static atomic_long max;
    if (!atomic_load(&max))
        atomic_store(&max, read_max_mappings());
    if (atomic_fetch_add(&split_mappings, n) + n <= atomic_load(&max) / 4 * 3)
        return true;
    atomic_fetch_sub(&split_mappings, n);
    return false;
}

/* Emulators take advice that they don't know, and do nothing; so the guard is put to the test. */
static bool is_guarded(char *at)
{
    return madvise(at, (size_t)sysconf(_SC_PAGESIZE), MADV_POPULATE_READ) != 0 && errno == EFAULT;
}

static bool guard_all(const wi_stacks *stacks, char *base, weir_fiber_guard guard)
{
    size_t bytes = stacks->stride - stacks->size;
    for (unsigned i = 0; i < stacks->per_slab; i++) {
        char *at = base + i * stacks->stride;
        int failed = guard == WEIR_FIBER_GUARD_INSTALL ? madvise(at, bytes, MADV_GUARD_INSTALL)
                                                       : mprotect(at, bytes, PROT_NONE);
        if (failed)
            return false;
    }
    return true;
}

/* The best guard that the kernel gives. */
static weir_fiber_guard make_guards(const wi_stacks *stacks, char *base)
{
    int best = atomic_load(&best_guard);
    if (best <= WEIR_FIBER_GUARD_INSTALL && guard_all(stacks, base, WEIR_FIBER_GUARD_INSTALL) &&
        is_guarded(base))
        return WEIR_FIBER_GUARD_INSTALL;
    long mappings = 2L * (long)stacks->per_slab;
    if (best <= WEIR_FIBER_GUARD_MPROTECT && claim_mappings(mappings)) {
        if (guard_all(stacks, base, WEIR_FIBER_GUARD_MPROTECT))
            return WEIR_FIBER_GUARD_MPROTECT;
        atomic_fetch_sub(&split_mappings, mappings);
        mprotect(base, slab_bytes(stacks), PROT_READ | PROT_WRITE);
    }
    return WEIR_FIBER_GUARD_CANARY;
}

bool wi_stack_guards(const wi_stacks *stacks, const wi_stack *stack, const void *address)
{
    uintptr_t low = (uintptr_t)stack->low;
    uintptr_t at = (uintptr_t)address;
    return at < low && low - at <= stacks->stride - stacks->size;
}

weir_fiber_guard wi_stack_guard(const wi_stack *stack)
{
    return stack->slab->guard;
}

/*
 * Memory that nobody wrote to is zero, and reading it costs none: so zeros are the canary. What
 * overflows leaves return addresses behind.
 */
bool wi_stack_sound(const wi_stack *stack)
{
    if (stack->slab->guard != WEIR_FIBER_GUARD_CANARY)
        return true;
    const uint64_t *word = (const uint64_t *)(const void *)(stack->low - CANARY_BYTES);
    uint64_t seen = 0;
    for (size_t i = 0; i < CANARY_BYTES / sizeof *word; i++)
        seen |= word[i];
    return !seen;
}

/* ---- slabs ---- */

static void relist(wi_stacks *stacks, wi_slab *slab)
{
    wi_list_remove(&slab->node);
    if (slab->warm)
        wi_list_append(&stacks->warm, &slab->node);
    else if (slab->free)
        wi_list_append(&stacks->cold, &slab->node);
}

static weir_status map_slab(wi_stacks *stacks, weir_error *err)
{
    wi_slab *slab = calloc(1, sizeof *slab);
    if (!slab)
        return wi_fail_nomem(err);
    size_t bytes = slab_bytes(stacks);
    slab->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab->base == MAP_FAILED) {
        int failure = errno;
        free(slab);
        return wi_fail_errno(err, failure, "cannot map %u stacks of %zu bytes (%zu are in use)",
                             stacks->per_slab, stacks->size, stacks->live);
    }
    madvise(slab->base, bytes, MADV_NOHUGEPAGE); /* one small page a stack is the point of it all */
    slab->guard = make_guards(stacks, slab->base);
    atomic_store(&newest_guard, (int)slab->guard);
    slab->free = stacks->all;
    wi_list_init(&slab->node);
    relist(stacks, slab);
    return WEIR_OK;
}

static void unmap_slab(wi_stacks *stacks, wi_slab *slab)
{
    wi_list_remove(&slab->node);
    stacks->pooled -= (size_t)__builtin_popcountll(slab->warm);
    munmap(slab->base, slab_bytes(stacks));
    if (slab->guard == WEIR_FIBER_GUARD_MPROTECT)
        atomic_fetch_sub(&split_mappings, 2L * (long)stacks->per_slab);
    free(slab);
}

/* Gives back the memory of a slab's warm stacks; its addresses too if it has no other. */
static void cool(wi_stacks *stacks, wi_slab *slab)
{
    if (slab->free == stacks->all) {
        unmap_slab(stacks, slab);
        return;
    }
    stacks->pooled -= (size_t)__builtin_popcountll(slab->warm);
    for (unsigned i = 0; i < stacks->per_slab; i++) {
        unsigned first = i;
        while (i < stacks->per_slab && slab->warm >> i & 1)
            i++;
        if (i > first) /* guards stay */
            madvise(slab->base + first * stacks->stride, (i - first) * stacks->stride,
                    MADV_DONTNEED);
    }
    slab->warm = 0;
    relist(stacks, slab);
}

void wi_stacks_fini(wi_stacks *stacks)
{
    wi_list_splice(&stacks->cold, &stacks->warm);
    for (wi_list *node; (node = wi_list_shift(&stacks->cold));)
        unmap_slab(stacks, wi_container_of(node, wi_slab, node));
}

/* ---- stacks ---- */

weir_status wi_stack_take(wi_stacks *stacks, wi_stack *out, weir_error *err)
{
    if (wi_list_empty(&stacks->warm) && wi_list_empty(&stacks->cold)) {
        weir_status status = map_slab(stacks, err);
        if (status)
            return status;
    }
    const wi_list *from = wi_list_empty(&stacks->warm) ? &stacks->cold : &stacks->warm;
    wi_slab *slab = wi_container_of(from->prev, wi_slab, node);
    unsigned index = (unsigned)__builtin_ctzll(slab->warm ? slab->warm : slab->free);
    uint64_t bit = UINT64_C(1) << index;
    stacks->pooled -= (slab->warm & bit) != 0;
    slab->free &= ~bit;
    slab->warm &= ~bit;
    relist(stacks, slab);
    stacks->live++;
    size_t guard = stacks->stride - stacks->size;
    *out = (wi_stack){slab->base + index * stacks->stride + guard, slab, index};
    return WEIR_OK;
}

void wi_stack_give(wi_stacks *stacks, const wi_stack *stack)
{
    wi_slab *slab = stack->slab;
    wi_sanitize_forget(stack->low, stacks->size);
    slab->free |= UINT64_C(1) << stack->index;
    slab->warm |= UINT64_C(1) << stack->index;
    stacks->live--;
    stacks->pooled++;
    relist(stacks, slab);
    while (stacks->pooled > stacks->live + WI_STACK_KEPT)
        cool(stacks, wi_container_of(wi_list_shift(&stacks->warm), wi_slab, node));
}
