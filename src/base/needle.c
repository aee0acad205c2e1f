/*
 * needle.c: one text; see needle.h. Its invariant: a step looks at starts from which the whole text
 * would still fit, so no byte behind the end is read.
 */
#include "needle.h"

#include <string.h>

#include "text.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* The commonest first, as they are met in logs, sources and prose. */
static const char common[] = " e0ta1on2irs3-l.4d5:c68um7\n9p/,gf\"_hbyv=wT[](kExSA;CIR)N<>M\t"
                             "LODPF{}BjG+|&'#HUWVq%*z\\YX?@K$J!ZQ~^`";

unsigned wi_byte_rank(unsigned char byte)
{
    const char *at = byte ? strchr(common, byte) : NULL;
    if (at)
        return 255 - (unsigned)(at - common);
    return byte >= 0x80 ? 120 : byte ? 10 : 60; /* where they occur at all they come in masses */
}

static unsigned rank_of(const wi_needle *needle, size_t at)
{
    unsigned char byte = (unsigned char)needle->bytes[at];
    unsigned rank = wi_byte_rank(byte);
    if (needle->nocase && byte >= 'a' && byte <= 'z') {
        unsigned other = wi_byte_rank((unsigned char)(byte - 32));
        rank = (other > rank ? other : rank) + 4;
    }
    return rank;
}

static void take(wi_needle *needle, int i, size_t at)
{
    unsigned char byte = (unsigned char)needle->bytes[at];
    needle->at[i] = at;
    needle->byte[i] = byte;
    needle->fold[i] = needle->nocase && byte >= 'a' && byte <= 'z' ? 0x20 : 0;
}

void wi_needle_init(wi_needle *needle, const char *bytes, size_t len, bool nocase)
{
    size_t first = 0;
    size_t second = 0;
    *needle = (wi_needle){.bytes = bytes, .len = len, .nocase = nocase, .level = wi_sweep_best()};
    if (len == 0)
        return;
    for (size_t i = 1; i < len; i++)
        if (rank_of(needle, i) < rank_of(needle, first))
            first = i;
    second = first ? 0 : len - 1;
    for (size_t i = 0; i < len; i++)
        if (i != first && bytes[i] != bytes[first] && rank_of(needle, i) < rank_of(needle, second))
            second = i;
    take(needle, 0, first < second ? first : second);
    take(needle, 1, first < second ? second : first);
}

static inline bool same(const wi_needle *needle, const char *bytes)
{
    return needle->nocase ? wi_text_same_nocase(bytes, needle->bytes, needle->len)
                          : memcmp(bytes, needle->bytes, needle->len) == 0;
}

bool wi_needle_is_at(const wi_needle *needle, const char *bytes, size_t len)
{
    return len >= needle->len && same(needle, bytes);
}

/* From the start p to the start last, both of which are possible. */
static const char *find_plain(const wi_needle *needle, const char *p, const char *last)
{
    if (needle->fold[0]) {
        for (; p <= last; p++)
            if (((unsigned char)p[needle->at[0]] | needle->fold[0]) == needle->byte[0] &&
                same(needle, p))
                return p;
        return NULL;
    }
    size_t at = needle->at[0];
    while (p <= last && (p = memchr(p + at, needle->byte[0], (size_t)(last - p) + 1)) != NULL) {
        p -= at;
        if (same(needle, p))
            return p;
        p++;
    }
    return NULL;
}

/* The first of the starts in the mask, counted from p, at which the text is; -1: none. */
static inline int verify(const wi_needle *needle, const char *p, uint32_t mask)
{
    for (; mask; mask &= mask - 1) {
        int start = __builtin_ctz(mask);
        if (same(needle, p + start))
            return start;
    }
    return -1;
}

#ifdef __x86_64__
static inline uint32_t step_sse2(const wi_needle *needle, const char *p)
{
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(p + needle->at[0]));
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + needle->at[1]));
    a = _mm_or_si128(a, _mm_set1_epi8((char)needle->fold[0]));
    b = _mm_or_si128(b, _mm_set1_epi8((char)needle->fold[1]));
    a = _mm_cmpeq_epi8(a, _mm_set1_epi8((char)needle->byte[0]));
    b = _mm_cmpeq_epi8(b, _mm_set1_epi8((char)needle->byte[1]));
    return (uint32_t)_mm_movemask_epi8(_mm_and_si128(a, b));
}

static const char *find_sse2(const wi_needle *needle, const char *p, const char *last)
{
    for (; last - p >= 15; p += 16) {
        uint32_t mask = step_sse2(needle, p);
        int found = mask ? verify(needle, p, mask) : -1;
        if (found >= 0)
            return p + found;
    }
    return p <= last ? find_plain(needle, p, last) : NULL;
}

__attribute__((target("avx2"))) static const char *find_avx2(const wi_needle *needle, const char *p,
                                                             const char *last)
{
    const __m256i first = _mm256_set1_epi8((char)needle->byte[0]);
    const __m256i second = _mm256_set1_epi8((char)needle->byte[1]);
    const __m256i fold_first = _mm256_set1_epi8((char)needle->fold[0]);
    const __m256i fold_second = _mm256_set1_epi8((char)needle->fold[1]);
    size_t at = needle->at[0];
    size_t then = needle->at[1];
    for (; last - p >= 31; p += 32) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(p + at));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + then));
        a = _mm256_cmpeq_epi8(_mm256_or_si256(a, fold_first), first);
        b = _mm256_cmpeq_epi8(_mm256_or_si256(b, fold_second), second);
        uint32_t mask = (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(a, b));
        int found = mask ? verify(needle, p, mask) : -1;
        if (found >= 0)
            return p + found;
    }
    return p <= last ? find_sse2(needle, p, last) : NULL;
}
#endif

const char *wi_needle_find(const wi_needle *needle, const char *bytes, size_t len)
{
    if (needle->len == 0)
        return bytes;
    if (len < needle->len)
        return NULL;
    if (needle->len == 1 && !needle->fold[0])
        return memchr(bytes, needle->byte[0], len);
    const char *last = bytes + (len - needle->len);
#ifdef __x86_64__
    if (needle->level == WI_SWEEP_AVX2)
        return find_avx2(needle, bytes, last);
    if (needle->level == WI_SWEEP_SSE2)
        return find_sse2(needle, bytes, last);
#endif
    return find_plain(needle, bytes, last);
}
