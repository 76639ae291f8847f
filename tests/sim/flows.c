/* SPDX-License-Identifier: Apache-2.0
 *
 * Model senders.
 */
#include "flows.h"

#include "base/error.h"
#include "base/memory.h"

enum {
    FLOW_THRESHOLD = 3, /* packets acknowledged behind it: lost */
    FLOW_INITIAL_WINDOW = 10,
};

static struct flow *flow_of(struct sim_node *node)
{
    return (struct flow *)(void *)node;
}

static struct flow_record *record_of(struct flow *flow, uint64_t number)
{
    return &flow->records[number % FLOW_RECORDS];
}

static uint64_t timeout_ns(const struct flow *flow)
{
    uint64_t timeout =
        flow->srtt_ns ? flow->srtt_ns + 4 * flow->variance_ns + 10 * SIM_MS : SIM_SECOND;
    if (flow->kind != FLOW_AGGREGATE && timeout < 200 * SIM_MS)
        timeout = 200 * SIM_MS; /* as TCP */
    return timeout << (flow->timeouts < 8 ? flow->timeouts : 8);
}

static void send_packet(struct flow *flow, uint16_t virtual_flow)
{
    struct sim *sim = flow->node.sim;
    INVARIANT(flow->next_number - flow->oldest_number < FLOW_RECORDS);
    struct sim_packet *packet = sim_packet_new(sim, 0);
    packet->length = FLOW_PACKET_BYTES;
    packet->flow = flow->index;
    packet->number = flow->next_number;
    packet->sent_ns = sim->now_ns;
    *record_of(flow, flow->next_number) = (struct flow_record){
        .packet = {.flow = virtual_flow,
                   .bytes = FLOW_PACKET_BYTES,
                   .number = flow->next_number,
                   .sent_ns = sim->now_ns},
        .is_in_flight = true,
    };
    flow->next_number++;
    flow->in_flight++;
    sim_deliver(flow->to, packet);
}

static void send_aggregate(struct flow *flow)
{
    uint64_t now_ns = flow->node.sim->now_ns;
    pacer_set_rate(&flow->pacer, flow->ops->pacing_bytes_per_s(flow->congestion, flow->srtt_ns),
                   now_ns);
    for (uint64_t budget = pacer_budget(&flow->pacer, now_ns); budget >= FLOW_PACKET_BYTES;
         budget -= FLOW_PACKET_BYTES) {
        uint16_t virtual_flow =
            flow->ops->take(flow->congestion, FLOW_PACKET_BYTES, flow->next_number, now_ns);
        if (virtual_flow == CONGESTION_NO_FLOW)
            return;
        pacer_spend(&flow->pacer, FLOW_PACKET_BYTES);
        send_packet(flow, virtual_flow);
    }
}

static void send_all(struct flow *flow)
{
    if (flow->kind == FLOW_AGGREGATE) {
        send_aggregate(flow);
        return;
    }
    while (flow->in_flight < (uint64_t)flow->cubic.window)
        send_packet(flow, 0);
}

static void on_lost(struct flow *flow, struct flow_record *record)
{
    record->is_in_flight = false;
    flow->in_flight--;
    flow->lost++;
    if (flow->kind == FLOW_AGGREGATE) {
        flow->ops->on_lost(flow->congestion, &record->packet, flow->node.sim->now_ns);
        return;
    }
    if (record->packet.number < flow->recovery_number)
        return;
    flow->recovery_number = flow->next_number;
    if (flow->kind == FLOW_CUBIC) {
        cubic_on_congestion(&flow->cubic);
    } else {
        flow->cubic.window = flow->cubic.window / 2 > 2 ? flow->cubic.window / 2 : 2;
        flow->cubic.threshold = flow->cubic.window;
    }
}

static void on_acked(struct flow *flow, struct flow_record *record, uint64_t rtt_ns)
{
    uint64_t now_ns = flow->node.sim->now_ns;
    record->is_in_flight = false;
    flow->in_flight--;
    flow->acked++;
    if (flow->kind == FLOW_AGGREGATE)
        flow->ops->on_acked(flow->congestion, &record->packet, rtt_ns, flow->srtt_ns,
                            flow->min_rtt_ns, now_ns);
    else if (record->packet.number < flow->recovery_number)
        return;
    else if (flow->kind == FLOW_CUBIC)
        cubic_on_acked(&flow->cubic, 1, 1, flow->srtt_ns, now_ns);
    else
        flow->cubic.window += cubic_is_in_slow_start(&flow->cubic) ? 1 : 1 / flow->cubic.window;
}

static void find_losses(struct flow *flow)
{
    for (; flow->oldest_number < flow->next_number; flow->oldest_number++) {
        struct flow_record *record = record_of(flow, flow->oldest_number);
        if (!record->is_in_flight)
            continue;
        if (flow->oldest_number + FLOW_THRESHOLD > flow->largest_acked)
            return;
        on_lost(flow, record);
    }
}

static void measure_rtt(struct flow *flow, uint64_t rtt_ns)
{
    if (flow->srtt_ns == 0) {
        flow->srtt_ns = flow->min_rtt_ns = rtt_ns;
        flow->variance_ns = rtt_ns / 2;
        return;
    }
    uint64_t off = rtt_ns > flow->srtt_ns ? rtt_ns - flow->srtt_ns : flow->srtt_ns - rtt_ns;
    flow->variance_ns = (3 * flow->variance_ns + off) / 4;
    flow->srtt_ns = (7 * flow->srtt_ns + rtt_ns) / 8;
    if (rtt_ns < flow->min_rtt_ns)
        flow->min_rtt_ns = rtt_ns;
}

static void flow_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct flow *flow = flow_of(node);
    struct flow_record *record = record_of(flow, packet->number);
    uint64_t rtt_ns = node->sim->now_ns - packet->sent_ns;
    flow->progress_ns = node->sim->now_ns;
    flow->timeouts = 0;
    measure_rtt(flow, rtt_ns);
    if (packet->number > flow->largest_acked)
        flow->largest_acked = packet->number;
    if (packet->number >= flow->oldest_number && record->is_in_flight)
        on_acked(flow, record, rtt_ns);
    sim_packet_free(node->sim, packet);
    find_losses(flow);
    if (flow->kind == FLOW_AGGREGATE)
        flow->ops->set_hosted(flow->congestion, flow->hosted, flow->srtt_ns, node->sim->now_ns);
    send_all(flow);
}

static uint64_t flow_next(const struct sim_node *node)
{
    const struct flow *flow = (const struct flow *)(const void *)node;
    if (!flow->is_started)
        return flow->start_ns;
    uint64_t next_ns = flow->progress_ns + timeout_ns(flow);
    if (flow->kind == FLOW_AGGREGATE &&
        flow->ops->in_flight_bytes(flow->congestion) + FLOW_PACKET_BYTES <=
            flow->ops->window_bytes(flow->congestion)) {
        uint64_t paced_ns = pacer_next(&flow->pacer, node->sim->now_ns);
        /* Asked in vain (a window's fraction is left): the next ack will bring it on. */
        if (paced_ns > node->sim->now_ns && paced_ns < next_ns)
            next_ns = paced_ns;
    }
    return next_ns;
}

static void flow_run(struct sim_node *node)
{
    struct flow *flow = flow_of(node);
    uint64_t now_ns = node->sim->now_ns;
    if (!flow->is_started) {
        flow->is_started = true;
        flow->progress_ns = now_ns;
        if (flow->kind == FLOW_AGGREGATE)
            pacer_init(&flow->pacer, FLOW_PACKET_BYTES, now_ns);
    } else if (now_ns >= flow->progress_ns + timeout_ns(flow)) {
        flow->timeouts++;
        flow->progress_ns = now_ns;
        if (flow->kind == FLOW_AGGREGATE) {
            flow->ops->on_probe_timeout(flow->congestion, flow->timeouts, now_ns);
        } else {
            /* All is lost; one packet finds out. */
            for (; flow->oldest_number < flow->next_number; flow->oldest_number++)
                if (record_of(flow, flow->oldest_number)->is_in_flight)
                    on_lost(flow, record_of(flow, flow->oldest_number));
            flow->cubic.window = 1;
        }
        if (flow->kind == FLOW_AGGREGATE)
            send_packet(flow, CONGESTION_NO_FLOW); /* a probe, beyond any window */
    }
    send_all(flow);
}

void flow_init(struct flow *flow, struct sim *sim, enum flow_kind kind, uint16_t index,
               uint32_t hosted, uint64_t start_ns, struct sim_node *to)
{
    *flow = (struct flow){
        .kind = kind, .index = index, .to = to, .start_ns = start_ns, .hosted = hosted};
    sim_node_init(&flow->node, sim, "flow");
    flow->node.receive = flow_receive;
    flow->node.next = flow_next;
    flow->node.run = flow_run;
    flow->records = memory_new(FLOW_RECORDS * sizeof(struct flow_record));
    cubic_init(&flow->cubic, FLOW_INITIAL_WINDOW, CUBIC_NO_THRESHOLD);
    if (kind == FLOW_AGGREGATE) {
        struct congestion_config config = {.packet_bytes = FLOW_PACKET_BYTES, .hosted_cap = 256};
        flow->ops = &congestion_ensemble;
        flow->congestion = flow->ops->create(&config, start_ns);
        flow->ops->set_hosted(flow->congestion, hosted, 0, start_ns);
    }
    sim_node_wake(&flow->node);
}

void flow_clear(struct flow *flow)
{
    if (flow->congestion)
        flow->ops->destroy(flow->congestion);
    memory_free(flow->records);
    sim_node_clear(&flow->node);
}

void flow_count_anew(struct flow *flow)
{
    flow->acked = flow->lost = 0;
}
