/* SPDX-License-Identifier: Apache-2.0
 *
 * Sift up, sift down.
 */
#include "base/heap.h"

#include "base/memory.h"

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key < b->key || (a->key == b->key && a->order < b->order);
}

static void place(struct heap *heap, struct heap_node *node, size_t index)
{
    heap->nodes[index] = node;
    node->position = index + 1;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t index)
{
    while (index > 0 && is_before(node, heap->nodes[(index - 1) / 2])) {
        place(heap, heap->nodes[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    place(heap, node, index);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t index)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && is_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!is_before(heap->nodes[child], node))
            break;
        place(heap, heap->nodes[child], index);
        index = child;
    }
    place(heap, node, index);
}

void heap_put(struct heap *heap, struct heap_node *node, uint64_t key)
{
    if (heap_has(node)) {
        size_t index = node->position - 1;
        bool later = key >= node->key;
        node->key = key;
        node->order = heap->next_order++;
        if (later)
            sift_down(heap, node, index);
        else
            sift_up(heap, node, index);
        return;
    }
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
        heap->nodes = memory_resize(heap->nodes, heap->capacity, sizeof *heap->nodes);
    }
    node->key = key;
    node->order = heap->next_order++;
    sift_up(heap, node, heap->count++);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!heap_has(node))
        return;
    size_t index = node->position - 1;
    struct heap_node *last = heap->nodes[--heap->count];
    node->position = 0;
    if (last == node)
        return;
    if (index > 0 && is_before(last, heap->nodes[(index - 1) / 2]))
        sift_up(heap, last, index);
    else
        sift_down(heap, last, index);
}

void heap_clear(struct heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->position = 0;
    memory_free(heap->nodes);
    *heap = (struct heap){0};
}
