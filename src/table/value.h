/*
 * value.h: what an expression computes with: null, truth, numbers and texts, and how they compare.
 */
#ifndef WI_VALUE_H
#define WI_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum wi_value_kind { WI_UNKNOWN = 0, WI_TRUTH, WI_WHOLE, WI_REAL, WI_TEXT } wi_value_kind;

typedef struct wi_value {
    wi_value_kind kind;
    bool truth;
    int64_t whole;
    double real;
    const char *bytes;
    size_t len;
} wi_value;

typedef enum wi_truth { WI_NO = 0, WI_YES, WI_MAYBE } wi_truth;

/* The number that the whole text is, in digits, with a point and an exponent if it likes; white
 * space around it is fine. Whole if it is written so and fits; else the nearest double, or near it.
 */
bool wi_value_number(const char *bytes, size_t len, wi_value *value);

/* -1, 0 or 1; false: they don't compare. */
bool wi_value_compare(const wi_value *a, const wi_value *b, int *order);

/* As a condition. */
wi_truth wi_value_truth(const wi_value *value);

/* SQL's LIKE: % is any text, _ one character; after `escape` (0: there is none) either is itself.
 * nocase: in ASCII. */
bool wi_value_like(const char *text, size_t len, const char *pattern, size_t pattern_len,
                   char escape, bool nocase);

#endif
