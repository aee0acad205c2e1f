/* json_test.c: json.h against RFC 8259. */
#include "json.h"

#include <stdlib.h>

#include "test.h"
#include "text.h"

static wi_json_result check(const char *text)
{
    /* A copy of the exact size, so that a sanitizer sees a step too far. */
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    wi_json_result result = wi_json_check(copy, len);
    free(copy);
    return result;
}

static void expect_fault(const char *text, size_t offset, const char *why)
{
    wi_json_result result = check(text);
    EXPECT_INT(result.type, WI_JSON_INVALID);
    EXPECT_INT(result.offset, offset);
    EXPECT_STR(result.why, why);
}

TEST(check_tells_the_type)
{
    EXPECT_INT(check("null").type, WI_JSON_NULL);
    EXPECT_INT(check("true").type, WI_JSON_BOOL);
    EXPECT_INT(check("false").type, WI_JSON_BOOL);
    EXPECT_INT(check("\"\"").type, WI_JSON_STRING);
    EXPECT_INT(check("[]").type, WI_JSON_ARRAY);
    EXPECT_INT(check("{}").type, WI_JSON_OBJECT);
    EXPECT_INT(check("{\"a\":[{},[],{\"b\":null}],\"c\":-1.5e+3}").type, WI_JSON_OBJECT);
    EXPECT_INT(check("[[[]],[],{}]").type, WI_JSON_ARRAY);
}

TEST(check_takes_numbers_as_the_grammar_has_them)
{
    static const char *const good[] = {"0",   "-0",   "10",     "1.0",    "1e5",
                                       "1E5", "1e-5", "1.5E+5", "-0.0e0", "123456789012345678901"};
    static const char *const bad[] = {"01",  "-",   "+1",   "1.", ".5",  "1e",
                                      "1e+", "0x1", "1.e5", "-a", "NaN", "Infinity"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        EXPECT_INT(check(good[i]).type, WI_JSON_NUMBER);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EXPECT_INT(check(bad[i]).type, WI_JSON_INVALID);
}

TEST(check_finds_white_space_outside_strings)
{
    EXPECT(!check("{\"a b\":[1,\"\\n \"]}").has_space);
    EXPECT(check(" 1").has_space);
    EXPECT(wi_json_check(NULL, 0).type == WI_JSON_INVALID);
    EXPECT(check("1\n").has_space);
    EXPECT(check("{\"a\": 1}").has_space);
    EXPECT(check("[1 ,2]").has_space);
    EXPECT(check("[ ]").has_space);
    EXPECT(!check("[ 1,\t2 ]").has_newline);
    EXPECT(!check("\"\\n\"").has_newline);
    EXPECT(check("[1,\n2]").has_newline);
    EXPECT(check("{}\r").has_newline);
    EXPECT_INT(check("\t\r\n [ 1 , { \"a\" : 2 } ] ").type, WI_JSON_ARRAY);
}

TEST(check_says_where_and_why)
{
    expect_fault("", 0, "the text ends too early");
    expect_fault("  ", 2, "the text ends too early");
    expect_fault("[1,2", 4, "the text ends too early");
    expect_fault("{\"a\":\"b", 7, "the text ends too early");
    expect_fault("[1,]", 3, "expected a value");
    expect_fault("[,1]", 1, "expected a value");
    expect_fault("[1 2]", 3, "expected a comma or ]");
    expect_fault("[1}", 2, "expected a comma or ]");
    expect_fault("{\"a\":1]", 6, "expected a comma or }");
    expect_fault("{\"a\":1,}", 7, "expected a key in quotes");
    expect_fault("{a:1}", 1, "expected a key in quotes");
    expect_fault("{\"a\" 1}", 5, "expected a colon");
    expect_fault("{\"a\":}", 5, "expected a value");
    expect_fault("1 2", 2, "text after the value");
    expect_fault("{}}", 2, "text after the value");
    expect_fault("nul", 3, "the text ends too early");
    expect_fault("nulL", 3, "expected a value");
    expect_fault("'a'", 0, "expected a value");
    expect_fault("// c", 0, "expected a value");
    expect_fault("01", 1, "a number cannot begin with 0 and a digit");
    expect_fault("\"a\nb\"", 2, "control character in a string");
    expect_fault("\"\\x\"", 2, "unknown escape in a string");
    expect_fault("\"\\u12g4\"", 5, "\\u needs four hexadecimal digits");
    expect_fault("\xEF\xBB\xBF{}", 0, "expected a value");
}

TEST(check_wants_utf8)
{
    EXPECT_INT(check("\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80\"").type, WI_JSON_STRING);
    expect_fault("\"ab\xFF\"", 3, "not valid UTF-8");
    expect_fault("[\"\xED\xA0\x80\"", 2, "not valid UTF-8");
    expect_fault("[x,\"\xFF\"]", 1, "expected a value");
    EXPECT_INT(wi_json_check("[1,\0]", 5).offset, 3);
    EXPECT_INT(wi_json_check("\"a\0\"", 4).offset, 2);
}

TEST(check_bounds_the_depth)
{
    char text[4 * WI_JSON_MAX_DEPTH];
    memset(text, '[', WI_JSON_MAX_DEPTH);
    memset(text + WI_JSON_MAX_DEPTH, ']', WI_JSON_MAX_DEPTH);
    EXPECT_INT(wi_json_check(text, 2 * WI_JSON_MAX_DEPTH).type, WI_JSON_ARRAY);
    memset(text, '[', sizeof text);
    wi_json_result result = wi_json_check(text, sizeof text);
    EXPECT_INT(result.offset, WI_JSON_MAX_DEPTH);
    EXPECT_STR(result.why, "nested too deeply");
}

static void expect_minified(const char *text, const char *want)
{
    wi_buf out = WI_BUF_INIT;
    wi_json_append_minified(&out, text, strlen(text));
    EXPECT_STR(wi_buf_cstr(&out), want);
    wi_buf_fini(&out);
}

TEST(minify_keeps_strings_and_digits)
{
    expect_minified(" { \"a b\" : [ 1.50 , \"c \\\" d\" , { } ] }\r\n",
                    "{\"a b\":[1.50,\"c \\\" d\",{}]}");
    expect_minified("\t12345678901234567890\n", "12345678901234567890");
    expect_minified("\"  \\\\\" ", "\"  \\\\\"");
}

static size_t walk(const char *text, wi_json_member *members, size_t max)
{
    wi_json_object object;
    size_t n = 0;
    wi_json_object_begin(&object, text, strlen(text));
    while (n < max && wi_json_object_next(&object, &members[n]))
        n++;
    return n;
}

TEST(walk_gives_members_in_order)
{
    wi_json_member m[8];
    REQUIRE(walk(" { \"a\" : 1 ,\"b\\n\":\"x\\\"}\", \"\":[{\"c\":\"]\"},2] , \"d\":{\"e\":{}},"
                 "\"f\":null,\"g\":true } ",
                 m, 8) == 6);
    EXPECT_MEM(m[0].key, m[0].key_len, "a");
    EXPECT_MEM(m[0].value, m[0].value_len, "1");
    EXPECT_INT(m[0].value_type, WI_JSON_NUMBER);
    EXPECT(!m[0].key_escaped);
    EXPECT_MEM(m[1].key, m[1].key_len, "b\\n");
    EXPECT(m[1].key_escaped);
    EXPECT_MEM(m[1].value, m[1].value_len, "\"x\\\"}\"");
    EXPECT_INT(m[1].value_type, WI_JSON_STRING);
    EXPECT_MEM(m[2].key, m[2].key_len, "");
    EXPECT_MEM(m[2].value, m[2].value_len, "[{\"c\":\"]\"},2]");
    EXPECT_INT(m[2].value_type, WI_JSON_ARRAY);
    EXPECT_MEM(m[3].value, m[3].value_len, "{\"e\":{}}");
    EXPECT_INT(m[3].value_type, WI_JSON_OBJECT);
    EXPECT_INT(m[4].value_type, WI_JSON_NULL);
    EXPECT_MEM(m[4].value, m[4].value_len, "null");
    EXPECT_INT(m[5].value_type, WI_JSON_BOOL);
    EXPECT_INT(walk("{}", m, 8), 0);
    EXPECT_INT(walk(" { } ", m, 8), 0);
}

static void expect_unescaped(const char *text, const char *want)
{
    wi_buf out = WI_BUF_INIT;
    wi_json_append_unescaped(&out, text, strlen(text));
    EXPECT_STR(wi_buf_cstr(&out), want);
    wi_buf_fini(&out);
}

TEST(unescape_knows_every_escape)
{
    expect_unescaped("", "");
    expect_unescaped("plain", "plain");
    expect_unescaped("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t");
    expect_unescaped("a\\u0041\\u00fc\\u20AC\\uFFFFz", "aA\xC3\xBC\xE2\x82\xAC\xEF\xBF\xBFz");
    expect_unescaped("\\ud83d\\uDE00!", "\xF0\x9F\x98\x80!");
    expect_unescaped("\\uDBFF\\uDFFF", "\xF4\x8F\xBF\xBF");
    expect_unescaped("\\ud83d", "\xEF\xBF\xBD");
    expect_unescaped("\\ud83dx", "\xEF\xBF\xBDx");
    expect_unescaped("\\ude00\\ud83d\\u0041", "\xEF\xBF\xBD\xEF\xBF\xBD"
                                              "A");
    wi_buf out = WI_BUF_INIT;
    wi_json_append_unescaped(&out, "\\u0000", 6);
    EXPECT(out.len == 1 && out.data[0] == '\0');
    wi_buf_fini(&out);
}

TEST(escape_leaves_nothing_for_a_terminal)
{
    wi_buf out = WI_BUF_INIT;
    wi_json_append_string(&out, "a\"b\\c/\b\f\n\r\t\x1B[0m\x7F\xC2\x9B\xC2\xA0\xC3\xBC", 22);
    EXPECT_STR(wi_buf_cstr(&out), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u001b[0m\\u007f\\u009b\xC2\xA0"
                                  "\xC3\xBC\"");
    wi_buf_clear(&out);
    wi_json_append_escaped(&out, "\0", 1);
    EXPECT_STR(wi_buf_cstr(&out), "\\u0000");
    wi_buf_fini(&out);
}

TEST(escape_and_unescape_are_inverse_at_every_length)
{
    char text[64];
    for (int c = 0; c < 256; c++) {
        for (size_t len = 1; len < 20; len++) {
            memset(text, 'x', sizeof text);
            size_t n = len;
            if (c < 128) {
                text[len - 1] = (char)c;
            } else {
                text[len - 1] = (char)(c < 192 ? 0xC2 : 0xC3);
                text[n++] = (char)(0x80 | (c & 0x3F));
            }
            wi_buf escaped = WI_BUF_INIT;
            wi_buf back = WI_BUF_INIT;
            wi_json_append_string(&escaped, text, n);
            EXPECT_INT(wi_json_check(escaped.data, escaped.len).type, WI_JSON_STRING);
            wi_json_append_unescaped(&back, escaped.data + 1, escaped.len - 2);
            EXPECT(back.len == n && memcmp(back.data, text, n) == 0);
            wi_buf_fini(&escaped);
            wi_buf_fini(&back);
        }
    }
}

TEST(tame_escapes_what_json_lets_stand)
{
    static const char text[] =
        "{\"a\x7F\":\"b\\n\xC2\x9B \xC2\xA0 and more text \xC2\x80\xC2\x9F\"}";
    wi_buf out = WI_BUF_INIT;
    EXPECT_INT(check(text).type, WI_JSON_OBJECT);
    wi_json_append_tame(&out, text, sizeof text - 1);
    EXPECT_STR(wi_buf_cstr(&out), "{\"a\\u007f\":\"b\\n\\u009b \xC2\xA0 and more text "
                                  "\\u0080\\u009f\"}");
    wi_buf_clear(&out);
    wi_json_append_tame(&out, "[1,\"x\"]", 7);
    EXPECT_STR(wi_buf_cstr(&out), "[1,\"x\"]");
    wi_buf_fini(&out);
}

/* Byte by byte, as json.h says. False: not text. */
static bool escape_slowly(wi_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xC2 && i + 1 < len && (unsigned char)text[i + 1] < 0xA0;
        const char *named = c ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", c) : NULL;
        if (!c)
            return false;
        if (named && (c < 0x20 || c == '"' || c == '\\'))
            wi_buf_printf(out, "\\%c", named[1]);
        else if (c < 0x20 || c == 0x7F || c1)
            wi_buf_printf(out, "\\u00%02x", c1 ? (unsigned char)text[i + 1] : c);
        else
            wi_buf_putc(out, (char)c);
        i += c1;
    }
    return wi_utf8_valid_prefix(text, len) == len;
}

static void expect_escaped(const char *text, size_t len)
{
    wi_buf want = WI_BUF_INIT;
    wi_buf got = WI_BUF_INIT;
    char *exact = malloc(len ? len : 1);
    memcpy(exact, text, len);
    bool is_text = escape_slowly(&want, text, len);
    wi_buf_puts(&got, "before");
    EXPECT(wi_json_append_text(&got, exact, len) == is_text);
    if (is_text)
        EXPECT(got.len == want.len + 6 && memcmp(got.data, "before", 6) == 0 &&
               (!want.len || memcmp(got.data + 6, want.data, want.len) == 0));
    else
        EXPECT_INT(got.len, 6);
    free(exact);
    wi_buf_fini(&want);
    wi_buf_fini(&got);
}

TEST(text_is_escaped_wherever_it_needs_it)
{
    static const char *const odd[] = {
        "\"",       "\\",           "\n",   "\x1B",     "\x7F",         "\xC2\x85",
        "\xC2\xA0", "\xC3\xA9",     "\xC2", "\xE2\x82", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
        "\xC2\x41", "\xED\xA0\x80", ""};
    char text[64];
    for (size_t len = 0; len < 50; len++) {
        for (size_t at = 0; at <= len; at++) {
            for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
                size_t n = strlen(odd[i]) ? strlen(odd[i]) : 1; /* the last is a NUL */
                memset(text, 'a', len + n);
                memcpy(text + at, odd[i], n);
                expect_escaped(text, len + n);
            }
        }
    }
}

TEST(a_buffer_with_a_cap_takes_what_fits)
{
    char bytes[40];
    memset(bytes, 'x', sizeof bytes);
    for (size_t len = 1; len <= sizeof bytes; len++) {
        wi_buf out = {.max = 30};
        EXPECT(wi_json_append_text(&out, bytes, len));
        EXPECT(out.failed == (len > 30));
        wi_buf_fini(&out);
    }
}

TESTS(CASE(text_is_escaped_wherever_it_needs_it), CASE(a_buffer_with_a_cap_takes_what_fits),
      CASE(check_tells_the_type), CASE(check_takes_numbers_as_the_grammar_has_them),
      CASE(check_finds_white_space_outside_strings), CASE(check_says_where_and_why),
      CASE(check_wants_utf8), CASE(check_bounds_the_depth), CASE(minify_keeps_strings_and_digits),
      CASE(walk_gives_members_in_order), CASE(unescape_knows_every_escape),
      CASE(escape_leaves_nothing_for_a_terminal),
      CASE(escape_and_unescape_are_inverse_at_every_length),
      CASE(tame_escapes_what_json_lets_stand))
