/* descriptors.c: see descriptors.h and getrlimit(2). */
#include "descriptors.h"

#include <sys/resource.h>

enum {
    FOR_THE_REST = 64, /* standard streams, input, outputs, loops, files being saved */
    KEPT_PER_LANE = 64 /* idle connections beyond those in use */
};

wi_descriptors wi_descriptors_plan(int64_t wanted, int64_t lanes)
{
    struct rlimit limit;
    int64_t extra = FOR_THE_REST + KEPT_PER_LANE * lanes;
    wi_descriptors plan = {.needed = wanted + extra, .allowed = INT64_MAX, .in_flight = wanted};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
        plan.allowed = (int64_t)limit.rlim_max;
    if (plan.needed > plan.allowed) {
        int64_t fits = plan.allowed - extra;
        int64_t half = plan.allowed / 2; /* of a very low limit */
        plan.in_flight = fits > half ? fits : half;
        if (plan.in_flight > wanted)
            plan.in_flight = wanted;
        if (plan.in_flight < 1)
            plan.in_flight = 1;
    }
    return plan;
}

void wi_descriptors_raise(const wi_descriptors *plan)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t wanted = (rlim_t)(plan->needed < plan->allowed ? plan->needed : plan->allowed);
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
