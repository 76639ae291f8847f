/* SPDX-License-Identifier: Apache-2.0
 *
 * What acknowledgements tell of a path besides arrival: one-way delay, congestion marks. And the
 * quality of paths and link as it is exported and told to the peer each second (T8).
 */
#include "transport/lane.h"

enum { MARK_LOOKS = 256 }; /* packets looked at for those that a CE report means */

/* Counts say how many packets were marked, not which. A mark is acknowledged at once, so that they
 * are the newest of the report. */
static void claim_marks(struct transport *transport, struct path *path, uint64_t largest,
                        uint32_t marks)
{
    const struct sent_log *log = &path->sent;
    uint32_t looks = 0;
    for (uint64_t number = largest + 1; marks && looks < MARK_LOOKS && number-- > log->oldest;
         looks++) {
        struct sent_packet *packet = sent_log_packet(log, number);
        if (!packet->is_marked || packet->state != SENT_ACKED)
            continue;
        packet->is_marked = false;
        marks--;
        LANE_TRACE(transport, PACKET_CE, path->wire_id, number, packet->bytes, packet->flow, 0);
        if (!packet->counted_bytes)
            continue;
        const struct congestion_packet fate = recovery_describe(packet, number);
        path->control->on_ce(path->congestion, &fate, transport->now_ns);
    }
}

uint64_t feedback_on_rtt(struct path *path, const struct frame_ack *ack, uint64_t rtt_ns)
{
    uint64_t largest = ack->ranges[0].end - 1;
    delay_trend_sample(&path->delay, sent_log_packet(&path->sent, largest)->sent_ns,
                       ack->head.arrival_us, rtt_ns);
    uint64_t forward_ns = path->rtt.min_ns + delay_trend_last_queue_us(&path->delay) * 1000;
    return forward_ns < rtt_ns ? forward_ns : rtt_ns;
}

void feedback_on_ack(struct transport *transport, struct path *path, const struct frame_ack *ack)
{
    uint64_t largest = ack->ranges[0].end - 1, fresh = path->ecn.fresh;
    enum ecn_state before = path->ecn.state;
    int marks = ecn_on_ack(&path->ecn, largest, &ack->head.ecn);
    if (marks < 0)
        transport->counters.ecn_failures++;
    if (path->ecn.state != before)
        LANE_TRACE(transport, ECN_STATE, path->wire_id, path->ecn.state, 0, 0, 0);
    if (marks > 0) {
        transport->counters.packets_ce += (uint32_t)marks;
        quality_marked(&path->quality, transport->now_ns, (uint32_t)marks);
        claim_marks(transport, path, largest, (uint32_t)marks);
    }
    if (!transport->trace)
        return;
    const char *mode = path->control->mode(path->congestion);
    if (mode != path->traced_mode)
        LANE_TRACE(transport, MODE, path->wire_id, (uintptr_t)mode, 0, 0, 0);
    path->traced_mode = mode;
    LANE_TRACE(transport, ACK_RECEIVED, path->wire_id, largest, ack->count, ack->head.delay_us,
               fresh);
    LANE_TRACE(transport, METRICS, path->wire_id, path->control->window_bytes(path->congestion),
               (uint32_t)path->control->in_flight_bytes(path->congestion),
               path->rtt.smoothed_ns / 1000,
               path->control->pacing_bytes_per_s(path->congestion, path->rtt.smoothed_ns));
}

/* ---- quality */

static void set_rates(struct transport_quality *quality, const struct quality *measured)
{
    quality->loss_ppm_1s = quality_loss_ppm(measured, 1);
    quality->loss_ppm_10s = quality_loss_ppm(measured, QUALITY_SECONDS);
    quality->ce_ppm_10s = quality_ce_ppm(measured, QUALITY_SECONDS);
    quality->delivery_bytes_per_s = quality_delivery_bytes_per_s(measured);
}

static uint32_t microseconds(uint64_t ns)
{
    return ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
}

static uint64_t spare_window(const struct path *path)
{
    if (!path->congestion)
        return 0;
    uint64_t window = path->control->window_bytes(path->congestion);
    uint64_t in_flight = path->control->in_flight_bytes(path->congestion);
    return window > in_flight ? window - in_flight : 0;
}

void feedback_quality(const struct transport *transport, const struct path *path,
                      struct transport_quality *quality)
{
    struct quality measured = path->quality;
    quality_roll(&measured, transport->now_ns);
    *quality = (struct transport_quality){
        .hosted = path->hosted,
        .spurious = (uint32_t)path->spurious,
        .reconnects = transport->counters.sessions ? (uint32_t)transport->counters.sessions - 1 : 0,
        .ecn_state = path->ecn.state,
        .spare_window_bytes = spare_window(path),
        .queue_us = microseconds(delay_trend_queue_us(&path->delay) * 1000),
        .delay_trend_us_per_s = (int32_t)delay_trend_us_per_s(&path->delay, transport->now_ns)};
    set_rates(quality, &measured);
    if (path->rtt.samples) {
        quality->srtt_us = microseconds(path->rtt.smoothed_ns);
        quality->min_rtt_us = microseconds(path->rtt.min_ns);
        quality->rtt_variance_us = microseconds(path->rtt.variance_ns);
    }
}

static void read_path(const struct transport *transport, const struct path *path,
                      struct transport_path_facts *facts)
{
    *facts = (struct transport_path_facts){.id = path->wire_id,
                                           .is_primary = path == transport->primary,
                                           .local = path->way.local,
                                           .carriage = path->way.carriage,
                                           .state = path_state(path),
                                           .peer = path->way.peer,
                                           .packets_sent = path->packets_sent,
                                           .bytes_sent = path->bytes_sent,
                                           .packets_lost = path->packets_lost,
                                           .hosted = path->hosted,
                                           .probe_timeouts = path->loss.probe_timeouts,
                                           .packet_bytes = path->mtu.bytes,
                                           .mtu_fallbacks = path->mtu.holes,
                                           .peer_quality = path->peer_quality};
    feedback_quality(transport, path, &facts->quality);
    if (!path->congestion)
        return;
    facts->window_bytes = path->control->window_bytes(path->congestion);
    facts->in_flight_bytes = path->control->in_flight_bytes(path->congestion);
    facts->pacing_bytes_per_s =
        path->control->pacing_bytes_per_s(path->congestion, path->rtt.smoothed_ns);
    facts->virtual_flows = path->control->flows(path->congestion);
    facts->mode = path->control->mode(path->congestion);
}

/* What the peer said of its paths as one: rates by how much each carries. */
static void merge_peer(struct transport_facts *facts)
{
    struct transport_quality *all = &facts->peer_quality;
    uint64_t weights = 0, loss_1s = 0, loss_10s = 0, ce = 0;
    if (facts->path_count < 2)
        return;
    all->delivery_bytes_per_s = all->spare_window_bytes = 0;
    for (uint32_t i = 0; i < facts->path_count; i++) {
        const struct transport_quality *one = &facts->paths[i].peer_quality;
        uint64_t weight = one->delivery_bytes_per_s / 1024 + 1;
        weights += weight;
        loss_1s += weight * one->loss_ppm_1s;
        loss_10s += weight * one->loss_ppm_10s;
        ce += weight * one->ce_ppm_10s;
        all->delivery_bytes_per_s += one->delivery_bytes_per_s;
        all->spare_window_bytes += one->spare_window_bytes;
    }
    all->loss_ppm_1s = (uint32_t)(loss_1s / weights);
    all->loss_ppm_10s = (uint32_t)(loss_10s / weights);
    all->ce_ppm_10s = (uint32_t)(ce / weights);
}

void feedback_read_facts(const struct transport *transport, struct transport_facts *facts)
{
    struct quality all = {0};
    quality_roll(&all, transport->now_ns);
    facts->path_count = 0;
    uint64_t spare_bytes = 0;
    PATHS_EACH (path, transport) {
        struct quality one = path->quality;
        quality_roll(&one, transport->now_ns);
        quality_add(&all, &one);
        spare_bytes += spare_window(path);
        if (path->peer_quality_ns > facts->peer_quality_ns)
            facts->peer_quality_ns = path->peer_quality_ns;
        read_path(transport, path, &facts->paths[facts->path_count++]);
    }
    feedback_quality(transport, transport->primary, &facts->quality);
    facts->quality.hosted = transport->hosted;
    set_rates(&facts->quality, &all);
    facts->quality.spare_window_bytes = spare_bytes;
    facts->quality.spurious = (uint32_t)transport->counters.packets_spurious;
    facts->peer_quality = transport->primary->peer_quality;
    merge_peer(facts);
}

void transport_read_brief(const struct transport *transport, struct transport_brief *brief)
{
    const struct path *best = transport->primary;
    *brief = (struct transport_brief){.srtt_ns = best->rtt.samples ? best->rtt.smoothed_ns : 0,
                                      .is_doubted = true};
    PATHS_EACH (path, transport) {
        brief->packets_known += path->quality.known;
        brief->packets_lost += path->quality.lost;
        brief->spare_window_bytes += spare_window(path);
        brief->is_doubted &= path->loss.probe_timeouts > 0;
    }
}
