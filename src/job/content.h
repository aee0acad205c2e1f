/*
 * content.h: bytes from outside as a cell of a row: JSON if they are JSON, text if they are text,
 * else base64.
 */
#ifndef WI_CONTENT_H
#define WI_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "batch.h"
#include "buf.h"

/* Does it look like an object or an array? */
bool wi_content_looks_structured(const wi_buf *content);

/* What the bytes are, looked at but not touched. *minify: JSON that cannot stand in one line. */
wi_cell_kind wi_content_kind(const char *bytes, size_t len, bool may_be_json, bool *minify);

/*
 * Says what the bytes are; may_be_json: if they are valid JSON they are taken for that, and
 * minified if they have line breaks. False: no memory for it, and *kind is left alone.
 */
bool wi_content_classify(wi_buf *content, bool may_be_json, wi_cell_kind *kind);

/* Puts classified bytes into one column and "base64", where they are that, into another. */
void wi_content_put(wi_batch *batch, size_t column, size_t encoding, const wi_buf *content,
                    wi_cell_kind kind);

/* Puts text of any bytes as valid UTF-8; NULL is null. */
void wi_content_put_text(wi_batch *batch, size_t column, const char *text);

#endif
