/*
 * job_test.c: whole jobs of a kind that waits for timers instead of servers. Whatever happens to a
 * job, it ends by itself, its numbers add up, and its rows are those of the items that ended.
 */
#include "job.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "folder.h"
#include "lane.h"
#include "random.h"
#include "test.h"

/* ---- a kind whose items do what a die says ---- */

typedef struct fake {
    uint64_t seed;
    int64_t longest;   /* an attempt's duration is random below that; 0: none waits */
    int fail_percent;  /* of attempts that may be repeated */
    int fatal_percent; /* of items that fail for good */
    int bad_percent;   /* of items that cannot be prepared */
    int origins;
    size_t body; /* received in pieces */
    size_t piece;
    uint64_t stubborn; /* this item fails ... */
    int stubborn_for;  /* ... so often, with its whole body received */
    int64_t stop_at;   /* after so many starts; 0: never */
    weir_stop stop_how;
    bool freed; /* tells the test */
    weir_job *job;
    atomic_long starts;
    atomic_long live; /* bytes received and not given back */
    atomic_long most; /* ... at most */
    atomic_int open_lanes;
} fake;

typedef struct fake_lane {
    fake *fake;
    wi_lane *lane;
} fake_lane;

typedef struct fake_item {
    wi_item item;
    fake *fake;
    fake_lane *lane; /* NULL in a plan; gone when the item is released */
    wi_timer timer;
    bool cancelled;
    size_t got;
    int64_t begun;
} fake_item;

/* The same number for the same question, whatever thread asks. */
static uint32_t die(const fake *f, uint64_t number, uint64_t what)
{
    wi_random random;
    wi_random_init(&random, f->seed * 1000003 + number * 31 + what);
    wi_random_u32(&random);
    return wi_random_u32(&random);
}

static bool chance(const fake *f, uint64_t number, uint64_t what, int percent)
{
    return (int)(die(f, number, what) % 100) < percent;
}

static weir_status check(void *job, bool has_input, wi_schema *schema, weir_error *err)
{
    (void)job, (void)has_input, (void)schema, (void)err;
    return WEIR_OK;
}

static size_t columns(const void *job, const char *const **names)
{
    static const char *const all[] = {"number", "attempts", "error"};
    (void)job;
    *names = all;
    return 3;
}

static size_t optional_columns(const void *job, const char *const **names)
{
    (void)job;
    *names = NULL;
    return 0;
}

static weir_status open_lane(const void *job, wi_lane *lane, void **state, weir_error *err)
{
    fake_lane *made = calloc(1, sizeof *made);
    if (!made)
        return wi_fail_nomem(err);
    made->fake = (fake *)job;
    made->lane = lane;
    atomic_fetch_add(&made->fake->open_lanes, 1);
    *state = made;
    return WEIR_OK;
}

static void close_lane(void *state)
{
    fake_lane *lane = state;
    atomic_fetch_sub(&lane->fake->open_lanes, 1);
    free(lane);
}

static weir_status prepare(const void *job, void *state, wi_item *item, wi_buf *origin,
                           weir_error *err)
{
    const fake *f = job;
    fake_item *i = wi_container_of(item, fake_item, item);
    i->fake = (fake *)job;
    i->lane = state;
    if (chance(f, item->number, 1, f->bad_percent))
        return wi_fail(err, WEIR_INVALID, "number %llu is bad", (unsigned long long)item->number);
    wi_buf_printf(origin, "origin-%d",
                  f->origins > 1 ? (int)(die(f, item->number, 2) % (unsigned)f->origins) : 0);
    return WEIR_OK;
}

static void give_back(fake_item *i)
{
    if (!i->got)
        return;
    atomic_fetch_sub(&i->fake->live, (long)i->got);
    wi_lane_shrink(i->lane->lane, &i->item, i->got);
    i->got = 0;
}

static void attempt_ends(fake_item *i)
{
    fake *f = i->fake;
    uint64_t number = i->item.number;
    wi_attempt attempt = {
        .retry_after = -1,
        .cancelled = i->cancelled,
        .duration = wi_loop_now(wi_lane_loop(i->lane->lane)) - i->begun,
    };
    if (i->cancelled) {
        wi_item_set_failure(&i->item, "cancelled", NULL);
    } else if (chance(f, number, 3, f->fatal_percent)) {
        wi_item_set_failure(&i->item, "fatal", "it cannot be");
    } else if (chance(f, number, 10 + (unsigned)i->item.attempts, f->fail_percent) ||
               (number == f->stubborn && i->item.attempts <= f->stubborn_for)) {
        wi_item_set_failure(&i->item, "not now", NULL);
        attempt.may_retry = true;
    } else {
        attempt.ok = true;
        i->item.reason[0] = '\0';
    }
    wi_timer_fini(&i->timer);
    if (wi_lane_attempt_ended(i->lane->lane, &i->item, &attempt))
        give_back(i);
}

static void proceed(wi_timer *timer)
{
    fake_item *i = wi_container_of(timer, fake_item, timer);
    fake *f = i->fake;
    if (!i->cancelled && i->got < f->body) {
        if (!wi_lane_may_grow(i->lane->lane, &i->item, f->piece))
            return; /* until resume */
        i->got += f->piece;
        long live = atomic_fetch_add(&f->live, (long)f->piece) + (long)f->piece;
        long most = atomic_load(&f->most);
        while (live > most && !atomic_compare_exchange_weak(&f->most, &most, live))
            continue;
        wi_lane_received(i->lane->lane, f->piece);
        wi_timer_set(timer, wi_loop_now(timer->loop));
        return;
    }
    attempt_ends(i);
}

static void start(void *state, wi_item *item)
{
    fake_lane *lane = state;
    fake *f = lane->fake;
    fake_item *i = wi_container_of(item, fake_item, item);
    long starts = atomic_fetch_add(&f->starts, 1) + 1;
    if (starts == f->stop_at)
        weir_job_stop(f->job, f->stop_how);
    EXPECT_INT(i->got, 0);
    i->begun = wi_loop_now(wi_lane_loop(lane->lane));
    i->cancelled = false;
    EXPECT(wi_timer_init(&i->timer, wi_lane_loop(lane->lane), proceed));
    if (f->longest == 0 && f->body == 0)
        attempt_ends(i);
    else
        wi_timer_set(&i->timer, i->begun + (f->longest ? die(f, item->number, 4) % f->longest : 0));
}

static void cancel(void *state, wi_item *item)
{
    (void)state;
    fake_item *i = wi_container_of(item, fake_item, item);
    i->cancelled = true;
    wi_timer_set(&i->timer, 0);
}

static void resume(void *state, wi_item *item)
{
    (void)state;
    fake_item *i = wi_container_of(item, fake_item, item);
    EXPECT(!item->paused);
    wi_timer_set(&i->timer, 0);
}

static void emit(const void *job, wi_item *item, wi_batch *batch, size_t first)
{
    (void)job;
    wi_batch_put_int(batch, first, (int64_t)item->number);
    wi_batch_put_int(batch, first + 1, item->attempts);
    const char *error = item->outcome == WI_OUTCOME_OK ? NULL : wi_item_error(item);
    if (error)
        wi_batch_put(batch, first + 2, WI_STRING, error, strlen(error));
    else
        wi_batch_put_null(batch, first + 2);
}

static void release(wi_item *item)
{
    fake_item *i = wi_container_of(item, fake_item, item);
    if (i->got)
        atomic_fetch_sub(&i->fake->live, (long)i->got);
}

static void describe(const wi_item *item, wi_buf *out)
{
    wi_buf_printf(out, "number %llu", (unsigned long long)item->number);
}

static void fake_free(void *job)
{
    ((fake *)job)->freed = true;
}

static const wi_kind fake_kind = {
    .name = "fake",
    .item_size = sizeof(fake_item),
    .check = check,
    .columns = columns,
    .optional_columns = optional_columns,
    .open = open_lane,
    .close = close_lane,
    .prepare = prepare,
    .start = start,
    .cancel = cancel,
    .resume = resume,
    .emit = emit,
    .release = release,
    .describe = describe,
    .free = fake_free,
};

/* ---- what comes out ---- */

enum { MOST_ITEMS = 200000 };

typedef struct rows {
    unsigned char seen[MOST_ITEMS]; /* by number */
    unsigned char attempts[MOST_ITEMS];
    int64_t last;
    int64_t len;
    int64_t with_error;
    bool in_order;
    int64_t closes_after; /* rows; 0: never */
    wi_buf rest;          /* of a line */
} rows;

static rows out;

static void take_line(const char *line)
{
    const char *number = strstr(line, "\"number\":");
    const char *attempts = strstr(line, "\"attempts\":");
    if (!EXPECT(number && attempts))
        return;
    int64_t n = strtoll(number + 9, NULL, 10);
    if (!EXPECT(n >= 0 && n < MOST_ITEMS))
        return;
    out.seen[n]++;
    out.attempts[n] = (unsigned char)strtol(attempts + 11, NULL, 10);
    out.in_order = out.in_order && n > out.last;
    out.last = n;
    out.len++;
    out.with_error += strstr(line, "\"error\":null") == NULL;
}

static int take_rows(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n') {
            wi_buf_putc(&out.rest, bytes[i]);
            continue;
        }
        take_line(wi_buf_cstr(&out.rest));
        wi_buf_clear(&out.rest);
        if (out.closes_after && out.len >= out.closes_after)
            return 1;
    }
    return 0;
}

static void rows_begin(void)
{
    wi_buf_fini(&out.rest);
    memset(&out, 0, sizeof out);
    out.last = -1;
    out.in_order = true;
}

static int64_t rows_seen_twice(void)
{
    int64_t n = 0;
    for (size_t i = 0; i < MOST_ITEMS; i++)
        n += out.seen[i] > 1;
    return n;
}

static wi_job_options options_for(uint64_t items)
{
    return (wi_job_options){
        .choices = items,
        .common.max_row = 1 << 20,
        .common.write = take_rows,
        .common.lanes = 2,
        .common.in_flight = 100,
        .common.memory = 64 << 20,
        .common.retries = 3,
        .common.retry_delay = WI_MILLISECOND,
        .common.retry_max_delay = 4 * WI_MILLISECOND,
        .retry_after_max = WI_SECOND,
    };
}

/* Not before rows_begin. */
static weir_job *make(const wi_job_options *options, fake *f)
{
    weir_error err;
    weir_job *job = NULL;
    rows_begin();
    if (wi_job_new(options, &fake_kind, f, &job, &err) != WEIR_OK) {
        printf("# %s\n", err.text);
        EXPECT(!"made");
        return NULL;
    }
    f->job = job;
    return job;
}

/* What holds at the end of any job. */
static weir_job_stats expect_sound(weir_job *job, fake *f, int64_t items)
{
    weir_job_stats s;
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.phase, WEIR_JOB_DONE);
    EXPECT(s.end != WEIR_JOB_END_NONE);
    EXPECT_INT(s.input, items);
    EXPECT_INT(s.ok + s.failed + s.cancelled + s.not_started, items);
    EXPECT(s.not_started >= 0);
    EXPECT_INT(s.in_flight, 0);
    EXPECT_INT(s.waiting, 0);
    EXPECT_INT(s.buffered, 0);
    EXPECT_INT(s.attempts, atomic_load(&f->starts));
    EXPECT_INT(atomic_load(&f->live), 0);
    EXPECT_INT(rows_seen_twice(), 0);
    if (s.end != WEIR_JOB_END_CLOSED && s.end != WEIR_JOB_END_FAULT) {
        EXPECT_INT(out.len, s.ok + s.failed);
        EXPECT_INT(out.with_error, s.failed);
    }
    int64_t reasons = 0;
    weir_job_reason reason;
    for (size_t i = 0; weir_job_reason_get(job, i, &reason) == WEIR_OK; i++)
        reasons += reason.count;
    EXPECT_INT(reasons, s.failed);
    return s;
}

static weir_job_stats run(const wi_job_options *options, fake *f, weir_job_end end)
{
    weir_job_stats s = {0};
    weir_job *job = make(options, f);
    if (!job)
        return s;
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    s = expect_sound(job, f, (int64_t)options->choices);
    EXPECT_INT(s.end, end);
    EXPECT(options->common.unordered || out.in_order);
    weir_job_free(job);
    EXPECT(f->freed);
    EXPECT_INT(atomic_load(&f->open_lanes), 0);
    return s;
}

/* ---- whole runs ---- */

TEST(all_items_come_out_in_order)
{
    fake f = {.seed = 1, .longest = 2 * WI_MILLISECOND};
    wi_job_options o = options_for(5000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 5000);
    EXPECT_INT(s.total, 5000);
    EXPECT(s.peak_in_flight <= 100);
}

TEST(unordered_items_all_come_out)
{
    fake f = {.seed = 2, .longest = 2 * WI_MILLISECOND};
    wi_job_options o = options_for(5000);
    o.common.unordered = true;
    EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, 5000);
}

TEST(a_hundred_thousand)
{
    fake f = {.seed = 3, .fatal_percent = 1, .bad_percent = 1};
    wi_job_options o = options_for(100000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT(s.failed > 500 && s.failed < 5000);
    EXPECT_INT(s.ok + s.failed, 100000);
}

TEST(sizes_around_those_of_blocks)
{
    static const uint64_t sizes[] = {1, 2, 31, 32, 63, 64, 65, 127, 128, 129, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fake f = {.seed = i, .longest = WI_MILLISECOND / 10};
        wi_job_options o = options_for(sizes[i]);
        o.common.lanes = (int64_t)i % 4 + 1;
        EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, sizes[i]);
    }
}

TEST(many_lanes)
{
    fake f = {.seed = 4, .longest = WI_MILLISECOND, .origins = 7};
    wi_job_options o = options_for(5000);
    o.common.lanes = 32;
    o.common.in_flight = 40;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 5000);
    EXPECT(s.peak_in_flight <= 40);
}

TEST(one_at_a_time)
{
    fake f = {.seed = 5, .longest = WI_MILLISECOND / 20, .origins = 3};
    wi_job_options o = options_for(500);
    o.common.lanes = 4;
    o.common.in_flight = 1;
    EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).peak_in_flight, 1);
}

TEST(one_at_a_time_per_origin)
{
    fake f = {.seed = 6, .longest = WI_MILLISECOND / 20, .origins = 5};
    wi_job_options o = options_for(1000);
    o.common.lanes = 3;
    o.per_host = 1;
    EXPECT(run(&o, &f, WEIR_JOB_END_COMPLETE).peak_in_flight <= 5);
}

TEST(a_limit_that_is_found)
{
    fake f = {.seed = 7, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(20000);
    o.common.in_flight = 0;
    EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, 20000);
}

/* ---- retries ---- */

TEST(attempts_are_counted)
{
    fake f = {.seed = 8, .stubborn = 17, .stubborn_for = 2};
    wi_job_options o = options_for(100);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 100);
    EXPECT_INT(s.attempts, 102);
    EXPECT_INT(s.retries, 2);
    EXPECT_INT(out.attempts[17], 3);
    EXPECT_INT(out.attempts[18], 1);
}

TEST(attempts_end)
{
    fake f = {.seed = 9, .stubborn = 17, .stubborn_for = 100};
    wi_job_options o = options_for(100);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.ok, 99);
    EXPECT_INT(s.failed, 1);
    EXPECT_INT(out.attempts[17], 4);
    fake g = {.seed = 9, .stubborn = 17, .stubborn_for = 100};
    o.common.retries = 0;
    s = run(&o, &g, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.attempts, 100);
    EXPECT_INT(out.attempts[17], 1);
}

TEST(many_retries)
{
    fake f = {.seed = 10, .fail_percent = 40, .fatal_percent = 5, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(3000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    int64_t failed = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        bool fatal = chance(&f, i, 3, 5);
        int attempts = 1;
        while (!fatal && attempts <= 4 && chance(&f, i, 10 + (unsigned)attempts, 40))
            attempts++;
        failed += fatal || attempts > 4;
        EXPECT_INT(out.attempts[i], attempts > 4 ? 4 : attempts);
    }
    EXPECT_INT(s.failed, failed);
    EXPECT_INT(s.retries, s.attempts - 3000);
    EXPECT_INT(s.retries_refused, 0);
}

/* The reserve is 1000 retries and each item brings one: 4000 would need 12,000. */
TEST(the_retry_budget_ends)
{
    fake f = {.seed = 11, .fail_percent = 100};
    wi_job_options o = options_for(4000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.failed, 4000);
    EXPECT(s.retries <= 5000);
    EXPECT(s.retries_refused > 0);
}

/* ---- endings ---- */

static void end_with(uint64_t seed)
{
    wi_random r;
    wi_random_init(&r, seed);
    wi_job_options o = options_for(1 + (uint64_t)wi_random_below(&r, 1500));
    o.common.lanes = 1 + wi_random_below(&r, 5);
    o.common.in_flight = wi_random_below(&r, 4) ? 1 + wi_random_below(&r, 300) : 0;
    o.per_host = wi_random_below(&r, 3) ? 0 : 1 + wi_random_below(&r, 8);
    o.common.unordered = wi_random_below(&r, 2);
    o.common.retries = wi_random_below(&r, 4);
    o.common.memory = wi_random_below(&r, 2) ? 1 << 20 : 64 << 20;
    fake f = {
        .seed = seed,
        .longest = wi_random_below(&r, 3) * WI_MILLISECOND,
        .fail_percent = (int)wi_random_below(&r, 30),
        .fatal_percent = (int)wi_random_below(&r, 10),
        .bad_percent = (int)wi_random_below(&r, 10),
        .origins = 1 + (int)wi_random_below(&r, 4),
        .stop_at = 1 + wi_random_below(&r, 2000),
        .stop_how = wi_random_below(&r, 2) ? WEIR_STOP_NOW : WEIR_STOP_DRAIN,
    };
    f.body = wi_random_below(&r, 2) ? 40000 : 0;
    f.piece = 10000;
    bool fail_fast = wi_random_below(&r, 4) == 0;
    o.common.fail_fast = fail_fast;
    int before = atomic_load(&test_failures);
    weir_job *job = make(&o, &f);
    if (!job)
        return;
    out.closes_after = wi_random_below(&r, 4) ? 0 : 1 + wi_random_below(&r, 2000);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, (int64_t)o.choices);
    EXPECT(o.common.unordered || out.in_order);
    EXPECT(s.end != WEIR_JOB_END_COMPLETE || s.cancelled + s.not_started == 0);
    weir_job_free(job);
    EXPECT_INT(atomic_load(&f.open_lanes), 0);
    if (atomic_load(&test_failures) != before)
        printf("# with seed %llu\n", (unsigned long long)seed);
}

TEST(any_end_adds_up)
{
    for (uint64_t seed = 1; seed <= 100; seed++)
        end_with(seed);
}

TEST(drain_lets_those_in_flight_finish)
{
    fake f = {.seed = 12, .longest = 5 * WI_MILLISECOND, .stop_at = 300};
    wi_job_options o = options_for(5000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_STOPPED);
    EXPECT(s.ok >= 300);
    EXPECT(s.ok < 5000);
    EXPECT_INT(s.cancelled, 0);
    EXPECT_INT(s.failed, 0);
}

TEST(stop_now_cancels_those_in_flight)
{
    fake f = {.seed = 13, .longest = 3600 * WI_SECOND, .stop_at = 100, .stop_how = WEIR_STOP_NOW};
    wi_job_options o = options_for(5000);
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_STOPPED);
    EXPECT_INT(s.ok, 0);
    EXPECT(s.cancelled >= 100 && s.cancelled <= 101); /* one may begin on the other lane */
    EXPECT_INT(s.not_started, 5000 - s.cancelled);
    EXPECT_INT(out.len, 0);
}

TEST(from_drain_to_now)
{
    fake f = {.seed = 14, .longest = 3600 * WI_SECOND, .stop_at = 50};
    wi_job_options o = options_for(1000);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    weir_job_stats s;
    do
        weir_job_stats_get(job, &s);
    while (s.phase != WEIR_JOB_DRAINING);
    EXPECT_INT(weir_job_wait(job, 0, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(weir_job_wait(job, WI_MILLISECOND, NULL), WEIR_TIMEDOUT);
    weir_job_stop(job, WEIR_STOP_NOW);
    weir_job_stop(job, WEIR_STOP_DRAIN);
    EXPECT_INT(weir_job_wait(job, INT64_MAX, NULL), WEIR_OK);
    s = expect_sound(job, &f, 1000);
    EXPECT_INT(s.end, WEIR_JOB_END_STOPPED);
    weir_job_stop(job, WEIR_STOP_NOW);
    weir_job_free(job);
}

TEST(the_deadline_ends_a_job)
{
    fake f = {.seed = 15, .longest = 3600 * WI_SECOND};
    wi_job_options o = options_for(1000);
    o.common.deadline = 10 * WI_MILLISECOND;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_DEADLINE);
    EXPECT_INT(s.cancelled + s.not_started + s.ok, 1000);
}

TEST(the_first_failure_ends_a_job)
{
    fake f = {.seed = 16, .stubborn = 200, .stubborn_for = 100};
    wi_job_options o = options_for(100000);
    o.common.fail_fast = true;
    o.common.retries = 0;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_FAILFAST);
    EXPECT_INT(s.failed, 1);
}

TEST(an_output_that_is_closed_ends_a_job)
{
    fake f = {.seed = 17, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(50000);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    out.closes_after = 100;
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, 50000);
    EXPECT_INT(s.end, WEIR_JOB_END_CLOSED);
    EXPECT(s.not_started > 0);
    weir_job_free(job);
}

TEST(an_output_that_is_full_ends_a_job)
{
    fake f = {.seed = 18, .longest = WI_MILLISECOND};
    wi_job_options o = options_for(50000);
    o.common.write = NULL;
    o.common.output = "/dev/full";
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_error err = {0};
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, &err), WEIR_IO);
    EXPECT(strstr(err.text, "/dev/full") != NULL);
    weir_job_stats s = expect_sound(job, &f, 50000);
    EXPECT_INT(s.end, WEIR_JOB_END_FAULT);
    EXPECT(s.not_started > 0);
    weir_job_free(job);
}

TEST(free_in_the_midst)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        fake f = {.seed = seed, .longest = 3 * WI_MILLISECOND, .fail_percent = 20};
        wi_job_options o = options_for(2000);
        o.common.lanes = 1 + (int64_t)seed % 4;
        weir_job *job = make(&o, &f);
        REQUIRE(job != NULL);
        EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
        while (atomic_load(&f.starts) < (long)seed * 10)
            continue;
        weir_job_free(job);
        EXPECT(f.freed);
        EXPECT_INT(atomic_load(&f.live), 0);
        EXPECT_INT(atomic_load(&f.open_lanes), 0);
    }
}

/* ---- before the start ---- */

TEST(a_job_that_is_not_started)
{
    fake f = {.seed = 19};
    wi_job_options o = options_for(10);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_job_stats s;
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.phase, WEIR_JOB_READY);
    EXPECT_INT(weir_job_wait(job, 0, NULL), WEIR_INVALID);
    weir_job_free(job);
    EXPECT(f.freed);
    weir_job_free(NULL);
}

TEST(stopped_before_the_start)
{
    fake f = {.seed = 20};
    wi_job_options o = options_for(10);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_job_stop(job, WEIR_STOP_DRAIN);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, 10);
    EXPECT_INT(s.end, WEIR_JOB_END_STOPPED);
    EXPECT_INT(s.not_started, 10);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_INVALID);
    weir_job_free(job);
}

TEST(a_plan)
{
    fake f = {.seed = 21, .origins = 3, .bad_percent = 50};
    wi_job_options o = options_for(1000);
    o.common.rate = 100;
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_job_plan plan;
    REQUIRE(weir_job_plan_make(job, 0, &plan, NULL) == WEIR_OK);
    EXPECT_INT(plan.items, 1000);
    EXPECT_INT(plan.counted, 1000);
    EXPECT(plan.faulty > 300 && plan.faulty < 700);
    EXPECT_INT(plan.origins, 3);
    EXPECT_INT(plan.examples_len, 5);
    EXPECT(strncmp(plan.examples[0], "number ", 7) == 0);
    EXPECT(plan.first_fault && strstr(plan.first_fault, "is bad"));
    EXPECT(plan.shortest > WI_SECOND);
    weir_job_free(job);
    EXPECT_INT(atomic_load(&f.starts), 0);
}

/* ---- memory ---- */

enum { MIB = 1 << 20 };

/* All that is received counts; beyond the budget only those go on for whom others wait. */
static void with_little_memory(bool unordered, uint64_t stubborn, int lanes)
{
    fake f = {.seed = stubborn + (unsigned)lanes,
              .longest = WI_MILLISECOND,
              .body = MIB,
              .piece = MIB / 8,
              .fail_percent = 10,
              .stubborn = stubborn,
              .stubborn_for = 3};
    wi_job_options o = options_for(400);
    o.common.unordered = unordered;
    o.common.lanes = lanes;
    o.common.in_flight = 64;
    o.common.memory = 8 * MIB;
    weir_job_stats s = run(&o, &f, WEIR_JOB_END_COMPLETE);
    EXPECT(s.ok > 390);
    /* An awaited item a lane, and what several lanes took at the same moment. */
    long most = 8 * MIB + lanes * (MIB + MIB / 8);
    if (!EXPECT(atomic_load(&f.most) <= most))
        printf("# %ld of %ld bytes, %d lanes%s\n", atomic_load(&f.most), most, lanes,
               unordered ? ", unordered" : "");
}

TEST(little_memory)
{
    with_little_memory(false, 0, 1);
    with_little_memory(false, 0, 4);
    with_little_memory(false, 65, 2);
    with_little_memory(true, 0, 1);
    with_little_memory(true, 3, 4);
}

/* Bodies that are larger than the whole budget, each. */
TEST(bodies_beyond_the_budget)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        fake f = {.seed = 23, .body = 3 * MIB, .piece = MIB / 4, .longest = WI_MILLISECOND};
        wi_job_options o = options_for(60);
        o.common.unordered = unordered;
        o.common.lanes = 3;
        o.common.memory = 1 * MIB;
        EXPECT_INT(run(&o, &f, WEIR_JOB_END_COMPLETE).ok, 60);
    }
}

/* ---- inputs ---- */

static const char *put_rows(const char *name, int n, int wide_from)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "we");
    for (int i = 0; file && i < n; i++)
        fprintf(file, i < wide_from ? "{\"a\":%d}\n" : "{\"a\":%d,\"b\":1}\n", i);
    EXPECT(file && fclose(file) == 0);
    return path;
}

TEST(rows_of_an_input)
{
    REQUIRE(folder_begin());
    fake f = {.seed = 24, .longest = WI_MILLISECOND, .fail_percent = 10};
    wi_job_options o = options_for(3);
    o.common.input = put_rows("rows.ndjson", 3000, 2000);
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_stats s = expect_sound(job, &f, 9000);
    EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.total, 9000);
    EXPECT(out.in_order);
    weir_job_free(job);
    folder_end();
}

static int64_t lines_of(const char *path)
{
    int64_t lines = 0;
    int c;
    FILE *file = fopen(path, "re");
    while (file && (c = getc(file)) != EOF)
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

/* A CSV's header is written before the new column is known: its rows fail, the job does not. */
static void with_new_column(const char *output, const char *errors)
{
    fake f = {.seed = 25};
    wi_job_options o = options_for(1);
    weir_job_stats s;
    o.common.input = put_rows("rows.ndjson", 1000, 900);
    o.common.write = NULL;
    o.common.output = in_folder(output);
    o.common.errors = errors ? in_folder(errors) : NULL;
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    weir_error err = {0};
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    if (!EXPECT_INT(weir_job_wait(job, -1, &err), WEIR_OK))
        printf("# %s\n", err.text);
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.end, WEIR_JOB_END_COMPLETE);
    EXPECT_INT(s.failed, 100);
    EXPECT_INT(s.ok, 900);
    weir_job_free(job);
    EXPECT_INT(lines_of(in_folder(output)),
               strstr(output, ".csv") ? 1 + (errors ? 900 : 1000) : 900);
    if (errors)
        EXPECT_INT(lines_of(in_folder(errors)), 100 + (strstr(errors, ".csv") != NULL));
}

/* The rows have a place for it, the failed ones' CSV has not. */
static void with_all_failed(void)
{
    fake f = {.seed = 26, .fatal_percent = 100};
    wi_job_options o = options_for(1);
    o.common.input = put_rows("rows.ndjson", 1000, 500);
    o.common.errors = in_folder("all.csv");
    weir_job *job = make(&o, &f);
    REQUIRE(job != NULL);
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    weir_job_free(job);
    EXPECT_INT(lines_of(in_folder("all.csv")), 1001);
    EXPECT_INT(out.len, 0);
}

TEST(a_new_column_has_no_place_in_csv)
{
    REQUIRE(folder_begin());
    with_new_column("rows.csv", NULL);
    with_new_column("rows.csv", "errors.csv");
    with_new_column("rows.csv", "errors.ndjson");
    with_all_failed();
    folder_end();
}

__attribute__((constructor)) static void watch(void)
{
    alarm(100); /* a test that hangs has failed */
}

TESTS(CASE(all_items_come_out_in_order), CASE(unordered_items_all_come_out),
      CASE(a_hundred_thousand), CASE(sizes_around_those_of_blocks), CASE(many_lanes),
      CASE(one_at_a_time), CASE(one_at_a_time_per_origin), CASE(a_limit_that_is_found),
      CASE(attempts_are_counted), CASE(attempts_end), CASE(many_retries),
      CASE(the_retry_budget_ends), CASE(any_end_adds_up), CASE(drain_lets_those_in_flight_finish),
      CASE(stop_now_cancels_those_in_flight), CASE(from_drain_to_now),
      CASE(the_deadline_ends_a_job), CASE(the_first_failure_ends_a_job),
      CASE(an_output_that_is_closed_ends_a_job), CASE(an_output_that_is_full_ends_a_job),
      CASE(free_in_the_midst), CASE(a_job_that_is_not_started), CASE(stopped_before_the_start),
      CASE(a_plan), CASE(little_memory), CASE(bodies_beyond_the_budget), CASE(rows_of_an_input),
      CASE(a_new_column_has_no_place_in_csv))
