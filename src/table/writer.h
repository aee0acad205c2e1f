/*
 * writer.h: batches in, bytes out: NDJSON and CSV (RFC 4180, LF line ends).
 *
 * NDJSON: one object a row; absent cells, and null cells of columns marked optional, are left out;
 * strings are escaped so that no control character reaches a terminal; JSON cells are embedded;
 * binary is base64; an infinite double is null. CSV: a header from the first batch's schema,
 * columns matched by name after that; a column that the header lacks is WEIR_INVALID if any of its
 * cells has a value. Absent and null are empty; a JSON string is its characters, other JSON its
 * text; CSV has no escapes, so control characters stay what they are, save on a terminal. Doubles
 * have three decimals at most in both formats. Not thread-safe.
 */
#ifndef WI_WRITER_H
#define WI_WRITER_H

#include "batch.h"
#include "buf.h"
#include "error.h"
#include "reader.h"

typedef struct wi_row_writer wi_row_writer;

weir_status wi_row_writer_new(wi_format format, wi_row_writer **out, weir_error *err);
void wi_row_writer_free(wi_row_writer *writer);

/* For people to look at: control characters in CSV, line ends within a row too, are shown as
 * wi_text_printable shows them. NDJSON never has any. */
void wi_row_writer_for_terminal(wi_row_writer *writer);

/* Null cells of this column (by name) are left out of NDJSON objects. */
weir_status wi_row_writer_optional(wi_row_writer *writer, const char *column, weir_error *err);

/* These columns and no others from now on, in this order; NDJSON writes null for what a row lacks
 * of them, unless it is optional. The header of CSV counts as written. Before the first batch. */
void wi_row_writer_fix(wi_row_writer *writer, wi_schema *columns);

/* Appends the batch's rows (and a header due) to out; on failure out is as it was. */
weir_status wi_row_writer_append(wi_row_writer *writer, const wi_batch *batch, wi_buf *out,
                                 weir_error *err);

/* The same; ends (may be NULL) gets a size_t for each row: where it ends in out. */
weir_status wi_row_writer_append_ends(wi_row_writer *writer, const wi_batch *batch, wi_buf *out,
                                      wi_buf *ends, weir_error *err);

/* The header for an output that will have no row; does nothing if it was written. */
weir_status wi_row_writer_header(wi_row_writer *writer, wi_schema *schema, wi_buf *out,
                                 weir_error *err);

#endif
