/*
 * weir/job.h: a job runs one operation over many items and writes one row for each.
 *
 * A job is made by its kind (weir_fetch_new), started once, waited for, and freed. Its work happens
 * on threads of its own: one that reads the input, one or more lanes that keep the items in flight
 * (or hands, each at one item, with one thread that oversees them), one that writes. Signals are
 * left to the program: those threads block all of them.
 */
#ifndef WEIR_JOB_H
#define WEIR_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_job weir_job;

/* Takes a piece of the output; non-zero ends the job as a broken pipe would. The writer thread
 * calls it, never two at a time. */
typedef int (*weir_write_fn)(void *arg, const char *bytes, size_t len);

/*
 * Whether a run is to go on where an earlier one ended. Where the rows go to a file, and those that
 * failed to one as well or with the others, there is a journal of what is done, an SQLite database
 * "OUTPUT.weir" beside it. docs/journal.md says what it promises.
 */
typedef enum weir_journal {
    WEIR_JOURNAL_NEW,          /* begin; where a run did not come to its end: WEIR_INVALID */
    WEIR_JOURNAL_RESUME,       /* go on with what is done; begin where there is nothing */
    WEIR_JOURNAL_RESTART,      /* begin anew, whatever there is */
    WEIR_JOURNAL_RETRY_FAILED, /* as RESUME, but what failed is not done */
    WEIR_JOURNAL_NONE          /* keep none; where a run did not come to its end: WEIR_INVALID */
} weir_journal;

/*
 * What all kinds of job have in common; a kind's own options begin with it. Zero means the default
 * everywhere. Strings are copied. Times are nanoseconds, sizes bytes.
 */
typedef struct weir_job_options {
    /* the input: one item for each row, or several */
    const char *input;        /* a path, or "-"; NULL: none */
    const char *input_format; /* "csv", "tsv", "ndjson", "lines"; NULL: by suffix */
    int64_t max_row;          /* 16 MiB */

    /* the output: a row for each item */
    const char *output;  /* a path, or "-" (the default) */
    const char *format;  /* "ndjson", "csv"; NULL: by suffix */
    const char *errors;  /* a path for the failed rows; NULL: with the others */
    weir_write_fn write; /* instead of output */
    void *write_arg;
    int unordered; /* rows as they finish, not in input order */
    weir_journal journal;
    int64_t commit_every; /* how much of a run may be lost and done again; 1 s */

    /* how many, how fast, how long */
    int64_t in_flight;  /* 0: found while running */
    int64_t lanes;      /* 0: one per processor */
    double rate;        /* begun per second (and server); 0: no limit */
    int64_t timeout;    /* per attempt; negative: none; the default is the kind's */
    int64_t deadline;   /* for the whole run; 0: none */
    int64_t memory;     /* for everything buffered; 256 MiB */
    int64_t halt_after; /* end the run after so many failures; 0: it goes on */

    /* retries */
    int64_t retries;      /* attempts beyond the first; negative: none; the default is the kind's */
    const char *retry_on; /* what is worth one, as the kind has it; NULL: its default */
    int64_t retry_delay;  /* the first back-off's upper bound; 250 ms */
    int64_t retry_max_delay; /* 30 s */
    int64_t breaker; /* how long an origin that is gone is waited for before what is queued for it
                        fails unasked; 30 s; negative: its items fail one by one, as others do */
} weir_job_options;

typedef enum weir_job_phase {
    WEIR_JOB_READY, /* made, not started */
    WEIR_JOB_RUNNING,
    WEIR_JOB_DRAINING, /* stopping: no item begins any more, those in flight finish */
    WEIR_JOB_DONE
} weir_job_phase;

/* How a job came to its end. */
typedef enum weir_job_end {
    WEIR_JOB_END_NONE,     /* it has not ended */
    WEIR_JOB_END_COMPLETE, /* every item of the input was ok or failed */
    WEIR_JOB_END_STOPPED,  /* weir_job_stop was called */
    WEIR_JOB_END_DEADLINE, /* the deadline of the run passed */
    WEIR_JOB_END_FAILFAST, /* halt_after items failed */
    WEIR_JOB_END_CLOSED,   /* the reader of the output went away (a broken pipe) */
    WEIR_JOB_END_LIMIT,    /* as many rows as were wanted are written (weir_scan_options.limit) */
    WEIR_JOB_END_FAULT     /* the job could not go on: weir_job_wait returns why */
} weir_job_end;

typedef enum weir_stop {
    WEIR_STOP_DRAIN, /* begin nothing more; let what is in flight finish */
    WEIR_STOP_NOW    /* cancel what is in flight too */
} weir_stop;

/*
 * Where a job stands. All counts are of items unless said otherwise, and at the end
 * input = ok + failed + cancelled + not_started + ok_before + failed_before. Times are
 * nanoseconds.
 */
typedef struct weir_job_stats {
    weir_job_phase phase;
    weir_job_end end;
    int64_t total;    /* items in all, if known; -1 if not (yet) */
    int64_t estimate; /* items in all as far as can be told from the input read; -1 if not */
    int64_t input;    /* items known to belong to the run: read so far, or the total */
    int input_ended;  /* the input was read to its end */
    int64_t ok;
    int64_t failed;
    int64_t cancelled;
    int64_t not_started;
    int64_t ok_before;       /* done by the run that this one continues: their rows are there */
    int64_t failed_before;   /* the same, and they failed */
    int64_t in_flight;       /* running now */
    int64_t waiting;         /* between two attempts now */
    int64_t limit;           /* how many may be in flight now */
    int64_t attempts;        /* attempts ended, of all items */
    int64_t retries;         /* attempts beyond an item's first */
    int64_t retries_refused; /* by the retry budget */
    int64_t peak_in_flight;
    int64_t waited;     /* the sum of all attempts' durations */
    int64_t elapsed;    /* since start; the run's length once it is done */
    int64_t p50, p99;   /* of the attempts' durations */
    int64_t bytes;      /* of bodies received, after decompression */
    int64_t buffered;   /* bytes of memory that count against the budget now */
    int64_t held_until; /* ns from now until the last held-back origin may go on; 0: none is held */
} weir_job_stats;

/* One reason for failure: how often, and an example. Text is printable UTF-8. */
typedef struct weir_job_reason {
    const char *reason;  /* "HTTP 500", "timed out after 30s" */
    const char *example; /* what it happened to first, e.g. the URL */
    int64_t count;
} weir_job_reason;

/* What a run would do (weir_job_plan). Strings belong to the job. */
typedef struct weir_job_plan {
    int64_t items;               /* -1: the input has no known end (it was cut at `counted`) */
    int64_t counted;             /* items looked at */
    int64_t faulty;              /* items that would fail before they start, e.g. ragged rows */
    const char *const *examples; /* the first few items, "https://…" or "POST https://…" */
    size_t examples_len;
    const char *first_fault; /* NULL: none */
    int64_t origins;         /* different servers */
    int64_t lanes;
    int64_t limit;      /* in flight at once, at most */
    int limit_is_found; /* the limit is found while running, up to `limit` */
    int64_t descriptors_needed;
    int64_t descriptors_allowed;
    double rate;      /* per second and origin; 0: no limit */
    int64_t shortest; /* ns that the rate alone makes the run take */
} weir_job_plan;

/*
 * Looks at the whole input without starting anything. Instead of start, not before it. Blocks
 * while it reads; ends early at max_items (0: no bound). The plan is the caller's, its strings are
 * the job's.
 */
weir_status weir_job_plan_make(weir_job *job, int64_t max_items, weir_job_plan *plan,
                               weir_error *err);

/* Starts the job's threads; does not block. Once only: WEIR_INVALID after that. */
weir_status weir_job_start(weir_job *job, weir_error *err);

/*
 * Blocks until the job has ended, or for timeout_ns (negative: for ever). WEIR_TIMEDOUT (err is
 * left alone): it still runs. WEIR_OK: it ended, and its items may be ok or not: see the stats.
 * Any other status: the job's own fault (an unwritable output, say). Any thread.
 */
weir_status weir_job_wait(weir_job *job, int64_t timeout_ns, weir_error *err);

/* Asks a job to end. Does not block; any thread; may be called again, from DRAIN to NOW. */
void weir_job_stop(weir_job *job, weir_stop how);

/* Says where a job stands. Any thread; cheap enough to call ten times a second. */
void weir_job_stats_get(weir_job *job, weir_job_stats *stats);

/* Gives the i-th reason for failure, most frequent first; WEIR_NOTFOUND past the last. After the
 * end only. The strings belong to the job. */
weir_status weir_job_reason_get(weir_job *job, size_t i, weir_job_reason *reason);

/* Gives what there is to say of the run beyond its numbers ("capped at 1,000 in flight: …"), one
 * line of printable text each; NULL past the last. After start; the strings belong to the job. */
const char *weir_job_note(weir_job *job, size_t i);

/* Stops the job now if it runs, waits for its end and frees it. NULL is fine. */
void weir_job_free(weir_job *job);

#ifdef __cplusplus
}
#endif
#endif
