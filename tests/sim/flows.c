/* SPDX-License-Identifier: Apache-2.0
 *
 * What all model senders have in common: numbers, records, round-trip times, losses, timers.
 */
#include "flows.h"

#include "base/error.h"
#include "base/memory.h"

enum {
    FLOW_THRESHOLD = 3, /* packets acknowledged behind it: lost */
    FLOW_RECORDS_MIN = 64,
    FLOW_BACKOFF_MAX = 8,
};

#define FLOW_TIMEOUT_FIRST_NS   SIM_SECOND
#define FLOW_TIMEOUT_MARGIN_NS  (10 * SIM_MS)
#define FLOW_TIMEOUT_TCP_MIN_NS (200 * SIM_MS) /* as Linux */

static struct flow *flow_of(struct sim_node *node)
{
    return (struct flow *)(void *)node;
}

static struct flow_record *record_of(const struct flow *flow, uint64_t number)
{
    return &flow->records[number & (flow->records_count - 1)];
}

static void grow_records(struct flow *flow)
{
    uint32_t count = flow->records_count * 2;
    INVARIANT(count <= FLOW_NUMBERS_MAX);
    struct flow_record *records = memory_new(count * sizeof(*records));
    for (uint64_t number = flow->oldest_number; number < flow->next_number; number++)
        records[number & (count - 1)] = *record_of(flow, number);
    memory_free(flow->records);
    flow->records = records;
    flow->records_count = count;
}

static struct congestion_packet describe(const struct flow_record *record, uint64_t number)
{
    return (struct congestion_packet){
        .flow = record->virtual_flow,
        .bytes = FLOW_PACKET_BYTES,
        .number = number,
        .sent_ns = record->sent_ns,
        .delivered_at_sent = record->delivered * FLOW_PACKET_BYTES,
        .delivered_ns_at_sent = record->delivered_ns,
        .app_limited = record->is_app_limited,
    };
}

static uint64_t timeout_ns(const struct flow *flow)
{
    uint64_t timeout = flow->srtt_ns
                           ? flow->srtt_ns + 4 * flow->variance_ns + FLOW_TIMEOUT_MARGIN_NS
                           : FLOW_TIMEOUT_FIRST_NS;
    if (!flow->control->sends_probes && timeout < FLOW_TIMEOUT_TCP_MIN_NS)
        timeout = FLOW_TIMEOUT_TCP_MIN_NS;
    return timeout << (flow->timeouts < FLOW_BACKOFF_MAX ? flow->timeouts : FLOW_BACKOFF_MAX);
}

/* Packets that still have to go; what is lost has to go again. */
static bool has_more(const struct flow *flow)
{
    return flow->limit_packets == 0 || flow->delivered + flow->in_flight < flow->limit_packets;
}

static bool is_done(const struct flow *flow)
{
    return flow->limit_packets != 0 && flow->delivered >= flow->limit_packets;
}

static void send_packet(struct flow *flow, uint16_t virtual_flow)
{
    struct sim *sim = flow->node.sim;
    if (flow->next_number - flow->oldest_number == flow->records_count)
        grow_records(flow);
    struct sim_packet *packet = sim_packet_new(sim, 0);
    packet->length = FLOW_PACKET_BYTES;
    packet->flow = flow->index;
    packet->number = flow->next_number;
    packet->ecn = flow->ecn;
    if (flow->in_flight++ == 0)
        flow->delivered_ns = sim->now_ns; /* idle time is not the path's */
    *record_of(flow, flow->next_number++) = (struct flow_record){
        .virtual_flow = virtual_flow,
        .sent_ns = sim->now_ns,
        .delivered = flow->delivered,
        .delivered_ns = flow->delivered_ns,
        .is_in_flight = true,
        .is_app_limited = !has_more(flow),
    };
    sim_deliver(flow->to, packet);
}

static void send_all(struct flow *flow)
{
    uint64_t now_ns = flow_now_ns(flow), budget = UINT64_MAX;
    uint64_t rate = flow->control->pacing_bytes_per_s(flow);
    if (rate > 0) {
        pacer_set_rate(&flow->pacer, rate, now_ns);
        budget = pacer_budget(&flow->pacer, now_ns);
    }
    uint16_t virtual_flow = 0;
    for (;
         budget >= FLOW_PACKET_BYTES && has_more(flow) && flow->control->take(flow, &virtual_flow);
         budget -= FLOW_PACKET_BYTES) {
        if (rate > 0)
            pacer_spend(&flow->pacer, FLOW_PACKET_BYTES);
        send_packet(flow, virtual_flow);
    }
}

static void lose(struct flow *flow, uint64_t number)
{
    struct flow_record *record = record_of(flow, number);
    record->is_in_flight = false;
    flow->in_flight--;
    flow->lost++;
    struct congestion_packet packet = describe(record, number);
    flow->control->on_lost(flow, &packet);
}

static void find_losses(struct flow *flow)
{
    for (; flow->oldest_number < flow->next_number; flow->oldest_number++) {
        if (!record_of(flow, flow->oldest_number)->is_in_flight)
            continue;
        if (flow->oldest_number + FLOW_THRESHOLD > flow->largest_acked)
            return;
        lose(flow, flow->oldest_number);
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

static void acknowledge(struct flow *flow, uint64_t number, bool is_marked)
{
    struct flow_record *record = record_of(flow, number);
    uint64_t now_ns = flow_now_ns(flow), rtt_ns = now_ns - record->sent_ns;
    measure_rtt(flow, rtt_ns);
    record->is_in_flight = false;
    flow->in_flight--;
    flow->acked++;
    flow->delivered++;
    flow->delivered_ns = now_ns;
    struct congestion_packet packet = describe(record, number);
    flow->control->on_acked(flow, &packet, rtt_ns);
    if (is_marked) {
        flow->marked++;
        flow->control->on_ce(flow, &packet);
    }
}

static void flow_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct flow *flow = flow_of(node);
    uint64_t number = packet->number;
    bool is_marked = packet->ecn == ECN_CE;
    sim_packet_free(node->sim, packet);
    if (number < flow->oldest_number || !record_of(flow, number)->is_in_flight)
        return; /* taken for lost, or of a connection that is over */
    flow->progress_ns = node->sim->now_ns;
    flow->timeouts = 0;
    if (number > flow->largest_acked)
        flow->largest_acked = number;
    acknowledge(flow, number, is_marked);
    find_losses(flow);
    flow->control->on_settled(flow);
    send_all(flow);
    if (is_done(flow) && flow->on_done)
        flow->on_done(flow);
}

static uint64_t flow_next(const struct sim_node *node)
{
    const struct flow *flow = (const struct flow *)(const void *)node;
    if (!flow->is_started)
        return flow->start_ns;
    if (is_done(flow))
        return SIM_NEVER;
    uint64_t next_ns = flow->progress_ns + timeout_ns(flow);
    if (flow->pacer.bytes_per_s > 0 && has_more(flow) && flow->control->has_room(flow)) {
        uint64_t paced_ns = pacer_next(&flow->pacer, node->sim->now_ns);
        /* Asked in vain (a window's fraction is left): the next ack will bring it on. */
        if (paced_ns > node->sim->now_ns && paced_ns < next_ns)
            next_ns = paced_ns;
    }
    return next_ns;
}

static void time_out(struct flow *flow)
{
    flow->timeouts++;
    flow->progress_ns = flow_now_ns(flow);
    if (flow->control->sends_probes) {
        flow->control->on_timeout(flow);
        send_packet(flow, CONGESTION_NO_FLOW); /* beyond any window */
        return;
    }
    for (; flow->oldest_number < flow->next_number; flow->oldest_number++) {
        if (record_of(flow, flow->oldest_number)->is_in_flight)
            lose(flow, flow->oldest_number);
    }
    flow->control->on_timeout(flow);
}

static void flow_run(struct sim_node *node)
{
    struct flow *flow = flow_of(node);
    uint64_t now_ns = node->sim->now_ns;
    if (!flow->is_started) {
        flow->is_started = true;
        flow->progress_ns = flow->delivered_ns = now_ns;
        pacer_init(&flow->pacer, FLOW_PACKET_BYTES, now_ns);
    } else if (now_ns >= flow->progress_ns + timeout_ns(flow)) {
        time_out(flow);
    }
    send_all(flow);
}

static const struct flow_control *control_of(enum flow_kind kind)
{
    switch (kind) {
    case FLOW_CUBIC:
    case FLOW_RENO:
        return &flow_control_tcp;
    case FLOW_BBR:
        return &flow_control_bbr;
    case FLOW_AGGREGATE:
        return &flow_control_aggregate;
    }
    return NULL;
}

void flow_init(struct flow *flow, struct sim *sim, enum flow_kind kind, uint16_t index,
               uint32_t hosted, uint64_t start_ns, struct sim_node *to)
{
    *flow = (struct flow){
        .kind = kind,
        .control = control_of(kind),
        .index = index,
        .to = to,
        .start_ns = start_ns,
        .records_count = FLOW_RECORDS_MIN,
        .records = memory_new(FLOW_RECORDS_MIN * sizeof(struct flow_record)),
    };
    sim_node_init(&flow->node, sim, "flow");
    flow->node.receive = flow_receive;
    flow->node.next = flow_next;
    flow->node.run = flow_run;
    if (kind == FLOW_AGGREGATE)
        flow->aggregate.hosted = hosted;
    flow->control->start(flow);
    sim_node_wake(&flow->node);
}

void flow_clear(struct flow *flow)
{
    flow->control->stop(flow);
    memory_free(flow->records);
    sim_node_clear(&flow->node);
}

void flow_count_anew(struct flow *flow)
{
    flow->acked = flow->lost = flow->marked = 0;
}

void flow_start_again(struct flow *flow, uint64_t packets, uint64_t start_ns)
{
    INVARIANT(is_done(flow) || !flow->is_started);
    flow->control->stop(flow);
    for (; flow->oldest_number < flow->next_number; flow->oldest_number++)
        record_of(flow, flow->oldest_number)->is_in_flight = false;
    flow->limit_packets = packets;
    flow->start_ns = start_ns;
    flow->is_started = false;
    flow->in_flight = flow->delivered = 0;
    flow->srtt_ns = flow->variance_ns = flow->min_rtt_ns = 0;
    flow->timeouts = 0;
    flow->control->start(flow);
    sim_node_wake(&flow->node);
}
