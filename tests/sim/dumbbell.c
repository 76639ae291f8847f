/* SPDX-License-Identifier: Apache-2.0
 *
 * The dumbbell: one bottleneck that all flows share.
 */
#include "dumbbell.h"

#include "base/error.h"
#include "base/list.h"
#include "base/memory.h"

enum { DUMBBELL_ACK_BYTES = 40 };

static void deliver_to_gateway(struct dumbbell *dumbbell, struct sim_packet *packet)
{
    for (uint32_t i = 0; i < dumbbell->pair_count; i++) {
        struct sim_end *gateway = &dumbbell->pairs[i]->gateway;
        if (address_equal(&gateway->address, &packet->to)) {
            dumbbell->pair_bytes[i] += packet->length;
            sim_deliver(&gateway->node, packet);
            return;
        }
    }
    sim_packet_free(&dumbbell->sim, packet);
}

/* A model packet turns into its acknowledgement; the way back has neither queue nor loss. */
static void receiver_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct dumbbell *dumbbell = CONTAINER_OF(node, struct dumbbell, receiver);
    if (packet->capacity > 0) {
        deliver_to_gateway(dumbbell, packet);
        return;
    }
    packet->length = DUMBBELL_ACK_BYTES;
    sim_deliver(&dumbbell->flows[packet->flow].node, packet);
}

static struct sim_node *bottleneck_init(struct dumbbell *dumbbell)
{
    const struct dumbbell_config *config = &dumbbell->config;
    struct sim *sim = &dumbbell->sim;
    double bdp_bytes = (double)config->bytes_per_s * (double)config->rtt_ns * 1e-9;
    uint64_t queue_bytes = (uint64_t)(bdp_bytes * config->buffer_bdp);
    struct sim_link_config link = {.bytes_per_s = config->bytes_per_s, .queue_bytes = queue_bytes};
    struct sim_codel_config codel = {.bytes_per_s = config->bytes_per_s,
                                     .queue_bytes = queue_bytes,
                                     .marks = config->queue == DUMBBELL_CODEL_ECN};
    struct sim_dual_config dual = {.bytes_per_s = config->bytes_per_s, .queue_bytes = queue_bytes};
    sim_link_init(&dumbbell->bottleneck, sim, "bottleneck", &link, &dumbbell->receiver);
    sim_codel_init(&dumbbell->codel, sim, &codel, &dumbbell->receiver);
    sim_dual_init(&dumbbell->dual, sim, &dual, &dumbbell->receiver);
    switch (config->queue) {
    case DUMBBELL_DROP_TAIL:
        return &dumbbell->bottleneck.node;
    case DUMBBELL_CODEL:
    case DUMBBELL_CODEL_ECN:
        return &dumbbell->codel.node;
    case DUMBBELL_DUAL:
        return &dumbbell->dual.node;
    }
    return NULL;
}

void dumbbell_init(struct dumbbell *dumbbell, const struct dumbbell_config *config, uint64_t seed)
{
    *dumbbell = (struct dumbbell){.config = *config};
    struct sim *sim = &dumbbell->sim;
    sim_init(sim, seed);
    sim_node_init(&dumbbell->receiver, sim, "receiver");
    dumbbell->receiver.receive = receiver_receive;
    struct sim_node *bottleneck = bottleneck_init(dumbbell);
    struct sim_impairment_config impairment = {
        .loss = config->loss,
        .policer_bytes_per_s = config->policer_bytes_per_s,
        .policer_burst_bytes = config->policer_burst_bytes,
    };
    sim_impairment_init(&dumbbell->impairment, sim, "loss", &impairment, bottleneck);
    bool is_clean = config->loss <= 0 && config->policer_bytes_per_s == 0;
    dumbbell->entry = is_clean ? bottleneck : &dumbbell->impairment.node;
    dumbbell->flows = memory_new(SIM_FLOWS_MAX * sizeof(struct flow));
}

static struct sim_node *way_of(struct dumbbell *dumbbell, uint64_t delay_ns)
{
    const struct dumbbell_config *config = &dumbbell->config;
    size_t i = 0;
    while (dumbbell->ways[i].delay_ns != 0 && dumbbell->ways[i].delay_ns != delay_ns) {
        i++;
        INVARIANT(i < DUMBBELL_WAYS);
    }
    struct sim_link *link = &dumbbell->ways[i].link;
    if (dumbbell->ways[i].delay_ns == 0) {
        struct sim_link_config access = {
            .delay_ns = delay_ns,
            .jitter_ns =
                config->jitter_packets * FLOW_PACKET_BYTES * SIM_SECOND / config->bytes_per_s,
        };
        sim_link_init(link, &dumbbell->sim, "access", &access, dumbbell->entry);
        dumbbell->ways[i].delay_ns = delay_ns;
    }
    return &link->node;
}

struct flow *dumbbell_add_at(struct dumbbell *dumbbell, enum flow_kind kind, uint32_t hosted,
                             uint64_t start_ns, uint64_t rtt_ns)
{
    INVARIANT(dumbbell->flow_count + DUMBBELL_PAIRS < SIM_FLOWS_MAX);
    uint16_t index = dumbbell->flow_count++;
    struct flow *flow = &dumbbell->flows[index];
    flow_init(flow, &dumbbell->sim, kind, index, hosted, start_ns, way_of(dumbbell, rtt_ns));
    return flow;
}

struct flow *dumbbell_add(struct dumbbell *dumbbell, enum flow_kind kind, uint32_t hosted,
                          uint64_t start_ns)
{
    return dumbbell_add_at(dumbbell, kind, hosted, start_ns, dumbbell->config.rtt_ns);
}

void dumbbell_add_pair(struct dumbbell *dumbbell, struct sim_pair *pair, uint64_t rtt_ns,
                       uint64_t seed)
{
    INVARIANT(dumbbell->pair_count < DUMBBELL_PAIRS);
    uint64_t one_way_ns = rtt_ns / 2;
    struct sim_link_config back = {.delay_ns = rtt_ns - one_way_ns};
    struct sim_impairment_config clean = {0};
    uint32_t number = dumbbell->pair_count++;
    sim_pair_init_in(pair, &dumbbell->sim, 1 + 2 * number, crypto_null(), seed, &back, &clean);
    dumbbell->pairs[number] = pair;
    pair->edge.to = way_of(dumbbell, one_way_ns);
    pair->edge.flow = (uint16_t)(SIM_FLOWS_MAX - 1 - number);
}

void dumbbell_run(struct dumbbell *dumbbell, uint64_t warm_up_ns, uint64_t measure_ns)
{
    uint64_t start_ns = dumbbell->sim.now_ns;
    sim_run(&dumbbell->sim, start_ns + warm_up_ns, NULL, NULL);
    for (uint16_t i = 0; i < dumbbell->flow_count; i++)
        flow_count_anew(&dumbbell->flows[i]);
    sim_run(&dumbbell->sim, start_ns + warm_up_ns + measure_ns, NULL, NULL);
}

void dumbbell_clear(struct dumbbell *dumbbell)
{
    for (uint16_t i = 0; i < dumbbell->flow_count; i++)
        flow_clear(&dumbbell->flows[i]);
    memory_free(dumbbell->flows);
    for (size_t i = 0; i < DUMBBELL_WAYS && dumbbell->ways[i].delay_ns; i++)
        sim_link_clear(&dumbbell->ways[i].link);
    sim_impairment_clear(&dumbbell->impairment);
    sim_link_clear(&dumbbell->bottleneck);
    sim_codel_clear(&dumbbell->codel);
    sim_dual_clear(&dumbbell->dual);
    sim_clear(&dumbbell->sim);
}
