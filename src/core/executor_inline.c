/*
 * executor_inline.c: tasks run in the call that hands them in. Its invariant: the initializer has
 * run, once, before any task does.
 */
#include <stdlib.h>

#include "executor_state.h"

typedef struct inline_state {
    atomic_bool begun;        /* the initializer */
    weir_future *initialized; /* over as soon as it is, whether it failed or not */
} inline_state;

static weir_status open_inline(weir_executor *ex, weir_error *err)
{
    inline_state *state = calloc(1, sizeof *state);
    if (!state)
        return wi_fail_nomem(err);
    weir_status status = weir_future_new(NULL, &state->initialized, err);
    if (status)
        free(state);
    else
        ex->backend_state = state;
    return status;
}

/* The first caller does; others wait, on fibers of the same thread too. Fails if such a wait does.
 */
static weir_status initialize(weir_executor *ex, weir_error *err)
{
    inline_state *state = ex->backend_state;
    if (weir_future_done(state->initialized) || wi_executor_inside(ex)) /* the latter: by itself */
        return WEIR_OK;
    if (atomic_exchange(&state->begun, true))
        return weir_future_error(state->initialized, -1, err);
    wi_executor_initialize(ex);
    weir_future_complete(state->initialized, NULL);
    return WEIR_OK;
}

/* The submitting thread is a worker as long as it runs the task. */
static weir_status run_here(weir_executor *ex, wi_work *work, weir_error *err)
{
    wi_executor_hire(ex);
    weir_status status = initialize(ex, err);
    if (!status && wi_executor_claim(ex, work)) /* else it was dropped, as the executor is broken */
        work->run(work);
    wi_executor_retire(ex);
    return status;
}

static void closing_inline(weir_executor *ex)
{
    (void)ex;
}

static void close_inline(weir_executor *ex)
{
    inline_state *state = ex->backend_state;
    weir_future_unref(state->initialized);
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
