/*
 * http_testing.h: what the tests of exchanges share: a server in the same process that does exactly
 * what the path says, and a client that expects done to be called once, whatever happens.
 */
#ifndef WI_HTTP_TESTING_H
#define WI_HTTP_TESTING_H

#include <dirent.h>

#include "buf.h"
#include "http.h"
#include "server.h"

enum { BIG = 3 << 20, AT_ONCE = 200 };

static char big_body[BIG];

/* ---- what the server does ---- */

static inline void reply_big_header(server_connection *c, size_t line, size_t lines)
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
static inline void reply_echo(server_connection *c)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "%s %.*s", c->method, (int)(c->size - c->head),
                     c->request + c->head);
    server_reply(c, "200 OK", "", text, (size_t)n);
}

static inline void break_off(server_connection *c)
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

static inline void answer_plainly(server_connection *c)
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

static inline void on_begin(void *arg, int http_status)
{
    ask *a = arg;
    EXPECT(!a->done);
    EXPECT(http_status > 0);
    a->begins++;
    wi_buf_clear(&a->body);
}

static inline void on_header(void *arg, const char *name, size_t name_len, const char *value,
                             size_t value_len)
{
    ask *a = arg;
    EXPECT(!a->done);
    a->headers++;
    if (name_len == 11 && memcmp(name, "X-Two-Words", 11) == 0)
        a->trimmed = value_len == 3 && memcmp(value, "a b", 3) == 0;
}

static inline wi_http_taken on_body(void *arg, const char *bytes, size_t len)
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

static inline void on_done(void *arg, const wi_http_result *result)
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

static inline int open_descriptors(void)
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

static inline bool begin_with(const wi_http_options *options, void (*answer)(server_connection *c))
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

static inline bool begin(const wi_http_options *options)
{
    return begin_with(options, answer_plainly);
}

static inline void end(void)
{
    EXPECT_INT(under_way, 0);
    wi_http_free(http);
    wi_loop_free(loop);
    server_end(srv);
    EXPECT_INT(open_descriptors(), descriptors_before);
}

static inline bool start_request(ask *a, const wi_http_request *request)
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

static inline void start_get(ask *a, const char *path)
{
    start_request(a, &(wi_http_request){.method = "GET", .url = url_of(path)});
}

static inline void turn(void)
{
    EXPECT(wi_loop_turn(loop, true, NULL) == WEIR_OK);
}

static inline void finish(void)
{
    while (under_way > 0)
        turn();
}

static inline void forget(ask *a)
{
    wi_buf_fini(&a->body);
    *a = (ask){0};
}

/* One GET from its beginning to its end. */
static inline void get(ask *a, const char *path)
{
    start_get(a, path);
    finish();
    EXPECT_INT(a->done, 1);
}

static inline void expect_get(const char *path, weir_status status, int http_status,
                              const char *body)
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

static inline void cancel_it(ask *a)
{
    wi_http_cancel(a->exchange);
    EXPECT_INT(a->done, 0);
}

#endif
