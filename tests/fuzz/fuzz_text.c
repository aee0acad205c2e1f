/*
 * fuzz_text.c: any bytes become what text.h promises: valid UTF-8, one printable line, and
 * encodings that decode to the same bytes.
 */
#include "fuzz.h"
#include "text.h"

static void check_lossy(const char *bytes, size_t len)
{
    wi_buf out = WI_BUF_INIT;
    size_t valid = wi_utf8_valid_prefix(bytes, len);
    CHECK(valid <= len);
    CHECK(wi_utf8_valid_prefix(bytes, valid) == valid);
    wi_utf8_append_lossy(&out, bytes, len);
    CHECK(wi_utf8_valid_prefix(out.data, out.len) == out.len);
    CHECK(out.len >= len && (valid < len) == (out.len > len));
    CHECK(!valid || memcmp(out.data, bytes, valid) == 0);
    wi_buf_fini(&out);
}

static void check_printable(const char *bytes, size_t len, size_t size)
{
    char *text = malloc(size ? size : 1);
    CHECK(text);
    size_t n = wi_text_printable(text, size, bytes, len);
    if (size) {
        CHECK(n < size && strlen(text) == n);
        CHECK(wi_utf8_valid_prefix(text, n) == n);
        for (size_t i = 0; i < n; i++) {
            unsigned char c = (unsigned char)text[i];
            CHECK(c >= 0x20 && c != 0x7F && (c != 0xC2 || (unsigned char)text[i + 1] >= 0xA0));
        }
    }
    free(text);
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

static void check_percent(const char *bytes, size_t len)
{
    wi_buf out = WI_BUF_INIT;
    size_t n = 0;
    wi_text_append_percent(&out, bytes, len);
    for (size_t i = 0; i < out.len; i++, n++) {
        char c = out.data[i];
        if (c == '%') {
            c = (char)(hex(out.data[i + 1]) << 4 | hex(out.data[i + 2]));
            i += 2;
        }
        CHECK(n < len && c == bytes[n]);
    }
    CHECK(n == len);
    wi_buf_fini(&out);
}

static void check_base64(const char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    wi_buf out = WI_BUF_INIT;
    size_t n = 0;
    uint32_t bits = 0;
    wi_text_append_base64(&out, bytes, len);
    CHECK(out.len == (len + 2) / 3 * 4);
    for (size_t i = 0; i < out.len && out.data[i] != '='; i++) {
        const char *digit = strchr(digits, out.data[i]);
        CHECK(digit);
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4) {
            CHECK(n < len && (char)(bits >> (6 - 2 * (i % 4))) == bytes[n]);
            n++;
        }
    }
    CHECK(n == len);
    wi_buf_fini(&out);
}

static void check_number(const char *bytes, size_t len)
{
    int64_t value;
    if (!wi_text_parse_i64(bytes, len, &value))
        return;
    wi_buf out = WI_BUF_INIT;
    wi_buf_put_i64(&out, value);
    while (len > 1 && *bytes == '0') {
        bytes++;
        len--;
    }
    CHECK(value >= 0 && out.len == len && memcmp(out.data, bytes, len) == 0);
    wi_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    check_lossy(bytes, size);
    check_printable(bytes, size, size ? data[0] % 64 : 0);
    check_printable(bytes, size, size * 8 + 1);
    check_percent(bytes, size);
    check_base64(bytes, size);
    check_number(bytes, size);
    return 0;
}
