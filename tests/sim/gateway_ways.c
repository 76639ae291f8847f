/* SPDX-License-Identifier: Apache-2.0
 *
 * The links of the simulated gateways. A message is as many packets as its bytes take; when one of them is lost, the message is
 * whole a round trip and a quarter later, if the packet sent again is not lost as well.
 */
#include "gateway.h"

enum { PACKET_BYTES = 1200 };

static struct sim_way *way_of(struct sim_node *node)
{
    return CONTAINER_OF(node, struct sim_way, entry);
}

/* How many of them are lost. */
static uint32_t lose(struct sim_way *way, uint32_t packets)
{
    struct sim *sim = way->entry.sim;
    uint32_t lost = 0;
    way->known += packets;
    if (way->config->loss > 0 && sim->now_ns >= way->config->loss_from_ns)
        for (uint32_t i = 0; i < packets; i++)
            lost += random_unit(&sim->random) < way->config->loss;
    way->lost += lost;
    return lost;
}

/* A packet's flow is the number of packets that are to be sent; of those sent again the bytes count for nothing. */
static void entry_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_way *way = way_of(node);
    packet->flow = (uint16_t)lose(way, packet->flow);
    sim_deliver(packet->flow ? &way->repair.node : &way->link.node, packet);
}

void sim_way_init(struct sim_way *way, struct sim *sim, const struct sim_gateway_config *config,
                  struct sim_node *to)
{
    const struct sim_link_config link = {.bytes_per_s = config->bytes_per_s,
                                         .delay_ns = config->delay_ns};
    const struct sim_link_config repair = {.delay_ns = config->delay_ns * 5 / 2};
    *way = (struct sim_way){.config = config};
    sim_node_init(&way->entry, sim, "way");
    way->entry.receive = entry_receive;
    sim_link_init(&way->link, sim, "link", &link, to);
    sim_link_init(&way->repair, sim, "repair", &repair, &way->entry);
}

void sim_way_clear(struct sim_way *way)
{
    sim_link_clear(&way->link);
    sim_link_clear(&way->repair);
    sim_node_clear(&way->entry);
}

void sim_way_send(struct sim_way *way, const struct sim_request *request, uint32_t bytes)
{
    struct sim_packet *packet = sim_packet_new(way->entry.sim, 0);
    packet->number = request->index;
    packet->length = bytes;
    packet->flow = (uint16_t)((bytes + PACKET_BYTES - 1) / PACKET_BYTES);
    sim_deliver(&way->entry, packet);
}
