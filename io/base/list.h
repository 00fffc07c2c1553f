/* list.h - intrusive doubly linked list. A node is in at most one list; a detached node points at
 * itself, so removing twice is harmless. */
#ifndef GY_LIST_H
#define GY_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "io/base/assert.h"

struct gy_list {
    struct gy_list *next;
    struct gy_list *prev;
};

static inline void
gy_list_init(struct gy_list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool
gy_list_is_empty(const struct gy_list *list)
{
    return list->next == list;
}

static inline void
gy_list_insert_before(struct gy_list *position, struct gy_list *node)
{
    node->next = position;
    node->prev = position->prev;
    position->prev->next = node;
    position->prev = node;
}

static inline void
gy_list_push_back(struct gy_list *list, struct gy_list *node)
{
    gy_list_insert_before(list, node);
}

static inline void
gy_list_push_front(struct gy_list *list, struct gy_list *node)
{
    gy_list_insert_before(list->next, node);
}

static inline void
gy_list_remove(struct gy_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node;
    node->prev = node;
}

/* The first node, detached; NULL when the list is empty. */
static inline struct gy_list *
gy_list_pop_front(struct gy_list *list)
{
    struct gy_list *node = list->next;

    if (node == list) {
        return NULL;
    }
    gy_list_remove(node);
    return node;
}

#define gy_list_for_each(node, list) \
    for (struct gy_list *node = (list)->next; node != (list); node = node->next)
/* The body may remove `node`. */
#define gy_list_for_each_safe(node, list)                                                  \
    for (struct gy_list *node = (list)->next, *node##_next = node->next; node != (list); \
         node = node##_next, node##_next = node->next)

#endif
