/* value.c: see value.h. Its invariant: equal decimals give the same double, however they are
 * written. */
#include "value.h"

#include <string.h>

#include "text.h"

/* ---- numbers ---- */

typedef struct decimal {
    bool negative;
    bool plain;      /* digits only */
    bool lost;       /* more digits than the mantissa holds */
    uint64_t digits; /* the mantissa, without zeros at its end */
    int exponent;
} decimal;

enum { MOST_EXPONENT = 5000 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A digit further; behind the point each one makes the exponent smaller. */
static void add_digit(decimal *d, char c, bool behind)
{
    if (d->digits > (UINT64_MAX - 9) / 10) {
        d->lost = true;
        d->exponent += !behind && d->exponent < MOST_EXPONENT;
        return;
    }
    d->digits = d->digits * 10 + (uint64_t)(c - '0');
    d->exponent -= behind && d->exponent > -MOST_EXPONENT;
}

static const char *read_exponent(decimal *d, const char *at, const char *end)
{
    int sum = 0;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || !is_digit(*at))
        return NULL;
    for (; at < end && is_digit(*at); at++)
        if (sum < 2 * MOST_EXPONENT)
            sum = sum * 10 + (*at - '0');
    d->exponent += negative ? -sum : sum;
    return at;
}

static bool read_decimal(const char *at, const char *end, decimal *d)
{
    bool any = false;
    *d = (decimal){.plain = true, .negative = at < end && *at == '-'};
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    for (; at < end && is_digit(*at); at++, any = true)
        add_digit(d, *at, false);
    if (at < end && *at == '.') {
        d->plain = false;
        for (at++; at < end && is_digit(*at); at++, any = true)
            add_digit(d, *at, true);
    }
    if (any && at < end && (*at == 'e' || *at == 'E')) {
        d->plain = false;
        at = read_exponent(d, at + 1, end);
    }
    return any && at == end;
}

/* Powers up to 27 are exact where a long double has 64 bits of mantissa or more. */
static double to_double(decimal d)
{
    long double power = 1;
    while (d.digits && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    long double value = (long double)d.digits;
    int left = d.exponent < 0 ? -d.exponent : d.exponent;
    for (long double square = 10; left && value != 0; left >>= 1, square *= square)
        if (left & 1)
            power *= square;
    value = d.exponent < 0 ? value / power : value * power;
    return (double)(d.negative ? -value : value);
}

bool wi_value_number(const char *bytes, size_t len, wi_value *value)
{
    const char *end = bytes + len;
    decimal d;
    while (bytes < end && is_space(*bytes))
        bytes++;
    while (end > bytes && is_space(end[-1]))
        end--;
    if (bytes == end || !read_decimal(bytes, end, &d))
        return false;
    uint64_t most = (uint64_t)INT64_MAX + d.negative;
    if (d.plain && !d.lost && d.digits <= most)
        *value =
            (wi_value){.kind = WI_WHOLE, .whole = (int64_t)(d.negative ? 0 - d.digits : d.digits)};
    else
        *value = (wi_value){.kind = WI_REAL, .real = to_double(d)};
    return true;
}

/* ---- comparing ---- */

static int sign(bool less, bool more)
{
    return (int)more - (int)less;
}

static bool compare_mixed(int64_t whole, double real, int *order)
{
    if (real != real)
        return false;
    if (real >= 0x1p63 || real < -0x1p63) {
        *order = real < 0 ? 1 : -1;
        return true;
    }
    int64_t cut = (int64_t)real;
    double rest = real - (double)cut;
    *order = whole != cut ? sign(whole<cut, whole> cut) : sign(rest > 0, rest < 0);
    return true;
}

static bool is_number(const wi_value *value)
{
    return value->kind == WI_WHOLE || value->kind == WI_REAL;
}

static bool compare_numbers(const wi_value *a, const wi_value *b, int *order)
{
    if (a->kind == WI_WHOLE && b->kind == WI_WHOLE) {
        *order = sign(a->whole<b->whole, a->whole> b->whole);
        return true;
    }
    if (a->kind == WI_WHOLE)
        return compare_mixed(a->whole, b->real, order);
    if (b->kind == WI_WHOLE) {
        bool ok = compare_mixed(b->whole, a->real, order);
        *order = ok ? -*order : 0;
        return ok;
    }
    *order = sign(a->real<b->real, a->real> b->real);
    return a->real == a->real && b->real == b->real;
}

static int compare_texts(const wi_value *a, const wi_value *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int order = len ? memcmp(a->bytes, b->bytes, len) : 0;
    return order ? sign(order<0, order> 0) : sign(a->len<b->len, a->len> b->len);
}

/* What a text means beside a value of this kind. */
static bool as_kind(const wi_value *text, wi_value_kind kind, wi_value *out)
{
    if (kind != WI_TRUTH)
        return wi_value_number(text->bytes, text->len, out);
    bool yes = wi_text_equal_nocase(text->bytes, text->len, "true");
    *out = (wi_value){.kind = WI_TRUTH, .truth = yes};
    return yes || wi_text_equal_nocase(text->bytes, text->len, "false");
}

bool wi_value_compare(const wi_value *a, const wi_value *b, int *order)
{
    wi_value meant;
    *order = 0;
    if (a->kind == WI_UNKNOWN || b->kind == WI_UNKNOWN)
        return false;
    if (a->kind == WI_TEXT && b->kind == WI_TEXT) {
        *order = compare_texts(a, b);
        return true;
    }
    if (a->kind == WI_TEXT)
        return as_kind(a, b->kind, &meant) && wi_value_compare(&meant, b, order);
    if (b->kind == WI_TEXT)
        return as_kind(b, a->kind, &meant) && wi_value_compare(a, &meant, order);
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b, order);
    *order = sign(a->truth<b->truth, a->truth> b->truth);
    return a->kind == b->kind;
}

wi_truth wi_value_truth(const wi_value *value)
{
    wi_value meant;
    switch (value->kind) {
    case WI_TRUTH:
        return value->truth ? WI_YES : WI_NO;
    case WI_WHOLE:
        return value->whole ? WI_YES : WI_NO;
    case WI_REAL:
        return value->real != value->real ? WI_MAYBE : value->real != 0 ? WI_YES : WI_NO;
    case WI_TEXT:
        if (as_kind(value, WI_TRUTH, &meant) || as_kind(value, WI_REAL, &meant))
            return wi_value_truth(&meant);
        return WI_MAYBE;
    default:
        return WI_MAYBE;
    }
}

/* ---- LIKE ---- */

static char lower(char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static size_t step(const char *text, size_t len, size_t at)
{
    size_t next = at + 1;
    if ((unsigned char)text[at] >= 0xC0)
        while (next < len && next < at + 4 && ((unsigned char)text[next] & 0xC0) == 0x80)
            next++;
    return next;
}

/* One turn back to the last % is enough: what it took grows, and never shrinks again. */
bool wi_value_like(const char *text, size_t len, const char *pattern, size_t pattern_len,
                   char escape, bool nocase)
{
    size_t t = 0;
    size_t p = 0;
    size_t star = SIZE_MAX;
    size_t star_t = 0;
    while (t < len) {
        bool open = p < pattern_len;
        bool escaped = open && escape && pattern[p] == escape && p + 1 < pattern_len;
        if (open && !escaped && pattern[p] == '%') {
            star = ++p;
            star_t = t;
        } else if (open && !escaped && pattern[p] == '_') {
            t = step(text, len, t);
            p++;
        } else if (open && lower(text[t], nocase) == lower(pattern[p + escaped], nocase)) {
            t++;
            p += 1 + (size_t)escaped;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern_len && pattern[p] == '%' && !(escape == '%' && p + 1 < pattern_len))
        p++;
    return p == pattern_len;
}
