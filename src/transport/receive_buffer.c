/* SPDX-License-Identifier: Apache-2.0
 *
 * Reassembly. Overlaps are tolerated: bytes that are already held win.
 */
#include "transport/receive_buffer.h"

#include "base/memory.h"

static uint64_t run_end(const struct receive_run *run)
{
    return run->offset + run->bytes.bytes;
}

void receive_buffer_clear(struct receive_buffer *buffer)
{
    slice_queue_clear(&buffer->ready);
    for (uint32_t i = 0; i < buffer->run_count; i++)
        slice_queue_clear(&buffer->runs[i].bytes);
    memory_free(buffer->runs);
    *buffer = (struct receive_buffer){0};
}

static void remove_run(struct receive_buffer *buffer, uint32_t at)
{
    slice_queue_clear(&buffer->runs[at].bytes);
    buffer->run_count--;
    memmove(buffer->runs + at, buffer->runs + at + 1,
            (buffer->run_count - at) * sizeof *buffer->runs);
    if (!buffer->run_count) {
        memory_free(buffer->runs);
        buffer->runs = NULL;
        buffer->run_capacity = 0;
    }
}

static struct receive_run *insert_run(struct receive_buffer *buffer, uint32_t at, uint64_t offset)
{
    if (buffer->run_count == buffer->run_capacity) {
        buffer->run_capacity = buffer->run_capacity ? buffer->run_capacity * 2 : 4;
        buffer->runs = memory_resize(buffer->runs, buffer->run_capacity, sizeof *buffer->runs);
    }
    memmove(buffer->runs + at + 1, buffer->runs + at,
            (buffer->run_count - at) * sizeof *buffer->runs);
    buffer->run_count++;
    buffer->runs[at] = (struct receive_run){.offset = offset};
    return &buffer->runs[at];
}

/* First run that ends at or behind `offset`. */
static uint32_t find_run(const struct receive_buffer *buffer, uint64_t offset)
{
    uint32_t low = 0, high = buffer->run_count;
    if (high && run_end(&buffer->runs[high - 1]) < offset)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run_end(&buffer->runs[middle]) < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Runs that `next` has reached follow into the ready bytes. */
static void advance(struct receive_buffer *buffer)
{
    while (buffer->run_count && buffer->runs[0].offset <= buffer->next) {
        struct receive_run *run = &buffer->runs[0];
        uint64_t end = run_end(run);
        if (end > buffer->next) {
            slice_queue_consume(&run->bytes, buffer->next - run->offset);
            slice_queue_move(&buffer->ready, &run->bytes);
            buffer->next = end;
        }
        remove_run(buffer, 0);
    }
}

/* Keeps bytes that start behind `next`. The run before may be extended; runs behind are joined
 * or cut. */
static int keep(struct receive_buffer *buffer, uint64_t offset, struct span data)
{
    uint32_t at = find_run(buffer, offset);
    bool extends = at < buffer->run_count && buffer->runs[at].offset <= offset;
    if (extends) {
        uint64_t held = run_end(&buffer->runs[at]) - offset;
        if (held >= data.length)
            return 0;
        data = span_from(data, (size_t)held);
        offset += held;
    } else {
        if (buffer->run_count >= RECEIVE_RUNS_MAX)
            return ERROR_AGAIN;
        insert_run(buffer, at, offset);
    }
    uint64_t end = offset + data.length;
    slice_queue_append(&buffer->runs[at].bytes, data);
    while (at + 1 < buffer->run_count && buffer->runs[at + 1].offset <= end) {
        struct receive_run *after = &buffer->runs[at + 1];
        uint64_t overlap = end - after->offset;
        if (overlap < after->bytes.bytes) {
            slice_queue_consume(&after->bytes, overlap);
            slice_queue_move(&buffer->runs[at].bytes, &after->bytes);
            end = run_end(&buffer->runs[at]);
        }
        remove_run(buffer, at + 1);
    }
    return 0;
}

int receive_buffer_add(struct receive_buffer *buffer, uint64_t offset, struct span data, bool fin)
{
    uint64_t end = offset + data.length;
    if (end > buffer->limit)
        return ERROR_LIMIT;
    if (buffer->has_final ? end > buffer->final_size || (fin && end != buffer->final_size)
                          : fin && end < buffer->highest)
        return ERROR_INVALID;
    if (end > buffer->next) {
        if (offset <= buffer->next) {
            slice_queue_append(&buffer->ready, span_from(data, (size_t)(buffer->next - offset)));
            buffer->next = end;
            advance(buffer);
        } else if (data.length) {
            int error = keep(buffer, offset, data);
            if (error)
                return error;
        }
    }
    if (end > buffer->highest)
        buffer->highest = end;
    if (fin) {
        buffer->has_final = true;
        buffer->final_size = end;
    }
    return 0;
}

bool receive_buffer_take(struct receive_buffer *buffer, struct slice_queue *bytes, uint64_t limit)
{
    if (limit >= buffer->ready.bytes) {
        buffer->taken += buffer->ready.bytes;
        slice_queue_move(bytes, &buffer->ready);
    } else {
        buffer->taken += limit;
        while (limit) {
            struct slice slice =
                slice_queue_pop(&buffer->ready, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
            limit -= slice.length;
            slice_queue_push(bytes, slice);
        }
    }
    if (receive_buffer_is_complete(buffer) && buffer->taken == buffer->final_size)
        buffer->end_taken = true;
    return buffer->end_taken;
}
