/*
 * expr.h: a condition over the cells of a row: status >= 500 and path like '%.log'.
 *
 * SQL's operators with SQL's logic of three values; docs/where.md has the grammar and says what
 * compares with what. No row is an error: what cannot be compared is unknown, and a row is kept
 * only if its condition is true. An expression never changes: threads share it, each with a filter.
 */
#ifndef WI_EXPR_H
#define WI_EXPR_H

#include <stdbool.h>
#include <stddef.h>

#include "batch.h"
#include "error.h"
#include "schema.h"

enum { WI_EXPR_MAX_LEN = 64 << 10, WI_EXPR_MAX_DEPTH = 100 };

typedef struct wi_expr wi_expr;

/* Keeps nothing of the text. WEIR_INVALID: the text says at which character, and what belongs
 * there. */
weir_status wi_expr_new(const char *text, size_t len, wi_expr **out, weir_error *err);
void wi_expr_free(wi_expr *expr); /* NULL is fine; not before its filters */

/* The columns that it speaks of, each once. */
size_t wi_expr_columns(const wi_expr *expr);
wi_name wi_expr_column(const wi_expr *expr, size_t i);

/* WEIR_NOTFOUND: one of them is not there; the text names it and those that are. */
weir_status wi_expr_check(const wi_expr *expr, const wi_schema *schema, weir_error *err);

/* One thread's way to evaluate. */
typedef struct wi_filter wi_filter;

weir_status wi_filter_new(const wi_expr *expr, wi_filter **out, weir_error *err);
void wi_filter_free(wi_filter *filter); /* NULL is fine */

/* Is it true of this row? A column that the batch does not have is null. WEIR_NOMEM only. */
weir_status wi_filter_keeps(wi_filter *filter, const wi_batch *batch, size_t row, bool *keeps,
                            weir_error *err);

#endif
