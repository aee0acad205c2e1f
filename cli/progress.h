/*
 * progress.h: where a job stands, on one line that is drawn again and again, or on a plain line
 * every few seconds.
 *
 * The drawn line never reaches the terminal's last columns, so it never wraps: what matters less is
 * left out. Rendering is a pure function of a view; only progress_update knows the time and the
 * terminal.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/job.h"

#include "term.h"

typedef enum progress_kind {
    PROGRESS_NONE,
    PROGRESS_LIVE, /* redrawn on standard error */
    PROGRESS_PLAIN /* a line every few seconds */
} progress_kind;

/* What a line shows. */
typedef struct progress_view {
    weir_job_stats stats;
    double rate;  /* items done per second, lately, by this run */
    int64_t left; /* ns until the end; -1: cannot be told */
    double idle;  /* the share of processor time not used, 0 to 1; negative: not known */
} progress_view;

#define PROGRESS_SIZE 1024

/* Renders a line of at most `width` columns, without a line break. Returns its columns. */
size_t progress_render(char dst[PROGRESS_SIZE], const progress_view *view, int width,
                       const term_style *style);

/* The same with all there is to say, in words parted by commas. */
void progress_render_plain(char dst[PROGRESS_SIZE], const progress_view *view);

enum { PROGRESS_SAMPLES = 32 };

/* The number of items done at times past, for the rate: a ring, the oldest overwritten. */
typedef struct progress_history {
    struct {
        int64_t elapsed;
        int64_t done; /* by this run */
    } samples[PROGRESS_SAMPLES];
    size_t len;
    size_t next;
} progress_history;

/* Notes where the job stands and fills the view's rate and left from what is remembered. */
void progress_look(progress_history *history, progress_view *view);

typedef struct progress {
    progress_kind kind;
    const term_style *style;
    progress_history history;
    int processors;       /* that the job may use */
    int64_t cpu_at_start; /* ns of processor time the process had used */
    int64_t printed;      /* plain: the job's elapsed time at the last line */
    bool drawn;           /* live: a line stands on the terminal */
} progress;

/* lanes: how many threads do the job's work; 0: one per processor. */
void progress_init(progress *p, progress_kind kind, int64_t lanes, const term_style *style);
void progress_update(progress *p, const weir_job_stats *stats);

/* Takes the line away, so that something else can be printed. */
void progress_clear(progress *p);

#endif
