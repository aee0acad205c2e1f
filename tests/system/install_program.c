/* install_program.c: what a user's first program looks like; C99 and C++ both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

/* A worker process is this program too: main is not called there. */
static void *twice(void *arg, weir_error *err)
{
    int *result = (int *)malloc(sizeof(int));
    (void)err;
    if (result)
        *result = 2 * *(int *)arg;
    return result;
}

static int twice_in_a_process(int n)
{
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    weir_map_options map_options = WEIR_MAP_OPTIONS_INIT;
    weir_http_options http_options = WEIR_HTTP_OPTIONS_INIT;
    weir_child_options child_options = WEIR_CHILD_OPTIONS_INIT;
    weir_type string = WEIR_TYPE_STRING;
    weir_type number = WEIR_TYPE(int);
    weir_type own_number = WEIR_TYPE_MALLOCED(int);
    weir_executor *executor = NULL;
    weir_future *future = NULL;
    weir_task task;
    weir_error err;
    void *result = NULL;

    if (map_options.size != sizeof map_options || http_options.size != sizeof http_options ||
        child_options.size != sizeof child_options || string.measure("weir") != 5)
        exit(1);
    memset(&task, 0, sizeof task);
    task.fn = twice;
    task.arg = &n;
    task.argument = number;
    task.result = own_number;
    options.kind = WEIR_PROCESSES;
    if (weir_executor_new(&options, &executor, &err) ||
        weir_executor_submit(executor, &task, &future, &err) ||
        weir_future_result(future, -1, &result, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    n = *(int *)result;
    free(result);
    weir_future_unref(future);
    weir_executor_free(executor);
    return n;
}

int main(void)
{
    weir_exec_options exec_options = WEIR_EXEC_OPTIONS_INIT;
    weir_fetch_options options = WEIR_FETCH_OPTIONS_INIT;
    weir_job *job = NULL;
    weir_error err;
    const char *url = "http://127.0.0.1:1/{1..2";

    if (exec_options.size != sizeof exec_options)
        return 1;
    memset(&err, 0, sizeof err);
    options.urls = &url;
    options.urls_len = 1;
    if (weir_fetch_new(&options, &job, &err) != WEIR_INVALID || err.text[0] == '\0') {
        fprintf(stderr, "the unbalanced brace was not found: %s\n", err.text);
        return 1;
    }
    if (twice_in_a_process(21) != 42)
        return 1;
    printf("%s\n", weir_version());
    return 0;
}
