/* reach_test.c: what lists say of hosts and addresses. */
#include "reach.h"

#include <arpa/inet.h>

#include "torture.h"

static wi_reach *made(const char *allow, const char *deny, bool no_private)
{
    wi_reach *reach = NULL;
    weir_error err = {0};
    EXPECT_INT(wi_reach_new(&reach, NULL), WEIR_OK);
    if (allow && !EXPECT_INT(wi_reach_allow(reach, allow, &err), WEIR_OK))
        printf("# %s: %s\n", allow, err.text);
    if (deny && !EXPECT_INT(wi_reach_deny(reach, deny, &err), WEIR_OK))
        printf("# %s: %s\n", deny, err.text);
    if (no_private)
        wi_reach_deny_private(reach);
    return reach;
}

static char why[WI_REACH_WHY];

static int host(const char *allow, const char *deny, const char *name, int port)
{
    wi_reach *reach = made(allow, deny, false);
    why[0] = '\0';
    int verdict = (int)wi_reach_host(reach, name, port, why);
    EXPECT((verdict == WI_REACH_NO) == (why[0] != '\0'));
    wi_reach_free(reach);
    return verdict;
}

static wi_address address_of(const char *text)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, text, bytes) == 1)
        return wi_address_v4(bytes);
    EXPECT_INT(inet_pton(AF_INET6, text, bytes), 1);
    return wi_address_v6(bytes);
}

static bool connects(const wi_reach *reach, const char *text, int port, wi_reach_verdict verdict)
{
    wi_address address = address_of(text);
    why[0] = '\0';
    bool ok = wi_reach_address(reach, &address, port, verdict, why);
    EXPECT(ok == (why[0] == '\0'));
    return ok;
}

static bool reaches(const char *allow, const char *deny, const char *text, int port)
{
    wi_reach *reach = made(allow, deny, false);
    bool ok = connects(reach, text, port, allow ? WI_REACH_ADDRESS : WI_REACH_YES);
    wi_reach_free(reach);
    return ok;
}

static bool public(const char *text)
{
    wi_reach *reach = made(NULL, NULL, true);
    bool ok = connects(reach, text, 80, WI_REACH_YES);
    wi_reach_free(reach);
    return ok;
}

/* ---- names ---- */

TEST(without_lists_everything_is_reached)
{
    EXPECT_INT(host(NULL, NULL, "example.com", 80), WI_REACH_YES);
    EXPECT_INT(host(NULL, NULL, "127.0.0.1", 80), WI_REACH_YES);
    EXPECT(reaches(NULL, NULL, "127.0.0.1", 80));
}

TEST(a_host_is_itself_only)
{
    EXPECT_INT(host("api.example.com", NULL, "api.example.com", 80), WI_REACH_YES);
    EXPECT_INT(host("api.example.com", NULL, "API.Example.COM.", 80), WI_REACH_YES);
    EXPECT_INT(host("API.example.COM.", NULL, "api.example.com", 80), WI_REACH_YES);
    EXPECT_INT(host("api.example.com", NULL, "x.api.example.com", 80), WI_REACH_NO);
    EXPECT_INT(host("api.example.com", NULL, "example.com", 80), WI_REACH_NO);
    EXPECT_INT(host("api.example.com", NULL, "evilapi.example.com", 80), WI_REACH_NO);
    EXPECT_INT(host("api.example.com", NULL, "api.example.com.evil.org", 80), WI_REACH_NO);
    EXPECT_STR(why, "api.example.com.evil.org is not among what --allow names");
    EXPECT_INT(host(NULL, "api.example.com", "Api.Example.Com.", 80), WI_REACH_NO);
    EXPECT_STR(why, "api.example.com is among what --deny names");
    EXPECT_INT(host(NULL, "api.example.com", "example.com", 80), WI_REACH_YES);
}

TEST(a_domain_is_all_below_it)
{
    static const char *const entries[] = {".example.com", "*.example.com", "*.EXAMPLE.com."};
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        EXPECT_INT(host(entries[i], NULL, "example.com", 80), WI_REACH_YES);
        EXPECT_INT(host(entries[i], NULL, "a.b.example.com", 80), WI_REACH_YES);
        EXPECT_INT(host(entries[i], NULL, "badexample.com", 80), WI_REACH_NO);
        EXPECT_INT(host(entries[i], NULL, "com", 80), WI_REACH_NO);
        EXPECT_INT(host(NULL, entries[i], "a.example.com", 80), WI_REACH_NO);
    }
}

TEST(deny_wins)
{
    EXPECT_INT(host(".example.com", "a.example.com", "a.example.com", 80), WI_REACH_NO);
    EXPECT_INT(host("a.example.com", ".example.com", "a.example.com", 80), WI_REACH_NO);
    EXPECT_INT(host(".example.com", "a.example.com", "b.example.com", 80), WI_REACH_YES);
    EXPECT(!reaches("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", 80));
    EXPECT(!reaches("10.1.2.3", "10.0.0.0/8", "10.1.2.3", 80));
    EXPECT(reaches("10.0.0.0/8", "10.1.0.0/16", "10.2.2.3", 80));
}

TEST(ports)
{
    EXPECT_INT(host("a.example:8080", NULL, "a.example", 8080), WI_REACH_YES);
    EXPECT_INT(host("a.example:8080", NULL, "a.example", 80), WI_REACH_NO);
    EXPECT_INT(host(NULL, ".example:25", "a.example", 25), WI_REACH_NO);
    EXPECT_INT(host(NULL, ".example:25", "a.example", 80), WI_REACH_YES);
    EXPECT(reaches("10.0.0.0/8:80", NULL, "10.0.0.1", 80));
    EXPECT(!reaches("10.0.0.0/8:80", NULL, "10.0.0.1", 81));
    EXPECT(reaches("[2001:db8::/32]:80", NULL, "2001:db8::1", 80));
    EXPECT(!reaches("[2001:db8::/32]:80", NULL, "2001:db8::1", 81));
    EXPECT_INT(host("10.0.0.0/8:80", NULL, "a.example", 80), WI_REACH_ADDRESS);
    EXPECT_INT(host("10.0.0.0/8:80", NULL, "a.example", 81), WI_REACH_NO);
}

TEST(several_entries)
{
    const char *list = "a.example, .b.example:443 ,\t192.0.2.0/24,[::1]:80";
    EXPECT_INT(host(list, NULL, "a.example", 80), WI_REACH_YES);
    EXPECT_INT(host(list, NULL, "x.b.example", 443), WI_REACH_YES);
    EXPECT_INT(host(list, NULL, "192.0.2.9", 1), WI_REACH_YES);
    EXPECT_INT(host(list, NULL, "[::1]", 80), WI_REACH_YES);
    EXPECT_INT(host(list, NULL, "[::1]", 81), WI_REACH_NO);
    EXPECT_INT(host(list, NULL, "c.example", 80), WI_REACH_ADDRESS);
}

TEST(hosts_that_are_none)
{
    static const char *const hosts[] = {"",      ".", "..", "a..b", ".a",  "b\303\274cher.example",
                                        "a b",   "[", "[]", "]",    "a/b", "a%2eb",
                                        "\33[2J"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        EXPECT_INT(host(NULL, "x.example", hosts[i], 80), WI_REACH_NO);
        EXPECT_INT(host("x.example", NULL, hosts[i], 80), WI_REACH_NO);
        EXPECT(strchr(why, '\33') == NULL);
    }
}

/* ---- addresses ---- */

TEST(hosts_that_are_addresses)
{
    EXPECT_INT(host("192.0.2.7", NULL, "192.0.2.7", 80), WI_REACH_YES);
    EXPECT_INT(host("192.0.2.7", NULL, "192.0.2.8", 80), WI_REACH_NO);
    EXPECT_STR(why, "192.0.2.8 is not among what --allow names");
    EXPECT_INT(host(NULL, "2001:db8::/32", "[2001:DB8::1]", 80), WI_REACH_NO);
    EXPECT_STR(why, "2001:db8::1 is among what --deny names");
    EXPECT_INT(host(NULL, "10.0.0.0/8", "[::ffff:10.0.0.1]", 80), WI_REACH_NO);
    EXPECT_INT(host("10.0.0.0/8", NULL, "[::ffff:10.0.0.1]", 80), WI_REACH_YES);
    EXPECT_INT(host("a.example", NULL, "10.0.0.1", 80), WI_REACH_NO);
}

TEST(a_name_is_reached_where_its_address_is_allowed)
{
    wi_reach *reach = made("192.0.2.0/24,a.example", "192.0.2.13", false);
    EXPECT(connects(reach, "192.0.2.1", 80, WI_REACH_ADDRESS));
    EXPECT(!connects(reach, "192.0.3.1", 80, WI_REACH_ADDRESS));
    EXPECT(connects(reach, "192.0.3.1", 80, WI_REACH_YES));
    EXPECT(!connects(reach, "192.0.2.13", 80, WI_REACH_YES));
    EXPECT(wi_reach_denies_addresses(reach));
    wi_reach_free(reach);
    reach = made("192.0.2.0/24", "a.example", false);
    EXPECT(!wi_reach_denies_addresses(reach));
    wi_reach_deny_private(reach);
    EXPECT(wi_reach_denies_addresses(reach));
    wi_reach_free(reach);
}

TEST(blocks_end_where_they_say)
{
    EXPECT(!reaches(NULL, "192.0.2.128/25", "192.0.2.128", 80));
    EXPECT(!reaches(NULL, "192.0.2.128/25", "192.0.2.255", 80));
    EXPECT(reaches(NULL, "192.0.2.128/25", "192.0.2.127", 80));
    EXPECT(reaches(NULL, "192.0.2.128/25", "192.0.3.128", 80));
    EXPECT(!reaches(NULL, "0.0.0.0/0", "8.8.8.8", 80));
    EXPECT(reaches(NULL, "0.0.0.0/0", "2600::1", 80));
    EXPECT(!reaches(NULL, "::/0", "2600::1", 80));
    EXPECT(reaches(NULL, "::/0", "8.8.8.8", 80));
    EXPECT(!reaches(NULL, "2001:db8:8000::/33", "2001:db8:ffff::1", 80));
    EXPECT(reaches(NULL, "2001:db8:8000::/33", "2001:db8:7fff::1", 80));
    EXPECT(!reaches(NULL, "::ffff:10.0.0.0/104", "10.9.9.9", 80));
}

/* 10.1.2.3 in all its wrappings. */
static const char *const wrapped[] = {"10.1.2.3",           "::ffff:10.1.2.3",
                                      "::10.1.2.3",         "64:ff9b::10.1.2.3",
                                      "2002:a01:203::1",    "2001:0:102:304:0:0:f5fe:fdfc",
                                      "2600::5efe:a01:203", "2600::200:5efe:a01:203"};

TEST(what_is_inside_an_address_is_denied_too)
{
    for (size_t i = 0; i < sizeof wrapped / sizeof wrapped[0]; i++) {
        if (!EXPECT(!reaches(NULL, "10.0.0.0/8", wrapped[i], 80)))
            printf("# %s\n", wrapped[i]);
        if (i > 1)
            EXPECT(!reaches("10.0.0.0/8", NULL, wrapped[i], 80));
    }
}

TEST(what_is_private)
{
    static const char *const addresses[] = {"0.0.0.0",
                                            "0.1.2.3",
                                            "10.0.0.1",
                                            "10.255.255.255",
                                            "100.64.0.1",
                                            "100.127.255.255",
                                            "127.0.0.1",
                                            "127.255.255.254",
                                            "169.254.0.1",
                                            "169.254.169.254",
                                            "168.63.129.16",
                                            "172.16.0.1",
                                            "172.31.255.1",
                                            "192.0.0.1",
                                            "192.0.2.1",
                                            "192.88.99.1",
                                            "192.168.0.1",
                                            "198.18.0.1",
                                            "198.19.255.1",
                                            "198.51.100.7",
                                            "203.0.113.7",
                                            "224.0.0.1",
                                            "239.1.2.3",
                                            "240.0.0.1",
                                            "255.1.2.3",
                                            "255.255.255.255",
                                            "::",
                                            "::1",
                                            "::2",
                                            "fc00::1",
                                            "fdff::1",
                                            "fd00:ec2::254",
                                            "fe80::1",
                                            "febf::1",
                                            "fec0::1",
                                            "ff02::1",
                                            "ff0e::1",
                                            "2001:db8::1",
                                            "2001::1",
                                            "2001:2::1",
                                            "3fff::1",
                                            "100::1",
                                            "64:ff9b:1::1",
                                            "4000::1",
                                            "5f00::1",
                                            "::ffff:0:8.8.8.8",
                                            "::8.8.8.8"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        if (!EXPECT(!public(addresses[i])))
            printf("# %s\n", addresses[i]);
    for (size_t i = 0; i < sizeof wrapped / sizeof wrapped[0]; i++)
        if (!EXPECT(!public(wrapped[i])))
            printf("# %s\n", wrapped[i]);
    EXPECT(!public("127.0.0.1"));
    EXPECT_STR(why, "127.0.0.1 is loopback (--no-private)");
    EXPECT(!public("2002:7f00:1::"));
    EXPECT_STR(why, "2002:7f00:1:: is loopback (--no-private)");
}

TEST(what_is_public)
{
    static const char *const addresses[] = {
        "1.1.1.1",      "8.8.8.8",   "9.255.255.255",    "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",  "126.0.0.1", "128.0.0.1",        "169.253.0.1",     "172.15.255.255",
        "172.32.0.0",   "192.0.1.0", "192.167.255.255",  "192.169.0.0",     "198.17.255.255",
        "198.20.0.0",   "223.1.2.3", "2606:4700::1111",  "2001:4860::1",    "2001:200::1",
        "2a00:1450::1", "3ffe::1",   "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        if (!EXPECT(public(addresses[i])))
            printf("# %s: %s\n", addresses[i], why);
}

/* ---- entries that are none ---- */

TEST(entries_that_are_none)
{
    static const struct {
        const char *list, *says;
    } lists[] = {
        {"", "empty"},
        {"a.example,", "empty"},
        {",a.example", "empty"},
        {"a.example,,b.example", "empty"},
        {":80", "empty"},
        {"http://a.example", "is a URL"},
        {"http://a.example:80/x", "no address"},
        {"a.example/24", "no address"},
        {"a b", "no host"},
        {"b\303\274cher.example", "xn--"},
        {"*", "no host"},
        {"*.", "no host"},
        {".", "no host"},
        {"a.*.example", "no host"},
        {"a..example", "no host"},
        {"a.example:0", "1 to 65535"},
        {"a.example:65536", "1 to 65535"},
        {"a.example:http", "1 to 65535"},
        {"a.example:", "1 to 65535"},
        {"127.1", "in full"},
        {"0x7f.1", "in full"},
        {"2130706433", "in full"},
        {"010.0.0.1", "in full"},
        {"10.0.0.1/8", "beyond its prefix"},
        {"10.0.0.0/33", "0 to 32"},
        {"10.0.0.0/", "0 to 32"},
        {"10.0.0.0/-1", "0 to 32"},
        {"::1/129", "0 to 128"},
        {"2001:db8::1/64", "beyond its prefix"},
        {"[::1", "bracket"},
        {"[::1]80", "bracket"},
        {"[a.example]:80", "no address"},
        {"1:2:3", "no address"},
        {"\33[2J", "no host"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        wi_reach *reach = made(NULL, NULL, false);
        weir_error err = {0};
        EXPECT_INT(wi_reach_allow(reach, lists[i].list, &err), WEIR_INVALID);
        if (!EXPECT(strstr(err.text, lists[i].says) != NULL))
            printf("# \"%s\": %s\n", lists[i].list, err.text);
        wi_reach_free(reach);
    }
    char list[300];
    memset(list, 'a', sizeof list);
    list[sizeof list - 1] = '\0';
    wi_reach *reach = made(NULL, NULL, false);
    EXPECT_INT(wi_reach_deny(reach, list, NULL), WEIR_INVALID);
    wi_reach_free(reach);
}

static weir_status fill(void)
{
    wi_reach *reach;
    weir_status status = wi_reach_new(&reach, NULL);
    if (status != WEIR_OK)
        return status;
    status = wi_reach_allow(reach, "a.example,10.0.0.0/8:80", NULL);
    if (status == WEIR_OK)
        status = wi_reach_deny(reach, "[::1]:80", NULL);
    wi_reach_free(reach);
    return status;
}

TEST(survives_lack_of_memory)
{
    TORTURE(fill());
}

TESTS(CASE(without_lists_everything_is_reached), CASE(a_host_is_itself_only),
      CASE(a_domain_is_all_below_it), CASE(deny_wins), CASE(ports), CASE(several_entries),
      CASE(hosts_that_are_none), CASE(hosts_that_are_addresses),
      CASE(a_name_is_reached_where_its_address_is_allowed), CASE(blocks_end_where_they_say),
      CASE(what_is_inside_an_address_is_denied_too), CASE(what_is_private), CASE(what_is_public),
      CASE(entries_that_are_none), CASE(survives_lack_of_memory))
