/*
 * mock_text.c: growing bytes, and the few encodings the mock writes. Its invariant: len <= cap <=
 * MOCK_TEXT_MAX, and once `failed` is set nothing is added any more.
 */
#include "mock_text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mock_text_fini(mock_text *text)
{
    free(text->bytes);
    *text = (mock_text){0};
}

static bool reserve(mock_text *text, size_t more)
{
    if (text->failed)
        return false;
    if (more <= text->cap - text->len)
        return true;
    size_t cap = text->cap ? text->cap : 512;
    while (cap - text->len < more && cap <= MOCK_TEXT_MAX)
        cap *= 2;
    char *bytes = cap <= MOCK_TEXT_MAX ? realloc(text->bytes, cap) : NULL;
    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->cap = cap;
    return true;
}

void mock_text_add(mock_text *text, const void *bytes, size_t len)
{
    if (len && reserve(text, len)) {
        memcpy(text->bytes + text->len, bytes, len);
        text->len += len;
    }
}

void mock_text_add_str(mock_text *text, const char *str)
{
    mock_text_add(text, str, strlen(str));
}

void mock_text_addf(mock_text *text, const char *format, ...)
{
    /* Mostly it fits at once, and is formatted once. */
    for (size_t need = 256; reserve(text, need);) {
        size_t room = text->cap - text->len;
        va_list ap;
        va_start(ap, format);
        int n = vsnprintf(text->bytes + text->len, room, format, ap);
        va_end(ap);
        if (n < 0) {
            text->failed = true;
        } else if ((size_t)n < room) {
            text->len += (size_t)n;
            return;
        }
        need = (size_t)n + 1;
    }
}

size_t mock_utf8_len(const char *bytes, size_t len)
{
    const unsigned char *s = (const unsigned char *)bytes;
    if (len == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

bool mock_is_utf8(const char *bytes, size_t len)
{
    for (size_t i = 0, n; i < len; i += n)
        if ((n = mock_utf8_len(bytes + i, len - i)) == 0)
            return false;
    return true;
}

static void add_json_char(mock_text *text, const char *bytes, size_t n)
{
    unsigned char c = (unsigned char)bytes[0];
    if (n == 0)
        mock_text_add_str(text, "\\ufffd");
    else if (c == '"' || c == '\\')
        mock_text_addf(text, "\\%c", c);
    else if (c == '\n')
        mock_text_add_str(text, "\\n");
    else if (c < 0x20 || c == 0x7f)
        mock_text_addf(text, "\\u%04x", c);
    else
        mock_text_add(text, bytes, n);
}

void mock_text_add_json(mock_text *text, const char *bytes, size_t len)
{
    mock_text_add_str(text, "\"");
    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = mock_utf8_len(bytes + i, len - i);
        add_json_char(text, bytes + i, n);
    }
    mock_text_add_str(text, "\"");
}

void mock_text_add_base64(mock_text *text, const char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (i + k < len ? (unsigned char)bytes[i + k] : 0u);
        char quad[4] = {
            digits[group >> 18],
            digits[group >> 12 & 63],
            i + 1 < len ? digits[group >> 6 & 63] : '=',
            i + 2 < len ? digits[group & 63] : '=',
        };
        mock_text_add(text, quad, sizeof quad);
    }
}

void mock_text_add_printable(mock_text *text, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            mock_text_add(text, bytes + i, 1);
        else
            mock_text_addf(text, "\\x%02x", c);
    }
}

bool mock_number(const char *str, unsigned long long max, unsigned long long *out)
{
    unsigned long long value = 0;
    if (!str || !*str)
        return false;
    for (; *str; str++) {
        unsigned digit = (unsigned)*str - '0';
        if (digit > 9 || value > (max - digit) / 10 || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
