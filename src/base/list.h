/* SPDX-License-Identifier: Apache-2.0
 *
 * An intrusive doubly linked list: the links live in the items, so joining and leaving allocate nothing.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The head of a list, and the links of an item that is in one. */
struct list {
    struct list *next, *previous;
};

#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_before(struct list *position, struct list *item)
{
    item->next = position;
    item->previous = position->previous;
    position->previous->next = item;
    position->previous = item;
}

static inline void list_push_back(struct list *head, struct list *item)
{
    list_insert_before(head, item);
}

static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert_before(head->next, item);
}

/* Leaves the item's links pointing at itself: removing it again is harmless. */
static inline void list_remove(struct list *item)
{
    item->previous->next = item->next;
    item->next->previous = item->previous;
    list_init(item);
}

/* NULL when empty. */
static inline struct list *list_pop_front(struct list *head)
{
    if (list_is_empty(head))
        return NULL;
    struct list *item = head->next;
    list_remove(item);
    return item;
}

/* Safe against removal of the current item. */
#define LIST_EACH(item, after, head)                                            \
    for (struct list *item = (head)->next, *after = item->next; item != (head); \
         item = after, after = item->next)

#endif
