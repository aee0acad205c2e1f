/*
 * scan_done_test.c: what portions tell a journal of a scan's files: each that is done once, in the
 * piece of work that has its rows, all of them; where those of one that failed are; and nothing of
 * one that was cut short. By hand, and by a die that mixes everything.
 */
#include <stdio.h>
#include <stdlib.h>

#include "random.h"
#include "scan_rows_state.h"
#include "scan_rows_testing.h"

static wi_key key_of(int file)
{
    wi_key key = {{0}};
    memcpy(key.bytes, &file, sizeof file);
    return key;
}

static int file_of(const wi_key *key)
{
    int file;
    memcpy(&file, key->bytes, sizeof file);
    return file;
}

static void begin_file(wi_scan_rows *rows, wi_portion *portion, int file, char path[16])
{
    snprintf(path, 16, "f%d", file);
    portion->key = key_of(file);
    wi_scan_rows_begin(rows, path, strlen(path), portion);
}

static weir_status put_records(wi_scan_rows *rows, wi_format format, const char *text,
                               int64_t *faults)
{
    int64_t kept, bad = 0;
    wi_batch *batch = stage_batch(format, "records", text);
    if (!batch)
        return WEIR_NOMEM;
    weir_status status = wi_scan_rows_records(rows, batch, &kept, &bad, NULL);
    *faults += bad;
    wi_batch_unref(batch);
    return status;
}

static void expect_done(const wi_portion *portion, size_t i, int file, bool failed,
                        const char *rows)
{
    wi_portion_done done;
    if (!EXPECT((i + 1) * sizeof done <= portion->done.len))
        return;
    memcpy(&done, portion->done.data + i * sizeof done, sizeof done);
    EXPECT_INT(file_of(&done.key), file);
    EXPECT_INT(done.failed, failed);
    if (!failed)
        return;
    size_t from = done.from.rows - portion->before.rows;
    EXPECT_INT(done.to.rows - done.from.rows, strlen(rows));
    EXPECT(from + strlen(rows) <= portion->rows.len &&
           memcmp(portion->rows.data + from, rows, strlen(rows)) == 0);
}

/* ---- by hand ---- */

/* Rows of several files wait in one batch. */
TEST(a_file_that_failed_has_its_rows_and_no_others)
{
    stage s;
    char path[16];
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_LINE, .format = WI_FORMAT_CSV};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    s.portion.journaled = true;
    for (int file = 0; file < 4; file++) {
        begin_file(s.rows, &s.portion, file, path);
        stage_line(&s, 1, "one");
        stage_line(&s, 2, "two");
        if (file == 2)
            EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
        EXPECT_INT(wi_scan_rows_done(s.rows, file == 2, NULL), WEIR_OK);
    }
    EXPECT_INT(wi_scan_rows_settle(s.rows, NULL), WEIR_OK);
    EXPECT_INT(s.portion.done.len, 4 * sizeof(wi_portion_done));
    expect_done(&s.portion, 0, 0, false, NULL);
    expect_done(&s.portion, 2, 2, true, "f2,1,one,,,\nf2,2,two,,,\nf2,,,,,gone\n");
    expect_done(&s.portion, 3, 3, false, NULL);
    stage_close(&s);
}

TEST(what_was_cut_short_takes_its_rows_back)
{
    stage s;
    char path[16];
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_LINE, .format = WI_FORMAT_CSV};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    for (int journaled = 0; journaled < 2; journaled++) {
        s.portion.journaled = journaled;
        wi_buf_clear(&s.portion.rows);
        begin_file(s.rows, &s.portion, 0, path);
        stage_line(&s, 1, "one");
        EXPECT_INT(wi_scan_rows_done(s.rows, false, NULL), WEIR_OK);
        begin_file(s.rows, &s.portion, 1, path);
        stage_line(&s, 1, "two");
        EXPECT_INT(wi_scan_rows_cut(s.rows, NULL), WEIR_OK);
        stage_expect(&s, journaled ? "f0,1,one,,,\n" : "f0,1,one,,,\nf1,1,two,,,\n");
        EXPECT_INT(s.portion.done.len, journaled * sizeof(wi_portion_done));
        EXPECT(!s.portion.torn);
    }
    begin_file(s.rows, &s.portion, 2, path);
    stage_line(&s, 1, "three");
    EXPECT_INT(wi_scan_rows_settle(s.rows, NULL), WEIR_OK);
    wi_portion *part = wi_portion_split(&s.portion);
    REQUIRE(part != NULL);
    stage_line(&s, 2, "four");
    EXPECT_INT(wi_scan_rows_cut(s.rows, NULL), WEIR_OK);
    EXPECT_INT(s.portion.rows.len, 0);
    EXPECT(s.portion.torn && !part->torn);
    wi_portion_free(part);
    stage_close(&s);
}

/* What is told of them comes with their rows, which stand before those of the file that had it. */
TEST(files_wait_for_a_header_whole)
{
    stage s;
    char path[16];
    int64_t faults = 0;
    wi_scan_rows *other = NULL;
    wi_portion second = {.number = 1, .journaled = true, .before = {100, 0}};
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_RECORD, .format = WI_FORMAT_CSV};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    REQUIRE(wi_scan_rows_new(s.shape, &other, NULL) == WEIR_OK);
    s.portion.journaled = true;
    begin_file(s.rows, &s.portion, 0, path);
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    EXPECT_INT(wi_scan_rows_done(s.rows, true, NULL), WEIR_OK);
    begin_file(s.rows, &s.portion, 1, path);
    EXPECT_INT(put_records(s.rows, WI_FORMAT_NDJSON, "{}\n{}\n", &faults), WEIR_OK);
    EXPECT_INT(wi_scan_rows_done(s.rows, false, NULL), WEIR_OK);
    EXPECT_INT(s.portion.done.len, 0);
    begin_file(s.rows, &s.portion, 2, path);
    EXPECT_INT(put_records(s.rows, WI_FORMAT_NDJSON, "{}\n", &faults), WEIR_OK);
    begin_file(other, &second, 3, path);
    EXPECT_INT(put_records(other, WI_FORMAT_NDJSON, "{}\n{\"a\":1}\n", &faults), WEIR_OK);
    EXPECT_INT(wi_scan_rows_failure(other, "broken", NULL), WEIR_OK);
    EXPECT_INT(wi_scan_rows_done(other, true, NULL), WEIR_OK);
    EXPECT_STR(wi_buf_cstr(&second.rows),
               "f0,,,,gone\nf1,1,,,\nf1,2,,,\nf3,1,,,\nf3,2,1,,\nf3,,,,broken\n");
    EXPECT_INT(second.done.len, 3 * sizeof(wi_portion_done));
    expect_done(&second, 0, 0, true, "f0,,,,gone\n");
    expect_done(&second, 1, 1, false, NULL);
    expect_done(&second, 2, 3, true, "f3,1,,,\nf3,2,1,,\nf3,,,,broken\n");
    snprintf(path, sizeof path, "f2");
    EXPECT_INT(wi_scan_rows_failure(s.rows, "late", NULL), WEIR_OK);
    EXPECT_INT(wi_scan_rows_done(s.rows, true, NULL), WEIR_OK);
    expect_done(&s.portion, 0, 2, true, "f2,1,,,\nf2,,,,late\n");
    EXPECT_INT(wi_scan_shape_rest(s.shape, &s.portion, NULL), WEIR_OK);
    EXPECT_INT(s.portion.done.len, sizeof(wi_portion_done));
    wi_buf_fini(&second.rows);
    wi_buf_fini(&second.done);
    wi_scan_rows_free(other);
    stage_close(&s);
}

TEST(an_earlier_header_is_taken_up)
{
    stage s;
    char path[16];
    int64_t faults = 0;
    static const char line[] = "path,line,\"a,b\",c,path_encoding,error\n";
    wi_scan_shape_options options = {.form = WI_SCAN_FORM_RECORD, .format = WI_FORMAT_CSV};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT_INT(wi_scan_shape_continue(s.shape, line, sizeof line - 1, NULL), WEIR_OK);
    stage_expect_header(&s, line);
    begin_file(s.rows, &s.portion, 1, path);
    EXPECT_INT(put_records(s.rows, WI_FORMAT_CSV, "c,d\n1,2\n", &faults), WEIR_OK);
    EXPECT_INT(put_records(s.rows, WI_FORMAT_CSV, "c\n3\n", &faults), WEIR_OK);
    EXPECT_INT(faults, 1);
    EXPECT_INT(wi_scan_rows_failure(s.rows, "gone", NULL), WEIR_OK);
    stage_expect(&s, "f1,2,,,,\"column \"\"d\"\" is not in the CSV's header, which is that of an "
                     "earlier run: write NDJSON, whose rows may differ, or name the columns "
                     "(--select)\"\nf1,2,,3,,\nf1,,,,,gone\n");
    stage_close(&s);
    options = (wi_scan_shape_options){.form = WI_SCAN_FORM_LINE, .format = WI_FORMAT_CSV};
    REQUIRE(stage_open(&s, &options, NULL) == WEIR_OK);
    EXPECT_INT(wi_scan_shape_continue(s.shape, line, sizeof line - 1, NULL), WEIR_OK);
    stage_expect_header(&s, "path,line,text,text_encoding,path_encoding,error\n");
    stage_close(&s);
}

/* ---- by a die ---- */

enum { HANDS = 3, FILES = 40, PIECES = FILES + HANDS + 1 };

/* A piece of work, put together from its portions. */
typedef struct piece {
    wi_buf rows, failed_rows, done;
    bool torn;
} piece;

typedef struct worker {
    wi_scan_rows *rows;
    wi_portion portion;
    char path[16];
    int file; /* -1: none */
    int64_t faults;
} worker;

typedef struct world {
    wi_random random;
    stage stage;
    worker workers[HANDS];
    piece pieces[PIECES];
    int files, pieces_len;
    bool cut[FILES];
    int columns; /* percent of what is put that has any: until then there is no header */
} world;

static bool chance(world *w, int percent)
{
    return wi_random_below(&w->random, 100) < percent;
}

static void take(piece *p, const wi_portion *portion)
{
    EXPECT_INT(portion->before.rows, p->rows.len);
    EXPECT_INT(portion->before.failed_rows, p->failed_rows.len);
    wi_buf_append(&p->rows, portion->rows.data, portion->rows.len);
    wi_buf_append(&p->failed_rows, portion->failed_rows.data, portion->failed_rows.len);
    wi_buf_append(&p->done, portion->done.data, portion->done.len);
    p->torn |= portion->torn;
}

static void empty(wi_portion *portion)
{
    wi_buf_fini(&portion->rows);
    wi_buf_fini(&portion->failed_rows);
    wi_buf_fini(&portion->done);
    wi_buf_fini(&portion->failures);
}

static void begin_piece(world *w, worker *k)
{
    k->portion = (wi_portion){.number = (uint64_t)w->pieces_len++, .journaled = true};
    k->file = -1;
}

static void end_piece(world *w, worker *k)
{
    EXPECT_INT(wi_scan_rows_settle(k->rows, NULL), WEIR_OK);
    take(&w->pieces[k->portion.number], &k->portion);
    empty(&k->portion);
}

static void hand_over_part(world *w, worker *k)
{
    EXPECT_INT(wi_scan_rows_settle(k->rows, NULL), WEIR_OK);
    wi_portion *part = wi_portion_split(&k->portion);
    REQUIRE(part != NULL);
    take(&w->pieces[part->number], part);
    wi_portion_free(part);
}

static void end_file(world *w, worker *k)
{
    bool fails = chance(w, 30);
    if (chance(w, 10)) {
        w->cut[k->file] = true;
        EXPECT_INT(wi_scan_rows_cut(k->rows, NULL), WEIR_OK);
    } else {
        if (fails)
            EXPECT_INT(wi_scan_rows_failure(k->rows, "gone", NULL), WEIR_OK);
        EXPECT_INT(wi_scan_rows_done(k->rows, fails || k->faults, NULL), WEIR_OK);
    }
    k->file = -1;
}

static void put_some(world *w, worker *k)
{
    static const char *const bare[] = {"{}\n", "[]\n", "{}\n[]\n{}\n"};
    static const char *const json[] = {"{\"a\":1}\n{\"a\":2}\n", "{\"b\":null}\n{}\n"};
    static const char *const csv[] = {"a\n1\n2\n", "b\n1\n", "a,b\n1,2\n3\n"};
    bool columns = chance(w, w->columns), table = columns && chance(w, 50);
    const char *text = table     ? csv[wi_random_below(&w->random, 3)]
                       : columns ? json[wi_random_below(&w->random, 2)]
                                 : bare[wi_random_below(&w->random, 3)];
    EXPECT_INT(put_records(k->rows, table ? WI_FORMAT_CSV : WI_FORMAT_NDJSON, text, &k->faults),
               WEIR_OK);
}

static void step(world *w, worker *k)
{
    if (k->file < 0 && chance(w, 15)) {
        end_piece(w, k);
        begin_piece(w, k);
    } else if (k->file < 0) {
        k->faults = 0;
        k->file = w->files++;
        begin_file(k->rows, &k->portion, k->file, k->path);
    } else if (chance(w, 15)) {
        hand_over_part(w, k);
    } else if (chance(w, 50)) {
        put_some(w, k);
    } else {
        end_file(w, k);
    }
}

/* So many rows of that file are among these. */
static int rows_of(const char *rows, size_t len, int file, wi_format format, bool *others)
{
    char begins[32];
    int n = 0;
    snprintf(begins, sizeof begins, format == WI_FORMAT_CSV ? "f%d," : "{\"path\":\"f%d\"", file);
    *others = false;
    for (size_t at = 0; at < len;) {
        bool is = len - at >= strlen(begins) && memcmp(rows + at, begins, strlen(begins)) == 0;
        n += is;
        *others |= !is;
        at = (size_t)((const char *)memchr(rows + at, '\n', len - at) - rows) + 1;
    }
    return n;
}

static void expect_extent(const wi_buf *rows, size_t from, size_t to, int file, wi_format format)
{
    bool others;
    REQUIRE(EXPECT(from <= to && to <= rows->len));
    int all = rows_of(rows->data, rows->len, file, format, &others);
    EXPECT_INT(rows_of(rows->data + from, to - from, file, format, &others), all);
    EXPECT(!others);
}

static void check_piece(const world *w, const piece *p, wi_format errors, int told[FILES])
{
    bool others;
    wi_format format = w->stage.shape->options.format;
    bool here[FILES] = {false};
    for (size_t at = 0; at < p->done.len; at += sizeof(wi_portion_done)) {
        wi_portion_done done;
        memcpy(&done, p->done.data + at, sizeof done);
        int file = file_of(&done.key);
        REQUIRE(EXPECT(file >= 0 && file < w->files));
        told[file]++;
        here[file] = true;
        if (!done.failed)
            continue;
        expect_extent(&p->rows, done.from.rows, done.to.rows, file, format);
        expect_extent(&p->failed_rows, done.from.failed_rows, done.to.failed_rows, file, errors);
    }
    for (int file = 0; file < w->files && !p->torn; file++) {
        if (here[file])
            continue;
        EXPECT_INT(rows_of(p->rows.data, p->rows.len, file, format, &others), 0);
        EXPECT_INT(rows_of(p->failed_rows.data, p->failed_rows.len, file, errors, &others), 0);
    }
}

static void check(const world *w)
{
    int told[FILES] = {0};
    const wi_scan_shape_options *o = &w->stage.shape->options;
    for (int i = 0; i < w->pieces_len; i++)
        check_piece(w, &w->pieces[i], o->errors_format, told);
    for (int file = 0; file < w->files; file++)
        EXPECT_INT(told[file], !w->cut[file]);
}

static void mix(uint64_t seed)
{
    static world w;
    w = (world){.files = 0};
    wi_random_init(&w.random, seed);
    w.columns = wi_random_below(&w.random, 2) ? 30 : 2;
    wi_scan_shape_options options = {
        .form = WI_SCAN_FORM_RECORD,
        .format = chance(&w, 75) ? WI_FORMAT_CSV : WI_FORMAT_NDJSON,
        .errors_format = chance(&w, 50) ? WI_FORMAT_CSV : WI_FORMAT_NDJSON,
        .errors_apart = chance(&w, 50),
    };
    REQUIRE(stage_open(&w.stage, &options, NULL) == WEIR_OK);
    for (int i = 0; i < HANDS; i++) {
        REQUIRE(wi_scan_rows_new(w.stage.shape, &w.workers[i].rows, NULL) == WEIR_OK);
        begin_piece(&w, &w.workers[i]);
    }
    while (w.files < FILES - HANDS)
        step(&w, &w.workers[wi_random_below(&w.random, HANDS)]);
    for (int i = 0; i < HANDS; i++) {
        if (w.workers[i].file >= 0)
            end_file(&w, &w.workers[i]);
        end_piece(&w, &w.workers[i]);
        wi_scan_rows_free(w.workers[i].rows);
    }
    begin_piece(&w, &w.workers[0]);
    EXPECT_INT(wi_scan_shape_rest(w.stage.shape, &w.workers[0].portion, NULL), WEIR_OK);
    take(&w.pieces[w.workers[0].portion.number], &w.workers[0].portion);
    empty(&w.workers[0].portion);
    check(&w);
    for (int i = 0; i < w.pieces_len; i++) {
        wi_buf_fini(&w.pieces[i].rows);
        wi_buf_fini(&w.pieces[i].failed_rows);
        wi_buf_fini(&w.pieces[i].done);
    }
    stage_close(&w.stage);
}

TEST(every_file_is_told_of_where_its_rows_are)
{
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        int before = atomic_load(&test_failures);
        mix(seed);
        if (atomic_load(&test_failures) != before)
            printf("# with seed %llu\n", (unsigned long long)seed);
        REQUIRE(atomic_load(&test_failures) == before);
    }
}

TESTS(CASE(a_file_that_failed_has_its_rows_and_no_others),
      CASE(what_was_cut_short_takes_its_rows_back), CASE(files_wait_for_a_header_whole),
      CASE(an_earlier_header_is_taken_up), CASE(every_file_is_told_of_where_its_rows_are))
