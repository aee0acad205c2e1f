/*
 * needle.h: finding one text, or the first of several, in much memory.
 *
 * One text is looked for by the two of its bytes that are rarest in logs, sources and prose;
 * several by a few bytes of their beginnings, all at once. Where the processor has vectors, 16 or
 * 32 places are looked at in a step. What was made is not changed by searching: threads may share
 * it.
 */
#ifndef WI_NEEDLE_H
#define WI_NEEDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sweep.h"

/* How common a byte is, from 0 (rare) to 255. */
unsigned wi_byte_rank(unsigned char byte);

/* ---- one ---- */

typedef struct wi_needle {
    const char *bytes; /* borrowed */
    size_t len;
    bool nocase;
    size_t at[2]; /* where in the text its two rare bytes are; at[0] <= at[1] */
    unsigned char byte[2];
    unsigned char fold[2]; /* is set in a byte before it is compared */
    wi_sweep_level level;
} wi_needle;

/* nocase: ASCII letters are found in either case; the bytes must then hold no capital ones. */
void wi_needle_init(wi_needle *needle, const char *bytes, size_t len, bool nocase);

/* Its first place, or NULL. An empty needle is found at once. */
const char *wi_needle_find(const wi_needle *needle, const char *bytes, size_t len);

/* Is it here, at the beginning of these bytes? */
bool wi_needle_is_at(const wi_needle *needle, const char *bytes, size_t len);

/* ---- several ---- */

typedef struct wi_needles wi_needles;

typedef struct wi_needle_text {
    const char *bytes;
    size_t len;
} wi_needle_text;

/* Copies the texts, of which there is at least one; NULL: no memory. */
wi_needles *wi_needles_new(const wi_needle_text *texts, size_t n, bool nocase);
void wi_needles_free(wi_needles *needles); /* NULL is fine */

/* The first place of any of them, or NULL. */
const char *wi_needles_find(const wi_needles *needles, const char *bytes, size_t len);

/* Of those that are at the beginning of these bytes, the first that was given: its number, or -1.
 */
int64_t wi_needles_at(const wi_needles *needles, const char *bytes, size_t len);

size_t wi_needles_len(const wi_needles *needles, size_t number);

#endif
