/*
 * matcher.c: see matcher.h; this is the making. Its invariant: a pattern that is accepted has been
 * compiled as the user wrote it, alone, so messages speak of what was written, and what is wrapped
 * around it cannot change its meaning unnoticed.
 */
#include "matcher.h"

#include <stdlib.h>
#include <string.h>

#include "matcher_state.h"
#include "pattern.h"

typedef struct making {
    wi_matcher *matcher;
    wi_matcher_options options;
    bool nocase;
    pcre2_compile_context *context;
    wi_buf plain;  /* the texts of patterns that are such, back to back */
    wi_buf plains; /* plain_text each */
} making;

typedef struct plain_text {
    size_t at;
    size_t len;
    size_t pattern;
} plain_text;

/* ---- memory and messages ---- */

static void *take_memory(size_t size, void *arg)
{
    (void)arg;
    return malloc(size);
}

static void give_back(void *block, void *arg)
{
    (void)arg;
    free(block);
}

enum { COMPILE_NO_MEMORY = 121, SHOWN = 60 };

static weir_status fail_compile(size_t number, size_t at, int code, const wi_name *pattern,
                                weir_error *err)
{
    char why[160];
    if (code == COMPILE_NO_MEMORY || code == PCRE2_ERROR_NOMEMORY)
        return wi_fail_nomem(err);
    if (pcre2_get_error_message(code, (unsigned char *)why, sizeof why) < 0)
        strcpy(why, "it is not valid");
    int shown = pattern->len < SHOWN ? (int)pattern->len : SHOWN;
    return wi_fail(err, WEIR_INVALID,
                   "pattern %zu, column %zu: %s in \"%.*s\"%s: mend it, or search for it as plain "
                   "text with --fixed-strings",
                   number + 1, at + 1, why, shown, pattern->bytes,
                   pattern->len > SHOWN ? "..." : "");
}

/* ---- one pattern ---- */

static uint32_t compile_options(const making *m)
{
    uint32_t options = PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    if (!m->options.no_unicode)
        options |= PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
    return options | (m->nocase ? PCRE2_CASELESS : 0);
}

static pcre2_code *compile(const making *m, const char *text, size_t len, uint32_t options,
                           int *why, size_t *at)
{
    return pcre2_compile((const unsigned char *)(text ? text : ""), len, options, why, at,
                         m->context);
}

/* Around a pattern that by itself is valid. */
static void wrap(const making *m, const wi_buf *text, wi_buf *out)
{
    bool line = m->options.line_regexp;
    bool word = m->options.word_regexp && !line;
    wi_buf_puts(out, line ? "^(?:" : word ? "(?<=^|\\W)(?:" : "");
    wi_buf_append(out, text->data, text->len);
    wi_buf_puts(out, line ? ")$" : word ? ")(?=\\W|$)" : "");
}

static void make_fast(pcre2_code *code)
{
    if (code)
        pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it can't, the interpreter serves */
}

static bool is_fast(const pcre2_code *code)
{
    size_t size = 0;
    return pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &size) == 0 && size > 0;
}

static weir_status compile_program(making *m, wi_program *program, const wi_pattern *read,
                                   const wi_name *given, weir_error *err)
{
    wi_buf text = WI_BUF_INIT;
    uint32_t options = compile_options(m);
    int why = 0;
    size_t at = 0;
    wrap(m, &read->text, &text);
    if (text.failed) {
        wi_buf_fini(&text);
        return wi_fail_nomem(err);
    }
    program->code = compile(m, text.data, text.len, options, &why, &at);
    if (program->code && (options & PCRE2_UTF) &&
        wi_is_ascii(text.data ? text.data : "", text.len)) {
        int ignored = 0;
        options &= ~(uint32_t)(PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF);
        program->ascii = compile(m, text.data, text.len, options, &ignored, &at);
    }
    wi_buf_fini(&text);
    if (!program->code && (why == COMPILE_NO_MEMORY || why == PCRE2_ERROR_NOMEMORY))
        return wi_fail_nomem(err);
    if (!program->code)
        return wi_fail(
            err, WEIR_INVALID,
            "pattern %zu, \"%.*s\", is valid alone, but not within a word or line: write "
            "\\b or ^ and $ into it in place of --word-regexp or --line-regexp",
            program->pattern + 1, given->len < SHOWN ? (int)given->len : SHOWN, given->bytes);
    make_fast(program->code);
    make_fast(program->ascii);
    program->fast = is_fast(program->code);
    program->ascii_fast = program->ascii && is_fast(program->ascii);
    program->whole = read->whole && program->fast;
    return WEIR_OK;
}

static weir_status add_needles(wi_program *program, const wi_pattern *read, bool nocase,
                               weir_error *err)
{
    wi_needle_text texts[WI_LITERALS_MAX];
    if (read->is_plain && read->plain.len > 1) { /* and a word or a whole line, too */
        texts[0] = (wi_needle_text){read->plain.data, read->plain.len};
        program->needles = wi_needles_new(texts, 1, nocase);
        return program->needles ? WEIR_OK : wi_fail_nomem(err);
    }
    if (!read->literals.known || !wi_literals_useful(&read->literals))
        return WEIR_OK;
    for (size_t i = 0; i < read->literals.n; i++)
        texts[i] = (wi_needle_text){read->literals.list[i].bytes, read->literals.list[i].len};
    program->needles = wi_needles_new(texts, read->literals.n, nocase);
    return program->needles ? WEIR_OK : wi_fail_nomem(err);
}

/* ---- columns ---- */

static bool find_column(const wi_matcher *matcher, const char *name, size_t len, uint32_t *column)
{
    for (size_t i = 0; i < matcher->n_columns; i++) {
        if (matcher->columns[i].len == len && memcmp(matcher->columns[i].bytes, name, len) == 0) {
            *column = (uint32_t)i;
            return true;
        }
    }
    return false;
}

static bool add_column(wi_matcher *matcher, const char *name, size_t len, uint32_t *column)
{
    if (find_column(matcher, name, len, column))
        return true;
    wi_name *longer = realloc(matcher->columns, (matcher->n_columns + 1) * sizeof *longer);
    char *own = longer ? malloc(len) : NULL;
    if (longer)
        matcher->columns = longer;
    if (!own)
        return false;
    memcpy(own, name, len);
    matcher->columns[matcher->n_columns] = (wi_name){own, len};
    *column = (uint32_t)matcher->n_columns++;
    return true;
}

static int by_group(const void *a, const void *b)
{
    const wi_group_column *x = a;
    const wi_group_column *y = b;
    return (x->group > y->group) - (x->group < y->group);
}

/* PCRE2's table is in the order of names, ours in that of groups. */
static weir_status add_columns(wi_matcher *matcher, wi_program *program, weir_error *err)
{
    uint32_t n = 0;
    uint32_t size = 0;
    uint32_t groups = 0;
    const unsigned char *table = NULL;
    pcre2_pattern_info(program->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    pcre2_pattern_info(program->code, PCRE2_INFO_NAMECOUNT, &n);
    pcre2_pattern_info(program->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(program->code, PCRE2_INFO_NAMETABLE, &table);
    if (groups + 1 > matcher->most_groups)
        matcher->most_groups = groups + 1;
    if (n == 0)
        return WEIR_OK;
    program->groups = calloc(n, sizeof *program->groups);
    if (!program->groups)
        return wi_fail_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        program->groups[i] = (wi_group_column){
            (uint32_t)table[(size_t)i * size] << 8 | table[(size_t)i * size + 1], i};
    qsort(program->groups, n, sizeof *program->groups, by_group);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = (const char *)table + (size_t)program->groups[i].column * size + 2;
        if (!add_column(matcher, name, strlen(name), &program->groups[i].column))
            return wi_fail_nomem(err);
    }
    program->n_groups = n;
    return WEIR_OK;
}

/* ---- plain texts ---- */

static weir_status add_plain(making *m, size_t number, const char *text, size_t len,
                             weir_error *err)
{
    plain_text plain = {m->plain.len, len, number};
    wi_buf_append(&m->plain, text, len);
    wi_buf_append(&m->plains, &plain, sizeof plain);
    return m->plain.failed || m->plains.failed ? wi_fail_nomem(err) : WEIR_OK;
}

static weir_status add_exact(making *m, size_t number, const wi_pattern *read, weir_error *err)
{
    if (read->is_plain)
        return add_plain(m, number, read->plain.data, read->plain.len, err);
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < read->literals.n && !status; i++)
        status =
            add_plain(m, number, read->literals.list[i].bytes, read->literals.list[i].len, err);
    return status;
}

/* Those that were gathered become one program. */
static weir_status finish_plain(making *m, weir_error *err)
{
    size_t n = m->plains.len / sizeof(plain_text);
    const plain_text *plains = (const plain_text *)(const void *)m->plains.data;
    if (n == 0)
        return WEIR_OK;
    wi_program *program = &m->matcher->programs[m->matcher->n++];
    wi_needle_text *texts = calloc(n, sizeof *texts);
    program->numbers = calloc(n, sizeof *program->numbers);
    program->exact = true;
    for (size_t i = 0; i < n && texts && program->numbers; i++) {
        const char *bytes = m->plain.data ? m->plain.data + plains[i].at : "";
        texts[i] = (wi_needle_text){bytes, plains[i].len};
        program->numbers[i] = plains[i].pattern;
    }
    program->pattern = plains[0].pattern;
    if (texts && program->numbers)
        program->needles = wi_needles_new(texts, n, m->nocase);
    free(texts);
    return program->needles ? WEIR_OK : wi_fail_nomem(err);
}

/* ---- all of them ---- */

/* As it is written, without anything around it. */
static weir_status check(const making *m, size_t number, const wi_buf *text, const wi_name *given,
                         weir_error *err)
{
    int why = 0;
    size_t at = 0;
    pcre2_code *code = compile(m, text->data, text->len, compile_options(m), &why, &at);
    if (!code)
        return fail_compile(number, m->options.fixed_strings ? 0 : at, why, given, err);
    pcre2_code_free(code);
    return WEIR_OK;
}

static weir_status add_read(making *m, size_t number, const wi_pattern *read, const wi_name *given,
                            weir_error *err)
{
    if (read->newline_at)
        return wi_fail(
            err, WEIR_INVALID,
            "pattern %zu, column %zu: it asks for a line feed, but lines are searched one "
            "by one: leave it out, or use $ for the end of a line",
            number + 1, read->newline_at);
    if (read->exact && !m->options.word_regexp && !m->options.line_regexp)
        return add_exact(m, number, read, err);
    wi_program *program = &m->matcher->programs[m->matcher->n++];
    program->pattern = number;
    weir_status status = add_needles(program, read, m->nocase, err);
    if (!status)
        status = compile_program(m, program, read, given, err);
    return status ? status : add_columns(m->matcher, program, err);
}

static weir_status add_pattern(making *m, size_t number, const wi_name *given, weir_error *err)
{
    wi_buf text = WI_BUF_INIT;
    wi_pattern read;
    if (m->options.fixed_strings)
        wi_pattern_quote(given->bytes, given->len, &text);
    else
        wi_buf_append(&text, given->bytes, given->len);
    weir_status status = text.failed ? wi_fail_nomem(err) : check(m, number, &text, given, err);
    if (!status) {
        bool ok = wi_pattern_read(&read, text.data ? text.data : "", text.len, m->nocase,
                                  !m->options.no_unicode);
        status = ok ? add_read(m, number, &read, given, err) : wi_fail_nomem(err);
        wi_pattern_fini(&read);
    }
    wi_buf_fini(&text);
    return status;
}

/* Is there a capital letter among those of the patterns? */
static weir_status find_capital(const making *m, const wi_name *patterns, size_t n, bool *found,
                                weir_error *err)
{
    static const char capital[] = "\\p{Lu}";
    wi_buf letters = WI_BUF_INIT;
    int why;
    size_t at;
    for (size_t i = 0; i < n; i++) {
        if (m->options.fixed_strings)
            wi_buf_append(&letters, patterns[i].bytes, patterns[i].len);
        else
            wi_pattern_letters(patterns[i].bytes, patterns[i].len, &letters);
    }
    pcre2_code *code =
        compile(m, capital, sizeof capital - 1, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &why, &at);
    pcre2_match_data *data = pcre2_match_data_create(1, m->matcher->general);
    int got = PCRE2_ERROR_NOMEMORY;
    if (code && data && !letters.failed)
        got = pcre2_match(code, (const unsigned char *)(letters.data ? letters.data : ""),
                          letters.len, 0, 0, data, NULL);
    *found = got >= 0;
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    wi_buf_fini(&letters);
    return got == PCRE2_ERROR_NOMEMORY ? wi_fail_nomem(err) : WEIR_OK;
}

static weir_status add_all(making *m, const wi_name *patterns, size_t n, weir_error *err)
{
    weir_status status = WEIR_OK;
    m->nocase = m->options.ignore_case;
    if (m->options.smart_case && !m->nocase) {
        bool capital = false;
        status = find_capital(m, patterns, n, &capital, err);
        m->nocase = !capital;
    }
    for (size_t i = 0; i < n && !status; i++)
        status = add_pattern(m, i, &patterns[i], err);
    return status ? status : finish_plain(m, err);
}

static weir_status begin(making *m, size_t n, weir_error *err)
{
    wi_matcher *matcher = m->matcher;
    matcher->general = pcre2_general_context_create(take_memory, give_back, NULL);
    matcher->programs = calloc(n + 1, sizeof *matcher->programs);
    if (!matcher->general || !matcher->programs)
        return wi_fail_nomem(err);
    m->context = pcre2_compile_context_create(matcher->general);
    if (!m->context)
        return wi_fail_nomem(err);
    pcre2_set_newline(m->context, PCRE2_NEWLINE_LF);
    return WEIR_OK;
}

weir_status wi_matcher_new(const wi_name *patterns, size_t n, const wi_matcher_options *options,
                           wi_matcher **out, weir_error *err)
{
    if (n == 0 || n > WI_MATCHER_MAX_PATTERNS)
        return wi_fail(err, n ? WEIR_TOOLARGE : WEIR_INVALID,
                       "%zu patterns were given: at least 1 and at most %d are possible", n,
                       WI_MATCHER_MAX_PATTERNS);
    making m = {.matcher = calloc(1, sizeof *m.matcher), .options = *options};
    if (!m.matcher)
        return wi_fail_nomem(err);
    m.matcher->invert = options->invert_match;
    m.matcher->most_groups = 1;
    weir_status status = begin(&m, n, err);
    if (!status)
        status = add_all(&m, patterns, n, err);
    pcre2_compile_context_free(m.context);
    wi_buf_fini(&m.plains);
    wi_buf_fini(&m.plain);
    if (status)
        wi_matcher_free(m.matcher);
    else
        *out = m.matcher;
    return status;
}

void wi_matcher_free(wi_matcher *matcher)
{
    if (!matcher)
        return;
    for (size_t i = 0; i < matcher->n; i++) {
        wi_program *program = &matcher->programs[i];
        wi_needles_free(program->needles);
        free(program->numbers);
        free(program->groups);
        pcre2_code_free(program->code);
        pcre2_code_free(program->ascii);
    }
    for (size_t i = 0; i < matcher->n_columns; i++)
        free((char *)(uintptr_t)matcher->columns[i].bytes);
    free(matcher->columns);
    free(matcher->programs);
    pcre2_general_context_free(matcher->general);
    free(matcher);
}

size_t wi_matcher_columns(const wi_matcher *matcher)
{
    return matcher->n_columns;
}

wi_name wi_matcher_column(const wi_matcher *matcher, size_t column)
{
    return matcher->columns[column];
}
