/*
 * quota.h: what an origin's server says is left, and until when (rate_hint.h).
 *
 * Requests in flight may be counted already or not; they are taken not to be. When nothing is left,
 * nothing begins until the quota is renewed; and the last tenth is spread over the time that is
 * left rather than spent at once. Pure logic: the caller brings the time and a lock.
 */
#ifndef WI_QUOTA_H
#define WI_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "rate_hint.h"

typedef struct wi_quota {
    int64_t until; /* what follows holds until then; 0: nothing is known */
    int64_t left;
    int64_t limit;      /* 0: not known */
    int64_t period;     /* how long that is for, at least */
    int64_t renewed_at; /* as was to be expected: no answer has said so; 0: one has */
    int64_t next;       /* while it is spread: not before */
    int64_t longest;    /* that is waited for; 0: any time */
} wi_quota;

/* An answer said so; longest: how long nothing may begin for it, at most (0: any time). */
void wi_quota_hear(wi_quota *quota, int64_t now, const wi_rate_hint *hint, int64_t in_flight,
                   int64_t longest);

/* An answer to a request that began at `began` says nothing of it. */
void wi_quota_hear_nothing(wi_quota *quota, int64_t began);

/* May one begin? Else *again is when to ask again. */
bool wi_quota_may(wi_quota *quota, int64_t now, int64_t *again);
void wi_quota_take(wi_quota *quota, int64_t now);

/* Until when nothing begins; 0: it may. */
int64_t wi_quota_until(const wi_quota *quota, int64_t now);

#endif
