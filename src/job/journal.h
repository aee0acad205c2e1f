/*
 * journal.h: what of a run is committed, so that it goes on after whatever end it came to.
 *
 * A journal is an SQLite database beside the output; docs/journal.md has its tables and promises.
 * Whoever writes the outputs adds what became of each item and, when its rows are on the disk,
 * commits: from then on these items are done, and the outputs are that long. What was not committed
 * has not happened. One thread adds and commits; any thread claims. While a journal is open, nobody
 * else can open it.
 */
#ifndef WI_JOURNAL_H
#define WI_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "committed.h"
#include "error.h"
#include "facts.h"

typedef struct wi_journal wi_journal;

typedef enum wi_journal_mode {
    WI_JOURNAL_NEW,     /* an unfinished run is an error; what a finished one left is forgotten */
    WI_JOURNAL_RESUME,  /* goes on with what is committed, finished or not; without: as NEW */
    WI_JOURNAL_RESTART, /* forgets whatever there is */
    WI_JOURNAL_RETRY,   /* as RESUME, and what failed is not done */
} wi_journal_mode;

enum { WI_JOURNAL_OUTPUTS = 4 };

typedef struct wi_journal_options {
    const char *path; /* "/data/products.ndjson.weir", without symbolic links */
    const char *name; /* in messages; NULL: the path */
    const char *like; /* a file whose mode and owner it is to have, if there is one; may be NULL */
    wi_journal_mode mode;
    const wi_facts *facts;      /* names differ; NULL: none */
    const char *const *outputs; /* their names: "rows", "errors" */
    size_t outputs_len;
    int64_t memory;        /* for the keys of a resumed run; 0: 64 MiB */
    int64_t commit_rows;   /* due after so many items; 0: 20,000 */
    int64_t commit_every;  /* or so many ns after the first of them; 0: a second */
    const wi_clock *clock; /* NULL: the real one */
} wi_journal_options;

typedef enum wi_journal_state {
    WI_JOURNAL_RUNNING,
    WI_JOURNAL_ENDING, /* all is committed, and the outputs take their names */
    WI_JOURNAL_FINISHED,
    WI_JOURNAL_REWRITTEN, /* running, and copies of the outputs are to take their places */
} wi_journal_state;

/*
 * Opens, or makes it. A run with no item committed is none. What a finished run left is forgotten
 * with the first commit, so that a run that does nothing has changed nothing. Fails, having changed
 * nothing: WEIR_INVALID (an unfinished run, another run's options, a file that is no journal or of
 * another version), WEIR_AGAIN (another run has it open), WEIR_DENIED, WEIR_IO, WEIR_NOMEM,
 * WEIR_UNSUPPORTED (no SQLite).
 */
weir_status wi_journal_open(const wi_journal_options *options, wi_journal **out, weir_error *err);

/* Closes; what was not committed has not happened. NULL is fine. */
void wi_journal_free(wi_journal *journal);

/* The same, and removes the file if there is no run in it. */
void wi_journal_drop(wi_journal *journal);

/* The same, whatever is in it. */
void wi_journal_remove(wi_journal *journal);

/* ---- what is committed ---- */

/* Where the run stands; WI_JOURNAL_RUNNING for a new one. */
wi_journal_state wi_journal_state_of(const wi_journal *journal);

/* To how many bytes an output is to be cut back. */
int64_t wi_journal_length(const wi_journal *journal, size_t output);

/* How many items are committed, and how many of them failed. */
int64_t wi_journal_items(const wi_journal *journal);
int64_t wi_journal_failed(const wi_journal *journal);

/* Was there no file? */
bool wi_journal_is_made(const wi_journal *journal);

/* Had the run that was found there come to its end? Until the first commit or rewriting. */
bool wi_journal_is_over(const wi_journal *journal);

/* Is there something to go on with, or to tell of? Not before the first item is committed. */
bool wi_journal_has_run(const wi_journal *journal);

/* The key of what an item asks, rendered by its kind so that different items differ. Any thread. */
void wi_journal_key(const wi_journal *journal, const void *asks, size_t len, wi_key *key);

/* Was an item that asks this committed by an earlier run, and not claimed yet? Once for each item
 * of the input. Any thread. */
wi_committed_as wi_journal_claim(wi_journal *journal, const wi_key *key);

/* ---- going on with a finished run, or asking again what failed: before anything is added ---- */

/* For each range of rows of what failed, in the order of the output. A failure of `range` is
 * returned. */
weir_status wi_journal_failed_rows(wi_journal *journal, size_t output,
                                   weir_status (*range)(void *arg, int64_t offset, int64_t length,
                                                        weir_error *err),
                                   void *arg, weir_error *err);

/* Commits that the run goes on, with copies of the outputs that have these lengths; with
 * WI_JOURNAL_RETRY, that what failed is forgotten. WI_JOURNAL_REWRITTEN until the next commit. */
weir_status wi_journal_rewrite(wi_journal *journal, const int64_t *lengths, weir_error *err);

/* The copies have taken their places, for good. The next commit says that as well. */
weir_status wi_journal_renamed(wi_journal *journal, weir_error *err);

/* ---- what happens ---- */

/* An item is done. */
weir_status wi_journal_add(wi_journal *journal, const wi_key *key, bool failed, weir_error *err);

/* Rows of the item added last, which failed: where they are, so that a retry can replace them. An
 * output's ranges come in its order. */
weir_status wi_journal_add_range(wi_journal *journal, size_t output, int64_t offset, int64_t length,
                                 weir_error *err);

/* In how many ns from now a commit is due: 0: at once; WI_FOREVER: nothing waits for one. */
int64_t wi_journal_due(const wi_journal *journal, int64_t now);

/* Commits what was added and how long the outputs are, whose bytes must be on the disk. */
weir_status wi_journal_commit(wi_journal *journal, const int64_t *lengths, weir_error *err);

/* ---- the end ---- */

/* Commits, and that all is there: what is left to do is to give the outputs their names. */
weir_status wi_journal_end(wi_journal *journal, const int64_t *lengths, weir_error *err);

/* The outputs have their names. */
weir_status wi_journal_finish(wi_journal *journal, weir_error *err);

#endif
