/* SPDX-License-Identifier: Apache-2.0
 *
 * The outgoing half of a stream.
 */
#include "transport/send_buffer.h"

#include "base/error.h"
#include "base/memory.h"

static struct send_piece *piece_at(const struct send_buffer *buffer, uint32_t index)
{
    return &buffer->pieces[(buffer->head + index) & (buffer->capacity - 1)];
}

static struct send_gaps *gaps_of(struct send_buffer *buffer)
{
    if (!buffer->gaps)
        buffer->gaps = NEW(struct send_gaps);
    return buffer->gaps;
}

static void free_gaps(struct send_buffer *buffer)
{
    if (!buffer->gaps)
        return;
    ranges_clear(&buffer->gaps->acked);
    ranges_clear(&buffer->gaps->lost);
    memory_free(buffer->gaps);
}

void send_buffer_clear(struct send_buffer *buffer)
{
    for (uint32_t i = 0; i < buffer->count; i++)
        slice_release(&piece_at(buffer, i)->slice);
    memory_free(buffer->pieces);
    free_gaps(buffer);
    *buffer = (struct send_buffer){0};
}

static void grow(struct send_buffer *buffer)
{
    uint32_t capacity = buffer->capacity ? buffer->capacity * 2 : 4;
    struct send_piece *grown = memory_resize(NULL, capacity, sizeof *grown);
    for (uint32_t i = 0; i < buffer->count; i++)
        grown[(buffer->head + i) & (capacity - 1)] = *piece_at(buffer, i);
    memory_free(buffer->pieces);
    buffer->pieces = grown;
    buffer->capacity = capacity;
}

void send_buffer_write(struct send_buffer *buffer, struct slice_queue *bytes)
{
    INVARIANT(!buffer->is_finished);
    while (bytes->count) {
        if (buffer->count == buffer->capacity)
            grow(buffer);
        struct slice slice = slice_queue_pop(bytes, UINT32_MAX);
        *piece_at(buffer, buffer->count++) = (struct send_piece){slice, buffer->end};
        buffer->end += slice.length;
    }
}

void send_buffer_take_back(struct send_buffer *buffer, struct slice_queue *bytes)
{
    INVARIANT(send_buffer_is_untouched(buffer));
    for (uint32_t i = 0; i < buffer->count; i++)
        slice_queue_push(bytes, piece_at(buffer, i)->slice);
    buffer->count = 0;
    send_buffer_clear(buffer);
}

/* Index (from the head) of the piece that holds `offset`. */
static uint32_t find(const struct send_buffer *buffer, uint64_t offset)
{
    uint32_t low = 0, high = buffer->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (piece_at(buffer, middle)->offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool holds(const struct send_buffer *buffer, uint32_t index, uint64_t offset)
{
    const struct send_piece *piece = piece_at(buffer, index);
    return piece->offset <= offset && offset - piece->offset < piece->slice.length;
}

void send_buffer_copy(struct send_buffer *buffer, uint64_t offset, uint32_t length, uint8_t *out)
{
    INVARIANT(offset >= buffer->base && offset + length <= buffer->end);
    if (!length)
        return;
    uint32_t index = buffer->cursor - buffer->head;
    if (index >= buffer->count || !holds(buffer, index, offset)) {
        if (index + 1 < buffer->count && holds(buffer, index + 1, offset))
            index++;
        else
            index = find(buffer, offset);
    }
    for (;;) {
        const struct send_piece *piece = piece_at(buffer, index);
        uint32_t skip = (uint32_t)(offset - piece->offset);
        uint32_t part = piece->slice.length - skip;
        if (part > length)
            part = length;
        memcpy(out, slice_data(&piece->slice) + skip, part);
        length -= part;
        if (!length)
            break;
        out += part;
        offset += part;
        index++;
    }
    buffer->cursor = buffer->head + index;
}

void send_buffer_prefetch(const struct send_buffer *buffer)
{
    if (!buffer->count)
        return;
    uint32_t mask = buffer->capacity - 1;
    __builtin_prefetch(&buffer->pieces[buffer->cursor & mask]);
    __builtin_prefetch(&buffer->pieces[(buffer->cursor + 1) & mask]);
}

struct range send_buffer_next_lost(const struct send_buffer *buffer, uint64_t limit)
{
    INVARIANT(buffer->lost_bytes > 0);
    struct range range = ranges_items(&buffer->gaps->lost)[0];
    if (range.end - range.start > limit)
        range.end = range.start + limit;
    return range;
}

static uint64_t total(const struct ranges *ranges)
{
    const struct range *all = ranges_items(ranges);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < ranges->count; i++)
        bytes += all[i].end - all[i].start;
    return bytes;
}

static void forget_lost(struct send_buffer *buffer, uint64_t start, uint64_t end)
{
    if (!buffer->lost_bytes)
        return;
    ranges_remove(&buffer->gaps->lost, start, end);
    buffer->lost_bytes = total(&buffer->gaps->lost);
}

void send_buffer_sent(struct send_buffer *buffer, uint64_t offset, uint32_t length, bool fin)
{
    uint64_t end = offset + length;
    if (offset < buffer->next)
        forget_lost(buffer, offset, end);
    if (end > buffer->next)
        buffer->next = end;
    if (fin) {
        buffer->fin_sent = true;
        buffer->fin_lost = false;
    }
}

static void release_acked(struct send_buffer *buffer)
{
    while (buffer->count) {
        struct send_piece *first = piece_at(buffer, 0);
        if (first->offset + first->slice.length > buffer->base)
            break;
        slice_release(&first->slice);
        buffer->head++;
        buffer->count--;
    }
}

void send_buffer_acked(struct send_buffer *buffer, uint64_t offset, uint32_t length, bool fin)
{
    uint64_t end = offset + length;
    if (fin)
        buffer->fin_acked = true;
    if (end <= buffer->base)
        return;
    if (offset < buffer->base)
        offset = buffer->base;
    forget_lost(buffer, offset, end);
    if (offset > buffer->base) {
        ranges_add(&gaps_of(buffer)->acked, offset, end);
        return;
    }
    if (buffer->gaps && buffer->gaps->acked.count) {
        struct ranges *acked = &buffer->gaps->acked;
        ranges_add(acked, offset, end);
        end = ranges_items(acked)[0].end;
        ranges_drop_first(acked, 1);
    }
    buffer->base = end;
    release_acked(buffer);
}

void send_buffer_lost(struct send_buffer *buffer, uint64_t offset, uint32_t length, bool fin)
{
    if (fin && !buffer->fin_acked)
        buffer->fin_lost = true;
    uint64_t end = offset + length;
    if (offset < buffer->base)
        offset = buffer->base;
    if (offset >= end)
        return;
    struct send_gaps *gaps = gaps_of(buffer);
    ranges_add(&gaps->lost, offset, end);
    const struct range *acked = ranges_items(&gaps->acked);
    for (uint32_t i = ranges_find(&gaps->acked, offset);
         i < gaps->acked.count && acked[i].start < end; i++)
        ranges_remove(&gaps->lost, acked[i].start, acked[i].end);
    buffer->lost_bytes = total(&gaps->lost);
}
