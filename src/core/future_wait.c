/*
 * future_wait.c: waiting for several futures (weir_wait, weir_as_completed). Its invariant: each
 * different future has one entry, which is told of its end once, under the future's lock.
 */
#include <stdlib.h>
#include <string.h>

#include "awaits.h"
#include "future_state.h"
#include "help.h"

enum { FEW = 8 }; /* so many need no memory */

/* ---- each future once ---- */

static size_t hash(const weir_future *future, size_t mask)
{
    uint64_t bits = (uintptr_t)future;
    return (size_t)((bits * 0x9e3779b97f4a7c15u) >> 20) & mask;
}

static size_t pick_few(weir_future *const *in, size_t n, weir_future **out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < kept && out[at] != in[i])
            at++;
        out[at] = in[i];
        kept += at == kept;
    }
    return kept;
}

/* The different ones among `in`, in their order, to `out`; false: no memory. */
static bool pick_different(weir_future *const *in, size_t n, weir_future **out, size_t *out_n)
{
    if (n <= FEW) {
        *out_n = pick_few(in, n, out);
        return true;
    }
    size_t places = 4 * FEW;
    while (places < 2 * n)
        places *= 2;
    weir_future **seen = calloc(places, sizeof(weir_future *));
    if (!seen)
        return false;
    *out_n = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = hash(in[i], places - 1);
        while (seen[at] && seen[at] != in[i])
            at = (at + 1) & (places - 1);
        if (!seen[at])
            out[(*out_n)++] = seen[at] = in[i];
    }
    free(seen);
    return true;
}

/* ---- weir_wait ---- */

typedef struct wait_set wait_set;

typedef struct wait_entry {
    wi_future_waiter waiter;
    wait_set *set;
} wait_entry;

struct wait_set {
    weir_wait_until until;
    size_t n;
    atomic_size_t over;
    atomic_size_t failed;
    atomic_bool impatient; /* any end is of interest: somebody helps */
    wi_parker *parker;
};

static bool has_failed(const weir_future *future)
{
    return weir_future_get_state(future) == WEIR_FUTURE_FINISHED && future->status;
}

static bool suffices(weir_wait_until until, size_t n, size_t over, size_t failed)
{
    return over == n || (until == WEIR_FIRST_COMPLETED && over > 0) ||
           (until == WEIR_FIRST_EXCEPTION && failed > 0);
}

static bool is_satisfied(wait_set *set)
{
    return suffices(set->until, set->n, atomic_load(&set->over), atomic_load(&set->failed));
}

static void count(wait_set *set, const weir_future *future)
{
    if (has_failed(future))
        atomic_fetch_add(&set->failed, 1);
    atomic_fetch_add(&set->over, 1);
}

static void entry_over(wi_future_waiter *waiter, weir_future *future)
{
    wait_set *set = wi_container_of(waiter, wait_entry, waiter)->set;
    count(set, future);
    if (is_satisfied(set) || atomic_load(&set->impatient))
        wi_unpark(set->parker);
}

static weir_status timed_out(int64_t timeout_ns, weir_error *err)
{
    return wi_fail(err, WEIR_TIMEDOUT, "the futures were not over after %.3f s",
                   (double)(timeout_ns > 0 ? timeout_ns : 0) / 1e9);
}

static weir_status check_no_self(const wait_set *set, weir_future *const *futures, weir_error *err)
{
    weir_status status = WEIR_OK;
    if (set->until == WEIR_ALL_COMPLETED && !wi_task_is_root(wi_task_current()))
        for (size_t i = 0; i < set->n && !status; i++)
            status = wi_awaits_self(futures[i], err);
    return status;
}

static weir_status park_for(wait_set *set, weir_future *const *futures, wi_task_waiting *waiting,
                            int64_t timeout_ns, weir_error *err)
{
    int64_t deadline = wi_deadline_in(timeout_ns);
    weir_status status = WEIR_OK;
    wi_helper helper = {.futures = futures, .n = set->n};
    atomic_store(&set->impatient, true);
    while (!status && !is_satisfied(set)) {
        if (deadline != WI_FOREVER && wi_park_now() >= deadline)
            return timed_out(timeout_ns, err);
        if (wi_help_any(&helper))
            continue;
        if (!helper.current)
            atomic_store(&set->impatient, false);
        status = wi_task_wait(waiting, deadline, err);
    }
    return status;
}

/* Tells the set of each end, while it waits. */
static weir_status wait_with(wait_set *set, wait_entry *entries, weir_future *const *futures,
                             int64_t timeout_ns, weir_error *err)
{
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    set->parker = waiting.parker;
    for (size_t i = 0; i < set->n; i++) {
        entries[i] = (wait_entry){.waiter.over = entry_over, .set = set};
        if (!wi_future_watch(futures[i], &entries[i].waiter))
            count(set, futures[i]);
    }
    weir_status status = park_for(set, futures, &waiting, timeout_ns, err);
    for (size_t i = 0; i < set->n; i++)
        wi_future_unwatch(futures[i], &entries[i].waiter);
    wi_task_wait_end(&waiting);
    return status;
}

static weir_status wait_different(weir_future *const *futures, size_t n, weir_wait_until until,
                                  int64_t timeout_ns, weir_error *err)
{
    size_t over = 0;
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        over += wi_future_is_over(futures[i]);
        failed += has_failed(futures[i]);
    }
    if (suffices(until, n, over, failed))
        return WEIR_OK;
    wait_set set = {.until = until, .n = n};
    weir_status status = wi_task_check(err);
    if (!status && timeout_ns == 0)
        status = timed_out(0, err);
    if (!status)
        status = check_no_self(&set, futures, err);
    if (status)
        return status;
    wait_entry few[FEW];
    wait_entry *entries = n <= FEW ? few : malloc(n * sizeof *entries);
    if (!entries)
        return wi_fail_nomem(err);
    status = wait_with(&set, entries, futures, timeout_ns, err);
    if (entries != few)
        free(entries);
    return status;
}

static size_t count_over(weir_future *const *futures, size_t n)
{
    size_t over = 0;
    for (size_t i = 0; i < n; i++)
        over += wi_future_is_over(futures[i]);
    return over;
}

weir_status weir_wait(weir_future *const *futures, size_t n, weir_wait_until until,
                      int64_t timeout_ns, size_t *done, weir_error *err)
{
    if ((unsigned)until > WEIR_ALL_COMPLETED)
        return wi_fail(err, WEIR_INVALID, "there is no way %d to wait for futures", (int)until);
    weir_future *few[FEW];
    weir_future **different = n <= FEW ? few : malloc(n * sizeof(weir_future *));
    weir_status status = WEIR_NOMEM;
    size_t n_different;
    if (different && pick_different(futures, n, different, &n_different)) {
        status = wait_different(different, n_different, until, timeout_ns, err);
        if (done && (!status || status == WEIR_TIMEDOUT))
            *done = count_over(different, n_different);
    } else
        wi_fail_nomem(err);
    if (different != few)
        free(different);
    return status;
}

/* ---- weir_as_completed ---- */

typedef struct completion {
    wi_future_waiter waiter; /* of the future; then its node is among the ready ones */
    weir_completions *owner;
    weir_future *future;
} completion;

struct weir_completions {
    size_t n;
    size_t left; /* not handed out */
    int64_t timeout_ns;
    int64_t deadline;
    weir_future **futures;
    wi_helper helper;

    pthread_mutex_t lock; /* over the two below; taken under a future's */
    wi_list ready;
    wi_parker *parker; /* of who waits for the next; nullable */

    completion entries[];
};

static void completion_over(wi_future_waiter *waiter, weir_future *future)
{
    (void)future;
    weir_completions *completions = wi_container_of(waiter, completion, waiter)->owner;
    pthread_mutex_lock(&completions->lock);
    wi_list_append(&completions->ready, &waiter->node);
    if (completions->parker)
        wi_unpark(completions->parker);
    pthread_mutex_unlock(&completions->lock);
}

static void watch_all(weir_completions *completions)
{
    for (size_t i = 0; i < completions->n; i++) {
        completion *entry = &completions->entries[i];
        entry->waiter.over = completion_over;
        entry->owner = completions;
        entry->future = weir_future_ref(completions->futures[i]);
        if (!wi_future_watch(entry->future, &entry->waiter))
            completion_over(&entry->waiter, entry->future);
    }
}

weir_status weir_as_completed(weir_future *const *futures, size_t n, int64_t timeout_ns,
                              weir_completions **out, weir_error *err)
{
    weir_completions *completions = NULL;
    weir_future **different = malloc((n ? n : 1) * sizeof(weir_future *));
    size_t n_different;
    if (different && pick_different(futures, n, different, &n_different))
        completions = malloc(sizeof *completions + n_different * sizeof(completion));
    if (!completions) {
        free(different);
        return wi_fail_nomem(err);
    }
    *completions = (weir_completions){
        .n = n_different,
        .left = n_different,
        .timeout_ns = timeout_ns,
        .deadline = wi_deadline_in(timeout_ns),
        .futures = different,
        .helper = {.futures = different, .n = n_different},
    };
    pthread_mutex_init(&completions->lock, NULL);
    wi_list_init(&completions->ready);
    watch_all(completions);
    *out = completions;
    return WEIR_OK;
}

static weir_future *next_ready(weir_completions *completions)
{
    pthread_mutex_lock(&completions->lock);
    wi_list *node = wi_list_shift(&completions->ready);
    pthread_mutex_unlock(&completions->lock);
    return node ? wi_container_of(node, completion, waiter.node)->future : NULL;
}

static void set_parker(weir_completions *completions, wi_parker *parker)
{
    pthread_mutex_lock(&completions->lock);
    completions->parker = parker;
    pthread_mutex_unlock(&completions->lock);
}

static weir_status await_ready(weir_completions *completions, weir_future **next, weir_error *err)
{
    weir_status status = WEIR_OK;
    int64_t deadline = completions->deadline;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    set_parker(completions, waiting.parker);
    while (!status && !(*next = next_ready(completions))) {
        if (deadline != WI_FOREVER && wi_park_now() >= deadline)
            status = timed_out(completions->timeout_ns, err);
        else if (!wi_help_any(&completions->helper))
            status = wi_task_wait(&waiting, deadline, err);
    }
    set_parker(completions, NULL);
    wi_task_wait_end(&waiting);
    return status;
}

weir_status weir_completions_next(weir_completions *completions, weir_future **future,
                                  weir_error *err)
{
    if (!completions->left)
        return wi_fail(err, WEIR_END, "all futures were handed out");
    weir_future *next = next_ready(completions);
    weir_status status = next ? WEIR_OK : wi_task_check(err);
    if (!next && !status)
        status = await_ready(completions, &next, err);
    if (status)
        return status;
    completions->left--;
    *future = next;
    return WEIR_OK;
}

void weir_completions_free(weir_completions *completions)
{
    if (!completions)
        return;
    for (size_t i = 0; i < completions->n; i++) {
        completion *entry = &completions->entries[i];
        wi_future_unwatch(entry->future, &entry->waiter);
        weir_future_unref(entry->future);
    }
    pthread_mutex_destroy(&completions->lock);
    free(completions->futures);
    free(completions);
}
