/*
 * scan_rows.h: the rows that files make: which columns they have, whether they are kept (--where),
 * what is left of them (--select), and their bytes in a portion.
 *
 * A wi_scan_shape is the job's and the same for all hands; a wi_scan_rows is one hand's. For each
 * file wi_scan_rows_begin comes first, then its rows. The plain case, lines as NDJSON with nothing
 * left out, is written straight into the portion; all others go through a batch and its writer.
 */
#ifndef WI_SCAN_ROWS_H
#define WI_SCAN_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "batch.h"
#include "error.h"
#include "expr.h"
#include "matcher.h"
#include "portion.h"
#include "reader.h"

/* Every form ends with path_encoding and error, which are left out here. */
typedef enum wi_scan_form {
    WI_SCAN_FORM_LINE,   /* path, line, text, text_encoding, the groups */
    WI_SCAN_FORM_RECORD, /* path, line, the record's columns */
    WI_SCAN_FORM_WHOLE,  /* path, size, content, content_encoding */
    WI_SCAN_FORM_STAT,   /* path, type, size, mtime, mode, owner, group, links, inode */
    WI_SCAN_FORM_HASH,   /* path, size, hash; with stat: hash after size */
    WI_SCAN_FORM_COUNT,  /* path, count */
    WI_SCAN_FORM_PATH,   /* path */
} wi_scan_form;

typedef struct wi_scan_shape_options {
    wi_scan_form form;
    wi_scan_form sifted; /* COUNT, PATH: what is counted and what --where is about: LINE, RECORD */
    bool with_hash;      /* STAT */
    wi_format format;    /* of the output: NDJSON or CSV */
    wi_format errors_format; /* of the output of failed rows */
    bool errors_apart;       /* there is one */
    bool terminal; /* control characters are shown, not sent (the output is a terminal, CSV) */
    const wi_matcher *matcher; /* for the groups; NULL: none. Borrowed, as is where */
    const wi_expr *where;      /* NULL: all rows are kept */
    const wi_name *select;     /* none: all columns; copied */
    size_t select_len;
    bool limited; /* row_ends of portions are wanted */
} wi_scan_shape_options;

typedef struct wi_scan_shape wi_scan_shape;

/* WEIR_INVALID: --where or --select is about a column that is not there, where that is known
 * beforehand (not of records); a group is called like a column. */
weir_status wi_scan_shape_new(const wi_scan_shape_options *options, wi_scan_shape **out,
                              weir_error *err);
void wi_scan_shape_free(wi_scan_shape *shape); /* NULL is fine */

/* The header of CSV: known from the beginning, or, for records without --select, once the first
 * file with a header was read, whose columns count for all. Borrowed; NULL: not known yet. Any
 * thread. */
wi_schema *wi_scan_shape_header(wi_scan_shape *shape);

/* The header of the output of failed rows. */
wi_schema *wi_scan_shape_failure_header(const wi_scan_shape *shape);

/*
 * Failures of files that came before any with a header have no place in a CSV of records: they wait
 * for it and then go into the portion of the hand that found it. This writes those for which none
 * was found: when all hands have ended, before the header is asked for the last time. Mostly there
 * is nothing.
 */
weir_status wi_scan_shape_rest(wi_scan_shape *shape, wi_portion *portion, weir_error *err);

/* The header is this one, of the rows that an earlier run has left. Before any rows. */
weir_status wi_scan_shape_continue(wi_scan_shape *shape, const char *line, size_t len,
                                   weir_error *err);

typedef struct wi_scan_rows wi_scan_rows;

weir_status wi_scan_rows_new(wi_scan_shape *shape, wi_scan_rows **out, weir_error *err);
void wi_scan_rows_free(wi_scan_rows *rows); /* NULL is fine */

/* A file: its path, any bytes but NUL, and where its rows go. Both stay until the next begin. */
void wi_scan_rows_begin(wi_scan_rows *rows, const char *path, size_t len, wi_portion *portion);

/*
 * A row each. *kept says whether --where keeps it (may be NULL). In the forms COUNT and PATH lines
 * and records are only judged, for *kept, and not written. Rows may wait in a batch until
 * wi_scan_rows_settle. WEIR_NOMEM only, but for records.
 */
weir_status wi_scan_rows_line(wi_scan_rows *rows, int64_t line, const char *text, size_t len,
                              const wi_span *groups, bool *kept, weir_error *err);
/* All rows of a batch that a reader made of this file. *kept: how many. A record that is faulty, or
 * has a value for which a CSV's header has no column, is a row with path, line and error, and is
 * not kept: *faults. WEIR_TOOLARGE: the file has too many columns. */
weir_status wi_scan_rows_records(wi_scan_rows *rows, const wi_batch *batch, int64_t *kept,
                                 int64_t *faults, weir_error *err);
/* The columns of a file of records, for a header even if no row follows. */
weir_status wi_scan_rows_columns(wi_scan_rows *rows, wi_schema *record, weir_error *err);
weir_status wi_scan_rows_whole(wi_scan_rows *rows, const char *bytes, size_t len, bool *kept,
                               weir_error *err);
weir_status wi_scan_rows_stat(wi_scan_rows *rows, const struct stat *st, const char *hash,
                              bool *kept, weir_error *err);
weir_status wi_scan_rows_hash(wi_scan_rows *rows, int64_t size, const char *hash, bool *kept,
                              weir_error *err);
weir_status wi_scan_rows_count(wi_scan_rows *rows, int64_t count, weir_error *err);
weir_status wi_scan_rows_path(wi_scan_rows *rows, weir_error *err);

/* A row with path and error, always kept, to the output of failed rows if there is one. */
weir_status wi_scan_rows_failure(wi_scan_rows *rows, const char *error, weir_error *err);

/* The file is at its end, with all of its rows, or it was cut short: then they are taken back if a
 * journal is kept, and else as they are. One of these before the next begin. */
weir_status wi_scan_rows_done(wi_scan_rows *rows, bool failed, weir_error *err);
weir_status wi_scan_rows_cut(wi_scan_rows *rows, weir_error *err);

/* Everything put so far is in the portion, rendered. To be called before the portion is flushed or
 * ended, and before begin is given another portion. */
weir_status wi_scan_rows_settle(wi_scan_rows *rows, weir_error *err);

#endif
