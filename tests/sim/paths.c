/* SPDX-License-Identifier: Apache-2.0
 *
 * Links and impairments. A link needs no event for its queue: when a packet comes, what is before it says when it will leave, so
 * that it goes straight to its place in the list of packets under way.
 */
#include "base/memory.h"
#include "network.h"

#define PS_PER_NS     1000ull
#define PS_PER_SECOND 1000000000000ull

static struct sim_link *link_of(struct sim_node *node)
{
    return (struct sim_link *)(void *)node;
}

static bool chance(struct sim *sim, double probability)
{
    return probability > 0 && random_unit(&sim->random) < probability;
}

uint64_t sim_link_queue_ns(const struct sim_link *link)
{
    uint64_t now_ps = link->node.sim->now_ns * PS_PER_NS;
    return link->busy_until_ps > now_ps ? (link->busy_until_ps - now_ps) / PS_PER_NS : 0;
}

void sim_link_suspend(struct sim_link *link, uint64_t until_ns)
{
    if (link->busy_until_ps < until_ns * PS_PER_NS)
        link->busy_until_ps = until_ns * PS_PER_NS;
}

/* From the end: most packets are the last of all. */
static void put_in_order(struct sim_link *link, struct sim_packet *packet)
{
    struct sim_packet *before = link->last;
    while (before && before->due_ns > packet->due_ns)
        before = before->previous;
    packet->previous = before;
    packet->next = before ? before->next : link->first;
    *(before ? &before->next : &link->first) = packet;
    *(packet->next ? &packet->next->previous : &link->last) = packet;
}

/* When its last bit will have left the queue; false: dropped. */
static bool enter_queue(struct sim_link *link, uint32_t bytes, uint64_t *left_ns)
{
    const struct sim_link_config *config = &link->config;
    uint64_t now_ns = link->node.sim->now_ns, now_ps = now_ns * PS_PER_NS;
    if (link->busy_until_ps < now_ps)
        link->busy_until_ps = now_ps;
    uint64_t waiting_ps = link->busy_until_ps - now_ps;
    if (config->bytes_per_s > 0) {
        uint64_t ps_per_byte = PS_PER_SECOND / config->bytes_per_s;
        if (config->queue_bytes && waiting_ps / ps_per_byte + bytes > config->queue_bytes)
            return false;
        link->busy_until_ps += bytes * ps_per_byte;
    }
    if (config->queue_ns && waiting_ps > config->queue_ns * PS_PER_NS) {
        link->busy_until_ps = now_ps + waiting_ps;
        return false;
    }
    if (waiting_ps / PS_PER_NS > link->queue_peak_ns)
        link->queue_peak_ns = waiting_ps / PS_PER_NS;
    *left_ns = link->busy_until_ps / PS_PER_NS;
    return true;
}

static void link_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_link *link = link_of(node);
    struct sim *sim = node->sim;
    uint32_t bytes = packet->length + link->config.overhead_bytes;
    uint64_t left_ns;
    if (!enter_queue(link, bytes, &left_ns)) {
        link->dropped++;
        sim_packet_free(sim, packet);
        return;
    }
    link->packets++;
    link->bytes += bytes;
    packet->due_ns = left_ns + link->config.delay_ns;
    if (link->config.jitter_ns) {
        uint64_t *last_ns = &link->flow_due_ns[packet->flow % SIM_FLOWS_MAX];
        packet->due_ns += random_below(&sim->random, link->config.jitter_ns);
        if (packet->due_ns < *last_ns)
            packet->due_ns = *last_ns;
        *last_ns = packet->due_ns;
    }
    if (chance(sim, link->config.reorder))
        packet->due_ns += random_below(&sim->random, link->config.reorder_max_ns + 1);
    put_in_order(link, packet);
}

static uint64_t link_next(const struct sim_node *node)
{
    const struct sim_link *link = (const struct sim_link *)(const void *)node;
    return link->first ? link->first->due_ns : SIM_NEVER;
}

static void link_run(struct sim_node *node)
{
    struct sim_link *link = link_of(node);
    while (link->first && link->first->due_ns <= node->sim->now_ns) {
        struct sim_packet *packet = link->first;
        link->first = packet->next;
        *(packet->next ? &packet->next->previous : &link->last) = NULL;
        sim_deliver(link->to, packet);
    }
}

void sim_link_init(struct sim_link *link, struct sim *sim, const char *name,
                   const struct sim_link_config *config, struct sim_node *to)
{
    *link = (struct sim_link){.config = *config, .to = to};
    sim_node_init(&link->node, sim, name);
    link->node.receive = link_receive;
    link->node.next = link_next;
    link->node.run = link_run;
}

void sim_link_clear(struct sim_link *link)
{
    while (link->first) {
        struct sim_packet *packet = link->first;
        link->first = packet->next;
        sim_packet_free(link->node.sim, packet);
    }
    link->last = NULL;
    sim_node_clear(&link->node);
}

/* Impairments. */

static bool is_masked(const struct sim_impairment *impairment, uint64_t number)
{
    const struct sim_impairment_config *config = &impairment->config;
    if (config->mask_bits == 0 || (number >= config->mask_bits && !config->mask_repeats))
        return false;
    uint64_t bit = number % config->mask_bits;
    return config->mask[bit / 64] >> bit % 64 & 1;
}

static bool is_lost_in_a_burst(struct sim_impairment *impairment)
{
    const struct sim_impairment_config *config = &impairment->config;
    struct sim *sim = impairment->node.sim;
    if (config->good_to_bad <= 0)
        return false;
    if (chance(sim, impairment->is_bad ? config->bad_to_good : config->good_to_bad))
        impairment->is_bad = !impairment->is_bad;
    return chance(sim, impairment->is_bad ? config->loss_bad : config->loss_good);
}

static bool is_policed(struct sim_impairment *impairment, uint32_t bytes)
{
    const struct sim_impairment_config *config = &impairment->config;
    if (config->policer_bytes_per_s == 0)
        return false;
    uint64_t now_ns = impairment->node.sim->now_ns;
    unsigned __int128 bucket = impairment->policer_bytes_e9;
    bucket += (unsigned __int128)(now_ns - impairment->policer_ns) * config->policer_bytes_per_s;
    unsigned __int128 most = (unsigned __int128)config->policer_burst_bytes * SIM_SECOND;
    if (bucket > most)
        bucket = most;
    impairment->policer_ns = now_ns;
    uint64_t cost = bytes * SIM_SECOND;
    bool is_out = bucket < cost;
    impairment->policer_bytes_e9 = (uint64_t)(is_out ? bucket : bucket - cost);
    return is_out;
}

static void flip_bits(struct sim *sim, struct sim_packet *packet)
{
    for (uint64_t flips = 1 + random_below(&sim->random, 8); flips > 0 && packet->length > 0;
         flips--) {
        uint64_t bit = random_below(&sim->random, packet->length * 8ull);
        packet->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void impairment_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_impairment *impairment = (struct sim_impairment *)(void *)node;
    const struct sim_impairment_config *config = &impairment->config;
    struct sim *sim = node->sim;
    uint64_t number = impairment->packets++;
    bool is_too_large = config->mtu_bytes && packet->length > config->mtu_bytes;
    if (impairment->is_cut || is_too_large || is_masked(impairment, number) ||
        chance(sim, config->loss) || is_lost_in_a_burst(impairment) ||
        is_policed(impairment, packet->length)) {
        impairment->dropped++;
        sim_packet_free(sim, packet);
        return;
    }
    if (chance(sim, config->duplicate)) {
        impairment->duplicated++;
        sim_deliver(impairment->to, sim_packet_copy(sim, packet));
    }
    if (packet->capacity && chance(sim, config->corrupt)) {
        impairment->corrupted++;
        flip_bits(sim, packet);
    }
    sim_deliver(impairment->to, packet);
}

void sim_impairment_init(struct sim_impairment *impairment, struct sim *sim, const char *name,
                         const struct sim_impairment_config *config, struct sim_node *to)
{
    *impairment = (struct sim_impairment){
        .config = *config,
        .to = to,
        .policer_bytes_e9 = config->policer_burst_bytes * SIM_SECOND,
    };
    sim_node_init(&impairment->node, sim, name);
    impairment->node.receive = impairment_receive;
}

void sim_impairment_clear(struct sim_impairment *impairment)
{
    sim_node_clear(&impairment->node);
}
