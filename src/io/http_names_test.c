/* http_names_test.c: who asks for a name, who waits, and when it is asked for again. */
#include "http_names.h"

#include <stdlib.h>

#include "clock.h"
#include "test.h"

static wi_http_names names;

static wi_http_name_turn enter(const char *url, int64_t now, wi_http_name **name)
{
    return wi_http_names_enter(&names, url, now, name);
}

TEST(one_asks_and_the_others_wait)
{
    wi_http_name *asked = NULL;
    wi_http_name *waited = NULL;
    wi_http_names_init(&names);
    EXPECT_INT(enter("http://example.org/a", 5, &asked), WI_HTTP_NAME_ASK);
    EXPECT_INT(enter("http://example.org:81/b?c", 5, &waited), WI_HTTP_NAME_WAIT);
    EXPECT(asked == waited);
    EXPECT_INT(enter("https://user:pw@example.org", 5, &waited), WI_HTTP_NAME_WAIT);
    wi_http_names_answered(asked, true, 6);
    EXPECT_INT(enter("http://example.org/", 7, &asked), WI_HTTP_NAME_KNOWN);
    EXPECT_INT(enter("http://example.org/", 6 + 59 * WI_SECOND, &asked), WI_HTTP_NAME_KNOWN);
    EXPECT_INT(enter("http://example.org/", 6 + 60 * WI_SECOND, &asked), WI_HTTP_NAME_ASK);
    EXPECT_INT(enter("http://example.org/", 6 + 60 * WI_SECOND, &asked), WI_HTTP_NAME_WAIT);
}

TEST(what_was_not_found_is_asked_for_again)
{
    wi_http_name *name = NULL;
    wi_http_names_init(&names);
    EXPECT_INT(enter("http://nowhere.example/", 5, &name), WI_HTTP_NAME_ASK);
    wi_http_names_answered(name, false, 6);
    EXPECT_INT(enter("http://nowhere.example/", 6, &name), WI_HTTP_NAME_ASK);
}

TEST(the_address_that_served_is_remembered)
{
    const char *url = "http://example.org/a";
    wi_http_name *name = NULL;
    wi_http_names_init(&names);
    EXPECT(!wi_http_names_remembered(&names, url));
    wi_http_names_remember(&names, url, "192.0.2.1"); /* nobody asked for it */
    EXPECT(!wi_http_names_remembered(&names, url));
    EXPECT_INT(enter(url, 5, &name), WI_HTTP_NAME_ASK);
    wi_http_names_answered(name, true, 6);
    wi_http_names_remember(&names, url, "192.0.2.1");
    EXPECT_INT(enter(url, 6 + 60 * WI_SECOND, &name), WI_HTTP_NAME_ASK);
    wi_http_names_answered(name, false, 7 + 60 * WI_SECOND);
    EXPECT_STR(wi_http_names_remembered(&names, "https://u@example.org:81/"), "192.0.2.1");
    EXPECT(!wi_http_names_remembered(&names, "http://example.com/"));
}

TEST(addresses_are_known)
{
    static const char *const urls[] = {
        "http://127.0.0.1/",
        "http://127.0.0.1:8080",
        "http://[::1]/a",
        "https://[::1]:443",
        "http://user@1.2.3.4",
        "http://1.2.3.4?a@b",
        "http://a:b@1.2.3.4:5/",
        "http://",
        "http:///",
    };
    wi_http_name *name = NULL;
    wi_http_names_init(&names);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        EXPECT_INT(enter(urls[i], 0, &name), WI_HTTP_NAME_KNOWN);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        EXPECT(!wi_http_names_has_name(urls[i]));
    EXPECT(wi_http_names_has_name("http://a:1@example.org:80/1.2.3.4"));
}

/* Many more names than slots: each asks, or goes on by itself; none waits for another name. */
TEST(names_that_share_a_slot_do_not_wait_for_each_other)
{
    int asking = 0;
    wi_http_names_init(&names);
    for (int i = 0; i < 10000; i++) {
        char url[64];
        wi_http_name *name = NULL;
        snprintf(url, sizeof url, "http://host-%d.example/", i);
        wi_http_name_turn turn = enter(url, 0, &name);
        EXPECT(turn != WI_HTTP_NAME_WAIT);
        asking += turn == WI_HTTP_NAME_ASK;
    }
    EXPECT_INT(asking, WI_HTTP_NAME_SLOTS);
}

static void expect_host_port(const char *url, const char *want)
{
    char got[300];
    EXPECT(wi_http_names_host_port(url, got, sizeof got));
    EXPECT_STR(got, want);
}

TEST(host_and_port)
{
    expect_host_port("http://example.org", "example.org:80");
    expect_host_port("https://example.org/a:b", "example.org:443");
    expect_host_port("HTTPS://example.org/", "example.org:443");
    expect_host_port("http://example.org:8080/?x", "example.org:8080");
    expect_host_port("http://a:b@example.org#c", "example.org:80");
    expect_host_port("http://[::1]:81/", "[::1]:81");
    expect_host_port("http://example.org:", "example.org:80");
    char small[14];
    EXPECT(!wi_http_names_host_port("http://example.org/", small, sizeof small));
}

TESTS(CASE(one_asks_and_the_others_wait), CASE(what_was_not_found_is_asked_for_again),
      CASE(the_address_that_served_is_remembered), CASE(addresses_are_known),
      CASE(names_that_share_a_slot_do_not_wait_for_each_other), CASE(host_and_port))
