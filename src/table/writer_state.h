/*
 * writer_state.h: what the formats behind writer.h share. row_writer.c walks the batches, a format
 * writes the header and the rows. Private to the writer's own files.
 */
#ifndef WI_WRITER_STATE_H
#define WI_WRITER_STATE_H

#include "writer.h"

typedef struct wi_writer_kind {
    /* Gets ready for batches of this schema, which differs from the last one's. */
    weir_status (*prepare)(wi_row_writer *writer, const wi_schema *schema, weir_error *err);

    /* The header; NULL: the format has none. Running out of memory shows in out. */
    void (*header)(wi_row_writer *writer, const wi_schema *schema, wi_buf *out);

    /* One row. Running out of memory shows in out. */
    weir_status (*row)(wi_row_writer *writer, const wi_batch *batch, size_t row, wi_buf *out,
                       weir_error *err);
} wi_writer_kind;

extern const wi_writer_kind wi_writer_csv;
extern const wi_writer_kind wi_writer_ndjson;

/* How one column is written: NDJSON has a plan per column of the batch, CSV per column of the
 * header. */
typedef struct wi_column_plan {
    size_t key_at; /* NDJSON: "name": in writer->keys */
    size_t key_len;
    bool optional;
    int column; /* in the batch; -1: the batch lacks it */
} wi_column_plan;

struct wi_row_writer {
    const wi_writer_kind *kind;
    bool terminal;
    wi_schema *schema; /* that plans were made for; NULL: none yet */
    wi_schema *header; /* that the header was written for; NULL: not yet */
    bool fixed;        /* only the header's columns are written */
    wi_buf optional;   /* names, each with its NUL */
    wi_buf plans;      /* wi_column_plan each */
    wi_buf keys;
    wi_buf strays; /* CSV: int each, columns of the batch that the header lacks */
    wi_buf scratch;
};

/* At most three decimals, and none that is not needed. Not for infinities and NaN. */
void wi_writer_put_double(wi_buf *out, double value);

#endif
