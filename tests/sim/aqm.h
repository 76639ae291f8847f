/* SPDX-License-Identifier: Apache-2.0
 *
 * Bottlenecks that manage their queue. CoDel (RFC 8289) drops, or marks what is ECN-capable, when packets have stood for too long. The
 * dual queue (after RFC 9332) keeps L4S traffic, ECT(1), in a queue of its own that is marked from a millisecond on, and couples its
 * marks to what a PI controller drops of the classic queue. Neither has a delay of its own: a sim_link behind it has.
 */
#ifndef SIM_AQM_H
#define SIM_AQM_H

#include "network.h"
#include "transport/ecn.h"

struct sim_fifo {
    struct sim_packet *first, *last;
    uint64_t bytes;
};

struct sim_codel_config {
    uint64_t bytes_per_s, queue_bytes; /* queue_bytes 0: no limit */
    uint64_t target_ns, interval_ns;   /* 0: 5 and 100 ms */
    bool marks;                        /* ECN-capable packets are marked, not dropped */
};

struct sim_codel {
    struct sim_node node;
    struct sim_codel_config config;
    struct sim_node *to;
    struct sim_fifo queue;
    struct sim_packet *leaving; /* being sent until `free_ns` */
    uint64_t free_ns;
    uint64_t first_above_ns, drop_next_ns; /* names of RFC 8289 section 5 */
    uint32_t count, last_count;
    bool is_dropping;
    uint64_t packets, dropped, marked, overflowed;
    uint64_t sojourn_sum_ns, sojourn_peak_ns; /* of what left */
};

void sim_codel_init(struct sim_codel *codel, struct sim *sim, const struct sim_codel_config *config,
                    struct sim_node *to);
void sim_codel_clear(struct sim_codel *codel);

struct sim_dual_config {
    uint64_t bytes_per_s, queue_bytes; /* of both queues together; 0: no limit */
};

struct sim_dual_queue {
    struct sim_fifo fifo;
    uint64_t packets, dropped, marked, sojourn_sum_ns;
};

struct sim_dual {
    struct sim_node node;
    struct sim_dual_config config;
    struct sim_node *to;
    struct sim_dual_queue low, classic;
    struct sim_packet *leaving;
    uint64_t free_ns;
    uint64_t update_ns, last_delay_ns; /* of the controller */
    double base;                       /* its output p' */
    uint32_t low_in_a_row;
    uint64_t overflowed;
};

void sim_dual_init(struct sim_dual *dual, struct sim *sim, const struct sim_dual_config *config,
                   struct sim_node *to);
void sim_dual_clear(struct sim_dual *dual);

#endif
