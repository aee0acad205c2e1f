/*
 * input.h: a file or pipe read as a stream of bytes, decompressed on the way.
 *
 * gzip (all members), zstd (all frames), xz and bzip2 (all streams) are known by their first bytes,
 * not by the name. Reads block the calling thread; wi_input_interrupt, from any thread, ends a
 * blocked read and all later ones with WEIR_CANCELLED. Truncated or corrupt archives are errors
 * that name the file.
 */
#ifndef WI_INPUT_H
#define WI_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

typedef struct wi_input wi_input;

/* "-" is standard input. A directory, or a path that cannot be read, fails here. */
weir_status wi_input_open(const char *path, wi_input **out, weir_error *err);
void wi_input_close(wi_input *input); /* NULL is fine */

/* Archives are left as they are. Before anything is read. */
void wi_input_no_decompress(wi_input *input);

/* At least one byte, at most size; *n is 0 at the end. */
weir_status wi_input_read(wi_input *input, char *dst, size_t size, size_t *n, weir_error *err);

void wi_input_interrupt(wi_input *input);

/* The name for messages: the path, or "standard input". */
const char *wi_input_name(const wi_input *input);

/* Bytes taken from the file so far, before decompression, and its size, or -1 if it has none.
 * Any thread. */
int64_t wi_input_position(const wi_input *input);
int64_t wi_input_size(const wi_input *input);

#endif
