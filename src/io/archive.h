/*
 * archive.h: a file known by its first bytes to be compressed, and what was compressed in it.
 *
 * Only for those who read files (input.h, pieces.h), each in its own way: an archive asks its
 * reader for raw bytes. One layer is undone: an archive inside is bytes like others.
 */
#ifndef WI_ARCHIVE_H
#define WI_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "decoder.h"
#include "error.h"

typedef enum wi_archive_guess {
    WI_ARCHIVE_NONE,
    WI_ARCHIVE_PERHAPS, /* more bytes are needed to know; at the end of the file it is none */
    WI_ARCHIVE_IS,
} wi_archive_guess;

/* Do these bytes, the first of a file, begin gzip, zstd, xz or bzip2? */
wi_archive_guess wi_archive_guess_coding(const char *bytes, size_t len, wi_coding *coding);

typedef struct wi_archive {
    /* Reads at least one raw byte, at most size; *n is 0 at the end of the file. */
    weir_status (*read)(void *arg, char *dst, size_t size, size_t *n, weir_error *err);
    void *arg;
    const char *name; /* the file's, for messages */
    char *raw;        /* raw[at..len): read and not yet decoded */
    size_t size;
    size_t at;
    size_t len;
    int64_t taken; /* raw bytes decoded so far */
    wi_coding coding;
    wi_decoder *decoder; /* NULL: not begun */
} wi_archive;

/* Begins to decode; all but the decoder has been set. */
weir_status wi_archive_begin(wi_archive *archive, wi_coding coding, weir_error *err);
void wi_archive_end(wi_archive *archive); /* if it was begun */

/*
 * At least one byte, at most size; *n is 0 at the end. WEIR_TRUNCATED, WEIR_INVALID, WEIR_TOOLARGE
 * or what read fails with: texts name the file.
 */
weir_status wi_archive_read(wi_archive *archive, char *dst, size_t size, size_t *n,
                            weir_error *err);

#endif
