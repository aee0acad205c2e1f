/*
 * pieces.h: a file in pieces of whole lines, decompressed on the way; one after the other, with the
 * same buffers.
 *
 * Made for a hundred thousand small files as well as for one of a terabyte: a small regular file
 * costs two reads and no allocation, and memory is bounded by the longest line. gzip, zstd, xz and
 * bzip2 are known by their first bytes. What is no regular file (a pipe, "-") is read as wi_input
 * reads it, so that it can be interrupted. One thread uses it, but for wi_pieces_interrupt.
 */
#ifndef WI_PIECES_H
#define WI_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

typedef struct wi_pieces wi_pieces;

typedef struct wi_pieces_options {
    size_t max_line;    /* bytes, at least 16; a longer one is WEIR_TOOLARGE */
    bool no_decompress; /* archives are what they are */
    bool no_nul;        /* NUL bytes are not looked for: wi_pieces_nul knows of none */

    /* Asked before a line that is longer than usual is kept in so many bytes, until wi_pieces_end
     * or the next file; it may wait. False: not any more, and the file ends with WEIR_CANCELLED. */
    bool (*may_grow)(void *arg, size_t bytes); /* NULL: always */
    void *arg;
} wi_pieces_options;

weir_status wi_pieces_new(const wi_pieces_options *options, wi_pieces **out, weir_error *err);
void wi_pieces_free(wi_pieces *pieces); /* NULL is fine */

/* Begins a regular file. The descriptor, at its beginning, stays the caller's, open until the last
 * piece. `path` stands in errors, and stays until then too. */
void wi_pieces_begin(wi_pieces *pieces, int fd, const char *path);

/*
 * The files that are begun after wi_pieces_enter_folder lie in one folder, until it is called again
 * or left, and none of them is a link to a file elsewhere. If the first of them lies on a file
 * system of a kind that cuts a read short nowhere but at the end of the file, small files take one
 * read, not a second that only says that there is no more.
 */
void wi_pieces_enter_folder(wi_pieces *pieces);
void wi_pieces_leave_folder(wi_pieces *pieces);

/* Begins what is no regular file, by its path; "-" is standard input. */
weir_status wi_pieces_begin_stream(wi_pieces *pieces, const char *path, weir_error *err);

/*
 * The next piece: whole lines, the last of which may lack its line feed at the end of the file. A
 * line with the first NUL byte that is looked for may come in parts, however long it is: this is no
 * text, and nobody should have to wait for the end of its lines. At least one byte; valid until the
 * next call. WEIR_END: no more. WEIR_TOOLARGE: a line is too long, and nothing more comes of this
 * file. WEIR_TRUNCATED, WEIR_INVALID, WEIR_IO: so ends an archive or a file that is damaged; the
 * lines before were given. After a failure comes WEIR_END. Texts name the file.
 */
weir_status wi_pieces_next(wi_pieces *pieces, const char **bytes, size_t *len, weir_error *err);

/* The same without regard to lines: any bytes, as they come. */
weir_status wi_pieces_next_bytes(wi_pieces *pieces, const char **bytes, size_t *len,
                                 weir_error *err);

/* Gives back what a long line took; nothing more comes of this file. */
void wi_pieces_end(wi_pieces *pieces);

/* Where the first NUL byte in the pieces given so far is, counted from the file's (decompressed)
 * beginning; -1: none. The piece with it is given whole. */
int64_t wi_pieces_nul(const wi_pieces *pieces);

/* Bytes that it holds now to decompress. */
size_t wi_pieces_memory(const wi_pieces *pieces);

/* Ends a blocked read of a stream, now and later, with WEIR_CANCELLED. Any thread. */
void wi_pieces_interrupt(wi_pieces *pieces);

#endif
