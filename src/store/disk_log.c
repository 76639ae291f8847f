/* SPDX-License-Identifier: Apache-2.0
 *
 * Records and segments. Every record carries three checksums (XXH3): of its head, seeded by its place and by a number that is the folder's own, so
 * that neither a torn nor a foreign nor a misplaced one passes, nor one that lies within a body; of what says what it is; and of the
 * body, looked at whenever it is read. What does not check is not there.
 */
#include "store/disk.h"

#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const uint64_t magic = 0x3230657261637763u; /* "cwcare02" */
static const char salt_name[] = "salt";

enum { NAME_BYTES = 24, VECTORS = 64, WINDOW_BYTES = 65536 };

static void name_of(uint32_t number, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%08x.segment", number);
}

/* ---- sizes */

static size_t body_length(const struct disk_record *record)
{
    return record->kind == DISK_RENEWAL ? sizeof(struct disk_body) : 0;
}

static uint64_t meta_bytes(const struct disk_record *record)
{
    return record->tag_count * sizeof(uint64_t) + record->facts_length + record->key_length +
           record->rule_length + record->selector_length + record->head_length +
           body_length(record);
}

uint64_t disk_record_bytes(const struct disk_record *record)
{
    return sizeof *record + meta_bytes(record) + record->body_bytes;
}

struct span disk_item_part(const struct disk_item *item, int part)
{
    const struct disk_record *record = &item->record;
    const size_t lengths[] = {record->facts_length,    record->key_length,  record->rule_length,
                              record->selector_length, record->head_length, body_length(record)};
    const uint8_t *at = item->meta + record->tag_count * sizeof(uint64_t);
    for (int i = 0; i < part; i++)
        at += lengths[i];
    return span_of(at, lengths[part]);
}

struct disk_body disk_item_body(const struct disk_item *item, uint64_t place)
{
    struct disk_body body = {place, item->record.body_bytes};
    if (item->record.kind == DISK_RENEWAL)
        memcpy(&body, disk_item_part(item, DISK_BODY).data, sizeof body);
    return body;
}

static uint64_t check_of(const struct disk_log *log, const struct disk_record *record,
                         uint64_t place)
{
    const size_t skipped = offsetof(struct disk_record, meta_check);
    return hash_span(span_of((const uint8_t *)record + skipped, sizeof *record - skipped),
                     log->salt ^ place);
}

uint64_t disk_body_check(const struct slice *slices, uint32_t count)
{
    XXH3_state_t *state = XXH3_createState();
    INVARIANT(state);
    XXH3_64bits_reset(state);
    for (uint32_t i = 0; i < count; i++)
        XXH3_64bits_update(state, slice_data(&slices[i]), slices[i].length);
    uint64_t check = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return check;
}

/* ---- segments */

static int add_segment(struct disk_log *log, uint32_t number, int flags)
{
    char name[NAME_BYTES];
    struct stat status;
    name_of(number, name);
    int fd = openat(log->folder, name, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        errno = saved;
        return ERROR_IO;
    }
    if (!flags && !status.st_size) { /* a run in which nothing was written */
        unlinkat(log->folder, name, 0);
        close(fd);
        return 0;
    }
    struct disk_segment *segment = NEW(struct disk_segment);
    segment->number = number;
    segment->fd = fd;
    segment->bytes = status.st_size < UINT32_MAX ? (uint64_t)status.st_size
                                                 : UINT32_MAX; /* none of ours is longer */
    log->bytes += segment->bytes;
    if (log->newest)
        log->newest->next = segment;
    else
        log->oldest = segment;
    log->newest = segment;
    return 0;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Numbers of the segments in the folder, in order; other files are none of ours. */
static uint32_t *list_segments(int folder, size_t *count)
{
    uint32_t *numbers = NULL;
    const struct dirent *entry;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    *count = 0;
    while (listing && (entry = readdir(listing)) != NULL) {
        char expected[NAME_BYTES];
        uint32_t number = (uint32_t)strtoul(entry->d_name, NULL, 16);
        name_of(number, expected);
        if (strcmp(expected, entry->d_name) != 0 || *count == UINT16_MAX)
            continue;
        numbers = memory_resize(numbers, *count + 1, sizeof *numbers);
        numbers[(*count)++] = number;
    }
    if (listing)
        closedir(listing);
    if (numbers)
        qsort(numbers, *count, sizeof *numbers, compare_numbers);
    return numbers;
}

struct salt {
    uint64_t salt, check;
};

/* The folder's own number; where there is none, nothing in it is ours. */
static bool take_salt(struct disk_log *log, uint64_t fresh)
{
    struct salt salt = {0};
    int fd = openat(log->folder, salt_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool is_there = pread(fd, &salt, sizeof salt, 0) == sizeof salt &&
                    salt.check == XXH3_64bits(&salt.salt, sizeof salt.salt);
    if (!is_there) {
        salt = (struct salt){fresh, XXH3_64bits(&fresh, sizeof fresh)};
        is_there = pwrite(fd, &salt, sizeof salt, 0) == sizeof salt;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    log->salt = salt.salt;
    return is_there;
}

int disk_log_open(struct disk_log *log, int folder, uint64_t bytes_most, uint64_t fresh_salt)
{
    size_t count;
    *log = (struct disk_log){.folder = folder, .bytes_most = bytes_most};
    log->segment_bytes = bytes_most / DISK_SEGMENTS;
    if (log->segment_bytes < DISK_SEGMENT_LEAST)
        log->segment_bytes = DISK_SEGMENT_LEAST;
    if (log->segment_bytes > DISK_SEGMENT_MOST)
        log->segment_bytes = DISK_SEGMENT_MOST;
    if (!take_salt(log, fresh_salt)) {
        disk_log_close(log);
        return ERROR_IO;
    }
    uint32_t *numbers = list_segments(folder, &count);
    for (size_t i = 0; i < count; i++)
        (void)(add_segment(log, numbers[i], 0) < 0); /* unreadable: what is in it is not there */
    uint32_t next = count ? numbers[count - 1] + 1 : 1;
    memory_free(numbers);
    if (!next || add_segment(log, next, O_CREAT | O_EXCL) < 0) {
        disk_log_close(log);
        return ERROR_IO;
    }
    return 0;
}

void disk_log_close(struct disk_log *log)
{
    int saved = errno;
    for (struct disk_segment *segment = log->oldest, *next; segment; segment = next) {
        next = segment->next;
        close(segment->fd);
        memory_free(segment);
    }
    log->oldest = log->newest = NULL;
    close(log->folder); /* and with it goes its lock */
    log->folder = -1;
    errno = saved;
}

void disk_log_drop(struct disk_log *log)
{
    struct disk_segment *segment = log->oldest;
    char name[NAME_BYTES];
    name_of(segment->number, name);
    unlinkat(log->folder, name, 0);
    close(segment->fd);
    log->bytes -= segment->bytes;
    log->oldest = segment->next;
    memory_free(segment);
}

static const struct disk_segment *segment_at(const struct disk_log *log, uint64_t place)
{
    const struct disk_segment *segment = log->oldest;
    while (segment && segment->number != place >> 32)
        segment = segment->next;
    return segment;
}

/* ---- writing */

static bool write_all(int fd, uint64_t offset, struct iovec *vectors, int count)
{
    while (count) {
        ssize_t written = pwritev(fd, vectors, count, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        offset += (uint64_t)written;
        size_t rest = (size_t)written;
        while (count && rest >= vectors->iov_len) {
            rest -= vectors->iov_len;
            vectors++;
            count--;
        }
        if (count) {
            vectors->iov_base = (uint8_t *)vectors->iov_base + rest;
            vectors->iov_len -= rest;
        }
    }
    return true;
}

static struct iovec vector_of(struct span span)
{
    return (struct iovec){(void *)(uintptr_t)span.data, span.length};
}

int disk_log_make_room(struct disk_log *log, uint64_t length)
{
    if (!log->newest->bytes || log->newest->bytes + length <= log->segment_bytes)
        return 0;
    return add_segment(log, log->newest->number + 1, O_CREAT | O_EXCL);
}

/* A record that cannot be written whole leaves a segment that ends there. */
int disk_log_append(struct disk_log *log, const struct disk_record *given, struct span meta,
                    const struct slice *slices, uint32_t count, uint64_t *place)
{
    struct disk_record record = *given;
    uint64_t length = disk_record_bytes(&record);
    struct disk_segment *segment = log->newest;
    uint64_t offset = segment->bytes;
    record.magic = magic;
    record.meta_check = hash_span(meta, log->salt);
    *place = (uint64_t)segment->number << 32 | offset;
    record.check = check_of(log, &record, *place);
    struct iovec vectors[VECTORS];
    int used = 0;
    vectors[used++] = (struct iovec){&record, sizeof record};
    if (meta.length)
        vectors[used++] = vector_of(meta);
    for (uint32_t i = 0; i < count; i++) {
        vectors[used++] = vector_of(span_of(slice_data(&slices[i]), slices[i].length));
        if (used < VECTORS && i + 1 < count)
            continue;
        uint64_t bytes = 0;
        for (int k = 0; k < used; k++)
            bytes += vectors[k].iov_len;
        if (!write_all(segment->fd, offset, vectors, used))
            goto failed;
        offset += bytes;
        used = 0;
    }
    if (used && !write_all(segment->fd, offset, vectors, used))
        goto failed;
    segment->bytes += length;
    log->bytes += length;
    return 0;
failed:;
    int saved = errno;
    (void)(ftruncate(segment->fd, (off_t)segment->bytes) < 0);
    errno = saved;
    return ERROR_IO;
}

void disk_log_sync(struct disk_log *log)
{
    (void)(fdatasync(log->newest->fd) < 0); /* the next write finds out, too */
}

/* ---- reading */

static bool read_all(int fd, uint64_t offset, void *to, uint64_t length)
{
    uint8_t *at = to;
    while (length) {
        ssize_t got = pread(fd, at, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        offset += (uint64_t)got;
        length -= (uint64_t)got;
    }
    return true;
}

/* Whether the head is right; else it says nothing, not even how long the record is. */
static bool read_record(const struct disk_log *log, const struct disk_segment *segment,
                        uint64_t place, struct disk_record *record)
{
    return read_all(segment->fd, (uint32_t)place, record, sizeof *record) &&
           record->magic == magic && record->check == check_of(log, record, place) &&
           record->head_length <= DISK_HEAD_MOST && record->body_bytes <= UINT32_MAX;
}

int disk_log_read(const struct disk_log *log, uint64_t place, struct disk_item *item)
{
    const struct disk_segment *segment = segment_at(log, place);
    *item = (struct disk_item){0};
    uint64_t left =
        segment && segment->bytes > (uint32_t)place ? segment->bytes - (uint32_t)place : 0;
    if (left < sizeof item->record)
        return ERROR_CLOSED;
    if (!read_record(log, segment, place, &item->record))
        return ERROR_INVALID;
    if (disk_record_bytes(&item->record) > left)
        return item->record.kind == DISK_PURGE ? ERROR_INVALID : ERROR_CLOSED;
    item->is_placed = true;
    item->meta_length = meta_bytes(&item->record);
    item->meta = memory_raw(item->meta_length + 1);
    if (read_all(segment->fd, (uint32_t)place + sizeof item->record, item->meta,
                 item->meta_length) &&
        item->record.meta_check == hash_span(span_of(item->meta, item->meta_length), log->salt))
        return 0;
    memory_free(item->meta);
    item->meta = NULL;
    return ERROR_INVALID;
}

uint64_t disk_log_seek(const struct disk_log *log, uint64_t place)
{
    const struct disk_segment *segment = segment_at(log, place);
    uint8_t *window = memory_raw(WINDOW_BYTES);
    uint64_t found = 0;
    for (uint64_t at = (uint32_t)place + 1;
         !found && segment && at + sizeof(struct disk_record) <= segment->bytes;) {
        uint64_t length = segment->bytes - at < WINDOW_BYTES ? segment->bytes - at : WINDOW_BYTES;
        if (!read_all(segment->fd, at, window, length))
            break;
        for (const uint8_t *from = window, *hit;
             !found &&
             (hit = memmem(from, length - (size_t)(from - window), &magic, sizeof magic)) != NULL;
             from = hit + 1) {
            struct disk_record record;
            uint64_t here = (place & ~(uint64_t)UINT32_MAX) | (at + (uint64_t)(hit - window));
            if (read_record(log, segment, here, &record))
                found = here;
        }
        at += length < sizeof magic ? length : length - sizeof magic + 1;
    }
    memory_free(window);
    return found;
}

/* The segment of an object's record that says it has such a body, and where in it that begins; NULL: there is none. */
static const struct disk_segment *find_body(const struct disk_log *log,
                                            const struct disk_body *body, uint64_t check,
                                            uint64_t *offset)
{
    const struct disk_segment *segment = segment_at(log, body->place);
    struct disk_record record;
    if (!segment || !read_record(log, segment, body->place, &record) ||
        record.kind != DISK_OBJECT || record.body_bytes != body->bytes ||
        record.body_check != check)
        return NULL;
    *offset = (uint32_t)body->place + sizeof record + meta_bytes(&record);
    return segment;
}

bool disk_log_has_body(const struct disk_log *log, const struct disk_body *body, uint64_t check)
{
    uint64_t offset;
    return find_body(log, body, check, &offset) != NULL;
}

bool disk_log_is_leaving(const struct disk_log *log, uint64_t place)
{
    uint64_t kept = log->bytes; /* of the segments from that one on */
    for (const struct disk_segment *segment = log->oldest; segment && segment->number < place >> 32;
         segment = segment->next)
        kept -= segment->bytes;
    return kept > log->bytes_most - log->bytes_most / 4;
}

int disk_log_read_body(const struct disk_log *log, const struct disk_body *body, uint64_t check,
                       struct chunk **chunk)
{
    uint64_t offset;
    const struct disk_segment *segment = find_body(log, body, check, &offset);
    *chunk = NULL;
    if (!segment)
        return ERROR_INVALID;
    struct chunk *read = chunk_new_sized((uint32_t)body->bytes);
    read->filled = (uint32_t)body->bytes;
    if (!read_all(segment->fd, offset, read->data, body->bytes) ||
        XXH3_64bits(read->data, body->bytes) != check) {
        chunk_release(read);
        return ERROR_INVALID;
    }
    *chunk = read;
    return 0;
}
