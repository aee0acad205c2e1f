/*
 * reader.h: bytes in, batches of rows out: CSV (RFC 4180), TSV, NDJSON and plain lines.
 *
 * A push parser: it never reads anything itself, so it can wait for an endless pipe or be fuzzed.
 * What is wrong with one row (ragged fields, invalid UTF-8 or JSON, NUL bytes, too long) becomes
 * that row's fault (wi_batch_fault), with its line and column, and reading goes on; what makes all
 * rows meaningless (no usable header) fails the call. Not thread-safe.
 *
 * A UTF-8 byte order mark is passed over; CR LF and LF end rows. A faulty row keeps the cells that
 * can be told apart, with U+FFFD for each byte that is not UTF-8.
 *
 * CSV and TSV: the first row that is not empty is the header; a column without a name gets one by
 * its place ("column_3"); quoted fields may hold line ends; cells are WI_STRING. A quote inside an
 * unquoted field stands for itself. TSV has no quoting; \t \n \r \\ are its escapes. An entirely
 * empty line is skipped, except under a header of one column, where it is an empty field. NDJSON:
 * every line is one object; its members are WI_JSON cells (strings too: with their quotes, so
 * WI_STRING never occurs; null is WI_NULL; of two equal keys the later counts); blank lines are
 * skipped; new keys extend the schema. Lines: one WI_STRING column named "line"; empty lines are
 * skipped.
 */
#ifndef WI_READER_H
#define WI_READER_H

#include "batch.h"
#include "error.h"

typedef enum wi_format {
    WI_FORMAT_AUTO = 0,
    WI_FORMAT_CSV,
    WI_FORMAT_TSV,
    WI_FORMAT_NDJSON,
    WI_FORMAT_LINES,
} wi_format;

/* By the file's suffix, with .gz, .zst, .xz and .bz2 passed over: csv, tsv, ndjson/jsonl/json; else
 * lines. */
wi_format wi_format_of_path(const char *path);

typedef struct wi_reader wi_reader;

/* `name` stands in messages ("ids.csv"). A row longer than max_row bytes is a faulty row. */
weir_status wi_reader_new(wi_format format, const char *name, size_t max_row, wi_reader **out,
                          weir_error *err);
void wi_reader_free(wi_reader *reader);

/* Gives the next bytes (copied); none (len 0) says that the input has ended. */
weir_status wi_reader_feed(wi_reader *reader, const char *bytes, size_t len, weir_error *err);

/* The columns known so far: NULL before a CSV or TSV header has been read by wi_reader_next, which
 * reads it even when no row follows. Borrowed; for the whole life of a reader only NDJSON's grows.
 */
wi_schema *wi_reader_schema(const wi_reader *reader);

/* What it takes for rows that are not whole yet. */
size_t wi_reader_bytes(const wi_reader *reader);

/*
 * Up to max_rows of the rows that are complete, as a new batch that the caller owns; *out is NULL
 * when no whole row is there. Memory is bounded by what was fed plus one row. After WEIR_NOMEM it
 * may be called again: no row is lost.
 */
weir_status wi_reader_next(wi_reader *reader, size_t max_rows, wi_batch **out, weir_error *err);

#endif
