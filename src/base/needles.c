/*
 * needles.c: several texts at once; see needle.h. The texts are dealt into eight buckets. For each
 * of the first bytes of a text, two tables of 16 entries, by the byte's low and its high half, say
 * which buckets have a text with that half there; a place where some bucket is left over after all
 * of them is looked at closely. With vectors, a table is one shuffle for 32 places. Without them,
 * or with more texts than eight buckets can tell apart, a hash of those first bytes does the same.
 *
 * Its invariant: as in needle.c, only starts from which the shortest text would fit are looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "needle.h"
#include "text.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
    BUCKETS = 8,
    MOST_PRINT = 3, /* bytes of a text's beginning that vectors look at */
    MOST_BUCKETED = 64,
    HASH_PRINT = 4,
    HASH_BITS = 16,
    NONE = UINT32_MAX,
};

typedef struct text {
    const char *bytes;
    size_t len;
    uint32_t next; /* of the same hash, in the order given */
} text;

struct wi_needles {
    size_t n;
    bool nocase;
    bool bucketed;
    size_t shortest;
    size_t print;
    uint8_t low[MOST_PRINT][16];
    uint8_t high[MOST_PRINT][16];
    uint32_t bucket[BUCKETS + 1]; /* where each begins in order */
    uint32_t *order;
    wi_needle single; /* of one */
    uint64_t maybe[(1 << HASH_BITS) / 64];
    uint32_t *heads; /* by hash; only if not bucketed */
    text texts[];
};

static inline unsigned char low_case(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static inline bool starts(const wi_needles *needles, const text *t, const char *at, size_t left)
{
    if (t->len > left)
        return false;
    return needles->nocase ? wi_text_same_nocase(at, t->bytes, t->len)
                           : memcmp(at, t->bytes, t->len) == 0;
}

/* ---- making ---- */

/* Over-approximates where case doesn't count: bytes that fold alike may be different. */
static inline uint32_t hash_of(const wi_needles *needles, const char *at)
{
    uint32_t word = 0;
    switch (needles->print) {
    case 4:
        memcpy(&word, at, 4);
        break;
    case 3:
        word = (unsigned char)at[2];
        /* fall through */
    case 2:
        word = word << 8 | (unsigned char)at[1];
        /* fall through */
    default:
        word = word << 8 | (unsigned char)at[0];
    }
    if (needles->nocase)
        word |= 0x20202020U;
    return (word * 0x9E3779B1U) >> (32 - HASH_BITS);
}

static bool fill_hash(wi_needles *needles)
{
    needles->print = needles->shortest < HASH_PRINT ? needles->shortest : HASH_PRINT;
    needles->heads = malloc(sizeof *needles->heads << HASH_BITS);
    if (!needles->heads)
        return false;
    memset(needles->heads, 0xff, sizeof *needles->heads << HASH_BITS);
    for (size_t i = needles->n; i-- > 0;) { /* so that a chain is in the order given */
        uint32_t hash = hash_of(needles, needles->texts[i].bytes);
        needles->texts[i].next = needles->heads[hash];
        needles->heads[hash] = (uint32_t)i;
        needles->maybe[hash / 64] |= 1ULL << hash % 64;
    }
    return true;
}

static void mark(wi_needles *needles, size_t k, unsigned char byte, unsigned bit)
{
    needles->low[k][byte & 15] |= (uint8_t)bit;
    needles->high[k][byte >> 4] |= (uint8_t)bit;
}

static int by_beginning(const void *a, const void *b, void *arg)
{
    const wi_needles *needles = arg;
    const text *x = &needles->texts[*(const uint32_t *)a];
    const text *y = &needles->texts[*(const uint32_t *)b];
    int order = memcmp(x->bytes, y->bytes, needles->print);
    return order ? order : (x > y) - (x < y);
}

/* Texts that begin alike share a bucket, so that the tables stay sparse. */
static bool fill_buckets(wi_needles *needles)
{
    needles->print = needles->shortest < MOST_PRINT ? needles->shortest : MOST_PRINT;
    needles->order = malloc(needles->n * sizeof *needles->order);
    if (!needles->order)
        return false;
    for (size_t i = 0; i < needles->n; i++)
        needles->order[i] = (uint32_t)i;
    qsort_r(needles->order, needles->n, sizeof *needles->order, by_beginning, needles);
    for (size_t b = 0; b <= BUCKETS; b++)
        needles->bucket[b] = (uint32_t)(needles->n * b / BUCKETS);
    for (unsigned b = 0; b < BUCKETS; b++) {
        for (uint32_t i = needles->bucket[b]; i < needles->bucket[b + 1]; i++) {
            const text *t = &needles->texts[needles->order[i]];
            for (size_t k = 0; k < needles->print; k++) {
                unsigned char byte = (unsigned char)t->bytes[k];
                mark(needles, k, byte, 1U << b);
                if (needles->nocase && byte >= 'a' && byte <= 'z')
                    mark(needles, k, byte - 32, 1U << b);
            }
        }
    }
    return true;
}

wi_needles *wi_needles_new(const wi_needle_text *texts, size_t n, bool nocase)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += texts[i].len;
    wi_needles *needles = calloc(1, sizeof *needles + n * sizeof *needles->texts + total);
    if (!needles)
        return NULL;
    needles->n = n;
    needles->nocase = nocase;
    needles->shortest = texts[0].len;
    char *bytes = (char *)(needles->texts + n);
    for (size_t i = 0; i < n; i++) {
        needles->texts[i] = (text){bytes, texts[i].len, NONE};
        for (size_t k = 0; k < texts[i].len; k++)
            *bytes++ =
                nocase ? (char)low_case((unsigned char)texts[i].bytes[k]) : texts[i].bytes[k];
        if (texts[i].len < needles->shortest)
            needles->shortest = texts[i].len;
    }
    wi_needle_init(&needles->single, needles->texts[0].bytes, texts[0].len, nocase);
    needles->bucketed = n <= MOST_BUCKETED && wi_sweep_best() == WI_SWEEP_AVX2;
    bool ok = n == 1 || needles->shortest == 0 ||
              (needles->bucketed ? fill_buckets(needles) : fill_hash(needles));
    if (!ok) {
        wi_needles_free(needles);
        return NULL;
    }
    return needles;
}

void wi_needles_free(wi_needles *needles)
{
    if (!needles)
        return;
    free(needles->order);
    free(needles->heads);
    free(needles);
}

size_t wi_needles_len(const wi_needles *needles, size_t number)
{
    return needles->texts[number].len;
}

/* ---- finding ---- */

static const char *find_hashed(const wi_needles *needles, const char *p, const char *end)
{
    for (const char *last = end - needles->shortest; p <= last; p++) {
        uint32_t hash = hash_of(needles, p);
        if (!(needles->maybe[hash / 64] >> hash % 64 & 1))
            continue;
        for (uint32_t i = needles->heads[hash]; i != NONE; i = needles->texts[i].next)
            if (starts(needles, &needles->texts[i], p, (size_t)(end - p)))
                return p;
    }
    return NULL;
}

static bool any_of(const wi_needles *needles, unsigned buckets, const char *p, const char *end)
{
    for (; buckets; buckets &= buckets - 1) {
        unsigned b = (unsigned)__builtin_ctz(buckets);
        for (uint32_t i = needles->bucket[b]; i < needles->bucket[b + 1]; i++)
            if (starts(needles, &needles->texts[needles->order[i]], p, (size_t)(end - p)))
                return true;
    }
    return false;
}

static unsigned buckets_at(const wi_needles *needles, const char *p)
{
    unsigned left = (1U << BUCKETS) - 1;
    for (size_t k = 0; k < needles->print; k++) {
        unsigned char byte = (unsigned char)p[k];
        left &= (unsigned)needles->low[k][byte & 15] & needles->high[k][byte >> 4];
    }
    return left;
}

static const char *find_bucketed(const wi_needles *needles, const char *p, const char *end)
{
    for (const char *last = end - needles->shortest; p <= last; p++) {
        unsigned buckets = buckets_at(needles, p);
        if (buckets && any_of(needles, buckets, p, end))
            return p;
    }
    return NULL;
}

#ifdef __x86_64__
/* What is left of the buckets for 32 starts from p on. */
__attribute__((target("avx2"))) static inline __m256i
sift(const __m256i low[MOST_PRINT], const __m256i high[MOST_PRINT], size_t print, const char *p)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i left = _mm256_set1_epi8(-1);
    for (size_t k = 0; k < print; k++) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + k));
        __m256i by_low = _mm256_shuffle_epi8(low[k], _mm256_and_si256(v, half));
        __m256i by_high =
            _mm256_shuffle_epi8(high[k], _mm256_and_si256(_mm256_srli_epi16(v, 4), half));
        left = _mm256_and_si256(left, _mm256_and_si256(by_low, by_high));
    }
    return left;
}

__attribute__((target("avx2"))) static const char *
verify(const wi_needles *needles, __m256i left, uint32_t mask, const char *p, const char *end)
{
    uint8_t buckets[32];
    _mm256_storeu_si256((__m256i *)(void *)buckets, left);
    for (; mask; mask &= mask - 1) {
        unsigned i = (unsigned)__builtin_ctz(mask);
        if (any_of(needles, buckets[i], p + i, end))
            return p + i;
    }
    return NULL;
}

__attribute__((target("avx2"))) static inline const char *
find_vectors(const wi_needles *needles, size_t print, const char *p, const char *end)
{
    const char *last = end - needles->shortest;
    __m256i low[MOST_PRINT];
    __m256i high[MOST_PRINT];
    for (size_t k = 0; k < print; k++) {
        low[k] = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)needles->low[k]));
        high[k] = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)needles->high[k]));
    }
    for (; last - p >= 31; p += 32) {
        __m256i left = sift(low, high, print, p);
        __m256i none = _mm256_cmpeq_epi8(left, _mm256_setzero_si256());
        uint32_t mask = ~(uint32_t)_mm256_movemask_epi8(none);
        const char *found = mask ? verify(needles, left, mask, p, end) : NULL;
        if (found)
            return found;
    }
    return find_bucketed(needles, p, end);
}

/* With the number of bytes known, the tables stay in registers. */
__attribute__((target("avx2"))) static const char *find_avx2(const wi_needles *needles,
                                                             const char *p, const char *end)
{
    switch (needles->print) {
    case 3:
        return find_vectors(needles, 3, p, end);
    case 2:
        return find_vectors(needles, 2, p, end);
    default:
        return find_vectors(needles, 1, p, end);
    }
}
#endif

const char *wi_needles_find(const wi_needles *needles, const char *bytes, size_t len)
{
    if (needles->shortest == 0)
        return bytes;
    if (needles->n == 1)
        return wi_needle_find(&needles->single, bytes, len);
    if (len < needles->shortest)
        return NULL;
    if (!needles->bucketed)
        return find_hashed(needles, bytes, bytes + len);
#ifdef __x86_64__
    return find_avx2(needles, bytes, bytes + len);
#else
    return find_bucketed(needles, bytes, bytes + len);
#endif
}

int64_t wi_needles_at(const wi_needles *needles, const char *bytes, size_t len)
{
    if (needles->heads) {
        if (len < needles->shortest)
            return -1;
        uint32_t i = needles->heads[hash_of(needles, bytes)];
        while (i != NONE && !starts(needles, &needles->texts[i], bytes, len))
            i = needles->texts[i].next;
        return i == NONE ? -1 : (int64_t)i;
    }
    for (size_t i = 0; i < needles->n; i++)
        if (starts(needles, &needles->texts[i], bytes, len))
            return (int64_t)i;
    return -1;
}
