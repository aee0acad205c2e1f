/* text_test.c: text.h against the tables of the standards it names. */
#include "text.h"

#include <stdlib.h>

#include "test.h"

static bool valid(const char *text)
{
    return wi_utf8_valid_prefix(text, strlen(text)) == strlen(text);
}

TEST(utf8_takes_what_rfc_3629_takes)
{
    EXPECT(valid(""));
    EXPECT(valid("plain"));
    EXPECT(valid("\x7F \xC2\x80 \xDF\xBF \xE0\xA0\x80 \xEF\xBF\xBF"));
    EXPECT(valid("\xED\x9F\xBF \xEE\x80\x80"));
    EXPECT(valid("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
    EXPECT(wi_utf8_valid_prefix("a\0b", 3) == 3);
}

TEST(utf8_refuses_the_rest)
{
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xC0\x80",         /* overlong */
        "\xC1\xBF",         /* overlong */
        "\xE0\x9F\xBF",     /* overlong */
        "\xF0\x8F\xBF\xBF", /* overlong */
        "\xED\xA0\x80",     /* a surrogate */
        "\xF4\x90\x80\x80", /* past U+10FFFF */
        "\xF5\x80\x80\x80",
        "\xFF",
        "\xC2",
        "\xE2\x82",
        "\xF0\x9F\x98",
        "\xC2 ",
        "\xE2\x82 ",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT_INT(wi_utf8_valid_prefix(bad[i], strlen(bad[i])), 0);
        /* at every distance from a word's start, with good text on both sides */
        for (size_t pad = 0; pad < 17; pad++) {
            char text[64];
            int n = snprintf(text, sizeof text, "%.*s%szz", (int)pad, "aaaaaaaaaaaaaaaaa", bad[i]);
            EXPECT_INT(wi_utf8_valid_prefix(text, (size_t)n), pad);
        }
    }
}

static void expect_lossy(const char *bytes, const char *want)
{
    wi_buf out = WI_BUF_INIT;
    wi_utf8_append_lossy(&out, bytes, strlen(bytes));
    EXPECT_STR(wi_buf_cstr(&out), want);
    EXPECT(valid(out.data));
    wi_buf_fini(&out);
}

TEST(lossy_replaces_each_bad_byte)
{
    expect_lossy("", "");
    expect_lossy("gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F");
    expect_lossy("a\xFFz", "a\xEF\xBF\xBDz");
    expect_lossy("\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void expect_printable(const char *bytes, size_t len, const char *want)
{
    char text[128];
    size_t n = wi_text_printable(text, sizeof text, bytes, len);
    EXPECT_STR(text, want);
    EXPECT_INT(n, strlen(want));
    wi_buf endless = WI_BUF_INIT;
    wi_text_append_printable(&endless, bytes, len);
    EXPECT_STR(wi_buf_cstr(&endless), want);
    wi_buf_fini(&endless);
}

TEST(printable_names_what_a_terminal_would_obey)
{
    expect_printable("", 0, "");
    expect_printable("a\0b", 3, "a\\x00b");
    expect_printable("\x1B[31m", 5, "\\x1B[31m");
    expect_printable("one\ntwo\r\tx", 10, "one\\ntwo\\r\\tx");
    expect_printable("\x7F", 1, "\\x7F");
    expect_printable("\xC2\x9B", 2, "\\u{009B}");
    expect_printable("\xE2\x80\xAE", 3, "\\u{202E}");
    expect_printable("\xE2\x80\xA8", 3, "\\u{2028}");
    expect_printable("\xE2\x81\xA6", 3, "\\u{2066}");
    expect_printable("\xFF\xC3", 2, "\\xFF\\xC3");
    expect_printable("\xE2\x82\xAC \xF0\x9F\x98\x80", 8, "\xE2\x82\xAC \xF0\x9F\x98\x80");
}

TEST(printable_cuts_between_characters)
{
    char text[16];
    memset(text, 'x', sizeof text);
    EXPECT_INT(wi_text_printable(text, 0, "abc", 3), 0);
    EXPECT_INT(text[0], 'x');
    EXPECT_INT(wi_text_printable(text, 1, "abc", 3), 0);
    EXPECT_STR(text, "");
    wi_text_printable(text, 3, "abc", 3);
    EXPECT_STR(text, "..");
    wi_text_printable(text, 4, "abc", 3);
    EXPECT_STR(text, "abc");
    wi_text_printable(text, 8, "abcdefgh", 8);
    EXPECT_STR(text, "abcd...");
    wi_text_printable(text, 8,
                      "abc\xE2\x82\xAC"
                      "defg",
                      10);
    EXPECT_STR(text, "abc...");
    wi_text_printable(text, 8, "abc\ndefg", 8);
    EXPECT_STR(text, "abc...");
    for (size_t size = 1; size < sizeof text; size++) {
        size_t n = wi_text_printable(text, size, "\xE2\x82\xAC\x01\xC3\xBC long enough", 17);
        EXPECT(n < size && strlen(text) == n && valid(text));
    }
}

TEST(percent_leaves_the_unreserved)
{
    wi_buf out = WI_BUF_INIT;
    const char *text = "AZaz09-._~ /?&=%+\xC3\xBC";
    wi_text_append_percent(&out, text, strlen(text));
    EXPECT_STR(wi_buf_cstr(&out), "AZaz09-._~%20%2F%3F%26%3D%25%2B%C3%BC");
    wi_buf_fini(&out);
}

TEST(base64_matches_rfc_4648)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xFB\xFF\xFE", "+//+"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        wi_buf out = WI_BUF_INIT;
        wi_text_append_base64(&out, vectors[i][0], strlen(vectors[i][0]));
        EXPECT_STR(wi_buf_cstr(&out), vectors[i][1]);
        wi_buf_fini(&out);
    }
}

TEST(nocase_compares_ascii_only)
{
    EXPECT(wi_text_equal_nocase("Retry-After", 11, "retry-after"));
    EXPECT(wi_text_equal_nocase("", 0, ""));
    EXPECT(!wi_text_equal_nocase("abc", 3, "ab"));
    EXPECT(!wi_text_equal_nocase("ab", 2, "abc"));
    EXPECT(!wi_text_equal_nocase("[", 1, "{"));
    EXPECT(!wi_text_equal_nocase("\xC3\x84", 2, "\xC3\xA4"));
}

TEST(numbers_are_digits_within_range)
{
    int64_t value = 7;
    EXPECT(wi_text_parse_i64("0", 1, &value) && value == 0);
    EXPECT(wi_text_parse_i64("007", 3, &value) && value == 7);
    EXPECT(wi_text_parse_i64("9223372036854775807", 19, &value) && value == INT64_MAX);
    value = 7;
    EXPECT(!wi_text_parse_i64("9223372036854775808", 19, &value));
    EXPECT(!wi_text_parse_i64("99999999999999999999", 20, &value));
    EXPECT(!wi_text_parse_i64("", 0, &value));
    EXPECT(!wi_text_parse_i64("-1", 2, &value));
    EXPECT(!wi_text_parse_i64(" 1", 2, &value));
    EXPECT(!wi_text_parse_i64("1x", 2, &value));
    EXPECT_INT(value, 7);
}

TEST(ranges_of_numbers)
{
    int64_t from, to;
    EXPECT(wi_text_parse_range("75", 2, 1, 255, &from, &to) && from == 75 && to == 75);
    EXPECT(wi_text_parse_range("64-78", 5, 1, 255, &from, &to) && from == 64 && to == 78);
    static const char *const bad[] = {"",  "-",   "5-",    "-5",  "9-3",
                                      "0", "256", "1-256", "a-b", "1-2-3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EXPECT(!wi_text_parse_range(bad[i], strlen(bad[i]), 1, 255, &from, &to));
}

TESTS(CASE(ranges_of_numbers), CASE(utf8_takes_what_rfc_3629_takes), CASE(utf8_refuses_the_rest),
      CASE(lossy_replaces_each_bad_byte), CASE(printable_names_what_a_terminal_would_obey),
      CASE(printable_cuts_between_characters), CASE(percent_leaves_the_unreserved),
      CASE(base64_matches_rfc_4648), CASE(nocase_compares_ascii_only),
      CASE(numbers_are_digits_within_range))
