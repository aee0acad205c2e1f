/*
 * Hashes every regular file below a folder, many at a time, and prints them in the order of their
 * names: 64-bit FNV-1a (no protection against malice), size, path.
 *
 *     hash-files FOLDER
 *
 * Threads, since reading from a disk blocks and hashing computes. The folder is walked lazily: only
 * as far ahead as there is room for results, so a tree of any size needs the same memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

typedef struct hashed {
    uint64_t hash;
    uint64_t size;
} hashed;

typedef struct walk {
    FTS *tree;
    int unreadable; /* folders and files that could not be looked at */
} walk;

static void *fail(weir_error *err, const char *what)
{
    err->status = errno == ENOMEM ? WEIR_NOMEM : WEIR_IO;
    err->sys_errno = errno;
    snprintf(err->text, sizeof err->text, "%s: %s", what, strerror(errno));
    return NULL;
}

static uint64_t fnv1a(uint64_t hash, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Reads in blocks, so that a huge file takes no more memory than a small one. */
static int hash_descriptor(int fd, hashed *h, weir_error *err)
{
    unsigned char block[64 * 1024];
    for (;;) {
        /* The task waits nowhere that Weir knows of, so it asks itself whether to end. */
        if (weir_task_check(err) != WEIR_OK)
            return -1;
        ssize_t n = read(fd, block, sizeof block);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail(err, "cannot read");
            return -1;
        }
        h->hash = fnv1a(h->hash, block, (size_t)n);
        h->size += (uint64_t)n;
    }
}

/* The task. */
static void *hash_file(void *path, weir_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail(err, "cannot open");
    hashed h = {.hash = UINT64_C(0xcbf29ce484222325)};
    int failed = hash_descriptor(fd, &h, err);
    close(fd);
    if (failed)
        return NULL;
    hashed *result = malloc(sizeof *result);
    if (result == NULL)
        return fail(err, "cannot keep the hash");
    *result = h;
    return result;
}

/* The next file's path. Called by whichever worker needs one, but never by two at once. */
static weir_status next_file(void *source, void **arg, weir_error *err)
{
    walk *w = source;
    FTSENT *entry;
    while ((errno = 0, entry = fts_read(w->tree)) != NULL) {
        if (entry->fts_info == FTS_F) {
            *arg = strdup(entry->fts_path);
            if (*arg != NULL)
                return WEIR_OK;
            fail(err, "cannot keep the path");
            return err->status;
        }
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR) {
            fprintf(stderr, "%s: %s\n", entry->fts_path, strerror(entry->fts_errno));
            w->unreadable++;
        }
    }
    if (errno == 0)
        return WEIR_END;
    fail(err, "cannot walk the folder");
    return err->status;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* How many files could not be hashed; -1: nothing could be begun. */
static int hash_all(weir_executor *executor, walk *w)
{
    weir_map_options options = WEIR_MAP_OPTIONS_INIT;
    options.argument.release = free;
    options.result.release = free;
    weir_map *map = NULL;
    weir_error err;
    if (weir_map_start_lazy(executor, hash_file, next_file, w, &options, &map, &err) != WEIR_OK) {
        fprintf(stderr, "hash-files: %s\n", err.text);
        return -1;
    }
    int failed = 0;
    void *result;
    weir_status status;
    while ((status = weir_map_next(map, &result, &err)) != WEIR_END) {
        const char *path = weir_map_arg(map); /* NULL: the walk itself failed */
        if (status == WEIR_OK) {
            const hashed *h = result;
            printf("%016" PRIx64 " %10" PRIu64 "  %s\n", h->hash, h->size, path);
            free(result);
        } else {
            fprintf(stderr, "%s: %s\n", path != NULL ? path : "hash-files", err.text);
            failed++;
        }
    }
    weir_map_free(map);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: hash-files FOLDER\n");
        return 2;
    }
    /* FTS_NOCHDIR: the working folder belongs to all threads, so the walk must not change it. */
    walk w = {.tree =
                  fts_open((char *const[]){argv[1], NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_name)};
    weir_executor *executor = NULL;
    weir_error err = {.text = "no memory"};
    if (w.tree == NULL || weir_executor_new(NULL, &executor, &err) != WEIR_OK) {
        fprintf(stderr, "hash-files: %s: %s\n", argv[1], w.tree ? err.text : strerror(errno));
        if (w.tree != NULL)
            fts_close(w.tree);
        return 2;
    }
    int failed = hash_all(executor, &w);
    weir_executor_free(executor);
    fts_close(w.tree);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "hash-files: cannot write: %s\n", strerror(errno));
        return 2;
    }
    return failed < 0 ? 2 : failed + w.unreadable > 0;
}
