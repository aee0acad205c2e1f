/* item_key.c: see item_key.h. Its invariant: `columns` are those of `schema`, sorted. */
#include "item_key.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b, void *schema)
{
    wi_name x = wi_schema_name(schema, *(const uint16_t *)a);
    wi_name y = wi_schema_name(schema, *(const uint16_t *)b);
    int order = memcmp(x.bytes, y.bytes, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static bool take_schema(wi_item_keys *keys, wi_schema *schema)
{
    size_t n = wi_schema_columns(schema);
    if (schema == keys->schema)
        return true;
    uint16_t *columns = realloc(keys->columns, (n + 1) * sizeof *columns);
    if (!columns)
        return false;
    for (size_t i = 0; i < n; i++)
        columns[i] = (uint16_t)i;
    qsort_r(columns, n, sizeof *columns, by_name, schema);
    keys->columns = columns;
    wi_schema_unref(keys->schema);
    keys->schema = wi_schema_ref(schema);
    return true;
}

/* Each with its kind and lengths, so that no two rows read alike. */
static void append_cells(const wi_item_keys *keys, const wi_item *item, wi_buf *out)
{
    for (size_t i = 0; i < wi_schema_columns(keys->schema); i++) {
        size_t column = keys->columns[i];
        wi_cell cell = wi_batch_cell(item->batch, item->row, column);
        wi_name name = wi_schema_name(keys->schema, column);
        if (cell.kind == WI_ABSENT)
            continue;
        const size_t shape[] = {name.len, (size_t)cell.kind, cell.len};
        wi_buf_append(out, shape, sizeof shape);
        wi_buf_append(out, name.bytes, name.len);
        if (cell.kind == WI_INT || cell.kind == WI_DOUBLE)
            wi_buf_append(out, cell.kind == WI_INT ? (void *)&cell.i : (void *)&cell.d, 8);
        else
            wi_buf_append(out, cell.bytes, cell.len);
    }
}

/* It asks nothing, and is known by how its row reads. */
static void append_unasked(const wi_item *item, const char *reason, wi_buf *out)
{
    size_t len = 0;
    const char *row = item->batch ? wi_batch_faulty(item->batch, item->row, &len) : NULL;
    wi_buf_append(out, reason, strlen(reason) + 1);
    wi_buf_append(out, &item->choice, sizeof item->choice);
    if (row)
        wi_buf_append(out, row, len);
}

const wi_buf *wi_item_keys_text(wi_item_keys *keys, const wi_kind *kind, const void *job,
                                const wi_item *item, const char *reason)
{
    wi_buf *out = &keys->text;
    wi_schema *schema = item->batch ? wi_batch_schema(item->batch) : NULL;
    wi_buf_clear(out);
    if (reason)
        append_unasked(item, reason, out);
    else
        kind->asks(job, item, out);
    if (schema && !take_schema(keys, schema))
        return NULL;
    if (schema)
        append_cells(keys, item, out);
    return out->failed ? NULL : out;
}

void wi_item_keys_fini(wi_item_keys *keys)
{
    wi_schema_unref(keys->schema);
    free(keys->columns);
    wi_buf_fini(&keys->text);
    *keys = (wi_item_keys){0};
}
