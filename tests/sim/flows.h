/* SPDX-License-Identifier: Apache-2.0
 *
 * Model senders for questions of congestion control alone: packets without bytes, a receiver that acknowledges each of them, loss by
 * a packet threshold. Plain TCP (CUBIC or Reno: one window, ack-clocked, not paced) and, through congestion.h, an aggregate that
 * stands for N connections (paced). All have endless data.
 */
#ifndef SIM_FLOWS_H
#define SIM_FLOWS_H

#include "network.h"
#include "transport/congestion.h"
#include "transport/cubic.h"
#include "transport/pacer.h"

enum { FLOW_PACKET_BYTES = 1400, FLOW_RECORDS = 1 << 15 };

enum flow_kind { FLOW_CUBIC, FLOW_RENO, FLOW_AGGREGATE };

struct flow_record {
    struct congestion_packet packet;
    bool is_in_flight;
};

struct flow {
    struct sim_node node;
    enum flow_kind kind;
    uint16_t index;
    struct sim_node *to;
    uint64_t start_ns;
    bool is_started;

    /* Window: one of them. */
    struct cubic cubic; /* FLOW_CUBIC; FLOW_RENO uses its window and threshold */
    struct congestion *congestion;
    const struct congestion_ops *ops;
    struct pacer pacer;
    uint32_t hosted;

    uint64_t next_number, oldest_number, largest_acked;
    uint64_t recovery_number; /* sent before the last cut */
    uint64_t in_flight;       /* packets of a plain flow */
    uint64_t srtt_ns, variance_ns, min_rtt_ns;
    uint64_t progress_ns; /* last ack or start */
    uint32_t timeouts;
    uint64_t acked, lost; /* packets; since flow_count_anew() */
    struct flow_record *records;
};

/* Starts by itself at `start_ns`. `hosted`: connections of an aggregate. */
void flow_init(struct flow *flow, struct sim *sim, enum flow_kind kind, uint16_t index,
               uint32_t hosted, uint64_t start_ns, struct sim_node *to);
void flow_clear(struct flow *flow);
void flow_count_anew(struct flow *flow);

#endif
