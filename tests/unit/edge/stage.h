/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge's worker on a loop of the test's own: links whose other end is the test, clients on socket pairs.
 */
#ifndef TESTS_UNIT_EDGE_STAGE_H
#define TESTS_UNIT_EDGE_STAGE_H

#include "base/memory.h"
#include "edge/channels.h"
#include "fake_link.h"
#include "network.h"
#include "turn.h"

enum { STAGE_NEAR, STAGE_FAR, STAGE_FURTHEST }; /* links, by their round trips */

struct stage {
    struct conf *conf;
    struct link_set links;
    struct edge *edge;
    struct edge_worker *worker;
};

static const char stage_network[] =
    "nodes:\n"
    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"], trusted_proxies: [203.0.113.0/24],\n"
    "    timeouts: { idle: 20s }, ports: [{ listen: \":8443\", site: shop, port: 443 }] } }\n"
    "  near: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] }, gateway: {} }\n"
    "  far: { " NETWORK_C ", link: { listen: [\"127.0.0.1:3\"] }, gateway: {},\n"
    "    edge: { listen: [\":80\"] } }\n"
    "  furthest: { public_key: \"SFW3lzt3UPvj86OO2NVdrCnKFCqen3K2BQBLuzmtMFE=\", private_key: "
    "d.key,\n"
    "    link: { listen: [\"127.0.0.1:4\"] }, gateway: {} }\n"
    "sites:\n"
    "  shop: { hosts: [www.shop.example], origins: [\"http://192.0.2.9\"], ring: 1,\n"
    "    gateways: [near, far, furthest] }\n"
    "  single: { hosts: [single.example], origins: [\"http://192.0.2.9\"], gateways: [near] }\n"
    "  coded: { hosts: [coded.example], origins: [\"http://192.0.2.9\"], gateways: [near],\n"
    "    encode: { on: true, encodings: [gzip], least: 0 } }\n"
    "  moved: { hosts: [moved.example, redir.moved.example], origins: [\"http://192.0.2.9\"],\n"
    "    redirect: { edges_to: redir.moved.example } }\n"
    "  elsewhere: { hosts: [elsewhere.example], origins: [\"http://192.0.2.9\"], edges: [far] }\n";

static inline void stage_link(struct stage *stage, const char *name, uint32_t srtt_us)
{
    struct link *link = &stage->links.links[stage->links.count++];
    *link = (struct link){.name = name, .is_up = true, .is_to_gateway = true, .srtt_us = srtt_us};
    memcpy(link->key, conf_find_node(stage->conf, name)->public_key, sizeof link->key);
}

static inline void stage_start(struct stage *stage)
{
    *stage = (struct stage){.conf = network_load(stage_network, "edge")};
    fake_clear(); /* of a case that failed */
    stage_link(stage, "near", 1000);
    stage_link(stage, "far", 90000);
    stage_link(stage, "furthest", 99000);
    struct edge_options options = {.conf = {network_current, &stage->conf},
                                   .links = &stage->links,
                                   .workers = 2};
    stage->edge = edge_new(&options);
    metrics_thread_start();
    struct edge_worker *worker = stage->worker = &stage->edge->workers[0];
    worker->edge = stage->edge;
    worker->loop = loop_new();
    worker->limits = http_limits_default;
    random_seed(&worker->random, 1);
    list_init(&worker->clients);
    list_init(&worker->h2_clients);
    list_init(&worker->ports);
    list_init(&worker->waiting);
    http_date_text(1700000000, worker->date);
    atomic_store(&worker->channels, edge_channels_new(worker));
}

static inline void stage_stop(struct stage *stage)
{
    edge_clients_abort(stage->worker);
    edge_h2_clients_abort(stage->worker);
    edge_ports_abort(stage->worker);
    assert_int_equal(stage->worker->connections, 0);
    edge_channels_stop(stage->worker->channels);
    loop_free(&stage->worker->loop);
    text_clear(&stage->worker->log_line);
    edge_free(&stage->edge);
    metrics_thread_stop();
    conf_free(stage->conf);
    fake_clear();
}

#endif
