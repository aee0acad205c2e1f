/* map_test.c: what was put is found, through growth and replacement. */
#include "map.h"

#include "test.h"

TEST(finds_what_was_put)
{
    enum { N = 5000 };
    static char keys[N][8];
    wi_map map = WI_MAP_INIT;
    EXPECT(!wi_map_get(&map, "k", 1));
    for (int i = 0; i < N; i++) {
        int len = snprintf(keys[i], sizeof keys[i], "k%d", i);
        EXPECT(wi_map_put(&map, keys[i], (size_t)len, keys[i]));
    }
    EXPECT_INT(map.len, N);
    for (int i = 0; i < N; i++) {
        char key[8];
        int len = snprintf(key, sizeof key, "k%d", i);
        EXPECT(wi_map_get(&map, key, (size_t)len) == keys[i]);
    }
    EXPECT(!wi_map_get(&map, "k5000", 5));
    EXPECT(!wi_map_get(&map, "k", 1));
    EXPECT(!wi_map_get(&map, "k1\0", 3));
    wi_map_fini(&map);
    EXPECT(!map.entries && !map.len);
}

TEST(replaces_and_keeps_lengths_apart)
{
    int one = 1;
    int two = 2;
    int three = 3;
    wi_map map = WI_MAP_INIT;
    EXPECT(wi_map_put(&map, "key", 3, &one));
    EXPECT(wi_map_put(&map, "key", 3, &two));
    EXPECT_INT(map.len, 1);
    EXPECT(wi_map_put(&map, "key\0", 4, &three));
    EXPECT(wi_map_put(&map, "", 0, &one));
    EXPECT_INT(map.len, 3);
    EXPECT(wi_map_get(&map, "key", 3) == &two);
    EXPECT(wi_map_get(&map, "key\0", 4) == &three);
    EXPECT(wi_map_get(&map, "", 0) == &one);
    wi_map_fini(&map);
}

/* So that nobody can prepare keys that collide. */
TEST(each_map_has_a_seed_of_its_own)
{
    wi_map a = WI_MAP_INIT, b = WI_MAP_INIT;
    int one = 1;
    EXPECT(wi_map_put(&a, "key", 3, &one));
    EXPECT(wi_map_put(&b, "key", 3, &one));
    EXPECT(a.seed != 0 && b.seed != 0 && a.seed != b.seed);
    wi_map_fini(&a);
    wi_map_fini(&b);
}

TESTS(CASE(finds_what_was_put), CASE(replaces_and_keeps_lengths_apart),
      CASE(each_map_has_a_seed_of_its_own))
