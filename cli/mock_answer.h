/*
 * mock_answer.h: sending answers: whole, in pieces, cut short, compressed. A handler puts its body
 * into request->body and ends with one of these, or with MHD_NO, which closes the connection.
 */
#ifndef CLI_MOCK_ANSWER_H
#define CLI_MOCK_ANSWER_H

#include "mock_request.h"

#define MOCK_TYPE_JSON "application/json"
#define MOCK_TYPE_TEXT "text/plain; charset=utf-8"

/* Sends request->body. `headers` holds names and values in turn and ends with NULL; NULL: none. A
 * header that cannot be sent turns the answer into a 400. */
enum MHD_Result mock_answer(mock_request *request, unsigned status, const char *type,
                            const char *const *headers);

/* {"error": "…"} instead of whatever request->body holds. */
enum MHD_Result mock_answer_error(mock_request *request, unsigned status, const char *error,
                                  const char *const *headers);

/* Resets the connection: the client sees no answer. */
enum MHD_Result mock_answer_reset(mock_request *request);

/* Compresses request->body.bytes in place; false: no memory. */
bool mock_answer_gzip(mock_request *request);

#endif
