/*
 * rate_hint.h: what a server says of how many requests it still takes, and until when.
 *
 * Read from the header fields of one answer, of whichever family they are:
 *
 *   RateLimit: "default";r=50;t=30           with RateLimit-Policy: "default";q=100;w=60
 *                                            (draft-ietf-httpapi-ratelimit-headers-08 to -10)
 *   RateLimit: limit=100, remaining=50, reset=30                          (-06 and -07)
 *   RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset: 100; 50; 30    (up to -05)
 *   X-RateLimit-Limit, -Remaining, -Reset, -Reset-After and X-Rate-Limit-...
 *
 * A reset is in seconds from now, or a point in time in seconds or milliseconds since 1970: which
 * of them is told by its size. What is malformed is no hint. Several limits: the tightest counts.
 */
#ifndef WI_RATE_HINT_H
#define WI_RATE_HINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct wi_rate_hint {
    bool has_remaining;
    int64_t remaining;
    int64_t limit; /* 0: not told */
    int64_t reset; /* ns from now until `remaining` is renewed; 0: not told */
} wi_rate_hint;

/* Takes in a header field; others than those above change nothing. False: it is none of those. */
bool wi_rate_hint_header(wi_rate_hint *hint, const char *name, size_t name_len, const char *value,
                         size_t len, time_t wall_now);

/* Does it say how many, and until when? */
static inline bool wi_rate_hint_is_whole(const wi_rate_hint *hint)
{
    return hint->has_remaining && hint->reset > 0;
}

#endif
