/*
 * What is measured of Weir's executors: sleeping tasks, tasks that do nothing, HTTP requests, and
 * the start of a pool, each under any kind. bench/measure_tasks.py runs it beside its peers, which
 * count the same thing in the same way. Invariant: a task counts only if its own result came back,
 * so "ok" tells a figure from a fault.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "weir/weir.h"

typedef struct setup {
    weir_executor_kind kind;
    long tasks;
    int workers; /* 0: the default */
    int loops;   /* 0: the default */
    const char *base;
} setup;

typedef struct cost {
    double wall, processor;
} cost;

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Processor time of this process and of the children it has waited for. */
static cost now(void)
{
    struct timespec t;
    struct rusage own, children;
    clock_gettime(CLOCK_MONOTONIC, &t);
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return (cost){(double)t.tv_sec + (double)t.tv_nsec / 1e9,
                  seconds_of(own.ru_utime) + seconds_of(own.ru_stime) +
                      seconds_of(children.ru_utime) + seconds_of(children.ru_stime)};
}

static void stop_with(const char *what, const weir_error *err)
{
    fprintf(stderr, "weir_tasks: %s: %s\n", what, err->text);
    exit(1);
}

static weir_executor *new_executor(const setup *s)
{
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = s->kind;
    options.max_workers = s->workers;
    options.loops = s->loops;
    weir_executor *executor = NULL;
    weir_error err;
    if (weir_executor_new(&options, &executor, &err) != WEIR_OK)
        stop_with("executor", &err);
    return executor;
}

/* ---- the tasks: each gives back a pointer to its own number ---- */

static void *same(void *arg, weir_error *err)
{
    (void)err;
    return arg;
}

static void *sleep_a_second(void *arg, weir_error *err)
{
    return weir_sleep(WEIR_SECONDS(1), err) == WEIR_OK ? arg : NULL;
}

static const char *base_url;

static void *get(void *arg, weir_error *err)
{
    char url[512];
    weir_http_response *response = NULL;
    snprintf(url, sizeof url, "%s/products/%" PRId64, base_url, *(int64_t *)arg + 1);
    if (weir_http_get(url, &response, err) != WEIR_OK)
        return NULL;
    weir_http_response_free(response);
    return arg;
}

/* In other processes the result is a copy, which is the caller's. */
static int is_own(const setup *s, void *result, int64_t number)
{
    int own = result != NULL && *(int64_t *)result == number;
    if (s->kind == WEIR_PROCESSES)
        free(result);
    return own;
}

static weir_type result_type(const setup *s)
{
    weir_type plain = WEIR_TYPE(int64_t), none = {0};
    return s->kind == WEIR_PROCESSES ? plain : none;
}

/* ---- the measurements: how many tasks gave back what they should ---- */

static long map_over(const setup *s, weir_executor *executor, weir_task_fn fn, int64_t *numbers,
                     size_t buffer)
{
    weir_map_options options = WEIR_MAP_OPTIONS_INIT;
    options.buffer_size = buffer;
    options.result = result_type(s);
    weir_map *map = NULL;
    weir_error err;
    if (weir_map_start(executor, fn, numbers, (size_t)s->tasks, sizeof *numbers, &options, &map,
                       &err) != WEIR_OK)
        stop_with("map", &err);
    long ok = 0;
    void *result;
    weir_status status;
    for (int64_t i = 0; (status = weir_map_next(map, &result, &err)) != WEIR_END; i++) {
        if (status != WEIR_OK)
            stop_with("task", &err);
        ok += is_own(s, result, i);
    }
    weir_map_free(map);
    return ok;
}

/* One after the other: submit, then wait for its result. */
static long one_by_one(const setup *s, weir_executor *executor, int64_t *numbers)
{
    weir_task task = {.fn = same, .argument = WEIR_TYPE(int64_t), .result = result_type(s)};
    weir_error err;
    long ok = 0;
    for (long i = 0; i < s->tasks; i++) {
        weir_future *future = NULL;
        void *result = NULL;
        task.arg = &numbers[i];
        if (weir_executor_submit(executor, &task, &future, &err) != WEIR_OK ||
            weir_future_result(future, -1, &result, &err) != WEIR_OK)
            stop_with("task", &err);
        weir_future_unref(future);
        ok += is_own(s, result, numbers[i]);
    }
    return ok;
}

static long measure(const char *what, const setup *s, int64_t *numbers, cost *spent)
{
    size_t all = (size_t)s->tasks;
    cost begin = now();
    weir_executor *executor = new_executor(s);
    long ok = 0;
    int pool_counts = strcmp(what, "sleep") == 0 || strcmp(what, "start") == 0;
    if (!pool_counts) { /* then its workers' start is no task's cost */
        setup few = *s;
        few.tasks = s->tasks < 1000 ? s->tasks : 1000;
        if (strcmp(what, "http") != 0)
            map_over(&few, executor, same, numbers, 0);
        begin = now();
    }
    if (strcmp(what, "sleep") == 0)
        ok = map_over(s, executor, sleep_a_second, numbers, all);
    else if (strcmp(what, "map") == 0)
        ok = map_over(s, executor, same, numbers, 0);
    else if (strcmp(what, "http") == 0)
        ok = map_over(s, executor, get, numbers, 0);
    else
        ok = one_by_one(s, executor, numbers);
    cost end = now();
    weir_executor_free(executor);
    *spent = (cost){end.wall - begin.wall, now().processor - begin.processor};
    return ok;
}

static int read_setup(int argc, char **argv, setup *s)
{
    static const char *const whats[] = {"sleep", "map", "single", "start", "http"};
    size_t i = 0;
    while (i < sizeof whats / sizeof whats[0] && (argc < 4 || strcmp(argv[1], whats[i]) != 0))
        i++;
    if (i == sizeof whats / sizeof whats[0])
        return 0;
    int kind = WEIR_INLINE;
    while (kind <= (int)WEIR_PROCESSES &&
           strcmp(argv[2], weir_executor_kind_name((weir_executor_kind)kind)) != 0)
        kind++;
    *s = (setup){.kind = (weir_executor_kind)kind,
                 .tasks = atol(argv[3]),
                 .workers = argc > 4 ? atoi(argv[4]) : 0,
                 .loops = argc > 5 ? atoi(argv[5]) : 0};
    base_url = argc > 6 ? argv[6] : NULL;
    return kind <= (int)WEIR_PROCESSES && s->tasks > 0 &&
           (strcmp(argv[1], "http") != 0 || base_url != NULL);
}

int main(int argc, char **argv)
{
    setup s;
    if (!read_setup(argc, argv, &s)) {
        fprintf(stderr, "usage: weir_tasks sleep|map|single|start|http inline|threads|fibers|"
                        "processes TASKS [WORKERS [LOOPS [BASE_URL]]]\n");
        return 2;
    }
    int64_t *numbers = malloc((size_t)s.tasks * sizeof *numbers);
    if (numbers == NULL)
        return 1;
    for (long i = 0; i < s.tasks; i++)
        numbers[i] = i;
    cost spent;
    long ok = measure(argv[1], &s, numbers, &spent);
    printf("{\"tasks\": %ld, \"ok\": %ld, \"seconds\": %.9f, \"processor\": %.6f}\n", s.tasks, ok,
           spent.wall, spent.processor);
    free(numbers);
    return 0;
}
