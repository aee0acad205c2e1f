/*
 * sweep.c: see sweep.h. Its invariant: nothing before or behind the given bytes is read, so memory
 * that ends at a page's end, or is watched by a sanitizer, is fine.
 */
#include "sweep.h"

#include <stdatomic.h>
#include <stdint.h>

#include "word.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static atomic_int limit = WI_SWEEP_AVX2;

static wi_sweep_level able(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx2") ? WI_SWEEP_AVX2 : WI_SWEEP_SSE2;
#else
    return WI_SWEEP_PLAIN;
#endif
}

wi_sweep_level wi_sweep_best(void)
{
    int most = atomic_load_explicit(&limit, memory_order_relaxed);
    wi_sweep_level best = able();
    return (int)best < most ? best : (wi_sweep_level)most;
}

void wi_sweep_limit(wi_sweep_level most)
{
    atomic_store(&limit, (int)most);
}

/* ---- line feeds ---- */

static size_t count_plain(const char *bytes, size_t len)
{
    size_t n = 0;
    size_t at = 0;
    for (; len - at >= 8; at += 8)
        n += (size_t)__builtin_popcountll(wi_word_equal(wi_word_load(bytes + at), '\n'));
    for (; at < len; at++)
        n += bytes[at] == '\n';
    return n;
}

#ifdef __x86_64__
enum { MOST_ROUNDS = 255 }; /* before a counter of eight bits overflows */

static size_t count_sse2(const char *bytes, size_t len)
{
    const __m128i feed = _mm_set1_epi8('\n');
    __m128i sums = _mm_setzero_si128();
    size_t at = 0;
    while (len - at >= 16) {
        __m128i counts = _mm_setzero_si128();
        for (int i = 0; i < MOST_ROUNDS && len - at >= 16; i++, at += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(bytes + at));
            counts = _mm_sub_epi8(counts, _mm_cmpeq_epi8(v, feed));
        }
        sums = _mm_add_epi64(sums, _mm_sad_epu8(counts, _mm_setzero_si128()));
    }
    uint64_t parts[2];
    _mm_storeu_si128((__m128i *)(void *)parts, sums);
    return parts[0] + parts[1] + count_plain(bytes + at, len - at);
}

__attribute__((target("avx2"))) static size_t count_avx2(const char *bytes, size_t len)
{
    const __m256i feed = _mm256_set1_epi8('\n');
    __m256i sums = _mm256_setzero_si256();
    size_t at = 0;
    while (len - at >= 32) {
        __m256i counts = _mm256_setzero_si256();
        for (int i = 0; i < MOST_ROUNDS && len - at >= 32; i++, at += 32) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + at));
            counts = _mm256_sub_epi8(counts, _mm256_cmpeq_epi8(v, feed));
        }
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
    }
    uint64_t parts[4];
    _mm256_storeu_si256((__m256i *)(void *)parts, sums);
    return parts[0] + parts[1] + parts[2] + parts[3] + count_plain(bytes + at, len - at);
}
#endif

size_t wi_count_newlines(const char *bytes, size_t len)
{
#ifdef __x86_64__
    switch (wi_sweep_best()) {
    case WI_SWEEP_AVX2:
        return count_avx2(bytes, len);
    case WI_SWEEP_SSE2:
        return count_sse2(bytes, len);
    default:
        break;
    }
#endif
    return count_plain(bytes, len);
}

/* ---- ASCII ---- */

static bool ascii_plain(const char *bytes, size_t len)
{
    uint64_t all = 0;
    size_t at = 0;
    for (; len - at >= 8; at += 8)
        all |= wi_word_load(bytes + at);
    for (; at < len; at++)
        all |= (unsigned char)bytes[at];
    return wi_word_high(all) == 0;
}

#ifdef __x86_64__
static bool ascii_sse2(const char *bytes, size_t len)
{
    __m128i all = _mm_setzero_si128();
    size_t at = 0;
    for (; len - at >= 16; at += 16)
        all = _mm_or_si128(all, _mm_loadu_si128((const __m128i *)(const void *)(bytes + at)));
    return _mm_movemask_epi8(all) == 0 && ascii_plain(bytes + at, len - at);
}

__attribute__((target("avx2"))) static bool ascii_avx2(const char *bytes, size_t len)
{
    __m256i all = _mm256_setzero_si256();
    size_t at = 0;
    for (; len - at >= 32; at += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + at));
        all = _mm256_or_si256(all, v);
    }
    return _mm256_movemask_epi8(all) == 0 && ascii_plain(bytes + at, len - at);
}
#endif

bool wi_is_ascii(const char *bytes, size_t len)
{
#ifdef __x86_64__
    switch (wi_sweep_best()) {
    case WI_SWEEP_AVX2:
        return ascii_avx2(bytes, len);
    case WI_SWEEP_SSE2:
        return ascii_sse2(bytes, len);
    default:
        break;
    }
#endif
    return ascii_plain(bytes, len);
}
