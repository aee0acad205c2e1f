/*
 * expr.c: a condition is checked against a schema and evaluated row by row; see expr.h. Its
 * invariant: evaluation never goes deeper than the parser allowed, and writes only into the filter.
 */
#include "expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr_state.h"
#include "json.h"
#include "text.h"

struct wi_filter {
    const wi_expr *expr;
    wi_schema *schema; /* for which the places hold */
    wi_buf scratch;    /* texts that JSON had escaped, of the row now */
    const wi_batch *batch;
    size_t row;
    bool failed;
    int places[]; /* of each of the expression's columns; -1: there is none */
};

/* ---- columns ---- */

size_t wi_expr_columns(const wi_expr *expr)
{
    return expr->names.len / sizeof(wi_expr_name);
}

wi_name wi_expr_column(const wi_expr *expr, size_t i)
{
    const wi_expr_name *name = wi_expr_name_of(expr, i);
    return (wi_name){expr->texts.data + name->at, name->len};
}

static weir_status fail_unknown(const wi_expr *expr, size_t i, const wi_schema *schema,
                                weir_error *err)
{
    char there[WI_SCHEMA_SHOWN];
    wi_name missing = wi_expr_column(expr, i);
    wi_schema_show(schema, there);
    return wi_fail(err, WEIR_NOTFOUND,
                   "condition, character %zu: there is no column \"%.*s\"; there are: %s",
                   wi_expr_name_of(expr, i)->place + 1, missing.len < 60 ? (int)missing.len : 60,
                   missing.bytes, there);
}

weir_status wi_expr_check(const wi_expr *expr, const wi_schema *schema, weir_error *err)
{
    for (size_t i = 0; i < wi_expr_columns(expr); i++) {
        wi_name name = wi_expr_column(expr, i);
        if (wi_schema_find(schema, name.bytes, name.len) < 0)
            return fail_unknown(expr, i, schema, err);
    }
    return WEIR_OK;
}

weir_status wi_filter_new(const wi_expr *expr, wi_filter **out, weir_error *err)
{
    wi_filter *filter = calloc(1, sizeof *filter + wi_expr_columns(expr) * sizeof(int));
    if (!filter)
        return wi_fail_nomem(err);
    filter->expr = expr;
    *out = filter;
    return WEIR_OK;
}

void wi_filter_free(wi_filter *filter)
{
    if (!filter)
        return;
    wi_schema_unref(filter->schema);
    wi_buf_fini(&filter->scratch);
    free(filter);
}

static void bind(wi_filter *filter, wi_schema *schema)
{
    wi_schema_ref(schema);
    wi_schema_unref(filter->schema);
    filter->schema = schema;
    for (size_t i = 0; i < wi_expr_columns(filter->expr); i++) {
        wi_name name = wi_expr_column(filter->expr, i);
        filter->places[i] = wi_schema_find(schema, name.bytes, name.len);
    }
}

/* ---- values ---- */

static wi_value text_value(const char *bytes, size_t len)
{
    return (wi_value){.kind = WI_TEXT, .bytes = len ? bytes : "", .len = len};
}

/* Room for all that a row may unescape was made before, so that nothing moves. */
static wi_value json_string(wi_filter *filter, const char *bytes, size_t len)
{
    if (!memchr(bytes, '\\', len))
        return text_value(bytes, len);
    size_t at = filter->scratch.len;
    if (!wi_buf_reserve(&filter->scratch, len)) {
        filter->failed = true;
        return (wi_value){0};
    }
    wi_json_append_unescaped(&filter->scratch, bytes, len);
    return text_value(filter->scratch.data + at, filter->scratch.len - at);
}

static wi_value json_value(wi_filter *filter, const char *bytes, size_t len)
{
    wi_value value;
    switch (len ? *bytes : 'n') {
    case '"':
        return json_string(filter, bytes + 1, len - 2);
    case 't':
    case 'f':
        return (wi_value){.kind = WI_TRUTH, .truth = *bytes == 't'};
    case 'n':
        return (wi_value){0};
    default:
        return wi_value_number(bytes, len, &value) ? value : text_value(bytes, len);
    }
}

static wi_value cell_value(wi_filter *filter, uint32_t column)
{
    if (filter->places[column] < 0)
        return (wi_value){0};
    wi_cell cell = wi_batch_cell(filter->batch, filter->row, (size_t)filter->places[column]);
    switch (cell.kind) {
    case WI_STRING:
    case WI_BINARY:
        return text_value(cell.bytes, cell.len);
    case WI_JSON:
        return json_value(filter, cell.bytes, cell.len);
    case WI_INT:
        return (wi_value){.kind = WI_WHOLE, .whole = cell.i};
    case WI_DOUBLE:
        return (wi_value){.kind = WI_REAL, .real = cell.d};
    default:
        return (wi_value){0};
    }
}

/* ---- evaluation ---- */

static wi_value evaluate(wi_filter *filter, uint32_t i);

static wi_value of_truth(wi_truth truth)
{
    if (truth == WI_MAYBE)
        return (wi_value){0};
    return (wi_value){.kind = WI_TRUTH, .truth = truth == WI_YES};
}

static wi_truth negate(wi_truth truth)
{
    return truth == WI_MAYBE ? WI_MAYBE : truth == WI_YES ? WI_NO : WI_YES;
}

static wi_truth truth_of(wi_filter *filter, uint32_t i)
{
    wi_value value = evaluate(filter, i);
    return wi_value_truth(&value);
}

/* AND ends at the first no, OR at the first yes; what is unknown before it is forgotten then. */
static wi_truth all_or_any(wi_filter *filter, uint32_t i, wi_truth end)
{
    wi_truth result = negate(end);
    for (; i != WI_NO_NODE; i = wi_expr_node(filter->expr, i)->next) {
        wi_truth truth = truth_of(filter, i);
        if (truth == end)
            return end;
        if (truth == WI_MAYBE)
            result = WI_MAYBE;
    }
    return result;
}

static wi_truth holds(wi_op op, const wi_value *a, const wi_value *b)
{
    int order;
    if (!wi_value_compare(a, b, &order))
        return WI_MAYBE;
    switch (op) {
    case WI_OP_EQUAL:
        return order == 0;
    case WI_OP_NOT_EQUAL:
        return order != 0;
    case WI_OP_LESS:
        return order < 0;
    case WI_OP_LESS_EQUAL:
        return order <= 0;
    case WI_OP_MORE:
        return order > 0;
    default:
        return order >= 0;
    }
}

static wi_truth in_list(wi_filter *filter, const wi_value *left, uint32_t i)
{
    wi_truth result = WI_NO;
    for (; i != WI_NO_NODE; i = wi_expr_node(filter->expr, i)->next) {
        wi_value item = evaluate(filter, i);
        wi_truth same = holds(WI_OP_EQUAL, left, &item);
        if (same == WI_YES)
            return WI_YES;
        if (same == WI_MAYBE)
            result = WI_MAYBE;
    }
    return result;
}

static wi_truth between(wi_filter *filter, const wi_value *left, uint32_t i)
{
    wi_value low = evaluate(filter, i);
    wi_value high = evaluate(filter, wi_expr_node(filter->expr, i)->next);
    wi_truth above = holds(WI_OP_MORE_EQUAL, left, &low);
    wi_truth below = holds(WI_OP_LESS_EQUAL, left, &high);
    if (above == WI_NO || below == WI_NO)
        return WI_NO;
    return above == WI_YES && below == WI_YES ? WI_YES : WI_MAYBE;
}

enum { SHOWN_NUMBER = 32 };

/* As a text for LIKE: numbers and truth in their usual form. */
static wi_value shown(const wi_value *value, char room[SHOWN_NUMBER])
{
    switch (value->kind) {
    case WI_TRUTH:
        return value->truth ? text_value("true", 4) : text_value("false", 5);
    case WI_WHOLE:
        return text_value(room,
                          (size_t)snprintf(room, SHOWN_NUMBER, "%lld", (long long)value->whole));
    case WI_REAL:
        return text_value(room, (size_t)snprintf(room, SHOWN_NUMBER, "%.15g", value->real));
    default:
        return *value;
    }
}

static wi_truth is_like(wi_filter *filter, const wi_node *node, const wi_value *left, uint32_t i)
{
    char rooms[2][SHOWN_NUMBER];
    wi_value right = evaluate(filter, i);
    wi_value text = shown(left, rooms[0]);
    wi_value pattern = shown(&right, rooms[1]);
    if (text.kind == WI_UNKNOWN || pattern.kind == WI_UNKNOWN)
        return WI_MAYBE;
    return wi_value_like(text.bytes, text.len, pattern.bytes, pattern.len, node->escape,
                         node->op == WI_OP_ILIKE);
}

static wi_truth relation(wi_filter *filter, const wi_node *node)
{
    wi_value left = evaluate(filter, node->first);
    uint32_t second = wi_expr_node(filter->expr, node->first)->next;
    wi_value right;
    switch (node->op) {
    case WI_OP_IS_NULL:
        return left.kind == WI_UNKNOWN;
    case WI_OP_IN:
        return in_list(filter, &left, second);
    case WI_OP_BETWEEN:
        return between(filter, &left, second);
    case WI_OP_LIKE:
    case WI_OP_ILIKE:
        return is_like(filter, node, &left, second);
    default:
        right = evaluate(filter, second);
        return holds(node->op, &left, &right);
    }
}

static wi_value evaluate(wi_filter *filter, uint32_t i)
{
    const wi_node *node = wi_expr_node(filter->expr, i);
    switch (node->op) {
    case WI_OP_CONSTANT:
        return node->value;
    case WI_OP_COLUMN:
        return cell_value(filter, node->column);
    case WI_OP_AND:
        return of_truth(all_or_any(filter, node->first, WI_NO));
    case WI_OP_OR:
        return of_truth(all_or_any(filter, node->first, WI_YES));
    case WI_OP_NOT:
        return of_truth(negate(truth_of(filter, node->first)));
    default:
        return of_truth(relation(filter, node));
    }
}

/* Each mention of a column may unescape its cell once; a value must stay where it is meanwhile. */
static bool make_room(wi_filter *filter)
{
    size_t room = 0;
    size_t n = filter->expr->nodes.len / sizeof(wi_node);
    for (uint32_t i = 0; i < n; i++) {
        const wi_node *node = wi_expr_node(filter->expr, i);
        int place = node->op == WI_OP_COLUMN ? filter->places[node->column] : -1;
        if (place < 0)
            continue;
        wi_cell cell = wi_batch_cell(filter->batch, filter->row, (size_t)place);
        if (cell.kind == WI_JSON && cell.len && *cell.bytes == '"')
            room += cell.len;
    }
    wi_buf_clear(&filter->scratch);
    return room == 0 || wi_buf_reserve(&filter->scratch, room);
}

weir_status wi_filter_keeps(wi_filter *filter, const wi_batch *batch, size_t row, bool *keeps,
                            weir_error *err)
{
    if (filter->schema != wi_batch_schema(batch))
        bind(filter, wi_batch_schema(batch));
    filter->batch = batch;
    filter->row = row;
    filter->failed = false;
    if (!make_room(filter))
        return wi_fail_nomem(err);
    wi_truth truth = truth_of(filter, filter->expr->root);
    if (filter->failed)
        return wi_fail_nomem(err);
    *keeps = truth == WI_YES;
    return WEIR_OK;
}
