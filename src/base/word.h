/*
 * word.h: looking at eight bytes at a time.
 *
 * A word holds eight bytes, the first one in its lowest bits on every machine. The tests give a
 * mask with the high bit of each byte that passes, exactly: so masks combine with | and can be
 * walked from the lowest bit up.
 */
#ifndef WI_WORD_H
#define WI_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WI_WORD_ONES 0x0101010101010101ULL
#define WI_WORD_HIGH 0x8080808080808080ULL

static inline uint64_t wi_word_load(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Bytes that are c. */
static inline uint64_t wi_word_equal(uint64_t word, unsigned char c)
{
    uint64_t x = word ^ (WI_WORD_ONES * c);
    return ~(((x & ~WI_WORD_HIGH) + ~WI_WORD_HIGH) | x) & WI_WORD_HIGH;
}

/* Bytes smaller than c, which is at most 0x80. */
static inline uint64_t wi_word_below(uint64_t word, unsigned char c)
{
    return ~(((word & ~WI_WORD_HIGH) + WI_WORD_ONES * (0x80U - c)) | word) & WI_WORD_HIGH;
}

/* Bytes from 0x80 on. */
static inline uint64_t wi_word_high(uint64_t word)
{
    return word & WI_WORD_HIGH;
}

/* The place of the first byte in a mask that is not 0. */
static inline size_t wi_word_first(uint64_t mask)
{
    return (size_t)__builtin_ctzll(mask) / 8;
}

#endif
