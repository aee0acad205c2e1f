/* http_names.c: see http_names.h. Its invariant: nobody waits in a slot that is not asking. */
#include "http_names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "clock.h"

#define REFRESH (60 * WI_SECOND)

typedef struct authority {
    const char *host;
    size_t len;
    const char *port;
    size_t port_len;
    bool https;
} authority;

static authority authority_of(const char *url)
{
    authority a = {.https = strncasecmp(url, "https:", 6) == 0};
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    const char *end = start + strcspn(start, "/?#");
    const char *at = memrchr(start, '@', (size_t)(end - start));
    a.host = at ? at + 1 : start;
    const char *colon = *a.host == '[' ? memchr(a.host, ']', (size_t)(end - a.host)) : a.host;
    colon = colon ? memchr(colon, ':', (size_t)(end - colon)) : NULL;
    a.len = (size_t)((colon ? colon : end) - a.host);
    a.port = colon ? colon + 1 : NULL;
    a.port_len = colon ? (size_t)(end - colon - 1) : 0;
    return a;
}

/* An address needs no look-up: digits and dots, or brackets around an IPv6 one. */
static bool is_address(const authority *a)
{
    return a->len == 0 || a->host[0] == '[' || strspn(a->host, "0123456789.") >= a->len;
}

static uint64_t hash_of(const authority *a)
{
    uint64_t hash = 14695981039346656037ULL; /* FNV-1a, 64 bits */
    for (size_t i = 0; i < a->len; i++)
        hash = (hash ^ (uint8_t)a->host[i]) * 1099511628211ULL;
    return hash ? hash : 1;
}

void wi_http_names_init(wi_http_names *names)
{
    for (int i = 0; i < WI_HTTP_NAME_SLOTS; i++) {
        names->slots[i] = (wi_http_name){0};
        wi_list_init(&names->slots[i].waiting);
    }
}

wi_http_name_turn wi_http_names_enter(wi_http_names *names, const char *url, int64_t now,
                                      wi_http_name **name)
{
    authority a = authority_of(url);
    if (is_address(&a))
        return WI_HTTP_NAME_KNOWN;
    uint64_t hash = hash_of(&a);
    wi_http_name *slot = &names->slots[hash % WI_HTTP_NAME_SLOTS];
    bool same = slot->hash == hash;
    if (slot->asking && !same)
        return WI_HTTP_NAME_KNOWN;
    if (slot->asking) {
        *name = slot;
        return WI_HTTP_NAME_WAIT;
    }
    if (same && now < slot->fresh_until)
        return WI_HTTP_NAME_KNOWN;
    if (!same)
        slot->address[0] = '\0';
    slot->hash = hash;
    slot->asking = true;
    *name = slot;
    return WI_HTTP_NAME_ASK;
}

void wi_http_names_answered(wi_http_name *name, bool known, int64_t now)
{
    name->asking = false;
    name->fresh_until = known ? now + REFRESH : 0;
}

void wi_http_names_remember(wi_http_names *names, const char *url, const char *address)
{
    authority a = authority_of(url);
    uint64_t hash = hash_of(&a);
    wi_http_name *slot = &names->slots[hash % WI_HTTP_NAME_SLOTS];
    size_t len = strlen(address);
    if (slot->hash == hash && len < sizeof slot->address)
        memcpy(slot->address, address, len + 1);
}

const char *wi_http_names_remembered(const wi_http_names *names, const char *url)
{
    authority a = authority_of(url);
    uint64_t hash = hash_of(&a);
    const wi_http_name *slot = &names->slots[hash % WI_HTTP_NAME_SLOTS];
    return slot->hash == hash && slot->address[0] ? slot->address : NULL;
}

bool wi_http_names_has_name(const char *url)
{
    authority a = authority_of(url);
    return !is_address(&a);
}

bool wi_http_names_host_port(const char *url, char *dst, size_t size)
{
    authority a = authority_of(url);
    if (!a.port_len) {
        a.port = a.https ? "443" : "80";
        a.port_len = strlen(a.port);
    }
    int n = snprintf(dst, size, "%.*s:%.*s", (int)a.len, a.host, (int)a.port_len, a.port);
    return n > 0 && (size_t)n < size;
}
