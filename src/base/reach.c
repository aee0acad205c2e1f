/*
 * reach.c: see reach.h. Its invariant: an entry that could never match what libcurl makes of a URL
 * (an address in a short or numeric spelling, a name that is not in ASCII) is refused when it is
 * added, since a list with a hole is worse than none.
 */
#include "reach.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { MAX_NAME = 253, V4 = 96 /* the bits before an IPv4 address */ };

typedef struct block {
    uint8_t bytes[16];
    uint8_t bits;
} block;

typedef struct entry {
    char name[MAX_NAME + 1]; /* in small letters; "": a block of addresses */
    bool below;              /* and all names below it */
    block block;
    int port; /* 0: any */
} entry;

typedef struct entries {
    entry *items;
    size_t len;
} entries;

struct wi_reach {
    entries allow;
    entries deny;
    bool no_private;
};

/* ---- addresses ---- */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

wi_address wi_address_v4(const void *bytes)
{
    wi_address address;
    memcpy(address.bytes, mapped, sizeof mapped);
    memcpy(address.bytes + sizeof mapped, bytes, 4);
    return address;
}

wi_address wi_address_v6(const void *bytes)
{
    wi_address address;
    memcpy(address.bytes, bytes, sizeof address.bytes);
    return address;
}

static bool is_v4(const uint8_t *bytes)
{
    return memcmp(bytes, mapped, sizeof mapped) == 0;
}

static bool begins_with(const uint8_t *bytes, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(bytes, prefix, whole) == 0 &&
           (rest == 0 || (bytes[whole] ^ prefix[whole]) >> (8 - rest) == 0);
}

/* ::/0 is all of IPv6, not IPv4 too. */
static bool block_has(const block *b, const wi_address *address)
{
    return is_v4(b->bytes) == is_v4(address->bytes) &&
           begins_with(address->bytes, b->bytes, b->bits);
}

/*
 * The IPv4 address that an IPv6 one leads to: "compatible" and NAT64 (the last four bytes), 6to4
 * (after 2002:), Teredo (the last four, inverted), ISATAP (the last four, after 5efe).
 */
static bool inner_address(const wi_address *address, wi_address *inner)
{
    static const uint8_t none[12] = {0}, nat64[12] = {0, 0x64, 0xff, 0x9b};
    static const uint8_t teredo[4] = {0x20, 0x01}, isatap[4] = {0, 0, 0x5e, 0xfe};
    const uint8_t *a = address->bytes;
    uint8_t v4[4];
    memcpy(v4, a + 12, sizeof v4);
    if (a[0] == 0x20 && a[1] == 0x02)
        memcpy(v4, a + 2, sizeof v4);
    else if (memcmp(a, teredo, sizeof teredo) == 0)
        for (size_t i = 0; i < sizeof v4; i++)
            v4[i] ^= 0xff;
    else if (memcmp(a, none, sizeof none) != 0 && memcmp(a, nat64, sizeof nat64) != 0 &&
             ((a[8] & 0xfd) != 0 || memcmp(a + 9, isatap + 1, 3) != 0))
        return false;
    *inner = wi_address_v4(v4);
    return true;
}

typedef struct region {
    block block;
    const char *what;
} region;

/* The registries of special purpose (RFC 6890 and what was added since), and multicast. */
#define IPV4(a, b, c, d, n)                                                                  \
    {                                                                                        \
        {[10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b), [14] = (c), [15] = (d)}, V4 + (n) \
    }
static const region special[] = {
    {IPV4(0, 0, 0, 0, 8), "unspecified"},
    {IPV4(10, 0, 0, 0, 8), "private"},
    {IPV4(100, 64, 0, 0, 10), "shared by a carrier's customers"},
    {IPV4(127, 0, 0, 0, 8), "loopback"},
    {IPV4(168, 63, 129, 16, 32), "a cloud's metadata service"},
    {IPV4(169, 254, 169, 254, 32), "a cloud's metadata service"},
    {IPV4(169, 254, 0, 0, 16), "link-local"},
    {IPV4(172, 16, 0, 0, 12), "private"},
    {IPV4(192, 0, 0, 0, 24), "reserved"},
    {IPV4(192, 0, 2, 0, 24), "for documentation"},
    {IPV4(192, 88, 99, 0, 24), "reserved"},
    {IPV4(192, 168, 0, 0, 16), "private"},
    {IPV4(198, 18, 0, 0, 15), "for benchmarks"},
    {IPV4(198, 51, 100, 0, 24), "for documentation"},
    {IPV4(203, 0, 113, 0, 24), "for documentation"},
    {IPV4(224, 0, 0, 0, 4), "multicast"},
    {IPV4(240, 0, 0, 0, 4), "reserved"},
    {{{0}, 128}, "unspecified"},
    {{{[15] = 1}, 128}, "loopback"},
    {{{0xfc}, 7}, "private"},
    {{{0xfe, 0x80}, 10}, "link-local"},
    {{{0xff}, 8}, "multicast"},
    {{{0x20, 0x01}, 23}, "reserved"}, /* Teredo, benchmarks and more */
    {{{0x20, 0x01, 0x0d, 0xb8}, 32}, "for documentation"},
    {{{0x3f, 0xff}, 20}, "for documentation"},
};
static const block global = {{0x20}, 3}, nat64 = {{0, 0x64, 0xff, 0x9b}, 96};

/* What keeps an address out of the public Internet; NULL: nothing. */
static const char *private_reason(const wi_address *address)
{
    wi_address inner;
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (block_has(&special[i].block, address))
            return special[i].what;
    if (is_v4(address->bytes))
        return NULL;
    const char *inside = inner_address(address, &inner) ? private_reason(&inner) : NULL;
    if (inside)
        return inside;
    return block_has(&global, address) || block_has(&nat64, address) ? NULL : "reserved";
}

static const char *address_text(const wi_address *address, char text[INET6_ADDRSTRLEN])
{
    bool v4 = is_v4(address->bytes);
    const char *shown = inet_ntop(
        v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? sizeof mapped : 0), text, INET6_ADDRSTRLEN);
    return shown ? shown : "an address";
}

static bool parse_address(const char *text, wi_address *address)
{
    uint8_t bytes[16];
    bool v4 = inet_pton(AF_INET, text, bytes) == 1;
    if (!v4 && inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    *address = v4 ? wi_address_v4(bytes) : wi_address_v6(bytes);
    return true;
}

/* ---- entries ---- */

/* Copies a host name in small letters, without a dot at its end. False: it is none in ASCII. */
static bool plain_name(const char *text, size_t len, char name[MAX_NAME + 1])
{
    if (len && text[len - 1] == '.')
        len--;
    if (len == 0 || len > MAX_NAME || text[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool upper = c >= 'A' && c <= 'Z';
        bool dots = c == '.' && text[i - 1] == '.';
        if (dots || !(upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '_' || c == '.'))
            return false;
        name[i] = (char)(upper ? c | 0x20 : c);
    }
    name[len] = '\0';
    return true;
}

/* Does a name end as an address in some spelling does: in a number? */
static bool ends_in_number(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *last = dot ? dot + 1 : name;
    if (strncmp(last, "0x", 2) == 0)
        return strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
    return strspn(last, "0123456789") == strlen(last);
}

static weir_status parse_block(const char *text, const char *shown, block *out, weir_error *err)
{
    char address_part[INET6_ADDRSTRLEN] = "";
    size_t len = strcspn(text, "/");
    wi_address address = {{0}};
    if (len < sizeof address_part)
        memcpy(address_part, text, len);
    if (!parse_address(address_part, &address))
        return wi_fail(err, WEIR_INVALID,
                       "\"%s\" is no address: write it in full, as 192.0.2.7 or 2001:db8::7",
                       shown);
    bool v4 = is_v4(address.bytes);
    bool short_form = v4 && strchr(address_part, ':') == NULL;
    int64_t bits = short_form ? 32 : 128;
    if (text[len] &&
        !wi_text_parse_range(text + len + 1, strlen(text + len + 1), 0, bits, &bits, &(int64_t){0}))
        return wi_fail(err, WEIR_INVALID, "\"%s\": the length of its prefix is 0 to %d", shown,
                       short_form ? 32 : 128);
    bits += short_form ? V4 : 0;
    wi_address rest = address;
    for (unsigned i = 0; i < 128; i++)
        if (i < (unsigned)bits)
            rest.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    static const uint8_t zero[16];
    if (memcmp(rest.bytes, zero, sizeof zero) != 0)
        return wi_fail(err, WEIR_INVALID,
                       "\"%s\" has bits beyond its prefix: write the block, or the address alone",
                       shown);
    memcpy(out->bytes, address.bytes, sizeof out->bytes);
    out->bits = (uint8_t)bits;
    return WEIR_OK;
}

static weir_status parse_name(const char *text, const char *shown, entry *e, weir_error *err)
{
    size_t skip = strncmp(text, "*.", 2) == 0 ? 2 : text[0] == '.' ? 1 : 0;
    e->below = skip > 0;
    if (strstr(text, "://"))
        return wi_fail(err, WEIR_INVALID, "\"%s\" is a URL: write its host alone", shown);
    if (!plain_name(text + skip, strlen(text + skip), e->name))
        return wi_fail(err, WEIR_INVALID,
                       "\"%s\" is no host, domain or address (a name in other letters is written "
                       "as xn--...)",
                       shown);
    return WEIR_OK;
}

/* `text` is cut up. */
static weir_status parse_entry(char *text, entry *e, weir_error *err)
{
    char shown[120];
    wi_text_printable(shown, sizeof shown, text, strlen(text));
    *e = (entry){0};
    char *colon = strchr(text, ':');
    bool several = colon && strchr(colon + 1, ':');
    bool bracket = text[0] == '[';
    char *port = !bracket && !several && colon && colon[1] != '/' ? colon : NULL;
    if (bracket) {
        char *end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':'))
            return wi_fail(err, WEIR_INVALID, "\"%s\" has no end of its bracket", shown);
        port = end[1] ? end + 1 : NULL;
        *end = '\0';
        text++;
    }
    int64_t number = 0;
    if (port) {
        *port = '\0';
        if (!wi_text_parse_i64(port + 1, strlen(port + 1), &number) || number < 1 || number > 65535)
            return wi_fail(err, WEIR_INVALID, "\"%s\": a port is 1 to 65535", shown);
    }
    e->port = (int)number;
    if (text[0] == '\0')
        return wi_fail(err, WEIR_INVALID, "an entry is empty");
    wi_address address;
    char name[MAX_NAME + 1];
    bool digits = plain_name(text, strlen(text), name) && ends_in_number(name);
    bool slash = strchr(text, '/') && !strstr(text, "//");
    if (bracket || several || slash || digits || parse_address(text, &address))
        return parse_block(text, shown, &e->block, err);
    return parse_name(text, shown, e, err);
}

static weir_status add_entry(entries *list, const char *text, size_t len, weir_error *err)
{
    entry *grown = realloc(list->items, (list->len + 1) * sizeof *grown);
    if (!grown)
        return wi_fail_nomem(err);
    list->items = grown;
    while (len && strchr(" \t\n", text[len - 1]))
        len--;
    char *copy = strndup(text, len);
    if (!copy)
        return wi_fail_nomem(err);
    weir_status status = parse_entry(copy, &grown[list->len], err);
    list->len += status == WEIR_OK;
    free(copy);
    return status;
}

static weir_status add_entries(entries *list, const char *text, weir_error *err)
{
    for (;;) {
        text += strspn(text, " \t\n");
        size_t len = strcspn(text, ",");
        weir_status status = add_entry(list, text, len, err);
        if (status != WEIR_OK || text[len] == '\0')
            return status;
        text += len + 1;
    }
}

/* ---- the noun ---- */

weir_status wi_reach_new(wi_reach **out, weir_error *err)
{
    wi_reach *reach = calloc(1, sizeof *reach);
    if (!reach)
        return wi_fail_nomem(err);
    *out = reach;
    return WEIR_OK;
}

void wi_reach_free(wi_reach *reach)
{
    if (!reach)
        return;
    free(reach->allow.items);
    free(reach->deny.items);
    free(reach);
}

weir_status wi_reach_allow(wi_reach *reach, const char *list, weir_error *err)
{
    return add_entries(&reach->allow, list, err);
}

weir_status wi_reach_deny(wi_reach *reach, const char *list, weir_error *err)
{
    return add_entries(&reach->deny, list, err);
}

void wi_reach_deny_private(wi_reach *reach)
{
    reach->no_private = true;
}

bool wi_reach_denies_addresses(const wi_reach *reach)
{
    bool found = reach->no_private;
    for (size_t i = 0; i < reach->deny.len; i++)
        found = found || !reach->deny.items[i].name[0];
    return found;
}

/* ---- what is asked ---- */

static bool fits_port(const entry *e, int port)
{
    return e->port == 0 || e->port == port;
}

static bool has_name(const entries *list, const char *name, int port)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < list->len; i++) {
        const entry *e = &list->items[i];
        size_t n = strlen(e->name);
        bool ends = n && n <= len && memcmp(name + len - n, e->name, n) == 0;
        if (ends && fits_port(e, port) && (n == len || (e->below && name[len - n - 1] == '.')))
            return true;
    }
    return false;
}

/* address: NULL for any. */
static bool has_block(const entries *list, const wi_address *address, int port)
{
    for (size_t i = 0; i < list->len; i++) {
        const entry *e = &list->items[i];
        if (!e->name[0] && fits_port(e, port) && (!address || block_has(&e->block, address)))
            return true;
    }
    return false;
}

bool wi_reach_address(const wi_reach *reach, const wi_address *address, int port,
                      wi_reach_verdict host, char *why)
{
    char text[INET6_ADDRSTRLEN];
    wi_address inner;
    bool has_inner = inner_address(address, &inner);
    if (has_block(&reach->deny, address, port) ||
        (has_inner && has_block(&reach->deny, &inner, port))) {
        snprintf(why, WI_REACH_WHY, "%s is among what --deny names", address_text(address, text));
        return false;
    }
    const char *reason = reach->no_private ? private_reason(address) : NULL;
    if (reason) {
        snprintf(why, WI_REACH_WHY, "%s is %s (--no-private)", address_text(address, text), reason);
        return false;
    }
    if (host == WI_REACH_YES || has_block(&reach->allow, address, port))
        return true;
    snprintf(why, WI_REACH_WHY, "%s is not among what --allow names", address_text(address, text));
    return false;
}

/* A host that is an address: "[...]" or dotted numbers. */
static bool host_address(const char *host, wi_address *address)
{
    char text[INET6_ADDRSTRLEN + 2];
    size_t len = strlen(host);
    bool bracket = host[0] == '[' && host[len - 1] == ']';
    if (len >= sizeof text)
        return false;
    memcpy(text, host + bracket, len - 2 * bracket);
    text[len - 2 * bracket] = '\0';
    return parse_address(text, address);
}

wi_reach_verdict wi_reach_host(const wi_reach *reach, const char *host, int port, char *why)
{
    char name[MAX_NAME + 1];
    wi_address address;
    wi_reach_verdict otherwise = reach->allow.len ? WI_REACH_ADDRESS : WI_REACH_YES;
    if (host_address(host, &address))
        return wi_reach_address(reach, &address, port, otherwise, why) ? WI_REACH_YES : WI_REACH_NO;
    if (!plain_name(host, strlen(host), name)) {
        char shown[WI_REACH_WHY / 3];
        wi_text_printable(shown, sizeof shown, host, strlen(host));
        snprintf(why, WI_REACH_WHY,
                 "\"%s\" cannot be compared with the names allowed or denied: write other letters "
                 "as xn--...",
                 shown);
        return WI_REACH_NO;
    }
    if (has_name(&reach->deny, name, port)) {
        snprintf(why, WI_REACH_WHY, "%.150s is among what --deny names", name);
        return WI_REACH_NO;
    }
    if (otherwise == WI_REACH_YES || has_name(&reach->allow, name, port))
        return WI_REACH_YES;
    if (has_block(&reach->allow, NULL, port))
        return WI_REACH_ADDRESS;
    snprintf(why, WI_REACH_WHY, "%.150s is not among what --allow names", name);
    return WI_REACH_NO;
}
