/*
 * scan_list.h: the paths that a list names (-i), one after the other as they are asked for.
 *
 * Plain lines and paths that end with NUL bytes are any bytes; of CSV, TSV and NDJSON it is the
 * column "path". Blocks while the list is a pipe that gives nothing, until interrupted. One thread
 * at a time.
 */
#ifndef WI_SCAN_LIST_H
#define WI_SCAN_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "error.h"
#include "reader.h"

typedef struct wi_scan_list wi_scan_list;

typedef struct wi_scan_list_options {
    const char *input; /* a path, or "-" */
    wi_format format;
    bool nul; /* paths end with NUL bytes; format is WI_FORMAT_LINES */
    size_t max_row;
} wi_scan_list_options;

weir_status wi_scan_list_open(const wi_scan_list_options *options, wi_scan_list **out,
                              weir_error *err);
void wi_scan_list_close(wi_scan_list *list); /* NULL is fine */

/* Appends the next path. WEIR_END: no more. WEIR_NOTFOUND: a row of a table has none, or is faulty;
 * the text says where, the list's name is appended, and the next call goes on behind that row. What
 * it returns else is the end: the list cannot be read, or is none. */
weir_status wi_scan_list_next(wi_scan_list *list, wi_buf *path, weir_error *err);

/* Any thread: a call that waits, and all later ones, end with WEIR_CANCELLED. */
void wi_scan_list_interrupt(wi_scan_list *list);

#endif
