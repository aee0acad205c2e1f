/*
 * task.c: see task.h. The current task stands in a thread-local variable, or in the fiber's own
 * pointer; its invariant is that whoever wakes a waiting task does so under the task's lock, under
 * which the task says where it waits and that it waits no longer.
 */
#include "task.h"

#include <string.h>

#include "awaits.h"
#include "clock.h"
#include "fiber.h"

#define ROOT                                                                           \
    {                                                                                  \
        .limit = WI_FOREVER, .deadline = WI_FOREVER, .lock = PTHREAD_MUTEX_INITIALIZER \
    }

static _Thread_local wi_task thread_root = ROOT;
/* Of all the thread's fibers that run no task: only Weir's own code is ever there. */
static _Thread_local wi_task fiber_root = ROOT;
static _Thread_local wi_task *thread_current;

wi_task *wi_task_current(void)
{
    wi_fiber *fiber = wi_fiber_current();
    if (fiber) {
        wi_task *task = *wi_fiber_local(fiber);
        return task ? task : &fiber_root;
    }
    return thread_current ? thread_current : &thread_root;
}

static void set_current(wi_task *task)
{
    wi_fiber *fiber = wi_fiber_current();
    if (!fiber) {
        thread_current = task;
        return;
    }
    *wi_fiber_local(fiber) = task;
    wi_fiber_set_name(fiber, task->name);
}

void wi_task_enter(wi_task *task, const char *name, int64_t timeout)
{
    memset(task, 0, sizeof *task);
    pthread_mutex_init(&task->lock, NULL);
    task->name = name;
    task->outer = wi_task_current();
    task->limit = timeout ? wi_deadline_in(timeout) : WI_FOREVER;
    task->deadline = task->limit;
    if (!wi_task_is_root(task->outer))
        wi_awaits_nest(task->outer, task);
    set_current(task);
}

void wi_task_leave(wi_task *task)
{
    set_current(task->outer);
    if (!wi_task_is_root(task->outer))
        wi_awaits_nest(task->outer, NULL);
    pthread_mutex_destroy(&task->lock);
}

void wi_task_cancel(wi_task *task)
{
    pthread_mutex_lock(&task->lock);
    atomic_store_explicit(&task->asked, true, memory_order_release);
    if (task->parker)
        wi_unpark(task->parker);
    pthread_mutex_unlock(&task->lock);
}

const char *wi_task_name(const wi_task *task)
{
    return task->name ? task->name : "(unnamed)";
}

static weir_status check(const wi_task *task, weir_error *err)
{
    if (atomic_load_explicit(&task->asked, memory_order_acquire))
        return wi_fail(err, WEIR_CANCELLED, "the task %s was cancelled", wi_task_name(task));
    if (task->deadline == WI_FOREVER || wi_park_now() < task->deadline)
        return WEIR_OK;
    if (wi_task_is_root(task))
        return wi_fail(err, WEIR_TIMEDOUT, "the deadline of this thread has passed");
    return wi_fail(err, WEIR_TIMEDOUT, "the deadline of the task %s has passed",
                   wi_task_name(task));
}

weir_status wi_task_check(weir_error *err)
{
    return check(wi_task_current(), err);
}

/* ---- waiting ---- */

/* Nobody asks a root to end, and those of fibers are shared: where they wait is not noted. */
static void note_place(wi_task *task, wi_parker *parker)
{
    if (wi_task_is_root(task))
        return;
    pthread_mutex_lock(&task->lock);
    task->parker = parker;
    pthread_mutex_unlock(&task->lock);
}

void wi_task_wait_begin(wi_task_waiting *waiting)
{
    waiting->task = wi_task_current();
    waiting->parker = wi_parker_here(&waiting->place);
    note_place(waiting->task, waiting->parker);
}

weir_status wi_task_wait(wi_task_waiting *waiting, int64_t until, weir_error *err)
{
    weir_status status = check(waiting->task, err);
    if (status)
        return status;
    int64_t deadline = waiting->task->deadline;
    wi_park(waiting->parker, until < deadline ? until : deadline);
    return WEIR_OK;
}

void wi_task_wait_deaf(wi_task_waiting *waiting)
{
    wi_park(waiting->parker, WI_FOREVER);
}

void wi_task_wait_end(wi_task_waiting *waiting)
{
    note_place(waiting->task, NULL);
}

int64_t wi_deadline_in(int64_t timeout_ns)
{
    int64_t deadline;
    if (timeout_ns < 0 || __builtin_add_overflow(wi_park_now(), timeout_ns, &deadline))
        return WI_FOREVER;
    return deadline;
}
