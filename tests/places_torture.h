/* places_torture.h: torture.h for what keeps something on a fiber's loop. */
#ifndef WEIR_TEST_PLACES_TORTURE_H
#define WEIR_TEST_PLACES_TORTURE_H

#include <unistd.h>

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

/* Each thread for weir_offload has a block of its own for good; one that is on its way back from a
 * task has that task's for a moment longer. */
static inline long place_offload_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    long n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[300];
        char name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fgets(name, sizeof name, file))
            n += strncmp(name, "weir-offload", 12) == 0;
        if (file)
            fclose(file);
    }
    if (dir)
        closedir(dir);
    return n;
}

static inline long place_blocks(long (*elsewhere)(void))
{
    return atomic_load(&torture_live) - (elsewhere ? elsewhere() : 0) - place_offload_threads();
}

/* How many more there are than before, once they are no more or for a minute. What was still to be
 * freed before can make it less. */
static inline long place_lost(long *before, long (*elsewhere)(void))
{
    long now = place_blocks(elsewhere);
    for (int tries = 60000; now > *before && tries; tries--) {
        usleep(1000);
        now = place_blocks(elsewhere);
    }
    long lost = now - *before;
    if (lost < 0)
        *before = now;
    return lost > 0 ? lost : 0;
}

/*
 * TORTURE of what keeps something on its loop: on a fiber of an executor of its own each time,
 * which has given back everything when it is gone. elsewhere (nullable) counts the blocks that
 * others hold meanwhile, such as a server.
 */
static inline void place_torture_fiber(weir_status (*run)(void), long (*elsewhere)(void))
{
    weir_executor_options options = {.size = sizeof options, .kind = WEIR_FIBERS, .loops = 1};
    long before = place_blocks(elsewhere);
    for (int mode = 0; mode < 2; mode++) {
        place_torture t = {.run = run, .for_good = mode == 1, .hit = true};
        for (t.nth = 0; t.hit && t.nth < 1000; t.nth++) {
            weir_executor *executor;
            EXPECT(weir_executor_new(&options, &executor, NULL) == WEIR_OK);
            weir_future *future = place_submit(executor, place_run_tortured, &t, 0);
            weir_status status = weir_future_error(future, -1, NULL);
            weir_future_unref(future);
            weir_executor_free(executor);
            long lost = place_lost(&before, elsewhere);
            bool good = lost == 0 && (status == WEIR_OK || (t.hit && status == WEIR_NOMEM));
            if (!EXPECT(good))
                printf("# allocation %ld failing%s: status %d, %ld blocks more than before\n",
                       t.nth + 1, mode ? " and all after it" : "", (int)status, lost);
        }
        EXPECT(!t.hit);
    }
}

#endif
