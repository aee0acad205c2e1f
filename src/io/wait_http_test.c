/* wait_http_test.c: requests as waits: what comes back, what goes wrong, how they end with their
 * task, and that connections outlive tasks. */
#include "http_clients.h"
#include "places_torture.h"
#include "server.h"

enum { BIG = 300000 };

/* One part is longer than a name may have (63), so that nobody is asked. */
#define LONG_NAME "http://no-such-name-0123456789-0123456789-0123456789-0123456789-0123456789/"

static char big_body[BIG];

/* ---- what the server does ---- */

static void reply_echo(server_connection *c)
{
    server_reply(c, "200 OK", "X-Echo: yes\r\n", c->request, c->size);
}

static void reply(server_connection *c)
{
    int status;
    if (server_asks(c, "/ok"))
        server_reply(c, "200 OK", "X-First: one\r\nx-first: two\r\nX-Empty:\r\n", "hello", 5);
    else if (sscanf(c->path, "/status/%d", &status) == 1) {
        char line[32];
        snprintf(line, sizeof line, "%d Odd", status);
        server_reply(c, line, "", "no", 2);
    } else if (server_asks(c, "/redirect"))
        server_reply(c, "302 Found", "Location: /ok\r\nX-Void: yes\r\n", "void", 4);
    else if (server_asks(c, "/loop"))
        server_reply(c, "302 Found", "Location: /loop\r\n", "", 0);
    else if (server_asks(c, "/hang"))
        server_hang(c);
    else if (server_asks(c, "/half")) {
        server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        server_hang(c);
    } else if (strncmp(c->path, "/cut", 4) == 0) {
        server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut");
        server_close(c);
    } else if (server_asks(c, "/nothing"))
        server_close(c);
    else if (server_asks(c, "/nonsense")) {
        server_puts(c, "this is not HTTP\r\n\r\n");
        server_close(c);
    } else if (server_asks(c, "/empty"))
        server_reply(c, "200 OK", "", "", 0);
    else if (server_asks(c, "/big"))
        server_reply(c, "200 OK", "", big_body, BIG);
    else if (server_asks(c, "/liar")) {
        server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nliar");
        server_close(c);
    } else if (server_asks(c, "/chunked"))
        server_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "5\r\nchunk\r\n4\r\n and\r\n0\r\nX-Trailer: last\r\n\r\n");
    else if (server_asks(c, "/echo"))
        reply_echo(c);
    else if (server_asks(c, "/crowd")) {
        server_await(c, 1000);
        server_reply(c, "200 OK", "", "together", 8);
    } else
        server_reply(c, "404 Not Found", "", "", 0);
}

static server *web;

static const char *url_of(const char *path)
{
    static _Thread_local char urls[4][128];
    static _Thread_local unsigned next;
    char *url = urls[next++ % 4];
    snprintf(url, sizeof urls[0], "http://127.0.0.1:%d%s", web->port, path);
    return url;
}

/* Each test with a server of its own: the service loop's connections to it are closed by it. */
#define WITH_SERVER(...)       \
    web = server_begin(reply); \
    __VA_ARGS__;               \
    server_end(web)

/* ---- success ---- */

static void *get_ok(void *arg, weir_error *err)
{
    (void)arg;
    weir_http_response *response;
    if (weir_http_get(url_of("/ok"), &response, err) != WEIR_OK)
        return NULL;
    size_t len = 99;
    EXPECT_INT(weir_http_response_status(response), 200);
    EXPECT_STR(weir_http_response_body(response, &len), "hello");
    EXPECT_INT(len, 5);
    EXPECT_STR(weir_http_response_header(response, "X-FIRST"), "one");
    EXPECT_STR(weir_http_response_header(response, "x-empty"), "");
    EXPECT_STR(weir_http_response_header(response, "Content-Length"), "5");
    EXPECT(weir_http_response_header(response, "X-Firs") == NULL);
    EXPECT(weir_http_response_header(response, "one") == NULL);
    weir_http_response_free(response);
    return NULL;
}

TEST(an_answer_comes_with_status_headers_and_body)
{
    WITH_SERVER(for (place p = 0; p < PLACES; p++)
                    EXPECT_INT(place_run(p, get_ok, NULL, 0, NULL), WEIR_OK));
}

typedef struct asked {
    const char *path;
    const weir_http_options *options;
    int status;
    const char *body;
    const char *error;
} asked;

static void *ask(void *arg, weir_error *err)
{
    asked *a = arg;
    weir_http_response *untouched = (weir_http_response *)(uintptr_t)8;
    weir_http_response *response = untouched;
    const char *url = *a->path == '/' ? url_of(a->path) : a->path;
    weir_status status = weir_http_request(url, a->options, &response, err);
    if (status != WEIR_OK) {
        EXPECT(response == untouched);
        return NULL;
    }
    EXPECT_INT(weir_http_response_status(response), a->status);
    if (a->body)
        EXPECT_STR(weir_http_response_body(response, NULL), a->body);
    weir_http_response_free(response);
    return NULL;
}

/* Runs one everywhere and compares how it ends; the error's text, too, if the case names a part. */
static void ask_everywhere(asked *a, weir_status expected)
{
    for (place p = 0; p < PLACES; p++) {
        weir_error err = {.status = WEIR_OK};
        EXPECT_INT(place_run(p, ask, a, 0, &err), expected);
        if (a->error && !EXPECT(strstr(err.text, a->error) != NULL))
            printf("# %s: %s\n", place_names[p], err.text);
    }
}

#define OPTIONS(...)                                   \
    &(weir_http_options)                               \
    {                                                  \
        .size = sizeof(weir_http_options), __VA_ARGS__ \
    }

TEST(any_status_is_an_answer)
{
    web = server_begin(reply);
    ask_everywhere(&(asked){"/status/404", NULL, 404, "no", NULL}, WEIR_OK);
    ask_everywhere(&(asked){"/status/500", NULL, 500, "no", NULL}, WEIR_OK);
    ask_everywhere(&(asked){"/redirect", NULL, 302, "void", NULL}, WEIR_OK);
    ask_everywhere(&(asked){"/empty", NULL, 200, "", NULL}, WEIR_OK);
    ask_everywhere(&(asked){"/chunked", NULL, 200, "chunk and", NULL}, WEIR_OK);
    ask_everywhere(&(asked){"/redirect", OPTIONS(.follow = 3), 200, "hello", NULL}, WEIR_OK);
    ask_everywhere(&(asked){"/ok", OPTIONS(.method = "HEAD"), 200, "", NULL}, WEIR_OK);
    server_end(web);
}

static void *get_path(void *arg, weir_error *err)
{
    weir_http_response *response;
    if (weir_http_get(url_of(arg), &response, err) == WEIR_OK)
        weir_http_response_free(response);
    return NULL;
}

TEST(get_takes_only_2xx)
{
    web = server_begin(reply);
    static char ok[] = "/status/203", missing[] = "/status/404", redirect[] = "/redirect";
    for (place p = 0; p < PLACES; p++) {
        weir_error err;
        EXPECT_INT(place_run(p, get_path, ok, 0, NULL), WEIR_OK);
        EXPECT_INT(place_run(p, get_path, missing, 0, &err), WEIR_HTTP);
        EXPECT(strstr(err.text, "HTTP 404") != NULL);
        EXPECT_INT(place_run(p, get_path, redirect, 0, &err), WEIR_HTTP);
        EXPECT(strstr(err.text, "HTTP 302, a redirect") != NULL);
    }
    server_end(web);
}

static void *get_big(void *arg, weir_error *err)
{
    (void)arg;
    weir_http_response *response;
    if (weir_http_get(url_of("/big"), &response, err) != WEIR_OK)
        return NULL;
    size_t len;
    const char *body = weir_http_response_body(response, &len);
    EXPECT(len == BIG && memcmp(body, big_body, BIG) == 0 && body[BIG] == '\0');
    weir_http_response_free(response);
    return NULL;
}

TEST(a_body_is_whole_or_too_large)
{
    for (size_t i = 0; i < BIG; i++)
        big_body[i] = (char)('a' + i % 26);
    web = server_begin(reply);
    for (place p = 0; p < PLACES; p++)
        EXPECT_INT(place_run(p, get_big, NULL, 0, NULL), WEIR_OK);
    ask_everywhere(&(asked){"/big", OPTIONS(.max_body = BIG), 200, NULL, NULL}, WEIR_OK);
    ask_everywhere(&(asked){"/big", OPTIONS(.max_body = BIG - 1), 0, NULL, "299999 bytes"},
                   WEIR_TOOLARGE);
    ask_everywhere(&(asked){"/ok", OPTIONS(.max_body = 4), 0, NULL, "max_body"}, WEIR_TOOLARGE);
    server_end(web);
}

/* ---- what is sent ---- */

static void *ask_echo(void *arg, weir_error *err)
{
    const weir_http_options *options = arg;
    weir_http_response *response;
    if (weir_http_request(url_of("/echo"), options, &response, err) != WEIR_OK)
        return NULL;
    const char *sent = weir_http_response_body(response, NULL);
    bool has_body = options && options->body;
    EXPECT(strstr(sent, has_body ? "POST /echo " : "GET /echo ") == sent);
    EXPECT(strstr(sent, has_body ? "\r\n\r\n{\"a\": 1}" : "\r\n\r\n") != NULL);
    bool own = options && options->headers;
    EXPECT((strstr(sent, "User-Agent: weir/") != NULL) == !own);
    EXPECT((strstr(sent, "User-Agent: me") != NULL) == own);
    EXPECT((strstr(sent, "Accept-Encoding: gzip") != NULL) == !own);
    EXPECT((strstr(sent, "Content-Type: application/json") != NULL) == has_body);
    if (options && options->user)
        EXPECT(strstr(sent, "Authorization: Basic bWU6c2VjcmV0\r\n") != NULL);
    if (options && options->bearer)
        EXPECT(strstr(sent, "Authorization: Bearer t0ken\r\n") != NULL);
    weir_http_response_free(response);
    return NULL;
}

TEST(a_request_says_what_it_was_told_to)
{
    web = server_begin(reply);
    const char *const headers[] = {"User-Agent: me", "accept-encoding: identity", "X-Empty:", NULL};
    const weir_http_options *cases[] = {
        NULL,
        OPTIONS(.headers = headers),
        OPTIONS(.body = "{\"a\": 1}", .body_len = 8),
        OPTIONS(.user = "me:secret"),
        OPTIONS(.bearer = "t0ken"),
    };
    for (place p = 0; p < PLACES; p++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            EXPECT_INT(place_run(p, ask_echo, (void *)(uintptr_t)cases[i], 0, NULL), WEIR_OK);
    server_end(web);
}

/* ---- what goes wrong ---- */

TEST(failures_have_names)
{
    web = server_begin(reply);
    static const struct {
        const char *path;
        weir_status status;
    } cases[] = {
        {"/cut", WEIR_TRUNCATED},
        {"/nothing", WEIR_RESET},
        {"/nonsense", WEIR_PROTOCOL},
        {"/liar", WEIR_TRUNCATED},
        {"http://127.0.0.1:1/", WEIR_CONNECT},
        {LONG_NAME, WEIR_RESOLVE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ask_everywhere(&(asked){cases[i].path, NULL, 0, NULL, "GET http://"}, cases[i].status);
    ask_everywhere(&(asked){"/loop", OPTIONS(.follow = 3), 0, NULL, "redirects"}, WEIR_REDIRECT);
    ask_everywhere(&(asked){"/hang", OPTIONS(.timeout = WEIR_MILLISECONDS(5)), 0, NULL,
                            "no whole answer within 0.005 s"},
                   WEIR_TIMEDOUT);
    server_end(web);
}

TEST(nonsense_is_refused_before_anything_is_sent)
{
    web = server_begin(reply);
    const char *const broken[] = {"X-Fine: yes", "no colon", NULL};
    const char *const smuggled[] = {"X-Bad: yes\r\nX-Worse: yes", NULL};
    const char *const both[] = {"Authorization: none", NULL};
    asked cases[] = {
        {"ftp://127.0.0.1/", NULL, 0, NULL, "is not a URL"},
        {"", NULL, 0, NULL, "is not a URL"},
        {"http://127.0.0.1/a b", NULL, 0, NULL, "%20"},
        {"http://127.0.0.1:99999/", NULL, 0, NULL, "URL"},
        {"/ok", OPTIONS(.method = "GET /"), 0, NULL, "request method"},
        {"/ok", OPTIONS(.headers = broken), 0, NULL, "header 2"},
        {"/ok", OPTIONS(.headers = smuggled), 0, NULL, "header 1"},
        {"/ok", OPTIONS(.user = "nobody"), 0, NULL, "name:password"},
        {"/ok", OPTIONS(.bearer = "a\r\nb"), 0, NULL, "bearer"},
        {"/ok", OPTIONS(.bearer = "a", .headers = both), 0, NULL, "only one"},
        {"/ok", OPTIONS(.body_len = 3), 0, NULL, "no body"},
        {"/ok", OPTIONS(.follow = -1), 0, NULL, "follow"},
        {"/ok", &(weir_http_options){.size = 4}, 0, NULL, "size"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ask_everywhere(&cases[i], WEIR_INVALID);
    EXPECT_INT(server_requests(web), 0);
    server_end(web);
}

TEST(secrets_of_a_url_are_not_repeated)
{
    web = server_begin(reply);
    char url[128];
    snprintf(url, sizeof url, "http://me:secret@127.0.0.1:%d/cut?key=secret", web->port);
    asked a = {url, NULL, 0, NULL, "/cut: "};
    for (place p = 0; p < PLACES; p++) {
        weir_error err;
        EXPECT_INT(place_run(p, ask, &a, 0, &err), WEIR_TRUNCATED);
        EXPECT(strstr(err.text, "secret") == NULL);
    }
    server_end(web);
}

/* ---- the end of its task ---- */

static void await_request(void *arg)
{
    (void)arg;
    while (server_requests(web) == 0)
        weir_sleep(WEIR_MICROSECONDS(100), NULL);
}

TEST(a_request_ends_with_its_task)
{
    asked hanging[] = {{"/hang", NULL, 0, NULL, NULL}, {"/half", NULL, 0, NULL, NULL}};
    for (size_t i = 0; i < 2; i++)
        for (place p = 0; p < PLACES; p++) {
            web = server_begin(reply);
            EXPECT_INT(place_run(p, ask, &hanging[i], WEIR_MILLISECONDS(5), NULL), WEIR_TIMEDOUT);
            server_end(web);
            web = server_begin(reply);
            if (p >= PLACE_THREADS)
                EXPECT_INT(place_cancel(p, ask, &hanging[i], await_request), WEIR_CANCELLED);
            server_end(web);
        }
}

/* ---- many ---- */

TEST(connections_outlive_tasks)
{
    for (place p = PLACE_THREADS; p < PLACES; p++) {
        web = server_begin(reply);
        weir_executor_options options = {.size = sizeof options,
                                         .kind = p == PLACE_FIBERS ? WEIR_FIBERS : WEIR_THREADS,
                                         .loops = p == PLACE_FIBERS};
        weir_executor *executor;
        EXPECT_INT(weir_executor_new(&options, &executor, NULL), WEIR_OK);
        for (int i = 0; i < 10; i++) {
            weir_future *future = place_submit(executor, get_ok, NULL, 0);
            EXPECT_INT(weir_future_error(future, -1, NULL), WEIR_OK);
            weir_future_unref(future);
        }
        EXPECT_INT(server_requests(web), 10);
        EXPECT_INT(server_connections(web), 1);
        weir_executor_free(executor);
        server_end(web);
    }
}

static void *get_crowd(void *arg, weir_error *err)
{
    return get_path(arg, err);
}

/* All are under way at once, or none would ever be answered. */
TEST(a_thousand_fibers_ask_at_once)
{
    enum { N = 1000 };
    static weir_future *futures[N];
    static char path[] = "/crowd";
    int before = place_descriptors();
    web = server_begin(reply);
    weir_executor *executor = place_executor(PLACE_FIBERS);
    for (size_t i = 0; i < N; i++)
        futures[i] = place_submit(executor, get_crowd, path, WEIR_SECONDS(60));
    EXPECT_INT(place_join(futures, N), 0);
    weir_executor_free(executor);
    server_end(web);
    EXPECT_INT(place_descriptors(), before);
}

enum { WAYS = 3 * WI_HTTP_CLIENTS_MAX };

static void *ask_many_ways(void *arg, weir_error *err)
{
    (void)arg;
    for (int i = 0; i < WAYS; i++) {
        asked way = {"/empty", OPTIONS(.connect_timeout = WEIR_SECONDS(20 + i)), 200, "", NULL};
        ask(&way, err);
        ask(&(asked){"/empty", NULL, 200, "", NULL}, err); /* in use all the time: it stays */
    }
    return NULL;
}

/* Each way of connecting has connections of its own; those of the ways not used for long close. */
TEST(ways_of_connecting_are_bounded)
{
    web = server_begin(reply);
    EXPECT_INT(place_run(PLACE_PLAIN, get_ok, NULL, 0, NULL), WEIR_OK);
    int before = place_descriptors() - server_connections(web);
    EXPECT_INT(place_run(PLACE_PLAIN, ask_many_ways, NULL, 0, NULL), WEIR_OK);
    EXPECT_INT(server_connections(web), WAYS + 1);
    /* libcurl has descriptors of its own besides the connection */
    int more = place_descriptors() - server_connections(web) - before;
    EXPECT(more <= WAYS);
    EXPECT(more >= WI_HTTP_CLIENTS_MAX / 2);
    server_end(web);
}

static weir_status torture_plain(void)
{
    weir_http_response *response;
    weir_status status = weir_http_get(url_of("/ok"), &response, NULL);
    if (status == WEIR_OK)
        weir_http_response_free(response);
    return status;
}

static weir_status torture_options(void)
{
    weir_http_response *response;
    const char *const headers[] = {"X-One: 1", "X-Two: 2", NULL};
    weir_status status = weir_http_request(
        url_of("/echo"), OPTIONS(.headers = headers, .user = "a:b", .body = "x", .body_len = 1),
        &response, NULL);
    if (status == WEIR_OK)
        weir_http_response_free(response);
    return status;
}

/* Blocks of the server's, which keeps each connection until its end. */
static long connections(void)
{
    return server_connections(web);
}

TEST(requests_survive_lack_of_memory)
{
    web = server_begin(reply);
    place_torture_fiber(torture_plain, connections);
    place_torture_fiber(torture_options, connections);
    server_end(web);
}

TESTS(CASE(an_answer_comes_with_status_headers_and_body), CASE(any_status_is_an_answer),
      CASE(get_takes_only_2xx), CASE(a_body_is_whole_or_too_large),
      CASE(a_request_says_what_it_was_told_to), CASE(failures_have_names),
      CASE(nonsense_is_refused_before_anything_is_sent), CASE(secrets_of_a_url_are_not_repeated),
      CASE(a_request_ends_with_its_task), CASE(connections_outlive_tasks),
      CASE(a_thousand_fibers_ask_at_once), CASE(ways_of_connecting_are_bounded),
      CASE(requests_survive_lack_of_memory))
