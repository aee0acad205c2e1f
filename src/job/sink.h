/*
 * sink.h: rows on their way out: collected into a batch, rendered, written to a file or a callback.
 *
 * The columns of a row are those of its input and then the kind's; an input column that bears the
 * name of one of the kind's is written as "input_NAME". A CSV has one header for all rows, so its
 * input columns are fixed from the beginning. Or rows come rendered, all of them; then only a
 * header is put before them. One thread uses it.
 */
#ifndef WI_SINK_H
#define WI_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "batch.h"
#include "error.h"
#include "reader.h"
#include "weir/job.h"

typedef struct wi_sink wi_sink;

typedef struct wi_sink_options {
    const char *path; /* "-": standard output; NULL: write */
    weir_write_fn write;
    void *write_arg;
    wi_format format;
    wi_schema *fixed;           /* the input columns of a CSV; nullable, borrowed */
    const char *const *columns; /* the kind's */
    size_t columns_len;
    const char *const *optional;
    size_t optional_len;
    /* Of rows that come rendered: what their header is in CSV, borrowed; NULL: it is not known.
     * Asked when it is to be written, until it is known. */
    wi_schema *(*header)(void *arg);
    void *header_arg;
} wi_sink_options;

weir_status wi_sink_new(const wi_sink_options *options, wi_sink **out, weir_error *err);

/* The batch for a row with this input schema (NULL: none), and the kind's first column in it, which
 * the input's columns, or as many of them as have a place, stand before. The caller puts the cells
 * and calls wi_sink_end_row. */
weir_status wi_sink_begin_row(wi_sink *sink, wi_schema *input, wi_batch **batch, size_t *first,
                              weir_error *err);
weir_status wi_sink_end_row(wi_sink *sink, weir_error *err);

/* Rows that are rendered already, instead of begin_row and end_row; whole ones. */
weir_status wi_sink_write_rendered(wi_sink *sink, const char *bytes, size_t len, weir_error *err);

/* Writes what has been collected. WEIR_CLOSED: nobody reads it any more. */
weir_status wi_sink_flush(wi_sink *sink, weir_error *err);

/* Ends well: the file takes its name. */
weir_status wi_sink_commit(wi_sink *sink, weir_error *err);

/* Ends early: what was written is kept under the name *kept (free() it; NULL: nothing was). */
weir_status wi_sink_keep(wi_sink *sink, char **kept, weir_error *err);

/* Frees; an uncommitted file is removed. NULL is fine. */
void wi_sink_free(wi_sink *sink);

#endif
