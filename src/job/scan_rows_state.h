/*
 * scan_rows_state.h: what the files behind scan_rows.h share. scan_shape.c knows the columns,
 * scan_rows.c makes rows of what was found, scan_record.c of records, scan_facts.c of what the
 * system tells of files. Private to them.
 */
#ifndef WI_SCAN_ROWS_STATE_H
#define WI_SCAN_ROWS_STATE_H

#include <pthread.h>

#include "buf.h"
#include "owners.h"
#include "scan_rows.h"
#include "writer.h"

/* The rows of every form begin with the path and end with these two. */
enum { WI_SCAN_PATH = 0, WI_SCAN_PATH_ENCODING_FROM_END = 2, WI_SCAN_ERROR_FROM_END = 1 };

/* Columns before those of a record. */
enum { WI_SCAN_RECORD_FIRST = 2 };

/* Rows of files that are done, which wait for a header. */
typedef struct wi_scan_waiting {
    wi_batch *rows; /* NULL: none do */
    wi_buf failed;  /* rows of the same files that go apart, and so wait with them */
    wi_buf done; /* a wi_portion_done each; its places are numbers of rows, and bytes in failed */
} wi_scan_waiting;

struct wi_scan_shape {
    wi_scan_shape_options options; /* without select */
    bool counts;                   /* rows are judged, but not written: COUNT and PATH */
    bool of_records;               /* what is judged, or written, are records */
    bool open;                     /* the columns are those that each file has */
    bool plain;                    /* lines are written without a batch */
    wi_schema *judged;             /* of the rows that --where is about; NULL: of records */
    wi_schema *columns;            /* all of the form's; NULL: of records */
    wi_schema *failure;            /* of the rows of failures */

    pthread_mutex_t lock;
    wi_schema *header; /* the columns that are written; NULL: open, and not known (yet) */
    char *header_path; /* the file that it is of, printable; NULL: none */
    wi_scan_waiting waiting;
};

/* Names that NDJSON leaves out where they are null. */
size_t wi_scan_form_optional(wi_scan_form form, const char *const **names);

/* Are rows written whose columns are not known before a file with a header was read? */
bool wi_scan_shape_waits(const wi_scan_shape *shape);

/* The header is that of this file, unless there is one already. What waited for it is the caller's
 * to write, unless `taken` is NULL: then it waits for the next. */
weir_status wi_scan_shape_fix_header(wi_scan_shape *shape, wi_schema *schema, const char *path,
                                     size_t len, wi_scan_waiting *taken, weir_error *err);

/* Puts the rows of a file that is done aside until there is a header, and what is to be told of it;
 * done may be NULL. False: there is one (or no memory: *status). */
bool wi_scan_shape_defer(wi_scan_shape *shape, const wi_batch *rows, const wi_portion_done *done,
                         const char *failed, weir_status *status, weir_error *err);

/* Writes it all to the end of the portion, of whose failed rows some are to stay behind it. */
weir_status wi_scan_waiting_write(const wi_scan_waiting *waiting, wi_row_writer *writer,
                                  bool limited, wi_portion *portion, size_t stay, weir_error *err);
void wi_scan_waiting_fini(wi_scan_waiting *waiting);

/* Appends all rows to *to, which is made if it is NULL. */
weir_status wi_scan_copy_rows(wi_batch **to, const wi_batch *from, weir_error *err);

/* So many rows of failures may wait: far more than a run has that is of any use. */
enum { WI_SCAN_MOST_WAITING = 100000 };

/* How a record's column is used. */
enum { WI_SCAN_JUDGED = 1, WI_SCAN_WRITTEN = 2, WI_SCAN_STRAY = 4 };

struct wi_scan_rows {
    wi_scan_shape *shape;
    wi_portion *portion;
    const char *path;
    size_t path_len;
    wi_cell_kind path_kind; /* WI_ABSENT: not looked at */
    wi_buf head, tail;      /* of plain lines of this file; empty: not made */

    wi_batch *batch; /* rows to be written; NULL: of records, and none has come */
    size_t pending;  /* bytes in it, about */
    wi_row_writer *writer;
    wi_batch *sieve; /* COUNT and PATH: what is judged; NULL as above */
    wi_filter *filter;
    wi_batch *failures; /* the row of one at a time */
    wi_row_writer *failure_writer;
    bool header_known; /* and both writers know it */
    wi_batch *waiting; /* rows of this file, since it is not; NULL: none */

    wi_portion_place begins; /* this file's rows, unless */
    size_t first_row;        /* they do so in the batch; 0: they do not */

    wi_schema *record; /* of the records that came last; NULL: none */
    wi_buf uses;       /* WI_SCAN_JUDGED and so on: a byte for each of its columns */
    bool has_strays;
    wi_buf scratch;
    wi_owners owners;
};

/* The path, into the row that is being put. */
void wi_scan_rows_put_path(wi_scan_rows *rows, wi_batch *batch);

/* Text, or bytes with their encoding in another column. */
void wi_scan_rows_put_text(wi_batch *batch, size_t column, size_t encoding, const char *bytes,
                           size_t len);

/* Is the row that is being put into this batch wanted? */
weir_status wi_scan_rows_judge(wi_scan_rows *rows, const wi_batch *batch, bool *keeps,
                               weir_error *err);

/* Ends the row that was put into rows->batch, of about so many bytes. */
weir_status wi_scan_rows_end(wi_scan_rows *rows, size_t bytes, weir_error *err);

/* The two in one: what --where does not keep is dropped. */
weir_status wi_scan_rows_finish(wi_scan_rows *rows, size_t bytes, bool *kept, weir_error *err);

/* What waits in the batch is in the portion. */
weir_status wi_scan_rows_render(wi_scan_rows *rows, weir_error *err);

/* A row of a failure; line 0: none; error NULL: it is none, but a record without columns, which a
 * CSV without a header has no place for. */
weir_status wi_scan_rows_fail(wi_scan_rows *rows, int64_t line, const char *error, weir_error *err);

/* Takes up the header if there is one by now, and writes what waited for it: first what was taken
 * over, which may be NULL, then of this file. */
weir_status wi_scan_rows_learn_header(wi_scan_rows *rows, const wi_scan_waiting *taken,
                                      weir_error *err);

/* Has no row of this file gone out? */
static inline bool wi_scan_rows_is_whole(const wi_scan_rows *rows)
{
    return rows->begins.failed_rows >= rows->portion->before.failed_rows;
}

/* Writes rows of other columns among the others. */
weir_status wi_scan_rows_write_past(wi_scan_rows *rows, const wi_batch *batch, weir_error *err);

#endif
