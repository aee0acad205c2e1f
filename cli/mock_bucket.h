/*
 * mock_bucket.h: a token bucket that holds one second's worth of requests. Pure arithmetic on the
 * times it is told; only the mock's thread may use it.
 */
#ifndef CLI_MOCK_BUCKET_H
#define CLI_MOCK_BUCKET_H

#include <stdint.h>

typedef struct mock_bucket {
    double rate;   /* per second; 0: no limit */
    double tokens; /* may be fractional */
    int64_t filled_at;
} mock_bucket;

void mock_bucket_init(mock_bucket *bucket, double rate, int64_t now);

/* 0: taken. Otherwise nothing is taken, and a token will be there after so many ns. */
int64_t mock_bucket_take(mock_bucket *bucket, int64_t now);

#endif
