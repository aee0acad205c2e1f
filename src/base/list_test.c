/* list_test.c: the ring holds together through every operation. */
#include "list.h"

#include "test.h"

typedef struct item {
    int value;
    wi_list node;
} item;

/* The values in order as digits, walked both ways. */
static int digits(const wi_list *list)
{
    int forward = 0;
    int backward = 0;
    int scale = 1;
    for (const wi_list *at = list->next; at != list; at = at->next)
        forward = forward * 10 + wi_container_of(at, item, node)->value;
    for (const wi_list *at = list->prev; at != list; at = at->prev, scale *= 10)
        backward += scale * wi_container_of(at, item, node)->value;
    return forward == backward ? forward : -1;
}

TEST(keeps_order)
{
    wi_list list;
    item items[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    wi_list_init(&list);
    EXPECT(wi_list_empty(&list));
    EXPECT(!wi_list_shift(&list));
    wi_list_append(&list, &items[1].node);
    wi_list_append(&list, &items[2].node);
    wi_list_prepend(&list, &items[0].node);
    wi_list_append(&list, &items[3].node);
    EXPECT_INT(digits(&list), 1234);
    wi_list_remove(&items[1].node);
    wi_list_remove(&items[1].node); /* harmless */
    EXPECT_INT(digits(&list), 134);
    EXPECT(wi_list_shift(&list) == &items[0].node);
    EXPECT(wi_list_empty(&items[0].node));
    wi_list_remove(&items[3].node);
    wi_list_remove(&items[2].node);
    EXPECT(wi_list_empty(&list));
}

TEST(splice_moves_all)
{
    wi_list a;
    wi_list b;
    item items[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    wi_list_init(&a);
    wi_list_init(&b);
    wi_list_splice(&a, &b);
    EXPECT(wi_list_empty(&a) && wi_list_empty(&b));
    wi_list_append(&b, &items[0].node);
    wi_list_append(&b, &items[1].node);
    wi_list_splice(&a, &b);
    EXPECT(wi_list_empty(&b));
    EXPECT_INT(digits(&a), 12);
    wi_list_append(&b, &items[2].node);
    wi_list_append(&b, &items[3].node);
    wi_list_splice(&a, &b);
    EXPECT_INT(digits(&a), 1234);
    EXPECT(wi_list_empty(&b));
}

TESTS(CASE(keeps_order), CASE(splice_moves_all))
