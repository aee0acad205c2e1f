/*
 * batch.h: a block of rows, stored by column.
 *
 * A column keeps its cells' bytes back to back with their ends, and a kind per cell, since what
 * comes back from an API may be a string in one row and a JSON object in the next. A batch is built
 * by one thread and read by many after that; ref and unref are atomic.
 */
#ifndef WI_BATCH_H
#define WI_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "schema.h"

typedef enum wi_kind_of_cell {
    WI_ABSENT = 0, /* the row does not have this column at all (NDJSON) */
    WI_NULL,
    WI_STRING, /* valid UTF-8 */
    WI_JSON,   /* one checked JSON value on one line; null is WI_NULL instead */
    WI_BINARY, /* any bytes; base64 in text formats */
    WI_INT,
    WI_DOUBLE,
} wi_cell_kind;

typedef struct wi_cell {
    wi_cell_kind kind;
    const char *bytes; /* STRING, JSON, BINARY; valid while the batch is */
    size_t len;
    int64_t i; /* INT */
    double d;  /* DOUBLE */
} wi_cell;

typedef struct wi_batch wi_batch;

/* An empty batch; keeps a reference to the schema. The caller owns one reference to the batch. */
weir_status wi_batch_new(wi_schema *schema, wi_batch **out, weir_error *err);
wi_batch *wi_batch_ref(wi_batch *batch);
void wi_batch_unref(wi_batch *batch); /* NULL is fine */

/* Forgets the rows, keeps the storage. Only with a single reference. */
void wi_batch_clear(wi_batch *batch);

wi_schema *wi_batch_schema(const wi_batch *batch); /* borrowed */
size_t wi_batch_rows(const wi_batch *batch);
size_t wi_batch_bytes(const wi_batch *batch); /* storage in use, for memory budgets */

/*
 * Rows are added whole: put every cell that is not absent, then end the row. Cells may be put in
 * any order; of two puts of one cell the later counts. Memory failure is sticky and reported by
 * end_row, which then drops the row.
 */
void wi_batch_put(wi_batch *batch, size_t column, wi_cell_kind kind, const char *bytes, size_t len);
void wi_batch_put_null(wi_batch *batch, size_t column);
void wi_batch_put_int(wi_batch *batch, size_t column, int64_t value);
void wi_batch_put_double(wi_batch *batch, size_t column, double value);
void wi_batch_put_cell(wi_batch *batch, size_t column, const wi_cell *cell);
weir_status wi_batch_end_row(wi_batch *batch, weir_error *err);

/* For want of memory something of the row cannot even be put: end_row will fail. */
void wi_batch_lack(wi_batch *batch);

/* Forgets the row that is being put. WEIR_NOMEM: not all of it had been put. */
weir_status wi_batch_drop_row(wi_batch *batch, weir_error *err);

/* Takes up a schema that begins with this batch's columns; earlier rows lack the new ones. */
weir_status wi_batch_extend(wi_batch *batch, wi_schema *schema, weir_error *err);

/* Of the row that is being put, too: the number of rows is its number. */
wi_cell wi_batch_cell(const wi_batch *batch, size_t row, size_t column);

/* Where a row stood in its input (the line it began on, from 1; 0: nowhere), and what is wrong
 * with it (NULL: nothing; printable text). Set between the first put and end_row. */
void wi_batch_set_line(wi_batch *batch, int64_t line);
void wi_batch_set_fault(wi_batch *batch, const char *text);
int64_t wi_batch_line(const wi_batch *batch, size_t row);
const char *wi_batch_fault(const wi_batch *batch, size_t row);

/* The same for how such a row read, after its fault was set: by that it is known wherever it
 * stands. NULL: nothing is wrong with it. */
void wi_batch_set_faulty(wi_batch *batch, const char *bytes, size_t len);
const char *wi_batch_faulty(const wi_batch *batch, size_t row, size_t *len);

#endif
