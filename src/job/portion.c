/* portion.c: see portion.h. Its invariant: failed counts the pairs of texts in failures, but for
 * those that found no memory. */
#include "portion.h"

#include <stdlib.h>

void wi_portion_fail(wi_portion *portion, const char *reason, const char *what)
{
    wi_buf_append(&portion->failures, reason, strlen(reason) + 1);
    wi_buf_append(&portion->failures, what, strlen(what) + 1);
    portion->failed++;
}

void wi_portion_item_done(wi_portion *portion, bool failed, wi_portion_place from)
{
    if (!portion->journaled)
        return;
    const wi_portion_done done = {portion->key, failed, from, wi_portion_place_now(portion)};
    wi_buf_append(&portion->done, &done, sizeof done);
}

/* What is there of them goes; what is not has been given away. */
static bool cut(wi_buf *rows, size_t before, size_t from)
{
    rows->len = from < before ? 0 : from - before;
    return from >= before;
}

void wi_portion_item_cut(wi_portion *portion, wi_portion_place from)
{
    if (!portion->journaled)
        return;
    bool whole = cut(&portion->rows, portion->before.rows, from.rows);
    whole &= cut(&portion->failed_rows, portion->before.failed_rows, from.failed_rows);
    portion->torn |= !whole;
}

wi_portion *wi_portion_new(uint64_t number)
{
    wi_portion *portion = calloc(1, sizeof *portion);
    if (portion) {
        wi_list_init(&portion->node);
        portion->number = number;
    }
    return portion;
}

wi_portion *wi_portion_split(wi_portion *from)
{
    wi_portion *portion = malloc(sizeof *portion);
    if (!portion)
        return NULL;
    *portion = *from;
    wi_list_init(&portion->node);
    *from = (wi_portion){.number = portion->number,
                         .held = portion->held,
                         .journaled = portion->journaled,
                         .key = portion->key,
                         .before = wi_portion_place_now(portion)};
    portion->held = 0;
    wi_list_init(&from->node);
    return portion;
}

void wi_portion_free(wi_portion *portion)
{
    wi_buf_fini(&portion->rows);
    wi_buf_fini(&portion->row_ends);
    wi_buf_fini(&portion->failed_rows);
    wi_buf_fini(&portion->failures);
    wi_buf_fini(&portion->done);
    free(portion);
}

int64_t wi_portion_bytes(const wi_portion *portion)
{
    return (int64_t)(sizeof *portion + portion->rows.cap + portion->row_ends.cap +
                     portion->failed_rows.cap + portion->failures.cap + portion->done.cap) +
           portion->held;
}

bool wi_portion_is_damaged(const wi_portion *portion)
{
    return portion->rows.failed || portion->row_ends.failed || portion->failed_rows.failed ||
           portion->failures.failed || portion->done.failed;
}
