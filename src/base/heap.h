/* SPDX-License-Identifier: Apache-2.0
 *
 * A binary min-heap of keys with an intrusive index, for timers and event queues: O(log n) to add, change
 * and remove, O(1) to see the least. Equal keys leave in the order in which they came.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embed it in the item; zero-initialised is "not in a heap". */
struct heap_node {
    uint64_t key;
    uint64_t order;
    size_t position; /* 1-based; 0: not in a heap */
};

/* Zero-initialised is empty. */
struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
    uint64_t next_order;
};

void heap_clear(struct heap *heap); /* frees the table, not the items */
void heap_put(struct heap *heap, struct heap_node *node,
              uint64_t key);                                 /* adds, or changes the key */
void heap_remove(struct heap *heap, struct heap_node *node); /* harmless when not in it */

static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

static inline bool heap_has(const struct heap_node *node)
{
    return node->position != 0;
}

#endif
