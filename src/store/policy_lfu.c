/* SPDX-License-Identifier: Apache-2.0
 *
 * The least frequently used one leaves, with dynamic ageing (LFU-DA: Arlitt et al., 2000): rank = age + uses, and the age is the rank of what
 * left last, so that yesterday's favourites give way. Ranks lie within [age, age + RANKS): a ring of lists, each in order of use.
 */
#include "store/policy.h"

#include "base/memory.h"

enum { RANKS = 256, HITS_MOST = RANKS - 1 };

struct lfu {
    struct list ranks[RANKS];
    uint32_t age, count;
};

static void *lfu_make(uint64_t seed)
{
    struct lfu *lfu = NEW(struct lfu);
    (void)seed;
    for (int i = 0; i < RANKS; i++)
        list_init(&lfu->ranks[i]);
    return lfu;
}

static void lfu_free(void *state)
{
    memory_free(state);
}

static void stand(struct lfu *lfu, struct policy_node *node)
{
    node->place = lfu->age + node->hits;
    list_push_back(&lfu->ranks[node->place % RANKS], &node->link);
}

static void lfu_add(void *state, struct policy_node *node)
{
    struct lfu *lfu = state;
    node->hits = 0;
    lfu->count++;
    stand(lfu, node);
}

static void lfu_touch(void *state, struct policy_node *node)
{
    if (node->hits < HITS_MOST)
        node->hits++;
    list_remove(&node->link);
    stand(state, node);
}

static void lfu_remove(void *state, struct policy_node *node)
{
    struct lfu *lfu = state;
    lfu->count--;
    list_remove(&node->link);
}

static struct policy_node *lfu_evict(void *state)
{
    struct lfu *lfu = state;
    if (!lfu->count)
        return NULL;
    while (list_is_empty(&lfu->ranks[lfu->age % RANKS]))
        lfu->age++;
    lfu->count--;
    struct list *oldest = list_pop_front(&lfu->ranks[lfu->age % RANKS]);
    return CONTAINER_OF(oldest, struct policy_node, link);
}

const struct policy policy_lfu = {
    .name = "lfu",
    .make = lfu_make,
    .free = lfu_free,
    .add = lfu_add,
    .touch = lfu_touch,
    .remove = lfu_remove,
    .evict = lfu_evict,
};
