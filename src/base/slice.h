/* SPDX-License-Identifier: Apache-2.0
 *
 * Counted bytes on their way between sockets: a chunk is a block of memory with a reference count, a slice is
 * one counted reference to a part of it, a slice queue is a byte stream made of slices. What is read from a
 * socket is written to others without being copied; references may cross threads, contents are immutable once
 * shared (whoever holds the only reference may still append).
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/span.h"

#include <stdatomic.h>
#include <sys/uio.h>

enum { CHUNK_BYTES = 16384 }; /* data bytes of an ordinary chunk */

struct chunk {
    _Atomic uint32_t references;
    uint32_t capacity;
    uint32_t filled; /* bytes in use from the front; only the sole holder moves it */
    struct chunk *next_free;
    uint8_t data[];
};

struct chunk *chunk_new(void); /* CHUNK_BYTES, from this thread's cache; one reference */
struct chunk *chunk_new_sized(uint32_t bytes); /* straight from the heap */
void chunk_retain(struct chunk *chunk);
void chunk_release(struct chunk *chunk);
void chunk_cache_drain(
    void); /* frees this thread's caches (at most 4.5 MiB); call it at thread end */

static inline bool chunk_is_sole(struct chunk *chunk)
{
    return atomic_load_explicit(&chunk->references, memory_order_acquire) == 1;
}

/* Owns one reference of `chunk`. */
struct slice {
    struct chunk *chunk;
    uint32_t offset, length;
};

static inline const uint8_t *slice_data(const struct slice *slice)
{
    return slice->chunk->data + slice->offset;
}

struct slice slice_retain(struct slice slice); /* a second reference to the same bytes */
struct slice slice_copy(struct span span);     /* a new chunk; at most UINT32_MAX bytes */
void slice_release(struct slice *slice);       /* nulls it */

/* A FIFO of bytes. Zero-initialised is empty. */
struct slice_queue {
    struct slice *ring; /* when there has been more than one */
    struct slice only;
    uint32_t head, count, capacity; /* of the ring: a power of two */
    uint64_t bytes;
};

void slice_queue_clear(struct slice_queue *queue); /* releases everything and the table */
void slice_queue_push(struct slice_queue *queue, struct slice slice); /* takes the reference */
/* Takes a chunk that was read into; little joins the last chunk, so that a trickle does not hold a chunk for each read. */
void slice_queue_push_read(struct slice_queue *queue, struct chunk *chunk);
void slice_queue_append(struct slice_queue *queue,
                        struct span span); /* copies; fills the last chunk where it may */
void slice_queue_gather(struct slice_queue *queue,
                        struct span span); /* likewise, where much more is to follow: a new chunk
                                              is an ordinary one */
uint8_t *slice_queue_extend(struct slice_queue *queue,
                            uint32_t length); /* `length` bytes more, in one piece, for the caller
                                                 to fill in before anything else happens */
void slice_queue_trim(
    struct slice_queue *queue,
    uint32_t length); /* takes back so many of the bytes that extend gave just now */
void slice_queue_move(struct slice_queue *to,
                      struct slice_queue *from); /* everything; `from` is left empty */
void slice_queue_consume(struct slice_queue *queue,
                         uint64_t bytes); /* drops from the front; bytes <= queue->bytes */
struct slice
slice_queue_pop(struct slice_queue *queue,
                uint32_t limit); /* up to `limit` bytes of the front slice; queue not empty */

/* The front slice's bytes, valid until the queue changes; empty when the queue is. */
struct span slice_queue_front(const struct slice_queue *queue);

/* Fills up to `limit` vectors from the front; returns their number. */
int slice_queue_vectors(const struct slice_queue *queue, struct iovec *vectors, int limit);

/* Copies up to `length` bytes starting `offset` bytes behind the front; returns how many. */
size_t slice_queue_peek(const struct slice_queue *queue, uint64_t offset, uint8_t *out,
                        size_t length);

#endif
