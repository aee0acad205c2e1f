/*
 * fuzz_reader.c: whatever the bytes and however they are cut, a reader gives the same rows, and
 * each cell is what its kind promises.
 *
 * The first byte chooses the format, the second the size of the pieces that the rest is fed in.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "buf.h"
#include "json.h"
#include "reader.h"
#include "text.h"

enum { MAX_ROW = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void note_cell(wi_buf *notes, const wi_cell *cell)
{
    if (cell->kind == WI_STRING)
        must(wi_utf8_valid_prefix(cell->bytes, cell->len) == cell->len);
    if (cell->kind == WI_JSON)
        must(!wi_json_check(cell->bytes, cell->len).has_space &&
             wi_json_check(cell->bytes, cell->len).type != WI_JSON_INVALID);
    wi_buf_put_i64(notes, cell->kind);
    if (cell->kind == WI_STRING || cell->kind == WI_JSON || cell->kind == WI_BINARY)
        wi_buf_append(notes, cell->bytes, cell->len);
    wi_buf_putc(notes, ',');
}

static void note_batch(wi_buf *notes, const wi_batch *batch)
{
    size_t columns = wi_schema_columns(wi_batch_schema(batch));
    for (size_t row = 0; row < wi_batch_rows(batch); row++) {
        wi_buf_put_i64(notes, wi_batch_line(batch, row));
        const char *fault = wi_batch_fault(batch, row);
        if (fault)
            wi_buf_puts(notes, fault);
        for (size_t column = 0; column < columns; column++) {
            wi_cell cell = wi_batch_cell(batch, row, column);
            if (cell.kind != WI_ABSENT) {
                wi_buf_put_i64(notes, (int64_t)column);
                note_cell(notes, &cell);
            }
        }
        wi_buf_putc(notes, '\n');
    }
}

static weir_status take_rows(wi_reader *reader, wi_buf *notes)
{
    for (;;) {
        wi_batch *batch = NULL;
        weir_status status = wi_reader_next(reader, 16, &batch, NULL);
        if (status != WEIR_OK || !batch)
            return status;
        must(wi_batch_rows(batch) > 0 && wi_batch_rows(batch) <= 16);
        note_batch(notes, batch);
        wi_batch_unref(batch);
    }
}

/* All rows as text, and how reading ended. */
static weir_status read_all(wi_format format, const char *bytes, size_t len, size_t piece,
                            wi_buf *notes)
{
    wi_reader *reader = NULL;
    must(wi_reader_new(format, "fuzz", MAX_ROW, &reader, NULL) == WEIR_OK);
    weir_status status = WEIR_OK;
    bool more = true;
    while (status == WEIR_OK && more) {
        size_t n = piece < len ? piece : len;
        more = n > 0;
        status = wi_reader_feed(reader, bytes, n, NULL);
        if (status == WEIR_OK)
            status = take_rows(reader, notes);
        bytes += n;
        len -= n;
    }
    wi_reader_free(reader);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    wi_format format = WI_FORMAT_CSV + data[0] % (WI_FORMAT_LINES - WI_FORMAT_CSV + 1);
    size_t piece = (size_t)data[1] + 1;
    const char *bytes = (const char *)data + 2;
    wi_buf whole = WI_BUF_INIT, pieces = WI_BUF_INIT;
    weir_status one = read_all(format, bytes, size - 2, SIZE_MAX, &whole);
    weir_status other = read_all(format, bytes, size - 2, piece, &pieces);
    must(one == other);
    must(one != WEIR_OK || (whole.len == pieces.len &&
                            (!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0)));
    wi_buf_fini(&pieces);
    wi_buf_fini(&whole);
    return 0;
}
