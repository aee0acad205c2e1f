/*
 * fuzz_journal.c: whatever a journal's file holds, it is opened or refused with a message, soon and
 * with memory in proportion; and one that was opened can be used to its end. The first byte has the
 * mode; then comes a script (play) that changes a journal as a run left it when it was killed: its
 * bytes, its log, its cells, its tables, or all of it.
 */
#include "fuzz.h"
#include "journal.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 1 << 20, KEYS = 40, STEPS = 100000 };

static wi_fact list[] = {{"kind", (char[]){"fetch"}}, {"url", (char[]){"http://h/{1..40}"}}};
static const wi_facts facts = {.list = list, .len = 2};
static const char *const outputs[] = {"rows", "errors"};

static char path[64], log_path[64];

typedef struct image {
    char bytes[256 << 10];
    size_t len;
} image;

static image main_file, log_file; /* as the run left them */

/* ---- a run that was killed ---- */

static weir_status open_journal(wi_journal_mode mode, wi_journal **out, weir_error *err)
{
    wi_journal_options options = {
        .path = path, .mode = mode, .facts = &facts, .outputs = outputs, .outputs_len = 2};
    return wi_journal_open(&options, out, err);
}

static void key_of(const wi_journal *journal, int number, wi_key *key)
{
    wi_journal_key(journal, &number, sizeof number, key);
}

static void load(const char *from, image *to)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, to->bytes, sizeof to->bytes) : -1;
    CHECK(n > 0 && n < (ssize_t)sizeof to->bytes);
    to->len = (size_t)n;
    close(fd);
}

static void store(const char *to, const void *bytes, size_t len)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

static void remove_files(void)
{
    unlink(path);
    unlink(log_path);
}

static void remove_all(void)
{
    remove_files();
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static void run_items(wi_journal *journal, int from, int to)
{
    int64_t lengths[] = {100 * to, 10 * to};
    for (int i = from; i < to; i++) {
        wi_key key;
        key_of(journal, i, &key);
        CHECK(wi_journal_add(journal, &key, i % 4 == 0, NULL) == WEIR_OK);
        if (i % 4 == 0)
            CHECK(wi_journal_add_range(journal, 0, 100 * i, 100, NULL) == WEIR_OK);
    }
    CHECK(wi_journal_commit(journal, lengths, NULL) == WEIR_OK);
}

static void prepare(void)
{
    const char *folder = getenv("TMPDIR");
    wi_journal *journal = NULL;
    snprintf(path, sizeof path, "%.30s/weir-fuzz-XXXXXX", folder ? folder : "/tmp");
    CHECK(mkdtemp(path));
    strcat(path, "/journal");
    snprintf(log_path, sizeof log_path, "%s-wal", path);
    atexit(remove_all);
    CHECK(open_journal(WI_JOURNAL_NEW, &journal, NULL) == WEIR_OK);
    run_items(journal, 0, KEYS / 2);
    wi_journal_free(journal); /* the log goes into the file */
    CHECK(open_journal(WI_JOURNAL_RETRY, &journal, NULL) == WEIR_OK);
    run_items(journal, KEYS / 2, KEYS);
    load(path, &main_file);
    load(log_path, &log_file);
    wi_journal_free(journal);
}

/* ---- what may have happened to it since ---- */

static void patch(const char *file, const uint8_t *arg, size_t len)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return;
    CHECK(fstat(fd, &st) == 0);
    off_t at = (off_t)(arg[0] << 8 | arg[1]);
    if (st.st_size)
        CHECK(pwrite(fd, arg + 2, len - 2, at % st.st_size) == (ssize_t)len - 2);
    close(fd);
}

/* SQL may do anything to the journal, and nothing to other files. */
static int allow(void *arg, int action, const char *a, const char *b, const char *c, const char *d)
{
    static const char *const settings[] = {"writable_schema", "user_version", "application_id",
                                           "encoding"};
    (void)arg, (void)b, (void)c, (void)d;
    for (size_t i = 0; action == SQLITE_PRAGMA && i < sizeof settings / sizeof *settings; i++)
        if (sqlite3_stricmp(a, settings[i]) == 0)
            return SQLITE_OK;
    return action == SQLITE_PRAGMA || action == SQLITE_ATTACH || action == SQLITE_DETACH
               ? SQLITE_DENY
               : SQLITE_OK;
}

static int stop(void *arg)
{
    (void)arg;
    return 1;
}

static void run_sql(const char *sql, const void *value, size_t len)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MOST);
        sqlite3_limit(db, SQLITE_LIMIT_VDBE_OP, 25000);
        sqlite3_set_authorizer(db, allow, NULL);
        sqlite3_progress_handler(db, STEPS, stop, NULL);
        if (!value)
            sqlite3_exec(db, sql, NULL, NULL, NULL);
        else if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
            int64_t number = 0;
            memcpy(&number, value, len < sizeof number ? len : sizeof number);
            sqlite3_bind_int64(statement, 1, number);
            sqlite3_bind_text(statement, 2, value, (int)len, SQLITE_STATIC);
            sqlite3_bind_blob(statement, 3, value, (int)len, SQLITE_STATIC);
            sqlite3_step(statement);
        }
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* One cell: ?1 is a number, ?2 a text, ?3 a blob. */
static void change_cell(const uint8_t *arg, size_t len)
{
    static const char *const changes[] = {
        "INSERT OR REPLACE INTO run VALUES ('state', ?1)",
        "INSERT OR REPLACE INTO run VALUES ('state', ?2)",
        "INSERT OR REPLACE INTO run VALUES ('seed', ?1)",
        "UPDATE option SET value = ?2",
        "UPDATE option SET name = ?2 WHERE name = 'kind'",
        "INSERT INTO option VALUES (?2, ?3)",
        "UPDATE output SET length = ?1 WHERE id = 1",
        "UPDATE output SET length = ?2 WHERE id = 0",
        "UPDATE output SET name = ?2 WHERE id = 1",
        "INSERT INTO output VALUES (?1, 'rows', 7)",
        "UPDATE item SET key = ?3 WHERE id % 7 = 1",
        "UPDATE item SET key = (SELECT key FROM item WHERE id = ?1)",
        "UPDATE item SET outcome = ?1 WHERE id % 5 = 2",
        "UPDATE item SET outcome = ?2 WHERE id = 3",
        "UPDATE item SET id = ?1 WHERE id = 4",
        "UPDATE failed_rows SET item = ?1 WHERE id % 3 = 1",
        "UPDATE failed_rows SET output = ?1 WHERE id = 2",
        "UPDATE failed_rows SET position = ?1 WHERE id = 3",
        "UPDATE failed_rows SET length = ?1",
        "UPDATE failed_rows SET id = ?1 WHERE id = 1",
    };
    run_sql(changes[arg[0] % (sizeof changes / sizeof *changes)], arg + 1, len - 1);
}

static void play(int what, const uint8_t *arg, size_t len)
{
    char sql[256];
    switch (what % 8) {
    case 0:
        if (len > 2)
            patch(path, arg, len);
        break;
    case 1:
        if (len > 2)
            patch(log_path, arg, len);
        break;
    case 2:
        if (len > 1 && access(path, F_OK) == 0)
            CHECK(truncate(path, arg[0] << 8 | arg[1]) == 0);
        break;
    case 3:
        if (len > 1 && access(log_path, F_OK) == 0)
            CHECK(truncate(log_path, arg[0] << 8 | arg[1]) == 0);
        break;
    case 4:
        unlink(log_path);
        break;
    case 5:
        store(path, arg, len);
        break;
    case 6:
        memcpy(sql, arg, len);
        sql[len] = '\0';
        run_sql(sql, NULL, 0);
        break;
    default:
        if (len)
            change_cell(arg, len);
        break;
    }
}

/* ---- what a run makes of it ---- */

static weir_status see_range(void *arg, int64_t offset, int64_t length, weir_error *err)
{
    (void)offset, (void)length, (void)err;
    return ++*(int64_t *)arg > MOST ? WEIR_TOOLARGE : WEIR_OK;
}

static weir_status use(wi_journal *journal, wi_journal_mode mode, weir_error *err)
{
    int64_t lengths[2], claimed = 0, ranges = 0;
    wi_journal_state state = wi_journal_state_of(journal);
    CHECK(state == WI_JOURNAL_RUNNING || state == WI_JOURNAL_ENDING ||
          state == WI_JOURNAL_FINISHED || state == WI_JOURNAL_REWRITTEN);
    for (size_t i = 0; i < 2; i++)
        CHECK((lengths[i] = wi_journal_length(journal, i)) >= 0);
    CHECK(wi_journal_items(journal) >= 0);
    wi_key key;
    for (int i = 0; i < KEYS; i++) {
        key_of(journal, i, &key);
        claimed += wi_journal_claim(journal, &key) != WI_COMMITTED_NOT;
    }
    CHECK(claimed <= wi_journal_items(journal));
    CHECK(wi_journal_failed(journal) >= 0 &&
          wi_journal_failed(journal) <= wi_journal_items(journal));
    weir_status status = wi_journal_failed_rows(journal, 0, see_range, &ranges, err);
    if (!status && !wi_journal_has_run(journal))
        CHECK(claimed == 0);
    if (!status && mode == WI_JOURNAL_RETRY)
        status = wi_journal_rewrite(journal, lengths, err);
    if (!status)
        status = wi_journal_add(journal, &key, true, err);
    if (!status)
        status = wi_journal_add_range(journal, 0, lengths[0], 5, err);
    if (!status)
        status = wi_journal_commit(journal, lengths, err);
    if (!status)
        status = wi_journal_end(journal, lengths, err);
    if (!status)
        status = wi_journal_finish(journal, err);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!*path)
        prepare();
    if (size < 1 || size > 8192)
        return 0;
    store(path, main_file.bytes, main_file.len);
    store(log_path, log_file.bytes, log_file.len);
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;
        play(data[at], data + at + 2, len);
        at += 2 + len;
    }
    wi_journal *journal = NULL;
    weir_error err = {0};
    weir_status status = open_journal((wi_journal_mode)(data[0] % 4), &journal, &err);
    CHECK(!status == !!journal);
    if (!status)
        status = use(journal, (wi_journal_mode)(data[0] % 4), &err);
    CHECK(!status || (err.status == status && err.text[0]));
    wi_journal_free(journal);
    remove_files();
    return 0;
}
