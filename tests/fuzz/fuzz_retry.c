/*
 * fuzz_retry.c: a Retry-After of any bytes is either no hint or a pause of at most a year, and a
 * set of reasons to retry is read or refused with a message. A set of exit codes is what slow
 * reading makes of it, code by code.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exit_set.h"
#include "retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* Does this word mean the code? -1: it is none. */
static int means(const char *word, size_t len, int code)
{
    unsigned from = 0, to = 0;
    size_t i = 0;
    if ((len == 3 && memcmp(word, "any", 3) == 0) || (len == 4 && memcmp(word, "none", 4) == 0))
        return 1;
    if ((len == 7 && memcmp(word, "timeout", 7) == 0) ||
        (len == 6 && memcmp(word, "signal", 6) == 0) || (len == 5 && memcmp(word, "start", 5) == 0))
        return 0;
    for (; i < len && word[i] >= '0' && word[i] <= '9' && from <= 999; i++)
        from = from * 10 + (unsigned)(word[i] - '0');
    to = from;
    if (i == 0 || (i < len && word[i] != '-'))
        return -1;
    if (i < len) {
        size_t begin = ++i;
        for (to = 0; i < len && word[i] >= '0' && word[i] <= '9' && to <= 999; i++)
            to = to * 10 + (unsigned)(word[i] - '0');
        if (i == begin)
            return -1;
    }
    if (i < len || from < 1 || to > 255 || from > to)
        return -1;
    return (unsigned)code >= from && (unsigned)code <= to;
}

/* -1: the text is no set. */
static int is_in(const char *text, int code)
{
    bool in = !*text || *text == '-';
    for (size_t len; *text; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        bool minus = *text == '-';
        const char *word = text + minus;
        int meant = means(word, len - minus, code);
        if (meant < 0)
            return -1;
        if (meant)
            in = !minus && !(len == 4 && memcmp(word, "none", 4) == 0);
    }
    return in;
}

static void check_exit_set(const char *text)
{
    wi_exit_set set;
    weir_error err = {0};
    weir_status status = wi_exit_set_parse(text, &set, &err);
    must(status == err.status && (status == WEIR_OK || err.text[0]));
    must((status == WEIR_OK) == (is_in(text, 1) >= 0));
    if (status != WEIR_OK)
        return;
    must(!wi_exit_set_has_code(&set, 0) && !wi_exit_set_has_code(&set, 256));
    for (int code = 1; code < 256; code++)
        must(wi_exit_set_has_code(&set, code) == is_in(text, code));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const time_t now = 1700000000; /* a day in November 2023 */
    const int64_t year = 366LL * 24 * 3600 * WI_SECOND;
    int64_t pause = wi_retry_after((const char *)data, size, now);
    must(pause == -1 || (pause > 0 && pause <= year));

    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    wi_retry_set set;
    weir_error err;
    memset(&set, 0x5a, sizeof set);
    memset(&err, 0, sizeof err);
    wi_retry_set before = set;
    weir_status status = wi_retry_set_parse(text, &set, &err);
    if (status != WEIR_OK)
        must(err.status == status && err.text[0] && memcmp(&before, &set, sizeof set) == 0);
    check_exit_set(text);
    free(text);
    return 0;
}
