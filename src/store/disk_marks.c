/* SPDX-License-Identifier: Apache-2.0
 *
 * Purges that the disk tier remembers: a record is compared with those of a greater order when it is read. There are at most so many; what would
 * have to be compared with more is forgotten.
 */
#include "store/disk.h"

#include "base/hash.h"

#include <stdlib.h>

static uint64_t hash_of(const struct disk *disk, const struct store_purge *purge)
{
    switch (purge->kind) {
    case STORE_PURGE_KEY:
        return store_hash(disk->store, purge->what);
    case STORE_PURGE_TAG:
        return tag_hash(purge->site, purge->what);
    case STORE_PURGE_PREFIX:
    case STORE_PURGE_SITE:
        break;
    }
    return 0;
}

static void mark_clear(struct disk_mark *mark)
{
    memory_free((void *)(uintptr_t)mark->purge.what.data);
}

static int compare_orders(const void *a, const void *b)
{
    const struct disk_mark *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

/* The older half of time is forgotten. */
static void halve(struct disk *disk)
{
    struct disk_marks *marks = &disk->marks;
    uint32_t half = DISK_PURGES_MOST / 2;
    qsort(marks->list, marks->count, sizeof *marks->list, compare_orders);
    for (uint32_t i = 0; i < half; i++)
        mark_clear(&marks->list[i]);
    uint64_t last = marks->list[half - 1].order;
    if (marks->floor < last)
        marks->floor = last;
    memmove(marks->list, marks->list + half, half * sizeof *marks->list);
    marks->count = half;
}

static void push(struct disk_marks *marks, const struct disk_mark *mark)
{
    if (marks->count == marks->capacity) {
        marks->capacity = marks->capacity ? marks->capacity * 2 : 64;
        marks->list = memory_resize(marks->list, marks->capacity, sizeof *marks->list);
    }
    marks->list[marks->count++] = *mark;
}

void disk_mark_set(struct disk_mark *mark, uint64_t order, const struct store_purge *purge)
{
    uint8_t *what = memory_raw(purge->what.length + 1);
    if (purge->what.length)
        memcpy(what, purge->what.data, purge->what.length);
    *mark = (struct disk_mark){.order = order, .purge = *purge};
    mark->purge.what.data = what;
}

void disk_marks_add(struct disk *disk, struct disk_mark *mark)
{
    if (disk->marks.count == DISK_PURGES_MOST)
        halve(disk);
    mark->hash = hash_of(disk, &mark->purge);
    push(&disk->marks, mark);
}

void disk_marks_wait(struct disk *disk, const struct store_purge *purge)
{
    struct disk_mark mark;
    if (disk->pending.count == DISK_PURGES_MOST || disk->state == STORE_DISK_CLOSED)
        disk->is_forgotten = true;
    if (disk->is_forgotten) {
        disk_marks_clear(&disk->pending);
        return;
    }
    disk_mark_set(&mark, 0, purge);
    push(&disk->pending, &mark);
}

void disk_marks_restore(struct disk *disk, struct disk_mark *mark)
{
    if (disk->marks.count >= DISK_PURGES_MOST / 2) { /* the rest is for those to come */
        if (disk->marks.floor < mark->order)
            disk->marks.floor = mark->order;
        mark_clear(mark);
        return;
    }
    mark->hash = hash_of(disk, &mark->purge);
    push(&disk->marks, mark);
}

void disk_marks_leave(struct disk *disk)
{
    struct disk_marks *marks = &disk->marks;
    if (marks->count)
        qsort(marks->list, marks->count, sizeof *marks->list, compare_orders);
    for (uint32_t i = 0; i < marks->count; i++)
        if (marks->list[i].order > disk->written)
            disk_marks_wait(disk, &marks->list[i].purge);
    disk_marks_clear(marks);
}

void disk_marks_clear(struct disk_marks *marks)
{
    for (uint32_t i = 0; i < marks->count; i++)
        mark_clear(&marks->list[i]);
    memory_free(marks->list);
    *marks = (struct disk_marks){0};
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

static bool hits(const struct disk_mark *mark, const struct disk_item *item, uint64_t hash)
{
    const struct store_purge *purge = &mark->purge;
    if (purge->site != item->record.site)
        return false;
    switch (purge->kind) {
    case STORE_PURGE_KEY:
        return mark->hash == hash && store_key_is_of(disk_item_part(item, DISK_KEY), purge->what);
    case STORE_PURGE_PREFIX:
        return span_starts(disk_item_part(item, DISK_KEY), purge->what);
    case STORE_PURGE_TAG:
        return has_tag(item, mark->hash);
    case STORE_PURGE_SITE:
        return true;
    }
    return true;
}

bool disk_marks_spare(const struct disk *disk, const struct disk_item *item, bool *is_stale)
{
    const struct disk_marks *marks = &disk->marks;
    uint64_t hash = store_hash(disk->store, disk_item_part(item, DISK_KEY));
    bool is_spared = item->record.order >= marks->floor;
    *is_stale = false;
    for (uint32_t i = 0; is_spared && i < marks->count; i++) {
        const struct disk_mark *mark = &marks->list[i];
        if (mark->order <= item->record.order || !hits(mark, item, hash))
            continue;
        is_spared = mark->purge.is_soft;
        *is_stale = true;
    }
    return is_spared;
}
