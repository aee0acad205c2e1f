/* ready_test.c: items come out by their numbers, an origin after the other, and none is left. */
#include "ready.h"

#include "test.h"
#include "torture.h"

enum { ORIGINS = 20 };

typedef struct stage {
    wi_gate *gate;
    wi_origin *origins[ORIGINS];
    wi_ready ready;
} stage;

static void on_poke(void *arg, int lane)
{
    (void)arg;
    (void)lane;
}

static weir_status stage_open(stage *s)
{
    const wi_gate_options options = {.lanes = 1, .total = 1, .poke = on_poke};
    *s = (stage){0};
    wi_ready_init(&s->ready);
    weir_status status = wi_gate_new(&options, &s->gate, NULL);
    for (int i = 0; status == WEIR_OK && i < ORIGINS; i++) {
        char name[] = {(char)('a' + i)};
        s->origins[i] = wi_gate_origin(s->gate, name, 1);
        if (!s->origins[i])
            status = WEIR_NOMEM;
    }
    return status;
}

static void stage_close(stage *s)
{
    wi_ready_fini(&s->ready);
    wi_gate_free(s->gate);
}

static void put(stage *s, wi_item *item, int origin, uint64_t number, int attempts)
{
    *item = (wi_item){.number = number, .attempts = attempts, .origin = s->origins[origin]};
    wi_list_init(&item->node);
    EXPECT(wi_ready_reserve(&s->ready, item->origin));
    wi_ready_put(&s->ready, item);
    EXPECT_INT(item->state, WI_ITEM_READY);
}

static wi_ready_queue *first_queue(stage *s)
{
    return wi_container_of(s->ready.queues.next, wi_ready_queue, node);
}

static uint64_t take(stage *s)
{
    wi_item *item = wi_ready_first(first_queue(s));
    wi_ready_remove(&s->ready, item);
    return item->number;
}

TEST(what_is_tried_again_comes_by_its_number)
{
    stage s;
    wi_item items[5];
    REQUIRE(stage_open(&s) == WEIR_OK);
    put(&s, &items[0], 0, 2, 0);
    put(&s, &items[1], 0, 5, 0);
    put(&s, &items[2], 0, 9, 3); /* behind all */
    put(&s, &items[3], 0, 3, 1); /* between */
    put(&s, &items[4], 0, 1, 1); /* before all */
    EXPECT_INT(s.ready.len, 5);
    EXPECT_INT(take(&s), 1);
    EXPECT_INT(take(&s), 2);
    EXPECT_INT(take(&s), 3);
    wi_ready_remove(&s.ready, &items[2]); /* the last, out of turn */
    EXPECT_INT(take(&s), 5);
    EXPECT_INT(s.ready.len, 0);
    EXPECT(wi_list_empty(&s.ready.queues));
    stage_close(&s);
}

TEST(origins_stand_in_line_while_they_have_items)
{
    stage s;
    wi_item items[4];
    REQUIRE(stage_open(&s) == WEIR_OK);
    put(&s, &items[0], ORIGINS - 1, 0, 0);
    put(&s, &items[1], 0, 1, 0);
    put(&s, &items[2], ORIGINS - 1, 2, 0);
    EXPECT(first_queue(&s)->origin == s.origins[ORIGINS - 1]);
    EXPECT_INT(take(&s), 0);
    EXPECT_INT(take(&s), 2);
    EXPECT(first_queue(&s)->origin == s.origins[0]);
    put(&s, &items[3], ORIGINS - 1, 3, 0); /* again, and last */
    EXPECT_INT(take(&s), 1);
    EXPECT_INT(take(&s), 3);
    EXPECT(wi_list_empty(&s.ready.queues));
    EXPECT(!wi_ready_first(s.ready.by_origin[0]));
    stage_close(&s);
}

static weir_status put_at_all_origins(void)
{
    stage s;
    wi_item item;
    weir_status status = stage_open(&s);
    for (int i = 0; status == WEIR_OK && i < ORIGINS; i++) {
        if (!wi_ready_reserve(&s.ready, s.origins[i])) {
            status = WEIR_NOMEM;
        } else {
            put(&s, &item, i, 7, 0);
            EXPECT_INT(take(&s), 7);
        }
    }
    stage_close(&s);
    return status;
}

TEST(survives_lack_of_memory)
{
    TORTURE(put_at_all_origins());
}

TESTS(CASE(what_is_tried_again_comes_by_its_number),
      CASE(origins_stand_in_line_while_they_have_items), CASE(survives_lack_of_memory))
