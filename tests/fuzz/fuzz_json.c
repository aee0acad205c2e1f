/*
 * fuzz_json.c: whatever the bytes, the JSON scanner stays within them, and what it calls valid can
 * be minified, walked, unescaped and escaped without changing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "json.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void walk(const char *text, size_t len)
{
    wi_json_object object;
    wi_json_member member;
    wi_json_object_begin(&object, text, len);
    while (wi_json_object_next(&object, &member)) {
        must(member.key >= text && member.key + member.key_len <= text + len);
        must(member.value >= text && member.value + member.value_len <= text + len);
        must(wi_json_check(member.value, member.value_len).type == member.value_type);

        wi_buf key = WI_BUF_INIT;
        wi_json_append_unescaped(&key, member.key, member.key_len);
        must(key.failed || wi_utf8_valid_prefix(key.data, key.len) == key.len);
        wi_buf_fini(&key);
    }
}

/* Text becomes a string that is valid JSON and comes back as it was. */
static void round_trip(const char *text, size_t len)
{
    wi_buf string = WI_BUF_INIT, back = WI_BUF_INIT;
    wi_json_append_string(&string, text, len);
    must(wi_json_check(string.data, string.len).type == WI_JSON_STRING);
    wi_json_append_unescaped(&back, string.data + 1, string.len - 2);
    must(back.len == len && (len == 0 || memcmp(back.data, text, len) == 0));
    wi_buf_fini(&back);
    wi_buf_fini(&string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    wi_json_result result = wi_json_check(text, size);
    must(result.offset <= size);
    if (result.type == WI_JSON_INVALID) {
        must(result.why != NULL);
        if (wi_utf8_valid_prefix(text, size) == size)
            round_trip(text, size);
        return 0;
    }
    wi_buf small = WI_BUF_INIT;
    wi_json_append_minified(&small, text, size);
    wi_json_result again = wi_json_check(small.data, small.len);
    must(again.type == result.type && !again.has_space && small.len <= size);
    must(result.has_space == (small.len < size));
    if (again.type == WI_JSON_OBJECT)
        walk(small.data, small.len);
    wi_buf_fini(&small);
    return 0;
}
