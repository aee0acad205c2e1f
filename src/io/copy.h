/*
 * copy.h: a copy of a file without some of its bytes, flushed to the disk.
 *
 * Begun, told in order what to leave out, ended; only then it is whole. It has the mode of the file
 * it is made from. Used by one thread at a time.
 */
#ifndef WI_COPY_H
#define WI_COPY_H

#include <stdint.h>

#include "error.h"

typedef struct wi_copy wi_copy;

/* Of the first `length` bytes of the file `from`, which has as many, as the file `to`, in the place
 * of what is there under that name. */
weir_status wi_copy_begin(const char *from, const char *to, int64_t length, wi_copy **out,
                          weir_error *err);

/* Leaves these bytes out; they are behind those left out before. */
weir_status wi_copy_skip(wi_copy *copy, int64_t offset, int64_t length, weir_error *err);

/* Copies the rest and flushes it; *length is that of the copy. */
weir_status wi_copy_end(wi_copy *copy, int64_t *length, weir_error *err);

/* Frees; what was not ended is removed. NULL is fine. */
void wi_copy_free(wi_copy *copy);

#endif
