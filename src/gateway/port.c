/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports passed through (T10): a stream tagged with a port goes to the same port of an origin of its site, undecrypted, if the
 * allow-list has (edge, site, port).
 */
#include "base/memory.h"
#include "gateway/private.h"

#include <errno.h>

struct gateway_port {
    struct list link;
    struct gateway_worker *worker;
    struct link_stream *stream; /* until the splice has it */
    struct link_splice *splice;
    struct loop_timer timer; /* until the record has come */
    struct origin_pool *pool;
    struct slice_queue in;
    struct link *from; /* whose edge it is */
    uint16_t port;
};

static void end(struct gateway_port *port, uint32_t code)
{
    loop_timer_stop(port->worker->loop, &port->timer);
    if (port->stream) {
        link_stream_reset(port->stream, code);
        link_stream_release(&port->stream);
    }
    if (port->pool)
        gateway_pool_end(port->pool);
    list_remove(&port->link);
    slice_queue_clear(&port->in);
    memory_free(port);
}

static void on_splice_done(void *owner, struct link_splice *splice, uint32_t code,
                           uint64_t to_socket, uint64_t from_socket)
{
    struct gateway_port *port = owner;
    (void)splice;
    if (code == TRANSPORT_CODE_UNREACHABLE) {
        metric_add(&gateway_unreachable, 1);
        gateway_pool_failed(port->worker, port->pool);
    }
    log_debug("gateway", "port %u over: %s, %lu bytes to the origin, %lu from it", port->port,
              transport_code_text(code), to_socket, from_socket);
    end(port, code);
}

static void connect_origin(struct gateway_port *port, const struct conf_site *site)
{
    struct gateway_worker *worker = port->worker;
    struct origin_pool *pool;
    int fd, result = gateway_pool_pick(worker, site, NULL, port->port, NULL, &pool);
    if (result < 0) {
        metric_add(result == ERROR_LIMIT ? &gateway_full : &gateway_unreachable, 1);
        end(port, result == ERROR_LIMIT ? TRANSPORT_CODE_LIMIT : TRANSPORT_CODE_UNREACHABLE);
        return;
    }
    result = socket_connect_tcp(&pool->address, &fd);
    if (result < 0) {
        metric_add(&gateway_unreachable, 1);
        if (result != ERROR_LIMIT)
            gateway_pool_failed(worker, pool);
        end(port, result == ERROR_LIMIT ? TRANSPORT_CODE_LIMIT : TRANSPORT_CODE_UNREACHABLE);
        return;
    }
    socket_set_nodelay(fd);
    port->pool = pool;
    gateway_pool_begin(pool);
    metric_add(&gateway_ports, 1);
    struct link_splice_options options = {.fd = fd,
                                          .is_connecting = true,
                                          .stream = port->stream,
                                          .first = &port->in,
                                          .connect_timeout_ns = site->connect_timeout_ns,
                                          .done = on_splice_done,
                                          .owner = port};
    port->stream = NULL;
    port->splice = link_splice_start(worker->loop, &options);
}

/* The record that names the site. */
static void on_readable(void *owner, struct link_stream *stream)
{
    struct gateway_port *port = owner;
    const struct gateway_service service = {stream, port->from, port->port, .is_udp = false};
    const struct conf_site *site;
    int result = gateway_service_read(port->worker, &service, &port->in, &site);
    if (result == ERROR_INCOMPLETE)
        return;
    loop_timer_stop(port->worker->loop, &port->timer);
    if (result < 0) {
        end(port, gateway_service_code(result));
        return;
    }
    connect_origin(port, site);
}

static void on_writable(void *owner, struct link_stream *stream)
{
    (void)owner;
    (void)stream;
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    end(owner, code);
}

static void on_late(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    metric_add(&gateway_bad_requests, 1);
    end(CONTAINER_OF(timer, struct gateway_port, timer), TRANSPORT_CODE_TIMEOUT);
}

static const struct link_stream_events stream_events = {on_readable, on_writable, on_reset};

void gateway_port_accept(struct gateway_worker *worker, struct link *link,
                         struct link_stream *stream, const struct transport_open *open)
{
    struct gateway_port *port = NEW(struct gateway_port);
    port->worker = worker;
    port->stream = stream;
    port->port = open->port;
    port->from = link;
    port->timer.fire = on_late;
    list_push_back(&worker->ports, &port->link);
    loop_timer_start(worker->loop, &port->timer,
                     loop_now_ns(worker->loop) + worker->head_timeout_ns);
    link_stream_attach(stream, &stream_events, port);
}

void gateway_ports_abort(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->ports) {
        struct gateway_port *port = CONTAINER_OF(item, struct gateway_port, link);
        if (port->splice)
            link_splice_abort(port->splice, TRANSPORT_CODE_SHUTDOWN);
        else
            end(port, TRANSPORT_CODE_SHUTDOWN);
    }
}
