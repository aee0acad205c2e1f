/*
 * A client of an API that fails now and then: each URL is asked for until it answers well, its
 * failures are for good, or its time is up; all URLs at the same time, on fibers.
 *
 *     api-client [--attempts N] [--deadline SECONDS] URL...
 *
 * Bodies go to standard output in the order of the URLs, failures to standard error. Pauses double
 * from a tenth of a second on, and each is drawn evenly below that ("full jitter"), so that clients
 * who failed together don't come back together. A server that says Retry-After is obeyed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <weir/weir.h>

#define FIRST_PAUSE WEIR_MILLISECONDS(100)
#define LONGEST_PAUSE WEIR_SECONDS(10)

static int attempts = 5;
static int64_t deadline = WEIR_SECONDS(60); /* of each URL, with all its attempts and pauses */

/* Evenly from 0 up to most. */
static int64_t jitter(int64_t most)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return most; /* early after boot, or a signal: no jitter this time */
    return (int64_t)((double)most * random / UINT32_MAX);
}

/* Seconds to wait, as the server says; 0 if it doesn't, or gives a date, which few do. */
static int64_t retry_after(const weir_http_response *response)
{
    const char *value = weir_http_response_header(response, "Retry-After");
    char *end = NULL;
    long seconds = value != NULL ? strtol(value, &end, 10) : 0;
    if (value == NULL || end == value || *end != '\0' || seconds < 0)
        return 0;
    return WEIR_SECONDS(seconds < 86400 ? seconds : 86400);
}

static int may_pass(int http)
{
    return http == 408 || http == 429 || http == 500 || http == 502 || http == 503 || http == 504;
}

static int is_lost(weir_status status)
{
    return status == WEIR_TIMEDOUT || status == WEIR_CONNECT || status == WEIR_RESET ||
           status == WEIR_TRUNCATED || status == WEIR_RESOLVE;
}

/*
 * One attempt. The body, or NULL with the reason in err and in *pause: how long the server wants to
 * be left alone (0: it does not say), or -1: there is no point in trying again.
 */
static char *attempt(const char *url, int64_t *pause, weir_error *err)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_INIT;
    static const char *const headers[] = {"Accept: application/json", NULL};
    options.headers = headers;
    options.timeout = WEIR_SECONDS(10);
    options.follow = 5;
    weir_http_response *response = NULL;
    weir_status status = weir_http_request(url, &options, &response, err);
    if (status != WEIR_OK) {
        *pause = is_lost(status) ? 0 : -1;
        return NULL;
    }
    int http = weir_http_response_status(response);
    char *body = NULL;
    if (http >= 200 && http < 300) {
        body = strdup(weir_http_response_body(response, NULL));
        *pause = -1;
        err->status = WEIR_NOMEM;
        snprintf(err->text, sizeof err->text, "no memory for the body");
    } else {
        *pause = may_pass(http) ? retry_after(response) : -1;
        err->status = WEIR_HTTP;
        snprintf(err->text, sizeof err->text, "HTTP status %d", http);
    }
    weir_http_response_free(response);
    return body;
}

/* The task: all attempts for one URL. */
static void *ask(void *arg, weir_error *err)
{
    const char *url = *(const char **)arg;
    /* Every wait below ends at this deadline, whichever it is in. */
    weir_deadline_set(deadline);
    int64_t bound = FIRST_PAUSE;
    for (int number = 1;; number++) {
        /* An error of its own: what is left in err at the end is the task's failure. */
        weir_error why = {.status = WEIR_OK};
        int64_t pause = 0;
        char *body = attempt(url, &pause, &why);
        if (body != NULL)
            return body;
        if (pause == 0)
            pause = jitter(bound);
        int64_t left = weir_deadline_left();
        /* A pause beyond the deadline would only be cut short: say what went wrong now. */
        if (number == attempts || pause < 0 || (left >= 0 && pause >= left)) {
            *err = why;
            snprintf(err->text, sizeof err->text, "attempt %d of %d: %.400s", number, attempts,
                     why.text);
            return NULL;
        }
        if (weir_sleep(pause, err) != WEIR_OK)
            return NULL;
        bound = bound < LONGEST_PAUSE / 2 ? bound * 2 : LONGEST_PAUSE;
    }
}

static void print_body(const char *body)
{
    size_t len = strlen(body);
    fputs(body, stdout);
    if (len == 0 || body[len - 1] != '\n')
        putchar('\n');
}

/* Exit code: 0 if all answered well, 1 if one did not. */
static int ask_all(weir_executor *executor, const char **urls, size_t n)
{
    weir_map_options options = WEIR_MAP_OPTIONS_INIT;
    options.result.release = free;
    weir_map *map = NULL;
    weir_error err;
    if (weir_map_start(executor, ask, urls, n, sizeof *urls, &options, &map, &err) != WEIR_OK) {
        fprintf(stderr, "api-client: %s\n", err.text);
        return 2;
    }
    int code = 0;
    void *body;
    weir_status status;
    while ((status = weir_map_next(map, &body, &err)) != WEIR_END) {
        if (status == WEIR_OK) {
            print_body(body);
            free(body);
        } else {
            fprintf(stderr, "%s: %s\n", urls[weir_map_index(map)], err.text);
            code = 1;
        }
    }
    weir_map_free(map);
    return code;
}

int main(int argc, char **argv)
{
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        if (strcmp(argv[first], "--attempts") == 0)
            attempts = atoi(argv[first + 1]);
        else if (strcmp(argv[first], "--deadline") == 0)
            deadline = WEIR_SECONDS(atoi(argv[first + 1]));
        else
            break;
    }
    if (first >= argc || argv[first][0] == '-' || attempts < 1 || deadline <= 0) {
        fprintf(stderr, "usage: api-client [--attempts N] [--deadline SECONDS] URL...\n");
        return 2;
    }
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = WEIR_FIBERS;
    options.max_workers = 100; /* requests at a time: be kind to the server */
    weir_executor *executor = NULL;
    weir_error err;
    if (weir_executor_new(&options, &executor, &err) != WEIR_OK) {
        fprintf(stderr, "api-client: %s\n", err.text);
        return 2;
    }
    int code = ask_all(executor, (const char **)argv + first, (size_t)(argc - first));
    weir_executor_free(executor);
    return code;
}
