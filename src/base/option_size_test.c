/* option_size_test.c: older callers are served, others told. */
#include "option_size.h"

#include "test.h"

typedef struct old_options {
    size_t size;
    int first;
} old_options;

typedef struct new_options {
    size_t size;
    int first;
    int padding;
    const char *second;
} new_options;

TEST(a_shorter_structure_lacks_what_came_later)
{
    old_options given = {.size = sizeof given, .first = 7};
    new_options got;
    memset(&got, 0xff, sizeof got);
    EXPECT_INT(wi_options_take(&got, sizeof got, &given, "options", NULL), WEIR_OK);
    EXPECT_INT(got.first, 7);
    EXPECT(!got.second);
    EXPECT_INT(got.size, sizeof got);
}

TEST(what_is_longer_or_has_no_size_is_refused)
{
    static const size_t bad[] = {0, 4, sizeof(new_options) + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        new_options given = {.size = bad[i]};
        new_options got = {.first = 3};
        weir_error err = {0};
        EXPECT_INT(wi_options_take(&got, sizeof got, &given, "nap_options", &err), WEIR_INVALID);
        EXPECT(strstr(err.text, "nap_options.size is"));
        EXPECT_INT(got.first, 3);
    }
}

TESTS(CASE(a_shorter_structure_lacks_what_came_later),
      CASE(what_is_longer_or_has_no_size_is_refused))
