/*
 * json.c: see json.h. Its invariant: whatever walks or rewrites JSON here is given text that
 * wi_json_check has passed, so only wi_json_check looks for errors.
 */
#include "json.h"

#include <stdint.h>
#include <string.h>

#include "text.h"
#include "word.h"

/* ---- checking ---- */

typedef struct scan {
    const char *at;
    const char *end;
    const char *why;
    bool has_space;
    bool has_newline;
} scan;

static bool fail(scan *s, const char *why)
{
    s->why = s->at < s->end ? why : "the text ends too early";
    return false;
}

/* The byte here; 0, which is wrong everywhere, at the end. */
static inline char peek(const scan *s)
{
    return s->at < s->end ? *s->at : '\0';
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline void skip_space(scan *s)
{
    while (s->at < s->end && is_space(*s->at)) {
        s->has_space = true;
        s->has_newline |= *s->at == '\n' || *s->at == '\r';
        s->at++;
    }
}

/* The first quote, backslash or control character from here on, or the end. */
static inline const char *string_stop(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = wi_word_load(at);
        uint64_t stop =
            wi_word_equal(word, '"') | wi_word_equal(word, '\\') | wi_word_below(word, 0x20);
        if (stop)
            return at + wi_word_first(stop);
    }
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
        at++;
    return at;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool scan_escape(scan *s)
{
    s->at++;
    char c = peek(s);
    if (c == '\0' || !strchr("\"\\/bfnrtu", c))
        return fail(s, "unknown escape in a string");
    s->at++;
    for (int i = 0; c == 'u' && i < 4; i++, s->at++)
        if (hex_digit(peek(s)) < 0)
            return fail(s, "\\u needs four hexadecimal digits");
    return true;
}

static bool scan_string(scan *s)
{
    s->at++;
    for (;;) {
        s->at = string_stop(s->at, s->end);
        char c = peek(s);
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c != '\\')
            return fail(s, "control character in a string");
        if (!scan_escape(s))
            return false;
    }
}

static bool scan_digits(scan *s)
{
    if (!is_digit(peek(s)))
        return fail(s, "expected a digit");
    while (is_digit(peek(s)))
        s->at++;
    return true;
}

static bool scan_number(scan *s)
{
    if (*s->at == '-')
        s->at++;
    if (peek(s) == '0') {
        s->at++;
        if (is_digit(peek(s)))
            return fail(s, "a number cannot begin with 0 and a digit");
    } else if (!scan_digits(s)) {
        return false;
    }
    if (peek(s) == '.') {
        s->at++;
        if (!scan_digits(s))
            return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(scan *s, const char *word)
{
    for (; *word; word++, s->at++)
        if (peek(s) != *word)
            return fail(s, "expected a value");
    return true;
}

static bool scan_scalar(scan *s)
{
    switch (peek(s)) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (peek(s) == '-' || is_digit(peek(s)))
            return scan_number(s);
        return fail(s, "expected a value");
    }
}

static bool scan_key(scan *s)
{
    if (peek(s) != '"')
        return fail(s, "expected a key in quotes");
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return fail(s, "expected a colon");
    s->at++;
    skip_space(s);
    return true;
}

/* One value with all that it holds. `open` is the stack of brackets that are open. */
static bool scan_value(scan *s)
{
    char open[WI_JSON_MAX_DEPTH];
    size_t depth = 0;
    for (;;) {
        char c = peek(s);
        bool opened = c == '{' || c == '[';
        if (opened) {
            if (depth == WI_JSON_MAX_DEPTH)
                return fail(s, "nested too deeply");
            open[depth++] = c == '{' ? '}' : ']';
            s->at++;
            skip_space(s);
        } else if (!scan_scalar(s)) {
            return false;
        }
        /* Close what closes here; an empty container closes before its first value. */
        for (;;) {
            if (!opened && depth)
                skip_space(s);
            if (!depth)
                return true;
            if (peek(s) != open[depth - 1])
                break;
            depth--;
            s->at++;
            opened = false;
        }
        if (!opened) {
            if (peek(s) != ',')
                return fail(s, open[depth - 1] == '}' ? "expected a comma or }"
                                                      : "expected a comma or ]");
            s->at++;
            skip_space(s);
        }
        if (open[depth - 1] == '}' && !scan_key(s))
            return false;
    }
}

static wi_json_type type_of(char first)
{
    switch (first) {
    case '{':
        return WI_JSON_OBJECT;
    case '[':
        return WI_JSON_ARRAY;
    case '"':
        return WI_JSON_STRING;
    case 't':
    case 'f':
        return WI_JSON_BOOL;
    case 'n':
        return WI_JSON_NULL;
    default:
        return WI_JSON_NUMBER;
    }
}

wi_json_result wi_json_check(const char *text, size_t len)
{
    if (!len)
        text = ""; /* there may be nothing to point at */
    scan s = {.at = text, .end = text + len};
    skip_space(&s);
    const char *first = s.at;
    bool ok = scan_value(&s);
    if (ok) {
        skip_space(&s);
        if (s.at < s.end)
            ok = fail(&s, "text after the value");
    }
    /* Bytes from 0x80 on stand in strings only, where the scanner passes over them. */
    size_t reached = (size_t)(s.at - text);
    size_t valid = wi_utf8_valid_prefix(text, len);
    if (valid < len && (ok || valid <= reached))
        return (wi_json_result){.offset = valid, .why = "not valid UTF-8"};
    if (!ok)
        return (wi_json_result){.offset = reached, .why = s.why};
    return (wi_json_result){
        .type = type_of(*first), .has_space = s.has_space, .has_newline = s.has_newline};
}

/* ---- walking what has been checked ---- */

/* From after the opening quote to after the closing one. */
static inline const char *string_end(const char *at, const char *end)
{
    for (;;) {
        at = string_stop(at, end);
        if (at == end)
            return end;
        if (*at == '"')
            return at + 1;
        at += end - at > 1 ? 2 : 1;
    }
}

static const char *container_end(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        char c = *at++;
        if (c == '"')
            at = string_end(at, end);
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return at;
}

static const char *value_end(const char *at, const char *end, wi_json_type type)
{
    if (type == WI_JSON_STRING)
        return string_end(at + 1, end);
    if (type == WI_JSON_OBJECT || type == WI_JSON_ARRAY)
        return container_end(at, end);
    while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_space(*at))
        at++;
    return at;
}

static inline const char *after_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

void wi_json_object_begin(wi_json_object *object, const char *text, size_t len)
{
    object->end = text + len;
    object->at = after_space(text, object->end);
    if (object->at < object->end)
        object->at++; /* the { */
}

bool wi_json_object_next(wi_json_object *object, wi_json_member *member)
{
    const char *end = object->end;
    const char *at = after_space(object->at, end);
    if (at < end && *at == ',')
        at = after_space(at + 1, end);
    if (at == end || *at != '"')
        return false;
    const char *key = at + 1;
    at = string_end(key, end);
    member->key = key;
    member->key_len = (size_t)(at - 1 - key);
    member->key_escaped = memchr(key, '\\', member->key_len) != NULL;
    at = after_space(at, end);
    at = after_space(at + 1, end); /* the : */
    member->value = at;
    member->value_type = type_of(*at);
    at = value_end(at, end, member->value_type);
    member->value_len = (size_t)(at - member->value);
    object->at = at;
    return true;
}

void wi_json_append_minified(wi_buf *out, const char *text, size_t len)
{
    const char *at = text;
    const char *end = text + len;
    while ((at = after_space(at, end)) < end) {
        const char *from = at;
        while (at < end && !is_space(*at)) {
            if (*at++ == '"')
                at = string_end(at, end);
        }
        wi_buf_append(out, from, (size_t)(at - from));
    }
}

/* ---- the inside of strings ---- */

static uint32_t four_digits(const char *at)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (uint32_t)hex_digit(at[i]);
    return unit;
}

static void append_utf8(wi_buf *out, uint32_t point)
{
    if (point < 0x80) {
        wi_buf_putc(out, (char)point);
        return;
    }
    char bytes[4];
    size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3F));
    bytes[0] = (char)((0xF00U >> n & 0xFF) | point);
    wi_buf_append(out, bytes, n);
}

/* A \uXXXX, or two that are a surrogate pair; `at` is after the u. */
static const char *append_unit(wi_buf *out, const char *at, const char *end)
{
    uint32_t unit = four_digits(at);
    at += 4;
    if (unit >= 0xD800 && unit < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        uint32_t low = four_digits(at + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            append_utf8(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
            return at + 6;
        }
    }
    append_utf8(out, unit >= 0xD800 && unit < 0xE000 ? 0xFFFD : unit);
    return at;
}

void wi_json_append_unescaped(wi_buf *out, const char *text, size_t len)
{
    static const char meaning[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (!len)
        return; /* text may be NULL */
    const char *end = text + len;
    while (text < end) {
        const char *stop = memchr(text, '\\', (size_t)(end - text));
        if (!stop) {
            wi_buf_append(out, text, (size_t)(end - text));
            return;
        }
        wi_buf_append(out, text, (size_t)(stop - text));
        char c = stop[1];
        text = stop + 2;
        if (c == 'u')
            text = append_unit(out, text, end);
        else
            for (size_t i = 0; i < sizeof meaning - 1; i += 2)
                if (meaning[i] == c)
                    wi_buf_putc(out, meaning[i + 1]);
    }
}
