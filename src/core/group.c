/*
 * group.c: see weir/group.h. Its invariant: pending counts the tasks whose end has not been heard
 * of, and hearing of it is the last that touches the group, so nobody does once it is 0.
 */
#include <stdlib.h>

#include "executor_state.h"
#include "future_state.h"
#include "weir/group.h"

struct weir_group {
    weir_executor *executor;
    weir_group_policy policy;

    pthread_mutex_t lock; /* over all below */
    wi_list members;      /* that were handed in and are not over */
    int64_t pending;
    uint64_t listed; /* members so far */
    bool cancelled;
    bool lost;        /* a task was cancelled */
    weir_error first; /* failure; status WEIR_OK: none yet */
    wi_list waiters;
};

typedef struct member {
    wi_list node;
    weir_group *group;
    weir_future *future; /* borrowed: it can't go before the group has heard of its end */
    uint64_t number;     /* from 1 on; members are listed in this order */
    bool listed;         /* these two under the group's lock; */
    bool over;           /* what comes second frees it */
} member;

typedef struct waiter {
    wi_list node;
    wi_parker *parker;
} waiter;

weir_status weir_group_new(weir_executor *executor, weir_group_policy policy, weir_group **out,
                           weir_error *err)
{
    if (policy != WEIR_GROUP_KEEP_GOING && policy != WEIR_GROUP_CANCEL_REST)
        return wi_fail(err, WEIR_INVALID, "there is no group policy %d", (int)policy);
    weir_group *group = calloc(1, sizeof *group);
    if (!group)
        return wi_fail_nomem(err);
    group->executor = executor;
    group->policy = policy;
    pthread_mutex_init(&group->lock, NULL);
    wi_list_init(&group->members);
    wi_list_init(&group->waiters);
    *out = group;
    return WEIR_OK;
}

/* ---- a task's end ---- */

/* One task less, which may have been the last. */
static void let_go(weir_group *group)
{
    pthread_mutex_lock(&group->lock);
    wi_list *node;
    if (--group->pending == 0)
        while ((node = wi_list_shift(&group->waiters)))
            wi_unpark(wi_container_of(node, waiter, node)->parker);
    pthread_mutex_unlock(&group->lock);
}

/* Returns whether the others have to go too. */
static bool note_end(weir_group *group, member *of)
{
    weir_error err;
    bool cancelled = weir_future_cancelled(of->future);
    bool failed = !cancelled && weir_future_error(of->future, 0, &err);
    pthread_mutex_lock(&group->lock);
    group->lost = group->lost || cancelled;
    if (failed && !group->first.status)
        group->first = err;
    bool mine = of->listed;
    wi_list_remove(&of->node);
    of->over = true;
    pthread_mutex_unlock(&group->lock);
    if (mine)
        free(of);
    return failed && group->policy == WEIR_GROUP_CANCEL_REST;
}

static void hear_of_end(weir_future *future, void *arg)
{
    (void)future;
    member *of = arg;
    weir_group *group = of->group;
    if (note_end(group, of))
        weir_group_cancel(group);
    let_go(group);
}

/* ---- handing in ---- */

static weir_status refuse(weir_group *group, weir_error *err)
{
    return wi_fail(err, WEIR_CANCELLED, "the group is cancelled%s%s",
                   group->first.status ? ", since a task failed: " : "", group->first.text);
}

static weir_status admit(weir_group *group, weir_error *err)
{
    pthread_mutex_lock(&group->lock);
    weir_status status = group->cancelled ? refuse(group, err) : WEIR_OK;
    if (!status)
        group->pending++;
    pthread_mutex_unlock(&group->lock);
    return status;
}

/* Among the members from now on; unless it is over already. True: the group was cancelled while it
 * was handed in. */
static bool list_member(weir_group *group, member *fresh)
{
    pthread_mutex_lock(&group->lock);
    bool late = group->cancelled;
    bool over = fresh->over;
    fresh->number = ++group->listed;
    if (!over)
        wi_list_append(&group->members, &fresh->node);
    fresh->listed = true;
    pthread_mutex_unlock(&group->lock);
    if (over)
        free(fresh);
    return late;
}

static weir_status hand_in(weir_group *group, weir_future *future, weir_error *err)
{
    member *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return wi_fail_nomem(err);
    *fresh = (member){.group = group, .future = future};
    wi_list_init(&fresh->node);
    weir_status status = weir_future_add_done_callback(future, hear_of_end, fresh, err);
    if (!status)
        status = wi_executor_enqueue(group->executor, &future->work, true, err);
    if (status)
        free(fresh);
    else if (list_member(group, fresh))
        weir_future_cancel(future);
    return status;
}

weir_status weir_group_submit(weir_group *group, const weir_task *task, weir_future **future,
                              weir_error *err)
{
    weir_future *fresh = NULL;
    weir_status status = wi_executor_prepare(group->executor, task, &fresh, err);
    if (status)
        return status;
    status = admit(group, err);
    if (status) {
        wi_executor_discard(fresh);
        return status;
    }
    status = hand_in(group, fresh, err);
    if (status) {
        wi_executor_discard(fresh);
        let_go(group);
    } else if (future)
        *future = fresh;
    else
        weir_future_unref(fresh);
    return status;
}

/* ---- cancelling ---- */

/* Each member once, those that have begun only if `begun`. */
static void cancel_members(weir_group *group, bool begun)
{
    wi_list left;
    wi_list_init(&left);
    pthread_mutex_lock(&group->lock);
    wi_list_splice(&left, &group->members);
    wi_list *node;
    while ((node = wi_list_shift(&left))) {
        wi_list_append(&group->members, node);
        weir_future *future = wi_container_of(node, member, node)->future;
        if (!begun && weir_future_get_state(future) != WEIR_FUTURE_PENDING)
            continue;
        weir_future_ref(future);
        pthread_mutex_unlock(&group->lock);
        weir_future_cancel(future);
        weir_future_unref(future);
        pthread_mutex_lock(&group->lock);
    }
    pthread_mutex_unlock(&group->lock);
}

void weir_group_cancel(weir_group *group)
{
    pthread_mutex_lock(&group->lock);
    group->cancelled = true;
    pthread_mutex_unlock(&group->lock);
    cancel_members(group, false); /* first, or they would begin in the place of those that end */
    cancel_members(group, true);
}

/* ---- waiting ---- */

/* Whether the caller is, or is called by, one of the group's tasks. */
static bool is_inside(weir_group *group)
{
    bool inside = false;
    pthread_mutex_lock(&group->lock);
    for (wi_task *task = wi_task_current(); task && !inside; task = wi_task_below(task))
        for (wi_list *node = group->members.next; node != &group->members; node = node->next)
            if (task->future && wi_container_of(node, member, node)->future == task->future)
                inside = true;
    pthread_mutex_unlock(&group->lock);
    return inside;
}

/* The next that this wait has not come to; referenced. */
static weir_future *next_member(weir_group *group, uint64_t *after)
{
    weir_future *found = NULL;
    pthread_mutex_lock(&group->lock);
    for (wi_list *node = group->members.next; node != &group->members && !found; node = node->next)
        if (wi_container_of(node, member, node)->number > *after) {
            found = weir_future_ref(wi_container_of(node, member, node)->future);
            *after = wi_container_of(node, member, node)->number;
        }
    pthread_mutex_unlock(&group->lock);
    return found;
}

/*
 * A task of the same executor waits for one after another, as for its future: so it runs what
 * nobody has begun, since the workers may all wait so, and hears of it if they wait for each other.
 */
static weir_status wait_one_by_one(weir_group *group, int64_t deadline, weir_error *err)
{
    weir_status status = WEIR_OK;
    weir_future *future;
    uint64_t after = 0;
    while (!status && (future = next_member(group, &after))) {
        int64_t left = deadline - wi_park_now();
        status = weir_future_error(future, deadline == WI_FOREVER ? -1 : left > 0 ? left : 0, err);
        if (weir_future_done(future))
            status = WEIR_OK; /* its own error is told at the end */
        weir_future_unref(future);
    }
    return status;
}

static weir_status wait_for_all(weir_group *group, int64_t deadline, bool deaf, weir_error *err)
{
    weir_status status = WEIR_OK;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    waiter me = {.parker = waiting.parker};
    wi_list_init(&me.node);
    pthread_mutex_lock(&group->lock);
    while (!status && group->pending > 0) {
        if (wi_park_now() >= deadline) {
            status = wi_fail(err, WEIR_TIMEDOUT, "%lld tasks of the group are not over yet",
                             (long long)group->pending);
            break;
        }
        if (wi_list_empty(&me.node))
            wi_list_append(&group->waiters, &me.node);
        pthread_mutex_unlock(&group->lock);
        if (deaf)
            wi_task_wait_deaf(&waiting);
        else
            status = wi_task_wait(&waiting, deadline, err);
        pthread_mutex_lock(&group->lock);
    }
    wi_list_remove(&me.node);
    pthread_mutex_unlock(&group->lock);
    wi_task_wait_end(&waiting);
    return status;
}

static weir_status say_outcome(weir_group *group, weir_error *err)
{
    pthread_mutex_lock(&group->lock);
    weir_status status = group->first.status;
    if (status && err)
        *err = group->first;
    if (!status && group->lost)
        status = wi_fail(err, WEIR_CANCELLED, "tasks of the group were cancelled");
    pthread_mutex_unlock(&group->lock);
    return status;
}

weir_status weir_group_wait(weir_group *group, int64_t timeout_ns, weir_error *err)
{
    if (is_inside(group))
        return wi_fail(err, WEIR_INVALID, "a task of the group would wait for itself");
    int64_t deadline = wi_deadline_in(timeout_ns);
    weir_status status = WEIR_OK;
    if (wi_executor_inside(group->executor))
        status = wait_one_by_one(group, deadline, err);
    if (!status)
        status = wait_for_all(group, deadline, false, err);
    return status ? status : say_outcome(group, err);
}

int64_t weir_group_pending(const weir_group *group)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&group->lock;
    pthread_mutex_lock(lock);
    int64_t pending = group->pending;
    pthread_mutex_unlock(lock);
    return pending;
}

void weir_group_free(weir_group *group)
{
    if (!group)
        return;
    weir_group_cancel(group);
    wait_for_all(group, WI_FOREVER, true, NULL);
    pthread_mutex_destroy(&group->lock);
    free(group);
}
