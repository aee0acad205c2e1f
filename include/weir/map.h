/*
 * weir/map.h: one function over many arguments, on any executor, results in order.
 *
 *     weir_map *map;
 *     weir_map_start(executor, fetch_product, ids, 200, sizeof *ids, NULL, &map, &err);
 *     while ((status = weir_map_next(map, &product, &err)) != WEIR_END) ...
 *     weir_map_free(map);
 *
 * Input is drawn only as far as there is room for results: a map over an endless input needs no
 * more memory than one over a short one. A map belongs to one thread or fiber at a time; its tasks
 * run wherever its executor runs them.
 */
#ifndef WEIR_MAP_H
#define WEIR_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/executor.h"
#include "weir/options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_map weir_map;

typedef struct weir_map_options {
    size_t size;          /* sizeof(weir_map_options) */
    size_t buffer_size;   /* items drawn from the input and not yet handed out, at most; 0: 4,096 */
    int as_completed;     /* hand results out as they come instead of in the order of the input */
    int64_t timeout;      /* ns for the whole map, from its start on; 0: none */
    int64_t task_timeout; /* ns for each task */
    const char *name;     /* as in weir_task */
    weir_type argument;   /* as in weir_task; an array's items have their size anyway, and are not
                             released */
    weir_type result;
} weir_map_options;

#define WEIR_MAP_OPTIONS_INIT WEIR_OPTIONS_INIT(weir_map_options)

/*
 * Begins to run a function over the items of an array: fn(items + i * item_size) for each i below
 * n. *out is the caller's to free. The items are the caller's and must stay
 * until the map is freed. Never waits. options may be NULL. Inline: each task runs in
 * weir_map_next, and its waits end when the calling task is cancelled or past its deadline.
 */
weir_status weir_map_start(weir_executor *executor, weir_task_fn fn, void *items, size_t n,
                           size_t item_size, const weir_map_options *options, weir_map **out,
                           weir_error *err);

/*
 * Gives the next argument: WEIR_OK and *arg, or WEIR_END; any other status ends the input, and
 * weir_map_next returns it in its place. Called by one at a time, and not again after it has ended:
 * by workers where tasks begin, inside a task of the map's name, or in weir_map_next (inline and
 * processes). It may wait, but not for tasks of the map.
 */
typedef weir_status (*weir_map_input)(void *source, void **arg, weir_error *err);

/* The same over arguments that input makes when they are needed; argument.release frees them, after
 * their outcome was handed out and the next call made. */
weir_status weir_map_start_lazy(weir_executor *executor, weir_task_fn fn, weir_map_input input,
                                void *source, const weir_map_options *options, weir_map **out,
                                weir_error *err);

/*
 * Waits for the next result. WEIR_OK: *result is the caller's. WEIR_END: there are no more. Any
 * other status is the error of the task at this position, and the map goes on after it (a task's
 * own WEIR_END comes as WEIR_CLOSED). Once the map's timeout has passed no more input is drawn,
 * what runs is asked to end, and each position that was drawn and has no result yet gives
 * WEIR_TIMEDOUT; if the executor is shut down or broken, its error. Where that leaves input undrawn
 * and no position has said why, one more does before WEIR_END: no input is left out in silence. If
 * the calling task itself is cancelled or past its deadline, weir_map_count has not moved.
 */
weir_status weir_map_next(weir_map *map, void **result, weir_error *err);

/*
 * Tells how many outcomes weir_map_next has handed out; of the last one its place in the input,
 * from 0 on; and its argument, which stays until the next call.
 */
size_t weir_map_count(const weir_map *map);
size_t weir_map_index(const weir_map *map);
void *weir_map_arg(const weir_map *map);

/*
 * Ends a map and frees it: cancels what is pending, asks what runs to end and waits for it,
 * releases what was not handed out. Not from one of its tasks. From here on weir_executor_stats
 * counts all its tasks, which until then it does in batches. NULL is fine.
 */
void weir_map_free(weir_map *map);

#ifdef __cplusplus
}
#endif
#endif
