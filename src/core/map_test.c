/*
 * map_test.c: what weir/map.h promises, once per kind of executor. What only a kind can be asked
 * (releases, inputs and nested maps inside one process) says so.
 */
#include "kinds.h"
#include "weir/map.h"

#define NOT_CONCURRENT NOT_INLINE
#define IN_PROCESS NOT_PROCESSES

static const char *const one_by_one = "inline runs one task at a time, in weir_map_next";
static const char *const not_here = "the tasks share memory with the test";

/* ---- helpers ---- */

static weir_map_options options_of(void)
{
    weir_map_options options = WEIR_MAP_OPTIONS_INIT;
    options.argument.size = sizeof(errand);
    options.result = (weir_type){.size = sizeof(int), .release = free};
    return options;
}

static errand *errands_of(int n, char letter)
{
    errand *items = calloc((size_t)n + 1, sizeof *items);
    for (int i = 0; i < n; i++)
        items[i] = errand_of(i, letter);
    return items;
}

static weir_map *start(weir_executor *ex, weir_task_fn fn, errand *items, int n,
                       const weir_map_options *options)
{
    weir_error err;
    weir_map *map = NULL;
    if (!EXPECT(!weir_map_start(ex, fn, items, (size_t)n, sizeof *items, options, &map, &err)))
        printf("# %s\n", err.text);
    return map;
}

/* Its number, or minus its status. */
static int next(weir_map *map)
{
    void *result = NULL;
    weir_error err = {.status = WEIR_OK};
    weir_status status = weir_map_next(map, &result, &err);
    if (status) {
        EXPECT(!result);
        EXPECT(status == WEIR_END || (err.status == status && err.text[0]));
        return -(int)status;
    }
    int number = *(int *)result;
    free(result);
    return number;
}

/* ---- order ---- */

TEST(results_come_in_order)
{
    enum { N = 100 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3});
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    weir_map *map = start(ex, count_on, items, N, &options);
    for (int i = 0; i < N; i++) {
        EXPECT_INT(next(map), i + 1);
        EXPECT_INT(weir_map_index(map), i);
        EXPECT(weir_map_arg(map) == &items[i]);
        EXPECT_INT(weir_map_count(map), i + 1);
    }
    EXPECT_INT(next(map), -WEIR_END);
    EXPECT_INT(next(map), -WEIR_END);
    EXPECT_INT(weir_map_count(map), N);
    weir_map_free(map);
    EXPECT_INT(stats_of(ex).succeeded, N);
    EXPECT_INT(stats_of(ex).submitted, N);
    weir_executor_free(ex);
    free(items);
}

TEST(a_small_buffer_is_enough)
{
    enum { N = 50 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3});
    errand *items = errands_of(N, 0);
    for (size_t size = 1; size < 6; size++) {
        weir_map_options options = options_of();
        options.buffer_size = size;
        options.as_completed = size % 2;
        weir_map *map = start(ex, count_on, items, N, &options);
        int sum = 0;
        for (int i = 0; i < N; i++)
            sum += next(map);
        EXPECT_INT(sum, N * (N + 1) / 2);
        EXPECT_INT(next(map), -WEIR_END);
        weir_map_free(map);
    }
    weir_executor_free(ex);
    free(items);
}

TEST(nothing_gives_nothing)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    weir_map *map = start(ex, count_on, NULL, 0, NULL);
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    weir_map_free(NULL);
    weir_executor_free(ex);
}

/* The first stands behind the gate until all others are here. */
static void *first_holds(void *arg, weir_error *err)
{
    const errand *e = arg;
    return e->number == 0 ? hold(arg, err) : count_on(arg, err);
}

TEST(as_completed_slow_ones_come_last)
{
    enum { N = 40 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    options.as_completed = 1;
    weir_map *map = start(ex, first_holds, items, N, &options);
    for (int i = 1; i < N; i++) {
        int number = next(map);
        EXPECT(number > 1);
        EXPECT_INT(weir_map_index(map), number - 1);
        EXPECT(weir_map_arg(map) == &items[number - 1]);
    }
    open_gate();
    EXPECT_INT(next(map), 1);
    EXPECT_INT(weir_map_index(map), 0);
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

static void *third_fails(void *arg, weir_error *err)
{
    const errand *e = arg;
    return e->number % 3 == 2 ? fail(arg, err) : count_on(arg, err);
}

TEST(an_error_comes_at_its_place)
{
    enum { N = 9 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    weir_map *map = start(ex, third_fails, items, N, &options);
    for (int i = 0; i < N; i++) {
        weir_error err;
        void *result = NULL;
        weir_status status = weir_map_next(map, &result, &err);
        EXPECT_INT(weir_map_index(map), i);
        EXPECT_INT(status, i % 3 == 2 ? WEIR_NOTFOUND : WEIR_OK);
        if (i == 5) {
            EXPECT_STR(err.text, "there is no product 5");
            EXPECT_INT(err.sys_errno, ENOENT);
        }
        free(result);
    }
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

/* ---- lazy input ---- */

typedef struct source {
    int next;
    int end;            /* WEIR_END there, or status */
    weir_status status; /* 0: WEIR_END */
    atomic_int inside;  /* callers */
    atomic_int drawn;
    atomic_int released;
} source;

static source *now; /* the source of the test, for release */

static weir_status draw(void *arg, void **item, weir_error *err)
{
    source *s = arg;
    EXPECT_INT(atomic_fetch_add(&s->inside, 1), 0);
    weir_status status = WEIR_OK;
    if (s->next == s->end) {
        status = s->status ? s->status : WEIR_END;
        if (s->status) {
            err->status = status;
            strcpy(err->text, "the well is dry");
        }
        s->end = -1; /* asking again would find an endless source */
    } else {
        errand *e = malloc(sizeof *e);
        *e = errand_of(s->next++, 0);
        *item = e;
        atomic_fetch_add(&s->drawn, 1);
    }
    atomic_fetch_sub(&s->inside, 1);
    return status;
}

static void release(void *item)
{
    atomic_fetch_add(&now->released, 1);
    free(item);
}

static weir_map *start_lazy(weir_executor *ex, weir_task_fn fn, source *s,
                            weir_map_options *options)
{
    weir_error err;
    weir_map *map = NULL;
    now = s;
    options->argument.release = release;
    if (!EXPECT(!weir_map_start_lazy(ex, fn, draw, s, options, &map, &err)))
        printf("# %s\n", err.text);
    return map;
}

TEST(a_lazy_input_is_drawn_to_its_end)
{
    enum { N = 300 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3});
    for (int as_completed = 0; as_completed < 2; as_completed++) {
        source s = {.end = N};
        weir_map_options options = options_of();
        options.as_completed = as_completed;
        weir_map *map = start_lazy(ex, count_on, &s, &options);
        int sum = 0;
        for (int i = 0; i < N; i++) {
            int number = next(map);
            sum += number;
            const errand *e = weir_map_arg(map);
            EXPECT_INT(e->number, number - 1);
            EXPECT_INT(weir_map_index(map), number - 1);
        }
        EXPECT_INT(sum, N * (N + 1) / 2);
        EXPECT_INT(next(map), -WEIR_END);
        weir_map_free(map);
        EXPECT_INT(s.drawn, N);
        EXPECT_INT(s.released, N);
    }
    weir_executor_free(ex);
}

TEST(an_endless_input_is_drawn_as_far_as_there_is_room)
{
    enum { BUFFER = 7, N = 100 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3});
    source s = {.end = -1};
    weir_map_options options = options_of();
    options.buffer_size = BUFFER;
    weir_map *map = start_lazy(ex, count_on, &s, &options);
    for (int i = 0; i < N; i++) {
        EXPECT(atomic_load(&s.drawn) <= i + BUFFER);
        EXPECT_INT(next(map), i + 1);
    }
    if (kind == WEIR_THREADS || kind == WEIR_FIBERS)
        EXPECT_SOON(atomic_load(&s.drawn) == N + BUFFER);
    weir_map_free(map);
    EXPECT(atomic_load(&s.drawn) <= N + BUFFER);
    EXPECT_INT(s.released, s.drawn);
    weir_executor_free(ex);
}

TEST(the_inputs_error_comes_at_its_place)
{
    enum { N = 5 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    source s = {.end = N, .status = WEIR_DENIED};
    weir_map_options options = options_of();
    weir_map *map = start_lazy(ex, count_on, &s, &options);
    for (int i = 0; i < N; i++)
        EXPECT_INT(next(map), i + 1);
    weir_error err;
    void *result = NULL;
    EXPECT_INT(weir_map_next(map, &result, &err), WEIR_DENIED);
    EXPECT_STR(err.text, "the well is dry");
    EXPECT_INT(weir_map_index(map), N);
    EXPECT(!weir_map_arg(map));
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    EXPECT_INT(s.released, N);
    weir_executor_free(ex);
}

/* ---- the end before the end ---- */

TEST(after_its_deadline_what_has_begun_is_timed_out)
{
    enum { N = 6 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 't');
    weir_map_options options = options_of();
    options.timeout = WEIR_MILLISECONDS(200);
    weir_map *map = start(ex, insist, items, N, &options);
    int n = 0, number;
    while ((number = next(map)) == -WEIR_TIMEDOUT)
        EXPECT_INT(weir_map_index(map), n++);
    EXPECT_INT(number, -WEIR_END);
    EXPECT(n >= count_in_trace('t') && n >= 1 && n <= N);
    open_gate();
    weir_map_free(map);
    EXPECT(count_in_trace('t') <= 6);
    weir_executor_free(ex);
    free(items);
}

TEST(the_deadline_ends_waits_of_tasks)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(2, 0);
    weir_map_options options = options_of();
    options.timeout = WEIR_MILLISECONDS(50);
    weir_map *map = start(ex, hold, items, 2, &options);
    EXPECT_INT(next(map), -WEIR_TIMEDOUT);
    int number = next(map); /* inline never began it, nor does a slow machine */
    EXPECT(number == -WEIR_TIMEDOUT || number == -WEIR_END);
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

TEST(what_came_in_time_is_handed_out_after_the_deadline)
{
    enum { N = 20 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    options.timeout = WEIR_MILLISECONDS(100);
    weir_map *map = start(ex, first_holds, items, N, &options);
    while (stats_of(ex).running + stats_of(ex).pending > 1)
        usleep(1000);
    EXPECT_INT(next(map), -WEIR_TIMEDOUT);
    int number = 0;
    for (int i = 1; i < N && number != -WEIR_END; i++) { /* a slow machine begins only some */
        number = next(map);
        EXPECT(number == i + 1 || number == -WEIR_TIMEDOUT || number == -WEIR_END);
    }
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

TEST(a_tasks_own_timeout_counts_from_its_beginning)
{
    enum { N = 3 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    options.task_timeout = WEIR_MILLISECONDS(20);
    weir_map *map = start(ex, hold, items, N, &options);
    for (int i = 0; i < N; i++)
        EXPECT_INT(next(map), -WEIR_TIMEDOUT);
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

TEST(freed_early_it_ends_what_runs_and_begins_no_more)
{
    enum { N = 1000 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 'f');
    weir_map_options options = options_of();
    weir_map *map = start(ex, hold, items, N, &options);
    EXPECT_SOON(count_in_trace('f') == 2 || (kind == WEIR_INLINE));
    weir_map_free(map);
    EXPECT(count_in_trace('f') <= 2);
    EXPECT_INT(stats_of(ex).running + stats_of(ex).pending, 0);
    weir_executor_free(ex);
    free(items);
}

static atomic_int results_out, results_in;

static void *numbered(void *arg, weir_error *err)
{
    atomic_fetch_add(&results_out, 1);
    return count_on(arg, err);
}

static void release_result(void *result)
{
    atomic_fetch_add(&results_in, 1);
    free(result);
}

TEST(what_is_not_taken_is_released_once)
{
    enum { N = 200, BUFFER = 16 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3});
    for (int taken = 0; taken < N; taken += 40) {
        for (int as_completed = 0; as_completed < 2; as_completed++) {
            source s = {.end = N};
            weir_map_options options = options_of();
            options.result.release = release_result;
            options.buffer_size = BUFFER;
            options.as_completed = as_completed;
            atomic_store(&results_out, 0);
            atomic_store(&results_in, 0);
            weir_map *map = start_lazy(ex, numbered, &s, &options);
            for (int i = 0; i < taken; i++)
                EXPECT(next(map) > 0);
            weir_map_free(map);
            EXPECT_INT(results_out, results_in + taken);
            EXPECT_INT(s.released, s.drawn);
        }
    }
    weir_executor_free(ex);
}

TEST(what_was_abandoned_is_released_when_its_task_is_over)
{
    enum { N = 4 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    for (int as_completed = 0; as_completed < 2; as_completed++) {
        close_gate();
        source s = {.end = N};
        weir_map_options options = options_of();
        options.timeout = WEIR_MILLISECONDS(20);
        options.as_completed = as_completed;
        weir_map *map = start_lazy(ex, insist, &s, &options);
        EXPECT_INT(next(map), -WEIR_TIMEDOUT);
        const errand *e = weir_map_arg(map);
        if (e) /* on a slow machine nothing was begun in time */
            EXPECT_INT(e->number, weir_map_index(map));
        while (next(map) != -WEIR_END)
            continue;
        EXPECT_INT(s.released, 0);
        open_gate();
        weir_map_free(map);
        EXPECT_INT(s.released, s.drawn);
    }
    weir_executor_free(ex);
}

/* ---- the executor's end ---- */

TEST(a_closed_executor_takes_no_map)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    weir_error err;
    EXPECT_INT(weir_executor_shutdown(ex, NULL, &err), WEIR_OK);
    errand item = errand_of(1, 0);
    weir_map *map = NULL;
    EXPECT_INT(weir_map_start(ex, count_on, &item, 1, sizeof item, NULL, &map, &err), WEIR_CLOSED);
    EXPECT(!map);
    weir_executor_free(ex);
}

TEST(shutdown_in_the_middle_ends_the_map_with_its_error)
{
    enum { N = 100, BUFFER = 4 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    options.buffer_size = BUFFER;
    weir_map *map = start(ex, count_on, items, N, &options);
    weir_error err;
    EXPECT_INT(next(map), 1);
    EXPECT_INT(weir_executor_shutdown(ex, NULL, &err), WEIR_OK);
    int n = 1, number;
    while ((number = next(map)) > 0)
        EXPECT_INT(number, ++n);
    EXPECT_INT(number, -WEIR_CLOSED);
    EXPECT(n <= BUFFER + 1);
    while ((number = next(map)) == -WEIR_CLOSED)
        continue;
    EXPECT_INT(number, -WEIR_END);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

TEST(shutdown_that_cancels_ends_what_runs)
{
    enum { N = 100 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 's');
    weir_map_options options = options_of();
    weir_map *map = start(ex, hold, items, N, &options);
    EXPECT_SOON(count_in_trace('s') == 2);
    weir_error err;
    weir_shutdown_options all = {.cancel_pending = 1, .cancel_running = 1};
    EXPECT_INT(weir_executor_shutdown(ex, &all, &err), WEIR_OK);
    int n = 0, number;
    while ((number = next(map)) != -WEIR_END) {
        EXPECT(number == -WEIR_CANCELLED || number == -WEIR_CLOSED);
        n++;
    }
    EXPECT(n >= 2);
    EXPECT(count_in_trace('s') == 2);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

static void *rest_or_end(void *arg, weir_error *err)
{
    (void)arg;
    weir_sleep(WEIR_MICROSECONDS(1), err);
    return NULL;
}

/* The sanitizers see whether anybody touches a runner that has gone. */
TEST(shutdown_may_meet_the_end_of_what_runs)
{
    enum { N = 64, ROUNDS = 150 };
    static int items[N];
    for (int round = 0; round < ROUNDS; round++) {
        weir_executor *ex = make_executor((weir_executor_options){.max_workers = 16});
        weir_map *map = NULL;
        void *result;
        weir_status status = WEIR_OK;
        REQUIRE(weir_map_start(ex, rest_or_end, items, N, sizeof *items, NULL, &map, NULL) == 0);
        for (int i = 0; i < round % 40; i++)
            EXPECT_INT(weir_map_next(map, &result, NULL), WEIR_OK);
        weir_shutdown_options all = {.cancel_pending = 1, .cancel_running = 1};
        EXPECT_INT(weir_executor_shutdown(ex, &all, NULL), WEIR_OK);
        while ((status = weir_map_next(map, &result, NULL)) != WEIR_END)
            EXPECT(status == WEIR_OK || status == WEIR_CANCELLED || status == WEIR_CLOSED);
        weir_map_free(map);
        weir_executor_free(ex);
    }
}

static weir_status refuse(void *arg, weir_error *err)
{
    (void)arg;
    err->status = WEIR_DENIED;
    strcpy(err->text, "no work today");
    return WEIR_DENIED;
}

TEST(a_broken_executor_gives_its_error)
{
    weir_executor *ex =
        make_executor((weir_executor_options){.max_workers = 1, .initializer = refuse});
    errand *items = errands_of(3, 'x');
    weir_map *map = NULL;
    weir_error err;
    weir_map_options options = options_of();
    weir_status status =
        weir_map_start(ex, count_on, items, 3, sizeof *items, &options, &map, &err);
    if (!status)
        status = -next(map);
    EXPECT_INT(status, WEIR_DENIED);
    EXPECT_INT(count_in_trace('x'), 0);
    if (map)
        while (next(map) != -WEIR_END)
            continue;
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

/* ---- inside tasks ---- */

/* A map over the executor that runs this. */
static weir_executor *outer;

static void *map_inside(void *arg, weir_error *err)
{
    enum { N = 30 };
    (void)arg;
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    options.buffer_size = 8;
    weir_map *map;
    int sum = 0, number;
    if (!weir_map_start(outer, count_on, items, N, sizeof *items, &options, &map, err)) {
        while ((number = next(map)) > 0)
            sum += number;
        EXPECT_INT(number, -WEIR_END);
        weir_map_free(map);
    }
    free(items);
    return answer(sum, err);
}

TEST(a_task_maps_over_its_own_executor)
{
    enum { N = 5 };
    for (int workers = 1; workers < 4; workers++) {
        outer = make_executor((weir_executor_options){.max_workers = workers});
        errand *items = errands_of(N, 0);
        weir_map_options options = options_of();
        weir_map *map = start(outer, map_inside, items, N, &options);
        for (int i = 0; i < N; i++)
            EXPECT_INT(next(map), 30 * 31 / 2);
        EXPECT_INT(next(map), -WEIR_END);
        weir_map_free(map);
        weir_executor_free(outer);
        free(items);
    }
}

static void *map_until_cancelled(void *arg, weir_error *err)
{
    weir_executor *ex = outer;
    errand *items = errands_of(2, 'c');
    weir_map_options options = options_of();
    weir_map *map = start(ex, hold, items, 2, &options);
    void *result = NULL;
    weir_status status = weir_map_next(map, &result, err);
    EXPECT_INT(status, WEIR_CANCELLED);
    EXPECT_INT(weir_map_count(map), 0);
    const errand *e = arg;
    leave_trace(e->dir, 'd');
    weir_map_free(map);
    free(items);
    return NULL;
}

TEST(a_cancelled_consumer_is_told)
{
    weir_executor_kind own = kind;
    outer = make_executor((weir_executor_options){.max_workers = 2});
    kind = own == WEIR_FIBERS ? WEIR_FIBERS : WEIR_THREADS;
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    kind = own;
    errand e = errand_of(0, 0);
    weir_future *future = give(ex, map_until_cancelled, &e);
    EXPECT_SOON(count_in_trace('c') == 2);
    EXPECT_INT(weir_future_cancel(future), WEIR_CANCEL_ASKED);
    EXPECT_INT(collect(future), -WEIR_CANCELLED);
    EXPECT_INT(count_in_trace('d'), 1);
    weir_executor_free(ex);
    weir_executor_free(outer);
}

/* A consumer's deadline passes, is lifted, and the map goes on. */
TEST(a_late_consumer_may_ask_again)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1});
    errand *items = errands_of(2, 0);
    weir_map_options options = options_of();
    weir_map *map = start(ex, hold, items, 2, &options);
    weir_deadline_set(WEIR_MILLISECONDS(20));
    EXPECT_INT(next(map), -WEIR_TIMEDOUT);
    EXPECT_INT(weir_map_count(map), 0);
    weir_deadline_set(-1);
    open_gate();
    EXPECT_INT(next(map), 1);
    EXPECT_INT(next(map), 2);
    EXPECT_INT(next(map), -WEIR_END);
    weir_map_free(map);
    weir_executor_free(ex);
    free(items);
}

/* ---- together with others ---- */

static atomic_bool found;

static void *until_found(void *arg, weir_error *err)
{
    const errand *e = arg;
    if (!atomic_load(&found))
        usleep(200);
    return answer(e->number + 1, err);
}

static void *find(void *arg, weir_error *err)
{
    const errand *e = arg;
    atomic_store(&found, true);
    return answer(e->number, err);
}

/* An endless map, and one task that was submitted after it. */
TEST(a_long_map_lets_others_in)
{
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 1, .loops = 0});
    atomic_store(&found, false);
    source s = {.end = -1};
    weir_map_options options = options_of();
    weir_map *map = start_lazy(ex, until_found, &s, &options);
    EXPECT_INT(next(map), 1);
    errand e = errand_of(7, 0);
    weir_future *future = give(ex, find, &e);
    for (int i = 2; !atomic_load(&found); i++)
        EXPECT_INT(next(map), i);
    EXPECT_INT(collect(future), 7);
    weir_map_free(map);
    EXPECT_INT(s.released, s.drawn);
    weir_executor_free(ex);
}

/* Each of a map's last tasks waits until all of them run: none may be behind another. */
static atomic_int meeting;

static void *meet_at_the_end(void *arg, weir_error *err)
{
    const errand *e = arg;
    if (e->number >= 2000) {
        atomic_fetch_add(&meeting, 1);
        while (atomic_load(&meeting) < 4)
            if (weir_sleep(WEIR_MILLISECONDS(1), err))
                return NULL;
    }
    return answer(e->number + 1, err);
}

TEST(no_task_is_held_back_behind_a_slow_one)
{
    enum { N = 2004 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 4});
    errand *items = errands_of(N, 0);
    for (int round = 0; round < 5; round++) {
        atomic_store(&meeting, 0);
        weir_map_options options = options_of();
        options.timeout = WEIR_SECONDS(60);
        weir_map *map = start(ex, meet_at_the_end, items, N, &options);
        for (int i = 0; i < N; i++)
            EXPECT_INT(next(map), i + 1);
        EXPECT_INT(next(map), -WEIR_END);
        weir_map_free(map);
    }
    weir_executor_free(ex);
    free(items);
}

static void *same(void *arg, weir_error *err)
{
    (void)err;
    return arg;
}

TEST(a_million_items)
{
    enum { N = 1000000 };
    weir_executor *ex = make_executor((weir_executor_options){0});
    char *items = malloc(N);
    for (int as_completed = 0; as_completed < 2; as_completed++) {
        weir_error err;
        weir_map *map;
        weir_map_options options = WEIR_MAP_OPTIONS_INIT;
        options.as_completed = as_completed;
        EXPECT(!weir_map_start(ex, same, items, N, 1, &options, &map, &err));
        size_t sum = 0;
        void *result;
        int wrong = 0;
        for (size_t i = 0; weir_map_next(map, &result, &err) == WEIR_OK; i++) {
            sum += weir_map_index(map);
            wrong += result != weir_map_arg(map) || (!as_completed && result != items + i);
        }
        EXPECT_INT(wrong, 0);
        EXPECT_INT(weir_map_count(map), N);
        EXPECT_INT(sum, (int64_t)N * (N - 1) / 2);
        weir_map_free(map);
    }
    EXPECT_INT(stats_of(ex).succeeded, 2 * N);
    weir_executor_free(ex);
    free(items);
}

TEST(two_maps_share_an_executor)
{
    enum { N = 500 };
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 2});
    errand *items = errands_of(N, 0);
    weir_map_options options = options_of();
    options.buffer_size = 10;
    weir_map *a = start(ex, count_on, items, N, &options);
    weir_map *b = start(ex, count_on, items, N, &options);
    for (int i = 0; i < N; i++) {
        EXPECT_INT(next(a), i + 1);
        EXPECT_INT(next(b), i + 1);
    }
    EXPECT_INT(next(a), -WEIR_END);
    weir_map_free(b);
    weir_map_free(a);
    weir_executor_free(ex);
    free(items);
}

/* ---- all of it at once, by chance ---- */

static uint64_t seed;

static unsigned chance(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

/* Some are quick, some yield, some sleep, some fail: by their number. */
static void *moody(void *arg, weir_error *err)
{
    const errand *e = arg;
    int mood = e->number % 97;
    if (mood == 13)
        return fail(arg, err);
    if ((mood == 7 && weir_sleep(WEIR_MICROSECONDS(300), err)) ||
        (mood % 16 == 5 && weir_yield(err)))
        return NULL;
    return numbered(arg, err);
}

static void try_anything(weir_executor *ex)
{
    source s = {.end = (int)chance(2000)};
    weir_map_options options = options_of();
    options.result.release = release_result;
    options.buffer_size = 1 + chance(chance(2) ? 500 : 8);
    options.as_completed = (int)chance(2);
    options.timeout = chance(4) ? 0 : WEIR_MICROSECONDS(chance(3000));
    atomic_store(&results_out, 0);
    atomic_store(&results_in, 0);
    weir_map *map = start_lazy(ex, moody, &s, &options);
    int wanted = chance(3) ? 2001 : (int)chance(2000);
    int taken = 0, number = 0, seen = 0;
    while (seen < wanted && (number = next(map)) != -WEIR_END) {
        EXPECT(number > 0 || number == -WEIR_NOTFOUND ||
               (options.timeout && number == -WEIR_TIMEDOUT));
        EXPECT(options.as_completed || weir_map_index(map) == (size_t)seen);
        taken += number > 0;
        seen++;
    }
    EXPECT(options.timeout || number != -WEIR_END || seen == s.next);
    weir_map_free(map);
    EXPECT_INT(results_out, results_in + taken);
    EXPECT_INT(s.released, s.drawn);
}

TEST(nothing_is_lost_whatever_comes_together)
{
    seed = 4711;
    for (int workers = 1; workers < 4; workers++) {
        weir_executor *ex = make_executor((weir_executor_options){.max_workers = workers});
        for (int i = 0; i < 40; i++)
            try_anything(ex);
        weir_executor_stats stats = stats_of(ex);
        EXPECT_INT(stats.submitted, stats.succeeded + stats.failed + stats.cancelled);
        weir_executor_free(ex);
    }
}

/* The same with an array, whose items are drawn many at a time. */
TEST(arrays_end_early_too)
{
    enum { N = 3000 };
    seed = 815;
    weir_executor *ex = make_executor((weir_executor_options){.max_workers = 3});
    errand *items = errands_of(N, 0);
    for (int i = 0; i < 60; i++) {
        weir_map_options options = options_of();
        options.result.release = release_result;
        options.as_completed = (int)chance(2);
        options.timeout = chance(2) ? 0 : WEIR_MICROSECONDS(chance(2000));
        atomic_store(&results_out, 0);
        atomic_store(&results_in, 0);
        weir_map *map = start(ex, moody, items, N, &options);
        int wanted = (int)chance(2 * N), seen = 0, taken = 0, number = 0;
        while (seen < wanted && (number = next(map)) != -WEIR_END) {
            EXPECT(options.as_completed || weir_map_index(map) == (size_t)seen);
            taken += number > 0;
            seen++;
        }
        EXPECT(options.timeout || seen == (wanted < N ? wanted : N));
        weir_map_free(map);
        EXPECT_INT(results_out, results_in + taken);
    }
    weir_executor_free(ex);
    free(items);
}

/* ---- what it refuses ---- */

TEST(nonsense_is_refused)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    errand item = errand_of(0, 0);
    weir_error err;
    weir_map *map = NULL;
    weir_map_options options = options_of();
    EXPECT_INT(weir_map_start(ex, NULL, &item, 1, 1, NULL, &map, &err), WEIR_INVALID);
    EXPECT_INT(weir_map_start(ex, count_on, NULL, 1, 1, NULL, &map, &err), WEIR_INVALID);
    EXPECT_INT(weir_map_start_lazy(ex, count_on, NULL, NULL, NULL, &map, &err), WEIR_INVALID);
    options.timeout = -1;
    EXPECT_INT(weir_map_start(ex, count_on, &item, 1, sizeof item, &options, &map, &err),
               WEIR_INVALID);
    options.timeout = 0;
    options.argument.release = free;
    EXPECT_INT(weir_map_start(ex, count_on, &item, 1, sizeof item, &options, &map, &err),
               WEIR_INVALID);
    options.argument.release = NULL;
    options.size++;
    EXPECT_INT(weir_map_start(ex, count_on, &item, 1, sizeof item, &options, &map, &err),
               WEIR_INVALID);
    EXPECT(!map);
    weir_executor_free(ex);
}

KIND_TESTS(
    KIND_CASE(results_come_in_order), KIND_CASE(a_small_buffer_is_enough),
    KIND_CASE(nothing_gives_nothing),
    KIND_CASE_BUT(as_completed_slow_ones_come_last, NOT_CONCURRENT, one_by_one),
    KIND_CASE(an_error_comes_at_its_place), KIND_CASE(a_lazy_input_is_drawn_to_its_end),
    KIND_CASE(an_endless_input_is_drawn_as_far_as_there_is_room),
    KIND_CASE(the_inputs_error_comes_at_its_place),
    KIND_CASE_BUT(after_its_deadline_what_has_begun_is_timed_out, NOT_CONCURRENT, one_by_one),
    KIND_CASE(the_deadline_ends_waits_of_tasks),
    KIND_CASE_BUT(what_came_in_time_is_handed_out_after_the_deadline, NOT_CONCURRENT, one_by_one),
    KIND_CASE(a_tasks_own_timeout_counts_from_its_beginning),
    KIND_CASE(freed_early_it_ends_what_runs_and_begins_no_more),
    KIND_CASE_BUT(what_is_not_taken_is_released_once, IN_PROCESS, not_here),
    KIND_CASE_BUT(what_was_abandoned_is_released_when_its_task_is_over, NOT_CONCURRENT, one_by_one),
    KIND_CASE(a_closed_executor_takes_no_map),
    KIND_CASE(shutdown_in_the_middle_ends_the_map_with_its_error),
    KIND_CASE_BUT(shutdown_that_cancels_ends_what_runs, NOT_CONCURRENT, one_by_one),
    KIND_CASE_BUT(shutdown_may_meet_the_end_of_what_runs, IN_PROCESS | NOT_INLINE, not_here),
    KIND_CASE(a_broken_executor_gives_its_error),
    KIND_CASE_BUT(a_task_maps_over_its_own_executor, IN_PROCESS, not_here),
    KIND_CASE_BUT(a_cancelled_consumer_is_told, NOT_CONCURRENT, one_by_one),
    KIND_CASE_BUT(a_late_consumer_may_ask_again, NOT_CONCURRENT, one_by_one),
    KIND_CASE_BUT(a_long_map_lets_others_in, IN_PROCESS | NOT_INLINE, not_here),
    KIND_CASE_BUT(no_task_is_held_back_behind_a_slow_one, IN_PROCESS | NOT_INLINE, not_here),
    KIND_CASE_BUT(a_million_items, IN_PROCESS, "a few are enough for processes"),
    KIND_CASE(two_maps_share_an_executor),
    KIND_CASE_BUT(nothing_is_lost_whatever_comes_together, IN_PROCESS, not_here),
    KIND_CASE_BUT(arrays_end_early_too, IN_PROCESS, not_here), KIND_CASE(nonsense_is_refused))
