/*
 * http_redirect_test.c: which hosts and addresses an exchange may come to, and where redirects lead
 * it. What names stand for is decided here: libcurl asks this program's getaddrinfo.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>

#include "http_testing.h"
#include "torture.h"

/* ---- names ---- */

static const char *_Atomic first_address, *_Atomic second_address; /* of all names below .test */

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int test_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out) __asm__("getaddrinfo");

int test_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out)
{
    static lookup *_Atomic real;
    if (!real)
        real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    size_t len = name ? strlen(name) : 0;
    if (len < 5 || strcmp(name + len - 5, ".test") != 0)
        return real(name, service, hints, out);
    int failed = real(first_address, service, hints, out);
    if (failed || !second_address)
        return failed;
    struct addrinfo *last = *out;
    while (last->ai_next)
        last = last->ai_next;
    return real(second_address, service, hints, &last->ai_next);
}

/* One GET from a host with this list, by a client that knows no names yet. */
static void expect_from(const char *host, const char *allow, const char *deny, weir_status status,
                        const char *says)
{
    wi_reach *reach = NULL;
    ask a = {0};
    char url[200], list[200];
    REQUIRE(begin(NULL));
    wi_http_free(http);
    EXPECT_INT(wi_reach_new(&reach, NULL), WEIR_OK);
    snprintf(list, sizeof list, "%s:%d", allow ? allow : "", srv->port);
    EXPECT(!allow || wi_reach_allow(reach, list, NULL) == WEIR_OK);
    EXPECT(!deny || wi_reach_deny(reach, deny, NULL) == WEIR_OK);
    wi_http_options options = {.reach = reach, .follow = true, .max_redirects = 3};
    REQUIRE(wi_http_new(loop, &options, &events, &http, NULL) == WEIR_OK);
    for (int i = 0; i < 2; i++) { /* the second with the same handle */
        snprintf(url, sizeof url, "http://%s:%d/ok", host, srv->port);
        start_request(&a, &(wi_http_request){.method = "GET", .url = url});
        finish();
        if (!EXPECT_INT(a.result.status, status) || !EXPECT(strstr(a.text, says) != NULL))
            printf("# %s: %s\n", url, a.text);
        forget(&a);
    }
    EXPECT_INT(server_requests(srv), status == WEIR_OK ? 2 : 0);
    end();
    wi_reach_free(reach);
}

TEST(addresses_are_looked_at_when_they_are_connected_to)
{
    first_address = "127.0.0.1";
    second_address = NULL;
    expect_from("rebind.test", "127.0.0.1", NULL, WEIR_OK, "");
    expect_from("rebind.test", "rebind.test", NULL, WEIR_OK, "");
    expect_from("rebind.test", "rebind.test", "127.0.0.0/8", WEIR_DENIED, "127.0.0.1 is among");
    first_address = "127.0.0.2"; /* and now it stands for another */
    expect_from("rebind.test", "127.0.0.1", NULL, WEIR_DENIED, "127.0.0.2 is not among");
    expect_from("rebind.test", "rebind.test", "127.0.0.2", WEIR_DENIED, "127.0.0.2 is among");
}

TEST(of_several_addresses_those_allowed_are_tried)
{
    first_address = "127.0.0.2";
    second_address = "127.0.0.1";
    expect_from("two.test", "127.0.0.1", NULL, WEIR_OK, "");
    expect_from("two.test", NULL, "127.0.0.2", WEIR_OK, "");
    expect_from("two.test", NULL, "127.0.0.0/8", WEIR_DENIED, "is among");
    second_address = NULL;
}

TEST(hosts_are_compared_as_they_are_asked_for)
{
    first_address = "127.0.0.1";
    expect_from("a.TEST", NULL, "a.test", WEIR_DENIED, "a.test is among");
    expect_from("%61.test", NULL, "a.test", WEIR_DENIED, "a.test is among");
    expect_from("user:b.test@a.test", NULL, "a.test", WEIR_DENIED, "a.test is among");
    expect_from("a.test", NULL, "b.test", WEIR_OK, "");
    expect_from("127.1", NULL, "127.0.0.1", WEIR_DENIED, "127.0.0.1 is among");
    expect_from("\357\275\201.test", NULL, "b.test,a.test", WEIR_DENIED, "");
    expect_from("b\303\274cher.test", "a.test", NULL, WEIR_DENIED, "");
}

/* ---- where redirects lead to ---- */

static void send_elsewhere(server_connection *c)
{
    char location[200];
    if (!server_asks(c, "/away")) {
        answer_plainly(c);
        return;
    }
    snprintf(location, sizeof location, "Location: http://away.test:%d/echo\r\n", c->server->port);
    server_reply(c, "307 Temporary Redirect", location, "", 0);
}

TEST(a_handle_has_its_credentials_again_for_the_next)
{
    first_address = "127.0.0.1";
    wi_http_options options = {.follow = true, .max_redirects = 3, .user = "a:b", .cookie = "c=d"};
    REQUIRE(begin_with(&options, send_elsewhere));
    static const char *const paths[] = {"/echo", "/away", "/echo", "/away", "/redirect"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        ask a = {0};
        wi_http_headers *headers = wi_http_headers_add(wi_http_headers_new("t", true), "X-Key: k");
        start_request(
            &a, &(wi_http_request){.method = "GET", .url = url_of(paths[i]), .headers = headers});
        finish();
        EXPECT_INT(a.result.status, WEIR_OK);
        EXPECT_INT(a.result.http_status, 200);
        const char *asked = server_last(srv);
        bool away = strcmp(paths[i], "/away") == 0;
        EXPECT((strstr(asked, "Authorization: Basic") != NULL) == !away);
        EXPECT((strstr(asked, "Cookie: c=d") != NULL) == !away);
        EXPECT((strstr(asked, "X-Key: k") != NULL) == !away);
        EXPECT(strstr(asked, "User-Agent: t") != NULL);
        forget(&a);
        wi_http_headers_free(headers);
    }
    end();
}

TEST(a_redirect_may_be_cancelled)
{
    wi_http_options options = {.follow = true, .max_redirects = 1000000};
    REQUIRE(begin(&options));
    for (int turns = 1; turns < 8; turns++) {
        ask a = {0};
        start_get(&a, "/loop");
        while (under_way && a.begins < turns)
            turn();
        cancel_it(&a);
        finish();
        EXPECT_INT(a.result.status, WEIR_CANCELLED);
        EXPECT(a.result.sent);
        forget(&a);
    }
    end();
}

/* ---- memory ---- */

/* Answers "/a" with a redirect to "/b", and anything else with "ok"; allocates nothing. */
static void *answer_on(void *arg)
{
    char head[4096];
    for (;;) {
        int fd = accept(*(int *)arg, NULL, NULL);
        if (fd < 0)
            return NULL;
        ssize_t n = recv(fd, head, sizeof head - 1, 0);
        head[n > 0 ? n : 0] = '\0';
        const char *answer = strncmp(head, "GET /a ", 7) == 0
                                 ? "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n"
                                   "Connection: close\r\n\r\n"
                                 : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n"
                                   "\r\nok";
        if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
            EXPECT(errno == EPIPE || errno == ECONNRESET);
        close(fd);
    }
}

static int listener_port;

static weir_status follow_one(void)
{
    char url[100];
    static ask a;
    a = (ask){0};
    loop = NULL;
    http = NULL;
    under_way = 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/a", listener_port);
    wi_http_options options = {.follow = true, .max_redirects = 3};
    weir_status status = wi_loop_new(wi_clock_real(), &loop, NULL);
    if (status == WEIR_OK)
        status = wi_http_new(loop, &options, &events, &http, NULL);
    wi_http_request request = {.method = "GET", .url = url};
    if (status == WEIR_OK)
        status = wi_http_start(http, &request, &a, &a.exchange, NULL);
    under_way += status == WEIR_OK;
    finish();
    if (status == WEIR_OK)
        status = a.result.status;
    EXPECT(status != WEIR_OK || a.body.failed || (a.body.len == 2 && a.result.http_status == 200));
    wi_buf_fini(&a.body);
    wi_http_free(http);
    wi_loop_free(loop);
    return status;
}

TEST(following_survives_lack_of_memory)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof where;
    pthread_t thread;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(fd, (struct sockaddr *)&where, len) == 0 && listen(fd, 16) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&where, &len) == 0);
    listener_port = ntohs(where.sin_port);
    REQUIRE(pthread_create(&thread, NULL, answer_on, &fd) == 0);
    EXPECT_INT(follow_one(), WEIR_OK); /* what libcurl keeps for good */
    TORTURE(follow_one());
    shutdown(fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(fd);
}

TESTS(CASE(addresses_are_looked_at_when_they_are_connected_to),
      CASE(of_several_addresses_those_allowed_are_tried),
      CASE(hosts_are_compared_as_they_are_asked_for),
      CASE(a_handle_has_its_credentials_again_for_the_next), CASE(a_redirect_may_be_cancelled),
      CASE(following_survives_lack_of_memory))
