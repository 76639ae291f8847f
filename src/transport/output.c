/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes out when: timers, then handshakes and last words, then batches of packets as far as
 * window and pacer allow. Acknowledgements, answers to challenges and probes go whatever the window
 * says.
 */
#include "transport/lane.h"

#include "base/memory.h"

bool output_has_data(const struct transport *transport, const struct path *path)
{
    return path->ping_waits || path->quality_waits || paths_has_data(transport, path);
}

/* Something that neither window nor pacer holds back. */
static bool has_urgent(const struct transport *transport, const struct path *path)
{
    return path->challenge_waits || path->response_waits ||
           (path->receipts.due_ns <= transport->now_ns && !path_is_narrow(path));
}

/* ---- timers */

static uint64_t heard_ns(const struct transport *transport)
{
    uint64_t last_ns = 0;
    PATHS_EACH (path, transport)
        if (path->last_heard_ns > last_ns)
            last_ns = path->last_heard_ns;
    return last_ns;
}

uint64_t transport_out_since(const struct transport *transport)
{
    if (transport->state != TRANSPORT_STATE_UP)
        return 0;
    PATHS_EACH (path, transport)
        if (path_state(path) != TRANSPORT_PATH_STATE_DEGRADED &&
            path_state(path) != TRANSPORT_PATH_STATE_NEW)
            return 0;
    uint64_t since_ns = heard_ns(transport);
    return transport->now_ns - since_ns >= LANE_OUT_NS ? since_ns : 0;
}

/* When the connection is lost: nothing has come on any path for so long. */
static uint64_t dead_at(const struct transport *transport)
{
    uint64_t since_ns = heard_ns(transport);
    bool is_waiting = false;
    PATHS_EACH (path, transport) {
        if (path->sent.in_flight && path->outstanding_since_ns > since_ns)
            since_ns = path->outstanding_since_ns;
        is_waiting |= path->sent.in_flight > 0;
    }
    return is_waiting ? since_ns + transport->config.resume_ns : UINT64_MAX;
}

/* Once a second: forgets slowly what it has seen, and not at all while nothing is sent. */
static void note_capacity(struct transport *transport, const struct path *path)
{
    struct known_path *known = &transport->known_path;
    struct quality quality = path->quality;
    quality_roll(&quality, transport->now_ns);
    uint64_t bdp_bytes =
        quality_delivery_bytes_per_s(&quality) * (path->rtt.min_ns / 1000) / 1000000;
    if (!bdp_bytes || !path_is_proven(path))
        return;
    bool is_same = address_equal(&known->peer, &path->way.peer);
    uint64_t faded = is_same ? known->bdp_bytes - known->bdp_bytes / 8 : 0;
    *known = (struct known_path){.bdp_bytes = bdp_bytes > faded ? bdp_bytes : faded,
                                 .at_ns = transport->now_ns,
                                 .peer = path->way.peer};
}

/* How long a path may be silent before it is probed. */
static uint64_t keep_alive_ns(const struct transport *transport, const struct path *path)
{
    uint64_t every_ns = transport->config.keep_alive_ns;
    return path->carries || every_ns > PATH_STANDBY_NS ? every_ns : PATH_STANDBY_NS;
}

static void run_path_timers(struct transport *transport, struct path *path)
{
    uint64_t now_ns = transport->now_ns;
    if (now_ns >= loss_timer(&path->loss, &path->sent, &path->rtt))
        recovery_on_timer(transport, path);
    else if (now_ns >= paths_doubt_at(transport, path))
        recovery_on_silence(transport, path);
    if (now_ns >= path->repair.due_ns)
        recovery_repair_tail(transport, path);
    if (path_run_proof(path, now_ns))
        lane_random(transport, path->challenge, sizeof path->challenge);
    if (path->is_new)
        return;
    if (now_ns >= path->quality_at_ns) {
        path->quality_at_ns = now_ns + (path->carries ? LANE_QUALITY_NS : PATH_STANDBY_NS);
        path->quality_waits = true;
        note_capacity(transport, path);
    }
    if (now_ns - path->last_sent_ns >= keep_alive_ns(transport, path))
        path->ping_waits = true;
}

static void run_up_timers(struct transport *transport)
{
    if (transport->now_ns >= dead_at(transport)) {
        lane_down(transport, TRANSPORT_CODE_LINK_LOST);
        return;
    }
    paths_run(transport);
    PATHS_EACH (path, transport)
        run_path_timers(transport, path);
    transport->hosted =
        hosting_count(&transport->hosting, transport->primary->rtt.smoothed_ns, transport->now_ns);
    paths_partition(transport);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t path_wake(const struct transport *transport, const struct path *path)
{
    uint64_t wake_ns = UINT64_MAX;
    bool is_narrow = path_is_narrow(path);
    bool has_data = output_has_data(transport, path) && !is_narrow;
    if (!path_is_muted(path) && (has_urgent(transport, path) || (path->probes && has_data)))
        return transport->now_ns;
    if (!is_narrow)
        wake_ns = path->receipts.due_ns;
    wake_ns = least(wake_ns, loss_timer(&path->loss, &path->sent, &path->rtt));
    wake_ns = least(wake_ns, path->repair.due_ns);
    wake_ns = least(wake_ns, paths_doubt_at(transport, path));
    if (!path->is_new)
        wake_ns = least(wake_ns, path->quality_at_ns);
    if (!path->ping_waits && !path->is_new) /* else it is the pacer's turn */
        wake_ns = least(wake_ns, path->last_sent_ns + keep_alive_ns(transport, path));
    if (!path_is_proven(path))
        wake_ns = least(wake_ns, path->prove_at_ns);
    if (has_data && !path->is_window_full && !sent_log_is_full(&path->sent))
        wake_ns = least(wake_ns, pacer_next(&path->pacer, transport->now_ns));
    return wake_ns;
}

uint64_t transport_next_wake(const struct transport *transport)
{
    uint64_t wake_ns = transport->dial.is_active ? transport->dial.attempt_at_ns : UINT64_MAX;
    if (transport->resp_waits || session_is_on(&transport->farewell.session))
        return transport->now_ns;
    if (transport->state != TRANSPORT_STATE_UP)
        return wake_ns;
    wake_ns = least(wake_ns, dead_at(transport));
    PATHS_EACH (path, transport)
        wake_ns = least(wake_ns, path_wake(transport, path));
    return wake_ns;
}

/* ---- packets */

/* Asks congestion control and pacer for a packet with data. */
static bool may_send_data(struct transport *transport, struct path *path, struct packet_plan *plan)
{
    if (sent_log_is_full(&path->sent))
        return false;
    if (path->probes) {
        path->probes--;
        return true;
    }
    if (path->is_window_full || !pacer_budget(&path->pacer, transport->now_ns))
        return false;
    uint64_t waiting =
        blender_waiting(&transport->blender) + PACKET_OVERHEAD_BYTES + FRAME_CONTROL_MAX;
    uint32_t bytes = waiting < plan->most ? (uint32_t)waiting : plan->most;
    uint16_t flow =
        path->control->take(path->congestion, bytes, path->sent.next, transport->now_ns);
    if (flow == CONGESTION_NO_FLOW) {
        path->is_window_full = true;
        return false;
    }
    plan->flow = flow;
    plan->counted_bytes = bytes;
    return true;
}

/* What was taken from the window goes back: the packet did not come about, or is not
 * ack-eliciting. */
static void give_back(struct path *path, const struct packet_plan *plan)
{
    if (!plan->counted_bytes)
        return;
    const struct congestion_packet packet = {.flow = plan->flow,
                                             .bytes = plan->counted_bytes,
                                             .number = path->sent.next};
    path->control->on_discarded(path->congestion, &packet);
}

/* After a probe timeout small ones: it may be their size that keeps the others from arriving. */
static uint32_t packet_bytes(const struct path *path)
{
    return path->loss.probe_timeouts ? path->mtu.least : path->mtu.bytes;
}

static uint32_t send_packet(struct transport *transport, struct path *path, uint8_t *out,
                            uint32_t pad_to, uint8_t ecn)
{
    struct packet_plan plan = {.most = packet_bytes(path), .flow = CONGESTION_NO_FLOW};
    if (path_is_muted(path))
        return 0;
    if (path_allowance(path) < plan.most)
        plan.most = (uint32_t)path_allowance(path);
    plan.is_narrow = path_is_narrow(path);
    bool has_data = output_has_data(transport, path) && !plan.is_narrow;
    plan.may_send_streams = paths_has_data(transport, path);
    plan.may_send_data = has_data && may_send_data(transport, path, &plan);
    if (!plan.may_send_data && !has_urgent(transport, path))
        return 0;
    plan.pad_to = pad_to <= plan.most ? pad_to : 0;
    plan.ecn = ecn;
    uint32_t bytes = build_packet(transport, path, out, &plan);
    if (!bytes) {
        give_back(path, &plan);
        return 0;
    }
    if (!sent_log_packet(&path->sent, path->sent.next - 1)->counted_bytes)
        give_back(path, &plan);
    if (plan.may_send_data)
        pacer_spend(&path->pacer, bytes);
    if (!path_is_proven(path))
        path->unproven_out += bytes;
    return bytes;
}

/* Nothing is amiss on the path that would be blamed on a large packet, or made worse by it. */
static bool is_quiet(const struct transport *transport, const struct path *path)
{
    return path_is_proven(path) && transport->current.is_confirmed && !path->loss.probe_timeouts &&
           path->rtt.samples && !sent_log_is_full(&path->sent);
}

static void set_way(struct transport_transmit *transmit, const struct way *way)
{
    transmit->to = way->peer;
    transmit->local = way->local;
    transmit->carriage = way->carriage;
}

/* A batch for one sendmsg: all packets but the last have the length of the first. */
static bool fill_batch(struct transport *transport, struct path *path,
                       struct transport_transmit *transmit)
{
    uint32_t capacity =
        transmit->capacity < LANE_BATCH_BYTES ? transmit->capacity : LANE_BATCH_BYTES;
    uint32_t most = packet_bytes(path);
    uint32_t length = 0, segment = 0;
    uint8_t ecn = ecn_mark(&path->ecn); /* of the IP packet that all of them become */
    for (int packets = 0; packets < LANE_BATCH_PACKETS && length + most <= capacity; packets++) {
        uint32_t pad_to = segment;
        uint32_t bytes = send_packet(transport, path, transmit->data + length, pad_to, ecn);
        if (!bytes)
            break;
        length += bytes;
        if (!segment)
            segment = bytes;
        if (bytes != segment || bytes < most)
            break;
    }
    set_way(transmit, &path->way);
    transmit->ecn = ecn;
    transmit->length = length;
    transmit->segment_bytes = (uint16_t)segment;
    return length > 0;
}

/* A padded packet, and a small one behind it, whose arrival will tell that the large one was lost: no
 * timer need run out. */
static bool fill_mtu_probe(struct transport *transport, struct path *path,
                           struct transport_transmit *transmit)
{
    uint32_t bytes = mtu_due(&path->mtu, transport->now_ns);
    if (!bytes || !is_quiet(transport, path) || transmit->capacity < bytes)
        return false;
    const struct packet_plan plan = {.most = bytes,
                                     .is_mtu_probe = true,
                                     .ecn = ecn_mark(&path->ecn),
                                     .flow = CONGESTION_NO_FLOW};
    if (!build_packet(transport, path, transmit->data, &plan))
        return false;
    mtu_probe_sent(&path->mtu, (uint16_t)bytes, path->sent.next - 1);
    path->ping_waits = true;
    set_way(transmit, &path->way);
    transmit->ecn = plan.ecn;
    transmit->length = bytes;
    transmit->segment_bytes = (uint16_t)bytes;
    return true;
}

static bool fill_datagram(struct transport *transport, struct transport_transmit *transmit)
{
    if (transport->resp_waits && transmit->capacity >= HANDSHAKE_RESP_BYTES) {
        memcpy(transmit->data, transport->resp, HANDSHAKE_RESP_BYTES);
        transport->resp_waits = false;
        set_way(transmit, &transport->resp_way);
        transmit->length = HANDSHAKE_RESP_BYTES;
    } else if (session_is_on(&transport->farewell.session) &&
               transmit->capacity >= PACKET_OVERHEAD_BYTES + FRAME_CONTROL_MAX) {
        set_way(transmit, &transport->farewell.way);
        transmit->length = build_farewell(transport, transmit->data);
    } else if (transport->dial.is_active && transport->now_ns >= transport->dial.attempt_at_ns &&
               transmit->capacity >= HANDSHAKE_INIT_BYTES) {
        dial_write_init(transport, transmit->data);
        const struct way way = way_of_route(&transport->dial.route);
        set_way(transmit, &way);
        transmit->length = HANDSHAKE_INIT_BYTES;
    } else {
        return false;
    }
    transmit->segment_bytes = (uint16_t)transmit->length;
    transmit->ecn = ECN_NOT_ECT;
    return true;
}

static void note_app_limit(struct transport *transport, struct path *path)
{
    bool is_limited = !path->is_window_full && !output_has_data(transport, path);
    pacer_set_resting(&path->pacer, is_limited || path->is_window_full, transport->now_ns);
    if (is_limited)
        path->probes = 0;
    repair_set_idle(&path->repair, is_limited, path->rtt.smoothed_ns, transport->now_ns);
    if (is_limited == path->is_app_limited)
        return;
    path->is_app_limited = is_limited;
    path->control->set_app_limited(path->congestion, is_limited, transport->now_ns);
}

/* What one path sends: how many transmits were filled. */
static size_t fill_from(struct transport *transport, struct path *path,
                        struct transport_transmit *transmits, size_t count)
{
    size_t filled = 0;
    pacer_set_rate(&path->pacer,
                   path->control->pacing_bytes_per_s(path->congestion, path->rtt.smoothed_ns),
                   transport->now_ns);
    if (filled < count && fill_mtu_probe(transport, path, &transmits[filled]))
        filled++;
    while (filled < count && fill_batch(transport, path, &transmits[filled]))
        filled++;
    note_app_limit(transport, path);
    return filled;
}

size_t transport_send(struct transport *transport, uint64_t now_ns,
                      struct transport_transmit *transmits, size_t count)
{
    if (now_ns > transport->now_ns)
        transport->now_ns = now_ns;
    lane_run_sessions(transport);
    if (transport->state == TRANSPORT_STATE_UP)
        run_up_timers(transport);
    dial_run(transport);
    size_t filled = 0;
    while (filled < count && fill_datagram(transport, &transmits[filled]))
        filled++;
    if (transport->state != TRANSPORT_STATE_UP)
        return filled;
    PATHS_EACH (path, transport)
        filled += fill_from(transport, path, transmits + filled, count - filled);
    return filled;
}
