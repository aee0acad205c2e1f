/*
 * pattern.c: see pattern.h. A reader by recursive descent, bounded in depth. Its invariant:
 * whatever it does not know for certain ends in `lost`, upon which nothing is claimed.
 *
 * Why a search over many lines is right: if no part of a pattern can take a line feed, the engine
 * meets one as it would meet the end of the text, with ^, $, \b and lookarounds too. If a part can,
 * each way to match within a line still is one over many lines, as long as nothing forbids going
 * back (atomic groups, possessive repeats) and nothing looks around: so the first match found
 * begins no later than the first that lies within a line, and is that one if no line feed is in it.
 */
#include "pattern.h"

#include <string.h>

enum { MOST_DEPTH = 20, MOST_CLASS = 4 };

typedef struct piece {
    wi_literals exact; /* its text is one of these */
    wi_literals need;  /* its line contains one of these */
} piece;

typedef struct parser {
    const char *begin;
    const char *at;
    const char *end;
    wi_buf *out;
    bool nocase; /* for the whole pattern */
    bool partly; /* here, by (?i), though not for the whole */
    bool utf;
    bool lost;
    bool takes;      /* some part can take a line feed */
    bool looks;      /* around, or forbids going back */
    bool bounded;    /* by more than its text: assertions, flags, names of groups */
    unsigned around; /* inside how many lookarounds */
    unsigned depth;
    size_t newline_at;
} parser;

static void read_alternation(parser *p, piece *result);

/* ---- small things ---- */

static bool more(const parser *p)
{
    return p->at < p->end && !p->lost;
}

static int peek(const parser *p, size_t ahead)
{
    return (size_t)(p->end - p->at) > ahead ? (unsigned char)p->at[ahead] : -1;
}

static void lose(parser *p)
{
    p->lost = true;
    p->at = p->end;
}

static void copy(parser *p, size_t len)
{
    wi_buf_append(p->out, p->at, len);
    p->at += len;
}

/* Writes something else in place of the next len bytes. */
static void replace(parser *p, size_t len, const char *text)
{
    wi_buf_puts(p->out, text);
    p->at += len;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void anything(piece *e)
{
    wi_literals_none(&e->exact);
    wi_literals_none(&e->need);
}

static void nothing(piece *e)
{
    wi_literals_one(&e->exact, "", 0);
    wi_literals_none(&e->need);
}

/* Where case doesn't count, k and s have a third form beyond ASCII, and other characters have
 * forms of other lengths: they are not looked for. */
static bool certain(const parser *p, const char *bytes, size_t len)
{
    if (p->partly && !p->nocase)
        return false;
    return !p->nocase ||
           (len == 1 && (unsigned char)*bytes < 0x80 && !strchr("kKsS", *bytes ? *bytes : 'a'));
}

static void character(const parser *p, const char *bytes, size_t len, piece *e)
{
    anything(e);
    if (!certain(p, bytes, len))
        return;
    wi_literals_one(&e->exact, bytes, len);
    char *c = e->exact.list[0].bytes;
    if (p->nocase && *c >= 'A' && *c <= 'Z')
        *c |= 0x20;
}

static void line_feed(parser *p)
{
    if (!p->newline_at && !p->around)
        p->newline_at = (size_t)(p->at - p->begin) + 1;
    p->takes = true;
}

/* ---- classes ---- */

typedef struct class
{
    bool negated;
    bool simple; /* nothing but single characters of ASCII */
    bool feed;   /* may contain the line feed */
    size_t n;
    char list[MOST_CLASS];
} class;

static void class_add(class *c, int from, int to)
{
    c->feed = c->feed || (from <= '\n' && to >= '\n');
    if (from == to && from < 0x80 && c->n < MOST_CLASS)
        c->list[c->n++] = (char)from;
    else
        c->simple = false;
}

/* A member that begins with a backslash; its character, or -1 if it is a set of some. */
static int class_escape(parser *p, class *c)
{
    static const char named[] = "a\ae\033f\fr\rt\t";
    int letter = peek(p, 1);
    const char *found = letter > 0 ? strchr(named, letter) : NULL;
    copy(p, letter < 0 ? 1 : 2);
    if (letter == 'n')
        return '\n';
    if (found && (found - named) % 2 == 0)
        return found[1];
    if (letter > 0 && letter < 0x80 && !is_digit(letter) && !is_letter(letter))
        return letter;
    c->simple = false;
    if (letter < 0 || !strchr("wdhSV", letter))
        c->feed = true;
    if (letter < 0 || !strchr("wWdDsShHvVpPx", letter))
        lose(p);
    return -1;
}

/* One member that is no escape: a character or, as -1, a named set. */
static int class_plain(parser *p, class *c)
{
    if (peek(p, 0) == '[' && (peek(p, 1) == ':' || peek(p, 1) == '.' || peek(p, 1) == '=')) {
        const char *stop = memchr(p->at, ']', (size_t)(p->end - p->at));
        if (!stop || stop[-1] != p->at[1] || stop - p->at < 4) {
            lose(p);
            return -1;
        }
        c->simple = false;
        c->feed = true;
        copy(p, (size_t)(stop + 1 - p->at));
        return -1;
    }
    int byte = peek(p, 0);
    copy(p, 1);
    while (p->utf && byte >= 0x80 && (peek(p, 0) & 0xC0) == 0x80 && peek(p, 0) >= 0)
        copy(p, 1);
    return byte;
}

static void class_member(parser *p, class *c)
{
    int from = peek(p, 0) == '\\' ? class_escape(p, c) : class_plain(p, c);
    int to = from;
    if (from >= 0 && peek(p, 0) == '-' && peek(p, 1) >= 0 && peek(p, 1) != ']') {
        copy(p, 1);
        to = peek(p, 0) == '\\' ? class_escape(p, c) : class_plain(p, c);
        if (to < 0)
            lose(p);
    }
    if (from >= 0 && to >= 0)
        class_add(c, from, to);
}

static void class_literals(const parser *p, const class *c, piece *e)
{
    anything(e);
    if (c->negated || !c->simple || c->n == 0)
        return;
    piece each;
    character(p, &c->list[0], 1, e);
    for (size_t i = 1; i < c->n; i++) {
        character(p, &c->list[i], 1, &each);
        wi_literals_unite(&e->exact, &each.exact);
    }
}

static void read_class(parser *p, piece *e)
{
    class c = {.simple = true};
    copy(p, 1);
    if (peek(p, 0) == '^') {
        c.negated = true;
        copy(p, 1);
        wi_buf_puts(p->out, "\\n");
    }
    if (peek(p, 0) == ']') {
        if (c.negated)
            wi_buf_putc(p->out, '\\');
        copy(p, 1);
        class_add(&c, ']', ']');
        if (peek(p, 0) == '-')
            lose(p); /* may be a range */
    }
    while (more(p) && *p->at != ']')
        class_member(p, &c);
    if (!more(p)) {
        lose(p);
        return;
    }
    copy(p, 1);
    if (c.feed && !c.negated)
        p->takes = true;
    class_literals(p, &c, e);
}

/* ---- escapes ---- */

static size_t hex_digits(const parser *p)
{
    size_t n = 0;
    while (n < 2 &&
           (is_digit(peek(p, n)) || ((peek(p, n) | 32) >= 'a' && (peek(p, n) | 32) <= 'f')))
        n++;
    return n;
}

static bool skip_to(parser *p, char stop)
{
    const char *found = memchr(p->at, stop, (size_t)(p->end - p->at));
    if (!found) {
        lose(p);
        return false;
    }
    copy(p, (size_t)(found + 1 - p->at));
    return true;
}

static void read_escape(parser *p, piece *e)
{
    int letter = peek(p, 1);
    anything(e);
    switch (letter) {
    case 'd':
    case 'w':
    case 'h':
    case 'S':
    case 'V':
    case 'N':
        copy(p, 2);
        return;
    case 's':
        replace(p, 2, "[^\\S\\n]");
        return;
    case 'D':
        replace(p, 2, "[^\\d\\n]");
        return;
    case 'W':
        replace(p, 2, "[^\\w\\n]");
        return;
    case 'H':
        replace(p, 2, "[^\\h\\n]");
        return;
    case 'b':
    case 'B':
        copy(p, 2);
        nothing(e);
        p->bounded = true;
        return;
    case 'n':
        line_feed(p);
        copy(p, 2);
        return;
    case 'p':
    case 'P':
    case 'x':
        p->takes = true;
        copy(p, 2);
        if (peek(p, 0) == '{')
            skip_to(p, '}');
        else if (more(p))
            copy(p, letter == 'x' ? hex_digits(p) : 1);
        return;
    case 't':
    case 'r':
    case 'f':
    case 'a':
    case 'e': {
        static const char meant[] = {
            ['t'] = '\t', ['r'] = '\r', ['f'] = '\f', ['a'] = '\a', ['e'] = '\033'};
        character(p, &meant[letter], 1, e);
        copy(p, 2);
        return;
    }
    default:
        break;
    }
    if (letter < 0 || letter >= 0x80 || is_digit(letter) || is_letter(letter)) {
        /* a back reference takes what its group took, which is nothing new */
        if (letter >= '1' && letter <= '9' && !is_digit(peek(p, 2))) {
            copy(p, 2);
            p->looks = true;
        } else {
            lose(p);
        }
        return;
    }
    if (letter == '\n')
        line_feed(p);
    character(p, p->at + 1, 1, e);
    copy(p, 2);
}

/* ---- groups ---- */

/* After "(?" and until ")" or ":". */
static void read_flags(parser *p)
{
    bool on = true;
    while (more(p) && *p->at != ')' && *p->at != ':') {
        if (*p->at == '-')
            on = false;
        else if (*p->at == 'i')
            p->partly = on;
        else
            lose(p);
        if (more(p))
            copy(p, 1);
    }
    p->bounded = true;
}

typedef enum group { GROUP, AHEAD, NOT_AHEAD, BEHIND, FLAGS } group;

static group name_of_group(parser *p, size_t prefix, char stop)
{
    p->bounded = true; /* somebody may want to know what it took */
    copy(p, prefix);
    skip_to(p, stop);
    return GROUP;
}

/* What stands behind "(?", up to where the group's content begins. */
static group open_special(parser *p)
{
    int c = peek(p, 0);
    int d = peek(p, 1);
    if (c == ':') {
        copy(p, 1);
        return GROUP;
    }
    if (c == '>') {
        copy(p, 1);
        p->looks = true;
        return GROUP;
    }
    if (c == '=' || c == '!') {
        copy(p, 1);
        return c == '=' ? AHEAD : NOT_AHEAD;
    }
    if (c == '<' && (d == '=' || d == '!')) {
        copy(p, 2);
        return BEHIND;
    }
    if (c == '<' || (c == 'P' && d == '<'))
        return name_of_group(p, c == 'P' ? 2 : 1, '>');
    if (c == '\'')
        return name_of_group(p, 1, '\'');
    if (c != 'i' && !(c == '-' && d == 'i')) {
        lose(p);
        return GROUP;
    }
    read_flags(p);
    if (peek(p, 0) == ')') {
        copy(p, 1);
        return FLAGS;
    }
    if (more(p))
        copy(p, 1);
    return GROUP;
}

static void read_content(parser *p, group kind, piece *e)
{
    bool around = kind != GROUP;
    p->around += around;
    read_alternation(p, e);
    p->around -= around;
    if (peek(p, 0) == ')')
        copy(p, 1);
    else
        lose(p);
    if (!around)
        return;
    p->looks = p->bounded = true;
    if (kind == AHEAD && wi_literals_useful(&e->exact))
        wi_literals_prefer(&e->need, &e->exact);
    wi_literals need = e->need;
    nothing(e);
    if (kind == AHEAD)
        e->need = need; /* what it looks at is on the line too */
}

static void read_group(parser *p, piece *e)
{
    group kind = GROUP;
    bool partly = p->partly;
    copy(p, 1);
    if (peek(p, 0) == '*')
        lose(p);
    if (peek(p, 0) == '?') {
        copy(p, 1);
        kind = open_special(p);
    }
    nothing(e);
    if (p->lost || kind == FLAGS)
        return;
    read_content(p, kind, e);
    p->partly = partly;
}

/* ---- sequences ---- */

/* Versions of PCRE2 differ in what between braces is a repeat, but not in what is none. */
static bool brace_may_repeat(const parser *p)
{
    int next = peek(p, 1);
    return is_digit(next) || next == ',' || next == ' ' || next == '\t';
}

static void read_atom(parser *p, piece *e)
{
    switch (*p->at) {
    case '(':
        read_group(p, e);
        return;
    case '[':
        read_class(p, e);
        return;
    case '\\':
        read_escape(p, e);
        return;
    case '.':
        copy(p, 1);
        anything(e);
        return;
    case '^':
    case '$':
        copy(p, 1);
        nothing(e);
        p->bounded = true;
        return;
    case '*':
    case '+':
    case '?':
        lose(p); /* nothing to repeat */
        anything(e);
        return;
    case '{':
        if (brace_may_repeat(p))
            lose(p);
        break;
    case '\n':
        line_feed(p);
        break;
    default:
        break;
    }
    if (p->lost)
        return;
    size_t len = 1;
    while (p->utf && (unsigned char)*p->at >= 0x80 && (peek(p, len) & 0xC0) == 0x80 &&
           peek(p, len) >= 0)
        len++;
    character(p, p->at, len, e);
    copy(p, len);
}

/* {n}, {n,} or {n,m}: its length, or 0 if it is none. */
static size_t braces(parser *p, unsigned *least, unsigned *most)
{
    size_t i = 1;
    if (!is_digit(peek(p, 1))) {
        lose(p);
        return 0;
    }
    for (*least = 0; is_digit(peek(p, i)) && i < 8; i++)
        *least = *least * 10 + (unsigned)(peek(p, i) - '0');
    *most = *least;
    if (peek(p, i) == ',') {
        *most = 0;
        for (i++; is_digit(peek(p, i)) && i < 16; i++)
            *most = *most * 10 + (unsigned)(peek(p, i) - '0');
        if (peek(p, i - 1) == ',')
            *most = 1 << 20;
    }
    if (peek(p, i) == '}')
        return i + 1;
    lose(p);
    return 0;
}

static void repeat(piece *e, unsigned least, unsigned most)
{
    if (least == 1 && most == 1)
        return;
    if (least == 0) {
        wi_literals_none(&e->need);
        if (most == 1) {
            wi_literals empty = {0};
            wi_literals_one(&empty, "", 0);
            wi_literals_unite(&e->exact, &empty);
        } else {
            wi_literals_none(&e->exact);
        }
        return;
    }
    wi_literals_prefer(&e->need, &e->exact);
    wi_literals_none(&e->exact);
}

static void read_repeats(parser *p, piece *e)
{
    while (more(p)) {
        unsigned least = 0;
        unsigned most = 1 << 20;
        size_t len = 1;
        if (*p->at == '+')
            least = 1;
        else if (*p->at == '?')
            most = 1;
        else if (*p->at == '{' && brace_may_repeat(p))
            len = braces(p, &least, &most);
        else if (*p->at != '*')
            return;
        if (!more(p))
            return;
        copy(p, len);
        repeat(e, least, most);
        if (peek(p, 0) == '+')
            p->looks = true;
        if (peek(p, 0) == '?')
            p->bounded = true; /* the order of its literals is another */
        if (peek(p, 0) == '+' || peek(p, 0) == '?')
            copy(p, 1);
    }
}

static void read_sequence(parser *p, piece *result)
{
    wi_literals run;
    wi_literals best = {0};
    bool broken = false;
    wi_literals_one(&run, "", 0);
    while (more(p) && *p->at != '|' && *p->at != ')') {
        piece e;
        read_atom(p, &e);
        read_repeats(p, &e);
        wi_literals_prefer(&best, &e.need);
        if (wi_literals_append(&run, &e.exact))
            continue;
        broken = true;
        wi_literals_prefer(&best, &run);
        if (e.exact.known)
            run = e.exact;
        else
            wi_literals_one(&run, "", 0);
    }
    if (broken) {
        wi_literals_prefer(&best, &run);
        wi_literals_none(&run);
    }
    result->exact = run;
    result->need = best;
}

static void read_alternation(parser *p, piece *result)
{
    if (p->depth++ == MOST_DEPTH)
        lose(p);
    read_sequence(p, result);
    if (peek(p, 0) == '|')
        wi_literals_prefer(&result->need, &result->exact);
    while (peek(p, 0) == '|') {
        piece branch;
        copy(p, 1);
        read_sequence(p, &branch);
        wi_literals_unite(&result->exact, &branch.exact);
        wi_literals_prefer(&branch.need, &branch.exact);
        wi_literals_unite(&result->need, &branch.need);
    }
    p->depth--;
}

/* ---- the whole ---- */

/* A text without any operator needs no sets, and may be of any length. */
static bool read_plain(wi_pattern *pattern, const char *text, size_t len, bool nocase)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '\\') {
            c = ++i < len ? text[i] : 'a';
            if (is_letter(c) || is_digit(c) || (unsigned char)c >= 0x80)
                return false;
        } else if (strchr("^$.[|()*+?{\\", c) && c) {
            return false;
        }
        if (c == '\n' || (nocase && ((unsigned char)c >= 0x80 || (c && strchr("kKsS", c)))))
            return false;
        wi_buf_putc(&pattern->plain, nocase && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
    return true;
}

bool wi_pattern_read(wi_pattern *pattern, const char *text, size_t len, bool nocase, bool utf)
{
    parser p = {.begin = text, .at = text, .end = text + len, .nocase = nocase, .utf = utf};
    piece all;
    *pattern = (wi_pattern){0};
    p.out = &pattern->text;
    if (read_plain(pattern, text, len, nocase)) {
        pattern->is_plain = pattern->exact = pattern->whole = true;
        wi_buf_append(&pattern->text, text, len);
        return !pattern->plain.failed && !pattern->text.failed;
    }
    wi_buf_clear(&pattern->plain);
    read_alternation(&p, &all);
    if (p.at < p.end)
        lose(&p);
    pattern->newline_at = p.newline_at;
    if (p.lost) {
        wi_buf_clear(&pattern->text);
        wi_buf_append(&pattern->text, text, len);
        return !pattern->text.failed;
    }
    pattern->whole = !(p.takes && p.looks);
    pattern->exact = all.exact.known && !p.bounded && !p.takes;
    pattern->literals = all.need;
    if (pattern->exact)
        pattern->literals = all.exact;
    else
        wi_literals_prefer(&pattern->literals, &all.exact);
    return !pattern->text.failed;
}

void wi_pattern_fini(wi_pattern *pattern)
{
    wi_buf_fini(&pattern->text);
    wi_buf_fini(&pattern->plain);
}
