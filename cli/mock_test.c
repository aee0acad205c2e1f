/* mock_test.c: the mock as its clients see it, over raw sockets. */
#include "mock.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "test.h"

enum { FEW = 500, ANSWER_MAX = 1 << 20 };

#define HOUR (INT64_C(3600) * 1000000000)

static mock *start(mock_options options)
{
    weir_error err = {0};
    mock *m = NULL;
    if (!options.connections)
        options.connections = FEW;
    if (!EXPECT(mock_start(&options, &m, &err) == WEIR_OK))
        printf("# %s\n", err.text);
    return m;
}

static int dial(const mock *m)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(mock_port(m))};
    struct timeval patience = {.tv_sec = 20};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!EXPECT(connect(fd, (struct sockaddr *)&to, sizeof to) == 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    for (ssize_t n; len; bytes += n, len -= (size_t)n)
        if ((n = send(fd, bytes, len, MSG_NOSIGNAL)) < 0)
            return; /* the answer tells */
}

/* What came back on one connection, until its end. */
typedef struct answer {
    char bytes[ANSWER_MAX];
    size_t len;
    int failed; /* errno of the last recv */
    int status;
    const char *body;
    size_t body_len;
} answer;

static answer got;

static void receive(int fd)
{
    ssize_t n;
    got.len = 0;
    got.failed = 0;
    while ((n = recv(fd, got.bytes + got.len, ANSWER_MAX - 1 - got.len, 0)) > 0)
        got.len += (size_t)n;
    if (n < 0)
        got.failed = errno;
    got.bytes[got.len] = '\0';
    got.status = got.len > 12 ? atoi(got.bytes + 9) : 0;
    const char *end = strstr(got.bytes, "\r\n\r\n");
    got.body = end ? end + 4 : got.bytes + got.len;
    got.body_len = (size_t)(got.bytes + got.len - got.body);
}

/* One request on a connection of its own; returns the status. */
static int ask_with(const mock *m, const char *method, const char *path, const char *headers,
                    const char *body, size_t len)
{
    char head[1024];
    int fd = dial(m);
    if (fd < 0)
        return -1;
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n",
                     method, path, headers);
    send_all(fd, head, (size_t)n);
    send_all(fd, body, len);
    receive(fd);
    close(fd);
    return got.status;
}

static int ask(const mock *m, const char *path)
{
    return ask_with(m, "GET", path, "", "", 0);
}

static int post(const mock *m, const char *method, const char *path, const char *type,
                const char *body)
{
    char headers[256];
    snprintf(headers, sizeof headers, "Content-Type: %s\r\nContent-Length: %zu\r\n", type,
             strlen(body));
    return ask_with(m, method, path, headers, body, strlen(body));
}

static bool has(const char *what)
{
    return strstr(got.bytes, what) != NULL;
}

/* Waits until a counter of a mock that others work on has the value; not for ever. */
#define AWAIT(m, counter, want)                                      \
    do {                                                             \
        mock_stats await_stats;                                      \
        for (int tries = 0; tries < 20000; tries++) {                \
            mock_stats_get((m), &await_stats);                       \
            if (await_stats.counter == (uint64_t)(want))             \
                break;                                               \
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); \
        }                                                            \
        EXPECT_INT(await_stats.counter, (want));                     \
    } while (0)

TEST(a_product_is_the_same_each_time)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/7"), 200);
    EXPECT(has("Content-Type: application/json\r\n"));
    EXPECT(strncmp(got.body, "{\"id\": 7, \"name\": \"", 19) == 0);
    char *first = strdup(got.body);
    EXPECT_INT(ask(m, "/products/7"), 200);
    EXPECT_STR(got.body, first);
    free(first);
    EXPECT_INT(ask(m, "/products/0"), 404);
    EXPECT_INT(ask(m, "/products/seven"), 404);
    EXPECT_INT(ask(m, "/products/7/8"), 404);
    EXPECT_INT(ask(m, "/productsx"), 404);
    EXPECT_INT(ask_with(m, "HEAD", "/products/7", "", "", 0), 200);
    EXPECT_INT(got.body_len, 0);
    mock_stop(m, NULL);
}

TEST(products_end_where_asked)
{
    mock *m = start((mock_options){.products = 10});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/10"), 200);
    EXPECT_INT(ask(m, "/products/11"), 404);
    EXPECT_INT(ask(m, "/products?per_page=4&page=3"), 200);
    EXPECT(has("\"id\": 9,") && has("\"id\": 10,") && !has("\"id\": 8,") && !has("\"id\": 11,"));
    EXPECT(!has("rel=\"next\"") && has("page=2&per_page=4>; rel=\"prev\""));
    mock_stop(m, NULL);
}

TEST(pages_link_to_the_next)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products"), 200);
    EXPECT(has("X-Total-Count: 1000\r\n"));
    EXPECT(has("Link: </products?page=2&per_page=50>; rel=\"next\"\r\n"));
    EXPECT_INT(ask(m, "/products?page=20"), 200);
    EXPECT(has("\"id\": 1000,") && !has("rel=\"next\""));
    EXPECT_INT(ask(m, "/products?page=999"), 200);
    EXPECT_STR(got.body, "[\n]\n");
    EXPECT_INT(ask(m, "/products?page=0"), 400);
    EXPECT_INT(ask(m, "/products?per_page=1001"), 400);
    mock_stop(m, NULL);
}

TEST(other_methods_say_what_was_sent)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(post(m, "POST", "/products", "application/json", "{\"a\": 1}"), 201);
    EXPECT_STR(got.body,
               "{\"method\": \"POST\", \"path\": \"/products\", \"headers\": 4, \"size\": 8, "
               "\"body\": \"{\\\"a\\\": 1}\"}\n");
    EXPECT_INT(post(m, "PUT", "/products/3", "text/plain", "abc"), 200);
    EXPECT_STR(got.body,
               "{\"method\": \"PUT\", \"path\": \"/products/3\", \"headers\": 4, \"size\": 3}\n");
    EXPECT_INT(post(m, "PATCH", "/products/3", "text/plain", ""), 200);
    EXPECT_INT(ask_with(m, "DELETE", "/products/3", "", "", 0), 204);
    EXPECT_INT(got.body_len, 0);
    EXPECT_INT(ask_with(m, "BREW", "/products/3", "", "", 0), 405);
    EXPECT(has("Allow: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"));
    mock_stop(m, NULL);
}

TEST(bodies_are_bounded)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask_with(m, "POST", "/products", "Content-Length: 16777217\r\n", "", 0), 413);
    size_t len = 16 << 20;
    char *body = malloc(len + 64);
    memset(body, 'x', len + 64);
    EXPECT_INT(ask_with(m, "POST", "/products", "Content-Length: 16777216\r\n", body, len), 201);
    EXPECT(has("\"size\": 16777216}"));
    int head = snprintf(body, 64, "%zx\r\n", len + 1);
    memset(body + head, 'x', len + 1);
    memcpy(body + head + len + 1, "\r\n0\r\n\r\n", 7);
    EXPECT_INT(ask_with(m, "POST", "/products", "Transfer-Encoding: chunked\r\n", body,
                        (size_t)head + len + 8),
               413);
    free(body);
    mock_stop(m, NULL);
}

TEST(echo_tells_the_request)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask_with(m, "POST", "/echo/a%20b?x=%C3%A4&y",
                        "X-One: 1\r\nx-one: \"2\"\r\nContent-Length: 3\r\n", "\001\"z", 3),
               200);
    EXPECT_STR(got.body,
               "{\"method\": \"POST\", \"path\": \"/echo/a%20b\", \"query\": "
               "\"x=%C3%A4&y\", \"headers\": {\"Host\": \"x\", \"Connection\": \"close\", "
               "\"X-One\": \"1, \\\"2\\\"\", \"Content-Length\": \"3\"}, \"size\": 3, "
               "\"body\": \"\\u0001\\\"z\"}\n");
    EXPECT_INT(post(m, "POST", "/echo", "x/y", "\xff\xfe"), 200);
    EXPECT(has("\"body_encoding\": \"base64\", \"body\": \"//4=\"}"));
    mock_stop(m, NULL);
}

TEST(statuses_and_headers_are_as_asked)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/status/503?retry_after=Wed,%2021%20Oct%202026%2007:28:00%20GMT"), 503);
    EXPECT(has("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n"));
    EXPECT_INT(ask(m, "/status/204"), 204);
    EXPECT_INT(ask(m, "/status/599"), 599);
    EXPECT_INT(ask(m, "/status/600"), 400);
    EXPECT_INT(ask(m, "/status/"), 400);
    EXPECT_INT(ask(m, "/headers?X-A=one%20two&X-B=3"), 200);
    EXPECT(has("X-A: one two\r\n") && has("X-B: 3\r\n"));
    EXPECT_INT(ask(m, "/headers?X-A=one%0d%0aX-Evil:%20two"), 400);
    EXPECT(!has("X-Evil"));
    EXPECT_INT(ask(m, "/delay/1"), 200);
    EXPECT_INT(ask(m, "/delay/soon"), 400);
    mock_stop(m, NULL);
}

TEST(redirects_lead_to_a_product)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/redirect/2"), 302);
    EXPECT(has("Location: /redirect/1\r\n"));
    EXPECT_INT(ask(m, "/redirect/1"), 302);
    EXPECT(has("Location: /products/1\r\n"));
    EXPECT_INT(ask(m, "/redirect/0"), 400);
    EXPECT_INT(ask(m, "/redirect-loop"), 302);
    EXPECT(has("Location: /redirect-loop\r\n"));
    mock_stop(m, NULL);
}

TEST(bodies_of_all_kinds)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/bytes/100000"), 200);
    EXPECT(has("Content-Length: 100000\r\n"));
    EXPECT_INT(got.body_len, 100000);
    EXPECT(memcmp(got.body, got.body + 64, 99936) == 0);
    EXPECT_INT(ask(m, "/bytes/0"), 200);
    EXPECT_INT(got.body_len, 0);
    EXPECT_INT(ask(m, "/stream/3?chunk_ms=1"), 200);
    EXPECT_STR(got.body, "10\r\nchunk 000000000\n\r\n10\r\nchunk 000000001\n\r\n"
                         "10\r\nchunk 000000002\n\r\n0\r\n\r\n");
    EXPECT_INT(ask(m, "/binary"), 200);
    EXPECT_INT(got.body_len, 256);
    EXPECT_INT((unsigned char)got.body[255], 255);
    EXPECT_INT(ask(m, "/escape"), 200);
    EXPECT(strchr(got.body, '\033') != NULL);
    EXPECT_INT(ask(m, "/text"), 200);
    EXPECT(has("text/plain") && strstr(got.body, "\xe2\x82\xac"));
    EXPECT_INT(ask(m, "/"), 200);
    EXPECT(strstr(got.body, "/products/N") && strstr(got.body, "/redirect-loop"));
    mock_stop(m, NULL);
}

/* The body unpacked, as a string for the caller to free. */
static char *gunzip(void)
{
    char *plain = calloc(1, 4096);
    z_stream z = {.next_in = (Bytef *)got.body, .avail_in = (uInt)got.body_len};
    z.next_out = (Bytef *)plain;
    z.avail_out = 4095;
    EXPECT(inflateInit2(&z, 15 + 16) == Z_OK);
    EXPECT(inflate(&z, Z_FINISH) == Z_STREAM_END);
    inflateEnd(&z);
    return plain;
}

TEST(products_are_compressed_when_asked)
{
    mock *m = start((mock_options){.gzip = true});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/5"), 200);
    EXPECT(!has("Content-Encoding"));
    char *plain = strdup(got.body);
    EXPECT_INT(ask_with(m, "GET", "/products/5", "Accept-Encoding: br, gzip\r\n", "", 0), 200);
    EXPECT(has("Content-Encoding: gzip\r\n"));
    char *unpacked = gunzip();
    EXPECT_STR(unpacked, plain);
    free(unpacked);
    EXPECT_INT(ask(m, "/gzip/products/5"), 200);
    unpacked = gunzip();
    EXPECT_STR(unpacked, plain);
    free(unpacked);
    free(plain);
    mock_stop(m, NULL);
}

TEST(slow_and_chunked_bodies_are_whole)
{
    mock *fast = start((mock_options){0});
    mock *slow = start((mock_options){.slow_body = 9000000});
    mock *chunked = start((mock_options){.chunked = true});
    REQUIRE(fast && slow && chunked);
    EXPECT_INT(ask(fast, "/products/5"), 200);
    char *plain = strdup(got.body);
    EXPECT_INT(ask(slow, "/products/5"), 200);
    EXPECT_STR(got.body, plain);
    EXPECT_INT(ask(chunked, "/products/5"), 200);
    EXPECT(has("Transfer-Encoding: chunked\r\n") && !has("Content-Length"));
    EXPECT(strstr(got.body, "\r\n0\r\n\r\n") != NULL);
    EXPECT(strncmp(strchr(got.body, '\n') + 1, plain, 40) == 0);
    free(plain);
    mock_stop(fast, NULL);
    mock_stop(slow, NULL);
    mock_stop(chunked, NULL);
}

static mock *start_failing(mock_fault kind)
{
    return start((mock_options){.error_percent = 100, .error_kinds = MOCK_FAULT_BIT(kind)});
}

TEST(faults_are_as_named)
{
    mock_stats stats;
    mock *m = start_failing(MOCK_FAULT_500);
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/1"), 500);
    EXPECT_STR(got.body, "{\"error\": \"a fault, as asked for\"}\n");
    EXPECT_INT(ask(m, "/text"), 200);
    mock_stop(m, &stats);
    EXPECT_INT(stats.faults[MOCK_FAULT_500], 1);
    EXPECT_INT(stats.status[500], 1);

    m = start_failing(MOCK_FAULT_RESET);
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/1"), 0);
    EXPECT_INT(got.failed, ECONNRESET);
    mock_stop(m, &stats);
    EXPECT_INT(stats.faults[MOCK_FAULT_RESET], 1);

    m = start_failing(MOCK_FAULT_TRUNCATE);
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/1"), 200);
    EXPECT_INT(got.failed, 0);
    EXPECT(got.body_len > 50 && strncmp(got.body, "{\"id\": 1,", 9) == 0);
    const char *announced = strstr(got.bytes, "Content-Length: ");
    EXPECT(announced && (size_t)atoi(announced + 16) / 2 == got.body_len);
    EXPECT_INT(ask_with(m, "DELETE", "/products/1", "", "", 0), 0);
    EXPECT_INT(got.failed, ECONNRESET);
    mock_stop(m, &stats);
    EXPECT_INT(stats.faults[MOCK_FAULT_TRUNCATE], 2);
}

static const char get_product[] = "GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(a_hang_ends_with_its_client)
{
    mock *m = start_failing(MOCK_FAULT_HANG);
    REQUIRE(m);
    int fd = dial(m);
    send_all(fd, get_product, sizeof get_product - 1);
    AWAIT(m, faults[MOCK_FAULT_HANG], 1);
    AWAIT(m, in_flight, 1);
    close(fd);
    AWAIT(m, abandoned, 1);
    AWAIT(m, in_flight, 0);
    AWAIT(m, open_connections, 0);
    mock_stop(m, NULL);
}

TEST(a_stop_ends_hangs_and_waits)
{
    mock *m = start((mock_options){
        .latency = HOUR, .error_percent = 50, .error_kinds = MOCK_FAULT_BIT(MOCK_FAULT_HANG)});
    mock_stats stats;
    REQUIRE(m);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = dial(m);
        send_all(fds[i], get_product, sizeof get_product - 1);
    }
    AWAIT(m, in_flight, 20);
    mock_stop(m, &stats);
    EXPECT_INT(stats.in_flight, 0);
    EXPECT_INT(stats.open_connections, 0);
    EXPECT_INT(stats.peak_in_flight, 20);
    EXPECT_INT(stats.abandoned, 0);
    EXPECT(stats.faults[MOCK_FAULT_HANG] > 0 && stats.faults[MOCK_FAULT_HANG] < 20);
    for (int i = 0; i < 20; i++) {
        char byte;
        EXPECT(recv(fds[i], &byte, 1, 0) <= 0);
        close(fds[i]);
    }
}

/* One digit for each of 40 products asked three times: what became of the request. */
static void outcomes(uint64_t seed, bool backwards, char out[3][41])
{
    mock *m = start((mock_options){.error_percent = 40,
                                   .seed = seed,
                                   .error_kinds = MOCK_FAULT_BIT(MOCK_FAULT_500) |
                                                  MOCK_FAULT_BIT(MOCK_FAULT_RESET)});
    for (int attempt = 0; m && attempt < 3; attempt++) {
        for (int i = 0; i < 40; i++) {
            char path[32];
            int n = backwards ? 40 - i : i + 1;
            snprintf(path, sizeof path, "/products/%d", n);
            out[attempt][n - 1] = (char)('0' + ask(m, path) / 100);
        }
        out[attempt][40] = '\0';
    }
    mock_stop(m, NULL);
}

TEST(a_seed_repeats_its_faults)
{
    char first[3][41], again[3][41], other[3][41];
    outcomes(1, false, first);
    outcomes(1, true, again);
    outcomes(2, false, other);
    for (int attempt = 0; attempt < 3; attempt++)
        EXPECT_STR(again[attempt], first[attempt]);
    EXPECT(memcmp(first, other, sizeof first) != 0);
    EXPECT(strchr(first[0], '5') && strchr(first[0], '2') && strchr(first[0], '0'));
}

TEST(the_rate_limit_says_when_to_come_back)
{
    mock *m = start((mock_options){.rate_limit = 0.001});
    mock_stats stats;
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/1"), 200);
    EXPECT_INT(ask(m, "/products/1"), 429);
    const char *after = strstr(got.bytes, "Retry-After: ");
    EXPECT(after && atoi(after + 13) > 0 && atoi(after + 13) <= 1000);
    EXPECT_INT(ask(m, "/text"), 200);
    mock_stop(m, &stats);
    EXPECT_INT(stats.rejected, 1);
    EXPECT_INT(stats.status[429], 1);
}

TEST(a_connection_serves_many_requests)
{
    mock *m = start((mock_options){.latency = 1000000});
    mock_stats stats;
    REQUIRE(m);
    int fd = dial(m);
    for (int i = 0; i < 5; i++)
        send_all(fd, get_product, sizeof get_product - 1);
    static const char last[] = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    send_all(fd, last, sizeof last - 1);
    receive(fd);
    close(fd);
    int answers = 0;
    for (const char *at = got.bytes; (at = strstr(at, "HTTP/1.1 200")); at++)
        answers++;
    EXPECT_INT(answers, 6);
    mock_stop(m, &stats);
    EXPECT_INT(stats.connections, 1);
    EXPECT_INT(stats.requests, 5);
    EXPECT_INT(stats.peak_in_flight, 1);
}

TEST(looking_at_the_stats_does_not_change_them)
{
    mock *m = start((mock_options){0});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/1"), 200);
    EXPECT_INT(ask(m, "/nothing"), 404);
    EXPECT_INT(ask(m, "/health"), 200);
    EXPECT_INT(ask(m, "/stats"), 200);
    EXPECT_INT(ask(m, "/stats"), 200);
    EXPECT(has("\"requests\": 2, \"product_requests\": 1, \"in_flight\": 0,"));
    EXPECT(has("\"status\": {\"200\": 1, \"404\": 1}}"));
    mock_stop(m, NULL);
}

TEST(the_access_log_holds_no_controls)
{
    char *log = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&log, &len);
    mock *m = start((mock_options){.access_log = file});
    REQUIRE(m);
    EXPECT_INT(ask(m, "/products/1?\033[31m\x9b\x07"), 200);
    mock_stop(m, NULL);
    fclose(file);
    EXPECT(strncmp(log, "GET /products/1?\\x1b[31m\\x9b\\x07 200 ", 36) == 0);
    for (size_t i = 0; i < len; i++)
        EXPECT((log[i] >= ' ' && log[i] < 0x7f) || (i == len - 1 && log[i] == '\n'));
    free(log);
}

static void expect_refused(mock_options options, const char *why)
{
    mock *m = NULL;
    weir_error err = {0};
    EXPECT(mock_start(&options, &m, &err) == err.status && err.status != WEIR_OK && !m);
    if (!EXPECT(strstr(err.text, why) != NULL))
        printf("# %s\n", err.text);
    mock_stop(m, NULL);
}

TEST(bad_options_are_refused)
{
    expect_refused((mock_options){.address = "localhost"}, "must be numeric");
    expect_refused((mock_options){.error_percent = 101}, "0% to 100%");
    expect_refused((mock_options){.latency = -1}, "must not be negative");
    expect_refused((mock_options){.jitter = INT64_MAX}, "at most a year");
    expect_refused((mock_options){.error_kinds = 1u << 20}, "unknown kind");
    expect_refused((mock_options){.rate_limit = -1}, "rate limit");
    expect_refused((mock_options){.connections = 2000000}, "connections");
    mock *m = start((mock_options){0});
    REQUIRE(m);
    expect_refused((mock_options){.connections = FEW, .port = mock_port(m)}, "choose another port");
    mock_stop(m, NULL);
    mock_stop(NULL, NULL);
}

TEST(it_listens_on_ipv6_too)
{
    weir_error err;
    mock *m;
    mock_options options = {.address = "::1", .connections = FEW};
    if (mock_start(&options, &m, &err) != WEIR_OK)
        SKIP("this machine has no IPv6");
    char want[64];
    snprintf(want, sizeof want, "http://[::1]:%u", mock_port(m));
    EXPECT_STR(mock_url(m), want);
    mock_stop(m, NULL);
}

static int entries(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

TEST(a_stop_leaves_no_thread_and_no_descriptor)
{
    int fds = entries("/proc/self/fd");
    int threads = entries("/proc/self/task");
    for (int i = 0; i < 3; i++) {
        mock *m = start((mock_options){.latency = 1000000, .slow_body = HOUR});
        REQUIRE(m);
        EXPECT_INT(entries("/proc/self/task"), threads + 1);
        int held = dial(m), idle = dial(m);
        send_all(held, get_product, sizeof get_product - 1);
        AWAIT(m, status[200], 1);
        AWAIT(m, open_connections, 2);
        mock_stop(m, NULL);
        close(held);
        close(idle);
    }
    EXPECT_INT(entries("/proc/self/fd"), fds);
    EXPECT_INT(entries("/proc/self/task"), threads);
}

TESTS(CASE(a_product_is_the_same_each_time), CASE(products_end_where_asked),
      CASE(pages_link_to_the_next), CASE(other_methods_say_what_was_sent), CASE(bodies_are_bounded),
      CASE(echo_tells_the_request), CASE(statuses_and_headers_are_as_asked),
      CASE(redirects_lead_to_a_product), CASE(bodies_of_all_kinds),
      CASE(products_are_compressed_when_asked), CASE(slow_and_chunked_bodies_are_whole),
      CASE(faults_are_as_named), CASE(a_hang_ends_with_its_client),
      CASE(a_stop_ends_hangs_and_waits), CASE(a_seed_repeats_its_faults),
      CASE(the_rate_limit_says_when_to_come_back), CASE(a_connection_serves_many_requests),
      CASE(looking_at_the_stats_does_not_change_them), CASE(the_access_log_holds_no_controls),
      CASE(bad_options_are_refused), CASE(it_listens_on_ipv6_too),
      CASE(a_stop_leaves_no_thread_and_no_descriptor))
