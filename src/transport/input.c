/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets in: opened, checked against replay, their frames acted upon. Malformed or impossible
 * frames end the session with PROTOCOL; nothing that a peer sends stops the process.
 */
#include "transport/lane.h"

/* ---- streams that frames name */

static bool is_own_id(const struct transport *transport, uint64_t id)
{
    return (id & 1) == !transport->config.is_initiator;
}

/* The stream that a frame names. 0 with *stream NULL: it has ended long ago, ignore the frame. A
 * stream of the peer's that was never seen comes to be, since packets overtake each other; the
 * caller of this lane hears of it when its OPEN comes. */
static int find_stream(struct transport *transport, uint64_t id, struct transport_stream **stream)
{
    struct transport_stream *next = transport->arrived ? transport->arrived->follower : NULL;
    *stream = next && next->id == id ? next : stream_table_get(&transport->table, id);
    if (*stream)
        return 0;
    uint64_t ordinal = id >> 1;
    if (is_own_id(transport, id))
        return ordinal < transport->next_ordinal ? 0 : ERROR_INVALID;
    struct ranges *seen = &transport->peer_ids;
    if (ranges_has(seen, ordinal))
        return 0;
    const struct range *first = ranges_items(seen);
    uint64_t missing = seen->count && first->start == 0 ? first->end : 0;
    if (ordinal - missing >= LANE_STREAM_IDS_AHEAD)
        return ERROR_INVALID;
    if (transport->table.count >= TRANSPORT_STREAMS_LIMIT + LANE_ZOMBIES_LIMIT)
        return ERROR_AGAIN;
    ranges_add(seen, ordinal, ordinal + 1);
    struct transport_stream *fresh = stream_new(transport, id, false);
    if (transport->peer_open > TRANSPORT_STREAMS_LIMIT / 2 ||
        !credit_open(&transport->credit, &fresh->credit, 0)) {
        fresh->is_released = true;
        stream_reset_by(fresh, TRANSPORT_CODE_LIMIT, false);
        return 0;
    }
    if (credit_lend(&transport->credit, &fresh->credit))
        stream_owe(fresh, CONTROL_WINDOW);
    fresh->in.limit = fresh->credit.limit;
    *stream = fresh;
    return 0;
}

/* ---- frames */

static int on_open(struct transport *transport, const struct frame_open *frame)
{
    struct transport_stream *stream;
    int error = find_stream(transport, frame->id, &stream);
    if (error || !stream)
        return error;
    if (stream->is_own)
        return ERROR_INVALID;
    if (stream->is_opened || stream->is_reset)
        return 0;
    if (stream->flow && !(frame->open.flags & TRANSPORT_OPEN_DATAGRAMS))
        return ERROR_INVALID;
    stream->open = frame->open;
    stream->is_opened = true;
    transport->counters.streams_opened++;
    LANE_TRACE(transport, STREAM_OPENED, 0, stream->id, stream->open.ring, stream->open.port,
               false);
    blender_join(&transport->blender, &stream->fresh.buffer, stream->open.site, stream->open.ring,
                 stream->open.weight);
    event_stream(stream, STREAM_EVENT_OPENED);
    stream_readable(stream);
    return 0;
}

static int on_reset(struct transport *transport, const struct frame_reset *frame)
{
    struct transport_stream *stream;
    int error = find_stream(transport, frame->id, &stream);
    if (error || !stream)
        return error;
    uint32_t code = frame->code < UINT32_MAX ? (uint32_t)frame->code : TRANSPORT_CODE_INTERNAL;
    if (stream->is_reset) {
        /* Both ends reset it: the peer knows. */
        stream_pay(stream, UINT8_MAX);
        stream->control_unacked = 0;
        stream_settle(stream);
        return 0;
    }
    stream_reset_by(stream, code, true);
    return 0;
}

static int on_window(struct transport *transport, const struct frame_window *frame)
{
    struct transport_stream *stream;
    int error = find_stream(transport, frame->id, &stream);
    if (error || !stream || stream->is_reset)
        return error;
    if (frame->limit > stream->out.limit) {
        stream->out.limit = frame->limit;
        stream_update(stream);
    }
    return 0;
}

static int on_priority(struct transport *transport, const struct frame_priority *frame)
{
    struct transport_stream *stream;
    int error = find_stream(transport, frame->id, &stream);
    if (error || !stream || stream->is_reset)
        return error;
    if (!stream->is_opened)
        return 0; /* its OPEN will say it */
    if (stream->open.ring == frame->ring && stream->open.weight == frame->weight)
        return 0;
    stream->open.ring = frame->ring;
    stream->open.weight = frame->weight;
    stream_set_standing(stream);
    if (!(stream->events & STREAM_EVENT_OPENED)) /* else that says it */
        event_stream(stream, STREAM_EVENT_RING);
    return 0;
}

static int on_datagram(struct transport *transport, const struct frame_datagram *frame)
{
    struct transport_stream *stream;
    int error = find_stream(transport, frame->id, &stream);
    if (error || !stream || stream->is_reset)
        return error;
    return flow_on_datagram(stream, frame->data);
}

static int on_stream(struct transport *transport, const struct frame_stream *frame)
{
    struct transport_stream *stream;
    int error = find_stream(transport, frame->id, &stream);
    if (error || !stream || stream->is_reset)
        return error;
    stream_order_note(stream);
    struct receive_buffer *in = &stream->in;
    uint64_t next = in->next;
    bool had_final = in->has_final;
    error = receive_buffer_add(in, frame->offset, frame->data, frame->fin);
    if (error)
        return error == ERROR_AGAIN ? error : ERROR_INVALID;
    if (in->has_final && !had_final) {
        credit_finish(&transport->credit, &stream->credit, in->final_size);
        in->limit = in->final_size;
        if (stream->control & CONTROL_WINDOW)
            stream_pay(stream, CONTROL_WINDOW);
    }
    in->limit = stream->credit.limit;
    if (in->next != next || (in->has_final && !had_final))
        stream_readable(stream);
    return 0;
}

static void on_response(struct transport *transport, struct path *path,
                        const uint8_t token[FRAME_TOKEN_BYTES])
{
    bool was_new = path->is_new;
    if (!path_prove(path, token) || was_new)
        return;
    LANE_TRACE(transport, PATH, path->wire_id, path_is_proven(path), path->way.peer.port, 0, 0);
    /* Another port is a NAT that forgot; another host is another path (RFC 9000 section 9.4). */
    if (!address_same_host(&path->way.peer, &path->fallback.peer) ||
        path->way.carriage != path->fallback.carriage) {
        rtt_init(&path->rtt);
        path->delay = (struct delay_trend){0};
        ecn_restart(&path->ecn);
        lane_start_congestion(transport, path);
    }
}

static void on_quality(struct transport *transport, const struct frame_quality *frame)
{
    struct path *path = lane_path(transport, frame->path);
    if (!path)
        return; /* closed here, not yet there */
    path->peer_quality = frame->quality;
    path->peer_quality_ns = transport->now_ns;
}

/* `path`: on which it came. */
static void on_ack_freq(struct transport *transport, const struct frame_ack_freq *frame)
{
    struct path *path = lane_path(transport, frame->path);
    if (path)
        receipts_ask(&path->receipts, &frame->asking);
}

static void on_ack_now(struct transport *transport, uint8_t wire_id)
{
    struct path *path = lane_path(transport, wire_id);
    if (path)
        path->receipts.due_ns = transport->now_ns;
}

static int on_frame(struct transport *transport, struct path *path, const struct frame *frame)
{
    switch (frame->type) {
    case FRAME_PADDING:
    case FRAME_PING:
        return 0;
    case FRAME_ACK:
        return recovery_on_ack(transport, &frame->ack);
    case FRAME_SETTINGS:
        return lane_on_settings(transport, &frame->settings);
    case FRAME_CLOSE:
        lane_down(transport, frame->close_code < UINT32_MAX ? (uint32_t)frame->close_code
                                                            : TRANSPORT_CODE_INTERNAL);
        return ERROR_CLOSED;
    case FRAME_OPEN:
        return on_open(transport, &frame->open);
    case FRAME_RESET:
        return on_reset(transport, &frame->reset);
    case FRAME_STREAM_WINDOW:
        return on_window(transport, &frame->window);
    case FRAME_STREAM_PRIORITY:
        return on_priority(transport, &frame->priority);
    case FRAME_PATH_CHALLENGE:
        memcpy(path->response, frame->token, FRAME_TOKEN_BYTES);
        path->response_waits = true;
        return 0;
    case FRAME_PATH_RESPONSE:
        on_response(transport, path, frame->token);
        return 0;
    case FRAME_PATH_NEW:
        return paths_on_new(transport, path, &frame->path_change);
    case FRAME_PATH_STATUS:
        return paths_on_status(transport, &frame->path_change);
    case FRAME_PATH_ABANDON:
        return paths_on_abandon(transport, &frame->path_change);
    case FRAME_LINK_QUALITY:
        on_quality(transport, &frame->quality);
        return 0;
    case FRAME_STREAM:
        return on_stream(transport, &frame->stream);
    case FRAME_DATAGRAM:
    case FRAME_DATAGRAM_LAST:
        return on_datagram(transport, &frame->datagram);
    case FRAME_ACK_FREQ:
        on_ack_freq(transport, &frame->ack_freq);
        return 0;
    case FRAME_ACK_NOW:
        on_ack_now(transport, frame->ack_now_path);
        return 0;
    }
    return ERROR_INVALID;
}

/* 0; ERROR_AGAIN: some frame could not be taken, so the packet must not be acknowledged;
 * ERROR_INVALID, ERROR_CLOSED: the session ends. */
static int on_frames(struct transport *transport, struct path *path, struct span frames,
                     bool *is_eliciting)
{
    struct reader reader = reader_of(frames);
    int result = frames.length ? 0 : ERROR_INVALID;
    while (reader_left(&reader)) {
        struct frame frame;
        if (frame_read(&reader, &frame))
            return ERROR_INVALID;
        *is_eliciting |= frame_is_eliciting(frame.type);
        int error = on_frame(transport, path, &frame);
        if (error == ERROR_AGAIN)
            result = error;
        else if (error)
            return error;
    }
    return result;
}

/* ---- packets */

static void on_packet(struct transport *transport, const struct way *from, uint8_t ecn,
                      uint8_t *packet, uint32_t length)
{
    struct transport_facts *counters = &transport->counters;
    struct packet_header header;
    struct session *session = NULL;
    if (!packet_header_read(span_of(packet, length), &header))
        session = lane_session(transport, header.index);
    struct span frames;
    if (!session || session_open(session, &header, packet, length, lane_keep_ns(transport),
                                 transport->now_ns, &frames)) {
        counters->datagrams_refused++;
        return;
    }
    if (session == &transport->pending) {
        if (lane_confirm(transport, header.path, frames, from)) {
            counters->datagrams_refused++;
            return;
        }
        session = &transport->current;
    }
    struct path *path = lane_path(transport, header.path);
    if (!path && !transport->config.is_initiator && paths_is_declared(frames, header.path))
        path = paths_open(transport, header.path, from);
    if (!path) {
        counters->datagrams_refused++;
        return;
    }
    /* Nothing is taken from a peer that has not said who it is: were its connection over by the time that ours goes on under other
     * keys, we would go on with what only the former knew. */
    if (!transport->peer_incarnation && frames.length && frames.data[0] != FRAME_SETTINGS &&
        frames.data[0] != FRAME_CLOSE) {
        counters->packets_early++;
        return;
    }
    if (!replay_note(&path->replay, header.number)) {
        counters->packets_replayed++;
        return;
    }
    session->is_confirmed = true;
    path->last_heard_ns = transport->now_ns;
    path->is_heard = true;
    counters->packets_received++;
    counters->bytes_received += length;
    path_follow(path, from, header.number, length, transport->now_ns);

    LANE_TRACE(transport, PACKET_RECEIVED, path->wire_id, header.number, length, 0, ecn);
    bool is_eliciting = false;
    int error = on_frames(transport, path, frames, &is_eliciting);
    if (!path->is_open)
        return; /* a frame has closed it */
    if (error == ERROR_INVALID)
        lane_fail(transport, TRANSPORT_CODE_PROTOCOL);
    if (error)
        return;
    receipts_note(&path->receipts, header.number, is_eliciting, path->rtt.smoothed_ns,
                  transport->now_ns);
    receipts_note_ecn(&path->receipts, ecn, transport->now_ns);
}

static void on_arrival(struct transport *transport, const struct way *from, uint8_t ecn,
                       uint8_t *data, uint32_t length)
{
    struct span packet = span_of(data, length);
    switch ((unsigned)packet_type(data[0])) {
    case PACKET_DATA:
        on_packet(transport, from, ecn, data, length);
        return;
    case PACKET_RESP:
        dial_on_resp(transport, packet);
        return;
    case PACKET_COOKIE:
        dial_on_cookie(transport, packet);
        return;
    case PACKET_CLOSE_STATELESS:
        dial_on_stateless_close(transport, packet);
        return;
    default:
        transport->counters.datagrams_refused++;
    }
}

void transport_receive(struct transport *transport, uint64_t now_ns,
                       const struct transport_datagram *datagrams, size_t count)
{
    if (now_ns > transport->now_ns)
        transport->now_ns = now_ns;
    for (size_t i = 0; i < count; i++) {
        const struct transport_datagram *datagram = &datagrams[i];
        const struct way from = way_of_datagram(datagram);
        uint32_t segment = datagram->segment_bytes ? datagram->segment_bytes : datagram->length;
        for (uint32_t at = 0; at < datagram->length; at += segment) {
            uint32_t left = datagram->length - at;
            if (left == 1)
                break; /* the odd end that some kernels need behind a batch */
            on_arrival(transport, &from, datagram->ecn, datagram->data + at,
                       left < segment ? left : segment);
        }
    }
}
