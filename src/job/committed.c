/*
 * committed.c: see committed.h. Its invariant: at least one slot in five is free, and none that was
 * taken becomes free, so every search ends.
 */
#include "committed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "random.h"

enum { KINDS = WI_COMMITTED_NOT };

typedef struct slot {
    wi_key key;
    uint32_t left[KINDS];
    /* A key that was claimed as often as it was there keeps its place. */
} __attribute__((packed, aligned(4))) slot;

struct wi_committed {
    slot *slots;
    unsigned char *taken; /* a bit for each slot */
    uint64_t cap;
    size_t bytes;
    uint64_t seed[2];
};

/* Where the file system knows of no files without a name (NFS), it loses its own at once. */
static int make_unnamed(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *name = NULL;
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    if (asprintf(&name, "%s/.weir-XXXXXX", folder) < 0)
        return -1;
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    free(name);
    return fd;
}

/* A file that has no name, all of it on the disk already: to find it full later would be a signal.
 * -1: see errno. */
static int open_unnamed(const char *path, size_t bytes)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder)
        return -1;
    int fd = make_unnamed(folder);
    free(folder);
    int failed = fd >= 0 ? posix_fallocate(fd, 0, (off_t)bytes) : 0;
    if (failed) {
        close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

static void *map(const char *path, size_t bytes, int64_t memory)
{
    if (bytes <= (size_t)memory)
        return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open_unnamed(path, bytes);
    if (fd < 0)
        return MAP_FAILED;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at;
}

weir_status wi_committed_new(uint64_t most, int64_t memory, const char *path, wi_committed **out,
                             weir_error *err)
{
    if (most > SIZE_MAX / 64)
        return wi_fail_nomem(err);
    wi_committed *committed = calloc(1, sizeof *committed);
    if (!committed)
        return wi_fail_nomem(err);
    committed->cap = most + most / 4 + 1;
    committed->bytes = committed->cap * sizeof(slot) + (committed->cap + 7) / 8;
    committed->seed[0] = wi_random_seed();
    committed->seed[1] = wi_random_seed() | 1;
    void *at = map(path, committed->bytes, memory);
    if (at == MAP_FAILED) {
        int sys_errno = errno;
        free(committed);
        return wi_fail_errno(err, sys_errno, "no room to keep %llu keys in mind beside %s",
                             (unsigned long long)most, path);
    }
    committed->slots = at;
    committed->taken = (unsigned char *)(committed->slots + committed->cap);
    *out = committed;
    return WEIR_OK;
}

void wi_committed_free(wi_committed *committed)
{
    if (!committed)
        return;
    munmap(committed->slots, committed->bytes);
    free(committed);
}

/* The key is a hash already, but its makers don't know the seed. */
static uint64_t place_of(const wi_committed *committed, const wi_key *key)
{
    uint64_t half[2];
    memcpy(half, key, sizeof half);
    __uint128_t product = (__uint128_t)(half[0] ^ committed->seed[0]) * committed->seed[1];
    uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64) ^ half[1];
    mixed *= 0x9e3779b97f4a7c15u;
    return (uint64_t)(((__uint128_t)mixed * committed->cap) >> 64);
}

static slot *find(const wi_committed *committed, const wi_key *key, uint64_t *place)
{
    uint64_t at = place_of(committed, key);
    while (committed->taken[at / 8] & 1u << at % 8) {
        if (memcmp(&committed->slots[at].key, key, sizeof *key) == 0)
            return &committed->slots[at];
        at = at + 1 == committed->cap ? 0 : at + 1;
    }
    *place = at;
    return NULL;
}

void wi_committed_add(wi_committed *committed, const wi_key *key, wi_committed_as as)
{
    uint64_t place;
    slot *found = find(committed, key, &place);
    if (!found) {
        found = &committed->slots[place];
        found->key = *key;
        committed->taken[place / 8] |= (unsigned char)(1u << place % 8);
    }
    found->left[as]++;
}

wi_committed_as wi_committed_claim(wi_committed *committed, const wi_key *key)
{
    uint64_t place;
    slot *found = find(committed, key, &place);
    for (int as = 0; found && as < KINDS; as++) {
        if (found->left[as]) {
            found->left[as]--;
            return (wi_committed_as)as;
        }
    }
    return WI_COMMITTED_NOT;
}
