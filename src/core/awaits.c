/* awaits.c: see awaits.h. */
#include "awaits.h"

#include <pthread.h>

#include "future_state.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all edges but future->running */

void wi_awaits_nest(wi_task *outer, wi_task *inner)
{
    pthread_mutex_lock(&lock);
    outer->inner = inner;
    pthread_mutex_unlock(&lock);
}

weir_status wi_awaits_self(const weir_future *future, weir_error *err)
{
    for (const wi_task *task = wi_task_current(); task; task = task->outer)
        if (task->future == future)
            return wi_fail(err, WEIR_INVALID,
                           "the task %s would wait for its own end: its future can only be waited "
                           "for from outside",
                           wi_task_name(task));
    return WEIR_OK;
}

/* What the task that completes the future waits for; *reached: it is `from`. A task can't leave
 * while its future is locked, nor one on top of it while the graph is, nor can an awaited future
 * go. */
static weir_future *next_future(weir_future *future, const wi_task *from, bool *reached)
{
    pthread_mutex_lock(&future->lock);
    wi_task *task = future->running;
    while (task && task->inner)
        task = task->inner;
    *reached = task == from;
    weir_future *next = task ? task->awaits : NULL;
    pthread_mutex_unlock(&future->lock);
    return next;
}

weir_status wi_awaits_begin(weir_future *future, weir_error *err)
{
    wi_task *task = wi_task_current();
    if (wi_task_is_root(task))
        return WEIR_OK;
    weir_status status = wi_awaits_self(future, err);
    if (status)
        return status;
    pthread_mutex_lock(&lock);
    bool cycle = false;
    for (weir_future *at = future; at && !cycle;)
        at = next_future(at, task, &cycle);
    if (!cycle)
        task->awaits = future;
    pthread_mutex_unlock(&lock);
    if (cycle)
        return wi_fail(err, WEIR_INVALID,
                       "the task %s would wait for a task that waits for it in turn, so neither "
                       "could ever end",
                       wi_task_name(task));
    return WEIR_OK;
}

void wi_awaits_end(void)
{
    wi_task *task = wi_task_current();
    if (wi_task_is_root(task))
        return;
    pthread_mutex_lock(&lock);
    task->awaits = NULL;
    pthread_mutex_unlock(&lock);
}
