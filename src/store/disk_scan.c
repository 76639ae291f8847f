/* SPDX-License-Identifier: Apache-2.0
 *
 * What earlier runs left: segments are looked through, the newest first. What is in a segment counts from when all of its purges are known. Records
 * carry numbers by which it shows when a purge is missing; then everything older is dropped, for who knows what it was about.
 *
 *   older | ... object 7 | purge 8 | (damage) | object 10 | purge 11 | newer
 *   dropped -----------------------------------|  used: purge 9 and 10 were in between
 */
#include "store/disk.h"

/* ---- what is found in a segment */

static void found_object(struct disk *disk, const struct disk_item *item, uint64_t place)
{
    struct disk_scan *scan = &disk->scan;
    if (scan->found_count == scan->found_capacity) {
        scan->found_capacity = scan->found_capacity ? scan->found_capacity * 2 : 1024;
        scan->found = memory_resize(scan->found, scan->found_capacity, sizeof *scan->found);
    }
    scan->found[scan->found_count++] = (struct disk_entry){
        .node.hash = disk_key_hash(disk, disk_item_part(item, DISK_KEY)),
        .choice = disk_choice(disk_item_part(item, DISK_RULE), disk_item_part(item, DISK_SELECTOR)),
        .place = place,
        .body = disk_item_body(item, place).place,
    };
}

static void found_purge(struct disk *disk, const struct disk_item *item)
{
    struct disk_scan *scan = &disk->scan;
    struct store_purge purge;
    if (store_purge_read(disk_item_part(item, DISK_HEAD), &purge) <= 0)
        return;
    if (purge.sequence)
        purge_numbers_raise(&disk->numbers, purge.site, purge.sequence);
    if (scan->purge_count == scan->purge_capacity) {
        scan->purge_capacity = scan->purge_capacity ? scan->purge_capacity * 2 : 64;
        scan->purges = memory_resize(scan->purges, scan->purge_capacity, sizeof *scan->purges);
    }
    disk_mark_set(&scan->purges[scan->purge_count++], item->record.order, &purge);
}

static void found_numbers(struct disk *disk, const struct disk_item *item)
{
    struct span rest = disk_item_part(item, DISK_HEAD);
    struct purged_site site;
    for (; rest.length >= sizeof site; rest = span_from(rest, sizeof site)) {
        memcpy(&site, rest.data, sizeof site);
        purge_numbers_raise(&disk->numbers, site.site, site.sequence);
    }
}

static void found(struct disk *disk, const struct disk_item *item, uint64_t place)
{
    struct disk_scan *scan = &disk->scan;
    uint64_t before = item->record.order - (item->record.kind == DISK_PURGE);
    if (!scan->has_records)
        scan->first = before;
    else if (scan->last != before) {
        scan->found_count = 0; /* a purge is missing that might have meant them */
        scan->is_cut = true;
        scan->first = before;
    }
    scan->has_records = true;
    scan->last = item->record.order;
    if (item->record.kind == DISK_PURGE)
        found_purge(disk, item);
    else if (item->record.kind == DISK_NUMBERS)
        found_numbers(disk, item);
    else
        found_object(disk, item, place);
}

/* ---- one segment after the other */

static void next_segment(struct disk *disk)
{
    struct disk_scan *scan = &disk->scan;
    scan->segment = NULL;
    for (const struct disk_segment *segment = disk->log.oldest;
         segment && segment->number < scan->before; segment = segment->next)
        scan->segment = segment;
    scan->has_records = scan->is_cut = scan->is_open_ended = false;
    scan->found_count = 0;
    scan->place = scan->segment ? (uint64_t)scan->segment->number << 32 : 0;
}

static void drop_before(struct disk *disk, uint32_t number)
{
    while (disk->log.oldest->number < number)
        disk_log_drop(&disk->log);
    disk_index_forget_dropped(disk); /* newer heads of bodies that are gone */
}

static void use_found(struct disk *disk)
{
    struct disk_scan *scan = &disk->scan;
    pthread_mutex_lock(&disk->lock);
    for (size_t i = scan->purge_count; i-- > 0;)
        disk_marks_restore(disk, &scan->purges[i]);
    pthread_mutex_unlock(&disk->lock);
    scan->purge_count = 0;
    for (size_t i = 0; i < scan->found_count;) {
        pthread_mutex_lock(&disk->lock);
        for (size_t k = 0; k < 64 && i < scan->found_count; k++, i++)
            if (scan->found[i].body >> 32 >= disk->log.oldest->number)
                disk_index_add(disk, &scan->found[i]);
        pthread_mutex_unlock(&disk->lock);
    }
}

/* It is read to its end. Does what is behind it go on where it stops? */
static void end_segment(struct disk *disk)
{
    struct disk_scan *scan = &disk->scan;
    uint32_t number = scan->segment->number;
    bool is_whole =
        scan->has_newer ? !scan->has_records || scan->last == scan->newer : !scan->is_open_ended;
    scan->before = number;
    if (!is_whole) {
        scan->found_count = 0;
        drop_before(disk, number + 1);
    } else if (scan->is_cut) {
        drop_before(disk, number);
    }
    use_found(disk);
    if (scan->has_records && !scan->has_newer)
        scan->end = scan->last;
    if (scan->has_records) {
        scan->has_newer = true;
        scan->newer = scan->first;
    }
    next_segment(disk);
}

bool disk_scan_some(struct disk *disk)
{
    struct disk_scan *scan = &disk->scan;
    struct disk_item item;
    if (!scan->segment)
        return false;
    for (int i = 0; i < DISK_SCAN_RECORDS; i++) {
        int result = disk_log_read(&disk->log, scan->place, &item);
        if (result == ERROR_CLOSED) {
            end_segment(disk);
            break;
        }
        if (result == 0)
            found(disk, &item, scan->place);
        memory_free(item.meta);
        if (item.is_placed) {
            scan->place += disk_record_bytes(&item.record);
            scan->is_open_ended = result < 0 && item.record.kind == DISK_PURGE;
            continue;
        }
        uint64_t next = disk_log_seek(&disk->log, scan->place);
        scan->is_open_ended = !next;
        if (!next) {
            end_segment(disk);
            break;
        }
        scan->place = next;
    }
    return scan->segment != NULL;
}

void disk_scan_begin(struct disk *disk)
{
    disk_scan_clear(&disk->scan);
    disk->scan.before = disk->log.newest->number;
    next_segment(disk);
}

bool disk_scan_knows_purges(const struct disk *disk)
{
    return disk->scan.has_newer || !disk->scan.segment;
}

void disk_scan_clear(struct disk_scan *scan)
{
    for (size_t i = 0; i < scan->purge_count; i++)
        memory_free((void *)(uintptr_t)scan->purges[i].purge.what.data);
    memory_free(scan->found);
    memory_free(scan->purges);
    *scan = (struct disk_scan){0};
}
