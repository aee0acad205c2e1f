/*
 * schema.h: the names of a batch's columns, in order.
 *
 * A schema never changes once made, so it is shared freely: ref and unref are atomic, everything
 * else only reads. Names are unique, UTF-8, owned by the schema.
 */
#ifndef WI_SCHEMA_H
#define WI_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define WI_SCHEMA_MAX_COLUMNS 4096

typedef struct wi_schema wi_schema;

typedef struct wi_name {
    const char *bytes;
    size_t len;
} wi_name;

/* Copies the names. WEIR_INVALID names a duplicate; the caller owns one reference. */
weir_status wi_schema_new(const wi_name *names, size_t n, wi_schema **out, weir_error *err);

/* A schema of base's columns and then these: base itself (with a reference more) if n is 0. */
weir_status wi_schema_extend(wi_schema *base, const wi_name *names, size_t n, wi_schema **out,
                             weir_error *err);

wi_schema *wi_schema_ref(wi_schema *schema);
void wi_schema_unref(wi_schema *schema); /* NULL is fine */

size_t wi_schema_columns(const wi_schema *schema);
wi_name wi_schema_name(const wi_schema *schema, size_t column);

/* The column of that name, or -1. */
int wi_schema_find(const wi_schema *schema, const char *name, size_t len);

/* The names as a list for people, "a, b, c", cut with "..." where it gets long. */
enum { WI_SCHEMA_SHOWN = 208 };
void wi_schema_show(const wi_schema *schema, char text[WI_SCHEMA_SHOWN]);

#endif
