/*
 * fiber.c: see fiber.h. Its invariant: a fiber that has not returned is exactly one of running,
 * ready (in its family's `ready` or `yielded`) and suspended; and its memory is
 * given back only when its loop's inbox no longer knows its post.
 *
 * Compilers may keep the address of a thread-local variable over a switch; that is right here,
 * since fibers never leave their thread.
 */
#include "fiber.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "overflow.h"
#include "sanitize.h"
#include "stack.h"
#include "switch.h"
#include "weir/fiber.h"

enum {
    RUNS_PER_ROUND = 4096, /* then descriptors and timers get their turn */
    COLOURS = 8,           /* fibers start at so many different cache lines of their page */
    CACHE_LINE = 64,
};

struct wi_fiber {
    wi_list node; /* in ready or yielded */
    wi_fibers *family;
    void *place; /* where to go on */
    bool woken;  /* since the last suspension */
    bool suspended;
    bool returned;
    wi_timer timer;
    wi_post post;
    wi_stack stack;
    void (*fn)(void *arg);
    void *arg;
    void *local;
    const char *name;
    wi_sanitize sanitize;
};

struct wi_fibers {
    wi_loop *loop;
    wi_list ready;
    wi_list yielded;         /* ready in the loop's next turn */
    wi_defer round;          /* runs those that are ready */
    wi_timer turn;           /* set: they wait for the loop's next turn */
    void *loop_place;        /* of the loop's own stack, while a fiber runs */
    void (*call)(void *arg); /* what the fiber wants called on it */
    void *call_arg;
    size_t live;
    size_t leaving; /* returned, with a post on its way */
    unsigned colour;
    int64_t switches;  /* not yet published */
    size_t live_known; /* what is published */
    size_t pooled_known;
    _Atomic(void *) thread; /* whose loop it is: the address of a variable of that thread's */
    wi_stacks stacks;
    wi_sanitize sanitize; /* of the loop's own stack */
};

/* Initial-exec: a signal handler reads it, and must not meet the dynamic linker there. */
static _Thread_local wi_fiber *current __attribute__((tls_model("initial-exec")));

static atomic_llong all_live;
static atomic_llong all_pooled;
static atomic_llong all_switches;

/* Tells the process-wide counters what happened since the last time. */
static void publish(wi_fibers *family)
{
    if (family->switches) {
        atomic_fetch_add(&all_switches, family->switches);
        family->switches = 0;
    }
    if (family->live_known != family->live)
        atomic_fetch_add(&all_live, (long long)family->live - (long long)family->live_known);
    if (family->pooled_known != family->stacks.pooled)
        atomic_fetch_add(&all_pooled,
                         (long long)family->stacks.pooled - (long long)family->pooled_known);
    family->live_known = family->live;
    family->pooled_known = family->stacks.pooled;
}

/* ---- switching ---- */

_Noreturn static void overflowed(const wi_fiber *fiber)
{
    wi_overflow_report(&(wi_overflow){fiber->name, fiber->family->stacks.size});
    wi_overflow_die();
}

bool wi_overflow_find(const void *address, wi_overflow *overflow)
{
    const wi_fiber *fiber = current;
    if (!fiber || !wi_stack_guards(&fiber->family->stacks, &fiber->stack, address))
        return false;
    *overflow = (wi_overflow){fiber->name, fiber->family->stacks.size};
    return true;
}

/* From the loop's stack to the fiber's, until that suspends, returns or wants a call. */
static void enter(wi_fibers *family, wi_fiber *fiber)
{
    family->switches++;
    wi_sanitize_own(&family->sanitize);
    wi_sanitize_leave(&family->sanitize, &fiber->sanitize, false);
    wi_switch(&family->loop_place, fiber->place);
    wi_sanitize_arrive(&family->sanitize, NULL);
    if (!wi_stack_sound(&fiber->stack))
        overflowed(fiber);
}

/* From the fiber's stack back to the loop's, until the loop enters it again. */
static void leave(wi_fiber *fiber)
{
    wi_fibers *family = fiber->family;
    wi_sanitize_leave(&fiber->sanitize, &family->sanitize, fiber->returned);
    wi_switch(&fiber->place, family->loop_place);
    wi_sanitize_arrive(&fiber->sanitize, &family->sanitize);
}

/* The first frame of a fiber's stack, which it never returns from. */
static void begin(void *arg)
{
    wi_fiber *fiber = arg;
    wi_sanitize_arrive(&fiber->sanitize, &fiber->family->sanitize);
    fiber->fn(fiber->arg);
    fiber->returned = true;
    leave(fiber);
    abort();
}

static void release(wi_fiber *fiber)
{
    wi_stack stack = fiber->stack;
    wi_stack_give(&fiber->family->stacks, &stack);
}

static void retire(wi_fibers *family, wi_fiber *fiber)
{
    wi_timer_fini(&fiber->timer);
    wi_sanitize_fini(&fiber->sanitize);
    family->live--;
    if (atomic_load(&fiber->post.queued))
        family->leaving++;
    else
        release(fiber);
}

static void run(wi_fibers *family, wi_fiber *fiber)
{
    wi_fiber *outer = current; /* one of another loop, run by what a fiber has called */
    for (;;) {
        current = fiber;
        enter(family, fiber);
        current = outer;
        if (!family->call)
            break;
        void (*call)(void *arg) = family->call;
        family->call = NULL;
        call(family->call_arg);
    }
    if (fiber->returned)
        retire(family, fiber);
}

/* ---- being ready ---- */

static void here(wi_fibers *family)
{
    atomic_store_explicit(&family->thread, &current, memory_order_relaxed);
}

static bool is_here(wi_fibers *family)
{
    return atomic_load_explicit(&family->thread, memory_order_relaxed) == &current;
}

static void make_ready(wi_fibers *family, wi_fiber *fiber)
{
    wi_list_append(&family->ready, &fiber->node);
    if (!wi_timer_is_set(&family->turn))
        wi_defer_set(family->loop, &family->round);
}

/* Those that get ready meanwhile run too, up to a limit; the rest after a turn of the loop. */
static void run_round(wi_defer *defer)
{
    wi_fibers *family = wi_container_of(defer, wi_fibers, round);
    here(family);
    for (int i = 0; i < RUNS_PER_ROUND; i++) {
        wi_list *node = wi_list_shift(&family->ready);
        if (!node)
            break;
        run(family, wi_container_of(node, wi_fiber, node));
    }
    if (!wi_list_empty(&family->ready) || !wi_list_empty(&family->yielded))
        wi_timer_set(&family->turn, wi_loop_now(family->loop));
    wi_defer_clear(&family->round);
    publish(family);
}

static void next_turn(wi_timer *timer)
{
    wi_fibers *family = wi_container_of(timer, wi_fibers, turn);
    wi_list_splice(&family->ready, &family->yielded);
    wi_defer_set(family->loop, &family->round);
}

static void wake_here(wi_fiber *fiber)
{
    fiber->woken = true;
    if (!fiber->suspended)
        return;
    fiber->suspended = false;
    make_ready(fiber->family, fiber);
}

static void on_timer(wi_timer *timer)
{
    wake_here(wi_container_of(timer, wi_fiber, timer));
}

static void on_post(wi_post *post)
{
    wi_fiber *fiber = wi_container_of(post, wi_fiber, post);
    if (!fiber->returned) {
        wake_here(fiber);
    } else if (!atomic_load(&post->queued)) { /* else once more */
        wi_fibers *family = fiber->family;
        family->leaving--;
        release(fiber);
        publish(family);
    }
}

void wi_fiber_wake(wi_fiber *fiber)
{
    wi_fibers *family = fiber->family;
    if (is_here(family))
        wake_here(fiber);
    else
        wi_loop_post(family->loop, &fiber->post);
}

/* ---- families ---- */

weir_status wi_fibers_new(wi_loop *loop, size_t stack_size, wi_fibers **out, weir_error *err)
{
    wi_fibers *family = calloc(1, sizeof *family);
    if (!family)
        return wi_fail_nomem(err);
    family->loop = loop;
    wi_list_init(&family->ready);
    wi_list_init(&family->yielded);
    wi_defer_init(&family->round, run_round);
    weir_status status = wi_stacks_init(&family->stacks, stack_size, err);
    if (!status && !wi_timer_init(&family->turn, loop, next_turn))
        status = wi_fail_nomem(err);
    if (status) {
        free(family);
        return status;
    }
    *out = family;
    return WEIR_OK;
}

void wi_fibers_free(wi_fibers *family)
{
    if (!family)
        return;
    for (; family->leaving; sched_yield())
        wi_loop_take_posts(family->loop);
    wi_defer_clear(&family->round);
    wi_timer_fini(&family->turn);
    wi_stacks_fini(&family->stacks);
    publish(family);
    free(family);
}

size_t wi_fibers_live(const wi_fibers *family)
{
    return family->live;
}

weir_status wi_fiber_start(wi_fibers *family, void (*fn)(void *arg), void *arg, weir_error *err)
{
    here(family);
    wi_overflow_prepare();
    wi_stack stack;
    weir_status status = wi_stack_take(&family->stacks, &stack, err);
    if (status)
        return status;
    char *top = stack.low + family->stacks.size;
    top -= (family->colour++ % COLOURS) * CACHE_LINE;
    top -= (sizeof(wi_fiber) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    wi_fiber *fiber = (wi_fiber *)(void *)top;
    *fiber = (wi_fiber){.family = family, .fn = fn, .arg = arg, .stack = stack};
    if (!wi_timer_init(&fiber->timer, family->loop, on_timer)) {
        wi_stack_give(&family->stacks, &stack);
        return wi_fail_nomem(err);
    }
    wi_post_init(&fiber->post, on_post);
    wi_sanitize_init(&fiber->sanitize, stack.low, family->stacks.size);
    fiber->place = wi_switch_new(top, (size_t)(top - stack.low), begin, fiber);
    family->live++;
    make_ready(family, fiber);
    return WEIR_OK;
}

/* ---- the fiber that runs ---- */

wi_fiber *wi_fiber_current(void)
{
    return current;
}

wi_loop *wi_fiber_loop(const wi_fiber *fiber)
{
    return fiber->family->loop;
}

wi_fibers *wi_fiber_family(const wi_fiber *fiber)
{
    return fiber->family;
}

void **wi_fiber_local(wi_fiber *fiber)
{
    return &fiber->local;
}

void wi_fiber_set_name(wi_fiber *fiber, const char *name)
{
    fiber->name = name;
}

void wi_fiber_suspend(int64_t deadline)
{
    wi_fiber *fiber = current;
    if (!fiber->woken) {
        wi_timer_set(&fiber->timer, deadline);
        fiber->suspended = true;
        leave(fiber);
        wi_timer_clear(&fiber->timer);
    }
    fiber->woken = false;
}

void wi_fiber_yield(void)
{
    wi_fiber *fiber = current;
    wi_list_append(&fiber->family->yielded, &fiber->node);
    leave(fiber);
}

void wi_fiber_call(void (*fn)(void *arg), void *arg)
{
    wi_fiber *fiber = current;
    if (!fiber) {
        fn(arg);
        return;
    }
    fiber->family->call_arg = arg;
    fiber->family->call = fn;
    leave(fiber);
}

/* ---- weir/fiber.h ---- */

int weir_fiber_inside(void)
{
    return current != NULL;
}

size_t weir_fiber_stack_left(void)
{
    const wi_fiber *fiber = current;
    const char *here_is = __builtin_frame_address(0);
    return fiber && here_is > fiber->stack.low ? (size_t)(here_is - fiber->stack.low) : 0;
}

void weir_fiber_stats_get(weir_fiber_stats *stats)
{
    *stats = (weir_fiber_stats){
        .live = atomic_load(&all_live),
        .pooled = atomic_load(&all_pooled),
        .switches = atomic_load(&all_switches),
        .guard = wi_stack_newest_guard(),
        .switching = wi_switch_name,
    };
}
