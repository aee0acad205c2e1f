/*
 * rate_hint.c: see rate_hint.h. Its invariant: nothing a server sends makes a number that is
 * negative or a time beyond a year.
 */
#include "rate_hint.h"

#include "clock.h"
#include "text.h"

#define MOST_SECONDS (365.0 * 24 * 3600)
#define MOST_REQUESTS 1e15
#define EPOCH_SECONDS 1e9       /* no delay is that long, and the year 2001 is over */
#define EPOCH_MILLISECONDS 1e11 /* no time in seconds is that late, before the year 5138 */

typedef struct span {
    const char *at;
    const char *end;
} span;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static span trimmed(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    while (at < end && is_blank(end[-1]))
        end--;
    return (span){at, end};
}

/* What stands before the next `stop` outside quotes; what follows is left in `rest`. */
static span cut(span *rest, char stop)
{
    const char *at = rest->at;
    bool quoted = false;
    while (at < rest->end && (quoted || *at != stop)) {
        if (quoted && *at == '\\' && at + 1 < rest->end)
            at++;
        else if (*at == '"')
            quoted = !quoted;
        at++;
    }
    span found = trimmed(rest->at, at);
    rest->at = at < rest->end ? at + 1 : rest->end;
    return found;
}

/* "30" or "29.5": no sign, no exponent. */
static bool read_number(span s, double *out)
{
    double value = 0, part = 1;
    const char *at = s.at;
    for (; at < s.end && *at >= '0' && *at <= '9'; at++)
        value = value < 1e18 ? value * 10 + (*at - '0') : value;
    if (at == s.at)
        return false;
    if (at + 1 < s.end && *at == '.')
        for (at++; at < s.end && *at >= '0' && *at <= '9'; at++)
            value += (part /= 10) * (*at - '0');
    if (at != s.end)
        return false;
    *out = value;
    return true;
}

static bool read_count(span s, int64_t *out)
{
    double value;
    if (!read_number(s, &value))
        return false;
    *out = (int64_t)(value < MOST_REQUESTS ? value : MOST_REQUESTS);
    return true;
}

/* ns from now; false: malformed, or nothing to wait for */
static bool read_reset(span s, time_t wall_now, int64_t *out)
{
    double value;
    if (!read_number(s, &value))
        return false;
    if (value >= EPOCH_MILLISECONDS)
        value /= 1000;
    if (value >= EPOCH_SECONDS)
        value -= (double)wall_now;
    if (value <= 0)
        return false;
    *out = (int64_t)((value < MOST_SECONDS ? value : MOST_SECONDS) * WI_SECOND);
    return *out > 0;
}

/* ---- "default";r=50;t=30 and limit=100, remaining=50, reset=30 ---- */

typedef struct fields {
    wi_rate_hint hint;
    bool broken;
} fields;

static void read_parameter(fields *f, span parameter, time_t wall_now)
{
    static const struct {
        const char *name;
        char what;
    } names[] = {{"r", 'r'},         {"t", 't'},     {"q", 'q'},    {"w", 'w'},
                 {"remaining", 'r'}, {"reset", 't'}, {"limit", 'q'}};
    span value = parameter;
    span name = cut(&value, '=');
    value = trimmed(value.at, value.end);
    int64_t time = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!wi_text_equal_nocase(name.at, (size_t)(name.end - name.at), names[i].name))
            continue;
        if (names[i].what == 'r')
            f->broken |= !(f->hint.has_remaining = read_count(value, &f->hint.remaining));
        else if (names[i].what == 'q')
            f->broken |= !read_count(value, &f->hint.limit);
        else if (names[i].what == 't' && read_reset(value, wall_now, &time))
            f->hint.reset = time;
        return;
    }
}

/* Of several limits, that of which less is left; of as much, the one that lasts longer. */
static bool is_tighter(const wi_rate_hint *a, const wi_rate_hint *b)
{
    if (!a->has_remaining || !b->has_remaining)
        return a->has_remaining;
    return a->remaining < b->remaining || (a->remaining == b->remaining && a->reset > b->reset);
}

/* An item with parameters, or a member of a dictionary (the older form: one limit in all). */
static void read_item(span item, fields *all, wi_rate_hint *best, time_t wall_now)
{
    fields one = {0};
    while (item.at < item.end)
        read_parameter(&one, cut(&item, ';'), wall_now);
    if (!one.broken && is_tighter(&one.hint, best))
        *best = one.hint;
    all->broken |= one.broken;
    if (one.hint.has_remaining) {
        all->hint.has_remaining = true;
        all->hint.remaining = one.hint.remaining;
    }
    if (one.hint.limit)
        all->hint.limit = one.hint.limit;
    if (one.hint.reset)
        all->hint.reset = one.hint.reset;
}

static void read_fields(wi_rate_hint *hint, span value, time_t wall_now)
{
    fields all = {0};
    wi_rate_hint best = {0};
    while (value.at < value.end)
        read_item(cut(&value, ','), &all, &best, wall_now);
    if (!wi_rate_hint_is_whole(&best))
        best = all.broken ? (wi_rate_hint){0} : all.hint;
    if (!wi_rate_hint_is_whole(&best))
        return;
    hint->has_remaining = true;
    hint->remaining = best.remaining;
    hint->reset = best.reset;
    if (best.limit)
        hint->limit = best.limit;
}

/* "default";q=100;w=60: the limit alone. Of several, which is meant is not known. */
static void read_policy(wi_rate_hint *hint, span value, time_t wall_now)
{
    fields one = {0};
    span item = cut(&value, ',');
    bool only = value.at == value.end;
    while (item.at < item.end)
        read_parameter(&one, cut(&item, ';'), wall_now);
    if (only && !one.broken && one.hint.limit && !hint->limit)
        hint->limit = one.hint.limit;
}

/* ---- the names ---- */

static bool skip_nocase(span *s, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(s->end - s->at) < n || !wi_text_same_nocase(s->at, text, n))
        return false;
    s->at += n;
    return true;
}

static bool is_named(span name, const char *text)
{
    return wi_text_equal_nocase(name.at, (size_t)(name.end - name.at), text);
}

/* limit, remaining, reset: with a list, the first counts (the older drafts have more in it). */
static bool read_single(wi_rate_hint *hint, span name, span value, time_t wall_now)
{
    int64_t number;
    span first = cut(&value, ',');
    if (is_named(name, "-limit")) {
        if (read_count(cut(&first, ';'), &number))
            hint->limit = number;
    } else if (is_named(name, "-remaining")) {
        hint->has_remaining = read_count(first, &number);
        hint->remaining = hint->has_remaining ? number : 0;
    } else if (is_named(name, "-reset") || is_named(name, "-reset-after")) {
        hint->reset = read_reset(first, wall_now, &number) ? number : 0;
    } else {
        return false;
    }
    return true;
}

bool wi_rate_hint_header(wi_rate_hint *hint, const char *name, size_t name_len, const char *value,
                         size_t len, time_t wall_now)
{
    span rest = {name, name + name_len};
    span text = trimmed(value, value + len);
    bool old = skip_nocase(&rest, "x-");
    if (!skip_nocase(&rest, "ratelimit") && !(old && skip_nocase(&rest, "rate-limit")))
        return false;
    if (!old && rest.at == rest.end)
        read_fields(hint, text, wall_now);
    else if (!old && is_named(rest, "-policy"))
        read_policy(hint, text, wall_now);
    else
        return read_single(hint, rest, text, wall_now);
    return true;
}
