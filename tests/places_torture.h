/* places_torture.h: torture.h for what keeps something on a fiber's loop. */
#ifndef WEIR_TEST_PLACES_TORTURE_H
#define WEIR_TEST_PLACES_TORTURE_H

#include "places.h"
#include "torture.h"

typedef struct place_torture {
    weir_status (*run)(void);
    long nth;
    bool for_good;
    bool hit;
} place_torture;

static inline void *place_run_tortured(void *arg, weir_error *err)
{
    place_torture *t = arg;
    torture_arm(t->nth, t->for_good);
    weir_status status = t->run();
    torture_left = -1;
    t->hit = torture_hit;
    if (status != WEIR_OK)
        err->status = status;
    return NULL;
}

/*
 * TORTURE of what keeps something on its loop: on a fiber of an executor of its own each time,
 * which has given back everything when it is gone. elsewhere (nullable) counts the blocks that
 * others hold meanwhile, such as a server.
 */
static inline void place_torture_fiber(weir_status (*run)(void), long (*elsewhere)(void))
{
    weir_executor_options options = {.size = sizeof options, .kind = WEIR_FIBERS, .loops = 1};
    for (int mode = 0; mode < 2; mode++) {
        place_torture t = {.run = run, .for_good = mode == 1, .hit = true};
        for (t.nth = 0; t.hit && t.nth < 1000; t.nth++) {
            long before = atomic_load(&torture_live) - (elsewhere ? elsewhere() : 0);
            weir_executor *executor;
            EXPECT(weir_executor_new(&options, &executor, NULL) == WEIR_OK);
            weir_future *future = place_submit(executor, place_run_tortured, &t, 0);
            weir_status status = weir_future_error(future, -1, NULL);
            weir_future_unref(future);
            weir_executor_free(executor);
            long lost = atomic_load(&torture_live) - (elsewhere ? elsewhere() : 0) - before;
            bool good = lost == 0 && (status == WEIR_OK || (t.hit && status == WEIR_NOMEM));
            if (!EXPECT(good))
                printf("# allocation %ld failing%s: status %d, %ld blocks more than before\n",
                       t.nth + 1, mode ? " and all after it" : "", (int)status, lost);
        }
        EXPECT(!t.hit);
    }
}

#endif
