/* sweep_test.c: counting and looking, at every level, beside bytes that must not be touched. */
#include "sweep.h"

#include <stdlib.h>

#include "test.h"

TEST(counts_and_classes_at_any_length)
{
    for (int level = WI_SWEEP_PLAIN; level <= WI_SWEEP_AVX2; level++) {
        wi_sweep_limit((wi_sweep_level)level);
        for (size_t len = 0; len < 200; len++) {
            char *bytes =
                malloc(len + 1); /* of its size, so that a sanitizer sees a read past it */
            REQUIRE(bytes != NULL);
            size_t feeds = 0;
            for (size_t i = 0; i < len; i++) {
                bytes[i] = i * 7 % 5 == 0 ? '\n' : (char)(i % 128);
                feeds += bytes[i] == '\n';
            }
            bytes[len] = '\n';
            EXPECT_INT(wi_count_newlines(bytes, len), feeds);
            EXPECT(wi_is_ascii(bytes, len));
            for (size_t i = 0; i < len; i += 13) {
                bytes[i] ^= (char)0x80;
                EXPECT(!wi_is_ascii(bytes, len));
                bytes[i] ^= (char)0x80;
            }
            free(bytes);
        }
    }
    wi_sweep_limit(WI_SWEEP_AVX2);
}

TEST(counts_more_than_a_byte_holds)
{
    enum { LEN = 100000 };
    static char bytes[LEN];
    memset(bytes, '\n', LEN);
    for (int level = WI_SWEEP_PLAIN; level <= WI_SWEEP_AVX2; level++) {
        wi_sweep_limit((wi_sweep_level)level);
        EXPECT_INT(wi_count_newlines(bytes, LEN), LEN);
    }
    wi_sweep_limit(WI_SWEEP_AVX2);
}

TESTS(CASE(counts_and_classes_at_any_length), CASE(counts_more_than_a_byte_holds))
