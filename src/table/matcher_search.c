/*
 * matcher_search.c: a matcher in use; see matcher.h. Its invariant: each program knows its next
 * line at or behind the place where the search stands, or that there is none, so several programs
 * together look at every byte once each, however their lines are mixed.
 */
#include <stdlib.h>
#include <string.h>

#include "matcher_state.h"

enum {
    PORTION = 32 << 10, /* of lines that are searched in one go */
    STACK_FIRST = 32 << 10,
    STACK_MOST = 1 << 20,
    STEPS = 10000000, /* for a line */
    STEPS_WHOLE = 1000000,
    PATIENCE = 32,                 /* lines that needles led to in vain */
    WORTH_SKIPPING = 64,           /* bytes for each of them */
    STOPPED = PCRE2_ERROR_CALLOUT, /* there are no callouts: here it means wi_search_stop_when */
};

typedef enum state { UNKNOWN, FOUND, FAILED, NO_MORE } state;

typedef struct run {
    state state;
    int why;         /* FAILED: what PCRE2 says */
    wi_span line;    /* FOUND, FAILED */
    wi_span portion; /* searched in one go */
    bool ascii;      /* the portion is */
    bool by_lines;   /* one go was too much for it */
    size_t vain;     /* candidates in this buffer that were none */
    size_t looked_from;
} run;

struct wi_search {
    const wi_matcher *matcher;
    const char *bytes;
    size_t len;
    size_t at;      /* a line's beginning, or the end */
    bool hit_known; /* for inverted ones: the next line that is not wanted; len: none */
    wi_span hit;
    bool (*stopped)(const void *arg); /* may be NULL */
    const void *stopped_arg;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_match_context *whole_context;
    pcre2_jit_stack *stack;
    run runs[];
};

/* ---- life ---- */

static weir_status begin(wi_search *search, weir_error *err)
{
    const wi_matcher *matcher = search->matcher;
    search->data = pcre2_match_data_create(matcher->most_groups, matcher->general);
    search->context = pcre2_match_context_create(matcher->general);
    search->whole_context = pcre2_match_context_create(matcher->general);
    search->stack = pcre2_jit_stack_create(STACK_FIRST, STACK_MOST, matcher->general);
    if (!search->data || !search->context || !search->whole_context)
        return wi_fail_nomem(err);
    pcre2_set_match_limit(search->context, STEPS);
    pcre2_set_match_limit(search->whole_context, STEPS_WHOLE);
    if (search->stack) { /* without one, there is a small one */
        pcre2_jit_stack_assign(search->context, NULL, search->stack);
        pcre2_jit_stack_assign(search->whole_context, NULL, search->stack);
    }
    return WEIR_OK;
}

weir_status wi_search_new(const wi_matcher *matcher, wi_search **out, weir_error *err)
{
    wi_search *search = calloc(1, sizeof *search + matcher->n * sizeof *search->runs);
    if (!search)
        return wi_fail_nomem(err);
    search->matcher = matcher;
    weir_status status = begin(search, err);
    if (status)
        wi_search_free(search);
    else
        *out = search;
    return status;
}

void wi_search_free(wi_search *search)
{
    if (!search)
        return;
    pcre2_match_data_free(search->data);
    pcre2_match_context_free(search->context);
    pcre2_match_context_free(search->whole_context);
    pcre2_jit_stack_free(search->stack);
    free(search);
}

void wi_search_stop_when(wi_search *search, bool (*stopped)(const void *arg), const void *arg)
{
    search->stopped = stopped;
    search->stopped_arg = arg;
}

void wi_search_begin(wi_search *search, const char *bytes, size_t len)
{
    search->bytes = len ? bytes : "";
    search->len = len;
    search->at = 0;
    search->hit_known = false;
    for (size_t i = 0; i < search->matcher->n; i++) {
        run *r = &search->runs[i];
        *r = (run){.by_lines = r->by_lines};
    }
}

/* ---- lines ---- */

/* The line that place is in, or ends at; from is the beginning of it or of one before it. */
static wi_span line_around(const wi_search *search, size_t from, size_t place)
{
    const char *feed = memrchr(search->bytes + from, '\n', place - from);
    const char *stop = memchr(search->bytes + place, '\n', search->len - place);
    return (wi_span){feed ? (size_t)(feed + 1 - search->bytes) : from,
                     stop ? (size_t)(stop - search->bytes) : search->len};
}

static size_t behind(const wi_search *search, wi_span line)
{
    return line.end < search->len ? line.end + 1 : search->len;
}

/* ---- PCRE2 ---- */

static int match(const wi_search *search, const wi_program *program, bool ascii, const char *bytes,
                 size_t len, size_t from, pcre2_match_context *context)
{
    ascii = ascii && program->ascii;
    const pcre2_code *code = ascii ? program->ascii : program->code;
    bool fast = ascii ? program->ascii_fast : program->fast;
    const unsigned char *subject = (const unsigned char *)bytes;
    return fast ? pcre2_jit_match(code, subject, len, from, 0, search->data, context)
                : pcre2_match(code, subject, len, from, 0, search->data, context);
}

static int match_line(const wi_search *search, const wi_program *program, const char *bytes,
                      size_t len, size_t from)
{
    bool ascii = program->ascii && wi_is_ascii(bytes, len);
    return match(search, program, ascii, bytes, len, from, search->context);
}

static bool is_stopped(const wi_search *search)
{
    return search->stopped && search->stopped(search->stopped_arg);
}

/* Does this line settle it, one way or the other? */
static bool settles(const wi_search *search, const wi_program *program, run *r, wi_span line)
{
    int got = STOPPED;
    if (!is_stopped(search))
        got = match_line(search, program, search->bytes + line.begin, line.end - line.begin, 0);
    if (got == PCRE2_ERROR_NOMATCH)
        return false;
    r->line = line;
    r->state = got < 0 ? FAILED : FOUND;
    r->why = got;
    return true;
}

/* ---- the next line of a program, from `at` on, where a line begins ---- */

static void next_by_lines(const wi_search *search, const wi_program *program, run *r, size_t at)
{
    while (at < search->len) {
        wi_span line = line_around(search, at, at);
        if (settles(search, program, r, line))
            return;
        at = behind(search, line);
    }
    r->state = NO_MORE;
}

static void choose_portion(const wi_search *search, run *r, size_t at)
{
    size_t end = search->len;
    if (end - at > PORTION) {
        const char *feed = memchr(search->bytes + at + PORTION, '\n', end - at - PORTION);
        end = feed ? (size_t)(feed + 1 - search->bytes) : end;
    }
    r->portion = (wi_span){at, end};
    r->ascii = wi_is_ascii(search->bytes + at, end - at);
}

/* A match was found in the portion. True: that settles it; else look on from *at. */
static bool settles_match(const wi_search *search, const wi_program *program, run *r, size_t *at)
{
    const size_t *ends = pcre2_get_ovector_pointer(search->data);
    size_t from = r->portion.begin + ends[0];
    size_t to = r->portion.begin + ends[1];
    if (from == r->portion.end && search->bytes[from - 1] == '\n') { /* where no line is */
        *at = from;
        return false;
    }
    wi_span line = line_around(search, *at, from);
    *at = behind(search, line);
    if (to > line.end)
        return settles(search, program, r, line);
    r->line = line;
    r->state = FOUND;
    return true;
}

static void next_whole(const wi_search *search, const wi_program *program, run *r, size_t at)
{
    while (at < search->len) {
        if (at >= r->portion.end)
            choose_portion(search, r, at);
        wi_span portion = r->portion;
        int got = match(search, program, r->ascii, search->bytes + portion.begin,
                        portion.end - portion.begin, at - portion.begin, search->whole_context);
        if (got == PCRE2_ERROR_NOMATCH) {
            at = portion.end;
        } else if (got < 0) {
            r->by_lines = true;
            next_by_lines(search, program, r, at);
            return;
        } else if (settles_match(search, program, r, &at)) {
            return;
        }
    }
    r->state = NO_MORE;
}

/* Where needles lead nowhere too often, they cost more than they save. */
static bool lose_patience(const wi_search *search, const wi_program *program, run *r, size_t at)
{
    if (++r->vain % PATIENCE != 0 || !program->whole || r->by_lines)
        return false;
    bool dense = at - r->looked_from < (size_t)PATIENCE * WORTH_SKIPPING;
    r->looked_from = at;
    r->vain = dense ? SIZE_MAX / 2 : 0;
    if (dense)
        next_whole(search, program, r, at);
    return dense;
}

static void next_by_needles(const wi_search *search, const wi_program *program, run *r, size_t at)
{
    while (at < search->len) {
        const char *found = wi_needles_find(program->needles, search->bytes + at, search->len - at);
        if (!found)
            break;
        wi_span line = line_around(search, at, (size_t)(found - search->bytes));
        if (program->exact) {
            r->line = line;
            r->state = FOUND;
            return;
        }
        if (settles(search, program, r, line))
            return;
        at = behind(search, line);
        if (lose_patience(search, program, r, at))
            return;
    }
    r->state = NO_MORE;
}

static void advance(const wi_search *search, const wi_program *program, run *r, size_t at)
{
    bool needles = program->needles && r->vain < SIZE_MAX / 2;
    if (needles || program->exact)
        next_by_needles(search, program, r, at);
    else if (program->whole && !r->by_lines)
        next_whole(search, program, r, at);
    else
        next_by_lines(search, program, r, at);
}

/* ---- of all programs ---- */

static run *next_run(wi_search *search)
{
    run *first = NULL;
    for (size_t i = 0; i < search->matcher->n; i++) {
        run *r = &search->runs[i];
        if (r->state == UNKNOWN || (r->state != NO_MORE && r->line.begin < search->at))
            advance(search, &search->matcher->programs[i], r, search->at);
        if (r->state == NO_MORE)
            continue;
        bool same = first && r->line.begin == first->line.begin;
        if (!first || r->line.begin < first->line.begin || (same && first->state == FAILED))
            first = r;
    }
    return first;
}

static weir_status fail_match(const wi_search *search, size_t program, int why, size_t len,
                              weir_error *err)
{
    size_t number = search->matcher->programs[program].pattern + 1;
    char text[120];
    switch (why) {
    case PCRE2_ERROR_NOMEMORY:
        return wi_fail_nomem(err);
    case STOPPED:
        return wi_fail(err, WEIR_CANCELLED, "the search was stopped");
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
    case PCRE2_ERROR_JIT_STACKLIMIT:
        return wi_fail(err, WEIR_TOOLARGE,
                       "pattern %zu needs more steps or memory than is allowed for a line of %zu "
                       "bytes: repeats within repeats, such as (a+)+, are the usual cause",
                       number, len);
    default:
        if (pcre2_get_error_message(why, (unsigned char *)text, sizeof text) < 0)
            strcpy(text, "unknown error");
        return wi_fail(err, WEIR_INTERNAL, "pattern %zu failed: %s", number, text);
    }
}

static weir_status fail_run(const wi_search *search, const run *r, weir_error *err)
{
    return fail_match(search, (size_t)(r - search->runs), r->why, r->line.end - r->line.begin, err);
}

static weir_status next_match(wi_search *search, wi_span *line, weir_error *err)
{
    const run *r = next_run(search);
    if (!r) {
        search->at = search->len;
        return WEIR_END;
    }
    search->at = behind(search, r->line);
    if (r->state == FAILED)
        return fail_run(search, r, err);
    *line = r->line;
    return WEIR_OK;
}

static weir_status next_other(wi_search *search, wi_span *line, weir_error *err)
{
    while (search->at < search->len) {
        if (!search->hit_known || search->hit.begin < search->at) {
            const run *r = next_run(search);
            search->hit_known = true;
            search->hit = r ? r->line : (wi_span){search->len, search->len};
        }
        if (search->at < search->hit.begin) {
            *line = line_around(search, search->at, search->at);
            search->at = behind(search, *line);
            return WEIR_OK;
        }
        const run *r = next_run(search); /* knows it already */
        search->at = behind(search, search->hit);
        if (r->state == FAILED)
            return fail_run(search, r, err);
    }
    return WEIR_END;
}

weir_status wi_search_next(wi_search *search, wi_span *line, weir_error *err)
{
    return search->matcher->invert ? next_other(search, line, err) : next_match(search, line, err);
}

/* ---- within a line ---- */

typedef struct place {
    wi_span span;
    size_t pattern;
    size_t program;
} place;

static bool earlier(const place *a, const place *b)
{
    return a->span.begin != b->span.begin ? a->span.begin < b->span.begin : a->pattern < b->pattern;
}

static bool find_exact(const wi_program *program, const char *line, size_t len, size_t from,
                       place *found)
{
    const char *at = wi_needles_find(program->needles, line + from, len - from);
    if (!at)
        return false;
    size_t begin = (size_t)(at - line);
    int64_t number = wi_needles_at(program->needles, at, len - begin);
    if (number < 0)
        return false;
    found->span = (wi_span){begin, begin + wi_needles_len(program->needles, (size_t)number)};
    found->pattern = program->numbers[number];
    return true;
}

static void take_columns(const wi_search *search, const wi_program *program, int groups,
                         wi_span *columns)
{
    const size_t *ends = pcre2_get_ovector_pointer(search->data);
    for (size_t i = 0; i < search->matcher->n_columns; i++)
        columns[i] = WI_SPAN_NONE;
    for (size_t i = 0; i < program->n_groups; i++) {
        uint32_t group = program->groups[i].group;
        wi_span *column = &columns[program->groups[i].column];
        if ((int)group < groups && ends[2 * group] != PCRE2_UNSET && column->begin == SIZE_MAX)
            *column = (wi_span){ends[2 * group], ends[2 * group + 1]};
    }
}

weir_status wi_search_spans(wi_search *search, const char *line, size_t len, size_t from,
                            wi_span *match, wi_span *columns, weir_error *err)
{
    const wi_matcher *matcher = search->matcher;
    place best = {.span = WI_SPAN_NONE};
    line = len ? line : "";
    for (size_t i = 0; i < matcher->n && from <= len; i++) {
        const wi_program *program = &matcher->programs[i];
        place found = {.pattern = program->pattern, .program = i};
        int groups = 0;
        if (program->exact) {
            if (!find_exact(program, line, len, from, &found))
                continue;
        } else {
            groups = match_line(search, program, line, len, from);
            if (groups == PCRE2_ERROR_NOMATCH)
                continue;
            if (groups < 0)
                return fail_match(search, i, groups, len, err);
            const size_t *ends = pcre2_get_ovector_pointer(search->data);
            found.span = (wi_span){ends[0], ends[1]};
        }
        if (best.span.begin != SIZE_MAX && !earlier(&found, &best))
            continue;
        best = found;
        if (columns)
            take_columns(search, program, groups, columns);
    }
    if (best.span.begin == SIZE_MAX)
        return WEIR_END;
    *match = best.span;
    return WEIR_OK;
}
