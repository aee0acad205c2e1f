/*
 * journal.c: see journal.h; journal_open.c opens it. Its invariant: what was added since the last
 * commit is one transaction. A write that fails ends the journal, since SQLite may have undone that
 * transaction by itself: what follows must not be committed without what came before.
 */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "journal_state.h"

/* ---- SQLite ---- */

weir_status wi_journal_fail(const wi_journal *journal, int code, weir_error *err)
{
    int sys_errno = journal->sql->system_errno(journal->db);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return wi_fail_nomem(err);
    case SQLITE_BUSY:
        return wi_fail(err, WEIR_AGAIN,
                       "%s is in use: another run writes this output, or a program looks into its "
                       "journal",
                       journal->name);
    case SQLITE_NOTADB:
        return wi_fail(err, WEIR_INVALID,
                       "%s is no journal of Weir's: move it away, or name another output",
                       journal->name);
    case SQLITE_INTERRUPT:
        return wi_journal_fail_damaged(journal, "its pages lead nowhere", err);
    case SQLITE_CORRUPT:
        return wi_journal_fail_damaged(journal, journal->sql->errmsg(journal->db), err);
    case SQLITE_FULL:
        return wi_fail_errno(err, ENOSPC, "cannot write %s", journal->name);
    case SQLITE_READONLY:
        return wi_fail_errno(err, sys_errno ? sys_errno : EACCES, "cannot write %s", journal->name);
    case SQLITE_CANTOPEN:
        if (code == SQLITE_CANTOPEN_SYMLINK)
            return wi_fail(err, WEIR_INVALID,
                           "%s is a symbolic link: move it away, or name another output",
                           journal->name);
        if (code == SQLITE_CANTOPEN_ISDIR)
            sys_errno = EISDIR;
        if (sys_errno && sys_errno != ENOENT)
            return wi_fail_errno(err, sys_errno, "cannot open %s", journal->name);
        return wi_fail(err, WEIR_IO, /* SQLite has asked for something else since */
                       "cannot open %s, or a file that belongs beside it: perhaps there are too "
                       "many open files",
                       journal->name);
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM)
            return wi_fail_nomem(err);
        if (sys_errno)
            return wi_fail_errno(err, sys_errno, "cannot read or write %s", journal->name);
        break;
    }
    return wi_fail(err, WEIR_IO, "%s: %s", journal->name, journal->sql->errmsg(journal->db));
}

weir_status wi_journal_fail_damaged(const wi_journal *journal, const char *what, weir_error *err)
{
    return wi_fail(err, WEIR_INVALID,
                   "%s is damaged (%s): the run cannot be continued; begin anew with --restart, or "
                   "move it away",
                   journal->name, what);
}

weir_status wi_journal_exec(const wi_journal *journal, const char *sql, weir_error *err)
{
    int code = journal->sql->exec(journal->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? WEIR_OK : wi_journal_fail(journal, code, err);
}

weir_status wi_journal_prepare(const wi_journal *journal, const char *sql, sqlite3_stmt **out,
                               weir_error *err)
{
    int code = journal->sql->prepare_v2(journal->db, sql, -1, out, NULL);
    if ((code & 0xff) == SQLITE_ERROR) /* a table that is missing, say */
        return wi_journal_fail_damaged(journal, journal->sql->errmsg(journal->db), err);
    return code == SQLITE_OK ? WEIR_OK : wi_journal_fail(journal, code, err);
}

weir_status wi_journal_run(const wi_journal *journal, sqlite3_stmt *statement, weir_error *err)
{
    int code;
    do
        code = journal->sql->step(statement);
    while (code == SQLITE_ROW);
    weir_status status = code == SQLITE_DONE ? WEIR_OK : wi_journal_fail(journal, code, err);
    journal->sql->reset(statement);
    return status;
}

weir_status wi_journal_ask(const wi_journal *journal, const char *sql, int64_t fallback,
                           int64_t *out, weir_error *err)
{
    sqlite3_stmt *question = NULL;
    weir_status status = wi_journal_prepare(journal, sql, &question, err);
    if (status != WEIR_OK)
        return status;
    int code = journal->sql->step(question);
    if (code == SQLITE_ROW)
        *out = journal->sql->column_int64(question, 0);
    else if (code == SQLITE_DONE)
        *out = fallback;
    else
        status = wi_journal_fail(journal, code, err);
    journal->sql->finalize(question);
    return status;
}

weir_status wi_journal_set(const wi_journal *journal, const char *name, int64_t value,
                           weir_error *err)
{
    sqlite3_stmt *set = NULL;
    weir_status status =
        wi_journal_prepare(journal, "INSERT OR REPLACE INTO run VALUES (?, ?)", &set, err);
    if (status != WEIR_OK)
        return status;
    journal->sql->bind_text(set, 1, name, -1, SQLITE_STATIC);
    journal->sql->bind_int64(set, 2, value);
    status = wi_journal_run(journal, set, err);
    journal->sql->finalize(set);
    return status;
}

/* ---- patience ---- */

enum { STEPS = 1000, LEAST = 1000, BYTES = 100 }; /* a reader takes far less than 10 steps a byte */

static int lose_patience(void *arg)
{
    wi_journal *journal = arg;
    return journal->patience-- <= 0;
}

void wi_journal_watch(wi_journal *journal, int64_t bytes)
{
    journal->patience = LEAST + bytes / BYTES;
    journal->sql->progress_handler(journal->db, STEPS, lose_patience, journal);
}

weir_status wi_journal_watch_size(wi_journal *journal, weir_error *err)
{
    int64_t pages = 0, page = 0;
    weir_status status = wi_journal_ask(journal, "PRAGMA page_count", 0, &pages, err);
    if (status == WEIR_OK)
        status = wi_journal_ask(journal, "PRAGMA page_size", 0, &page, err);
    if (status == WEIR_OK)
        wi_journal_watch(journal, pages * page);
    return status;
}

void wi_journal_unwatch(wi_journal *journal)
{
    journal->sql->progress_handler(journal->db, 0, NULL, NULL);
}

/* ---- life ---- */

static void forget_statements(wi_journal *journal)
{
    journal->sql->finalize(journal->add);
    journal->sql->finalize(journal->add_range);
    journal->add = journal->add_range = NULL;
}

void wi_journal_free(wi_journal *journal)
{
    if (!journal)
        return;
    if (journal->db) {
        forget_statements(journal);
        journal->sql->close(journal->db);
    }
    wi_committed_free(journal->committed);
    pthread_mutex_destroy(&journal->lock);
    free(journal->path);
    free(journal->name);
    free(journal);
}

/* Under the lock, and when there is no second file that SQLite would know by its name. */
void wi_journal_remove(wi_journal *journal)
{
    forget_statements(journal);
    if (journal->begun)
        wi_journal_exec(journal, "ROLLBACK", NULL);
    wi_journal_exec(journal, "PRAGMA journal_mode = DELETE", NULL);
    unlink(journal->path);
    wi_journal_free(journal);
}

void wi_journal_drop(wi_journal *journal)
{
    if (journal && !wi_journal_has_run(journal) && !journal->old_runs)
        wi_journal_remove(journal);
    else
        wi_journal_free(journal);
}

/* ---- what is committed ---- */

wi_journal_state wi_journal_state_of(const wi_journal *journal)
{
    return journal->state;
}

int64_t wi_journal_length(const wi_journal *journal, size_t output)
{
    return journal->lengths[output];
}

int64_t wi_journal_items(const wi_journal *journal)
{
    return journal->items;
}

bool wi_journal_is_made(const wi_journal *journal)
{
    return journal->is_made;
}

bool wi_journal_is_over(const wi_journal *journal)
{
    return journal->old_runs || journal->state == WI_JOURNAL_FINISHED;
}

bool wi_journal_has_run(const wi_journal *journal)
{
    return journal->items || journal->status != WEIR_OK || journal->state == WI_JOURNAL_ENDING ||
           journal->state == WI_JOURNAL_FINISHED;
}

int64_t wi_journal_failed(const wi_journal *journal)
{
    return journal->failed;
}

void wi_journal_key(const wi_journal *journal, const void *asks, size_t len, wi_key *key)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(asks, len, journal->seed));
    memcpy(key->bytes, canonical.digest, sizeof key->bytes);
}

wi_committed_as wi_journal_claim(wi_journal *journal, const wi_key *key)
{
    if (!journal->committed)
        return WI_COMMITTED_NOT;
    pthread_mutex_lock(&journal->lock);
    wi_committed_as as = wi_committed_claim(journal->committed, key);
    pthread_mutex_unlock(&journal->lock);
    return as;
}

/* ---- what happens ---- */

/* Keeps a failure of a write for good. */
static weir_status keep(wi_journal *journal, weir_status status, const weir_error *failure,
                        weir_error *err)
{
    if (status == WEIR_OK)
        return WEIR_OK;
    if (journal->status == WEIR_OK) {
        journal->status = status;
        journal->failure = *failure;
    }
    if (err)
        *err = journal->failure;
    return journal->status;
}

static weir_status begin(wi_journal *journal, weir_error *err)
{
    if (journal->status != WEIR_OK) {
        *err = journal->failure;
        return journal->status;
    }
    if (journal->begun)
        return WEIR_OK;
    weir_status status = wi_journal_exec(journal, "BEGIN IMMEDIATE", err);
    journal->begun = status == WEIR_OK;
    return status;
}

weir_status wi_journal_add(wi_journal *journal, const wi_key *key, bool failed, weir_error *err)
{
    weir_error failure;
    weir_status status = begin(journal, &failure);
    if (status == WEIR_OK) {
        journal->sql->bind_blob(journal->add, 1, key, sizeof *key, SQLITE_STATIC);
        journal->sql->bind_int64(journal->add, 2, failed);
        status = wi_journal_run(journal, journal->add, &failure);
    }
    if (status != WEIR_OK)
        return keep(journal, status, &failure, err);
    journal->last = journal->sql->last_insert_rowid(journal->db);
    if (!journal->pending++)
        journal->since = wi_clock_now(journal->clock);
    journal->pending_failed += failed;
    return WEIR_OK;
}

weir_status wi_journal_add_range(wi_journal *journal, size_t output, int64_t offset, int64_t length,
                                 weir_error *err)
{
    weir_error failure;
    weir_status status = begin(journal, &failure);
    if (status == WEIR_OK) {
        journal->sql->bind_int64(journal->add_range, 1, journal->last);
        journal->sql->bind_int64(journal->add_range, 2, (int64_t)output);
        journal->sql->bind_int64(journal->add_range, 3, offset);
        journal->sql->bind_int64(journal->add_range, 4, length);
        status = wi_journal_run(journal, journal->add_range, &failure);
    }
    return keep(journal, status, &failure, err);
}

int64_t wi_journal_due(const wi_journal *journal, int64_t now)
{
    if (!journal->pending)
        return WI_FOREVER;
    int64_t passed = now - journal->since;
    if (journal->pending >= journal->commit_rows || passed >= journal->commit_every)
        return 0;
    return journal->commit_every - passed;
}

static weir_status set_lengths(wi_journal *journal, const int64_t *lengths, weir_error *err)
{
    sqlite3_stmt *set = NULL;
    weir_status status =
        wi_journal_prepare(journal, "UPDATE output SET length = ? WHERE id = ?", &set, err);
    for (size_t i = 0; status == WEIR_OK && i < journal->outputs; i++) {
        journal->sql->bind_int64(set, 1, lengths[i]);
        journal->sql->bind_int64(set, 2, (int64_t)i);
        status = wi_journal_run(journal, set, err);
    }
    journal->sql->finalize(set);
    return status;
}

/* The end of the transaction, with everything that belongs into it. */
static weir_status commit(wi_journal *journal, const int64_t *lengths, wi_journal_state state,
                          weir_error *err)
{
    weir_status status = begin(journal, err);
    if (status == WEIR_OK && lengths)
        status = set_lengths(journal, lengths, err);
    if (status == WEIR_OK)
        status = wi_journal_set(journal, "state", state, err);
    if (status == WEIR_OK)
        status = wi_journal_exec(journal, "COMMIT", err);
    if (status != WEIR_OK)
        return status;
    journal->begun = journal->old_runs = false;
    journal->state = state;
    journal->items += journal->pending;
    journal->failed += journal->pending_failed;
    journal->pending = journal->pending_failed = 0;
    for (size_t i = 0; lengths && i < journal->outputs; i++)
        journal->lengths[i] = lengths[i];
    return WEIR_OK;
}

weir_status wi_journal_commit(wi_journal *journal, const int64_t *lengths, weir_error *err)
{
    weir_error failure;
    if (!journal->pending && journal->status == WEIR_OK)
        return WEIR_OK;
    weir_status status = commit(journal, lengths, WI_JOURNAL_RUNNING, &failure);
    return keep(journal, status, &failure, err);
}

/* ---- going on ---- */

weir_status wi_journal_failed_rows(wi_journal *journal, size_t output,
                                   weir_status (*range)(void *arg, int64_t offset, int64_t length,
                                                        weir_error *err),
                                   void *arg, weir_error *err)
{
    sqlite3_stmt *ranges = NULL;
    weir_status status = wi_journal_watch_size(journal, err);
    if (status == WEIR_OK)
        status = wi_journal_prepare(
            journal, "SELECT position, length FROM failed_rows WHERE output = ? ORDER BY position",
            &ranges, err);
    int code = SQLITE_DONE;
    if (status == WEIR_OK)
        journal->sql->bind_int64(ranges, 1, (int64_t)output);
    while (status == WEIR_OK && (code = journal->sql->step(ranges)) == SQLITE_ROW)
        status = range(arg, journal->sql->column_int64(ranges, 0),
                       journal->sql->column_int64(ranges, 1), err);
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = wi_journal_fail(journal, code, err);
    journal->sql->finalize(ranges);
    wi_journal_unwatch(journal);
    return status;
}

weir_status wi_journal_rewrite(wi_journal *journal, const int64_t *lengths, weir_error *err)
{
    weir_error failure;
    weir_status status = begin(journal, &failure);
    if (status == WEIR_OK && journal->retries)
        status = wi_journal_watch_size(journal, &failure);
    if (status == WEIR_OK && journal->retries)
        status = wi_journal_exec(
            journal, "DELETE FROM failed_rows; DELETE FROM item WHERE outcome = 1;", &failure);
    wi_journal_unwatch(journal);
    if (status == WEIR_OK)
        status = commit(journal, lengths, WI_JOURNAL_REWRITTEN, &failure);
    if (status != WEIR_OK)
        return keep(journal, status, &failure, err);
    if (journal->retries) {
        journal->items -= journal->failed;
        journal->failed = 0;
    }
    return WEIR_OK;
}

weir_status wi_journal_renamed(wi_journal *journal, weir_error *err)
{
    weir_error failure;
    weir_status status = commit(journal, NULL, WI_JOURNAL_RUNNING, &failure);
    return keep(journal, status, &failure, err);
}

/* ---- the end ---- */

weir_status wi_journal_end(wi_journal *journal, const int64_t *lengths, weir_error *err)
{
    weir_error failure;
    weir_status status = commit(journal, lengths, WI_JOURNAL_ENDING, &failure);
    return keep(journal, status, &failure, err);
}

weir_status wi_journal_finish(wi_journal *journal, weir_error *err)
{
    weir_error failure;
    weir_status status = commit(journal, NULL, WI_JOURNAL_FINISHED, &failure);
    return keep(journal, status, &failure, err);
}
