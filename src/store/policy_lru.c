/* SPDX-License-Identifier: Apache-2.0
 *
 * The least recently used one leaves. One pass over much that is wanted once empties it of all that is popular.
 */
#include "store/policy.h"

#include "base/memory.h"

static void *lru_make(uint64_t seed)
{
    struct list *queue = NEW(struct list);
    (void)seed;
    list_init(queue);
    return queue;
}

static void lru_free(void *state)
{
    memory_free(state);
}

static void lru_add(void *state, struct policy_node *node)
{
    list_push_back(state, &node->link);
}

static void lru_touch(void *state, struct policy_node *node)
{
    list_remove(&node->link);
    list_push_back(state, &node->link);
}

static void lru_remove(void *state, struct policy_node *node)
{
    (void)state;
    list_remove(&node->link);
}

static struct policy_node *lru_evict(void *state)
{
    struct list *oldest = list_pop_front(state);
    return oldest ? CONTAINER_OF(oldest, struct policy_node, link) : NULL;
}

const struct policy policy_lru = {
    .name = "lru",
    .make = lru_make,
    .free = lru_free,
    .add = lru_add,
    .touch = lru_touch,
    .remove = lru_remove,
    .evict = lru_evict,
};
