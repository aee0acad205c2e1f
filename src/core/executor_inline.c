/*
 * executor_inline.c: tasks run in the call that hands them in. Its invariant: the initializer has
 * run, once, before any task does.
 */
#include <stdlib.h>

#include "executor_state.h"

typedef struct inline_state {
    pthread_mutex_t lock; /* held while the initializer runs; over the next */
    bool initialized;
    _Atomic(bool) ready; /* the same, to be read without it */
} inline_state;

static weir_status open_inline(weir_executor *ex, weir_error *err)
{
    inline_state *state = calloc(1, sizeof *state);
    if (!state)
        return wi_fail_nomem(err);
    pthread_mutex_init(&state->lock, NULL);
    ex->backend_state = state;
    return WEIR_OK;
}

static bool initialize(weir_executor *ex)
{
    inline_state *state = ex->backend_state;
    if (atomic_load(&state->ready) || wi_executor_inside(ex)) /* the latter: by itself */
        return true;
    pthread_mutex_lock(&state->lock);
    bool good = true;
    if (!state->initialized) {
        state->initialized = true;
        good = wi_executor_initialize(ex);
        atomic_store(&state->ready, true); /* broken or not */
    }
    pthread_mutex_unlock(&state->lock);
    return good;
}

/* The submitting thread is a worker as long as it runs the task. */
static weir_status run_here(weir_executor *ex, wi_work *work, weir_error *err)
{
    (void)err;
    wi_executor_hire(ex);
    if (initialize(ex) && wi_executor_claim(ex, work))
        work->run(work);
    wi_executor_retire(ex);
    return WEIR_OK;
}

static void closing_inline(weir_executor *ex)
{
    (void)ex;
}

static void close_inline(weir_executor *ex)
{
    inline_state *state = ex->backend_state;
    pthread_mutex_destroy(&state->lock);
    free(state);
}

const wi_executor_backend wi_executor_inline = {
    .name = "inline",
    .open = open_inline,
    .summon = run_here,
    .closing = closing_inline,
    .close = close_inline,
    .in_process = true,
};
