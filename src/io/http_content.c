/*
 * http_content.c: an answer's body on its way from its coding to the consumer, see http_curl.h.
 *
 * Raw bytes are decoded piece by piece into a buffer that all exchanges of a client share; a piece
 * that the consumer does not take now is kept with the exchange. Its invariant: of the raw chunk
 * that libcurl offers, the first `skip` bytes have been decoded already. libcurl offers a chunk
 * again, perhaps with more at its end, after a pause.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_curl.h"

static wi_http_taken fail(wi_http_content *content, const weir_error *err)
{
    bool damaged = err->status == WEIR_INVALID;
    content->fault = damaged ? WEIR_PROTOCOL : err->status;
    snprintf(content->why, sizeof content->why, "%s%.150s", damaged ? "the body is damaged: " : "",
             err->text);
    return WI_HTTP_ABORT;
}

void wi_content_add(wi_http_content *content, const char *value, size_t len)
{
    weir_error err;
    if (content->fault == WEIR_OK && wi_codings_add(&content->codings, value, len, &err) != WEIR_OK)
        fail(content, &err); /* to be told if a body comes */
    content->coded = content->codings.len > 0 || content->fault != WEIR_OK;
}

void wi_content_drop(wi_http_content *content)
{
    wi_decoder_free(content->decoder);
    free(content->kept);
    *content = (wi_http_content){0};
}

static bool set_out(wi_http_exchange *exchange, weir_error *err)
{
    wi_http *http = exchange->http;
    wi_http_content *content = &exchange->content;
    if (!http->scratch && !(http->scratch = malloc(WI_HTTP_PIECE)))
        return wi_fail_nomem(err) == WEIR_OK;
    return content->decoder ||
           wi_decoder_new(&content->codings, WI_WINDOW_LOG_HTTP, &content->decoder, err) == WEIR_OK;
}

/* What was not taken is offered first when it goes on. */
static wi_http_taken keep(wi_http_content *content, const char *piece, size_t len, size_t skip)
{
    char *kept = malloc(len);
    weir_error err;
    if (!kept) {
        wi_fail_nomem(&err);
        return fail(content, &err);
    }
    memcpy(kept, piece, len);
    content->kept = kept;
    content->kept_len = len;
    content->skip = skip;
    return WI_HTTP_PAUSE;
}

static wi_http_taken offer(wi_http_exchange *exchange, const char *piece, size_t len)
{
    wi_http_taken taken = exchange->http->events.body(exchange->arg, piece, len);
    /* Cancelled from inside: a small chunk can hold very many pieces, which nobody wants now. */
    return exchange->state == EXCHANGE_ACTIVE ? taken : WI_HTTP_ABORT;
}

static wi_http_taken offer_kept(wi_http_exchange *exchange)
{
    wi_http_content *content = &exchange->content;
    if (!content->kept)
        return WI_HTTP_TAKEN;
    wi_http_taken taken = offer(exchange, content->kept, content->kept_len);
    if (taken == WI_HTTP_TAKEN) {
        free(content->kept);
        content->kept = NULL;
    }
    return taken;
}

wi_http_taken wi_content_body(wi_http_exchange *exchange, const char *bytes, size_t len)
{
    wi_http_content *content = &exchange->content;
    weir_error err;
    if (content->fault != WEIR_OK)
        return WI_HTTP_ABORT;
    if (!set_out(exchange, &err))
        return fail(content, &err);
    wi_http_taken taken = offer_kept(exchange);
    if (taken != WI_HTTP_TAKEN)
        return taken;
    char *piece = exchange->http->scratch;
    size_t at = content->skip < len ? content->skip : len;
    size_t made;
    content->skip = 0;
    do {
        size_t used;
        if (wi_decoder_decode(content->decoder, bytes + at, len - at, &used, piece, WI_HTTP_PIECE,
                              &made, &err) != WEIR_OK)
            return fail(content, &err);
        at += used;
        taken = made ? offer(exchange, piece, made) : WI_HTTP_TAKEN;
    } while (taken == WI_HTTP_TAKEN && made == WI_HTTP_PIECE);
    return taken == WI_HTTP_PAUSE ? keep(content, piece, made, at) : taken;
}

bool wi_content_finish(wi_http_content *content)
{
    weir_error err;
    if (!content->decoder || wi_decoder_finish(content->decoder, &err) == WEIR_OK)
        return true;
    fail(content, &err);
    return false;
}
