/*
 * schema.c: see schema.h. Its invariant: names, their bytes and the struct are one block, made by
 * `make` and never written to again, but for the count of references.
 */
#include "schema.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"

struct wi_schema {
    atomic_size_t refs;
    wi_map index; /* name -> its wi_name in names */
    size_t n;
    wi_name names[];
};

static weir_status add(wi_schema *schema, wi_name name, char **bytes, weir_error *err)
{
    if (wi_map_get(&schema->index, name.bytes, name.len))
        return wi_fail(err, WEIR_INVALID, "column \"%.*s\" appears twice: give each its own name",
                       name.len > 100 ? 100 : (int)name.len, name.bytes);
    wi_name *own = &schema->names[schema->n];
    if (name.len)
        memcpy(*bytes, name.bytes, name.len);
    *own = (wi_name){.bytes = *bytes, .len = name.len};
    if (!wi_map_put(&schema->index, own->bytes, own->len, own))
        return wi_fail_nomem(err);
    *bytes += name.len;
    schema->n++;
    return WEIR_OK;
}

static size_t total(const wi_name *names, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += names[i].len;
    return sum;
}

static weir_status make(const wi_name *first, size_t n_first, const wi_name *then, size_t n_then,
                        wi_schema **out, weir_error *err)
{
    if (n_first + n_then > WI_SCHEMA_MAX_COLUMNS)
        return wi_fail(err, WEIR_TOOLARGE, "%zu columns, but at most %d are possible",
                       n_first + n_then, WI_SCHEMA_MAX_COLUMNS);
    size_t head = sizeof(wi_schema) + (n_first + n_then) * sizeof(wi_name);
    wi_schema *schema = malloc(head + total(first, n_first) + total(then, n_then));
    if (!schema)
        return wi_fail_nomem(err);
    atomic_init(&schema->refs, 1);
    schema->index = (wi_map)WI_MAP_INIT;
    schema->n = 0;
    char *bytes = (char *)schema + head;
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < n_first && !status; i++)
        status = add(schema, first[i], &bytes, err);
    for (size_t i = 0; i < n_then && !status; i++)
        status = add(schema, then[i], &bytes, err);
    if (status) {
        wi_schema_unref(schema);
        return status;
    }
    *out = schema;
    return WEIR_OK;
}

weir_status wi_schema_new(const wi_name *names, size_t n, wi_schema **out, weir_error *err)
{
    return make(names, n, NULL, 0, out, err);
}

weir_status wi_schema_extend(wi_schema *base, const wi_name *names, size_t n, wi_schema **out,
                             weir_error *err)
{
    if (!n) {
        *out = wi_schema_ref(base);
        return WEIR_OK;
    }
    return make(base->names, base->n, names, n, out, err);
}

wi_schema *wi_schema_ref(wi_schema *schema)
{
    atomic_fetch_add_explicit(&schema->refs, 1, memory_order_relaxed);
    return schema;
}

void wi_schema_unref(wi_schema *schema)
{
    if (!schema || atomic_fetch_sub_explicit(&schema->refs, 1, memory_order_acq_rel) != 1)
        return;
    wi_map_fini(&schema->index);
    free(schema);
}

size_t wi_schema_columns(const wi_schema *schema)
{
    return schema->n;
}

wi_name wi_schema_name(const wi_schema *schema, size_t column)
{
    return schema->names[column];
}

int wi_schema_find(const wi_schema *schema, const char *name, size_t len)
{
    const wi_name *found = wi_map_get(&schema->index, name, len);
    return found ? (int)(found - schema->names) : -1;
}

void wi_schema_show(const wi_schema *schema, char text[WI_SCHEMA_SHOWN])
{
    static const char more[] = ", ...";
    size_t len = 0;
    memcpy(text, "none", sizeof "none");
    for (size_t i = 0; i < schema->n; i++) {
        wi_name name = schema->names[i];
        if (len + name.len + 2 > WI_SCHEMA_SHOWN - sizeof more) {
            snprintf(text + len, WI_SCHEMA_SHOWN - len, "%s", i ? more : more + 2);
            return;
        }
        len += (size_t)snprintf(text + len, WI_SCHEMA_SHOWN - len, "%s%.*s", i ? ", " : "",
                                (int)name.len, name.bytes);
    }
}
