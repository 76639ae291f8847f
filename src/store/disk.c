/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk tier as the store sees it: an index from hashes to places, purges that are remembered for as long as older records are, and a thread that
 * writes what was kept, reads what is asked for, and at the start goes through the segments, the newest first.
 *
 * A load is a fill whose filler is the disk: it puts the object into memory and lets the waiters go to look again, so that
 * what comes from the disk is judged like everything else.
 */
#include "store/disk.h"

#include "base/hash.h"

struct disk_entry {
    struct table_node node; /* by the hash of the key, its part too */
    uint64_t place;
    uint64_t choice; /* hash of rule and selector */
};

/* Records of a lesser order are meant. */
struct disk_mark {
    uint64_t order;
    struct store_purge purge; /* `what` is its own */
};

struct disk_job {
    struct disk_job *next;
    struct store_fill *fill;     /* to be loaded from `place`, or */
    struct store_object *object; /* to be written, or */
    uint8_t *purge;              /* likewise */
    uint64_t place, order;
    size_t bytes; /* of the purge's record, or of memory that the object takes */
};

struct disk_queue {
    struct disk_job *first, **last;
    uint32_t count;
    uint64_t bytes;
};

struct disk {
    struct store *store;
    pthread_t thread;
    struct disk_log log;    /* the thread's */
    uint32_t scanned;       /* segments from this number on are in the index; the thread's */
    uint64_t scan_until_ns; /* likewise */
    _Atomic uint64_t order; /* grows with each purge; greater than any of earlier runs */
    pthread_mutex_t lock;   /* the innermost one: of all that follows */
    pthread_cond_t has_work, is_idle;
    struct disk_queue loads, writes;
    bool is_busy, is_scanned, is_stopping;
    struct table index;
    struct disk_mark *marks;
    uint32_t mark_count, mark_capacity;
    uint64_t floor; /* records of a lesser order are forgotten */
    uint64_t bytes, writes_done, loads_done, bad, dropped;
};

static uint64_t choice_hash(struct span rule, struct span selector)
{
    return rule.length ? hash_span(selector, hash_span(rule, 0)) : 0;
}

/* ---- queues, under the lock */

static void queue_push(struct disk *disk, struct disk_queue *queue, struct disk_job *job)
{
    *queue->last = job;
    queue->last = &job->next;
    queue->count++;
    queue->bytes += job->bytes;
    pthread_cond_signal(&disk->has_work);
}

static struct disk_job *queue_pop(struct disk_queue *queue)
{
    struct disk_job *job = queue->first;
    queue->first = job->next;
    if (!queue->first)
        queue->last = &queue->first;
    queue->count--;
    queue->bytes -= job->bytes;
    return job;
}

/* ---- the index, under the lock */

static uint64_t key_hash(const struct disk *disk, struct span key)
{
    return hash_span(key, disk->store->options.seed);
}

static struct disk_entry *entry_of(const struct disk *disk, uint64_t hash, uint64_t choice)
{
    for (struct table_node *node = NULL; (node = table_next(&disk->index, hash, node)) != NULL;)
        if (CONTAINER_OF(node, struct disk_entry, node)->choice == choice)
            return CONTAINER_OF(node, struct disk_entry, node);
    return NULL;
}

/* The newer one of two stays. */
static void index_add(struct disk *disk, uint64_t hash, uint64_t choice, uint64_t place)
{
    struct disk_entry *entry = entry_of(disk, hash, choice);
    if (!entry) {
        if (disk->index.count >= DISK_ENTRIES_MOST)
            return;
        entry = NEW(struct disk_entry);
        entry->node.hash = hash;
        entry->choice = choice;
        table_add(&disk->index, &entry->node);
    }
    if (entry->place < place)
        entry->place = place;
}

static void index_remove(struct disk *disk, uint64_t hash, uint64_t place)
{
    for (struct table_node *node = NULL; (node = table_next(&disk->index, hash, node)) != NULL;) {
        struct disk_entry *entry = CONTAINER_OF(node, struct disk_entry, node);
        if (entry->place != place)
            continue;
        table_remove(&disk->index, node);
        memory_free(entry);
        return;
    }
}

bool disk_find(struct disk *disk, struct span key, const struct choice *choice, uint64_t *place)
{
    uint64_t hash = key_hash(disk, key);
    *place = 0;
    pthread_mutex_lock(&disk->lock);
    if (disk->loads.count >= DISK_LOADS_MOST) {
    } else if (choice->rule_length) {
        const struct disk_entry *entry =
            entry_of(disk, hash,
                     choice_hash(span_of(choice->rule, choice->rule_length),
                                 span_of(choice->selector, choice->selector_length)));
        *place = entry ? entry->place : 0;
    } else {
        for (struct table_node *node = NULL;
             (node = table_next(&disk->index, hash, node)) != NULL;) {
            const struct disk_entry *entry = CONTAINER_OF(node, struct disk_entry, node);
            if (entry->place > *place)
                *place = entry->place;
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return *place != 0;
}

/* ---- purges */

/* Under the lock; takes no reference of `what`. */
static void mark_add(struct disk *disk, uint64_t order, const struct store_purge *purge)
{
    if (disk->mark_count ==
        DISK_PURGES_MOST) { /* too many to remember: the older half of time is forgotten */
        uint32_t half = DISK_PURGES_MOST / 2;
        for (uint32_t i = 0; i < half; i++) {
            if (disk->marks[i].order > disk->floor)
                disk->floor = disk->marks[i].order;
            memory_free((void *)(uintptr_t)disk->marks[i].purge.what.data);
        }
        memmove(disk->marks, disk->marks + half, half * sizeof *disk->marks);
        disk->mark_count = half;
    }
    if (disk->mark_count == disk->mark_capacity) {
        disk->mark_capacity = disk->mark_capacity ? disk->mark_capacity * 2 : 64;
        disk->marks = memory_resize(disk->marks, disk->mark_capacity, sizeof *disk->marks);
    }
    struct disk_mark *mark = &disk->marks[disk->mark_count++];
    *mark = (struct disk_mark){order, *purge};
    mark->purge.what.data = memory_raw(purge->what.length + 1);
    if (purge->what.length)
        memcpy((void *)(uintptr_t)mark->purge.what.data, purge->what.data, purge->what.length);
}

void disk_purge(struct disk *disk, const struct store_purge *purge)
{
    struct slice_queue bytes = {0};
    struct disk_job *job = NEW(struct disk_job);
    store_purge_write(purge, &bytes);
    job->bytes = bytes.bytes;
    job->purge = memory_raw(bytes.bytes);
    slice_queue_peek(&bytes, 0, job->purge, bytes.bytes);
    slice_queue_clear(&bytes);
    pthread_mutex_lock(&disk->lock);
    job->order = atomic_fetch_add(&disk->order, 1) + 1;
    mark_add(disk, job->order, purge);
    queue_push(disk, &disk->writes, job);
    pthread_mutex_unlock(&disk->lock);
}

static bool has_tag(const struct disk_item *item, uint64_t tag)
{
    for (uint16_t i = 0; i < item->record.tag_count; i++) {
        uint64_t hash;
        memcpy(&hash, item->meta + i * sizeof hash, sizeof hash);
        if (hash == tag)
            return true;
    }
    return false;
}

static bool purge_hits(const struct store_purge *purge, const struct disk_item *item)
{
    if (purge->site != item->record.site)
        return false;
    switch (purge->kind) {
    case STORE_PURGE_KEY:
        return store_key_is_of(disk_item_part(item, DISK_KEY), purge->what);
    case STORE_PURGE_PREFIX:
        return span_starts(disk_item_part(item, DISK_KEY), purge->what);
    case STORE_PURGE_TAG:
        return has_tag(item, tag_hash(purge->site, purge->what));
    case STORE_PURGE_SITE:
        return true;
    }
    return true;
}

/* False: a purge took it since it was written. */
static bool is_spared(struct disk *disk, const struct disk_item *item, bool *is_stale)
{
    bool is_spared = true;
    *is_stale = false;
    pthread_mutex_lock(&disk->lock);
    is_spared = item->record.order >= disk->floor;
    for (uint32_t i = 0; is_spared && i < disk->mark_count; i++) {
        const struct disk_mark *mark = &disk->marks[i];
        if (mark->order <= item->record.order || !purge_hits(&mark->purge, item))
            continue;
        is_spared = mark->purge.is_soft;
        *is_stale = true;
    }
    pthread_mutex_unlock(&disk->lock);
    return is_spared;
}

/* ---- writing, on the thread */

/* Drops what is over the budget, and what the index knows of it, a piece at a time. */
static void drop_oldest(struct disk *disk)
{
    while (disk->log.bytes > disk->log.bytes_most && disk->log.oldest != disk->log.newest) {
        disk_log_drop(&disk->log);
        uint64_t from = (uint64_t)disk->log.oldest->number << 32;
        for (uint64_t i = 0, chains = 1; i < chains; i += 64) {
            pthread_mutex_lock(&disk->lock);
            chains = disk->index.chains;
            for (uint64_t k = i; k < chains && k < i + 64; k++)
                for (struct table_node *node = table_chain(&disk->index, k), *next; node;
                     node = next) {
                    struct disk_entry *entry = CONTAINER_OF(node, struct disk_entry, node);
                    next = node->next;
                    if (entry->place >= from)
                        continue;
                    table_remove(&disk->index, node);
                    memory_free(entry);
                }
            pthread_mutex_unlock(&disk->lock);
        }
    }
}

static bool append(struct disk *disk, const struct disk_record *record, struct span meta,
                   const struct slice *slices, uint32_t count, uint64_t *place)
{
    bool is_written = disk_log_append(&disk->log, record, meta, slices, count, place) == 0;
    drop_oldest(disk);
    pthread_mutex_lock(&disk->lock);
    disk->bytes = disk->log.bytes;
    disk->writes_done += is_written;
    disk->bad += !is_written;
    pthread_mutex_unlock(&disk->lock);
    return is_written;
}

/* Nothing purged or replaced it since it was kept: then it is older than any purge to come. */
static bool may_be_written(struct disk *disk, struct store_object *object, uint64_t *order)
{
    struct shard *shard = store_shard(disk->store, object->node.hash);
    reader_online();
    pthread_mutex_lock(&shard->lock);
    *order = atomic_load(&disk->order);
    bool may = object->is_kept && !store_object_is_purged(object) &&
               purge_spares(disk->store, shard, object) && !store_object_is_purged(object);
    pthread_mutex_unlock(&shard->lock);
    reader_offline();
    return may;
}

static void write_object(struct disk *disk, struct store_object *object)
{
    struct disk_record record = {
        .body_bytes = object->body_bytes,
        .site = object->site,
        .head_length = object->head.length,
        .key_length = object->key_length,
        .rule_length = object->rule_length,
        .selector_length = object->selector_length,
        .facts_length = object->facts_length,
        .tag_count = object->tag_count,
    };
    uint64_t place;
    if (!may_be_written(disk, object, &record.order))
        return;
    size_t tail = object->tag_count * sizeof(uint64_t) + object->facts_length + object->key_length +
                  object->rule_length + object->selector_length;
    uint8_t *meta = memory_raw(tail + object->head.length + 1);
    memcpy(meta, object->tail, tail);
    struct span head = store_object_head(object);
    if (head.length)
        memcpy(meta + tail, head.data, head.length);
    if (append(disk, &record, span_of(meta, tail + head.length), object_slices(object),
               object->slice_count, &place)) {
        pthread_mutex_lock(&disk->lock);
        index_add(disk, key_hash(disk, store_object_key(object)),
                  choice_hash(store_object_rule(object), object_selector(object)), place);
        pthread_mutex_unlock(&disk->lock);
    }
    memory_free(meta);
}

void disk_write(struct disk *disk, struct store_object *object)
{
    struct disk_job *job = NEW(struct disk_job);
    job->object = store_object_retain(object);
    job->bytes = object->charge;
    pthread_mutex_lock(&disk->lock);
    bool has_room = disk->writes.count < DISK_WRITES_MOST && !disk->is_stopping &&
                    disk->writes.bytes < disk->store->options.memory_bytes / DISK_WRITES_SHARE &&
                    object->head.length <= DISK_HEAD_MOST &&
                    object->body_bytes <= disk->log.segment_bytes;
    if (has_room)
        queue_push(disk, &disk->writes, job);
    else
        disk->dropped++;
    pthread_mutex_unlock(&disk->lock);
    if (has_room)
        return;
    store_object_release(disk->store, &job->object);
    memory_free(job);
}

static void run_write(struct disk *disk, struct disk_job *job)
{
    uint64_t place;
    if (job->object) {
        write_object(disk, job->object);
        store_object_release(disk->store, &job->object);
    } else {
        const struct disk_record record = {.is_purge = 1,
                                           .head_length = (uint32_t)job->bytes,
                                           .order = job->order};
        (void)append(disk, &record, span_of(job->purge, job->bytes), NULL, 0, &place);
        memory_free(job->purge);
    }
    memory_free(job);
}

/* ---- loading, on the thread */

static bool is_wanted(const struct disk_item *item, const struct store_fill *fill)
{
    return !item->record.is_purge && item->record.site == fill->site &&
           span_equal(disk_item_part(item, DISK_KEY), fill->key_span) &&
           (!fill->rule.length ||
            (span_equal(disk_item_part(item, DISK_RULE), fill->rule) &&
             span_equal(disk_item_part(item, DISK_SELECTOR), fill->selector)));
}

/* NULL: it is not there, or not what it should be. */
static struct store_object *load(struct disk *disk, const struct store_fill *fill, uint64_t place)
{
    struct store_object *object = NULL;
    struct disk_item item;
    struct chunk *body = NULL;
    bool is_stale;
    if (disk_log_read(&disk->log, place, &item) < 0)
        return NULL;
    if (is_wanted(&item, fill) && is_spared(disk, &item, &is_stale) &&
        disk_log_read_body(&disk->log, place, &item, &body) == 0) {
        const struct store_answer answer = {
            .head = disk_item_part(&item, DISK_HEAD),
            .facts = disk_item_part(&item, DISK_FACTS),
            .rule = disk_item_part(&item, DISK_RULE),
            .selector = disk_item_part(&item, DISK_SELECTOR),
        };
        struct slice slice = {body, 0, body->filled};
        object = object_with_tags(disk->store, fill->site, fill->node.hash, fill->key_span, &answer,
                                  item.meta, item.record.tag_count);
        object_set_body(disk->store, object, answer.head, &slice, slice.length > 0, slice.length);
        atomic_store(&object->is_purged, is_stale);
        chunk_release(body);
    }
    memory_free(item.meta);
    return object;
}

void disk_load(struct disk *disk, struct store_fill *fill, uint64_t place)
{
    struct disk_job *job = NEW(struct disk_job);
    job->fill = fill;
    job->place = place;
    pthread_mutex_lock(&disk->lock);
    queue_push(disk, &disk->loads, job);
    pthread_mutex_unlock(&disk->lock);
}

static void run_load(struct disk *disk, struct disk_job *job)
{
    struct store_object *object = load(disk, job->fill, job->place);
    pthread_mutex_lock(&disk->lock);
    disk->loads_done += object != NULL;
    disk->bad += !object;
    if (!object)
        index_remove(disk, key_hash(disk, job->fill->key_span), job->place);
    pthread_mutex_unlock(&disk->lock);
    reader_online();
    fill_loaded(&job->fill, object);
    reader_offline();
    memory_free(job);
}

/* ---- the start: segments of earlier runs, the newest first */

struct found {
    struct disk_entry *entries;
    size_t count, capacity;
};

static void run_loads(struct disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    while (disk->loads.count) {
        struct disk_job *job = queue_pop(&disk->loads);
        pthread_mutex_unlock(&disk->lock);
        run_load(disk, job);
        pthread_mutex_lock(&disk->lock);
    }
    pthread_mutex_unlock(&disk->lock);
}

static void found_purge(struct disk *disk, const struct disk_item *item)
{
    struct store_purge purge;
    if (store_purge_read(disk_item_part(item, DISK_HEAD), &purge) <= 0)
        return;
    pthread_mutex_lock(&disk->lock);
    mark_add(disk, item->record.order, &purge);
    pthread_mutex_unlock(&disk->lock);
    if (purge.sequence)
        purge_restore_number(disk->store, &purge);
}

static void found_object(struct disk *disk, struct found *found, const struct disk_item *item,
                         uint64_t place)
{
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? found->capacity * 2 : 1024;
        found->entries = memory_resize(found->entries, found->capacity, sizeof *found->entries);
    }
    found->entries[found->count++] = (struct disk_entry){
        .node.hash = key_hash(disk, disk_item_part(item, DISK_KEY)),
        .choice = choice_hash(disk_item_part(item, DISK_RULE), disk_item_part(item, DISK_SELECTOR)),
        .place = place,
    };
}

/* What is in a segment counts from when all of its purges are known. */
static void scan_segment(struct disk *disk, const struct disk_segment *segment)
{
    struct found found = {0};
    struct disk_item item;
    uint64_t place = (uint64_t)segment->number << 32;
    for (uint32_t i = 1; disk_log_read(&disk->log, place, &item) == 0; i++) {
        if (item.record.is_purge)
            found_purge(disk, &item);
        else
            found_object(disk, &found, &item, place);
        memory_free(item.meta);
        place += disk_record_bytes(&item.record);
        if (i % 256 == 0)
            run_loads(disk);
    }
    for (size_t i = 0; i < found.count;) {
        pthread_mutex_lock(&disk->lock);
        for (size_t k = 0; k < 64 && i < found.count; k++, i++)
            index_add(disk, found.entries[i].node.hash, found.entries[i].choice,
                      found.entries[i].place);
        pthread_mutex_unlock(&disk->lock);
    }
    memory_free(found.entries);
}

/* The next older segment; those that there is no time for go. */
static void scan_some(struct disk *disk)
{
    const struct disk_segment *next = NULL;
    for (const struct disk_segment *segment = disk->log.oldest;
         segment && segment->number < disk->scanned; segment = segment->next)
        next = segment;
    if (next && clock_now_ns() < disk->scan_until_ns) {
        scan_segment(disk, next);
        disk->scanned = next->number;
        return;
    }
    while (disk->log.oldest && disk->log.oldest->number < disk->scanned)
        disk_log_drop(&disk->log);
    pthread_mutex_lock(&disk->lock);
    disk->is_scanned = true;
    disk->bytes = disk->log.bytes;
    pthread_mutex_unlock(&disk->lock);
}

/* ---- the thread */

/* Under the lock, which it lets go of. */
static void work(struct disk *disk)
{
    struct disk_job *job = NULL;
    bool is_load = disk->loads.count > 0;
    if (is_load)
        job = queue_pop(&disk->loads);
    else if (disk->writes.count)
        job = queue_pop(&disk->writes);
    disk->is_busy = true;
    pthread_mutex_unlock(&disk->lock);
    if (!job)
        scan_some(disk);
    else if (is_load)
        run_load(disk, job);
    else
        run_write(disk, job);
    pthread_mutex_lock(&disk->lock);
    disk->is_busy = false;
}

static void *run(void *argument)
{
    struct disk *disk = argument;
    pthread_setname_np(pthread_self(), "store-disk");
    reader_enter();
    reader_offline();
    pthread_mutex_lock(&disk->lock);
    for (;;) {
        if (disk->loads.count || disk->writes.count || (!disk->is_scanned && !disk->is_stopping)) {
            work(disk);
            continue;
        }
        pthread_cond_broadcast(&disk->is_idle);
        if (disk->is_stopping)
            break;
        pthread_cond_wait(&disk->has_work, &disk->lock);
    }
    pthread_mutex_unlock(&disk->lock);
    reader_online();
    reader_leave();
    chunk_cache_drain();
    return NULL;
}

void disk_settle(struct disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    while (disk->loads.count || disk->writes.count || disk->is_busy || !disk->is_scanned)
        pthread_cond_wait(&disk->is_idle, &disk->lock);
    pthread_mutex_unlock(&disk->lock);
}

struct disk *disk_open(struct store *store, int folder, uint64_t bytes_most)
{
    struct disk *disk = NEW(struct disk);
    disk->store = store;
    if (disk_log_open(&disk->log, folder, bytes_most) < 0) {
        memory_free(disk);
        return NULL;
    }
    disk->scanned = disk->log.newest->number;
    disk->scan_until_ns = clock_now_ns() + DISK_SCAN_NS;
    atomic_init(&disk->order, (uint64_t)disk->log.newest->number << 32);
    disk->loads.last = &disk->loads.first;
    disk->writes.last = &disk->writes.first;
    disk->bytes = disk->log.bytes;
    table_init(&disk->index);
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->has_work, NULL);
    pthread_cond_init(&disk->is_idle, NULL);
    if (pthread_create(&disk->thread, NULL, run, disk) == 0)
        return disk;
    table_clear(&disk->index);
    disk_log_close(&disk->log);
    memory_free(disk);
    return NULL;
}

/* What waits to be written is. */
void disk_close(struct disk **closed)
{
    struct disk *disk = *closed;
    *closed = NULL;
    if (!disk)
        return;
    pthread_mutex_lock(&disk->lock);
    disk->is_stopping = true;
    pthread_cond_signal(&disk->has_work);
    pthread_mutex_unlock(&disk->lock);
    pthread_join(disk->thread, NULL);
    for (uint64_t i = 0; i < disk->index.chains; i++)
        for (struct table_node *node; (node = table_chain(&disk->index, i)) != NULL;) {
            table_remove(&disk->index, node);
            memory_free(CONTAINER_OF(node, struct disk_entry, node));
        }
    table_clear(&disk->index);
    for (uint32_t i = 0; i < disk->mark_count; i++)
        memory_free((void *)(uintptr_t)disk->marks[i].purge.what.data);
    memory_free(disk->marks);
    disk_log_close(&disk->log);
    pthread_mutex_destroy(&disk->lock);
    pthread_cond_destroy(&disk->has_work);
    pthread_cond_destroy(&disk->is_idle);
    memory_free(disk);
}

void disk_count(struct disk *disk, struct store_counts *counts)
{
    pthread_mutex_lock(&disk->lock);
    counts->disk_objects = disk->index.count;
    counts->disk_bytes = disk->bytes;
    counts->disk_writes = disk->writes_done;
    counts->disk_loads = disk->loads_done;
    counts->disk_bad = disk->bad;
    counts->disk_dropped = disk->dropped;
    pthread_mutex_unlock(&disk->lock);
}
