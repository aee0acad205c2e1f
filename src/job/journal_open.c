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
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "journal_state.h"
#include "output.h"
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

/* Closing a file frees all locks that the process has on it: between making one and having SQLite
 * lock it, no other thread may do so. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* A name that begins with "file:" or ":memory:" would mean something else to SQLite. */
static weir_status name_file(wi_journal *journal, const wi_journal_options *o, weir_error *err)
{
    size_t size = strlen(o->path) + sizeof "./";
    journal->path = malloc(size);
    journal->name = strdup(o->name ? o->name : o->path);
    if (!journal->path || !journal->name)
        return wi_fail_nomem(err);
    snprintf(journal->path, size, "%s%s", o->path[0] == '/' ? "" : "./", o->path);
    return WEIR_OK;
}

static weir_status fail_write(const wi_journal *journal, int sys_errno, weir_error *err)
{
    return wi_fail_errno(err, sys_errno, "cannot write %s", journal->name);
}

static weir_status fail_readonly(const wi_journal *journal, weir_error *err)
{
    if (faccessat(AT_FDCWD, journal->path, W_OK, AT_EACCESS) != 0)
        return fail_write(journal, errno, err);
    return wi_fail(err, WEIR_IO,
                   "cannot open %s but to read it: perhaps there are too many open files",
                   journal->name);
}

/* With the mode that the output has or will have; SQLite's would be another. */
static weir_status make_file(wi_journal *journal, const char *like, weir_error *err)
{
    int fd = wi_output_create(journal->path, like);
    if (fd < 0)
        return errno == EEXIST ? WEIR_OK : fail_write(journal, errno, err);
    close(fd);
    journal->is_made = true;
    return WEIR_OK;
}

static weir_status open_file(wi_journal *journal, weir_error *err)
{
    const wi_sqlite *sql = journal->sql;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    int code = sql->initialize();
    if (code == SQLITE_OK)
        code = sql->open_v2(journal->path, &journal->db, flags, NULL);
    if (!journal->db)
        return wi_fail_nomem(err);
    if (code != SQLITE_OK)
        return wi_journal_fail(journal, sql->extended_errcode(journal->db), err);
    sql->extended_result_codes(journal->db, 1);
    wi_journal_watch(journal, 0);
    if (sql->db_readonly(journal->db, "main")) /* it tried again to read only */
        return fail_readonly(journal, err);
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

/* With the lock, of the file that has this name: a run that ends may remove its own. */
static weir_status lock_file(wi_journal *journal, const char *like, weir_error *err)
{
    struct stat before;
    struct stat after;
    pthread_mutex_lock(&making);
    weir_status status = make_file(journal, like, err);
    bool is_there = lstat(journal->path, &before) == 0;
    if (status == WEIR_OK)
        status = open_file(journal, err);
    pthread_mutex_unlock(&making);
    if (status != WEIR_OK)
        return status;
    journal->is_locked = is_there && lstat(journal->path, &after) == 0 &&
                         before.st_dev == after.st_dev && before.st_ino == after.st_ino;
    if (!journal->is_locked)
        return wi_fail(err, WEIR_AGAIN, "%s has just been removed by another run: try again",
                       journal->name);
    return WEIR_OK;
}

/* Makes a journal of Weir's an empty file, whatever state it is in. */
static weir_status reset(const wi_journal *journal, weir_error *err)
{
    const wi_sqlite *sql = journal->sql;
    sql->db_config(journal->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    sql->db_config(journal->db, SQLITE_DBCONFIG_RESET_DATABASE, 1, NULL);
    weir_status status = wi_journal_exec(journal, "VACUUM", err);
    sql->db_config(journal->db, SQLITE_DBCONFIG_RESET_DATABASE, 0, NULL);
    sql->db_config(journal->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return status;
}

/* Empty (it is after --restart), or a journal that this program understands? */
static weir_status identify(wi_journal *journal, wi_journal_mode mode, weir_error *err)
{
    int64_t application = 0, version = 0, things = 0;
    weir_status status = wi_journal_ask(journal, "PRAGMA application_id", 0, &application, err);
    if (status == WEIR_OK && application == APPLICATION && mode == WI_JOURNAL_RESTART) {
        journal->is_new = true;
        return reset(journal, err);
    }
    if (status == WEIR_OK)
        status = wi_journal_ask(journal, "PRAGMA user_version", 0, &version, err);
    if (status == WEIR_OK)
        status = wi_journal_ask(journal, "SELECT count(*) FROM sqlite_schema", 0, &things, err);
    if (status != WEIR_OK)
        return status;
    journal->is_new = !application && !version && !things;
    if (!journal->is_new && application != APPLICATION)
        return wi_fail(err, WEIR_INVALID,
                       "%s is another program's database, and no journal of Weir's: move it away, "
                       "or name another output",
                       journal->name);
    if (!journal->is_new && version != VERSION)
        return wi_fail(err, WEIR_INVALID,
                       "%s is of version %" PRId64 " and this program reads version %d: end the "
                       "run with the program that began it, or begin anew with --restart",
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
    for (size_t i = 0; status == WEIR_OK && o->facts && i < o->facts->len; i++)
        if (o->facts->list[i].value)
            status = put_text(journal, "INSERT INTO option VALUES (?2, ?3)", 0,
                              o->facts->list[i].name, o->facts->list[i].value, err);
    for (size_t i = 0; status == WEIR_OK && i < o->outputs_len; i++)
        status = put_text(journal, "INSERT INTO output VALUES (?1, ?2, ?3)", (int64_t)i,
                          o->outputs[i], "0", err);
    return status;
}

/* A journal of nothing, in place of whatever there was, in the transaction of the first commit. */
static weir_status begin_anew(wi_journal *journal, const wi_journal_options *o, weir_error *err)
{
    weir_status status = wi_journal_exec(journal, "BEGIN IMMEDIATE", err);
    journal->begun = status == WEIR_OK;
    if (status == WEIR_OK)
        status = wi_journal_exec(journal,
                                 journal->is_new
                                     ? tables
                                     : "DELETE FROM run; DELETE FROM option; DELETE FROM output;"
                                       "DELETE FROM item; DELETE FROM failed_rows;",
                                 err);
    if (status == WEIR_OK)
        status = wi_journal_set(journal, "state", WI_JOURNAL_RUNNING, err);
    if (status == WEIR_OK)
        status = wi_journal_set(journal, "seed", (int64_t)wi_random_seed(), err);
    if (status == WEIR_OK)
        status = put_options(journal, o, err);
    return status;
}

/* ---- going on ---- */

static const char *value_of(const wi_facts *facts, const char *name)
{
    for (size_t i = 0; facts && i < facts->len; i++)
        if (strcmp(facts->list[i].name, name) == 0)
            return facts->list[i].value;
    return NULL;
}

static void say_value(wi_buf *text, const char *value)
{
    if (!value)
        wi_buf_puts(text, "not given");
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
        const char *now = name ? value_of(o->facts, name) : NULL;
        if (!name || !then)
            status = wi_fail_nomem(err);
        else if (!now || strcmp(now, then) != 0)
            say_difference(text, name, then, now);
    }
    size_t facts = o->facts ? o->facts->len : 0;
    for (size_t i = 0; status == WEIR_OK && code == SQLITE_DONE && i < facts; i++) {
        const wi_fact *fact = &o->facts->list[i];
        if (!fact->value)
            continue;
        sql->bind_text(one, 1, fact->name, -1, SQLITE_STATIC);
        int found = sql->step(one);
        sql->reset(one);
        if (found == SQLITE_DONE)
            say_difference(text, fact->name, NULL, fact->value);
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

/* Of what failed none, if it is to be asked again. */
static weir_status load_keys(wi_journal *journal, weir_error *err)
{
    const wi_sqlite *sql = journal->sql;
    sqlite3_stmt *keys = NULL;
    int64_t room = journal->items; /* a file that is written to behind our back gains nothing */
    int code = SQLITE_DONE;
    weir_status status = wi_journal_prepare(journal, "SELECT key, outcome FROM item", &keys, err);
    while (status == WEIR_OK && (code = sql->step(keys)) == SQLITE_ROW) {
        const void *key = sql->column_blob(keys, 0);
        int64_t outcome = sql->column_int64(keys, 1);
        if (!key || sql->column_bytes(keys, 0) != sizeof(wi_key) || !room-- ||
            (outcome != WI_COMMITTED_OK && outcome != WI_COMMITTED_FAILED))
            status = wi_journal_fail_damaged(journal, "an item is none", err);
        else
            journal->failed += outcome;
        if (status == WEIR_OK && (outcome == WI_COMMITTED_OK || !journal->retries))
            wi_committed_add(journal->committed, key, (wi_committed_as)outcome);
    }
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = wi_journal_fail(journal, code, err);
    sql->finalize(keys);
    return status;
}

/* ---- all of it ---- */

static weir_status load_state(wi_journal *journal, weir_error *err)
{
    int64_t state = 0, seed = 0;
    weir_status status =
        wi_journal_ask(journal, "SELECT value FROM run WHERE name = 'state'", -1, &state, err);
    if (status == WEIR_OK)
        status =
            wi_journal_ask(journal, "SELECT value FROM run WHERE name = 'seed'", 0, &seed, err);
    /* count(*) would be one step, which nothing can end */
    if (status == WEIR_OK)
        status = wi_journal_ask(journal, "SELECT count(id) FROM item", 0, &journal->items, err);
    if (status == WEIR_OK && (state < WI_JOURNAL_RUNNING || state > WI_JOURNAL_REWRITTEN))
        status = wi_journal_fail_damaged(journal, "it has no state", err);
    if (status != WEIR_OK)
        return status;
    journal->state = (wi_journal_state)state;
    journal->seed = (uint64_t)seed;
    return WEIR_OK;
}

static weir_status refuse_unfinished(const wi_journal *journal, weir_error *err)
{
    return wi_fail(err, WEIR_INVALID,
                   "%s holds an unfinished run, with %" PRId64 " items done: continue it with "
                   "--resume, or begin anew with --restart",
                   journal->name, journal->items);
}

/* Is the run that was found there to go on? With false, another begins. */
static weir_status choose(wi_journal *journal, const wi_journal_options *o, bool *goes_on,
                          weir_error *err)
{
    *goes_on = false;
    if (journal->is_new)
        return WEIR_OK;
    weir_status status = load_state(journal, err);
    bool is_over = journal->state == WI_JOURNAL_FINISHED;
    if (status != WEIR_OK || (!is_over && !journal->items))
        return status;
    if (o->mode == WI_JOURNAL_NEW) {
        journal->old_runs = is_over;
        return is_over ? WEIR_OK : refuse_unfinished(journal, err);
    }
    *goes_on = true;
    return check_options(journal, o, err);
}

static weir_status load_committed(wi_journal *journal, const wi_journal_options *o, weir_error *err)
{
    weir_status status = load_lengths(journal, o, err);
    if (status == WEIR_OK && journal->items)
        status = wi_committed_new((uint64_t)journal->items, o->memory ? o->memory : DEFAULT_MEMORY,
                                  journal->path, &journal->committed, err);
    if (status == WEIR_OK && journal->items)
        status = load_keys(journal, err);
    return status;
}

static weir_status prepare_all(wi_journal *journal, weir_error *err)
{
    weir_status status = wi_journal_prepare(
        journal, "INSERT INTO item (key, outcome) VALUES (?, ?)", &journal->add, err);
    if (status == WEIR_OK)
        status = wi_journal_prepare(
            journal, "INSERT INTO failed_rows (item, output, position, length) VALUES (?, ?, ?, ?)",
            &journal->add_range, err);
    return status;
}

static weir_status open_journal(wi_journal *journal, const wi_journal_options *o, weir_error *err)
{
    bool goes_on = false;
    weir_status status = lock_file(journal, o->like, err);
    if (status == WEIR_OK)
        status = identify(journal, o->mode, err);
    if (status == WEIR_OK)
        status = wi_journal_watch_size(journal, err);
    if (status == WEIR_OK)
        status = choose(journal, o, &goes_on, err);
    if (status == WEIR_OK)
        status =
            wi_journal_exec(journal, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", err);
    if (status == WEIR_OK && !goes_on)
        status = begin_anew(journal, o, err);
    if (status == WEIR_OK && !goes_on)
        status = load_state(journal, err);
    if (status == WEIR_OK && goes_on)
        status = load_committed(journal, o, err);
    if (status == WEIR_OK)
        status = prepare_all(journal, err);
    if (status == WEIR_OK)
        wi_journal_unwatch(journal);
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
    journal->retries = options->mode == WI_JOURNAL_RETRY;
    journal->outputs = options->outputs_len;
    journal->commit_rows = options->commit_rows ? options->commit_rows : DEFAULT_ROWS;
    journal->commit_every = options->commit_every ? options->commit_every : WI_SECOND;
    journal->clock = options->clock ? options->clock : wi_clock_real();
    weir_status status = wi_sqlite_load(&journal->sql, err);
    if (status == WEIR_OK)
        status = name_file(journal, options, err);
    if (status == WEIR_OK)
        status = open_journal(journal, options, err);
    if (status != WEIR_OK) {
        if (journal->is_made && journal->is_locked)
            wi_journal_remove(journal);
        else
            wi_journal_free(journal);
        return status;
    }
    *out = journal;
    return WEIR_OK;
}
