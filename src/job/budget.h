/*
 * budget.h: the memory a run may use for what it has read, received and not yet written.
 *
 * One counter for all threads. Nobody waits on it: who finds it over its limit stops taking on work
 * and sets `pressed`; who gives memory back asks `relieved` whether to wake them.
 */
#ifndef WI_BUDGET_H
#define WI_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct wi_budget {
    int64_t limit;
    _Atomic int64_t used;
    atomic_bool pressed;
} wi_budget;

static inline void wi_budget_take(wi_budget *budget, int64_t bytes)
{
    atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
}

static inline void wi_budget_give(wi_budget *budget, int64_t bytes)
{
    atomic_fetch_sub(&budget->used, bytes);
}

static inline bool wi_budget_is_over(wi_budget *budget, int64_t limit)
{
    if (atomic_load_explicit(&budget->used, memory_order_relaxed) < limit)
        return false;
    atomic_store(&budget->pressed, true);
    return atomic_load(&budget->used) >= limit;
}

/* No new items: a quarter is left for what is under way. */
static inline bool wi_budget_is_tight(wi_budget *budget)
{
    return wi_budget_is_over(budget, budget->limit / 4 * 3);
}

/* Nothing more, but for the item everybody waits for. */
static inline bool wi_budget_is_spent(wi_budget *budget)
{
    return wi_budget_is_over(budget, budget->limit);
}

/* Somebody has stopped for want of memory: what can be given back is waited for. */
static inline bool wi_budget_is_pressed(wi_budget *budget)
{
    return atomic_load_explicit(&budget->pressed, memory_order_relaxed);
}

/* True once after pressure: those who stopped should look again. */
static inline bool wi_budget_relieved(wi_budget *budget)
{
    return atomic_load(&budget->pressed) && atomic_exchange(&budget->pressed, false);
}

#endif
