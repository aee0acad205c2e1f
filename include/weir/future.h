/*
 * weir/future.h: the place where one result or error arrives, exactly once.
 *
 * A future is pending, then running, then finished; or it is cancelled. Whoever gives work to an
 * executor (weir/executor.h) gets one back; weir_future_new makes one that the program completes
 * itself. The rules are those of Python's concurrent.futures, but for what its users complain of: a
 * cancelled future counts as done at once, wherever futures are waited for, and a result is moved
 * to the one who asks first instead of being shared.
 *
 * All calls may be made from any thread and from inside any task. A call that waits suspends the
 * fiber it is made in, or else blocks the thread; it ends early with WEIR_CANCELLED or
 * WEIR_TIMEDOUT when the task that makes it is cancelled or past its deadline (weir/wait.h). Time
 * spans are nanoseconds; where one is a timeout, negative means for ever and 0 means not to wait at
 * all.
 */
#ifndef WEIR_FUTURE_H
#define WEIR_FUTURE_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_future weir_future;

typedef enum weir_future_state {
    WEIR_FUTURE_PENDING,   /* not begun */
    WEIR_FUTURE_RUNNING,   /* begun; it can be asked to end, not be taken back */
    WEIR_FUTURE_CANCELLED, /* over, without result */
    WEIR_FUTURE_FINISHED   /* over, with a result or an error */
} weir_future_state;

/* What became of an attempt to cancel. */
typedef enum weir_cancel {
    WEIR_CANCEL_TOO_LATE, /* it had finished, or is the program's own and runs */
    WEIR_CANCEL_DONE,     /* it is cancelled; its task never runs */
    WEIR_CANCEL_ASKED     /* it runs, and was asked to end: its next wait, or the one it is in,
                             returns WEIR_CANCELLED */
} weir_cancel;

/*
 * Makes a future of the program's own, pending, with one reference. release (nullable) frees a
 * result that nobody has taken when the last reference goes. WEIR_NOMEM.
 */
weir_status weir_future_new(void (*release)(void *result), weir_future **out, weir_error *err);

/* Takes one reference more; returns the future. */
weir_future *weir_future_ref(weir_future *future);

/* Gives one reference back; the last frees it. Does not cancel its task. NULL is fine. */
void weir_future_unref(weir_future *future);

/* ---- the side that completes ---- */

/*
 * Moves a future from pending to running. 1: go on. 0: it was cancelled (or is running or over
 * already), so there is nothing to do. For futures of weir_future_new.
 */
int weir_future_start(weir_future *future);

/*
 * Finishes a future with a result, which now belongs to the future. 1: done. 0: it was over already
 * and the result remains the caller's. Runs the callbacks before it returns. For futures of
 * weir_future_new.
 */
int weir_future_complete(weir_future *future, void *result);

/* The same with an error instead of a result, which is copied; 0 also if its status is WEIR_OK. */
int weir_future_fail(weir_future *future, const weir_error *error);

/* ---- the side that asks ---- */

/* Says where a future stands now. */
weir_future_state weir_future_get_state(const weir_future *future);

/* Tells whether a future is over (cancelled or finished), runs, or was cancelled: 1 if so, else 0.
 */
int weir_future_done(const weir_future *future);
int weir_future_running(const weir_future *future);
int weir_future_cancelled(const weir_future *future);

/*
 * Cancels a future that is pending, and asks one that is running to end. Never waits. One that was
 * asked is over when its task returns: cancelled if the task returned an error with WEIR_CANCELLED,
 * finished if it had a result or another error by then. A task that returns WEIR_CANCELLED without
 * having been asked, say because another's future was cancelled, has finished with that error.
 */
weir_cancel weir_future_cancel(weir_future *future);

/*
 * Waits until the future is over and moves its result to the caller. WEIR_OK: *result is the
 * caller's. Else *result is untouched: the task's own error; WEIR_CANCELLED if it was cancelled;
 * WEIR_INVALID if the result was taken before, or if a task waits for itself, directly or through
 * tasks that wait for each other; WEIR_TIMEDOUT if timeout_ns passed. The last, and WEIR_CANCELLED
 * when the caller itself is cancelled, differ from a task's own error by weir_future_done being 0.
 *
 * A task that waits here for another of its own executor which nobody has begun helps itself, since
 * all workers might wait so: on a thread it runs that task on its own stack, and returns when it is
 * over even if that is later than timeout_ns; on a fiber it starts another fiber for it, if the
 * number of fibers is limited. (Not with processes.) weir_wait and weir_completions_next do
 * likewise, one task at a time.
 */
weir_status weir_future_result(weir_future *future, int64_t timeout_ns, void **result,
                               weir_error *err);

/*
 * Waits likewise, and says how the future ended without taking anything: WEIR_OK if there is, or
 * was, a result. May be asked again and again.
 */
weir_status weir_future_error(weir_future *future, int64_t timeout_ns, weir_error *err);

/*
 * Has fn(future, arg) called once the future is over: in the thread that completes or cancels it,
 * or at once, here, if it is over already. Callbacks run in the order in which they were added,
 * with no lock held, after the result can be asked for; they should be short, and may call anything
 * that does not wait. The future is kept alive until fn has returned. If its last reference goes
 * before it is over, fn is not called. WEIR_NOMEM.
 */
weir_status weir_future_add_done_callback(weir_future *future,
                                          void (*fn)(weir_future *future, void *arg), void *arg,
                                          weir_error *err);

/* ---- many of them ---- */

typedef enum weir_wait_until {
    WEIR_FIRST_COMPLETED, /* one is over, however it ended */
    WEIR_FIRST_EXCEPTION, /* one finished with an error (being cancelled is none), or all are over
                           */
    WEIR_ALL_COMPLETED
} weir_wait_until;

/*
 * Waits for several futures. WEIR_OK, or WEIR_TIMEDOUT when timeout_ns passed first; either way
 * *done (nullable) says how many different ones are over: the same future given twice counts once.
 * weir_future_done tells which. n may be 0: that is over at once. WEIR_INVALID: a task waits for
 * all of several, and its own is among them. WEIR_NOMEM.
 */
weir_status weir_wait(weir_future *const *futures, size_t n, weir_wait_until until,
                      int64_t timeout_ns, size_t *done, weir_error *err);

typedef struct weir_completions weir_completions;

/*
 * Iterates over futures as they come to their end: first those that are over already, then the
 * others in the order in which they end, each once, even if it was given twice. timeout_ns is one
 * deadline for all, from this call on. The futures are referenced until the iterator is freed. One
 * thread or fiber at a time may use it.
 */
weir_status weir_as_completed(weir_future *const *futures, size_t n, int64_t timeout_ns,
                              weir_completions **out, weir_error *err);

/*
 * Waits for the next future that is over. WEIR_OK: *future is it (the iterator's reference; take
 * your own to keep it). WEIR_END: all were handed out. WEIR_TIMEDOUT: the deadline passed before
 * the next came.
 */
weir_status weir_completions_next(weir_completions *completions, weir_future **future,
                                  weir_error *err);

/* Frees an iterator over futures; cancels nothing. NULL is fine. */
void weir_completions_free(weir_completions *completions);

#ifdef __cplusplus
}
#endif
#endif
