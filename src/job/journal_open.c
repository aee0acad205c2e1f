/*
 * journal_open.c: opening a journal, see journal.h. Its invariant: nothing is written to a file
 * before it is known to be empty or a journal that may be used so.
 *
 * The lock is SQLite's own, held from the first statement to the end (locking_mode EXCLUSIVE). A
 * journal can come from anywhere, so what an SQLite file could make us do beyond reading its tables
 * is switched off.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "journal_state.h"
#include "random.h"

#define TEXT_OF(number) TEXT_OF_(number)
#define TEXT_OF_(number) #number

#define APPLICATION 0x57656972 /* "Weir" */
#define VERSION 1

enum {
    DEFAULT_MEMORY = 64 << 20,
    DEFAULT_ROWS = 20000,
    MANY = 60, /* characters of an option's value in a message */
};

static const char tables[] =
    "CREATE TABLE run (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE option (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE output (id INTEGER PRIMARY KEY, name TEXT NOT NULL, length INTEGER NOT NULL);"
    "CREATE TABLE item (id INTEGER PRIMARY KEY, key BLOB NOT NULL, outcome INTEGER NOT NULL);"
    "CREATE TABLE failed_rows (id INTEGER PRIMARY KEY, item INTEGER NOT NULL, "
    "output INTEGER NOT NULL, position INTEGER NOT NULL, length INTEGER NOT NULL);"
    "PRAGMA application_id = " TEXT_OF(APPLICATION) ";"
                                                    "PRAGMA user_version = " TEXT_OF(VERSION) ";";

/* ---- the file ---- */

/* A name that begins with "file:" or ":memory:" would mean something else to SQLite. */
static weir_status name_file(wi_journal *journal, const char *path, weir_error *err)
{
    bool absolute = path[0] == '/';
    size_t size = strlen(path) + sizeof "./";
    journal->path = malloc(size);
    if (!journal->path)
        return wi_fail_nomem(err);
    snprintf(journal->path, size, "%s%s", absolute ? "" : "./", path);
    journal->name = journal->path + (absolute ? 0 : 2);
    return WEIR_OK;
}

/* Why it cannot be written: SQLite tries again to read only, and says why that fails. Not found out
 * by opening it: closing that would free a lock that this process may have on it. */
static int why_not_writable(const char *path)
{
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
        return EACCES;
    if (errno != ENOENT)
        return errno;
    const char *slash = strrchr(path, '/'); /* there is one */
    char *folder = strndup(path, (size_t)(slash - path) + 1);
    int sys_errno = !folder                                                     ? ENOMEM
                    : faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0 ? errno
                                                                                : EACCES;
    free(folder);
    return sys_errno;
}

static weir_status open_file(wi_journal *journal, weir_error *err)
{
    const wi_sqlite *sql = journal->sql;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sql->initialize();
    if (code == SQLITE_OK)
        code = sql->open_v2(journal->path, &journal->db, flags, NULL);
    if (!journal->db)
        return wi_fail_nomem(err);
    if (code == SQLITE_CANTOPEN && sql->system_errno(journal->db) == ENOENT)
        return wi_fail_errno(err, why_not_writable(journal->path), "cannot write %s",
                             journal->name);
    if (code != SQLITE_OK)
        return wi_journal_fail(journal, sql->extended_errcode(journal->db), err);
    sql->extended_result_codes(journal->db, 1);
    if (sql->db_readonly(journal->db, "main"))
        return wi_fail_errno(err, why_not_writable(journal->path), "cannot write %s",
                             journal->name);
    sql->db_config(journal->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sql->db_config(journal->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sql->db_config(journal->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql->db_config(journal->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    return wi_journal_exec(journal,
                           "PRAGMA locking_mode = EXCLUSIVE;"
                           "PRAGMA cell_size_check = ON;"
                           "PRAGMA temp_store = MEMORY;"
                           "BEGIN EXCLUSIVE; COMMIT;",
                           err);
}

/* The one number that `sql` asks for; fallback if there is none. */
static weir_status ask(const wi_journal *journal, const char *sql, int64_t fallback, int64_t *out,
                       weir_error *err)
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

/* Empty, or a journal that this program understands? */
static weir_status identify(const wi_journal *journal, bool *is_new, weir_error *err)
{
    int64_t application = 0, version = 0, things = 0;
    weir_status status = ask(journal, "PRAGMA application_id", 0, &application, err);
    if (status == WEIR_OK)
        status = ask(journal, "PRAGMA user_version", 0, &version, err);
    if (status == WEIR_OK)
        status = ask(journal, "SELECT count(*) FROM sqlite_schema", 0, &things, err);
    if (status != WEIR_OK)
        return status;
    *is_new = !application && !version && !things;
    if (!*is_new && application != APPLICATION)
        return wi_fail(err, WEIR_INVALID,
                       "%s is another program's database, and no journal of Weir's: move it away, "
                       "or name another output",
                       journal->name);
    if (!*is_new && version != VERSION)
        return wi_fail(err, WEIR_INVALID,
                       "%s is of version %" PRId64 " and this program reads version %d: end the "
                       "run with the program that began it, or remove the journal to begin anew",
                       journal->name, version, VERSION);
    return WEIR_OK;
}

/* ---- beginning ---- */

static weir_status put_text(const wi_journal *journal, const char *sql, int64_t id,
                            const char *name, const char *value, weir_error *err)
{
    sqlite3_stmt *put = NULL;
    weir_status status = wi_journal_prepare(journal, sql, &put, err);
    if (status != WEIR_OK)
        return status;
    journal->sql->bind_int64(put, 1, id);
    journal->sql->bind_text(put, 2, name, -1, SQLITE_STATIC);
    journal->sql->bind_text(put, 3, value, -1, SQLITE_STATIC);
    status = wi_journal_run(journal, put, err);
    journal->sql->finalize(put);
    return status;
}

static weir_status put_options(const wi_journal *journal, const wi_journal_options *o,
                               weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < o->facts_len; i++)
        if (o->facts[i].value)
            status = put_text(journal, "INSERT INTO option VALUES (?2, ?3)", 0, o->facts[i].name,
                              o->facts[i].value, err);
    for (size_t i = 0; status == WEIR_OK && i < o->outputs_len; i++)
        status = put_text(journal, "INSERT INTO output VALUES (?1, ?2, ?3)", (int64_t)i,
                          o->outputs[i], "0", err);
    return status;
}

/* A journal of nothing, in one transaction, in place of whatever there was. */
static weir_status begin_anew(wi_journal *journal, const wi_journal_options *o, bool is_new,
                              weir_error *err)
{
    weir_status status = wi_journal_exec(journal, "BEGIN IMMEDIATE", err);
    if (status == WEIR_OK)
        status = wi_journal_exec(journal,
                                 is_new ? tables
                                        : "DELETE FROM run; DELETE FROM option; DELETE FROM output;"
                                          "DELETE FROM item; DELETE FROM failed_rows;"
                                          "DROP INDEX IF EXISTS failed_item;",
                                 err);
    if (status == WEIR_OK)
        status = wi_journal_set(journal, "state", WI_JOURNAL_RUNNING, err);
    if (status == WEIR_OK)
        status = wi_journal_set(journal, "seed", (int64_t)wi_random_seed(), err);
    if (status == WEIR_OK)
        status = put_options(journal, o, err);
    if (status == WEIR_OK)
        status = wi_journal_exec(journal, "COMMIT", err);
    return status;
}

/* ---- going on ---- */

static const char *value_of(const wi_journal_options *o, const char *name)
{
    for (size_t i = 0; i < o->facts_len; i++)
        if (strcmp(o->facts[i].name, name) == 0)
            return o->facts[i].value;
    return NULL;
}

static void say_value(wi_buf *text, const char *value)
{
    if (!value)
        wi_buf_puts(text, "none");
    else
        wi_buf_printf(text, "\"%.*s\"%s", MANY, value, strlen(value) > MANY ? "..." : "");
}

/* Appends how an option differs. */
static void say_difference(wi_buf *text, const char *name, const char *then, const char *now)
{
    wi_buf_printf(text, "%s%s was ", text->len ? ", " : "", name);
    say_value(text, then);
    wi_buf_puts(text, " and is ");
    say_value(text, now);
    wi_buf_puts(text, " now");
}

/* Those that were recorded, and the rest that were not. */
static weir_status compare(const wi_journal *journal, const wi_journal_options *o, wi_buf *text,
                           weir_error *err)
{
    const wi_sqlite *sql = journal->sql;
    sqlite3_stmt *all = NULL;
    sqlite3_stmt *one = NULL;
    int code = SQLITE_DONE;
    weir_status status =
        wi_journal_prepare(journal, "SELECT name, value FROM option ORDER BY name", &all, err);
    if (status == WEIR_OK)
        status = wi_journal_prepare(journal, "SELECT 1 FROM option WHERE name = ?", &one, err);
    while (status == WEIR_OK && (code = sql->step(all)) == SQLITE_ROW) {
        const char *name = (const char *)sql->column_text(all, 0);
        const char *then = (const char *)sql->column_text(all, 1);
        const char *now = name ? value_of(o, name) : NULL;
        if (!name || !then)
            status = wi_fail_nomem(err);
        else if (!now || strcmp(now, then) != 0)
            say_difference(text, name, then, now);
    }
    for (size_t i = 0; status == WEIR_OK && code == SQLITE_DONE && i < o->facts_len; i++) {
        if (!o->facts[i].value)
            continue;
        sql->bind_text(one, 1, o->facts[i].name, -1, SQLITE_STATIC);
        int found = sql->step(one);
        sql->reset(one);
        if (found == SQLITE_DONE)
            say_difference(text, o->facts[i].name, NULL, o->facts[i].value);
        else if (found != SQLITE_ROW)
            code = found;
    }
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = wi_journal_fail(journal, code, err);
    sql->finalize(all);
    sql->finalize(one);
    return status;
}

static weir_status check_options(const wi_journal *journal, const wi_journal_options *o,
                                 weir_error *err)
{
    wi_buf text = WI_BUF_INIT;
    weir_status status = compare(journal, o, &text, err);
    const char *differs = wi_buf_cstr(&text);
    if (status == WEIR_OK && (!differs || text.failed))
        status = wi_fail_nomem(err);
    else if (status == WEIR_OK && *differs)
        status = wi_fail(err, WEIR_INVALID,
                         "cannot continue the run of %s: %.*s; give what it was, or begin anew "
                         "with --restart",
                         journal->name, 300, differs);
    wi_buf_fini(&text);
    return status;
}

static weir_status load_lengths(wi_journal *journal, const wi_journal_options *o, weir_error *err)
{
    sqlite3_stmt *outputs = NULL;
    const wi_sqlite *sql = journal->sql;
    weir_status status = wi_journal_prepare(
        journal, "SELECT id, name, length FROM output ORDER BY id", &outputs, err);
    if (status != WEIR_OK)
        return status;
    size_t n = 0;
    int code;
    bool fits = true;
    while (fits && (code = sql->step(outputs)) == SQLITE_ROW) {
        const char *name = (const char *)sql->column_text(outputs, 1);
        int64_t length = sql->column_int64(outputs, 2);
        fits = n < o->outputs_len && sql->column_int64(outputs, 0) == (int64_t)n && name &&
               strcmp(name, o->outputs[n]) == 0 && length >= 0;
        if (fits)
            journal->lengths[n++] = length;
    }
    if (fits && code != SQLITE_DONE)
        status = wi_journal_fail(journal, code, err);
    else if (!fits || n != o->outputs_len)
        status = wi_fail(err, WEIR_INVALID,
                         "cannot continue the run of %s: it had other outputs (--errors); give "
                         "what it had, or begin anew with --restart",
                         journal->name);
    sql->finalize(outputs);
    return status;
}

static wi_committed_as as_of(const wi_journal *journal, int64_t id, int64_t outcome)
{
    if (outcome == WI_JOURNAL_OK)
        return WI_COMMITTED_OK;
    return id <= journal->retry_until ? WI_COMMITTED_RETRY : WI_COMMITTED_FAILED;
}

static weir_status load_keys(wi_journal *journal, weir_error *err)
{
    const wi_sqlite *sql = journal->sql;
    sqlite3_stmt *keys = NULL;
    int64_t room = journal->items; /* a file that is written to behind our back gains nothing */
    int code = SQLITE_DONE;
    weir_status status = wi_journal_prepare(
        journal, "SELECT id, key, outcome FROM item WHERE outcome != 2", &keys, err);
    while (status == WEIR_OK && (code = sql->step(keys)) == SQLITE_ROW) {
        const void *key = sql->column_blob(keys, 1);
        int64_t outcome = sql->column_int64(keys, 2);
        if (!key || sql->column_bytes(keys, 1) != sizeof(wi_key) || !room-- || outcome < 0 ||
            outcome > WI_JOURNAL_FAILED)
            status = wi_journal_fail_damaged(journal, "an item is none", err);
        else
            wi_committed_add(journal->committed, key,
                             as_of(journal, sql->column_int64(keys, 0), outcome));
    }
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = wi_journal_fail(journal, code, err);
    sql->finalize(keys);
    return status;
}

/* What failed is looked for by its key while it is asked again. */
static weir_status begin_retry(wi_journal *journal, weir_error *err)
{
    int64_t last = 0;
    weir_status status = ask(journal, "SELECT max(id) FROM item WHERE outcome = 1", 0, &last, err);
    if (status != WEIR_OK || !last)
        return status;
    status = wi_journal_exec(journal,
                             "BEGIN IMMEDIATE;"
                             "CREATE INDEX IF NOT EXISTS failed_item ON item (key) "
                             "WHERE outcome = 1",
                             err);
    if (status == WEIR_OK)
        status = wi_journal_set(journal, "retry_until", last, err);
    if (status == WEIR_OK)
        status = wi_journal_exec(journal, "COMMIT", err);
    return status;
}

static weir_status load(wi_journal *journal, const wi_journal_options *o, weir_error *err)
{
    int64_t state = 0, seed = 0;
    weir_status status = ask(journal, "SELECT value FROM run WHERE name = 'state'", 0, &state, err);
    if (status == WEIR_OK)
        status = ask(journal, "SELECT value FROM run WHERE name = 'seed'", 0, &seed, err);
    if (status == WEIR_OK)
        status = ask(journal, "SELECT value FROM run WHERE name = 'retry_until'", 0,
                     &journal->retry_until, err);
    if (status == WEIR_OK)
        status =
            ask(journal, "SELECT count(*) FROM item WHERE outcome != 2", 0, &journal->items, err);
    if (status == WEIR_OK && (state < WI_JOURNAL_RUNNING || state > WI_JOURNAL_FINISHED))
        status = wi_journal_fail_damaged(journal, "it has no state", err);
    if (status != WEIR_OK)
        return status;
    journal->found = journal->state = (wi_journal_state)state;
    journal->seed = (uint64_t)seed;
    status = load_lengths(journal, o, err);
    if (status == WEIR_OK && journal->items)
        status = wi_committed_new((uint64_t)journal->items, o->memory ? o->memory : DEFAULT_MEMORY,
                                  journal->path, &journal->committed, err);
    if (status == WEIR_OK && journal->items)
        status = load_keys(journal, err);
    return status;
}

/* ---- all of it ---- */

static weir_status refuse_unfinished(const wi_journal *journal, weir_error *err)
{
    int64_t state = 0, items = 0;
    weir_status status = ask(journal, "SELECT value FROM run WHERE name = 'state'", 0, &state, err);
    if (status == WEIR_OK)
        status = ask(journal, "SELECT count(*) FROM item WHERE outcome != 2", 0, &items, err);
    if (status != WEIR_OK || state == WI_JOURNAL_FINISHED)
        return status;
    return wi_fail(err, WEIR_INVALID,
                   "%s holds an unfinished run, with %" PRId64 " items done: continue it with "
                   "--resume, or begin anew with --restart",
                   journal->name, items);
}

static weir_status prepare_all(wi_journal *journal, weir_error *err)
{
    weir_status status = wi_journal_prepare(
        journal, "INSERT INTO item (key, outcome) VALUES (?, ?)", &journal->add, err);
    if (status == WEIR_OK)
        status = wi_journal_prepare(
            journal, "INSERT INTO failed_rows (item, output, position, length) VALUES (?, ?, ?, ?)",
            &journal->add_range, err);
    if (status == WEIR_OK && journal->retry_until) {
        status = wi_journal_prepare(journal,
                                    "UPDATE item SET outcome = 2 WHERE id = (SELECT id FROM item "
                                    "INDEXED BY failed_item WHERE key = ?1 AND outcome = 1 "
                                    "AND id <= ?2 ORDER BY id LIMIT 1)",
                                    &journal->replace, err);
        if (status == WEIR_OK)
            journal->sql->bind_int64(journal->replace, 2, journal->retry_until);
    }
    return status;
}

static weir_status open_journal(wi_journal *journal, const wi_journal_options *o, weir_error *err)
{
    bool is_new = false;
    bool goes_on = o->mode == WI_JOURNAL_RESUME || o->mode == WI_JOURNAL_RETRY;
    weir_status status = open_file(journal, err);
    if (status == WEIR_OK)
        status = identify(journal, &is_new, err);
    if (status == WEIR_OK && !is_new && o->mode == WI_JOURNAL_NEW)
        status = refuse_unfinished(journal, err);
    if (status == WEIR_OK && !is_new && goes_on)
        status = check_options(journal, o, err);
    if (status == WEIR_OK)
        status =
            wi_journal_exec(journal, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", err);
    if (status == WEIR_OK && (is_new || !goes_on))
        status = begin_anew(journal, o, is_new, err);
    if (status == WEIR_OK && o->mode == WI_JOURNAL_RETRY)
        status = begin_retry(journal, err);
    if (status == WEIR_OK)
        status = load(journal, o, err);
    if (status == WEIR_OK)
        status = prepare_all(journal, err);
    return status;
}

weir_status wi_journal_open(const wi_journal_options *options, wi_journal **out, weir_error *err)
{
    if (!options->outputs_len || options->outputs_len > WI_JOURNAL_OUTPUTS)
        return wi_fail(err, WEIR_INVALID, "a journal is of one to %d outputs", WI_JOURNAL_OUTPUTS);
    wi_journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return wi_fail_nomem(err);
    pthread_mutex_init(&journal->lock, NULL);
    journal->outputs = options->outputs_len;
    journal->commit_rows = options->commit_rows ? options->commit_rows : DEFAULT_ROWS;
    journal->commit_every = options->commit_every ? options->commit_every : WI_SECOND;
    journal->clock = options->clock ? options->clock : wi_clock_real();
    weir_status status = wi_sqlite_load(&journal->sql, err);
    if (status == WEIR_OK)
        status = name_file(journal, options->path, err);
    if (status == WEIR_OK)
        status = open_journal(journal, options, err);
    if (status != WEIR_OK) {
        wi_journal_free(journal);
        return status;
    }
    *out = journal;
    return WEIR_OK;
}
