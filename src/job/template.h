/*
 * template.h: a text with holes: "https://host/products/{id}?page={1..20}".
 *
 * In a URL, braces hold a range {A..B} or {A..B..STEP} (leading zeros give the width, A may be
 * above B, letters {a..f} work too), a list {a,b,c} (items may be empty), a column {name} or
 * {name:raw}, {env:NAME} or {env:NAME:raw} (the environment's value at parse time, a secret: shown
 * as ***), or {#} (the request's number, from 1). \{ \} \\ stand for themselves, and \, in a list.
 * Elsewhere (headers, bodies, paths) there are no ranges or lists, and {#1}, {#2} are the values
 * chosen for the URL's first, second range or list. In a body a brace that does not open such a
 * hole is text, and in a JSON body so is every backslash that is not before a brace.
 *
 * A value is encoded for where it stands: percent-encoded in a URL or form, escaped inside a JSON
 * string, a whole JSON value outside one, refused with a line break or NUL in a header, and made
 * one harmless file name part in a path ('/', '%', control characters and a leading '.' become %XX,
 * the empty value "_"). `:raw` leaves it as it is (not in paths or headers). A JSON cell that is a
 * string is unescaped first, and null is the empty text, except as a whole JSON value.
 *
 * A command's words have the placeholders of GNU parallel: {} is the value (of an input with one
 * column, or of one list of arguments), {.} the value without its extension, {/} its last part,
 * {//} the folder before that, {/.} the last part without extension; {name} is a column, {1} the
 * first list or column, and they take the same endings: {name/.}. {#} is the number, and any other
 * brace is text. There is no encoding, but a NUL is refused, and for a shell each value is quoted;
 * where quotes don't help (shell.h), none may stand.
 *
 * Parsed once, expanded by many threads at a time.
 */
#ifndef WI_TEMPLATE_H
#define WI_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"
#include "buf.h"
#include "error.h"

typedef enum wi_template_mode {
    WI_TEMPLATE_URL,
    WI_TEMPLATE_HEADER,
    WI_TEMPLATE_JSON,
    WI_TEMPLATE_FORM,
    WI_TEMPLATE_RAW, /* a body that is neither */
    WI_TEMPLATE_PATH,
    WI_TEMPLATE_WORD,  /* of a command */
    WI_TEMPLATE_SHELL, /* a command line */
    WI_TEMPLATE_STDIN, /* a command's input: like a word, but it may hold anything */
} wi_template_mode;

typedef struct wi_template wi_template;

/* What a hole may refer to. batch NULL: no input, so a column is unknown. */
typedef struct wi_scope {
    const wi_batch *batch;
    size_t row;
    uint64_t number;        /* {#}: from 1 */
    const wi_template *url; /* the URL whose choice {#1} shows */
    uint64_t choice;        /* which of wi_template_count(url) combinations, the last one fastest */
} wi_scope;

/* `what` names it in messages ("URL", "header"), which give the column of the fault, from 1 (and
 * the line, if there are several). The text is copied. */
weir_status wi_template_parse(const char *text, size_t len, wi_template_mode mode, const char *what,
                              wi_template **out, weir_error *err);
void wi_template_free(wi_template *template_);

/*
 * A template of lists alone, for commands: its combinations are what {1}, {2} stand for. The words
 * are borrowed in the call. WEIR_INVALID past 2^62 combinations.
 */
typedef struct wi_words {
    const char *const *words;
    size_t len;
} wi_words;
weir_status wi_template_of_lists(const wi_words *lists, size_t n, wi_template **out,
                                 weir_error *err);

/* Does any hole take something from the row or the lists? {#} does not. */
bool wi_template_has_values(const wi_template *template_);

/* The product of the ranges and lists; 1 without any. WEIR_INVALID at parse time past 2^62. */
uint64_t wi_template_count(const wi_template *template_);

/* True if expansion is the same for every item. */
bool wi_template_is_constant(const wi_template *template_);

/* Are all columns known to the schema (NULL: no input), and all {#N} to url (NULL: not checked)?
 * The message names the unknown one, where it stands and what there is. */
weir_status wi_template_check(const wi_template *template_, const wi_schema *schema,
                              const wi_template *url, weir_error *err);

/*
 * Appends the expansion to out and, if shown is given and the template holds secrets, the
 * expansion with *** in their place to shown (else shown is left as it was: has_secrets tells).
 * Fails with WEIR_INVALID when the row lacks a value or holds one that cannot stand there, with
 * WEIR_TOOLARGE past out's cap; then nothing was appended.
 */
weir_status wi_template_expand(const wi_template *template_, const wi_scope *scope, wi_buf *out,
                               wi_buf *shown, weir_error *err);
bool wi_template_has_secrets(const wi_template *template_);

/* Puts what was appended to out since `from` into single quotes, so that a POSIX shell takes it for
 * one word whatever it holds (POSIX.1-2017, Shell Command Language, 2.2.2). */
void wi_template_quote(wi_buf *out, size_t from);

#endif
