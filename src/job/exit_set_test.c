/* exit_set_test.c: what --retry-on means for commands. */
#include "exit_set.h"

#include "test.h"

static wi_exit_set set_of(const char *text)
{
    wi_exit_set set = {0};
    weir_error err = {0};
    EXPECT_INT(wi_exit_set_parse(text, &set, &err), WEIR_OK);
    return set;
}

TEST(codes_and_ranges)
{
    wi_exit_set set = set_of("75,100-102");
    EXPECT(wi_exit_set_has_code(&set, 75) && !wi_exit_set_has_code(&set, 74));
    EXPECT(wi_exit_set_has_code(&set, 100) && wi_exit_set_has_code(&set, 102));
    EXPECT(!wi_exit_set_has_code(&set, 103) && !wi_exit_set_has_code(&set, 0));
    EXPECT(!wi_exit_set_has_code(&set, -1) && !wi_exit_set_has_code(&set, 256));
    EXPECT(!set.timeout && !set.signal && !set.start);
}

TEST(words)
{
    wi_exit_set set = set_of(NULL);
    EXPECT(set.timeout && set.signal && set.start && wi_exit_set_has_code(&set, 255));
    EXPECT(!wi_exit_set_has_code(&set, 0));
    set = set_of("-2,-signal");
    EXPECT(set.timeout && !set.signal && !wi_exit_set_has_code(&set, 2));
    EXPECT(wi_exit_set_has_code(&set, 1));
    set = set_of("none,timeout");
    EXPECT(set.timeout && !set.signal && !wi_exit_set_has_code(&set, 1));
    set = set_of("any,-start");
    EXPECT(set.timeout && !set.start);
}

TEST(what_is_refused)
{
    static const char *const bad[] = {"0", "256", "9-3", "x", "1,,2", "1-", "5xx", "timeouts"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wi_exit_set set = {0};
        weir_error err = {0};
        EXPECT_INT(wi_exit_set_parse(bad[i], &set, &err), WEIR_INVALID);
        EXPECT(strstr(err.text, "--retry-on"));
    }
}

TESTS(CASE(codes_and_ranges), CASE(words), CASE(what_is_refused))
