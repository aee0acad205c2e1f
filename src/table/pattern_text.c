/* pattern_text.c: patterns as texts, for smart case and for texts that are to be matched as they
 * are; see pattern.h. */
#include <string.h>

#include "pattern.h"

static bool is_punctuation(unsigned char c)
{
    return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
           !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static size_t skip_until(const char *text, size_t len, size_t at, char stop)
{
    const char *found = at < len ? memchr(text + at, stop, len - at) : NULL;
    return found ? (size_t)(found - text) + 1 : at;
}

void wi_pattern_letters(const char *text, size_t len, wi_buf *out)
{
    size_t i = 0;
    while (i < len) {
        if (text[i] == '\\') {
            bool named = i + 2 < len && text[i + 2] == '{' && memchr("pPxogkN", text[i + 1], 7);
            i = named ? skip_until(text, len, i, '}') : i + 2;
        } else if (text[i] == '(' && i + 2 < len && text[i + 1] == '?') {
            bool named = text[i + 2] == '<' || text[i + 2] == 'P';
            bool looks = i + 3 < len && (text[i + 3] == '=' || text[i + 3] == '!');
            i = named && !looks ? skip_until(text, len, i, '>') : i + 3;
        } else {
            wi_buf_putc(out, text[i++]);
        }
    }
}

void wi_pattern_quote(const char *text, size_t len, wi_buf *out)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (is_punctuation(c))
            wi_buf_putc(out, '\\');
        wi_buf_putc(out, (char)c);
    }
}
