/*
 * decoder.h: gzip, deflate, zstd and br decoded as a stream, for files and for HTTP; xz and bzip2
 * for files.
 *
 * Memory is bounded, whatever the data say: the largest window is the caller's choice for zstd and
 * xz, 16 MiB for br, 900 kB for bzip2 and 32 KiB for the other two. All members of gzip, frames of
 * zstd and streams of xz and bzip2 are read; zeros after one of gzip, xz (four at a time) or bzip2
 * are padding, and anything else that follows the end is damage, since half a document followed by
 * something else should not pass for a whole one. What comes of the data, and the first thing that
 * is wrong with them, do not depend on the pieces in which they come.
 *
 * A decoder belongs to one thread at a time.
 */
#ifndef WI_DECODER_H
#define WI_DECODER_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

typedef enum wi_coding {
    WI_CODING_GZIP,
    WI_CODING_DEFLATE, /* in zlib's format, as the standard says, or bare, as some servers send */
    WI_CODING_ZSTD,
    WI_CODING_BR,
    WI_CODING_XZ, /* from here on in files only: no Content-Encoding names them */
    WI_CODING_BZIP2,
} wi_coding;

/* What Accept-Encoding may say. */
#define WI_CODINGS_ACCEPTED "gzip, deflate, br, zstd"

enum {
    WI_CODINGS_MAX = 4,      /* one upon the other */
    WI_WINDOW_LOG_FILE = 27, /* as zstd(1) takes it without being told more */
    WI_WINDOW_LOG_HTTP = 23, /* the most that zstd may use as a content coding (RFC 9659) */
};

/* Codings in the order in which they were applied. */
typedef struct wi_codings {
    size_t len;
    wi_coding list[WI_CODINGS_MAX];
} wi_codings;

/*
 * Adds those that the value of a Content-Encoding header names; "identity" adds none. On failure
 * the list is as it was. WEIR_UNSUPPORTED: a coding that is not known, which the text names, or too
 * many.
 */
weir_status wi_codings_add(wi_codings *codings, const char *value, size_t len, weir_error *err);

const char *wi_coding_name(wi_coding coding);

typedef struct wi_decoder wi_decoder;

/* For at least one coding. zstd and xz data whose window is larger than 2^window_log bytes are
 * refused. */
weir_status wi_decoder_new(const wi_codings *codings, int window_log, wi_decoder **out,
                           weir_error *err);
void wi_decoder_free(wi_decoder *decoder); /* NULL is fine */

/*
 * Makes at most `size` bytes of what it can. If it makes fewer, all of `in` has been consumed and
 * nothing is held back; else there may be more, so call it again with what was not consumed, be it
 * nothing. What was made before something is found to be wrong is given first: then the next call
 * fails, as wi_decoder_finish does, and all after it. WEIR_INVALID: damaged; WEIR_TOOLARGE: the
 * window. Texts begin with the coding's name.
 */
weir_status wi_decoder_decode(wi_decoder *decoder, const char *in, size_t len, size_t *consumed,
                              char *out, size_t size, size_t *produced, weir_error *err);

/* Bytes that it holds now, as far as its library tells: mostly the window. */
size_t wi_decoder_memory(const wi_decoder *decoder);

/* To be asked when no input is left. WEIR_TRUNCATED: a stream has begun and not come to its end. */
weir_status wi_decoder_finish(const wi_decoder *decoder, weir_error *err);

#endif
