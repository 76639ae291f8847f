/* SPDX-License-Identifier: Apache-2.0
 *
 * The outgoing half of a stream: bytes wait here by reference until they are acknowledged, and are
 * copied only when a packet is built (late binding). Knows what is unsent, lost or acknowledged;
 * knows nothing of packets.
 *
 *     base             next                     end
 *      |  in flight, lost |  unsent (up to limit) |
 */
#ifndef TRANSPORT_SEND_BUFFER_H
#define TRANSPORT_SEND_BUFFER_H

#include "base/slice.h"
#include "transport/ranges.h"

struct send_piece {
    struct slice slice;
    uint64_t offset; /* in the stream */
};

/* Most streams never have any. */
struct send_gaps {
    struct ranges acked; /* at or behind base */
    struct ranges lost;  /* to be sent again */
};

/* Zero-initialised is empty and open. */
struct send_buffer {
    struct send_piece *pieces;      /* ring */
    uint32_t head, count, capacity; /* capacity is a power of two */
    uint32_t cursor;                /* running index of the piece last copied from */
    uint64_t base, next, end, limit;
    uint64_t lost_bytes;
    bool is_finished; /* no byte will follow end */
    bool fin_sent, fin_lost, fin_acked;
    struct send_gaps *gaps; /* NULL: nothing was lost, and acknowledged in order */
};

void send_buffer_clear(struct send_buffer *buffer); /* drops everything */
void send_buffer_write(struct send_buffer *buffer, struct slice_queue *bytes); /* takes all */
/* Gives all of it back, in order; the buffer is empty then. Untouched ones only. */
void send_buffer_take_back(struct send_buffer *buffer, struct slice_queue *bytes);

static inline uint64_t send_buffer_unsent(const struct send_buffer *buffer)
{
    return buffer->end - buffer->next;
}

/* Unsent bytes that the credit allows. */
static inline uint64_t send_buffer_sendable(const struct send_buffer *buffer)
{
    uint64_t most = buffer->limit < buffer->end ? buffer->limit : buffer->end;
    return most > buffer->next ? most - buffer->next : 0;
}

/* Whether an end that the peer has not been told (or not heard of) can go now. */
static inline bool send_buffer_wants_fin(const struct send_buffer *buffer)
{
    return buffer->is_finished && buffer->next == buffer->end && !buffer->fin_acked &&
           (!buffer->fin_sent || buffer->fin_lost);
}

static inline bool send_buffer_is_done(const struct send_buffer *buffer)
{
    return buffer->is_finished && buffer->fin_acked && buffer->base == buffer->end;
}

/* Data or an end is not acknowledged yet. */
static inline bool send_buffer_is_busy(const struct send_buffer *buffer)
{
    return buffer->base < buffer->end || (buffer->is_finished && !buffer->fin_acked);
}

/* Neither a byte nor the end was ever put into a packet. */
static inline bool send_buffer_is_untouched(const struct send_buffer *buffer)
{
    return !buffer->next && !buffer->fin_sent;
}

/* Brings what send_buffer_copy() will read next into the cache. */
void send_buffer_prefetch(const struct send_buffer *buffer);

/* The next run to send again: up to `limit` bytes. buffer->lost_bytes > 0. */
struct range send_buffer_next_lost(const struct send_buffer *buffer, uint64_t limit);

/* Copies [offset, offset + length) of the held bytes. */
void send_buffer_copy(struct send_buffer *buffer, uint64_t offset, uint32_t length, uint8_t *out);

/* [offset, offset + length) was put into a packet; `fin`: the end with it. */
void send_buffer_sent(struct send_buffer *buffer, uint64_t offset, uint32_t length, bool fin);
void send_buffer_acked(struct send_buffer *buffer, uint64_t offset, uint32_t length, bool fin);
void send_buffer_lost(struct send_buffer *buffer, uint64_t offset, uint32_t length, bool fin);

#endif
