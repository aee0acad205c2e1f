/*
 * expr_parse.c: the text of a condition becomes nodes; docs/where.md has the grammar. Recursive
 * descent with one token of foresight. Its invariant: after a failure `status` is set and every
 * function does nothing but return, so only the first fault is told.
 */
#include <stdlib.h>
#include <string.h>

#include "expr_state.h"
#include "text.h"

typedef enum token_kind { END, NAME, WORD, NUMBER, STRING, SIGN, LOST } token_kind;

typedef struct token {
    token_kind kind;
    size_t at; /* in the text */
    size_t len;
} token;

typedef struct parser {
    wi_expr *expr;
    const char *text;
    size_t len;
    size_t at;
    token now;
    unsigned depth;
    weir_status status;
    weir_error *err;
} parser;

static uint32_t parse_or(parser *p);

/* ---- tokens ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static char look(const parser *p, size_t at)
{
    return at < p->len ? p->text[at] : '\0';
}

static uint32_t fail(parser *p, size_t at, const char *what)
{
    if (!p->status)
        p->status = wi_fail(p->err, WEIR_INVALID, "condition, character %zu: %s", at + 1, what);
    p->now.kind = LOST;
    return WI_NO_NODE;
}

static uint32_t fail_expected(parser *p, const char *what)
{
    size_t len = p->now.len < 40 ? p->now.len : 40;
    if (p->status)
        return WI_NO_NODE;
    if (p->now.kind == END)
        p->status = wi_fail(p->err, WEIR_INVALID, "condition, character %zu: %s is missing",
                            p->now.at + 1, what);
    else
        p->status = wi_fail(p->err, WEIR_INVALID, "condition, character %zu: expected %s, not %.*s",
                            p->now.at + 1, what, (int)len, p->text + p->now.at);
    p->now.kind = LOST;
    return WI_NO_NODE;
}

static size_t quoted(parser *p, size_t at)
{
    char quote = p->text[at];
    size_t end = at + 1;
    while (end < p->len && (p->text[end] != quote || look(p, end + 1) == quote))
        end += p->text[end] == quote ? 2 : 1;
    if (end >= p->len) {
        fail(p, at, "this quote is not closed");
        return p->len;
    }
    return end + 1;
}

static size_t number(const parser *p, size_t at)
{
    at += p->text[at] == '-';
    while (is_digit(look(p, at)) || look(p, at) == '.')
        at++;
    if ((look(p, at) | 0x20) == 'e') {
        at++;
        at += look(p, at) == '-' || look(p, at) == '+';
    }
    while (is_word(look(p, at)))
        at++;
    return at;
}

static void next_token(parser *p)
{
    while (p->at < p->len && strchr(" \t\r\n", p->text[p->at]) && p->text[p->at])
        p->at++;
    size_t begin = p->at;
    char c = look(p, begin);
    char d = look(p, begin + 1);
    token_kind kind = SIGN;
    size_t end = begin + 1;
    if (begin >= p->len) {
        kind = END;
        end = begin;
    } else if (c == '\'' || c == '"' || c == '`') {
        kind = c == '`' ? NAME : STRING;
        end = quoted(p, begin);
    } else if (is_digit(c) || ((c == '-' || c == '.') && (is_digit(d) || d == '.'))) {
        kind = NUMBER;
        end = number(p, begin);
    } else if (is_word(c)) {
        kind = WORD;
        while (is_word(look(p, end)))
            end++;
    } else if ((c == '<' && (d == '=' || d == '>')) ||
               ((c == '>' || c == '!' || c == '=') && d == '=')) {
        end++;
    }
    p->at = end;
    p->now =
        (token){p->status ? LOST : kind, begin, end - begin}; /* after a failure no token fits */
}

static bool is(const parser *p, token_kind kind, const char *text)
{
    return p->now.kind == kind && wi_text_equal_nocase(p->text + p->now.at, p->now.len, text);
}

static bool take(parser *p, token_kind kind, const char *text)
{
    bool found = is(p, kind, text);
    if (found)
        next_token(p);
    return found;
}

static void need(parser *p, token_kind kind, const char *text, const char *what)
{
    if (!take(p, kind, text))
        fail_expected(p, what);
}

static bool is_keyword(const parser *p)
{
    static const char *const words[] = {"and", "or",   "not",     "like", "ilike", "in",
                                        "is",  "null", "between", "true", "false", "escape"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is(p, WORD, words[i]))
            return true;
    return false;
}

/* ---- nodes ---- */

static uint32_t add(parser *p, wi_node node)
{
    uint32_t i = (uint32_t)(p->expr->nodes.len / sizeof node);
    if (p->status)
        return WI_NO_NODE;
    wi_buf_append(&p->expr->nodes, &node, sizeof node);
    if (p->expr->nodes.failed) {
        p->status = wi_fail_nomem(p->err);
        return WI_NO_NODE;
    }
    return i;
}

static void follow(parser *p, uint32_t node, uint32_t next)
{
    if (!p->status)
        wi_expr_node(p->expr, node)->next = next;
}

static bool is_constant(const parser *p, uint32_t node)
{
    return !p->status && wi_expr_node(p->expr, node)->op == WI_OP_CONSTANT;
}

/* What stands between the quotes of the token now, with doubled ones halved. */
static size_t add_text(parser *p, size_t *len)
{
    wi_buf *texts = &p->expr->texts;
    size_t at = texts->len;
    char quote = p->now.kind == WORD ? '\0' : p->text[p->now.at];
    size_t i = p->now.at + (quote != 0);
    size_t end = p->now.at + p->now.len - (quote != 0);
    for (; i < end; i++) {
        wi_buf_putc(texts, p->text[i]);
        i += quote && p->text[i] == quote;
    }
    if (texts->failed && !p->status)
        p->status = wi_fail_nomem(p->err);
    *len = texts->len - at;
    return at;
}

static uint32_t add_column(parser *p)
{
    wi_expr *expr = p->expr;
    wi_expr_name name = {.place = p->now.at};
    name.at = add_text(p, &name.len);
    if (name.len == 0)
        return fail(p, p->now.at, "a column's name is missing between these quotes");
    uint32_t n = (uint32_t)(expr->names.len / sizeof name);
    uint32_t i = 0;
    for (; i < n && !p->status; i++) {
        const wi_expr_name *known = wi_expr_name_of(expr, i);
        if (known->len == name.len &&
            memcmp(expr->texts.data + known->at, expr->texts.data + name.at, name.len) == 0)
            break;
    }
    if (i == n) {
        wi_buf_append(&expr->names, &name, sizeof name);
        if (expr->names.failed && !p->status)
            p->status = wi_fail_nomem(p->err);
    }
    return add(p, (wi_node){.op = WI_OP_COLUMN, .column = i});
}

/* ---- operands ---- */

static uint32_t parse_number(parser *p)
{
    wi_node node = {.op = WI_OP_CONSTANT};
    if (!wi_value_number(p->text + p->now.at, p->now.len, &node.value))
        return fail_expected(p, "a number such as 12, -0.5 or 1e6");
    return add(p, node);
}

static uint32_t parse_string(parser *p)
{
    wi_node node = {.op = WI_OP_CONSTANT, .is_text = true, .value = {.kind = WI_TEXT}};
    node.text_at = add_text(p, &node.value.len);
    return add(p, node);
}

static uint32_t parse_word(parser *p)
{
    wi_value truth = {.kind = WI_TRUTH, .truth = is(p, WORD, "true")};
    if (truth.truth || is(p, WORD, "false"))
        return add(p, (wi_node){.op = WI_OP_CONSTANT, .value = truth});
    if (is(p, WORD, "null"))
        return add(p, (wi_node){.op = WI_OP_CONSTANT});
    if (is_keyword(p))
        return fail_expected(p, "a column or a value (columns named like an operator stand in ``)");
    return add_column(p);
}

static uint32_t parse_operand(parser *p)
{
    uint32_t node = WI_NO_NODE;
    switch (p->now.kind) {
    case NUMBER:
        node = parse_number(p);
        break;
    case STRING:
        node = parse_string(p);
        break;
    case NAME:
        node = add_column(p);
        break;
    case WORD:
        node = parse_word(p);
        break;
    default:
        if (!take(p, SIGN, "("))
            return fail_expected(p, "a column, a value or (");
        if (p->depth == WI_EXPR_MAX_DEPTH)
            return fail(p, p->now.at, "more than 100 levels of brackets and nots");
        p->depth++;
        node = parse_or(p);
        p->depth--;
        need(p, SIGN, ")", "and, or, or )");
        return node;
    }
    next_token(p);
    return node;
}

/* ---- predicates ---- */

static uint32_t negated(parser *p, bool negate, uint32_t node)
{
    return negate ? add(p, (wi_node){.op = WI_OP_NOT, .first = node}) : node;
}

static uint32_t parse_like(parser *p, uint32_t left, bool nocase)
{
    wi_node node = {.op = nocase ? WI_OP_ILIKE : WI_OP_LIKE, .first = left};
    size_t at = p->now.at;
    uint32_t pattern = parse_operand(p);
    const wi_node *given = is_constant(p, pattern) ? wi_expr_node(p->expr, pattern) : NULL;
    if (given && !given->is_text && given->value.kind != WI_UNKNOWN)
        return fail(p, at, "expected a pattern in quotes, such as '%.log'");
    follow(p, left, pattern);
    if (take(p, WORD, "escape")) {
        if (p->now.kind != STRING || p->now.len != 3)
            return fail_expected(p, "one character in quotes, such as '\\'");
        node.escape = p->text[p->now.at + 1];
        next_token(p);
    }
    return add(p, node);
}

static uint32_t parse_in(parser *p, uint32_t left)
{
    uint32_t last = left;
    need(p, SIGN, "(", "( and a list of values");
    do {
        uint32_t item = parse_operand(p);
        follow(p, last, item);
        last = item;
    } while (take(p, SIGN, ","));
    need(p, SIGN, ")", ", or )");
    return add(p, (wi_node){.op = WI_OP_IN, .first = left});
}

static uint32_t parse_between(parser *p, uint32_t left)
{
    uint32_t low = parse_operand(p);
    need(p, WORD, "and", "and");
    uint32_t high = parse_operand(p);
    follow(p, left, low);
    follow(p, low, high);
    return add(p, (wi_node){.op = WI_OP_BETWEEN, .first = left});
}

static bool comparison(const parser *p, wi_op *op)
{
    static const struct {
        const char *sign;
        wi_op op;
    } signs[] = {
        {"=", WI_OP_EQUAL},      {"==", WI_OP_EQUAL},      {"!=", WI_OP_NOT_EQUAL},
        {"<>", WI_OP_NOT_EQUAL}, {"<", WI_OP_LESS},        {"<=", WI_OP_LESS_EQUAL},
        {">", WI_OP_MORE},       {">=", WI_OP_MORE_EQUAL},
    };
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (is(p, SIGN, signs[i].sign)) {
            *op = signs[i].op;
            return true;
        }
    }
    return false;
}

static uint32_t parse_comparison(parser *p, uint32_t left, wi_op op, size_t at)
{
    next_token(p);
    uint32_t right = parse_operand(p);
    if (is_constant(p, left) && is_constant(p, right))
        return fail(p, at,
                    "no column on either side: a column's name stands bare or in ``, "
                    "and quotes are for texts");
    follow(p, left, right);
    return add(p, (wi_node){.op = op, .first = left});
}

static uint32_t parse_predicate(parser *p)
{
    wi_op op;
    size_t at = p->now.at;
    uint32_t left = parse_operand(p);
    if (comparison(p, &op))
        return parse_comparison(p, left, op, at);
    if (take(p, WORD, "is")) {
        bool negate = take(p, WORD, "not");
        need(p, WORD, "null", "null or not null");
        return negated(p, negate, add(p, (wi_node){.op = WI_OP_IS_NULL, .first = left}));
    }
    bool negate = take(p, WORD, "not");
    if (is(p, WORD, "like") || is(p, WORD, "ilike")) {
        bool nocase = is(p, WORD, "ilike");
        next_token(p);
        return negated(p, negate, parse_like(p, left, nocase));
    }
    if (take(p, WORD, "in"))
        return negated(p, negate, parse_in(p, left));
    if (take(p, WORD, "between"))
        return negated(p, negate, parse_between(p, left));
    return negate ? fail_expected(p, "like, ilike, in or between") : left;
}

/* ---- logic ---- */

static uint32_t parse_not(parser *p)
{
    if (!take(p, WORD, "not"))
        return parse_predicate(p);
    if (p->depth == WI_EXPR_MAX_DEPTH)
        return fail(p, p->now.at, "more than 100 levels of brackets and nots");
    p->depth++;
    uint32_t operand = parse_not(p);
    p->depth--;
    return add(p, (wi_node){.op = WI_OP_NOT, .first = operand});
}

/* A list rather than a tree, so that long ones need no stack. */
static uint32_t parse_list(parser *p, const char *word, wi_op op, uint32_t (*parse)(parser *))
{
    uint32_t first = parse(p);
    uint32_t last = first;
    if (!is(p, WORD, word))
        return first;
    while (take(p, WORD, word)) {
        uint32_t operand = parse(p);
        follow(p, last, operand);
        last = operand;
    }
    return add(p, (wi_node){.op = op, .first = first});
}

static uint32_t parse_and(parser *p)
{
    return parse_list(p, "and", WI_OP_AND, parse_not);
}

static uint32_t parse_or(parser *p)
{
    return parse_list(p, "or", WI_OP_OR, parse_and);
}

/* Texts lie in a buffer that has stopped growing only now. */
static void settle_texts(wi_expr *expr)
{
    size_t n = expr->nodes.len / sizeof(wi_node);
    for (uint32_t i = 0; i < n; i++) {
        wi_node *node = wi_expr_node(expr, i);
        if (node->is_text)
            node->value.bytes = node->value.len ? expr->texts.data + node->text_at : "";
    }
}

weir_status wi_expr_new(const char *text, size_t len, wi_expr **out, weir_error *err)
{
    if (len > WI_EXPR_MAX_LEN)
        return wi_fail(err, WEIR_TOOLARGE, "a condition may have at most %d bytes, not %zu",
                       WI_EXPR_MAX_LEN, len);
    size_t valid = wi_utf8_valid_prefix(text, len);
    if (valid < len)
        return wi_fail(err, WEIR_INVALID, "condition, character %zu: this is not UTF-8", valid + 1);
    parser p = {.expr = calloc(1, sizeof *p.expr), .text = text, .len = len, .err = err};
    if (!p.expr)
        return wi_fail_nomem(err);
    add(&p, (wi_node){.op = WI_OP_CONSTANT});
    next_token(&p);
    p.expr->root = parse_or(&p);
    if (!p.status && p.now.kind != END)
        fail_expected(&p, "and, or, a comparison or the end");
    if (p.status) {
        wi_expr_free(p.expr);
        return p.status;
    }
    settle_texts(p.expr);
    *out = p.expr;
    return WEIR_OK;
}

void wi_expr_free(wi_expr *expr)
{
    if (!expr)
        return;
    wi_buf_fini(&expr->nodes);
    wi_buf_fini(&expr->texts);
    wi_buf_fini(&expr->names);
    free(expr);
}
