/*
 * scan_line_test.c: lines that are written straight into the portion are what the batch and its
 * writer would have made of them, whatever their bytes.
 */
#include <stdlib.h>

#include "random.h"
#include "scan_rows_testing.h"

enum { ROUNDS = 20000, MOST = 90 };

/* The general way: a condition that is always true keeps lines from being written straight. */
typedef struct ways {
    stage straight;
    stage general;
    wi_expr *where;
} ways;

static bool ways_open(ways *w)
{
    static const char always[] = "line is not null";
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .limited = true};
    if (stage_open(&w->straight, &options, NULL) != WEIR_OK ||
        wi_expr_new(always, sizeof always - 1, &w->where, NULL) != WEIR_OK)
        return false;
    options.where = w->where;
    return stage_open(&w->general, &options, NULL) == WEIR_OK;
}

static void ways_close(ways *w)
{
    stage_close(&w->straight);
    stage_close(&w->general);
    wi_expr_free(w->where);
}

static bool same(const wi_buf *a, const wi_buf *b)
{
    return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static size_t put_piece(wi_random *random, char *to)
{
    static const char *const pieces[] = {
        "plain text of some length",
        "\"quoted\"",
        "\\",
        "\t",
        "\r",
        "\x1B[31m",
        "\x7F",
        "\xC2\x85",
        "\xC2\xA0",
        "\xC2",
        "caf\xC3\xA9",
        "\xD0\x9F\xD1\x80\xD0\xB8",
        "\xE2\x82\xAC",
        "\xF0\x9F\x98\x80",
        "\xF0\x9F\x98",
        "\xED\xA0\x80",
        "\xC0\x80",
        "\xFF",
        "x",
        "16 bytes exactly",
    };
    enum { PIECES = sizeof pieces / sizeof *pieces };
    size_t which = (size_t)wi_random_below(random, PIECES + 1);
    if (which == PIECES) {
        *to = '\0';
        return 1;
    }
    size_t len = strlen(pieces[which]);
    memcpy(to, pieces[which], len);
    return len;
}

/* Half of all lines are text, so that both ways to write one are met. */
static char *random_line(wi_random *random, size_t *len)
{
    char bytes[MOST + 32];
    size_t most = (size_t)wi_random_below(random, MOST);
    size_t at = 0;
    if (wi_random_below(random, 2)) {
        while (at < most)
            at += put_piece(random, bytes + at);
    } else {
        for (; at < most; at++)
            bytes[at] = (char)wi_random_below(random, 0x82);
        for (size_t i = 0; i < at; i++)
            if ((unsigned char)bytes[i] >= 0x80 || !bytes[i])
                bytes[i] = "\"\t\\\x7F"[i % 4];
    }
    char *exact = malloc(at ? at : 1); /* so that a sanitizer sees a step too far */
    if (exact)
        memcpy(exact, bytes, at);
    *len = at;
    return exact;
}

static bool compare_one(ways *w, wi_random *random, int64_t line)
{
    size_t len;
    char *text = random_line(random, &len);
    if (!text)
        return false;
    bool ok = wi_scan_rows_line(w->straight.rows, line, text, len, NULL, NULL, NULL) == WEIR_OK &&
              wi_scan_rows_line(w->general.rows, line, text, len, NULL, NULL, NULL) == WEIR_OK;
    free(text);
    return ok;
}

static void compare_file(ways *w, wi_random *random, const char *path)
{
    stage_file(&w->straight, path);
    stage_file(&w->general, path);
    for (int i = 0; i < ROUNDS / 4; i++) {
        int64_t line = wi_random_below(random, INT64_MAX >> wi_random_below(random, 62));
        REQUIRE(EXPECT(compare_one(w, random, line)));
        if (i % 10)
            continue;
        REQUIRE(wi_scan_rows_settle(w->general.rows, NULL) == WEIR_OK);
        REQUIRE(EXPECT(same(&w->straight.portion.rows, &w->general.portion.rows)));
        REQUIRE(EXPECT(same(&w->straight.portion.row_ends, &w->general.portion.row_ends)));
        wi_buf_clear(&w->straight.portion.rows);
        wi_buf_clear(&w->straight.portion.row_ends);
        wi_buf_clear(&w->general.portion.rows);
        wi_buf_clear(&w->general.portion.row_ends);
    }
}

TEST(both_ways_write_the_same)
{
    ways w = {.where = NULL};
    wi_random random;
    wi_random_init(&random, 20260102);
    REQUIRE(ways_open(&w));
    compare_file(&w, &random, "src/main.c");
    compare_file(&w, &random, "a \"b\"\n\x1B.c");
    compare_file(&w, &random, "caf\xC3\xA9");
    compare_file(&w, &random, "caf\xE9");
    ways_close(&w);
}

TEST(a_full_portion_stays_as_it_was)
{
    stage s;
    wi_scan_shape_options options = {.format = WI_FORMAT_NDJSON, .limited = true};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    s.portion.rows.max = 100;
    stage_file(&s, "a");
    EXPECT(stage_line(&s, 1, "first"));
    size_t len = s.portion.rows.len;
    for (size_t n = 30; n < 90; n++) {
        char text[90];
        memset(text, n % 2 ? '\t' : 'x', n);
        weir_status status = wi_scan_rows_line(s.rows, 2, text, n, NULL, NULL, NULL);
        if (status == WEIR_OK) {
            EXPECT(s.portion.rows.len <= 100);
            s.portion.rows.len = len;
            s.portion.row_ends.len = sizeof len;
            continue;
        }
        EXPECT_INT(status, WEIR_NOMEM);
        EXPECT_INT(s.portion.rows.len, len);
        EXPECT_INT(s.portion.row_ends.len, sizeof len);
    }
    EXPECT(stage_line(&s, 2, "x"));
    stage_close(&s);
}

TESTS(CASE(both_ways_write_the_same), CASE(a_full_portion_stays_as_it_was))
