/*
 * weir/executor.h: one task function, four ways to run it.
 *
 *     void *fetch_product(void *arg, weir_error *err);   // waits: sleeps, calls HTTP, reads files
 *
 *     weir_executor *executor;
 *     weir_executor_new(&(weir_executor_options){.size = sizeof(weir_executor_options),
 *                                                .kind = WEIR_FIBERS}, &executor, &err);
 *     weir_future *future;
 *     weir_executor_submit(executor, &(weir_task){.fn = fetch_product, .arg = &id}, &future, &err);
 *     weir_future_result(future, -1, &product, &err);
 *
 * WEIR_INLINE runs a task inside submit, WEIR_THREADS on threads that are reused, WEIR_FIBERS on
 * small stacks over a few event loops, WEIR_PROCESSES in child processes. What is promised here
 * holds for all four unless a difference is named.
 *
 * Everything may be called from any thread and from inside tasks. Calls that wait suspend the fiber
 * or block the thread they are made in, and end early when the calling task is cancelled or past
 * its deadline (weir/wait.h). A child of fork has none of its parent's threads: what the parent
 * made is of no use there, but it may make executors and wait.
 */
#ifndef WEIR_EXECUTOR_H
#define WEIR_EXECUTOR_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/future.h"
#include "weir/options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_executor weir_executor;

/*
 * WEIR_INLINE runs each task in submit, for debugging and as the baseline; WEIR_THREADS on threads
 * that are started when none is idle, and reused; WEIR_FIBERS on small stacks over a few loops
 * (weir/fiber.h); WEIR_PROCESSES in child processes, so that a crash breaks one task and not the
 * program.
 *
 * How WEIR_PROCESSES starts a worker: it executes the program's own file (/proc/self/exe) anew,
 * with the program's argv[0] alone and its environment and working directory of that moment. In the
 * new process a constructor of libweir recognizes that it is to be a worker, runs tasks, one at a
 * time, on the main thread, and ends the process by _exit. So, in a worker,
 *
 * - main is never called, and what main sets up is not there: the initializer is the place for it;
 * - constructors, also those of C++ objects, that have not run before that of libweir do not run:
 *   with a shared libweir those of the program itself, with a static one those of objects that are
 *   linked after it;
 * - functions given to atexit are not called; the streams of stdio are flushed, stdout after each
 *   task;
 * - standard input is /dev/null, output and error are the parent's, and no other descriptor of the
 *   parent is there, whether it is close-on-exec or not;
 * - every signal is at its default and none is blocked, but SIGINT does nothing, since Ctrl-C
 *   reaches all processes of a terminal and it is the parent that decides what it means.
 *
 * The program is linked to libweir, statically or not; for one that has opened it with dlopen,
 * weir_executor_new says WEIR_UNSUPPORTED. A worker ends as soon as its parent does, however that
 * happens. One that dies fails the task that it runs, and no other, with WEIR_BROKEN and a text
 * that names the signal or exit code, and is replaced when there is work. When three in a row die
 * before they were ready for a task, the executor is broken. Cancelling a task that runs asks it to
 * end, as everywhere: a task that never waits nor calls weir_task_check goes on. A worker that is
 * no longer needed has 2 seconds to flush its streams and end.
 */
typedef enum weir_executor_kind {
    WEIR_INLINE,
    WEIR_THREADS,
    WEIR_FIBERS,
    WEIR_PROCESSES
} weir_executor_kind;

/*
 * A task: does its work, waits wherever it likes, and returns its result. A failure is said by
 * filling err, which is never NULL here and is WEIR_OK on entry; the returned pointer is then
 * ignored.
 */
typedef void *(*weir_task_fn)(void *arg, weir_error *err);

/*
 * What kind of value a pointer points to, for those who must copy it to another process, or free it
 * because nobody asked for it. All zero: nothing is known, nothing is freed.
 */
typedef struct weir_type {
    size_t size;                          /* bytes of each value, if all are as large */
    size_t (*measure)(const void *value); /* else: bytes of this value */
    void (*release)(void *value);         /* frees it */
} weir_type;

/* Values of a fixed size, which hold no pointers if they are to cross into a process. */
#define WEIR_TYPE(type)          \
    {                            \
        sizeof(type), NULL, NULL \
    }
/* The same, for values that come from malloc and are the executor's to free. Needs <stdlib.h>. */
#define WEIR_TYPE_MALLOCED(type) \
    {                            \
        sizeof(type), NULL, free \
    }
/* Terminated strings. */
#define WEIR_TYPE_STRING                  \
    {                                     \
        0, weir_type_measure_string, NULL \
    }
/* Measures a terminated string, with its 0: for weir_type.measure. Any thread. */
size_t weir_type_measure_string(const void *string);

/*
 * One piece of work. Only fn must be set.
 *
 * arg is the caller's until the future is over, unless argument.release is set: then it is the
 * executor's from a successful submit on, which releases it once, after the task has run or was
 * cancelled. result.release frees a result that was never taken.
 *
 * WEIR_PROCESSES copies: it needs argument.size or .measure (unless arg is NULL) and, unless the
 * task returns NULL, result.size or .measure, at most 1 GiB each, else WEIR_TOOLARGE. The task sees
 * a copy of the argument, which is freed after it, and what it returns is copied back into one
 * block of malloc, which the caller frees (or the future, if nobody takes it); the child releases
 * its own with result.release, unless it is the argument. argument.measure is called in a thread of
 * the executor's. fn, the functions of result, and the initializer must be of the program or of a
 * library that it is linked to, not of one opened with dlopen (WEIR_INVALID); they may be static.
 */
typedef struct weir_task {
    weir_task_fn fn;
    void *arg;
    const char
        *name; /* for messages and stack overflows; static or living until the task is over */
    weir_type argument;
    weir_type result;
    int64_t
        timeout; /* ns from its beginning on: after that, its waits return WEIR_TIMEDOUT; 0: none */
} weir_task;

typedef struct weir_executor_options {
    size_t size; /* sizeof(weir_executor_options) */
    weir_executor_kind kind;
    /*
     * Tasks that run at once, at most. 0: 4 per processor for threads, one per processor for
     * processes, no bound of its own for fibers (memory is one). Inline has none. Workers are
     * started only when none is idle.
     */
    int max_workers;
    /*
     * Tasks that were submitted and have not begun, at most; then submit waits and try_submit says
     * WEIR_AGAIN. 0: 10,000. Tasks of the executor itself may always submit more, since the pool
     * would wait for itself otherwise.
     */
    size_t queue_limit;
    const char
        *thread_name_prefix; /* copied; default "weir"; at most 15 bytes of "prefix-N" show */
    /*
     * Called first in every worker: thread, child process, or thread that runs fibers. If it fails,
     * the executor is broken: everything pending and everything submitted from then on fails with
     * its error.
     */
    weir_status (*initializer)(void *arg, weir_error *err);
    void *initializer_arg;
    weir_type initializer_type;  /* of initializer_arg, for processes */
    size_t stack_size;           /* bytes; of threads (default: the system's) or fibers (64 KiB) */
    int64_t max_tasks_per_child; /* processes: a worker is replaced after so many tasks; 0: never */
    int loops;                   /* fibers: threads that run them; 0: one per processor */
} weir_executor_options;

#define WEIR_EXECUTOR_OPTIONS_INIT WEIR_OPTIONS_INIT(weir_executor_options)

/*
 * Makes an executor, which is the caller's to free. options may be NULL: WEIR_THREADS with
 * defaults; they are copied, but initializer_arg must stay. Starts no worker yet and does not wait.
 * WEIR_INVALID for options that contradict each other or the kind, WEIR_UNSUPPORTED for processes
 * of a program that has opened libweir with dlopen, WEIR_NOMEM.
 */
weir_status weir_executor_new(const weir_executor_options *options, weir_executor **out,
                              weir_error *err);

/*
 * Shuts an executor down, waits for all that was submitted, and frees it. Not from one of its own
 * tasks. The futures it gave live on. NULL is fine.
 */
void weir_executor_free(weir_executor *executor);

/*
 * Hands in a task. *future (nullable: nobody wants to know) is a reference of the caller's. Waits
 * while the queue is full. The task description is copied. WEIR_CLOSED after shutdown, the
 * initializer's error or WEIR_BROKEN when the executor is broken, WEIR_INVALID, WEIR_NOMEM.
 *
 * Inline: the task runs here, before this returns. Its waits are waits of the calling task, too:
 * they end when that is cancelled or past its deadline.
 */
weir_status weir_executor_submit(weir_executor *executor, const weir_task *task,
                                 weir_future **future, weir_error *err);

/* The same without waiting: WEIR_AGAIN if the queue is full. */
weir_status weir_executor_try_submit(weir_executor *executor, const weir_task *task,
                                     weir_future **future, weir_error *err);

typedef struct weir_shutdown_options {
    int cancel_pending; /* what has not begun is cancelled */
    int cancel_running; /* and what runs is asked to end */
    int no_wait;        /* return at once; workers end by themselves */
    int64_t timeout;    /* ns to wait at most; 0: no limit */
} weir_shutdown_options;

/*
 * Shuts an executor down: it takes no more tasks, and this, unless no_wait, waits until all that
 * were handed in are over and the workers gone. options NULL: all zero. WEIR_TIMEDOUT: some still
 * run; call again to wait on. May be called again, with other options. WEIR_INVALID for a task of
 * the executor itself that wants to wait.
 */
weir_status weir_executor_shutdown(weir_executor *executor, const weir_shutdown_options *options,
                                   weir_error *err);

/* submitted = pending + running + succeeded + failed + cancelled, at every moment. */
typedef struct weir_executor_stats {
    int64_t submitted;
    int64_t pending;
    int64_t running;
    int64_t succeeded;
    int64_t failed;
    int64_t cancelled;
    int64_t workers;      /* threads, child processes or fibers there are now */
    int64_t idle;         /* of these, without a task */
    int64_t peak_workers; /* the most there were at once */
    int64_t replaced;     /* processes: workers that died or had done max_tasks_per_child */
} weir_executor_stats;

/* Counts tasks and workers, now. Any thread; does not wait. A map's tasks are counted in batches.
 */
void weir_executor_stats_get(weir_executor *executor, weir_executor_stats *stats);

/* Names a kind: "inline", "threads", "fibers", "processes". Any thread; static storage. */
const char *weir_executor_kind_name(weir_executor_kind kind);

#ifdef __cplusplus
}
#endif
#endif
