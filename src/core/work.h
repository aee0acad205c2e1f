/*
 * work.h: what an executor queues and its workers run: a submitted task (future_state.h) or the
 * runner of a map.
 */
#ifndef WI_WORK_H
#define WI_WORK_H

#include <stdbool.h>

#include "error.h"
#include "list.h"

typedef struct wi_work wi_work;

struct wi_work {
    wi_list node; /* in the queue, then among what runs; this and the next two: the executor's */
    bool queued;
    bool taken;   /* by wi_executor_take: a worker comes back for more when it is over */
    bool lingers; /* it does not come back at once: set by run before wi_executor_over */
    /*
     * On a worker: does it all, wi_executor_over included, which comes before anybody can learn
     * that it is over. The work may be gone when this returns.
     */
    void (*run)(wi_work *work);
    /*
     * Instead of run, for work that was queued and won't be run: cancelled (shutdown) or broken.
     * The executor counts it. The work may be gone when this returns.
     */
    void (*drop)(wi_work *work, const weir_error *why);
    /*
     * For shutdown with cancel_running, both nullable: hold keeps the work from going, under the
     * executor's lock; cancel asks it to end, with no lock held, and lets go of it. Or hold does
     * all of it, and cancel does not look at the work.
     */
    void (*hold)(wi_work *work);
    void (*cancel)(wi_work *work);
};

#endif
