/*
 * owners.h: what users and groups are called. Asking the system takes microseconds, or a round trip
 * to a directory server, so names that were asked for are kept; one thread uses it.
 */
#ifndef WI_OWNERS_H
#define WI_OWNERS_H

#include <stdint.h>

enum { WI_OWNERS_KEPT = 64, WI_OWNER_SIZE = 64 };

typedef struct wi_owner {
    uint32_t id;
    char name[WI_OWNER_SIZE]; /* "": this place is free */
} wi_owner;

typedef struct wi_owners {
    wi_owner users[WI_OWNERS_KEPT];
    wi_owner groups[WI_OWNERS_KEPT];
} wi_owners;

#define WI_OWNERS_INIT \
    {                  \
        0              \
    }

/* The name, or the number in digits where there is none (or none of a sane length). Valid until the
 * next call. */
const char *wi_owners_user(wi_owners *owners, uint32_t id);
const char *wi_owners_group(wi_owners *owners, uint32_t id);

#endif
