/* clock_test.c: the virtual clock moves when told, the real one by itself. */
#include "clock.h"

#include "test.h"

TEST(virtual_time_stands_still_and_never_goes_back)
{
    wi_clock clock = {.is_virtual = true, .virtual_now = 100};
    EXPECT_INT(wi_clock_now(&clock), 100);
    EXPECT_INT(wi_clock_now(&clock), 100);
    wi_clock_advance_to(&clock, 250);
    EXPECT_INT(wi_clock_now(&clock), 250);
    wi_clock_advance_to(&clock, 200);
    EXPECT_INT(wi_clock_now(&clock), 250);
}

TEST(real_time_is_not_ours_to_move)
{
    wi_clock *clock = wi_clock_real();
    EXPECT(clock == wi_clock_real());
    int64_t before = wi_clock_now(clock);
    wi_clock_advance_to(clock, before + 3600 * WI_SECOND);
    int64_t after = wi_clock_now(clock);
    EXPECT(after >= before && after < before + 3600 * WI_SECOND);
}

TESTS(CASE(virtual_time_stands_still_and_never_goes_back), CASE(real_time_is_not_ours_to_move))
