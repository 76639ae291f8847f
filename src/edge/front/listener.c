/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets of a worker: each worker has its own accept queue (SO_REUSEPORT). At the limit of connections one that owes a request
 * goes for a new one; where there is none to end, nothing is accepted, and clients wait in the kernel's queue until others leave.
 */
#include "edge/private.h"

#include <errno.h>
#include <unistd.h>

static uint32_t connection_limit(struct edge_worker *worker)
{
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    uint32_t workers = worker->edge->options.workers;
    return conf ? (conf->connections_limit + workers - 1) / workers : 0;
}

static void watch_all(struct edge_worker *worker, uint32_t events)
{
    for (size_t i = 0; i < worker->listener_count; i++)
        if (!worker->listeners[i].is_udp &&
            loop_watch_set(worker->loop, &worker->listeners[i].watch, events) < 0)
            log_error("edge", "cannot watch a listener: %s", strerror(errno));
    worker->is_paused = events == 0;
}

/* At the limit accepting pauses and goes on many times a second. */
static void warn_of_limit(struct edge_worker *worker, uint32_t limit)
{
    uint64_t now_ns = loop_now_ns(worker->loop);
    if (worker->warned_ns && now_ns - worker->warned_ns < EDGE_WARN_EVERY_NS)
        return;
    worker->warned_ns = now_ns;
    log_warning("edge", "the limit of %u connections is reached: those that owe a request go",
                limit);
}

static void pause_accepting(struct edge_worker *worker, uint64_t until_ns)
{
    metric_add(&edge_paused, 1);
    watch_all(worker, 0);
    if (until_ns != UINT64_MAX)
        loop_timer_start(worker->loop, &worker->accept_pause, until_ns);
}

void edge_tls_accept(struct edge_worker *worker, const struct edge_arrival *arrival)
{
    struct tls_context *context = edge_tls_context(worker->edge->tls);
    if (context) {
        edge_client_start(worker, arrival, context);
        return;
    }
    close(arrival->fd); /* TLS was just taken out of the configuration */
    edge_listeners_client_left(worker, arrival->share);
}

void edge_enter(struct edge_worker *worker, const struct edge_arrival *arrival,
                const struct edge_entrance *entrance)
{
    if (entrance->port_index != SIZE_MAX)
        edge_port_start(worker, arrival, entrance->port_index);
    else if (!entrance->is_tls)
        edge_client_start(worker, arrival, NULL);
    else if (edge_tls_passes(worker->edge->tls))
        edge_greeting_start(worker, arrival);
    else
        edge_tls_accept(worker, arrival);
}

static void take(struct edge_listener *listener, struct edge_arrival *arrival)
{
    struct edge_worker *worker = listener->worker;
    worker->connections++;
    if (edge_proxied_is_from(worker, &arrival->client))
        edge_proxied_start(worker, arrival, &listener->entrance);
    else if (edge_guard_admit(worker, arrival))
        edge_enter(worker, arrival, &listener->entrance);
    else
        edge_guard_refuse(worker, arrival->fd);
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct edge_listener *listener = CONTAINER_OF(watch, struct edge_listener, watch);
    struct edge_worker *worker = listener->worker;
    (void)events;
    uint32_t limit = connection_limit(worker);
    edge_limits_take(worker);
    for (int i = 0; i < EDGE_ACCEPTS; i++) {
        struct edge_arrival arrival = {0};
        if (worker->connections >= limit) {
            warn_of_limit(worker, limit);
            uint64_t until_ns = edge_guard_make_room(worker);
            if (!until_ns)
                continue;
            pause_accepting(worker, until_ns);
            return;
        }
        int result = socket_accept(watch->fd, &arrival.client, &arrival.fd);
        if (result == ERROR_AGAIN)
            return;
        if (result == ERROR_LIMIT) {
            log_error("edge",
                      "no descriptors are left: raise the limit of open files (causeway doctor)");
            worker->has_no_descriptors = true;
            pause_accepting(worker, loop_now_ns(loop) + EDGE_ACCEPT_PAUSE_NS);
            return;
        }
        if (result == 0) /* else that connection is gone already */
            take(listener, &arrival);
    }
}

static void on_datagrams(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct edge_listener *listener = CONTAINER_OF(watch, struct edge_listener, watch);
    (void)loop;
    (void)events;
    edge_flows_receive(listener->worker, watch->fd, listener->entrance.port_index);
}

static void on_pause_over(struct loop *loop, struct loop_timer *timer)
{
    struct edge_worker *worker = CONTAINER_OF(timer, struct edge_worker, accept_pause);
    (void)loop;
    worker->has_no_descriptors = false;
    watch_all(worker, EPOLLIN);
}

void edge_listeners_client_left(struct edge_worker *worker, struct edge_share *share)
{
    edge_share_leave(share);
    worker->connections--;
    if (!worker->is_paused || worker->has_no_descriptors ||
        worker->connections >= connection_limit(worker))
        return;
    loop_timer_stop(worker->loop, &worker->accept_pause);
    watch_all(worker, EPOLLIN);
}

static int add(struct edge_worker *worker, int fd, size_t port_index, bool is_udp, bool is_tls)
{
    if (worker->listener_count == EDGE_LISTENERS_MOST)
        return ERROR_LIMIT;
    struct edge_listener *listener = &worker->listeners[worker->listener_count++];
    listener->worker = worker;
    listener->entrance = (struct edge_entrance){.port_index = port_index, .is_tls = is_tls};
    listener->watch.fd = fd;
    listener->watch.ready = is_udp ? on_datagrams : on_ready;
    listener->is_udp = is_udp;
    if (is_udp && socket_want_local(fd) < 0)
        log_warning("edge", "answers of a UDP port may leave from another address: %s",
                    strerror(errno));
    return loop_watch_set(worker->loop, &listener->watch, EPOLLIN);
}

int edge_listeners_open(struct edge_worker *worker)
{
    const struct edge_options *options = &worker->edge->options;
    const struct conf_edge *conf = edge_conf(worker)->self->edge;
    uint32_t id = worker_id(worker->worker);
    int result = 0;
    worker->accept_pause.fire = on_pause_over;
    edge_limits_take(worker);
    for (size_t i = 0; i < options->listeners.http_count && result == 0; i++)
        result =
            add(worker, options->listeners.http[i * options->workers + id], SIZE_MAX, false, false);
    for (size_t i = 0; i < options->listeners.tls_count && result == 0; i++)
        result =
            add(worker, options->listeners.tls[i * options->workers + id], SIZE_MAX, false, true);
    for (size_t i = 0; i < options->listeners.port_count && result == 0; i++)
        result = add(worker, options->listeners.ports[i * options->workers + id], i,
                     conf && i < conf->port_count && conf->ports[i].protocol == CONF_UDP, false);
    return result;
}

void edge_listeners_close(struct edge_worker *worker)
{
    loop_timer_stop(worker->loop, &worker->accept_pause);
    for (size_t i = 0; i < worker->listener_count; i++)
        loop_watch_remove(worker->loop, &worker->listeners[i].watch);
    worker->listener_count = 0;
    worker->is_paused = worker->has_no_descriptors = false;
}
