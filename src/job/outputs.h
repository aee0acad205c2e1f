/*
 * outputs.h: where the rows of a job go, and the journal of what has arrived there.
 *
 * There are the rows and, if they go apart, those of failed items: a sink each. If both go to files
 * there is a journal beside the rows ("ROWS.weir"), which says what is done: the sinks then write
 * "ROWS.partial", and wi_outputs_commit brings everything written so far to the disk, and then into
 * the journal. What a run that ended early had committed is kept by the one that continues it, and
 * what it had not is cut off. docs/journal.md has the promises and the order of things.
 *
 * The invariant: at every commit, the sinks hold the rows of the items that were told with
 * wi_outputs_done, whole, and no others. One thread writes (the collector's); any thread claims.
 */
#ifndef WI_OUTPUTS_H
#define WI_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "committed.h"
#include "error.h"
#include "facts.h"
#include "sink.h"
#include "weir/job.h"

typedef struct wi_outputs wi_outputs;

typedef enum wi_outputs_which {
    WI_OUTPUTS_ROWS,
    WI_OUTPUTS_ERRORS, /* the rows of failed items, if they go apart */
    WI_OUTPUTS_LEN,
} wi_outputs_which;

typedef struct wi_outputs_options {
    wi_sink_options sinks[WI_OUTPUTS_LEN]; /* their paths are copied, all else is borrowed as long
                                              as there are outputs */
    bool has_errors;                       /* else there is but the first */
    weir_journal journal;
    int64_t commit_every;   /* ns; 0: a second */
    const wi_facts *facts;  /* NULL: none */
    const char *no_journal; /* an option that does not go with one ("--limit"), or NULL */
    weir_status (*sync)(const void *arg, weir_error *err); /* brings to the disk what is written
                                                              besides; NULL: nothing is */
    const void *sync_arg;
} wi_outputs_options;

/* The bytes of an item's rows in one sink. */
typedef struct wi_extent {
    int64_t at;
    int64_t len; /* 0: it has none there */
} wi_extent;

/* Without a journal the sinks are opened; with one it is only looked whether they could be. */
weir_status wi_outputs_open(const wi_outputs_options *options, wi_outputs **out, weir_error *err);

/* Takes the journal and its lock, and opens the sinks where an earlier run left them. Nothing to do
 * without a journal. Before any of the below. */
weir_status wi_outputs_begin(wi_outputs *outputs, weir_error *err);

/* NULL: there is none (for ERRORS), or they are not open. */
wi_sink *wi_outputs_sink(const wi_outputs *outputs, wi_outputs_which which);

/* After begin: is there a journal? The calls up to wi_outputs_commit are for then only. */
bool wi_outputs_has_journal(const wi_outputs *outputs);

/* The key of what an item asks, and whether it was committed by an earlier run and not claimed yet:
 * to be asked once for each item of the input. Any thread. */
wi_committed_as wi_outputs_claim(wi_outputs *outputs, const void *asks, size_t len, wi_key *key);

/* ---- the writer's thread ---- */

/* The CSV header that rows are to follow, of a run that is continued; empty if there is none yet.
 * After begin. */
weir_status wi_outputs_header(const wi_outputs *outputs, wi_outputs_which which, wi_buf *header,
                              weir_error *err);

/* Where the next row will stand, in each sink; 0 where there is none. Renders what was collected.
 */
weir_status wi_outputs_positions(wi_outputs *outputs, int64_t positions[WI_OUTPUTS_LEN],
                                 weir_error *err);

/* All rows of an item are in the sinks. extents: where those of one that failed are; NULL of one
 * that is ok. */
weir_status wi_outputs_done(wi_outputs *outputs, const wi_key *key, const wi_extent *extents,
                            weir_error *err);

/* In how many ns from now a commit is due; 0: now; WI_FOREVER: nothing waits for one. */
int64_t wi_outputs_due(const wi_outputs *outputs, int64_t now);

/* Flushes, brings all to the disk, and commits. Blocks as long as the disk takes. */
weir_status wi_outputs_commit(wi_outputs *outputs, weir_error *err);

/* Writes what was collected. WEIR_CLOSED: nobody reads it any more. */
weir_status wi_outputs_flush(wi_outputs *outputs, weir_error *err);

/* ---- the end, one of these; flush before ---- */

/* All is there: the files take their names, and the journal says that the run is over. */
weir_status wi_outputs_finish(wi_outputs *outputs, weir_error *err);

/* The run ended early: what was written is kept, without a journal under another name. `say` is
 * called for each thing that a user is to know: a line of printable text. */
void wi_outputs_keep(wi_outputs *outputs, void (*say)(void *arg, const char *text), void *arg);

/* Frees; what was neither finished nor kept is removed, but for what the journal has. NULL is
 * fine. */
void wi_outputs_free(wi_outputs *outputs);

#endif
