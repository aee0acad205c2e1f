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
    *from = (wi_portion){.number = portion->number, .held = portion->held};
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
    free(portion);
}

int64_t wi_portion_bytes(const wi_portion *portion)
{
    return (int64_t)(sizeof *portion + portion->rows.cap + portion->row_ends.cap +
                     portion->failed_rows.cap + portion->failures.cap) +
           portion->held;
}

bool wi_portion_is_damaged(const wi_portion *portion)
{
    return portion->rows.failed || portion->row_ends.failed || portion->failed_rows.failed ||
           portion->failures.failed;
}
