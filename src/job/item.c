/* item.c: see item.h. */
#include "item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wi_item_set_failure(wi_item *item, const char *reason, const char *error)
{
    free(item->error);
    item->error = error && *error ? strdup(error) : NULL;
    snprintf(item->reason, sizeof item->reason, "%s", reason);
}

const char *wi_item_error(const wi_item *item)
{
    if (!item->reason[0])
        return NULL;
    return item->error ? item->error : item->reason;
}
