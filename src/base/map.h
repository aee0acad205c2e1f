/*
 * map.h: a hash map from byte strings to pointers.
 *
 * Keys are not copied: they belong to the values and must outlive their entry. Open addressing,
 * linear probing, XXH3 with a random seed, so that input cannot choose its collisions.
 * Not thread-safe.
 */
#ifndef WI_MAP_H
#define WI_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wi_map_entry {
    uint64_t hash;
    const char *key;
    size_t key_len;
    void *value; /* NULL: the place is free */
} wi_map_entry;

typedef struct wi_map {
    wi_map_entry *entries;
    size_t len;
    size_t cap; /* a power of two, or 0 */
    uint64_t seed;
} wi_map;

#define WI_MAP_INIT \
    {               \
        0           \
    }

void wi_map_fini(wi_map *map);

/* The value, or NULL. */
void *wi_map_get(const wi_map *map, const char *key, size_t key_len);

/* Adds or replaces; value must not be NULL. False: no memory, the map is unchanged. */
bool wi_map_put(wi_map *map, const char *key, size_t key_len, void *value);

#endif
