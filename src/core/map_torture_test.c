/*
 * map_torture_test.c: a map on each kind of executor, when memory runs out anywhere in the thread
 * that uses it. An item may fail for lack of memory; none is lost, and nothing leaks.
 */
#include "torture.h"
#include "weir/map.h"
#include "weir/wait.h"

enum { N = 5, BAD = 3 };

static int items[N];

static void *odd_one_out(void *arg, weir_error *err)
{
    if (*(int *)arg == BAD) {
        err->status = WEIR_NOTFOUND;
        strcpy(err->text, "there is none");
    }
    return NULL;
}

static weir_status draw(void *source, void **arg, weir_error *err)
{
    int *next = source;
    if (*next == N)
        return WEIR_END;
    int *item = malloc(sizeof *item);
    if (!item) {
        err->status = WEIR_NOMEM;
        strcpy(err->text, "no memory for an item");
        *next = N;
        return WEIR_NOMEM;
    }
    *item = items[(*next)++];
    *arg = item;
    return WEIR_OK;
}

/* Takes all there is; WEIR_NOMEM if any outcome was that. */
static weir_status take_all(weir_map *map, int *count)
{
    weir_status all = WEIR_OK, status;
    void *result;
    weir_error err;
    while ((status = weir_map_next(map, &result, &err)) != WEIR_END) {
        size_t index = weir_map_index(map);
        EXPECT(status == WEIR_NOMEM || status == (items[index % N] == BAD ? WEIR_NOTFOUND : 0));
        if (status == WEIR_NOMEM)
            all = status;
        ++*count;
    }
    return all;
}

static weir_status use(weir_executor *ex, bool lazy, bool to_the_end)
{
    weir_map_options options = WEIR_MAP_OPTIONS_INIT;
    options.buffer_size = 2;
    options.argument.size = sizeof *items;
    options.argument.release = lazy ? free : NULL;
    int next = 0;
    weir_map *map = NULL;
    weir_status status =
        lazy ? weir_map_start_lazy(ex, odd_one_out, draw, &next, &options, &map, NULL)
             : weir_map_start(ex, odd_one_out, items, N, sizeof *items, &options, &map, NULL);
    if (status)
        return status;
    int count = 0;
    if (to_the_end)
        status = take_all(map, &count);
    EXPECT(!to_the_end || count == N || status == WEIR_NOMEM);
    weir_map_free(map);
    return status;
}

static weir_status make_and_use(weir_executor_kind kind, bool lazy, bool to_the_end)
{
    weir_executor *ex = NULL;
    weir_executor_options options = {.size = sizeof options, .kind = kind, .max_workers = 2};
    weir_status status = weir_executor_new(&options, &ex, NULL);
    if (!status)
        status = use(ex, lazy, to_the_end);
    weir_executor_free(ex);
    return status;
}

static void torture(weir_executor_kind kind)
{
    for (int i = 0; i < N; i++)
        items[i] = i;
    TORTURE(make_and_use(kind, false, true));
    TORTURE(make_and_use(kind, true, true));
    TORTURE(make_and_use(kind, true, false));
}

TEST(an_inline_map_survives_lack_of_memory)
{
    torture(WEIR_INLINE);
}

TEST(a_map_over_threads_survives_lack_of_memory)
{
    torture(WEIR_THREADS);
}

TEST(a_map_over_fibers_survives_lack_of_memory)
{
    torture(WEIR_FIBERS);
}

TEST(a_map_over_processes_survives_lack_of_memory)
{
    torture(WEIR_PROCESSES);
}

/* ---- in the workers ---- */

typedef struct shortage {
    long nth; /* allocation from then on, of this item's thread */
    bool comes_here;
} shortage;

static void *run_short(void *arg, weir_error *err)
{
    const shortage *s = arg;
    weir_yield(err);
    if (s->comes_here)
        torture_arm(s->nth, false);
    return NULL;
}

static void map_with_shortage(weir_executor_kind kind, long nth)
{
    enum { MANY = 40 };
    shortage shortages[MANY] = {{.nth = nth, .comes_here = true}};
    weir_executor *ex = NULL;
    weir_executor_options options = {.size = sizeof options, .kind = kind, .max_workers = 3};
    REQUIRE(weir_executor_new(&options, &ex, NULL) == WEIR_OK);
    weir_map_options map_options = WEIR_MAP_OPTIONS_INIT;
    map_options.buffer_size = 7;
    weir_map *map = NULL;
    EXPECT_INT(
        weir_map_start(ex, run_short, shortages, MANY, sizeof *shortages, &map_options, &map, NULL),
        WEIR_OK);
    void *result;
    int count = 0;
    for (weir_status status; (status = weir_map_next(map, &result, NULL)) != WEIR_END; count++)
        EXPECT(status == WEIR_OK || status == WEIR_NOMEM);
    EXPECT_INT(count, MANY);
    weir_map_free(map);
    weir_executor_free(ex);
}

TEST(a_map_survives_lack_of_memory_in_its_workers)
{
    for (long nth = 0; nth < 12; nth++) {
        map_with_shortage(WEIR_THREADS, nth);
        map_with_shortage(WEIR_FIBERS, nth);
    }
}

TESTS(CASE(an_inline_map_survives_lack_of_memory), CASE(a_map_over_threads_survives_lack_of_memory),
      CASE(a_map_over_fibers_survives_lack_of_memory),
      CASE(a_map_over_processes_survives_lack_of_memory),
      CASE(a_map_survives_lack_of_memory_in_its_workers))
