/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: channels, the links to gateways as requests are spread over them (L1, L2, T8). src/route decides, from what links measure and
 * what gateways tell of their queues; docs/channels.md is for those who run it. Everything here belongs to one worker, but for the status.
 *
 *   channel   a gateway as one worker uses it: its link, the loss of both directions, the exchanges that are there
 *   route     a site's channels, with the share of each
 */
#ifndef EDGE_CHANNELS_H
#define EDGE_CHANNELS_H

#include "edge/exchange.h"
#include "edge/loads.h"
#include "route/route.h"

struct edge_channel {
    struct list in_worker;
    struct edge_channels *owner;
    uint8_t key[CONF_KEY_BYTES]; /* of the gateway */
    struct edge_load_source *source;
    struct link *link; /* as of the last look; NULL: there is none */
    uint64_t looked_ns;
    struct route_meter out, in;
    struct route_facts facts; /* of the link alone */
    struct list exchanges;    /* in_channel: from the opening of their stream to its end */
    uint64_t out_since_ns;    /* nothing passes; 0: it does */
    bool is_named;            /* while a configuration is read */
};

/* NULL: there is none that is up and not among `tried`. The choice counts: it is to be used. */
struct edge_channel *edge_channels_pick(struct edge_worker *worker, const struct conf *conf,
                                        const struct conf_site *site, uint8_t class,
                                        struct link *const *tried, size_t tried_count);
/* The best at present, which does not count. */
struct edge_channel *edge_channels_best(struct edge_worker *worker, const struct conf *conf,
                                        const struct conf_site *site, uint8_t class,
                                        struct link *const *tried, size_t tried_count);
/* The edge's own buffer of that site takes the request, if it has one (buffer.h): see there. */
bool edge_channels_hold(struct edge_exchange *exchange, const struct conf *conf,
                        const struct conf_site *site);
/* Load of the site in percent of what its gateways' servers serve, as they told; RULES_UNKNOWN: they did not. */
uint32_t edge_channels_load(struct edge_worker *worker, const struct conf *conf,
                            const struct conf_site *site);

/* The exchange has a stream there, or no more. */
void edge_channel_join(struct edge_channel *channel, struct edge_exchange *exchange);
void edge_channel_leave(struct edge_exchange *exchange); /* harmless where it is in none */
void edge_channel_hand_over(struct edge_exchange *from, struct edge_exchange *to);

/* ---- life, on each worker */
struct edge_channels *edge_channels_new(struct edge_worker *worker);
void edge_channels_follow(struct edge_channels *channels); /* another configuration */
void edge_channels_stop(struct edge_channels *channels);   /* no exchange is left */
void edge_channels_free(struct edge_channels **freed);     /* after the workers have stopped */

#endif
