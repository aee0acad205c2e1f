/*
 * retry.h: which failures are worth another attempt, when, and how many in all.
 */
#ifndef WI_RETRY_H
#define WI_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "error.h"
#include "random.h"

/* A set of HTTP statuses (100 to 599) and of weir_status codes. */
typedef struct wi_retry_set {
    uint64_t http[8];
    uint64_t codes;
} wi_retry_set;

/*
 * Reads "500,502-504,5xx,timeout,connect,reset,resolve,tls,truncated,protocol" or "none", "all",
 * "default"; a word beginning with '-' takes away ("default,-429"). NULL or "" is the default:
 * 408, 425, 429, 500, 502, 503, 504, timeout, connect, reset, resolve, truncated.
 */
weir_status wi_retry_set_parse(const char *text, wi_retry_set *out, weir_error *err);

bool wi_retry_set_has_http(const wi_retry_set *set, int http_status);
bool wi_retry_set_has_code(const wi_retry_set *set, weir_status code);

/*
 * Exponential back-off with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015): uniform in [0, min(max, base * 2^(attempt-1))], attempt from 1.
 */
int64_t wi_retry_backoff(wi_random *random, int attempt, int64_t base, int64_t max);

/*
 * Retry-After (RFC 9110, section 10.2.3): seconds, or a date in any of the three HTTP forms
 * (section 5.6.7), as a delay in nanoseconds from wall_now. -1: absent, malformed, zero, in the
 * past, or anything else that is no hint. Digits beyond a year are a year.
 */
int64_t wi_retry_after(const char *value, size_t len, time_t wall_now);

/* What a Date header says; 0: nothing. The sender's own clock is the one by which the dates that it
 * names are meant, however far it is from ours. */
time_t wi_retry_date(const char *value, size_t len, time_t wall_now);

/*
 * A retry budget: at most `ratio` retries per item begun, beyond a reserve that small runs never
 * notice. Not thread-safe; the owner guards it.
 */
typedef struct wi_retry_budget {
    double ratio;
    double tokens;
    int64_t refused;
} wi_retry_budget;

void wi_retry_budget_init(wi_retry_budget *budget, double ratio, int64_t reserve);
void wi_retry_budget_deposit(wi_retry_budget *budget);  /* an item has begun */
bool wi_retry_budget_withdraw(wi_retry_budget *budget); /* false: refused, and counted */

#endif
