/* http_content_test.c: bodies that come encoded, whole, cut short, held back and refused. */
#include "encode.h"
#include "http_testing.h"

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

static void answer_encoded(server_connection *c)
{
    if (strncmp(c->path, "/packed/", 8) == 0)
        reply_packed(c);
    else if (strncmp(c->path, "/bomb/", 6) == 0)
        reply_bomb(c);
    else if (strncmp(c->path, "/coded/", 7) == 0)
        reply_coded(c);
    else
        answer_plainly(c);
}

static bool begin_encoded(const wi_http_options *options)
{
    return begin_with(options, answer_encoded);
}

/* ---- bodies ---- */

static const char *const all_codings[] = {"gzip", "deflate", "zstd", "br"};

/* Whatever tells where it ends, it is whole; and cut short, it is not. */
TEST(encoded_bodies)
{
    static const char *const ways[] = {"length", "chunked", "closed"};
    REQUIRE(begin_encoded(NULL));
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
    REQUIRE(begin_encoded(NULL));
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
    REQUIRE(begin_encoded(&(wi_http_options){.follow = true, .max_redirects = 4}));
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
    REQUIRE(begin_encoded(NULL));
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

/* A small one, which is all there when it is offered again. */
TEST(a_pause_before_an_encoded_body)
{
    REQUIRE(begin_encoded(NULL));
    for (int i = 0; i < 4; i++) {
        char path[40];
        snprintf(path, sizeof path, "/packed/%s/length/0", all_codings[i]);
        ask a = {.take = WI_HTTP_PAUSE};
        start_get(&a, path);
        while (!a.paused)
            turn();
        a.paused = false;
        wi_http_resume(a.exchange);
        finish();
        EXPECT_INT(a.result.status, WEIR_OK);
        EXPECT_MEM(a.body.data, a.body.len, packed_text);
        forget(&a);
    }
    EXPECT_INT(server_connections(srv), 1);
    end();
}

TEST(an_encoded_body_that_is_not_wanted)
{
    memset(big_body, 'b', sizeof big_body);
    REQUIRE(begin_encoded(NULL));
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

TESTS(CASE(encoded_bodies), CASE(headers_of_encodings), CASE(pauses_amid_an_encoded_body),
      CASE(a_pause_before_an_encoded_body), CASE(an_encoded_body_that_is_not_wanted))
