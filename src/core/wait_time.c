/* wait_time.c: waits for nothing but time, and what time a task has left (weir/wait.h). */
#include <sched.h>

#include "clock.h"
#include "fiber.h"
#include "task.h"
#include "weir/wait.h"

weir_status weir_sleep(int64_t ns, weir_error *err)
{
    if (ns <= 0)
        return wi_task_check(err);
    int64_t until = wi_deadline_in(ns);
    weir_status status = WEIR_OK;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    while (wi_park_now() < until && !(status = wi_task_wait(&waiting, until, err)))
        continue;
    wi_task_wait_end(&waiting);
    return status;
}

weir_status weir_yield(weir_error *err)
{
    weir_status status = wi_task_check(err);
    if (status)
        return status;
    if (wi_fiber_current())
        wi_fiber_yield();
    else
        sched_yield();
    return wi_task_check(err);
}

static int64_t left_until(int64_t deadline)
{
    if (deadline == WI_FOREVER)
        return -1;
    int64_t now = wi_park_now();
    return deadline > now ? deadline - now : 0;
}

int64_t weir_deadline_set(int64_t timeout_ns)
{
    wi_task *task = wi_task_current();
    int64_t before = left_until(task->deadline);
    int64_t deadline = wi_deadline_in(timeout_ns);
    task->deadline = deadline < task->limit ? deadline : task->limit;
    return before;
}

int64_t weir_deadline_left(void)
{
    return left_until(wi_task_current()->deadline);
}

weir_status weir_task_check(weir_error *err)
{
    return wi_task_check(err);
}
