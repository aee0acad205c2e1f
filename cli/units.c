/* units.c: numbers as people write and read them. Nothing here looks at the locale. */
#include "units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct unit {
    const char *name;
    double scale;
} unit;

static const unit time_units[] = {
    {"ns", 1},     {"us", 1e3},    {"ms", 1e6},   {"s", 1e9}, {"m", 60e9},
    {"h", 3600e9}, {"d", 86400e9}, {"min", 60e9}, {NULL, 0},
};

static const unit size_units[] = {
    {"B", 1},        {"K", 0x1p10},   {"KiB", 0x1p10}, {"KB", 1e3},     {"M", 0x1p20},
    {"MiB", 0x1p20}, {"MB", 1e6},     {"G", 0x1p30},   {"GiB", 0x1p30}, {"GB", 1e9},
    {"T", 0x1p40},   {"TiB", 0x1p40}, {"TB", 1e12},    {NULL, 0},
};

static const unit rate_units[] = {
    {"/s", 1}, {"/m", 60}, {"/h", 3600}, {"/d", 86400}, {NULL, 0},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with at most one point among them, a digit first; moves *text past them. */
static bool take_number(const char **text, double *value)
{
    const char *s = *text;
    if (!is_digit(*s))
        return false;
    double whole = 0, scale = 1;
    for (; is_digit(*s); s++)
        whole = whole * 10 + (*s - '0');
    if (*s == '.' && is_digit(s[1])) {
        for (s++; is_digit(*s); s++) {
            whole = whole * 10 + (*s - '0');
            scale *= 10;
        }
    }
    *value = whole / scale;
    *text = s;
    return isfinite(*value) && isfinite(scale);
}

/* The longest unit that stands at *text, case counting only where `fold` is not set. */
static const unit *take_unit(const char **text, const unit *units, bool fold)
{
    const unit *best = NULL;
    size_t best_len = 0;
    for (const unit *u = units; u->name; u++) {
        size_t len = strlen(u->name);
        bool same =
            fold ? strncasecmp(*text, u->name, len) == 0 : strncmp(*text, u->name, len) == 0;
        if (same && len > best_len) {
            best = u;
            best_len = len;
        }
    }
    *text += best_len;
    return best;
}

static bool to_int64(double value, int64_t *out)
{
    if (!(value < 0x1p63))
        return false;
    *out = (int64_t)(value + 0.5 < 0x1p63 ? value + 0.5 : value);
    return true;
}

bool units_parse_count(const char *text, int64_t *count)
{
    int64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (!is_digit(*text) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            return false;
    }
    *count = value;
    return true;
}

bool units_parse_duration(const char *text, int64_t *ns)
{
    double sum = 0, value;
    const char *s = text;
    do {
        if (!take_number(&s, &value))
            return false;
        if (!*s && sum == 0) { /* a bare number, and nothing before it */
            sum = value * 1e9;
            break;
        }
        const unit *u = take_unit(&s, time_units, false);
        if (!u)
            return false;
        sum += value * u->scale;
    } while (*s);
    return to_int64(sum, ns);
}

bool units_parse_size(const char *text, int64_t *bytes)
{
    double value;
    if (!take_number(&text, &value))
        return false;
    if (*text) {
        const unit *u = take_unit(&text, size_units, true);
        if (!u || *text)
            return false;
        value *= u->scale;
    }
    return to_int64(value, bytes);
}

bool units_parse_rate(const char *text, double *per_second)
{
    double value;
    if (!take_number(&text, &value))
        return false;
    if (*text) {
        const unit *u = take_unit(&text, rate_units, false);
        if (!u || *text)
            return false;
        value /= u->scale;
    }
    *per_second = value;
    return true;
}

bool units_parse_percent(const char *text, double *fraction)
{
    double value;
    if (!take_number(&text, &value) || value > 100)
        return false;
    if (strcmp(text, "%") != 0 && !(value == 0 && !*text))
        return false;
    *fraction = value / 100;
    return true;
}

const char *units_count(units_text *to, int64_t count)
{
    char digits[UNITS_SIZE];
    int len = snprintf(digits, sizeof digits, "%" PRId64, count);
    int sign = digits[0] == '-';
    size_t at = 0;
    for (int i = 0; i < len; i++) {
        if (i > sign && (len - i) % 3 == 0)
            to->text[at++] = ',';
        to->text[at++] = digits[i];
    }
    to->text[at] = '\0';
    return to->text;
}

/* Three significant digits or, past 100, one place: what a reader can take in. */
static const char *scaled(units_text *to, double value, const char *name)
{
    int places = value < 9.995 ? 2 : value < 1000 ? 1 : 0;
    snprintf(to->text, sizeof to->text, "%.*f %s", places, value, name);
    return to->text;
}

const char *units_time(units_text *to, int64_t ns)
{
    double v = (double)ns;
    if (v < 999.5)
        snprintf(to->text, sizeof to->text, "%.0f ns", v);
    else if (v < 999.5e3)
        snprintf(to->text, sizeof to->text, "%.0f us", v / 1e3);
    else if (v < 9.95e6)
        snprintf(to->text, sizeof to->text, "%.1f ms", v / 1e6);
    else if (v < 999.5e6)
        snprintf(to->text, sizeof to->text, "%.0f ms", v / 1e6);
    else if (v < 600e9)
        return scaled(to, v / 1e9, "s");
    else if (v < 7200e9)
        return scaled(to, v / 60e9, "min");
    else if (v < 2 * 86400e9)
        return scaled(to, v / 3600e9, "h");
    else
        return scaled(to, v / 86400e9, "days");
    return to->text;
}

const char *units_duration(units_text *to, int64_t ns)
{
    static const struct {
        const char *name;
        int64_t scale;
    } parts[] = {
        {"d", 86400 * UNITS_SEC},
        {"h", 3600 * UNITS_SEC},
        {"m", 60 * UNITS_SEC},
        {"s", UNITS_SEC},
        {"ms", UNITS_MS},
        {"us", UNITS_US},
        {"ns", 1},
    };
    size_t at = 0;
    snprintf(to->text, sizeof to->text, "0s");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && ns > 0; i++) {
        int64_t n = ns / parts[i].scale;
        ns %= parts[i].scale;
        if (n && at < sizeof to->text)
            at += (size_t)snprintf(to->text + at, sizeof to->text - at, "%" PRId64 "%s", n,
                                   parts[i].name);
    }
    return to->text;
}

const char *units_bytes(units_text *to, int64_t bytes)
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    size_t i = 0;
    for (; v >= 999.95 && i + 1 < sizeof names / sizeof names[0]; i++)
        v /= 1000;
    snprintf(to->text, sizeof to->text, "%.*f %s", i == 0 ? 0 : 1, v, names[i]);
    return to->text;
}

const char *units_size(units_text *to, int64_t bytes)
{
    static const char names[] = {'\0', 'K', 'M', 'G', 'T'};
    size_t i = 0;
    for (; bytes && bytes % 1024 == 0 && i + 1 < sizeof names; i++)
        bytes /= 1024;
    snprintf(to->text, sizeof to->text, "%" PRId64 "%.1s", bytes, &names[i]);
    return to->text;
}

static const char *trimmed(units_text *to, double value, const char *name)
{
    units_text whole;
    if (value >= 9.95 || fabs(value - round(value)) < 0.005)
        snprintf(to->text, sizeof to->text, "%s%s", units_count(&whole, llround(value)), name);
    else
        snprintf(to->text, sizeof to->text, "%.1f%s", value, name);
    return to->text;
}

const char *units_rate(units_text *to, double per_second)
{
    if (per_second >= 0.095 || per_second <= 0)
        return trimmed(to, per_second, "/s");
    if (per_second * 60 >= 0.995)
        return trimmed(to, per_second * 60, "/m");
    return trimmed(to, per_second * 3600, "/h");
}

const char *units_percent(units_text *to, double fraction)
{
    return trimmed(to, fraction * 100, "%");
}
