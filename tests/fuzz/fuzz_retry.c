/*
 * fuzz_retry.c: a Retry-After of any bytes is either no hint or a pause of at most a year, and a
 * set of reasons to retry is read or refused with a message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
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
    free(text);
    return 0;
}
