/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks come from small per-thread caches of two sizes, whichever thread freed them.
 */
#include "base/slice.h"

#include "base/error.h"
#include "base/memory.h"

enum {
    CHUNK_CACHE_LIMIT = 256, /* chunks kept per thread: 4 MiB */
    SMALL_CACHE_LIMIT = 1024,
    SMALL_BYTES = 512, /* a copy starts a new chunk only for at least so much room */
    /* What comes in so small pieces joins the chunk before it, lest a peer that sends bit by bit makes us hold a chunk for each bit:
     * of a queue, and of what was read into a chunk of its own. */
    TINY_BYTES = 64,
    READ_LITTLE_BYTES = CHUNK_BYTES / 8,
};

struct chunk_cache {
    struct chunk *first;
    uint32_t count;
};

static _Thread_local struct chunk_cache ordinary, small;

struct chunk *chunk_new_sized(uint32_t bytes)
{
    struct chunk *chunk = memory_raw(sizeof *chunk + bytes);
    atomic_init(&chunk->references, 1);
    chunk->capacity = bytes;
    chunk->filled = 0;
    chunk->next_free = NULL;
    return chunk;
}

static struct chunk *take(struct chunk_cache *cache, uint32_t bytes)
{
    struct chunk *chunk = cache->first;
    if (!chunk)
        return chunk_new_sized(bytes);
    cache->first = chunk->next_free;
    cache->count--;
    atomic_store_explicit(&chunk->references, 1, memory_order_relaxed);
    chunk->filled = 0;
    return chunk;
}

static void keep_or_free(struct chunk_cache *cache, uint32_t limit, struct chunk *chunk)
{
    if (cache->count == limit) {
        memory_free(chunk);
        return;
    }
    chunk->next_free = cache->first;
    cache->first = chunk;
    cache->count++;
}

struct chunk *chunk_new(void)
{
    return take(&ordinary, CHUNK_BYTES);
}

/* For a few bytes, or for up to CHUNK_BYTES of them. */
static struct chunk *chunk_for(size_t bytes)
{
    return bytes < SMALL_BYTES ? take(&small, SMALL_BYTES) : chunk_new();
}

void chunk_retain(struct chunk *chunk)
{
    atomic_fetch_add_explicit(&chunk->references, 1, memory_order_relaxed);
}

void chunk_release(struct chunk *chunk)
{
    if (atomic_fetch_sub_explicit(&chunk->references, 1, memory_order_acq_rel) != 1)
        return;
    if (chunk->capacity == CHUNK_BYTES)
        keep_or_free(&ordinary, CHUNK_CACHE_LIMIT, chunk);
    else if (chunk->capacity == SMALL_BYTES)
        keep_or_free(&small, SMALL_CACHE_LIMIT, chunk);
    else
        memory_free(chunk);
}

static void drain(struct chunk_cache *cache)
{
    while (cache->first) {
        struct chunk *chunk = cache->first;
        cache->first = chunk->next_free;
        memory_free(chunk);
    }
    cache->count = 0;
}

void chunk_cache_drain(void)
{
    drain(&ordinary);
    drain(&small);
}

struct slice slice_retain(struct slice slice)
{
    chunk_retain(slice.chunk);
    return slice;
}

struct slice slice_copy(struct span span)
{
    struct chunk *chunk = span.length <= CHUNK_BYTES && span.length > CHUNK_BYTES / 4
                              ? chunk_new()
                              : chunk_new_sized((uint32_t)span.length);
    if (span.length)
        memcpy(chunk->data, span.data, span.length);
    chunk->filled = (uint32_t)span.length;
    return (struct slice){chunk, 0, (uint32_t)span.length};
}

void slice_release(struct slice *slice)
{
    if (slice->chunk)
        chunk_release(slice->chunk);
    *slice = (struct slice){0};
}

static struct slice *slice_at(const struct slice_queue *queue, uint32_t index)
{
    return queue->ring ? &queue->ring[(queue->head + index) & (queue->capacity - 1)]
                       : (struct slice *)(uintptr_t)&queue->only;
}

static void grow(struct slice_queue *queue)
{
    uint32_t capacity = queue->ring ? queue->capacity * 2 : 4;
    struct slice *ring = memory_resize(NULL, capacity, sizeof *ring);
    for (uint32_t i = 0; i < queue->count; i++)
        ring[i] = *slice_at(queue, i);
    memory_free(queue->ring);
    queue->ring = ring;
    queue->head = 0;
    queue->capacity = capacity;
}

static void drop_front(struct slice_queue *queue)
{
    queue->head++;
    queue->count--;
}

/* Behind the last slice, where its chunk has room that nobody else can see; false: it has not. */
static bool join(struct slice_queue *queue, const struct slice *slice)
{
    struct slice *last = slice_at(queue, queue->count - 1);
    struct chunk *chunk = last->chunk;
    uint32_t end = last->offset + last->length;
    if (end != chunk->filled || chunk->capacity - end < slice->length || !chunk_is_sole(chunk))
        return false;
    memcpy(chunk->data + end, slice_data(slice), slice->length);
    chunk->filled += slice->length;
    last->length += slice->length;
    queue->bytes += slice->length;
    return true;
}

void slice_queue_push(struct slice_queue *queue, struct slice slice)
{
    if (!slice.length || (slice.length <= TINY_BYTES && queue->count && join(queue, &slice))) {
        slice_release(&slice);
        return;
    }
    if (queue->count == (queue->ring ? queue->capacity : 1))
        grow(queue);
    *slice_at(queue, queue->count++) = slice;
    queue->bytes += slice.length;
}

void slice_queue_push_read(struct slice_queue *queue, struct chunk *chunk)
{
    struct slice slice = {chunk, 0, chunk->filled};
    if (slice.length <= READ_LITTLE_BYTES && queue->count && slice.length && join(queue, &slice))
        slice_release(&slice);
    else
        slice_queue_push(queue, slice);
}

/* As much as the last chunk takes; the rest is returned. */
static struct span fill_last(struct slice_queue *queue, struct span span)
{
    if (!queue->count || !span.length)
        return span;
    struct slice *last = slice_at(queue, queue->count - 1);
    struct chunk *chunk = last->chunk;
    uint32_t end = last->offset + last->length;
    if (end != chunk->filled || end == chunk->capacity || !chunk_is_sole(chunk))
        return span;
    uint32_t room = chunk->capacity - end;
    uint32_t length = span.length < room ? (uint32_t)span.length : room;
    memcpy(chunk->data + end, span.data, length);
    chunk->filled += length;
    last->length += length;
    queue->bytes += length;
    return span_from(span, length);
}

/* The front of the span in a chunk of its own; the rest is returned. */
static struct span fill_new(struct slice_queue *queue, struct chunk *chunk, struct span span)
{
    uint32_t length = span.length < chunk->capacity ? (uint32_t)span.length : chunk->capacity;
    memcpy(chunk->data, span.data, length);
    chunk->filled = length;
    slice_queue_push(queue, (struct slice){chunk, 0, length});
    return span_from(span, length);
}

void slice_queue_append(struct slice_queue *queue, struct span span)
{
    span = fill_last(queue, span);
    while (span.length)
        span = fill_new(queue, chunk_for(span.length), span);
}

void slice_queue_gather(struct slice_queue *queue, struct span span)
{
    span = fill_last(queue, span);
    while (span.length)
        span = fill_new(queue, chunk_new(), span);
}

uint8_t *slice_queue_extend(struct slice_queue *queue, uint32_t length)
{
    if (queue->count) {
        struct slice *last = slice_at(queue, queue->count - 1);
        struct chunk *chunk = last->chunk;
        uint32_t end = last->offset + last->length;
        if (end == chunk->filled && chunk->capacity - end >= length && chunk_is_sole(chunk)) {
            chunk->filled += length;
            last->length += length;
            queue->bytes += length;
            return chunk->data + end;
        }
    }
    struct chunk *chunk = length <= CHUNK_BYTES ? chunk_for(length) : chunk_new_sized(length);
    chunk->filled = length;
    slice_queue_push(queue, (struct slice){chunk, 0, length});
    return chunk->data;
}

void slice_queue_trim(struct slice_queue *queue, uint32_t length)
{
    struct slice *last = slice_at(queue, queue->count - 1);
    INVARIANT(last->length > length && chunk_is_sole(last->chunk));
    last->chunk->filled -= length;
    last->length -= length;
    queue->bytes -= length;
}

void slice_queue_move(struct slice_queue *to, struct slice_queue *from)
{
    if (!to->count) {
        struct slice_queue empty = *to;
        *to = *from;
        *from = empty;
        return;
    }
    while (from->count)
        slice_queue_push(to, slice_queue_pop(from, UINT32_MAX));
}

struct slice slice_queue_pop(struct slice_queue *queue, uint32_t limit)
{
    INVARIANT(queue->count > 0);
    struct slice *front = slice_at(queue, 0);
    struct slice popped = *front;
    if (front->length <= limit) {
        drop_front(queue);
    } else {
        chunk_retain(popped.chunk);
        popped.length = limit;
        front->offset += limit;
        front->length -= limit;
    }
    queue->bytes -= popped.length;
    return popped;
}

void slice_queue_consume(struct slice_queue *queue, uint64_t bytes)
{
    INVARIANT(bytes <= queue->bytes);
    queue->bytes -= bytes;
    while (bytes) {
        struct slice *front = slice_at(queue, 0);
        if (front->length > bytes) {
            front->offset += (uint32_t)bytes;
            front->length -= (uint32_t)bytes;
            return;
        }
        bytes -= front->length;
        slice_release(front);
        drop_front(queue);
    }
}

void slice_queue_clear(struct slice_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++)
        slice_release(slice_at(queue, i));
    memory_free(queue->ring);
    *queue = (struct slice_queue){0};
}

struct span slice_queue_front(const struct slice_queue *queue)
{
    if (!queue->count)
        return (struct span){0};
    const struct slice *front = slice_at(queue, 0);
    return span_of(slice_data(front), front->length);
}

int slice_queue_vectors(const struct slice_queue *queue, struct iovec *vectors, int limit)
{
    int count = 0;
    for (uint32_t i = 0; i < queue->count && count < limit; i++) {
        const struct slice *slice = slice_at(queue, i);
        vectors[count].iov_base = slice->chunk->data + slice->offset;
        vectors[count++].iov_len = slice->length;
    }
    return count;
}

size_t slice_queue_peek(const struct slice_queue *queue, uint64_t offset, uint8_t *out,
                        size_t length)
{
    size_t done = 0;
    for (uint32_t i = 0; i < queue->count && done < length; i++) {
        const struct slice *slice = slice_at(queue, i);
        if (offset >= slice->length) {
            offset -= slice->length;
            continue;
        }
        size_t part = slice->length - (size_t)offset;
        if (part > length - done)
            part = length - done;
        memcpy(out + done, slice_data(slice) + offset, part);
        done += part;
        offset = 0;
    }
    return done;
}
