/*
 * weir/group.h: tasks that belong together, are cancelled together and waited for together.
 *
 * No task of a group outlives it: weir_group_free cancels what is left and waits for it. A group
 * may be used from any thread and from inside tasks. Calls that wait suspend the fiber or block the
 * thread, and end early when the calling task is cancelled or past its deadline. Python's
 * asyncio.TaskGroup is the model.
 */
#ifndef WEIR_GROUP_H
#define WEIR_GROUP_H

#include <stdint.h>

#include "weir/error.h"
#include "weir/executor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_group weir_group;

typedef enum weir_group_policy {
    WEIR_GROUP_KEEP_GOING, /* a failed task concerns no other */
    WEIR_GROUP_CANCEL_REST /* the first that fails cancels all others, and no more are taken */
} weir_group_policy;

/*
 * Makes a group without tasks, which is the caller's to free. The executor must outlive it.
 * WEIR_INVALID: no such policy. WEIR_NOMEM.
 */
weir_status weir_group_new(weir_executor *executor, weir_group_policy policy, weir_group **out,
                           weir_error *err);

/* Hands in a task of the group, as weir_executor_submit does. WEIR_CANCELLED once the group is
 * cancelled. */
weir_status weir_group_submit(weir_group *group, const weir_task *task, weir_future **future,
                              weir_error *err);

/* Cancels the tasks of a group: what is pending at once, what runs is asked to end, and no more are
 * taken. Never waits. */
void weir_group_cancel(weir_group *group);

/*
 * Waits until all tasks so far are over. WEIR_OK: all succeeded. The error of the one that failed
 * first otherwise, WEIR_CANCELLED if none failed and some were cancelled. WEIR_TIMEDOUT after
 * timeout_ns (negative: for ever); weir_group_pending tells it from a task's own. WEIR_INVALID: a
 * task of the group would wait for itself.
 */
weir_status weir_group_wait(weir_group *group, int64_t timeout_ns, weir_error *err);

/* Counts the tasks that are not over. */
int64_t weir_group_pending(const weir_group *group);

/* Ends a group and frees it: cancels, and waits for all of its tasks to be over, whatever becomes
 * of the caller's. Not from one of its tasks. NULL is fine. */
void weir_group_free(weir_group *group);

#ifdef __cplusplus
}
#endif
#endif
