/*
 * reach.h: which hosts may be reached: what --allow, --deny and --no-private say.
 *
 * An entry of a list is a host ("api.example.com"), a domain with all below it (".example.com" or
 * "*.example.com"), an address ("192.0.2.7", "2001:db8::7") or a block of them ("10.0.0.0/8"), each
 * with ":port" behind it if it is for one port only; an IPv6 address then stands in brackets
 * ("[2001:db8::7]:443"). What a list denies is denied, whatever else is said. Where anything is
 * allowed, nothing else is.
 *
 * It is asked twice: for the host before its name is looked up, and for the address before a
 * connection is made to it. What a name stands for is known only then, and may change in between.
 * Once filled, it may be asked by any number of threads.
 */
#ifndef WI_REACH_H
#define WI_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum { WI_REACH_WHY = 200 };

typedef struct wi_reach wi_reach;

/* An IPv4 address is the IPv6 one that stands for it, ::ffff:a.b.c.d. */
typedef struct wi_address {
    uint8_t bytes[16];
} wi_address;

typedef enum wi_reach_verdict {
    WI_REACH_NO,
    WI_REACH_YES,     /* as far as the name goes: its address is to be asked for all the same */
    WI_REACH_ADDRESS, /* only if the address is among those allowed */
} wi_reach_verdict;

weir_status wi_reach_new(wi_reach **out, weir_error *err);
void wi_reach_free(wi_reach *reach); /* NULL is fine */

/* Adds entries parted by commas. WEIR_INVALID says which is none, and why. */
weir_status wi_reach_allow(wi_reach *reach, const char *list, weir_error *err);
weir_status wi_reach_deny(wi_reach *reach, const char *list, weir_error *err);

/* Denies all addresses that are not of the public Internet, in all their spellings: what is behind
 * a firewall, on this machine, or in no one's hands. */
void wi_reach_deny_private(wi_reach *reach);

/* Does it deny by address? Then it can be kept only by who sees what is connected to. */
bool wi_reach_denies_addresses(const wi_reach *reach);

/*
 * The verdict on a host as it stands in a URL, a name or an address (IPv6 in brackets), in any
 * case, with or without a dot at its end. `why`, of WI_REACH_WHY bytes, is written for WI_REACH_NO:
 * printable, as long as `host` is.
 */
wi_reach_verdict wi_reach_host(const wi_reach *reach, const char *host, int port, char *why);

/* May this address be connected to, on behalf of a host with that verdict? */
bool wi_reach_address(const wi_reach *reach, const wi_address *address, int port,
                      wi_reach_verdict host, char *why);

/* Four bytes, or sixteen. */
wi_address wi_address_v4(const void *bytes);
wi_address wi_address_v6(const void *bytes);

#endif
