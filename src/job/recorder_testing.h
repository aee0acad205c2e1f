/*
 * recorder_testing.h: everything that a program does to the test's folder, in one sequence: writes,
 * truncations, flushes, names made, changed and removed; by whatever library, since the functions
 * of libc that do it are defined here. Nothing is flushed for real. For one test program's own
 * file.
 */
#ifndef WI_RECORDER_TESTING_H
#define WI_RECORDER_TESTING_H

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>

#include "folder.h"
#include "test.h"

enum { MOST_EVENTS = 8192, MOST_FILES = 64, MOST_NAMES = 16 };

typedef enum event_kind {
    WRITE,
    TRUNCATE,
    CREATE,
    RENAME,
    REMOVE,
    SYNC,
    SYNC_NAMES,
    MARK, /* no event of the disk: from here on there are promises */
} event_kind;

typedef struct event {
    event_kind kind;
    int file;
    int64_t offset; /* or length */
    int len;
    char *bytes;
    char name[64];
    char to[64];
    int synced; /* the event that brings it to the disk */
    /* of a MARK */
    int done;  /* items that need not be asked again */
    int whole; /* items in the output that is there; -1: none need be */
} event;

static event events[MOST_EVENTS];
static int events_len;
static bool recording;

typedef struct name {
    char name[64];
    ino_t inode;
    int file;
} name;

static name names[MOST_NAMES];
static int names_len;
static int files_len;

static event *record(event_kind kind)
{
    static event none;
    if (!EXPECT(events_len < MOST_EVENTS)) {
        recording = false;
        return &none;
    }
    event *e = &events[events_len++];
    *e = (event){.kind = kind, .file = -1, .synced = MOST_EVENTS};
    return e;
}

static int find_name(const char *text)
{
    for (int i = 0; i < names_len; i++)
        if (strcmp(names[i].name, text) == 0)
            return i;
    return -1;
}

/* Files that were made since the last event. */
static void note_new_names(void)
{
    DIR *folder = opendir(test_folder);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.' || find_name(entry->d_name) >= 0 ||
            !EXPECT(names_len < MOST_NAMES && files_len < MOST_FILES))
            continue;
        event *e = record(CREATE);
        name *made = &names[names_len++];
        snprintf(made->name, sizeof made->name, "%.63s", entry->d_name);
        memcpy(e->name, made->name, sizeof e->name);
        made->inode = entry->d_ino;
        e->file = made->file = files_len++;
    }
    if (folder)
        closedir(folder);
}

static int file_of(int fd, bool *is_folder)
{
    struct stat st;
    struct stat folder;
    if (fstat(fd, &st) != 0 || stat(test_folder, &folder) != 0)
        return -1;
    *is_folder = st.st_ino == folder.st_ino && st.st_dev == folder.st_dev;
    for (int i = 0; !*is_folder && i < names_len; i++)
        if (names[i].inode == st.st_ino && st.st_dev == folder.st_dev)
            return names[i].file;
    return -1;
}

static void record_write(int fd, const void *bytes, size_t len, int64_t offset)
{
    bool is_folder = false;
    if (!recording)
        return;
    note_new_names();
    int file = file_of(fd, &is_folder);
    if (file < 0)
        return;
    event *e = record(WRITE);
    e->file = file;
    e->offset = offset;
    e->len = (int)len;
    e->bytes = malloc(len ? len : 1);
    memcpy(e->bytes, bytes, len);
}

static int record_sync(int fd)
{
    bool is_folder = false;
    if (!recording)
        return 0;
    note_new_names();
    int file = file_of(fd, &is_folder);
    if (is_folder)
        record(SYNC_NAMES);
    else if (file >= 0)
        record(SYNC)->file = file;
    return 0;
}

static int record_truncate(int fd, int64_t length)
{
    bool is_folder = false;
    int file = -1;
    if (recording) {
        note_new_names();
        file = file_of(fd, &is_folder);
    }
    if (file >= 0) {
        event *e = record(TRUNCATE);
        e->file = file;
        e->offset = length;
    }
    return (int)syscall(SYS_ftruncate, fd, length);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- instead of libc's, for SQLite too ---- */

ssize_t recorded_write(int fd, const void *bytes, size_t len) __asm__("write");
ssize_t recorded_pwrite(int fd, const void *bytes, size_t len, off_t offset) __asm__("pwrite");
ssize_t recorded_pwrite64(int fd, const void *bytes, size_t len, off_t offset) __asm__("pwrite64");
int recorded_ftruncate(int fd, off_t length) __asm__("ftruncate");
int recorded_ftruncate64(int fd, off_t length) __asm__("ftruncate64");
int recorded_fsync(int fd) __asm__("fsync");
int recorded_fdatasync(int fd) __asm__("fdatasync");
int recorded_rename(const char *from, const char *to) __asm__("rename");
int recorded_unlink(const char *path) __asm__("unlink");

ssize_t recorded_write(int fd, const void *bytes, size_t len)
{
    if (recording)
        record_write(fd, bytes, len, lseek(fd, 0, SEEK_CUR));
    return syscall(SYS_write, fd, bytes, len);
}

ssize_t recorded_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    record_write(fd, bytes, len, offset);
    return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

ssize_t recorded_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    return recorded_pwrite(fd, bytes, len, offset);
}

int recorded_ftruncate(int fd, off_t length)
{
    return record_truncate(fd, length);
}

int recorded_ftruncate64(int fd, off_t length)
{
    return record_truncate(fd, length);
}

int recorded_fsync(int fd)
{
    return record_sync(fd);
}

int recorded_fdatasync(int fd)
{
    return record_sync(fd);
}

int recorded_rename(const char *from, const char *to)
{
    if (recording)
        note_new_names();
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (!recording || done != 0)
        return done;
    event *e = record(RENAME);
    snprintf(e->name, sizeof e->name, "%.63s", last_part(from));
    snprintf(e->to, sizeof e->to, "%.63s", last_part(to));
    int old = find_name(e->to);
    if (old >= 0)
        names[old] = names[--names_len];
    int moved = find_name(e->name);
    if (EXPECT(moved >= 0))
        memcpy(names[moved].name, e->to, sizeof e->to);
    return done;
}

int recorded_unlink(const char *path)
{
    if (recording)
        note_new_names();
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!recording || done != 0)
        return done;
    event *e = record(REMOVE);
    snprintf(e->name, sizeof e->name, "%.63s", last_part(path));
    int gone = find_name(e->name);
    if (EXPECT(gone >= 0))
        names[gone] = names[--names_len];
    return done;
}

/* ---- what was recorded ---- */

/* When does each event come to the disk? */
static void find_syncs(void)
{
    int names_synced = MOST_EVENTS;
    int synced[MOST_FILES];
    for (int i = 0; i < MOST_FILES; i++)
        synced[i] = MOST_EVENTS;
    for (int i = events_len; i-- > 0;) {
        event *e = &events[i];
        if (e->kind == SYNC_NAMES)
            names_synced = i;
        else if (e->kind == SYNC)
            synced[e->file] = i;
        else if (e->kind == WRITE || e->kind == TRUNCATE)
            e->synced = synced[e->file];
        else
            e->synced = names_synced;
    }
}

#endif
