/* needle_test.c: one text and several, at every level, against looking at each place. */
#include "needle.h"

#include <stdlib.h>

#include "torture.h"

static uint32_t seed = 1;

static unsigned roll(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % n;
}

static char fold(char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool here(const char *bytes, size_t len, const wi_needle_text *text, bool nocase)
{
    if (text->len > len)
        return false;
    for (size_t i = 0; i < text->len; i++)
        if (fold(bytes[i], nocase) != fold(text->bytes[i], nocase))
            return false;
    return true;
}

static void expect_found(const wi_needle_text *texts, size_t n, bool nocase, const char *bytes,
                         size_t len)
{
    const char *want = NULL;
    int64_t which = -1;
    for (size_t at = 0; at <= len && !want; at++)
        for (size_t i = 0; i < n && !want; i++)
            if (here(bytes + at, len - at, &texts[i], nocase)) {
                want = bytes + at;
                which = (int64_t)i;
            }
    wi_needles *needles = wi_needles_new(texts, n, nocase);
    REQUIRE(needles != NULL);
    const char *got = wi_needles_find(needles, bytes, len);
    if (!EXPECT(got == want))
        printf("# \"%.*s\" and %zu others in \"%.*s\": %td, not %td\n", (int)texts[0].len,
               texts[0].bytes, n - 1, (int)len, bytes, got ? got - bytes : -1,
               want ? want - bytes : -1);
    if (want)
        EXPECT_INT(wi_needles_at(needles, want, len - (size_t)(want - bytes)), which);
    wi_needles_free(needles);
}

static void random_search(size_t most_texts, unsigned most_len, unsigned letters)
{
    static const char alphabet[] = "abABxyz@{`[\xC1\xE1k";
    wi_needle_text texts[200];
    char storage[200][8];
    size_t n = 1 + roll((unsigned)most_texts);
    bool nocase = roll(2);
    for (size_t i = 0; i < n; i++) {
        texts[i] = (wi_needle_text){storage[i], 1 + roll(most_len)};
        for (size_t k = 0; k < texts[i].len; k++)
            storage[i][k] = fold(alphabet[roll(letters)], nocase);
    }
    size_t len = roll(300);
    char *bytes = malloc(len + (len == 0)); /* of its size, for the sanitizer */
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < len; i++)
        bytes[i] = roll(3) ? alphabet[roll(sizeof alphabet - 1)] : '.';
    expect_found(texts, n, nocase, bytes, len);
    free(bytes);
}

TEST(finds_the_first_at_every_level)
{
    for (int level = WI_SWEEP_PLAIN; level <= WI_SWEEP_AVX2; level++) {
        wi_sweep_limit((wi_sweep_level)level);
        for (int i = 0; i < 2000; i++) {
            random_search(1, 5, 14);
            random_search(4, 4, 14);
            random_search(1, 7, 3);
            random_search(60, 7, 14);
        }
        for (int i = 0; i < 200; i++)
            random_search(200, 7, 14);
    }
    wi_sweep_limit(WI_SWEEP_AVX2);
}

TEST(finds_at_every_place)
{
    enum { LEN = 150 };
    static const wi_needle_text texts[] = {{"needle", 6}, {"pin", 3}};
    for (int level = WI_SWEEP_PLAIN; level <= WI_SWEEP_AVX2; level++) {
        wi_sweep_limit((wi_sweep_level)level);
        for (size_t at = 0; at <= LEN - 6; at++) {
            char *bytes = malloc(LEN);
            REQUIRE(bytes != NULL);
            memset(bytes, 'n', LEN);
            memcpy(bytes + at, "NeedLe", 6);
            expect_found(texts, 1, true, bytes, LEN);
            expect_found(texts, 1, false, bytes, LEN);
            expect_found(texts, 2, true, bytes, LEN);
            expect_found(texts, 2, false, bytes, LEN);
            free(bytes);
        }
    }
    wi_sweep_limit(WI_SWEEP_AVX2);
}

TEST(nothing_is_everywhere)
{
    wi_needle_text empty = {"", 0};
    wi_needle needle;
    expect_found(&empty, 1, false, "abc", 3);
    expect_found(&empty, 1, false, "", 0);
    wi_needle_init(&needle, "", 0, false);
    EXPECT_STR(wi_needle_find(&needle, "abc", 3), "abc");
    wi_needles_free(NULL);
}

TEST(rare_bytes_are_chosen)
{
    wi_needle needle;
    wi_needle_init(&needle, "e~ee@", 5, false);
    EXPECT_INT(needle.at[0], 1);
    EXPECT_INT(needle.at[1], 4);
    EXPECT(wi_byte_rank('e') > wi_byte_rank('Z') && wi_byte_rank(' ') == 255);
    EXPECT(wi_needle_is_at(&needle, "e~ee@x", 6) && !wi_needle_is_at(&needle, "e~ee@", 4));
}

static weir_status make_and_free(void)
{
    static char storage[100][3];
    wi_needle_text texts[100];
    for (size_t i = 0; i < 100; i++) {
        memcpy(storage[i], (char[3]){(char)('a' + i / 10), (char)('a' + i % 10), 'x'}, 3);
        texts[i] = (wi_needle_text){storage[i], 3};
    }
    for (size_t n = 1; n <= 100; n += 33) {
        wi_needles *needles = wi_needles_new(texts, n, false);
        if (!needles)
            return WEIR_NOMEM;
        wi_needles_free(needles);
    }
    return WEIR_OK;
}

TEST(making_them_survives_lack_of_memory)
{
    TORTURE(make_and_free());
}

TESTS(CASE(finds_the_first_at_every_level), CASE(finds_at_every_place), CASE(nothing_is_everywhere),
      CASE(rare_bytes_are_chosen), CASE(making_them_survives_lack_of_memory))
