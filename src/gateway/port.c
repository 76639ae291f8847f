/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports passed through (T10): a stream tagged with a port goes to the same port of an origin of its site, undecrypted, if the
 * allow-list has (edge, site, port).
 */
#include "base/memory.h"
#include "gateway/owner/tickets.h"

#include <errno.h>

struct gateway_port {
    struct list link;
    struct gateway_worker *worker;
    struct link_stream *stream; /* until the splice has it */
    struct link_splice *splice;
    struct loop_timer timer;       /* until the record has come */
    struct gateway_ticket *ticket; /* from the record on, then with its slot */
    enum gateway_end end;
    uint64_t connect_timeout_ns;
    struct slice_queue in;
    struct link *from; /* whose edge it is */
    struct address client;
    enum conf_origin_proxy proxy;
    uint16_t port;
};

static void end(struct gateway_port *port, uint32_t code)
{
    loop_timer_stop(port->worker->loop, &port->timer);
    if (port->stream) {
        link_stream_reset(port->stream, code);
        link_stream_release(&port->stream);
    }
    const struct gateway_outcome outcome = {.end = port->end};
    gateway_ticket_end(&port->ticket, &outcome);
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
        metric_add(&gateway_connect_failures, 1);
        port->end = GATEWAY_END_UNCONNECTED;
    }
    log_debug("gateway", "port %u over: %s, %lu bytes to the origin, %lu from it", port->port,
              transport_code_text(code), to_socket, from_socket);
    end(port, code);
}

static void refuse(struct gateway_port *port, int result)
{
    metric_add(result == ERROR_LIMIT ? &gateway_full : &gateway_unreachable, 1);
    end(port, result == ERROR_LIMIT ? TRANSPORT_CODE_LIMIT : TRANSPORT_CODE_UNREACHABLE);
}

/* In front of what the client has said already; returns its length. */
static size_t add_proxy_header(struct gateway_port *port)
{
    const struct origin_caller caller = {port->client, port->port};
    uint8_t header[HTTP_PROXY_WRITTEN_MOST];
    struct slice_queue said = {0};
    if (port->proxy == CONF_PROXY_OFF)
        return 0;
    size_t length = origin_proxy_header(port->proxy, &caller, header);
    slice_queue_move(&said, &port->in);
    slice_queue_append(&port->in, span_of(header, length));
    slice_queue_move(&port->in, &said);
    slice_queue_clear(&said);
    return length;
}

/* The origin to connect to, or none. */
static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    struct gateway_port *port = argument;
    const struct gateway_answer *answer = gateway_ticket_answer(ticket);
    int fd, result = answer->result;
    if (result < 0) {
        refuse(port, result);
        return;
    }
    result = socket_connect_tcp(&answer->address, &fd);
    if (result < 0) {
        if (result != ERROR_LIMIT) {
            metric_add(&gateway_connect_failures, 1);
            port->end = GATEWAY_END_UNCONNECTED;
        }
        refuse(port, result);
        return;
    }
    socket_set_nodelay(fd);
    metric_add(&gateway_ports, 1);
    size_t own_bytes = add_proxy_header(port);
    struct link_splice_options options = {.fd = fd,
                                          .is_connecting = true,
                                          .stream = port->stream,
                                          .first = &port->in,
                                          .own_bytes = own_bytes,
                                          .connect_timeout_ns = port->connect_timeout_ns,
                                          .done = on_splice_done,
                                          .owner = port};
    port->stream = NULL;
    port->end = GATEWAY_END_DONE;
    port->splice = link_splice_start(port->worker->loop, &options);
}

static void wait_for_origin(struct gateway_port *port, const struct conf_site *site)
{
    const struct gateway_wish wish = {.part = gateway_part_key(site->name, NULL, port->port),
                                      .class = site->ring};
    port->connect_timeout_ns = site->connect_timeout_ns;
    port->proxy = site->origin.proxy;
    port->ticket = gateway_ticket_ask(port->worker, &wish, on_ticket, port);
}

/* The record that names the site. */
static void on_readable(void *owner, struct link_stream *stream)
{
    struct gateway_port *port = owner;
    const struct gateway_service service = {stream, port->from, port->port, .is_udp = false};
    const struct conf_site *site;
    if (port->ticket)
        return; /* what follows waits in the stream */
    int result = gateway_service_read(port->worker, &service, &port->in, &site);
    if (result == ERROR_INCOMPLETE)
        return;
    loop_timer_stop(port->worker->loop, &port->timer);
    if (result < 0) {
        end(port, gateway_service_code(result));
        return;
    }
    wait_for_origin(port, site);
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

static const struct link_stream_events stream_events = {.readable = on_readable,
                                                        .writable = on_writable,
                                                        .reset = on_reset};

void gateway_port_accept(struct gateway_worker *worker, struct link *link,
                         struct link_stream *stream, const struct transport_open *open)
{
    struct gateway_port *port = NEW(struct gateway_port);
    port->worker = worker;
    port->stream = stream;
    port->port = open->port;
    port->client = open->client;
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
