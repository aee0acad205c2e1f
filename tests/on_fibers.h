/* on_fibers.h: what a test has run on fibers of one loop, on a virtual clock that begins at 1000.
 */
#ifndef WEIR_TEST_ON_FIBERS_H
#define WEIR_TEST_ON_FIBERS_H

#include "fiber.h"
#include "task.h"
#include "test.h"

typedef struct on_fibers {
    wi_clock clock;
    wi_loop *loop;
    wi_fibers *fibers;
} on_fibers;

static inline bool fibers_begin(on_fibers *f)
{
    f->clock = (wi_clock){.is_virtual = true, .virtual_now = 1000};
    return EXPECT(wi_loop_new(&f->clock, &f->loop, NULL) == WEIR_OK) &&
           EXPECT(wi_fibers_new(f->loop, 0, &f->fibers, NULL) == WEIR_OK);
}

static inline void fibers_go(on_fibers *f, void (*fn)(void *arg), void *arg)
{
    EXPECT(wi_fiber_start(f->fibers, fn, arg, NULL) == WEIR_OK);
}

/* Runs all to their ends. */
static inline void fibers_end(on_fibers *f)
{
    while (wi_fibers_live(f->fibers))
        wi_loop_turn(f->loop, true, NULL);
    wi_fibers_free(f->fibers);
    wi_loop_free(f->loop);
}

#endif
