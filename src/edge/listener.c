/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets of a worker: each worker has its own accept queue (SO_REUSEPORT). At the limit of connections nothing is accepted;
 * clients wait in the kernel's queue until others leave.
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
    log_warning("edge", "the limit of %u connections is reached: new ones wait", limit);
}

void edge_tls_accept(struct edge_worker *worker, int fd, const struct address *peer)
{
    struct tls_context *context = edge_tls_context(worker->edge->tls);
    if (context) {
        edge_client_start(worker, fd, peer, context);
        return;
    }
    close(fd); /* TLS was just taken out of the configuration */
    edge_listeners_client_left(worker);
}

static void start_client(struct edge_worker *worker, int fd, const struct address *peer,
                         bool is_tls)
{
    if (!is_tls)
        edge_client_start(worker, fd, peer, NULL);
    else if (edge_tls_passes(worker->edge->tls))
        edge_greeting_start(worker, fd, peer);
    else
        edge_tls_accept(worker, fd, peer);
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct edge_listener *listener = CONTAINER_OF(watch, struct edge_listener, watch);
    struct edge_worker *worker = listener->worker;
    (void)events;
    uint32_t limit = connection_limit(worker);
    edge_limits_take(worker);
    for (int i = 0; i < EDGE_ACCEPTS; i++) {
        struct address peer;
        int fd;
        if (worker->connections >= limit) {
            metric_add(&edge_paused, 1);
            warn_of_limit(worker, limit);
            watch_all(worker, 0);
            return;
        }
        int result = socket_accept(watch->fd, &peer, &fd);
        if (result == ERROR_AGAIN)
            return;
        if (result == ERROR_LIMIT) {
            metric_add(&edge_paused, 1);
            log_error("edge",
                      "no descriptors are left: raise the limit of open files (causeway doctor)");
            watch_all(worker, 0);
            loop_timer_start(loop, &worker->accept_pause, loop_now_ns(loop) + EDGE_ACCEPT_PAUSE_NS);
            return;
        }
        if (result < 0)
            continue; /* that connection is gone already */
        worker->connections++;
        if (listener->port_index == SIZE_MAX)
            start_client(worker, fd, &peer, listener->is_tls);
        else
            edge_port_start(worker, fd, &peer, listener->port_index);
    }
}

static void on_datagrams(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct edge_listener *listener = CONTAINER_OF(watch, struct edge_listener, watch);
    (void)loop;
    (void)events;
    edge_flows_receive(listener->worker, watch->fd, listener->port_index);
}

static void on_pause_over(struct loop *loop, struct loop_timer *timer)
{
    struct edge_worker *worker = CONTAINER_OF(timer, struct edge_worker, accept_pause);
    (void)loop;
    watch_all(worker, EPOLLIN);
}

void edge_listeners_client_left(struct edge_worker *worker)
{
    worker->connections--;
    if (worker->is_paused && !loop_timer_is_running(&worker->accept_pause) &&
        worker->connections < connection_limit(worker))
        watch_all(worker, EPOLLIN);
}

static int add(struct edge_worker *worker, int fd, size_t port_index, bool is_udp, bool is_tls)
{
    if (worker->listener_count == EDGE_LISTENERS_MOST)
        return ERROR_LIMIT;
    struct edge_listener *listener = &worker->listeners[worker->listener_count++];
    listener->worker = worker;
    listener->port_index = port_index;
    listener->watch.fd = fd;
    listener->watch.ready = is_udp ? on_datagrams : on_ready;
    listener->is_udp = is_udp;
    listener->is_tls = is_tls;
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
    worker->is_paused = false;
}
