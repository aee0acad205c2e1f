/* journal_state.h: the inside of a journal, for the files that make it. */
#ifndef WI_JOURNAL_STATE_H
#define WI_JOURNAL_STATE_H

#include <pthread.h>

#include "journal.h"
#include "sqlite_library.h"

struct wi_journal {
    const wi_sqlite *sql;
    sqlite3 *db;
    char *path; /* as SQLite has it */
    char *name; /* as the user has it */
    bool retries;
    bool is_made; /* the file, by us */
    bool is_locked;
    bool is_new;   /* there was no journal in it */
    bool old_runs; /* a finished run's journal is there until the first commit */
    size_t outputs;
    int64_t commit_rows;
    int64_t commit_every;
    const wi_clock *clock;
    uint64_t seed; /* of the keys */
    wi_journal_state state;
    int64_t lengths[WI_JOURNAL_OUTPUTS];
    int64_t items;
    int64_t failed;   /* of them */
    int64_t patience; /* of a watch: thousands of SQLite's steps */

    sqlite3_stmt *add;
    sqlite3_stmt *add_range;
    int64_t last;           /* item */
    int64_t pending;        /* items added since the last commit */
    int64_t pending_failed; /* of them */
    int64_t since;          /* when the first of them was added */
    bool begun;             /* a transaction */
    weir_status status;     /* not WEIR_OK: a write failed, and nothing can be committed any more */
    weir_error failure;

    pthread_mutex_t lock;    /* the one below */
    wi_committed *committed; /* NULL: nothing was */
};

/* What SQLite's last failure means to the user. */
weir_status wi_journal_fail(const wi_journal *journal, int code, weir_error *err);

weir_status wi_journal_exec(const wi_journal *journal, const char *sql, weir_error *err);
weir_status wi_journal_prepare(const wi_journal *journal, const char *sql, sqlite3_stmt **out,
                               weir_error *err);

/* Runs a statement to its end and resets it. */
weir_status wi_journal_run(const wi_journal *journal, sqlite3_stmt *statement, weir_error *err);

/* In the table run. */
weir_status wi_journal_set(const wi_journal *journal, const char *name, int64_t value,
                           weir_error *err);

/* The one number that `sql` asks for; fallback if there is none. */
weir_status wi_journal_ask(const wi_journal *journal, const char *sql, int64_t fallback,
                           int64_t *out, weir_error *err);

/*
 * Between these two, what takes more of SQLite's steps than any sound file of this size fails:
 * pages of a damaged one may refer to each other so that reading them never ends. The first may be
 * called again when more is known of the file.
 */
void wi_journal_watch(wi_journal *journal, int64_t bytes);
void wi_journal_unwatch(wi_journal *journal);

/* The same for the size that it has. */
weir_status wi_journal_watch_size(wi_journal *journal, weir_error *err);

weir_status wi_journal_fail_damaged(const wi_journal *journal, const char *what, weir_error *err);

#endif
