/*
 * committed.h: the keys that a journal holds, each as often as it was committed.
 *
 * A resumed run claims the key of each item of its input; what is claimed is gone. So the n-th item
 * that asks the same is committed if the journal holds n of them, in whatever order they come. The
 * place is made once, for as many as there are: 31 bytes for each key. Up to a bound it is memory;
 * beyond that a file without a name, which the kernel may write out. Not thread-safe.
 */
#ifndef WI_COMMITTED_H
#define WI_COMMITTED_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

typedef struct wi_key {
    unsigned char bytes[16];
} wi_key;

/* What a key was committed as; in this order it is claimed. */
typedef enum wi_committed_as {
    WI_COMMITTED_OK,
    WI_COMMITTED_FAILED,
    WI_COMMITTED_NOT,
} wi_committed_as;

typedef struct wi_committed wi_committed;

/* For up to `most` keys. The file, if it takes more than `memory` bytes, is made in the folder of
 * `path`. */
weir_status wi_committed_new(uint64_t most, int64_t memory, const char *path, wi_committed **out,
                             weir_error *err);
void wi_committed_free(wi_committed *committed); /* NULL is fine */

/* No more than `most` different ones. */
void wi_committed_add(wi_committed *committed, const wi_key *key, wi_committed_as as);

/* Takes one of that key away and says what it was; WI_COMMITTED_NOT: there is none (any more). */
wi_committed_as wi_committed_claim(wi_committed *committed, const wi_key *key);

#endif
