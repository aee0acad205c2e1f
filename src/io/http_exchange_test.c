/* http_exchange_test.c: exchanges that are cancelled, out of time, paused, or started by another.
 */
#include "http_testing.h"

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

/* With more and more time, until it is enough for as much of an answer as there is. */
static void expect_timeout(const char *path, int http_status)
{
    int got = -1;
    for (int64_t timeout = 20 * WI_MILLISECOND; got != http_status; timeout *= 2) {
        ask a = {0};
        start_request(&a,
                      &(wi_http_request){.method = "GET", .url = url_of(path), .timeout = timeout});
        finish();
        EXPECT_INT(a.done, 1);
        EXPECT_INT(a.result.status, WEIR_TIMEDOUT);
        got = a.result.http_status;
        forget(&a);
    }
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
    ask a = {0};
    int64_t timeout = 25 * WI_MILLISECOND;
    sleeper = &a;
    REQUIRE(wi_timer_init(&wake, loop, on_wake));
    while (!a.paused) { /* until it is enough for the half of the answer that comes */
        forget(&a);
        a.take = WI_HTTP_PAUSE;
        timeout *= 2;
        start_request(&a, &(wi_http_request){
                              .method = "GET", .url = url_of("/hang-in-body"), .timeout = timeout});
        while (!a.paused && !a.done)
            turn();
    }
    wi_timer_set(&wake, wi_loop_now(loop) + 2 * timeout);
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

TESTS(CASE(cancel_at_once), CASE(cancel_in_the_midst), CASE(cancel_from_done),
      CASE(start_from_done), CASE(start_from_body), CASE(timeouts), CASE(pause_and_resume),
      CASE(pause_twice_and_abort), CASE(a_pause_does_not_count), CASE(cancel_while_paused))
