/* digest_test.c: sums that xxhsum -H2 and sha256sum print, of bytes whole and in pieces. */
#include "digest.h"

#include <stdlib.h>

#include "random.h"
#include "torture.h"

enum { MOST = 100000 };

static unsigned char bytes[MOST];

/* Of the first bytes of a pattern: lengths around which XXH3 changes its ways. */
static const struct {
    size_t len;
    const char *sums[2]; /* by wi_digest_kind */
} known[] = {
    {0,
     {"99aa06d3014798d86001c324468d497f",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
    {1,
     {"a6cd5e9392000f6ac44bdff4074eecdb",
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"}},
    {16,
     {"ddf6c1254d70f76794eaa17b20756f46",
      "f7bc6c13e813d37799484d9cd24d1570d3e943fe0fe6e8f64925faabce0af40d"}},
    {17,
     {"263f67af63088041735fe434ded90c3c",
      "e060fc0bb46619525f8ec49b48b5a6d6ceaa3157a887381212af57296d355d20"}},
    {129,
     {"00433635cf8d872e7f4accb76587485b",
      "5b55715b51c54661ed0cbd75ba5b00cf1ffee3b7c113a636eca613d9425116a6"}},
    {241,
     {"75f4da43f23cce5a541b19226f0052e8",
      "2b7ada0e4af1353b01d4f4d785ad4d003534e9d5868da526708117827a665c0c"}},
    {1000,
     {"bae798f9321bda6cd1db6a0afea2cc82",
      "c85a431e0fe575b2609289d3a4042414715f400612575a125d2ce5573d608732"}},
    {MOST,
     {"4e53faeda1b5812bb25cea78018497ff",
      "55af394c980c7a7fb68aa904c4afdd93d76e5f826487105fc06f92a25bab8cbe"}},
};

static void fill_bytes(void)
{
    for (size_t i = 0; i < MOST; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
}

static void expect_sum(wi_digest *digest, size_t len, size_t most, const char *want)
{
    char text[WI_DIGEST_TEXT];
    wi_random random;
    wi_random_init(&random, len + most);
    wi_digest_begin(digest);
    for (size_t at = 0; at < len;) {
        size_t n = (size_t)wi_random_below(&random, (int64_t)most + 1);
        n = n < len - at ? n : len - at;
        wi_digest_add(digest, bytes + at, n);
        at += n;
    }
    wi_digest_end(digest, text);
    EXPECT_STR(text, want);
}

static void check_kind(wi_digest_kind kind)
{
    wi_digest *digest = NULL;
    fill_bytes();
    REQUIRE(wi_digest_new(kind, &digest, NULL) == WEIR_OK);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (size_t most = 1; most <= MOST; most *= 10)
            expect_sum(digest, known[i].len, most, known[i].sums[kind]);
    wi_digest_add(digest, bytes, 10); /* what was begun and not ended is forgotten */
    expect_sum(digest, known[0].len, 1, known[0].sums[kind]);
    wi_digest_free(digest);
}

TEST(xxh3_as_xxhsum_prints_it)
{
    check_kind(WI_DIGEST_XXH3);
}

TEST(sha256_as_sha256sum_prints_it)
{
    check_kind(WI_DIGEST_SHA256);
    wi_digest_free(NULL);
}

static weir_status make_and_free(wi_digest_kind kind)
{
    wi_digest *digest = NULL;
    weir_error err = {0};
    weir_status status = wi_digest_new(kind, &digest, &err);
    EXPECT_INT(err.status, status);
    EXPECT((digest == NULL) == (status != WEIR_OK));
    wi_digest_free(digest);
    return status;
}

TEST(making_one_survives_lack_of_memory)
{
    TORTURE(make_and_free(WI_DIGEST_XXH3));
    TORTURE(make_and_free(WI_DIGEST_SHA256));
}

TESTS(CASE(xxh3_as_xxhsum_prints_it), CASE(sha256_as_sha256sum_prints_it),
      CASE(making_one_survives_lack_of_memory))
