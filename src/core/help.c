/* help.c: see help.h. */
#include "help.h"

#include "fiber.h"
#include "future_state.h"

static void run_claimed(void *arg)
{
    weir_future *future = arg;
    future->work.run(&future->work);
}

bool wi_help(weir_future *future)
{
    weir_executor *ex = future->executor;
    if (!ex || weir_future_get_state(future) != WEIR_FUTURE_PENDING)
        return false;
    wi_fiber *fiber = wi_fiber_current();
    if (fiber && !ex->options.max_workers) /* all begin by themselves */
        return false;
    if (!ex->backend->in_process || !wi_executor_inside(ex) ||
        !wi_executor_claim(ex, &future->work))
        return false;
    if (!fiber || wi_fiber_start(wi_fiber_family(fiber), run_claimed, future, NULL))
        run_claimed(future);
    return true;
}

bool wi_help_any(wi_helper *helper)
{
    if (helper->current && !wi_future_is_over(helper->current))
        return false;
    helper->current = NULL;
    while (helper->next < helper->n) {
        weir_future *future = helper->futures[helper->next++];
        if (wi_help(future)) {
            helper->current = future;
            return true;
        }
    }
    return false;
}
