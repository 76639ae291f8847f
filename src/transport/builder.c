/* SPDX-License-Identifier: Apache-2.0
 *
 * One packet: acknowledgements and what the lane itself owes, then the streams' control frames,
 * then sub-packets as the blender decides. Bytes of streams are bound here and not earlier.
 */
#include "transport/lane.h"
#include "transport/stream_prefetch.h"

enum {
    /* A STREAM frame is not worth its head in less room. */
    SUB_PACKET_ROOM_MIN = 48,
    TOKEN_FRAME_BYTES = 1 + FRAME_TOKEN_BYTES,
    RANGES_TOLERATED = 8,
    PAD_MOST = 64, /* a packet that is short by so little is padded, so that the batch goes on */
};

struct build {
    struct transport *transport;
    struct path *path;
    struct sent_log *log;
    uint8_t *start, *at, *end;  /* room for frames */
    bool is_eliciting, is_last; /* is_last: a frame without a length ends the packet */
};

static uint32_t room(const struct build *build)
{
    return build->is_last ? 0 : (uint32_t)(build->end - build->at);
}

static bool has_frame_room(const struct build *build, uint32_t bytes)
{
    return room(build) >= bytes &&
           sent_log_packet(build->log, build->log->next)->frames < SENT_FRAMES_PER_PACKET;
}

static struct sent_frame *note(struct build *build, struct transport_stream *stream,
                               enum sent_kind kind)
{
    struct sent_frame *frame = sent_log_frame(build->log);
    *frame = (struct sent_frame){.stream = stream, .kind = (uint8_t)kind};
    if (stream)
        stream->references++;
    if (kind != SENT_ACK)
        build->is_eliciting = true;
    return frame;
}

static void put_settings(struct build *build)
{
    struct transport *t = build->transport;
    /* The initiator hears that the session works before its SETTINGS are acknowledged. */
    bool is_known = t->is_settings_known || (t->config.is_initiator && t->current.is_confirmed);
    if (!t->settings_wait && is_known)
        return;
    const struct frame_settings settings = {.own = t->incarnation,
                                            .peer = t->peer_incarnation,
                                            .stream_window = t->credit.first,
                                            .streams_limit = TRANSPORT_STREAMS_LIMIT / 2};
    build->at = frame_write_settings(build->at, &settings);
    if (t->settings_wait) /* the first: its loss is seen, repetitions are a precaution */
        note(build, NULL, SENT_SETTINGS)->offset = t->current.result.own_index;
    t->settings_wait = false;
}

static void put_ack(struct build *build)
{
    struct transport *t = build->transport;
    struct path *path = build->path;
    struct receipts *receipts = &path->receipts;
    if (receipts->due_ns == UINT64_MAX)
        return;
    if (!receipts->numbers.count) { /* what was owed has been forgotten */
        receipts_acked(receipts);
        return;
    }
    const struct frame_ack_head head = {.path = path->wire_id,
                                        .arrival_us = (uint32_t)(receipts->largest_ns / 1000),
                                        .delay_us = (t->now_ns - receipts->largest_ns) / 1000,
                                        .ecn = receipts->ecn};
    uint8_t *at = frame_write_ack(build->at, build->end, &head, &receipts->numbers);
    if (at == build->at)
        return;
    build->at = at;
    struct sent_frame *frame = note(build, NULL, SENT_ACK);
    frame->path = path->wire_id;
    frame->offset = ranges_items(&receipts->numbers)[receipts->numbers.count - 1].end;
    /* Ranges pile up on a lossy path until the peer is known to have them: ask it to say so,
     * once a round trip. */
    if (receipts->numbers.count > RANGES_TOLERATED && build->at < build->end &&
        t->now_ns - path->loss.last_sent_ns > path->rtt.smoothed_ns) {
        *build->at++ = FRAME_PING;
        build->is_eliciting = true;
    }
    receipts_acked(receipts);
    t->counters.acks_sent++;
}

static void put_path(struct build *build, enum frame_type type, enum sent_kind kind,
                     const struct frame_path *change)
{
    build->at = frame_write_path(build->at, type, change);
    note(build, NULL, kind)->path = change->path;
}

/* What the other end must know of paths, this one and others. */
static void put_paths(struct build *build)
{
    struct transport *t = build->transport;
    PATHS_EACH (path, t) {
        if (!path->status_waits || !has_frame_room(build, FRAME_CONTROL_MAX))
            continue;
        const struct frame_path change = {.path = path->wire_id,
                                          .sequence = t->status_sequence,
                                          .use = path->is_standby ? FRAME_PATH_USE_STANDBY
                                                                  : FRAME_PATH_USE_ACTIVE};
        put_path(build, FRAME_PATH_STATUS, SENT_PATH_STATUS, &change);
        path->status_waits = false;
    }
    for (uint32_t i = 0; i < PATH_IDS / 64; i++)
        while (t->abandon_waits[i] && has_frame_room(build, FRAME_CONTROL_MAX)) {
            uint32_t bit = (uint32_t)__builtin_ctzll(t->abandon_waits[i]);
            const struct frame_path change = {.path = (uint8_t)(i * 64 + bit)};
            put_path(build, FRAME_PATH_ABANDON, SENT_PATH_ABANDON, &change);
            t->abandon_waits[i] &= ~(1ull << bit);
        }
}

static void put_tokens(struct build *build)
{
    struct path *path = build->path;
    if (path->is_ours && path->is_new && path->challenge_waits) {
        const struct frame_path change = {.path = path->wire_id,
                                          .use = path->is_standby ? FRAME_PATH_USE_STANDBY
                                                                  : FRAME_PATH_USE_ACTIVE};
        build->at = frame_write_path(build->at, FRAME_PATH_NEW, &change);
    }
    if (path->response_waits && room(build) >= TOKEN_FRAME_BYTES) {
        build->at = frame_write_token(build->at, FRAME_PATH_RESPONSE, path->response);
        path->response_waits = false;
        build->is_eliciting = true;
    }
    if (path->challenge_waits && room(build) >= TOKEN_FRAME_BYTES) {
        build->at = frame_write_token(build->at, FRAME_PATH_CHALLENGE, path->challenge);
        path->challenge_waits = false;
        build->is_eliciting = true;
    }
}

static void put_quality(struct build *build)
{
    struct transport *t = build->transport;
    struct path *path = build->path;
    if (path->quality_waits && has_frame_room(build, FRAME_CONTROL_MAX)) {
        path->quality_waits = false;
        struct frame_quality quality = {.path = path->wire_id};
        feedback_quality(t, path, &quality.quality);
        build->at = frame_write_quality(build->at, &quality);
        build->is_eliciting = true;
    }
    if (path->ping_waits && path->loss.probe_timeouts && has_frame_room(build, FRAME_CONTROL_MAX)) {
        build->at = frame_write_ack_now(build->at, path->wire_id);
        build->is_eliciting = true;
    } else if (path->ping_waits && !build->is_eliciting && has_frame_room(build, 1)) {
        *build->at++ = FRAME_PING;
        build->is_eliciting = true;
    }
    if (build->is_eliciting)
        path->ping_waits = false;
}

/* Rides along with what goes anyway: that it is due makes no packet. */
static void put_ack_frequency(struct build *build)
{
    const struct transport *t = build->transport;
    struct path *path = build->path;
    struct ack_frequency *frequency = &path->ack_frequency;
    uint64_t srtt_ns = path->rtt.smoothed_ns;
    if (!ack_frequency_wants_look(frequency, srtt_ns, t->now_ns) || !blender_waiting(&t->blender) ||
        !has_frame_room(build, FRAME_CONTROL_MAX))
        return;
    uint64_t window = path->control->window_bytes(path->congestion) / path->mtu.bytes;
    if (!ack_frequency_is_due(frequency, window, srtt_ns, t->now_ns))
        return;
    build->at = frame_write_ack_freq(build->at, path->wire_id, &frequency->asked);
    struct sent_frame *frame = note(build, NULL, SENT_ACK_FREQ);
    frame->offset = frequency->asked.sequence;
    frame->path = path->wire_id;
    ack_frequency_told(frequency);
}

/* What one stream owes, as far as it fits. */
static void put_controls_of(struct build *build, struct transport_stream *stream)
{
    if (stream->control & CONTROL_OPEN && has_frame_room(build, FRAME_CONTROL_MAX)) {
        build->at = frame_write_open(build->at, stream->id, &stream->open);
        note(build, stream, SENT_OPEN);
        stream->control_unacked |= CONTROL_OPEN;
        stream_pay(stream, CONTROL_OPEN);
    }
    if (stream->control & CONTROL_RESET && has_frame_room(build, FRAME_CONTROL_MAX)) {
        build->at = frame_write_reset(build->at, stream->id, stream->code);
        note(build, stream, SENT_RESET);
        stream->control_unacked |= CONTROL_RESET;
        stream_pay(stream, CONTROL_RESET);
    }
    if (stream->control & CONTROL_WINDOW && has_frame_room(build, FRAME_CONTROL_MAX)) {
        build->at = frame_write_window(build->at, stream->id, stream->credit.limit);
        note(build, stream, SENT_WINDOW)->offset = stream->credit.limit;
        stream->credit.told = stream->credit.limit;
        stream_pay(stream, CONTROL_WINDOW);
    }
    if (stream->control & CONTROL_PRIORITY && has_frame_room(build, FRAME_CONTROL_MAX)) {
        build->at =
            frame_write_priority(build->at, stream->id, stream->open.ring, stream->open.weight);
        note(build, stream, SENT_PRIORITY);
        stream->ring_again |= stream->rings_unacked || stream->control_unacked & CONTROL_OPEN;
        stream->rings_unacked++;
        stream_pay(stream, CONTROL_PRIORITY);
    }
    if (stream->control & CONTROL_FIN && has_frame_room(build, FRAME_CONTROL_MAX)) {
        uint64_t end = stream->out.end;
        build->at = frame_write_stream(build->at, stream->id, end, 0, true, true);
        struct sent_frame *frame = note(build, stream, SENT_STREAM);
        frame->offset = end;
        frame->fin = true;
        send_buffer_sent(&stream->out, end, 0, true);
        stream_pay(stream, CONTROL_FIN);
    }
}

static void put_controls(struct build *build)
{
    LIST_EACH (link, after, &build->transport->controls) {
        struct transport_stream *stream = CONTAINER_OF(link, struct transport_stream, control_link);
        put_controls_of(build, stream);
        if (stream->control)
            return; /* full */
    }
}

/* A sub-packet of `stream` with at most `most` bytes; the bytes that it took. */
static uint32_t put_sub_packet(struct build *build, struct transport_stream *stream, bool is_resend,
                               uint32_t most)
{
    struct send_buffer *out = &stream->out;
    uint64_t offset = out->next, length = send_buffer_sendable(out);
    if (is_resend) {
        struct range lost = send_buffer_next_lost(out, UINT32_MAX);
        offset = lost.start;
        length = lost.end - lost.start;
    }
    if (length > most)
        length = most;
    uint32_t left = room(build);
    uint32_t head = frame_stream_head_bytes(stream->id, offset, left);
    uint32_t bare_head = head - (uint32_t)varint_size(left);
    if (left <= head)
        return 0;
    bool has_length = length + bare_head < left;
    if (!has_length)
        length = left - bare_head;
    else if (length > left - head)
        length = left - head;
    uint32_t bytes = (uint32_t)length;
    bool fin = out->is_finished && offset + bytes == out->end;
    build->at = frame_write_stream(build->at, stream->id, offset, bytes, fin, has_length);
    send_buffer_copy(out, offset, bytes, build->at);
    build->at += bytes;
    build->is_last = !has_length;
    struct sent_frame *frame = note(build, stream, SENT_STREAM);
    frame->offset = offset;
    frame->length = bytes;
    frame->fin = fin;
    send_buffer_sent(out, offset, bytes, fin);
    if (!is_resend && blend_buffer_ring(&stream->fresh.buffer) < REPAIR_RINGS)
        repair_note(&build->path->repair, build->log->next);
    struct transport_facts *counters = &build->transport->counters;
    if (is_resend)
        counters->stream_bytes_resent += bytes;
    else
        counters->stream_bytes_sent += bytes;
    return bytes;
}

/* The flow's first datagram, whole. False: it has to wait for the next packet. */
static bool put_datagram(struct build *build, struct transport_stream *stream)
{
    struct transport *t = build->transport;
    struct stream_flow *flow = stream->flow;
    flow_update(stream); /* what is late goes */
    const struct slice *first = datagram_queue_front(&flow->out);
    if (!first)
        return true;
    uint32_t left = room(build);
    uint32_t bare_head = 1 + (uint32_t)varint_size(stream->id);
    uint32_t head = bare_head + (uint32_t)varint_size(first->length);
    bool fits = head + first->length <= left;
    bool fits_barely = bare_head + first->length == left;
    if (!fits && !fits_barely && build->at != build->start)
        return false;
    struct slice datagram = datagram_queue_pop(&flow->out);
    if (fits || fits_barely) {
        build->at = frame_write_datagram(build->at, stream->id, datagram.length, !fits_barely);
        memcpy(build->at, slice_data(&datagram), datagram.length);
        build->at += datagram.length;
        build->is_last = fits_barely;
        build->is_eliciting = true;
        t->counters.flow_sent++;
        blender_took(&t->blender, &flow->turn.buffer, datagram.length + FLOW_FRAME_BYTES);
    } else {
        t->counters.flow_too_large++; /* packets have become smaller */
    }
    slice_release(&datagram);
    return true;
}

/* The next stream but one comes from memory while this packet is sealed; the next one is here by now, except what it refers
 * to. */
static void prefetch_upcoming(const struct blender *blender, const struct blend_buffer *buffer)
{
    struct blend_buffer *upcoming[2];
    if (!blender_upcoming(blender, buffer, upcoming))
        return;
    stream_prefetch_out(CONTAINER_OF(upcoming[1], struct transport_stream, fresh.buffer));
    send_buffer_prefetch(&CONTAINER_OF(upcoming[0], struct stream_turn, buffer)->stream->out);
}

static void put_sub_packets(struct build *build)
{
    struct blender *blender = &build->transport->blender;
    bool is_empty = true;
    while (has_frame_room(build, SUB_PACKET_ROOM_MIN)) {
        uint32_t most;
        struct blend_buffer *buffer = blender_next(blender, room(build), is_empty, &most);
        if (!buffer)
            return;
        struct stream_turn *turn = CONTAINER_OF(buffer, struct stream_turn, buffer);
        is_empty = false;
        if (turn->is_datagram) {
            struct transport_stream *stream = turn->stream;
            if (!put_datagram(build, stream))
                return;
            stream_update(stream);
            continue;
        }
        uint32_t bytes = put_sub_packet(build, turn->stream, turn->is_resend, most);
        blender_took(blender, buffer, bytes);
        stream_update(turn->stream);
        prefetch_upcoming(blender, buffer);
        if (!bytes)
            return;
    }
}

/* The state in which the record starts. */
static void commit(struct build *build, const struct packet_plan *plan, uint32_t bytes)
{
    struct transport *t = build->transport;
    struct path *path = build->path;
    struct sent_packet *record = sent_log_packet(build->log, build->log->next);
    record->sent_ns = t->now_ns;
    record->bytes = (uint16_t)bytes;
    record->flow = plan->flow;
    record->counted_bytes = build->is_eliciting ? (uint16_t)plan->counted_bytes : 0;
    record->delivered_bytes = path->delivered_bytes;
    record->delivered_ns = path->delivered_ns;
    record->app_limited = !output_has_data(t, path);
    record->is_marked = plan->ecn != ECN_NOT_ECT;
    path->ecn.marked += record->is_marked;
    if (build->is_eliciting) {
        if (!path->sent.in_flight)
            path->outstanding_since_ns = path->loss.waiting_since_ns = t->now_ns;
        path->loss.last_sent_ns = t->now_ns;
    }
    path->last_sent_ns = t->now_ns;
    sent_log_commit(build->log, build->is_eliciting ? SENT_IN_FLIGHT : SENT_UNTRACKED);
    t->counters.packets_sent++;
    t->counters.bytes_sent += bytes;
    LANE_TRACE(t, PACKET_SENT, path->wire_id, path->sent.next - 1, bytes, plan->flow, plan->ecn);
    path->packets_sent++;
    path->bytes_sent += bytes;
}

uint32_t build_packet(struct transport *transport, struct path *path, uint8_t *out,
                      const struct packet_plan *plan)
{
    struct build build = {.transport = transport,
                          .path = path,
                          .log = &path->sent,
                          .at = out + PACKET_HEADER_BYTES,
                          .end = out + plan->most - PACKET_TAG_BYTES};
    build.start = build.at;
    sent_log_begin(build.log);
    if (!plan->is_narrow) {
        put_settings(&build);
        put_ack(&build);
    }
    put_tokens(&build);
    if (plan->is_mtu_probe) {
        *build.at++ = FRAME_PING;
        build.is_eliciting = true;
    }
    if (plan->may_send_data) {
        put_quality(&build);
        put_ack_frequency(&build);
    }
    if (plan->may_send_data && plan->may_send_streams) {
        put_paths(&build);
        put_controls(&build);
        put_sub_packets(&build);
    }
    if (build.at == build.start) {
        sent_log_cancel(build.log);
        return 0;
    }
    uint32_t bytes = (uint32_t)(build.at - out) + PACKET_TAG_BYTES;
    if (bytes < plan->pad_to && plan->pad_to - bytes <= PAD_MOST && !build.is_last) {
        memset(build.at, FRAME_PADDING, plan->pad_to - bytes);
        build.at += plan->pad_to - bytes;
        bytes = plan->pad_to;
    }
    /* A path begins with a packet of full size: it shows that the way takes it, and lets the other
     * end answer in full before our address has proven itself. */
    if (path->is_ours && path->is_new && bytes < MTU_BASE_BYTES && !build.is_last) {
        memset(build.at, FRAME_PADDING, MTU_BASE_BYTES - bytes);
        build.at += MTU_BASE_BYTES - bytes;
        bytes = MTU_BASE_BYTES;
    }
    if (plan->is_mtu_probe) {
        memset(build.at, FRAME_PADDING, plan->most - bytes);
        build.at += plan->most - bytes;
        bytes = plan->most;
    }
    uint64_t number = build.log->next;
    session_seal(&transport->current, path->wire_id, number, out,
                 (uint32_t)(build.at - build.start));
    commit(&build, plan, bytes);
    return bytes;
}

uint32_t build_farewell(struct transport *transport, uint8_t *out)
{
    struct farewell *farewell = &transport->farewell;
    uint8_t *start = out + PACKET_HEADER_BYTES;
    uint8_t *at = frame_write_close(start, farewell->code);
    uint32_t plain = (uint32_t)(at - start);
    session_seal(&farewell->session, farewell->path, farewell->number, out, plain);
    session_clear(&farewell->session);
    transport->counters.packets_sent++;
    transport->counters.bytes_sent += plain + PACKET_OVERHEAD_BYTES;
    return plain + PACKET_OVERHEAD_BYTES;
}
