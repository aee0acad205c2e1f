/*
 * json_text.c: text as the inside of JSON strings; see json.h. Its invariant: what it appends has
 * no control character, neither C0 nor DEL nor C1, whatever the text holds.
 */
#include <stdint.h>
#include <string.h>

#include "json.h"
#include "text.h"
#include "word.h"

typedef signed char block __attribute__((vector_size(16)));

enum { BLOCK = sizeof(block) };

/* The place of the first byte that is not a plain character of ASCII, or is a quote or a backslash;
 * BLOCK: there is none. As signed numbers, bytes from 0x80 on are below 0x20, too. */
static inline size_t first_special(block bytes)
{
    block special = (bytes < 0x20) | (bytes == '"') | (bytes == '\\') | (bytes == 0x7F);
    char masks[BLOCK];
    memcpy(masks, &special, BLOCK);
    uint64_t low = wi_word_load(masks);
    uint64_t high = wi_word_load(masks + BLOCK / 2);
    if (low)
        return wi_word_first(low);
    return high ? BLOCK / 2 + wi_word_first(high) : BLOCK;
}

/* Copies up to the first special byte; returns how many bytes. There is room for all. */
static size_t copy_plain(char *to, const char *from, size_t len)
{
    block bytes;
    size_t at = 0;
    for (; len - at >= BLOCK; at += BLOCK) {
        memcpy(&bytes, from + at, BLOCK);
        memcpy(to + at, &bytes, BLOCK);
        size_t plain = first_special(bytes);
        if (plain < BLOCK)
            return at + plain;
    }
    if (at == len)
        return len;
    if (at) { /* a whole block once more: what it begins with was plain */
        memcpy(&bytes, from + len - BLOCK, BLOCK);
        memcpy(to + len - BLOCK, &bytes, BLOCK);
        return len - BLOCK + first_special(bytes);
    }
    memset(&bytes, ' ', BLOCK);
    memcpy(&bytes, from, len);
    memcpy(to, &bytes, len);
    size_t plain = first_special(bytes);
    return plain < len ? plain : len;
}

static void append_escape(wi_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char letter = c < sizeof letters ? letters[c] : c < 0x7F ? (char)c : '\0';
    if (letter) {
        char escape[2] = {'\\', letter};
        wi_buf_append(out, escape, sizeof escape);
    } else {
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        wi_buf_append(out, escape, sizeof escape);
    }
}

static bool is_c1(const char *at, const char *end)
{
    return end - at >= 2 && (unsigned char)at[0] == 0xC2 && (at[1] & 0xE0) == 0x80;
}

/* How many bytes from here on are characters beyond ASCII that may stand as they are. */
static size_t beyond_ascii(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && (unsigned char)*at >= 0x80 && !is_c1(at, end)) {
        size_t n = wi_utf8_length(at, (size_t)(end - at));
        if (!n)
            break;
        at += n;
    }
    return (size_t)(at - from);
}

/* Appends what begins with a special byte, and returns how many bytes that is; 0: not text. */
static size_t append_special(wi_buf *out, const char *at, const char *end, bool strict)
{
    unsigned char c = (unsigned char)*at;
    if (c < 0x80) {
        if (!c && strict)
            return 0;
        append_escape(out, c);
        return 1;
    }
    size_t n = beyond_ascii(at, end);
    if (!n && is_c1(at, end)) {
        append_escape(out, (unsigned char)at[1]);
        return 2;
    }
    if (!n && !strict)
        n = 1;
    wi_buf_append(out, at, n);
    return n;
}

/* strict: what is not text leaves out as it was, and false is returned. */
static inline bool append_text(wi_buf *out, const char *at, size_t len, bool strict)
{
    const char *end = at + len;
    size_t mark = out->len;
    while (at < end) {
        size_t left = (size_t)(end - at);
        if ((out->failed || left > out->cap - out->len) && !wi_buf_reserve(out, left))
            return true;
        size_t plain = copy_plain(out->data + out->len, at, left);
        out->len += plain;
        at += plain;
        if (at == end)
            break;
        size_t used = append_special(out, at, end, strict);
        if (!used) {
            out->len = mark;
            return false;
        }
        at += used;
    }
    return true;
}

void wi_json_append_escaped(wi_buf *out, const char *text, size_t len)
{
    if (len) /* else text may be NULL */
        append_text(out, text, len, false);
}

bool wi_json_append_text(wi_buf *out, const char *bytes, size_t len)
{
    return !len || append_text(out, bytes, len, true);
}

void wi_json_append_string(wi_buf *out, const char *text, size_t len)
{
    wi_buf_putc(out, '"');
    wi_json_append_escaped(out, text, len);
    wi_buf_putc(out, '"');
}

void wi_json_append_tame(wi_buf *out, const char *text, size_t len)
{
    if (!len)
        return; /* text may be NULL */
    const char *end = text + len;
    const char *from = text;
    while (text < end) {
        if (end - text >= 8) {
            uint64_t word = wi_word_load(text);
            uint64_t stop = wi_word_equal(word, 0x7F) | wi_word_equal(word, 0xC2);
            if (!stop) {
                text += 8;
                continue;
            }
            text += wi_word_first(stop);
        }
        if (*text == 0x7F || is_c1(text, end)) {
            bool two = *text != 0x7F;
            wi_buf_append(out, from, (size_t)(text - from));
            append_escape(out, (unsigned char)text[two]);
            text = from = text + 1 + two;
        } else {
            text++;
        }
    }
    wi_buf_append(out, from, (size_t)(end - from));
}
