/*
 * module.h: the name of a function that another process, started from the same file, understands.
 *
 * Addresses differ from process to process, distances within a file do not: a function is known by
 * the file it was loaded from and its distance from where that was loaded. The main program is the
 * main program everywhere; another file is known by its build ID, or else by its device, inode,
 * size and time of change, so a library that was replaced in between is not taken for the old one.
 */
#ifndef WI_MODULE_H
#define WI_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wi_function {
    uint64_t module; /* 0: no function */
    uint64_t offset;
} wi_function;

enum { WI_MODULE_CACHE = 16 };

/*
 * What was found lately. It empties itself when a module is loaded or unloaded. All zero at the
 * start; one thread at a time.
 */
typedef struct wi_module_cache {
    uint64_t loaded; /* modules ever loaded, and ever unloaded, when the entries were made */
    uint64_t unloaded;
    size_t next;
    struct {
        void *address; /* NULL: free */
        wi_function function;
    } entries[WI_MODULE_CACHE];
} wi_module_cache;

/* NULL has a name too. False: the address is in no loaded module. */
bool wi_function_name(wi_module_cache *cache, void *address, wi_function *out);

/* The reverse. False: no module that is loaded here has code at this place. */
bool wi_function_find(wi_module_cache *cache, wi_function function, void **out);

/*
 * Whether the module that an address is in is there from the program's start on, being the main
 * program or linked to it, so that its constructors run before main, in each process that executes
 * the program. Of a library that was opened later, `symbol`, which it exports, is not to be found
 * among the program's.
 */
bool wi_module_is_early(void *address, const char *symbol);

/* For messages: the file that an address comes from, and its symbol's name if that is exported, or
 * else NULL. Static storage of the loader. */
const char *wi_function_file(void *address, const char **symbol);

#endif
