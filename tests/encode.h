/* encode.h: what the tests of decoding decode: a text in one of the codings, appended to a buffer.
 */
#ifndef WEIR_TEST_ENCODE_H
#define WEIR_TEST_ENCODE_H

#include <brotli/encode.h>
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "buf.h"
#include "test.h"

enum { ENCODE_GZIP = 15 + 16, ENCODE_ZLIB = 15, ENCODE_BARE = -15 }; /* zlib's "window bits" */

static inline void append_deflated(wi_buf *out, int window_bits, const char *bytes, size_t len)
{
    z_stream z = {0};
    REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t room = deflateBound(&z, len) + 64;
    REQUIRE(wi_buf_reserve(out, room));
    z.next_in = (unsigned char *)(uintptr_t)bytes;
    z.avail_in = (unsigned)len;
    z.next_out = (unsigned char *)out->data + out->len;
    z.avail_out = (unsigned)room;
    EXPECT_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += room - z.avail_out;
    deflateEnd(&z);
}

static inline void append_gzip(wi_buf *out, const char *bytes, size_t len)
{
    append_deflated(out, ENCODE_GZIP, bytes, len);
}

/* With a checksum. window_log 0: as large a window as the bytes need. */
static inline void append_zstd(wi_buf *out, const char *bytes, size_t len, int window_log)
{
    size_t room = ZSTD_compressBound(len) + 64;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    REQUIRE(context && wi_buf_reserve(out, room));
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (window_log) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    }
    ZSTD_inBuffer from = {bytes, len, 0};
    ZSTD_outBuffer to = {out->data + out->len, room, 0};
    /* In two steps, so that the encoder cannot know the size and choose a smaller window. */
    EXPECT(!ZSTD_isError(ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue)));
    EXPECT_INT(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0);
    out->len += to.pos;
    ZSTD_freeCCtx(context);
}

static inline void append_br(wi_buf *out, const char *bytes, size_t len)
{
    size_t n = BrotliEncoderMaxCompressedSize(len) + 64;
    REQUIRE(wi_buf_reserve(out, n));
    EXPECT(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, len,
                                 (const uint8_t *)bytes, &n,
                                 (uint8_t *)out->data + out->len) == BROTLI_TRUE);
    out->len += n;
}

/* Level 0 to 9 decides the window: 64 MiB at 9. */
static inline void append_xz(wi_buf *out, const char *bytes, size_t len, uint32_t level)
{
    size_t room = lzma_stream_buffer_bound(len);
    size_t made = 0;
    REQUIRE(wi_buf_reserve(out, room));
    EXPECT_INT(lzma_easy_buffer_encode(level, LZMA_CHECK_CRC64, NULL, (const uint8_t *)bytes, len,
                                       (uint8_t *)out->data + out->len, &made, room),
               LZMA_OK);
    out->len += made;
}

static inline void append_bzip2(wi_buf *out, const char *bytes, size_t len)
{
    unsigned made = (unsigned)(len + len / 50 + 1000);
    REQUIRE(wi_buf_reserve(out, made));
    EXPECT_INT(BZ2_bzBuffToBuffCompress(out->data + out->len, &made, (char *)(uintptr_t)bytes,
                                        (unsigned)len, 9, 0, 0),
               BZ_OK);
    out->len += made;
}

#endif
