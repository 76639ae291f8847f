/* SPDX-License-Identifier: Apache-2.0
 *
 * The first BBR as a competitor (draft-cardwell-iccrg-bbr-congestion-control-00): it paces at the greatest delivery rate of ten
 * rounds, keeps two bandwidth-delay products in flight at most, cycles through gains of 1.25 and 0.75, drains to four packets once in
 * ten seconds to see the path's delay, and does not take loss for congestion. Left out: policer detection, ack aggregation, and
 * sampling limits for idle applications.
 */
#include "flows.h"

#define BBR_HIGH_GAIN        2.885
#define BBR_WINDOW_GAIN      2.0
#define BBR_WINDOW_MIN       4.0
#define BBR_PACING_MARGIN    0.99
#define BBR_STARTUP_GROWTH   1.25
#define BBR_MIN_RTT_FOR_NS   (10 * SIM_SECOND)
#define BBR_PROBE_RTT_FOR_NS (200 * SIM_MS)

enum { BBR_STARTUP_ROUNDS = 3 };

static const double cycle[BBR_PHASES] = {1.25, 0.75, 1, 1, 1, 1, 1, 1};

static double rate_of(const struct flow_bbr *bbr)
{
    double most = 0;
    for (int i = 0; i < BBR_ROUNDS; i++)
        most = bbr->rates[i] > most ? bbr->rates[i] : most;
    return most;
}

static double bdp(const struct flow_bbr *bbr)
{
    return rate_of(bbr) * (double)bbr->min_rtt_ns * 1e-9;
}

static double pacing_gain(const struct flow_bbr *bbr)
{
    switch (bbr->state) {
    case BBR_STARTUP:
        return BBR_HIGH_GAIN;
    case BBR_DRAIN:
        return 1 / BBR_HIGH_GAIN;
    case BBR_PROBE_BANDWIDTH:
        return cycle[bbr->phase];
    case BBR_PROBE_RTT:
        return 1;
    }
    return 1;
}

static void bbr_start(struct flow *flow)
{
    flow->bbr = (struct flow_bbr){.window = FLOW_INITIAL_WINDOW,
                                  .min_rtt_ns = UINT64_MAX,
                                  .recovery_number = flow->next_number};
}

static void bbr_stop(struct flow *flow)
{
    (void)flow;
}

static bool bbr_has_room(const struct flow *flow)
{
    return flow->in_flight + 1 <= (uint64_t)flow->bbr.window;
}

static bool bbr_take(struct flow *flow, uint16_t *virtual_flow)
{
    *virtual_flow = 0;
    return bbr_has_room(flow);
}

static uint64_t bbr_pacing(const struct flow *flow)
{
    const struct flow_bbr *bbr = &flow->bbr;
    double rate = rate_of(bbr);
    if (rate <= 0)
        return 0; /* the initial window goes at once */
    return (uint64_t)(rate * pacing_gain(bbr) * BBR_PACING_MARGIN * FLOW_PACKET_BYTES);
}

static void enter_probe_bandwidth(struct flow *flow)
{
    struct flow_bbr *bbr = &flow->bbr;
    bbr->state = BBR_PROBE_BANDWIDTH;
    bbr->phase_ns = flow_now_ns(flow);
    /* Anywhere in the cycle but where it slows down. */
    uint32_t phase = (uint32_t)random_below(&flow->node.sim->random, BBR_PHASES - 1);
    bbr->phase = phase == 0 ? 0 : phase + 1;
}

static void next_round(struct flow_bbr *bbr)
{
    bbr->rounds++;
    bbr->is_conserving = false;
    double rate = rate_of(bbr);
    if (bbr->state == BBR_STARTUP) {
        if (rate >= bbr->full_rate * BBR_STARTUP_GROWTH) {
            bbr->full_rate = rate;
            bbr->full_rounds = 0;
        } else if (++bbr->full_rounds >= BBR_STARTUP_ROUNDS) {
            bbr->is_full = true;
            bbr->state = BBR_DRAIN;
        }
    }
    bbr->rates[bbr->rounds % BBR_ROUNDS] = 0;
}

static void measure(struct flow *flow, const struct congestion_packet *packet)
{
    struct flow_bbr *bbr = &flow->bbr;
    uint64_t at_sent = packet->delivered_at_sent / FLOW_PACKET_BYTES;
    if (at_sent >= bbr->round_delivered) {
        bbr->round_delivered = flow->delivered;
        next_round(bbr);
    }
    uint64_t elapsed_ns = flow_now_ns(flow) - packet->delivered_ns_at_sent;
    if (elapsed_ns == 0 || packet->app_limited)
        return;
    double rate = (double)(flow->delivered - at_sent) * 1e9 / (double)elapsed_ns;
    double *of_round = &bbr->rates[bbr->rounds % BBR_ROUNDS];
    *of_round = rate > *of_round ? rate : *of_round;
}

static void update_min_rtt(struct flow *flow, uint64_t rtt_ns)
{
    struct flow_bbr *bbr = &flow->bbr;
    uint64_t now_ns = flow_now_ns(flow);
    bool is_old = now_ns > bbr->min_rtt_seen_ns + BBR_MIN_RTT_FOR_NS;
    if (rtt_ns <= bbr->min_rtt_ns || is_old) {
        bbr->min_rtt_ns = rtt_ns;
        bbr->min_rtt_seen_ns = now_ns;
    }
    if (is_old && bbr->state == BBR_PROBE_BANDWIDTH) {
        bbr->state = BBR_PROBE_RTT;
        bbr->probe_rtt_until_ns = 0;
    }
    if (bbr->state != BBR_PROBE_RTT)
        return;
    if (bbr->probe_rtt_until_ns == 0) {
        if (flow->in_flight <= (uint64_t)BBR_WINDOW_MIN)
            bbr->probe_rtt_until_ns = now_ns + BBR_PROBE_RTT_FOR_NS;
    } else if (now_ns >= bbr->probe_rtt_until_ns) {
        bbr->min_rtt_seen_ns = now_ns;
        enter_probe_bandwidth(flow);
    }
}

static void move_on(struct flow *flow)
{
    struct flow_bbr *bbr = &flow->bbr;
    uint64_t now_ns = flow_now_ns(flow);
    double in_flight = (double)flow->in_flight;
    if (bbr->state == BBR_DRAIN && in_flight <= bdp(bbr))
        enter_probe_bandwidth(flow);
    if (bbr->state != BBR_PROBE_BANDWIDTH)
        return;
    double gain = cycle[bbr->phase];
    bool is_over = now_ns - bbr->phase_ns > bbr->min_rtt_ns;
    if (gain > 1)
        is_over = is_over && (bbr->is_conserving || in_flight >= gain * bdp(bbr));
    else if (gain < 1)
        is_over = is_over || in_flight <= bdp(bbr);
    if (is_over) {
        bbr->phase = (bbr->phase + 1) % BBR_PHASES;
        bbr->phase_ns = now_ns;
    }
}

static void set_window(struct flow *flow)
{
    struct flow_bbr *bbr = &flow->bbr;
    if (bbr->is_conserving) {
        bbr->window = (double)flow->in_flight + 1;
    } else {
        double gain = bbr->is_full ? BBR_WINDOW_GAIN : BBR_HIGH_GAIN;
        double target = gain * bdp(bbr);
        bbr->window += 1;
        if (bbr->is_full && bbr->window > target)
            bbr->window = target;
    }
    if (bbr->window < BBR_WINDOW_MIN)
        bbr->window = BBR_WINDOW_MIN;
}

static void bbr_on_acked(struct flow *flow, const struct congestion_packet *packet, uint64_t rtt_ns)
{
    measure(flow, packet);
    update_min_rtt(flow, rtt_ns);
    move_on(flow);
    set_window(flow);
}

static void bbr_on_lost(struct flow *flow, const struct congestion_packet *packet)
{
    struct flow_bbr *bbr = &flow->bbr;
    if (packet->number < bbr->recovery_number)
        return;
    bbr->recovery_number = flow->next_number;
    bbr->is_conserving = true;
}

static void bbr_on_ce(struct flow *flow, const struct congestion_packet *packet)
{
    (void)flow, (void)packet;
}

static void bbr_on_settled(struct flow *flow)
{
    struct flow_bbr *bbr = &flow->bbr;
    if (bbr->state == BBR_PROBE_RTT && bbr->window > BBR_WINDOW_MIN)
        bbr->window = BBR_WINDOW_MIN;
}

static void bbr_on_timeout(struct flow *flow)
{
    flow->bbr.window = 1;
    flow->bbr.is_conserving = false;
}

const struct flow_control flow_control_bbr = {
    .start = bbr_start,
    .stop = bbr_stop,
    .has_room = bbr_has_room,
    .take = bbr_take,
    .pacing_bytes_per_s = bbr_pacing,
    .on_acked = bbr_on_acked,
    .on_ce = bbr_on_ce,
    .on_lost = bbr_on_lost,
    .on_settled = bbr_on_settled,
    .on_timeout = bbr_on_timeout,
};
