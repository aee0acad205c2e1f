/*
 * fuzz_template.c: any template is parsed or refused with a message; one that was parsed expands,
 * for its first and its last choice, to something that may stand where it goes.
 *
 * The first byte chooses the mode. Columns are "id", "name" (with bytes that need escaping) and
 * "none".
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "buf.h"
#include "schema.h"
#include "template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static const char awkward[] = "../\"\\ \r\n&=?#\303\274\033[31m";

static wi_batch *one_row(void)
{
    const wi_name names[] = {{"id", 2}, {"name", 4}, {"none", 4}};
    wi_schema *schema = NULL;
    wi_batch *batch = NULL;
    must(wi_schema_new(names, 3, &schema, NULL) == WEIR_OK);
    must(wi_batch_new(schema, &batch, NULL) == WEIR_OK);
    wi_schema_unref(schema);
    wi_batch_put_int(batch, 0, 42);
    wi_batch_put(batch, 1, WI_STRING, awkward, sizeof awkward - 1);
    must(wi_batch_end_row(batch, NULL) == WEIR_OK);
    return batch;
}

static bool has_byte(const wi_buf *buf, char byte)
{
    return buf->len && memchr(buf->data, byte, buf->len);
}

static void expand(const wi_template *template_, wi_template_mode mode, const wi_scope *scope)
{
    wi_buf out = WI_BUF_INIT, shown = WI_BUF_INIT;
    weir_error err;
    memset(&err, 0, sizeof err);
    weir_status status = wi_template_expand(template_, scope, &out, &shown, &err);
    if (status != WEIR_OK)
        must(err.status == status && err.text[0]);
    else if (mode == WI_TEMPLATE_HEADER)
        must(!has_byte(&out, '\n') && !has_byte(&out, '\r') && !has_byte(&out, '\0'));
    else if (mode == WI_TEMPLATE_PATH)
        must(!has_byte(&out, '\033') || wi_template_is_constant(template_));
    wi_buf_fini(&shown);
    wi_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wi_batch *batch;
    if (!batch)
        batch = one_row();
    if (size == 0)
        return 0;
    wi_template_mode mode = data[0] % (WI_TEMPLATE_PATH + 1);
    wi_template *template_ = NULL;
    weir_error err;
    memset(&err, 0, sizeof err);
    weir_status status =
        wi_template_parse((const char *)data + 1, size - 1, mode, "template", &template_, &err);
    if (status != WEIR_OK) {
        must(!template_ && err.status == status && err.text[0]);
        return 0;
    }
    uint64_t count = wi_template_count(template_);
    must(count >= 1 && count <= UINT64_C(1) << 62);
    const wi_template *url = mode == WI_TEMPLATE_URL ? template_ : NULL;
    bool fits = wi_template_check(template_, wi_batch_schema(batch), url, &err) == WEIR_OK;
    for (int last = 0; last < 2 && fits && (url || wi_template_choices(template_) == 0); last++) {
        wi_scope scope = {batch, 0, 1, url, last ? count - 1 : 0};
        expand(template_, mode, &scope);
    }
    wi_template_free(template_);
    return 0;
}
