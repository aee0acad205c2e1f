/* http_test.c: requests of every form, and every way a server can answer them, or not. */
#include "http_testing.h"
#include "torture.h"

/* ---- whole answers ---- */

TEST(whole_answers)
{
    REQUIRE(begin(NULL));
    ask a = {0};
    get(&a, "/ok");
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_INT(a.begins, 1);
    EXPECT_INT(a.headers, 2);
    EXPECT(a.trimmed);
    EXPECT(a.result.sent);
    EXPECT_MEM(a.body.data, a.body.len, "hello");
    forget(&a);
    expect_get("/404", WEIR_OK, 404, "no");
    expect_get("/chunked", WEIR_OK, 200, "hello world");
    expect_get("/continue", WEIR_OK, 200, "late");
    end();
}

TEST(a_big_answer)
{
    memset(big_body, 'b', sizeof big_body);
    REQUIRE(begin(NULL));
    ask a = {0};
    get(&a, "/big");
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_INT(a.body.len, BIG);
    EXPECT(a.body.data && memcmp(a.body.data, big_body, BIG) == 0);
    forget(&a);
    end();
}

TEST(a_connection_is_kept)
{
    REQUIRE(begin(NULL));
    for (int i = 0; i < 20; i++)
        expect_get(i % 3 ? "/ok" : "/chunked", WEIR_OK, 200, NULL);
    EXPECT_INT(server_connections(srv), 1);
    EXPECT_INT(server_requests(srv), 20);
    end();
}

TEST(a_connection_of_its_own)
{
    REQUIRE(begin(NULL));
    for (int i = 0; i < 6; i++) {
        ask a = {0};
        start_request(&a, &(wi_http_request){
                              .method = "GET", .url = url_of("/ok"), .fresh = i == 2 || i == 4});
        finish();
        EXPECT_INT(a.result.status, WEIR_OK);
        forget(&a);
    }
    EXPECT_INT(server_connections(srv), 3);
    end();
}

TEST(two_hundred_at_once)
{
    REQUIRE(begin(NULL));
    static ask asks[AT_ONCE];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < AT_ONCE; i++)
            start_get(&asks[i], "/at-once");
        finish();
        for (int i = 0; i < AT_ONCE; i++) {
            EXPECT_INT(asks[i].done, 1);
            EXPECT_INT(asks[i].result.status, WEIR_OK);
            EXPECT_MEM(asks[i].body.data, asks[i].body.len, "hello");
            forget(&asks[i]);
        }
    }
    /* The last shard may be filled before the others in the second round. */
    EXPECT(server_connections(srv) >= AT_ONCE);
    EXPECT(server_connections(srv) <= AT_ONCE + 64);
    EXPECT_INT(server_requests(srv), 2 * AT_ONCE);
    end();
}

static void ask_as(const char *method, const char *body, const char *want)
{
    ask a = {0};
    start_request(&a, &(wi_http_request){.method = method,
                                         .url = url_of("/echo"),
                                         .body = body,
                                         .body_len = body ? strlen(body) : 0});
    finish();
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_MEM(a.body.data ? a.body.data : "", a.body.len, want);
    forget(&a);
}

/* On one handle and one connection, so that nothing of a request may stay for the next. */
TEST(methods_and_bodies)
{
    REQUIRE(begin(NULL));
    ask_as("GET", NULL, "GET ");
    ask_as("POST", "one", "POST one");
    ask_as("GET", NULL, "GET ");
    ask_as("HEAD", NULL, "");
    ask_as("POST", NULL, "POST ");
    ask_as("PUT", "two", "PUT two");
    ask_as("DELETE", NULL, "DELETE ");
    ask_as("PATCH", "", "PATCH ");
    ask_as("GET", "odd", "GET odd");
    ask_as("HEAD", NULL, "");
    ask_as("GET", NULL, "GET ");
    EXPECT_INT(server_connections(srv), 1);
    end();
}

TEST(request_headers)
{
    REQUIRE(begin(NULL));
    wi_http_headers *headers = wi_http_headers_new("a test", true);
    headers = wi_http_headers_add(headers, "X-One: 1");
    headers = wi_http_headers_add(headers, "X-Empty:");
    REQUIRE(headers != NULL);
    ask a = {0};
    start_request(&a,
                  &(wi_http_request){.method = "GET", .url = url_of("/ok"), .headers = headers});
    finish();
    EXPECT(strstr(server_last(srv), "\r\nX-One: 1\r\n") != NULL);
    EXPECT(strstr(server_last(srv), "\r\nX-Empty:\r\n") != NULL);
    EXPECT(strstr(server_last(srv), "\r\nUser-Agent: a test\r\n") != NULL);
    EXPECT(strstr(server_last(srv), "\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n") != NULL);
    forget(&a);
    get(&a, "/ok");
    EXPECT(strstr(server_last(srv), "X-One") == NULL);
    forget(&a);
    wi_http_headers_free(headers);
    end();
}

/* A handle is given only the path where the origin is the same. */
TEST(urls_of_many_forms)
{
    static const char *const paths[] = {"/ok",      "/ok?q=1", "/ok",   "/x/../ok",
                                        "/ok#part", "/ok?",    "/./ok", "/ok?a=b?c&d=%20",
                                        "/%41/ok",  "/ok"};
    static const char *const asked[] = {"/ok", "/ok?q=1",         "/ok",     "/ok", "/ok", "/ok?",
                                        "/ok", "/ok?a=b?c&d=%20", "/%41/ok", "/ok"};
    REQUIRE(begin(NULL));
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        ask a = {0};
        get(&a, paths[i]);
        char want[100];
        int n = snprintf(want, sizeof want, "GET %s HTTP/1.1\r\n", asked[i]);
        EXPECT_MEM(server_last(srv), (size_t)n, want);
        forget(&a);
    }
    end();
}

TEST(a_url_that_is_none)
{
    REQUIRE(begin(NULL));
    ask a = {0};
    weir_error err = {0};
    wi_http_request request = {.method = "GET", .url = "http://127.0.0.1:99999/"};
    EXPECT_INT(wi_http_start(http, &request, &a, &a.exchange, &err), WEIR_INVALID);
    EXPECT(err.text[0] != '\0');
    EXPECT_INT(a.done, 0);
    expect_get("/ok", WEIR_OK, 200, "hello"); /* the handle is as good as before */
    end();
}

/* ---- answers that are none ---- */

TEST(broken_answers)
{
    REQUIRE(begin(NULL));
    expect_get("/mid-body", WEIR_TRUNCATED, 200, "half");
    expect_get("/mid-chunk", WEIR_TRUNCATED, 200, "half");
    expect_get("/bad-chunk", WEIR_RESET, 200, NULL);
    expect_get("/bad-gzip", WEIR_PROTOCOL, 200, "");
    expect_get("/garbage", WEIR_PROTOCOL, 0, "");
    expect_get("/bad-length", WEIR_PROTOCOL, 200, NULL);
    expect_get("/drop", WEIR_RESET, 0, "");
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

TEST(headers_that_are_too_large)
{
    REQUIRE(begin(NULL));
    expect_get("/line-1mb", WEIR_TOOLARGE, 200, "");
    expect_get("/lines-1mb", WEIR_TOOLARGE, 200, "");
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

TEST(a_refused_port)
{
    REQUIRE(begin(NULL));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    EXPECT(bind(fd, (struct sockaddr *)&address, size) == 0); /* bound, but nobody listens */
    getsockname(fd, (struct sockaddr *)&address, &size);
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    ask a = {0};
    start_request(&a, &(wi_http_request){.method = "GET", .url = url});
    finish();
    close(fd);
    EXPECT_INT(a.done, 1);
    EXPECT_INT(a.result.status, WEIR_CONNECT);
    EXPECT(!a.result.sent);
    EXPECT(strstr(a.text, ": Connection refused") != NULL);
    end();
}

/* ---- names ---- */

TEST(many_requests_to_a_name)
{
    REQUIRE(begin(NULL));
    static ask asks[100];
    char url[100];
    snprintf(url, sizeof url, "http://localhost:%d/ok", srv->port);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++)
            start_request(&asks[i], &(wi_http_request){.method = "GET", .url = url});
        finish();
        for (int i = 0; i < 100; i++) {
            EXPECT_INT(asks[i].done, 1);
            EXPECT_INT(asks[i].result.status, WEIR_OK);
            forget(&asks[i]);
        }
    }
    EXPECT_INT(server_requests(srv), 200);
    end();
}

/* The one that asks for the name ends before the answer; those who wait for it go on. */
TEST(who_asks_for_a_name_is_cancelled)
{
    REQUIRE(begin(NULL));
    ask asks[10] = {0};
    char url[100];
    snprintf(url, sizeof url, "http://localhost:%d/ok", srv->port);
    for (int i = 0; i < 10; i++)
        start_request(&asks[i], &(wi_http_request){.method = "GET", .url = url});
    wi_http_cancel(asks[0].exchange);
    wi_http_cancel(asks[5].exchange);
    finish();
    for (int i = 0; i < 10; i++) {
        EXPECT_INT(asks[i].done, 1);
        EXPECT_INT(asks[i].result.status, i == 0 || i == 5 ? WEIR_CANCELLED : WEIR_OK);
        forget(&asks[i]);
    }
    end();
}

TEST(a_name_that_does_not_resolve)
{
    REQUIRE(begin(NULL));
    ask asks[20] = {0};
    /* One part is longer than a name may have (63), so that nobody is asked. */
    const char *url = "http://no-such-name-0123456789-0123456789-0123456789-0123456789-0123456789/";
    for (int i = 0; i < 20; i++)
        start_request(&asks[i], &(wi_http_request){.method = "GET", .url = url});
    finish();
    for (int i = 0; i < 20; i++) {
        EXPECT_INT(asks[i].done, 1);
        EXPECT_INT(asks[i].result.status, WEIR_RESOLVE);
        EXPECT(strstr(asks[i].text, "no-such-name") != NULL);
        EXPECT(!asks[i].result.sent);
    }
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

/* ---- redirects ---- */

TEST(redirects)
{
    REQUIRE(begin(NULL));
    expect_get("/redirect", WEIR_OK, 302, "void");
    end();
    REQUIRE(begin(&(wi_http_options){.follow = true, .max_redirects = 4}));
    ask a = {0};
    get(&a, "/redirect");
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_INT(a.result.http_status, 200);
    EXPECT_INT(a.begins, 2);
    EXPECT_MEM(a.body.data, a.body.len, "GET ");
    forget(&a);
    start_request(&a, &(wi_http_request){.method = "POST",
                                         .url = url_of("/redirect"),
                                         .body = "kept",
                                         .body_len = 4,
                                         .once = true});
    finish();
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_MEM(a.body.data, a.body.len, "POST kept");
    forget(&a);
    expect_get("/to-ftp", WEIR_PROTOCOL, 302, NULL);
    int before = server_requests(srv);
    expect_get("/loop", WEIR_REDIRECT, 302, NULL);
    EXPECT_INT(server_requests(srv) - before, 5);
    end();
}

/* ---- connections that die ---- */

static void post_once(ask *a, bool once)
{
    start_request(a, &(wi_http_request){.method = "POST",
                                        .url = url_of("/first-only"),
                                        .body = "x",
                                        .body_len = 1,
                                        .once = once});
    finish();
    EXPECT_INT(a->done, 1);
}

/* The server reads the second request and closes: it may have been carried out. */
TEST(once_is_not_repeated)
{
    REQUIRE(begin(NULL));
    ask a = {0};
    post_once(&a, true);
    EXPECT_INT(a.result.status, WEIR_OK);
    forget(&a);
    post_once(&a, true);
    EXPECT_INT(a.result.status, WEIR_RESET);
    EXPECT(a.result.sent);
    EXPECT_INT(server_requests(srv), 2);
    forget(&a);
    post_once(&a, false);
    EXPECT_INT(a.result.status, WEIR_OK);
    forget(&a);
    post_once(&a, false); /* repeated on a connection of its own */
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_INT(server_requests(srv), 5);
    forget(&a);
    end();
}

/* As often as a server likes, and on one handle. */
TEST(kept_connections_die_again_and_again)
{
    REQUIRE(begin(NULL));
    for (int i = 0; i < 20; i++)
        expect_get("/first-only", WEIR_OK, 200, "first");
    EXPECT_INT(server_connections(srv), 20);
    EXPECT_INT(server_requests(srv), 20 + 19);
    end();
}

TEST(a_kept_connection_that_was_closed)
{
    REQUIRE(begin(NULL));
    for (int i = 0; i < 10; i++)
        expect_get("/then-close", WEIR_OK, 200, "last");
    EXPECT_INT(server_connections(srv), 10);
    end();
}

TEST(options_that_cannot_be_used)
{
    weir_error err = {0};
    wi_http *made = NULL;
    wi_loop *l = NULL;
    REQUIRE(wi_loop_new(wi_clock_real(), &l, NULL) == WEIR_OK);
    wi_http_options options = {.cacert = "/nonexistent/ca.pem"};
    EXPECT(wi_http_new(l, &options, &events, &made, &err) != WEIR_OK);
    EXPECT(strstr(err.text, "--cacert") != NULL);
    EXPECT(made == NULL);
    wi_loop_free(l);
    wi_http_free(NULL);
    wi_http_headers_free(NULL);
    EXPECT(strncmp(wi_http_version(), "libcurl ", 8) == 0);
}

/* ---- memory ---- */

/* To a port that refuses, or cancelled before; without the server, which allocates as well. */
static weir_status start_two(void)
{
    static const wi_http_options options = {.user = "a:b", .cookie = "c=d"};
    static ask asks[2];
    loop = NULL;
    http = NULL;
    weir_status status = wi_loop_new(wi_clock_real(), &loop, NULL);
    if (status == WEIR_OK)
        status = wi_http_new(loop, &options, &events, &http, NULL);
    wi_http_headers *headers = status == WEIR_OK ? wi_http_headers_new("a test", true) : NULL;
    if (headers)
        headers = wi_http_headers_add(headers, "X-One: 1");
    if (!headers)
        status = WEIR_NOMEM;
    for (int i = 0; status == WEIR_OK && i < 2; i++) {
        asks[i] = (ask){0};
        wi_http_request request = {
            .method = "GET", .url = "http://127.0.0.1:1/", .headers = headers};
        status = wi_http_start(http, &request, &asks[i], &asks[i].exchange, NULL);
        under_way += status == WEIR_OK;
    }
    if (asks[0].exchange)
        wi_http_cancel(asks[0].exchange);
    finish();
    for (int i = 0; status == WEIR_OK && i < 2; i++)
        if (asks[i].result.status == WEIR_NOMEM)
            status = WEIR_NOMEM;
        else
            EXPECT_INT(asks[i].result.status, i ? WEIR_CONNECT : WEIR_CANCELLED);
    wi_http_free(http);
    wi_http_headers_free(headers);
    wi_loop_free(loop);
    return status;
}

TEST(survives_lack_of_memory)
{
    REQUIRE(start_two() == WEIR_OK); /* what libcurl keeps for good */
    TORTURE(start_two());
}

TESTS(CASE(whole_answers), CASE(a_big_answer), CASE(a_connection_is_kept),
      CASE(a_connection_of_its_own), CASE(two_hundred_at_once), CASE(methods_and_bodies),
      CASE(request_headers), CASE(urls_of_many_forms), CASE(a_url_that_is_none),
      CASE(broken_answers), CASE(headers_that_are_too_large), CASE(a_refused_port),
      CASE(many_requests_to_a_name), CASE(who_asks_for_a_name_is_cancelled),
      CASE(a_name_that_does_not_resolve), CASE(redirects), CASE(once_is_not_repeated),
      CASE(kept_connections_die_again_and_again), CASE(a_kept_connection_that_was_closed),
      CASE(options_that_cannot_be_used), CASE(survives_lack_of_memory))
