/* stack_test.c: the pool of stacks, and what guards them. */
#include "stack.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sanitize.h"
#include "test.h"

static wi_stack *take_many(wi_stacks *stacks, size_t n)
{
    wi_stack *all = calloc(n, sizeof *all);
    for (size_t i = 0; all && i < n; i++) {
        if (!EXPECT(wi_stack_take(stacks, &all[i], NULL) == WEIR_OK))
            abort();
    }
    return all;
}

static void give_many(wi_stacks *stacks, const wi_stack *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wi_stack_give(stacks, &all[i]);
}

static int compare_low(const void *a, const void *b)
{
    const wi_stack *x = a;
    const wi_stack *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

TEST(stacks_do_not_overlap_and_have_guards_between)
{
    wi_stacks stacks;
    REQUIRE(wi_stacks_init(&stacks, 50000, NULL) == WEIR_OK);
    EXPECT(stacks.size >= 50000 && stacks.size % (size_t)sysconf(_SC_PAGESIZE) == 0);
    wi_stack *all = take_many(&stacks, 200);
    for (int i = 0; i < 200; i++)
        memset(all[i].low, 1, stacks.size);
    qsort(all, 200, sizeof *all, compare_low);
    for (int i = 0; i < 200; i++) {
        EXPECT(!wi_stack_guards(&stacks, &all[i], all[i].low));
        EXPECT(wi_stack_guards(&stacks, &all[i], all[i].low - 1));
        EXPECT(wi_stack_guards(&stacks, &all[i], all[i].low - WI_STACK_GUARD));
        if (i)
            EXPECT(all[i].low - all[i - 1].low >= (ptrdiff_t)stacks.size + WI_STACK_GUARD);
    }
    give_many(&stacks, all, 200);
    free(all);
    wi_stacks_fini(&stacks);
}

TEST(the_stack_given_back_last_is_taken_first)
{
    wi_stacks stacks;
    REQUIRE(wi_stacks_init(&stacks, 0, NULL) == WEIR_OK);
    EXPECT_INT(stacks.size, WI_STACK_DEFAULT);
    wi_stack *all = take_many(&stacks, 130);
    wi_stack again;
    EXPECT_INT(stacks.live, 130);
    wi_stack_give(&stacks, &all[70]);
    EXPECT_INT(stacks.pooled, 1);
    REQUIRE(wi_stack_take(&stacks, &again, NULL) == WEIR_OK);
    EXPECT(again.low == all[70].low);
    EXPECT_INT(stacks.pooled, 0);
    give_many(&stacks, all, 130);
    free(all);
    wi_stacks_fini(&stacks);
}

static size_t marked(const wi_stacks *stacks, const wi_stack *all, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += all[i].low[stacks->size - 1] != 0;
    return found;
}

/* Gives back all but each `keep`-th; what is warm can be recognized by its mark. */
static void crowd(weir_fiber_guard guard, size_t keep)
{
    enum { N = 4000 };
    wi_stacks stacks;
    wi_stack_limit_guard(guard);
    REQUIRE(wi_stacks_init(&stacks, 0, NULL) == WEIR_OK);
    wi_stack *all = take_many(&stacks, N);
    for (int i = 0; i < N; i++)
        all[i].low[stacks.size - 1] = 1;
    size_t kept = 0;
    for (size_t i = 0; i < N; i++) {
        if (i % keep == 0)
            all[kept++] = all[i];
        else
            wi_stack_give(&stacks, &all[i]);
    }
    EXPECT_INT(stacks.live, kept);
    EXPECT(stacks.pooled <= kept + WI_STACK_KEPT);
    EXPECT_INT(marked(&stacks, all, kept), kept);
    size_t warm = stacks.pooled;
    wi_stack *more = take_many(&stacks, N - kept);
    EXPECT_INT(marked(&stacks, more, N - kept), warm);
    EXPECT(wi_stack_guard(&more[N - kept - 1]) >= guard && wi_stack_sound(&more[0]));
    give_many(&stacks, more, N - kept);
    give_many(&stacks, all, kept);
    EXPECT(stacks.pooled <= WI_STACK_KEPT);
    free(more);
    free(all);
    wi_stacks_fini(&stacks);
    EXPECT_INT(stacks.pooled, 0);
    wi_stack_limit_guard(WEIR_FIBER_GUARD_INSTALL);
}

TEST(a_crowd_that_has_gone_gives_its_memory_back)
{
    for (int guard = WEIR_FIBER_GUARD_INSTALL; guard <= WEIR_FIBER_GUARD_CANARY; guard++) {
        crowd((weir_fiber_guard)guard, 4000);
        crowd((weir_fiber_guard)guard, 64);
        crowd((weir_fiber_guard)guard, 10);
    }
}

TEST(the_next_best_guard_is_used)
{
    wi_stack_limit_guard(WEIR_FIBER_GUARD_MPROTECT);
    wi_stacks stacks;
    wi_stack stack;
    REQUIRE(wi_stacks_init(&stacks, 0, NULL) == WEIR_OK);
    REQUIRE(wi_stack_take(&stacks, &stack, NULL) == WEIR_OK);
    EXPECT_INT(wi_stack_guard(&stack), WEIR_FIBER_GUARD_MPROTECT);
    EXPECT_INT(wi_stack_newest_guard(), WEIR_FIBER_GUARD_MPROTECT);
    wi_stack_give(&stacks, &stack);
    wi_stacks_fini(&stacks);
    wi_stack_limit_guard(WEIR_FIBER_GUARD_INSTALL);
}

TEST(a_dead_canary_is_noticed)
{
    wi_stack_limit_guard(WEIR_FIBER_GUARD_CANARY);
    wi_stacks stacks;
    wi_stack stack;
    REQUIRE(wi_stacks_init(&stacks, 0, NULL) == WEIR_OK);
    REQUIRE(wi_stack_take(&stacks, &stack, NULL) == WEIR_OK);
    EXPECT_INT(wi_stack_guard(&stack), WEIR_FIBER_GUARD_CANARY);
    memset(stack.low, 1, stacks.size);
    EXPECT(wi_stack_sound(&stack));
    stack.low[-100] = 1;
    EXPECT(!wi_stack_sound(&stack));
    stack.low[-100] = 0;
    wi_stack_give(&stacks, &stack);
    wi_stacks_fini(&stacks);
    wi_stack_limit_guard(WEIR_FIBER_GUARD_INSTALL);
}

TEST(mappings_are_left_to_others)
{
    enum { MOST = 40000 };
    long max = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file) {
        if (fscanf(file, "%ld", &max) != 1)
            max = 0;
        fclose(file);
    }
    if (max <= 0 || max > 2L * MOST)
        SKIP("this kernel allows more mappings than is worth trying");
    wi_stack_limit_guard(WEIR_FIBER_GUARD_MPROTECT);
    wi_stacks stacks;
    REQUIRE(wi_stacks_init(&stacks, 0, NULL) == WEIR_OK);
    wi_stack *all = take_many(&stacks, MOST);
    size_t split = 0;
    for (int i = 0; i < MOST; i++)
        split += 2 * (wi_stack_guard(&all[i]) == WEIR_FIBER_GUARD_MPROTECT);
    EXPECT((long)split > max / 2 && (long)split <= max / 4 * 3);
    EXPECT_INT(wi_stack_newest_guard(), WEIR_FIBER_GUARD_CANARY);
    give_many(&stacks, all, MOST);
    free(all);
    wi_stacks_fini(&stacks);
    wi_stack_limit_guard(WEIR_FIBER_GUARD_INSTALL);
}

TEST(large_stacks_are_mapped_one_by_one)
{
    wi_stacks stacks;
    wi_stack two[2];
    REQUIRE(wi_stacks_init(&stacks, WI_STACK_MAX, NULL) == WEIR_OK);
    EXPECT_INT(stacks.per_slab, 1);
    for (int i = 0; i < 2; i++)
        REQUIRE(wi_stack_take(&stacks, &two[i], NULL) == WEIR_OK);
    two[0].low[0] = two[1].low[stacks.size - 1] = 1;
    give_many(&stacks, two, 2);
    wi_stacks_fini(&stacks);
    EXPECT(wi_stacks_init(&stacks, (size_t)WI_STACK_MAX + 1, NULL) == WEIR_INVALID);
}

TEST(lack_of_address_space_is_an_error)
{
    if (WI_ASAN || WI_TSAN)
        SKIP("the sanitizers' own shadow needs the address space");
    wi_stacks stacks;
    wi_stack one = {0};
    struct rlimit before;
    weir_error err;
    REQUIRE(wi_stacks_init(&stacks, WI_STACK_MAX, NULL) == WEIR_OK);
    REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
    struct rlimit little = {256 << 20, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_AS, &little) == 0);
    void *large = mmap(NULL, WI_STACK_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    weir_status status = large == MAP_FAILED ? wi_stack_take(&stacks, &one, &err) : WEIR_OK;
    setrlimit(RLIMIT_AS, &before);
    if (large != MAP_FAILED) {
        munmap(large, WI_STACK_MAX);
        SKIP("an emulator keeps no such limit");
    }
    EXPECT_INT(status, WEIR_NOMEM);
    EXPECT(strstr(err.text, "stacks of 1073741824 bytes") != NULL);
    EXPECT(!one.low && !stacks.live);
    wi_stacks_fini(&stacks);
}

TESTS(CASE(stacks_do_not_overlap_and_have_guards_between),
      CASE(the_stack_given_back_last_is_taken_first),
      CASE(a_crowd_that_has_gone_gives_its_memory_back), CASE(the_next_best_guard_is_used),
      CASE(a_dead_canary_is_noticed), CASE(mappings_are_left_to_others),
      CASE(large_stacks_are_mapped_one_by_one), CASE(lack_of_address_space_is_an_error))
