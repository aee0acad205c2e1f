/* map_test.c: see weir/map.h. */
#include "test.h"
#include "weir/map.h"
#include <stdlib.h>
static void *twice(void *arg, weir_error *err)
{
    (void)err;
    return (void *)(intptr_t)(*(int *)arg * 2);
}
static weir_executor_kind kind;
TEST(order)
{
    int items[1000];
    for (int i = 0; i < 1000; i++)
        items[i] = i;
    weir_executor *ex;
    weir_error err = {0};
    weir_executor_options o = {.size = sizeof o, .kind = kind};
    EXPECT_INT(weir_executor_new(&o, &ex, &err), 0);
    weir_map *map;
    EXPECT_INT(weir_map_start(ex, twice, items, 1000, sizeof *items, NULL, &map, &err), 0);
    void *r;
    int n = 0;
    weir_status s;
    while ((s = weir_map_next(map, &r, &err)) == WEIR_OK) {
        if ((intptr_t)r != 2 * n)
            EXPECT_INT((intptr_t)r, 2 * n);
        n++;
    }
    EXPECT_INT(s, WEIR_END);
    EXPECT_INT(n, 1000);
    weir_map_free(map);
    weir_executor_free(ex);
}
TEST(all)
{
    for (int k = 0; k < 3; k++) {
        kind = k;
        test_order();
    }
}
TESTS(CASE(all))
