/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream's life: opened by either end, two independent halves that end each for itself or both at
 * once by a reset, kept until the peer knows all that it must know, then freed. Its id is never
 * used again.
 */
#include "transport/lane.h"

#include "base/memory.h"

_Static_assert(offsetof(struct transport_stream, in) <= 4 * CACHE_LINE_BYTES &&
                   offsetof(struct transport_stream, hosting) <= 7 * CACHE_LINE_BYTES,
               "a stream's halves take four lines of the cache each, one of them together");

struct transport_stream *stream_new(struct transport *transport, uint64_t id, bool is_own)
{
    struct transport_stream *stream = memory_new_aligned(sizeof *stream);
    stream->transport = transport;
    stream->id = id;
    stream->is_own = is_own;
    stream->out.limit = transport->peer_window;
    stream->fresh.stream = stream;
    list_init(&stream->event_link);
    list_init(&stream->control_link);
    list_push_back(&transport->streams, &stream->all_link);
    stream_table_put(&transport->table, id, stream);
    if (is_own)
        transport->own_open++;
    else
        transport->peer_open++;
    return stream;
}

/* Bytes of both halves go; what the peer must still be told stays. */
static void drop_bytes(struct transport_stream *stream)
{
    struct transport *transport = stream->transport;
    blender_leave(&transport->blender, &stream->fresh.buffer);
    if (stream->resend)
        blender_leave(&transport->blender, &stream->resend->buffer);
    stream->is_resending = false;
    hosting_leave(&transport->hosting, &stream->hosting);
    stream->is_busy = false;
    credit_close(&transport->credit, &stream->credit);
    flow_free(stream);
    stream_order_leave(stream);
    send_buffer_clear(&stream->out);
    receive_buffer_clear(&stream->in);
}

void stream_free(struct transport_stream *stream)
{
    struct transport *transport = stream->transport;
    LANE_TRACE(transport, STREAM_CLOSED, 0, stream->id, stream->code, stream->out.end,
               stream->in.next);
    drop_bytes(stream);
    list_remove(&stream->event_link);
    list_remove(&stream->control_link);
    list_remove(&stream->all_link);
    if (!stream->is_detached) {
        stream_table_remove(&transport->table, stream->id);
        if (stream->is_own)
            transport->own_open--;
        else
            transport->peer_open--;
    }
    memory_free(stream->resend);
    memory_free(stream);
}

void stream_owe(struct transport_stream *stream, enum stream_control control)
{
    if (!stream->control)
        list_push_back(&stream->transport->controls, &stream->control_link);
    stream->control |= (uint8_t)control;
}

void stream_pay(struct transport_stream *stream, uint8_t control)
{
    stream->control &= (uint8_t)~control;
    if (!stream->control)
        list_remove(&stream->control_link);
}

static bool is_over(const struct transport_stream *stream)
{
    if (stream->is_reset)
        return !stream->control && !stream->control_unacked;
    return send_buffer_is_done(&stream->out) && receive_buffer_is_complete(&stream->in) &&
           !(stream->control_unacked & CONTROL_OPEN) && !(stream->control & CONTROL_OPEN) &&
           !stream_is_flow(stream);
}

void stream_settle(struct transport_stream *stream)
{
    if (stream->is_detached || !is_over(stream))
        return;
    if (stream->is_released) {
        if (!stream->references)
            stream_free(stream);
    } else if (!stream->is_reset && stream->in.end_taken) {
        event_stream(stream, STREAM_EVENT_DONE);
    }
}

void stream_drop_reference(struct transport_stream *stream)
{
    INVARIANT(stream->references > 0);
    if (!--stream->references)
        stream_settle(stream);
}

/* Room for the caller's bytes: two times the stream's share of the window. */
static uint64_t room_limit(const struct transport *transport)
{
    uint64_t hosted = transport->hosted ? transport->hosted : 1;
    uint64_t share = 2 * lane_window_bytes(transport) / hosted;
    return share > LANE_STREAM_ROOM_MIN ? share : LANE_STREAM_ROOM_MIN;
}

/* The place stays until the stream goes: the builder may have it in hand when the last lost byte is sent. */
static void join_resend(struct transport_stream *stream)
{
    if (!stream->resend) {
        stream->resend = NEW(struct stream_turn);
        stream->resend->stream = stream;
        stream->resend->is_resend = true;
    }
    blender_join(&stream->transport->blender, &stream->resend->buffer, stream->open.site,
                 stream->open.ring, stream->open.weight);
    stream->is_resending = true;
}

void stream_update(struct transport_stream *stream)
{
    struct transport *transport = stream->transport;
    struct send_buffer *out = &stream->out;
    if (stream->is_reset || !stream->is_opened)
        return;
    blender_set_waiting(&transport->blender, &stream->fresh.buffer, send_buffer_sendable(out));
    if (out->lost_bytes) {
        /* A newcomer stands one ring higher at first: so do bytes that are sent again. */
        if (!stream->is_resending)
            join_resend(stream);
        blender_set_waiting(&transport->blender, &stream->resend->buffer, out->lost_bytes);
    } else if (stream->is_resending) {
        blender_leave(&transport->blender, &stream->resend->buffer);
        stream->is_resending = false;
    }
    if (send_buffer_wants_fin(out) && !out->lost_bytes)
        stream_owe(stream, CONTROL_FIN);
    else if (stream->control & CONTROL_FIN)
        stream_pay(stream, CONTROL_FIN);
    if (stream->flow)
        flow_update(stream);
    bool is_busy = send_buffer_is_busy(out) || (stream->flow && stream->flow->out.count);
    if (stream->is_busy != is_busy) {
        stream->is_busy = is_busy;
        hosting_set_busy(&transport->hosting, &stream->hosting, is_busy, transport->now_ns);
    }
    if (stream->wants_room && send_buffer_unsent(out) < room_limit(transport) / 2) {
        stream->wants_room = false;
        event_stream(stream, STREAM_EVENT_WRITABLE);
    }
}

void stream_set_standing(struct transport_stream *stream)
{
    struct blender *blender = &stream->transport->blender;
    const struct transport_open *open = &stream->open;
    blender_set_ring(blender, &stream->fresh.buffer, open->ring, open->weight);
    if (stream->is_resending)
        blender_set_ring(blender, &stream->resend->buffer, open->ring, open->weight);
    if (stream->flow && stream->flow->turn.buffer.is_member)
        blender_set_ring(blender, &stream->flow->turn.buffer, open->ring, open->weight);
}

/* Nobody reads it any more: what comes is thrown away, so that the end can come. */
static void discard_input(struct transport_stream *stream)
{
    struct slice_queue bytes = {0};
    bool ended = receive_buffer_take(&stream->in, &bytes, UINT64_MAX);
    transport_stream_consume(stream, stream->in.taken - stream->credit.consumed);
    slice_queue_clear(&bytes);
    if (ended)
        stream_settle(stream);
}

void stream_readable(struct transport_stream *stream)
{
    if (stream->is_released && !stream->is_reset) {
        discard_input(stream);
        return;
    }
    if (stream->is_opened &&
        (receive_buffer_is_readable(&stream->in) || (stream->flow && stream->flow->in.count)))
        event_stream(stream, STREAM_EVENT_READABLE);
}

void stream_reset_by(struct transport_stream *stream, uint32_t code, bool by_peer)
{
    if (stream->is_reset || stream->is_detached)
        return;
    stream->is_reset = true;
    stream->code = code;
    stream->transport->counters.streams_reset++;
    stream_pay(stream, UINT8_MAX);
    stream->control_unacked &= CONTROL_RESET;
    drop_bytes(stream);
    if (by_peer)
        event_stream(stream, STREAM_EVENT_RESET);
    else
        stream_owe(stream, CONTROL_RESET);
    stream_settle(stream);
}

static bool can_take_back(const struct transport_stream *stream)
{
    return stream->is_own && !stream->is_reset && !stream_is_flow(stream) &&
           send_buffer_is_untouched(&stream->out);
}

void stream_detach(struct transport_stream *stream, uint32_t code)
{
    struct transport *transport = stream->transport;
    stream->references = 0; /* the sent log goes with the connection */
    bool was_reset = stream->is_reset;
    if (!stream->is_released && !was_reset) {
        stream->code = code;
        event_stream(stream, STREAM_EVENT_RESET); /* may release it */
    }
    if (stream->is_released) {
        stream_free(stream);
        return;
    }
    stream_pay(stream, UINT8_MAX);
    stream->is_kept = can_take_back(stream);
    struct send_buffer kept = {0};
    if (stream->is_kept) {
        kept = stream->out;
        stream->out = (struct send_buffer){0};
    }
    drop_bytes(stream);
    stream->out = kept;
    stream_table_remove(&transport->table, stream->id);
    if (stream->is_own)
        transport->own_open--;
    else
        transport->peer_open--;
    stream->is_reset = stream->is_detached = true;
}

/* ---- the caller's calls */

int transport_stream_open(struct transport *transport, const struct transport_open *open,
                          struct transport_stream **out)
{
    *out = NULL;
    if (transport->state != TRANSPORT_STATE_UP)
        return ERROR_UNREACHABLE;
    if (open->ring >= TRANSPORT_RINGS || open->flags & ~TRANSPORT_OPEN_FLAGS)
        return ERROR_INVALID;
    if (transport->table.count >= TRANSPORT_STREAMS_LIMIT ||
        transport->own_open >= transport->peer_streams_limit)
        return ERROR_LIMIT;
    struct credit_window credit;
    if (!credit_open(&transport->credit, &credit, open->sharers))
        return ERROR_LIMIT;
    uint64_t id = transport->next_ordinal++ << 1 | !transport->config.is_initiator;
    struct transport_stream *stream = stream_new(transport, id, true);
    bool is_flow = open->flags & TRANSPORT_OPEN_DATAGRAMS;
    bool tell = !is_flow && credit_lend(&transport->credit, &credit);
    stream->credit = credit;
    stream->in.limit = credit.limit;
    stream->open = *open;
    if (!stream->open.weight)
        stream->open.weight = BLENDER_WEIGHT_DEFAULT;
    stream->is_opened = true;
    blender_join(&transport->blender, &stream->fresh.buffer, stream->open.site, stream->open.ring,
                 stream->open.weight);
    stream_owe(stream, CONTROL_OPEN);
    if (tell)
        stream_owe(stream, CONTROL_WINDOW);
    transport->counters.streams_opened++;
    LANE_TRACE(transport, STREAM_OPENED, 0, id, stream->open.ring, stream->open.port, true);
    *out = stream;
    return 0;
}

void transport_stream_set_owner(struct transport_stream *stream, void *owner)
{
    stream->owner = owner;
}

void transport_stream_write(struct transport_stream *stream, struct slice_queue *bytes)
{
    if (stream->is_reset || stream->out.is_finished) {
        slice_queue_clear(bytes);
        return;
    }
    send_buffer_write(&stream->out, bytes);
    stream->wants_room = send_buffer_unsent(&stream->out) >= room_limit(stream->transport);
    stream_update(stream);
}

void transport_stream_finish(struct transport_stream *stream)
{
    if (stream->is_reset || stream->out.is_finished)
        return;
    stream->out.is_finished = true;
    stream->wants_room = false;
    stream->events &= (uint8_t)~STREAM_EVENT_WRITABLE; /* that it has not been told yet */
    if (!stream->events)
        event_stream_leave(stream);
    stream_update(stream);
}

uint64_t transport_stream_room(const struct transport_stream *stream)
{
    if (stream->is_reset || stream->out.is_finished || stream->wants_room)
        return 0;
    uint64_t limit = room_limit(stream->transport);
    uint64_t unsent = send_buffer_unsent(&stream->out);
    if (limit > unsent)
        return limit - unsent;
    /* The limit may have shrunk since the last write: whoever is told 0 waits for WRITABLE. */
    ((struct transport_stream *)(uintptr_t)stream)->wants_room = true;
    return 0;
}

uint64_t transport_stream_unsent(const struct transport_stream *stream)
{
    return send_buffer_unsent(&stream->out);
}

void transport_stream_read(struct transport_stream *stream, struct slice_queue *bytes,
                           uint64_t limit, bool *ended)
{
    *ended = receive_buffer_take(&stream->in, bytes, limit);
    if (*ended)
        stream_settle(stream);
}

void transport_stream_consume(struct transport_stream *stream, uint64_t bytes)
{
    if (stream->is_reset)
        return;
    struct receive_buffer *in = &stream->in;
    uint64_t most = in->taken - stream->credit.consumed;
    INVARIANT(bytes <= most);
    const struct transport *transport = stream->transport;
    bool tell = credit_consumed(&stream->transport->credit, &stream->credit, bytes,
                                transport->now_ns, transport->primary->rtt.smoothed_ns);
    in->limit = stream->credit.limit;
    if (tell)
        stream_owe(stream, CONTROL_WINDOW);
}

void transport_stream_reset(struct transport_stream *stream, uint32_t code)
{
    event_stream_leave(stream);
    stream->events_told |= STREAM_EVENT_RESET;
    stream_reset_by(stream, code, false);
}

bool transport_stream_take_back(struct transport_stream *stream, struct slice_queue *bytes)
{
    if (!stream->is_kept && !can_take_back(stream))
        return false;
    send_buffer_take_back(&stream->out, bytes);
    stream->is_kept = false;
    if (!stream->is_detached)
        transport_stream_reset(stream, TRANSPORT_CODE_CANCELLED);
    return true;
}

void transport_stream_set_ring(struct transport_stream *stream, uint8_t ring, uint8_t weight)
{
    if (stream->is_reset || ring >= TRANSPORT_RINGS)
        return;
    weight = weight ? weight : 1;
    if (stream->open.ring == ring && stream->open.weight == weight)
        return;
    stream->open.ring = ring;
    stream->open.weight = weight;
    stream_set_standing(stream);
    bool is_untold = stream->control & CONTROL_OPEN && !(stream->control_unacked & CONTROL_OPEN);
    if (!is_untold) /* else its OPEN says it */
        stream_owe(stream, CONTROL_PRIORITY);
}

void transport_stream_release(struct transport_stream *stream)
{
    stream->is_released = true;
    stream->owner = NULL;
    event_stream_leave(stream);
    if (stream->is_detached) {
        stream_free(stream);
        return;
    }
    if (stream_is_flow(stream) && !stream->is_reset)
        stream_reset_by(stream, TRANSPORT_CODE_NONE, false);
    else if (stream->is_reset || (stream->out.is_finished && stream->in.end_taken))
        stream_settle(stream);
    else if (stream->out.is_finished)
        discard_input(stream); /* what was written is still delivered */
    else
        stream_reset_by(stream, TRANSPORT_CODE_CANCELLED, false);
}
