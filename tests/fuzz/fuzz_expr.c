/*
 * fuzz_expr.c: any text is a condition or refused with a message; and of a condition, its opposite
 * and its being unknown exactly one holds, for each row of a table whose cells are of every kind.
 * Up to the first line feed it is the condition, what follows is a cell.
 */
#include "expr.h"
#include "fuzz.h"
#include "text.h"

static wi_batch *table(const char *bytes, size_t len)
{
    static const wi_name names[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    wi_schema *schema = NULL;
    wi_batch *batch = NULL;
    CHECK(wi_schema_new(names, 4, &schema, NULL) == WEIR_OK);
    CHECK(wi_batch_new(schema, &batch, NULL) == WEIR_OK);
    wi_schema_unref(schema);
    bool text = wi_utf8_valid_prefix(bytes, len) == len;
    wi_batch_put(batch, 0, text ? WI_STRING : WI_BINARY, bytes, len);
    wi_batch_put_int(batch, 1, (int64_t)len - 3);
    wi_batch_put_double(batch, 2, (double)len / 2);
    wi_batch_put(batch, 3, WI_JSON, "\"x\\n\\u00e4\"", 11);
    CHECK(wi_batch_end_row(batch, NULL) == WEIR_OK);
    wi_batch_put(batch, 0, WI_STRING, "12.0", 4);
    wi_batch_put(batch, 1, WI_JSON, "true", 4);
    wi_batch_put(batch, 2, WI_JSON, "-1e3", 4);
    CHECK(wi_batch_end_row(batch, NULL) == WEIR_OK);
    return batch;
}

/* Adds 1 for each row that is kept; false: it is no condition. */
static bool evaluate(const char *before, const char *text, size_t len, const char *after,
                     const wi_batch *batch, int kept[2])
{
    wi_buf whole = WI_BUF_INIT;
    wi_expr *expr = NULL;
    wi_filter *filter = NULL;
    weir_error err = {0};
    wi_buf_puts(&whole, before);
    wi_buf_append(&whole, text, len);
    wi_buf_puts(&whole, after);
    bool ok = wi_expr_new(whole.data ? whole.data : "", whole.len, &expr, &err) == WEIR_OK;
    wi_buf_fini(&whole);
    if (!ok) {
        CHECK(err.text[0] && (err.status == WEIR_INVALID || err.status == WEIR_TOOLARGE));
        return false;
    }
    weir_status status = wi_expr_check(expr, wi_batch_schema(batch), NULL);
    CHECK(status == WEIR_OK || status == WEIR_NOTFOUND);
    CHECK(wi_filter_new(expr, &filter, NULL) == WEIR_OK);
    for (size_t row = 0; row < 2; row++) {
        bool keeps = false;
        CHECK(wi_filter_keeps(filter, batch, row, &keeps, NULL) == WEIR_OK);
        kept[row] += keeps;
    }
    wi_filter_free(filter);
    wi_expr_free(expr);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *feed = size ? memchr(text, '\n', size) : NULL;
    size_t len = feed ? (size_t)(feed - text) : size;
    wi_batch *batch = table(feed ? feed + 1 : "", feed ? size - len - 1 : 0);
    int kept[2] = {0, 0};
    if (evaluate("", text, len, "", batch, kept) &&
        evaluate("not (", text, len, ")", batch, kept)) {
        /* true and false are never both so, and if neither is, it is null in a logical place */
        CHECK(kept[0] <= 1 && kept[1] <= 1);
        if (evaluate("(not (", text, len, ")) is null", batch, kept))
            CHECK(kept[0] == 1 && kept[1] == 1);
    }
    wi_batch_unref(batch);
    return 0;
}
