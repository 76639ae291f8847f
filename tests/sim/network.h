/* SPDX-License-Identifier: Apache-2.0
 *
 * A network in virtual time: integer nanoseconds, seeded, single-threaded; equal seeds give equal runs. A node is three functions:
 * it receives packets, says when it wants to run next, and runs. Links and impairments are nodes that pass packets on, so that
 * a path is a chain of them; senders and receivers are nodes too.
 *
 *   sender -> access -> impairment -> bottleneck -> receiver
 *      ^------------------ reverse <-------------------'
 */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "base/address.h"
#include "base/heap.h"
#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_NEVER  UINT64_MAX
#define SIM_US     1000ull
#define SIM_MS     1000000ull
#define SIM_SECOND 1000000000ull

enum { SIM_FLOWS_MAX = 512, SIM_PACKET_BYTES = 2048 };

/* Owned by whoever holds it; handed on by receive(). */
struct sim_packet {
    struct sim_packet *next, *previous;
    uint64_t due_ns;  /* of the link that holds it */
    uint64_t number;  /* of a model sender, or of the acknowledged packet */
    uint64_t sent_ns; /* by the model sender */
    uint32_t length;  /* on the wire, UDP payload */
    uint32_t capacity;
    uint16_t flow; /* index of the sender among model flows */
    uint8_t ecn;
    struct address from, to; /* not set in model packets */
    uint8_t data[];          /* `capacity` bytes; none in model packets */
};

struct sim;

struct sim_node {
    struct heap_node timer;
    struct sim *sim;
    const char *name;
    void (*receive)(struct sim_node *node, struct sim_packet *packet);
    uint64_t (*next)(
        const struct sim_node *node); /* when run() is due; SIM_NEVER: on its own, never */
    void (*run)(struct sim_node *node);
};

struct sim {
    uint64_t now_ns;
    struct heap timers;
    struct random random;
    struct sim_packet *free_models, *free_packets;
    uint64_t packets_made, packets_allocated, runs;
};

void sim_init(struct sim *sim, uint64_t seed);
void sim_clear(struct sim *sim); /* the nodes are cleared by their owners, before */

void sim_node_init(struct sim_node *node, struct sim *sim, const char *name);
void sim_node_clear(struct sim_node *node);

/* To be called after whatever may have changed its next(); receiving and running imply it. The loop asks next() again before it
 * runs a node, so that a wish that moves away (each ack moves a retransmission timer) costs nothing. */
void sim_node_wake(struct sim_node *node);
void sim_deliver(struct sim_node *node, struct sim_packet *packet);

/* Runs what is due until `until_ns`, or until `is_done` says so; false: the time is over. */
bool sim_run(struct sim *sim, uint64_t until_ns, bool (*is_done)(void *context), void *context);

struct sim_packet *sim_packet_new(struct sim *sim, uint32_t data_bytes);
struct sim_packet *sim_packet_copy(struct sim *sim, const struct sim_packet *packet);
void sim_packet_free(struct sim *sim, struct sim_packet *packet);

/* A link: a drop-tail queue in front of a rate, then a delay. */
struct sim_link_config {
    uint64_t bytes_per_s; /* 0: no limit */
    uint64_t queue_bytes; /* 0: no limit in bytes */
    uint64_t queue_ns;    /* 0: no limit in time */
    uint64_t delay_ns;
    uint64_t jitter_ns;      /* up to so much more, uniform; packets of a flow keep their order */
    double reorder;          /* so many of them come later, out of order, */
    uint64_t reorder_max_ns; /* by up to so much */
    uint32_t overhead_bytes; /* below UDP, for each packet: 28 for IPv4 */
};

struct sim_link {
    struct sim_node node;
    struct sim_link_config config;
    struct sim_node *to;
    struct sim_packet *first, *last; /* under way, by due_ns */
    uint64_t busy_until_ps;          /* the queue is empty then */
    uint64_t flow_due_ns[SIM_FLOWS_MAX];
    uint64_t packets, bytes, dropped, queue_peak_ns;
};

void sim_link_init(struct sim_link *link, struct sim *sim, const char *name,
                   const struct sim_link_config *config, struct sim_node *to);
void sim_link_clear(struct sim_link *link);
void sim_link_suspend(struct sim_link *link, uint64_t until_ns); /* what comes waits */
uint64_t sim_link_queue_ns(const struct sim_link *link);

/* An impairment: what may befall a packet at once. */
struct sim_impairment_config {
    double loss;                     /* Bernoulli */
    double good_to_bad, bad_to_good; /* Gilbert-Elliott, by packet; 0: off */
    double loss_good, loss_bad;
    uint64_t mask[4];   /* exact packets: bit n drops the n-th */
    uint32_t mask_bits; /* 0: no mask */
    bool mask_repeats;
    double duplicate;
    double corrupt;               /* one to eight bits flipped */
    uint32_t mtu_bytes;           /* larger ones vanish; 0: no limit */
    uint64_t policer_bytes_per_s; /* token bucket without a queue; 0: none */
    uint64_t policer_burst_bytes;
};

struct sim_impairment {
    struct sim_node node;
    struct sim_impairment_config config;
    struct sim_node *to;
    bool is_cut; /* nothing passes */
    bool is_bad; /* state of Gilbert-Elliott */
    uint64_t policer_bytes_e9, policer_ns;
    uint64_t packets, dropped, duplicated, corrupted;
};

void sim_impairment_init(struct sim_impairment *impairment, struct sim *sim, const char *name,
                         const struct sim_impairment_config *config, struct sim_node *to);
void sim_impairment_clear(struct sim_impairment *impairment);

#endif
