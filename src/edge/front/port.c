/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports passed through (T10): a client's connection on such a port becomes a stream tagged with the port; nobody on the way looks
 * into it.
 */
#include "base/memory.h"
#include "edge/private.h"

#include <unistd.h>

struct edge_port {
    struct list link;
    struct edge_worker *worker;
    struct edge_share *share;
    struct link_splice *splice;
};

static void on_done(void *owner, struct link_splice *splice, uint32_t code, uint64_t to_socket,
                    uint64_t from_socket)
{
    struct edge_port *port = owner;
    struct edge_worker *worker = port->worker;
    (void)splice;
    log_debug("edge", "port connection over: %s, %lu bytes in, %lu out", transport_code_text(code),
              from_socket, to_socket);
    struct edge_share *share = port->share;
    list_remove(&port->link);
    memory_free(port);
    metric_add(&edge_ports_open, (uint64_t)-1);
    edge_listeners_client_left(worker, share);
}

static void give_up(struct edge_worker *worker, const struct edge_arrival *arrival)
{
    metric_add(&edge_no_gateway, 1);
    socket_set_reset_on_close(arrival->fd);
    close(arrival->fd);
    edge_listeners_client_left(worker, arrival->share);
}

void edge_port_carry(struct edge_worker *worker, const struct edge_arrival *arrival,
                     const struct conf *conf, const struct edge_port_target *target)
{
    struct link *link = edge_route_pick(worker, conf, target->site, target->ring);
    if (!link) {
        give_up(worker, arrival);
        return;
    }
    struct transport_open open = {.port = target->port,
                                  .flags = target->is_secure ? TRANSPORT_OPEN_SECURE : 0,
                                  .ring = target->ring,
                                  .weight = 16,
                                  .site = target->site->number,
                                  .client = arrival->client,
                                  .sharers =
                                      arrival->share ? edge_share_connections(arrival->share) : 0};
    struct edge_port *started = NEW(struct edge_port);
    struct link_stream *stream;
    struct slice_queue record = {0};
    if (link_stream_open(link, &open, NULL, NULL, &stream) < 0) {
        memory_free(started);
        give_up(worker, arrival);
        return;
    }
    metric_add(&edge_ports, 1);
    metric_add(&edge_ports_open, 1);
    socket_set_nodelay(arrival->fd);
    if (!arrival->is_proxied)
        edge_visitors_sample(worker, arrival->fd, &arrival->client); /* of the handshake */
    link_service_write(&record, span_text(target->site->name));
    link_stream_write(stream, &record);
    slice_queue_clear(&record);
    started->worker = worker;
    started->share = arrival->share;
    list_push_back(&worker->ports, &started->link);
    struct link_splice_options options = {.fd = arrival->fd,
                                          .stream = stream,
                                          .idle_timeout_ns = conf->self->edge->tunnel_timeout_ns,
                                          .done = on_done,
                                          .owner = started};
    started->splice = link_splice_start(worker->loop, &options);
}

void edge_port_start(struct edge_worker *worker, const struct edge_arrival *arrival,
                     size_t port_index)
{
    const struct conf *conf = edge_conf(worker);
    const struct conf_edge *edge = conf->self->edge;
    if (!edge || port_index >= edge->port_count) {
        give_up(worker, arrival);
        return;
    }
    const struct conf_port *port = &edge->ports[port_index];
    edge_port_carry(worker, arrival, conf,
                    &(struct edge_port_target){port->site, port->port, port->ring,
                                               port->is_secure});
}

void edge_ports_abort(struct edge_worker *worker)
{
    LIST_EACH (item, after, &worker->ports)
        link_splice_abort(CONTAINER_OF(item, struct edge_port, link)->splice,
                          TRANSPORT_CODE_SHUTDOWN);
}
