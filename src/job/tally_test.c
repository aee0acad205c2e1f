/* tally_test.c: reasons are counted, none is lost, and what is kept can be printed. */
#include "tally.h"

#include "test.h"

static void add(wi_tally *tally, const char *reason, const char *example)
{
    wi_tally_add(tally, reason, example, strlen(example));
}

static int64_t sum(const wi_tally *tally)
{
    int64_t n = 0;
    for (size_t i = 0; i < tally->len; i++)
        n += tally->entries[i].count;
    return n;
}

TEST(the_most_frequent_first)
{
    wi_tally tally = {0};
    for (int i = 0; i < 10; i++) {
        add(&tally, "HTTP 500", "http://a/1");
        if (i % 2)
            add(&tally, "timed out", i == 1 ? "http://a/2" : "http://a/3");
        if (i < 7)
            add(&tally, "HTTP 404", "http://a/4");
    }
    wi_tally_sort(&tally);
    EXPECT_INT(tally.len, 3);
    EXPECT_STR(tally.entries[0].reason, "HTTP 500");
    EXPECT_INT(tally.entries[0].count, 10);
    EXPECT_STR(tally.entries[1].reason, "HTTP 404");
    EXPECT_STR(tally.entries[2].reason, "timed out");
    EXPECT_STR(tally.entries[2].example, "http://a/2");
}

TEST(more_reasons_than_places)
{
    wi_tally tally = {0};
    for (int i = 0; i < 1000; i++) {
        char reason[20];
        snprintf(reason, sizeof reason, "reason %d", i % 100);
        add(&tally, reason, "x");
    }
    EXPECT_INT(tally.len, WI_TALLY_REASONS);
    EXPECT_INT(sum(&tally), 1000);
    wi_tally_sort(&tally);
    EXPECT_STR(tally.entries[0].reason, "other reasons");
    EXPECT_INT(tally.entries[0].count, 1000 - 10 * (WI_TALLY_REASONS - 1));
}

TEST(what_is_kept_is_printable)
{
    wi_tally tally = {0};
    char large[1000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    add(&tally, "\33[31mred\n", "a\0b");
    wi_tally_add(&tally, large, "\33]0;title\7\xff", 11);
    add(&tally, large, large);
    EXPECT_INT(tally.len, 2);
    for (size_t i = 0; i < tally.len; i++) {
        for (const char *at = tally.entries[i].reason; *at; at++)
            EXPECT((unsigned char)*at >= ' ' && *at != 0x7f);
        for (const char *at = tally.entries[i].example; *at; at++)
            EXPECT((unsigned char)*at >= ' ' && *at != 0x7f);
    }
    EXPECT_INT(tally.entries[1].count, 2);
    EXPECT(strlen(tally.entries[1].reason) < WI_TALLY_REASON_SIZE);
}

TESTS(CASE(the_most_frequent_first), CASE(more_reasons_than_places),
      CASE(what_is_kept_is_printable))
