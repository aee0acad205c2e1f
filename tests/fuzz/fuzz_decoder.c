/*
 * fuzz_decoder.c: data of any bytes are decoded, cut short, damaged or too large, with a message,
 * and give the same whether they come whole or in small pieces. The first byte says which codings,
 * up to two, and the size of the pieces; where it names one, the two bits of the second say whether
 * it is xz (1) or bzip2 (2), or one of them after it (3, xz where it is odd).
 */
#include "decoder.h"
#include "fuzz.h"

/* More than the codings hold back or hand to each other at once. */
enum { MOST = 1 << 18, PIECE = 16 << 10 };

typedef struct outcome {
    weir_status status;
    size_t total;
    uint32_t sum; /* of the bytes, in their order */
    bool stopped; /* MOST came: the consumer has enough */
} outcome;

static void add(outcome *got, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && got->total < MOST; i++, got->total++)
        got->sum = got->sum * 31 + (unsigned char)bytes[i];
    got->stopped = got->total == MOST;
}

static weir_status feed(wi_decoder *decoder, const char *in, size_t len, size_t size, outcome *got,
                        weir_error *err)
{
    char piece[PIECE];
    size_t at = 0, made;
    do {
        size_t used = 0;
        made = 0;
        weir_status status =
            wi_decoder_decode(decoder, in + at, len - at, &used, piece, size, &made, err);
        if (status != WEIR_OK)
            return status;
        CHECK(used <= len - at && made <= size);
        at += used;
        add(got, piece, made);
    } while (made == size && !got->stopped);
    CHECK(got->stopped || at == len);
    return WEIR_OK;
}

static outcome decode(const wi_codings *codings, const char *in, size_t len, size_t step,
                      size_t size)
{
    outcome got = {0};
    weir_error err = {0};
    wi_decoder *decoder = NULL;
    CHECK(wi_decoder_new(codings, WI_WINDOW_LOG_HTTP, &decoder, NULL) == WEIR_OK);
    for (size_t at = 0; at < len && got.status == WEIR_OK && !got.stopped; at += step)
        got.status = feed(decoder, in + at, len - at < step ? len - at : step, size, &got, &err);
    if (got.status == WEIR_OK && !got.stopped)
        got.status = wi_decoder_finish(decoder, &err);
    CHECK(got.status == WEIR_OK || (err.status == got.status && err.text[0]));
    wi_decoder_free(decoder);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    wi_codings codings = {.len = 1, .list = {data[0] & 3, data[0] >> 2 & 3}};
    if (data[0] & 16)
        codings.len = 2;
    else if ((data[0] >> 2 & 3) == 3)
        codings = (wi_codings){.len = 2,
                               .list = {data[0] & 3, data[0] & 1 ? WI_CODING_XZ : WI_CODING_BZIP2}};
    else if (data[0] >> 2 & 3)
        codings.list[0] = (data[0] >> 2 & 3) == 1 ? WI_CODING_XZ : WI_CODING_BZIP2;
    size_t step = (size_t)(data[0] >> 5) + 1;
    const char *in = (const char *)data + 1;
    outcome whole = decode(&codings, in, size - 1, size, PIECE);
    outcome pieces = decode(&codings, in, size - 1, step, 61);
    CHECK(whole.status == pieces.status || whole.stopped || pieces.stopped);
    if (whole.status == WEIR_OK && pieces.status == WEIR_OK)
        CHECK(whole.total == pieces.total && whole.sum == pieces.sum);

    wi_codings named = {0};
    weir_error err = {0};
    if (wi_codings_add(&named, in, size - 1, &err) != WEIR_OK)
        CHECK(err.status == WEIR_UNSUPPORTED && err.text[0] && named.len == 0);
    return 0;
}
