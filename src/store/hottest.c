/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked for most: the list by which another edge is warmed (S10). One look through all tables, a few chains under each lock.
 */
#include "store/private.h"

#include "base/heap.h"

#include <stdlib.h>

struct candidate {
    struct heap_node node; /* by hits: the least popular goes first */
    char *key;
};

static bool is_name(struct span key)
{
    for (size_t i = 0; i < key.length; i++)
        if (key.data[i] < ' ')
            return false;
    return true;
}

static void consider(struct heap *heap, size_t most, const struct store_object *object)
{
    struct span key = store_object_key(object);
    const struct heap_node *least = heap_first(heap);
    struct candidate *candidate;
    if (object->is_pass || !object->hits || !is_name(key))
        return;
    if (heap->count < most) {
        candidate = NEW(struct candidate);
    } else if (least && least->key < object->hits) {
        candidate = CONTAINER_OF(least, struct candidate, node);
        memory_free(candidate->key);
    } else {
        return;
    }
    candidate->key = memory_text((const char *)key.data, key.length);
    heap_put(heap, &candidate->node, object->hits);
}

static void look_through(struct shard *shard, uint64_t site, struct heap *heap, size_t most)
{
    for (uint64_t chain = 0, chains = 1; chain < chains;) {
        pthread_mutex_lock(&shard->lock);
        chains = shard->objects.chains;
        for (uint64_t end = chain + SWEEP_CHAINS_LOCKED; chain < end && chain < chains; chain++)
            for (struct table_node *node = table_chain(&shard->objects, chain); node;
                 node = node->next) {
                const struct store_object *object = CONTAINER_OF(node, struct store_object, node);
                if (object->site == site)
                    consider(heap, most, object);
            }
        pthread_mutex_unlock(&shard->lock);
    }
}

size_t store_hottest(struct store *store, uint64_t site, struct store_hot *list, size_t most)
{
    struct heap heap = {0};
    if (most > STORE_HOTTEST_MOST)
        most = STORE_HOTTEST_MOST;
    for (uint32_t i = 0; most && i < store->shard_count; i++)
        look_through(&store->shards[i], site, &heap, most);
    size_t count = heap.count;
    for (size_t i = count; i--;) {
        struct candidate *least = CONTAINER_OF(heap_first(&heap), struct candidate, node);
        list[i] = (struct store_hot){least->key, (uint32_t)least->node.key};
        heap_remove(&heap, &least->node);
        memory_free(least);
    }
    heap_clear(&heap);
    return count;
}
