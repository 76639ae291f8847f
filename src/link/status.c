/* SPDX-License-Identifier: Apache-2.0
 *
 * What the links tell about themselves, as JSON.
 */
#include "link/driver.h"

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *rings_status(const struct transport_facts *facts)
{
    json_t *rings = json_array();
    for (int i = 0; i < TRANSPORT_RINGS; i++) {
        const struct transport_ring_facts *ring = &facts->rings[i];
        json_array_append_new(rings, json_pack("{s:o, s:o, s:o, s:o, s:o}", "sockets",
                                               integer(ring->sockets), "ready",
                                               integer(ring->ready), "bytes", integer(ring->bytes),
                                               "sent_bytes", integer(ring->sent_bytes),
                                               "sub_packets", integer(ring->sub_packets)));
    }
    return rings;
}

/* One direction, as the sender of its packets knows it. */
static json_t *quality_status(const struct transport_quality *quality)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"loss_ppm_1s", quality->loss_ppm_1s},
        {"loss_ppm_10s", quality->loss_ppm_10s},
        {"ce_ppm_10s", quality->ce_ppm_10s},
        {"srtt_us", quality->srtt_us},
        {"min_rtt_us", quality->min_rtt_us},
        {"rtt_variance_us", quality->rtt_variance_us},
        {"queue_us", quality->queue_us},
        {"delivery_bytes_per_s", quality->delivery_bytes_per_s},
        {"spare_window_bytes", quality->spare_window_bytes},
        {"spurious", quality->spurious},
        {"hosted", quality->hosted},
        {"reconnects", quality->reconnects},
    };
    json_t *status = json_object();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(status, numbers[i].name, integer(numbers[i].value));
    json_object_set_new(status, "delay_trend_us_per_s",
                        json_integer(quality->delay_trend_us_per_s));
    json_object_set_new(status, "ecn",
                        json_string(ecn_state_text((enum ecn_state)quality->ecn_state)));
    return status;
}

static json_t *path_status(const struct transport_path_facts *path)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"id", path->id},
        {"packets_sent", path->packets_sent},
        {"bytes_sent", path->bytes_sent},
        {"packets_lost", path->packets_lost},
        {"hosted", path->hosted},
        {"probe_timeouts", path->probe_timeouts},
        {"packet_bytes", path->packet_bytes},
        {"mtu_fallbacks", path->mtu_fallbacks},
        {"window_bytes", path->window_bytes},
        {"in_flight_bytes", path->in_flight_bytes},
        {"pacing_bytes_per_s", path->pacing_bytes_per_s},
        {"virtual_flows", path->virtual_flows},
    };
    char peer[ADDRESS_TEXT_BYTES];
    json_t *status = json_object();
    json_object_set_new(status, "peer", json_string(address_text(&path->peer, true, peer)));
    json_object_set_new(status, "carriage",
                        json_string(path->carriage == TRANSPORT_CARRIAGE_TCP ? "tcp" : "udp"));
    json_object_set_new(status, "primary", json_boolean(path->is_primary));
    json_object_set_new(status, "state", json_string(transport_path_state_text(path->state)));
    json_object_set_new(status, "mode", json_string(path->mode ? path->mode : "-"));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(status, numbers[i].name, integer(numbers[i].value));
    json_object_set_new(status, "out", quality_status(&path->quality));
    json_object_set_new(status, "in", quality_status(&path->peer_quality));
    return status;
}

static json_t *paths_status(const struct transport_facts *facts)
{
    json_t *paths = json_array();
    for (uint32_t i = 0; i < facts->path_count; i++)
        json_array_append_new(paths, path_status(&facts->paths[i]));
    return paths;
}

static json_t *sites_status(const struct transport_site_facts *facts, size_t count)
{
    json_t *sites = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(sites, json_pack("{s:i, s:i, s:o, s:o}", "number",
                                               (int)facts[i].number, "weight", (int)facts[i].weight,
                                               "buffers", integer(facts[i].buffers), "sent_bytes",
                                               integer(facts[i].sent_bytes)));
    return sites;
}

json_t *status_of_link(struct link *link)
{
    struct transport_facts facts;
    struct transport_site_facts sites[SITES_SHOWN];
    size_t site_count;
    char peer[ADDRESS_TEXT_BYTES];
    pthread_mutex_lock(&link->facts_lock);
    facts = link->facts;
    site_count = link->site_count;
    memcpy(sites, link->sites, site_count * sizeof *sites);
    pthread_mutex_unlock(&link->facts_lock);
    uint64_t now_ns = clock_now_ns();
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"up_s", facts.state == TRANSPORT_STATE_UP ? (now_ns - facts.up_since_ns) / 1000000000 : 0},
        {"heard_quality_ms",
         facts.peer_quality_ns ? (now_ns - facts.peer_quality_ns) / 1000000 : 0},
        {"sessions", facts.sessions},
        {"streams_open", facts.streams_open},
        {"streams_opened", facts.streams_opened},
        {"streams_reset", facts.streams_reset},
        {"srtt_us", facts.srtt_ns / 1000},
        {"min_rtt_us", facts.min_rtt_ns / 1000},
        {"rtt_variance_us", facts.rtt_variance_ns / 1000},
        {"window_bytes", facts.window_bytes},
        {"in_flight_bytes", facts.in_flight_bytes},
        {"pacing_bytes_per_s", facts.pacing_bytes_per_s},
        {"delivery_bytes_per_s", facts.delivery_bytes_per_s},
        {"hosted", facts.hosted},
        {"virtual_flows", facts.virtual_flows},
        {"packets_sent", facts.packets_sent},
        {"packets_received", facts.packets_received},
        {"packets_lost", facts.packets_lost},
        {"packets_spurious", facts.packets_spurious},
        {"packets_replayed", facts.packets_replayed},
        {"packets_early", facts.packets_early},
        {"datagrams_refused", facts.datagrams_refused},
        {"bytes_sent", facts.bytes_sent},
        {"bytes_received", facts.bytes_received},
        {"stream_bytes_sent", facts.stream_bytes_sent},
        {"stream_bytes_resent", facts.stream_bytes_resent},
        {"flow_sent", facts.flow_sent},
        {"flow_received", facts.flow_received},
        {"flow_late", facts.flow_late},
        {"flow_overflowed", facts.flow_overflowed},
        {"flow_too_large", facts.flow_too_large},
        {"tail_repairs", facts.tail_repairs},
        {"tail_repair_bytes", facts.tail_repair_bytes},
        {"acks_sent", facts.acks_sent},
        {"probe_timeouts", facts.probe_timeouts},
        {"packets_ce", facts.packets_ce},
        {"ecn_failures", facts.ecn_failures},
    };
    json_t *status = json_pack("{s:s, s:s, s:s, s:s, s:b, s:i}", "peer", link_peer_name(link),
                               "end", link->is_edge_side ? "edge" : "gateway", "state",
                               transport_state_text(facts.state), "address",
                               address_text(&facts.peer, true, peer), "dials", link->is_dialler,
                               "worker", (int)link->owner);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(status, numbers[i].name, integer(numbers[i].value));
    json_object_set_new(status, "passes",
                        json_boolean(atomic_load_explicit(&link->is_up, memory_order_relaxed)));
    json_object_set_new(status, "out", quality_status(&facts.quality));
    json_object_set_new(status, "in", quality_status(&facts.peer_quality));
    json_object_set_new(status, "paths", paths_status(&facts));
    json_t *weights = json_array();
    for (int i = 0; i < CONF_RINGS; i++)
        json_array_append_new(weights, json_integer(link->weights[i]));
    json_object_set_new(status, "weights", weights);
    json_object_set_new(status, "rings", rings_status(&facts));
    json_object_set_new(status, "sites", sites_status(sites, site_count));
    return status;
}

json_t *link_set_status(struct link_set *set)
{
    json_t *links = json_array();
    for (uint32_t i = 0; i < set->link_count; i++)
        if (link_is_shown(set->links[i]))
            json_array_append_new(links, status_of_link(set->links[i]));
    return links;
}
