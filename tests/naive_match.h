/*
 * naive_match.h: what a matcher must find, found without any of its arts: each pattern is run by
 * PCRE2's interpreter over each line alone. (On bytes that are no UTF-8 it takes each piece between
 * them for a subject of its own, and its compiler does not: there the compiler counts.)
 */
#ifndef WEIR_TEST_NAIVE_MATCH_H
#define WEIR_TEST_NAIVE_MATCH_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "matcher.h"
#include "text.h"

enum { NAIVE_PATTERNS = 8 };

typedef struct naive {
    pcre2_code *codes[NAIVE_PATTERNS];
    size_t n;
    pcre2_match_data *data;
    pcre2_match_context *context;
} naive;

typedef enum naive_answer { NAIVE_NO, NAIVE_YES, NAIVE_TOO_MUCH } naive_answer;

static inline void naive_quote(wi_buf *out, const wi_name *text)
{
    for (size_t i = 0; i < text->len; i++) {
        char c = text->bytes[i];
        if ((c > 0 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || c > 'z')
            wi_buf_putc(out, '\\');
        wi_buf_putc(out, c);
    }
}

/* The patterns are valid. */
static inline void naive_open(naive *n, const wi_name *patterns, size_t count,
                              const wi_matcher_options *options)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    uint32_t flags = PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    if (options->ignore_case)
        flags |= PCRE2_CASELESS;
    if (!options->no_unicode)
        flags |= PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
    *n = (naive){.n = count};
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    for (size_t i = 0; i < count; i++) {
        int why;
        size_t at;
        wi_buf text = WI_BUF_INIT;
        bool line = options->line_regexp;
        bool word = options->word_regexp && !line;
        wi_buf_puts(&text, line ? "^(?:" : word ? "(?<=^|\\W)(?:" : "");
        if (options->fixed_strings)
            naive_quote(&text, &patterns[i]);
        else
            wi_buf_append(&text, patterns[i].bytes, patterns[i].len);
        wi_buf_puts(&text, line ? ")$" : word ? ")(?=\\W|$)" : "");
        n->codes[i] = pcre2_compile((const unsigned char *)(text.data ? text.data : ""), text.len,
                                    flags, &why, &at, context);
        pcre2_jit_compile(n->codes[i], PCRE2_JIT_COMPLETE);
        wi_buf_fini(&text);
    }
    pcre2_compile_context_free(context);
    n->data = pcre2_match_data_create(64, NULL);
    n->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(n->context, 100000);
}

static inline void naive_close(naive *n)
{
    for (size_t i = 0; i < n->n; i++)
        pcre2_code_free(n->codes[i]);
    pcre2_match_data_free(n->data);
    pcre2_match_context_free(n->context);
}

/* The first match in a line, and which pattern's it is; its groups are in data. */
static inline naive_answer naive_find(naive *n, const char *line, size_t len, wi_span *span,
                                      size_t *pattern)
{
    naive_answer answer = NAIVE_NO;
    uint32_t flags = wi_utf8_valid_prefix(line, len) == len ? PCRE2_NO_JIT : 0;
    for (size_t i = 0; i < n->n; i++) {
        if (!n->codes[i])
            return NAIVE_TOO_MUCH;
        int got = pcre2_match(n->codes[i], (const unsigned char *)(len ? line : ""), len, 0, flags,
                              n->data, n->context);
        if (got < 0 && got != PCRE2_ERROR_NOMATCH)
            return NAIVE_TOO_MUCH;
        const size_t *ends = pcre2_get_ovector_pointer(n->data);
        if (got < 0 || (answer == NAIVE_YES && ends[0] >= span->begin))
            continue;
        answer = NAIVE_YES;
        *span = (wi_span){ends[0], ends[1]};
        *pattern = i;
    }
    return answer;
}

/* What a named group of a pattern took in a line. */
static inline wi_span naive_group(naive *n, size_t pattern, const char *line, size_t len,
                                  const wi_name *name)
{
    char text[64] = "";
    memcpy(text, name->bytes, name->len < 63 ? name->len : 63);
    int group = pcre2_substring_number_from_name(n->codes[pattern], (unsigned char *)text);
    if (group < 0)
        return group == PCRE2_ERROR_NOUNIQUESUBSTRING ? (wi_span){1, 0} : WI_SPAN_NONE;
    pcre2_match(n->codes[pattern], (const unsigned char *)(len ? line : ""), len, 0,
                wi_utf8_valid_prefix(line, len) == len ? PCRE2_NO_JIT : 0, n->data, n->context);
    const size_t *ends = pcre2_get_ovector_pointer(n->data);
    return (wi_span){ends[2 * group], ends[2 * group + 1]};
}

/* ---- comparing ---- */

/* What is not the same, in words; NULL: nothing. */
static inline const char *naive_compare_line(naive *n, wi_search *search, const wi_matcher *matcher,
                                             const char *line, size_t len)
{
    wi_span want = WI_SPAN_NONE;
    wi_span got = WI_SPAN_NONE;
    wi_span columns[64];
    size_t pattern = 0;
    size_t n_columns = wi_matcher_columns(matcher);
    naive_answer answer = naive_find(n, line, len, &want, &pattern);
    weir_status status =
        wi_search_spans(search, line, len, 0, &got, n_columns <= 64 ? columns : NULL, NULL);
    if (answer == NAIVE_TOO_MUCH || status == WEIR_TOOLARGE)
        return NULL;
    if ((answer == NAIVE_YES) != (status == WEIR_OK))
        return "a match within the line";
    if (answer == NAIVE_NO)
        return NULL;
    if (want.begin != got.begin || want.end != got.end)
        return "where the match is";
    for (size_t i = 0; i < n_columns && n_columns <= 64; i++) {
        wi_name name = wi_matcher_column(matcher, i);
        want = naive_group(n, pattern, line, len, &name);
        if (want.begin != columns[i].begin || want.end != columns[i].end)
            if (want.begin <= want.end) /* else several groups of one name */
                return "what a group took";
    }
    return NULL;
}

/* Searches the text both ways. What differs first, in words, and in which line (from 0). */
static inline const char *naive_compare(naive *n, const wi_matcher *matcher, wi_search *search,
                                        bool invert, const char *bytes, size_t len, size_t *at_line)
{
    wi_span line = {0};
    bool pending = false;
    weir_status status = WEIR_OK;
    const char *wrong = NULL;
    wi_search_begin(search, bytes, len);
    size_t number = 0;
    for (size_t at = 0; at < len && !wrong; number++) {
        const char *feed = memchr(bytes + at, '\n', len - at);
        size_t end = feed ? (size_t)(feed - bytes) : len;
        wi_span span;
        size_t pattern;
        naive_answer answer = naive_find(n, bytes + at, end - at, &span, &pattern);
        *at_line = number;
        if (!pending) {
            status = wi_search_next(search, &line, NULL);
            if (status == WEIR_TOOLARGE || answer == NAIVE_TOO_MUCH)
                return NULL; /* no telling which line that was */
            pending = true;
        }
        bool got = status == WEIR_OK && line.begin == at;
        if (got && line.end != end)
            wrong = "where the line ends";
        else if (answer != NAIVE_TOO_MUCH && got != ((answer == NAIVE_YES) != invert))
            wrong = "whether the line is wanted";
        else
            wrong = naive_compare_line(n, search, matcher, bytes + at, end - at);
        pending = !got;
        at = end + 1;
    }
    if (!wrong && wi_search_next(search, &line, NULL) == WEIR_OK && !pending)
        wrong = "the number of lines";
    return wrong;
}

#endif
