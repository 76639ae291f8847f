/* SPDX-License-Identifier: Apache-2.0
 *
 * Shards: a part of the keys each, with a table, an eviction policy and a lock. A look-up holds the lock for a walk along one chain and a
 * touch of the policy. Read-copy-update would save that lock, but not the count of references on the same line, and would cost each
 * insert and eviction a grace period's bookkeeping: bench/micro_store.c shows what the lock costs.
 */
#include "store/disk.h"

#include "base/hash.h"

/* ---- life cycle */

int store_open(struct store **opened, const struct store_options *options)
{
    const struct policy *policy = policy_find(options->policy);
    if (!policy)
        return ERROR_NOT_FOUND;
    struct store *store = *opened = NEW(struct store);
    store->options = *options;
    if (!store->options.object_bytes_most)
        store->options.object_bytes_most = options->memory_bytes / 8;
    if (!store->options.waiters_most)
        store->options.waiters_most = STORE_WAITERS_MOST;
    if (!store->options.stall_ns)
        store->options.stall_ns = STORE_STALL_NS;
    store->policy = policy;
    store->shard_count = 1;
    while (store->shard_count < SHARDS_MOST &&
           options->memory_bytes / SHARD_BYTES >= store->shard_count * 2)
        store->shard_count *= 2;
    store->shards = memory_new_aligned(store->shard_count * sizeof(struct shard));
    for (uint32_t i = 0; i < store->shard_count; i++) {
        struct shard *shard = &store->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        table_init(&shard->objects);
        table_init(&shard->fills);
        shard->policy = policy->make(options->seed + i);
    }
    pthread_mutex_init(&store->purge_lock, NULL);
    if (options->disk_bytes)
        store->disk = disk_open(store, options->disk_folder, options->disk_bytes);
    if (options->disk_bytes && !store->disk) {
        store_close(opened);
        return ERROR_LIMIT;
    }
    return 0;
}

static void drop_everything(struct store *store, struct shard *shard)
{
    for (uint64_t i = 0; i < shard->objects.chains; i++)
        for (struct table_node *node; (node = table_chain(&shard->objects, i)) != NULL;) {
            struct store_object *object = CONTAINER_OF(node, struct store_object, node);
            shard_unlink(store, shard, object);
            store_object_release(store, &object);
        }
}

void store_close(struct store **closed)
{
    struct store *store = *closed;
    *closed = NULL;
    if (!store)
        return;
    disk_close(&store->disk);
    for (uint32_t i = 0; i < store->shard_count; i++) {
        struct shard *shard = &store->shards[i];
        INVARIANT(!shard->fills.count);
        drop_everything(store, shard);
        store->policy->free(shard->policy);
        table_clear(&shard->objects);
        table_clear(&shard->fills);
        pthread_mutex_destroy(&shard->lock);
    }
    INVARIANT(atomic_load(&store->used) == 0);
    purge_clear(store);
    pthread_mutex_destroy(&store->purge_lock);
    memory_free(store->shards);
    memory_free(store);
}

void store_settle(struct store *store)
{
    if (store->disk)
        disk_settle(store->disk);
}

enum store_disk_state store_disk_state(struct store *store, int *error)
{
    *error = 0;
    return store->disk ? disk_state(store->disk, error) : STORE_DISK_CLOSED;
}

void store_use_folder(struct store *store, int folder)
{
    if (store->disk)
        disk_use_folder(store->disk, folder);
}

bool store_knows_purges(struct store *store)
{
    int error;
    return store_disk_state(store, &error) != STORE_DISK_OPENING;
}

void store_tick(struct store *store, uint64_t now_ns)
{
    fills_look(store, now_ns);
    purge_sweep(store);
}

/* Parts of a name hang in one chain, where a purge of the name finds them. */
uint64_t store_hash(const struct store *store, struct span key)
{
    return hash_span(span_of(key.data, span_find(key, 0)), store->options.seed);
}

bool store_key_is_of(struct span key, struct span purged)
{
    return span_starts(key, purged) &&
           (key.length == purged.length || key.data[purged.length] == 0);
}

/* By the upper bits; the tables go by the lower ones. */
struct shard *store_shard(const struct store *store, uint64_t hash)
{
    return &store->shards[(hash >> 56) & (store->shard_count - 1)];
}

/* ---- the budget */

void store_charge(struct store *store, uint64_t bytes)
{
    atomic_fetch_add_explicit(&store->used, bytes, memory_order_relaxed);
}

void store_discharge(struct store *store, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&store->used, bytes, memory_order_relaxed);
    INVARIANT(before >= bytes);
}

/* The fuller one of two. Shards thus stay equally full, whatever their objects' sizes. */
static struct shard *pick_shard(struct store *store)
{
    uint64_t turn = atomic_fetch_add_explicit(&store->turn, 1, memory_order_relaxed);
    struct shard *a = &store->shards[turn & (store->shard_count - 1)];
    struct shard *b = &store->shards[(turn * 0x9e3779b97f4a7c15u >> 32) & (store->shard_count - 1)];
    return atomic_load_explicit(&a->bytes, memory_order_relaxed) >
                   atomic_load_explicit(&b->bytes, memory_order_relaxed)
               ? a
               : b;
}

/* One object less in the shard; NULL: there was none, or it is in use, and stays as one that was used. */
static struct store_object *evict_one(struct store *store, struct shard *shard)
{
    struct store_object *object = NULL;
    pthread_mutex_lock(&shard->lock);
    struct policy_node *node = store->policy->evict(shard->policy);
    if (node) {
        object = CONTAINER_OF(node, struct store_object, policy);
        if (atomic_load_explicit(&object->references, memory_order_relaxed) > 1) {
            store->policy->add(shard->policy, node);
            store->policy->touch(shard->policy, node);
            object = NULL;
        } else {
            table_remove(&shard->objects, &object->node);
            object->is_kept = false;
            atomic_fetch_sub_explicit(&shard->bytes, object->charge, memory_order_relaxed);
            shard->marks -= object->is_pass;
            shard->counts.evictions += !object->is_pass;
        }
    }
    pthread_mutex_unlock(&shard->lock);
    return object;
}

void store_make_room(struct store *store)
{
    uint32_t in_vain = 0;
    while (atomic_load_explicit(&store->used, memory_order_relaxed) > store->options.memory_bytes &&
           in_vain < EVICT_HELD_MOST + store->shard_count) {
        struct store_object *object = evict_one(store, pick_shard(store));
        in_vain += !object;
        store_object_release(store, &object);
    }
}

/* ---- in a shard, under its lock */

struct store_object *shard_next(const struct shard *shard, uint64_t hash,
                                const struct store_object *after)
{
    struct table_node *node = table_next(&shard->objects, hash, after ? &after->node : NULL);
    return node ? CONTAINER_OF(node, struct store_object, node) : NULL;
}

static bool is_of(const struct store_object *object, const struct store_query *query)
{
    return object->site == query->site && span_equal(store_object_key(object), query->key);
}

struct store_object *shard_object(const struct shard *shard, uint64_t hash,
                                  const struct store_query *query, const struct store_object *after)
{
    struct store_object *object = shard_next(shard, hash, after);
    while (object && !is_of(object, query))
        object = shard_next(shard, hash, object);
    return object;
}

void shard_unlink(struct store *store, struct shard *shard, struct store_object *object)
{
    table_remove(&shard->objects, &object->node);
    store->policy->remove(shard->policy, &object->policy);
    shard->marks -= object->is_pass;
    object->is_kept = false;
    atomic_fetch_sub_explicit(&shard->bytes, object->charge, memory_order_relaxed);
}

/* A mark gives way to a mark or an object; an object to one that answers the same requests, or was chosen by another rule. */
static bool gives_way(const struct store_object *old, const struct store_object *fresh)
{
    if (old->is_pass || fresh->is_pass)
        return old->is_pass;
    return !span_equal(store_object_rule(old), store_object_rule(fresh)) ||
           span_equal(object_selector(old), object_selector(fresh));
}

static void take_out(struct store *store, struct shard *shard, struct store_object *object,
                     struct store_object **chain)
{
    shard_unlink(store, shard, object);
    object->node.next = *chain ? &(*chain)->node : NULL;
    *chain = object;
}

struct store_object *shard_keep(struct store *store, struct shard *shard,
                                struct store_object *object)
{
    const struct store_query same = {.site = object->site, .key = store_object_key(object)};
    struct store_object *chain = NULL, *next, *last = NULL, *last_part = NULL;
    uint32_t variants = 0, parts = 0;
    for (struct store_object *old = shard_next(shard, object->node.hash, NULL); old; old = next) {
        next = shard_next(shard, object->node.hash, old);
        if (!is_of(old, &same)) {
            parts++;
            last_part = old;
        } else if (gives_way(old, object)) {
            object->hits += old->hits / 2; /* it stays as popular, and is forgotten by and by */
            take_out(store, shard, old, &chain);
            shard->counts.replaced += !old->is_pass;
        } else if (!old->is_pass) {
            variants++;
            last = old;
        }
    }
    if (variants >= STORE_VARIANTS_MOST) {
        take_out(store, shard, last, &chain);
        shard->counts.replaced++;
    } else if (parts && parts + variants >= STORE_PARTS_MOST) {
        take_out(store, shard, last_part, &chain);
        shard->counts.replaced += !last_part->is_pass;
    }
    table_add(&shard->objects, &object->node);
    object->is_kept = true;
    store->policy->add(shard->policy, &object->policy);
    atomic_fetch_add_explicit(&shard->bytes, object->charge, memory_order_relaxed);
    shard->marks += object->is_pass;
    shard->counts.inserts += !object->is_pass;
    return chain;
}

void store_release_chain(struct store *store, struct store_object *chain)
{
    while (chain) {
        struct table_node *next = chain->node.next;
        store_object_release(store, &chain);
        chain = next ? CONTAINER_OF(next, struct store_object, node) : NULL;
    }
}
