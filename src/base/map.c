/* map.c: see map.h. Its invariant: at most 3/4 of the places are taken, so probing ends. */
#include "map.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "random.h"

void wi_map_fini(wi_map *map)
{
    free(map->entries);
    *map = (wi_map)WI_MAP_INIT;
}

static wi_map_entry *find(wi_map_entry *entries, size_t cap, const char *key, size_t key_len,
                          uint64_t hash)
{
    size_t at = (size_t)hash & (cap - 1);
    for (;; at = (at + 1) & (cap - 1)) {
        wi_map_entry *entry = &entries[at];
        if (!entry->value)
            return entry;
        if (entry->hash == hash && entry->key_len == key_len &&
            memcmp(entry->key, key, key_len) == 0)
            return entry;
    }
}

void *wi_map_get(const wi_map *map, const char *key, size_t key_len)
{
    if (!map->len)
        return NULL;
    uint64_t hash = XXH3_64bits_withSeed(key, key_len, map->seed);
    return find(map->entries, map->cap, key, key_len, hash)->value;
}

static bool grow(wi_map *map)
{
    size_t cap = map->cap ? map->cap * 2 : 16;
    wi_map_entry *entries = calloc(cap, sizeof *entries);
    if (!entries)
        return false;
    if (!map->seed)
        map->seed = wi_random_seed();
    for (size_t i = 0; i < map->cap; i++) {
        const wi_map_entry *old = &map->entries[i];
        if (old->value)
            *find(entries, cap, old->key, old->key_len, old->hash) = *old;
    }
    free(map->entries);
    map->entries = entries;
    map->cap = cap;
    return true;
}

bool wi_map_put(wi_map *map, const char *key, size_t key_len, void *value)
{
    if (map->len + 1 > map->cap / 4 * 3 && !grow(map))
        return false;
    uint64_t hash = XXH3_64bits_withSeed(key, key_len, map->seed);
    wi_map_entry *entry = find(map->entries, map->cap, key, key_len, hash);
    if (!entry->value)
        map->len++;
    *entry = (wi_map_entry){.hash = hash, .key = key, .key_len = key_len, .value = value};
    return true;
}
