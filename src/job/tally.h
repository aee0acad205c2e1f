/*
 * tally.h: why items failed, how often, and an example of each reason.
 *
 * A small number of reasons is kept; what comes after that is counted as "other reasons". One
 * thread adds; reading is for when it has ended.
 */
#ifndef WI_TALLY_H
#define WI_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum { WI_TALLY_REASONS = 32, WI_TALLY_REASON_SIZE = 80, WI_TALLY_EXAMPLE_SIZE = 160 };

typedef struct wi_tally_entry {
    int64_t count;
    char reason[WI_TALLY_REASON_SIZE];
    char example[WI_TALLY_EXAMPLE_SIZE];
} wi_tally_entry;

typedef struct wi_tally {
    size_t len;
    wi_tally_entry entries[WI_TALLY_REASONS];
} wi_tally;

/* Both are any bytes; they are kept as printable text, cut to size. */
void wi_tally_add(wi_tally *tally, const char *reason, const char *example, size_t example_len);

/* Most frequent first. */
void wi_tally_sort(wi_tally *tally);

#endif
