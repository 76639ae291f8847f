/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking up: the newest object of a key says by what the key's answers vary; what this request has of that is worked out outside of the
 * lock, and only where they vary at all.
 */
#include "store/disk.h"

static struct store_object *newest(const struct shard *shard, uint64_t hash,
                                   const struct store_query *query)
{
    struct store_object *object = shard_object(shard, hash, query, NULL);
    while (object && object->is_pass)
        object = shard_object(shard, hash, query, object);
    return object;
}

static struct span rule_of_a_fill(const struct shard *shard, uint64_t hash,
                                  const struct store_query *query)
{
    for (struct table_node *node = NULL; (node = table_next(&shard->fills, hash, node)) != NULL;) {
        const struct store_fill *fill = CONTAINER_OF(node, struct store_fill, node);
        if (fill->rule.length && fill->site == query->site &&
            span_equal(fill->key_span, query->key))
            return fill->rule;
    }
    return (struct span){0};
}

void shard_choose(struct shard *shard, uint64_t hash, const struct store_query *query,
                  struct choice *choice)
{
    choice->rule_length = choice->selector_length = 0;
    choice->is_none = false;
    pthread_mutex_lock(&shard->lock);
    const struct store_object *object = newest(shard, hash, query);
    struct span rule = object               ? store_object_rule(object)
                       : shard->fills.count ? rule_of_a_fill(shard, hash, query)
                                            : (struct span){0};
    if (!rule.length)
        return;
    memcpy(choice->rule, rule.data, rule.length);
    choice->rule_length = (uint32_t)rule.length;
    pthread_mutex_unlock(&shard->lock);
    uint32_t length = UINT32_MAX;
    if (query->select)
        length = query->select(query->context, span_of(choice->rule, choice->rule_length),
                               choice->selector);
    choice->is_none = length > STORE_SELECTOR_MOST;
    choice->selector_length = choice->is_none ? 0 : length;
    pthread_mutex_lock(&shard->lock);
}

static bool is_chosen(const struct store_object *object, const struct choice *choice)
{
    if (object->is_pass)
        return false;
    if (!choice->rule_length && !object->rule_length)
        return true;
    return span_equal(store_object_rule(object), span_of(choice->rule, choice->rule_length)) &&
           span_equal(object_selector(object), span_of(choice->selector, choice->selector_length));
}

struct store_object *shard_find(struct store *store, struct shard *shard, uint64_t hash,
                                const struct store_query *query, const struct choice *choice,
                                struct store_object **purged)
{
    struct store_object *object = shard_object(shard, hash, query, NULL), *next;
    for (; object; object = next) {
        next = shard_object(shard, hash, query, object);
        if (!is_chosen(object, choice))
            continue;
        if (purge_spares(store, shard, object))
            return object;
        shard_unlink(store, shard, object);
        object->node.next = *purged ? &(*purged)->node : NULL;
        *purged = object;
    }
    return NULL;
}

struct store_object *store_find(struct store *store, const struct store_query *query)
{
    if (query->key.length > STORE_KEY_MOST)
        return NULL;
    uint64_t hash = store_hash(store, query->key);
    struct shard *shard = store_shard(store, hash);
    struct store_object *object = NULL, *purged = NULL;
    struct choice choice;
    shard_choose(shard, hash, query, &choice);
    if (!choice.is_none)
        object = shard_find(store, shard, hash, query, &choice, &purged);
    if (object) {
        store_object_retain(object);
        store->policy->touch(shard->policy, &object->policy);
        object->hits += object->hits < UINT32_MAX;
        shard->counts.hits++;
    } else {
        shard->counts.misses++;
    }
    pthread_mutex_unlock(&shard->lock);
    store_release_chain(store, purged);
    return object;
}

uint32_t store_object_hits(const struct store_object *object)
{
    return __atomic_load_n(&object->hits, __ATOMIC_RELAXED);
}

bool store_object_claim(struct store_object *object, uint32_t now_s)
{
    uint32_t before = atomic_load_explicit(&object->claimed_s, memory_order_relaxed);
    return now_s - before >= STORE_CLAIM_S &&
           atomic_compare_exchange_strong(&object->claimed_s, &before, now_s);
}

void store_count(struct store *store, struct store_counts *counts)
{
    *counts = (struct store_counts){
        .bytes = atomic_load(&store->used),
        .bytes_most = store->options.memory_bytes,
        .fills = atomic_load(&store->fills),
        .dismissed = atomic_load(&store->dismissed),
        .failed_fills = atomic_load(&store->failed_fills),
        .passed_fills = atomic_load(&store->passed_fills),
    };
    for (uint32_t i = 0; i < store->shard_count; i++) {
        struct shard *shard = &store->shards[i];
        pthread_mutex_lock(&shard->lock);
        counts->objects += shard->objects.count - shard->marks;
        counts->hits += shard->counts.hits;
        counts->misses += shard->counts.misses;
        counts->inserts += shard->counts.inserts;
        counts->evictions += shard->counts.evictions;
        counts->replaced += shard->counts.replaced;
        counts->purged += shard->counts.purged;
        counts->waits += shard->counts.waits;
        counts->alone += shard->counts.alone;
        pthread_mutex_unlock(&shard->lock);
    }
    if (store->disk)
        disk_count(store->disk, counts);
    pthread_mutex_lock(&store->purge_lock);
    const struct pending_purges *pending = atomic_load(&store->pending);
    counts->purges_pending = pending ? pending->count : 0;
    pthread_mutex_unlock(&store->purge_lock);
}
