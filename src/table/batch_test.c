/* batch_test.c: what was put is read back, row by row, kind by kind. */
#include "batch.h"

#include <pthread.h>

#include "test.h"

static wi_batch *make(size_t n)
{
    static const wi_name names[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    wi_schema *schema = NULL;
    wi_batch *batch = NULL;
    EXPECT_INT(wi_schema_new(names, n, &schema, NULL), WEIR_OK);
    EXPECT_INT(wi_batch_new(schema, &batch, NULL), WEIR_OK);
    wi_schema_unref(schema);
    return batch;
}

static void expect_text(const wi_batch *batch, size_t row, size_t column, wi_cell_kind kind,
                        const char *text)
{
    wi_cell cell = wi_batch_cell(batch, row, column);
    EXPECT_INT(cell.kind, kind);
    EXPECT_MEM(cell.bytes, cell.len, text);
}

TEST(keeps_every_kind)
{
    wi_batch *batch = make(4);
    wi_batch_put(batch, 3, WI_STRING, "s", 1); /* any order */
    wi_batch_put(batch, 0, WI_JSON, "{}", 2);
    wi_batch_put(batch, 1, WI_BINARY, "\0\xFF", 2);
    wi_batch_put_null(batch, 2);
    EXPECT_INT(wi_batch_end_row(batch, NULL), WEIR_OK);
    wi_batch_put_int(batch, 0, INT64_MIN);
    wi_batch_put_double(batch, 1, 2.5);
    wi_batch_put(batch, 2, WI_STRING, NULL, 0);
    EXPECT_INT(wi_batch_end_row(batch, NULL), WEIR_OK);
    EXPECT_INT(wi_batch_rows(batch), 2);
    expect_text(batch, 0, 0, WI_JSON, "{}");
    wi_cell binary = wi_batch_cell(batch, 0, 1);
    EXPECT(binary.kind == WI_BINARY && binary.len == 2 && memcmp(binary.bytes, "\0\xFF", 2) == 0);
    EXPECT_INT(wi_batch_cell(batch, 0, 2).kind, WI_NULL);
    expect_text(batch, 0, 3, WI_STRING, "s");
    EXPECT_INT(wi_batch_cell(batch, 1, 0).i, INT64_MIN);
    EXPECT(wi_batch_cell(batch, 1, 1).d == 2.5);
    expect_text(batch, 1, 2, WI_STRING, "");
    EXPECT_INT(wi_batch_cell(batch, 1, 3).kind, WI_ABSENT);
    EXPECT(wi_batch_bytes(batch) > 0);
    wi_batch_unref(batch);
}

TEST(absent_cells_cost_nothing_and_stay_absent)
{
    wi_batch *batch = make(2);
    for (int i = 0; i < 10; i++) {
        if (i == 3 || i == 7)
            wi_batch_put(batch, 1, WI_STRING, i == 3 ? "three" : "seven", 5);
        EXPECT_INT(wi_batch_end_row(batch, NULL), WEIR_OK);
    }
    for (size_t i = 0; i < 10; i++) {
        EXPECT_INT(wi_batch_cell(batch, i, 0).kind, WI_ABSENT);
        if (i != 3 && i != 7)
            EXPECT_INT(wi_batch_cell(batch, i, 1).kind, WI_ABSENT);
    }
    expect_text(batch, 3, 1, WI_STRING, "three");
    expect_text(batch, 7, 1, WI_STRING, "seven");
    wi_batch_unref(batch);
}

TEST(the_last_put_of_a_cell_counts)
{
    wi_batch *batch = make(1);
    wi_batch_put(batch, 0, WI_STRING, "before", 6);
    wi_batch_end_row(batch, NULL);
    wi_batch_put(batch, 0, WI_STRING, "first", 5);
    wi_batch_put(batch, 0, WI_STRING, "last", 4);
    wi_batch_end_row(batch, NULL);
    wi_batch_put(batch, 0, WI_STRING, "after", 5);
    wi_batch_end_row(batch, NULL);
    expect_text(batch, 0, 0, WI_STRING, "before");
    expect_text(batch, 1, 0, WI_STRING, "last");
    expect_text(batch, 2, 0, WI_STRING, "after");
    wi_batch_unref(batch);
}

TEST(copies_cells)
{
    wi_batch *from = make(4);
    wi_batch *to = make(4);
    wi_batch_put(from, 0, WI_JSON, "[1]", 3);
    wi_batch_put_int(from, 1, 5);
    wi_batch_put_double(from, 2, -0.5);
    wi_batch_end_row(from, NULL);
    for (size_t i = 0; i < 4; i++) {
        wi_cell cell = wi_batch_cell(from, 0, i);
        wi_batch_put_cell(to, 3 - i, &cell);
    }
    wi_batch_end_row(to, NULL);
    wi_batch_unref(from);
    expect_text(to, 0, 3, WI_JSON, "[1]");
    EXPECT_INT(wi_batch_cell(to, 0, 2).i, 5);
    EXPECT(wi_batch_cell(to, 0, 1).d == -0.5);
    EXPECT_INT(wi_batch_cell(to, 0, 0).kind, WI_ABSENT);
    wi_batch_unref(to);
}

TEST(extend_leaves_earlier_rows_without_the_new)
{
    wi_batch *batch = make(1);
    wi_name more[] = {{"x", 1}, {"y", 1}};
    wi_schema *wide = NULL;
    wi_batch_put_int(batch, 0, 1);
    wi_batch_end_row(batch, NULL);
    REQUIRE(wi_schema_extend(wi_batch_schema(batch), more, 2, &wide, NULL) == WEIR_OK);
    wi_batch_put_int(batch, 0, 2); /* in the middle of a row is fine, too */
    EXPECT_INT(wi_batch_extend(batch, wide, NULL), WEIR_OK);
    wi_schema_unref(wide);
    wi_batch_put_int(batch, 2, 3);
    wi_batch_end_row(batch, NULL);
    EXPECT_INT(wi_schema_columns(wi_batch_schema(batch)), 3);
    EXPECT_INT(wi_batch_cell(batch, 0, 0).i, 1);
    EXPECT_INT(wi_batch_cell(batch, 0, 2).kind, WI_ABSENT);
    EXPECT_INT(wi_batch_cell(batch, 1, 0).i, 2);
    EXPECT_INT(wi_batch_cell(batch, 1, 1).kind, WI_ABSENT);
    EXPECT_INT(wi_batch_cell(batch, 1, 2).i, 3);
    wi_batch_unref(batch);
}

TEST(lines_and_faults_belong_to_rows)
{
    wi_batch *batch = make(1);
    for (int i = 0; i < 6; i++) {
        if (i >= 2)
            wi_batch_set_line(batch, i + 10);
        if (i == 1 || i == 4) {
            wi_batch_set_fault(batch, "replaced");
            wi_batch_set_fault(batch, i == 1 ? "bad \x1B" : "worse");
            wi_batch_set_faulty(batch, "a\0b", i == 1 ? 3 : 0);
        }
        wi_batch_end_row(batch, NULL);
    }
    EXPECT_INT(wi_batch_line(batch, 0), 0);
    EXPECT_INT(wi_batch_line(batch, 1), 0);
    EXPECT_INT(wi_batch_line(batch, 2), 12);
    EXPECT_INT(wi_batch_line(batch, 5), 15);
    EXPECT(!wi_batch_fault(batch, 0));
    EXPECT_STR(wi_batch_fault(batch, 1), "bad \\x1B");
    EXPECT(!wi_batch_fault(batch, 2) && !wi_batch_fault(batch, 3) && !wi_batch_fault(batch, 5));
    EXPECT_STR(wi_batch_fault(batch, 4), "worse");
    size_t len = 1;
    const char *faulty = wi_batch_faulty(batch, 1, &len);
    EXPECT(faulty && len == 3 && memcmp(faulty, "a\0b", 3) == 0);
    EXPECT(wi_batch_faulty(batch, 4, &len) && len == 0);
    EXPECT(!wi_batch_faulty(batch, 5, &len));
    wi_batch_clear(batch);
    EXPECT_INT(wi_batch_rows(batch), 0);
    wi_batch_put_int(batch, 0, 9);
    wi_batch_end_row(batch, NULL);
    EXPECT_INT(wi_batch_line(batch, 0), 0);
    EXPECT(!wi_batch_fault(batch, 0));
    EXPECT_INT(wi_batch_cell(batch, 0, 0).i, 9);
    wi_batch_unref(batch);
}

TEST(a_row_without_memory_is_dropped_whole)
{
    wi_batch *batch = make(2);
    weir_error err;
    wi_batch_put(batch, 0, WI_STRING, "kept", 4);
    wi_batch_end_row(batch, NULL);
    wi_batch_put(batch, 0, WI_STRING, "half", 4);
    wi_batch_set_line(batch, 2);
    wi_batch_set_fault(batch, "gone");
    wi_batch_put(batch, 1, WI_STRING, "x", SIZE_MAX); /* no memory has this size */
    EXPECT_INT(wi_batch_end_row(batch, &err), WEIR_NOMEM);
    EXPECT_INT(wi_batch_rows(batch), 1);
    wi_batch_put(batch, 1, WI_STRING, "next", 4);
    EXPECT_INT(wi_batch_end_row(batch, &err), WEIR_OK);
    EXPECT_INT(wi_batch_rows(batch), 2);
    expect_text(batch, 0, 0, WI_STRING, "kept");
    EXPECT_INT(wi_batch_cell(batch, 1, 0).kind, WI_ABSENT);
    expect_text(batch, 1, 1, WI_STRING, "next");
    EXPECT_INT(wi_batch_line(batch, 1), 0);
    EXPECT(!wi_batch_fault(batch, 1));
    wi_batch_unref(batch);
}

static void *hold_and_drop(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        wi_batch *mine = wi_batch_ref(arg);
        if (wi_batch_cell(mine, 0, 0).i != 7)
            return arg;
        wi_batch_unref(mine);
    }
    wi_batch_unref(arg);
    return NULL;
}

TEST(references_are_shared_by_threads)
{
    enum { THREADS = 4 };
    wi_batch *batch = make(1);
    pthread_t threads[THREADS];
    wi_batch_put_int(batch, 0, 7);
    wi_batch_end_row(batch, NULL);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, hold_and_drop, wi_batch_ref(batch)) == 0);
    wi_batch_unref(batch);
    for (int i = 0; i < THREADS; i++) {
        void *bad = batch;
        pthread_join(threads[i], &bad);
        EXPECT(!bad);
    }
}

TEST(a_row_that_is_being_put_can_be_read_and_dropped)
{
    wi_batch *batch = make(2);
    wi_batch_put(batch, 0, WI_STRING, "kept", 4);
    EXPECT_INT(wi_batch_end_row(batch, NULL), WEIR_OK);
    wi_batch_put(batch, 0, WI_STRING, "dropped", 7);
    wi_batch_put_int(batch, 1, 5);
    wi_batch_set_line(batch, 9);
    wi_batch_set_fault(batch, "bad");
    expect_text(batch, 1, 0, WI_STRING, "dropped");
    EXPECT_INT(wi_batch_cell(batch, 1, 1).i, 5);
    EXPECT_INT(wi_batch_drop_row(batch, NULL), WEIR_OK);
    EXPECT_INT(wi_batch_rows(batch), 1);
    wi_batch_put_int(batch, 1, 6);
    EXPECT_INT(wi_batch_end_row(batch, NULL), WEIR_OK);
    expect_text(batch, 0, 0, WI_STRING, "kept");
    EXPECT_INT(wi_batch_cell(batch, 1, 0).kind, WI_ABSENT);
    EXPECT_INT(wi_batch_cell(batch, 1, 1).i, 6);
    EXPECT_INT(wi_batch_line(batch, 1), 0);
    EXPECT(!wi_batch_fault(batch, 1));
    wi_batch_unref(batch);
}

TESTS(CASE(a_row_that_is_being_put_can_be_read_and_dropped), CASE(keeps_every_kind),
      CASE(absent_cells_cost_nothing_and_stay_absent), CASE(the_last_put_of_a_cell_counts),
      CASE(copies_cells), CASE(extend_leaves_earlier_rows_without_the_new),
      CASE(lines_and_faults_belong_to_rows), CASE(a_row_without_memory_is_dropped_whole),
      CASE(references_are_shared_by_threads))
