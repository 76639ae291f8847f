/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: purges (C2). An edge hears of a site's purges from the site's first gateway, over a stream that it opens, and does them in
 * the store. docs/protocol/purge.md has the messages, docs/cache.md the rule:
 *
 *   The store is not used for a site while the link to its first gateway is up, and the gateway has not said since the link came up that this edge
 *   lacks nothing. While the link is down it is used: the origin may be away for long. After a start the first of these two is waited for, but not
 *   for longer than EDGE_PURGES_GRACE_NS.
 *
 * On the first worker, but for edge_purges_allow().
 */
#ifndef EDGE_PURGES_H
#define EDGE_PURGES_H

#include "edge/private.h"
#include "purge/purge.h"
#include "store/store.h"

#define EDGE_PURGES_GRACE_NS (3000ull * 1000000)

struct edge_purges;

/* With links and a configuration, before the workers start. NULL: there is no store. */
struct edge_purges *edge_purges_new(struct edge *edge);
void edge_purges_free(struct edge_purges **freed); /* after they have stopped */
void edge_purges_start(struct edge_worker *worker);
void edge_purges_follow(struct edge_worker *worker); /* another configuration */
void edge_purges_stop(struct edge_worker *worker);

/* Whether the store may be used for the site with that place in the configuration, and that purge_site(); any worker. */
bool edge_purges_allow(const struct edge *edge, size_t index, uint64_t site);
/* Nothing is missing of sites whose gateway can be reached; any thread. False for a moment after a start. */
bool edge_purges_are_current(const struct edge *edge, struct text *why);
json_t *edge_purges_status(const struct edge *edge); /* main thread; a new reference */
void edge_purges_register_metrics(void);

/* ---- purge_apply.c */
/* In force when it returns 0. What is missing before it is made good for by taking the whole site for stale. ERROR_AGAIN: too many at once. */
MUST_USE int edge_purge_apply(struct store *store, const struct purge *purge);

#endif
