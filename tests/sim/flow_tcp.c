/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP as a competitor: one window, ack-clocked, selective acknowledgements (a packet's fate is known by itself), one cut for each
 * round with losses, sending through recovery by proportional rate reduction (RFC 6937, as Linux does), and HyStart++ at the start of
 * a CUBIC connection. The window's arithmetic is transport/cubic.c, which test_competitors holds against RFC 9438's own figures.
 */
#include "flows.h"

#define RENO_WINDOW_MIN 2.0

static void tcp_start(struct flow *flow)
{
    flow->tcp = (struct flow_tcp){.recovery_number = flow->next_number};
    cubic_init(&flow->tcp.cubic, FLOW_INITIAL_WINDOW, CUBIC_NO_THRESHOLD);
    tcp_hystart_init(&flow->tcp.hystart);
}

static void tcp_stop(struct flow *flow)
{
    (void)flow;
}

static bool tcp_has_room(const struct flow *flow)
{
    const struct flow_tcp *tcp = &flow->tcp;
    return tcp->is_recovering ? tcp->prr_room > 0
                              : flow->in_flight + 1 <= (uint64_t)tcp->cubic.window;
}

static bool tcp_take(struct flow *flow, uint16_t *virtual_flow)
{
    if (!tcp_has_room(flow))
        return false;
    *virtual_flow = 0;
    if (flow->tcp.is_recovering) {
        flow->tcp.prr_room--;
        flow->tcp.prr_out++;
    }
    return true;
}

static uint64_t tcp_pacing(const struct flow *flow)
{
    if (!flow->is_paced || flow->srtt_ns == 0)
        return 0;
    double gain = cubic_is_in_slow_start(&flow->tcp.cubic) ? 2.0 : 1.2; /* as Linux */
    return (uint64_t)(gain * flow->tcp.cubic.window * FLOW_PACKET_BYTES * 1e9 /
                      (double)flow->srtt_ns);
}

static void grow(struct flow *flow, const struct congestion_packet *packet, uint64_t rtt_ns)
{
    struct flow_tcp *tcp = &flow->tcp;
    struct cubic *cubic = &tcp->cubic;
    if (flow->kind == FLOW_RENO) {
        cubic->window += cubic_is_in_slow_start(cubic) ? 1 : 1 / cubic->window;
        return;
    }
    bool is_first_start = cubic->threshold == CUBIC_NO_THRESHOLD;
    double growth = 1;
    if (is_first_start) {
        tcp_hystart_on_acked(&tcp->hystart, packet->number, flow->next_number, rtt_ns);
        growth = tcp_hystart_growth(&tcp->hystart);
        if (tcp->hystart.phase == TCP_HYSTART_DONE)
            cubic_leave_slow_start(cubic);
    }
    cubic_on_acked(cubic, 1, growth, flow->srtt_ns, flow_now_ns(flow));
}

static void tcp_on_acked(struct flow *flow, const struct congestion_packet *packet, uint64_t rtt_ns)
{
    if (flow->tcp.is_recovering)
        flow->tcp.prr_delivered++;
    else if (!packet->app_limited)
        grow(flow, packet, rtt_ns);
}

static void cut(struct flow *flow)
{
    struct cubic *cubic = &flow->tcp.cubic;
    if (flow->kind == FLOW_CUBIC) {
        cubic_on_congestion(cubic);
        return;
    }
    cubic->window = cubic->window / 2 > RENO_WINDOW_MIN ? cubic->window / 2 : RENO_WINDOW_MIN;
    cubic->threshold = cubic->window;
}

static void enter_recovery(struct flow *flow, uint64_t flight)
{
    struct flow_tcp *tcp = &flow->tcp;
    cut(flow);
    tcp->is_recovering = true;
    tcp->recovery_number = flow->next_number;
    tcp->prr_delivered = tcp->prr_out = 0;
    tcp->prr_flight = flight;
    tcp->prr_room = 0;
}

static void tcp_on_lost(struct flow *flow, const struct congestion_packet *packet)
{
    if (packet->number >= flow->tcp.recovery_number)
        enter_recovery(flow, flow->in_flight + 1);
    flow->tcp.is_lost_anew = true;
}

/* A classic mark counts as a loss of the round (RFC 3168 section 6.1.2). One of L4S takes half a packet: over a round in which a
 * share of the window is marked that is half of this share, as DCTCP and Prague have it. */
static void tcp_on_ce(struct flow *flow, const struct congestion_packet *packet)
{
    struct cubic *cubic = &flow->tcp.cubic;
    if (flow->ecn != ECN_ECT_1) {
        if (packet->number >= flow->tcp.recovery_number)
            enter_recovery(flow, flow->in_flight);
        return;
    }
    cubic->window = cubic->window - 0.5 > RENO_WINDOW_MIN ? cubic->window - 0.5 : RENO_WINDOW_MIN;
    cubic_leave_slow_start(cubic);
}

static void tcp_on_settled(struct flow *flow)
{
    struct flow_tcp *tcp = &flow->tcp;
    bool is_lost_anew = tcp->is_lost_anew;
    tcp->is_lost_anew = false;
    if (!tcp->is_recovering)
        return;
    if (flow->oldest_number >= tcp->recovery_number) {
        tcp->is_recovering = false;
        return;
    }
    uint64_t target = (uint64_t)tcp->cubic.threshold;
    if (flow->in_flight > target) {
        tcp->prr_room =
            (int64_t)((tcp->prr_delivered * target + tcp->prr_flight - 1) / tcp->prr_flight) -
            (int64_t)tcp->prr_out;
    } else {
        int64_t room = (int64_t)tcp->prr_delivered - (int64_t)tcp->prr_out;
        if (room < 1)
            room = 1;
        if (!is_lost_anew)
            room++;
        int64_t most = (int64_t)(target - flow->in_flight);
        tcp->prr_room = room < most ? room : most;
    }
    if (tcp->prr_out == 0 && tcp->prr_room < 1)
        tcp->prr_room = 1; /* the fast retransmission */
}

/* All that was in flight is taken for lost; one packet finds out. */
static void tcp_on_timeout(struct flow *flow)
{
    struct flow_tcp *tcp = &flow->tcp;
    if (flow->timeouts == 1 && !tcp->is_recovering)
        cut(flow);
    tcp->cubic.window = 1;
    tcp->is_recovering = false;
    tcp->recovery_number = flow->next_number;
}

const struct flow_control flow_control_tcp = {
    .start = tcp_start,
    .stop = tcp_stop,
    .has_room = tcp_has_room,
    .take = tcp_take,
    .pacing_bytes_per_s = tcp_pacing,
    .on_acked = tcp_on_acked,
    .on_ce = tcp_on_ce,
    .on_lost = tcp_on_lost,
    .on_settled = tcp_on_settled,
    .on_timeout = tcp_on_timeout,
};
