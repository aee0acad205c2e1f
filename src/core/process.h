/*
 * process.h: one worker process as its parent sees it: orders go out, replies come in, and at last
 * it is gone.
 *
 * Everything is for the thread of its loop, and nothing blocks but wi_process_start, for as long as
 * the system needs to execute the program. Callbacks come from the loop; a process takes one task
 * at a time, and none before the reply to the last has come.
 */
#ifndef WI_PROCESS_H
#define WI_PROCESS_H

#include <stdbool.h>
#include <sys/uio.h>

#include "list.h"
#include "loop.h"
#include "spawned.h"
#include "weir/executor.h"
#include "worker.h"

typedef struct wi_process wi_process;

typedef struct wi_process_events {
    /* The initializer has run: WEIR_OK, or how it failed. */
    void (*ready)(wi_process *process, const weir_error *error);
    /* The task has run: its result, which is the callee's to free, or how it failed. */
    void (*replied)(wi_process *process, void *result, const weir_error *error);
    /* It has ended and is reaped; the last call. `why` says how in words that follow a name. */
    void (*gone)(wi_process *process, const weir_error *why);
} wi_process_events;

struct wi_process {
    /* The owner's own; zero at the start. */
    wi_list node;
    void *owner;
    weir_future *future;
    int64_t tasks;
    bool is_idle;
    bool is_ready;
    bool is_leaving;
    atomic_bool asked; /* to cancel what it runs */

    /* process.c's */
    const wi_process_events *events;
    wi_spawned spawned;
    bool is_dead;
    bool owes_ready; /* what it may say; anything else is not its own to say */
    bool owes_reply;
    bool has_refused; /* it ended before it had read all of its last order */
    weir_error fault; /* why it was killed from here; WEIR_OK: it was not */
    int orders_fd;    /* -1: no more orders */
    int control_fd;
    wi_watch orders_watch;
    wi_watch end_watch;

    wi_worker_order orders[2]; /* to initialize, to run */
    uint64_t last_id;
    struct iovec parts[6]; /* to be written: from first to n_parts */
    int first;
    int n_parts;
    bool awaits_room;

    const weir_task *task; /* for messages about what it misses */
    wi_worker_reply reply; /* being read, if has_head */
    bool has_head;
    char *value; /* the result, or where the text of an error goes */
    weir_error error;
    size_t got;    /* of it */
    size_t in_len; /* bytes that were read and not yet looked at */
    char in[4096];
};

/*
 * Starts a worker in zeroed memory and sends it to its initializer. On failure nothing is left.
 * WEIR_INVALID: the initializer, or its argument, cannot cross.
 */
weir_status wi_process_start(wi_process *process, wi_loop *loop, wi_module_cache *functions,
                             const weir_executor_options *options, const wi_process_events *events,
                             weir_error *err);

/*
 * Has it run the task, which stays where it is until the reply. WEIR_INVALID, WEIR_TOOLARGE: the
 * task cannot cross, and nothing was sent.
 */
weir_status wi_process_run(wi_process *process, wi_module_cache *functions, const weir_task *task,
                           weir_error *err);

/* Asks the task that it runs to end. */
void wi_process_cancel(wi_process *process);

/* It is to end when it has done what it was told. */
void wi_process_leave(wi_process *process);

/* Ends it now. */
void wi_process_kill(wi_process *process);

#endif
