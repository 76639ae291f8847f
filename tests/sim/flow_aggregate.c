/* SPDX-License-Identifier: Apache-2.0
 *
 * A tunnel that stands for N connections with endless data: the transport's congestion control, told of each packet as the
 * transport's core tells it.
 */
#include "flows.h"

enum { AGGREGATE_HOSTED_CAP = 256 };

static void aggregate_start(struct flow *flow)
{
    struct flow_aggregate *aggregate = &flow->aggregate;
    struct congestion_config config = {.packet_bytes = FLOW_PACKET_BYTES,
                                       .hosted_cap = AGGREGATE_HOSTED_CAP};
    aggregate->ops = &congestion_ensemble;
    aggregate->congestion = aggregate->ops->create(&config, flow->start_ns);
    aggregate->ops->set_hosted(aggregate->congestion, aggregate->hosted, 0, flow->start_ns);
}

static void aggregate_stop(struct flow *flow)
{
    flow->aggregate.ops->destroy(flow->aggregate.congestion);
}

static bool aggregate_has_room(const struct flow *flow)
{
    const struct flow_aggregate *aggregate = &flow->aggregate;
    return aggregate->ops->in_flight_bytes(aggregate->congestion) + FLOW_PACKET_BYTES <=
           aggregate->ops->window_bytes(aggregate->congestion);
}

static bool aggregate_take(struct flow *flow, uint16_t *virtual_flow)
{
    *virtual_flow = flow->aggregate.ops->take(flow->aggregate.congestion, FLOW_PACKET_BYTES,
                                              flow->next_number, flow_now_ns(flow));
    return *virtual_flow != CONGESTION_NO_FLOW;
}

static uint64_t aggregate_pacing(const struct flow *flow)
{
    return flow->aggregate.ops->pacing_bytes_per_s(flow->aggregate.congestion, flow->srtt_ns);
}

static void aggregate_on_acked(struct flow *flow, const struct congestion_packet *packet,
                               uint64_t rtt_ns)
{
    flow->aggregate.ops->on_acked(flow->aggregate.congestion, packet, rtt_ns, flow->srtt_ns,
                                  flow->min_rtt_ns, flow_now_ns(flow));
}

static void aggregate_on_ce(struct flow *flow, const struct congestion_packet *packet)
{
    flow->aggregate.ops->on_ce(flow->aggregate.congestion, packet, flow_now_ns(flow));
}

static void aggregate_on_lost(struct flow *flow, const struct congestion_packet *packet)
{
    flow->aggregate.ops->on_lost(flow->aggregate.congestion, packet, flow_now_ns(flow));
}

static void aggregate_on_settled(struct flow *flow)
{
    flow->aggregate.ops->set_hosted(flow->aggregate.congestion, flow->aggregate.hosted,
                                    flow->srtt_ns, flow_now_ns(flow));
}

static void aggregate_on_timeout(struct flow *flow)
{
    flow->aggregate.ops->on_probe_timeout(flow->aggregate.congestion, flow->timeouts,
                                          flow_now_ns(flow));
}

const struct flow_control flow_control_aggregate = {
    .start = aggregate_start,
    .stop = aggregate_stop,
    .has_room = aggregate_has_room,
    .take = aggregate_take,
    .pacing_bytes_per_s = aggregate_pacing,
    .on_acked = aggregate_on_acked,
    .on_ce = aggregate_on_ce,
    .on_lost = aggregate_on_lost,
    .on_settled = aggregate_on_settled,
    .on_timeout = aggregate_on_timeout,
    .sends_probes = true,
};
