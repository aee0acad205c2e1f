/*
 * fuzz_reach.c: any text is a list of hosts, or is refused with a reason; and whatever it allows,
 * the same list denies once it is said to; a block of addresses denies those with its bits. The
 * first byte holds the port, the second whether private addresses are denied; the list ends with a
 * NUL, the host with another, sixteen bytes of an address follow.
 */
#include "fuzz.h"
#include "reach.h"

#include <arpa/inet.h>

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

/* "10.0.0.0/8", and nothing else. */
static void check_block(const char *list, const wi_address *address, int port)
{
    char text[46], why[WI_REACH_WHY];
    uint8_t bytes[16];
    wi_address block;
    wi_reach *denying;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    int bits, end = 0;
    if (sscanf(list, "%45[0-9a-f:.]/%3d%n", text, &bits, &end) != 2 || list[end])
        return;
    if (inet_pton(AF_INET, text, bytes) == 1) {
        block = wi_address_v4(bytes);
        bits += 96;
    } else if (inet_pton(AF_INET6, text, bytes) == 1) {
        block = wi_address_v6(bytes);
    } else {
        return;
    }
    CHECK(wi_reach_new(&denying, NULL) == WEIR_OK);
    if (add(true, denying, list)) {
        bool inside = true;
        for (int i = 0; i < bits; i++)
            if ((block.bytes[i / 8] ^ address->bytes[i / 8]) & 0x80 >> i % 8)
                inside = false;
        CHECK(bits <= 128);
        /* An IPv6 block is of no IPv4 addresses, and another address may hold one that is inside.
         */
        bool v4 = memcmp(address->bytes, mapped, 12) == 0;
        bool v4_block = bits >= 96 && memcmp(block.bytes, mapped, 12) == 0;
        if (v4 ? v4_block : inside)
            CHECK(wi_reach_address(denying, address, port, WI_REACH_YES, why) == !inside);
        CHECK(!wi_reach_address(denying, &block, port, WI_REACH_YES, why));
    }
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
    check_block(text, &address, data[0] + 1);
    return 0;
}
