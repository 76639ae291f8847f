/* SPDX-License-Identifier: Apache-2.0
 *
 * Queues of datagrams.
 */
#include "transport/datagrams.h"

#include "base/error.h"
#include "base/memory.h"

uint32_t datagram_memory(const struct slice *datagram)
{
    return datagram->chunk ? (uint32_t)sizeof *datagram->chunk + datagram->chunk->capacity : 0;
}

void datagram_queue_clear(struct datagram_queue *queue)
{
    while (queue->count) {
        struct slice gone = datagram_queue_pop(queue);
        slice_release(&gone);
    }
    memory_free(queue->ring);
    *queue = (struct datagram_queue){0};
}

bool datagram_queue_push(struct datagram_queue *queue, struct slice *datagram, uint64_t expires_ns)
{
    if (!queue->ring)
        queue->ring = memory_new(DATAGRAMS_LIMIT * sizeof *queue->ring);
    bool is_full = queue->count == DATAGRAMS_LIMIT;
    if (is_full) {
        struct slice oldest = datagram_queue_pop(queue);
        slice_release(&oldest);
    }
    queue->ring[(queue->head + queue->count++) % DATAGRAMS_LIMIT] =
        (struct datagram){*datagram, expires_ns};
    queue->bytes += datagram->length;
    queue->memory_bytes += datagram_memory(datagram);
    *datagram = (struct slice){0};
    return is_full;
}

uint32_t datagram_queue_expire(struct datagram_queue *queue, uint64_t now_ns)
{
    uint32_t dropped = 0;
    for (; queue->count && queue->ring[queue->head].expires_ns <= now_ns; dropped++) {
        struct slice late = datagram_queue_pop(queue);
        slice_release(&late);
    }
    return dropped;
}

const struct slice *datagram_queue_front(const struct datagram_queue *queue)
{
    return queue->count ? &queue->ring[queue->head].bytes : NULL;
}

struct slice datagram_queue_pop(struct datagram_queue *queue)
{
    INVARIANT(queue->count > 0);
    struct slice first = queue->ring[queue->head].bytes;
    queue->memory_bytes -= datagram_memory(&first);
    queue->head = (queue->head + 1) % DATAGRAMS_LIMIT;
    queue->count--;
    queue->bytes -= first.length;
    return first;
}
