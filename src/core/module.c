/*
 * module.c: see module.h. Its invariant: what is found is code: it lies in an executable segment of
 * a module that is loaded now.
 */
#include "module.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>

enum { NO_MODULE, MAIN_PROGRAM, FIRST_LIBRARY };

/* FNV-1a: build IDs are hashes already, they are only folded. */
static uint64_t fold(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 0x100000001b3;
    return hash;
}

static const uint64_t fold_start = 0xcbf29ce484222325;

static size_t align_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Looks through one segment of notes. */
static bool find_build_id(const char *notes, size_t size, size_t align, uint64_t *hash)
{
    size_t at = 0;
    while (size - at >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note;
        size_t desc = name + align_up(note.n_namesz, align);
        size_t next = desc + align_up(note.n_descsz, align);
        if (next > size || next <= at)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz) {
            *hash = fold(fold_start, notes + desc, note.n_descsz);
            return true;
        }
        at = next;
    }
    return false;
}

static uint64_t module_of(const struct dl_phdr_info *info, bool is_main)
{
    if (is_main)
        return MAIN_PROGRAM;
    uint64_t hash = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE &&
            find_build_id((const char *)(info->dlpi_addr + segment->p_vaddr), segment->p_memsz,
                          segment->p_align == 8 ? 8 : 4, &hash))
            return hash < FIRST_LIBRARY ? hash + FIRST_LIBRARY : hash;
    }
    struct stat st;
    if (stat(info->dlpi_name, &st) != 0)
        return NO_MODULE;
    hash = fold(fold_start, &st.st_dev, sizeof st.st_dev);
    hash = fold(hash, &st.st_ino, sizeof st.st_ino);
    hash = fold(hash, &st.st_size, sizeof st.st_size);
    hash = fold(hash, &st.st_mtim, sizeof st.st_mtim);
    return hash < FIRST_LIBRARY ? hash + FIRST_LIBRARY : hash;
}

static bool has_code_at(const struct dl_phdr_info *info, uint64_t offset)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) &&
            offset - segment->p_vaddr < segment->p_memsz)
            return true;
    }
    return false;
}

typedef struct search {
    wi_module_cache *cache;
    bool by_address;
    bool first; /* the main program comes first */
    bool found;
    void *address;
    wi_function function;
} search;

static bool search_cache(search *s, const struct dl_phdr_info *info)
{
    wi_module_cache *cache = s->cache;
    if (cache->loaded != info->dlpi_adds || cache->unloaded != info->dlpi_subs) {
        *cache = (wi_module_cache){.loaded = info->dlpi_adds, .unloaded = info->dlpi_subs};
        return false;
    }
    for (size_t i = 0; i < WI_MODULE_CACHE && cache->entries[i].address; i++) {
        if (s->by_address ? cache->entries[i].address == s->address
                          : cache->entries[i].function.module == s->function.module &&
                                cache->entries[i].function.offset == s->function.offset) {
            s->address = cache->entries[i].address;
            s->function = cache->entries[i].function;
            return true;
        }
    }
    return false;
}

/* Called for each module by the loader, under its lock; 1 ends the search. */
static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    search *s = arg;
    bool is_main = s->first;
    s->first = false;
    if (is_main && search_cache(s, info)) {
        s->found = true;
        return 1;
    }
    if (s->by_address) {
        uint64_t offset = (uintptr_t)s->address - info->dlpi_addr;
        if (!has_code_at(info, offset))
            return 0;
        s->function = (wi_function){.module = module_of(info, is_main), .offset = offset};
        s->found = s->function.module != NO_MODULE;
    } else {
        if (module_of(info, is_main) != s->function.module)
            return 0;
        s->found = has_code_at(info, s->function.offset);
        s->address = (void *)(uintptr_t)(info->dlpi_addr + s->function.offset); // NOLINT
    }
    if (s->found) {
        size_t i = s->cache->next++ % WI_MODULE_CACHE;
        s->cache->entries[i].address = s->address;
        s->cache->entries[i].function = s->function;
    }
    return 1;
}

bool wi_function_name(wi_module_cache *cache, void *address, wi_function *out)
{
    search s = {.cache = cache, .by_address = true, .first = true, .address = address};
    if (address)
        dl_iterate_phdr(look, &s);
    if (!address || s.found)
        *out = s.function;
    return !address || s.found;
}

bool wi_function_find(wi_module_cache *cache, wi_function function, void **out)
{
    search s = {.cache = cache, .first = true, .function = function};
    if (function.module != NO_MODULE)
        dl_iterate_phdr(look, &s);
    if (function.module == NO_MODULE || s.found)
        *out = s.address;
    return function.module == NO_MODULE || s.found;
}

bool wi_module_is_early(void *address, const char *symbol)
{
    wi_module_cache cache = {0};
    wi_function name;
    if (wi_function_name(&cache, address, &name) && name.module == MAIN_PROGRAM)
        return true;
    void *program = dlopen(NULL, RTLD_LAZY);
    bool early = program && dlsym(program, symbol);
    if (program)
        dlclose(program);
    return early;
}

const char *wi_function_file(void *address, const char **symbol)
{
    Dl_info info;
    *symbol = NULL;
    if (!dladdr(address, &info))
        return NULL;
    /* The symbol is the nearest exported one below: only an exact one is the function's own. */
    if (info.dli_saddr == address)
        *symbol = info.dli_sname;
    return info.dli_fname;
}
