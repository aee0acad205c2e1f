/*
 * template_parse.c: a template's text made into segments. Its invariant: what parses, and passes
 * wi_template_check, cannot break at expansion but for what the data holds.
 */
#include <stdlib.h>
#include <string.h>

#include "shell.h"
#include "template_internal.h"
#include "text.h"

#define MAX_COUNT (1ULL << 62)

enum { MAX_WIDTH = 32, MAX_ENV_NAME = 256 };

typedef struct parser {
    wi_template *t;
    const char *text;
    size_t len;
    size_t at;
    size_t pending;   /* where in t->bytes the literal text before `at` begins */
    size_t source;    /* and where in the text */
    bool is_body;     /* a brace may be just a brace */
    bool json_string; /* inside a string of a JSON body */
    wi_shell shell;   /* what a line for the shell has come to */
    weir_error *err;
} parser;

/* `what: "excerpt" at column N why` */
static weir_status fault(const parser *p, size_t at, size_t len, const char *why)
{
    const char *excerpt = p->text[at] ? p->text + at : "\\0";
    int shown = p->text[at] ? wi_template_clip(excerpt, len, WI_TEMPLATE_EXCERPT) : 2;
    return wi_fail(p->err, WEIR_INVALID, "%s: \"%.*s%s\" at %s %s", p->t->what, shown, excerpt,
                   (size_t)shown < len ? "…" : "", wi_template_position(p->t, at).text, why);
}

static bool grow(void **array, size_t *cap, size_t len, size_t item_size)
{
    if (len < *cap)
        return true;
    size_t wider = *cap ? *cap * 2 : 8;
    void *moved = realloc(*array, wider * item_size);
    if (!moved)
        return false;
    *array = moved;
    *cap = wider;
    return true;
}

static weir_status push(parser *p, const wi_segment *segment)
{
    wi_template *t = p->t;
    if (!grow((void **)&t->segments, &t->segments_cap, t->segments_len, sizeof *t->segments))
        return wi_fail_nomem(p->err);
    t->segments[t->segments_len++] = *segment;
    p->pending = t->bytes.len;
    return WEIR_OK;
}

static weir_status flush_text(parser *p)
{
    wi_segment text = {.hole = WI_HOLE_TEXT,
                       .source = p->source,
                       .count = 1,
                       .span = {p->pending, p->t->bytes.len - p->pending}};
    return text.span.len ? push(p, &text) : WEIR_OK;
}

/* One byte of the user's own text, at `at`, refused where it cannot stand. */
static weir_status put_literal(parser *p, size_t at)
{
    char c = p->text[at];
    wi_template_mode mode = p->t->mode;
    if (mode == WI_TEMPLATE_URL && ((unsigned char)c <= ' ' || c == 0x7F))
        return fault(p, at, 1, "cannot stand in a URL; percent-encode it (a space is %20)");
    if (mode == WI_TEMPLATE_HEADER && (c == '\r' || c == '\n' || c == '\0'))
        return fault(p, at, 1, "cannot stand in a header");
    if (mode == WI_TEMPLATE_PATH && c == '\0')
        return fault(p, at, 1, "cannot stand in a path");
    if (mode == WI_TEMPLATE_SHELL)
        wi_shell_read(&p->shell, c);
    wi_buf_putc(&p->t->bytes, c);
    return WEIR_OK;
}

static bool is_escape(const parser *p, size_t at, bool in_list)
{
    if (p->text[at] != '\\' || at + 1 >= p->len)
        return false;
    char c = p->text[at + 1];
    if (c == '\\')
        return p->t->mode != WI_TEMPLATE_JSON && !wi_template_is_of_command(p->t);
    return c == '{' || c == '}' || (in_list && c == ',');
}

/* The text between two offsets, its escapes undone, onto bytes. */
static weir_status put_unescaped(parser *p, size_t from, size_t to)
{
    for (size_t at = from; at < to; at++) {
        at += is_escape(p, at, true);
        weir_status status = put_literal(p, at);
        if (status)
            return status;
    }
    return WEIR_OK;
}

static wi_place place_of(const parser *p, bool raw)
{
    switch (p->t->mode) {
    case WI_TEMPLATE_HEADER:
        return WI_PLACE_HEADER;
    case WI_TEMPLATE_PATH:
        return WI_PLACE_PATH;
    case WI_TEMPLATE_WORD:
        return WI_PLACE_WORD;
    case WI_TEMPLATE_SHELL:
        return WI_PLACE_SHELL;
    case WI_TEMPLATE_JSON:
        return raw ? WI_PLACE_RAW : p->json_string ? WI_PLACE_JSON_STRING : WI_PLACE_JSON_VALUE;
    case WI_TEMPLATE_URL:
    case WI_TEMPLATE_FORM:
        return raw ? WI_PLACE_RAW : WI_PLACE_PERCENT;
    default:
        return WI_PLACE_RAW;
    }
}

/* {name}, {name:raw}, {env:NAME}: the part after the kind, and what holds for both. */
static weir_status cut_raw(parser *p, size_t open, size_t close, size_t *name_end, bool *raw)
{
    static const char suffix[] = ":raw";
    size_t n = sizeof suffix - 1;
    size_t end = close;
    *raw = close - open > n && memcmp(p->text + close - n, suffix, n) == 0;
    if (*raw)
        end -= n;
    wi_template_mode mode = p->t->mode;
    if (*raw && (mode == WI_TEMPLATE_HEADER || mode == WI_TEMPLATE_PATH))
        return fault(p, open, close + 1 - open, "cannot be :raw here; leave it out");
    if (!*raw && mode == WI_TEMPLATE_URL && open == 0)
        return wi_fail(p->err, WEIR_INVALID,
                       "%s: \"%.*s\" at column 1 would be percent-encoded, the scheme and its "
                       "slashes too; write %.*s:raw}",
                       p->t->what, wi_template_clip(p->text, close + 1, WI_TEMPLATE_EXCERPT),
                       p->text, wi_template_clip(p->text, close, WI_TEMPLATE_EXCERPT), p->text);
    *name_end = end;
    return WEIR_OK;
}

static weir_status parse_column(parser *p, size_t open, size_t close)
{
    size_t end = close;
    bool raw = false;
    weir_status status = cut_raw(p, open, close, &end, &raw);
    if (status)
        return status;
    if (end == open + 1)
        return fault(p, open, close + 1 - open, "has no column name");
    size_t from = p->t->bytes.len;
    for (size_t at = open + 1; at < end; at++) {
        at += !p->is_body && is_escape(p, at, true);
        wi_buf_putc(&p->t->bytes, p->text[at]);
    }
    wi_segment column = {.hole = WI_HOLE_COLUMN,
                         .place = place_of(p, raw),
                         .source = open,
                         .count = 1,
                         .span = {from, p->t->bytes.len - from}};
    return push(p, &column);
}

static weir_status check_secret(parser *p, size_t open, size_t len, wi_place place,
                                const char *value)
{
    if (place == WI_PLACE_HEADER && strpbrk(value, "\r\n"))
        return fault(p, open, len, "has a line break in its value, which a header cannot hold");
    bool json = place == WI_PLACE_JSON_STRING || place == WI_PLACE_JSON_VALUE;
    if (json && wi_utf8_valid_prefix(value, strlen(value)) != strlen(value))
        return fault(p, open, len, "has a value that is not UTF-8, which JSON cannot hold");
    return WEIR_OK;
}

static weir_status parse_secret(parser *p, size_t open, size_t close)
{
    size_t end = close, from = open + 1 + strlen("env:");
    bool raw = false;
    weir_status status = cut_raw(p, open, close, &end, &raw);
    if (status)
        return status;
    char name[MAX_ENV_NAME];
    size_t len = end > from ? end - from : 0;
    if (len == 0 || len >= sizeof name)
        return fault(p, open, close + 1 - open, "names no environment variable");
    memcpy(name, p->text + from, len);
    name[len] = '\0';
    const char *value = strlen(name) == len ? getenv(name) : NULL;
    if (!value)
        return fault(p, open, close + 1 - open, "names an environment variable that is not set");
    wi_segment secret = {.hole = WI_HOLE_SECRET,
                         .place = place_of(p, raw),
                         .source = open,
                         .count = 1,
                         .span = {p->t->bytes.len, strlen(value)}};
    status = check_secret(p, open, close + 1 - open, secret.place, value);
    if (status)
        return status;
    wi_buf_puts(&p->t->bytes, value);
    p->t->secrets = true;
    return push(p, &secret);
}

/* {#} and {#N} */
static weir_status parse_count(parser *p, size_t open, size_t close)
{
    wi_segment segment = {
        .hole = WI_HOLE_NUMBER, .place = place_of(p, false), .source = open, .count = 1};
    if (close > open + 2) {
        int64_t n;
        bool fits = wi_text_parse_i64(p->text + open + 2, close - open - 2, &n) && n >= 1;
        if (!fits)
            return fault(p, open, close + 1 - open, "counts the URL's ranges and lists from {#1}");
        if (p->t->mode == WI_TEMPLATE_URL)
            return fault(p, open, close + 1 - open,
                         "is for headers, bodies and paths; in the URL {#} is the number");
        segment.hole = WI_HOLE_CHOSEN;
        segment.chosen = (size_t)n - 1;
    }
    return push(p, &segment);
}

/* A range or list: the number of choices grows. */
static weir_status push_choice(parser *p, const wi_segment *segment, size_t close)
{
    wi_template *t = p->t;
    size_t open = segment->source;
    if (t->mode != WI_TEMPLATE_URL)
        return fault(p, open, close + 1 - open,
                     "is a range or list, which only a URL has; {#1} is the value of its first");
    if (segment->count > MAX_COUNT / t->count)
        return fault(p, open, close + 1 - open, "makes more than 2^62 combinations");
    t->count *= segment->count;
    if (!grow((void **)&t->choices, &t->choices_cap, t->choices_len, sizeof *t->choices))
        return wi_fail_nomem(p->err);
    t->choices[t->choices_len++] = t->segments_len;
    return push(p, segment);
}

static weir_status parse_list(parser *p, size_t open, size_t close)
{
    wi_template *t = p->t;
    wi_segment list = {.hole = WI_HOLE_LIST, .source = open, .span = {t->items_len, 0}};
    size_t from = open + 1;
    for (size_t at = from; at <= close; at++) {
        if (at < close && is_escape(p, at, true)) {
            at++;
            continue;
        }
        if (at < close && p->text[at] != ',')
            continue;
        wi_span item = {.at = t->bytes.len};
        weir_status status = put_unescaped(p, from, at);
        if (status)
            return status;
        item.len = t->bytes.len - item.at;
        if (!grow((void **)&t->items, &t->items_cap, t->items_len, sizeof *t->items))
            return wi_fail_nomem(p->err);
        t->items[t->items_len++] = item;
        list.count++;
        from = at + 1;
    }
    list.span.len = (size_t)list.count;
    return push_choice(p, &list, close);
}

typedef enum number { NOT_A_NUMBER, TOO_BIG, A_NUMBER } number;

static number read_number(const char *text, size_t len, int64_t *out)
{
    bool minus = len > 0 && text[0] == '-';
    size_t digits = len - minus;
    if (digits == 0)
        return NOT_A_NUMBER;
    int64_t value = 0;
    bool over = len > MAX_WIDTH;
    for (size_t i = minus; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return NOT_A_NUMBER;
        int digit = text[i] - '0';
        over = over || __builtin_mul_overflow(value, 10, &value) ||
               __builtin_add_overflow(value, minus ? -digit : digit, &value);
    }
    if (over)
        return TOO_BIG;
    *out = value;
    return A_NUMBER;
}

static bool has_leading_zero(const char *text, size_t len)
{
    bool minus = text[0] == '-';
    return len > 1U + minus && text[minus] == '0';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The ends A and B of a range; a letter counts as its code. */
static number read_ends(const char *a, size_t a_len, const char *b, size_t b_len, wi_segment *range,
                        int64_t *last)
{
    if (a_len == 1 && b_len == 1 && is_letter(*a) && is_letter(*b) && (*a & 0x20) == (*b & 0x20)) {
        range->letters = true;
        range->first = (unsigned char)*a;
        *last = (unsigned char)*b;
        return A_NUMBER;
    }
    number first = read_number(a, a_len, &range->first);
    number second = read_number(b, b_len, last);
    if (first == NOT_A_NUMBER || second == NOT_A_NUMBER)
        return NOT_A_NUMBER;
    if (first == TOO_BIG || second == TOO_BIG)
        return TOO_BIG;
    if (has_leading_zero(a, a_len) || has_leading_zero(b, b_len))
        range->width = (int)(a_len > b_len ? a_len : b_len);
    return A_NUMBER;
}

static weir_status parse_range(parser *p, size_t open, size_t close)
{
    static const char neither[] =
        "is neither a range ({1..200}) nor a list ({a,b}) nor a column name";
    const char *a = p->text + open + 1, *end = p->text + close;
    const char *dots = memmem(a, (size_t)(end - a), "..", 2);
    const char *b = dots + 2;
    const char *more = memmem(b, (size_t)(end - b), "..", 2);
    const char *b_end = more ? more : end;
    wi_segment range = {.hole = WI_HOLE_RANGE, .source = open};
    int64_t last = 0, step = 1;
    number ends = read_ends(a, (size_t)(dots - a), b, (size_t)(b_end - b), &range, &last);
    number third = more ? read_number(more + 2, (size_t)(end - more - 2), &step) : A_NUMBER;
    if (ends == NOT_A_NUMBER || third == NOT_A_NUMBER)
        return fault(p, open, close + 1 - open, neither);
    if (ends == TOO_BIG || third == TOO_BIG)
        return fault(p, open, close + 1 - open, "has a number beyond 64 bits");
    if (step < 1)
        return fault(p, open, close + 1 - open,
                     "needs a step of at least 1; A and B give the direction");
    bool down = last < range.first;
    uint64_t distance =
        down ? (uint64_t)range.first - (uint64_t)last : (uint64_t)last - (uint64_t)range.first;
    range.step = down ? 0 - (uint64_t)step : (uint64_t)step;
    range.count = distance / (uint64_t)step;
    if (range.count >= MAX_COUNT)
        return fault(p, open, close + 1 - open, "has more than 2^62 values");
    range.count++;
    return push_choice(p, &range, close);
}

static bool is_count(const char *inside, size_t len)
{
    return len > 0 && inside[0] == '#' && strspn(inside + 1, "0123456789") >= len - 1;
}

static bool has_bare_comma(const parser *p, size_t from, size_t to)
{
    for (size_t at = from; at < to; at++) {
        if (is_escape(p, at, true))
            at++;
        else if (p->text[at] == ',')
            return true;
    }
    return false;
}

/* What stands between the braces at open and close. */
static weir_status parse_hole(parser *p, size_t open, size_t close)
{
    const char *inside = p->text + open + 1;
    size_t len = close - open - 1;
    weir_status status = flush_text(p);
    if (status)
        return status;
    if (is_count(inside, len))
        return parse_count(p, open, close);
    if (len >= 4 && memcmp(inside, "env:", 4) == 0)
        return parse_secret(p, open, close);
    if (has_bare_comma(p, open + 1, close))
        return parse_list(p, open, close);
    if (memmem(inside, len, "..", 2))
        return parse_range(p, open, close);
    return parse_column(p, open, close);
}

/* The brace that closes the one at open, or 0. */
static size_t find_close(const parser *p, size_t open)
{
    for (size_t at = open + 1; at < p->len; at++) {
        if (is_escape(p, at, true))
            at++;
        else if (p->text[at] == '}')
            return at;
        else if (p->text[at] == '{')
            return 0;
    }
    return 0;
}

/* In a body most braces are the body's own: only {name} without anything odd in it is a hole. */
static size_t find_close_in_body(const parser *p, size_t open)
{
    size_t at = open + 1;
    for (; at < p->len && p->text[at] != '}'; at++)
        if (p->text[at] == '\0' || strchr("{\"\\,\r\n", p->text[at]))
            return 0;
    const char *inside = p->text + open + 1;
    size_t len = at - open - 1;
    if (at == p->len || len == 0 || inside[0] == ' ' || inside[0] == '\t' ||
        memmem(inside, len, "..", 2))
        return 0;
    return at;
}

/* ---- a command's ---- */

/* How much of the text is a name: of a column, a number, or '#'. */
static size_t command_name_length(const char *text)
{
    if (*text == '#')
        return 1;
    size_t len = 0;
    while (is_letter(text[len]) || (text[len] >= '0' && text[len] <= '9') || text[len] == '_' ||
           text[len] == '-' || (unsigned char)text[len] >= 0x80)
        len++;
    return len;
}

static bool read_part(const char *text, size_t len, wi_part *part)
{
    static const char *const endings[] = {"", ".", "/", "//", "/."};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strlen(endings[i]) == len && memcmp(text, endings[i], len) == 0) {
            *part = (wi_part)i;
            return true;
        }
    return false;
}

/* Commands hold braces of all kinds (awk, find, the shell): only what looks exactly like a
 * placeholder is one. */
static size_t find_close_in_command(const parser *p, size_t open)
{
    wi_part part;
    const char *name = p->text + open + 1;
    size_t len = command_name_length(name);
    size_t ending = strspn(name + len, "./");
    if (name[len + ending] != '}' || !read_part(name + len, ending, &part))
        return 0;
    return *name == '#' && ending ? 0 : open + 1 + len + ending;
}

static weir_status parse_placeholder(parser *p, size_t open, size_t close)
{
    const char *name = p->text + open + 1;
    size_t len = command_name_length(name);
    wi_segment hole = {.hole = len ? WI_HOLE_COLUMN : WI_HOLE_VALUE,
                       .place = place_of(p, false),
                       .source = open,
                       .count = 1};
    const char *why = hole.place == WI_PLACE_SHELL ? wi_shell_word(&p->shell) : NULL;
    if (why)
        return fault(p, open, close + 1 - open, why);
    weir_status status = flush_text(p);
    if (status)
        return status;
    read_part(name + len, close - open - 1 - len, &hole.part);
    int64_t n;
    if (*name == '#') {
        hole.hole = WI_HOLE_NUMBER;
    } else if (len && wi_text_parse_i64(name, len, &n) && n >= 1) {
        hole.hole = WI_HOLE_CHOSEN;
        hole.chosen = (size_t)n - 1;
    } else {
        hole.span = (wi_span){p->t->bytes.len, len};
        wi_buf_append(&p->t->bytes, name, len);
    }
    return push(p, &hole);
}

static weir_status parse_brace(parser *p)
{
    size_t open = p->at;
    bool command = wi_template_is_of_command(p->t);
    size_t close = command      ? find_close_in_command(p, open)
                   : p->is_body ? find_close_in_body(p, open)
                                : find_close(p, open);
    if (close) {
        weir_status status =
            command ? parse_placeholder(p, open, close) : parse_hole(p, open, close);
        p->at = close + 1;
        p->source = p->at;
        return status;
    }
    if (!p->is_body)
        return fault(p, open, 1, "is never closed; write \\{ for a literal brace");
    p->at++;
    return put_literal(p, open);
}

static weir_status parse_one(parser *p)
{
    size_t at = p->at;
    char c = p->text[at];
    if (c == '{')
        return parse_brace(p);
    if (c == '}' && !p->is_body)
        return fault(p, at, 1, "closes nothing; write \\} for a literal brace");
    if (c == '\\' && is_escape(p, at, false)) {
        p->at += 2;
        return put_literal(p, at + 1);
    }
    if (p->t->mode == WI_TEMPLATE_JSON) {
        if (c == '"')
            p->json_string = !p->json_string;
        if (c == '\\' && at + 1 < p->len) { /* \" does not end the string, and \\ hides nothing */
            p->at += 2;
            wi_buf_append(&p->t->bytes, p->text + at, 2);
            return WEIR_OK;
        }
    }
    p->at++;
    return put_literal(p, at);
}

static weir_status check_whole(const parser *p)
{
    const wi_template *t = p->t;
    if (t->mode == WI_TEMPLATE_URL && p->len == 0)
        return wi_fail(p->err, WEIR_INVALID, "%s: is empty", t->what);
    if (t->mode == WI_TEMPLATE_PATH && (p->len == 0 || p->text[p->len - 1] == '/'))
        return wi_fail(p->err, WEIR_INVALID,
                       "%s: \"%.*s\" names no file; give one, such as \"%.*s{#}.json\"", t->what,
                       wi_template_clip(p->text, p->len, WI_TEMPLATE_EXCERPT), p->text,
                       wi_template_clip(p->text, p->len, WI_TEMPLATE_EXCERPT), p->text);
    return WEIR_OK;
}

static weir_status parse_all(parser *p)
{
    weir_status status = check_whole(p);
    while (!status && p->at < p->len)
        status = parse_one(p);
    if (!status)
        status = flush_text(p);
    if (!status && p->t->bytes.failed)
        status = wi_fail_nomem(p->err);
    return status;
}

void wi_template_set_strides(wi_template *t)
{
    uint64_t stride = 1;
    for (size_t i = t->choices_len; i-- > 0;) {
        wi_segment *segment = &t->segments[t->choices[i]];
        segment->stride = stride;
        stride *= segment->count;
    }
}

weir_status wi_template_parse(const char *text, size_t len, wi_template_mode mode, const char *what,
                              wi_template **out, weir_error *err)
{
    wi_template *t = calloc(1, sizeof *t);
    if (!t)
        return wi_fail_nomem(err);
    t->mode = mode;
    t->count = 1;
    t->what = strdup(what);
    wi_buf_append(&t->text, text, len);
    const char *copy = wi_buf_cstr(&t->text); /* terminated, so that looking ahead needs no care */
    weir_status status = WEIR_NOMEM;
    if (t->what && copy && wi_buf_reserve(&t->bytes, len + 1)) {
        parser p = {.t = t, .text = copy, .len = len, .err = err};
        p.is_body = mode == WI_TEMPLATE_JSON || mode == WI_TEMPLATE_FORM ||
                    mode == WI_TEMPLATE_RAW || wi_template_is_of_command(t);
        status = parse_all(&p);
    } else {
        wi_fail_nomem(err);
    }
    if (status) {
        wi_template_free(t);
        return status;
    }
    wi_template_set_strides(t);
    *out = t;
    return WEIR_OK;
}
