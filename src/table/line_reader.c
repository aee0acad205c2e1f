/* line_reader.c: plain lines, one column. Its invariant: an empty line is no row. */
#include "reader_state.h"

static weir_status take(wi_reader *reader, const char *row, size_t len, weir_error *err)
{
    if (!len)
        return WEIR_OK;
    if (!wi_reader_clean(reader, &row, &len))
        return wi_fail_nomem(err);
    weir_status status = wi_reader_begin_row(reader, err);
    if (status)
        return status;
    wi_batch_put(reader->batch, 0, WI_STRING, row, len);
    return wi_reader_end_row(reader, err);
}

const wi_reader_kind wi_reader_lines = {.find_end = wi_reader_find_lf, .take = take};
