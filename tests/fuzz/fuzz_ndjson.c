/*
 * fuzz_ndjson.c: whatever is fed to the NDJSON and line readers, how it is cut makes no difference;
 * what is written of it is JSON without control characters, and is read and written again the same.
 */
#include "fuzz_rows.h"
#include "json.h"

/* Every line is an object, and nothing in it could steer a terminal. */
static void check_lines(const wi_buf *written)
{
    const char *at = written->data;
    const char *end = at + written->len;
    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        CHECK(lf);
        CHECK(wi_json_check(at, (size_t)(lf - at)).type == WI_JSON_OBJECT);
        for (; at < lf; at++) {
            unsigned char c = (unsigned char)*at;
            CHECK(c >= 0x20 && c != 0x7F);
            CHECK(c != 0xC2 || (unsigned char)at[1] >= 0xA0);
        }
        at = lf + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    wi_format format = data[0] & 1 ? WI_FORMAT_LINES : WI_FORMAT_NDJSON;
    size_t max_row = data[0] & 2 ? 1 << 20 : data[0] >> 2;
    size_t step = 1 + data[1] % 16;
    const char *text = (const char *)data + 2;
    reading whole = read_rows(format, max_row, text, size - 2, 0, WI_FORMAT_NDJSON);
    reading cut = read_rows(format, max_row, text, size - 2, step, WI_FORMAT_NDJSON);
    check_same(&whole.all, &cut.all);
    if (whole.written.len) {
        check_lines(&whole.written);
        reading again = read_rows(WI_FORMAT_NDJSON, 1 << 24, whole.written.data, whole.written.len,
                                  0, WI_FORMAT_NDJSON);
        CHECK(!memmem(again.all.data, again.all.len, "in line ", 8) ||
              memmem(whole.all.data, whole.all.len, "in line ", 8) ||
              memmem(text, size - 2, "in line ", 8)); /* no new fault */
        check_same(&whole.written, &again.written);
        reading_fini(&again);
    }
    reading_fini(&whole);
    reading_fini(&cut);
    return 0;
}
