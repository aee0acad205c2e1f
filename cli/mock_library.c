/* mock_library.c: see mock_library.h. Its invariant: the table is whole or not used. */
#include "mock_library.h"

#include <dlfcn.h>
#include <pthread.h>

mock_mhd_table mock_mhd;

static const char *missing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *handle = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        missing = "libmicrohttpd.so.12 cannot be loaded; install the package libmicrohttpd12";
        return;
    }
#define FIND(name)                                                   \
    if (!(*(void **)&mock_mhd.name = dlsym(handle, "MHD_" #name))) { \
        missing = "libmicrohttpd is too old: it has no MHD_" #name;  \
        return;                                                      \
    }
    MOCK_MHD_FUNCTIONS(FIND)
#undef FIND
}

weir_status mock_library_load(const char **why)
{
    pthread_once(&once, load);
    if (!missing)
        return WEIR_OK;
    *why = missing;
    return WEIR_UNSUPPORTED;
}
