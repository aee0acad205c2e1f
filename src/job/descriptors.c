/* descriptors.c: see descriptors.h and getrlimit(2). */
#include "descriptors.h"

#include <sys/resource.h>

enum {
    FOR_THE_REST = 32, /* standard streams, input, outputs, loops, files being saved */
    GROUP = 64,        /* connections that are kept together, */
    PER_GROUP = 2,     /* and what that takes by itself */
    PER_START = 3,     /* more than it keeps, while an item of a lane starts */
};

/* A lane may have a quarter more than its share, and a group besides: enough to be busy alone for a
 * while, and not so much that every lane keeps connections for everything. */
static int64_t lane_most(int64_t in_flight, int64_t lanes, bool kept)
{
    int64_t most = in_flight / lanes * 5 / 4 + GROUP;
    return !kept || lanes == 1 || most > in_flight ? in_flight : most;
}

static int64_t needed(int64_t in_flight, int64_t lanes, int each, bool kept)
{
    if (!kept)
        return FOR_THE_REST + in_flight * each + lanes * PER_START;
    int64_t groups = (lane_most(in_flight, lanes, kept) + GROUP - 1) / GROUP;
    return FOR_THE_REST + lanes * groups * (GROUP * each + PER_GROUP);
}

/* The most that needs no more than is allowed; at least half of a limit that is very low. */
static int64_t that_fits(int64_t allowed, int64_t wanted, int64_t lanes, int each, bool kept)
{
    int64_t half = allowed / 2 / each;
    int64_t low = half < wanted ? half : wanted;
    int64_t high = wanted;
    if (low < 1)
        low = 1;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        if (needed(middle, lanes, each, kept) <= allowed)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

wi_descriptors wi_descriptors_plan(int64_t wanted, int64_t lanes, int each, bool kept)
{
    struct rlimit limit;
    wi_descriptors plan = {
        .needed = needed(wanted, lanes, each, kept), .allowed = INT64_MAX, .in_flight = wanted};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
        plan.allowed = (int64_t)limit.rlim_max;
    if (plan.needed > plan.allowed)
        plan.in_flight = that_fits(plan.allowed, wanted, lanes, each, kept);
    plan.lane_most = lane_most(plan.in_flight, lanes, kept);
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
