/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node tells the DNS nodes of itself (R8, R9, S9, H2): liveness reports every 250 ms, its load every 2 s or when
 * it changed, round trips of visitors, and whatever else was measured here; and what DNS nodes ask it to measure. On
 * edges, gateways, and content servers that have the role `agent`.
 *
 * It runs on the main thread of its process, which no client's work can hold up: a worker that stands still shows in
 * the reports instead of ending them. Everything here is called on that thread.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "conf/conf.h"
#include "crypto/crypto.h"
#include "link/link.h"
#include "loop/loop.h"
#include "measure/measure.h"

#include <jansson.h>

struct agent;

/* What an edge or a gateway has to say of its work. Counters since the start; limits 0: none. */
struct agent_work {
    bool is_there; /* the node has this role */
    uint32_t connections, connections_limit;
    uint64_t requests, bytes; /* answered */
};

struct agent_view {
    uint8_t flags; /* enum status_flag */
    struct agent_work edge, gateway;
};

/* The rest of the process, as far as the agent looks at it. Functions may be NULL. */
struct agent_host {
    void *owner;
    void (*look)(void *owner, struct agent_view *view); /* zeroed before; each period */
    /* The next round trip of visitors that is worth telling; false: none at present. */
    bool (*next_latency)(void *owner, struct measure_latency *latency);
    /* What the edge holds of a site with a cache: the one behind `*at`, which begins at 0 and is moved on; false: no more. */
    bool (*next_held)(void *owner, size_t *at, struct measure_held *held);
    const struct worker_set *(*workers)(void *owner); /* NULL: none run yet */
    struct link_set *links;                           /* NULL: none */
};

struct agent_options {
    struct conf_source conf;
    struct loop *loop;
    const struct crypto *crypto;
    struct key private_key, public_key; /* of this node */
    int gauges;                         /* the socket of own gauges; -1: none */
    struct agent_host host;
};

enum {
    AGENT_RECEIVERS_MOST = 64,        /* DNS nodes */
    AGENT_ITEMS_MOST = 2048,          /* told and not sent yet */
    AGENT_LATENCY_BYTES_PER_S = 4096, /* of visitors' round trips, to each DNS node */
};

struct agent *agent_start(const struct agent_options *options);
void agent_reload(struct agent *agent); /* the snapshot was swapped */
void agent_hurry(struct agent *agent);  /* something changed that cannot wait: reports go now */
void agent_fall_silent(struct agent *agent); /* another process reports for the node now */
void agent_stop(struct agent **stopped);     /* says goodbye */

/* Sends an item to every DNS node, with the next ones that go (at most 250 ms from now). false: too many wait already,
 * it is dropped and counted. */
bool agent_tell(struct agent *agent, const struct measure_item *item);

/* Who is told of each item of a DNS node's requests; one at most. */
void agent_on_request(struct agent *agent,
                      void (*take)(void *owner, const struct measure_item *item), void *owner);

json_t *agent_status(struct agent *agent); /* a new reference */

#endif
