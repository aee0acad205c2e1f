/*
 * version.c: which libweir this is, and what it works with. It stands above the layers, since it
 * asks several of them.
 */
#include "weir/version.h"

#include <brotli/decode.h>
#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

#include "http.h"

#define TEXT_OF(x) #x
#define VERSION_TEXT(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *weir_version(void)
{
    return VERSION_TEXT(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
}

const char *weir_version_details(void)
{
    static _Thread_local char text[400];
    uint32_t br = BrotliDecoderVersion();
    snprintf(text, sizeof text, "%s\nzlib %s\nlibzstd %s\nlibbrotli %u.%u.%u\n", wi_http_version(),
             zlibVersion(), ZSTD_versionString(), br >> 24, br >> 12 & 0xfff, br & 0xfff);
    return text;
}
