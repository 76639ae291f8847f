/* SPDX-License-Identifier: Apache-2.0
 *
 * The front end of plain content servers (H1, H6, H7): an HTTP listener that answers every request with a redirect to
 * the name that encodes the best server and exit for this client. It decides by the director's table of the moment
 * (director/exits.h), so that an answer costs a look-up and a copy; without facts it answers by what is configured.
 *
 * Threads: functions are called from none of the workers, but for redirect_start() and redirect_stop().
 */
#ifndef REDIRECT_REDIRECT_H
#define REDIRECT_REDIRECT_H

#include "base/text.h"
#include "conf/conf.h"
#include "director/director.h"
#include "loop/loop.h"

#include <jansson.h>

struct redirect;

/* One of each for each worker: [listener * workers + worker]. Not closed here. */
struct redirect_sockets {
    const int *http;
    size_t count;
};

struct redirect_options {
    const struct conf *conf; /* read during the call; `self` has the role */
    uint64_t seed;           /* of the draws, and of a hash table that strangers look up in */
    uint32_t workers;
    struct redirect_sockets sockets; /* copied */
};

MUST_USE int redirect_new(struct redirect **redirect, const struct redirect_options *options,
                          struct text *why);
void redirect_free(struct redirect **redirect); /* after the workers have stopped */
MUST_USE int redirect_start(struct redirect *redirect, struct worker *worker); /* on each worker */
void redirect_stop(struct redirect *redirect, struct worker *worker);

/* Another configuration, and other listeners; returns when all workers have them. On an error the old one stays. */
MUST_USE int redirect_reload(struct redirect *redirect, struct worker_set *workers,
                             const struct conf *conf, const struct redirect_sockets *sockets,
                             struct text *why);
void redirect_drain(struct redirect *redirect, struct worker_set *workers);
bool redirect_is_drained(const struct redirect *redirect);

/* What is known of the nodes. Edges and servers (nodes with the agent role) are numbered in the order of the configuration. */
struct redirect_facts {
    const char *
        conf_hash; /* of the configuration that the numbers are of; facts of another one are left out */
    const struct director_node_facts *edges, *servers;
    size_t edge_count, server_count;
    const struct latency_table *latencies; /* nodes are edge numbers */
    uint64_t now_ns;
};
/* Any thread, one at a time: makes the table of the moment from them. */
void redirect_take_facts(struct redirect *redirect, const struct redirect_facts *facts);

json_t *redirect_status(struct redirect *redirect); /* any thread; a new reference */
/* What a choice for the client looks at, likewise. */
json_t *redirect_explain(struct redirect *redirect, const char *name, const struct address *client);

#endif
