/*
 * libuv's thread pool, the peer of Weir's threads: tasks that do nothing through uv_queue_work.
 *
 *     peer_libuv map|single TASKS        (UV_THREADPOOL_SIZE says how many threads)
 *
 * map keeps as many in flight as weir_map does, 4,096, and queues the next where one came back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

enum { MOST = 4096 };
typedef struct job {
    uv_work_t request;
    long number, result;
} job;

static job jobs[MOST];
static long total, started, ok;

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double processor(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void work(uv_work_t *request)
{
    job *j = request->data;
    j->result = j->number;
}

static void done(uv_work_t *request, int status);

static void queue(job *j)
{
    j->request.data = j;
    j->number = started++;
    j->result = -1;
    uv_queue_work(uv_default_loop(), &j->request, work, done);
}

static void done(uv_work_t *request, int status)
{
    job *j = request->data;
    ok += status == 0 && j->result == j->number;
    if (started < total)
        queue(j);
}

static void run(long tasks, int in_flight)
{
    total = tasks;
    started = ok = 0;
    for (int i = 0; i < in_flight && started < total; i++)
        queue(&jobs[i]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    long tasks = argc == 3 ? atol(argv[2]) : 0;
    int single = argc == 3 && strcmp(argv[1], "single") == 0;
    if (tasks < 1 || (!single && strcmp(argv[1], "map") != 0)) {
        fprintf(stderr, "usage: peer_libuv map|single TASKS\n");
        return 2;
    }
    run(1000, MOST); /* starts the threads */
    double begin = wall(), used = processor();
    run(tasks, single ? 1 : MOST);
    printf("{\"tasks\": %ld, \"ok\": %ld, \"seconds\": %.9f, \"processor\": %.6f}\n", tasks, ok,
           wall() - begin, processor() - used);
    return 0;
}
