/*
 * text.c: see text.h. Its invariant: a UTF-8 character is accepted by utf8_length alone, so what is
 * valid is the same everywhere.
 */
#include "text.h"

#include <stdio.h>
#include <string.h>

#include "word.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

static bool is_continuation(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The length of the character that begins here, or 0: the table 3-7 of the Unicode standard. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4 || left < 2 || !is_continuation(at[1]))
        return 0;
    if (c < 0xE0)
        return 2;
    if ((c == 0xE0 && at[1] < 0xA0) || (c == 0xED && at[1] > 0x9F) || (c == 0xF0 && at[1] < 0x90) ||
        (c == 0xF4 && at[1] > 0x8F))
        return 0;
    if (left < 3 || !is_continuation(at[2]))
        return 0;
    if (c < 0xF0)
        return 3;
    return left >= 4 && is_continuation(at[3]) ? 4 : 0;
}

size_t wi_utf8_valid_prefix(const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if (len - at >= 8) {
            uint64_t high = wi_word_high(wi_word_load(bytes + at));
            if (!high) {
                at += 8;
                continue;
            }
            at += wi_word_first(high);
        }
        size_t n = utf8_length((const unsigned char *)bytes + at, len - at);
        if (!n)
            return at;
        at += n;
    }
    return len;
}

size_t wi_utf8_length(const char *bytes, size_t left)
{
    return utf8_length((const unsigned char *)bytes, left);
}

bool wi_text_is(const char *bytes, size_t len)
{
    return wi_utf8_valid_prefix(bytes, len) == len && !(len && memchr(bytes, '\0', len));
}

void wi_utf8_append_lossy(wi_buf *out, const char *bytes, size_t len)
{
    for (;;) {
        size_t valid = wi_utf8_valid_prefix(bytes, len);
        wi_buf_append(out, bytes, valid);
        if (valid == len)
            return;
        wi_buf_append(out, replacement, 3);
        bytes += valid + 1;
        len -= valid + 1;
    }
}

static uint32_t decode(const unsigned char *at, size_t n)
{
    uint32_t point = n == 1 ? at[0] : at[0] & (0x7FU >> n);
    for (size_t i = 1; i < n; i++)
        point = point << 6 | (at[i] & 0x3F);
    return point;
}

/* Would a terminal obey it, break the line at it, or turn the text after it around? */
static bool is_unprintable(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) ||
           (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

enum { PIECE_SIZE = 16 };

/* At least `least` digits; returns how many. */
static size_t put_hex(char *to, uint32_t value, size_t least)
{
    size_t n = least;
    while (value >> 4 * n)
        n++;
    for (size_t i = n; i > 0; value >>= 4)
        to[--i] = "0123456789ABCDEF"[value & 15];
    return n;
}

/* The printable form of what stands at `at`: its length; *used is what it stands for. */
static size_t printable_piece(char piece[PIECE_SIZE], const unsigned char *at, size_t left,
                              size_t *used)
{
    size_t n = utf8_length(at, left);
    *used = n ? n : 1;
    uint32_t point = n ? decode(at, n) : 0;
    if (n && !is_unprintable(point)) {
        memcpy(piece, at, n);
        return n;
    }
    const char *named = n && point ? strchr("\nn\rr\tt", (int)point) : NULL;
    *piece = '\\';
    if (n && point < 0x20 && named) {
        piece[1] = named[1];
        return 2;
    }
    if (n < 2) {
        piece[1] = 'x';
        return 2 + put_hex(piece + 2, at[0], 2);
    }
    memcpy(piece + 1, "u{", 2);
    size_t len = 3 + put_hex(piece + 3, point, 4);
    piece[len] = '}';
    return len + 1;
}

size_t wi_text_printable(char *dst, size_t size, const char *bytes, size_t len)
{
    if (!size)
        return 0;
    const unsigned char *at = (const unsigned char *)bytes;
    const unsigned char *end = at + len;
    size_t written = 0;
    size_t cut = 0; /* where a character ends and "..." still fits */
    while (at < end) {
        char piece[PIECE_SIZE];
        size_t used;
        size_t n = printable_piece(piece, at, (size_t)(end - at), &used);
        if (written + n >= size) {
            written = cut;
            size_t dots = size - 1 - written < 3 ? size - 1 - written : 3;
            memcpy(dst + written, "...", dots);
            written += dots;
            break;
        }
        memcpy(dst + written, piece, n);
        written += n;
        if (written + 3 < size)
            cut = written;
        at += used;
    }
    dst[written] = '\0';
    return written;
}

void wi_text_append_printable(wi_buf *out, const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    const unsigned char *end = at + len;
    while (at < end) {
        char piece[PIECE_SIZE];
        size_t used;
        size_t n = printable_piece(piece, at, (size_t)(end - at), &used);
        wi_buf_append(out, piece, n);
        at += used;
    }
}

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void wi_text_append_percent(wi_buf *out, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (is_unreserved(c)) {
            wi_buf_putc(out, (char)c);
        } else {
            char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
            wi_buf_append(out, escape, sizeof escape);
        }
    }
}

void wi_text_append_base64(wi_buf *out, const void *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = bytes;
    if (!len || !wi_buf_reserve(out, len / 3 * 4 + 4))
        return;
    char *to = out->data + out->len;
    size_t i = 0;
    for (; i + 2 < len; i += 3) {
        uint32_t three = (uint32_t)from[i] << 16 | (uint32_t)from[i + 1] << 8 | from[i + 2];
        *to++ = digits[three >> 18];
        *to++ = digits[three >> 12 & 63];
        *to++ = digits[three >> 6 & 63];
        *to++ = digits[three & 63];
    }
    if (i < len) {
        bool two = len - i == 2;
        uint32_t rest = (uint32_t)from[i] << 16 | (two ? (uint32_t)from[i + 1] << 8 : 0);
        *to++ = digits[rest >> 18];
        *to++ = digits[rest >> 12 & 63];
        *to++ = two ? digits[rest >> 6 & 63] : '=';
        *to++ = '=';
    }
    out->len = (size_t)(to - out->data);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool wi_text_same_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool wi_text_parse_i64(const char *text, size_t len, int64_t *value)
{
    int64_t sum = 0;
    if (!len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int digit = text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    *value = sum;
    return true;
}

bool wi_text_parse_range(const char *text, size_t len, int64_t least, int64_t most, int64_t *from,
                         int64_t *to)
{
    const char *dash = memchr(text, '-', len);
    size_t first = dash ? (size_t)(dash - text) : len;
    if (!wi_text_parse_i64(text, first, from))
        return false;
    *to = *from;
    if (dash && !wi_text_parse_i64(dash + 1, len - first - 1, to))
        return false;
    return *from >= least && *from <= *to && *to <= most;
}
