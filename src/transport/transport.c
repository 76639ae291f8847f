/* SPDX-License-Identifier: Apache-2.0
 *
 * A lane's life, its settings and what it tells about itself.
 */
#include "transport/lane.h"

#include "base/memory.h"

enum { PACKET_BYTES_MIN = 1200, PACKET_BYTES_MAX = 65000 };

void transport_config_defaults(struct transport_config *config)
{
    *config = (struct transport_config){
        .lanes = 1,
        .packet_bytes = 1400,
        .packet_bytes_least = MTU_BASE_BYTES,
        .weights = {16, 8, 4, 2, 1},
        .sub_packet_bytes = BLENDER_QUANTUM,
        .hosted_cap = 256,
        .window_budget = 256ull << 20,
        .stream_window = LANE_STREAM_WINDOW_MIN,
        .stream_window_max = 16u << 20,
        .keep_alive_ns = 5000000000ull,
        .resume_ns = 30000000000ull,
        .dial_backoff_max_ns = 8000000000ull,
        .handshake_every_ns = 3600000000000ull,
        .ecn = ECN_ECT_0,
    };
}

static uint16_t usable_packet_bytes(uint32_t bytes)
{
    return (uint16_t)(bytes < PACKET_BYTES_MIN   ? PACKET_BYTES_MIN
                      : bytes > PACKET_BYTES_MAX ? PACKET_BYTES_MAX
                                                 : bytes);
}

static void start_identity(struct transport *transport)
{
    struct transport_config *config = &transport->config;
    struct key private_key, peer_key, pre_shared;
    memcpy(private_key.bytes, config->private_key, KEY_BYTES);
    memcpy(peer_key.bytes, config->peer_key, KEY_BYTES);
    memcpy(pre_shared.bytes, config->pre_shared_key, KEY_BYTES);
    handshake_identity_init(&transport->identity, config->crypto, &private_key);
    transport->has_peer =
        !handshake_peer_init(&transport->peer, &transport->identity, &peer_key, &pre_shared);
    if (transport->has_peer)
        handshake_initiator_init(&transport->dial.initiator, &transport->identity,
                                 &transport->peer);
    bytes_wipe(&private_key, sizeof private_key);
    bytes_wipe(&pre_shared, sizeof pre_shared);
    bytes_wipe(config->private_key, sizeof config->private_key);
    bytes_wipe(config->pre_shared_key, sizeof config->pre_shared_key);
}

struct transport *transport_new(const struct transport_config *config, uint64_t now_ns)
{
    struct transport *transport = NEW(struct transport);
    transport->config = *config;
    transport->config.packet_bytes = usable_packet_bytes(config->packet_bytes);
    transport->config.packet_bytes_least = usable_packet_bytes(config->packet_bytes_least);
    transport->now_ns = now_ns;
    random_seed(&transport->random, config->random_seed);
    start_identity(transport);
    list_init(&transport->streams);
    list_init(&transport->controls);
    list_init(&transport->events);
    list_init(&transport->up.link);
    list_init(&transport->down.link);
    blender_init(&transport->blender, config->weights, config->sub_packet_bytes);
    hosting_init(&transport->hosting);
    uint32_t first = config->stream_window > LANE_STREAM_WINDOW_MIN ? config->stream_window
                                                                    : LANE_STREAM_WINDOW_MIN;
    transport->credit =
        (struct credit){.budget = config->window_budget,
                        .first = first,
                        .most =
                            config->stream_window_max > first ? config->stream_window_max : first,
                        .at_open = config->stream_window_lent};
    transport->table.seed = random_u64(&transport->random);
    lane_reset_connection(transport);
    return transport;
}

void transport_free(struct transport **transport)
{
    struct transport *gone = *transport;
    if (!gone)
        return;
    *transport = NULL;
    LIST_EACH (link, after, &gone->streams)
        stream_free(CONTAINER_OF(link, struct transport_stream, all_link));
    lane_clear_sessions(gone);
    session_clear(&gone->pending);
    session_clear(&gone->farewell.session);
    lane_reset_connection(gone);
    if (gone->has_peer) {
        handshake_initiator_clear(&gone->dial.initiator);
        handshake_peer_clear(&gone->peer);
    }
    handshake_identity_clear(&gone->identity);
    blender_clear(&gone->blender);
    memory_free(gone);
}

void transport_set_weights(struct transport *transport, const uint8_t weights[TRANSPORT_RINGS])
{
    memcpy(transport->config.weights, weights, sizeof transport->config.weights);
    blender_set_weights(&transport->blender, weights);
}

void transport_set_site_weights(struct transport *transport,
                                const struct transport_site_weight *weights, size_t count)
{
    blend_sites_weigh(&transport->blender.sites, weights, count);
}

void transport_set_packet_bytes(struct transport *transport, uint16_t packet_bytes)
{
    if (transport->config.packet_bytes == usable_packet_bytes(packet_bytes))
        return;
    transport->config.packet_bytes = usable_packet_bytes(packet_bytes);
    PATHS_EACH (path, transport) {
        mtu_set_most(&path->mtu, transport->config.packet_bytes);
        recovery_use_packet_bytes(path);
    }
}

void transport_packet_refused(struct transport *transport,
                              const struct transport_transmit *transmit, uint32_t bytes)
{
    const struct way way = {.peer = transmit->to,
                            .local = transmit->local,
                            .carriage = transmit->carriage};
    PATHS_EACH (path, transport) {
        uint16_t before = path->mtu.bytes;
        if (!way_equal(&path->way, &way))
            continue;
        mtu_on_refused(&path->mtu, bytes, transport->now_ns);
        if (path->mtu.bytes != before)
            recovery_use_packet_bytes(path);
    }
}

void transport_set_trace(struct transport *transport, struct transport_trace *trace)
{
    transport->trace = trace;
}

void transport_read_facts(const struct transport *transport, struct transport_facts *facts)
{
    const struct path *best = transport->primary;
    *facts = transport->counters;
    facts->state = transport->state;
    facts->features = session_is_on(&transport->current) ? transport->current.result.features : 0;
    facts->peer = best->way.peer;
    facts->streams_open = transport->own_open + transport->peer_open;
    paths_read_facts(transport, facts);
    facts->srtt_ns = best->rtt.samples ? best->rtt.smoothed_ns : 0;
    facts->min_rtt_ns = best->rtt.min_ns;
    facts->rtt_variance_ns = best->rtt.variance_ns;
    facts->hosted = transport->hosted;
    feedback_read_facts(transport, facts);
    facts->delivery_bytes_per_s = facts->quality.delivery_bytes_per_s;
    for (int i = 0; i < TRANSPORT_RINGS; i++) {
        const struct blend_ring *ring = &transport->blender.rings[i];
        facts->rings[i] = (struct transport_ring_facts){.sockets = ring->sockets,
                                                        .ready = ring->ready_count,
                                                        .bytes = ring->bytes,
                                                        .sent_bytes = ring->sent_bytes,
                                                        .sub_packets = ring->sub_packets};
    }
}

size_t transport_read_sites(const struct transport *transport, struct transport_site_facts *sites,
                            size_t count)
{
    return blend_sites_read(&transport->blender.sites, sites, count);
}

const char *transport_state_text(enum transport_state state)
{
    switch (state) {
#define X(name, text)            \
    case TRANSPORT_STATE_##name: \
        return text;
        TRANSPORT_STATE_LIST(X)
#undef X
    }
    return "unknown";
}

const char *transport_path_state_text(enum transport_path_state state)
{
    switch (state) {
#define X(name, text)                 \
    case TRANSPORT_PATH_STATE_##name: \
        return text;
        TRANSPORT_PATH_STATE_LIST(X)
#undef X
    }
    return "unknown";
}

uint32_t transport_code_later(uint64_t wait_ns)
{
    uint64_t seconds = wait_ns / 1000000000 + 1;
    return TRANSPORT_CODE_LATER +
           (uint32_t)(seconds < TRANSPORT_LATER_MOST_S ? seconds : TRANSPORT_LATER_MOST_S);
}

uint32_t transport_code_seconds(uint32_t code)
{
    bool says =
        code > TRANSPORT_CODE_LATER && code <= TRANSPORT_CODE_LATER + TRANSPORT_LATER_MOST_S;
    return says ? code - TRANSPORT_CODE_LATER : 0;
}

const char *transport_code_text(uint32_t code)
{
    switch (transport_code_seconds(code) ? TRANSPORT_CODE_LIMIT : code) {
#define X(name, value, text) \
    case value:              \
        return text;
        TRANSPORT_CODE_LIST(X)
#undef X
    default:
        return "unknown";
    }
}
