/*
 * shell.c: see shell.h. Its invariant: while it is not lost, what is nested is what any shell sees
 * nested there.
 */
#include "shell.h"

#include <string.h>

typedef enum context {
    PLAIN,  /* the line itself */
    PARENS, /* ( ) or $( ): a line in the line */
    SINGLE,
    DOUBLE,
    BACKTICK,
    BRACES,     /* ${ } */
    ARITHMETIC, /* $(( )) or (( )) */
    COMMENT,
} context;

static context now(const wi_shell *shell)
{
    return shell->depth ? (context)shell->nested[shell->depth - 1] : PLAIN;
}

static void enter(wi_shell *shell, context inner)
{
    if (shell->depth == WI_SHELL_DEPTH) {
        shell->lost = true;
        return;
    }
    shell->nested[shell->depth++] = (uint8_t)inner;
    shell->spelled = 0;
    shell->in_word = false;
}

static void leave(wi_shell *shell)
{
    shell->depth--;
    shell->spelled = 5;
    shell->in_word = true;
}

/* What a '$' begins, in the line and in double quotes. */
static bool read_dollar(wi_shell *shell, char c)
{
    bool begins = shell->last == '$' && (c == '(' || c == '{');
    if (begins)
        enter(shell, c == '(' ? PARENS : BRACES);
    return begins;
}

/* "case" has parentheses that close nothing. */
static void read_word(wi_shell *shell, char c)
{
    static const char word[] = "case";
    bool ends = strchr(" \t\n;&|()<>", c) != NULL;
    if (ends) {
        shell->lost = shell->lost || (shell->depth && shell->spelled == 4);
        shell->spelled = 0;
        shell->in_bracket = false;
    } else {
        shell->spelled = shell->spelled < 4 && word[shell->spelled] == c ? shell->spelled + 1 : 5;
        shell->in_bracket = shell->in_bracket || c == '[';
    }
    shell->in_word = !ends;
}

/* "<<" begins a here-document; "<<<" is something else, and takes a word. */
static bool is_here(const wi_shell *shell)
{
    return shell->less == 2 || shell->less > 3;
}

/* A here-document, $'...' or $[...] of some shells, and a '#' that is a comment for some. */
static bool is_obscure(const wi_shell *shell, char c)
{
    return (is_here(shell) && c != '<') || (shell->last == '$' && (c == '\'' || c == '[')) ||
           (shell->last == ')' && c == '#');
}

static void read_line(wi_shell *shell, char c)
{
    bool in_word = shell->in_word;
    shell->lost = shell->lost || (c == '(' && shell->in_bracket);
    read_word(shell, c);
    shell->lost = shell->lost || is_obscure(shell, c);
    if (read_dollar(shell, c))
        return;
    if (c == '\'') {
        enter(shell, SINGLE);
    } else if (c == '"') {
        enter(shell, DOUBLE);
    } else if (c == '`') {
        enter(shell, BACKTICK);
    } else if (c == '#' && !in_word) {
        enter(shell, COMMENT);
    } else if (c == '(' && shell->last == '(' && now(shell) == PARENS) {
        leave(shell);
        enter(shell, ARITHMETIC);
        shell->parens = 2;
    } else if (c == '(') {
        enter(shell, PARENS);
    } else if (c == ')' && now(shell) == PARENS) {
        leave(shell);
        shell->spelled = 0;
        shell->in_word = false;
    }
}

static void read_double(wi_shell *shell, char c)
{
    if (c == '"')
        leave(shell);
    else if (c == '`')
        enter(shell, BACKTICK);
    else
        read_dollar(shell, c);
}

/* In these, shells don't agree on what quotes are. */
static void read_other(wi_shell *shell, context where, char c)
{
    bool quote = c == '\'' || c == '"' || (c == '`' && where != BACKTICK);
    shell->lost = shell->lost || quote || (where == BRACES && shell->last == '$' && c == '(');
    if (where == ARITHMETIC && (c == '(' || c == ')'))
        shell->parens += c == '(' ? 1U : -1U;
    if (where == BACKTICK ? c == '`' : where == BRACES ? c == '}' : shell->parens == 0)
        leave(shell);
    else if (where == BRACES)
        read_dollar(shell, c);
}

void wi_shell_read(wi_shell *shell, char c)
{
    context where = now(shell);
    bool is_line = where == PLAIN || where == PARENS;
    if (shell->escaped) {
        shell->escaped = false;
        if (c == '\n') /* as if neither of them were there */
            return;
        shell->lost = shell->lost || is_here(shell);
        shell->in_word = true;
        shell->spelled = 5;
        shell->last = 0;
        shell->less = 0;
        return;
    }
    if (c == '\\' && where != SINGLE && where != COMMENT) {
        shell->escaped = true;
        return;
    }
    if (is_line)
        read_line(shell, c);
    else if (where == DOUBLE)
        read_double(shell, c);
    else if (where == SINGLE && c == '\'')
        leave(shell);
    else if (where == COMMENT && c == '\n') {
        leave(shell);
        shell->spelled = 0;
        shell->in_word = false;
    } else if (where != SINGLE && where != COMMENT)
        read_other(shell, where, c);
    shell->less = is_line && c == '<' ? shell->less + 1 : 0;
    shell->last = c;
}

const char *wi_shell_word(wi_shell *shell)
{
    context where = now(shell);
    if (shell->lost)
        return "stands behind what cannot be read for sure (a here-document, quotes in `...` or "
               "${...}); put it before that: V={}; ... \"$V\"";
    if (where == SINGLE || where == DOUBLE)
        return "stands inside quotes, which its own would end; leave those out, since the value is "
               "quoted already";
    if (where == COMMENT)
        return "stands in a comment, which a line break in its value would end";
    if ((where != PLAIN && where != PARENS) || shell->in_bracket || shell->escaped ||
        shell->last == '$' || is_here(shell))
        return "stands where no quotes protect its value (behind a $, or in `...`, ${...}, "
               "$((...)), [...]); put it before that: V={}; ... \"$V\"";
    shell->in_word = true;
    shell->spelled = 5;
    shell->last = 0;
    shell->less = 0;
    return NULL;
}
