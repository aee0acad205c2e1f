/*
 * places.h: the same task on a plain thread, inline, on threads and on fibers; and what the process
 * holds before and after.
 *
 *     for (place p = 0; p < PLACES; p++)
 *         EXPECT_INT(place_run(p, fetch, &f, 0, NULL), WEIR_OK);
 */
#ifndef WEIR_TEST_PLACES_H
#define WEIR_TEST_PLACES_H

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>

#include "test.h"
#include "weir/executor.h"
#include "weir/wait.h"

typedef enum place { PLACE_PLAIN, PLACE_INLINE, PLACE_THREADS, PLACE_FIBERS, PLACES } place;

static const char *const place_names[] = {"plain", "inline", "threads", "fibers"};

typedef struct place_call {
    weir_task_fn fn;
    void *arg;
    int64_t timeout;
    weir_error error;
} place_call;

static inline void *place_run_plain(void *arg)
{
    place_call *call = arg;
    if (call->timeout)
        weir_deadline_set(call->timeout);
    call->fn(call->arg, &call->error);
    return NULL;
}

static inline weir_executor *place_executor(place where)
{
    static const weir_executor_kind kinds[] = {WEIR_INLINE, WEIR_INLINE, WEIR_THREADS, WEIR_FIBERS};
    weir_executor *executor = NULL;
    weir_executor_options options = {
        .size = sizeof options, .kind = kinds[where], .loops = where == PLACE_FIBERS ? 2 : 0};
    EXPECT(weir_executor_new(&options, &executor, NULL) == WEIR_OK);
    return executor;
}

static inline weir_future *place_submit(weir_executor *executor, weir_task_fn fn, void *arg,
                                        int64_t timeout)
{
    weir_future *future = NULL;
    weir_task task = {.fn = fn, .arg = arg, .timeout = timeout};
    EXPECT(weir_executor_submit(executor, &task, &future, NULL) == WEIR_OK);
    return future;
}

/* How the task ended. */
static inline weir_status place_run(place where, weir_task_fn fn, void *arg, int64_t timeout,
                                    weir_error *err)
{
    if (where == PLACE_PLAIN) {
        place_call call = {fn, arg, timeout, {.status = WEIR_OK}};
        pthread_t thread;
        EXPECT(pthread_create(&thread, NULL, place_run_plain, &call) == 0);
        pthread_join(thread, NULL);
        if (err)
            *err = call.error;
        return call.error.status;
    }
    weir_executor *executor = place_executor(where);
    weir_future *future = place_submit(executor, fn, arg, timeout);
    weir_status status = weir_future_error(future, -1, err);
    weir_future_unref(future);
    weir_executor_free(executor);
    return status;
}

/* Has a running task asked to end after ready(arg) has returned, and says how it ended. For threads
 * and fibers. */
static inline weir_status place_cancel(place where, weir_task_fn fn, void *arg,
                                       void (*ready)(void *arg))
{
    weir_executor *executor = place_executor(where);
    weir_future *future = place_submit(executor, fn, arg, 0);
    ready(arg);
    EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_ASKED);
    weir_status status = weir_future_error(future, -1, NULL);
    weir_future_unref(future);
    weir_executor_free(executor);
    return status;
}

/* Waits for all of them and lets them go; how many ended otherwise than with a result. */
static inline int place_join(weir_future **futures, size_t n)
{
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        failed += weir_future_error(futures[i], -1, NULL) != WEIR_OK;
        weir_future_unref(futures[i]);
    }
    return failed;
}

static inline int place_count(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Descriptors that are open; threads there are. */
static inline int place_descriptors(void)
{
    return place_count("/proc/self/fd");
}

static inline int place_threads(void)
{
    return place_count("/proc/self/task");
}

#endif
