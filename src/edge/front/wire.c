/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection as bytes: in clear, straight from and to the socket, or through a session of TLS.
 */
#include "edge/front/wire.h"

#include "edge/front/tls.h"

#include <sys/socket.h>

/* What a front waits for may need the opposite of the socket: a read also goes on when it can be written again. */
static void on_watch(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct edge_wire *wire = CONTAINER_OF(watch, struct edge_wire, watch);
    if (wire->is_shutting)
        edge_wire_shut(wire);
    if (events & EPOLLOUT)
        events |= EPOLLIN;
    wire->ready(loop, watch, events);
}

static void on_again(struct loop *loop, struct loop_task *task)
{
    struct edge_wire *wire = CONTAINER_OF(task, struct edge_wire, again);
    wire->ready(loop, &wire->watch, EPOLLIN);
}

void edge_wire_open(struct edge_wire *wire, int fd,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events))
{
    *wire = (struct edge_wire){.watch = {.fd = fd, .ready = ready}, .ready = ready};
    socket_set_nodelay(fd);
}

void edge_wire_move(struct edge_wire *to, struct edge_wire *from, struct loop *loop,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events))
{
    loop_watch_remove(loop, &from->watch);
    loop_task_cancel(loop, &from->again); /* the new owner waits anew */
    *to = *from;
    to->watch = (struct loop_watch){.fd = from->watch.fd, .ready = from->tls ? on_watch : ready};
    to->ready = ready;
    to->again = (struct loop_task){.run = on_again};
}

void edge_wire_secure(struct edge_wire *wire, struct tls_context *context, unsigned protocols)
{
    wire->tls = tls_session_new(context, wire->watch.fd, protocols);
    wire->watch.ready = on_watch;
    wire->again.run = on_again;
}

static void count(struct edge_wire *wire)
{
    if (wire->was_counted || !(tls_session_is_open(wire->tls) || tls_session_failure(wire->tls)))
        return;
    wire->was_counted = true;
    edge_tls_count(wire->tls);
}

int edge_wire_read(struct edge_wire *wire, struct slice_queue *bytes, uint32_t limit, bool *ended)
{
    if (!wire->tls)
        return socket_read(wire->watch.fd, bytes, limit, ended);
    int result = tls_session_read(wire->tls, bytes, limit, ended);
    count(wire);
    if (result < 0 && tls_session_failure(wire->tls) == TLS_FAILURE_REKEYS)
        edge_tls_count_failure(TLS_FAILURE_REKEYS);
    return result;
}

int edge_wire_write(struct edge_wire *wire, struct slice_queue *bytes)
{
    if (!wire->tls)
        return socket_write(wire->watch.fd, bytes);
    int result = tls_session_write(wire->tls, bytes);
    count(wire);
    return result;
}

int edge_wire_want(struct edge_wire *wire, struct loop *loop, uint32_t events)
{
    if (wire->tls) {
        if (events & EPOLLIN && tls_session_has_pending(wire->tls))
            loop_task_queue(loop, &wire->again);
        events = tls_session_wants(wire->tls, events & EPOLLIN, events & EPOLLOUT);
        if (wire->is_shutting)
            events |= EPOLLOUT;
    }
    return loop_watch_set(loop, &wire->watch, events);
}

void edge_wire_shut(struct edge_wire *wire)
{
    wire->is_shutting = wire->tls && tls_session_shut(wire->tls) == ERROR_AGAIN;
    if (!wire->is_shutting)
        shutdown(wire->watch.fd, SHUT_WR);
}

void edge_wire_set_reset(struct edge_wire *wire)
{
    wire->is_reset = true;
    socket_set_reset_on_close(wire->watch.fd);
}

void edge_wire_close(struct edge_wire *wire, struct loop *loop)
{
    if (wire->tls) {
        /* One who idles learns that nothing was cut short; whether the socket takes the word is all the same now. */
        int said = wire->is_reset ? 0 : tls_session_shut(wire->tls);
        (void)said;
        if (!wire->was_counted)
            edge_tls_count(wire->tls);
        loop_task_cancel(loop, &wire->again);
        tls_session_free(&wire->tls);
    }
    loop_watch_close(loop, &wire->watch);
}
