/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams beside a stream's bytes (T12). A flow is a stream that was opened for them: it has a ring and a site and is hosted as any
 * other, its datagrams take turns in the blender and are congestion controlled; but they are never sent again, and those that
 * waited too long are dropped. The stream's bytes say what the flow is for; the stream ends by a reset only.
 */
#include "transport/lane.h"

#include "base/memory.h"

struct stream_flow *stream_flow_new(struct transport_stream *stream)
{
    struct stream_flow *flow = NEW(struct stream_flow);
    flow->turn = (struct stream_turn){.stream = stream, .is_datagram = true};
    stream->flow = flow;
    return flow;
}

void flow_free(struct transport_stream *stream)
{
    struct stream_flow *flow = stream->flow;
    if (!flow)
        return;
    blender_leave(&stream->transport->blender, &flow->turn.buffer);
    stream->transport->flow_unread -= flow->in.memory_bytes;
    datagram_queue_clear(&flow->out);
    datagram_queue_clear(&flow->in);
    memory_free(flow);
    stream->flow = NULL;
}

/* What the blender counts for it: zero-length datagrams take room, too. */
static uint64_t waiting(const struct datagram_queue *queue)
{
    return queue->bytes + queue->count * FLOW_FRAME_BYTES;
}

void flow_update(struct transport_stream *stream)
{
    struct stream_flow *flow = stream->flow;
    struct transport *transport = stream->transport;
    transport->counters.flow_late += datagram_queue_expire(&flow->out, transport->now_ns);
    if (!flow->turn.buffer.is_member)
        blender_join(&transport->blender, &flow->turn.buffer, stream->open.site, stream->open.ring,
                     stream->open.weight);
    blender_set_waiting(&transport->blender, &flow->turn.buffer, waiting(&flow->out));
}

uint32_t flow_most_bytes(const struct transport *transport)
{
    return lane_packet_bytes(transport) - PACKET_OVERHEAD_BYTES - FLOW_FRAME_BYTES;
}

/* Takes the datagram; returns how many had to go. A flow that finds no room makes it from its own: the others' are not the
 * price of one that is not read. */
static uint32_t keep_unread(struct transport *transport, struct datagram_queue *queue,
                            struct slice *datagram)
{
    uint32_t dropped = 0, memory_bytes = datagram_memory(datagram);
    uint64_t others = transport->flow_unread - queue->memory_bytes;
    for (; queue->count && others + queue->memory_bytes + memory_bytes > FLOW_UNREAD_LIMIT;
         dropped++) {
        struct slice oldest = datagram_queue_pop(queue);
        slice_release(&oldest);
    }
    if (others + queue->memory_bytes + memory_bytes > FLOW_UNREAD_LIMIT) {
        slice_release(datagram);
        dropped++;
    } else {
        dropped += datagram_queue_push(queue, datagram, UINT64_MAX);
    }
    transport->flow_unread = others + queue->memory_bytes;
    return dropped;
}

int flow_on_datagram(struct transport_stream *stream, struct span data)
{
    struct transport *transport = stream->transport;
    if (stream->is_opened && !stream_is_flow(stream))
        return ERROR_INVALID;
    struct stream_flow *flow = stream->flow ? stream->flow : stream_flow_new(stream);
    transport->counters.flow_received++;
    if (stream->is_released)
        return 0;
    struct slice datagram = slice_copy(data);
    transport->counters.flow_overflowed += keep_unread(transport, &flow->in, &datagram);
    if (stream->is_opened)
        event_stream(stream, STREAM_EVENT_READABLE);
    return 0;
}

/* ---- the caller's calls */

uint32_t transport_datagram_most(const struct transport *transport)
{
    return flow_most_bytes(transport);
}

int transport_datagram_write(struct transport_stream *stream, struct slice *datagram,
                             uint64_t now_ns)
{
    struct transport *transport = stream->transport;
    if (now_ns > transport->now_ns)
        transport->now_ns = now_ns;
    int result = 0;
    if (stream->is_reset || !stream->is_opened || !stream_is_flow(stream)) {
        result = ERROR_CLOSED;
    } else if (datagram->length > flow_most_bytes(transport)) {
        transport->counters.flow_too_large++;
        result = ERROR_LIMIT;
    } else {
        struct stream_flow *flow = stream->flow ? stream->flow : stream_flow_new(stream);
        uint64_t lifetime_ns = stream->open.lifetime_ms * 1000000ull;
        transport->counters.flow_late += datagram_queue_expire(&flow->out, transport->now_ns);
        transport->counters.flow_overflowed +=
            datagram_queue_push(&flow->out, datagram,
                                lifetime_ns ? transport->now_ns + lifetime_ns : UINT64_MAX);
        stream_update(stream);
    }
    slice_release(datagram);
    return result;
}

bool transport_datagram_read(struct transport_stream *stream, struct slice *datagram)
{
    if (!stream->flow || !stream->flow->in.count)
        return false;
    *datagram = datagram_queue_pop(&stream->flow->in);
    stream->transport->flow_unread -= datagram_memory(datagram);
    return true;
}
