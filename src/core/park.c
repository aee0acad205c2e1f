/*
 * park.c: see park.h. A thread's permit is GIVEN or not; while the thread may be asleep it says so,
 * and only then does giving one cost a system call.
 */
#include "park.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { NONE, GIVEN, ASLEEP };

static _Thread_local wi_parker own;

wi_parker *wi_parker_here(wi_parker *place)
{
    wi_fiber *fiber = wi_fiber_current();
    if (!fiber)
        return &own;
    place->fiber = fiber;
    atomic_init(&place->permit, NONE);
    return place;
}

/* Until the permit is no longer ASLEEP; or for no reason. */
static void sleep_until(wi_parker *parker, int64_t deadline)
{
    int64_t at = deadline > 0 ? deadline : 0;
    struct timespec time = {at / WI_SECOND, at % WI_SECOND};
    syscall(SYS_futex, &parker->permit, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, ASLEEP,
            deadline == WI_FOREVER ? NULL : &time, NULL, FUTEX_BITSET_MATCH_ANY);
}

void wi_park(wi_parker *parker, int64_t deadline)
{
    if (parker->fiber) {
        wi_fiber_suspend(deadline);
        return;
    }
    unsigned seen = NONE;
    if (atomic_compare_exchange_strong(&parker->permit, &seen, ASLEEP))
        sleep_until(parker, deadline);
    atomic_exchange(&parker->permit, NONE);
}

void wi_unpark(wi_parker *parker)
{
    if (parker->fiber)
        wi_fiber_wake(parker->fiber);
    else if (atomic_exchange(&parker->permit, GIVEN) == ASLEEP)
        syscall(SYS_futex, &parker->permit, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

int64_t wi_park_now(void)
{
    const wi_fiber *fiber = wi_fiber_current();
    return fiber ? wi_loop_clock(wi_fiber_loop(fiber)) : wi_clock_now(wi_clock_real());
}
