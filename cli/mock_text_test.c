#include "mock_text.h"

#include "mock_product.h"
#include "test.h"

TEST(json_strings_are_escaped)
{
    mock_text text = {0};
    mock_text_add_json(&text, "a\"\\\n\033\x7f\xc3\xa4\xff", 9);
    EXPECT_MEM(text.bytes, text.len, "\"a\\\"\\\\\\n\\u001b\\u007f\xc3\xa4\\ufffd\"");
    mock_text_fini(&text);
}

static bool utf8(const char *str)
{
    return mock_is_utf8(str, strlen(str));
}

TEST(utf8_is_told_from_other_bytes)
{
    EXPECT(utf8("") && utf8("plain") && utf8("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f"));
    EXPECT(!utf8("\x80") && !utf8("\xc3") && !utf8("\xe2\x82") && !utf8("\xff"));
    EXPECT(!utf8("\xc0\x80") && !utf8("\xe0\x80\x80") && !utf8("\xf0\x80\x80\x80"));
    EXPECT(!utf8("\xed\xa0\x80") && !utf8("\xf4\x90\x80\x80") && !utf8("\xf5\x80\x80\x80"));
    EXPECT(mock_is_utf8("\0", 1));
}

static void expect_base64(const char *plain, const char *want)
{
    mock_text text = {0};
    mock_text_add_base64(&text, plain, strlen(plain));
    EXPECT_MEM(text.bytes, text.len, want);
    mock_text_fini(&text);
}

TEST(base64_is_padded)
{
    expect_base64("f", "Zg==");
    expect_base64("fo", "Zm8=");
    expect_base64("foo", "Zm9v");
    expect_base64("\xff\xfe\xfd\xfc", "//79/A==");
}

TEST(printable_text_has_no_controls)
{
    mock_text text = {0};
    mock_text_add_printable(&text, "a \033[31m\\\x9b\n", 9);
    EXPECT_MEM(text.bytes, text.len, "a \\x1b[31m\\x5c\\x9b");
    mock_text_fini(&text);
}

TEST(numbers_are_digits_within_bounds)
{
    unsigned long long n = 7;
    EXPECT(!mock_number(NULL, 10, &n) && !mock_number("", 10, &n) && !mock_number("-1", 10, &n));
    EXPECT(!mock_number("1x", 10, &n) && !mock_number(" 1", 10, &n) && !mock_number("11", 10, &n));
    EXPECT(!mock_number("7", 6, &n) && !mock_number("99999999999999999999999", UINT64_MAX, &n));
    EXPECT_INT(n, 7);
    EXPECT(mock_number("10", 10, &n) && n == 10);
    EXPECT(mock_number("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
    EXPECT(!mock_number("18446744073709551616", UINT64_MAX, &n));
}

TEST(a_text_past_its_cap_fails_for_good)
{
    static char block[1 << 20];
    mock_text text = {0};
    for (int i = 0; i < 128; i++)
        mock_text_add(&text, block, sizeof block);
    EXPECT(!text.failed);
    EXPECT_INT(text.len, MOCK_TEXT_MAX);
    mock_text_add(&text, block, 1);
    mock_text_addf(&text, "%d", 1);
    EXPECT(text.failed);
    EXPECT_INT(text.len, MOCK_TEXT_MAX);
    mock_text_fini(&text);
}

TEST(formatted_text_grows)
{
    mock_text text = {0};
    for (int i = 0; i < 100; i++)
        mock_text_addf(&text, "%0*d", i * 10, i);
    EXPECT(!text.failed);
    EXPECT_INT(text.len, 1 + 99 * 100 / 2 * 10);
    mock_text_fini(&text);
}

TEST(products_are_of_the_promised_size)
{
    mock_text text = {0};
    for (uint64_t n = 1; n <= 10000; n++) {
        text.len = 0;
        mock_product_add(&text, n);
        if (!EXPECT(text.len >= 200 && text.len <= 300))
            break;
        EXPECT(mock_is_utf8(text.bytes, text.len));
    }
    mock_text_fini(&text);
}

TEST(products_differ_and_repeat)
{
    mock_text a = {0}, b = {0}, c = {0};
    mock_product_add(&a, 41);
    mock_product_add(&b, 42);
    mock_product_add(&c, 41);
    EXPECT(a.len == c.len && memcmp(a.bytes, c.bytes, a.len) == 0);
    EXPECT(a.len != b.len || memcmp(a.bytes, b.bytes, a.len) != 0);
    mock_text_fini(&a);
    mock_text_fini(&b);
    mock_text_fini(&c);
}

TESTS(CASE(json_strings_are_escaped), CASE(utf8_is_told_from_other_bytes), CASE(base64_is_padded),
      CASE(printable_text_has_no_controls), CASE(numbers_are_digits_within_bounds),
      CASE(a_text_past_its_cap_fails_for_good), CASE(formatted_text_grows),
      CASE(products_are_of_the_promised_size), CASE(products_differ_and_repeat))
