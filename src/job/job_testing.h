/*
 * job_testing.h: what the tests of jobs share: a kind that waits for timers instead of servers.
 * Whatever happens to a job, it ends by itself, its numbers add up, and its rows are those of the
 * items that ended.
 */
#ifndef WI_JOB_TESTING_H
#define WI_JOB_TESTING_H

#include <stdlib.h>
#include <unistd.h>

#include "job.h"
#include "lane.h"
#include "random.h"
#include "test.h"

/* ---- a kind whose items do what a die says ---- */

typedef struct fake {
    uint64_t seed;
    int64_t longest;   /* an attempt's duration is random below that; 0: none waits; from a minute
                          on it is that: such attempts are to be cut short */
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
static inline uint32_t die(const fake *f, uint64_t number, uint64_t what)
{
    wi_random random;
    wi_random_init(&random, f->seed * 1000003 + number * 31 + what);
    wi_random_u32(&random);
    return wi_random_u32(&random);
}

static inline bool chance(const fake *f, uint64_t number, uint64_t what, int percent)
{
    return (int)(die(f, number, what) % 100) < percent;
}

static inline weir_status check(void *job, bool has_input, wi_schema *schema, weir_error *err)
{
    (void)job, (void)has_input, (void)schema, (void)err;
    return WEIR_OK;
}

static inline size_t columns(const void *job, const char *const **names)
{
    static const char *const all[] = {"number", "attempts", "error"};
    (void)job;
    *names = all;
    return 3;
}

static inline size_t optional_columns(const void *job, const char *const **names)
{
    (void)job;
    *names = NULL;
    return 0;
}

static inline weir_status open_lane(const void *job, wi_lane *lane, void **state, weir_error *err)
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

static inline void close_lane(void *state)
{
    fake_lane *lane = state;
    atomic_fetch_sub(&lane->fake->open_lanes, 1);
    free(lane);
}

static inline weir_status prepare(const void *job, void *state, wi_item *item, wi_buf *origin,
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

static inline void give_back(fake_item *i)
{
    if (!i->got)
        return;
    atomic_fetch_sub(&i->fake->live, (long)i->got);
    wi_lane_shrink(i->lane->lane, &i->item, i->got);
    i->got = 0;
}

static inline void attempt_ends(fake_item *i)
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

static inline void proceed(wi_timer *timer)
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

static inline int64_t duration_of(const fake *f, uint64_t number)
{
    if (f->longest >= 60 * WI_SECOND)
        return f->longest;
    return f->longest ? die(f, number, 4) % f->longest : 0;
}

static inline void start(void *state, wi_item *item)
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
        wi_timer_set(&i->timer, i->begun + duration_of(f, item->number));
}

static inline void cancel(void *state, wi_item *item)
{
    (void)state;
    fake_item *i = wi_container_of(item, fake_item, item);
    i->cancelled = true;
    wi_timer_set(&i->timer, 0);
}

static inline void resume(void *state, wi_item *item)
{
    (void)state;
    fake_item *i = wi_container_of(item, fake_item, item);
    EXPECT(!item->paused);
    wi_timer_set(&i->timer, 0);
}

static inline void emit(const void *job, wi_item *item, wi_batch *batch, size_t first)
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

static inline void release(wi_item *item)
{
    fake_item *i = wi_container_of(item, fake_item, item);
    if (i->got)
        atomic_fetch_sub(&i->fake->live, (long)i->got);
}

static inline void asks(const void *job, const wi_item *item, wi_buf *text)
{
    (void)job;
    wi_buf_printf(text, "number %llu", (unsigned long long)item->number);
}

static inline void describe(const wi_item *item, wi_buf *out)
{
    wi_buf_printf(out, "number %llu", (unsigned long long)item->number);
}

static inline void fake_free(void *job)
{
    ((fake *)job)->freed = true;
}

static const wi_kind fake_kind = {
    .name = "fake",
    .descriptors = 1,
    .keeps_descriptors = true,
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
    .asks = asks,
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

static inline void take_line(const char *line)
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

static inline int take_rows(void *arg, const char *bytes, size_t len)
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

static inline void rows_begin(void)
{
    wi_buf_fini(&out.rest);
    memset(&out, 0, sizeof out);
    out.last = -1;
    out.in_order = true;
}

static inline void take_file(const char *path)
{
    char bytes[4096];
    size_t n;
    FILE *in = fopen(path, "re");
    if (!EXPECT(in != NULL))
        return;
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        take_rows(NULL, bytes, n);
    fclose(in);
}

static inline int64_t rows_seen_twice(void)
{
    int64_t n = 0;
    for (size_t i = 0; i < MOST_ITEMS; i++)
        n += out.seen[i] > 1;
    return n;
}

static inline wi_job_options options_for(uint64_t items)
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
static inline weir_job *make(const wi_job_options *options, fake *f)
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
static inline weir_job_stats expect_sound(weir_job *job, fake *f, int64_t items)
{
    weir_job_stats s;
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.phase, WEIR_JOB_DONE);
    EXPECT(s.end != WEIR_JOB_END_NONE);
    EXPECT_INT(s.input, items);
    EXPECT_INT(s.ok + s.failed + s.cancelled + s.not_started + s.ok_before + s.failed_before,
               items);
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

static inline weir_job_stats run(const wi_job_options *options, fake *f, weir_job_end end)
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

#endif
