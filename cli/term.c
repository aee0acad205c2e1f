/* term.c: what a terminal can show. Nothing is kept: every question is asked of the system anew. */
#include "term.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const term_color_choices[] = {"auto", "always", "never", NULL};

static const term_style plain = {"", "", "", "", "", "", ""};
static const term_style colored = {"\x1b[1m",  "\x1b[2m",  "\x1b[31m", "\x1b[32m",
                                   "\x1b[33m", "\x1b[36m", "\x1b[0m"};

const term_style *term_style_get(bool color)
{
    return color ? &colored : &plain;
}

static bool is_dumb(void)
{
    const char *term = getenv("TERM");
    return !term || !*term || strcmp(term, "dumb") == 0;
}

const term_style *term_style_for(term_color mode, int fd)
{
    const char *no_color = getenv("NO_COLOR");
    if (mode == TERM_COLOR_AUTO)
        return term_style_get(isatty(fd) && !is_dumb() && !(no_color && *no_color));
    return term_style_get(mode == TERM_COLOR_ALWAYS);
}

bool term_can_redraw(int fd)
{
    return isatty(fd) && !is_dumb();
}

int term_width(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

bool term_same(int fd_a, int fd_b)
{
    struct stat a, b;
    return isatty(fd_a) && isatty(fd_b) && fstat(fd_a, &a) == 0 && fstat(fd_b, &b) == 0 &&
           a.st_rdev == b.st_rdev;
}

/* The length of the UTF-8 character at s, and its code point; 0 if there is none. */
static size_t decode(const unsigned char *s, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80             ? 1
                 : (s[0] & 0xe0) == 0xc0 ? 2
                 : (s[0] & 0xf0) == 0xe0 ? 3
                 : (s[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    if (len < 2) {
        *cp = s[0];
        return len;
    }
    uint32_t value = s[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < least[len] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *cp = value;
    return len;
}

/* Characters that change what a terminal does, or the order in which it shows text. */
static bool is_hostile(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x061c || cp == 0x200e ||
           cp == 0x200f || cp == 0x2028 || cp == 0x2029 || (cp >= 0x202a && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
}

/* One character of text as it may be shown; how many bytes of text it was. */
static size_t show(char out[16], const unsigned char *s)
{
    static const char names[] = "\n\r\t";
    uint32_t cp = 0;
    size_t len = decode(s, &cp);
    const char *named;
    if (len == 0) {
        snprintf(out, 16, "\\x%02x", s[0]);
        return 1;
    }
    if (!is_hostile(cp)) {
        memcpy(out, s, len);
        out[len] = '\0';
    } else if (cp && cp < 0x20 && (named = strchr(names, (int)cp))) {
        snprintf(out, 16, "\\%c", "nrt"[named - names]);
    } else if (cp < 0x80) {
        snprintf(out, 16, "\\x%02x", (unsigned)cp);
    } else {
        snprintf(out, 16, "\\u{%x}", (unsigned)cp);
    }
    return len;
}

const char *term_escape(char *dst, size_t size, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0, safe = 0; /* safe: the last character's end that leaves room for dots */
    char piece[16];
    if (size == 0)
        return dst;
    while (*s) {
        s += show(piece, s);
        size_t len = strlen(piece);
        if (at + len >= size) {
            size_t dots = size - 1 - safe < 3 ? size - 1 - safe : 3;
            memset(dst + safe, '.', dots);
            at = safe + dots;
            break;
        }
        memcpy(dst + at, piece, len);
        at += len;
        if (at + 3 < size)
            safe = at;
    }
    dst[at] = '\0';
    return dst;
}

size_t term_columns(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}
