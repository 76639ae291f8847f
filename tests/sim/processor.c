/* SPDX-License-Identifier: Apache-2.0
 *
 * A processor that works through batches.
 */
#include "processor.h"

static struct sim_processor *processor_of(struct sim_node *node)
{
    return (struct sim_processor *)(void *)node;
}

static void processor_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_processor *processor = processor_of(node);
    if (processor->waiting >= processor->config.waiting_max) {
        processor->dropped++;
        sim_packet_free(node->sim, packet);
        return;
    }
    packet->next = NULL;
    *(processor->last ? &processor->last->next : &processor->first) = packet;
    processor->last = packet;
    processor->waiting++;
}

static uint64_t processor_next(const struct sim_node *node)
{
    const struct sim_processor *processor = (const struct sim_processor *)(const void *)node;
    if (processor->at_work)
        return processor->free_ns;
    return processor->waiting ? node->sim->now_ns : SIM_NEVER;
}

static struct sim_packet *take_first(struct sim_processor *processor)
{
    struct sim_packet *packet = processor->first;
    processor->first = packet->next;
    if (!processor->first)
        processor->last = NULL;
    return packet;
}

static void processor_run(struct sim_node *node)
{
    struct sim_processor *processor = processor_of(node);
    const struct sim_processor_config *config = &processor->config;
    for (; processor->at_work > 0; processor->at_work--)
        sim_deliver(processor->to, take_first(processor));
    if (processor->waiting == 0)
        return;
    processor->at_work =
        processor->waiting < config->batch_max ? processor->waiting : config->batch_max;
    processor->waiting -= processor->at_work;
    uint64_t cost_ns = config->batch_ns + processor->at_work * config->packet_ns;
    processor->free_ns = node->sim->now_ns + cost_ns;
    processor->busy_ns += cost_ns;
    processor->batches++;
    processor->packets += processor->at_work;
}

void sim_processor_init(struct sim_processor *processor, struct sim *sim,
                        const struct sim_processor_config *config, struct sim_node *to)
{
    *processor = (struct sim_processor){.config = *config, .to = to};
    sim_node_init(&processor->node, sim, "processor");
    processor->node.receive = processor_receive;
    processor->node.next = processor_next;
    processor->node.run = processor_run;
}

void sim_processor_clear(struct sim_processor *processor)
{
    while (processor->first)
        sim_packet_free(processor->node.sim, take_first(processor));
    sim_node_clear(&processor->node);
}
