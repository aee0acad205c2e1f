/* expr_state.h: what the parser (expr_parse.c) makes and the evaluation (expr.c) walks. */
#ifndef WI_EXPR_STATE_H
#define WI_EXPR_STATE_H

#include <stdint.h>

#include "buf.h"
#include "expr.h"
#include "value.h"

typedef enum wi_op {
    WI_OP_CONSTANT,
    WI_OP_COLUMN,
    WI_OP_AND, /* its operands: first, and those that follow it by `next` */
    WI_OP_OR,
    WI_OP_NOT,
    WI_OP_EQUAL,
    WI_OP_NOT_EQUAL,
    WI_OP_LESS,
    WI_OP_LESS_EQUAL,
    WI_OP_MORE,
    WI_OP_MORE_EQUAL,
    WI_OP_LIKE,
    WI_OP_ILIKE,
    WI_OP_IN,
    WI_OP_BETWEEN,
    WI_OP_IS_NULL,
} wi_op;

enum { WI_NO_NODE = 0 }; /* the first node is no one's operand */

typedef struct wi_node {
    wi_op op;
    uint32_t first;
    uint32_t next; /* of the same parent */
    uint32_t column;
    char escape;
    bool is_text;
    size_t text_at; /* of a constant, in expr->texts */
    wi_value value;
} wi_node;

struct wi_expr {
    wi_buf nodes; /* wi_node each */
    wi_buf texts; /* constants and names */
    wi_buf names; /* wi_expr_name each */
    uint32_t root;
};

typedef struct wi_expr_name {
    size_t at; /* in texts */
    size_t len;
    size_t place; /* in the expression, for messages */
} wi_expr_name;

static inline wi_node *wi_expr_node(const wi_expr *expr, uint32_t i)
{
    return (wi_node *)(void *)expr->nodes.data + i;
}

static inline const wi_expr_name *wi_expr_name_of(const wi_expr *expr, size_t i)
{
    return (const wi_expr_name *)(const void *)expr->names.data + i;
}

#endif
