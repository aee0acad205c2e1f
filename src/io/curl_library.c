/* curl_library.c: see curl_library.h. Its invariant: the table is whole or not there. */
#include "curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

static wi_curl library;
static weir_error failure;
static weir_status loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/*
 * OpenSSL takes itself down at exit, under the feet of threads that a program leaves inside a wait:
 * some of them would crash it. It is asked not to, before anybody else sets it up. If it cannot set
 * itself up, for want of memory, it crashes at its first use, so that is asked, too.
 */
static bool set_up_openssl(void *handle)
{
    static const uint64_t no_atexit = 0x00080000; /* OPENSSL_INIT_NO_ATEXIT */
    int (*init_crypto)(uint64_t options, const void *settings);
    void *(*default_context)(void); /* since 3.0 */
    if (!(*(void **)&init_crypto = dlsym(handle, "OPENSSL_init_crypto")))
        return true; /* TLS is another library's */
    if (!init_crypto(no_atexit, NULL))
        return false;
    *(void **)&default_context = dlsym(handle, "OSSL_LIB_CTX_get0_global_default");
    return !default_context || default_context();
}

static void load(void)
{
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        loaded = wi_fail(&failure, WEIR_UNSUPPORTED, "libcurl cannot be loaded: %s", dlerror());
        return;
    }
    wi_curl found;
#define FIND(name)                                                                                 \
    if (!(*(void **)&found.name = dlsym(handle, "curl_" #name))) {                                 \
        loaded = wi_fail(&failure, WEIR_UNSUPPORTED, "libcurl is too old: it has no curl_" #name); \
        return;                                                                                    \
    }
    WI_CURL_FUNCTIONS(FIND)
#undef FIND
    if (!set_up_openssl(handle)) {
        loaded = wi_fail(&failure, WEIR_NOMEM, "OpenSSL could not be initialised");
        return;
    }
    if (found.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        loaded = wi_fail(&failure, WEIR_UNSUPPORTED, "libcurl could not be initialised");
        return;
    }
    library = found;
}

weir_status wi_curl_load(const wi_curl **out, weir_error *err)
{
    pthread_once(&once, load);
    if (loaded != WEIR_OK)
        return wi_fail(err, loaded, "%s", failure.text);
    *out = &library;
    return WEIR_OK;
}
