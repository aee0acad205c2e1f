/*
 * retry.c: see retry.h. Its invariant: nothing a server sends makes a delay that is negative or
 * longer than a year, whatever the locale and the time zone.
 */
#include "retry.h"

#include <string.h>

#include "clock.h"
#include "text.h"

enum { MAX_SECONDS = 365 * 24 * 3600 };

/* Sets of statuses and codes. */

static const struct word {
    const char *name;
    weir_status code;
} words[] = {
    {"timeout", WEIR_TIMEDOUT},  {"connect", WEIR_CONNECT}, {"reset", WEIR_RESET},
    {"resolve", WEIR_RESOLVE},   {"tls", WEIR_TLS},         {"truncated", WEIR_TRUNCATED},
    {"protocol", WEIR_PROTOCOL},
};

enum { WORDS = sizeof words / sizeof words[0], HTTP_MIN = 100, HTTP_MAX = 599 };

static const char default_set[] = "408,425,429,500,502-504,timeout,connect,reset,resolve,truncated";

static void change_http(wi_retry_set *set, int from, int to, bool add)
{
    for (int bit = from - HTTP_MIN; bit <= to - HTTP_MIN; bit++) {
        uint64_t mask = 1ULL << (bit % 64);
        set->http[bit / 64] = add ? set->http[bit / 64] | mask : set->http[bit / 64] & ~mask;
    }
}

static void change_code(wi_retry_set *set, weir_status code, bool add)
{
    uint64_t mask = 1ULL << code;
    set->codes = add ? set->codes | mask : set->codes & ~mask;
}

static void change_all(wi_retry_set *set, const wi_retry_set *by, bool add)
{
    for (int i = 0; i < 8; i++)
        set->http[i] = add ? set->http[i] | by->http[i] : set->http[i] & ~by->http[i];
    set->codes = add ? set->codes | by->codes : set->codes & ~by->codes;
}

/* "503", "502-504" or "5xx" */
static bool read_statuses(const char *word, size_t len, int64_t *from, int64_t *to)
{
    if (len == 3 && word[0] >= '1' && word[0] <= '5' && wi_text_equal_nocase(word + 1, 2, "xx")) {
        *from = (word[0] - '0') * 100;
        *to = *from + 99;
        return true;
    }
    return wi_text_parse_range(word, len, HTTP_MIN, HTTP_MAX, from, to);
}

static bool change_word(wi_retry_set *set, const char *word, size_t len, bool add)
{
    int64_t from, to;
    if (wi_text_equal_nocase(word, len, "none")) {
        *set = (wi_retry_set){0};
        return add;
    }
    if (wi_text_equal_nocase(word, len, "default")) {
        wi_retry_set by;
        wi_retry_set_parse(NULL, &by, NULL);
        change_all(set, &by, add);
        return true;
    }
    bool all = wi_text_equal_nocase(word, len, "all");
    bool found = all;
    for (size_t i = 0; i < WORDS; i++) {
        if (all || wi_text_equal_nocase(word, len, words[i].name)) {
            change_code(set, words[i].code, add);
            found = true;
        }
    }
    if (all) /* of what is a failure */
        change_http(set, 300, HTTP_MAX, add);
    else if (!found && (found = read_statuses(word, len, &from, &to)))
        change_http(set, (int)from, (int)to, add);
    return found;
}

weir_status wi_retry_set_parse(const char *text, wi_retry_set *out, weir_error *err)
{
    if (!text || !*text)
        text = default_set;
    wi_retry_set set = {0};
    for (const char *at = text;;) {
        size_t len = strcspn(at, ",");
        const char *next = at + len;
        for (; len && *at == ' '; len--)
            at++;
        while (len && at[len - 1] == ' ')
            len--;
        bool minus = len && *at == '-';
        if (!change_word(&set, at + minus, len - minus, !minus))
            return wi_fail(err, WEIR_INVALID,
                           "--retry-on: \"%.*s\" is neither a status (429), a range (502-504), a "
                           "class (5xx), none, all, default, nor one of timeout, connect, reset, "
                           "resolve, tls, truncated, protocol",
                           (int)(len < 60 ? len : 60), at);
        if (!*next)
            break;
        at = next + 1;
    }
    *out = set;
    return WEIR_OK;
}

bool wi_retry_set_has_http(const wi_retry_set *set, int http_status)
{
    if (http_status < HTTP_MIN || http_status > HTTP_MAX)
        return false;
    int bit = http_status - HTTP_MIN;
    return set->http[bit / 64] >> (bit % 64) & 1;
}

bool wi_retry_set_has_code(const wi_retry_set *set, weir_status code)
{
    return (unsigned)code < 64 && (set->codes >> code & 1);
}

int64_t wi_retry_backoff(wi_random *random, int attempt, int64_t base, int64_t max)
{
    if (base <= 0 || max <= 0)
        return 0;
    int doublings = attempt > 1 ? attempt - 1 : 0;
    int64_t bound = doublings > 62 || base > max >> doublings ? max : base << doublings;
    return wi_random_below(random, bound < INT64_MAX ? bound + 1 : bound);
}

/* Retry-After. A date is read field by field; any byte out of place makes it no date. */

typedef struct cursor {
    const char *at;
    const char *end;
    bool bad;
} cursor;

static void skip(cursor *c, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0)
        c->bad = true;
    else
        c->at += n;
}

/* Exactly n digits, the first of them a space if it may be ("Nov  6"). */
static int digits(cursor *c, int n, bool space_first)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        char d = c->at < c->end ? *c->at++ : 'x';
        if (space_first && i == 0 && d == ' ')
            continue;
        if (d < '0' || d > '9')
            c->bad = true;
        else
            value = value * 10 + (d - '0');
    }
    return value;
}

static void read_month(cursor *c, struct tm *tm)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12 && c->end - c->at >= 3; i++) {
        if (memcmp(c->at, months + 3 * i, 3) == 0) {
            tm->tm_mon = i;
            c->at += 3;
            return;
        }
    }
    c->bad = true;
}

static void read_time(cursor *c, struct tm *tm)
{
    tm->tm_hour = digits(c, 2, false);
    skip(c, ":");
    tm->tm_min = digits(c, 2, false);
    skip(c, ":");
    tm->tm_sec = digits(c, 2, false);
}

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* The day's name tells nothing but the form: written out, it is RFC 850's. */
static bool read_day(cursor *c, bool *full)
{
    size_t left = (size_t)(c->end - c->at);
    for (int i = 0; i < 7; i++) {
        size_t n = strlen(days[i]);
        if (left < 3 || memcmp(c->at, days[i], 3) != 0)
            continue;
        *full = left >= n && memcmp(c->at, days[i], n) == 0;
        c->at += *full ? n : 3;
        return true;
    }
    return false;
}

/* The year with these last two digits that is at most 50 years ahead and less than 50 ago. */
static int full_year(int two, time_t wall_now)
{
    struct tm now;
    if (!gmtime_r(&wall_now, &now))
        return 1970;
    int this_year = now.tm_year + 1900;
    int year = this_year / 100 * 100 + two;
    if (year > this_year + 50)
        return year - 100;
    return year <= this_year - 50 ? year + 100 : year;
}

/* Sun, 06 Nov 1994 08:49:37 GMT, from the comma on */
static void read_imf_fixdate(cursor *c, struct tm *tm)
{
    skip(c, ", ");
    tm->tm_mday = digits(c, 2, false);
    skip(c, " ");
    read_month(c, tm);
    skip(c, " ");
    tm->tm_year = digits(c, 4, false) - 1900;
    skip(c, " ");
    read_time(c, tm);
    skip(c, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT, from the comma on */
static void read_rfc850(cursor *c, struct tm *tm, time_t wall_now)
{
    skip(c, ", ");
    tm->tm_mday = digits(c, 2, false);
    skip(c, "-");
    read_month(c, tm);
    skip(c, "-");
    tm->tm_year = full_year(digits(c, 2, false), wall_now) - 1900;
    skip(c, " ");
    read_time(c, tm);
    skip(c, " GMT");
}

/* Sun Nov  6 08:49:37 1994, from the space on */
static void read_asctime(cursor *c, struct tm *tm)
{
    skip(c, " ");
    read_month(c, tm);
    skip(c, " ");
    tm->tm_mday = digits(c, 2, true);
    skip(c, " ");
    read_time(c, tm);
    skip(c, " ");
    tm->tm_year = digits(c, 4, false) - 1900;
}

/* UTC seconds of a date; false if there is no such day or time. */
static bool to_seconds(const struct tm *date, time_t *out)
{
    if (date->tm_hour > 23 || date->tm_min > 59 || date->tm_sec > 60)
        return false;
    struct tm midnight = {
        .tm_year = date->tm_year, .tm_mon = date->tm_mon, .tm_mday = date->tm_mday};
    time_t seconds = timegm(&midnight); /* which makes 3 March of 31 February */
    if (midnight.tm_mday != date->tm_mday)
        return false;
    *out = seconds + date->tm_hour * 3600 + date->tm_min * 60 + date->tm_sec;
    return true;
}

static bool read_date(const char *value, size_t len, time_t wall_now, time_t *out)
{
    cursor c = {.at = value, .end = value + len};
    struct tm date = {0};
    bool full;
    if (!read_day(&c, &full))
        return false;
    if (full)
        read_rfc850(&c, &date, wall_now);
    else if (c.at < c.end && *c.at == ',')
        read_imf_fixdate(&c, &date);
    else
        read_asctime(&c, &date);
    return !c.bad && c.at == c.end && to_seconds(&date, out);
}

time_t wi_retry_date(const char *value, size_t len, time_t wall_now)
{
    time_t date;
    return read_date(value, len, wall_now, &date) && date > 0 ? date : 0;
}

static bool all_digits(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (value[i] < '0' || value[i] > '9')
            return false;
    return len > 0;
}

int64_t wi_retry_after(const char *value, size_t len, time_t wall_now)
{
    while (len && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    int64_t seconds = MAX_SECONDS;
    time_t then;
    if (all_digits(value, len)) {
        if (!wi_text_parse_i64(value, len, &seconds))
            seconds = MAX_SECONDS;
    } else {
        if (!len || !read_date(value, len, wall_now, &then) || then <= wall_now)
            return -1;
        if (__builtin_sub_overflow(then, wall_now, &seconds))
            seconds = MAX_SECONDS;
    }
    if (seconds <= 0)
        return -1;
    return (seconds < MAX_SECONDS ? seconds : MAX_SECONDS) * WI_SECOND;
}

/* The budget: a bucket of tokens that items fill and retries empty. */

void wi_retry_budget_init(wi_retry_budget *budget, double ratio, int64_t reserve)
{
    *budget = (wi_retry_budget){.ratio = ratio, .tokens = (double)reserve};
}

void wi_retry_budget_deposit(wi_retry_budget *budget)
{
    budget->tokens += budget->ratio;
}

bool wi_retry_budget_withdraw(wi_retry_budget *budget)
{
    if (budget->tokens < 1 - 1e-6) { /* ten tenths are a little less than one */
        budget->refused++;
        return false;
    }
    budget->tokens -= 1;
    return true;
}
