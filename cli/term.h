/*
 * term.h: what a terminal can show: its width, its colours, and which text may reach it.
 */
#ifndef TERM_H
#define TERM_H

#include <stdbool.h>
#include <stddef.h>

typedef enum term_color { TERM_COLOR_AUTO, TERM_COLOR_ALWAYS, TERM_COLOR_NEVER } term_color;

/* The choices of a --color option, in the order of term_color. */
extern const char *const term_color_choices[];

/* Escape sequences, or empty strings where nothing is to be coloured. */
typedef struct term_style {
    const char *bold;
    const char *dim;
    const char *red;
    const char *green;
    const char *yellow;
    const char *cyan;
    const char *reset;
} term_style;

/* For a file descriptor: AUTO colours a terminal unless NO_COLOR is set or TERM is "dumb". */
const term_style *term_style_for(term_color mode, int fd);

/* The same, decided. */
const term_style *term_style_get(bool color);

/* A terminal that can redraw a line. */
bool term_can_redraw(int fd);

/* Columns, asked for anew each time; 80 if it is no terminal or does not say. */
int term_width(int fd);

/* Do both descriptors lead to one terminal? */
bool term_same(int fd_a, int fd_b);

/*
 * Copies text into dst as one printable line: controls, bidirectional overrides and invalid UTF-8
 * become \xNN or \u{NNNN}. Cuts at a character's end, with "..." where it had to. Returns dst.
 */
const char *term_escape(char *dst, size_t size, const char *text);

/* How many columns UTF-8 text takes, one for each character. */
size_t term_columns(const char *text);

#endif
