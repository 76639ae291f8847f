/* SPDX-License-Identifier: Apache-2.0
 *
 * First in, first out: use counts for nothing.
 */
#include "store/policy.h"

#include "base/memory.h"

static void *fifo_make(uint64_t seed)
{
    struct list *queue = NEW(struct list);
    (void)seed;
    list_init(queue);
    return queue;
}

static void fifo_free(void *state)
{
    memory_free(state);
}

static void fifo_add(void *state, struct policy_node *node)
{
    list_push_back(state, &node->link);
}

static void fifo_touch(void *state, struct policy_node *node)
{
    (void)state;
    (void)node;
}

static void fifo_remove(void *state, struct policy_node *node)
{
    (void)state;
    list_remove(&node->link);
}

static struct policy_node *fifo_evict(void *state)
{
    struct list *oldest = list_pop_front(state);
    return oldest ? CONTAINER_OF(oldest, struct policy_node, link) : NULL;
}

const struct policy policy_fifo = {
    .name = "fifo",
    .make = fifo_make,
    .free = fifo_free,
    .add = fifo_add,
    .touch = fifo_touch,
    .remove = fifo_remove,
    .evict = fifo_evict,
};
