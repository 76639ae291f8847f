/* SPDX-License-Identifier: Apache-2.0
 *
 * Model senders for questions of congestion control alone: packets without bytes, a receiver that acknowledges each of them, loss by
 * a packet threshold, retransmission timers as TCP has them. A sender does not repeat packets, it counts: what is lost makes room for
 * another one. How much may go and when is a table of functions, a file each:
 *
 *   flow_tcp        CUBIC (RFC 9438, HyStart++, recovery by PRR) and Reno, ack-clocked; paced if asked
 *   flow_bbr        the first BBR: a model of rate and delay, blind to loss
 *   flow_aggregate  a tunnel that stands for N connections, through transport/congestion.h
 */
#ifndef SIM_FLOWS_H
#define SIM_FLOWS_H

#include "network.h"
#include "tcp_hystart.h"
#include "transport/congestion.h"
#include "transport/cubic.h"
#include "transport/ecn.h"
#include "transport/pacer.h"

enum {
    FLOW_PACKET_BYTES = 1400,
    FLOW_NUMBERS_MAX = 1 << 16, /* between the oldest in flight and the newest */
    FLOW_INITIAL_WINDOW = 10,
};

enum flow_kind { FLOW_CUBIC, FLOW_RENO, FLOW_BBR, FLOW_AGGREGATE };

struct flow;

/* What is kept of a packet in flight; `congestion_packet` is made of it. */
struct flow_record {
    uint64_t sent_ns;
    uint64_t delivered, delivered_ns; /* by the flow, when it was sent */
    uint16_t virtual_flow;
    bool is_in_flight;
    bool is_app_limited;
};

/* A kind of sender. on_acked() and on_lost() tell of one packet, on_settled() ends what came of one acknowledgement. */
struct flow_control {
    void (*start)(struct flow *flow);
    void (*stop)(struct flow *flow);
    bool (*has_room)(const struct flow *flow);
    bool (*take)(struct flow *flow, uint16_t *virtual_flow); /* whether a packet may go now */
    uint64_t (*pacing_bytes_per_s)(const struct flow *flow); /* 0: as acknowledgements come */
    void (*on_acked)(struct flow *flow, const struct congestion_packet *packet, uint64_t rtt_ns);
    void (*on_ce)(struct flow *flow, const struct congestion_packet *packet);
    void (*on_lost)(struct flow *flow, const struct congestion_packet *packet);
    void (*on_settled)(struct flow *flow);
    void (*on_timeout)(struct flow *flow);
    bool
        sends_probes; /* after a time-out a probe goes out; otherwise all in flight is taken for lost */
};

extern const struct flow_control flow_control_tcp, flow_control_bbr, flow_control_aggregate;

struct flow_tcp {
    struct cubic cubic; /* Reno uses its window and threshold */
    struct tcp_hystart hystart;
    bool is_recovering;       /* until the fate of all that was in flight is known */
    uint64_t recovery_number; /* sent before the last cut */
    /* Proportional rate reduction (RFC 6937). */
    uint64_t prr_delivered, prr_out, prr_flight;
    int64_t prr_room;
    bool is_lost_anew;
};

enum { BBR_PHASES = 8, BBR_ROUNDS = 10 };

enum bbr_state { BBR_STARTUP, BBR_DRAIN, BBR_PROBE_BANDWIDTH, BBR_PROBE_RTT };

struct flow_bbr {
    enum bbr_state state;
    double rates[BBR_ROUNDS]; /* greatest of each of the last rounds, packets per second */
    uint64_t rounds, round_delivered;
    double full_rate; /* at which startup no longer grows, */
    uint32_t full_rounds;
    bool is_full;
    uint32_t phase; /* of the gain cycle */
    uint64_t phase_ns;
    uint64_t min_rtt_ns, min_rtt_seen_ns;
    uint64_t probe_rtt_until_ns; /* 0: not drained yet */
    double window;               /* packets */
    bool is_conserving;          /* the first round of a recovery sends what leaves */
    uint64_t recovery_number;
};

struct flow_aggregate {
    struct congestion *congestion;
    const struct congestion_ops *ops;
    uint32_t hosted;
};

struct flow {
    struct sim_node node;
    enum flow_kind kind;
    const struct flow_control *control;
    uint16_t index;
    uint8_t ecn;   /* enum ecn_codepoint of its packets */
    bool is_paced; /* TCP */
    struct sim_node *to;
    uint64_t start_ns;
    bool is_started;
    uint64_t limit_packets; /* that it has to send in all; 0: endless */
    void (*on_done)(struct flow *flow);
    void *context; /* of on_done() */
    struct pacer pacer;
    union {
        struct flow_tcp tcp;
        struct flow_bbr bbr;
        struct flow_aggregate aggregate;
    };

    uint64_t next_number, oldest_number, largest_acked;
    uint64_t in_flight;               /* packets */
    uint64_t delivered, delivered_ns; /* packets since the start, and when that was */
    uint64_t srtt_ns, variance_ns, min_rtt_ns;
    uint64_t progress_ns; /* last ack or start */
    uint32_t timeouts;
    uint64_t acked, lost, marked; /* packets; since flow_count_anew() */
    struct flow_record *records;  /* a ring by number */
    uint32_t records_count;
};

/* Starts by itself at `start_ns`. `hosted`: connections of an aggregate. */
void flow_init(struct flow *flow, struct sim *sim, enum flow_kind kind, uint16_t index,
               uint32_t hosted, uint64_t start_ns, struct sim_node *to);
void flow_clear(struct flow *flow);
void flow_count_anew(struct flow *flow);

/* A new connection of `packets` in the place of one that is done; its on_done() stays. */
void flow_start_again(struct flow *flow, uint64_t packets, uint64_t start_ns);

/* For the controls. */
static inline uint64_t flow_now_ns(const struct flow *flow)
{
    return flow->node.sim->now_ns;
}

#endif
