/* buf.c: see buf.h. Its invariant: len <= cap, and cap <= max where there is a max. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wi_buf_init(wi_buf *buf, size_t max)
{
    *buf = (wi_buf){.max = max};
}

void wi_buf_fini(wi_buf *buf)
{
    free(buf->data);
    *buf = (wi_buf){.max = buf->max};
}

void wi_buf_clear(wi_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

bool wi_buf_reserve(wi_buf *buf, size_t extra)
{
    if (buf->failed)
        return false;
    if (extra <= buf->cap - buf->len)
        return true;
    size_t max = buf->max ? buf->max : SIZE_MAX / 2;
    if (extra > max - buf->len) {
        buf->failed = true;
        return false;
    }
    size_t cap = buf->cap < 32 ? 64 : buf->cap + buf->cap / 2;
    if (cap < buf->len + extra)
        cap = buf->len + extra;
    if (cap > max)
        cap = max;
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void wi_buf_printf(wi_buf *buf, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0 || !wi_buf_reserve(buf, (size_t)n + 1))
        return;
    va_start(ap, format);
    vsnprintf(buf->data + buf->len, (size_t)n + 1, format, ap);
    va_end(ap);
    buf->len += (size_t)n;
}

void wi_buf_put_i64(wi_buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        wi_buf_putc(buf, '-');
    wi_buf_append(buf, digits + at, sizeof digits - at);
}

const char *wi_buf_cstr(wi_buf *buf)
{
    if (!wi_buf_reserve(buf, 1))
        return NULL;
    buf->data[buf->len] = '\0';
    return buf->data;
}

char *wi_buf_take(wi_buf *buf, size_t *len)
{
    char *data = buf->failed ? NULL : buf->data;
    *len = data ? buf->len : 0;
    if (!data)
        free(buf->data);
    *buf = (wi_buf){.max = buf->max};
    return data;
}
