/*
 * list.h: a doubly linked list of nodes that live inside their owners.
 *
 * A list is a ring through its head, so insertion and removal have no special cases. A node is in
 * at most one list; a node that is in none points to itself (wi_list_init) and may be removed
 * again without harm.
 */
#ifndef WI_LIST_H
#define WI_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct wi_list {
    struct wi_list *next;
    struct wi_list *prev;
} wi_list;

#define wi_container_of(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

static inline void wi_list_init(wi_list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool wi_list_empty(const wi_list *list)
{
    return list->next == list;
}

static inline void wi_list_append(wi_list *list, wi_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void wi_list_prepend(wi_list *list, wi_list *node)
{
    wi_list_append(list->next, node);
}

static inline void wi_list_remove(wi_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    wi_list_init(node);
}

/* The first node, removed; NULL if the list is empty. */
static inline wi_list *wi_list_shift(wi_list *list)
{
    if (wi_list_empty(list))
        return NULL;
    wi_list *node = list->next;
    wi_list_remove(node); /* NOLINT(clang-analyzer-unix.Malloc): it loses sight of the ring */
    return node;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void wi_list_splice(wi_list *to, wi_list *from)
{
    if (wi_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    wi_list_init(from);
}

#endif
