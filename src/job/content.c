/*
 * content.c: see content.h. Its invariant: bytes are embedded as JSON only if they are JSON,
 * whatever their sender says, so that one row is always one line of valid NDJSON.
 */
#include "content.h"

#include <string.h>

#include "json.h"
#include "text.h"

bool wi_content_looks_structured(const wi_buf *content)
{
    size_t i = 0;
    while (i < content->len && strchr(" \t\r\n", content->data[i]))
        i++;
    return i < content->len && (content->data[i] == '{' || content->data[i] == '[');
}

static bool minify(wi_buf *content)
{
    wi_buf minified = {.max = content->len};
    wi_json_append_minified(&minified, content->data, content->len);
    if (minified.failed) {
        wi_buf_fini(&minified);
        return false;
    }
    wi_buf_fini(content);
    *content = minified;
    return true;
}

wi_cell_kind wi_content_kind(const char *bytes, size_t len, bool may_be_json, bool *minify)
{
    *minify = false;
    if (may_be_json) {
        wi_json_result json = wi_json_check(bytes, len);
        if (json.type != WI_JSON_INVALID) {
            *minify = json.has_newline;
            return json.type == WI_JSON_NULL ? WI_NULL : WI_JSON;
        }
    }
    return wi_text_is(bytes, len) ? WI_STRING : WI_BINARY;
}

bool wi_content_classify(wi_buf *content, bool may_be_json, wi_cell_kind *kind)
{
    bool has_newline;
    wi_cell_kind found = wi_content_kind(content->data, content->len, may_be_json, &has_newline);
    if (has_newline && !minify(content))
        return false;
    *kind = found;
    return true;
}

void wi_content_put(wi_batch *batch, size_t column, size_t encoding, const wi_buf *content,
                    wi_cell_kind kind)
{
    wi_batch_put(batch, column, kind, content->data ? content->data : "", content->len);
    if (kind == WI_BINARY)
        wi_batch_put(batch, encoding, WI_STRING, "base64", 6);
    else
        wi_batch_put_null(batch, encoding);
}

void wi_content_put_text(wi_batch *batch, size_t column, const char *text)
{
    if (!text) {
        wi_batch_put_null(batch, column);
        return;
    }
    size_t len = strlen(text);
    if (wi_utf8_valid_prefix(text, len) == len) {
        wi_batch_put(batch, column, WI_STRING, text, len);
        return;
    }
    wi_buf clean = WI_BUF_INIT;
    wi_utf8_append_lossy(&clean, text, len);
    if (clean.failed)
        wi_batch_lack(batch);
    else
        wi_batch_put(batch, column, WI_STRING, clean.data ? clean.data : "", clean.len);
    wi_buf_fini(&clean);
}
