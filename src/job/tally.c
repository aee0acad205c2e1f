/* tally.c: see tally.h. Its invariant: the counts add up to the number of calls. */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

void wi_tally_add(wi_tally *tally, const char *reason, const char *example, size_t example_len)
{
    char text[WI_TALLY_REASON_SIZE];
    wi_text_printable(text, sizeof text, reason, strlen(reason));
    for (size_t i = 0; i < tally->len; i++) {
        wi_tally_entry *entry = &tally->entries[i];
        if (strcmp(entry->reason, text) == 0 || i == WI_TALLY_REASONS - 1) {
            entry->count++;
            return;
        }
    }
    wi_tally_entry *entry = &tally->entries[tally->len++];
    entry->count = 1;
    memcpy(entry->reason, text, sizeof text);
    if (tally->len == WI_TALLY_REASONS)
        memcpy(entry->reason, "other reasons", sizeof "other reasons");
    wi_text_printable(entry->example, sizeof entry->example, example, example_len);
}

static int more_first(const void *a, const void *b)
{
    int64_t x = ((const wi_tally_entry *)a)->count;
    int64_t y = ((const wi_tally_entry *)b)->count;
    return (x < y) - (x > y);
}

void wi_tally_sort(wi_tally *tally)
{
    qsort(tally->entries, tally->len, sizeof tally->entries[0], more_first);
}
