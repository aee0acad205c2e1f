/* owners_test.c: names of users and groups, those that were asked for before among them. */
#include "owners.h"

#include <grp.h>
#include <pwd.h>

#include "test.h"

TEST(ids_with_names)
{
    static wi_owners owners = WI_OWNERS_INIT;
    struct passwd *user = getpwuid(0);
    struct group *group = getgrgid(0);
    if (!user || !group)
        SKIP("there is no user or group 0");
    for (int i = 0; i < 2; i++) {
        EXPECT_STR(wi_owners_user(&owners, 0), user->pw_name);
        EXPECT_STR(wi_owners_group(&owners, 0), group->gr_name);
    }
}

TEST(ids_without_names_that_share_a_place)
{
    static wi_owners owners = WI_OWNERS_INIT;
    for (int i = 0; i < 2; i++) {
        EXPECT_STR(wi_owners_user(&owners, 4000000001U), "4000000001");
        EXPECT_STR(wi_owners_user(&owners, 4000000001U), "4000000001");
        EXPECT_STR(wi_owners_user(&owners, 4000000001U - WI_OWNERS_KEPT), "3999999937");
        EXPECT_STR(wi_owners_group(&owners, 4000000001U), "4000000001");
    }
}

TESTS(CASE(ids_with_names), CASE(ids_without_names_that_share_a_place))
