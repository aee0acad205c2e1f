/* torture_test.c: the torture finds what it is there to find. */
#include "torture.h"

#include <stdlib.h>
#include <string.h>

static int runs;

/* Two blocks, both needed, both given back. */
static weir_status careful(void)
{
    runs++;
    char *first = malloc(10);
    char *second = first ? strdup("text") : NULL;
    weir_status status = second ? WEIR_OK : WEIR_NOMEM;
    free(second);
    free(first);
    return status;
}

/* Can do without its block. */
static weir_status modest(void)
{
    char *cache = calloc(1, 100);
    free(cache);
    return WEIR_OK;
}

static char *kept[2]; /* one for each way to fail */

/* Keeps its first block when the second fails. */
static weir_status leaky(void)
{
    char *first = malloc(10);
    if (!first)
        return WEIR_NOMEM;
    char *second = malloc(10);
    if (!second) {
        kept[kept[0] != NULL] = first;
        return WEIR_NOMEM;
    }
    free(second);
    free(first);
    return WEIR_OK;
}

/* Blames its caller for the lack of memory. */
static weir_status wrong_status(void)
{
    char *block = malloc(10);
    weir_status status = block ? WEIR_OK : WEIR_INVALID;
    free(block);
    return status;
}

static weir_status grows(void)
{
    char *block = NULL;
    for (size_t size = 1; size <= 4; size++) {
        char *bigger = realloc(block, size * 100);
        if (!bigger) {
            free(block);
            return WEIR_NOMEM;
        }
        block = bigger;
    }
    free(block);
    return WEIR_OK;
}

/* True if the torture failed, and forgets that it did. */
static bool complained(void)
{
    return atomic_exchange(&test_failures, 0) > 0;
}

TEST(careful_code_passes)
{
    runs = 0;
    TORTURE(careful());
    EXPECT_INT(runs, 6); /* two failures and a run to the end, in both modes */
    TORTURE(modest());
    TORTURE(grows());
}

TEST(a_leak_is_found)
{
    TORTURE(leaky());
    EXPECT(complained());
    for (int i = 0; i < 2; i++) {
        free(kept[i]);
        kept[i] = NULL;
    }
}

TEST(a_wrong_status_is_found)
{
    TORTURE(wrong_status());
    EXPECT(complained());
}

TEST(nothing_fails_outside)
{
    char *block = malloc(1);
    EXPECT(block != NULL);
    free(block);
}

TESTS(CASE(careful_code_passes), CASE(a_leak_is_found), CASE(a_wrong_status_is_found),
      CASE(nothing_fails_outside))
