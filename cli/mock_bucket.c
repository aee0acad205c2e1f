/* mock_bucket.c: a token bucket. Its invariant: 0 <= tokens <= max(rate, 1). */
#include "mock_bucket.h"

static double size(const mock_bucket *bucket)
{
    return bucket->rate > 1 ? bucket->rate : 1;
}

void mock_bucket_init(mock_bucket *bucket, double rate, int64_t now)
{
    *bucket = (mock_bucket){.rate = rate, .filled_at = now};
    bucket->tokens = size(bucket);
}

int64_t mock_bucket_take(mock_bucket *bucket, int64_t now)
{
    if (bucket->rate <= 0)
        return 0;
    bucket->tokens += (double)(now - bucket->filled_at) * 1e-9 * bucket->rate;
    bucket->filled_at = now;
    if (bucket->tokens > size(bucket))
        bucket->tokens = size(bucket);
    if (bucket->tokens >= 1) {
        bucket->tokens -= 1;
        return 0;
    }
    double wait = (1 - bucket->tokens) / bucket->rate * 1e9;
    return wait < 1 ? 1 : wait < 9e18 ? (int64_t)wait : INT64_MAX;
}
