/* SPDX-License-Identifier: Apache-2.0
 *
 * An end of a link as a node: the transport's core with a listener, driven as a real driver drives it (receive, events, send, sleep
 * until the next wake). And a pair of them with a path each way:
 *
 *     edge -> impairment -> link -> gateway -> impairment -> link -> edge
 */
#ifndef SIM_END_H
#define SIM_END_H

#include "crypto/crypto.h"
#include "network.h"
#include "transport/transport.h"

struct sim_end;

/* What lives above: `run` is called after the events of each turn and says when it wants to be called next. */
struct sim_application {
    void (*on_event)(struct sim_end *end, const struct transport_event *event);
    uint64_t (*run)(struct sim_end *end); /* SIM_NEVER: not by time */
    void *context;
};

enum { SIM_WAYS_MAX = 4 };

/* An address of an end, what is at the other side, and what its packets meet first. */
struct sim_way {
    struct address address, peer;
    struct sim_node *to;
    bool is_standby;
};

struct sim_end {
    struct sim_node node;
    struct sim_node *to;
    struct sim_way more[SIM_WAYS_MAX]; /* locals 1 and up; local 0 is below */
    uint32_t more_count;
    struct transport_config config;
    struct transport *transport;
    struct transport_listener *listener;
    struct address address, peer;
    uint16_t flow; /* that its packets count as */
    struct sim_application application;
    uint64_t application_ns; /* its next wish */
    bool is_dirty;           /* something came */
    uint32_t ups, downs;
    uint64_t packets_out, bytes_out, hash; /* of every packet sent, in order */
    uint32_t spins; /* turns at one moment: a core that never sleeps is a broken core */
    uint64_t spun_ns;
};

struct sim_pair {
    struct sim sim; /* not in use by one of several pairs in a network */
    struct random secrets;
    struct crypto crypto;
    struct sim_end edge, gateway;
    struct sim_impairment up_impairment, down_impairment; /* edge to gateway, and back */
    struct sim_link up_link, down_link;
};

/* `crypto` is the base of a seeded table. Configurations may be changed before sim_pair_start(). */
void sim_pair_init(struct sim_pair *pair, const struct crypto *crypto, uint64_t seed,
                   const struct sim_link_config *link,
                   const struct sim_impairment_config *impairment);
/* One of several pairs: in another's network, with slots (addresses, indices) of its own: this one and the next. */
void sim_pair_init_in(struct sim_pair *pair, struct sim *sim, uint32_t slot,
                      const struct crypto *crypto, uint64_t seed,
                      const struct sim_link_config *link,
                      const struct sim_impairment_config *impairment);

/* Another way between the two, with addresses of its own. Before sim_pair_start(). */
struct sim_second_way {
    struct sim_impairment up_impairment, down_impairment;
    struct sim_link up_link, down_link;
};
void sim_pair_add_way(struct sim_pair *pair, struct sim_second_way *way,
                      const struct sim_link_config *link,
                      const struct sim_impairment_config *impairment, bool is_standby);
void sim_second_way_clear(struct sim_second_way *way); /* before sim_pair_clear() */
void sim_pair_start(struct sim_pair *pair);            /* both ends live, the edge dials */
void sim_pair_clear(struct sim_pair *pair);

void sim_end_start(struct sim_end *end); /* a new life: everything of the old one is forgotten */
void sim_end_touch(struct sim_end *end); /* after calls to its transport from outside */
struct transport_facts sim_end_facts(const struct sim_end *end);

#endif
