/*
 * loop.h: one thread's event loop: descriptors, timers, an inbox for other threads.
 *
 * A loop belongs to the thread that runs it. Everything here is for that thread alone, except
 * wi_loop_post and wi_loop_stop, which any thread may call. Nothing blocks but wi_loop_run; no
 * callback is called from inside a call that sets it up.
 *
 * A turn goes: apply changed interests, wait, then descriptors, timers, and last the deferred work
 * until there is none (or very much of it). On a virtual clock (clock.h) a turn that finds nothing
 * to do moves the clock to the next timer instead of waiting.
 */
#ifndef WI_LOOP_H
#define WI_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "clock.h"
#include "error.h"
#include "heap.h"
#include "list.h"

typedef struct wi_loop wi_loop;
typedef struct wi_timer wi_timer;
typedef struct wi_watch wi_watch;
typedef struct wi_defer wi_defer;
typedef struct wi_post wi_post;

weir_status wi_loop_new(wi_clock *clock, wi_loop **out, weir_error *err);

/*
 * Frees what is attached to it, newest first, and it. On the thread that ran it, which does not run
 * it now; no timer or watch may be left in it but those of attached objects. NULL is fine.
 */
void wi_loop_free(wi_loop *loop);

/* Turns until wi_loop_stop; fails only if the kernel's epoll does. */
weir_status wi_loop_run(wi_loop *loop, weir_error *err);

/*
 * One turn, which waits only if `wait` and nothing is due. If epoll fails, it says so, and has done
 * all the rest of a turn: posts, timers and deferred work.
 */
weir_status wi_loop_turn(wi_loop *loop, bool wait, weir_error *err);

/* Ends wi_loop_run after the current turn. Any thread. */
void wi_loop_stop(wi_loop *loop);

/* The time as of this turn, and the time this very moment. */
int64_t wi_loop_now(const wi_loop *loop);
int64_t wi_loop_clock(const wi_loop *loop);

/* ---- attached objects: of which each loop has its own, such as an HTTP client ---- */

/* What was attached under this key, NULL if nothing was. A key is an address nobody else uses. */
void *wi_loop_get(wi_loop *loop, const void *key);

/*
 * Has wi_loop_free call release(value), while timers and watches can still be ended. Each key once.
 * False: no memory, and the value is still the caller's.
 */
bool wi_loop_attach(wi_loop *loop, const void *key, void *value, void (*release)(void *value));

/* ---- timers: called once, at or after their time ---- */

struct wi_timer {
    wi_heap_node node;
    wi_loop *loop;
    void (*fn)(wi_timer *timer);
};

/* Room for the timer is taken here, so that setting it cannot fail; false: no memory. */
bool wi_timer_init(wi_timer *timer, wi_loop *loop, void (*fn)(wi_timer *timer));

/* Safe on a timer that is all zero. */
void wi_timer_fini(wi_timer *timer);

/* Calls fn at `when`, which replaces an earlier setting; WI_FOREVER clears it. */
void wi_timer_set(wi_timer *timer, int64_t when);
void wi_timer_clear(wi_timer *timer);

static inline bool wi_timer_is_set(const wi_timer *timer)
{
    return timer->node.index != 0;
}

/* ---- watches: a descriptor's readiness ---- */

struct wi_watch {
    wi_list dirty;
    wi_loop *loop;
    void (*fn)(wi_watch *watch, uint32_t events);
    void (*soon)(wi_watch *watch); /* nullable: fn comes after the next; fetch into the cache */
    int fd;
    uint32_t wanted; /* what the owner asked for last */
    uint32_t armed;  /* what epoll knows */
    bool asleep;     /* nothing was wanted when the loop last looked; epoll may know of it still */
};

void wi_watch_init(wi_watch *watch, wi_loop *loop, int fd,
                   void (*fn)(wi_watch *watch, uint32_t events));

/*
 * Which of EPOLLIN and EPOLLOUT are wanted from the next wait on; 0: none. Changes within a turn
 * cost nothing if they end where they began, which is what a kept-alive connection does. If epoll
 * refuses the descriptor, fn gets EPOLLERR.
 *
 * While nothing is wanted the descriptor may be closed, and its number be another's: epoll hears
 * nothing of it but when something comes, which proves that it is open, or when something is wanted
 * again.
 */
void wi_watch_want(wi_watch *watch, uint32_t events);

/*
 * For watches that are used in this way only: fn is called for the next event of these, once, and
 * then the watch sleeps until it is asked again, which is one system call each time. The descriptor
 * may have been closed, and its number used for another, while it slept. 0, or epoll's errno: EPERM
 * where readiness means nothing (a regular file), EBADF if it is not open.
 */
int wi_watch_once(wi_watch *watch, uint32_t events);

/* Ends the watch, before its descriptor is closed; fn is not called any more. */
void wi_watch_fini(wi_watch *watch);

/* The same where the descriptor has been closed already, and its number may be another's. */
void wi_watch_forget(wi_watch *watch);

/* ---- deferred work: at the end of this turn ---- */

struct wi_defer {
    wi_list node;
    void (*fn)(wi_defer *defer);
};

void wi_defer_init(wi_defer *defer, void (*fn)(wi_defer *defer));

/* Does nothing if it is due already. */
void wi_defer_set(wi_loop *loop, wi_defer *defer);
void wi_defer_clear(wi_defer *defer);

/* ---- the inbox: a word from another thread ---- */

struct wi_post {
    wi_post *next;
    atomic_bool queued;
    void (*fn)(wi_post *post);
};

void wi_post_init(wi_post *post, void (*fn)(wi_post *post));

/*
 * Has fn called on the loop's thread, soon; once for all posts that come before it is called. The
 * post must live until then. Any thread.
 */
void wi_loop_post(wi_loop *loop, wi_post *post);

/* Calls what is posted now instead of in the next turn: for who is about to give up a post. */
void wi_loop_take_posts(wi_loop *loop);

#endif
