/* SPDX-License-Identifier: Apache-2.0
 *
 * Room is given out by moving `head`; a record becomes visible by its header, which is written
 * last.
 */
#include "observe/ring.h"

#include "base/error.h"
#include "base/memory.h"

enum { HEADER_BYTES = 8 };

/* Header word: bit 31 complete, bit 30 nothing but a gap; length below. */
static const uint32_t complete = 1u << 31, gap = 1u << 30, length_mask = (1u << 30) - 1;

void ring_init(struct ring *ring, uint64_t size)
{
    INVARIANT(size >= 64 && (size & (size - 1)) == 0 && size < gap);
    ring->bytes = memory_new(size);
    ring->size = size;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
}

void ring_clear(struct ring *ring)
{
    memory_free(ring->bytes);
    ring->bytes = NULL;
}

static _Atomic uint32_t *header_at(const struct ring *ring, uint64_t position)
{
    return (_Atomic uint32_t *)(void *)(ring->bytes + (position & (ring->size - 1)));
}

static uint64_t room_of(size_t length)
{
    return (HEADER_BYTES + length + 7) & ~(uint64_t)7;
}

bool ring_put(struct ring *ring, struct span record)
{
    INVARIANT(record.length <= ring->size / 4);
    uint64_t room = room_of(record.length), skipped, next;
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    do {
        uint64_t to_end = ring->size - (head & (ring->size - 1));
        skipped = to_end < room ? to_end : 0;
        next = head + skipped + room;
        /* acquire: the reader zeroed what it gave back */
        if (next - atomic_load_explicit(&ring->tail, memory_order_acquire) > ring->size)
            return false;
    } while (!atomic_compare_exchange_weak(&ring->head, &head, next));
    if (skipped)
        atomic_store_explicit(header_at(ring, head),
                              complete | gap | (uint32_t)(skipped - HEADER_BYTES),
                              memory_order_release);
    head += skipped;
    memcpy(ring->bytes + (head & (ring->size - 1)) + HEADER_BYTES, record.data, record.length);
    atomic_store_explicit(header_at(ring, head), complete | (uint32_t)record.length,
                          memory_order_release);
    return true;
}

static void give_back(struct ring *ring, uint64_t tail, size_t length)
{
    uint64_t room = room_of(length);
    memset(ring->bytes + (tail & (ring->size - 1)), 0, room);
    atomic_store_explicit(&ring->tail, tail + room, memory_order_release);
}

bool ring_front(struct ring *ring, struct span *record)
{
    for (;;) {
        uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        uint32_t header = atomic_load_explicit(header_at(ring, tail), memory_order_acquire);
        if (!(header & complete))
            return false;
        uint32_t length = header & length_mask;
        if (!(header & gap)) {
            *record = span_of(ring->bytes + (tail & (ring->size - 1)) + HEADER_BYTES, length);
            return true;
        }
        give_back(ring, tail, length);
    }
}

void ring_pop(struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    give_back(ring, tail,
              atomic_load_explicit(header_at(ring, tail), memory_order_relaxed) & length_mask);
}

bool ring_is_empty(const struct ring *ring)
{
    return atomic_load(&ring->head) == atomic_load_explicit(&ring->tail, memory_order_relaxed);
}
