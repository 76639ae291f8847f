/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP ports passed through (T12): a flow tagged with a port goes from a socket of its own to the same port of an origin of its
 * site, if the allow-list has (edge, site, port). The edge ends it when it is idle; one that it forgot ends here.
 */
#include "base/memory.h"
#include "gateway/owner/tickets.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DATAGRAM_BYTES = 65535,
    RECEIVES = 32,            /* datagrams taken from an origin's socket in one turn */
    FLOWS_FOR_A_WORKER = 8192 /* each has a descriptor */
};
#define FLOW_IDLE_NS (600ull * 1000000000)

struct gateway_flow {
    struct list link;
    struct gateway_worker *worker;
    struct link_stream *stream;
    struct link *from; /* whose edge it is */
    struct loop_watch watch;
    struct loop_timer timer; /* until the record has come, then for the idle */
    struct slice_queue in;
    struct gateway_ticket *ticket; /* from the record on, then with its slot */
    uint64_t used_ns;
    uint16_t port;
    bool is_connected;
};

static void end(struct gateway_flow *flow, uint32_t code)
{
    struct gateway_worker *worker = flow->worker;
    const struct gateway_outcome outcome = {.end = flow->is_connected ? GATEWAY_END_DONE
                                                                      : GATEWAY_END_DROPPED};
    loop_timer_stop(worker->loop, &flow->timer);
    gateway_ticket_end(&flow->ticket, &outcome);
    if (flow->is_connected) {
        loop_watch_remove(worker->loop, &flow->watch);
        close(flow->watch.fd);
        metric_add(&gateway_flows_open, (uint64_t)-1);
    }
    link_stream_reset(flow->stream, code);
    link_stream_release(&flow->stream);
    list_remove(&flow->link);
    worker->flow_count--;
    slice_queue_clear(&flow->in);
    memory_free(flow);
}

/* An origin whose port is closed answers with an error to the next call: the datagram is lost, as it would be without us. */
static void pass_to_origin(struct gateway_flow *flow)
{
    struct slice datagram;
    while (link_datagram_read(flow->stream, &datagram)) {
        ssize_t result;
        do
            result = send(flow->watch.fd, slice_data(&datagram), datagram.length, 0);
        while (result < 0 && (errno == EINTR || errno == ECONNREFUSED));
        metric_add(result < 0 ? &gateway_flow_datagrams_dropped : &gateway_flow_datagrams_out, 1);
        flow->used_ns = loop_now_ns(flow->worker->loop);
        slice_release(&datagram);
    }
}

static void on_origin(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct gateway_flow *flow = CONTAINER_OF(watch, struct gateway_flow, watch);
    uint8_t bytes[DATAGRAM_BYTES];
    (void)events;
    for (int i = 0; i < RECEIVES; i++) {
        ssize_t length = recv(watch->fd, bytes, sizeof bytes, 0);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length < 0)
            continue; /* ICMP: its port is closed, or the network is */
        metric_add(&gateway_flow_datagrams_in, 1);
        flow->used_ns = loop_now_ns(loop);
        struct slice datagram = slice_copy(span_of(bytes, (size_t)length));
        link_datagram_write(flow->stream, &datagram);
    }
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_flow *flow = CONTAINER_OF(timer, struct gateway_flow, timer);
    if (!flow->is_connected) {
        metric_add(&gateway_bad_requests, 1);
        end(flow, TRANSPORT_CODE_TIMEOUT);
    } else if (loop_now_ns(loop) >= flow->used_ns + FLOW_IDLE_NS) {
        end(flow, TRANSPORT_CODE_NONE);
    } else {
        loop_timer_start(loop, timer, flow->used_ns + FLOW_IDLE_NS);
    }
}

/* The origin whose flow it is, or none. */
static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    struct gateway_flow *flow = argument;
    struct gateway_worker *worker = flow->worker;
    const struct gateway_answer *answer = gateway_ticket_answer(ticket);
    int result = answer->result;
    if (result == 0)
        result = socket_connect_udp(&answer->address, &flow->watch.fd);
    if (result < 0) {
        metric_add(result == ERROR_LIMIT ? &gateway_full : &gateway_unreachable, 1);
        end(flow, result == ERROR_LIMIT ? TRANSPORT_CODE_LIMIT : TRANSPORT_CODE_UNREACHABLE);
        return;
    }
    flow->is_connected = true;
    flow->watch.ready = on_origin;
    metric_add(&gateway_flows, 1);
    metric_add(&gateway_flows_open, 1);
    if (loop_watch_set(worker->loop, &flow->watch, EPOLLIN) < 0) {
        end(flow, TRANSPORT_CODE_INTERNAL);
        return;
    }
    link_stream_finish(flow->stream);
    flow->used_ns = loop_now_ns(worker->loop);
    loop_timer_start(worker->loop, &flow->timer, flow->used_ns + FLOW_IDLE_NS);
    pass_to_origin(flow);
}

/* The record that names the site. */
static void read_record(struct gateway_flow *flow)
{
    const struct gateway_service service = {flow->stream, flow->from, flow->port, .is_udp = true};
    const struct conf_site *site;
    int result = gateway_service_read(flow->worker, &service, &flow->in, &site);
    if (result == ERROR_INCOMPLETE)
        return;
    if (result < 0) {
        end(flow, gateway_service_code(result));
        return;
    }
    const struct gateway_wish wish = {.part = gateway_part_key(site->name, NULL, flow->port),
                                      .class = site->ring};
    flow->ticket = gateway_ticket_ask(flow->worker, &wish, on_ticket, flow);
}

static void on_readable(void *owner, struct link_stream *stream)
{
    struct gateway_flow *flow = owner;
    (void)stream;
    if (flow->is_connected)
        pass_to_origin(flow);
    else if (!flow->ticket) /* else datagrams wait in the stream */
        read_record(flow);
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

static const struct link_stream_events stream_events = {.readable = on_readable,
                                                        .writable = on_writable,
                                                        .reset = on_reset};

void gateway_flow_accept(struct gateway_worker *worker, struct link *link,
                         struct link_stream *stream, const struct transport_open *open)
{
    if (worker->flow_count == FLOWS_FOR_A_WORKER) {
        metric_add(&gateway_full, 1);
        link_stream_reset(stream, TRANSPORT_CODE_LIMIT);
        link_stream_release(&stream);
        return;
    }
    struct gateway_flow *flow = NEW(struct gateway_flow);
    flow->worker = worker;
    flow->stream = stream;
    flow->port = open->port;
    flow->from = link;
    flow->timer.fire = on_timer;
    worker->flow_count++;
    list_push_back(&worker->flows, &flow->link);
    loop_timer_start(worker->loop, &flow->timer,
                     loop_now_ns(worker->loop) + worker->head_timeout_ns);
    link_stream_attach(stream, &stream_events, flow);
}

void gateway_flows_abort(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->flows)
        end(CONTAINER_OF(item, struct gateway_flow, link), TRANSPORT_CODE_SHUTDOWN);
}
