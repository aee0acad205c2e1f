/* help.c: see help.h. */
#include "help.h"

#include "executor_state.h"
#include "fiber.h"
#include "future_state.h"

static bool is_own(const weir_executor *ex)
{
    for (const wi_task *task = wi_task_current(); task; task = task->outer)
        if (task->executor == ex)
            return true;
    return false;
}

static void run_claimed(void *arg)
{
    weir_future *future = arg;
    weir_executor *ex = future->executor;
    future->work.run(&future->work);
    wi_executor_over(ex);
}

bool wi_help(weir_future *future)
{
    weir_executor *ex = future->executor;
    if (!ex || weir_future_get_state(future) != WEIR_FUTURE_PENDING)
        return false;
    if (!ex->backend->in_process || !is_own(ex) || !wi_executor_claim(ex, &future->work))
        return false;
    wi_fiber *fiber = wi_fiber_current();
    if (!fiber || wi_fiber_start(wi_fiber_family(fiber), run_claimed, future, NULL))
        run_claimed(future);
    return true;
}
