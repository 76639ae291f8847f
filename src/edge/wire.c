/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection as bytes: in clear, straight from and to the socket.
 */
#include "edge/wire.h"

#include <sys/socket.h>

void edge_wire_open(struct edge_wire *wire, int fd,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events))
{
    wire->watch = (struct loop_watch){.fd = fd, .ready = ready};
    socket_set_nodelay(fd);
}

void edge_wire_move(struct edge_wire *to, struct edge_wire *from, struct loop *loop,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events))
{
    loop_watch_remove(loop, &from->watch);
    to->watch = (struct loop_watch){.fd = from->watch.fd, .ready = ready};
}

int edge_wire_read(struct edge_wire *wire, struct slice_queue *bytes, uint32_t limit, bool *ended)
{
    return socket_read(wire->watch.fd, bytes, limit, ended);
}

int edge_wire_write(struct edge_wire *wire, struct slice_queue *bytes)
{
    return socket_write(wire->watch.fd, bytes);
}

int edge_wire_want(struct edge_wire *wire, struct loop *loop, uint32_t events)
{
    return loop_watch_set(loop, &wire->watch, events);
}

void edge_wire_shut(struct edge_wire *wire)
{
    shutdown(wire->watch.fd, SHUT_WR);
}

void edge_wire_set_reset(struct edge_wire *wire)
{
    socket_set_reset_on_close(wire->watch.fd);
}

void edge_wire_close(struct edge_wire *wire, struct loop *loop)
{
    loop_watch_close(loop, &wire->watch);
}
