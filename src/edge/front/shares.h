/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: what each client network has at the moment, in a table of fixed size that the workers share without a lock
 * on the way of connections and requests.
 *
 * An entry is pinned by the connections of its network, whose number is part of its name: one atomic word. Requests belong to
 * connections and so have no look-up to do. A network without connections keeps its entry, with what its rates remember, until another
 * one needs the place.
 */
#ifndef EDGE_SHARES_H
#define EDGE_SHARES_H

#include "base/address.h"

struct edge_shares;
struct edge_share; /* a network's entry */

/* Room for so many networks at least; a quarter of it stays free, so that hardly any finds no place. */
struct edge_shares *edge_shares_new(size_t networks, uint64_t seed);
void edge_shares_free(struct edge_shares **freed);

/* The client's network has one connection more. NULL: every place that it could have is taken by networks with connections. */
struct edge_share *edge_shares_enter(struct edge_shares *shares, const struct network *network);
void edge_share_leave(struct edge_share *share); /* one less; NULL is fine */
uint32_t edge_share_connections(const struct edge_share *share);
uint32_t edge_share_requests(const struct edge_share *share); /* under way to origins */

enum edge_share_rate { EDGE_SHARE_CONNECTIONS, EDGE_SHARE_REQUESTS, EDGE_SHARE_RATES };
/* 0: there was a token; else how long until there is one. */
uint64_t edge_share_take(struct edge_share *share, enum edge_share_rate rate, uint32_t per_s,
                         uint64_t burst_ns, uint64_t now_ns);

/* A request under way to an origin; false: the network has `most` (0: any number). */
bool edge_share_begin(struct edge_share *share, uint32_t most);
void edge_share_end(struct edge_share *share);

/* What its clients do not take of their answers, in KiB: so much more, or less. */
void edge_share_add_unread(struct edge_share *share, int32_t kib);
uint32_t edge_share_unread(const struct edge_share *share);

/* The network that an address belongs to. */
struct network edge_share_network(const struct address *client, uint8_t ipv4_bits,
                                  uint8_t ipv6_bits);

#endif
