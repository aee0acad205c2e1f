/* executor_processes.c: to be replaced by the backend itself. */
#include "executor_state.h"

static weir_status open_processes(weir_executor *ex, weir_error *err)
{
    (void)ex;
    return wi_fail(err, WEIR_UNSUPPORTED, "there are no processes yet");
}

const wi_executor_backend wi_executor_processes = {.name = "processes", .open = open_processes};
