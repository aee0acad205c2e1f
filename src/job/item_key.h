/*
 * item_key.h: what an item is known by in a journal: the bytes that its key is the hash of.
 *
 * They are what it asks, as its kind has it, and the cells of its input row, since those stand in
 * its row. So that the input may be given in another order, nothing in them says where the item
 * stood: neither the lines nor the columns are told by their places. One thread uses it.
 */
#ifndef WI_ITEM_KEY_H
#define WI_ITEM_KEY_H

#include "buf.h"
#include "kind.h"
#include "schema.h"

typedef struct wi_item_keys {
    wi_schema *schema; /* of the item before; NULL: none */
    uint16_t *columns; /* its columns, by name */
    wi_buf text;
} wi_item_keys; /* all zero: as new */

/* reason: why it could not even be prepared, and so asks nothing; else NULL. Valid until the next
 * call; NULL: no memory. */
const wi_buf *wi_item_keys_text(wi_item_keys *keys, const wi_kind *kind, const void *job,
                                const wi_item *item, const char *reason);

void wi_item_keys_fini(wi_item_keys *keys);

#endif
