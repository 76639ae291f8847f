/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk tier's thread, which owns the folder: takes it over, goes through what is there, does what it is asked to (disk_jobs.c), and lets go of it.
 *
 *   CLOSED <-- no folder --+-- a folder --> OPENING --> OPEN --> (another folder, or none)
 *                                           ^  | '----> WAITING: another process has it --> OPENING
 *                                           |  '------> FAILED --.
 *                                           '--------------------'
 */
#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

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
            disk_queue_purge(disk, mark);
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
        bool can = !disk->has_failed;
        struct disk_job *job = disk_queue_pop(disk->purges.count  ? &disk->purges
                                              : disk->loads.count ? &disk->loads
                                                                  : &disk->writes);
        pthread_mutex_unlock(&disk->lock);
        if (can && (job->purge || clock_now_ns() < until_ns))
            disk_job_run(disk, job);
        else
            disk_job_drop(disk, job); /* a purge is remembered for when there is a folder */
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
    struct disk_job *job = is_open && queue && !syncs ? disk_queue_pop(queue) : NULL;
    disk->is_busy = true;
    pthread_mutex_unlock(&disk->lock);
    disk->scans_next = queue == &disk->writes;
    if (is_opening)
        open_some(disk);
    else if (syncs)
        sync_purges(disk);
    else if (!job)
        (void)disk_scan_some(disk);
    else
        disk_job_run(disk, job);
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
    disk_queue_init(&disk->loads);
    disk_queue_init(&disk->purges);
    disk_queue_init(&disk->writes);
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
    counts->disk_renewals = disk->renewals;
    counts->disk_written = disk->bytes_written;
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
