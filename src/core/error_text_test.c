/* error_text_test.c: whatever a task leaves in its error's text, and whichever way that comes back,
 * it is one line that can be printed. */
#include "kinds.h"
#include "weir/map.h"

static void *fail_raw(void *arg, weir_error *err)
{
    (void)arg;
    err->status = WEIR_IO;
    strcpy(err->text, "answered \x1B[2J\n");
    return NULL;
}

/* Without an end. */
static void *fail_long(void *arg, weir_error *err)
{
    (void)arg;
    err->status = WEIR_IO;
    memset(err->text, 'x', sizeof err->text);
    return NULL;
}

static void *fail_silently(void *arg, weir_error *err)
{
    (void)arg;
    err->status = WEIR_IO;
    return NULL;
}

static void *fail_offloaded(void *arg, weir_error *err)
{
    weir_offload(fail_raw, arg, NULL, err);
    return NULL;
}

static const char escaped[] = "answered \\x1B[2J\\n";

static struct {
    weir_task_fn fn;
    const char *text;
} const failings[] = {
    {fail_raw, escaped},
    {fail_long, "xxx"},
    {fail_silently, "input/output error"},
    {fail_offloaded, escaped},
};

enum { FAILINGS = sizeof failings / sizeof *failings };

static void expect_text(const weir_error *err, const char *text)
{
    EXPECT_INT(err->status, WEIR_IO);
    EXPECT(memchr(err->text, 0, sizeof err->text));
    EXPECT(strncmp(err->text, text, strlen(text)) == 0);
}

TEST(a_future_gives_a_clean_text)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    for (int i = 0; i < FAILINGS; i++) {
        weir_task task = {.fn = failings[i].fn};
        weir_future *future;
        weir_error err;
        REQUIRE(!weir_executor_submit(ex, &task, &future, NULL));
        weir_future_error(future, -1, &err);
        expect_text(&err, failings[i].text);
        weir_future_unref(future);
    }
    weir_executor_free(ex);
}

TEST(a_map_gives_a_clean_text)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    for (int i = 0; i < FAILINGS; i++) {
        char item[1] = {0};
        weir_map *map;
        void *result;
        weir_error err;
        REQUIRE(!weir_map_start(ex, failings[i].fn, item, 1, 1, NULL, &map, NULL));
        weir_map_next(map, &result, &err);
        expect_text(&err, failings[i].text);
        weir_map_free(map);
    }
    weir_executor_free(ex);
}

static weir_status fail_at_once(void *source, void **arg, weir_error *err)
{
    (void)arg;
    fail_raw(source, err);
    return WEIR_IO;
}

TEST(a_maps_input_gives_a_clean_text)
{
    weir_executor *ex = make_executor((weir_executor_options){0});
    REQUIRE(ex);
    weir_map *map;
    void *result;
    weir_error err;
    REQUIRE(!weir_map_start_lazy(ex, fail_raw, fail_at_once, NULL, NULL, &map, NULL));
    weir_map_next(map, &result, &err);
    expect_text(&err, escaped);
    weir_map_free(map);
    weir_executor_free(ex);
}

static weir_status fail_to_begin(void *arg, weir_error *err)
{
    fail_raw(arg, err);
    return WEIR_IO;
}

TEST(an_initializer_gives_a_clean_text)
{
    weir_executor *ex = make_executor((weir_executor_options){.initializer = fail_to_begin});
    REQUIRE(ex);
    weir_task task = {.fn = fail_raw};
    weir_future *future;
    weir_error err;
    REQUIRE(!weir_executor_submit(ex, &task, &future, NULL));
    weir_future_error(future, -1, &err);
    expect_text(&err, escaped);
    weir_future_unref(future);
    weir_executor_submit(ex, &task, &future, &err);
    expect_text(&err, escaped);
    weir_executor_free(ex);
}

KIND_TESTS(KIND_CASE(a_future_gives_a_clean_text), KIND_CASE(a_map_gives_a_clean_text),
           KIND_CASE(a_maps_input_gives_a_clean_text), KIND_CASE(an_initializer_gives_a_clean_text))
