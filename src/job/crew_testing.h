/*
 * crew_testing.h: a kind made for tests whose work blocks: pieces of items that make rows, as a die
 * says, with whatever can go wrong. Rows and their checks are those of job_testing.h.
 */
#ifndef WI_CREW_TESTING_H
#define WI_CREW_TESTING_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "crew.h"
#include "job_testing.h"

typedef struct diligent {
    uint64_t seed;
    int64_t items;
    int64_t per_piece;
    int64_t rows;     /* of each item */
    size_t padding;   /* of each row */
    int64_t longest;  /* an item's duration is random below that; 0: none waits */
    int fail_percent; /* of items */
    bool fails_late;  /* in their last row; else that is the only one */
    int64_t fault_at; /* this piece is the job's fault; 0: none */
    int64_t stop_at;  /* at this piece somebody stops the job; 0: never */
    int64_t stop_in;  /* or in the midst of this item; 0: in none */
    weir_stop stop_how;
    int64_t kill_at;    /* as this item begins, the process is killed; 0: never */
    int64_t stuck_from; /* from this piece on, items wait until the job stops; 0: none does */
    int opens;          /* hands that can be opened; 0: all */
    bool begin_fails;
    int64_t holds;         /* bytes besides the rows, of each item */
    bool waits_for_memory; /* the first piece waits until others have used up the memory */
    bool errors_apart;
    bool limited;
    weir_job *job;

    bool freed; /* tells the test */
    bool begun;
    atomic_bool stopped;
    _Atomic int64_t next; /* piece */
    _Atomic int64_t found;
    _Atomic int64_t started;
    _Atomic int64_t most_buffered;
    atomic_int holding, most_holding; /* items */
    atomic_int open_hands, opened;
    int64_t planned;
} diligent;

typedef struct diligent_hand {
    diligent *d;
    wi_hand *hand;
} diligent_hand;

static inline bool diligent_chance(const diligent *d, uint64_t number, uint64_t what, int percent)
{
    wi_random random;
    wi_random_init(&random, d->seed * 1000003 + number * 31 + what);
    return wi_random_below(&random, 100) < percent;
}

static inline int64_t diligent_failures(const diligent *d, int64_t from, int64_t to)
{
    int64_t n = 0;
    for (int64_t i = from; i < to; i++)
        n += diligent_chance(d, (uint64_t)i, 1, d->fail_percent);
    return n;
}

/* ---- what the engine asks ---- */

static inline weir_status diligent_begin(void *job, weir_error *err)
{
    diligent *d = job;
    EXPECT(!d->begun);
    d->begun = true;
    return d->begin_fails ? wi_fail(err, WEIR_IO, "it does not begin") : WEIR_OK;
}

static inline void diligent_stop(void *job)
{
    diligent *d = job;
    EXPECT(d->begun);
    atomic_store(&d->stopped, true);
}

static inline weir_status diligent_open(void *job, wi_hand *hand, void **state, weir_error *err)
{
    diligent *d = job;
    if (d->opens && atomic_fetch_add(&d->opened, 1) >= d->opens)
        return wi_fail(err, WEIR_IO, "no more hands");
    diligent_hand *h = calloc(1, sizeof *h);
    if (!h)
        return wi_fail_nomem(err);
    *h = (diligent_hand){d, hand};
    atomic_fetch_add(&d->open_hands, 1);
    *state = h;
    return WEIR_OK;
}

static inline void diligent_close(void *state)
{
    diligent_hand *h = state;
    atomic_fetch_sub(&h->d->open_hands, 1);
    free(h);
}

static inline void diligent_pause(int64_t ns)
{
    struct timespec t = {ns / WI_SECOND, ns % WI_SECOND};
    nanosleep(&t, NULL);
}

static inline void diligent_put_row(diligent *d, wi_portion *portion, int64_t number, bool failed)
{
    wi_buf *out_rows = failed && d->errors_apart ? &portion->failed_rows : &portion->rows;
    wi_buf_printf(out_rows, "{\"number\":%lld,\"attempts\":1,\"error\":%s,\"padding\":\"",
                  (long long)number, failed ? "\"it cannot be\"" : "null");
    for (size_t i = 0; i < d->padding; i++)
        wi_buf_putc(out_rows, 'x');
    wi_buf_puts(out_rows, "\"}\n");
    if (d->limited && out_rows == &portion->rows)
        wi_buf_append(&portion->row_ends, &portion->rows.len, sizeof portion->rows.len);
}

static inline void diligent_look_at_memory(diligent *d)
{
    weir_job_stats s;
    weir_job_stats_get(d->job, &s);
    int64_t most = atomic_load(&d->most_buffered);
    while (s.buffered > most && !atomic_compare_exchange_weak(&d->most_buffered, &most, s.buffered))
        continue;
}

/* In two steps, the second of which has all. False: cut short. */
static inline bool diligent_hold(diligent_hand *h)
{
    diligent *d = h->d;
    if (!wi_hand_hold(h->hand, d->holds / 2) || !wi_hand_hold(h->hand, d->holds))
        return false;
    int holding = atomic_fetch_add(&d->holding, 1) + 1;
    int most = atomic_load(&d->most_holding);
    while (holding > most && !atomic_compare_exchange_weak(&d->most_holding, &most, holding))
        continue;
    sched_yield();
    atomic_fetch_sub(&d->holding, 1);
    return true;
}

/* False: cut short. */
static inline bool diligent_do_item(diligent_hand *h, wi_portion *portion, int64_t item)
{
    diligent *d = h->d;
    bool failed = diligent_chance(d, (uint64_t)item, 1, d->fail_percent);
    int64_t n = failed && !d->fails_late ? 1 : d->rows;
    if (d->longest) {
        wi_random random;
        wi_random_init(&random, d->seed * 77 + (uint64_t)item);
        diligent_pause(wi_random_below(&random, d->longest));
    }
    while (d->stuck_from && (int64_t)portion->number >= d->stuck_from &&
           !wi_hand_is_stopping(h->hand))
        diligent_pause(100000);
    if (wi_hand_is_stopping(h->hand))
        return false;
    if (d->holds && !diligent_hold(h))
        return false;
    for (int64_t r = 0; r < n; r++) {
        diligent_put_row(d, portion, item * d->rows + r, failed && r == n - 1);
        if (d->stop_in && item == d->stop_in && r == n / 2)
            weir_job_stop(d->job, d->stop_how);
        if (portion->rows.len + portion->failed_rows.len >= WI_PORTION_BYTES &&
            !wi_hand_flush(h->hand))
            return false;
    }
    if (d->holds)
        wi_hand_hold(h->hand, 0);
    if (failed)
        wi_portion_fail(portion, "it cannot be", "an item");
    else
        portion->ok++;
    return true;
}

static inline void diligent_take_item(diligent_hand *h, wi_portion *portion, int64_t item)
{
    const wi_portion_place from = wi_portion_place_now(portion);
    if (atomic_fetch_add(&h->d->started, 1) + 1 == h->d->kill_at)
        kill(getpid(), SIGKILL);
    wi_hand_item_begins(h->hand);
    if (diligent_do_item(h, portion, item)) {
        wi_portion_item_done(portion, diligent_chance(h->d, (uint64_t)item, 1, h->d->fail_percent),
                             from);
    } else {
        wi_portion_item_cut(portion, from);
        portion->cancelled++;
    }
    wi_hand_item_ended(h->hand, 10);
}

static inline void diligent_wait_for_memory(diligent *d, int64_t most)
{
    weir_job_stats s;
    do
        weir_job_stats_get(d->job, &s);
    while (s.buffered < most);
}

/* All pieces before the one that stops the job have begun: they are not merely about to. */
static inline void diligent_wait_for_stuck(diligent *d)
{
    if (d->stuck_from && d->stop_at > d->stuck_from)
        while (atomic_load(&d->started) < d->stuck_from * d->per_piece + d->stop_at - d->stuck_from)
            diligent_pause(100000);
}

static inline weir_status diligent_work(void *state, weir_error *err)
{
    diligent_hand *h = state;
    diligent *d = h->d;
    if (atomic_load(&d->stopped))
        return wi_fail(err, WEIR_CANCELLED, "it was stopped");
    int64_t piece = atomic_fetch_add(&d->next, 1);
    int64_t first = piece * d->per_piece;
    int64_t end = first + d->per_piece < d->items ? first + d->per_piece : d->items;
    if (first >= end)
        return WEIR_END;
    atomic_fetch_add(&d->found, end - first);
    wi_portion *portion = wi_hand_begin(h->hand, (uint64_t)piece);
    if (!portion)
        return wi_fail_nomem(err);
    if (piece && piece == d->stop_at)
        diligent_wait_for_stuck(d);
    if (piece && piece == d->stop_at)
        weir_job_stop(d->job, d->stop_how);
    if (piece == 0 && d->waits_for_memory)
        diligent_wait_for_memory(d, 768 << 10);
    for (int64_t item = first; item < end; item++) {
        if (wi_hand_is_draining(h->hand))
            portion->not_started++;
        else if (!wi_hand_claim(h->hand, &item, sizeof item))
            diligent_take_item(h, portion, item);
    }
    if (d->padding)
        diligent_look_at_memory(d);
    if (piece && piece == d->fault_at)
        return wi_fail(err, WEIR_IO, "piece %lld is broken",
                       (long long)piece); /* without its end */
    wi_hand_end(h->hand);
    return WEIR_OK;
}

static inline void diligent_numbers(const void *job, wi_source_numbers *numbers)
{
    const diligent *d = job;
    int64_t found = atomic_load(&d->found);
    bool ended = found == d->items;
    *numbers = (wi_source_numbers){
        .total = ended ? found : -1, .estimate = -1, .read = found, .taken = found, .ended = ended};
}

static inline wi_schema *diligent_header(void *job)
{
    (void)job;
    return NULL;
}

static inline const char *diligent_note(void *job, size_t i, wi_buf *note)
{
    (void)job;
    wi_buf_clear(note);
    wi_buf_printf(note, "note %d", (int)i);
    return i < 2 ? wi_buf_cstr(note) : NULL;
}

static inline weir_status diligent_plan(void *job, wi_buf *name, weir_error *err)
{
    diligent *d = job;
    int64_t item = d->planned++;
    if (item == d->items)
        return WEIR_END;
    if (diligent_chance(d, (uint64_t)item, 1, d->fail_percent))
        return wi_fail(err, WEIR_INVALID, "item %lld would fail", (long long)item);
    wi_buf_printf(name, "item %lld", (long long)item);
    return WEIR_OK;
}

static inline void diligent_free(void *job)
{
    ((diligent *)job)->freed = true;
}

static const wi_blocking diligent_blocking = {
    .begin = diligent_begin,
    .stop = diligent_stop,
    .open = diligent_open,
    .close = diligent_close,
    .work = diligent_work,
    .numbers = diligent_numbers,
    .header = diligent_header,
    .note = diligent_note,
    .plan = diligent_plan,
};

static const wi_kind diligent_kind = {
    .name = "diligent",
    .descriptors = 1,
    .free = diligent_free,
    .blocking = &diligent_blocking,
};

/* ---- running ---- */

static inline weir_job *diligent_make(const wi_job_options *options, diligent *d)
{
    weir_error err;
    weir_job *job = NULL;
    rows_begin();
    d->limited = options->limit > 0;
    if (!d->rows)
        d->rows = 1;
    if (!d->per_piece)
        d->per_piece = 8;
    if (wi_job_new(options, &diligent_kind, d, &job, &err) != WEIR_OK) {
        printf("# %s\n", err.text);
        EXPECT(!"made");
        return NULL;
    }
    d->job = job;
    return job;
}

/* What holds at the end of any job. */
static inline weir_job_stats diligent_sound(weir_job *job, diligent *d)
{
    weir_job_stats s;
    weir_job_stats_get(job, &s);
    EXPECT_INT(s.phase, WEIR_JOB_DONE);
    EXPECT(s.end != WEIR_JOB_END_NONE);
    EXPECT_INT(s.input, atomic_load(&d->found));
    EXPECT_INT(s.ok + s.failed + s.cancelled + s.not_started + s.ok_before + s.failed_before,
               s.input);
    EXPECT(s.not_started >= 0);
    EXPECT_INT(s.in_flight, 0);
    EXPECT_INT(s.waiting, 0);
    EXPECT_INT(s.buffered, 0);
    EXPECT_INT(s.attempts, atomic_load(&d->started));
    EXPECT_INT(s.bytes, 10 * s.attempts);
    EXPECT_INT(rows_seen_twice(), 0);
    EXPECT_INT(atomic_load(&d->open_hands), 0);
    EXPECT(s.peak_in_flight <= s.limit || s.limit == 0 || s.peak_in_flight <= WI_CREW_MOST);
    int64_t reasons = 0;
    weir_job_reason reason;
    for (size_t i = 0; weir_job_reason_get(job, i, &reason) == WEIR_OK; i++)
        reasons += reason.count;
    EXPECT_INT(reasons, s.failed);
    return s;
}

static inline weir_job_stats diligent_run(const wi_job_options *options, diligent *d,
                                          weir_job_end end)
{
    weir_job_stats s = {0};
    weir_job *job = diligent_make(options, d);
    if (!job)
        return s;
    EXPECT_INT(weir_job_start(job, NULL), WEIR_OK);
    EXPECT_INT(weir_job_wait(job, -1, NULL), WEIR_OK);
    s = diligent_sound(job, d);
    EXPECT_INT(s.end, end);
    EXPECT(options->common.unordered || out.in_order);
    weir_job_free(job);
    EXPECT(d->freed);
    return s;
}

static inline wi_job_options diligent_options(int64_t hands)
{
    wi_job_options o = options_for(1);
    o.common.in_flight = hands;
    return o;
}

#endif
