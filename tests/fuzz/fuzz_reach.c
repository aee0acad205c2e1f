/*
 * fuzz_reach.c: any text is a list of hosts, or is refused with a reason; and whatever it allows,
 * the same list denies once it is said to. The first byte holds the port, the second whether
 * private addresses are denied; the list ends with a NUL, the host with another, sixteen bytes of
 * an address follow.
 */
#include "fuzz.h"
#include "reach.h"

static bool add(bool deny, wi_reach *reach, const char *list)
{
    weir_error err = {0};
    weir_status status =
        deny ? wi_reach_deny(reach, list, &err) : wi_reach_allow(reach, list, &err);
    CHECK(status == WEIR_OK || (status == WEIR_INVALID && err.text[0]));
    return status == WEIR_OK;
}

static void ask(const char *list, const char *host, const wi_address *address, int port,
                bool no_private)
{
    wi_reach *allowing, *denying;
    char why[WI_REACH_WHY] = "";
    CHECK(wi_reach_new(&allowing, NULL) == WEIR_OK);
    CHECK(wi_reach_new(&denying, NULL) == WEIR_OK);
    bool good = add(false, allowing, list);
    CHECK(add(true, denying, list) == good);
    if (no_private)
        wi_reach_deny_private(allowing);
    if (good) {
        wi_reach_verdict verdict = wi_reach_host(allowing, host, port, why);
        CHECK((verdict == WI_REACH_NO) == (why[0] != '\0'));
        if (verdict == WI_REACH_YES) /* it is in the list */
            CHECK(wi_reach_host(denying, host, port, why) == WI_REACH_NO);
        why[0] = '\0';
        bool reached = wi_reach_address(allowing, address, port, WI_REACH_ADDRESS, why);
        CHECK(reached == (why[0] == '\0'));
        if (reached)
            CHECK(!wi_reach_address(denying, address, port, WI_REACH_YES, why));
    }
    wi_reach_free(allowing);
    wi_reach_free(denying);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024];
    if (size < 4 || size > sizeof text)
        return 0;
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    size_t at = strlen(text), len = size - 2;
    const char *host = text + at + (at < len);
    at += (at < len) + strlen(host);
    uint8_t bytes[16] = {0};
    for (size_t i = 0; i < sizeof bytes && at + 1 + i < len; i++)
        bytes[i] = (uint8_t)text[at + 1 + i];
    wi_address address = wi_address_v6(bytes);
    ask(text, host, &address, data[0] + 1, data[1] & 1);
    return 0;
}
