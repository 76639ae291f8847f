/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to channels.c and route.c: what they share of a worker's channels and routes.
 */
#ifndef EDGE_CHANNELS_PRIVATE_H
#define EDGE_CHANNELS_PRIVATE_H

#include "edge/channels.h"

#include <pthread.h>

/* A site's, once a request of it was here. */
struct edge_site_route {
    char *name;
    uint64_t site; /* purge_site() of the name */
    struct route route;
    struct edge_channel *channels[ROUTE_CHANNELS_MOST]; /* by place in the route */
    uint32_t channel_count;
    bool is_stale;              /* something happened: to be looked at before it is asked again */
    struct edge_buffer *buffer; /* NULL: no queue there has stood yet */
    uint32_t waiting;           /* in it, as of the last update */
    uint32_t load_percent;      /* or RULES_UNKNOWN */
};

struct edge_channels {
    struct edge_worker *worker;
    struct list list; /* struct edge_channel */
    struct loop_timer tick;
    const struct conf *conf; /* the routes are by its sites' places; only compared */
    /* Of states and shares, and of which routes there are, while they change: the status reads them from another thread. */
    pthread_mutex_t lock;
    struct edge_site_route **routes; /* NULL: no request yet */
    size_t route_count;
};

/* ---- channels.c */
struct edge_channel *edge_channel_of(struct edge_channels *channels, const struct conf *conf,
                                     const struct conf_node *gateway);
/* What is known of its link, unless that was looked at a moment ago. */
void edge_channel_look(struct edge_channel *channel, uint64_t now_ns);

/* ---- route.c */
void edge_routes_follow(struct edge_channels *channels);
void edge_routes_stop(struct edge_channels *channels); /* while there is still a loop */
void edge_routes_free(struct edge_channels *channels);
void edge_route_refresh(struct edge_worker *worker, struct edge_site_route *of);

#endif
