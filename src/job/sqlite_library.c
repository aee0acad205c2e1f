/* sqlite_library.c: see sqlite_library.h. Its invariant: the table is whole or not there. */
#include "sqlite_library.h"

#include <dlfcn.h>
#include <pthread.h>

enum { OLDEST = 3035000 }; /* the first without known faults in what the journal relies on */

static wi_sqlite library;
static weir_error failure;
static weir_status loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *handle = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        loaded = wi_fail(&failure, WEIR_UNSUPPORTED,
                         "journals need SQLite, which cannot be loaded; install it (libsqlite3-0), "
                         "or use --no-journal: %s",
                         dlerror());
        return;
    }
    wi_sqlite found;
#define FIND(name)                                                                              \
    if (!(*(void **)&found.name = dlsym(handle, "sqlite3_" #name))) {                           \
        loaded =                                                                                \
            wi_fail(&failure, WEIR_UNSUPPORTED, "SQLite is too old: it has no sqlite3_" #name); \
        return;                                                                                 \
    }
    WI_SQLITE_FUNCTIONS(FIND)
#undef FIND
    if (found.libversion_number() < OLDEST || !found.threadsafe())
        loaded = wi_fail(&failure, WEIR_UNSUPPORTED,
                         "journals need SQLite 3.35 or later, built for threads; install it, or "
                         "use --no-journal");
    else
        library = found;
}

weir_status wi_sqlite_load(const wi_sqlite **out, weir_error *err)
{
    pthread_once(&once, load);
    if (loaded != WEIR_OK)
        return wi_fail(err, loaded, "%s", failure.text);
    *out = &library;
    return WEIR_OK;
}
