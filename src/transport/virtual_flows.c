/* SPDX-License-Identifier: Apache-2.0
 *
 * Virtual CUBIC connections. A packet touches one flow; the sums are kept by flow_update().
 */
#include "transport/virtual_flows.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

enum {
    SMOOTHING_RTTS = 4, /* time constant of the number of connections */
};

#define JOIN_MARGIN  0.5  /* a flow joins when N rounds up to it, */
#define LEAVE_MARGIN 0.75 /* and leaves a little later: no flutter */

/* Every change of a flow's window or packets in flight ends here: the sums and the bits follow. */
static void flow_update(struct virtual_flows *flows, uint32_t index)
{
    struct virtual_flow *flow = &flows->flow[index];
    uint64_t window_bytes = 0;
    if (index < flows->count) {
        window_bytes =
            (uint64_t)(flow->cubic.window * flows->multiplicity * (double)flows->packet_bytes);
    }
    flows->window_bytes += window_bytes - flow->window_bytes;
    flow->window_bytes = window_bytes;
    uint64_t bit = 1ull << index % 64;
    if (flow->in_flight_bytes + flows->packet_bytes <= window_bytes)
        flows->has_room[index / 64] |= bit;
    else
        flows->has_room[index / 64] &= ~bit;
}

/* The first flow from `index` on, around, that has room; VIRTUAL_FLOWS_MAX: none. */
static uint32_t flow_with_room(const struct virtual_flows *flows, uint32_t index)
{
    enum { WORDS = VIRTUAL_FLOWS_MAX / 64 };
    uint32_t word = index / 64;
    uint64_t bits = flows->has_room[word] >> index % 64 << index % 64;
    for (uint32_t looked = 0; looked < WORDS && bits == 0; looked++) {
        word = (word + 1) % WORDS;
        bits = flows->has_room[word];
    }
    return bits ? word * 64 + (uint32_t)__builtin_ctzll(bits) : VIRTUAL_FLOWS_MAX;
}

/* ---- flows come and go */

static double mean_window(const struct virtual_flows *flows)
{
    double sum = 0;
    for (uint32_t i = 0; i < flows->count; i++)
        sum += flows->flow[i].cubic.window;
    return sum / flows->count;
}

/* Whether some flow has met the path's limit: the others' windows then say what a newcomer gets, without a search of its own. */
static bool knows_path(const struct virtual_flows *flows)
{
    for (uint32_t i = 0; i < flows->count; i++) {
        if (flows->flow[i].cubic.threshold < CUBIC_NO_THRESHOLD)
            return true;
    }
    return false;
}

static double joining_window(const struct virtual_flows *flows)
{
    double mean = mean_window(flows);
    return mean < VIRTUAL_FLOW_INITIAL_WINDOW ? mean : VIRTUAL_FLOW_INITIAL_WINDOW;
}

static void flow_join(struct virtual_flows *flows)
{
    if (flows->count == flows->made) {
        uint32_t made = flows->made;
        flows->made = made ? 2 * made : 4;
        flows->flow = memory_resize(flows->flow, flows->made, sizeof(*flows->flow));
        memset(&flows->flow[made], 0, (flows->made - made) * sizeof(*flows->flow));
    }
    struct virtual_flow *flow = &flows->flow[flows->count];
    double threshold = CUBIC_NO_THRESHOLD;
    double window = VIRTUAL_FLOW_INITIAL_WINDOW;
    if (flows->count > 0) {
        window = joining_window(flows);
        if (knows_path(flows))
            threshold = mean_window(flows);
    }
    cubic_init(&flow->cubic, window, threshold);
    flow->joined_number = flows->next_number;
    flow->cut_number = flows->next_number;
    flow->losses = 0;
    flow->is_cut_undoable = false;
    flows->count++;
    flow_update(flows, flows->count - 1);
}

static void flow_leave(struct virtual_flows *flows)
{
    flows->count--;
    flow_update(flows, flows->count);
}

/* Beyond VIRTUAL_FLOWS_MAX connections each flow stands for more of them; those who come bring a joining window. */
static void set_multiplicity(struct virtual_flows *flows, double multiplicity)
{
    if (multiplicity == flows->multiplicity)
        return;
    double old = flows->multiplicity;
    double joining = joining_window(flows);
    flows->multiplicity = multiplicity;
    for (uint32_t i = 0; i < flows->count; i++) {
        struct cubic *cubic = &flows->flow[i].cubic;
        if (multiplicity > old && cubic->window > joining) {
            bool slow_start = cubic_is_in_slow_start(cubic);
            cubic->window = (cubic->window * old + joining * (multiplicity - old)) / multiplicity;
            cubic->epoch_ns = 0;
            if (!slow_start)
                cubic->threshold = cubic->window;
        }
        flow_update(flows, i);
    }
}

static void adjust_flows(struct virtual_flows *flows)
{
    while (flows->count < VIRTUAL_FLOWS_MAX && flows->connections >= flows->count + JOIN_MARGIN)
        flow_join(flows);
    while (flows->count > 1 && flows->connections < flows->count - LEAVE_MARGIN)
        flow_leave(flows);
    double multiplicity = flows->connections / flows->count;
    set_multiplicity(flows,
                     flows->count == VIRTUAL_FLOWS_MAX && multiplicity > 1 ? multiplicity : 1);
}

/* N follows what it was told with a time constant of some round trips; called at least once in each. */
static void smooth(struct virtual_flows *flows, uint64_t srtt_ns, uint64_t now_ns)
{
    double target = flows->hosted ? flows->hosted : 1;
    double elapsed = (double)(now_ns - flows->smoothed_ns);
    flows->smoothed_ns = now_ns;
    flows->connections +=
        (target - flows->connections) * elapsed / (elapsed + SMOOTHING_RTTS * (double)srtt_ns);
    adjust_flows(flows);
}

void virtual_flows_set_hosted(struct virtual_flows *flows, uint32_t hosted, uint64_t srtt_ns,
                              uint64_t now_ns)
{
    smooth(flows, srtt_ns, now_ns);
    flows->hosted = hosted < flows->hosted_cap ? hosted : flows->hosted_cap;
}

void virtual_flows_next_round(struct virtual_flows *flows, uint64_t srtt_ns, uint64_t now_ns)
{
    for (uint32_t i = 0; i < flows->count; i++) {
        struct virtual_flow *flow = &flows->flow[i];
        flow->last_peak_bytes = flow->peak_bytes;
        flow->peak_bytes = flow->in_flight_bytes;
    }
    smooth(flows, srtt_ns, now_ns);
}

/* ---- packets leave */

uint16_t virtual_flows_next(const struct virtual_flows *flows)
{
    return (uint16_t)(flows->next_flow < flows->count ? flows->next_flow : 0);
}

uint16_t virtual_flows_with_room(const struct virtual_flows *flows)
{
    uint32_t index = flow_with_room(flows, virtual_flows_next(flows));
    return index == VIRTUAL_FLOWS_MAX ? CONGESTION_NO_FLOW : (uint16_t)index;
}

void virtual_flows_took(struct virtual_flows *flows, uint16_t index, uint32_t bytes,
                        uint64_t number)
{
    struct virtual_flow *flow = &flows->flow[index];
    flows->next_flow = index + 1u;
    flows->next_number = number + 1;
    flow->in_flight_bytes += bytes;
    flows->in_flight_bytes += bytes;
    if (flow->peak_bytes < flow->in_flight_bytes)
        flow->peak_bytes = flow->in_flight_bytes;
    flow_update(flows, index);
}

/* ---- packets settle */

void virtual_flows_left_flight(struct virtual_flows *flows, const struct congestion_packet *packet)
{
    INVARIANT(packet->flow < flows->made);
    struct virtual_flow *flow = &flows->flow[packet->flow];
    INVARIANT(flow->in_flight_bytes >= packet->bytes);
    flow->in_flight_bytes -= packet->bytes;
    flows->in_flight_bytes -= packet->bytes;
    flow_update(flows, packet->flow);
}

/* Whether the flow of this number is still the one that sent the packet. */
static bool is_its_own(const struct virtual_flows *flows, const struct congestion_packet *packet)
{
    return packet->flow < flows->count && packet->number >= flows->flow[packet->flow].joined_number;
}

/* A window that was not half used says nothing about the path: it does not grow (RFC 9002 section 7.8). */
static bool is_window_used(const struct virtual_flow *flow)
{
    uint64_t peak =
        flow->peak_bytes > flow->last_peak_bytes ? flow->peak_bytes : flow->last_peak_bytes;
    return 2 * peak >= flow->window_bytes;
}

/* Packets from before a cut neither grow the window again nor count as time. */
static bool counts_for_growth(const struct virtual_flows *flows,
                              const struct congestion_packet *packet)
{
    return is_its_own(flows, packet) && packet->number >= flows->flow[packet->flow].cut_number;
}

void virtual_flows_grow(struct virtual_flows *flows, const struct congestion_packet *packet,
                        uint64_t srtt_ns, uint64_t now_ns)
{
    struct virtual_flow *flow = &flows->flow[packet->flow];
    if (packet->app_limited || !is_window_used(flow)) {
        virtual_flows_rest(flows, packet, now_ns);
        return;
    }
    if (!counts_for_growth(flows, packet))
        return;
    double packets = (double)packet->bytes / ((double)flows->packet_bytes * flows->multiplicity);
    cubic_on_acked(&flow->cubic, packets, 1, srtt_ns, now_ns);
    flow_update(flows, packet->flow);
}

void virtual_flows_rest(struct virtual_flows *flows, const struct congestion_packet *packet,
                        uint64_t now_ns)
{
    if (counts_for_growth(flows, packet))
        cubic_on_acked_idle(&flows->flow[packet->flow].cubic, now_ns);
}

void virtual_flows_cut(struct virtual_flows *flows, const struct congestion_packet *packet,
                       double keep, bool is_undoable)
{
    struct virtual_flow *flow = &flows->flow[packet->flow];
    if (!is_its_own(flows, packet))
        return;
    if (packet->number >= flow->cut_number) {
        flow->before_cut = flow->cubic;
        cubic_on_mark(&flow->cubic, keep);
        flow->cut_number = flows->next_number;
        flow->losses = 0;
        flow->is_cut_undoable = true;
        flow_update(flows, packet->flow);
    }
    flow->is_cut_undoable = flow->is_cut_undoable && is_undoable;
    flow->losses++;
}

/* RFC 9438 section 4.9.2. */
void virtual_flows_uncut(struct virtual_flows *flows, const struct congestion_packet *packet)
{
    struct virtual_flow *flow = &flows->flow[packet->flow];
    if (!is_its_own(flows, packet) || packet->number >= flow->cut_number || flow->losses == 0)
        return;
    if (--flow->losses > 0 || !flow->is_cut_undoable)
        return;
    flow->is_cut_undoable = false;
    if (flow->cubic.window < flow->before_cut.window)
        flow->cubic = flow->before_cut;
    flow_update(flows, packet->flow);
}

/* ---- all flows at once */

static double share_of_window(const struct virtual_flows *flows, uint64_t window_bytes)
{
    double window =
        (double)window_bytes / (flows->count * flows->multiplicity * (double)flows->packet_bytes);
    return window > CUBIC_WINDOW_MIN ? window : CUBIC_WINDOW_MIN;
}

void virtual_flows_collapse(struct virtual_flows *flows)
{
    for (uint32_t i = 0; i < flows->count; i++) {
        struct virtual_flow *flow = &flows->flow[i];
        cubic_on_timeout(&flow->cubic);
        flow->cut_number = flows->next_number;
        flow->is_cut_undoable = false;
        flow_update(flows, i);
    }
}

void virtual_flows_leave_slow_start(struct virtual_flows *flows)
{
    for (uint32_t i = 0; i < flows->count; i++) {
        if (flows->flow[i].cubic.threshold == CUBIC_NO_THRESHOLD)
            cubic_leave_slow_start(&flows->flow[i].cubic);
    }
}

void virtual_flows_jump(struct virtual_flows *flows, uint64_t window_bytes)
{
    double window = share_of_window(flows, window_bytes);
    for (uint32_t i = 0; i < flows->count; i++) {
        if (flows->flow[i].cubic.window < window)
            flows->flow[i].cubic.window = window;
        flow_update(flows, i);
    }
}

void virtual_flows_retreat(struct virtual_flows *flows, uint64_t window_bytes)
{
    double window = share_of_window(flows, window_bytes);
    for (uint32_t i = 0; i < flows->count; i++) {
        struct virtual_flow *flow = &flows->flow[i];
        if (flow->cubic.window > window)
            cubic_init(&flow->cubic, window, CUBIC_WINDOW_MIN);
        flow->cut_number = flows->next_number;
        flow->is_cut_undoable = false;
        flow_update(flows, i);
    }
}

void virtual_flows_restart(struct virtual_flows *flows, uint64_t window_bytes)
{
    double window = share_of_window(flows, window_bytes);
    for (uint32_t i = 0; i < flows->count; i++) {
        cubic_init(&flows->flow[i].cubic, window, window);
        flows->flow[i].is_cut_undoable = false;
        flow_update(flows, i);
    }
}

void virtual_flows_init(struct virtual_flows *flows, uint32_t packet_bytes, uint32_t hosted_cap,
                        uint64_t now_ns)
{
    *flows = (struct virtual_flows){.packet_bytes = packet_bytes,
                                    .hosted_cap = hosted_cap,
                                    .connections = 1,
                                    .multiplicity = 1,
                                    .smoothed_ns = now_ns};
    flow_join(flows);
}

void virtual_flows_set_packet_bytes(struct virtual_flows *flows, uint32_t packet_bytes)
{
    double factor = (double)flows->packet_bytes / packet_bytes;
    flows->packet_bytes = packet_bytes;
    for (uint32_t i = 0; i < flows->made; i++) {
        cubic_scale(&flows->flow[i].cubic, factor);
        cubic_scale(&flows->flow[i].before_cut, factor);
        flow_update(flows, i);
    }
}

void virtual_flows_clear(struct virtual_flows *flows)
{
    memory_free(flows->flow);
    *flows = (struct virtual_flows){0};
}
