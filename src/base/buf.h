/*
 * buf.h: a growing byte buffer with a cap and a sticky failure.
 *
 * Appending never returns an error: the first append that would pass the cap or finds no memory
 * sets `failed`, and from then on every append does nothing. A formatter so appends freely and asks
 * once, at its end. `data` is not terminated unless wi_buf_cstr is called. Not thread-safe.
 */
#ifndef WI_BUF_H
#define WI_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct wi_buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max; /* 0: no cap but the address space */
    bool failed;
} wi_buf;

#define WI_BUF_INIT \
    {               \
        0           \
    }

void wi_buf_init(wi_buf *buf, size_t max);
void wi_buf_fini(wi_buf *buf);

/* Forgets content and failure, keeps the storage. */
void wi_buf_clear(wi_buf *buf);

/* Room for `extra` more bytes at data + len; false (and failed) if there is none. */
bool wi_buf_reserve(wi_buf *buf, size_t extra);

static inline void wi_buf_append(wi_buf *buf, const void *bytes, size_t len)
{
    if (len && ((len <= buf->cap - buf->len && !buf->failed) || wi_buf_reserve(buf, len))) {
        memcpy(buf->data + buf->len, bytes, len);
        buf->len += len;
    }
}

static inline void wi_buf_putc(wi_buf *buf, char c)
{
    if ((buf->len < buf->cap && !buf->failed) || wi_buf_reserve(buf, 1))
        buf->data[buf->len++] = c;
}

static inline void wi_buf_puts(wi_buf *buf, const char *text)
{
    wi_buf_append(buf, text, strlen(text));
}

void wi_buf_printf(wi_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Decimal digits, without printf's price. */
void wi_buf_put_i64(wi_buf *buf, int64_t value);

/* The content as a C string, owned by the buffer and valid until it changes; NULL if failed. */
const char *wi_buf_cstr(wi_buf *buf);

/* Gives the storage away (free() it) and leaves the buffer empty; NULL when empty or failed. */
char *wi_buf_take(wi_buf *buf, size_t *len);

#endif
