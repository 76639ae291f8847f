/* SPDX-License-Identifier: Apache-2.0
 *
 * A constant window, unpaced: for tests that want no congestion control in their way, and for measurements of the core alone.
 */
#include "base/memory.h"
#include "transport/congestion.h"

struct fixed {
    uint64_t window_bytes, in_flight_bytes;
};

static struct fixed *fixed_of(struct congestion *congestion)
{
    return (struct fixed *)(void *)congestion;
}

static const struct fixed *fixed_in(const struct congestion *congestion)
{
    return (const struct fixed *)(const void *)congestion;
}

static struct congestion *fixed_create(const struct congestion_config *config, uint64_t now_ns)
{
    (void)now_ns;
    struct fixed *fixed = NEW(struct fixed);
    fixed->window_bytes = (uint64_t)config->hosted_cap * config->packet_bytes;
    return (struct congestion *)(void *)fixed;
}

static void fixed_destroy(struct congestion *congestion)
{
    memory_free(congestion);
}

static uint16_t fixed_take(struct congestion *congestion, uint32_t bytes, uint64_t number,
                           uint64_t now_ns)
{
    (void)number, (void)now_ns;
    struct fixed *fixed = fixed_of(congestion);
    if (fixed->in_flight_bytes + bytes > fixed->window_bytes)
        return CONGESTION_NO_FLOW;
    fixed->in_flight_bytes += bytes;
    return 0;
}

static void left_flight(struct congestion *congestion, const struct congestion_packet *packet)
{
    if (packet->flow != CONGESTION_NO_FLOW)
        fixed_of(congestion)->in_flight_bytes -= packet->bytes;
}

static void fixed_on_acked(struct congestion *congestion, const struct congestion_packet *packet,
                           uint64_t rtt_ns, uint64_t srtt_ns, uint64_t min_rtt_ns, uint64_t now_ns)
{
    (void)rtt_ns, (void)srtt_ns, (void)min_rtt_ns, (void)now_ns;
    left_flight(congestion, packet);
}

static void fixed_on_lost(struct congestion *congestion, const struct congestion_packet *packet,
                          uint64_t now_ns)
{
    (void)now_ns;
    left_flight(congestion, packet);
}

static void fixed_on_signal(struct congestion *congestion, const struct congestion_packet *packet,
                            uint64_t now_ns)
{
    (void)congestion, (void)packet, (void)now_ns;
}

static void fixed_on_discarded(struct congestion *congestion,
                               const struct congestion_packet *packet)
{
    left_flight(congestion, packet);
}

static void fixed_on_probe_timeout(struct congestion *congestion, uint32_t in_a_row,
                                   uint64_t now_ns)
{
    (void)congestion, (void)in_a_row, (void)now_ns;
}

static void fixed_set_hosted(struct congestion *congestion, uint32_t hosted, uint64_t srtt_ns,
                             uint64_t now_ns)
{
    (void)congestion, (void)hosted, (void)srtt_ns, (void)now_ns;
}

static void fixed_set_app_limited(struct congestion *congestion, bool app_limited, uint64_t now_ns)
{
    (void)congestion, (void)app_limited, (void)now_ns;
}

static void fixed_set_packet_bytes(struct congestion *congestion, uint32_t bytes)
{
    (void)congestion, (void)bytes;
}

static uint64_t fixed_window_bytes(const struct congestion *congestion)
{
    return fixed_in(congestion)->window_bytes;
}

static uint64_t fixed_in_flight_bytes(const struct congestion *congestion)
{
    return fixed_in(congestion)->in_flight_bytes;
}

static uint64_t fixed_pacing_bytes_per_s(const struct congestion *congestion, uint64_t srtt_ns)
{
    (void)congestion, (void)srtt_ns;
    return 0;
}

static uint32_t fixed_flows(const struct congestion *congestion)
{
    (void)congestion;
    return 1;
}

static const char *fixed_mode(const struct congestion *congestion)
{
    (void)congestion;
    return "fixed";
}

const struct congestion_ops congestion_fixed = {
    .name = "fixed",
    .create = fixed_create,
    .destroy = fixed_destroy,
    .take = fixed_take,
    .on_acked = fixed_on_acked,
    .on_lost = fixed_on_lost,
    .on_spurious = fixed_on_signal,
    .on_ce = fixed_on_signal,
    .on_discarded = fixed_on_discarded,
    .on_probe_timeout = fixed_on_probe_timeout,
    .set_hosted = fixed_set_hosted,
    .set_app_limited = fixed_set_app_limited,
    .set_packet_bytes = fixed_set_packet_bytes,
    .window_bytes = fixed_window_bytes,
    .in_flight_bytes = fixed_in_flight_bytes,
    .pacing_bytes_per_s = fixed_pacing_bytes_per_s,
    .flows = fixed_flows,
    .mode = fixed_mode,
};
