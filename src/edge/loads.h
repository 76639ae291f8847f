/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: what gateways tell of their queues (L5, S6, T8), heard over a stream that the first worker opens to each gateway of the
 * sites that this edge serves. docs/protocol/loads.md has the messages. Any worker may read what was told.
 */
#ifndef EDGE_LOADS_H
#define EDGE_LOADS_H

#include "edge/private.h"
#include "loads/loads.h"

struct edge_loads;
struct edge_load_source; /* a gateway; lives as long as the edge */

/* With links and a configuration, before the workers start. */
struct edge_loads *edge_loads_new(struct edge *edge);
void edge_loads_free(struct edge_loads **freed); /* after they have stopped */
void edge_loads_start(struct edge_worker *worker);
void edge_loads_follow(struct edge_worker *worker); /* another configuration */
void edge_loads_stop(struct edge_worker *worker);

/* The gateway with that key, made where it is not known yet; any thread. */
struct edge_load_source *edge_loads_source(struct edge_loads *loads,
                                           const uint8_t key[CONF_KEY_BYTES]);
/* What it told of the site, a purge_site(). False: nothing, or not lately. Any thread. */
bool edge_loads_read(struct edge_load_source *source, uint64_t site, uint64_t now_ns,
                     struct loads_report *report);
/* Its packets on the link: those whose fate is known, and the lost ones. Likewise. */
bool edge_loads_read_way(struct edge_load_source *source, uint64_t now_ns, uint64_t *known,
                         uint64_t *lost);
/* It said that it ends soon. Likewise. */
bool edge_loads_is_leaving(struct edge_load_source *source, uint64_t now_ns);
void edge_loads_register_metrics(void);

#endif
