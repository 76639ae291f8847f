/* SPDX-License-Identifier: Apache-2.0
 *
 * Any one leaves: nothing to keep in order, and no order that could be played against.
 */
#include "store/policy.h"

#include "base/memory.h"
#include "base/random.h"

struct pool {
    struct policy_node **nodes; /* place: the index */
    uint32_t count, capacity;
    struct random random;
};

static void *random_make(uint64_t seed)
{
    struct pool *pool = NEW(struct pool);
    random_seed(&pool->random, seed);
    return pool;
}

static void random_free(void *state)
{
    struct pool *pool = state;
    memory_free(pool->nodes);
    memory_free(pool);
}

static void random_add(void *state, struct policy_node *node)
{
    struct pool *pool = state;
    if (pool->count == pool->capacity) {
        pool->capacity = pool->capacity ? pool->capacity * 2 : 64;
        pool->nodes = memory_resize(pool->nodes, pool->capacity, sizeof(struct policy_node *));
    }
    node->place = pool->count;
    pool->nodes[pool->count++] = node;
}

static void random_touch(void *state, struct policy_node *node)
{
    (void)state;
    (void)node;
}

static void random_remove(void *state, struct policy_node *node)
{
    struct pool *pool = state;
    struct policy_node *last = pool->nodes[--pool->count];
    pool->nodes[node->place] = last;
    last->place = node->place;
}

static struct policy_node *random_evict(void *state)
{
    struct pool *pool = state;
    if (!pool->count)
        return NULL;
    struct policy_node *node = pool->nodes[random_below(&pool->random, pool->count)];
    random_remove(pool, node);
    return node;
}

const struct policy policy_random = {
    .name = "random",
    .make = random_make,
    .free = random_free,
    .add = random_add,
    .touch = random_touch,
    .remove = random_remove,
    .evict = random_evict,
};
