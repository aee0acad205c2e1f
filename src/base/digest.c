/*
 * digest.c: see digest.h. Its invariant: a digest that was made has all it will ever need, so that
 * taking bytes in cannot fail.
 *
 * SHA-256 is libcrypto's, which uses the processor's own instructions. Linking it would make every
 * start of a program almost a millisecond longer, so its functions are looked up when the first
 * such digest is made.
 */
#include "digest.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SHA256_BYTES = 32 };

#define EVP_FUNCTIONS(X) \
    X(MD_fetch)          \
    X(MD_free)           \
    X(MD_CTX_new)        \
    X(MD_CTX_free)       \
    X(DigestInit_ex2)    \
    X(DigestUpdate)      \
    X(DigestFinal_ex)

typedef struct evp {
#define EVP_MEMBER(name) __typeof__(EVP_##name) *name;
    EVP_FUNCTIONS(EVP_MEMBER)
#undef EVP_MEMBER
} evp;

struct wi_digest {
    wi_digest_kind kind;
    XXH3_state_t *xxh3;
    evp evp;
    EVP_MD *md;
    EVP_MD_CTX *sha256;
};

/* ---- beginning and end ---- */

/* Any number of times: a library that is there already is only looked up. It stays. */
static weir_status load_evp(evp *out, weir_error *err)
{
    void *handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return wi_fail(err, WEIR_UNSUPPORTED, "SHA-256: libcrypto cannot be loaded: %s", dlerror());
    weir_status status = WEIR_OK;
#define FIND(name)                                                        \
    if (!status && !(*(void **)&out->name = dlsym(handle, "EVP_" #name))) \
        status =                                                          \
            wi_fail(err, WEIR_UNSUPPORTED, "SHA-256: libcrypto is too old: it has no EVP_" #name);
    EVP_FUNCTIONS(FIND)
#undef FIND
    dlclose(handle);
    return status;
}

static weir_status begin_sha256(wi_digest *digest, weir_error *err)
{
    weir_status status = load_evp(&digest->evp, err);
    if (status)
        return status;
    digest->md = digest->evp.MD_fetch(NULL, "SHA256", NULL);
    if (!digest->md)
        return wi_fail(err, WEIR_UNSUPPORTED, "libcrypto offers no SHA-256, by its configuration");
    digest->sha256 = digest->evp.MD_CTX_new();
    if (!digest->sha256 || !digest->evp.DigestInit_ex2(digest->sha256, digest->md, NULL))
        return wi_fail_nomem(err);
    return WEIR_OK;
}

static weir_status begin_xxh3(wi_digest *digest, weir_error *err)
{
    digest->xxh3 = XXH3_createState();
    if (!digest->xxh3)
        return wi_fail_nomem(err);
    XXH3_128bits_reset(digest->xxh3);
    return WEIR_OK;
}

weir_status wi_digest_new(wi_digest_kind kind, wi_digest **out, weir_error *err)
{
    wi_digest *digest = calloc(1, sizeof *digest);
    if (!digest)
        return wi_fail_nomem(err);
    digest->kind = kind;
    weir_status status =
        kind == WI_DIGEST_SHA256 ? begin_sha256(digest, err) : begin_xxh3(digest, err);
    if (status) {
        wi_digest_free(digest);
        return status;
    }
    *out = digest;
    return WEIR_OK;
}

void wi_digest_free(wi_digest *digest)
{
    if (!digest)
        return;
    if (digest->sha256)
        digest->evp.MD_CTX_free(digest->sha256);
    if (digest->md)
        digest->evp.MD_free(digest->md);
    if (digest->xxh3)
        XXH3_freeState(digest->xxh3);
    free(digest);
}

/* ---- bytes ---- */

void wi_digest_begin(wi_digest *digest)
{
    if (digest->kind == WI_DIGEST_SHA256)
        digest->evp.DigestInit_ex2(digest->sha256, NULL, NULL);
    else
        XXH3_128bits_reset(digest->xxh3);
}

void wi_digest_add(wi_digest *digest, const void *bytes, size_t len)
{
    if (digest->kind == WI_DIGEST_SHA256)
        digest->evp.DigestUpdate(digest->sha256, bytes, len);
    else if (len)
        XXH3_128bits_update(digest->xxh3, bytes, len);
}

void wi_digest_end(wi_digest *digest, char text[WI_DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_BYTES];
    size_t len = SHA256_BYTES;
    if (digest->kind == WI_DIGEST_SHA256) {
        digest->evp.DigestFinal_ex(digest->sha256, sum, NULL);
    } else {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->xxh3));
        len = sizeof canonical.digest;
        memcpy(sum, canonical.digest, len);
    }
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[sum[i] >> 4];
        text[2 * i + 1] = digits[sum[i] & 15];
    }
    text[2 * len] = '\0';
}
