/* processes.h: what the tests of executors with processes share: pools, simple tasks, and the look
 * around whether anything was left behind. */
#ifndef WEIR_TEST_PROCESSES_H
#define WEIR_TEST_PROCESSES_H

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "weir/executor.h"
#include "weir/wait.h"

/* ---- around each test ---- */

static inline int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* No child, not even a dead one, and no descriptor remains. */
static inline void expect_clean(int fds)
{
    EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    EXPECT_INT(count_fds(), fds);
}

static inline weir_executor *new_pool(int workers, int64_t max_tasks)
{
    weir_executor *ex = NULL;
    weir_executor_options options = {.size = sizeof options,
                                     .kind = WEIR_PROCESSES,
                                     .max_workers = workers,
                                     .max_tasks_per_child = max_tasks};
    EXPECT(weir_executor_new(&options, &ex, NULL) == WEIR_OK);
    return ex;
}

static inline weir_status run(weir_executor *ex, const weir_task *task, void **result,
                              weir_error *err)
{
    weir_future *future;
    weir_status status = weir_executor_submit(ex, task, &future, err);
    if (status)
        return status;
    status = weir_future_result(future, -1, result, err);
    weir_future_unref(future);
    return status;
}

/* ---- tasks ---- */

static inline void *square(void *arg, weir_error *err)
{
    (void)err;
    int64_t *out = malloc(sizeof *out);
    int64_t n = *(int64_t *)arg;
    if (out)
        *out = n * n;
    return out;
}

static const weir_type __attribute__((unused)) number = WEIR_TYPE(int64_t);
static const weir_type __attribute__((unused)) own_number = WEIR_TYPE_MALLOCED(int64_t);

static inline void *pid_of_worker(void *arg, weir_error *err)
{
    (void)arg;
    (void)err;
    int64_t *out = malloc(sizeof *out);
    if (out)
        *out = getpid();
    return out;
}

static const weir_task __attribute__((unused))
ask_pid = {.fn = pid_of_worker, .result = WEIR_TYPE_MALLOCED(int64_t)};

static inline int64_t get_number(weir_executor *ex, const weir_task *task)
{
    void *result = NULL;
    weir_error err = {0};
    weir_status status = run(ex, task, &result, &err);
    if (!EXPECT(status == WEIR_OK && result)) {
        printf("# %s\n", err.text);
        return -1;
    }
    int64_t value = *(int64_t *)result;
    free(result);
    return value;
}

static inline void *sleep_for_ever(void *arg, weir_error *err)
{
    (void)arg;
    weir_sleep(WEIR_SECONDS(1000), err);
    return NULL;
}

#endif
