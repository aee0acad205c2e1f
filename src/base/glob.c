/*
 * glob.c: a pattern becomes codes, its braces are written out, and each alternative is matched by
 * itself: first the literal bytes at both its ends, which decides nearly always, then what is
 * between them. The invariant of an alternative: a "**" stands in it only as GLOBSTAR ("**" and its
 * slash) or, as the last code, as REST.
 */
#include "glob.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum {
    /* 0 to 255: the byte itself */
    ANY = 256,
    STAR,
    GLOBSTAR,
    REST,
    OPEN,
    COMMA,
    CLOSE,
    CLASS, /* and all after it: the class of this number */

    MAX_ALTERNATIVES = 1024,
    MAX_EXPANSION = 64 << 10, /* codes written while braces are written out */
};

typedef struct class
{
    uint64_t bits[4];
} class;

typedef struct alternative {
    uint16_t *codes;
    size_t n;
    size_t prefix; /* codes at the begin that are bytes, and, of the others, at the end */
    size_t suffix;
    char *bytes; /* those of the prefix, then those of the suffix */
} alternative;

struct wi_glob {
    alternative *list;
    size_t n;
    size_t cap;
    class *classes;
    size_t n_classes;
    bool nocase;
};

/* A pattern while it is read. */
typedef struct parser {
    const char *pattern;
    size_t len;
    size_t at;
    wi_glob *glob;
    uint16_t *codes;
    size_t n;
    size_t left; /* of MAX_EXPANSION */
    weir_error *err;
} parser;

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool class_has(const class *set, unsigned char c)
{
    return set->bits[c / 64] >> c % 64 & 1;
}

static void class_add(class *set, unsigned char c)
{
    set->bits[c / 64] |= (uint64_t)1 << c % 64;
}

static weir_status fault(const parser *p, size_t at, const char *what)
{
    return wi_fail(p->err, WEIR_INVALID, "glob '%.*s', column %zu: %s", (int)p->len, p->pattern,
                   at + 1, what);
}

/* ---- sets ---- */

typedef struct posix_class {
    const char *name;
    int (*has)(int c);
} posix_class;

static const posix_class posix_classes[] = {
    {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
    {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
    {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
};

static bool add_posix(class *set, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof posix_classes / sizeof posix_classes[0]; i++) {
        const posix_class *known = &posix_classes[i];
        if (strlen(known->name) != len || memcmp(known->name, name, len) != 0)
            continue;
        for (int c = 0; c < 128; c++)
            if (known->has(c))
                class_add(set, (unsigned char)c);
        return true;
    }
    return false;
}

/* The length of a name at p->at that ":]" ends, as in "[:alpha:]"; false: these are plain bytes. */
static bool posix_name(const parser *p, size_t *len)
{
    const char *name = p->pattern + p->at;
    const char *end = memchr(name, ']', p->len - p->at);
    if (!end || end == name || end[-1] != ':')
        return false;
    *len = (size_t)(end - name) - 1;
    return true;
}

/* One byte of a set, which a backslash may stand before; false at the pattern's end. */
static bool set_byte(parser *p, unsigned char *byte)
{
    if (p->at < p->len && p->pattern[p->at] == '\\')
        p->at++;
    if (p->at >= p->len)
        return false;
    *byte = (unsigned char)p->pattern[p->at++];
    return true;
}

/* One byte, range or named class. */
static weir_status parse_set_part(parser *p, class *set, size_t open)
{
    static const char unclosed[] = "'[' is not closed with ']'";
    size_t name_len, at = p->at;
    if (p->len - at > 2 && memcmp(p->pattern + at, "[:", 2) == 0) {
        p->at += 2;
        if (posix_name(p, &name_len)) {
            if (!add_posix(set, p->pattern + p->at, name_len))
                return fault(p, at, "no class of bytes has this name");
            p->at += name_len + 2;
            return WEIR_OK;
        }
        p->at = at;
    }
    unsigned char from, to;
    if (!set_byte(p, &from))
        return fault(p, open, unclosed);
    to = from;
    if (p->len - p->at > 1 && p->pattern[p->at] == '-' && p->pattern[p->at + 1] != ']') {
        p->at++;
        if (!set_byte(p, &to))
            return fault(p, open, unclosed);
    }
    for (unsigned c = from; c <= to; c++) /* none if they stand the wrong way round */
        class_add(set, (unsigned char)c);
    return WEIR_OK;
}

static void finish_set(class *set, bool negated, bool nocase)
{
    for (unsigned char c = 'a'; nocase && c <= 'z'; c++) {
        unsigned char upper = c & ~0x20;
        if (class_has(set, c) || class_has(set, upper)) {
            class_add(set, c);
            class_add(set, upper);
        }
    }
    for (int i = 0; negated && i < 4; i++)
        set->bits[i] = ~set->bits[i];
    set->bits['/' / 64] &= ~((uint64_t)1 << '/' % 64);
}

/* After the '['. */
static weir_status parse_set(parser *p)
{
    class set = {0};
    size_t open = p->at - 1;
    bool negated = p->at < p->len && (p->pattern[p->at] == '!' || p->pattern[p->at] == '^');
    p->at += negated;
    do { /* a ']' that comes first is one of the set */
        weir_status status = parse_set_part(p, &set, open);
        if (status != WEIR_OK)
            return status;
    } while (p->at >= p->len || p->pattern[p->at] != ']');
    p->at++;
    finish_set(&set, negated, p->glob->nocase);
    wi_glob *glob = p->glob;
    class *classes = realloc(glob->classes, (glob->n_classes + 1) * sizeof *classes);
    if (!classes)
        return wi_fail_nomem(p->err);
    glob->classes = classes;
    classes[glob->n_classes] = set;
    p->codes[p->n++] = (uint16_t)(CLASS + glob->n_classes++);
    return WEIR_OK;
}

/* ---- codes ---- */

static weir_status parse_one(parser *p, bool braces, size_t *depth)
{
    size_t at = p->at;
    unsigned char c = (unsigned char)p->pattern[p->at++];
    uint16_t code = p->glob->nocase ? lower(c) : c;
    if (c == '[')
        return parse_set(p);
    if (c == '\\') {
        if (p->at == p->len)
            return fault(p, at, "a backslash at the end escapes nothing");
        c = (unsigned char)p->pattern[p->at++];
        code = p->glob->nocase ? lower(c) : c;
    } else if (c == '*') {
        code = STAR;
    } else if (c == '?') {
        code = ANY;
    } else if (braces && c == '{') {
        code = OPEN;
        ++*depth;
    } else if (braces && c == '}') {
        if (*depth == 0)
            return fault(p, at, "'}' closes nothing: write \\} for the brace itself");
        code = CLOSE;
        --*depth;
    } else if (*depth && c == ',') {
        code = COMMA;
    }
    p->codes[p->n++] = code;
    return WEIR_OK;
}

static weir_status parse(parser *p, bool braces)
{
    size_t depth = 0, open = 0;
    while (p->at < p->len) {
        if (depth == 0)
            open = p->at;
        weir_status status = parse_one(p, braces, &depth);
        if (status != WEIR_OK)
            return status;
    }
    return depth ? fault(p, open, "'{' is not closed with '}'") : WEIR_OK;
}

/* Copies codes, with their runs of stars as what they mean; returns how many. */
static size_t join_stars(uint16_t *to, const uint16_t *from, size_t n)
{
    size_t made = 0;
    for (size_t i = 0; i < n;) {
        if (from[i] != STAR) {
            to[made++] = from[i++];
            continue;
        }
        size_t end = i;
        while (end < n && from[end] == STAR)
            end++;
        bool whole =
            end - i > 1 && (i == 0 || from[i - 1] == '/') && (end == n || from[end] == '/');
        uint16_t code = !whole ? STAR : end == n ? REST : GLOBSTAR;
        i = code == GLOBSTAR ? end + 1 : end;
        if (code != GLOBSTAR || made == 0 || to[made - 1] != GLOBSTAR)
            to[made++] = code;
    }
    return made;
}

static weir_status add_alternative(parser *p, const uint16_t *codes, size_t n)
{
    wi_glob *glob = p->glob;
    if (glob->n == glob->cap) {
        size_t cap = glob->cap ? glob->cap * 2 : 1;
        alternative *list = realloc(glob->list, cap * sizeof *list);
        if (!list)
            return wi_fail_nomem(p->err);
        glob->list = list;
        glob->cap = cap;
    }
    alternative *alt = &glob->list[glob->n];
    *alt = (alternative){.codes = malloc(n * (sizeof *codes + 1) + 1)};
    if (!alt->codes)
        return wi_fail_nomem(p->err);
    glob->n++;
    alt->bytes = (char *)(alt->codes + n);
    alt->n = join_stars(alt->codes, codes, n);
    while (alt->prefix < alt->n && alt->codes[alt->prefix] < ANY)
        alt->prefix++;
    while (alt->prefix + alt->suffix < alt->n && alt->codes[alt->n - alt->suffix - 1] < ANY)
        alt->suffix++;
    for (size_t i = 0; i < alt->prefix; i++)
        alt->bytes[i] = (char)alt->codes[i];
    for (size_t i = 0; i < alt->suffix; i++)
        alt->bytes[alt->prefix + i] = (char)alt->codes[alt->n - alt->suffix + i];
    return WEIR_OK;
}

/* The end of what begins at `from` within braces: the comma or brace that closes it. */
static size_t branch_end(const uint16_t *codes, size_t from)
{
    for (size_t depth = 0;; from++) {
        if (depth == 0 && (codes[from] == COMMA || codes[from] == CLOSE))
            return from;
        depth += codes[from] == OPEN;
        depth -= codes[from] == CLOSE;
    }
}

static weir_status expand(parser *p, const uint16_t *codes, size_t n);

/* The branches of the braces at `open`, one after the other, with all that is around them. */
static weir_status expand_braces(parser *p, const uint16_t *codes, size_t n, size_t open,
                                 uint16_t *whole)
{
    size_t close = open, end;
    do
        close = branch_end(codes, close + 1);
    while (codes[close] == COMMA);
    memcpy(whole, codes, open * sizeof *codes);
    for (size_t from = open + 1; from <= close; from = end + 1) {
        end = branch_end(codes, from);
        size_t len = end - from, after = n - close - 1;
        memcpy(whole + open, codes + from, len * sizeof *codes);
        memcpy(whole + open + len, codes + close + 1, after * sizeof *codes);
        weir_status status = expand(p, whole, open + len + after);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static weir_status expand(parser *p, const uint16_t *codes, size_t n)
{
    if (n >= p->left || p->glob->n == MAX_ALTERNATIVES)
        return fault(p, 0, "its braces stand for too many patterns: write several globs, or [...]");
    p->left -= n + 1;
    size_t open = 0;
    while (open < n && codes[open] != OPEN)
        open++;
    if (open == n)
        return add_alternative(p, codes, n);
    uint16_t *whole = malloc(n * sizeof *whole);
    if (!whole)
        return wi_fail_nomem(p->err);
    weir_status status = expand_braces(p, codes, n, open, whole);
    free(whole);
    return status;
}

static weir_status compile(parser *p, bool braces)
{
    uint16_t *codes = malloc(p->len * sizeof *codes + 1);
    if (!codes)
        return wi_fail_nomem(p->err);
    p->codes = codes;
    weir_status status = parse(p, braces);
    if (status == WEIR_OK)
        status = expand(p, codes, p->n);
    free(codes);
    return status;
}

weir_status wi_glob_new(const char *pattern, size_t len, unsigned flags, wi_glob **out,
                        weir_error *err)
{
    if (len > WI_GLOB_MAX)
        return wi_fail(err, WEIR_INVALID, "a glob of %zu bytes is too long: at most %d may be", len,
                       WI_GLOB_MAX);
    wi_glob *glob = calloc(1, sizeof *glob);
    if (!glob)
        return wi_fail_nomem(err);
    glob->nocase = flags & WI_GLOB_NOCASE;
    parser p = {.pattern = pattern, .len = len, .glob = glob, .left = MAX_EXPANSION, .err = err};
    weir_status status = compile(&p, flags & WI_GLOB_BRACES);
    if (status == WEIR_OK)
        *out = glob;
    else
        wi_glob_free(glob);
    return status;
}

void wi_glob_free(wi_glob *glob)
{
    if (!glob)
        return;
    for (size_t i = 0; i < glob->n; i++)
        free(glob->list[i].codes);
    free(glob->list);
    free(glob->classes);
    free(glob);
}

/* ---- matching ---- */

/* What is matched, and how: as a shell does; or only whether something longer could match. */
typedef struct subject {
    const char *begin;
    const char *end; /* of what is to be matched; a suffix already known may follow */
    const char *text_end;
    bool shell;
    bool below;
} subject;

static bool leading_dot(const subject *what, const char *s)
{
    return s < what->text_end && *s == '.' && (s == what->begin || s[-1] == '/');
}

/* May a "**" at the end have all from s on? */
static bool match_rest(const subject *what, const char *s)
{
    if (!what->shell)
        return true;
    while (!leading_dot(what, s)) {
        const char *slash = memchr(s, '/', (size_t)(what->end - s));
        if (!slash)
            return true;
        s = slash + 1;
    }
    return false;
}

static bool match_one(const wi_glob *glob, const subject *what, unsigned code, const char *s)
{
    unsigned char c = (unsigned char)*s;
    if (code < ANY)
        return (glob->nocase ? lower(c) : c) == code;
    if (what->shell && leading_dot(what, s))
        return false;
    return code == ANY ? c != '/' : class_has(&glob->classes[code - CLASS], c);
}

/*
 * Each star takes as little as it can, and a byte more when what follows doesn't match; so does
 * "**", by components. Only the last of each need ever take more: what an earlier one could
 * gain by it, the last can too.
 */
static bool match_codes(const wi_glob *glob, const subject *what, const uint16_t *code,
                        const uint16_t *code_end, const char *s)
{
    const uint16_t *star = NULL, *globstar = NULL; /* the code after it */
    const char *star_s = NULL, *globstar_s = NULL; /* the end of what it took */
    for (;;) {
        if (s == what->end && what->below)
            return true;
        if (code == code_end) {
            if (s == what->end)
                return true;
        } else if (*code == REST) {
            if (match_rest(what, s))
                return true;
        } else if (*code == GLOBSTAR) {
            globstar = ++code;
            globstar_s = s;
            star = NULL;
            continue;
        } else if (*code == STAR) {
            if (!(what->shell && leading_dot(what, s))) {
                star = ++code;
                star_s = s;
                continue;
            }
        } else if (s < what->end && match_one(glob, what, *code, s)) {
            code++;
            s++;
            continue;
        }
        if (star && star_s < what->end && *star_s != '/') {
            s = ++star_s;
            code = star;
            continue;
        }
        if (!globstar || (what->shell && leading_dot(what, globstar_s)))
            return false;
        const char *slash = memchr(globstar_s, '/', (size_t)(what->end - globstar_s));
        if (!slash)
            return false;
        s = globstar_s = slash + 1;
        code = globstar;
        star = NULL;
    }
}

static bool same(const wi_glob *glob, const char *a, const char *b, size_t len)
{
    return glob->nocase ? wi_text_same_nocase(a, b, len) : memcmp(a, b, len) == 0;
}

static bool match_alternative(const wi_glob *glob, const alternative *alt, const char *text,
                              size_t len, bool shell)
{
    if (len < alt->prefix + alt->suffix ||
        !same(glob, text + len - alt->suffix, alt->bytes + alt->prefix, alt->suffix) ||
        !same(glob, text, alt->bytes, alt->prefix))
        return false;
    const uint16_t *code = alt->codes + alt->prefix;
    const uint16_t *end = alt->codes + alt->n - alt->suffix;
    const char *s = text + alt->prefix, *s_end = text + len - alt->suffix;
    if (code == end)
        return s == s_end;
    if (!shell && end - code == 1 && *code == STAR)
        return !memchr(s, '/', (size_t)(s_end - s));
    subject what = {.begin = text, .end = s_end, .text_end = text + len, .shell = shell};
    return match_codes(glob, &what, code, end, s);
}

bool wi_glob_match(const wi_glob *glob, const char *text, size_t len)
{
    for (size_t i = 0; i < glob->n; i++)
        if (match_alternative(glob, &glob->list[i], text, len, false))
            return true;
    return false;
}

bool wi_glob_match_shell(const wi_glob *glob, const char *text, size_t len)
{
    for (size_t i = 0; i < glob->n; i++)
        if (match_alternative(glob, &glob->list[i], text, len, true))
            return true;
    return false;
}

bool wi_glob_match_below(const wi_glob *glob, const char *folder, size_t len, bool shell)
{
    const char *end = folder + len;
    subject what = {.begin = folder, .end = end, .text_end = end, .shell = shell, .below = true};
    for (size_t i = 0; i < glob->n; i++) {
        const alternative *alt = &glob->list[i];
        if (match_codes(glob, &what, alt->codes, alt->codes + alt->n, folder))
            return true;
    }
    return false;
}

int wi_glob_last(const wi_glob *glob)
{
    int last = -1;
    for (size_t i = 0; i < glob->n; i++) {
        const alternative *alt = &glob->list[i];
        if (alt->n == 0 || alt->codes[alt->n - 1] >= ANY || (i && alt->codes[alt->n - 1] != last))
            return -1;
        last = alt->codes[alt->n - 1];
    }
    return last;
}

size_t wi_glob_plain_prefix(const char *pattern, size_t len)
{
    size_t n = 0;
    while (n < len && !strchr("*?[{\\", pattern[n]))
        n++;
    return n;
}
