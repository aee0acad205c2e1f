/*
 * journal_crash_test.c: the power may go at any moment. Every write, truncation, removal and sync
 * of a journal's files is recorded while a run goes on; then the files are made anew as each prefix
 * of that record leaves them, with its last write whole, torn in the middle, or wrong in its end,
 * and what was not synced there or lost. From each the journal opens, and holds exactly what one of
 * the commits held: none before the last that had returned by then.
 */
#include "journal.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "folder.h"
#include "random.h"
#include "test.h"

enum { MOST_EVENTS = 4096, COMMITS = 12, PER_COMMIT = 150, FILES = 3 };

typedef enum event_kind { WRITE, TRUNCATE, REMOVE, SYNC, COMMITTED } event_kind;

typedef struct event {
    event_kind kind;
    int file; /* in suffixes */
    int64_t offset;
    int len;
    char *bytes;
} event;

static event events[MOST_EVENTS];
static int events_len;
static bool recording;

static void record(event_kind kind, int file, int64_t offset, const void *bytes, int len)
{
    if (!recording || !EXPECT(events_len < MOST_EVENTS))
        return;
    event *e = &events[events_len++];
    *e = (event){.kind = kind, .file = file, .offset = offset, .len = len};
    if (bytes) {
        e->bytes = malloc((size_t)len);
        memcpy(e->bytes, bytes, (size_t)len);
    }
}

/* ---- a recorder between SQLite and the files ---- */

typedef struct file {
    sqlite3_file base;
    int which;
    sqlite3_file *real; /* behind it in the same block */
} file;

static sqlite3_vfs recorder;
static sqlite3_vfs *real_vfs;
static bool fill_disk; /* writes fail as on a full one */

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((file *)(void *)f)->real;
}

static int which_of(sqlite3_file *f)
{
    return ((file *)(void *)f)->which;
}

static int file_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int file_read(sqlite3_file *f, void *to, int len, sqlite3_int64 offset)
{
    return real_of(f)->pMethods->xRead(real_of(f), to, len, offset);
}

static int file_write(sqlite3_file *f, const void *from, int len, sqlite3_int64 offset)
{
    if (fill_disk)
        return SQLITE_FULL;
    record(WRITE, which_of(f), offset, from, len);
    return real_of(f)->pMethods->xWrite(real_of(f), from, len, offset);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 len)
{
    record(TRUNCATE, which_of(f), len, NULL, 0);
    return real_of(f)->pMethods->xTruncate(real_of(f), len);
}

static int file_sync(sqlite3_file *f, int flags)
{
    record(SYNC, which_of(f), 0, NULL, 0);
    return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int file_lock(sqlite3_file *f, int how)
{
    return real_of(f)->pMethods->xLock(real_of(f), how);
}

static int file_unlock(sqlite3_file *f, int how)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), how);
}

static int file_is_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int file_control(sqlite3_file *f, int what, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), what, arg);
}

static int file_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int file_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

/* Version 1: no shared memory, so this also shows that the journal needs none. */
static const sqlite3_io_methods methods = {
    1,         file_close,  file_read,        file_write,   file_truncate, file_sync,   file_size,
    file_lock, file_unlock, file_is_reserved, file_control, file_sector,   file_traits,
};

/* The journal, its write-ahead log, and what SQLite undoes its first writes with. */
static const char *const suffixes[FILES] = {".weir", "-wal", "-journal"};

static int file_of(const char *name)
{
    size_t len = name ? strlen(name) : 0;
    for (int i = 0; i < FILES; i++) {
        size_t suffix = strlen(suffixes[i]);
        if (len > suffix && strcmp(name + len - suffix, suffixes[i]) == 0)
            return i;
    }
    EXPECT(!"an unknown file");
    return 0;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    file *opened = (file *)(void *)f;
    opened->base.pMethods = NULL;
    opened->which = file_of(name);
    opened->real = (sqlite3_file *)(void *)(opened + 1);
    int code = real_vfs->xOpen(real_vfs, name, opened->real, flags, out);
    if (code == SQLITE_OK)
        opened->base.pMethods = &methods;
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    record(REMOVE, file_of(name), 0, NULL, 0);
    return real_vfs->xDelete(real_vfs, name, sync);
}

__attribute__((constructor)) static void begin_recorder(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    recorder = *real_vfs;
    recorder.zName = "recorder";
    recorder.szOsFile = (int)sizeof(file) + real_vfs->szOsFile;
    recorder.xOpen = vfs_open;
    recorder.xDelete = vfs_delete;
    sqlite3_vfs_register(&recorder, 1);
}

/* ---- the run ---- */

static const char *const outputs[] = {"rows"};

static wi_journal *opened(const char *name, wi_journal_mode mode, weir_error *err)
{
    wi_journal *journal = NULL;
    wi_journal_options o = {
        .path = in_folder(name), .mode = mode, .outputs = outputs, .outputs_len = 1};
    wi_journal_open(&o, &journal, err);
    return journal;
}

static wi_key key_of(const wi_journal *journal, int n)
{
    wi_key key;
    wi_journal_key(journal, &n, sizeof n, &key);
    return key;
}

/* Commits so many times; the output's length says how many items are committed. */
static void go(wi_journal *journal, int from, int commits)
{
    for (int c = 0; c < commits; c++) {
        for (int i = 0; i < PER_COMMIT; i++) {
            wi_key key = key_of(journal, from + c * PER_COMMIT + i);
            EXPECT(wi_journal_add(journal, &key, false, NULL) == WEIR_OK);
        }
        int64_t length = from + (c + 1) * PER_COMMIT;
        EXPECT(wi_journal_commit(journal, &length, NULL) == WEIR_OK);
        record(COMMITTED, 0, length, NULL, 0);
    }
}

static void record_runs(void)
{
    recording = true;
    wi_journal *journal = opened("o.weir", WI_JOURNAL_NEW, NULL);
    REQUIRE(journal);
    go(journal, 0, COMMITS);
    wi_journal_free(journal); /* writes the log back into the journal */
    journal = opened("o.weir", WI_JOURNAL_RESUME, NULL);
    REQUIRE(journal);
    go(journal, COMMITS * PER_COMMIT, COMMITS);
    int64_t length = 2 * COMMITS * PER_COMMIT;
    EXPECT(wi_journal_end(journal, &length, NULL) == WEIR_OK);
    EXPECT(wi_journal_finish(journal, NULL) == WEIR_OK);
    wi_journal_free(journal);
    recording = false;
}

/* ---- what a crash leaves ---- */

typedef enum loss {
    WHOLE,   /* all writes arrived */
    TORN,    /* of the last only its first half */
    SPOILT,  /* the last's end is wrong */
    LAST_IN, /* of what was not synced, only the last */
    NONE_IN, /* nothing of it */
    LOSSES,
} loss;

static bool is_synced(int at, int end)
{
    for (int i = at + 1; i < end; i++)
        if (events[i].kind == SYNC && events[i].file == events[at].file)
            return true;
    return false;
}

static void write_at(const char *path, int64_t offset, const char *bytes, int len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    EXPECT(fd >= 0 && pwrite(fd, bytes, (size_t)len, offset) == len);
    close(fd);
}

static void apply(const event *e, const char *path, loss what, bool is_last)
{
    if (e->kind == TRUNCATE && truncate(path, e->offset) != 0)
        EXPECT(errno == ENOENT);
    if (e->kind == REMOVE)
        unlink(path);
    if (e->kind != WRITE)
        return;
    bool torn = is_last && what == TORN;
    write_at(path, e->offset, e->bytes, torn ? e->len / 2 : e->len);
    if (is_last && what == SPOILT)
        write_at(path, e->offset + e->len / 2, (const char[8]){"spoilt!"},
                 e->len / 2 < 8 ? e->len / 2 : 8);
}

/* Makes the files as they are after the first n events. */
static void crash_after(int n, loss what)
{
    const char *paths[FILES] = {in_folder("crash.weir"), in_folder("crash.weir-wal"),
                                in_folder("crash.weir-journal")};
    for (int i = 0; i < FILES; i++)
        unlink(paths[i]);
    for (int i = 0; i < n; i++) {
        bool is_last = i == n - 1;
        bool lost = what == NONE_IN || (what == LAST_IN && !is_last);
        if (events[i].kind != WRITE || !lost || is_synced(i, n))
            apply(&events[i], paths[events[i].file], what, is_last);
    }
}

/* Is what it holds what was committed at some moment, and nothing older than `least`? */
static bool recovers(int64_t least)
{
    weir_error err = {0};
    wi_journal *journal = opened("crash.weir", WI_JOURNAL_RESUME, &err);
    if (!journal) {
        printf("# %s\n", err.text);
        return false;
    }
    int64_t length = wi_journal_length(journal, 0);
    bool good = length >= least && length % PER_COMMIT == 0 && wi_journal_items(journal) == length;
    for (int i = 0; good && i < length + PER_COMMIT; i++) {
        wi_key key = key_of(journal, i);
        good = wi_journal_claim(journal, &key) == (i < length ? WI_COMMITTED_OK : WI_COMMITTED_NOT);
    }
    if (!good)
        printf("# length %lld, %lld items, of at least %lld\n", (long long)length,
               (long long)wi_journal_items(journal), (long long)least);
    wi_journal_free(journal);
    return good;
}

TEST(every_prefix_of_the_writes_recovers)
{
    REQUIRE(folder_begin());
    record_runs();
    int64_t least = 0;
    int crashes = 0, failed = 0;
    for (int n = 0; n <= events_len && failed < 5; n++) {
        if (n && events[n - 1].kind == COMMITTED)
            least = events[n - 1].offset;
        for (int what = 0; what < LOSSES && failed < 5; what++) {
            bool same = n && events[n - 1].kind != WRITE && (what == TORN || what == SPOILT);
            if (same)
                continue;
            crashes++;
            crash_after(n, what);
            if (!EXPECT(recovers(least))) {
                printf("# after %d of %d events, loss %d\n", n, events_len, what);
                failed++;
            }
        }
    }
    printf("# %d crashes after %d events\n", crashes, events_len);
    EXPECT(events_len > 4 * COMMITS);
    for (int i = 0; i < events_len; i++)
        free(events[i].bytes);
    folder_end();
}

/* ---- the process is killed; the file is spoilt ---- */

static void commit_for_ever(atomic_int *committed)
{
    wi_journal *journal = opened("crash.weir", WI_JOURNAL_RESUME, NULL);
    for (int n = journal ? (int)wi_journal_items(journal) : -1; n >= 0; n += PER_COMMIT) {
        go(journal, n, 1);
        atomic_store(committed, n + PER_COMMIT);
    }
    _exit(1);
}

TEST(a_killed_process_keeps_what_it_committed)
{
    REQUIRE(folder_begin());
    atomic_int *committed =
        mmap(NULL, sizeof *committed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(committed != MAP_FAILED);
    for (int kills = 0; kills < 5; kills++) {
        int before = atomic_load(committed);
        pid_t child = fork();
        if (child == 0)
            commit_for_ever(committed);
        int ended = 0;
        while (atomic_load(committed) < before + 3 * PER_COMMIT &&
               (ended = waitpid(child, NULL, WNOHANG)) == 0)
            usleep(100 * (useconds_t)kills);
        if (!EXPECT(ended == 0))
            break;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        EXPECT(recovers(atomic_load(committed)));
    }
    munmap(committed, sizeof *committed);
    folder_end();
}

static void spoil(const char *path, wi_random *random)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int64_t size = lseek(fd, 0, SEEK_END);
    for (int i = 0; i < 4; i++) {
        char byte = (char)wi_random_u32(random);
        EXPECT(pwrite(fd, &byte, 1, wi_random_below(random, size)) == 1);
    }
    if (wi_random_below(random, 4) == 0)
        EXPECT(ftruncate(fd, wi_random_below(random, size)) == 0);
    close(fd);
}

/* Any answer will do, but an answer it must be. */
TEST(a_spoilt_journal_is_read_or_refused)
{
    static char whole[256 << 10];
    wi_random random;
    wi_random_init(&random, 5);
    REQUIRE(folder_begin());
    wi_journal *journal = opened("o.weir", WI_JOURNAL_NEW, NULL);
    REQUIRE(journal);
    go(journal, 0, COMMITS);
    wi_journal_free(journal);
    int fd = open(in_folder("o.weir"), O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, whole, sizeof whole);
    close(fd);
    REQUIRE(size > 40000 && size < (ssize_t)sizeof whole);
    int refused = 0;
    for (int i = 0; i < 200; i++) {
        weir_error err = {0};
        unlink(in_folder("crash.weir-wal"));
        put_file(in_folder("crash.weir"), whole, (size_t)size);
        spoil(in_folder("crash.weir"), &random);
        journal = opened("crash.weir", i % 2 ? WI_JOURNAL_RESUME : WI_JOURNAL_RETRY, &err);
        refused += journal == NULL;
        EXPECT(journal || (err.status != WEIR_OK && err.text[0]));
        wi_journal_free(journal);
    }
    printf("# %d of 200 refused\n", refused);
    EXPECT(refused > 20 && refused < 200);
    folder_end();
}

TEST(a_full_disk_ends_the_journal_and_loses_nothing)
{
    weir_error err = {0};
    REQUIRE(folder_begin());
    wi_journal *journal = opened("o.weir", WI_JOURNAL_NEW, NULL);
    REQUIRE(journal);
    go(journal, 0, 1);
    int64_t length = PER_COMMIT + 1;
    wi_key key = key_of(journal, PER_COMMIT);
    fill_disk = true;
    EXPECT(wi_journal_add(journal, &key, false, &err) == WEIR_OK);
    EXPECT(wi_journal_commit(journal, &length, &err) == WEIR_IO);
    EXPECT(err.sys_errno == ENOSPC && strstr(err.text, "No space left on device"));
    fill_disk = false; /* there is room again, but what came before is gone */
    key = key_of(journal, PER_COMMIT + 1);
    EXPECT(wi_journal_add(journal, &key, false, &err) == WEIR_IO);
    EXPECT(wi_journal_commit(journal, &length, &err) == WEIR_IO);
    EXPECT(wi_journal_finish(journal, &err) == WEIR_IO);
    wi_journal_free(journal);
    journal = opened("o.weir", WI_JOURNAL_RESUME, NULL);
    REQUIRE(journal);
    EXPECT_INT(wi_journal_items(journal), PER_COMMIT);
    EXPECT_INT(wi_journal_length(journal, 0), PER_COMMIT);
    wi_journal_free(journal);
    folder_end();
}

TESTS(CASE(every_prefix_of_the_writes_recovers), CASE(a_killed_process_keeps_what_it_committed),
      CASE(a_spoilt_journal_is_read_or_refused),
      CASE(a_full_disk_ends_the_journal_and_loses_nothing))
