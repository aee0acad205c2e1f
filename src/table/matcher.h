/*
 * matcher.h: which lines match one of several patterns, as ripgrep would say.
 *
 * Patterns are regular expressions of PCRE2, or plain texts (fixed). A line is what stands between
 * two line feeds, without them; a carriage return before one belongs to the line. Each line is
 * matched by itself: ^ and $ are its ends, nothing matches across. \w, \d, \b and case follow
 * Unicode unless told otherwise. Bytes that are no UTF-8 may stand anywhere in a line, and are
 * matched by nothing: a dot does not pass over them.
 *
 * A matcher never changes: threads share it, each with a search of its own. In the making, a search
 * looks for texts that every matching line must hold, or runs a pattern over many lines in one go;
 * what is found is the same as if each line were matched alone.
 */
#ifndef WI_MATCHER_H
#define WI_MATCHER_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "schema.h"

enum { WI_MATCHER_MAX_PATTERNS = 4096 };

/* Named as ripgrep names them; all off is its default. */
typedef struct wi_matcher_options {
    bool ignore_case;
    bool smart_case;    /* ignores case if no pattern has a capital letter */
    bool fixed_strings; /* patterns are texts */
    bool word_regexp;   /* right before and after: a line's end or a character of no word */
    bool line_regexp;   /* the whole line; stronger than word_regexp */
    bool invert_match;  /* the lines that don't match */
    bool no_unicode;    /* bytes rather than characters; classes and case are ASCII's */
} wi_matcher_options;

typedef struct wi_matcher wi_matcher;

/*
 * At least one pattern. Nothing is kept of what is given. WEIR_INVALID: a pattern that is none; the
 * text says which, where and what to do.
 */
weir_status wi_matcher_new(const wi_name *patterns, size_t n, const wi_matcher_options *options,
                           wi_matcher **out, weir_error *err);
void wi_matcher_free(wi_matcher *matcher); /* NULL is fine; not before its searches */

/* The names of groups, over all patterns, each once, in the order in which they come: columns. */
size_t wi_matcher_columns(const wi_matcher *matcher);
wi_name wi_matcher_column(const wi_matcher *matcher, size_t column);

/* ---- searching ---- */

/* One thread's way to search; for one matcher, again and again. */
typedef struct wi_search wi_search;

typedef struct wi_span {
    size_t begin;
    size_t end;
} wi_span;

#define WI_SPAN_NONE ((wi_span){SIZE_MAX, SIZE_MAX})

weir_status wi_search_new(const wi_matcher *matcher, wi_search **out, weir_error *err);
void wi_search_free(wi_search *search); /* NULL is fine */

/* `stopped` is asked, often and between lines, whether it may end: then wi_search_next is
 * WEIR_CANCELLED. A pattern may need long for a line, and for many lines hours. */
void wi_search_stop_when(wi_search *search, bool (*stopped)(const void *arg), const void *arg);

/*
 * Turns to these bytes, which must stay until the next begin. They are whole lines: they begin
 * where a line does, and end behind a line feed, or else their last line counts as ended there.
 */
void wi_search_begin(wi_search *search, const char *bytes, size_t len);

/*
 * The next line that is wanted, without its line feed, as a span of the bytes. WEIR_END: no more.
 * WEIR_TOOLARGE: a line needs more steps or memory than is allowed; the search goes on behind it
 * when it is called again. WEIR_CANCELLED, as wi_search_stop_when says.
 */
weir_status wi_search_next(wi_search *search, wi_span *line, weir_error *err);

/*
 * The first match in a line that begins at or after `from`; WEIR_END: none. Of matches that begin
 * at one place that of the earlier pattern counts. `columns` (may be NULL) has a place for each of
 * the matcher's columns: WI_SPAN_NONE where the group took no part. Spans are within the line.
 * Independent of begin and next. With invert_match this is about matches all the same.
 */
weir_status wi_search_spans(wi_search *search, const char *line, size_t len, size_t from,
                            wi_span *match, wi_span *columns, weir_error *err);

#endif
