/*
 * process_test.c: one worker process and its parent's side, on a loop of the test's own thread,
 * where allocations can be made to fail.
 */
#include "process.h"

#include "torture.h"

static void *twice(void *arg, weir_error *err)
{
    (void)err;
    char *text = malloc(2 * strlen(arg) + 1);
    if (text)
        sprintf(text, "%s%s", (char *)arg, (char *)arg);
    return text;
}

typedef struct talk {
    wi_loop *loop;
    char *result;
    weir_error replied;
    weir_error gone;
    bool is_ready;
    bool is_gone;
} talk;

static void on_ready(wi_process *process, const weir_error *error)
{
    talk *t = process->owner;
    t->is_ready = !error->status;
}

static void on_replied(wi_process *process, void *result, const weir_error *error)
{
    talk *t = process->owner;
    t->result = result;
    t->replied = *error;
    wi_process_leave(process);
}

static void on_gone(wi_process *process, const weir_error *why)
{
    talk *t = process->owner;
    t->gone = *why;
    t->is_gone = true;
    wi_loop_stop(t->loop);
}

static const wi_process_events events = {on_ready, on_replied, on_gone};

/* What one task on one process, from its start to its end, comes to. */
static weir_status exchange(wi_process *process, talk *t)
{
    wi_module_cache functions = {0};
    weir_executor_options options = {.size = sizeof options};
    char text[] = "so ";
    weir_task task = {.fn = twice, .arg = text};
    task.argument.measure = weir_type_measure_string;
    task.result = (weir_type){0, weir_type_measure_string, free};
    process->owner = t;
    wi_list_init(&process->node);
    weir_status status = wi_process_start(process, t->loop, &functions, &options, &events, NULL);
    if (status)
        return status;
    if (!EXPECT(wi_process_run(process, &functions, &task, NULL) == WEIR_OK))
        wi_process_kill(process);
    EXPECT(wi_loop_run(t->loop, NULL) == WEIR_OK);
    EXPECT(t->is_gone && t->is_ready);
    return t->result ? WEIR_OK : t->gone.status;
}

static weir_status one_exchange(void)
{
    talk t = {0};
    weir_status status = wi_loop_new(wi_clock_real(), &t.loop, NULL);
    if (status)
        return status;
    wi_process *process = calloc(1, sizeof *process);
    status = process ? exchange(process, &t) : WEIR_NOMEM;
    if (!status)
        EXPECT_STR(t.result, "so so ");
    free(t.result);
    free(process);
    wi_loop_free(t.loop);
    return status;
}

TEST(one_task_crosses_and_comes_back)
{
    EXPECT_INT(one_exchange(), WEIR_OK);
}

TEST(lack_of_memory_is_told)
{
    TORTURE(one_exchange());
}

TESTS(CASE(one_task_crosses_and_comes_back), CASE(lack_of_memory_is_told))
