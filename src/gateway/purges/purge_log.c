/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of purges: reading, appending, dropping. docs/protocol/purge.md has the format.
 */
#include "gateway/purges/purge_log.h"

#include "base/memory.h"
#include "base/sorted.h"
#include "observe/observe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20 };

struct log_site {
    uint64_t site, last;
    uint64_t dropped; /* the last one that compaction drops */
};

struct purge_log {
    int files[PURGE_LOG_FILES];
    int present; /* -1: neither was read yet */
    uint64_t generation, end, most_bytes, compact_at, compactions;
    bool is_damaged; /* numbers may have been given that are not here */
    pthread_mutex_t lock;
    struct purge_entry **entries;
    size_t count, capacity;
    uint64_t begin;         /* place of the first */
    struct log_site *sites; /* ascending */
    size_t site_count, site_capacity;
};

/* ---- in memory */

void purge_log_lock(struct purge_log *log)
{
    pthread_mutex_lock(&log->lock);
}

void purge_log_unlock(struct purge_log *log)
{
    pthread_mutex_unlock(&log->lock);
}

static struct log_site *find_site(const struct purge_log *log, uint64_t site)
{
    return sorted_find(log->sites, log->site_count, sizeof *log->sites, site);
}

static struct log_site *need_site(struct purge_log *log, uint64_t site)
{
    struct log_site *found = find_site(log, site);
    if (found)
        return found;
    log->sites =
        sorted_insert(log->sites, &log->site_count, &log->site_capacity, sizeof *log->sites, site);
    return find_site(log, site);
}

static void add_entry(struct purge_log *log, const struct purge *purge)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->entries = memory_resize(log->entries, log->capacity, sizeof *log->entries);
    }
    struct purge_entry *entry = memory_new(sizeof *entry + purge->what.length);
    *entry = (struct purge_entry){purge->site, purge->number, purge->kind, purge->is_soft,
                                  (uint32_t)purge->what.length};
    if (purge->what.length)
        memcpy(entry->what, purge->what.data, purge->what.length);
    log->entries[log->count++] = entry;
    struct log_site *site = need_site(log, purge->site);
    if (purge->number > site->last)
        site->last = purge->number;
}

static void forget_all(struct purge_log *log)
{
    for (size_t i = 0; i < log->count; i++)
        memory_free(log->entries[i]);
    log->begin += log->count;
    log->count = log->site_count = 0;
}

uint64_t purge_log_last(const struct purge_log *log, uint64_t site)
{
    const struct log_site *found = find_site(log, site);
    return found ? found->last : 0;
}

uint64_t purge_log_begin(const struct purge_log *log)
{
    return log->begin;
}

uint64_t purge_log_end(const struct purge_log *log)
{
    return log->begin + log->count;
}

const struct purge_entry *purge_log_at(const struct purge_log *log, uint64_t place)
{
    return log->entries[place - log->begin];
}

uint64_t purge_log_bytes(const struct purge_log *log)
{
    return log->end;
}

uint64_t purge_log_compactions(const struct purge_log *log)
{
    return log->compactions;
}

/* ---- files */

static int fail(const char *what)
{
    log_error("purge", "the log of purges: cannot %s: %s", what, strerror(errno));
    return ERROR_IO;
}

/* Against another process of this node. */
static int lock_files(struct purge_log *log, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    while (fcntl(log->files[0], F_SETLKW, &lock))
        if (errno != EINTR)
            return fail("lock it");
    return 0;
}

static int write_at(int fd, struct span bytes, uint64_t offset)
{
    while (bytes.length) {
        ssize_t written = pwrite(fd, bytes.data, bytes.length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return fail("write it");
        offset += (uint64_t)written;
        bytes = span_from(bytes, (size_t)written);
    }
    return 0;
}

static int sync_file(int fd)
{
    return fdatasync(fd) ? fail("make it last") : 0;
}

/* Nothing that has it is a log. */
static bool read_head(int fd, uint64_t *generation)
{
    uint8_t head[PURGE_LOG_HEAD];
    return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
           purge_log_head_read(span_of(head, sizeof head), generation) == 0;
}

/* Head last: until it is there the other file is the present one. */
static int write_file(struct purge_log *log, int file, uint64_t generation, struct span records)
{
    uint8_t head[PURGE_LOG_HEAD];
    int fd = log->files[file];
    purge_log_head_write(head, generation);
    if (ftruncate(fd, 0))
        return fail("empty it");
    int result = write_at(fd, records, PURGE_LOG_HEAD);
    if (result == 0)
        result = sync_file(fd);
    if (result == 0)
        result = write_at(fd, span_of(head, sizeof head), 0);
    if (result == 0)
        result = sync_file(fd);
    if (result < 0)
        return result;
    log->present = file;
    log->generation = generation;
    log->end = PURGE_LOG_HEAD + records.length;
    return 0;
}

/* ---- reading */

/* What a crash leaves of a record on its way: less than it, or room that was not filled. */
static bool is_torn(struct span rest, int result)
{
    bool is_empty = true;
    for (size_t i = 0; i < rest.length && is_empty; i++)
        is_empty = !rest.data[i];
    return result == ERROR_INCOMPLETE || is_empty;
}

/* Takes whole records off the front of `bytes`, and returns how many bytes they are. *result: why no more. */
static size_t take_records(struct purge_log *log, struct span bytes, int *result)
{
    struct purge purge;
    size_t at = 0;
    while ((*result = purge_log_read(span_from(bytes, at), log->generation, &purge)) > 0) {
        add_entry(log, &purge);
        at += (size_t)*result;
    }
    return at;
}

/* From log->end on; leaves it behind the last good record. */
static int read_on(struct purge_log *log)
{
    uint8_t *buffer = memory_raw(READ_BYTES);
    ssize_t got;
    int result = 0;
    while ((got = pread(log->files[log->present], buffer, READ_BYTES, (off_t)log->end)) > 0) {
        struct span bytes = span_of(buffer, (size_t)got);
        purge_log_lock(log);
        size_t taken = take_records(log, bytes, &result);
        purge_log_unlock(log);
        log->end += taken;
        if (taken)
            continue;
        if (!is_torn(bytes, result)) {
            log->is_damaged = true;
            log_error("purge", "the log of purges is damaged: its sites' numbers begin anew");
        }
        break;
    }
    memory_free(buffer);
    return got < 0 ? fail("read it") : 0;
}

/* Under the files' lock: whichever file is the newer one. */
static int follow(struct purge_log *log)
{
    uint64_t generation;
    int newest = log->present;
    for (int i = 0; i < PURGE_LOG_FILES; i++)
        if (read_head(log->files[i], &generation) && (newest < 0 || generation > log->generation)) {
            newest = i;
            log->generation = generation;
        }
    if (newest < 0)
        return write_file(log, 0, 1, span_of(NULL, 0));
    if (newest != log->present) {
        log->present = newest;
        log->end = PURGE_LOG_HEAD;
        purge_log_lock(log);
        forget_all(log);
        purge_log_unlock(log);
    }
    return read_on(log);
}

/* ---- dropping */

static bool is_among(const uint64_t *sites, size_t count, uint64_t site)
{
    return sorted_find(sites, count, sizeof *sites, site) != NULL;
}

static size_t entry_bytes(const struct purge_entry *entry)
{
    return PURGE_LOG_EXTRA + PURGE_RECORD_BYTES + entry->length;
}

static struct purge purge_of(const struct purge_entry *entry)
{
    return (struct purge){entry->site, entry->number, entry->kind, entry->is_soft,
                          span_of(entry->what, entry->length)};
}

/* What stays: the newer half of these sites', and for what goes one purge of its whole site. */
static void write_kept(struct purge_log *log, const uint64_t *sites, size_t count,
                       uint64_t generation, struct text *kept)
{
    size_t from = log->count;
    uint64_t bytes = 0;
    for (; from; from--) {
        const struct purge_entry *entry = log->entries[from - 1];
        bytes += is_among(sites, count, entry->site) ? entry_bytes(entry) : 0;
        if (bytes > log->most_bytes / 2)
            break;
    }
    for (size_t i = 0; i < log->site_count; i++)
        log->sites[i].dropped = 0;
    for (size_t i = 0; i < from; i++)
        find_site(log, log->entries[i]->site)->dropped = log->entries[i]->number;
    for (size_t i = 0; i < log->site_count; i++) {
        const struct log_site *site = &log->sites[i];
        if (site->dropped && is_among(sites, count, site->site))
            purge_log_write(kept, generation,
                            &(struct purge){.site = site->site,
                                            .number = site->dropped,
                                            .kind = PURGE_SITE,
                                            .is_soft = true});
    }
    for (size_t i = from; i < log->count; i++) {
        struct purge purge = purge_of(log->entries[i]);
        if (is_among(sites, count, purge.site))
            purge_log_write(kept, generation, &purge);
    }
}

/* Into the other file; memory follows it. */
static int compact(struct purge_log *log, const uint64_t *sites, size_t count)
{
    struct text kept = {0};
    uint64_t generation = log->generation + 1;
    int reason = 0;
    write_kept(log, sites, count, generation, &kept);
    int result = write_file(log, !log->present, generation, text_span(&kept));
    if (result == 0) {
        purge_log_lock(log);
        forget_all(log);
        take_records(log, text_span(&kept), &reason);
        log->compactions++;
        purge_log_unlock(log);
        /* So many sites that what stays is not much less: every record would write all of them again. */
        bool is_crowded = log->end > log->most_bytes / 4 * 3;
        log->compact_at = is_crowded ? 2 * log->end : log->most_bytes;
    }
    text_clear(&kept);
    return result;
}

static int compact_all(struct purge_log *log)
{
    uint64_t *sites = memory_new(log->site_count * sizeof *sites);
    for (size_t i = 0; i < log->site_count; i++)
        sites[i] = log->sites[i].site;
    int result = compact(log, sites, log->site_count);
    memory_free(sites);
    return result;
}

/* ---- writing */

/* Purges that have their numbers. Nothing of them stays where it fails. */
static int append(struct purge_log *log, const struct purge *purges, size_t count)
{
    struct text records = {0};
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += PURGE_LOG_EXTRA + PURGE_RECORD_BYTES + purges[i].what.length;
    int result = log->end + bytes > log->compact_at ? compact_all(log) : 0;
    int fd = log->files[log->present];
    for (size_t i = 0; i < count; i++)
        if (purges[i].number)
            purge_log_write(&records, log->generation, &purges[i]);
    if (result == 0 && ftruncate(fd, (off_t)log->end))
        result = fail("cut its end off");
    if (result == 0)
        result = write_at(fd, text_span(&records), log->end);
    if (result == 0)
        result = sync_file(fd);
    if (result == 0) {
        log->end += records.length;
        purge_log_lock(log);
        for (size_t i = 0; i < count; i++)
            if (purges[i].number)
                add_entry(log, &purges[i]);
        purge_log_unlock(log);
    } else if (ftruncate(fd, (off_t)log->end)) {
        (void)fail("cut its end off");
    }
    text_clear(&records);
    return result;
}

/* Behind what the log has, and what the batch has before it. */
static void number(const struct purge_log *log, struct purge *purges, size_t index)
{
    struct purge *purge = &purges[index];
    uint64_t last = purge_log_last(log, purge->site);
    for (size_t i = index; last && i-- > 0;)
        if (purges[i].site == purge->site) {
            last = purges[i].number;
            break;
        }
    if (!last || last >= PURGE_NUMBER_MOST)
        purge->number = 0;
    else if (purge->number <= last)
        purge->number = last + 1;
}

int purge_log_append(struct purge_log *log, struct purge *purges, size_t count)
{
    int result = lock_files(log, F_WRLCK);
    if (result < 0)
        return result;
    result = follow(log);
    for (size_t i = 0; result == 0 && i < count; i++)
        number(log, purges, i);
    if (result == 0)
        result = append(log, purges, count);
    (void)lock_files(log, F_UNLCK);
    return result;
}

int purge_log_follow(struct purge_log *log)
{
    int result = lock_files(log, F_WRLCK);
    if (result < 0)
        return result;
    result = follow(log);
    (void)lock_files(log, F_UNLCK);
    return result;
}

static int set_sites(struct purge_log *log, const uint64_t *sites, size_t count, uint64_t now_us)
{
    struct purge *begun = memory_new(count * sizeof *begun);
    size_t begun_count = 0, known = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t last = purge_log_last(log, sites[i]);
        known += last > 0;
        if (!last || log->is_damaged)
            begun[begun_count++] = (struct purge){.site = sites[i],
                                                  .number = now_us > last ? now_us : last + 1,
                                                  .kind = PURGE_SITE,
                                                  .is_soft = true};
    }
    int result = known < log->site_count || log->is_damaged ? compact(log, sites, count) : 0;
    if (result == 0 && begun_count)
        result = append(log, begun, begun_count);
    if (result == 0)
        log->is_damaged = false;
    memory_free(begun);
    return result;
}

int purge_log_set_sites(struct purge_log *log, const uint64_t *sites, size_t count, uint64_t now_us)
{
    int result = lock_files(log, F_WRLCK);
    if (result < 0)
        return result;
    result = follow(log);
    if (result == 0)
        result = set_sites(log, sites, count, now_us);
    (void)lock_files(log, F_UNLCK);
    return result;
}

/* ---- life */

int purge_log_open(struct purge_log **opened, const int files[PURGE_LOG_FILES], uint64_t most_bytes)
{
    struct purge_log *log = NEW(struct purge_log);
    pthread_mutex_init(&log->lock, NULL);
    for (int i = 0; i < PURGE_LOG_FILES; i++)
        log->files[i] = files[i];
    log->present = -1;
    log->most_bytes = log->compact_at = most_bytes;
    int result = purge_log_follow(log);
    if (result < 0)
        purge_log_close(&log);
    *opened = log;
    return result;
}

void purge_log_close(struct purge_log **closed)
{
    struct purge_log *log = *closed;
    *closed = NULL;
    if (!log)
        return;
    forget_all(log);
    memory_free(log->entries);
    memory_free(log->sites);
    pthread_mutex_destroy(&log->lock);
    memory_free(log);
}
