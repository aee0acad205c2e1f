/*
 * decoder.c: see decoder.h. Several codings are a chain: each decoder reads what its source makes.
 * Its invariant: `inside` is set from the first byte of a stream until its end has been seen, so
 * data cut short anywhere are known to be. And its second: how the data are cut into pieces changes
 * nothing, neither what comes of them nor what is found to be wrong with them.
 */
#include "decoder.h"

#include <brotli/decode.h>
#include <bzlib.h>
#include <lzma.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "text.h"

enum {
    BETWEEN_SIZE = 16 << 10,
    /* What passes between two codings is about as much as what comes of it, or less. Streams of
     * nothing but padding or empty frames would keep us busy for nothing: a few bytes of zstd hold
     * gigabytes of them. */
    BETWEEN_RATIO = 16,
    BETWEEN_SLACK = 1 << 20,
    ZSTD_MAGIC_SIZE = 4,
    XZ_SLACK = 1 << 20,  /* what liblzma needs beside the window */
    ZSTD_HEAD_MOST = 18, /* of a frame: its magic number and its header, at their longest */
};

typedef struct reading {
    const char *bytes;
    size_t len;
    size_t at;
} reading;

typedef struct writing {
    char *bytes;
    size_t len;
    size_t at;
} writing;

struct wi_decoder {
    wi_coding coding;
    bool inside;
    bool begun;         /* xz: a stream, rather than the padding behind one */
    bool ended;         /* at least one stream has come to its end */
    bool full;          /* the last output was filled: there may be more where it came from */
    bool failed;        /* for good, */
    weir_error why;     /* as is told when what was made before has been given */
    bool settled;       /* deflate: it is known which of the two it is, */
    unsigned char head; /* which takes two bytes; this was the first */
    z_stream z;         /* gzip, deflate */
    bool z_begun;
    ZSTD_DStream *zstd;
    char magic[ZSTD_MAGIC_SIZE]; /* of its frame, as far as it came */
    size_t head_len;             /* what came of the frame, up to ZSTD_HEAD_MOST; of xz its magic */
    BrotliDecoderState *br;
    lzma_stream xz;
    uint64_t xz_most; /* memory */
    unsigned padding; /* xz: zeros since the last stream, modulo four */
    bz_stream bzip2;
    bool bzip2_begun;
    /* of a chain */
    wi_decoder *source;
    char *between; /* what it made */
    reading rest;  /* of that */
    uint64_t taken;
    uint64_t made;
};

static const char *const names[] = {"gzip", "deflate", "zstd", "br", "xz", "bzip2"};

const char *wi_coding_name(wi_coding coding)
{
    return names[coding];
}

/* ---- Content-Encoding ---- */

/* False: none that is known. */
static bool find_coding(const char *name, size_t len, wi_coding *coding)
{
    for (size_t i = 0; i <= WI_CODING_BR; i++) {
        if (wi_text_equal_nocase(name, len, names[i])) {
            *coding = (wi_coding)i;
            return true;
        }
    }
    *coding = WI_CODING_GZIP;
    return wi_text_equal_nocase(name, len, "x-gzip");
}

static weir_status add_coding(wi_codings *codings, const char *name, size_t len, weir_error *err)
{
    wi_coding coding;
    if (len == 0 || wi_text_equal_nocase(name, len, "identity"))
        return WEIR_OK;
    if (!find_coding(name, len, &coding))
        return wi_fail(err, WEIR_UNSUPPORTED,
                       "the body is encoded as \"%.*s\", which cannot be decoded",
                       len < 40 ? (int)len : 40, name);
    if (codings->len == WI_CODINGS_MAX)
        return wi_fail(err, WEIR_UNSUPPORTED,
                       "the body is encoded more than %d times over (Content-Encoding)",
                       WI_CODINGS_MAX);
    codings->list[codings->len++] = coding;
    return WEIR_OK;
}

weir_status wi_codings_add(wi_codings *codings, const char *value, size_t len, weir_error *err)
{
    wi_codings longer = *codings;
    const char *end = value + len;
    while (value < end) {
        const char *comma = memchr(value, ',', (size_t)(end - value));
        const char *next = comma ? comma + 1 : end;
        const char *stop = comma ? comma : end;
        while (value < stop && (*value == ' ' || *value == '\t'))
            value++;
        while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        weir_status status = add_coding(&longer, value, (size_t)(stop - value), err);
        if (status)
            return status;
        value = next;
    }
    *codings = longer;
    return WEIR_OK;
}

/* ---- beginning and end ---- */

static bool begin(wi_decoder *d, int window_log)
{
    switch (d->coding) {
    case WI_CODING_GZIP:
        return d->z_begun = inflateInit2(&d->z, 15 + 16) == Z_OK;
    case WI_CODING_DEFLATE:
        return d->z_begun = inflateInit2(&d->z, 15) == Z_OK;
    case WI_CODING_ZSTD:
        d->zstd = ZSTD_createDStream();
        return d->zstd &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, window_log));
    case WI_CODING_BR:
        return (d->br = BrotliDecoderCreateInstance(NULL, NULL, NULL)) != NULL;
    case WI_CODING_XZ:
        d->xz_most = (UINT64_C(1) << window_log) + XZ_SLACK;
        return lzma_stream_decoder(&d->xz, d->xz_most, 0) == LZMA_OK;
    case WI_CODING_BZIP2:
        return d->bzip2_begun = BZ2_bzDecompressInit(&d->bzip2, 0, 0) == BZ_OK;
    }
    return false;
}

void wi_decoder_free(wi_decoder *d)
{
    while (d) {
        wi_decoder *source = d->source;
        if (d->z_begun)
            inflateEnd(&d->z);
        ZSTD_freeDStream(d->zstd);
        if (d->br)
            BrotliDecoderDestroyInstance(d->br);
        lzma_end(&d->xz);
        if (d->bzip2_begun)
            BZ2_bzDecompressEnd(&d->bzip2);
        free(d->between);
        free(d);
        d = source;
    }
}

weir_status wi_decoder_new(const wi_codings *codings, int window_log, wi_decoder **out,
                           weir_error *err)
{
    wi_decoder *chain = NULL;
    for (size_t i = codings->len; i-- > 0;) { /* the one applied last is undone first */
        wi_decoder *d = calloc(1, sizeof *d);
        bool ok = d != NULL;
        if (ok) {
            d->coding = codings->list[i];
            d->source = chain;
            ok = begin(d, window_log) && (!chain || (d->between = malloc(BETWEEN_SIZE)));
            chain = d;
        }
        if (!ok) {
            wi_decoder_free(chain);
            return wi_fail_nomem(err);
        }
    }
    *out = chain;
    return WEIR_OK;
}

static weir_status fail_again(const wi_decoder *d, weir_error *err)
{
    if (err)
        *err = d->why;
    return d->why.status;
}

size_t wi_decoder_memory(const wi_decoder *decoder)
{
    enum { BZIP2 = 3700 << 10 }; /* bzip2(1): 100 kB and four bytes for each of a block */
    size_t bytes = sizeof *decoder;
    for (; decoder; decoder = decoder->source) {
        bytes += decoder->zstd ? ZSTD_sizeof_DStream(decoder->zstd) : 0;
        bytes += decoder->xz.internal ? (size_t)lzma_memusage(&decoder->xz) : 0;
        bytes += decoder->bzip2_begun ? BZIP2 : 0;
    }
    return bytes;
}

weir_status wi_decoder_finish(const wi_decoder *decoder, weir_error *err)
{
    if (decoder->failed)
        return fail_again(decoder, err);
    for (const wi_decoder *d = decoder; d; d = d->source)
        if (d->inside)
            return wi_fail(err, WEIR_TRUNCATED, "%s: the data are cut short", names[d->coding]);
    return WEIR_OK;
}

/* ---- a step of each coding ---- */

static weir_status fail_damaged(const wi_decoder *d, const char *why, weir_error *err)
{
    return wi_fail(err, WEIR_INVALID, "%s: %s", names[d->coding], why);
}

static int run_inflate(z_stream *z, reading *in, writing *out)
{
    size_t given = in->len - in->at < 1U << 30 ? in->len - in->at : 1U << 30;
    size_t room = out->len - out->at < 1U << 30 ? out->len - out->at : 1U << 30;
    z->next_in = (unsigned char *)(uintptr_t)in->bytes + in->at;
    z->avail_in = (unsigned)given;
    z->next_out = (unsigned char *)out->bytes + out->at;
    z->avail_out = (unsigned)room;
    int result = inflate(z, Z_NO_FLUSH);
    in->at += given - z->avail_in;
    out->at += room - z->avail_out;
    return result;
}

static weir_status step_inflate(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    int result = run_inflate(&d->z, in, out);
    if (result == Z_MEM_ERROR)
        return wi_fail_nomem(err);
    if (result == Z_NEED_DICT)
        return fail_damaged(d, "it needs a dictionary, which nobody has", err);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return fail_damaged(d, d->z.msg ? d->z.msg : "the data are none", err);
    d->inside = result != Z_STREAM_END;
    return WEIR_OK;
}

static weir_status step_gzip(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    if (!d->inside) {
        while (d->ended && in->at < in->len && !in->bytes[in->at]) /* padding, as tapes have it */
            in->at++;
        if (in->at == in->len)
            return WEIR_OK;
        inflateReset(&d->z);
        d->inside = true;
    }
    return step_inflate(d, in, out, err);
}

/* Tells zlib whether its header comes. There is at least one byte. */
static weir_status settle_deflate(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    unsigned char byte = (unsigned char)in->bytes[in->at];
    if (!d->inside) {
        d->inside = true;
        d->settled = (byte & 0x0f) != 8 || byte >> 4 > 7;
        if (d->settled)
            inflateReset2(&d->z, -15);
        d->head = byte;
        in->at += !d->settled;
        return WEIR_OK;
    }
    if ((d->head << 8 | byte) % 31 != 0)
        inflateReset2(&d->z, -15);
    d->settled = true;
    return step_inflate(d, &(reading){(char *)&d->head, 1, 0}, out, err); /* makes nothing yet */
}

static weir_status step_deflate(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    if (d->ended)
        return fail_damaged(d, "something follows the end of the data", err);
    weir_status status = d->settled ? WEIR_OK : settle_deflate(d, in, out, err);
    return status || !d->settled ? status : step_inflate(d, in, out, err);
}

static weir_status run_zstd(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    ZSTD_inBuffer from = {in->bytes, in->len, in->at};
    ZSTD_outBuffer to = {out->bytes, out->len, out->at};
    size_t result = ZSTD_decompressStream(d->zstd, &to, &from);
    in->at = from.pos;
    out->at = to.pos;
    d->inside = result != 0;
    if (!ZSTD_isError(result))
        return WEIR_OK;
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return wi_fail_nomem(err);
    case ZSTD_error_frameParameter_windowTooLarge:
        return wi_fail(err, WEIR_TOOLARGE, "zstd: the data need a larger window than is allowed");
    default:
        return fail_damaged(d, ZSTD_getErrorName(result), err);
    }
}

/*
 * libzstd also reads what zstd was before it was a standard, with decoders that nobody looks after
 * and that know no limit for their window. Where a frame begins, its magic number is looked at
 * first. The header behind it then goes byte by byte: given more at once, libzstd looks for a frame
 * that is there in one piece, and would take one that seems to begin inside the header.
 */
static weir_status step_zstd(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    if (!d->inside)
        d->head_len = 0;
    if (d->head_len == ZSTD_HEAD_MOST)
        return run_zstd(d, in, out, err);
    d->inside = true;
    if (d->head_len >= ZSTD_MAGIC_SIZE) {
        reading byte = {in->bytes, in->at + (in->at < in->len), in->at};
        weir_status status = run_zstd(d, &byte, out, err);
        d->head_len += byte.at - in->at;
        in->at = byte.at;
        return status;
    }
    while (d->head_len < ZSTD_MAGIC_SIZE && in->at < in->len)
        d->magic[d->head_len++] = in->bytes[in->at++];
    if (d->head_len < ZSTD_MAGIC_SIZE)
        return WEIR_OK;
    if (memcmp(d->magic, "\x28\xb5\x2f\xfd", 4) != 0 &&
        ((d->magic[0] & 0xf0) != 0x50 || memcmp(d->magic + 1, "\x2a\x4d\x18", 3) != 0))
        return fail_damaged(d, "no frame begins where one should", err);
    return run_zstd(d, &(reading){d->magic, ZSTD_MAGIC_SIZE, 0}, out, err);
}

static weir_status step_br(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    if (d->ended)
        return fail_damaged(d, "something follows the end of the data", err);
    const uint8_t *from = (const uint8_t *)in->bytes + in->at;
    uint8_t *to = (uint8_t *)out->bytes + out->at;
    size_t given = in->len - in->at;
    size_t room = out->len - out->at;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(d->br, &given, &from, &room, &to, NULL);
    in->at = in->len - given;
    out->at = out->len - room;
    d->inside = result != BROTLI_DECODER_RESULT_SUCCESS;
    if (result != BROTLI_DECODER_RESULT_ERROR)
        return WEIR_OK;
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(d->br);
    if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
        code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
        return wi_fail_nomem(err);
    return fail_damaged(d, BrotliDecoderErrorString(code), err);
}

static void skip_zeros(reading *in)
{
    while (in->at < in->len && !in->bytes[in->at])
        in->at++;
}

/* Between streams; zeros come four at a time, so until then the data are cut short. */
static weir_status next_xz(wi_decoder *d, reading *in, weir_error *err)
{
    size_t before = in->at;
    if (d->ended)
        skip_zeros(in);
    d->padding = (unsigned)(d->padding + in->at - before) % 4;
    d->inside = d->padding != 0;
    if (in->at == in->len)
        return WEIR_OK;
    if (d->padding)
        return fail_damaged(d, "zeros of no multiple of four after a stream", err);
    if (lzma_stream_decoder(&d->xz, d->xz_most, 0) != LZMA_OK)
        return wi_fail_nomem(err);
    d->begun = d->inside = true;
    d->head_len = 0;
    return WEIR_OK;
}

/* liblzma looks at a header only when it has all of it, and less than that may follow a stream. */
static bool begins_xz(wi_decoder *d, const reading *in)
{
    static const char magic[] = {'\xFD', '7', 'z', 'X', 'Z', '\0'};
    for (size_t i = in->at; i < in->len && d->head_len < sizeof magic; i++)
        if (in->bytes[i] != magic[d->head_len++])
            return false;
    return true;
}

static weir_status step_xz(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    weir_status status = d->begun ? WEIR_OK : next_xz(d, in, err);
    if (status || !d->begun)
        return status;
    if (!begins_xz(d, in))
        return fail_damaged(d, "no stream begins where one should", err);
    size_t given = in->len - in->at;
    size_t room = out->len - out->at;
    d->xz.next_in = (const uint8_t *)in->bytes + in->at;
    d->xz.avail_in = given;
    d->xz.next_out = (uint8_t *)out->bytes + out->at;
    d->xz.avail_out = room;
    lzma_ret result = lzma_code(&d->xz, LZMA_RUN);
    in->at += given - d->xz.avail_in;
    out->at += room - d->xz.avail_out;
    d->begun = d->inside = result != LZMA_STREAM_END;
    switch (result) {
    case LZMA_OK:
    case LZMA_STREAM_END:
    case LZMA_BUF_ERROR: /* for want of input or room */
        return WEIR_OK;
    case LZMA_MEM_ERROR:
        return wi_fail_nomem(err);
    case LZMA_MEMLIMIT_ERROR:
        return wi_fail(err, WEIR_TOOLARGE, "xz: the data need a larger window than is allowed");
    case LZMA_OPTIONS_ERROR:
        return fail_damaged(d, "the data use a filter that is not known here", err);
    default:
        return fail_damaged(d, "the data are not what they should be", err);
    }
}

static weir_status next_bzip2(wi_decoder *d, reading *in, weir_error *err)
{
    if (d->ended)
        skip_zeros(in);
    if (in->at == in->len)
        return WEIR_OK;
    if (d->ended) {
        BZ2_bzDecompressEnd(&d->bzip2);
        d->bzip2 = (bz_stream){0};
        d->bzip2_begun = BZ2_bzDecompressInit(&d->bzip2, 0, 0) == BZ_OK;
        if (!d->bzip2_begun)
            return wi_fail_nomem(err);
    }
    d->inside = true;
    return WEIR_OK;
}

static weir_status step_bzip2(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    weir_status status = d->inside ? WEIR_OK : next_bzip2(d, in, err);
    if (status || !d->inside)
        return status;
    size_t given = in->len - in->at < 1U << 30 ? in->len - in->at : 1U << 30;
    size_t room = out->len - out->at < 1U << 30 ? out->len - out->at : 1U << 30;
    d->bzip2.next_in = (char *)(uintptr_t)in->bytes + in->at;
    d->bzip2.avail_in = (unsigned)given;
    d->bzip2.next_out = out->bytes + out->at;
    d->bzip2.avail_out = (unsigned)room;
    int result = BZ2_bzDecompress(&d->bzip2);
    in->at += given - d->bzip2.avail_in;
    out->at += room - d->bzip2.avail_out;
    d->inside = result != BZ_STREAM_END;
    if (result == BZ_OK || result == BZ_STREAM_END)
        return WEIR_OK;
    if (result == BZ_MEM_ERROR)
        return wi_fail_nomem(err);
    return fail_damaged(d,
                        result == BZ_DATA_ERROR_MAGIC ? "no stream begins where one should"
                                                      : "the data are not what they should be",
                        err);
}

/* ---- decoding ---- */

/* Until the output is full, or the input is used up and all that comes of it is out. */
static weir_status run(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    static weir_status (*const steps[])(wi_decoder *, reading *, writing *, weir_error *) = {
        step_gzip, step_deflate, step_zstd, step_br, step_xz, step_bzip2};
    while (in->at < in->len || (d->full && d->inside)) {
        size_t left = in->len - in->at + out->len - out->at;
        weir_status status = steps[d->coding](d, in, out, err);
        if (status)
            return status;
        d->ended = d->ended || !d->inside;
        d->full = out->at == out->len;
        if (d->full)
            return WEIR_OK;
        if (in->at < in->len && in->len - in->at + out->len - out->at == left)
            return fail_damaged(d, "the data lead nowhere", err);
    }
    d->full = false;
    return WEIR_OK;
}

static weir_status run_chain(wi_decoder *d, reading *in, writing *out, weir_error *err);

/*
 * Has the source make something, unless it lacks input. It is given one byte after the other, and
 * none while it holds something back: libzstd and libbrotli say nothing of what they made in a call
 * that fails in the end, so with larger pieces it would be their size that decides which of two
 * faults is come upon first.
 */
static weir_status fill_between(wi_decoder *d, reading *in, weir_error *err)
{
    writing more = {d->between, BETWEEN_SIZE, 0};
    do {
        bool given = in->at < in->len && !d->source->full;
        reading byte = {in->bytes, in->at + given, in->at};
        weir_status status = run_chain(d->source, &byte, &more, err);
        if (status)
            return status;
        in->at = byte.at;
    } while (more.at == 0 && in->at < in->len);
    d->rest = (reading){d->between, more.at, 0};
    d->taken += more.at;
    return WEIR_OK;
}

static weir_status run_chain(wi_decoder *d, reading *in, writing *out, weir_error *err)
{
    if (!d->source)
        return run(d, in, out, err);
    for (;;) {
        size_t before = out->at;
        weir_status status = run(d, &d->rest, out, err);
        d->made += out->at - before;
        if (status || out->at == out->len)
            return status;
        if (d->taken > BETWEEN_SLACK + BETWEEN_RATIO * d->made)
            return fail_damaged(d, "there is next to nothing in so much data", err);
        status = fill_between(d, in, err);
        if (status || d->rest.len == 0)
            return status;
    }
}

weir_status wi_decoder_decode(wi_decoder *d, const char *in, size_t len, size_t *consumed,
                              char *out, size_t size, size_t *produced, weir_error *err)
{
    reading from = {in, len, 0};
    writing to = {out, size, 0};
    if (!d->failed)
        d->failed = run_chain(d, &from, &to, &d->why) != WEIR_OK;
    if (d->failed && to.at == 0)
        return fail_again(d, err);
    *consumed = d->failed ? len : from.at;
    *produced = to.at;
    return WEIR_OK;
}
