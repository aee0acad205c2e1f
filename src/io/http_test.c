/*
 * http_test.c: every way an exchange can go, against a server in the same process that does exactly
 * what the path says. Whatever happens, done is called once.
 */
#include "http.h"

#include <dirent.h>

#include "encode.h"
#include "server.h"
#include "torture.h"

enum { BIG = 3 << 20, AT_ONCE = 200 };

static char big_body[BIG];

/* ---- what the server does ---- */

static const char packed_text[] = "packed and unpacked, packed and unpacked, packed";

static void pack(const char *coding, const char *text, size_t len, wi_buf *out)
{
    if (strcmp(coding, "zstd") == 0)
        append_zstd(out, text, len, 0);
    else if (strcmp(coding, "br") == 0)
        append_br(out, text, len);
    else
        append_deflated(out, strcmp(coding, "gzip") == 0 ? ENCODE_GZIP : ENCODE_ZLIB, text, len);
}

/* The body whole, with its length, or in chunks, or to the connection's end, of which `len` bytes
 * are sent. */
static void send_packed(server_connection *c, const char *coding, const char *how,
                        const char *packed, size_t len)
{
    bool chunked = strcmp(how, "chunked") == 0;
    bool closed = strcmp(how, "closed") == 0;
    wi_buf out = WI_BUF_INIT;
    wi_buf_printf(&out, "HTTP/1.1 200 OK\r\nCONTENT-encoding: %s\r\n", coding);
    if (chunked)
        wi_buf_puts(&out, "Transfer-Encoding: chunked\r\n");
    else if (!closed)
        wi_buf_printf(&out, "Content-Length: %zu\r\n", len);
    wi_buf_puts(&out, "\r\n");
    for (size_t at = 0; at < len && chunked; at += 3) {
        size_t n = len - at < 3 ? len - at : 3;
        wi_buf_printf(&out, "%zx\r\n", n);
        wi_buf_append(&out, packed + at, n);
        wi_buf_puts(&out, "\r\n");
    }
    if (chunked)
        wi_buf_puts(&out, "0\r\n\r\n");
    else
        wi_buf_append(&out, packed, len);
    server_send(c, out.data, out.len); /* at once: what follows a small piece is held back */
    wi_buf_fini(&out);
    if (closed)
        server_close(c);
}

/* /packed/CODING/HOW/CUT: the last CUT bytes are left out. */
static void reply_packed(server_connection *c)
{
    char coding[16];
    char how[16];
    wi_buf packed = WI_BUF_INIT;
    int cut = 0;
    if (sscanf(c->path, "/packed/%15[^/]/%15[^/]/%d", coding, how, &cut) != 3)
        return;
    pack(coding, packed_text, strlen(packed_text), &packed);
    send_packed(c, coding, how, packed.data, packed.len - (size_t)cut);
    wi_buf_fini(&packed);
}

/* /bomb/CODING: big_body, of which little is left. */
static void reply_bomb(server_connection *c)
{
    const char *coding = c->path + strlen("/bomb/");
    wi_buf packed = WI_BUF_INIT;
    pack(coding, big_body, BIG, &packed);
    send_packed(c, coding, "length", packed.data, packed.len);
    wi_buf_fini(&packed);
}

/* What is encoded in a way nobody knows, or not at all, in spite of the header. */
static void reply_coded(server_connection *c)
{
    if (server_asks(c, "/coded/none"))
        server_reply(c, "200 OK", "Content-Encoding: gzip\r\n", "", 0);
    else if (server_asks(c, "/coded/204"))
        server_puts(c, "HTTP/1.1 204 No Content\r\nContent-Encoding: br\r\n\r\n");
    else if (server_asks(c, "/coded/304"))
        server_puts(c, "HTTP/1.1 304 Not Modified\r\nContent-Encoding: x-odd\r\n\r\n");
    else if (server_asks(c, "/coded/odd-none"))
        server_reply(c, "200 OK", "Content-Encoding: x-odd\r\n", "", 0);
    else if (server_asks(c, "/coded/odd"))
        server_reply(c, "200 OK", "Content-Encoding: x-\33odd\r\n", "what?", 5);
    else if (server_asks(c, "/coded/identity"))
        server_reply(c, "200 OK", "Content-Encoding: identity\r\n", "plain", 5);
    else if (server_asks(c, "/coded/redirect"))
        server_reply(c, "302 Found", "Location: /ok\r\nContent-Encoding: gzip\r\n", "void", 4);
    else if (server_asks(c, "/coded/trailer"))
        server_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "5\r\nplain\r\n0\r\nContent-Encoding: gzip\r\n\r\n");
}

static void reply_big_header(server_connection *c, size_t line, size_t lines)
{
    char *text = malloc(line + 1);
    memset(text, 'x', line);
    text[line] = '\0';
    bool open = server_puts(c, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; open && i < lines; i++)
        open = server_puts(c, "X-Large: ") && server_send(c, text, line) && server_puts(c, "\r\n");
    if (open)
        server_puts(c, "Content-Length: 2\r\n\r\nok");
    free(text);
}

/* The request as it came, without what all requests have. */
static void reply_echo(server_connection *c)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "%s %.*s", c->method, (int)(c->size - c->head),
                     c->request + c->head);
    server_reply(c, "200 OK", "", text, (size_t)n);
}

static void break_off(server_connection *c)
{
    if (server_asks(c, "/mid-body"))
        server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    else if (server_asks(c, "/mid-chunk"))
        server_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf");
    else if (server_asks(c, "/mid-header"))
        server_puts(c, "HTTP/1.1 200 OK\r\nContent-Le");
    else if (server_asks(c, "/garbage"))
        server_puts(c, "\1\2\3 this is no answer \33[31m\r\n\r\n");
    else if (server_asks(c, "/bad-length"))
        server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello");
    else if (server_asks(c, "/bad-chunk"))
        server_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n");
    else if (server_asks(c, "/bad-gzip"))
        server_puts(c,
                    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope");
    else if (server_asks(c, "/then-close"))
        server_reply(c, "200 OK", "", "last", 4);
    server_close(c); /* "/drop": at once */
}

static void answer(server_connection *c)
{
    char location[120];
    if (server_asks(c, "/ok"))
        server_reply(c, "200 OK", "X-Two-Words:  a b \r\n", "hello", 5);
    else if (server_asks(c, "/404"))
        server_reply(c, "404 Not Found", "", "no", 2);
    else if (server_asks(c, "/echo"))
        reply_echo(c);
    else if (server_asks(c, "/big"))
        server_reply(c, "200 OK", "", big_body, BIG);
    else if (strncmp(c->path, "/packed/", 8) == 0)
        reply_packed(c);
    else if (strncmp(c->path, "/bomb/", 6) == 0)
        reply_bomb(c);
    else if (strncmp(c->path, "/coded/", 7) == 0)
        reply_coded(c);
    else if (server_asks(c, "/chunked"))
        server_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "5\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n");
    else if (server_asks(c, "/continue")) {
        server_puts(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
        server_reply(c, "200 OK", "", "late", 4);
    } else if (server_asks(c, "/line-1mb"))
        reply_big_header(c, 1 << 20, 1);
    else if (server_asks(c, "/lines-1mb"))
        reply_big_header(c, 1 << 10, 1 << 10);
    else if (server_asks(c, "/redirect"))
        server_reply(c, "302 Found", "Location: /echo\r\n", "void", 4);
    else if (server_asks(c, "/to-ftp"))
        server_reply(c, "302 Found", "Location: ftp://127.0.0.1/\r\n", "", 0);
    else if (server_asks(c, "/loop")) {
        snprintf(location, sizeof location, "Location: http://127.0.0.1:%d/loop\r\n",
                 c->server->port);
        server_reply(c, "302 Found", location, "", 0);
    } else if (server_asks(c, "/at-once")) {
        server_await(c, AT_ONCE);
        server_reply(c, "200 OK", "", "hello", 5);
    } else if (server_asks(c, "/hang"))
        server_hang(c);
    else if (server_asks(c, "/hang-in-body")) {
        server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        server_hang(c);
    } else if (server_asks(c, "/first-only") && c->requests == 1)
        server_reply(c, "200 OK", "", "first", 5);
    else
        break_off(c);
}

/* ---- the client ---- */

typedef struct ask ask;

struct ask {
    wi_http_exchange *exchange;
    int begins;
    int headers;
    int done;
    wi_http_result result;
    char text[400];
    wi_buf body;
    wi_http_taken take; /* what the next piece of a body meets; TAKEN after that */
    wi_http_taken then; /* ... or this, once */
    bool paused;
    bool trimmed; /* the header with two words came as it should */
    void (*on_body)(ask *a);
    void (*on_done)(ask *a);
};

static server *srv;
static wi_loop *loop;
static wi_http *http;
static int under_way;

static void on_begin(void *arg, int http_status)
{
    ask *a = arg;
    EXPECT(!a->done);
    EXPECT(http_status > 0);
    a->begins++;
    wi_buf_clear(&a->body);
}

static void on_header(void *arg, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    ask *a = arg;
    EXPECT(!a->done);
    a->headers++;
    if (name_len == 11 && memcmp(name, "X-Two-Words", 11) == 0)
        a->trimmed = value_len == 3 && memcmp(value, "a b", 3) == 0;
}

static wi_http_taken on_body(void *arg, const char *bytes, size_t len)
{
    ask *a = arg;
    EXPECT(!a->done);
    EXPECT(!a->paused);
    wi_http_taken take = a->take;
    a->take = a->then;
    a->then = WI_HTTP_TAKEN;
    if (a->on_body)
        a->on_body(a);
    a->paused = take == WI_HTTP_PAUSE;
    if (take == WI_HTTP_TAKEN)
        wi_buf_append(&a->body, bytes, len);
    return take;
}

static void on_done(void *arg, const wi_http_result *result)
{
    ask *a = arg;
    a->done++;
    a->result = *result;
    snprintf(a->text, sizeof a->text, "%s", result->text);
    a->result.text = a->text;
    a->exchange = NULL;
    under_way--;
    EXPECT(result->duration >= 0);
    for (const char *at = a->text; *at; at++)
        EXPECT((unsigned char)*at >= ' ');
    if (a->on_done)
        a->on_done(a);
}

static const wi_http_events events = {on_begin, on_header, on_body, on_done};

static int open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static int descriptors_before;

static bool begin(const wi_http_options *options)
{
    static const wi_http_options none = {0};
    descriptors_before = open_descriptors();
    srv = server_begin(answer);
    loop = NULL;
    http = NULL;
    under_way = 0;
    if (!EXPECT(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK))
        return false;
    return EXPECT(wi_http_new(loop, options ? options : &none, &events, &http, NULL) == WEIR_OK);
}

static void end(void)
{
    EXPECT_INT(under_way, 0);
    wi_http_free(http);
    wi_loop_free(loop);
    server_end(srv);
    EXPECT_INT(open_descriptors(), descriptors_before);
}

static bool start_request(ask *a, const wi_http_request *request)
{
    weir_error err;
    if (wi_http_start(http, request, a, &a->exchange, &err) != WEIR_OK) {
        printf("# %s\n", err.text);
        return EXPECT(!"started");
    }
    EXPECT_INT(a->done, 0);
    under_way++;
    return true;
}

static const char *url_of(const char *path)
{
    static char urls[64][300];
    static int next;
    char *url = urls[next++ % 64];
    snprintf(url, sizeof urls[0], "http://127.0.0.1:%d%s", srv->port, path);
    return url;
}

static void start_get(ask *a, const char *path)
{
    start_request(a, &(wi_http_request){.method = "GET", .url = url_of(path)});
}

static void turn(void)
{
    EXPECT(wi_loop_turn(loop, true, NULL) == WEIR_OK);
}

static void finish(void)
{
    while (under_way > 0)
        turn();
}

static void forget(ask *a)
{
    wi_buf_fini(&a->body);
    *a = (ask){0};
}

/* One GET from its beginning to its end. */
static void get(ask *a, const char *path)
{
    start_get(a, path);
    finish();
    EXPECT_INT(a->done, 1);
}

static void expect_get(const char *path, weir_status status, int http_status, const char *body)
{
    ask a = {0};
    get(&a, path);
    if (!EXPECT_INT(a.result.status, status))
        printf("# %s: %s\n", path, a.text);
    EXPECT_INT(a.result.http_status, http_status);
    EXPECT((a.result.status == WEIR_OK) == (a.text[0] == '\0'));
    if (body)
        EXPECT_MEM(a.body.data ? a.body.data : "", a.body.len, body);
    forget(&a);
}

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
    EXPECT(a.text[0] != '\0');
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

/* ---- cancelling ---- */

TEST(cancel_at_once)
{
    REQUIRE(begin(NULL));
    ask a = {0};
    start_get(&a, "/ok");
    wi_http_cancel(a.exchange);
    wi_http_cancel(a.exchange);
    EXPECT_INT(a.done, 0);
    finish();
    EXPECT_INT(a.done, 1);
    EXPECT_INT(a.result.status, WEIR_CANCELLED);
    forget(&a);
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

static void cancel_it(ask *a)
{
    wi_http_cancel(a->exchange);
    EXPECT_INT(a->done, 0);
}

TEST(cancel_in_the_midst)
{
    REQUIRE(begin(NULL));
    ask a = {0};
    start_get(&a, "/hang");
    while (server_requests(srv) < 1)
        turn();
    cancel_it(&a);
    finish();
    EXPECT_INT(a.done, 1);
    EXPECT_INT(a.result.status, WEIR_CANCELLED);
    EXPECT(a.result.sent);
    forget(&a);
    a.on_body = cancel_it;
    get(&a, "/hang-in-body");
    EXPECT_INT(a.result.status, WEIR_CANCELLED);
    forget(&a);
    a.on_body = cancel_it; /* from inside libcurl, whose message about it comes as well */
    get(&a, "/big");
    EXPECT_INT(a.result.status, WEIR_CANCELLED);
    forget(&a);
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

static ask *others;

static void cancel_others(ask *a)
{
    for (int i = 0; i < 50; i++)
        if (&others[i] != a && others[i].exchange)
            wi_http_cancel(others[i].exchange);
}

static ask more[70];

static void start_again(ask *a)
{
    start_get(&more[a - others], "/ok");
}

TEST(cancel_from_done)
{
    REQUIRE(begin(NULL));
    ask asks[50] = {0};
    others = asks;
    for (int i = 0; i < 50; i++) {
        asks[i].on_done = cancel_others;
        start_get(&asks[i], i % 5 ? "/ok" : "/hang");
    }
    finish();
    for (int i = 0; i < 50; i++) {
        EXPECT_INT(asks[i].done, 1);
        EXPECT(asks[i].result.status == WEIR_OK || asks[i].result.status == WEIR_CANCELLED);
        forget(&asks[i]);
    }
    end();
}

TEST(start_from_done)
{
    REQUIRE(begin(NULL));
    ask asks[70] = {0};
    others = asks;
    for (int i = 0; i < 70; i++) {
        asks[i].on_done = start_again;
        start_get(&asks[i], i % 7 ? "/ok" : "/drop");
    }
    finish();
    for (int i = 0; i < 70; i++) {
        EXPECT_INT(asks[i].done, 1);
        EXPECT_INT(more[i].done, 1);
        EXPECT_INT(more[i].result.status, WEIR_OK);
        forget(&asks[i]);
        forget(&more[i]);
    }
    end();
}

static ask second;

static void start_second(ask *a)
{
    (void)a;
    if (!second.done && !second.exchange)
        start_get(&second, "/ok");
}

TEST(start_from_body)
{
    REQUIRE(begin(NULL));
    ask a = {.on_body = start_second};
    get(&a, "/ok");
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_INT(second.done, 1);
    EXPECT_INT(second.result.status, WEIR_OK);
    EXPECT_MEM(second.body.data ? second.body.data : "", second.body.len, "hello");
    forget(&a);
    forget(&second);
    end();
}

/* ---- time ---- */

static void expect_timeout(const char *path, int http_status)
{
    ask a = {0};
    start_request(&a, &(wi_http_request){
                          .method = "GET", .url = url_of(path), .timeout = 20 * WI_MILLISECOND});
    finish();
    EXPECT_INT(a.done, 1);
    EXPECT_INT(a.result.status, WEIR_TIMEDOUT);
    EXPECT_INT(a.result.http_status, http_status);
    forget(&a);
}

TEST(timeouts)
{
    REQUIRE(begin(NULL));
    expect_timeout("/hang", 0);
    expect_timeout("/hang-in-body", 200);
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

/* ---- pausing ---- */

static wi_timer wake;
static ask *sleeper;

static void on_wake(wi_timer *timer)
{
    (void)timer;
    sleeper->paused = false;
    wi_http_resume(sleeper->exchange);
}

/* With a pause that is longer than the time-out. */
static void get_with_pause(ask *a, const char *path, int64_t pause)
{
    sleeper = a;
    REQUIRE(wi_timer_init(&wake, loop, on_wake));
    start_request(
        a, &(wi_http_request){.method = "GET", .url = url_of(path), .timeout = 5 * WI_SECOND});
    while (!a->paused && !a->done)
        turn();
    EXPECT(a->paused);
    wi_timer_set(&wake, wi_loop_now(loop) + pause);
    finish();
    wi_timer_fini(&wake);
    EXPECT_INT(a->done, 1);
}

TEST(pause_and_resume)
{
    REQUIRE(begin(NULL));
    ask a = {.take = WI_HTTP_PAUSE};
    get_with_pause(&a, "/ok", 0);
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_MEM(a.body.data, a.body.len, "hello");
    forget(&a);
    a.take = WI_HTTP_PAUSE;
    get_with_pause(&a, "/packed/gzip/length/0", 0);
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT_MEM(a.body.data, a.body.len, packed_text);
    forget(&a);
    a.take = WI_HTTP_PAUSE;
    get_with_pause(&a, "/big", 0);
    EXPECT_INT(a.result.status, WEIR_OK);
    EXPECT(a.body.len == BIG && memcmp(a.body.data, big_body, BIG) == 0);
    forget(&a);
    EXPECT_INT(server_connections(srv), 1);
    end();
}

TEST(pause_twice_and_abort)
{
    REQUIRE(begin(NULL));
    ask a = {.take = WI_HTTP_PAUSE, .then = WI_HTTP_ABORT};
    get_with_pause(&a, "/big", 0);
    EXPECT_INT(a.result.status, WEIR_TOOLARGE);
    forget(&a);
    a.take = WI_HTTP_PAUSE;
    a.then = WI_HTTP_ABORT;
    get_with_pause(&a, "/ok", 0);
    EXPECT_INT(a.result.status, WEIR_TOOLARGE);
    forget(&a);
    a.take = WI_HTTP_ABORT;
    get(&a, "/ok");
    EXPECT_INT(a.result.status, WEIR_TOOLARGE);
    forget(&a);
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

TEST(a_pause_does_not_count)
{
    REQUIRE(begin(NULL));
    ask a = {.take = WI_HTTP_PAUSE};
    sleeper = &a;
    REQUIRE(wi_timer_init(&wake, loop, on_wake));
    start_request(&a, &(wi_http_request){.method = "GET",
                                         .url = url_of("/hang-in-body"),
                                         .timeout = 50 * WI_MILLISECOND});
    while (!a.paused)
        turn();
    wi_timer_set(&wake, wi_loop_now(loop) + 100 * WI_MILLISECOND);
    while (a.paused)
        turn();
    EXPECT_INT(a.done, 0); /* twice the time-out has passed */
    finish();
    wi_timer_fini(&wake);
    EXPECT_INT(a.result.status, WEIR_TIMEDOUT);
    EXPECT_MEM(a.body.data, a.body.len, "half");
    forget(&a);
    end();
}

TEST(cancel_while_paused)
{
    REQUIRE(begin(NULL));
    ask a = {.take = WI_HTTP_PAUSE};
    start_get(&a, "/big");
    while (!a.paused)
        turn();
    wi_http_resume(a.exchange);
    wi_http_cancel(a.exchange);
    wi_http_resume(a.exchange);
    finish();
    EXPECT_INT(a.done, 1);
    EXPECT_INT(a.result.status, WEIR_CANCELLED);
    forget(&a);
    expect_get("/ok", WEIR_OK, 200, "hello");
    end();
}

/* ---- what bodies are encoded in ---- */

static const char *const all_codings[] = {"gzip", "deflate", "zstd", "br"};

/* Whatever tells where it ends, it is whole; and cut short, it is not. */
TEST(encoded_bodies)
{
    static const char *const ways[] = {"length", "chunked", "closed"};
    REQUIRE(begin(NULL));
    for (int i = 0; i < 4 * 3; i++) {
        char path[100];
        wi_buf packed = WI_BUF_INIT;
        const char *coding = all_codings[i / 3];
        pack(coding, packed_text, strlen(packed_text), &packed);
        int len = (int)packed.len;
        wi_buf_fini(&packed);
        for (int cut = 0; cut < len; cut += cut < 3 ? 1 : 5) {
            snprintf(path, sizeof path, "/packed/%s/%s/%d", coding, ways[i % 3], cut);
            expect_get(path, cut ? WEIR_TRUNCATED : WEIR_OK, 200, cut ? NULL : packed_text);
        }
    }
    ask a = {0};
    get(&a, "/packed/br/closed/2");
    EXPECT(strstr(a.text, "br: the data are cut short") != NULL);
    forget(&a);
    end();
}

TEST(headers_of_encodings)
{
    REQUIRE(begin(NULL));
    expect_get("/coded/none", WEIR_OK, 200, "");
    expect_get("/coded/204", WEIR_OK, 204, "");
    expect_get("/coded/304", WEIR_OK, 304, "");
    expect_get("/coded/odd-none", WEIR_OK, 200, "");
    expect_get("/coded/identity", WEIR_OK, 200, "plain");
    expect_get("/coded/trailer", WEIR_OK, 200, "plain");
    expect_get("/coded/odd", WEIR_UNSUPPORTED, 200, "");
    expect_get("/coded/redirect", WEIR_PROTOCOL, 302, "");
    ask a = {0};
    get(&a, "/coded/odd");
    EXPECT(strstr(a.text, "\"x-\\x1Bodd\"") != NULL);
    forget(&a);
    start_request(&a, &(wi_http_request){.method = "HEAD", .url = url_of("/coded/odd")});
    finish();
    EXPECT_INT(a.result.status, WEIR_OK);
    forget(&a);
    expect_get("/ok", WEIR_OK, 200, "hello"); /* nothing stays for the next */
    end();
    REQUIRE(begin(&(wi_http_options){.follow = true, .max_redirects = 4}));
    expect_get("/coded/redirect", WEIR_OK, 200, "hello");
    end();
}

static int pieces;

/* Every third piece has to be offered again, the last ones of a chunk too. */
static void pause_every_third(ask *a)
{
    a->take = WI_HTTP_TAKEN;
    if (++pieces % 3 == 0)
        a->take = WI_HTTP_PAUSE;
}

TEST(pauses_amid_an_encoded_body)
{
    memset(big_body, 'b', sizeof big_body);
    REQUIRE(begin(NULL));
    for (int i = 0; i < 4; i++) {
        char path[40];
        snprintf(path, sizeof path, "/bomb/%s", all_codings[i]);
        ask a = {.on_body = pause_every_third};
        pieces = 0;
        start_get(&a, path);
        int pauses = 0;
        while (under_way > 0) {
            turn();
            if (!a.paused)
                continue;
            pauses++;
            a.paused = false;
            wi_http_resume(a.exchange);
        }
        EXPECT_INT(a.result.status, WEIR_OK);
        EXPECT(pauses >= BIG / (16 << 10) / 3);
        EXPECT(a.body.len == BIG && memcmp(a.body.data, big_body, BIG) == 0);
        forget(&a);
    }
    end();
}

TEST(an_encoded_body_that_is_not_wanted)
{
    memset(big_body, 'b', sizeof big_body);
    REQUIRE(begin(NULL));
    for (int i = 0; i < 4; i++) {
        char path[40];
        snprintf(path, sizeof path, "/bomb/%s", all_codings[i]);
        ask a = {.then = WI_HTTP_ABORT};
        get(&a, path);
        EXPECT_INT(a.result.status, WEIR_TOOLARGE);
        EXPECT_INT(a.body.len, 16 << 10); /* not one piece more was offered */
        forget(&a);
        a = (ask){.on_body = cancel_it};
        get(&a, path);
        EXPECT_INT(a.result.status, WEIR_CANCELLED);
        EXPECT_INT(a.body.len, 16 << 10);
        forget(&a);
        a = (ask){.take = WI_HTTP_PAUSE};
        start_get(&a, path);
        while (!a.paused)
            turn();
        wi_http_cancel(a.exchange); /* with a piece kept for it */
        finish();
        EXPECT_INT(a.result.status, WEIR_CANCELLED);
        forget(&a);
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

__attribute__((constructor)) static void watch(void)
{
    alarm(60); /* a test that hangs has failed */
}

TESTS(CASE(whole_answers), CASE(a_big_answer), CASE(a_connection_is_kept),
      CASE(two_hundred_at_once), CASE(methods_and_bodies), CASE(request_headers),
      CASE(urls_of_many_forms), CASE(a_url_that_is_none), CASE(broken_answers),
      CASE(headers_that_are_too_large), CASE(a_refused_port), CASE(many_requests_to_a_name),
      CASE(who_asks_for_a_name_is_cancelled), CASE(a_name_that_does_not_resolve),
      CASE(cancel_at_once), CASE(cancel_in_the_midst), CASE(cancel_from_done),
      CASE(start_from_done), CASE(start_from_body), CASE(timeouts), CASE(pause_and_resume),
      CASE(pause_twice_and_abort), CASE(a_pause_does_not_count), CASE(cancel_while_paused),
      CASE(encoded_bodies), CASE(headers_of_encodings), CASE(pauses_amid_an_encoded_body),
      CASE(an_encoded_body_that_is_not_wanted), CASE(redirects), CASE(once_is_not_repeated),
      CASE(kept_connections_die_again_and_again), CASE(a_kept_connection_that_was_closed),
      CASE(options_that_cannot_be_used), CASE(survives_lack_of_memory))
