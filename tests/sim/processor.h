/* SPDX-License-Identifier: Apache-2.0
 *
 * The work of a processor as a node: it takes what waits in batches, and each batch costs something beside each packet, so that
 * larger batches show (GSO, GRO).
 */
#ifndef SIM_PROCESSOR_H
#define SIM_PROCESSOR_H

#include "network.h"

struct sim_processor_config {
    uint64_t batch_ns, packet_ns;
    uint32_t batch_max;   /* packets taken at once */
    uint32_t waiting_max; /* the socket's buffer; more are dropped */
};

struct sim_processor {
    struct sim_node node;
    struct sim_processor_config config;
    struct sim_node *to;
    struct sim_packet *first, *last; /* waiting, and before them the batch at work */
    uint32_t waiting, at_work;
    uint64_t free_ns;
    uint64_t packets, batches, dropped, busy_ns;
};

void sim_processor_init(struct sim_processor *processor, struct sim *sim,
                        const struct sim_processor_config *config, struct sim_node *to);
void sim_processor_clear(struct sim_processor *processor);

#endif
