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
    wi_list node; /* in the queue; under the executor's lock */
    /* On a worker: does it all. The work may be gone when this returns. */
    void (*run)(wi_work *work);
    /* Instead of run, for work that was queued and won't be: cancelled (shutdown) or broken. */
    void (*drop)(wi_work *work, const weir_error *why);
};

#endif
