/*
 * fuzz_http.c: whatever a server answers, an exchange ends once, with a status and an answer or a
 * printable reason, and how the answer is cut makes no difference. The first byte has the size of
 * the pieces, the second which of the body's pieces are not taken at once; the rest is the answer.
 *
 * The server is the same thread. A connection that has ended keeps its pair of ports busy for a
 * minute, so there is another server after some thousand.
 */
#include "fuzz.h"
#include "http.h"
#include "text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1 << 18 }; /* bytes of a body, after which there is enough of it */

typedef struct ask {
    wi_http_exchange *exchange;
    unsigned pauses; /* bits: is the next piece taken at once? */
    bool paused, begun, done;
    bool whole; /* the answer was */
    size_t len; /* of the body */
    wi_buf told;
} ask;

static wi_loop *loop;
static int server, port;

static void check_printable(const char *text)
{
    size_t len = strlen(text);
    CHECK(wi_utf8_valid_prefix(text, len) == len);
    for (size_t i = 0; i < len; i++)
        CHECK((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static void on_begin(void *arg, int http_status)
{
    ask *a = arg;
    CHECK(!a->done && http_status >= 0 && http_status <= 999);
    a->begun = true;
    a->len = 0;
    wi_buf_printf(&a->told, "\nbegin %d", http_status);
}

static void on_header(void *arg, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    ask *a = arg;
    CHECK(a->begun && !a->done);
    CHECK(!memchr(name, ':', name_len) && !memchr(name, '\n', name_len));
    CHECK(!value_len || (!strchr(" \t\r\n", value[value_len - 1]) && !strchr(" \t", value[0])) ||
          !value[0] || !value[value_len - 1]);
    CHECK(!memchr(value, '\n', value_len));
    wi_buf_printf(&a->told, "\n%zu:", name_len);
    wi_buf_append(&a->told, name, name_len);
    wi_buf_append(&a->told, value, value_len);
}

static wi_http_taken on_body(void *arg, const char *bytes, size_t len)
{
    ask *a = arg;
    CHECK(a->begun && !a->done && len);
    bool pause = a->pauses & 1;
    a->pauses >>= 1;
    if (pause) {
        a->paused = true;
        return WI_HTTP_PAUSE;
    }
    a->paused = false;
    if (a->len + len > MOST)
        return WI_HTTP_ABORT;
    if (a->len == 0)
        wi_buf_puts(&a->told, "\nbody ");
    a->len += len;
    wi_buf_append(&a->told, bytes, len);
    return WI_HTTP_TAKEN;
}

static void on_done(void *arg, const wi_http_result *result)
{
    ask *a = arg;
    CHECK(!a->done && result->status != WEIR_TIMEDOUT && result->status != WEIR_CONNECT);
    CHECK(result->status != WEIR_OK || a->begun);
    CHECK(result->sent);
    check_printable(result->text);
    a->done = true;
    a->exchange = NULL;
    a->whole = result->status == WEIR_OK;
}

static void open_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(server >= 0 && bind(server, (struct sockaddr *)&address, size) == 0);
    CHECK(listen(server, 16) == 0);
    CHECK(getsockname(server, (struct sockaddr *)&address, &size) == 0);
    port = ntohs(address.sin_port);
}

static void set_up(void)
{
    static unsigned runs;
    if (!loop)
        CHECK(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK);
    if (runs % 8192 == 0) {
        if (runs)
            close(server);
        open_server();
    }
    runs++;
}

static void turn(ask *a, bool wait)
{
    CHECK(wi_loop_turn(loop, wait && !a->paused && !a->done, NULL) == WEIR_OK);
    if (a->paused && !a->done) {
        a->paused = false;
        wi_http_resume(a->exchange);
    }
}

/* The connection that the exchange makes, when the request has come. */
static int take_connection(ask *a)
{
    char request[4096];
    int fd = -1;
    for (int i = 0; !a->done && fd < 0; i++) {
        turn(a, i > 20);
        fd = accept4(server, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    CHECK(fd >= 0);
    for (int i = 0; recv(fd, request, sizeof request, 0) <= 0; i++)
        turn(a, i > 20);
    return fd;
}

static void answer(ask *a, int fd, const char *bytes, size_t len, size_t step)
{
    for (size_t at = 0, n; at < len && !a->done; at += n) {
        n = len - at < step ? len - at : step;
        if (send(fd, bytes + at, n, MSG_NOSIGNAL) != (ssize_t)n)
            break; /* it has heard enough */
        turn(a, false);
    }
    shutdown(fd, SHUT_WR);
    while (!a->done)
        turn(a, true);
    close(fd);
}

static wi_buf exchange(const char *bytes, size_t len, size_t step, unsigned pauses)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    wi_http_request request = {.method = "GET", .url = url, .timeout = 60 * WI_SECOND};
    static const wi_http_events events = {on_begin, on_header, on_body, on_done};
    wi_http *http = NULL; /* a new one keeps no connection */
    ask a = {.pauses = pauses};
    CHECK(wi_http_new(loop, &(wi_http_options){0}, &events, &http, NULL) == WEIR_OK);
    wi_buf_init(&a.told, 4 * MOST);
    CHECK(wi_http_start(http, &request, &a, &a.exchange, NULL) == WEIR_OK);
    int fd = take_connection(&a);
    answer(&a, fd, bytes, len, step);
    turn(&a, false);
    wi_http_free(http);
    CHECK(!a.told.failed);
    if (!a.whole) { /* why is libcurl's to say, and may depend on how much of it came at once */
        wi_buf_clear(&a.told);
        wi_buf_puts(&a.told, "failed");
    }
    return a.told;
}

/* libcurl refuses a NUL in a header, or not, by how it was cut. */
static bool has_nul_in_head(const char *bytes, size_t len)
{
    const char *end = memmem(bytes, len, "\n\r\n", 3);
    const char * or = memmem(bytes, len, "\n\n", 2);
    if (!end || (or && or < end))
        end = or ? or : bytes + len;
    return memchr(bytes, '\0', (size_t)(end - bytes)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 8192)
        return 0;
    set_up();
    const char *bytes = (const char *)data + 2;
    size_t step = 1 + data[0];
    if (size / step > 64)
        step = size / 64;
    wi_buf whole = exchange(bytes, size - 2, size, 0);
    wi_buf cut = exchange(bytes, size - 2, step, data[1]);
    bool same = whole.len == cut.len && memcmp(whole.data, cut.data, cut.len) == 0;
    if (!same && !has_nul_in_head(bytes, size - 2)) {
        fprintf(stderr, "whole:%.*s\ncut:%.*s\n", (int)whole.len, whole.data, (int)cut.len,
                cut.data);
        abort();
    }
    wi_buf_fini(&whole);
    wi_buf_fini(&cut);
    return 0;
}
