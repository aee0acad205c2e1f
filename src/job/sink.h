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
#include <stdint.h>

#include "batch.h"
#include "buf.h"
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

/* The same for a file that can be continued, at `length`: see wi_output_continue for it and place.
 * A CSV of any length has its header. */
weir_status wi_sink_continue(const wi_sink_options *options, const char *place, int64_t length,
                             wi_sink **out, weir_error *err);

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

/* Of a file that can be continued: where the next row will begin. Renders what was collected, and
 * the header that stands before the first row, if it is known. */
weir_status wi_sink_position(wi_sink *sink, int64_t *position, weir_error *err);

/* Its bytes that are written. */
int64_t wi_sink_length(const wi_sink *sink);

/* Its CSV header, without the line's end; nothing if it has none yet. */
weir_status wi_sink_read_header(const wi_sink *sink, wi_buf *header, weir_error *err);

/* Brings what was written to the disk. */
weir_status wi_sink_sync(wi_sink *sink, weir_error *err);

/* Writes all that is to be in it, and the header if there was no row. */
weir_status wi_sink_end(wi_sink *sink, weir_error *err);

/* Ends well: as wi_sink_end, and the file takes its name. */
weir_status wi_sink_commit(wi_sink *sink, weir_error *err);

/* Ends early: what was written is kept under the name *kept (free() it; NULL: nothing was). */
weir_status wi_sink_keep(wi_sink *sink, char **kept, weir_error *err);

/* Ends early: a file that can be continued stays; see wi_output_leave. */
void wi_sink_leave(wi_sink *sink, int64_t length);

/* Frees; an uncommitted file is removed. NULL is fine. */
void wi_sink_free(wi_sink *sink);

#endif
