/*
 * fuzz_template.c: any template is parsed or refused with a message, and whatever value one that
 * was parsed is given, the data never changes the structure it is put in: the expansion has the
 * same separators as with the value "x". A template that is one range of numbers is counted out.
 *
 * The first byte chooses the mode and the kind of cell; then comes the template, and after the last
 * NUL, if there is one, the value of the columns "id" and "name". The column "none" is absent.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "json.h"
#include "template.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static wi_batch *batch_of(wi_schema *schema, wi_cell_kind kind, const char *value, size_t len)
{
    wi_batch *batch;
    must(wi_batch_new(schema, &batch, NULL) == WEIR_OK);
    wi_batch_put(batch, 0, kind, value, len);
    wi_batch_put(batch, 1, kind, value, len);
    must(wi_batch_end_row(batch, NULL) == WEIR_OK);
    return batch;
}

static size_t count_any(const wi_buf *buf, const char *set, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < buf->len; i++)
        count += memchr(set, buf->data[i], n) != NULL;
    return count;
}

/* What a shell would act on: everything outside of single quotes that is no part of a plain word.
 */
static size_t count_shell(const wi_buf *buf)
{
    size_t count = 0;
    bool quoted = false;
    for (size_t i = 0; i < buf->len; i++) {
        if (buf->data[i] == '\'')
            quoted = !quoted;
        else if (!quoted && buf->data[i] == '\\')
            i++;
        else if (!quoted)
            count += memchr(" \t\n;|&<>()$`\"*?[#~", buf->data[i], 19) != NULL;
    }
    must(!quoted);
    return count;
}

static bool is_json(const wi_buf *buf)
{
    return wi_json_check(buf->data, buf->len).type != WI_JSON_INVALID;
}

static void check_structure(wi_template_mode mode, const wi_buf *got, const wi_buf *harmless)
{
    switch (mode) {
    case WI_TEMPLATE_URL:
    case WI_TEMPLATE_FORM:
        must(count_any(got, ":/?#[]@&=+ \r\n", 14) == count_any(harmless, ":/?#[]@&=+ \r\n", 14));
        break;
    case WI_TEMPLATE_HEADER:
        must(count_any(got, "\r\n\0", 3) == 0);
        break;
    case WI_TEMPLATE_PATH:
        must(count_any(got, "/\0\n\x1b", 4) == count_any(harmless, "/\0\n\x1b", 4));
        break;
    case WI_TEMPLATE_JSON:
        must(is_json(got) || !is_json(harmless));
        break;
    case WI_TEMPLATE_WORD:
        must(count_any(got, "\0", 1) == count_any(harmless, "\0", 1));
        break;
    case WI_TEMPLATE_SHELL:
        must(count_shell(got) == count_shell(harmless));
        break;
    case WI_TEMPLATE_RAW:
    case WI_TEMPLATE_STDIN:
        break;
    }
}

static weir_status expand_to(const wi_template *t, wi_template_mode mode, wi_batch *batch,
                             uint64_t choice, wi_buf *out)
{
    wi_scope scope = {batch, 0, 3, mode == WI_TEMPLATE_URL ? t : NULL, choice};
    weir_error err = {0};
    wi_buf_init(out, 1 << 16);
    weir_status status = wi_template_expand(t, &scope, out, NULL, &err);
    must(err.status == status && (status == WEIR_OK || (err.text[0] && out->len == 0)));
    return status;
}

static void compare(const wi_template *t, wi_template_mode mode, wi_batch *batch, wi_batch *plain,
                    uint64_t choice)
{
    wi_buf got, harmless;
    weir_status status = expand_to(t, mode, batch, choice, &got);
    if (expand_to(t, mode, plain, choice, &harmless) == WEIR_OK && status == WEIR_OK)
        check_structure(mode, &got, &harmless);
    wi_buf_fini(&got);
    wi_buf_fini(&harmless);
}

/* "{7..3..2}", without leading zeros, which give a width. */
static void check_range(const wi_template *t, const char *text, size_t len)
{
    char copy[64], want[64], again[96];
    int64_t from, to, step = 1;
    if (len >= sizeof copy)
        return;
    memcpy(copy, text, len);
    copy[len] = '\0';
    int n = sscanf(copy, "{%18" SCNd64 "..%18" SCNd64 "..%18" SCNd64 "}", &from, &to, &step);
    snprintf(want, sizeof want, "{%" PRId64 "..%" PRId64, from, to);
    if (n == 3)
        snprintf(again, sizeof again, "%s..%" PRId64 "}", want, step);
    else if (n == 2)
        snprintf(again, sizeof again, "%s}", want);
    if (n < 2 || strcmp(again, copy) != 0 || step <= 0)
        return;
    uint64_t distance = to > from ? (uint64_t)(to - from) : (uint64_t)(from - to);
    uint64_t count = distance / (uint64_t)step + 1;
    must(wi_template_count(t) == count);
    for (uint64_t i = 0; i < count && i < 40; i++) {
        wi_buf out = WI_BUF_INIT;
        wi_scope scope = {.number = 1, .url = t, .choice = i};
        int64_t value = to > from ? from + (int64_t)i * step : from - (int64_t)i * step;
        must(wi_template_expand(t, &scope, &out, NULL, NULL) == WEIR_OK);
        size_t size = (size_t)snprintf(want, sizeof want, "%" PRId64, value);
        must(out.len == size && memcmp(out.data, want, size) == 0);
        wi_buf_fini(&out);
    }
}

static void expand(const wi_template *t, wi_template_mode mode, bool json, const char *value,
                   size_t len)
{
    wi_schema *schema;
    wi_buf clean = WI_BUF_INIT;
    static const wi_name names[] = {{"id", 2}, {"name", 4}, {"none", 4}};
    must(wi_schema_new(names, 3, &schema, NULL) == WEIR_OK);
    if (json && wi_json_check(value, len).type != WI_JSON_INVALID) {
        wi_json_append_minified(&clean, value, len);
    } else {
        json = false;
        wi_utf8_append_lossy(&clean, value, len);
    }
    if (wi_template_check(t, schema, NULL, NULL) == WEIR_OK && !clean.failed) {
        wi_batch *batch = batch_of(schema, json ? WI_JSON : WI_STRING, clean.data, clean.len);
        wi_batch *plain = batch_of(schema, WI_STRING, "x", 1);
        compare(t, mode, batch, plain, 0);
        compare(t, mode, batch, plain, wi_template_count(t) - 1);
        wi_batch_unref(batch);
        wi_batch_unref(plain);
    }
    wi_buf_fini(&clean);
    wi_schema_unref(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned kind = data[0];
    wi_template_mode mode = kind & 0x40 ? (wi_template_mode)(WI_TEMPLATE_WORD + (kind & 3) % 3)
                                        : (wi_template_mode)(kind % (WI_TEMPLATE_PATH + 1));
    bool json = kind & 0x80;
    const char *text = (const char *)data + 1, *end = (const char *)data + size;
    const char *nul = memrchr(text, '\0', size - 1);
    size_t len = (size_t)((nul ? nul : end) - text);
    const char *value = nul ? nul + 1 : end;
    wi_template *t = NULL;
    weir_error err = {0};
    weir_status status = wi_template_parse(text, len, mode, "it", &t, &err);
    if (status != WEIR_OK) {
        must(!t && err.status == status && err.text[0]);
        return 0;
    }
    uint64_t count = wi_template_count(t);
    must(count >= 1 && count <= UINT64_C(1) << 62);
    if (mode == WI_TEMPLATE_URL)
        check_range(t, text, len);
    /* :raw may do anything, and so may quotes of the user's own around a placeholder. */
    bool own_quotes =
        mode == WI_TEMPLATE_SHELL && (memchr(text, '\'', len) || memchr(text, '\\', len));
    if (!memmem(text, len, ":raw}", 5) && !own_quotes)
        expand(t, mode, json, value, (size_t)(end - value));
    wi_template_free(t);
    return 0;
}
