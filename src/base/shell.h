/*
 * shell.h: where in a line for a POSIX shell a word in single quotes may stand.
 *
 * A value in single quotes is one word, whatever it holds, but only where the shell reads words:
 * inside quotes of the line's own, a comment, `...`, ${...}, $((...)) or a here-document, the
 * quotes around it are text like any other, and its own text is obeyed. The line is read byte by
 * byte up to such a place. What is hard to read is refused, not guessed: it errs on the safe side.
 */
#ifndef WI_SHELL_H
#define WI_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WI_SHELL_DEPTH = 16 };

/* All zero is the beginning of a line. */
typedef struct wi_shell {
    uint8_t nested[WI_SHELL_DEPTH]; /* what has been opened and not closed */
    size_t depth;
    unsigned parens;  /* open in $(( )) */
    unsigned less;    /* how many '<' came before, one after the other */
    unsigned spelled; /* how much of "case" the current word is; 5: it is another word */
    bool in_word;     /* a '#' begins no comment here */
    bool in_bracket;  /* of the current word: some shells compute what stands in it */
    bool escaped;     /* a backslash came before */
    bool lost;        /* it cannot be told any more what is nested */
    char last;        /* the byte before, if it stands for itself */
} wi_shell;

/* Literal text goes on. */
void wi_shell_read(wi_shell *shell, char c);

/* A quoted word is to stand here; NULL: it may, and the line goes on behind it. Else why not. */
const char *wi_shell_word(wi_shell *shell);

#endif
