/*
 * mock_answer.c: from a body to what is sent. Its invariant: a body sent whole is handed to
 * libmicrohttpd with its memory; one sent in pieces stays with the request, which outlives it.
 */
#include "mock_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

enum { BLOCK = 16 << 10 };

static const char pattern[] = "The quick brown fox jumps over the lazy dog, and then once more\n";
enum { PATTERN_LEN = sizeof pattern - 1 };

static void fill(const mock_body *body, uint64_t pos, char *out, size_t len)
{
    switch (body->source) {
    case MOCK_SOURCE_BYTES:
        memcpy(out, body->bytes.bytes + pos, len);
        break;
    case MOCK_SOURCE_PATTERN:
        for (size_t i = 0; i < len; i++)
            out[i] = pattern[(pos + i) % PATTERN_LEN];
        break;
    case MOCK_SOURCE_CHUNKS:
        for (size_t i = 0; i < len; i++) {
            char line[MOCK_CHUNK + 1];
            if (i == 0 || (pos + i) % MOCK_CHUNK == 0)
                snprintf(line, sizeof line, "chunk %09u\n",
                         (unsigned)((pos + i) / MOCK_CHUNK % 1000000000));
            out[i] = line[(pos + i) % MOCK_CHUNK];
        }
        break;
    }
}

static uint64_t length(const mock_body *body)
{
    return body->source == MOCK_SOURCE_BYTES ? body->bytes.len : body->len;
}

/* True: the next piece is not due, and the connection is suspended until it is. */
static bool pause_before_piece(mock_request *request)
{
    mock_body *body = &request->body;
    int64_t now = body->gap ? mock_now() : 0;
    if (now >= body->next_at) {
        body->next_at = now + body->gap;
        return false;
    }
    return mock_holds_add(&request->state->holds, &request->hold, request->connection,
                          body->next_at);
}

static ssize_t read_body(void *cls, uint64_t pos, char *out, size_t max)
{
    mock_request *request = cls;
    const mock_body *body = &request->body;
    uint64_t end = body->cut ? body->cut : length(body);
    if (request->hold.gone || request->state->stopping || (body->cut && pos >= end))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (pos >= end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (pause_before_piece(request))
        return 0;
    size_t len = body->piece && body->piece < max ? body->piece : max;
    if (len > end - pos)
        len = (size_t)(end - pos);
    fill(body, pos, out, len);
    return (ssize_t)len;
}

static struct MHD_Response *make(mock_request *request)
{
    mock_body *body = &request->body;
    if (body->source != MOCK_SOURCE_BYTES || body->cut || body->piece || body->chunked)
        return mock_mhd.create_response_from_callback(
            body->chunked ? MHD_SIZE_UNKNOWN : length(body), BLOCK, read_body, request, NULL);
    if (body->bytes.len == 0)
        return mock_mhd.create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = mock_mhd.create_response_from_buffer(
        body->bytes.len, body->bytes.bytes, MHD_RESPMEM_MUST_FREE);
    if (response)
        body->bytes = (mock_text){0};
    return response;
}

static bool add_headers(struct MHD_Response *response, const char *type, const char *const *headers)
{
    if (type && !mock_mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type))
        return false;
    for (; headers && *headers; headers += 2)
        if (!mock_mhd.add_response_header(response, headers[0], headers[1]))
            return false;
    return true;
}

enum MHD_Result mock_answer(mock_request *request, unsigned status, const char *type,
                            const char *const *headers)
{
    if (request->body.bytes.failed)
        return mock_answer_error(request, 500, "the answer does not fit into memory", NULL);
    uint64_t len = length(&request->body);
    struct MHD_Response *response = make(request);
    if (!response)
        return MHD_NO;
    if (!add_headers(response, len ? type : NULL, headers)) {
        mock_mhd.destroy_response(response);
        return mock_answer_error(request, 400, "a header asked for cannot be sent", NULL);
    }
    enum MHD_Result queued = mock_mhd.queue_response(request->connection, status, response);
    mock_mhd.destroy_response(response);
    if (!queued)
        return MHD_NO;
    request->status = status;
    request->sent = len;
    if (request->counted)
        mock_count(&request->state->counters.status[status], 1);
    return MHD_YES;
}

enum MHD_Result mock_answer_error(mock_request *request, unsigned status, const char *error,
                                  const char *const *headers)
{
    mock_text_fini(&request->body.bytes);
    request->body = (mock_body){.source = MOCK_SOURCE_BYTES};
    mock_text_add_str(&request->body.bytes, "{\"error\": ");
    mock_text_add_json(&request->body.bytes, error, strlen(error));
    mock_text_add_str(&request->body.bytes, "}\n");
    return request->body.bytes.failed ? MHD_NO
                                      : mock_answer(request, status, MOCK_TYPE_JSON, headers);
}

enum MHD_Result mock_answer_reset(mock_request *request)
{
    const union MHD_ConnectionInfo *info =
        mock_mhd.get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
               sizeof(struct linger));
    return MHD_NO;
}

bool mock_answer_gzip(mock_request *request)
{
    mock_text *plain = &request->body.bytes;
    z_stream z = {0};
    if (plain->failed || deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    uLong cap = deflateBound(&z, plain->len);
    char *bytes = malloc(cap);
    z.next_in = (Bytef *)plain->bytes;
    z.avail_in = (uInt)plain->len;
    z.next_out = (Bytef *)bytes;
    z.avail_out = (uInt)cap;
    bool ok = bytes && deflate(&z, Z_FINISH) == Z_STREAM_END;
    if (ok) {
        mock_text_fini(plain);
        *plain = (mock_text){.bytes = bytes, .len = z.total_out, .cap = cap};
    } else {
        free(bytes);
    }
    deflateEnd(&z);
    return ok;
}
