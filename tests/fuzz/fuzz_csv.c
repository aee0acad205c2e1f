/*
 * fuzz_csv.c: whatever is fed to the CSV and TSV readers, how it is cut makes no difference, and
 * rows written as CSV are read back with the same cells.
 */
#include "fuzz_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    wi_format format = data[0] & 1 ? WI_FORMAT_TSV : WI_FORMAT_CSV;
    size_t max_row = data[0] & 2 ? 1 << 20 : data[0] >> 2;
    size_t step = 1 + data[1] % 16;
    const char *text = (const char *)data + 2;
    reading whole = read_rows(format, max_row, text, size - 2, 0, WI_FORMAT_CSV);
    reading cut = read_rows(format, max_row, text, size - 2, step, WI_FORMAT_CSV);
    check_same(&whole.all, &cut.all);
    if (whole.written.len) {
        reading again = read_rows(WI_FORMAT_CSV, 1 << 24, whole.written.data, whole.written.len, 0,
                                  WI_FORMAT_CSV);
        check_same(&whole.cells, &again.cells);
        check_same(&whole.written, &again.written);
        reading_fini(&again);
    }
    reading_fini(&whole);
    reading_fini(&cut);
    return 0;
}
