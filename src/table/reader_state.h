/*
 * reader_state.h: what the formats behind reader.h share. reader.c cuts the input into rows; a
 * format says where a row ends and takes it apart. Private to the reader's own files.
 */
#ifndef WI_READER_STATE_H
#define WI_READER_STATE_H

#include "buf.h"
#include "reader.h"

typedef struct wi_reader_kind {
    /*
     * Does the row end within the first `window` bytes? Then *len is what stands before its LF.
     * Called again with a larger window as more arrives; reader->scanned, 0 for a new row, and
     * reader->state are its own to remember how far it came.
     */
    bool (*find_end)(wi_reader *reader, const char *row, size_t window, size_t *len);

    /* Takes a row without its line end: as a header, as a row of the batch, or not at all. */
    weir_status (*take)(wi_reader *reader, const char *row, size_t len, weir_error *err);
} wi_reader_kind;

extern const wi_reader_kind wi_reader_csv;
extern const wi_reader_kind wi_reader_tsv;
extern const wi_reader_kind wi_reader_ndjson;
extern const wi_reader_kind wi_reader_lines;

struct wi_reader {
    const wi_reader_kind *kind;
    char *name;
    size_t max_row;
    wi_schema *schema; /* NULL: the header has yet to come */
    wi_batch *batch;   /* the rows taken since the last wi_reader_next; may be NULL */

    wi_buf pending; /* what was fed; from `at` on it has not been taken yet */
    size_t at;
    bool begun;    /* the place of a byte order mark has been passed */
    bool ended;    /* nothing more will be fed */
    bool skipping; /* in the rest of a row that was too long */
    int64_t line;  /* of the row at `at` */

    size_t scanned;
    int state;
    int64_t breaks; /* line ends inside the row, counted by find_end */

    bool faulty; /* the row being taken has a fault: the first one counts */
    char fault[WEIR_ERROR_TEXT_SIZE];
    const char *row; /* that is being taken */
    size_t row_len;
    wi_buf clean;   /* the row with U+FFFD for what is not UTF-8 */
    wi_buf scratch; /* for the format */
};

/* Up to the next LF. */
bool wi_reader_find_lf(wi_reader *reader, const char *row, size_t window, size_t *len);

/* Notes that the row has a fault, at a place inside it (NULL: all of it is meant). */
void wi_reader_fault(wi_reader *reader, const char *row, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Faults NUL bytes and what is not UTF-8; afterwards *row is UTF-8. False: no memory. */
bool wi_reader_clean(wi_reader *reader, const char **row, size_t *len);

/* Rows of the batch: begin, put, end. */
weir_status wi_reader_begin_row(wi_reader *reader, weir_error *err);
weir_status wi_reader_end_row(wi_reader *reader, weir_error *err);

#endif
