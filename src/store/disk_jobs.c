/* SPDX-License-Identifier: Apache-2.0
 *
 * What the disk's thread is asked to do: to write objects and purges, to read objects. Purges go first: until one is in the log, a crash brings
 * back what it took; an object that it took meanwhile is not written. A load is a fill whose filler is the disk: it puts the
 * object into memory and lets the waiters go to look again, so that what comes from the disk is judged like everything else.
 *
 * Of an object that a 304 renewed only the head is written, as a record that points to the body of an older one (DISK_RENEWAL).
 */
#include "store/disk.h"

#include <errno.h>
#include <sys/stat.h>

/* ---- queues, under the lock */

static void queue_push(struct disk *disk, struct disk_queue *queue, struct disk_job *job)
{
    *queue->last = job;
    queue->last = &job->next;
    queue->count++;
    queue->bytes += job->bytes;
    pthread_cond_signal(&disk->has_work);
}

struct disk_job *disk_queue_pop(struct disk_queue *queue)
{
    struct disk_job *job = queue->first;
    queue->first = job->next;
    if (!queue->first)
        queue->last = &queue->first;
    queue->count--;
    queue->bytes -= job->bytes;
    return job;
}

void disk_queue_init(struct disk_queue *queue)
{
    *queue = (struct disk_queue){.last = &queue->first};
}

/* ---- writing, on the thread */

static void count_error(struct disk *disk, int error)
{
    pthread_mutex_lock(&disk->lock);
    disk->error = error;
    disk->errors++;
    pthread_mutex_unlock(&disk->lock);
}

static void drop_segment(struct disk *disk)
{
    if (disk->scan.segment == disk->log.oldest)
        disk_scan_clear(&disk->scan); /* there is nothing older */
    disk_log_drop(&disk->log);
    disk_index_forget_dropped(disk);
}

/* What is over the budget, or more than the index may take. */
static void drop_oldest(struct disk *disk)
{
    while (disk->log.oldest != disk->log.newest &&
           (disk->log.bytes > disk->log.bytes_most || disk->index.count > disk->index_most))
        drop_segment(disk);
}

/* At the front of each segment the numbers of all sites: those before it may be dropped. */
static bool write_numbers(struct disk *disk)
{
    struct purged_site *list = memory_new((disk->numbers.count + 1) * sizeof *list);
    uint64_t place;
    uint32_t count = 0;
    for (uint32_t i = 0; i < disk->numbers.size; i++)
        if (disk->numbers.list[i].sequence)
            list[count++] = disk->numbers.list[i];
    const struct disk_record record = {.kind = DISK_NUMBERS,
                                       .head_length = (uint32_t)(count * sizeof *list),
                                       .order = disk->written};
    int result =
        disk_log_append(&disk->log, &record, span_of(list, record.head_length), NULL, 0, &place);
    memory_free(list);
    return result == 0;
}

static bool append(struct disk *disk, const struct disk_record *record, struct span meta,
                   const struct slice *slices, uint32_t count, uint64_t *place)
{
    uint64_t before = disk->log.bytes;
    bool is_written = disk_log_make_room(&disk->log, disk_record_bytes(record)) == 0 &&
                      (disk->log.newest->bytes || !disk->numbers.count || write_numbers(disk)) &&
                      disk_log_append(&disk->log, record, meta, slices, count, place) == 0;
    int error = is_written ? 0 : errno;
    pthread_mutex_lock(&disk->lock);
    disk->bytes = disk->log.bytes;
    disk->writes_done += is_written;
    disk->bytes_written += disk->log.bytes - before;
    disk->errors += !is_written;
    disk->error = error;
    pthread_mutex_unlock(&disk->lock);
    return is_written;
}

/* Nothing purged or replaced it since it was kept: then it is older than any purge to come. */
static bool may_be_written(struct disk *disk, struct store_object *object)
{
    struct shard *shard = store_shard(disk->store, object->node.hash);
    reader_online();
    pthread_mutex_lock(&shard->lock);
    bool may = object->is_kept && !store_object_is_purged(object) &&
               purge_spares(disk->store, shard, object) && !store_object_is_purged(object);
    pthread_mutex_unlock(&shard->lock);
    reader_offline();
    return may;
}

static void pause_writes(struct disk *disk)
{
    struct stat status;
    disk->pause_ns = clock_now_ns() + DISK_RETRY_NS;
    if (fstat(disk->log.folder, &status) < 0 || !status.st_nlink) { /* nobody will find it again */
        disk->has_failed = true;
        count_error(disk, ENOENT);
    }
}

/* The log has its body, in a record that stays for a while: else both are written anew, so that what is in use does not leave with the oldest
 * segment. What is there may be an older body, where the one that was renewed was not written: the check tells. */
static bool find_body(struct disk *disk, const struct store_object *object,
                      const struct disk_entry *entry, uint64_t check, struct disk_body *body)
{
    if (!object->is_renewed || object->body_bytes < DISK_RENEWAL_LEAST)
        return false;
    pthread_mutex_lock(&disk->lock);
    *body = (struct disk_body){disk_index_body(disk, entry->node.hash, entry->choice),
                               object->body_bytes};
    pthread_mutex_unlock(&disk->lock);
    return body->place && !disk_log_is_leaving(&disk->log, body->place) &&
           disk_log_has_body(&disk->log, body, check);
}

static void write_object(struct disk *disk, struct store_object *object)
{
    struct disk_record record = {
        .kind = DISK_OBJECT,
        .order = disk->written, /* purges that are not in the log yet do mean it, if they do */
        .body_bytes = object->body_bytes,
        .site = object->site,
        .head_length = object->head.length,
        .key_length = object->key_length,
        .rule_length = object->rule_length,
        .selector_length = object->selector_length,
        .facts_length = object->facts_length,
        .tag_count = object->tag_count,
    };
    struct disk_entry entry = {
        .node.hash = disk_key_hash(disk, store_object_key(object)),
        .choice = disk_choice(store_object_rule(object), object_selector(object)),
    };
    struct disk_body body;
    if (!may_be_written(disk, object))
        return;
    record.body_check = disk_body_check(object_slices(object), object->slice_count);
    bool is_renewal = find_body(disk, object, &entry, record.body_check, &body);
    if (is_renewal) {
        record.kind = DISK_RENEWAL;
        record.body_bytes = 0;
    }
    size_t tail = object->tag_count * sizeof(uint64_t) + object->facts_length + object->key_length +
                  object->rule_length + object->selector_length;
    struct span head = store_object_head(object);
    size_t length = tail + head.length;
    uint8_t *meta = memory_raw(length + sizeof body + 1);
    memcpy(meta, object->tail, tail);
    if (head.length)
        memcpy(meta + tail, head.data, head.length);
    if (is_renewal) {
        memcpy(meta + length, &body, sizeof body);
        length += sizeof body;
    }
    if (append(disk, &record, span_of(meta, length), object_slices(object),
               is_renewal ? 0 : object->slice_count, &entry.place)) {
        entry.body = is_renewal ? body.place : entry.place;
        pthread_mutex_lock(&disk->lock);
        disk_index_add(disk, &entry);
        disk->renewals += is_renewal;
        pthread_mutex_unlock(&disk->lock);
        drop_oldest(disk);
    } else {
        pause_writes(disk);
    }
    memory_free(meta);
}

static void drop_write(struct disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    disk->dropped++;
    pthread_mutex_unlock(&disk->lock);
}

/* One that cannot be written makes room for itself; where that does not help, what is there cannot be trusted any more. */
static void write_purge(struct disk *disk, const struct disk_job *job)
{
    const struct disk_record record = {.kind = DISK_PURGE,
                                       .head_length = (uint32_t)job->bytes,
                                       .order = job->order};
    struct span meta = span_of(job->purge, job->bytes);
    uint64_t place;
    bool is_written = append(disk, &record, meta, NULL, 0, &place);
    while (!is_written && disk->log.oldest != disk->log.newest) {
        drop_segment(disk);
        is_written = append(disk, &record, meta, NULL, 0, &place);
    }
    if (is_written) {
        pthread_mutex_lock(&disk->lock);
        disk->written = job->order;
        pthread_mutex_unlock(&disk->lock);
        disk->is_unsynced = true;
        if (job->sequence)
            (void)purge_numbers_raise(&disk->numbers, job->site, job->sequence);
        drop_oldest(disk);
    } else {
        while (disk->log.oldest)
            drop_segment(disk);
        disk->has_failed = true;
    }
}

/* ---- what others want to be written */

void disk_write(struct disk *disk, struct store_object *object)
{
    struct disk_job *job = NEW(struct disk_job);
    job->object = store_object_retain(object);
    job->bytes = object->charge;
    pthread_mutex_lock(&disk->lock);
    bool is_open = disk->state == STORE_DISK_OPEN;
    bool has_room = is_open && disk->writes.count < DISK_WRITES_MOST &&
                    disk->writes.bytes < disk->store->options.memory_bytes / DISK_WRITES_SHARE &&
                    object->head.length <= DISK_HEAD_MOST &&
                    object->body_bytes <= disk->object_most;
    if (has_room)
        queue_push(disk, &disk->writes, job);
    else
        disk->dropped += is_open;
    pthread_mutex_unlock(&disk->lock);
    if (has_room)
        return;
    store_object_release(disk->store, &job->object);
    memory_free(job);
}

/* Under the lock: to be written as the next in order. */
void disk_queue_purge(struct disk *disk, struct disk_mark *mark)
{
    struct slice_queue bytes = {0};
    struct disk_job *job = NEW(struct disk_job);
    store_purge_write(&mark->purge, &bytes);
    job->bytes = bytes.bytes;
    job->purge = memory_raw(bytes.bytes);
    slice_queue_peek(&bytes, 0, job->purge, bytes.bytes);
    slice_queue_clear(&bytes);
    job->order = mark->order = ++disk->order;
    job->site = mark->purge.site;
    job->sequence = mark->purge.sequence;
    disk_marks_add(disk, mark);
    queue_push(disk, &disk->purges, job);
}

void disk_purge(struct disk *disk, const struct store_purge *purge)
{
    struct disk_mark mark;
    pthread_mutex_lock(&disk->lock);
    if (disk->state == STORE_DISK_OPEN) {
        disk_mark_set(&mark, 0, purge);
        disk_queue_purge(disk, &mark);
    } else {
        disk_marks_wait(disk, purge);
    }
    pthread_mutex_unlock(&disk->lock);
}

/* ---- loading, on the thread */

static bool is_wanted(const struct disk_item *item, const struct store_fill *fill)
{
    bool is_object = item->record.kind == DISK_OBJECT || item->record.kind == DISK_RENEWAL;
    return is_object && item->record.site == fill->site &&
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
    if (disk_log_read(&disk->log, place, &item) < 0) {
        memory_free(item.meta);
        return NULL;
    }
    struct disk_body place_of_body = disk_item_body(&item, place);
    bool is_stale, may = is_wanted(&item, fill) &&
                         place_of_body.bytes <= disk->store->options.object_bytes_most;
    pthread_mutex_lock(&disk->lock);
    may = may && disk_marks_spare(disk, &item, &is_stale);
    pthread_mutex_unlock(&disk->lock);
    if (may && disk_log_read_body(&disk->log, &place_of_body, item.record.body_check, &body) == 0) {
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

static struct store_object *try_load(struct disk *disk, const struct disk_job *job)
{
    struct store_object *object = load(disk, job->fill, job->place);
    pthread_mutex_lock(&disk->lock);
    disk->loads_done += object != NULL;
    disk->bad += !object;
    if (!object)
        disk_index_remove(disk, disk_key_hash(disk, job->fill->key_span), job->place);
    pthread_mutex_unlock(&disk->lock);
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

/* ---- jobs, on the thread */

static void end(struct disk *disk, struct disk_job *job, struct store_object *loaded)
{
    if (job->fill) {
        reader_online();
        fill_loaded(&job->fill, loaded);
        reader_offline();
    }
    store_object_release(disk->store, &job->object);
    memory_free(job->purge);
    memory_free(job);
}

void disk_job_run(struct disk *disk, struct disk_job *job)
{
    struct store_object *loaded = NULL;
    if (job->purge)
        write_purge(disk, job);
    else if (job->fill)
        loaded = try_load(disk, job);
    else if (clock_now_ns() < disk->pause_ns)
        drop_write(disk);
    else
        write_object(disk, job->object);
    end(disk, job, loaded);
}

void disk_job_drop(struct disk *disk, struct disk_job *job)
{
    if (job->object)
        drop_write(disk);
    end(disk, job, NULL);
}
