/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of our packets: acknowledged, lost, spuriously lost, probed. Frames are sent again,
 * never packets.
 */
#include "transport/lane.h"
#include "transport/stream_prefetch.h"

enum {
    PROBE_LOOKS = 32,   /* packets in flight looked at for the most urgent bytes */
    PREFETCH_AHEAD = 4, /* packets: settling so many takes as long as memory */
    SILENT_KEPT = 16, /* in flight on a silent path out of use: one of them may yet bring it back */
};
#define LOST_KEPT_NS \
    (50ull * 1000000) /* a lost packet's record stays for this and two round trips */

struct congestion_packet recovery_describe(const struct sent_packet *packet, uint64_t number)
{
    return (struct congestion_packet){.flow = packet->flow,
                                      .bytes = packet->counted_bytes,
                                      .number = number,
                                      .sent_ns = packet->sent_ns,
                                      .delivered_at_sent = packet->delivered_bytes,
                                      .delivered_ns_at_sent = packet->delivered_ns,
                                      .app_limited = packet->app_limited};
}

/* ---- fates of frames */

/* Of words of a ring that are under way at a time an earlier one may arrive last, or before the stream's OPEN: when no record of them is
 * left the present one is told again, alone. */
static void ring_known(struct transport_stream *stream)
{
    if (!stream->ring_again || stream->rings_unacked || stream->control_unacked & CONTROL_OPEN ||
        stream->is_reset)
        return;
    stream->ring_again = false;
    stream_owe(stream, CONTROL_PRIORITY);
}

static void frame_acked(struct transport *transport, const struct sent_frame *frame)
{
    struct transport_stream *stream = frame->stream;
    switch ((enum sent_kind)frame->kind) {
    case SENT_STREAM:
        if (!stream->is_reset) {
            send_buffer_acked(&stream->out, frame->offset, frame->length, frame->fin);
            stream_update(stream);
        }
        break;
    case SENT_OPEN:
        stream->control_unacked &= (uint8_t)~CONTROL_OPEN;
        if (stream->control & CONTROL_OPEN)
            stream_pay(stream, CONTROL_OPEN);
        ring_known(stream);
        break;
    case SENT_RESET:
        stream->control_unacked &= (uint8_t)~CONTROL_RESET;
        if (stream->control & CONTROL_RESET)
            stream_pay(stream, CONTROL_RESET);
        break;
    case SENT_ACK: {
        struct path *path = lane_path(transport, frame->path);
        if (path)
            receipts_prune(&path->receipts, frame->offset);
        break;
    }
    case SENT_SETTINGS:
        transport->is_settings_known |= frame->offset == transport->current.result.own_index;
        break;
    case SENT_WINDOW:
    case SENT_PRIORITY:
    case SENT_ACK_FREQ:
    case SENT_PATH_STATUS:
    case SENT_PATH_ABANDON:
    case SENT_FORGOTTEN:
        break;
    }
}

static void frame_lost(struct transport *transport, const struct sent_frame *frame)
{
    struct transport_stream *stream = frame->stream;
    switch ((enum sent_kind)frame->kind) {
    case SENT_STREAM:
        if (!stream->is_reset) {
            send_buffer_lost(&stream->out, frame->offset, frame->length, frame->fin);
            stream_update(stream);
        }
        break;
    case SENT_OPEN:
        if (stream->control_unacked & CONTROL_OPEN)
            stream_owe(stream, CONTROL_OPEN);
        break;
    case SENT_RESET:
        if (stream->control_unacked & CONTROL_RESET)
            stream_owe(stream, CONTROL_RESET);
        break;
    case SENT_WINDOW:
        /* A later one says more. */
        if (!stream->is_reset && !stream->credit.is_final && frame->offset == stream->credit.told)
            stream_owe(stream, CONTROL_WINDOW);
        break;
    case SENT_PRIORITY:
        if (!stream->is_reset)
            stream_owe(stream, CONTROL_PRIORITY);
        break;
    case SENT_SETTINGS:
        if (frame->offset == transport->current.result.own_index)
            transport->settings_wait = true;
        break;
    case SENT_ACK_FREQ: {
        struct path *path = lane_path(transport, frame->path);
        if (path)
            ack_frequency_lost(&path->ack_frequency, frame->offset);
        break;
    }
    case SENT_PATH_STATUS: {
        struct path *path = lane_path(transport, frame->path);
        if (path)
            path->status_waits = true;
        break;
    }
    case SENT_PATH_ABANDON:
        transport->abandon_waits[frame->path / 64] |= 1ull << frame->path % 64;
        break;
    case SENT_ACK:
    case SENT_FORGOTTEN:
        break;
    }
}

static void let_go(const struct sent_frame *frame)
{
    struct transport_stream *stream = frame->stream;
    if (!stream)
        return;
    if (frame->kind == SENT_PRIORITY) {
        stream->rings_unacked--;
        ring_known(stream);
    }
    stream_drop_reference(stream);
}

static void drop_references(const struct sent_log *log, const struct sent_packet *packet)
{
    for (uint32_t i = 0; i < packet->frames; i++)
        let_go(sent_log_frame_at(log, packet, i));
}

/* A record whose frames went again elsewhere lets go of the streams: an ack may never come. */
static void forget_streams(const struct sent_log *log, const struct sent_packet *packet)
{
    for (uint32_t i = 0; i < packet->frames; i++) {
        struct sent_frame *frame = sent_log_frame_at(log, packet, i);
        if (!frame->stream)
            continue;
        let_go(frame);
        frame->stream = NULL;
        frame->kind = SENT_FORGOTTEN;
    }
}

static void frames_acked(struct transport *transport, const struct path *path,
                         const struct sent_packet *packet)
{
    const struct sent_log *log = &path->sent;
    for (uint32_t i = 0; i < packet->frames; i++)
        frame_acked(transport, sent_log_frame_at(log, packet, i));
    for (uint32_t i = 0; i < packet->frames; i++) {
        const struct sent_frame *frame = sent_log_frame_at(log, packet, i);
        if (frame->stream && frame->stream->references > 1)
            stream_settle(frame->stream);
        let_go(frame);
    }
}

static void frames_lost(struct transport *transport, const struct path *path,
                        const struct sent_packet *packet)
{
    const struct sent_log *log = &path->sent;
    for (uint32_t i = 0; i < packet->frames; i++)
        frame_lost(transport, sent_log_frame_at(log, packet, i));
}

/* ---- fates of packets */

void recovery_use_packet_bytes(struct path *path)
{
    path->control->set_packet_bytes(path->congestion, path->mtu.bytes);
    path->pacer.packet_bytes = path->mtu.bytes;
    path->is_window_full = false;
}

/* What becomes of packets says how large the next ones may be. */
static void settle_mtu(struct transport *transport, struct path *path, uint64_t number,
                       uint32_t bytes, bool has_arrived)
{
    uint16_t before = path->mtu.bytes;
    if (has_arrived)
        mtu_on_acked(&path->mtu, number, bytes, transport->now_ns);
    else
        mtu_on_lost(&path->mtu, number, bytes, transport->now_ns);
    if (path->mtu.bytes != before)
        recovery_use_packet_bytes(path);
}

static void packet_acked(struct transport *transport, struct path *path, uint64_t number,
                         uint64_t rtt_ns)
{
    struct sent_packet *packet = sent_log_packet(&path->sent, number);
    enum sent_state state = (enum sent_state)packet->state;
    sent_log_set_state(&path->sent, number, SENT_ACKED);
    const struct congestion_packet fate = recovery_describe(packet, number);
    path->ecn.fresh += packet->is_marked;
    settle_mtu(transport, path, number, packet->bytes, true);
    switch (state) {
    case SENT_IN_FLIGHT:
        path->delivered_bytes += packet->bytes;
        LANE_TRACE(transport, PACKET_ACKED, path->wire_id, number, packet->bytes, packet->flow,
                   rtt_ns / 1000);
        path->delivered_ns = transport->now_ns;
        quality_acked(&path->quality, transport->now_ns, packet->bytes);
        /* Also of those that went beyond the window: the path is alive. */
        path->control->on_acked(path->congestion, &fate, rtt_ns, path->rtt.smoothed_ns,
                                path->rtt.min_ns, transport->now_ns);
        break;
    case SENT_LOST:
        loss_spurious(&path->loss, number);
        quality_spurious(&path->quality, transport->now_ns);
        transport->counters.packets_spurious++;
        path->spurious++;
        LANE_TRACE(transport, PACKET_SPURIOUS, path->wire_id, number, packet->bytes, packet->flow,
                   (transport->now_ns - packet->sent_ns) / 1000);
        if (packet->counted_bytes)
            path->control->on_spurious(path->congestion, &fate, transport->now_ns);
        break;
    case SENT_UNTRACKED:
    case SENT_ACKED:
        break;
    }
    frames_acked(transport, path, packet);
}

static void packet_lost(struct transport *transport, struct path *path, uint64_t number)
{
    struct sent_packet *packet = sent_log_packet(&path->sent, number);
    sent_log_set_state(&path->sent, number, SENT_LOST);
    packet->lost_ns = transport->now_ns;
    settle_mtu(transport, path, number, packet->bytes, false);
    transport->counters.packets_lost++;
    quality_lost(&path->quality, transport->now_ns);
    LANE_TRACE(transport, PACKET_LOST, path->wire_id, number, packet->bytes, packet->flow,
               (transport->now_ns - packet->sent_ns) / 1000);
    path->packets_lost++;
    if (!packet->is_moved)
        frames_lost(transport, path, packet);
    if (packet->counted_bytes) {
        const struct congestion_packet fate = recovery_describe(packet, number);
        path->control->on_lost(path->congestion, &fate, transport->now_ns);
    }
    path->is_window_full = false;
}

static void detect_losses(struct transport *transport, struct path *path)
{
    uint64_t cursor = path->sent.first_open;
    while (loss_next(&path->loss, &path->sent, &path->rtt, transport->now_ns, &cursor))
        packet_lost(transport, path, cursor - 1);
}

static void retire_settled(struct transport *transport, struct path *path)
{
    struct sent_log *log = &path->sent;
    uint64_t lost_kept_ns = 2 * path->rtt.smoothed_ns + LOST_KEPT_NS;
    while (log->oldest < log->next) {
        const struct sent_packet *packet = sent_log_packet(log, log->oldest);
        if (packet->state == SENT_IN_FLIGHT)
            return;
        if (packet->state == SENT_LOST) {
            if (transport->now_ns - packet->lost_ns < lost_kept_ns)
                return;
            drop_references(log, packet);
        } else if (packet->state == SENT_UNTRACKED) {
            if (transport->now_ns - packet->sent_ns < lost_kept_ns)
                return;
            drop_references(log, packet);
        }
        sent_log_retire(log);
    }
}

/* ---- acknowledgements */

/* Records are in a row; the streams that they name are anywhere. */
static void prefetch_streams(const struct sent_log *log, uint64_t number)
{
    if (number >= log->next)
        return;
    const struct sent_packet *packet = sent_log_packet(log, number);
    if (packet->frames)
        stream_prefetch_out(sent_log_frame_at(log, packet, 0)->stream);
}

/* Packets of [start, end) that are not yet known to have arrived, in order. */
static void range_acked(struct transport *transport, struct path *path, uint64_t start,
                        uint64_t end, uint64_t newest, uint64_t rtt_ns)
{
    struct sent_log *log = &path->sent;
    if (start < log->oldest)
        start = log->oldest;
    uint64_t number = start;
    while (number < end) {
        uint32_t at = ranges_find(&log->acked, number);
        uint64_t known_from = at < log->acked.count ? ranges_items(&log->acked)[at].start : end;
        uint64_t known_to = at < log->acked.count ? ranges_items(&log->acked)[at].end : end;
        for (; number < end && number < known_from; number++) {
            prefetch_streams(log, number + PREFETCH_AHEAD);
            packet_acked(transport, path, number, number == newest ? rtt_ns : 0);
        }
        number = known_to;
    }
    ranges_add(&log->acked, start, end);
}

/* The round-trip sample that the frame gives, 0 for none: its greatest packet is acknowledged
 * for the first time. */
static uint64_t sample_rtt(struct transport *transport, struct path *path,
                           const struct frame_ack *ack, uint64_t largest)
{
    const struct sent_log *log = &path->sent;
    if (largest < log->oldest || ranges_has(&log->acked, largest))
        return 0;
    const struct sent_packet *packet = sent_log_packet(log, largest);
    if (packet->state != SENT_IN_FLIGHT)
        return 0;
    uint64_t rtt_ns = transport->now_ns - packet->sent_ns;
    if (!rtt_ns)
        rtt_ns = 1;
    uint64_t delay_ns =
        ack->head.delay_us < ACK_DELAY_MAX_NS / 1000 ? ack->head.delay_us * 1000 : ACK_DELAY_MAX_NS;
    rtt_sample(&path->rtt, rtt_ns, delay_ns);
    return rtt_ns;
}

int recovery_on_ack(struct transport *transport, const struct frame_ack *ack)
{
    struct path *path = lane_path(transport, ack->head.path);
    uint64_t largest = ack->ranges[0].end - 1;
    if (!path) /* closed here, and the peer does not know yet; or never there */
        return paths_was_open(transport, ack->head.path) ? 0 : ERROR_INVALID;
    if (largest >= path->sent.next)
        return ERROR_INVALID;
    transport->current.send.is_acked |= largest >= path->phase_number;
    uint64_t rtt_ns = sample_rtt(transport, path, ack, largest);
    /* Congestion is a matter of our direction: neither the queue on the way back nor a batch of acks is. */
    if (rtt_ns)
        rtt_ns = feedback_on_rtt(path, ack, rtt_ns);
    uint32_t in_flight = path->sent.in_flight;
    for (uint32_t i = ack->count; i-- > 0;)
        range_acked(transport, path, ack->ranges[i].start, ack->ranges[i].end, largest, rtt_ns);
    if (path->sent.in_flight != in_flight) {
        path->is_window_full = false;
        loss_acked(&path->loss, largest);
        path->outstanding_since_ns = path->loss.waiting_since_ns = transport->now_ns;
    }
    feedback_on_ack(transport, path, ack);
    detect_losses(transport, path);
    retire_settled(transport, path);
    return 0;
}

/* ---- probes */

/* How urgent the bytes of a packet are: their ring; TRANSPORT_RINGS when it holds none. */
static uint32_t urgency(const struct sent_log *log, const struct sent_packet *packet)
{
    uint32_t best = TRANSPORT_RINGS;
    for (uint32_t i = 0; i < packet->frames; i++) {
        const struct sent_frame *frame = sent_log_frame_at(log, packet, i);
        if (frame->stream && frame->stream->open.ring < best)
            best = frame->stream->open.ring;
    }
    return best;
}

/* The oldest packet in flight with the most urgent bytes is taken for lost as far as its frames
 * go. */
static void probe(struct transport *transport, struct path *path)
{
    const struct sent_log *log = &path->sent;
    struct sent_packet *chosen = NULL;
    uint32_t best = UINT32_MAX;
    int looks = 0;
    for (uint64_t number = log->first_open; number < log->next && looks < PROBE_LOOKS; number++) {
        struct sent_packet *packet = sent_log_packet(log, number);
        if (packet->state != SENT_IN_FLIGHT || packet->is_moved || packet->is_repaired)
            continue;
        looks++;
        uint32_t ring = urgency(log, packet);
        if (ring < best) {
            best = ring;
            chosen = packet;
        }
    }
    if (chosen) {
        chosen->is_moved = true;
        frames_lost(transport, path, chosen);
    }
}

/* No ack may ever come to tell the losses of a path that is out of use: what went by another path is
 * lost here, except the newest, and those keep no stream. */
static void settle_silent(struct transport *transport, struct path *path)
{
    const struct sent_log *log = &path->sent;
    for (uint64_t number = log->first_open; number < log->next && log->in_flight > SILENT_KEPT;
         number++) {
        const struct sent_packet *packet = sent_log_packet(log, number);
        if (packet->state == SENT_IN_FLIGHT && packet->is_moved)
            packet_lost(transport, path, number);
    }
    for (uint64_t number = log->first_open; number < log->next; number++) {
        const struct sent_packet *packet = sent_log_packet(log, number);
        if (packet->state == SENT_IN_FLIGHT && packet->is_moved)
            forget_streams(log, packet);
    }
    retire_settled(transport, path);
}

void recovery_on_timer(struct transport *transport, struct path *path)
{
    if (path->loss.loss_at_ns <= transport->now_ns) {
        detect_losses(transport, path);
        retire_settled(transport, path);
        return;
    }
    recovery_on_silence(transport, path);
}

void recovery_on_silence(struct transport *transport, struct path *path)
{
    path->loss.probe_timeouts++;
    path->loss.last_sent_ns = path->loss.waiting_since_ns = transport->now_ns;
    transport->counters.probe_timeouts++;
    transport->counters.ecn_failures += ecn_on_probe_timeout(&path->ecn);
    LANE_TRACE(transport, PROBE_TIMEOUT, path->wire_id, path->loss.probe_timeouts, 0, 0, 0);
    path->control->on_probe_timeout(path->congestion, path->loss.probe_timeouts, transport->now_ns);
    path->is_window_full = false;
    path->probes = LOSS_PROBES;
    path->ping_waits = true; /* where nothing else is left to send */
    paths_on_timeout(transport, path);
    paths_choose(transport);
    if (!path->carries) {
        settle_silent(transport, path);
        return;
    }
    for (uint32_t i = 0; i < LOSS_PROBES; i++)
        probe(transport, path);
}

/* Bytes of the top rings in the last packet that had some; not what the packet carries besides. */
void recovery_repair_tail(struct transport *transport, struct path *path)
{
    uint64_t number = path->repair.after - 1;
    struct sent_packet *packet =
        number >= path->sent.oldest ? sent_log_packet(&path->sent, number) : NULL;
    struct quality quality = path->quality;
    quality_roll(&quality, transport->now_ns);
    const struct repair_facts facts = {
        .now_ns = transport->now_ns,
        .srtt_ns = path->rtt.smoothed_ns,
        .min_rtt_ns = path->rtt.min_ns,
        .window_bytes = path->control->window_bytes(path->congestion),
        .in_flight_bytes = path->control->in_flight_bytes(path->congestion),
        .link_bytes = transport->counters.bytes_sent + transport->counters.bytes_received,
        .loss_ppm = quality_loss_ppm(&quality, QUALITY_SECONDS),
        .packet_bytes = packet ? packet->bytes : 0,
        .is_wanted = !transport->config.no_tail_repair,
    };
    if (!repair_take(&path->repair, &facts) || !packet || packet->state != SENT_IN_FLIGHT ||
        packet->is_moved || packet->is_repaired)
        return;
    packet->is_repaired = true;
    transport->counters.tail_repairs++;
    transport->counters.tail_repair_bytes += packet->bytes;
    for (uint32_t i = 0; i < packet->frames; i++) {
        const struct sent_frame *frame = sent_log_frame_at(&path->sent, packet, i);
        if (frame->stream && frame->stream->open.ring < REPAIR_RINGS)
            frame_lost(transport, frame);
    }
}

void recovery_move(struct transport *transport, struct path *path, uint32_t ring)
{
    const struct sent_log *log = &path->sent;
    for (uint64_t number = log->first_open; number < log->next; number++) {
        struct sent_packet *packet = sent_log_packet(log, number);
        if (packet->state != SENT_IN_FLIGHT || packet->is_moved)
            continue;
        uint32_t urgent = urgency(log, packet);
        if (urgent > ring && urgent < TRANSPORT_RINGS)
            continue;
        packet->is_moved = true;
        frames_lost(transport, path, packet);
    }
}

void recovery_abandon(struct transport *transport, struct path *path)
{
    const struct sent_log *log = &path->sent;
    recovery_move(transport, path, TRANSPORT_RINGS);
    for (uint64_t number = log->oldest; number < log->next; number++) {
        const struct sent_packet *packet = sent_log_packet(log, number);
        if (packet->state != SENT_ACKED)
            drop_references(log, packet);
    }
}

void recovery_forget_congestion(struct path *path)
{
    for (uint64_t number = path->sent.oldest; number < path->sent.next; number++) {
        struct sent_packet *packet = sent_log_packet(&path->sent, number);
        packet->counted_bytes = 0;
        packet->flow = CONGESTION_NO_FLOW;
    }
    path->is_window_full = false;
}
