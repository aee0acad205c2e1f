/*
 * fuzz_json.c: what the JSON scanner accepts stays valid when it is minified, taken apart, escaped
 * and made tame; minifying twice is minifying once.
 */
#include "fuzz.h"
#include "json.h"
#include "text.h"

static void check_same(const wi_buf *a, const wi_buf *b)
{
    CHECK(!a->failed && !b->failed);
    CHECK(a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0));
}

static void check_minified(const char *text, size_t len, wi_json_result result)
{
    wi_buf once = WI_BUF_INIT;
    wi_buf twice = WI_BUF_INIT;
    wi_json_append_minified(&once, text, len);
    wi_json_result again = wi_json_check(once.data, once.len);
    CHECK(again.type == result.type && !again.has_space);
    CHECK(result.has_space == (once.len < len));
    wi_json_append_minified(&twice, once.data, once.len);
    check_same(&once, &twice);
    wi_buf_fini(&once);
    wi_buf_fini(&twice);
}

static void check_tame(const char *text, size_t len, wi_json_result result)
{
    wi_buf tame = WI_BUF_INIT;
    wi_json_append_tame(&tame, text, len);
    CHECK(wi_json_check(tame.data, tame.len).type == result.type);
    for (size_t i = 0; i < tame.len; i++) {
        CHECK(tame.data[i] != 0x7F);
        CHECK((unsigned char)tame.data[i] != 0xC2 || (unsigned char)tame.data[i + 1] >= 0xA0);
    }
    wi_buf_fini(&tame);
}

/* Text as a string is valid JSON, and its characters are the text again. */
static void check_text(const char *text, size_t len)
{
    wi_buf string = WI_BUF_INIT;
    wi_buf again = WI_BUF_INIT;
    wi_json_append_string(&string, text, len);
    CHECK(wi_json_check(string.data, string.len).type == WI_JSON_STRING);
    wi_json_append_unescaped(&again, string.data + 1, string.len - 2);
    CHECK(again.len == len && (!len || memcmp(again.data, text, len) == 0));
    wi_buf_fini(&string);
    wi_buf_fini(&again);
}

static void check_string(const char *inside, size_t len)
{
    wi_buf plain = WI_BUF_INIT;
    wi_json_append_unescaped(&plain, inside, len);
    CHECK(wi_utf8_valid_prefix(plain.data, plain.len) == plain.len);
    check_text(plain.data, plain.len);
    wi_buf_fini(&plain);
}

static void check_members(const char *text, size_t len)
{
    wi_json_object object;
    wi_json_member member;
    const char *after = text;
    wi_json_object_begin(&object, text, len);
    while (wi_json_object_next(&object, &member)) {
        CHECK(member.key > after && member.value > member.key + member.key_len);
        after = member.value + member.value_len;
        CHECK(after < text + len);
        CHECK(wi_json_check(member.key - 1, member.key_len + 2).type == WI_JSON_STRING);
        CHECK(member.key_escaped == !!memchr(member.key, '\\', member.key_len));
        check_string(member.key, member.key_len);
        CHECK(wi_json_check(member.value, member.value_len).type == member.value_type);
        if (member.value_type == WI_JSON_STRING)
            check_string(member.value + 1, member.value_len - 2);
    }
    while (strchr(" \t\r\n", *after))
        after++;
    CHECK(*after == '}' || *after == '{'); /* all members, or none and we are before it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    wi_json_result result = wi_json_check(text, size);
    if (wi_utf8_valid_prefix(text, size) == size)
        check_text(text, size);
    if (result.type == WI_JSON_INVALID) {
        CHECK(result.why && result.offset <= size);
        /* Whatever follows, what was wrong there is wrong still. */
        CHECK(result.offset == size ||
              wi_json_check(text, result.offset + 1).type == WI_JSON_INVALID);
        return 0;
    }
    CHECK(wi_utf8_valid_prefix(text, size) == size);
    check_minified(text, size, result);
    check_tame(text, size, result);
    if (result.type == WI_JSON_OBJECT)
        check_members(text, size);
    return 0;
}
