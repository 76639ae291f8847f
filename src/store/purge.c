/* SPDX-License-Identifier: Apache-2.0
 *
 * Purges. One by key is done at once. Others are numbered (order) and stand in a list: an object remembers up to which number it was looked at,
 * and whoever finds one that is behind looks at what came since. So a purge is in force from the moment that it is in the list, at the cost of one
 * comparison for each look-up; the sweep goes through the tables a piece at a time, and takes off the list what it has finished.
 *
 * A fill that began before a purge that might match it is unlinked: it goes on for those who wait for it, but nobody else finds it and it is not kept.
 */
#include "store/disk.h"

/* ---- what a purge matches */

static bool matches(const struct pending_purge *purge, const struct store_object *object)
{
    if (purge->site != object->site)
        return false;
    switch (purge->kind) {
    case STORE_PURGE_KEY:
        return false; /* never pending */
    case STORE_PURGE_PREFIX:
        return span_starts(store_object_key(object),
                           span_of(slice_data(&purge->what), purge->what.length));
    case STORE_PURGE_TAG:
        return object_has_tag(object, purge->tag);
    case STORE_PURGE_SITE:
        return true;
    }
    return false;
}

/* Where its tags are not known yet, it might have this one. */
static bool may_match(const struct pending_purge *purge, const struct store_fill *fill)
{
    if (purge->site != fill->site)
        return false;
    switch (purge->kind) {
    case STORE_PURGE_KEY:
        return false;
    case STORE_PURGE_PREFIX:
        return span_starts(fill->key_span, span_of(slice_data(&purge->what), purge->what.length));
    case STORE_PURGE_TAG:
        return !fill->making || object_has_tag(fill->making, purge->tag);
    case STORE_PURGE_SITE:
        return true;
    }
    return false;
}

static void make_stale(struct shard *shard, struct store_object *object)
{
    if (!atomic_exchange_explicit(&object->is_purged, true, memory_order_relaxed))
        shard->counts.purged += !object->is_pass;
}

bool purge_spares(struct store *store, struct shard *shard, struct store_object *object)
{
    if (object->order >= atomic_load_explicit(&store->newest, memory_order_acquire))
        return true;
    const struct pending_purges *pending = snapshot_read(&store->pending);
    if (!pending)
        return true;
    for (uint32_t i = pending->count; i-- && pending->purges[i].order > object->order;) {
        if (!matches(&pending->purges[i], object))
            continue;
        if (!pending->purges[i].is_soft) {
            shard->counts.purged += !object->is_pass;
            return false;
        }
        make_stale(shard, object);
    }
    object->order = pending->newest;
    return true;
}

/* ---- the list */

static void release_pending(void *old)
{
    struct pending_purges *pending = old;
    for (uint32_t i = 0; i < pending->count; i++)
        slice_release(&pending->purges[i].what);
    memory_free(pending);
}

/* Under purge_lock: those behind `done`, and one more (NULL: none). */
static void publish(struct store *store, uint64_t done, const struct pending_purge *more)
{
    const struct pending_purges *old = atomic_load(&store->pending);
    uint32_t count = old ? old->count : 0, from = 0;
    while (from < count && old->purges[from].order <= done)
        from++;
    struct pending_purges *fresh =
        memory_new(sizeof *fresh + (count - from + (more ? 1 : 0)) * sizeof(struct pending_purge));
    fresh->newest = atomic_load(&store->newest);
    for (; from < count; from++) {
        fresh->purges[fresh->count] = old->purges[from];
        if (old->purges[from].what.chunk)
            slice_retain(old->purges[from].what);
        fresh->count++;
    }
    if (more) {
        fresh->purges[fresh->count++] = *more;
        fresh->newest = more->order;
    }
    snapshot_publish(&store->pending, fresh, release_pending);
    atomic_store_explicit(&store->newest, fresh->newest, memory_order_release);
}

/* Fills that began before it. */
static void unlink_fills(struct store *store, const struct pending_purge *purge)
{
    for (uint32_t i = 0; i < store->shard_count; i++) {
        struct shard *shard = &store->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (uint64_t k = 0; shard->fills.count && k < shard->fills.chains; k++)
            for (struct table_node *node = table_chain(&shard->fills, k), *next; node;
                 node = next) {
                struct store_fill *fill = CONTAINER_OF(node, struct store_fill, node);
                next = node->next;
                if (fill->order < purge->order && may_match(purge, fill))
                    fill_unlink(fill);
            }
        pthread_mutex_unlock(&shard->lock);
    }
}

static void purge_key(struct store *store, const struct store_purge *purge)
{
    uint64_t hash = store_hash(store, purge->what);
    struct shard *shard = store_shard(store, hash);
    struct store_object *gone = NULL, *next;
    pthread_mutex_lock(&shard->lock);
    for (struct store_object *object = shard_next(shard, hash, NULL); object; object = next) {
        next = shard_next(shard, hash, object);
        if (object->site != purge->site || !store_key_is_of(store_object_key(object), purge->what))
            continue;
        if (purge->is_soft) {
            make_stale(shard, object);
            continue;
        }
        shard->counts.purged += !object->is_pass;
        shard_unlink(store, shard, object);
        object->node.next = gone ? &gone->node : NULL;
        gone = object;
    }
    for (struct table_node *node = table_next(&shard->fills, hash, NULL), *after; node;
         node = after) {
        struct store_fill *fill = CONTAINER_OF(node, struct store_fill, node);
        after = table_next(&shard->fills, hash, node);
        if (fill->site == purge->site && store_key_is_of(fill->key_span, purge->what))
            fill_unlink(fill);
    }
    pthread_mutex_unlock(&shard->lock);
    store_release_chain(store, gone);
}

static int purge_others(struct store *store, const struct store_purge *purge)
{
    const struct pending_purges *pending = atomic_load(&store->pending);
    if (pending && pending->count >= STORE_PURGES_PENDING)
        return ERROR_AGAIN;
    struct pending_purge more = {
        .order = atomic_load(&store->newest) + 1,
        .site = purge->site,
        .tag = tag_hash(purge->site, purge->what),
        .kind = purge->kind,
        .is_soft = purge->is_soft,
        .what = slice_copy(purge->what),
    };
    publish(store, 0, &more);
    unlink_fills(store, &more);
    return 0;
}

/* ---- numbers of sites */

static struct purged_site *place_of(const struct purge_numbers *numbers, uint64_t site)
{
    uint32_t mask = numbers->size - 1;
    uint32_t index = (uint32_t)(site * 0x9e3779b97f4a7c15u >> 32) & mask;
    while (numbers->list[index].sequence && numbers->list[index].site != site)
        index = (index + 1) & mask;
    return &numbers->list[index];
}

static void grow(struct purge_numbers *numbers)
{
    struct purged_site *old = numbers->list;
    uint32_t size = numbers->size;
    numbers->size = size ? size * 2 : 64;
    numbers->list = memory_new(numbers->size * sizeof *numbers->list);
    for (uint32_t i = 0; i < size; i++)
        if (old[i].sequence)
            *place_of(numbers, old[i].site) = old[i];
    memory_free(old);
}

uint64_t purge_numbers_get(const struct purge_numbers *numbers, uint64_t site)
{
    return numbers->size ? place_of(numbers, site)->sequence : 0;
}

bool purge_numbers_raise(struct purge_numbers *numbers, uint64_t site, uint64_t sequence)
{
    if (numbers->count * 2 >= numbers->size)
        grow(numbers);
    struct purged_site *place = place_of(numbers, site);
    if (!place->sequence && numbers->count == STORE_SITES_MOST)
        return false;
    numbers->count += !place->sequence && sequence;
    if (sequence > place->sequence)
        *place = (struct purged_site){site, sequence};
    return true;
}

void purge_numbers_clear(struct purge_numbers *numbers)
{
    memory_free(numbers->list);
    *numbers = (struct purge_numbers){0};
}

/* Under purge_lock. */
static int number(const struct store *store, const struct store_purge *purge)
{
    const struct purge_numbers *numbers = &store->numbers;
    uint64_t sequence = purge_numbers_get(numbers, purge->site);
    if (purge->sequence <= sequence)
        return ERROR_REPLAY;
    if (!sequence && numbers->count == STORE_SITES_MOST)
        return ERROR_LIMIT;
    if (purge->sequence != sequence + 1 && purge->kind != STORE_PURGE_SITE)
        return ERROR_INCOMPLETE;
    return 0;
}

void purge_restore_number(struct store *store, const struct purged_site *site, bool is_late)
{
    const struct store_purge purge = {.site = site->site,
                                      .kind = STORE_PURGE_SITE,
                                      .is_soft = true};
    if (site->sequence <= purge_numbers_get(&store->numbers, site->site))
        return;
    if (is_late && purge_others(store, &purge) < 0)
        return; /* they come again, by their numbers */
    (void)purge_numbers_raise(&store->numbers, site->site, site->sequence);
}

uint64_t store_purge_sequence(struct store *store, uint64_t site)
{
    pthread_mutex_lock(&store->purge_lock);
    uint64_t sequence = purge_numbers_get(&store->numbers, site);
    pthread_mutex_unlock(&store->purge_lock);
    return sequence;
}

int store_purge(struct store *store, const struct store_purge *purge)
{
    if (purge->what.length > STORE_KEY_MOST)
        return ERROR_LIMIT;
    pthread_mutex_lock(&store->purge_lock);
    int error = purge->sequence ? number(store, purge) : 0;
    if (!error && purge->kind == STORE_PURGE_KEY)
        purge_key(store, purge);
    else if (!error)
        error = purge_others(store, purge);
    if (!error && store->disk)
        disk_purge(store->disk, purge);
    if (!error && purge->sequence)
        (void)purge_numbers_raise(&store->numbers, purge->site, purge->sequence);
    pthread_mutex_unlock(&store->purge_lock);
    return error;
}

/* ---- the sweep */

static struct store_object *sweep_chains(struct store *store, struct shard *shard)
{
    struct store_object *gone = NULL;
    uint64_t end = store->sweep_chain + SWEEP_CHAINS_LOCKED;
    pthread_mutex_lock(&shard->lock);
    if (end > shard->objects.chains)
        end = shard->objects.chains;
    for (; store->sweep_chain < end; store->sweep_chain++)
        for (struct table_node *node = table_chain(&shard->objects, store->sweep_chain), *next;
             node; node = next) {
            struct store_object *object = CONTAINER_OF(node, struct store_object, node);
            next = node->next;
            if (purge_spares(store, shard, object))
                continue;
            shard_unlink(store, shard, object);
            object->node.next = gone ? &gone->node : NULL;
            gone = object;
        }
    if (end == shard->objects.chains) {
        store->sweep_chain = 0;
        store->sweep_shard++;
    }
    pthread_mutex_unlock(&shard->lock);
    return gone;
}

void purge_sweep(struct store *store)
{
    uint64_t newest = atomic_load(&store->newest);
    const struct pending_purges *pending = snapshot_read(&store->pending);
    if (!pending || !pending->count)
        return;
    if (!store->sweep_shard && !store->sweep_chain)
        store->sweep_target = newest;
    for (int i = 0; i < SWEEP_CHAINS / SWEEP_CHAINS_LOCKED; i++) {
        store_release_chain(store, sweep_chains(store, &store->shards[store->sweep_shard]));
        if (store->sweep_shard < store->shard_count)
            continue;
        store->sweep_shard = 0;
        pthread_mutex_lock(&store->purge_lock);
        publish(store, store->sweep_target, NULL);
        pthread_mutex_unlock(&store->purge_lock);
        return;
    }
}

void purge_clear(struct store *store)
{
    struct pending_purges *pending = atomic_load(&store->pending);
    if (pending)
        release_pending(pending);
    purge_numbers_clear(&store->numbers);
}

/* ---- as records of a log: length of what follows (4 bytes, big-endian like all), site (8), sequence (8), kind (1), soft (1), what */

enum { RECORD_HEAD = 4, RECORD_FIXED = 8 + 8 + 1 + 1 };

static void put(uint8_t *to, uint64_t value, int bytes)
{
    while (bytes--) {
        to[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

static uint64_t get(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

void store_purge_write(const struct store_purge *purge, struct slice_queue *out)
{
    uint8_t head[RECORD_HEAD + RECORD_FIXED];
    put(head, RECORD_FIXED + purge->what.length, 4);
    put(head + 4, purge->site, 8);
    put(head + 12, purge->sequence, 8);
    head[20] = (uint8_t)purge->kind;
    head[21] = purge->is_soft;
    slice_queue_append(out, span_of(head, sizeof head));
    slice_queue_append(out, purge->what);
}

int store_purge_read(struct span log, struct store_purge *purge)
{
    if (log.length < RECORD_HEAD)
        return ERROR_INCOMPLETE;
    uint64_t length = get(log.data, 4);
    if (length < RECORD_FIXED || length > RECORD_FIXED + STORE_KEY_MOST)
        return ERROR_INVALID;
    if (log.length < RECORD_HEAD + length)
        return ERROR_INCOMPLETE;
    if (log.data[20] > STORE_PURGE_SITE || log.data[21] > 1)
        return ERROR_INVALID;
    *purge = (struct store_purge){
        .site = get(log.data + 4, 8),
        .sequence = get(log.data + 12, 8),
        .kind = (enum store_purge_kind)log.data[20],
        .is_soft = log.data[21],
        .what = span_of(log.data + RECORD_HEAD + RECORD_FIXED, length - RECORD_FIXED),
    };
    return (int)(RECORD_HEAD + length);
}
