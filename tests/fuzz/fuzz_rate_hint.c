/*
 * fuzz_rate_hint.c: whatever fields an answer has, what is made of them is in bounds: not negative,
 * at most a year, and nothing at all of a field of another name. One field a line, as in HTTP.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "rate_hint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void feed(wi_rate_hint *hint, const char *line, size_t len)
{
    const time_t now = 1700000000;
    const int64_t year = 365LL * 24 * 3600 * WI_SECOND;
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    wi_rate_hint before = *hint;
    bool ours = wi_rate_hint_header(hint, line, name_len, value, (size_t)(line + len - value), now);
    must(ours || (before.has_remaining == hint->has_remaining && before.limit == hint->limit &&
                  before.remaining == hint->remaining && before.reset == hint->reset));
    must(hint->remaining >= 0 && hint->limit >= 0);
    must(hint->reset >= 0 && hint->reset <= year);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wi_rate_hint hint = {0};
    const char *at = (const char *)data;
    const char *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        /* in a block of its own, so that a read beyond it is found */
        size_t len = (size_t)(stop - at);
        char *line = malloc(len ? len : 1);
        if (!line)
            return 0;
        memcpy(line, at, len);
        feed(&hint, line, len);
        free(line);
        at = newline ? newline + 1 : end;
    }
    return 0;
}
