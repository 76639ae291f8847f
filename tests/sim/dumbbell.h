/* SPDX-License-Identifier: Apache-2.0
 *
 * Many model flows over one bottleneck, each with its own round-trip time:
 *
 *     flows -- access (a way of that RTT, jitter) -- loss, policer -- bottleneck (rate, queue) -- back to its flow
 *
 *     edge of a pair -- access -- loss, policer -- bottleneck -- its gateway -- half a round trip -- edge
 *
 * All propagation of model flows lies in front of the bottleneck: a flow sees only the sum of its loop, and this way a packet costs two events.
 */
#ifndef SIM_DUMBBELL_H
#define SIM_DUMBBELL_H

#include "aqm.h"
#include "end.h"
#include "flows.h"

enum {
    DUMBBELL_WAYS = 4, /* different delays */
    DUMBBELL_PAIRS = 2,
};

enum dumbbell_queue { DUMBBELL_DROP_TAIL, DUMBBELL_CODEL, DUMBBELL_CODEL_ECN, DUMBBELL_DUAL };

struct dumbbell_config {
    uint64_t bytes_per_s, rtt_ns; /* rtt_ns: of the buffer's BDP, and of dumbbell_add() */
    double buffer_bdp;
    enum dumbbell_queue queue;
    double loss;
    uint64_t policer_bytes_per_s, policer_burst_bytes; /* in front of the bottleneck; 0: none */
    uint32_t
        jitter_packets; /* forward jitter in packet times of the bottleneck: breaks phase effects */
};

struct dumbbell {
    struct sim sim;
    struct dumbbell_config config;
    struct {
        struct sim_link link;
        uint64_t delay_ns; /* 0: not in use */
    } ways[DUMBBELL_WAYS];
    struct sim_impairment impairment;
    struct sim_link bottleneck; /* that of `queue` is in use */
    struct sim_codel codel;
    struct sim_dual dual;
    struct sim_node *entry; /* the bottleneck, or what lies in front of it */
    struct sim_node receiver;
    struct flow *flows;
    uint16_t flow_count;
    struct sim_pair *pairs[DUMBBELL_PAIRS];
    uint64_t pair_bytes[DUMBBELL_PAIRS]; /* that reached the gateway, acknowledgements too */
    uint32_t pair_count;
};

void dumbbell_init(struct dumbbell *dumbbell, const struct dumbbell_config *config, uint64_t seed);
struct flow *dumbbell_add(struct dumbbell *dumbbell, enum flow_kind kind, uint32_t hosted,
                          uint64_t start_ns);
struct flow *dumbbell_add_at(struct dumbbell *dumbbell, enum flow_kind kind, uint32_t hosted,
                             uint64_t start_ns, uint64_t rtt_ns);
/* The real core: what its edge sends goes through the bottleneck. Its crypto is null. The caller clears it, before the dumbbell. */
void dumbbell_add_pair(struct dumbbell *dumbbell, struct sim_pair *pair, uint64_t rtt_ns,
                       uint64_t seed);
/* Runs `warm_up_ns`, then counts for `measure_ns`. */
void dumbbell_run(struct dumbbell *dumbbell, uint64_t warm_up_ns, uint64_t measure_ns);
void dumbbell_clear(struct dumbbell *dumbbell);

#endif
