/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk tier as the store sees it, and its thread, which owns the folder: takes it over, goes through what is there, reads what is asked for,
 * writes what was kept, and lets go of it.
 *
 *   CLOSED <-- no folder --+-- a folder --> OPENING --> OPEN --> (another folder, or none)
 *                                           ^  | '----> WAITING: another process has it --> OPENING
 *                                           |  '------> FAILED --.
 *                                           '--------------------'
 *
 * A load is a fill whose filler is the disk: it puts the object into memory and lets the waiters go to look again, so that
 * what comes from the disk is judged like everything else.
 */
#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

static void queue_init(struct disk_queue *queue)
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
    uint64_t from = disk->log.oldest ? (uint64_t)disk->log.oldest->number << 32 : UINT64_MAX;
    uint64_t chain = 0;
    do {
        pthread_mutex_lock(&disk->lock);
        chain = disk_index_forget(disk, from, chain);
        pthread_mutex_unlock(&disk->lock);
    } while (chain);
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
    bool is_written = disk_log_make_room(&disk->log, disk_record_bytes(record)) == 0 &&
                      (disk->log.newest->bytes || !disk->numbers.count || write_numbers(disk)) &&
                      disk_log_append(&disk->log, record, meta, slices, count, place) == 0;
    int error = is_written ? 0 : errno;
    pthread_mutex_lock(&disk->lock);
    disk->bytes = disk->log.bytes;
    disk->writes_done += is_written;
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

static void write_object(struct disk *disk, struct store_object *object)
{
    const struct disk_record record = {
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
    uint64_t place;
    if (!may_be_written(disk, object))
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
        disk_index_add(disk, disk_key_hash(disk, store_object_key(object)),
                       disk_choice(store_object_rule(object), object_selector(object)), place);
        pthread_mutex_unlock(&disk->lock);
        drop_oldest(disk);
    } else {
        pause_writes(disk);
    }
    memory_free(meta);
}

static void drop_write(struct disk *disk, struct disk_job *job)
{
    pthread_mutex_lock(&disk->lock);
    disk->dropped++;
    pthread_mutex_unlock(&disk->lock);
    store_object_release(disk->store, &job->object);
    memory_free(job);
}

static void run_write(struct disk *disk, struct disk_job *job)
{
    if (clock_now_ns() < disk->pause_ns) {
        drop_write(disk, job);
        return;
    }
    write_object(disk, job->object);
    store_object_release(disk->store, &job->object);
    memory_free(job);
}

/* One that cannot be written makes room for itself; where that does not help, what is there cannot be trusted any more. */
static void run_purge(struct disk *disk, struct disk_job *job)
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
    memory_free(job->purge);
    memory_free(job);
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
static void queue_purge(struct disk *disk, struct disk_mark *mark)
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
        queue_purge(disk, &mark);
    } else {
        disk_marks_wait(disk, purge);
    }
    pthread_mutex_unlock(&disk->lock);
}

/* ---- loading, on the thread */

static bool is_wanted(const struct disk_item *item, const struct store_fill *fill)
{
    return item->record.kind == DISK_OBJECT && item->record.site == fill->site &&
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
    bool is_stale, may = is_wanted(&item, fill) &&
                         item.record.body_bytes <= disk->store->options.object_bytes_most;
    pthread_mutex_lock(&disk->lock);
    may = may && disk_marks_spare(disk, &item, &is_stale);
    pthread_mutex_unlock(&disk->lock);
    if (may && disk_log_read_body(&disk->log, place, &item, &body) == 0) {
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

static void end_load(struct disk_job *job, struct store_object *object)
{
    reader_online();
    fill_loaded(&job->fill, object);
    reader_offline();
    memory_free(job);
}

static void run_load(struct disk *disk, struct disk_job *job)
{
    struct store_object *object = load(disk, job->fill, job->place);
    pthread_mutex_lock(&disk->lock);
    disk->loads_done += object != NULL;
    disk->bad += !object;
    if (!object)
        disk_index_remove(disk, disk_key_hash(disk, job->fill->key_span), job->place);
    pthread_mutex_unlock(&disk->lock);
    end_load(job, object);
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

/* ---- the folder, on the thread */

static void set_state(struct disk *disk, enum store_disk_state state)
{
    disk->state = state;
}

/* Its owner, if nobody else is. */
static void try_folder(struct disk *disk)
{
    enum store_disk_state state = STORE_DISK_OPENING;
    int own = openat(disk->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = errno;
    if (own < 0) {
        state = STORE_DISK_FAILED;
    } else if (flock(own, LOCK_EX | LOCK_NB) < 0) {
        error = errno;
        state = error == EWOULDBLOCK ? STORE_DISK_WAITING : STORE_DISK_FAILED;
        close(own);
    } else if (disk_log_open(&disk->log, own, disk->bytes_most, disk->store->options.seed) < 0) {
        error = errno;
        state = STORE_DISK_FAILED;
    }
    if (state == STORE_DISK_OPENING) {
        if (disk->is_forgotten)
            while (disk->log.oldest != disk->log.newest)
                disk_log_drop(&disk->log);
        disk_scan_begin(disk);
    }
    disk->has_waited |= state == STORE_DISK_WAITING;
    disk->try_ns = clock_now_ns() + (state == STORE_DISK_WAITING ? DISK_WAIT_NS : DISK_RETRY_NS);
    pthread_mutex_lock(&disk->lock);
    if (state == STORE_DISK_FAILED) {
        disk->error = error;
        disk->errors++;
    } else {
        disk->error = 0;
    }
    set_state(disk, state);
    pthread_mutex_unlock(&disk->lock);
}

/* What purges there were is known: those since come behind them, but for those that are among them. */
static void take_over(struct disk *disk)
{
    struct store *store = disk->store;
    pthread_mutex_lock(&store->purge_lock);
    for (uint32_t i = 0; i < disk->numbers.size; i++)
        if (disk->numbers.list[i].sequence)
            purge_restore_number(store, &disk->numbers.list[i], disk->has_waited);
    pthread_mutex_lock(&disk->lock);
    disk->order = disk->written = disk->scan.end;
    for (uint32_t i = 0; i < disk->pending.count; i++) {
        struct disk_mark *mark = &disk->pending.list[i];
        if (mark->purge.sequence &&
            mark->purge.sequence <= purge_numbers_get(&disk->numbers, mark->purge.site))
            memory_free((void *)(uintptr_t)mark->purge.what.data);
        else
            queue_purge(disk, mark);
    }
    disk->pending.count = 0;
    disk_marks_clear(&disk->pending);
    disk->is_forgotten = disk->has_waited = false;
    disk->pause_ns = 0;
    disk->bytes = disk->log.bytes;
    set_state(disk, STORE_DISK_OPEN);
    pthread_mutex_unlock(&disk->lock);
    pthread_mutex_unlock(&store->purge_lock);
}

/* Under the lock, which it lets go of: purges, as they must not be lost, loads, and as there is time what else is to be written. */
static void finish_jobs(struct disk *disk)
{
    uint64_t until_ns = clock_now_ns() + DISK_LEAVE_NS;
    while (disk->purges.count || disk->loads.count || disk->writes.count) {
        bool may = !disk->has_failed;
        struct disk_job *job = disk->purges.count  ? queue_pop(&disk->purges)
                               : disk->loads.count ? queue_pop(&disk->loads)
                                                   : queue_pop(&disk->writes);
        pthread_mutex_unlock(&disk->lock);
        bool is_late = clock_now_ns() >= until_ns;
        if (job->purge && may) {
            run_purge(disk, job);
        } else if (job->purge) {
            memory_free(job->purge); /* it is remembered for when there is a folder */
            memory_free(job);
        } else if (job->fill && may && !is_late) {
            run_load(disk, job);
        } else if (job->fill) {
            end_load(job, NULL);
        } else if (may && !is_late) {
            run_write(disk, job);
        } else {
            drop_write(disk, job);
        }
        pthread_mutex_lock(&disk->lock);
    }
}

/* Under the lock, which it lets go of. Nothing comes in any more from the first moment on. */
static void leave(struct disk *disk, enum store_disk_state state)
{
    uint64_t chain = 0;
    bool was_open = disk->state == STORE_DISK_OPEN;
    set_state(disk, state);
    finish_jobs(disk);
    if (was_open)
        disk_marks_leave(disk);
    disk_marks_clear(&disk->marks);
    do
        chain = disk_index_forget(disk, UINT64_MAX, chain);
    while (chain);
    disk->bytes = 0;
    disk->has_failed = false;
    pthread_mutex_unlock(&disk->lock);
    disk_scan_clear(&disk->scan);
    purge_numbers_clear(&disk->numbers);
    if (disk->is_unsynced && disk->log.newest)
        disk_log_sync(&disk->log);
    disk->is_unsynced = false;
    if (disk->log.folder >= 0)
        disk_log_close(&disk->log);
    pthread_mutex_lock(&disk->lock);
}

/* Under the lock. */
static void take_given(struct disk *disk)
{
    if (disk->folder >= 0)
        close(disk->folder);
    disk->folder = disk->given;
    disk->given = -1;
    disk->is_given = false;
    set_state(disk, disk->folder < 0 ? STORE_DISK_CLOSED : STORE_DISK_OPENING);
}

void disk_use_folder(struct disk *disk, int folder)
{
    int own = folder < 0 ? -1 : fcntl(folder, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_lock(&disk->lock);
    if (disk->given >= 0)
        close(disk->given);
    disk->given = own;
    disk->is_given = true;
    if (own >= 0 && disk->state == STORE_DISK_CLOSED)
        set_state(disk, STORE_DISK_OPENING); /* purges are remembered from here on */
    pthread_cond_signal(&disk->has_work);
    pthread_mutex_unlock(&disk->lock);
}

/* ---- the thread */

static void open_some(struct disk *disk)
{
    if (disk->log.folder < 0)
        try_folder(disk);
    else
        (void)disk_scan_some(disk);
    if (disk->log.folder >= 0 && disk_scan_knows_purges(disk))
        take_over(disk);
}

static void sync_purges(struct disk *disk)
{
    disk_log_sync(&disk->log);
    disk->is_unsynced = false;
    disk->sync_ns = clock_now_ns() + DISK_SYNC_NS;
}

/* Under the lock, which it lets go of. False: there is nothing to do. */
static bool work(struct disk *disk)
{
    struct disk_queue *queue = disk->purges.count  ? &disk->purges
                               : disk->loads.count ? &disk->loads
                               : disk->writes.count && !(disk->scans_next && disk->scan.segment)
                                   ? &disk->writes
                                   : NULL;
    bool is_open = disk->state == STORE_DISK_OPEN, is_opening = disk->state == STORE_DISK_OPENING;
    bool syncs = is_open && disk->is_unsynced && clock_now_ns() >= disk->sync_ns;
    if (!is_opening && !syncs && !(is_open && (queue || disk->scan.segment)))
        return false;
    struct disk_job *job = is_open && queue && !syncs ? queue_pop(queue) : NULL;
    disk->is_busy = true;
    pthread_mutex_unlock(&disk->lock);
    disk->scans_next = queue == &disk->writes;
    if (is_opening)
        open_some(disk);
    else if (syncs)
        sync_purges(disk);
    else if (!job)
        (void)disk_scan_some(disk);
    else if (job->purge)
        run_purge(disk, job);
    else if (job->fill)
        run_load(disk, job);
    else
        run_write(disk, job);
    pthread_mutex_lock(&disk->lock);
    disk->bytes = disk->log.bytes;
    disk->is_busy = false;
    return true;
}

static bool is_due(const struct disk *disk)
{
    return (disk->state == STORE_DISK_WAITING || disk->state == STORE_DISK_FAILED) &&
           clock_now_ns() >= disk->try_ns;
}

/* Under the lock: until something comes in, or the time for something. */
static void wait(struct disk *disk)
{
    uint64_t until_ns = disk->state == STORE_DISK_WAITING || disk->state == STORE_DISK_FAILED
                            ? disk->try_ns
                        : disk->is_unsynced ? disk->sync_ns
                                            : 0;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    pthread_cond_broadcast(&disk->is_idle);
    if (until_ns)
        pthread_cond_timedwait(&disk->has_work, &disk->lock, &until);
    else
        pthread_cond_wait(&disk->has_work, &disk->lock);
}

static void *run(void *argument)
{
    struct disk *disk = argument;
    pthread_setname_np(pthread_self(), "store-disk");
    reader_enter();
    reader_offline();
    pthread_mutex_lock(&disk->lock);
    while (!disk->is_stopping) {
        if (disk->is_given) {
            leave(disk, STORE_DISK_OPENING);
            take_given(disk);
        } else if (disk->has_failed) {
            leave(disk, STORE_DISK_FAILED);
            disk->try_ns = clock_now_ns() + DISK_RETRY_NS;
        } else if (is_due(disk)) {
            set_state(disk, STORE_DISK_OPENING);
        } else if (!work(disk)) {
            wait(disk);
        }
    }
    leave(disk, STORE_DISK_CLOSED);
    pthread_cond_broadcast(&disk->is_idle);
    pthread_mutex_unlock(&disk->lock);
    reader_online();
    reader_leave();
    chunk_cache_drain();
    return NULL;
}

static bool is_settled(const struct disk *disk)
{
    if (disk->is_given || disk->is_busy || disk->has_failed)
        return false;
    switch (disk->state) {
    case STORE_DISK_OPENING:
        return false;
    case STORE_DISK_OPEN:
        return !disk->loads.count && !disk->purges.count && !disk->writes.count &&
               !disk->scan.segment;
    case STORE_DISK_CLOSED:
    case STORE_DISK_WAITING:
    case STORE_DISK_FAILED:
        break;
    }
    return true;
}

void disk_settle(struct disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    while (!is_settled(disk))
        pthread_cond_wait(&disk->is_idle, &disk->lock);
    pthread_mutex_unlock(&disk->lock);
}

struct disk *disk_open(struct store *store, int folder, uint64_t bytes_most)
{
    struct disk *disk = NEW(struct disk);
    pthread_condattr_t attributes;
    disk->store = store;
    disk->bytes_most = bytes_most;
    disk->object_most = bytes_most / DISK_SEGMENTS;
    if (disk->object_most < DISK_SEGMENT_LEAST)
        disk->object_most = DISK_SEGMENT_LEAST;
    disk->index_most = store->options.memory_bytes / DISK_INDEX_SHARE / DISK_ENTRY_BYTES;
    disk->log.folder = disk->folder = disk->given = -1;
    queue_init(&disk->loads);
    queue_init(&disk->purges);
    queue_init(&disk->writes);
    table_init(&disk->index);
    pthread_mutex_init(&disk->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&disk->has_work, &attributes);
    pthread_cond_init(&disk->is_idle, NULL);
    pthread_condattr_destroy(&attributes);
    disk_use_folder(disk, folder);
    if (pthread_create(&disk->thread, NULL, run, disk) == 0)
        return disk;
    if (disk->given >= 0)
        close(disk->given);
    table_clear(&disk->index);
    memory_free(disk);
    return NULL;
}

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
    if (disk->given >= 0)
        close(disk->given);
    if (disk->folder >= 0)
        close(disk->folder);
    table_clear(&disk->index);
    disk_marks_clear(&disk->pending);
    pthread_mutex_destroy(&disk->lock);
    pthread_cond_destroy(&disk->has_work);
    pthread_cond_destroy(&disk->is_idle);
    memory_free(disk);
}

/* ---- what is told of it */

void disk_count(struct disk *disk, struct store_counts *counts)
{
    pthread_mutex_lock(&disk->lock);
    counts->disk_objects = disk->index.count;
    counts->disk_bytes = disk->bytes;
    counts->disk_writes = disk->writes_done;
    counts->disk_loads = disk->loads_done;
    counts->disk_bad = disk->bad;
    counts->disk_errors = disk->errors;
    counts->disk_dropped = disk->dropped;
    pthread_mutex_unlock(&disk->lock);
}

enum store_disk_state disk_state(struct disk *disk, int *error)
{
    pthread_mutex_lock(&disk->lock);
    enum store_disk_state state = disk->state;
    *error = disk->error;
    pthread_mutex_unlock(&disk->lock);
    return state;
}
