/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorted ranges in one array.
 */
#include "transport/ranges.h"

#include "base/memory.h"

#include <string.h>

static struct range *items(struct ranges *ranges)
{
    return ranges->heap ? ranges->heap : &ranges->only;
}

void ranges_clear(struct ranges *ranges)
{
    memory_free(ranges->heap);
    *ranges = (struct ranges){0};
}

uint32_t ranges_find(const struct ranges *ranges, uint64_t number)
{
    const struct range *all = ranges_items(ranges);
    uint32_t low = 0, high = ranges->count;
    if (high && all[high - 1].end <= number)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (all[middle].end <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ranges_has(const struct ranges *ranges, uint64_t number)
{
    uint32_t at = ranges_find(ranges, number);
    return at < ranges->count && ranges_items(ranges)[at].start <= number;
}

static void open_gap(struct ranges *ranges, uint32_t at)
{
    uint32_t capacity = ranges->heap ? ranges->capacity : 1;
    if (ranges->count == capacity) {
        ranges->capacity = capacity < 8 ? 8 : capacity * 2;
        struct range *grown = memory_resize(ranges->heap, ranges->capacity, sizeof *grown);
        if (!ranges->heap)
            grown[0] = ranges->only;
        ranges->heap = grown;
    }
    struct range *all = items(ranges);
    memmove(all + at + 1, all + at, (ranges->count - at) * sizeof *all);
    ranges->count++;
}

static void close_gap(struct ranges *ranges, uint32_t from, uint32_t to)
{
    struct range *all = items(ranges);
    memmove(all + from, all + to, (ranges->count - to) * sizeof *all);
    ranges->count -= to - from;
}

void ranges_add(struct ranges *ranges, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    struct range *all = items(ranges);
    if (ranges->count && all[ranges->count - 1].end == start) {
        all[ranges->count - 1].end = end;
        return;
    }
    /* The ranges from..to-1 touch or overlap the new one. */
    uint32_t from = start ? ranges_find(ranges, start - 1) : 0;
    uint32_t to = from;
    while (to < ranges->count && all[to].start <= end)
        to++;
    if (from == to) {
        open_gap(ranges, from);
        items(ranges)[from] = (struct range){start, end};
        return;
    }
    if (all[from].start < start)
        start = all[from].start;
    if (all[to - 1].end > end)
        end = all[to - 1].end;
    all[from] = (struct range){start, end};
    close_gap(ranges, from + 1, to);
}

void ranges_remove(struct ranges *ranges, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    uint32_t from = ranges_find(ranges, start);
    struct range *all = items(ranges);
    if (from < ranges->count && all[from].start < start) {
        uint64_t tail = all[from].end;
        all[from].end = start;
        from++;
        if (tail > end) {
            open_gap(ranges, from);
            items(ranges)[from] = (struct range){end, tail};
            return;
        }
    }
    uint32_t to = from;
    while (to < ranges->count && all[to].end <= end)
        to++;
    if (to < ranges->count && all[to].start < end)
        all[to].start = end;
    if (to > from)
        close_gap(ranges, from, to);
}

void ranges_drop_first(struct ranges *ranges, uint32_t count)
{
    close_gap(ranges, 0, count);
}
