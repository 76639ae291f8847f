/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips of visitors (R6, H3): what the kernel measured on their connections anyway, sampled when a request is complete, and
 * handed to the thread that tells the DNS nodes.
 *
 * The least round trip of the connection is taken: queues on the visitor's own line stand in the way to every edge alike. A
 * worker and the telling thread share a box that is either the worker's to fill or the other's to empty.
 */
#include "edge/private.h"

#include "base/memory.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
    SAMPLES_PER_S = 1000, /* of a worker: a system call each, about 1 us */
    BOX_ITEMS = 64,       /* a second's worth of what may be sent (agent.h) */
    SAMPLE_AGAIN_NS = 1000000000,
};

struct edge_visitors {
    struct visitors *visitors;
    bool is_wanted; /* a DNS node takes reports */
    unsigned budget;
    _Atomic bool is_full; /* the box is the other thread's */
    size_t count, next;
    struct measure_latency box[BOX_ITEMS];
};

struct edge_visitors *edge_visitors_new(uint64_t seed)
{
    struct edge_visitors *own = NEW(struct edge_visitors);
    own->visitors = visitors_new(seed);
    return own;
}

void edge_visitors_free(struct edge_visitors **freed)
{
    struct edge_visitors *own = *freed;
    *freed = NULL;
    visitors_free(&own->visitors);
    memory_free(own);
}

/* Some of the time since the connection's last packets is the visitor's own: min_rtt is clean of it. */
static uint32_t read_rtt_us(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return 0;
    return info.tcpi_min_rtt && info.tcpi_min_rtt != UINT32_MAX ? info.tcpi_min_rtt : info.tcpi_rtt;
}

/* A proxy's round trip says nothing of the visitors behind it. */
static bool is_proxy(const struct conf_edge *conf, const struct address *peer)
{
    for (size_t i = 0; conf && i < conf->trusted_proxies.count; i++)
        if (network_has(&conf->trusted_proxies.items[i], peer))
            return true;
    return false;
}

void edge_visitors_sample(struct edge_worker *worker, int fd, const struct address *peer)
{
    struct edge_visitors *own = worker->visitors;
    struct address client = address_unmap(peer);
    if (!own->is_wanted || !own->budget || address_is_loopback(&client) ||
        address_is_link_local(&client) || is_proxy(edge_conf(worker)->self->edge, &client))
        return;
    own->budget--;
    uint32_t rtt_us = read_rtt_us(fd);
    if (!rtt_us)
        return;
    metric_add(&edge_rtt_samples, 1);
    metric_observe_ns(&edge_visitor_rtt, rtt_us * 1000ull);
    visitors_put(own->visitors, &client, rtt_us, loop_now_ns(worker->loop));
}

void edge_visitors_sample_again(struct edge_worker *worker, struct edge_sampled *last, int fd,
                                const struct address *peer)
{
    uint64_t now_ns = loop_now_ns(worker->loop);
    if (last->at_ns && now_ns - last->at_ns < SAMPLE_AGAIN_NS)
        return;
    last->at_ns = now_ns;
    edge_visitors_sample(worker, fd, peer);
}

static bool has_receiver(const struct conf *conf)
{
    for (size_t i = 0; i < conf->node_count; i++)
        if (conf->nodes[i].dns && conf->nodes[i].dns->reports.family)
            return true;
    return false;
}

void edge_visitors_second(struct edge_worker *worker)
{
    struct edge_visitors *own = worker->visitors;
    own->is_wanted = has_receiver(edge_conf(worker));
    own->budget = SAMPLES_PER_S;
    if (atomic_load_explicit(&own->is_full, memory_order_acquire) ||
        !visitors_waiting(own->visitors))
        return;
    own->count = visitors_take(own->visitors, own->box, BOX_ITEMS, loop_now_ns(worker->loop));
    own->next = 0;
    atomic_store_explicit(&own->is_full, true, memory_order_release);
}

bool edge_next_latency(struct edge *edge, struct measure_latency *latency)
{
    for (uint32_t i = 0; i < edge->options.workers; i++) {
        struct edge_visitors *own = edge->workers[i].visitors;
        if (!atomic_load_explicit(&own->is_full, memory_order_acquire))
            continue;
        *latency = own->box[own->next++];
        if (own->next == own->count)
            atomic_store_explicit(&own->is_full, false, memory_order_release);
        return true;
    }
    return false;
}
