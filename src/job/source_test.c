/*
 * source_test.c: every item is given out once, with its number, row and choice, however many take;
 * and every end an input can come to is reported.
 */
#include "source.h"

#include <pthread.h>
#include <sched.h>
#include <zlib.h>

#include "folder.h"
#include "random.h"
#include "test.h"
#include "torture.h"

enum { MOST_ITEMS = 100000 };

/* ---- takers ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t poked = PTHREAD_COND_INITIALIZER;
static int pokes;

static void on_poke(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    pokes++;
    pthread_cond_broadcast(&poked);
    pthread_mutex_unlock(&lock);
}

static wi_source_options options_for(const char *input, uint64_t choices)
{
    return (wi_source_options){.input = input,
                               .format = WI_FORMAT_LINES,
                               .max_row = 1 << 20,
                               .choices = choices,
                               .poke = on_poke};
}

typedef struct taker {
    pthread_t thread;
    wi_source *source;
    int64_t stop_at; /* items; 0: at the end */
    int64_t taken;
} taker;

static unsigned char seen[MOST_ITEMS];

/* Lines are numbers from 0: so an item's row is what its line says. */
static void look_at(const wi_block *block)
{
    for (uint32_t i = 0; i < block->count; i++) {
        uint64_t number = block->number + i;
        if (!EXPECT(number < MOST_ITEMS))
            return;
        pthread_mutex_lock(&lock);
        seen[number]++;
        pthread_mutex_unlock(&lock);
        if (!block->batch) {
            EXPECT_INT(block->first_index + i, number);
            continue;
        }
        uint64_t row = (block->first_index + i) / block->choices;
        wi_cell cell = wi_batch_cell(block->batch, (size_t)row, 0);
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)(number / block->choices));
        EXPECT_MEM(cell.bytes, cell.len, text);
        EXPECT_INT((block->first_index + i) % block->choices, number % block->choices);
    }
}

/* The next block, waited for; false at the end. */
static bool take(wi_source *source, wi_block *block)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        int before = pokes;
        pthread_mutex_unlock(&lock);
        wi_source_turn turn = wi_source_take(source, block);
        if (turn != WI_SOURCE_LATER)
            return turn == WI_SOURCE_BLOCK;
        pthread_mutex_lock(&lock);
        while (pokes == before)
            pthread_cond_wait(&poked, &lock);
        pthread_mutex_unlock(&lock);
    }
}

static void *run_taker(void *arg)
{
    taker *t = arg;
    wi_block block;
    while ((!t->stop_at || t->taken < t->stop_at) && take(t->source, &block)) {
        EXPECT(block.count >= 1 && block.count <= WI_BLOCK_ITEMS);
        look_at(&block);
        t->taken += block.count;
        wi_batch_unref(block.batch);
    }
    if (t->stop_at)
        wi_source_stop(t->source);
    return NULL;
}

/* Takes all with so many threads; the sum of what they took. */
static int64_t take_all(wi_source *source, int takers, int64_t stop_at)
{
    taker all[8] = {0};
    int64_t sum = 0;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < takers; i++) {
        all[i].source = source;
        all[i].stop_at = stop_at;
        EXPECT(pthread_create(&all[i].thread, NULL, run_taker, &all[i]) == 0);
    }
    for (int i = 0; i < takers; i++) {
        pthread_join(all[i].thread, NULL);
        sum += all[i].taken;
    }
    return sum;
}

static void expect_each_once(uint64_t n)
{
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < MOST_ITEMS; i++)
        wrong += seen[i] != (i < n);
    EXPECT_INT(wrong, 0);
}

static const char *numbered_lines(const char *name, int n)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "we");
    for (int i = 0; file && i < n; i++)
        fprintf(file, "%d\n", i);
    EXPECT(file && fclose(file) == 0);
    return path;
}

static wi_source_numbers numbers(wi_source *source)
{
    wi_source_numbers n;
    wi_source_numbers_get(source, &n);
    return n;
}

/* ---- whole inputs ---- */

TEST(choices_alone)
{
    static const uint64_t counts[] = {1, 63, 64, 65, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        wi_source *source = NULL;
        wi_source_options options = options_for(NULL, counts[i]);
        REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
        EXPECT(wi_source_schema(source) == NULL);
        EXPECT_INT(numbers(source).total, counts[i]);
        EXPECT(wi_source_start(source, NULL) == WEIR_OK);
        EXPECT_INT(take_all(source, 3, 0), counts[i]);
        expect_each_once(counts[i]);
        EXPECT_INT(numbers(source).taken, counts[i]);
        EXPECT(numbers(source).ended);
        wi_source_free(source);
    }
}

static void expect_rows_by_choices(int rows, uint64_t choices, int takers)
{
    wi_source *source = NULL;
    wi_source_options options = options_for(numbered_lines("lines", rows), choices);
    REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
    EXPECT_INT(wi_schema_columns(wi_source_schema(source)), 1); /* with rows or without */
    EXPECT(wi_source_start(source, NULL) == WEIR_OK);
    EXPECT_INT(take_all(source, takers, 0), (uint64_t)rows * choices);
    expect_each_once((uint64_t)rows * choices);
    wi_source_numbers n = numbers(source);
    EXPECT_INT(n.total, (uint64_t)rows * choices);
    EXPECT_INT(n.read, n.total);
    EXPECT_INT(n.taken, n.total);
    EXPECT_INT(n.estimate, n.total);
    EXPECT(n.ended);
    EXPECT_INT(wi_source_status(source, NULL), WEIR_OK);
    wi_source_free(source);
}

TEST(rows_by_choices)
{
    REQUIRE(folder_begin());
    expect_rows_by_choices(0, 1, 1);
    expect_rows_by_choices(1, 1, 1);
    expect_rows_by_choices(20000, 1, 4);
    expect_rows_by_choices(1000, 7, 3);
    expect_rows_by_choices(300, 129, 8);
    expect_rows_by_choices(3, 20000, 2);
    folder_end();
}

TEST(what_is_known_of_the_columns_of_no_rows)
{
    static const struct {
        wi_format format;
        const char *text;
        int columns; /* -1: nothing is known */
    } cases[] = {
        {WI_FORMAT_CSV, "", -1},    {WI_FORMAT_CSV, "a,b\n", 2},   {WI_FORMAT_TSV, "a\tb", 2},
        {WI_FORMAT_NDJSON, "", -1}, {WI_FORMAT_NDJSON, "{}\n", 0}, {WI_FORMAT_LINES, "", 1},
    };
    REQUIRE(folder_begin());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_file(in_folder("input"), cases[i].text, strlen(cases[i].text));
        wi_source *source = NULL;
        wi_source_options options = options_for(in_folder("input"), 1);
        options.format = cases[i].format;
        REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
        wi_schema *schema = wi_source_schema(source);
        EXPECT_INT(schema ? (int)wi_schema_columns(schema) : -1, cases[i].columns);
        wi_source_free(source);
    }
    folder_end();
}

/* Without threads, as plans do it. */
TEST(read_by_the_caller)
{
    REQUIRE(folder_begin());
    wi_source *source = NULL;
    wi_source_options options = options_for(numbered_lines("lines", 5000), 3);
    REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
    memset(seen, 0, sizeof seen);
    bool end = false;
    while (!end) {
        wi_block block;
        REQUIRE(wi_source_next(source, &block, &end, NULL) == WEIR_OK);
        if (end)
            break;
        look_at(&block);
        wi_batch_unref(block.batch);
    }
    expect_each_once(15000);
    EXPECT_INT(numbers(source).total, 15000);
    wi_source_free(source);
    folder_end();
}

/* What is read ahead is charged, no more than an eighth beyond the first batch, and given back when
 * it is taken or when the source is stopped. */
TEST(the_budget)
{
    REQUIRE(folder_begin());
    wi_budget budget = {.limit = 8 << 10}; /* an eighth is less than a batch of 128 rows */
    wi_source_options options = options_for(numbered_lines("lines", 20000), 1);
    options.budget = &budget;
    for (int stop = 0; stop < 2; stop++) {
        wi_source *source = NULL;
        wi_block block;
        int64_t taken = 0;
        REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
        EXPECT(wi_source_start(source, NULL) == WEIR_OK);
        /* Time to read on for a source that would; one that does not is never found too slow. */
        for (int i = 0; i < 20000 && numbers(source).read <= 128; i++)
            sched_yield();
        while (!(stop && taken >= 1000) && take(source, &block)) {
            taken += block.count;
            int64_t ahead = numbers(source).read - taken;
            EXPECT(ahead <= 128);
            EXPECT(ahead == 0 || budget.used > 0);
            wi_batch_unref(block.batch);
        }
        if (stop)
            wi_source_stop(source);
        EXPECT_INT(budget.used, 0);
        EXPECT_INT(taken, stop ? 1024 : 20000);
        wi_source_free(source);
    }
    folder_end();
}

TEST(estimates)
{
    REQUIRE(folder_begin());
    wi_source *source = NULL;
    wi_source_options options = options_for(numbered_lines("lines", 90000), 1);
    REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
    EXPECT_INT(numbers(source).total, -1);
    wi_block block;
    bool end = false;
    int64_t read = 0;
    while (wi_source_next(source, &block, &end, NULL) == WEIR_OK && !end) {
        wi_batch_unref(block.batch);
        wi_source_numbers n = numbers(source);
        EXPECT(n.read >= read);
        EXPECT(n.estimate <= 3 * 90000);
        read = n.read;
    }
    EXPECT_INT(numbers(source).estimate, 90000);
    wi_source_free(source);
    folder_end();
}

/* The counts of what cannot be counted stay at the largest there is. */
TEST(more_items_than_numbers)
{
    REQUIRE(folder_begin());
    wi_source *source = NULL;
    weir_error err = {0};
    wi_source_options options = options_for(numbered_lines("lines", 200), (uint64_t)1 << 62);
    EXPECT_INT(wi_source_new(&options, &source, &err), WEIR_INVALID);
    EXPECT(err.text[0] != '\0');
    wi_source_free(source);
    folder_end();
}

/* ---- ends ---- */

static int fifo_of(const char *path)
{
    EXPECT(mkfifo(path, 0600) == 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    EXPECT(fd >= 0 && write(fd, "0\n", 2) == 2);
    return fd;
}

TEST(stop_while_the_input_waits)
{
    REQUIRE(folder_begin());
    const char *path = in_folder("fifo");
    for (int how = 0; how < 2; how++) {
        int fd = fifo_of(path);
        wi_source *source = NULL;
        wi_source_options options = options_for(path, 1);
        REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
        EXPECT(wi_source_start(source, NULL) == WEIR_OK);
        wi_block block;
        EXPECT(take(source, &block));
        EXPECT_INT(block.count, 1);
        wi_batch_unref(block.batch);
        EXPECT_INT(wi_source_take(source, &block), WI_SOURCE_LATER);
        EXPECT_INT(numbers(source).total, -1);
        if (how) {
            wi_source_stop(source);
            EXPECT_INT(wi_source_take(source, &block), WI_SOURCE_END);
            EXPECT_INT(wi_source_status(source, NULL), WEIR_OK);
        }
        wi_source_free(source); /* ends */
        close(fd);
        EXPECT(unlink(path) == 0);
    }
    folder_end();
}

TEST(stop_in_the_midst)
{
    REQUIRE(folder_begin());
    const char *path = numbered_lines("lines", 50000);
    for (int takers = 1; takers <= 4; takers++) {
        wi_source *source = NULL;
        wi_source_options options = options_for(path, 1);
        REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
        EXPECT(wi_source_start(source, NULL) == WEIR_OK);
        int64_t taken = take_all(source, takers, 500);
        wi_source_numbers n = numbers(source);
        EXPECT_INT(n.taken, taken);
        EXPECT(n.read >= n.taken);
        wi_source_free(source);
    }
    folder_end();
}

TEST(an_input_that_breaks_off)
{
    REQUIRE(folder_begin());
    const char *path = in_folder("lines.gz");
    gzFile zip = gzopen(path, "wb");
    wi_random random;
    wi_random_init(&random, 5);
    for (int i = 0; i < 50000; i++)
        gzprintf(zip, "%d %u\n", i, wi_random_u32(&random));
    EXPECT(gzclose(zip) == Z_OK);
    EXPECT(truncate(path, 200000) == 0);
    wi_source *source = NULL;
    wi_source_options options = options_for(path, 1);
    REQUIRE(wi_source_new(&options, &source, NULL) == WEIR_OK);
    EXPECT(wi_source_start(source, NULL) == WEIR_OK);
    wi_block block;
    int64_t taken = 0;
    while (take(source, &block)) {
        taken += block.count;
        wi_batch_unref(block.batch);
    }
    weir_error err = {0};
    EXPECT(wi_source_status(source, &err) != WEIR_OK);
    EXPECT(strstr(err.text, "lines.gz") != NULL);
    EXPECT(taken > 1000);
    EXPECT_INT(numbers(source).taken, taken);
    wi_source_free(source);
    folder_end();
}

TEST(inputs_that_cannot_be_read)
{
    REQUIRE(folder_begin());
    wi_source *source = NULL;
    weir_error err = {0};
    wi_source_options options = options_for(test_folder, 1);
    EXPECT(wi_source_new(&options, &source, &err) != WEIR_OK);
    options = options_for(in_folder("nothing"), 1);
    EXPECT_INT(wi_source_new(&options, &source, &err), WEIR_NOTFOUND);
    EXPECT(source == NULL);
    wi_source_free(NULL);
    folder_end();
}

/* ---- memory ---- */

static const char *torture_path;

static weir_status read_all(void)
{
    wi_source *source = NULL;
    wi_source_options options = options_for(torture_path, 2);
    weir_status status = wi_source_new(&options, &source, NULL);
    bool end = false;
    while (status == WEIR_OK && !end) {
        wi_block block;
        status = wi_source_next(source, &block, &end, NULL);
        if (status == WEIR_OK && !end)
            wi_batch_unref(block.batch);
    }
    wi_source_free(source);
    return status;
}

TEST(survives_lack_of_memory)
{
    REQUIRE(folder_begin());
    torture_path = numbered_lines("lines", 300);
    TORTURE(read_all());
    folder_end();
}

TESTS(CASE(choices_alone), CASE(rows_by_choices), CASE(what_is_known_of_the_columns_of_no_rows),
      CASE(read_by_the_caller), CASE(the_budget), CASE(estimates), CASE(more_items_than_numbers),
      CASE(stop_while_the_input_waits), CASE(stop_in_the_midst), CASE(an_input_that_breaks_off),
      CASE(inputs_that_cannot_be_read), CASE(survives_lack_of_memory))
