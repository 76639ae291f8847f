/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP ports passed through (T12): the datagrams of one client address at one port are a flow over the link, opened by the first
 * of them and closed when nothing has come either way for the port's idle time. The table is bounded: at its limit the flow
 * that was silent longest gives way.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "edge/private.h"

enum {
    DATAGRAM_BYTES = 65535,
    RECEIVES = 64,        /* datagrams taken from a port in one turn */
    BUCKETS_LEAST = 1024, /* of the table */
};

/* No padding: hashed and compared as bytes. */
struct flow_key {
    struct address client, listen;
};

struct edge_flow {
    struct flow_key key;
    struct edge_worker *worker;
    struct edge_flow *next; /* in its bucket */
    struct list by_use;     /* in flows->by_use */
    struct loop_timer timer;
    struct link_stream *stream;
    struct address local; /* that the client wrote to; family 0: the port has one only */
    int fd;               /* the port's */
    uint64_t meaning; /* of site and port: a flow ends when the configuration gives it another */
    uint64_t idle_timeout_ns, used_ns;
};

struct edge_flows {
    struct edge_flow **buckets;
    uint32_t bucket_count, count; /* a power of two */
    uint64_t seed;
    struct list by_use; /* silent longest first */
    uint8_t datagram[DATAGRAM_BYTES];
};

static struct edge_flows *flows_of(struct edge_worker *worker)
{
    if (worker->flows)
        return worker->flows;
    struct edge_flows *flows = worker->flows = NEW(struct edge_flows);
    flows->seed = random_u64(&worker->random);
    flows->bucket_count = BUCKETS_LEAST;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    flows->buckets = memory_new(flows->bucket_count * sizeof *flows->buckets);
    list_init(&flows->by_use);
    return flows;
}

/* ---- the table */

static struct edge_flow **bucket_of(const struct edge_flows *flows, const struct flow_key *key)
{
    uint64_t hash = hash_span(span_of(key, sizeof *key), flows->seed);
    return &flows->buckets[hash & (flows->bucket_count - 1)];
}

static struct edge_flow *find(const struct edge_flows *flows, const struct flow_key *key)
{
    struct edge_flow *flow = *bucket_of(flows, key);
    while (flow && memcmp(&flow->key, key, sizeof *key) != 0)
        flow = flow->next;
    return flow;
}

static void put(struct edge_flows *flows, struct edge_flow *flow)
{
    struct edge_flow **bucket = bucket_of(flows, &flow->key);
    flow->next = *bucket;
    *bucket = flow;
}

static void grow(struct edge_flows *flows)
{
    struct edge_flow **old = flows->buckets;
    uint32_t count = flows->bucket_count;
    flows->bucket_count *= 2;
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    flows->buckets = memory_new(flows->bucket_count * sizeof *flows->buckets);
    for (uint32_t i = 0; i < count; i++)
        for (struct edge_flow *flow = old[i], *next; flow; flow = next) {
            next = flow->next;
            put(flows, flow);
        }
    memory_free((void *)old);
}

static void take_out(struct edge_flows *flows, const struct edge_flow *flow)
{
    struct edge_flow **at = bucket_of(flows, &flow->key);
    while (*at != flow)
        at = &(*at)->next;
    *at = flow->next;
}

/* ---- a flow */

static void end(struct edge_flow *flow)
{
    struct edge_worker *worker = flow->worker;
    take_out(worker->flows, flow);
    worker->flows->count--;
    list_remove(&flow->by_use);
    loop_timer_stop(worker->loop, &flow->timer);
    link_stream_release(&flow->stream);
    metric_add(&edge_flows_open, (uint64_t)-1);
    memory_free(flow);
}

static void touch(struct edge_flow *flow)
{
    flow->used_ns = loop_now_ns(flow->worker->loop);
    list_remove(&flow->by_use);
    list_push_back(&flow->worker->flows->by_use, &flow->by_use);
}

/* The timer is not moved by each datagram: it looks again when it fires. */
static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct edge_flow *flow = CONTAINER_OF(timer, struct edge_flow, timer);
    uint64_t due_ns = flow->used_ns + flow->idle_timeout_ns;
    if (loop_now_ns(loop) >= due_ns)
        end(flow);
    else
        loop_timer_start(loop, timer, due_ns);
}

static void on_readable(void *owner, struct link_stream *stream)
{
    struct edge_flow *flow = owner;
    struct slice_queue bytes = {0};
    struct slice datagram;
    bool ended;
    link_stream_read(stream, &bytes, UINT64_MAX, &ended); /* the gateway has nothing to say there */
    slice_queue_clear(&bytes);
    while (link_datagram_read(stream, &datagram)) {
        int result = socket_send_from(flow->fd, span_of(slice_data(&datagram), datagram.length),
                                      &flow->key.client, &flow->local);
        metric_add(result < 0 ? &edge_flow_datagrams_dropped : &edge_flow_datagrams_out, 1);
        slice_release(&datagram);
        touch(flow);
    }
}

static void on_writable(void *owner, struct link_stream *stream)
{
    (void)owner;
    (void)stream;
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    log_debug("edge", "flow over: %s", transport_code_text(code));
    end(owner);
}

static const struct link_stream_events stream_events = {.readable = on_readable,
                                                        .writable = on_writable,
                                                        .reset = on_reset};

static uint64_t meaning_of(const struct conf_port *port)
{
    return hash_span(span_text(port->site->name), port->port);
}

static uint32_t limit_of(const struct edge_worker *worker, const struct conf_edge *edge)
{
    uint32_t workers = worker->edge->options.workers;
    return (edge->flows_limit + workers - 1) / workers;
}

static struct edge_flow *start(struct edge_worker *worker, const struct conf_port *port,
                               const struct flow_key *key)
{
    const struct conf *conf = edge_conf(worker);
    struct link *link = edge_route_pick(worker, conf, port->site, port->ring);
    struct transport_open open = {.port = port->port,
                                  .flags = TRANSPORT_OPEN_DATAGRAMS |
                                           (port->is_secure ? TRANSPORT_OPEN_SECURE : 0),
                                  .ring = port->ring,
                                  .weight = 16,
                                  .site = port->site->number,
                                  .lifetime_ms = (uint16_t)(port->lifetime_ns / 1000000),
                                  .client = key->client};
    struct edge_flows *flows = flows_of(worker);
    struct edge_flow *flow = NEW(struct edge_flow);
    if (!link || link_stream_open(link, &open, &stream_events, flow, &flow->stream) < 0) {
        metric_add(&edge_no_gateway, 1);
        memory_free(flow);
        return NULL;
    }
    struct slice_queue record = {0};
    link_service_write(&record, span_text(port->site->name));
    link_stream_write(flow->stream, &record);
    link_stream_finish(flow->stream);
    slice_queue_clear(&record);
    if (flows->count >= limit_of(worker, conf->self->edge))
        end(CONTAINER_OF(flows->by_use.next, struct edge_flow, by_use));
    if (flows->count++ == flows->bucket_count)
        grow(flows);
    flow->key = *key;
    flow->worker = worker;
    flow->meaning = meaning_of(port);
    flow->idle_timeout_ns = port->idle_timeout_ns;
    flow->timer.fire = on_timer;
    put(flows, flow);
    list_push_back(&flows->by_use, &flow->by_use);
    loop_timer_start(worker->loop, &flow->timer, loop_now_ns(worker->loop) + flow->idle_timeout_ns);
    metric_add(&edge_flows, 1);
    metric_add(&edge_flows_open, 1);
    return flow;
}

/* ---- what the worker calls */

void edge_flows_receive(struct edge_worker *worker, int fd, size_t port_index)
{
    const struct conf_edge *edge = edge_conf(worker)->self->edge;
    const struct conf_port *port =
        edge && port_index < edge->port_count ? &edge->ports[port_index] : NULL;
    struct edge_flows *flows = flows_of(worker);
    for (int i = 0; i < RECEIVES; i++) {
        struct flow_key key = {0};
        struct address local;
        int length = socket_receive_from(fd, flows->datagram, DATAGRAM_BYTES, &key.client, &local);
        if (length < 0)
            return; /* none, or an error that an answer of ours met on its way */
        metric_add(&edge_flow_datagrams_in, 1);
        if (!port || length > DATAGRAM_BYTES) {
            metric_add(&edge_flow_datagrams_dropped, 1);
            continue;
        }
        key.listen = port->listen;
        struct edge_flow *flow = find(flows, &key);
        if (!flow && !(flow = start(worker, port, &key))) {
            metric_add(&edge_flow_datagrams_dropped, 1);
            continue;
        }
        flow->fd = fd;
        flow->local = local;
        touch(flow);
        struct slice datagram = slice_copy(span_of(flows->datagram, (size_t)length));
        link_datagram_write(flow->stream, &datagram);
    }
}

void edge_flows_follow(struct edge_worker *worker)
{
    const struct conf_edge *edge = edge_conf(worker)->self->edge;
    const struct edge_options *options = &worker->edge->options;
    if (!worker->flows)
        return;
    LIST_EACH (item, after, &worker->flows->by_use) {
        struct edge_flow *flow = CONTAINER_OF(item, struct edge_flow, by_use);
        bool is_meant = false;
        for (size_t i = 0; edge && i < options->listeners.port_count && !is_meant; i++) {
            const struct conf_port *port = &edge->ports[i];
            is_meant = port->protocol == CONF_UDP &&
                       address_equal(&port->listen, &flow->key.listen) &&
                       meaning_of(port) == flow->meaning;
            if (!is_meant)
                continue;
            flow->fd = options->listeners.ports[i * options->workers + worker_id(worker->worker)];
            flow->idle_timeout_ns = port->idle_timeout_ns;
        }
        if (!is_meant)
            end(flow);
    }
}

void edge_flows_abort(struct edge_worker *worker)
{
    struct edge_flows *flows = worker->flows;
    if (!flows)
        return;
    LIST_EACH (item, after, &flows->by_use)
        end(CONTAINER_OF(item, struct edge_flow, by_use));
    worker->flows = NULL;
    memory_free((void *)flows->buckets);
    memory_free(flows);
}
