/*
 * digest.h: checksums of bytes that come in pieces: XXH3 (128 bits) and SHA-256.
 *
 * XXH3 is as xxhsum -H2 prints it, SHA-256 as sha256sum does: lower-case hexadecimal digits. A
 * digest is used again and again, by one thread.
 */
#ifndef WI_DIGEST_H
#define WI_DIGEST_H

#include <stddef.h>

#include "error.h"

typedef enum wi_digest_kind { WI_DIGEST_XXH3, WI_DIGEST_SHA256 } wi_digest_kind;

enum { WI_DIGEST_TEXT = 65 }; /* hexadecimal, with its NUL */

typedef struct wi_digest wi_digest;

/* WEIR_UNSUPPORTED: SHA-256, where there is no libcrypto. */
weir_status wi_digest_new(wi_digest_kind kind, wi_digest **out, weir_error *err);
void wi_digest_free(wi_digest *digest); /* NULL is fine */

void wi_digest_begin(wi_digest *digest);
void wi_digest_add(wi_digest *digest, const void *bytes, size_t len);
void wi_digest_end(wi_digest *digest, char text[WI_DIGEST_TEXT]);

#endif
