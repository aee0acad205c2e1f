/*
 * exit_program.c: returns from main while it is inside HTTP exchanges, in the way it is told to:
 *
 *     exit_program threads|fibers URL CACERT MICROSECONDS
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/weir.h>

enum { MANY = 8 };

static const char *url;
static const char *cacert;
static atomic_int answers;

static void *ask_for_ever(void *arg, weir_error *err)
{
    (void)err;
    weir_http_options options = WEIR_HTTP_OPTIONS_INIT;
    options.cacert = cacert;
    for (;;) {
        weir_http_response *response;
        weir_error why;
        if (weir_http_request(url, &options, &response, &why) != WEIR_OK)
            continue;
        weir_http_response_free(response);
        atomic_fetch_add(&answers, 1);
    }
    return arg;
}

static void *run_thread(void *arg)
{
    return ask_for_ever(arg, NULL);
}

int main(int argc, char **argv)
{
    static weir_executor *executor;
    if (argc != 5)
        return 2;
    url = argv[2];
    cacert = argv[3];
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = WEIR_FIBERS;
    weir_task task = {.fn = ask_for_ever};
    bool fibers = strcmp(argv[1], "fibers") == 0;
    if (fibers && weir_executor_new(&options, &executor, NULL) != WEIR_OK)
        return 2;
    for (int i = 0; i < MANY; i++) {
        pthread_t thread;
        if (fibers ? weir_executor_submit(executor, &task, NULL, NULL) != WEIR_OK
                   : pthread_create(&thread, NULL, run_thread, NULL) != 0)
            return 2;
        if (!fibers)
            pthread_detach(thread);
    }
    while (atomic_load(&answers) < 2)
        usleep(100);
    usleep((useconds_t)atoi(argv[4]));
    return 0;
}
